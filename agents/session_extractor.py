"""Features of MusicRecSession-v0's observations: small numbers seen finely, labels embedded."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import torch as th
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from agents.extractors import CodesExtractor

EDGES = (0, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 5 / 8, 3 / 4, 7 / 8, 1)
"""Ends of the bins of a number, as shares of its range. A level of satiation is observed as a share
of the greatest that there can be, of which a policy that plans keeps to a twentieth; and how much
is left of a session matters most near its end. So the bins near 0 double in width; the others are
eighths."""


class SessionExtractor(BaseFeaturesExtractor):
    """Numbers in piecewise-linear bins, and the sum of embeddings for each vocabulary.

    For the encodings ``summary`` (numbers alone) and ``codes`` (numbers, then codes) of
    `music_env.MusicRecSessionEnv`. A number becomes one feature for each bin (`EDGES`): 0 below the
    bin, 1 above it, in between the share of it that lies below the number (Gorishniy et al., "On
    embeddings for numerical features in tabular deep learning", NeurIPS 2022, section 3.1). So
    small levels are told apart by features of ordinary size. Codes are embedded as by
    `agents.extractors.CodesExtractor`.

    Args:
        observation_space: a one-dimensional ``Box`` with finite bounds.
        embedding_dim: the size of every embedding.

    Raises:
        ValueError: if the space is not of that kind.
    """

    def __init__(self, observation_space: gym.Space[Any], *, embedding_dim: int = 16) -> None:
        if (
            not isinstance(observation_space, gym.spaces.Box)
            or len(observation_space.shape) != 1
            or not observation_space.is_bounded()
        ):
            raise ValueError(
                "SessionExtractor needs a one-dimensional Box with finite bounds, got "
                f"{observation_space}: make MusicRecSession-v0 with encoding='summary' or 'codes'"
            )
        low, high = th.tensor(observation_space.low), th.tensor(observation_space.high)
        # In codes the first number is danceability, of 0 to 1; in summary the enjoyment is not.
        has_codes = bool(low[0] == 0 and high[0] == 1 and (high > 1).any())
        codes = None
        n_numbers = len(low)
        if has_codes:
            codes = CodesExtractor(
                observation_space,
                embedding_dim=embedding_dim,
                danceability_bins=(),
                use_numbers=False,
            )
            n_numbers = codes.n_numbers
        edges = th.tensor(EDGES, dtype=th.float32)
        n_bins = len(EDGES) - 1
        super().__init__(
            observation_space, n_numbers * n_bins + (codes.features_dim if codes else 0)
        )
        self.codes = codes
        self.n_numbers = n_numbers
        # (n_numbers, n_bins): where each bin begins, and one over its width.
        span = (high - low)[:n_numbers, None].clamp(min=1e-6)
        self.starts: th.Tensor
        self.slopes: th.Tensor
        self.register_buffer("starts", low[:n_numbers, None] + span * edges[:-1], persistent=False)
        self.register_buffer("slopes", 1 / (span * edges.diff()), persistent=False)

    def forward(self, observations: th.Tensor) -> th.Tensor:
        """Return (batch, features_dim) float32 features of (batch, n_columns) observations."""
        numbers = observations[:, : self.n_numbers, None]
        bins = ((numbers - self.starts) * self.slopes).clamp(0, 1).flatten(1)
        return bins if self.codes is None else th.cat([bins, self.codes(observations)], dim=1)
