"""Features of ``codes`` observations for the linear baselines: labels and bins as ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from scipy import sparse

from agents.codes_space import CodesColumns

_KNUTH = 2_654_435_769
"""2**32 divided by the golden ratio (Knuth, The Art of Computer Programming 3, section 6.4)."""

_EDGE = 1e-6
"""Keeps float32 0.43 * 100 from falling into the bin below 43."""


class CodesFeatures:
    """Read the columns of a ``codes`` observation (`music_env.encoding.encode`).

    The space alone tells the columns apart: an upper bound of 1 means a number, a greater one a
    code in 0..bound, 0 for none; neighbouring columns of one bound are slots of one vocabulary. The
    first number is danceability.

    As a vector, an observation is: the numbers; for each of several numbers of equal-width bins a
    one-hot of danceability; a multi-hot of each vocabulary; and a constant 1 behind all.

    Args:
        observation_space: of encoding ``codes``.
        danceability_bins: the numbers of equal-width bins in which danceability is seen.
        max_columns: of each vocabulary. A larger one is hashed: code c goes to column
            ``((2654435769 c) mod 2**32) * max_columns // 2**32`` (multiplicative hashing, Knuth),
            which spreads the consecutive codes evenly; labels that meet are one label from then on.
            None: a column for each code.

    Attributes:
        n_features: length of the vector.

    Raises:
        ValueError: if the space is of another encoding, or a number of bins or columns is below 1.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        *,
        danceability_bins: Sequence[int] = (),
        max_columns: int | None = None,
    ) -> None:
        columns = CodesColumns.of(observation_space, reader=type(self).__name__)
        if not columns.slots:
            raise ValueError(
                "artist and genre are read from observations of encoding='codes', in which columns "
                f"with an upper bound above 1 are codes; got {observation_space}: make the "
                "environment with encoding='codes'"
            )
        for name, value in (("danceability_bins", danceability_bins), ("max_columns", max_columns)):
            for number in value if isinstance(value, Sequence) else [value or 1]:
                if not isinstance(number, int | np.integer) or number < 1:
                    raise ValueError(f"{name} must be whole numbers of at least 1, got {value!r}")
        self.n_numbers, self.slots = columns.n_numbers, columns.slots
        self.bins = np.array(danceability_bins, dtype=np.int64)
        self._sizes = columns.n_codes
        self._widths = [min(size, max_columns or size) for size in self._sizes]
        starts = np.cumsum([self.n_numbers, *self.bins, *self._widths])
        self._first_bin = starts[: len(self.bins)]
        self._first_label = starts[len(self.bins) : -1].tolist()
        self.n_features = int(starts[-1]) + 1

    def danceability_bins(self, observations: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return (n, number of kinds of bins) int64: the bin of each kind, from 0."""
        bins = ((observations[:, :1] + _EDGE) * self.bins).astype(np.int64)
        return np.minimum(bins, self.bins - 1)

    def dense(self, observations: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return (n, n_features) float64 vectors of (n, n_columns) observations."""
        features = np.zeros((len(observations), self.n_features))
        features[:, : self.n_numbers] = observations[:, : self.n_numbers]
        np.put_along_axis(features, self._ones(observations), 1.0, axis=1)
        return features

    def sparse(self, observations: NDArray[np.float32]) -> sparse.csr_array:
        """Return `dense` as a compressed sparse array."""
        n = len(observations)
        ones = np.sort(self._ones(observations), axis=1)
        # What is named twice (two labels of one column; several empty slots) counts once.
        kept = np.ones(ones.shape, dtype=bool)
        kept[:, 1:] = ones[:, 1:] != ones[:, :-1]
        numbers = np.broadcast_to(np.arange(self.n_numbers), (n, self.n_numbers))
        columns = np.concatenate([numbers, ones], axis=1)
        kept = np.concatenate([np.ones(numbers.shape, dtype=bool), kept], axis=1)
        values = np.ones(columns.shape)
        values[:, : self.n_numbers] = observations[:, : self.n_numbers]
        indptr = np.concatenate([[0], kept.sum(axis=1).cumsum()])
        return sparse.csr_array(
            (values[kept], columns[kept], indptr), shape=(n, self.n_features), dtype=np.float64
        )

    def labels(self, observations: NDArray[np.float32]) -> Iterable[list[list[int]]]:
        """Yield for each observation a list for each vocabulary: the codes that are not none."""
        slots = self.slots
        for row in observations.astype(np.int64).tolist():
            yield [[code for code in row[part] if code] for part in slots]

    def _ones(self, observations: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return (n, k) int64: where the ones are; empty slots point to the constant."""
        constant = self.n_features - 1
        parts = [self.danceability_bins(observations) + self._first_bin]
        for slots, size, width, first in zip(
            self.slots, self._sizes, self._widths, self._first_label, strict=True
        ):
            codes = observations[:, slots].astype(np.int64)
            places = codes - 1 if width == size else (codes * _KNUTH % 2**32) * width >> 32
            parts.append(np.where(codes == 0, constant, first + places))
        parts.append(np.full((len(observations), 1), constant))
        return np.concatenate(parts, axis=1)
