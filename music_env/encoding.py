"""Encodings: a catalogue becomes an observation space and one row a track."""

from __future__ import annotations

import functools
import hashlib
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue, Labels
from music_env.naming import nearest

MAX_DENSE_BYTES = 512 * 2**20
"""One-hot tables above this size [bytes] are not kept: their rows are built when asked for."""

MAX_ONE_HOT_COLUMNS = 20_000
_WIDE = 1_000  # columns from which `_MostlyZeros` is faster; tuned by us
MAX_CODE_COLUMNS = 32
MAX_STATES = 2**31
"""The greatest ``n_states`` or ``danceability_bins``."""

DEFAULT_HASH_STATES = 10_000
DEFAULT_DANCEABILITY_BINS = 20

# Ends of the scale on which a number becomes 0..1; what lies outside is clipped. Fixed, not taken
# from the catalogue, so that a number means the same in every catalogue. Tuned by us: about the
# first and last percentile of the catalogues in data/README.md and its tests.
SCALES: Mapping[str, tuple[float, float]] = {
    "danceability": (0, 1),
    "popularity": (0, 100),
    "rank": (0, 1_000_000),
    "duration": (0, 600),
    "explicit": (0, 1),
    "energy": (0, 1),
    "key": (0, 11),
    "loudness": (-20, 0),
    "mode": (0, 1),
    "speechiness": (0, 1),
    "acousticness": (0, 1),
    "instrumentalness": (0, 1),
    "liveness": (0, 1),
    "valence": (0, 1),
    "tempo": (50, 220),
    "time_signature": (0, 5),
    "gain": (-20, 0),
    "release_year": (1950, 2030),
}

_GENRE_SLOTS, _ARTIST_SLOTS = 4, 6

_FLOAT32 = np.dtype(np.float32)  # made once: `row` is called in every step

_Array = TypeVar("_Array", bound=NDArray[Any])


class Rows(Protocol):
    """The encoded observation of each track, all at once or one by one."""

    def __len__(self) -> int: ...

    def take(self, tracks: NDArray[np.int64]) -> NDArray[Any]:
        """Return fresh (n, ...) rows of the given tracks."""

    def row(self, track: int) -> Any:
        """Return a fresh row of one track, as the scalar environment observes it."""


@dataclass(frozen=True)
class _Table:
    """Rows kept in memory: (n_tracks, n_columns), C order, read-only."""

    table: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.table)

    def take(self, tracks: NDArray[np.int64]) -> NDArray[np.float32]:
        rows: NDArray[np.float32] = self.table.take(tracks, axis=0)
        return rows

    def row(self, track: int) -> NDArray[np.float32]:
        row: NDArray[np.float32] = self.table[track].copy()
        return row


@dataclass(frozen=True)
class _MostlyZeros(_Table):
    """A wide table of rows that are nearly all zeros.

    To fetch 11 kB of a row from main memory takes twice as long as to set its 25 numbers in zeros
    that are in the cache: so are single rows made. (Of many rows at once the table is as fast.)
    """

    @functools.cached_property
    def _n_columns(self) -> int:
        return int(self.table.shape[1])

    @functools.cached_property
    def _others(self) -> dict[int, tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """Track -> the places of its numbers that are not 0, and these; of those asked for."""
        return {}

    def row(self, track: int) -> NDArray[np.float32]:
        try:
            places, values = self._others[track]
        except KeyError:
            places = np.flatnonzero(self.table[track])
            values = self.table[track, places]
            self._others[track] = places, values
        row = np.zeros(self._n_columns, _FLOAT32)
        row[places] = values
        return row


@dataclass(frozen=True)
class _States:
    """One state number a track: (n_tracks,) int64, read-only."""

    table: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.table)

    def take(self, tracks: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.table.take(tracks)

    def row(self, track: int) -> int:
        return self.table.item(track)


@dataclass(frozen=True)
class _SparseOneHot:
    """Rows built when asked for, from numbers and the positions of the ones (CSR)."""

    numbers: NDArray[np.float32]  # (n_tracks, n_numbers)
    indptr: NDArray[np.int64]  # (n_tracks + 1,)
    columns: NDArray[np.int64]  # (n_ones,)
    n_columns: int

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, tracks: NDArray[np.int64]) -> NDArray[np.float32]:
        rows = np.zeros((len(tracks), self.n_columns), dtype=np.float32)
        rows[:, : self.numbers.shape[1]] = self.numbers[tracks]
        starts, counts = self.indptr[tracks], self.indptr[tracks + 1] - self.indptr[tracks]
        # Positions 0, 1, ... within each track's ones, all tracks behind one another.
        within = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
        ones = self.columns[np.repeat(starts, counts) + within]
        rows[np.repeat(np.arange(len(tracks)), counts), ones] = 1
        return rows

    def row(self, track: int) -> NDArray[np.float32]:
        row = np.zeros(self.n_columns, dtype=np.float32)
        row[: self.numbers.shape[1]] = self.numbers[track]
        row[self.columns[self.indptr[track] : self.indptr[track + 1]]] = 1
        return row


@dataclass(frozen=True)
class Encoded:
    """A catalogue in one encoding.

    Attributes:
        name: the encoding's name.
        options: the options it was made with (plain numbers).
        space: the observation space of one track.
        rows: a row a track.
        columns: the name of each column; empty for the Discrete encodings.
        report: what does not fit the encoding, by name: how many labels or columns.
    """

    name: str
    options: Mapping[str, int]
    space: gym.spaces.Box | gym.spaces.Discrete
    rows: Rows
    columns: tuple[str, ...] = ()
    report: Mapping[str, int] = field(default_factory=dict)

    @property
    def n_tracks(self) -> int:
        """The number of rows."""
        return len(self.rows)


def encode(
    catalogue: Catalogue, encoding: str, options: Mapping[str, int] | None = None
) -> Encoded:
    """Return the catalogue in an encoding; equal calls in a process share one table.

    Args:
        catalogue: the tracks.
        encoding: one of

            - ``"one-hot"``: ``Box(0, 1)`` float32. Numbers scaled to 0..1 (`SCALES`) and clipped, a
              column ``<name> missing`` behind each number that has gaps (the number is then 0),
              then multi-hot genres and artists.
            - ``"codes"``: ``Box`` float32 of at most 32 numbers. The numbers as above (danceability
              first), then 1 + the position in the vocabulary of up to four genres and six artists,
              0 for none. The upper bound is 1 for a number and the size of the vocabulary (made
              distinct and greater than 1) for a code, so that the space alone says which is which.
            - ``"hash"``: ``Discrete(n_states)``: the BLAKE2b hash (8 bytes, little-endian; RFC
              7693) of genres, artists and track id, modulo ``n_states``.
            - ``"profile"``: ``Discrete``: first genre x first artist x danceability bin; the
              combinations that occur in the catalogue, in sorted order.
        options: ``n_states`` for ``"hash"`` (default 10,000), ``danceability_bins`` (equal widths)
            for ``"profile"`` (default 20).

    Raises:
        ValueError: for an unknown encoding or option, or a one-hot space of over 20,000 columns.
    """
    if encoding not in _ENCODERS:
        raise ValueError(
            f"encoding must be one of {', '.join(map(repr, _ENCODERS))}, got {encoding!r}."
            + nearest(str(encoding), _ENCODERS)
        )
    encoder, defaults = _ENCODERS[encoding]
    if not isinstance(options, Mapping | None):
        raise ValueError(
            f"encoding_options must be a dictionary such as {defaults or {}}, got {options!r}"
        )
    chosen = {**defaults, **(options or {})}
    for name, value in chosen.items():
        if name not in defaults:
            raise ValueError(
                f"encoding {encoding!r} has no option {name!r}; it has {sorted(defaults) or 'none'}"
            )
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            raise ValueError(f"encoding option {name} must be a whole number >= 1, got {value!r}")
        if value > MAX_STATES:
            raise ValueError(f"encoding option {name} must be at most {MAX_STATES}, got {value}")
    cache = _CACHE.setdefault(catalogue, {})
    key = (encoding, *sorted(chosen.items()))
    if key not in cache:
        cache[key] = encoder(catalogue, **{name: int(value) for name, value in chosen.items()})
    return cache[key]


_CACHE: weakref.WeakKeyDictionary[Catalogue, dict[tuple[Any, ...], Encoded]] = (
    weakref.WeakKeyDictionary()
)


def scaled_numbers(catalogue: Catalogue) -> tuple[NDArray[np.float32], list[str]]:
    """Return the numeric features as (n_tracks, n_numbers) float32 in 0..1, and their names.

    Danceability stands first; a number with gaps is followed by its ``missing`` column.
    """
    columns: list[NDArray[np.float32]] = []
    names: list[str] = []
    for name, (low, high) in SCALES.items():
        if name not in catalogue.features:
            continue
        values = catalogue.features[name]
        missing = np.isnan(values)
        scaled = np.clip((values - low) / (high - low), 0, 1)
        columns.append(np.where(missing, 0, scaled).astype(np.float32))
        names.append(name)
        if missing.any():
            columns.append(missing.astype(np.float32))
            names.append(f"{name} missing")
    return np.stack(columns, axis=1), names


def _one_hot(catalogue: Catalogue) -> Encoded:
    numbers, names = scaled_numbers(catalogue)
    genres, artists = catalogue.genres, catalogue.artists
    first_genre = len(names)
    first_artist = first_genre + len(genres.vocabulary)
    n_columns = first_artist + len(artists.vocabulary)
    if n_columns > MAX_ONE_HOT_COLUMNS:
        raise ValueError(
            f"encoding 'one-hot' would need {n_columns} columns for this catalogue "
            f"({len(artists.vocabulary)} artists), over {MAX_ONE_HOT_COLUMNS}: use encoding 'codes'"
        )
    rows: Rows
    if catalogue.n_tracks * n_columns * 4 <= MAX_DENSE_BYTES:
        table = np.zeros((catalogue.n_tracks, n_columns), dtype=np.float32)
        table[:, :first_genre] = numbers
        for labels, first in ((genres, first_genre), (artists, first_artist)):
            table[np.repeat(np.arange(catalogue.n_tracks), labels.counts), first + labels.codes] = 1
        kind = _MostlyZeros if n_columns >= _WIDE else _Table
        rows = kind(_frozen(table))
    else:
        columns = np.insert(  # each track's artists behind its genres
            artists.codes.astype(np.int64) + first_artist,
            np.repeat(artists.indptr[:-1], genres.counts),
            genres.codes.astype(np.int64) + first_genre,
        )
        rows = _SparseOneHot(
            _frozen(np.ascontiguousarray(numbers)),
            _frozen(genres.indptr + artists.indptr),
            _frozen(columns),
            n_columns,
        )
    space = gym.spaces.Box(0, 1, (n_columns,), np.float32)
    vocabulary = (f"genre {name}" for name in genres.vocabulary)
    labels_ = (*names, *vocabulary, *(f"artist {name}" for name in artists.vocabulary))
    return Encoded("one-hot", {}, space, rows, labels_)


def _codes(catalogue: Catalogue) -> Encoded:
    numbers, names = scaled_numbers(catalogue)
    genres, artists = catalogue.genres, catalogue.artists
    genre_slots = min(_GENRE_SLOTS, int(genres.counts.max(initial=0)))
    artist_slots = min(_ARTIST_SLOTS, int(artists.counts.max(initial=0)))
    n_numbers = MAX_CODE_COLUMNS - genre_slots - artist_slots
    report = {
        "numbers left out": max(0, len(names) - n_numbers),
        "genres beyond the slots": int(np.maximum(genres.counts - genre_slots, 0).sum()),
        "artists beyond the slots": int(np.maximum(artists.counts - artist_slots, 0).sum()),
    }
    numbers, names = numbers[:, :n_numbers], names[:n_numbers]
    table = np.concatenate(
        [numbers, _slots(genres, genre_slots), _slots(artists, artist_slots)], axis=1
    )
    genre_high, artist_high = code_bounds(catalogue)
    high = [1] * len(names) + [genre_high] * genre_slots + [artist_high] * artist_slots
    space = gym.spaces.Box(
        np.zeros(len(high), dtype=np.float32), np.array(high, dtype=np.float32), dtype=np.float32
    )
    columns = (
        *names,
        *(f"genre {slot}" for slot in range(1, genre_slots + 1)),
        *(f"artist {slot}" for slot in range(1, artist_slots + 1)),
    )
    rows = _Table(_frozen(np.ascontiguousarray(table, dtype=np.float32)))
    return Encoded("codes", {}, space, rows, columns, report)


def code_bounds(catalogue: Catalogue) -> tuple[int, int]:
    """Return the upper bounds of genre and artist codes.

    They tell numbers (1) from codes (more than 1) and genres from artists (never equal).
    """
    genre_high = max(2, len(catalogue.genres.vocabulary))
    artist_high = max(2, len(catalogue.artists.vocabulary))
    return genre_high, artist_high + (artist_high == genre_high)


def _slots(labels: Labels, slots: int) -> NDArray[np.float32]:
    """Return (n_tracks, slots) float32: 1 + code of each track's first labels, 0 for none."""
    table = np.zeros((len(labels.counts), slots), dtype=np.float32)
    for slot in range(slots):
        has = labels.counts > slot
        table[has, slot] = labels.codes[labels.indptr[:-1][has] + slot] + 1
    return table


def _hash(catalogue: Catalogue, n_states: int) -> Encoded:
    def state(track: int) -> int:
        parts = (*catalogue.genres.of(track), "", *catalogue.artists.of(track), "")
        text = "\x1f".join((*parts, catalogue.track_id[track]))
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return int.from_bytes(digest, "little") % n_states

    states = np.fromiter(map(state, range(catalogue.n_tracks)), np.int64, catalogue.n_tracks)
    space = gym.spaces.Discrete(n_states)
    return Encoded("hash", {"n_states": n_states}, space, _States(_frozen(states)))


def _profile(catalogue: Catalogue, danceability_bins: int) -> Encoded:
    genre, artist = (
        labels.first.astype(np.int64) + 1 for labels in (catalogue.genres, catalogue.artists)
    )
    bins = np.minimum(
        (catalogue.danceability * danceability_bins).astype(np.int64), danceability_bins - 1
    )
    profile = (genre * (len(catalogue.artists.vocabulary) + 1) + artist) * danceability_bins + bins
    occurring, states = np.unique(profile, return_inverse=True)
    space = gym.spaces.Discrete(len(occurring))
    rows = _States(_frozen(states.astype(np.int64)))
    return Encoded("profile", {"danceability_bins": danceability_bins}, space, rows)


def _frozen(array: _Array) -> _Array:
    array.flags.writeable = False
    return array


_ENCODERS: Mapping[str, tuple[Callable[..., Encoded], Mapping[str, int]]] = {
    "one-hot": (_one_hot, {}),
    "codes": (_codes, {}),
    "hash": (_hash, {"n_states": DEFAULT_HASH_STATES}),
    "profile": (_profile, {"danceability_bins": DEFAULT_DANCEABILITY_BINS}),
}

ENCODINGS = tuple(_ENCODERS)
"""The names of the encodings; the first is the default."""
