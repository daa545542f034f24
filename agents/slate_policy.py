"""A DQN policy for slates: one network scores every candidate beside the state, and none.

It has the same weights for any number of candidates, as the action head of Tomasi et al.,
"Automatic Music Playlist Generation via Simulation-based Reinforcement Learning", KDD 2023.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch as th
from gymnasium import spaces
from stable_baselines3.common.torch_layers import (
    BaseFeaturesExtractor,
    FlattenExtractor,
    create_mlp,
)
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import nn

from agents.extractors import CodesExtractor
from music_env.slate_observation import SlateLayout

Layout = SlateLayout | Mapping[str, int]
"""What stands where in an observation; as a mapping, its attributes by name."""


class SlateExtractor(BaseFeaturesExtractor):
    """Features of none and of each candidate, by one extractor over a candidate and the state.

    None is seen as a candidate whose columns are all 0, and told apart by a feature of its own.

    Args:
        observation_space: of MusicRecSlate-v0.
        layout: its ``encoded.layout``.
        row_extractor_class: extracts the features of a row, of ``layout.row_space``. By default
            `CodesExtractor` where a row has codes, else the row as it is.
        row_extractor_kwargs: its other arguments.

    Raises:
        ValueError: if the space is not of that layout.
    """

    def __init__(
        self,
        observation_space: spaces.Box,
        *,
        layout: Layout,
        row_extractor_class: type[BaseFeaturesExtractor] | None = None,
        row_extractor_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        layout = layout if isinstance(layout, SlateLayout) else SlateLayout(**layout)
        if observation_space.shape != (layout.size,):
            raise ValueError(
                f"the layout {layout} is of observations of shape {(layout.size,)}, got "
                f"{observation_space.shape}: take encoded.layout of the same environment"
            )
        if row_extractor_class is None:
            has_codes = layout.n_numbers < layout.n_columns
            row_extractor_class = CodesExtractor if has_codes else FlattenExtractor
        extractor = row_extractor_class(
            layout.row_space(observation_space), **(row_extractor_kwargs or {})
        )
        super().__init__(observation_space, extractor.features_dim + 1)
        self.row_extractor = extractor
        self.rows: th.Tensor
        self.none_row: th.Tensor
        self.is_none: th.Tensor
        self.played_columns: th.Tensor
        self.register_buffer("rows", th.tensor(layout.rows), persistent=False)
        state = layout.rows[0] < layout.n_state  # of a row, (row_size,)
        self.register_buffer("none_row", th.tensor(state), persistent=False)
        is_none = th.zeros(layout.slate_size + 1, 1)
        is_none[0] = 1
        self.register_buffer("is_none", is_none, persistent=False)
        played = th.tensor(layout.played_columns)
        self.register_buffer("played_columns", played, persistent=False)

    def forward(self, observations: th.Tensor) -> th.Tensor:
        """Return (batch, slate_size + 1, features_dim) float32, none first."""
        rows = observations[:, self.rows]
        none = rows[:, :1] * self.none_row
        every = th.cat([none, rows], dim=1)
        features = self.row_extractor(every.flatten(0, 1)).unflatten(0, every.shape[:2])
        is_none = self.is_none.expand(len(observations), -1, -1)
        return th.cat([features, is_none], dim=2)


class SlateQNetwork(QNetwork):
    """The value of none and of each candidate, by one network; that of a masked one is none's.

    Args:
        observation_space: of MusicRecSlate-v0.
        action_space: of MusicRecSlate-v0.
        features_extractor: a `SlateExtractor`.
        features_dim: its ``features_dim``.
        net_arch: sizes of the hidden layers; by default ``[64, 64]``.
        activation_fn: after each hidden layer.
        normalize_images: divide images by 255.
    """

    features_extractor: SlateExtractor

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Discrete[Any],
        features_extractor: BaseFeaturesExtractor,
        features_dim: int,
        net_arch: list[int] | None = None,
        activation_fn: type[nn.Module] = nn.ReLU,
        normalize_images: bool = True,
    ) -> None:
        # Not QNetwork's constructor, which would build a network with an output an action.
        super(QNetwork, self).__init__(
            observation_space,
            action_space,
            features_extractor=features_extractor,
            normalize_images=normalize_images,
        )
        self.net_arch = [64, 64] if net_arch is None else net_arch
        self.activation_fn = activation_fn
        self.features_dim = features_dim
        self.q_net = nn.Sequential(*create_mlp(features_dim, 1, self.net_arch, activation_fn))

    def forward(self, obs: PyTorchObs) -> th.Tensor:
        """Return the (batch, slate_size + 1) float32 action values of a batch of observations."""
        assert isinstance(obs, th.Tensor)
        features = self.extract_features(obs, self.features_extractor)
        values: th.Tensor = self.q_net(features).squeeze(2)
        # A masked choice plays nothing, so that it is worth what none is: no value to be learnt.
        played = obs[:, self.features_extractor.played_columns] > 0
        return th.cat([values[:, :1], th.where(played, values[:, :1], values[:, 1:])], dim=1)


class SlateDQNPolicy(DQNPolicy):
    """SB3's `DQNPolicy` for MusicRecSlate-v0; for SB3's ``DQN`` and `agents.DuelingDQN`.

        layout = asdict(env.unwrapped.encoded.layout)
        DQN(SlateDQNPolicy, env, policy_kwargs={"layout": layout})

    The weights fit any ``slate_size``: ``load_state_dict`` of a policy made for another one.

    Args:
        observation_space: of MusicRecSlate-v0.
        action_space: of MusicRecSlate-v0.
        lr_schedule: learning rate by the progress remaining.
        net_arch: sizes of the hidden layers; by default ``[64, 64]``.
        layout: ``encoded.layout`` of the environment, or its attributes by name.
        row_extractor_class: see `SlateExtractor`.
        row_extractor_kwargs: see `SlateExtractor`.
        kwargs: the remaining arguments of `DQNPolicy`, but for the features extractor.

    Raises:
        ValueError: if the observations are not of the layout.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Discrete[Any],
        lr_schedule: Schedule,
        net_arch: list[int] | None = None,
        *,
        layout: Layout,
        row_extractor_class: type[BaseFeaturesExtractor] | None = None,
        row_extractor_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.slate_arguments = {
            "layout": asdict(layout) if isinstance(layout, SlateLayout) else dict(layout),
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
        return SlateQNetwork(**arguments).to(self.device)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        parameters = super()._get_constructor_parameters()
        for name in ("features_extractor_class", "features_extractor_kwargs"):
            parameters.pop(name, None)
        return {**parameters, **self.slate_arguments}
