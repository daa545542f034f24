"""DQN policies for slates: candidates scored one by one, however many, and none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar, Self

from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.dqn.policies import DQNPolicy

from agents.slate_networks import (
    DuelingSlateQNetwork,
    Layout,
    RowBounds,
    SlateExtractor,
    SlateQNetwork,
)
from music_env.slate_observation import SlateEncoded, SlateLayout


class SlateDQNPolicy(DQNPolicy):
    """SB3's `DQNPolicy` for MusicRecSlate-v0; for SB3's ``DQN`` and `agents.DuelingDQN`.

        layout = asdict(env.unwrapped.encoded.layout)
        DQN(SlateDQNPolicy, env, policy_kwargs={"layout": layout})

    The weights fit any ``slate_size``: see `fitted`.

    Args:
        observation_space: of MusicRecSlate-v0.
        action_space: of MusicRecSlate-v0.
        lr_schedule: learning rate by the progress remaining.
        net_arch: sizes of the hidden layers; by default ``[64, 64]``.
        layout: ``encoded.layout`` of the environment, or its attributes by name.
        sees_levels: see `agents.slate_networks.row_columns`.
        row_bounds: see `agents.slate_networks.SlateExtractor`.
        row_extractor_class: likewise.
        row_extractor_kwargs: likewise.
        kwargs: the remaining arguments of `DQNPolicy`, but for the features extractor.

    Raises:
        ValueError: if the observations are not of the layout.
    """

    network: ClassVar[type[SlateQNetwork]] = SlateQNetwork

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Discrete[Any],
        lr_schedule: Schedule,
        net_arch: list[int] | None = None,
        *,
        layout: Layout,
        sees_levels: bool = True,
        row_bounds: RowBounds | None = None,
        row_extractor_class: type[BaseFeaturesExtractor] | None = None,
        row_extractor_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.slate_arguments = {
            "layout": asdict(layout) if isinstance(layout, SlateLayout) else dict(layout),
            "sees_levels": sees_levels,
            "row_bounds": row_bounds,
            "row_extractor_class": row_extractor_class,
            "row_extractor_kwargs": row_extractor_kwargs,
        }
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            [64, 64] if net_arch is None else net_arch,
            features_extractor_class=SlateExtractor,
            features_extractor_kwargs=self.slate_arguments,
            **kwargs,
        )

    def make_q_net(self) -> SlateQNetwork:
        """Return a new network with a features extractor of its own."""
        arguments = self._update_features_extractor(self.net_args, features_extractor=None)
        return self.network(**arguments).to(self.device)

    def fitted(self, encoded: SlateEncoded) -> Self:
        """Return a copy of this policy for other slates, with the same weights.

        Args:
            encoded: of the environment that shows them: any number of candidates, whose columns
                mean what they meant in training. With ``summary`` and without ``sees_levels`` that
                holds for any catalogue; numbers out of the range met in training are seen as its
                ends.

        Raises:
            ValueError: if a candidate and the state have another number of columns.
        """
        extractor = self.q_net.features_extractor
        assert isinstance(extractor, SlateExtractor)
        arguments = {
            **self._get_constructor_parameters(),
            "observation_space": encoded.space,
            "action_space": spaces.Discrete(encoded.layout.slate_size + 1),
            "layout": encoded.layout,
            "row_bounds": extractor.row_bounds,
        }
        copy = type(self)(**arguments)
        copy.load_state_dict(self.state_dict())
        return copy

    def _get_constructor_parameters(self) -> dict[str, Any]:
        parameters = super()._get_constructor_parameters()
        for name in ("features_extractor_class", "features_extractor_kwargs"):
            parameters.pop(name, None)
        return {**parameters, **self.slate_arguments}


class DuelingSlateDQNPolicy(SlateDQNPolicy):
    """`SlateDQNPolicy` with a `DuelingSlateQNetwork` as online and target network."""

    network = DuelingSlateQNetwork
