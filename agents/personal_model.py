"""One listener's taste beyond any preference: a Gaussian process over what is known of tracks.

Gaussian-process regression of the judgements (+1 liked, -1 not), in closed form: C. E. Rasmussen,
C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, algorithm 2.1, and
section 6.5 for judgements as regression's targets. With few judgements it says nothing of tracks
that are unlike those judged; every press sharpens it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.special import ndtr

from music_env.catalogue import Catalogue
from music_env.encoding import scaled_numbers
from music_env.labels import Labels, read_only

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

MAX_JUDGED = 128
"""The latest judgements that are used: the cost of a press grows with them, and tastes change."""


@dataclass(frozen=True)
class KernelWeights:
    """Variances of the parts of the prior, in units of a judgement's square.

    Chosen by us: as much for what is known of a track, in three parts, as for the noise. Not fitted
    to anybody.

    Attributes:
        bias: how much a listener likes tracks altogether.
        sound: a smooth function of all numbers (squared exponential).
        artist: what tracks of an artist have in common.
        genre: what tracks of a genre have in common.
        noise: what nothing known of a track explains.
    """

    bias: float = 0.1
    sound: float = 0.4
    artist: float = 0.2
    genre: float = 0.2
    noise: float = 0.5


class TrackKernel:
    """The covariance of two tracks' likes before anything is judged; shared by all listeners.

    Args:
        catalogue: the tracks.
        weights: of its parts.
    """

    def __init__(self, catalogue: Catalogue, weights: KernelWeights | None = None) -> None:
        self.weights = weights or KernelWeights()
        numbers = scaled_numbers(catalogue)[0].astype(np.float64)
        spread = numbers.std(axis=0)
        numbers = (numbers - numbers.mean(axis=0)) / np.where(spread > 0, spread, 1)
        # Two tracks drawn at random have an expected squared distance of 2 after this.
        numbers /= max(1, numbers.shape[1]) ** 0.5
        # So that one product of matrices is log(sound) less half of the squared distances.
        half = -np.square(numbers).sum(axis=1, keepdims=True) / 2
        one = np.ones_like(half)
        sound = np.log(self.weights.sound)
        self._left = read_only(np.hstack([numbers, half + sound, one]).astype(np.float32))
        self._right = read_only(np.hstack([numbers, one, half]).astype(np.float32))
        self._n_tracks = catalogue.n_tracks
        self._labels = [
            (weight, labels, read_only(np.maximum(labels.counts, 1).astype(np.float32) ** -0.5))
            for weight, labels in (
                (self.weights.artist, catalogue.artists),
                (self.weights.genre, catalogue.genres),
            )
            if labels.vocabulary
        ]

    def covariance(self, tracks: NDArray[np.int64], others: NDArray[np.int64]) -> Singles:
        """Return the (n_tracks, n_others) float32 covariances.

        Time and memory are those of the pairs, whatever the catalogue's size.
        """
        if len(tracks) > len(others):  # the loop below is over the labels of the fewer
            return self.covariance(others, tracks).T
        found = self._left[tracks] @ self._right[others].T
        np.exp(found, out=found)
        found += np.float32(self.weights.bias)
        for weight, labels, lengths in self._labels:
            columns, codes = _sorted_by_label(labels, others)
            length = lengths[others[columns]]
            row, own = labels.pairs(tracks)
            starts, ends = (np.searchsorted(codes, own, side) for side in ("left", "right"))
            factors = np.float32(weight) * lengths[tracks[row]]
            for at, start, end, factor in zip(
                row.tolist(), starts.tolist(), ends.tolist(), factors, strict=True
            ):
                found[at, columns[start:end]] += factor * length[start:end]
        return np.asarray(found)

    def variance(self, tracks: NDArray[np.int64]) -> Singles:
        """Return (n,) float32: the covariance of each track with itself."""
        found = np.full(len(tracks), self.weights.sound + self.weights.bias, dtype=np.float32)
        for weight, labels, _ in self._labels:
            found += np.float32(weight) * (labels.counts[tracks] > 0)
        return found


def _sorted_by_label(
    labels: Labels, tracks: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the same pairs as `Labels.pairs`, those of a label side by side."""
    row, codes = labels.pairs(tracks)
    order = np.argsort(codes, kind="stable")
    return row[order], codes[order]


class PersonalModel:
    """The Gaussian process of one listener's judgements.

    Args:
        kernel: shared by all listeners.
    """

    def __init__(self, kernel: TrackKernel) -> None:
        self.kernel = kernel
        self._tracks = np.empty(0, dtype=np.int64)
        self._judged = np.empty(0, dtype=np.float32)
        self._factor: Singles | None = None

    def absorb(self, track: int, liked: bool) -> None:
        """Take a judgement into account; of each track one alone."""
        self._tracks = np.append(self._tracks, track)[-MAX_JUDGED:]
        self._judged = np.append(self._judged, np.float32(1 if liked else -1))[-MAX_JUDGED:]
        self._factor = None

    def like_probabilities(self, tracks: NDArray[np.int64]) -> Floats:
        """Return (n,) float64: the probability that each of (n,) tracks is liked."""
        mean, variance = self.expected(tracks)
        found: Floats = ndtr(mean / np.sqrt(variance + self.kernel.weights.noise))
        return found

    def expected(self, tracks: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Return means and variances of how much tracks are liked, (n,) float64 each."""
        kernel = self.kernel
        variance = kernel.variance(tracks).astype(np.float64)
        if not len(self._tracks):
            return np.zeros(len(tracks)), variance
        if self._factor is None:
            own = kernel.covariance(self._tracks, self._tracks)
            own[np.diag_indices_from(own)] += np.float32(kernel.weights.noise)
            # The noise keeps it far from singular: single precision does.
            self._factor = scipy.linalg.cholesky(own, lower=True, check_finite=False)
        between = kernel.covariance(self._tracks, tracks)
        explained = _solved(self._factor, between)
        mean = _solved(self._factor, self._judged) @ explained
        return mean.astype(np.float64), variance - np.einsum("jn,jn->n", explained, explained)


def _solved(factor: Singles, right: Singles) -> Singles:
    solved: Singles = scipy.linalg.solve_triangular(factor, right, lower=True, check_finite=False)
    return solved
