"""Features of MusicRec's ``codes`` observations: embedded labels, finely seen danceability."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import torch as th
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from agents.codes_space import CodesColumns

DANCEABILITY_BINS = (10, 20, 50, 100, 1000)
"""Equal-width bins, coarse to fine. Coarse ones learn from few tracks; the finest is the resolution
in which audio features are published (three decimals), so that a range's ends are met exactly.
Tuned by us: without the finest some tracks at the
ends stay wrong, without the coarse ones more tracks have to be judged."""


RARITY_EXPONENT = 1 / 4
_UNSCALED = 16  # rows of an embedding that is handed on as it is


def rarity_scale(n_rows: int) -> float:
    """Return what an embedding of so many rows is multiplied by: ``(16 / n_rows) ** (1 / 4)``.

    Adam moves a row that is seen in one of a thousand tracks as fast as one that is seen in each
    second track, so that the rows of a large vocabulary would explain the first tracks by heart:
    each artist is seen once. Multiplied by less than 1, they learn more slowly than genres and
    coarse bins do. Tuned by us: docs/tuning.md.
    """
    return float((_UNSCALED / n_rows) ** RARITY_EXPONENT)


class CodesExtractor(BaseFeaturesExtractor):
    """Embed a ``codes`` observation: numbers as they are, a sum of embeddings for each vocabulary.

    The space tells the columns apart (`music_env.encoding.encode`): an upper bound of 1 means a
    number, a greater one a code in 0..bound, 0 for none; neighbouring columns of one bound are
    slots of one vocabulary. The first number is danceability; it is also given as the sum of an
    embedding for each of several bins, since one raw number cannot bend a network sharply enough
    at the ends of the preferred range. What many rows share the tracks of learns more slowly, see
    `rarity_scale`.

    Args:
        observation_space: a one-dimensional Box with lower bounds 0.
        embedding_dim: the size of every embedding.
        danceability_bins: the numbers of equal-width bins in which the first number is seen.
        use_numbers: also hand on the raw numbers.

    Raises:
        ValueError: if the space is not of that kind.
    """

    def __init__(
        self,
        observation_space: gym.Space[Any],
        *,
        embedding_dim: int = 16,
        danceability_bins: tuple[int, ...] | list[int] = DANCEABILITY_BINS,
        use_numbers: bool = True,
    ) -> None:
        columns = CodesColumns.of(observation_space, reader="CodesExtractor")
        n_numbers, sizes = columns.n_numbers, [count + 1 for count in columns.n_codes]
        n_groups = len(sizes) + bool(danceability_bins)
        super().__init__(
            observation_space, n_groups * embedding_dim + (n_numbers if use_numbers else 0)
        )
        self.n_numbers = n_numbers
        self.use_numbers = use_numbers
        self.slots = columns.slots
        # Row 0 is "none": padding_idx keeps it at zero.
        embeddings = [nn.Embedding(size, embedding_dim, padding_idx=0) for size in sizes]
        self.labels = nn.ModuleList(embeddings)
        self.bins: th.Tensor
        self.first_bin: th.Tensor
        bins = th.tensor(list(danceability_bins), dtype=th.float32)
        self.register_buffer("bins", bins, persistent=False)
        self.register_buffer("first_bin", (bins.cumsum(0) - bins).long(), persistent=False)
        self.bin_embedding = (
            nn.Embedding(sum(danceability_bins), embedding_dim) if danceability_bins else None
        )
        # What has not been seen says nothing: a random start would decide for rare labels and bins.
        for embedding in embeddings + ([self.bin_embedding] if self.bin_embedding else []):
            nn.init.zeros_(embedding.weight)
        self.label_scales = [rarity_scale(size) for size in sizes]
        self.bin_scales: th.Tensor
        scales = th.tensor([rarity_scale(size) for size in danceability_bins], dtype=th.float32)
        self.register_buffer("bin_scales", scales, persistent=False)

    def forward(self, observations: th.Tensor) -> th.Tensor:
        """Return (batch, features_dim) float32 features of (batch, n_columns) observations."""
        parts = [observations[:, : self.n_numbers]] if self.use_numbers else []
        if self.bin_embedding is not None:
            # The small addition keeps float32 0.43 * 1000 from falling into the bin below 430.
            bins = ((observations[:, :1] + 1e-6) * self.bins).long()
            bins = th.minimum(bins, self.bins.long() - 1) + self.first_bin
            # (bins,) x (batch, bins, dim): a sum weighed by the scales
            parts.append(self.bin_scales @ self.bin_embedding(bins))
        for slots, embedding, scale in zip(self.slots, self.labels, self.label_scales, strict=True):
            parts.append(embedding(observations[:, slots].long()).sum(dim=1) * scale)
        return th.cat(parts, dim=1)
