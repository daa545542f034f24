"""Features of a track beside a listener: shared embeddings, their products, both ends of a range.

For the observations of MusicRecAnyListener-v0, under the heads of `agents.policies`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import gymnasium as gym
import numpy as np
import torch as th
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

DISTANCE_SCALES = (1.0, 0.1, 0.01, 0.001, 0.0001)
"""Distances from the ends of a range at which a feature of them is saturated, coarse to fine. The
finest is the finest resolution in which danceability is published (three decimals, four below
0.1), so that a track on an end and its neighbour outside are told apart in full."""

N_RANGE_COLUMNS = 3
"""Numbers at the start of the listener's part: lowest, highest, and whether any will do."""


@dataclass(frozen=True)
class PairColumns:
    """Where what stands in an observation of a track and a listener.

    Attributes:
        n_numbers: the track's numbers; danceability is the first.
        first_listener: the first column of the listener: lowest and highest danceability, and
            whether any will do.
        vocabularies: of each vocabulary its greatest code, the columns of the track's slots (none
            where no track has such a label) and the listener's column; in ``one-hot`` both have a
            column for each name.
    """

    n_numbers: int
    first_listener: int
    vocabularies: tuple[tuple[int, slice, int | slice], ...]

    @classmethod
    def of(cls, space: gym.Space[Any]) -> PairColumns:
        """Read the columns off the bounds of an observation space.

        Raises:
            ValueError: if it is not the space of encoding ``codes`` of MusicRecAnyListener-v0.
        """
        wrong = (
            "TwoTowerExtractor needs the observation space of MusicRecAnyListener-v0 with encoding "
            "'codes', a one-dimensional Box of numbers, codes, three numbers and a code for each "
            "vocabulary (or with 'one-hot' and vocabulary_sizes), "
        )
        if (
            not isinstance(space, gym.spaces.Box)
            or len(space.shape) != 1
            or (space.low != 0).any()
            or (space.high < 1).any()
        ):
            raise ValueError(f"{wrong}got {space}")
        high = space.high.astype(np.int64).tolist()
        first_code = _first(high, 0, lambda bound: bound > 1)
        first_listener = _first(high, first_code, lambda bound: bound == 1)
        first_wanted = first_listener + N_RANGE_COLUMNS
        slots, wanted = high[first_code:first_listener], high[first_wanted:]
        in_order = [bound for bound in wanted for _ in range(slots.count(bound))]
        if (
            first_code == 0
            or high[first_listener:first_wanted] != [1] * N_RANGE_COLUMNS
            or min(wanted, default=0) < 2
            or len(set(wanted)) < len(wanted)
            or slots != in_order
        ):
            raise ValueError(f"{wrong}got the upper bounds {high}")
        vocabularies = []
        for place, bound in enumerate(wanted):
            count = slots.count(bound)
            first = first_code + slots.index(bound) if count else first_code
            vocabularies.append((bound, slice(first, first + count), first_wanted + place))
        return cls(first_code, first_listener, tuple(vocabularies))

    @classmethod
    def of_one_hot(cls, space: gym.Space[Any], sizes: Sequence[int]) -> PairColumns:
        """Place vocabularies of these sizes in the space of encoding ``one-hot``.

        Its bounds are all 1: they do not say where genres end and artists begin.

        Raises:
            ValueError: if the space is of another encoding, or has no place for them.
        """
        n_columns = space.shape[0] if space.shape else 0
        n_numbers = n_columns - N_RANGE_COLUMNS - 2 * sum(sizes)
        fits = n_numbers >= 1 and min(sizes, default=0) >= 0
        if not fits or space != gym.spaces.Box(0, 1, (n_columns,)):
            raise ValueError(
                "with vocabulary_sizes TwoTowerExtractor needs the observation space of "
                "MusicRecAnyListener-v0 with encoding 'one-hot', a Box(0, 1) of numbers, a column "
                f"for each of {sum(sizes)} names, three numbers and as many columns again, got "
                f"{space} and vocabulary_sizes {list(sizes)}"
            )
        first_listener = n_numbers + sum(sizes)
        firsts = (n_numbers, first_listener + N_RANGE_COLUMNS)  # of the track, of the listener
        vocabularies = []
        for size, before in zip(sizes, accumulate(sizes, initial=0), strict=False):
            track, listener = (slice(first + before, first + before + size) for first in firsts)
            vocabularies.append((size, track, listener))
        return cls(n_numbers, first_listener, tuple(vocabularies))


def _first(bounds: list[int], start: int, is_it: Callable[[int], bool]) -> int:
    """Return the first place from `start` on that holds what is looked for, or the end."""
    return next((i for i in range(start, len(bounds)) if is_it(bounds[i])), len(bounds))


class TwoTowerExtractor(BaseFeaturesExtractor):
    """Embed a track and a listener with the same embeddings, and compare them.

    For each vocabulary (genres, artists) every name has one embedding, whether it is the track's or
    the listener's. The features are, with ``e`` an embedding,

    - the track's tower: danceability, and of each vocabulary the sum of ``e`` of its names;
    - the listener's tower: the ends of the range, whether any danceability is liked, and of each
      vocabulary ``e`` of the preferred name and whether there is one;
    - the elementwise product of the two towers' embeddings;
    - of each vocabulary the greatest cosine of the preferred name and one of the track's (0 where
      there is none, or where the listener leaves it open);
    - for both ends of the range the signed distance of danceability from it, inside positive, cut
      off at each of several scales: the coarse ones bend slowly, the finest is a step that is met
      exactly (piecewise-linear features, Gorishniy et al. 2022).

    The embeddings are fixed: a vector of signs for each code, drawn by a seed, of length 1. Trained
    ones could only learn which artists the *training* listeners prefer; whether two names are the
    same is what has to be learnt, and that holds for names that nobody has preferred before. Two
    different names have a cosine of 0 on average, with a standard deviation of 1 / sqrt(dim). Also
    they cost nothing to update, however many artists there are, and are not saved with the weights.

    The features of ``one-hot`` observations are the same as of ``codes``, but that a track has a
    slot for each name (so that the greatest cosine is 0 at least), and cost more to compute.

    Args:
        observation_space: of MusicRecAnyListener-v0.
        embedding_dim: the size of every embedding.
        embedding_seed: draws them; saved as an argument.
        distance_scales: see `DISTANCE_SCALES`.
        use_towers: hand on the embeddings of both towers too, not only what compares them.
        vocabulary_sizes: of encoding ``one-hot``: the numbers of genres and of artists; None: the
            encoding is ``codes``, whose bounds say them.

    Raises:
        ValueError: if the space is not of that kind, or the scales are not above 0.

    References:
        Gorishniy, Rubachev, Babenko, "On embeddings for numerical features in tabular deep
        learning", NeurIPS 2022.
    """

    def __init__(
        self,
        observation_space: gym.Space[Any],
        *,
        embedding_dim: int = 64,
        embedding_seed: int = 0,
        distance_scales: tuple[float, ...] | list[float] = DISTANCE_SCALES,
        use_towers: bool = True,
        vocabulary_sizes: Sequence[int] | None = None,
    ) -> None:
        columns = (
            PairColumns.of(observation_space)
            if vocabulary_sizes is None
            else PairColumns.of_one_hot(observation_space, vocabulary_sizes)
        )
        if embedding_dim < 1 or not distance_scales or min(distance_scales) <= 0:
            raise ValueError(
                "embedding_dim must be at least 1 and distance_scales some numbers above 0, got "
                f"{embedding_dim} and {distance_scales}"
            )
        both = [found for found in columns.vocabularies if found[1].start < found[1].stop]
        n_embedded = (3 if use_towers else 1) * embedding_dim + 1
        super().__init__(
            observation_space,
            1
            + N_RANGE_COLUMNS
            + len(columns.vocabularies)
            + n_embedded * len(both)
            + 2 * len(distance_scales),
        )
        self.columns = columns
        self.use_towers = use_towers
        self.both = both
        self.scales: th.Tensor
        scales = th.tensor(list(distance_scales), dtype=th.float32)
        self.register_buffer("scales", scales, persistent=False)
        seeds = np.random.SeedSequence(embedding_seed).spawn(len(both))
        for i, ((n_codes, _, _), seed) in enumerate(zip(both, seeds, strict=True)):
            vectors = th.from_numpy(sign_vectors(n_codes, embedding_dim, seed))
            self.register_buffer(f"embedding_{i}", vectors, persistent=False)

    def forward(self, observations: th.Tensor) -> th.Tensor:
        """Return (batch, features_dim) float32 features of (batch, n_columns) observations."""
        first = self.columns.first_listener
        danceability = observations[:, :1]
        wanted = observations[:, first : first + N_RANGE_COLUMNS]
        parts = [danceability, wanted, self._distances(danceability, wanted)]
        names = [observations[:, columns] > 0 for _, _, columns in self.columns.vocabularies]
        is_named = [name if name.dim() == 1 else name.any(dim=1) for name in names]
        parts.append(th.stack(is_named, dim=1).to(observations.dtype))
        for i, (_, slots, columns) in enumerate(self.both):
            compare = _compare_codes if isinstance(columns, int) else _compare_one_hot
            track, preferred, cosine = compare(
                observations[:, slots], observations[:, columns], getattr(self, f"embedding_{i}")
            )
            parts += [cosine.amax(dim=1, keepdim=True), track * preferred]
            if self.use_towers:
                parts += [track, preferred]
        return th.cat(parts, dim=1)

    def _distances(self, danceability: th.Tensor, wanted: th.Tensor) -> th.Tensor:
        """Return (batch, 2 * n_scales): how far within both ends, in -1..1 at each scale."""
        within = th.cat([danceability - wanted[:, :1], wanted[:, 1:2] - danceability], dim=1)
        # The ends belong to the range: half the finest scale puts them a whole step inside.
        half = self.scales / 2
        distances = (within + half.min()).unsqueeze(2) / half
        return distances.clamp(-1, 1).flatten(1)


_Compared = tuple[th.Tensor, th.Tensor, th.Tensor]
"""The track's summed and the listener's embedding, (batch, dim) each, and their cosines, (batch,
n_slots); 0 where a slot holds nothing."""


def _compare_codes(slots: th.Tensor, code: th.Tensor, embedding: th.Tensor) -> _Compared:
    """Compare (batch, n_slots) codes with (batch,) codes."""
    preferred = nn.functional.embedding(code.long(), embedding)
    own = nn.functional.embedding(slots.long(), embedding)
    return own.sum(dim=1), preferred, th.matmul(own, preferred.unsqueeze(2)).squeeze(2)


def _compare_one_hot(held: th.Tensor, wanted: th.Tensor, embedding: th.Tensor) -> _Compared:
    """Compare (batch, n_names) ones with (batch, n_names) ones."""
    vectors = embedding[1:]  # without that of no name
    preferred = wanted @ vectors
    return held @ vectors, preferred, held * (preferred @ vectors.T)


def sign_vectors(n_codes: int, dim: int, seed: np.random.SeedSequence) -> NDArray[np.float32]:
    """Return (n_codes + 1, dim) float32: vectors of random signs of length 1; the first is 0.

    Drawn as raw bits, whose stream numpy promises to keep in every version.
    """
    n_words = -(-dim // 64)
    words = np.random.PCG64(seed).random_raw(n_codes * n_words).astype("<u8")
    bits = np.unpackbits(words.view(np.uint8).reshape(n_codes, -1), axis=1)[:, :dim]
    vectors = np.zeros((n_codes + 1, dim), dtype=np.float32)
    vectors[1:] = (bits * 2.0 - 1.0) / np.sqrt(dim)
    return vectors
