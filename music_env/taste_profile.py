"""A listener estimated from a listening history or a list of liked tracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.labels import Labels
from music_env.listener_models import Terms, added_up, check_finite
from music_env.track_matching import check_listed

if TYPE_CHECKING:
    from music_env.track_list import TrackList

PRIOR_STRENGTH = 1.0
"""How many observations each value's prior counts for, on average: 1 is Laplace's rule. Tuned by
us: with a fixed total instead (10 for all artists together) a history of 500 tracks held it against
every other artist that he is not in it, and a fifth of the held-out tracks of its genre with it."""

N_BINS = 10
"""Bins of an audio feature, about as many tracks of the catalogue in each."""

PROFILE_FEATURES = ("danceability", "energy", "valence", "acousticness", "tempo")
"""The audio features of a profile, as far as the catalogue has them: those with a meaning to a
listener that are not one another's copies (loudness goes with energy)."""

Tracks = str | PathLike[str] | Sequence[str | int]


@dataclass(frozen=True)
class TasteProfile:
    """What somebody who liked these tracks probably likes, compared to the catalogue.

    For each of artist, genre and some audio features (in bins) let ``K`` be how many different
    values the catalogue has, ``q`` a value's share of the catalogue, ``n`` how often it occurs
    among the liked tracks, and ``N`` the number of its kind among them. The share that the listener
    gives to it is estimated as

        theta = (n + a * q) / (N + a)   with   a = prior_strength * K

    the posterior mean of a multinomial share under a Dirichlet prior whose mean is the catalogue's
    (Gelman et al., "Bayesian Data Analysis", 3rd ed., section 3.4); with equal ``q`` and strength 1
    it is Laplace's rule of succession. With few liked tracks it stays near the catalogue's share;
    where none of them has a value of the kind (no genre, say), it is equal to it. A list of which
    no track is found is an error: of whom nothing is known there is no profile. A track's term is
    the mean of ``log(theta / q)`` over its own values (0 where it has none), and its score their
    sum plus ``bias``: the naive Bayes log-odds that the track is one of the listener's rather than
    any of the catalogue. Where tracks are known that are not liked, their shares (estimated
    likewise) take the place of ``q`` under the fraction.

    A track that occurs several times counts once: a history in which one song was played three
    hundred times says no more about other songs than that it is liked.

    Attributes:
        liked: a path or the entries themselves, see `read_track_list`.
        disliked: likewise; None where nothing is known, as is an empty list. One with entries of
            which no track is found is an error here too: somebody meant them to count.
        columns: of the files: ``track_id``, ``title`` or ``artists`` -> column, where it has a name
            of its own, see `read_track_list`.
        prior_strength: above 0.
        bias: added to every score; below 0 for a listener who is hard to please.

    Raises:
        ValueError: a number is none or out of range, or ``columns`` is no mapping of texts.
        TypeError: ``liked`` or ``disliked`` is neither a path nor a list.
    """

    liked: Tracks
    disliked: Tracks | None = None
    columns: Mapping[str, str] | None = None
    prior_strength: float = PRIOR_STRENGTH
    bias: float = 0.0

    def __post_init__(self) -> None:
        check_listed("liked", self.liked)
        if self.disliked is not None:
            check_listed("disliked", self.disliked)
        for name in ("prior_strength", "bias"):
            check_finite(name, getattr(self, name))
        if self.prior_strength <= 0:
            raise ValueError(f"prior_strength must be above 0, got {self.prior_strength!r}")
        if not isinstance(self.columns, Mapping | None) or not all(
            isinstance(text, str) for pair in (self.columns or {}).items() for text in pair
        ):
            raise ValueError(
                'columns must be a mapping such as {"title": "<its column>"}, got '
                f"{self.columns!r}"
            )

    def matched(self, catalogue: Catalogue) -> tuple[TrackList, ...]:
        """Return the list of liked tracks, and that of disliked ones if there is one.

        ``print`` shows what was not found, with row numbers and the nearest titles.

        Raises:
            CatalogueError: see `read_track_list`.
        """
        from music_env.track_list import read_track_list  # which needs pandas

        liked = read_track_list(self.liked, catalogue, columns=self.columns)
        if self.disliked is None:
            return (liked,)
        disliked = read_track_list(
            self.disliked, catalogue, columns=self.columns, may_be_empty=True
        )
        return (liked, disliked)

    def terms(self, catalogue: Catalogue) -> Terms:
        """Return the terms by name, (n_tracks,) float64 each; they add up to the score.

        Raises:
            CatalogueError: see `read_track_list`.
        """
        chosen = [np.unique(found.tracks) for found in self.matched(catalogue)]
        liked, disliked = chosen[0], chosen[1] if len(chosen) > 1 else chosen[0][:0]
        terms: Terms = {}
        for name, labels in (("artist", catalogue.artists), ("genre", catalogue.genres)):
            if labels.vocabulary:
                terms[name] = self._label_term(labels, liked, disliked)
        for name in PROFILE_FEATURES:
            if name in catalogue.features:
                terms[name] = self._binned_term(catalogue.features[name], liked, disliked)
        terms["bias"] = np.full(catalogue.n_tracks, float(self.bias))
        return terms

    def scores(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Return (n_tracks,) float64: the sum of the terms."""
        return added_up(self.terms(catalogue))

    def __str__(self) -> str:
        source = (
            self.liked if isinstance(self.liked, str | PathLike) else f"{len(self.liked)} tracks"
        )
        return f"taste profile of {source}"

    def _label_term(
        self, labels: Labels, liked: NDArray[np.int64], disliked: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        owner = np.repeat(np.arange(len(labels.counts)), labels.counts)
        size = len(labels.vocabulary)
        counts = [
            np.bincount(labels.codes[np.isin(owner, tracks)], minlength=size)
            for tracks in (liked, disliked)
        ]
        ratios = self._log_ratios(labels.frequency, *counts)
        sums = np.bincount(owner, weights=ratios[labels.codes], minlength=len(labels.counts))
        return sums / np.maximum(labels.counts, 1)

    def _binned_term(
        self, values: NDArray[np.float64], liked: NDArray[np.int64], disliked: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        known = ~np.isnan(values)
        if not known.any():
            return np.zeros(len(values))
        inner = np.arange(1, N_BINS) / N_BINS
        # Ends that many tracks share are one end: no bin is empty.
        ends = np.unique(np.quantile(values[known], inner))
        bins = np.searchsorted(ends, values, side="right")
        bins[~known] = -1
        size = len(ends) + 1
        counts = [
            np.bincount(bins[tracks][bins[tracks] >= 0], minlength=size)
            for tracks in (liked, disliked)
        ]
        ratios = self._log_ratios(np.bincount(bins[known], minlength=size), *counts)
        return np.where(known, ratios[bins], 0.0)

    def _log_ratios(
        self,
        catalogue: NDArray[np.int64],
        liked: NDArray[np.int64],
        disliked: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Return log(theta of liked / theta of disliked), 0 for values no track has."""
        q = catalogue / catalogue.sum()
        alpha = self.prior_strength * np.count_nonzero(q)
        thetas = [(n + alpha * q) / (n.sum() + alpha) for n in (liked, disliked)]
        ratios = np.zeros(len(q))
        some = q > 0
        ratios[some] = np.log(thetas[0][some] / thetas[1][some])
        return ratios
