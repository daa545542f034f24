"""Which tracks a session shows to a listener: a mixture in which every term matters.

A uniform draw hardly ever shows a track of the preferred artist: of 5,849 tracks one artist has
five or ten. So a session draws its tracks from four sources, without repeats:

1. tracks of the preferred artist,
2. tracks of the preferred genre,
3. tracks within the preferred range of danceability,
4. all tracks.

The shares of the first three are arguments (`SHARES` by default), the rest is the fourth's. A
source's number of places is its share of the session, rounded up or down at random so that it is
exact on average; every subset of that size of the source is equally likely. Where two sources
draw the same track, and where a source has fewer tracks than places (an artist with few tracks, a
term that is left open), uniformly drawn tracks take the places that are left: a listener whose
artist has seven tracks meets all seven in a session of 100 and 18 more from everywhere, rather than
any of them twice. The tracks are then shown in random order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.listener import TERMS, is_share
from music_env.listeners import OPEN, Listeners
from music_env.naming import nearest
from music_env.order import session_hashes, session_hashes32, session_orders, uniform

SHARES: Mapping[str, float] = {"artist": 0.25, "genre": 0.3, "danceability": 0.1}
"""The default share of each source. Chosen so that genre and danceability match and mismatch about
equally often (a range matches 44 % of the tracks anyway, a genre 17 %), and the artist as often as
his few tracks allow; measured shares stand in `MusicRecAnyListenerEnv`. Tuned by us."""

# Streams of `session_hashes`.
_COUNT_STREAM, _SUBSET_STREAM, _SHUFFLE_STREAM = 2, 3, 4
_SHORT = 256  # places of a session that is shuffled by hashes of 32 bits
# Sessions are drawn in blocks of about so many candidates, so that many long sessions do not fill
# the memory; and what handles all the candidates in smaller ones, so that what is in use stays in
# the cache. Tuned by us.
_BLOCK, _SMALL_BLOCK = 2**18, 2**16

Int64 = NDArray[np.int64]


def checked_balance(balance: str | Mapping[str, float]) -> dict[str, float]:
    """Return the share of each term's source, all 0 for a uniform draw.

    Args:
        balance: ``"balanced"`` (`SHARES`), ``"uniform"``, or the share of each of `TERMS` that has
            one; what they leave is drawn uniformly.

    Raises:
        ValueError: for another word, an unknown term, or shares that are no numbers from 0 to 1,
            or more than 1 together.
    """
    if isinstance(balance, str):
        words = {"balanced": dict(SHARES), "uniform": dict.fromkeys(TERMS, 0.0)}
        if balance not in words:
            raise ValueError(
                f"balance must be 'balanced', 'uniform' or shares such as {dict(SHARES)}, got "
                f"{balance!r}." + nearest(balance, words)
            )
        return words[balance]
    if not isinstance(balance, Mapping):
        raise ValueError(
            f"balance must be 'balanced', 'uniform' or shares such as {dict(SHARES)}, got "
            f"{balance!r}"
        )
    for term in balance:
        if term not in TERMS:
            raise ValueError(
                f"balance has shares of {', '.join(TERMS)}, got {term!r}."
                + nearest(str(term), TERMS)
            )
    if not all(map(is_share, balance.values())) or sum(balance.values()) > 1 + 1e-9:
        raise ValueError(
            "the shares of balance must be numbers of at least 0 and 1 together at most, got "
            f"{dict(balance)}"
        )
    return {term: float(balance.get(term, 0.0)) for term in TERMS}


@dataclass(frozen=True, eq=False)
class Sources:
    """The tracks that may be shown, sorted for each source; all indices are into the catalogue.

    Attributes:
        shown: (n_shown,) int32: all of them; None for the whole catalogue.
        n_shown: how many.
        n_tracks: tracks in the catalogue.
        pools: (n,) int32: the tracks of each artist behind one another, then those of each genre,
            then all in order of danceability.
        artist_start: (n_artists + 1,) int64: where each artist's begin in ``pools``.
        genre_start: (n_genres + 1,) int64: where each genre's begin.
        danceability: (n_shown,) float64: of the last ``n_shown`` of ``pools``.
    """

    shown: NDArray[np.int32] | None
    n_shown: int
    n_tracks: int
    pools: NDArray[np.int32]
    artist_start: Int64
    genre_start: Int64
    danceability: NDArray[np.float64]

    @classmethod
    def of(cls, catalogue: Catalogue, tracks: Int64 | None) -> Sources:
        """Return the sources of a catalogue, or of some of its tracks."""
        is_shown = np.zeros(catalogue.n_tracks, dtype=np.bool_)
        shown = np.arange(catalogue.n_tracks) if tracks is None else tracks
        is_shown[shown] = True
        pools, starts, offset = [], [], 0
        for labels in (catalogue.artists, catalogue.genres):
            start, owner = labels.tracks_of
            is_kept = is_shown[owner]
            before = np.concatenate(([0], np.cumsum(is_kept)))
            starts.append(before[start] + offset)
            pools.append(owner[is_kept])
            offset += len(pools[-1])
        order = np.argsort(catalogue.danceability[shown], kind="stable")
        pools.append(shown[order])
        values = catalogue.danceability[shown][order]
        pool = np.concatenate(pools).astype(np.int32)
        kept = None if tracks is None else tracks.astype(np.int32)
        return cls(kept, len(shown), catalogue.n_tracks, pool, starts[0], starts[1], values)

    def orders(
        self, length: int, keys: NDArray[np.uint64], sessions: NDArray[np.uint64]
    ) -> NDArray[np.int32]:
        """Return (n_sessions, length) int32: tracks in a uniform order, see `session_orders`."""
        orders = session_orders(self.n_shown, length, keys, sessions)
        return orders if self.shown is None else self.shown.take(orders)

    def bounds(self, listeners: Listeners) -> tuple[Int64, Int64]:
        """Return where in ``pools`` each listener's sources begin, and how many tracks they have.

        Returns:
            Two (n_listeners, 3) int64; a term that is left open has no tracks.
        """
        starts, counts = [], []
        for codes, start in (
            (listeners.artist, self.artist_start),
            (listeners.genre, self.genre_start),
        ):
            is_open = codes == OPEN
            code = np.where(is_open, 0, codes)
            some = start[code] if len(start) > 1 else np.zeros(len(codes), dtype=np.int64)
            end = start[code + 1] if len(start) > 1 else some
            starts.append(some)
            counts.append(np.where(is_open, 0, end - some))
        first = len(self.pools) - self.n_shown
        low = np.searchsorted(self.danceability, listeners.low, side="left")
        high = np.searchsorted(self.danceability, listeners.high, side="right")
        starts.append(first + low)
        counts.append(np.where(listeners.any_danceability, 0, high - low))
        return np.stack(starts, axis=1), np.stack(counts, axis=1)


def draw_mixture(
    sources: Sources,
    listeners: Listeners,
    shares: Mapping[str, float],
    length: int,
    keys: NDArray[np.uint64],
    sessions: NDArray[np.uint64],
) -> NDArray[np.int32]:
    """Return the tracks that some sessions show, see the head of this file.

    What a session shows depends on its own key, number and listener only, whatever is drawn with
    it.

    Args:
        sources: the tracks that may be shown.
        listeners: (n_sessions,): the listener of each session.
        shares: of each of `TERMS`, see `checked_balance`.
        length: how many different tracks a session shows.
        keys: (n_sessions,) uint64.
        sessions: (n_sessions,) uint64 session numbers.

    Returns:
        (n_sessions, length) int32 indices into the catalogue, no two in a row the same.
    """
    quotas = np.array([shares[term] for term in TERMS]) * length
    if not quotas.any():
        return sources.orders(length, keys, sessions)
    most = min(sources.n_shown, math.ceil(quotas.max() - 1e-9))
    width = length + len(TERMS) * most
    drawn = np.empty((len(keys), length), dtype=np.int32)
    for part in _parts(len(keys), _BLOCK // width):
        own = keys[part], sessions[part]
        start, available = sources.bounds(listeners.take(part))
        wanted = np.minimum(np.minimum(_counts(quotas, *own), most), available)
        places = _subsets(available, wanted, most, *own)
        places[places >= 0] += np.broadcast_to(start[..., None], places.shape)[places >= 0]
        for some in _parts(len(own[0]), _SMALL_BLOCK // width):
            drawn[part][some] = _mixed(sources, places[some], length, own[0][some], own[1][some])
    return drawn


def _parts(n: int, size: int) -> Iterator[slice]:
    """Yield slices of so many that together cover n."""
    for first in range(0, n, max(1, size)):
        yield slice(first, first + max(1, size))


def _mixed(
    sources: Sources,
    places: NDArray[np.int32],
    length: int,
    keys: NDArray[np.uint64],
    sessions: NDArray[np.uint64],
) -> NDArray[np.int32]:
    """Return (n_sessions, length) tracks: those in some places of the pools, filled up, shuffled.

    Args:
        sources: the tracks that may be shown.
        places: (n_sessions, 3, most) int32 into ``sources.pools``, -1 for none.
        length: how many different tracks a session shows.
        keys: (n_sessions,) uint64.
        sessions: (n_sessions,) uint64 session numbers.
    """
    picked = np.where(places < 0, np.int32(-1), sources.pools.take(places, mode="clip"))
    filling = sources.orders(length, keys, sessions)
    candidates = np.concatenate([picked.reshape(len(keys), -1), filling], axis=1)
    _drop_repeats(candidates, sources.n_tracks)
    # The n-th that is left of each row, for the n of each place.
    left = candidates >= 0
    counts = np.count_nonzero(left, axis=1)
    nth = _shuffled(length, keys, sessions) + (counts.cumsum() - counts)[:, None]
    tracks: NDArray[np.int32] = candidates[left].take(nth)
    return tracks


def _shuffled(
    length: int, keys: NDArray[np.uint64], sessions: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """Return (n_sessions, length): the numbers below ``length`` in random order."""
    # A hash with its place in the lowest bits: sorting the numbers sorts the places along, which is
    # faster than argsort. 24 bits of hash are enough for few places to hardly ever be equal.
    order: NDArray[Any]
    if length <= _SHORT:
        order = session_hashes32(_SHUFFLE_STREAM, length, keys, sessions)
    else:
        order = session_hashes(_SHUFFLE_STREAM, length, keys, sessions)
    places = order.dtype.type((1 << max(1, (length - 1).bit_length())) - 1)
    order &= ~places
    order |= np.arange(length, dtype=order.dtype)
    order.sort(axis=1)
    order &= places
    return order.astype(np.int64)


def _counts(
    quotas: NDArray[np.float64], keys: NDArray[np.uint64], sessions: NDArray[np.uint64]
) -> Int64:
    """Return (n_sessions, 3): the quotas rounded at random, right on average (one draw for all).

    Systematic rounding: with the same u the ends of all sources are rounded down from where they
    are plus u, so that the counts together are never more than the quotas together, rounded up.
    """
    ends = np.concatenate(([0.0], np.cumsum(quotas)))
    u = uniform(session_hashes(_COUNT_STREAM, 1, keys, sessions))
    # The small addition: 0.29 * 100 must not count as less than 29.
    rounded = np.floor(ends + u + 1e-9)
    return np.diff(rounded, axis=1).astype(np.int64)


def _subsets(
    available: Int64,
    wanted: Int64,
    most: int,
    keys: NDArray[np.uint64],
    sessions: NDArray[np.uint64],
) -> NDArray[np.int32]:
    """Return ``wanted`` different numbers below ``available``, every subset equally likely.

    R. Floyd's algorithm (J. Bentley, "Programming Pearls: a sample of brilliance", CACM 30(9),
    1987), for all sessions and sources at once: it takes one draw for each number, however many
    there are to choose from. (Draws are hashes scaled to the range, off by less than n / 2**32.)

    Returns:
        (n_sessions, 3, most) int32, -1 behind the ``wanted`` ones.
    """
    halves = session_hashes32(_SUBSET_STREAM, available.shape[1] * most, keys, sessions)
    # (most, n_sessions, 3); times the range, and shifted: uniform in the range
    hashes = halves.reshape(*available.shape, most).transpose(2, 0, 1).astype(np.uint64, order="C")
    subset = np.full(hashes.shape, -1, dtype=np.int32)
    newest = (available - wanted).astype(np.int32)  # greatest number allowed, growing by one
    for i in range(int(wanted.max(initial=0))):
        limit = (newest + 1).astype(np.uint64)
        drawn = ((hashes[i] * limit) >> np.uint64(32)).astype(np.int32)
        taken = (subset[:i] == drawn).any(axis=0)
        subset[i] = np.where(taken, newest, drawn)
        subset[i][i >= wanted] = -1
        newest += 1
    return np.ascontiguousarray(np.moveaxis(subset, 0, -1))


def _drop_repeats(candidates: NDArray[np.int32], n_tracks: int) -> None:
    """Set a number to -1 where it has stood further left in its row."""
    width = candidates.shape[1]
    bits = max(1, (width - 1).bit_length())
    dtype: Any = np.int32 if (n_tracks + 1) << bits < 2**31 else np.int64
    # Track and place in one number: sorted, the first place of each track stands first.
    sortable: NDArray[Any] = candidates.astype(dtype)
    sortable <<= bits
    sortable |= np.arange(width, dtype=dtype)
    sortable.sort(axis=1)
    track = sortable >> bits
    again = np.flatnonzero(track[:, 1:] == track[:, :-1])  # faster than np.nonzero
    row, place = np.divmod(again, width - 1)
    candidates[row, sortable[row, place + 1] & ((1 << bits) - 1)] = -1
