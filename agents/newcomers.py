"""What is known of a newcomer before the first press, by the population and by the policy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from agents.policy_terms import MATCH, PolicyTerms
from agents.values import Learner
from music_env.catalogue import Catalogue
from music_env.labels import Labels, read_only
from music_env.listeners import OPEN, Listeners
from music_env.pairs import PairEncoded

N_RANGES = 256
"""Ranges of danceability that a newcomer may prefer: drawn from those of the population."""

WRONG_BUTTON = 0.05
"""The probability that a press says the contrary of what the policy would make of the preference:
a slip, a mood, or a taste that no preference expresses. One contradicting press divides the odds of
a preference by 19, and two that agree outweigh it. Chosen by us after a look at 50 simulated
newcomers of the training split, with 0.02 beside it, which hardly differed; no command repeats
that."""

SOFTNESS = 0.25
"""How softly a like sets in around `NewcomerPrior.like_above`, in units of Q: well below the step
of 2 from one score to the next, and above a trained policy's error."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NewcomerPrior:
    """The prior over newcomers' preferences; shared by all listeners of a policy and a catalogue.

    Attributes:
        catalogue: the tracks.
        terms: what the policy makes of a preference's terms.
        open_share: (3,) float64: the share of listeners who leave artist, genre, range open.
        artist: (n_artists,) float64: probability of each artist, of those who prefer one.
        genre_of_artist: (n_artists, n_genres) float64: probability of the genre, of the listeners
            of an artist who prefer a genre.
        genre: (n_genres,) float64: the same of listeners who leave the artist open.
        like_above: the value Q(like) - Q(dislike) above which a listener likes a track: half of
            the least value that is to be above 0, so that what both actions are right for (a value
            of 0) is not liked.
    """

    catalogue: Catalogue
    terms: PolicyTerms
    open_share: Floats
    artist: Floats
    genre_of_artist: Floats
    genre: Floats
    like_above: float

    @classmethod
    def of(
        cls,
        policy: Learner,
        catalogue: Catalogue,
        encoded: PairEncoded,
        population: Listeners,
        *,
        seed: int = 0,
    ) -> NewcomerPrior:
        """Return the prior of a population.

        Taken from the population are: how often each term is left open, the ranges of danceability,
        how often the genre is none of the preferred artist's, and the least number of tracks of an
        artist that anybody prefers. Not taken is which artists are preferred: every artist of the
        catalogue with so many tracks is equally likely, also those that nobody of the (training)
        population prefers.

        Raises:
            ValueError: see `PolicyTerms.read`.
        """
        generator = np.random.default_rng(seed)
        is_open = (population.artist == OPEN, population.genre == OPEN, population.any_danceability)
        # Laplace's rule: what nobody of the population does is not impossible.
        open_share = np.array([(which.sum() + 1) / (len(population) + 2) for which in is_open])
        with_range = np.flatnonzero(~population.any_danceability)
        if with_range.size:
            count = min(N_RANGES, len(with_range))
            chosen = generator.choice(with_range, count, replace=False, shuffle=False)
            ranges = population.low[chosen], population.high[chosen]
        else:
            ranges = np.array([0.0, 0.5]), np.array([0.5, 1.0])
        terms = PolicyTerms.read(policy, catalogue, encoded, ranges, seed=seed)
        frequency = catalogue.artists.frequency
        preferred = population.artist[population.artist != OPEN]
        least = int(frequency[preferred].min()) if preferred.size else 1
        eligible = frequency >= least
        genre_of_artist, genre = _genres(catalogue, population)
        if not genre.size:
            open_share[1] = 1.0
        return cls(
            catalogue,
            terms,
            read_only(open_share),
            read_only(eligible / eligible.sum()),
            read_only(genre_of_artist),
            read_only(genre),
            _least_positive(terms.levels) / 2,
        )

    def told(
        self, policy: Learner, encoded: PairEncoded, ends: tuple[float, float]
    ) -> NewcomerPrior:
        """Return the prior of those who prefer this range of danceability; the policy is asked."""
        terms = self.terms.of_range(policy, self.catalogue, encoded, ends)
        return replace(self, terms=terms)

    @cached_property
    def likelihood(self) -> Floats:
        """(3, 3, 3) float64: P(like) by what artist, genre and range are for a track."""
        artist, genre, danceability = self.terms.levels
        return self.like_probabilities(artist[:, None, None] + genre[:, None] + danceability)

    @cached_property
    def log_likelihood(self) -> Floats:
        """(2, 3, 3, 3) float64: log P(dislike) and log P(like), see `likelihood`."""
        return np.log([1 - self.likelihood, self.likelihood])

    def like_probabilities(self, values: NDArray[np.floating]) -> Floats:
        """Return P(like) of values Q(like) - Q(dislike), wrong buttons included."""
        meant = 1 / (1 + np.exp((self.like_above - values.astype(np.float64)) / SOFTNESS))
        return WRONG_BUTTON + (1 - 2 * WRONG_BUTTON) * meant

    def artists_of(self, tracks: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return all pairs of a track and one of its artists.

        Args:
            tracks: (n,) indices.

        Returns:
            (n_pairs,) int64 positions in ``tracks``, and (n_pairs,) int64 artists.
        """
        return self.catalogue.artists.pairs(tracks)


def _least_positive(levels: Floats) -> float:
    """Return the least sum of terms that is above 0, not only nearly 0 where they cancel."""
    artist, genre, danceability = levels
    sums = artist[:, None, None] + genre[:, None] + danceability
    return float(sums[sums > levels[:, MATCH].max() / 2].min())


def _genres(catalogue: Catalogue, population: Listeners) -> tuple[Floats, Floats]:
    """Return P(genre | artist) and P(genre | no preferred artist), of those who prefer a genre.

    A mixture of the genres that the artist has and of any genre, whose share is the most likely.
    """
    artists, genres = catalogue.artists, catalogue.genres
    n_genres = len(genres.vocabulary)
    any_genre = 1 / max(1, n_genres)
    share_of_label = np.repeat(1 / np.maximum(genres.counts, 1), genres.counts)
    by_track = _sparse(genres, share_of_label)
    of_artist = (_sparse(artists, np.ones(len(artists.codes))).T @ by_track).toarray()
    totals = of_artist.sum(axis=1, keepdims=True)
    of_artist = np.where(totals > 0, of_artist / np.where(totals > 0, totals, 1), any_genre)
    both = (population.artist != OPEN) & (population.genre != OPEN)
    own = of_artist[population.artist[both], population.genre[both]]
    shares = np.linspace(0.01, 1, 100)
    likely = [np.log((1 - share) * own + share * any_genre).sum() for share in shares]
    share = shares[int(np.argmax(likely))]
    alone = population.genre[(population.artist == OPEN) & (population.genre != OPEN)]
    counts = np.bincount(alone, minlength=n_genres) + 1.0
    return (1 - share) * of_artist + share * any_genre, counts / counts.sum()


def _sparse(labels: Labels, values: Floats) -> sparse.csr_array:
    """Return (n_tracks, n_labels) with a value for each label of a track."""
    shape = (len(labels.counts), len(labels.vocabulary))
    return sparse.csr_array((values, labels.codes, labels.indptr), shape=shape)
