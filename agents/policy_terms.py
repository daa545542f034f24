"""The terms of a preference as a policy for every listener sees them: what meets each, its worth.

The belief about a newcomer (`agents.belief`) weighs some hundred thousand preferences at each
press. To ask the policy about each of them and each track would take hours; but what it learnt is a
sum of three terms, and it was trained on preferences of which any may be left open. So it is asked
once, about preferences that state one term alone and leave the others open, and the answers add up.
`PolicyTerms.agreement` measures what that loses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.values import Learner, pair_values
from music_env.catalogue import Catalogue
from music_env.labels import Labels, read_only
from music_env.listener import TERMS
from music_env.listeners import OPEN, Listeners
from music_env.pairs import PairEncoded

MATCH, MISS, NEUTRAL = 0, 1, 2
"""What a term can be for a track: met, not met, or left open by the listener."""

DANCEABILITY_BINS = 100
"""Equal-width bins in which tracks are asked for when a range of danceability is met. Chosen by us:
what a bin at the end of a range gets wrong is a hundredth of the scale (see `PolicyTerms.of_range`
for a range that was stated)."""

_ASKED_OF_BIN = 3  # tracks, as far as there are so many; their mean answer counts
_ASKED_OF_COMBINATION = 8  # the same for tracks of the same genres
_ASKED_ABOUT_ARTISTS = 2048


@dataclass(frozen=True, eq=False)
class PolicyTerms:
    """The terms of a preference as a policy sees them, for one catalogue; shared by all listeners.

    Attributes:
        genres_of: (n_tracks,) int64: each track's combination of genres.
        genre_met: (n_combinations, n_genres) bool: the policy says that a track of this
            combination meets a preference for this genre.
        bin_of: (n_tracks,) int64: each track's bin of danceability; of `of_range`, 1 where the
            range is met and 0 where it is not.
        low: (n_ranges,) float64: the ranges of danceability that were asked about.
        high: (n_ranges,) float64: their upper ends.
        range_met: (n_bins, n_ranges) bool: the same for a bin and a range.
        levels: (3, 3) float64: for artist, genre and danceability the policy's mean
            Q(like) - Q(dislike) of a `MATCH` and of a `MISS`; 0 for `NEUTRAL`.
    """

    genres_of: NDArray[np.int64]
    genre_met: NDArray[np.bool_]
    bin_of: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    range_met: NDArray[np.bool_]
    levels: NDArray[np.float64]

    @classmethod
    def read(
        cls,
        policy: Learner,
        catalogue: Catalogue,
        encoded: PairEncoded,
        ranges: tuple[NDArray[np.float64], NDArray[np.float64]],
        *,
        seed: int = 0,
    ) -> PolicyTerms:
        """Ask a policy about single terms.

        Args:
            policy: trained on MusicRecAnyListener-v0 of this catalogue and encoding.
            catalogue: the tracks.
            encoded: the encoding of pairs.
            ranges: lower and upper ends of danceability, (n_ranges,) each.
            seed: of the draw of the tracks that are asked about.

        Raises:
            ValueError: the policy does not tell a met term from one that is not.
        """
        asked = _Asked(policy, catalogue, encoded, np.random.default_rng(seed))
        levels = np.zeros((len(TERMS), 3))
        combination, n_combinations = _combinations(catalogue.genres)
        genre_values = asked.genres(combination, n_combinations)
        genre_met = _met(genre_values)
        bins = _bins(catalogue.danceability)
        range_values = asked.ranges(bins, *ranges)
        range_met = _met(range_values)
        artist_values = asked.artists()
        for term, (values, met) in enumerate(
            (
                (artist_values, np.array([True, False])),
                (genre_values, genre_met),
                (range_values, range_met),
            )
        ):
            if values.size == 0:
                continue  # a catalogue without genres
            known = ~np.isnan(values)
            met, missed = values[met & known], values[~met & known]
            if not met.size or not missed.size or met.mean() <= missed.mean():
                raise ValueError(
                    f"the policy does not tell tracks that meet a preferred {TERMS[term]} from "
                    "others; train it on MusicRecAnyListener-v0 of this catalogue"
                )
            levels[term, [MATCH, MISS]] = met.mean(), missed.mean()
        return cls(
            read_only(combination),
            read_only(genre_met),
            read_only(bins),
            read_only(ranges[0].astype(np.float64)),
            read_only(ranges[1].astype(np.float64)),
            read_only(range_met),
            read_only(levels),
        )

    def of_range(
        self,
        policy: Learner,
        catalogue: Catalogue,
        encoded: PairEncoded,
        ends: tuple[float, float],
        *,
        seed: int = 0,
    ) -> PolicyTerms:
        """Return the same for one range of danceability alone, after asking the policy about it.

        Near the ends of the range it is asked about every track, as a bin there has tracks within
        the range and beyond it; elsewhere about some of each bin.
        """
        low, high = (np.array([end], dtype=np.float64) for end in ends)
        asked = _Asked(policy, catalogue, encoded, np.random.default_rng(seed))
        bins = _bins(catalogue.danceability)
        met = _met(asked.ranges(bins, low, high))[bins, 0]
        distance = np.abs(bins[:, None] - _bins(np.array(ends)))
        near = np.flatnonzero(distance.min(axis=1) <= 1)
        met[near] = _met(asked.one_range(near, *ends))
        return replace(
            self,
            bin_of=read_only(met.astype(np.int64)),
            low=read_only(low),
            high=read_only(high),
            range_met=read_only(np.array([[False], [True]])),
        )

    @property
    def n_genres(self) -> int:
        """Genres of the catalogue."""
        return int(self.genre_met.shape[1])

    def nearest_range(self, listeners: Listeners) -> NDArray[np.int64]:
        """Return (n,) int64: of (n,) listeners' ranges the nearest that was asked about."""
        distance = np.abs(self.low - listeners.low[:, None])
        distance += np.abs(self.high - listeners.high[:, None])
        return np.asarray(distance.argmin(axis=1), dtype=np.int64)

    def values(
        self, catalogue: Catalogue, listeners: Listeners, tracks: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the sum of the terms: what the policy should say of pairs.

        Args:
            catalogue: the tracks.
            listeners: (n,) of whom the range is taken for the nearest that was asked about.
            tracks: (n,) row i is judged by listener i.

        Returns:
            (n,) float64.
        """
        artist = np.where(catalogue.artists.held(tracks, listeners.artist), MATCH, MISS)
        artist[listeners.artist == OPEN] = NEUTRAL
        genre = np.full(len(tracks), NEUTRAL)
        named = listeners.genre != OPEN
        met = self.genre_met[self.genres_of[tracks[named]], listeners.genre[named]]
        genre[named] = np.where(met, MATCH, MISS)
        met = self.range_met[self.bin_of[tracks], self.nearest_range(listeners)]
        danceability = np.where(listeners.any_danceability, NEUTRAL, np.where(met, MATCH, MISS))
        kinds = (artist, genre, danceability)
        return np.asarray(np.sum([self.levels[i][kind] for i, kind in enumerate(kinds)], axis=0))


class _Asked:
    """A policy that is asked about single terms."""

    def __init__(
        self,
        policy: Learner,
        catalogue: Catalogue,
        encoded: PairEncoded,
        generator: np.random.Generator,
    ) -> None:
        self.policy, self.catalogue, self.encoded = policy, catalogue, encoded
        self.generator = generator

    def _values(self, tracks: NDArray[np.int64], **term: NDArray[Any]) -> NDArray[np.float64]:
        n = len(tracks)
        listeners = Listeners(
            term.get("artist", np.full(n, OPEN)).astype(np.int64),
            term.get("genre", np.full(n, OPEN)).astype(np.int64),
            term.get("low", np.zeros(n)).astype(np.float64),
            term.get("high", np.ones(n)).astype(np.float64),
            np.full(n, "low" not in term),
        )
        return pair_values(self.policy, self.encoded, listeners, tracks)

    def genres(self, combination: NDArray[np.int64], n: int) -> NDArray[np.float64]:
        """(n_combinations, n_genres): mean values of a few tracks of each."""
        n_genres = len(self.catalogue.genres.vocabulary)
        tracks, of = self._few(combination, _ASKED_OF_COMBINATION)
        return self._means(tracks, of, n, n_genres, lambda code: {"genre": code})

    def ranges(
        self, bins: NDArray[np.int64], low: NDArray[np.float64], high: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(n_bins, n_ranges): mean values of a few tracks of each bin; NaN where it has none."""
        tracks, of = self._few(bins, _ASKED_OF_BIN)
        return self._means(
            tracks, of, DANCEABILITY_BINS, len(low), lambda r: {"low": low[r], "high": high[r]}
        )

    def one_range(self, tracks: NDArray[np.int64], low: float, high: float) -> NDArray[np.float64]:
        """(n,): the value of each of (n,) tracks for a listener of this range."""
        return self._values(tracks, low=np.full(len(tracks), low), high=np.full(len(tracks), high))

    def artists(self) -> NDArray[np.float64]:
        """(2,): mean value of a track for a listener of its artist, and of another one."""
        frequency = self.catalogue.artists.frequency
        tracks = self.generator.integers(self.catalogue.n_tracks, size=_ASKED_ABOUT_ARTISTS)
        own = self.catalogue.artists.first[tracks].astype(np.int64)
        tracks, own = tracks[own >= 0], own[own >= 0]
        others = self.generator.integers(len(frequency), size=len(tracks))
        missed = ~self.catalogue.artists.held(tracks, others)
        return np.array(
            [
                self._values(tracks, artist=own).mean(),
                self._values(tracks[missed], artist=others[missed]).mean(),
            ]
        )

    def _few(
        self, group: NDArray[np.int64], count: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Draw up to ``count`` tracks of each group; return them and their groups."""
        order = self.generator.permutation(len(group))
        order = order[np.argsort(group[order], kind="stable")]
        of = group[order]
        place = np.arange(len(of)) - np.searchsorted(of, of)
        return order[place < count], of[place < count]

    def _means(
        self,
        tracks: NDArray[np.int64],
        of: NDArray[np.int64],
        n_groups: int,
        n_terms: int,
        term: Callable[[NDArray[np.int64]], dict[str, NDArray[Any]]],
    ) -> NDArray[np.float64]:
        """(n_groups, n_terms): mean value of each group's tracks; NaN where it has none."""
        codes = np.repeat(np.arange(n_terms), len(tracks))
        values = self._values(np.tile(tracks, n_terms), **term(codes)).reshape(n_terms, len(tracks))
        sums = np.zeros((n_groups, n_terms))
        np.add.at(sums, of, values.T)
        counts = np.bincount(of, minlength=n_groups)[:, None]
        with np.errstate(invalid="ignore"):
            means: NDArray[np.float64] = np.where(counts > 0, sums / counts, np.nan)
        return means


def _met(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.nan_to_num(values, nan=-1.0) > 0


def _bins(danceability: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bin of each value of danceability."""
    bins = (danceability * DANCEABILITY_BINS).astype(np.int64)
    return np.asarray(np.minimum(bins, DANCEABILITY_BINS - 1))


def _combinations(labels: Labels) -> tuple[NDArray[np.int64], int]:
    """Return each track's combination of labels, and the number of combinations."""
    number: dict[tuple[int, ...], int] = {}
    of_track = np.empty(len(labels.counts), dtype=np.int64)
    codes, ends = labels.codes.tolist(), labels.indptr.tolist()
    for track in range(len(of_track)):
        key = tuple(sorted(codes[ends[track] : ends[track + 1]]))
        of_track[track] = number.setdefault(key, len(number))
    return of_track, len(number)
