"""What is believed about a newcomer's preference, and how likely that makes a like of each track.

A newcomer has a preference of the family that the policy for every listener was trained on: an
artist, a genre, a range of danceability, each possibly open. Which one is unknown, but for what was
stated of it. The belief is the posterior over all of them, exact but for the ranges (some of the
population's) and for what `agents.policy_terms` loses; there are no particles that could die out.
It stays small because artists of whom nothing was judged yet differ in the prior alone, so that one
table serves all of them.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from agents.newcomers import NewcomerPrior
from agents.policy_terms import MATCH, MISS, NEUTRAL, PolicyTerms
from music_env.listeners import OPEN, Listeners

Floats = NDArray[np.float64]


class Belief:
    """The posterior over one listener's preference.

    Args:
        prior: shared by all listeners; of one who has stated a range, `NewcomerPrior.told`.
        stated: what the listener has said, (1,); `OPEN` where nothing.
        unknown: the terms left out in ``stated`` since they are not known; those left out and not
            unknown are open.
    """

    def __init__(self, prior: NewcomerPrior, stated: Listeners, unknown: Collection[str]) -> None:
        self._prior = prior
        self._artist, artist_open = _artists(prior, stated, unknown)
        self._genres = _Genres.of(prior, stated, unknown)
        ranges = _ranges(prior.terms, stated, unknown, float(prior.open_share[2]))
        if stated.genre[0] != OPEN and artist_open < 1 and stated.artist[0] == OPEN:
            # A stated genre says something about the artist.
            self._artist = self._artist * prior.genre_of_artist[:, stated.genre[0]]
            self._artist *= (1 - artist_open) / self._artist.sum()
        with np.errstate(divide="ignore"):
            self._log_ranges = np.log(ranges)
            self._open = (
                np.log(artist_open) + np.log(self._genres.of_no_artist)[:, None] + self._log_ranges
            )  # (n_genres + 1, n_ranges + 1): of listeners who leave the artist open
        self._open[-1, -1] = -np.inf  # nobody of the population leaves all three open
        # Log-likelihoods of the judgements: of all other artists' listeners; and what is added to
        # that for those of an artist of whom something was judged.
        self._other = np.zeros_like(self._open)
        self._seen: dict[int, Floats] = {}
        self._posterior: _Posterior | None = None

    def absorb(self, track: int, liked: bool) -> None:
        """Take a judgement into account."""
        terms = self._prior.terms
        met = terms.genre_met[terms.genres_of[track]]
        genre = np.append(np.where(met, MATCH, MISS), NEUTRAL)
        met = terms.range_met[terms.bin_of[track]]
        danceability = np.append(np.where(met, MATCH, MISS), NEUTRAL)
        like = self._prior.likelihood[:, genre[:, None], danceability]
        gain = np.log(like if liked else 1 - like)  # (3, n_genres + 1, n_ranges + 1)
        self._open += gain[NEUTRAL]
        self._other += gain[MISS]
        artists = self._prior.artists_of(np.array([track]))[1]
        for artist in artists[self._artist[artists] > 0].tolist():
            before = self._seen.get(artist, 0.0)
            self._seen[artist] = before + gain[MATCH] - gain[MISS]
        self._posterior = None

    def copy(self) -> Belief:
        """Return an equal belief, which learns on its own from here on."""
        other = copy.copy(self)
        other._open, other._other = self._open.copy(), self._other.copy()
        other._seen = dict(self._seen)  # its arrays are never written to
        other._posterior = None
        return other

    def like_probabilities(self, tracks: NDArray[np.int64]) -> Floats:
        """Return (n,) float64: the probability that each of (n,) tracks is liked."""
        return self._present().like_probabilities(tracks)

    def expected_terms(self, track: int) -> Floats:
        """Return (3,) float64: what artist, genre and danceability are expected to contribute.

        1 where the term is surely met, -1 where it surely is not, 0 where it is surely open.
        """
        return self._present().expected_terms(track)

    def _present(self) -> _Posterior:
        if self._posterior is None:
            self._posterior = self._made_posterior()
        return self._posterior

    def _made_posterior(self) -> _Posterior:
        seen = np.array(list(self._seen), dtype=np.int64)
        other = self._other + self._log_ranges
        own = np.array(list(self._seen.values())).reshape(len(seen), *other.shape)
        with np.errstate(divide="ignore"):
            own = (
                own
                + other
                + np.log(self._artist[seen, None] * self._genres.of_artists(seen))[:, :, None]
            )
        unseen = self._artist.copy()
        unseen[seen] = 0
        # A common factor, so that long histories do not vanish; only what counts has a say in it.
        counted = other.max() if unseen.any() else -np.inf
        peak = max(self._open.max(), counted, own.max(initial=-np.inf))
        with np.errstate(over="ignore"):
            left_open, other, own = (np.exp(x - peak) for x in (self._open, other, own))
        if not unseen.any():
            other = np.zeros_like(other)
        genre_of_unseen = self._genres.of_all(unseen)
        total = left_open.sum() + (genre_of_unseen @ other).sum() + own.sum()
        return _Posterior(
            self._prior,
            left_open / total,
            other / total,
            seen,
            own / total,
            unseen,
            self._genres,
            genre_of_unseen,
        )


@dataclass(frozen=True, eq=False)
class _Genres:
    """The prior of the genre, given the artist; the entry behind the genres is for open.

    The table is shared by all listeners, so that none needs room for all artists.
    """

    table: Floats | None  # (n_artists, n_genres) of who prefers a genre; None: it is stated
    is_open: float
    of_no_artist: Floats  # (n_genres + 1,): the artist is open; or the stated genre

    @classmethod
    def of(cls, prior: NewcomerPrior, stated: Listeners, unknown: Collection[str]) -> _Genres:
        if stated.genre[0] != OPEN:
            certain = np.zeros(len(prior.genre) + 1)
            certain[stated.genre[0]] = 1.0
            return cls(None, 0.0, certain)
        is_open = float(prior.open_share[1]) if "genre" in unknown else 1.0
        of_no_artist = np.append(prior.genre * (1 - is_open), is_open)
        return cls(prior.genre_of_artist, is_open, of_no_artist)

    def of_artists(self, artists: NDArray[np.int64]) -> Floats:
        """Return (n, n_genres + 1) of (n,) artists."""
        if self.table is None:
            return np.broadcast_to(self.of_no_artist, (len(artists), len(self.of_no_artist)))
        named = self.table[artists] * (1 - self.is_open)
        return np.column_stack([named, np.full(len(named), self.is_open)])

    def of_all(self, weights: Floats) -> Floats:
        """Return (n_genres + 1,): the sum over all artists, weighted by (n_artists,)."""
        total = weights.sum()
        if self.table is None:
            return np.asarray(total * self.of_no_artist)
        return np.append(weights @ self.table * (1 - self.is_open), total * self.is_open)


@dataclass(frozen=True, eq=False)
class _Posterior:
    """Probabilities of preferences, and of a like of every track.

    Genres and ranges have an entry more than there are, the last one, for open.
    """

    prior: NewcomerPrior
    left_open: Floats  # (genres, ranges): the artist is open
    other: Floats  # (genres, ranges): of an unseen artist, without the artist's prior
    seen: NDArray[np.int64]  # (n_seen,) artists
    own: Floats  # (n_seen, genres, ranges): the artist is a seen one
    unseen: Floats  # (n_artists,) prior, 0 for seen ones
    genres: _Genres
    genre_of_unseen: Floats  # (genres,) probability of each, with an unseen artist

    @property
    def _missed(self) -> Floats:
        """(genres, ranges): an artist is preferred, and it is none of the track's."""
        return np.asarray(self.genre_of_unseen[:, None] * self.other + self.own.sum(axis=0))

    @cached_property
    def _base(self) -> Floats:
        """(n_combinations, n_bins): P(like) of a track none of whose artists is preferred."""
        terms, like = self.prior.terms, self.prior.likelihood
        kinds = _by_kind(terms, self.left_open, like[NEUTRAL])
        kinds += _by_kind(terms, self._missed, like[MISS])
        missed = kinds[MISS, :-1].sum(axis=0) + kinds[NEUTRAL, -1]
        return np.asarray(missed + terms.genre_met @ (kinds[MATCH, :-1] - kinds[MISS, :-1]))

    @cached_property
    def _gains(self) -> tuple[Floats, Floats]:
        """What an artist adds to P(like) if it is the preferred one, see `_by_kind`.

        Of an unseen one, still to be weighed by genre; (n_seen, ...) of the seen ones.
        """
        gain = self.prior.likelihood[MATCH] - self.prior.likelihood[MISS]
        terms = self.prior.terms
        return _by_kind(terms, self.other, gain), _by_kind(terms, self.own, gain)

    @cached_property
    def _place(self) -> NDArray[np.int64]:
        """(n_artists,) where in ``seen`` an artist stands; -1 for no place."""
        place = np.full(len(self.unseen), -1)
        place[self.seen] = np.arange(len(self.seen))
        return place

    def like_probabilities(self, tracks: NDArray[np.int64]) -> Floats:
        """Return (n,) float64: P(like) of (n,) tracks."""
        terms = self.prior.terms
        like = self._base[terms.genres_of[tracks], terms.bin_of[tracks]]
        row, artist = self.prior.artists_of(tracks)
        place = self._place[artist]
        genres = np.arange(terms.n_genres + 1)
        unseen_gain, seen_gain = self._gains

        pairs = np.flatnonzero((place < 0) & (self.unseen[artist] > 0))
        kind, danceability = self._kinds(tracks[row[pairs]])
        gain = unseen_gain[kind, genres, danceability] * self.genres.of_artists(artist[pairs])
        gain *= self.unseen[artist[pairs], None]
        like += np.bincount(row[pairs], weights=gain.sum(axis=1), minlength=len(tracks))

        pairs = np.flatnonzero(place >= 0)
        kind, danceability = self._kinds(tracks[row[pairs]])
        gain = seen_gain[place[pairs, None], kind, genres, danceability]
        like += np.bincount(row[pairs], weights=gain.sum(axis=1), minlength=len(tracks))
        return like

    def expected_terms(self, track: int) -> Floats:
        """Return (3,) float64, see `Belief.expected_terms`."""
        _, artists = self.prior.artists_of(np.array([track]))
        named = 1 - float(self.left_open.sum())
        unseen = self.unseen[artists] @ self.genres.of_artists(artists) @ self.other.sum(axis=1)
        place = self._place[artists]
        met = float(unseen + self.own[place[place >= 0]].sum())
        all_artists = self.left_open + self._missed
        terms = self.prior.terms
        genre = np.where(terms.genre_met[terms.genres_of[track]], 1, -1)
        danceability = np.where(terms.range_met[terms.bin_of[track]], 1, -1)
        return np.array(
            [
                2 * met - named,
                all_artists.sum(axis=1)[:-1] @ genre,
                all_artists.sum(axis=0)[:-1] @ danceability,
            ]
        )

    def _kinds(self, tracks: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (n, n_genres + 1) what each genre is for tracks, and (n, 1) their bins."""
        terms = self.prior.terms
        kind = np.full((len(tracks), terms.n_genres + 1), NEUTRAL)
        kind[:, :-1] = np.where(terms.genre_met[terms.genres_of[tracks]], MATCH, MISS)
        return kind, terms.bin_of[tracks, None]


def _by_kind(terms: PolicyTerms, mass: Floats, like: Floats) -> Floats:
    """Return what preferences contribute to P(like) by what their genre is for a track.

    Args:
        terms: of the policy.
        mass: (..., n_genres + 1, n_ranges + 1) probabilities of the preferences.
        like: (3, 3) P(like), or a difference, by what genre and range are.

    Returns:
        (..., 3, n_genres + 1, n_bins): by `MATCH`, `MISS`, `NEUTRAL`, genre, bin of danceability.
    """
    inside = mass[..., :-1] @ terms.range_met.T.astype(np.float64)
    outside = mass[..., :-1].sum(axis=-1, keepdims=True) - inside
    kinds = (
        like[:, MATCH, None, None] * inside[..., None, :, :]
        + like[:, MISS, None, None] * outside[..., None, :, :]
        + like[:, NEUTRAL, None, None] * mass[..., None, :, -1:]
    )
    return np.asarray(kinds)


def _artists(
    prior: NewcomerPrior, stated: Listeners, unknown: Collection[str]
) -> tuple[Floats, float]:
    """Return (n_artists,) prior probabilities, and that of leaving the artist open."""
    if stated.artist[0] != OPEN:
        certain = np.zeros_like(prior.artist)
        certain[stated.artist[0]] = 1.0
        return certain, 0.0
    is_open = float(prior.open_share[0]) if "artist" in unknown else 1.0
    return prior.artist * (1 - is_open), is_open


def _ranges(
    terms: PolicyTerms, stated: Listeners, unknown: Collection[str], open_share: float
) -> Floats:
    """Return (n_ranges + 1,) prior probabilities; a stated range is the nearest one."""
    ranges = np.zeros(len(terms.low) + 1)
    if not stated.any_danceability[0]:
        ranges[terms.nearest_range(stated)[0]] = 1.0  # the very one, see `NewcomerPrior.told`
        return ranges
    ranges[-1] = open_share if "danceability" in unknown else 1.0
    ranges[:-1] = (1 - ranges[-1]) / len(terms.low)
    return ranges
