"""Which tracks a listener's terms suggest: few of a catalogue, and enough for the first k.

A track meets some of a listener's terms (artist, genre, danceability) and not the others. Of tracks
that meet the same terms the listener's score is the same, and one that meets more of them is never
worth less. So it is enough to rank

- all tracks of the preferred artist;
- `breadth` of those that meet genre and danceability (of the open one of them: any);
- where fewer than `breadth` do, also as many that meet the genre alone, and danceability alone;
- where fewer than `breadth` meet anything, also as many that meet nothing;
- all tracks, for a listener who leaves everything open.

With ``breadth >= 2 * k`` the first k of these have the same scores as the first k of all tracks,
for any ranking by what is met that never puts more behind less, whatever a term is worth. (Of each
combination of terms the candidates hold k tracks, or all of them, or k that meet these terms and
more: of `breadth` tracks taken by the terms that they must meet, either k meet no others, or more
than ``breadth - k >= k`` meet others as well.) More than that is a margin for a network that puts
some tracks in the wrong place. Of more than `breadth` tracks, those at even distances in the order
of danceability are taken, so that both ends and the middle of the range are represented.

Which of the tracks of equal score come first is then decided among those taken. For the very tracks
that the network would put first of all, take all of each kind (`whole`): many times the work.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.listener import TERMS
from music_env.listeners import OPEN, Listeners

Integers = NDArray[np.int64]

MARGIN = 4
"""Candidates of each kind, in multiples of k, unless asked otherwise: twice what a faultless
network needs. See `bench.batch` for how often the result then differs from ranking every track."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of a listener and a track, listener by listener.

    Attributes:
        start: (n_listeners + 1,) int64: the tracks of listener i are
            ``tracks[start[i]:start[i + 1]]``.
        tracks: (n_pairs,) int64 indices into the catalogue, ascending for each listener, none
            twice.
    """

    start: Integers
    tracks: Integers

    @property
    def owner(self) -> Integers:
        """(n_pairs,) int64: the listener of each pair."""
        return np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))


class TermIndex:
    """The tracks of each artist, and those of each genre in the order of danceability.

    Args:
        catalogue: the tracks.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.n_tracks = catalogue.n_tracks
        self._artist_start, self._artist_tracks = catalogue.artists.tracks_of
        self._artist_count = catalogue.artists.frequency
        # Ends of ranges are compared as places in the sorted values: exact, and whole numbers that
        # a genre can stand in front of.
        self._values, place = np.unique(catalogue.danceability, return_inverse=True)
        start, tracks = catalogue.genres.tracks_of
        # Behind the genres stands one more that every track has: a listener who leaves the genre
        # open prefers that one.
        self._any_genre = len(catalogue.genres.vocabulary)
        every = np.arange(self.n_tracks)
        tracks = np.concatenate([tracks, every])
        genre = np.repeat(
            np.arange(self._any_genre + 1), [*catalogue.genres.frequency, self.n_tracks]
        )
        self._start = np.concatenate([start, [len(tracks)]])
        key = genre * len(self._values) + place[tracks]
        order = np.argsort(key, kind="stable")
        self._key, self._tracks = key[order], tracks[order]

    def at_most(self, listeners: Listeners, breadth: int, *, whole: bool = False) -> Integers:
        """Return (n_listeners,) int64: more candidates than so many `find` does not find."""
        counts = self._count_of(listeners.artist) + 4 * breadth
        every = whole | (listeners.n_open == len(TERMS))
        return np.where(every, self.n_tracks, np.minimum(counts, self.n_tracks))

    def find(self, listeners: Listeners, breadth: int, *, whole: bool = False) -> Candidates:
        """Return the candidates of some listeners.

        Args:
            listeners: (n_listeners,).
            breadth: of each kind of track; at least twice as many as are to be recommended.
            whole: take all tracks of each kind that is taken.

        Returns:
            At least ``min(breadth, n_tracks)`` for each listener.
        """
        n_listeners = len(listeners)
        low = np.searchsorted(self._values, listeners.low, side="left")
        high = np.searchsorted(self._values, listeners.high, side="right")
        genre = np.where(listeners.genre == OPEN, self._any_genre, listeners.genre)
        more = self.n_tracks if whole else breadth
        limit = np.where(listeners.n_open == len(TERMS), self.n_tracks, more)

        first, last = self._within(genre, low, high)
        anywhere = np.full(n_listeners, self._any_genre)
        first_of_any, last_of_any = self._within(anywhere, low, high)
        of_artist = self._count_of(listeners.artist)
        n_genre = self._start[genre + 1] - self._start[genre]
        few = last - first < breadth
        has_genre = genre != self._any_genre
        most = np.maximum(np.maximum(of_artist, n_genre), last_of_any - first_of_any)

        found = [
            self._of_artist(listeners.artist, of_artist),
            self._between(first, last, limit),
            self._around(genre, first, last, np.where(few, more, 0)),
            self._between(first_of_any, last_of_any, np.where(few & has_genre, more, 0)),
            self._around(
                anywhere,
                first_of_any,
                last_of_any,
                np.where(few & has_genre & (most < breadth), more, 0),
            ),
        ]
        # Sorted, so that a track found twice is there once.
        pairs = np.unique(np.concatenate([o * self.n_tracks + tracks for o, tracks in found]))
        owner, tracks = np.divmod(pairs, self.n_tracks)
        return Candidates(np.searchsorted(owner, np.arange(n_listeners + 1)), tracks)

    # --- Parts ------------------------------------------------------------------------------------

    def _count_of(self, artist: Integers) -> Integers:
        """(n,) how many tracks of the preferred artists there are; 0 where left open."""
        count: Integers = np.where(artist == OPEN, 0, self._artist_count[artist])
        return count

    def _of_artist(self, artist: Integers, counts: Integers) -> tuple[Integers, Integers]:
        owner, place = _spread(counts, counts)
        return owner, self._artist_tracks[self._artist_start[artist][owner] + place]

    def _within(
        self, genre: Integers, low: NDArray[np.intp], high: NDArray[np.intp]
    ) -> tuple[Integers, Integers]:
        """Return the places of a genre's first track within a range, and behind its last."""
        base = genre * len(self._values)
        return np.searchsorted(self._key, base + low), np.searchsorted(self._key, base + high)

    def _between(
        self, first: Integers, last: Integers, limit: Integers
    ) -> tuple[Integers, Integers]:
        """Return the owners and the tracks of at most `limit` places from `first` to `last`."""
        owner, place = _spread(last - first, limit)
        return owner, self._tracks[first[owner] + place]

    def _around(
        self, genre: Integers, first: Integers, last: Integers, limit: Integers
    ) -> tuple[Integers, Integers]:
        """Return the same of a genre's places before `first` and from `last` on."""
        start, end = self._start[genre], self._start[genre + 1]
        before = first - start
        owner, place = _spread(before + end - last, limit)
        behind = place >= before[owner]
        place = np.where(behind, last[owner] + place - before[owner], start[owner] + place)
        return owner, self._tracks[place]


def _spread(counts: Integers, limit: Integers) -> tuple[Integers, Integers]:
    """Return whole numbers at even distances from 0 to each count, at most `limit` of each.

    Returns:
        (n,) int64 which count it is of, and (n,) int64 the number.
    """
    taken = np.minimum(counts, limit)
    owner = np.repeat(np.arange(len(counts)), taken)
    nth = np.arange(len(owner)) - np.repeat(np.cumsum(taken) - taken, taken)
    return owner, nth * counts[owner] // taken[owner]
