"""Networks for slates: one scores every candidate beside the state, and none.

They have the same weights for any number of candidates, as the action head of Tomasi et al.,
"Automatic Music Playlist Generation via Simulation-based Reinforcement Learning", KDD 2023.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import (
    BaseFeaturesExtractor,
    FlattenExtractor,
    create_mlp,
)
from stable_baselines3.common.type_aliases import PyTorchObs
from stable_baselines3.dqn.policies import QNetwork
from torch import nn

from agents.extractors import CodesExtractor
from music_env.slate_observation import SlateLayout

Layout = SlateLayout | Mapping[str, int]
"""What stands where in an observation; as a mapping, its attributes by name."""

RowBounds = tuple[list[float], list[float]]
"""The least and the greatest value of each column of a row."""


def row_columns(layout: SlateLayout, *, sees_levels: bool) -> NDArray[np.int64]:
    """Return (slate_size, n) int64: the columns of an observation that belong to each candidate.

    Args:
        layout: of the observations.
        sees_levels: with the level of every genre, if they are observed: a network that sees them
            belongs to the genres of its catalogue.
    """
    rows = layout.rows
    return rows if sees_levels else rows[:, rows[0] >= layout.n_levels]


class SlateExtractor(BaseFeaturesExtractor):
    """Features of none and of each candidate, by one extractor over a candidate and the state.

    None is seen as a candidate whose columns are all 0, and told apart by a feature of its own.

    Args:
        observation_space: of MusicRecSlate-v0.
        layout: its ``encoded.layout``.
        sees_levels: see `row_columns`.
        row_bounds: what the row extractor takes for the bounds of a row's columns; by default those
            of the observation space.
        row_extractor_class: extracts the features of a row. By default `CodesExtractor` where a row
            has codes, else the row as it is.
        row_extractor_kwargs: its other arguments.

    Raises:
        ValueError: if the space is not of that layout.
    """

    def __init__(
        self,
        observation_space: spaces.Box,
        *,
        layout: Layout,
        sees_levels: bool = True,
        row_bounds: RowBounds | None = None,
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
        rows = row_columns(layout, sees_levels=sees_levels)
        if row_bounds is None:
            row_bounds = (
                observation_space.low[rows[0]].tolist(),
                observation_space.high[rows[0]].tolist(),
            )
        low, high = (np.array(ends, dtype=np.float32) for ends in row_bounds)
        if low.shape != (rows.shape[1],):
            raise ValueError(
                f"a row has {rows.shape[1]} columns, but row_bounds are of {len(low)}: the weights "
                "belong to slates with other columns"
            )
        row_space = spaces.Box(low, high, dtype=np.float32)
        extractor = row_extractor_class(row_space, **(row_extractor_kwargs or {}))
        super().__init__(observation_space, extractor.features_dim + 1)
        self.row_bounds = row_bounds
        self.row_extractor = extractor
        self.rows: th.Tensor
        self.of_state: th.Tensor
        self.played_columns: th.Tensor
        self.register_buffer("rows", th.tensor(rows), persistent=False)
        state = rows[0] < layout.n_state  # of a row, (row_size,)
        self.register_buffer("of_state", th.tensor(state), persistent=False)
        played = th.tensor(layout.played_columns)
        self.register_buffer("played_columns", played, persistent=False)

    def forward(self, observations: th.Tensor) -> th.Tensor:
        """Return (batch, slate_size + 1, features_dim) float32, none first."""
        return th.cat([self.none(observations)[:, None], self.candidates(observations)], dim=1)

    def none(self, observations: th.Tensor) -> th.Tensor:
        """Return (batch, features_dim) float32: the features of none."""
        rows = observations[:, self.rows[0]] * self.of_state
        return self._features(rows, th.ones(len(rows), 1))

    def candidates(self, observations: th.Tensor) -> th.Tensor:
        """Return (batch, slate_size, features_dim) float32: the features of each candidate."""
        rows = observations[:, self.rows]
        features = self._features(rows.flatten(0, 1), th.zeros(rows.shape[0] * rows.shape[1], 1))
        return features.view(len(rows), -1, self.features_dim)

    def chosen(self, observations: th.Tensor, actions: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """Return the features of what was chosen, for a tenth of what those of all cost.

        Args:
            observations: (batch, layout.size).
            actions: (batch, 1) int64.

        Returns:
            (batch, features_dim) float32, those of none where that or a masked candidate was
            chosen; (batch, 1) bool: where that is so.
        """
        place = (actions[:, 0] - 1).clamp(min=0)
        rows = observations.gather(1, self.rows[place])
        played = observations.gather(1, self.played_columns[place][:, None]) > 0
        is_none = (actions == 0) | played
        rows = th.where(is_none, rows * self.of_state, rows)
        return self._features(rows, is_none.float()), is_none

    def are_played(self, observations: th.Tensor) -> th.Tensor:
        """Return (batch, slate_size) bool: which candidates are masked."""
        return observations[:, self.played_columns] > 0

    def _features(self, rows: th.Tensor, is_none: th.Tensor) -> th.Tensor:
        return th.cat([self.row_extractor(rows), is_none], dim=1)


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
        self._build()

    def _build(self) -> None:
        self.q_net = self._network()

    def _network(self) -> nn.Sequential:
        """Return a network from the features of a choice to one number."""
        return nn.Sequential(*create_mlp(self.features_dim, 1, self.net_arch, self.activation_fn))

    def forward(self, obs: PyTorchObs) -> th.Tensor:
        """Return the (batch, slate_size + 1) float32 action values of a batch of observations."""
        assert isinstance(obs, th.Tensor)
        values: th.Tensor = self.q_net(self.features_extractor(obs)).squeeze(2)
        # A masked choice plays nothing, so that it is worth what none is: no value to be learnt.
        played = self.features_extractor.are_played(obs)
        return th.cat([values[:, :1], th.where(played, values[:, :1], values[:, 1:])], dim=1)

    def values_taken(self, obs: th.Tensor, actions: th.Tensor) -> th.Tensor:
        """Return the (batch, 1) float32 values of (batch, 1) int64 actions, as `forward` would."""
        features, _ = self.features_extractor.chosen(obs, actions)
        values: th.Tensor = self.q_net(features)
        return values


class DuelingSlateQNetwork(SlateQNetwork):
    """`SlateQNetwork` of two streams, after Wang et al. (2016), equation 7.

    With ``s`` the state of the listener and ``c`` a candidate::

        Q(s, none) = V(s),    Q(s, c) = V(s) + A(s, c)

    The advantage is that over none, and not over the mean of all choices (their equation 9): which
    candidates are shown says nothing of what none is worth, as the next ones are drawn anew. So V
    need not see them, and its gradient has none of their noise. The streams share no layers.

    Attributes:
        value_net: the features of none -> V.
        advantage_net: the features of a candidate -> A.
    """

    def _build(self) -> None:
        self.value_net, self.advantage_net = self._network(), self._network()

    def forward(self, obs: PyTorchObs) -> th.Tensor:
        """Return the (batch, slate_size + 1) float32 action values of a batch of observations."""
        assert isinstance(obs, th.Tensor)
        extractor = self.features_extractor
        value: th.Tensor = self.value_net(extractor.none(obs))
        advantages: th.Tensor = self.advantage_net(extractor.candidates(obs)).squeeze(2)
        # A masked choice plays nothing, so that it is worth what none is.
        advantages = advantages.masked_fill(extractor.are_played(obs), 0.0)
        return th.cat([value, value + advantages], dim=1)

    def values_taken(self, obs: th.Tensor, actions: th.Tensor) -> th.Tensor:
        """Return the (batch, 1) float32 values of (batch, 1) int64 actions, as `forward` would."""
        features, is_none = self.features_extractor.chosen(obs, actions)
        value: th.Tensor = self.value_net(self.features_extractor.none(obs))
        advantage: th.Tensor = self.advantage_net(features)
        return value + advantage.masked_fill(is_none, 0.0)
