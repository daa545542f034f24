"""What the scalar and the vector environment share: the tables behind the arguments of `make`."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.encoding import Encoded, encode
from music_env.listener import Preference, Scores, default_preference, score_tracks
from music_env.order import session_orders


@dataclass(frozen=True)
class Tables:
    """A catalogue, its encoded rows and a listener's scores; built once a process and shared.

    Pickles as the arguments it was built from, so that a pickled environment holds a path instead
    of a table (or the catalogue, where one was handed over as an object).

    Attributes:
        catalogue: the tracks.
        preference: the listener's.
        encoded: observation space and rows.
        scores: of every track of the catalogue.
        tracks: (n_shown,) int64 indices of the tracks that may be shown, None for all.
        session_length: tracks in a session.
        arguments: what `build` was called with.
    """

    catalogue: Catalogue
    preference: Preference
    encoded: Encoded
    scores: Scores
    tracks: NDArray[np.int64] | None
    session_length: int
    arguments: Mapping[str, Any] = field(repr=False)

    @classmethod
    def build(cls, **arguments: Any) -> Tables:
        """Return the tables for the keyword arguments of `MusicRecEnv`."""
        return _build(**arguments)

    @property
    def n_shown(self) -> int:
        """The number of tracks that may be shown."""
        return self.catalogue.n_tracks if self.tracks is None else len(self.tracks)

    def orders(self, keys: NDArray[np.uint64], sessions: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Return (n_sessions, session_length) int32: the tracks that each session shows."""
        orders = session_orders(self.n_shown, self.session_length, keys, sessions)
        return orders if self.tracks is None else self.tracks[orders].astype(np.int32)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (dict(self.arguments), self.catalogue.checksum)


class OverTables:
    """What the oracle, metrics and plots may read of an environment over `Tables`."""

    _tables: Tables

    @property
    def tables(self) -> Tables:
        """All of it in one."""
        return self._tables

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue that the tracks come from."""
        return self._tables.catalogue

    @property
    def preference(self) -> Preference:
        """The listener's preference."""
        return self._tables.preference

    @property
    def encoded(self) -> Encoded:
        """The catalogue's encoding: the observation space, and a row for every track."""
        return self._tables.encoded

    @property
    def scores(self) -> NDArray[np.float64]:
        """(n_tracks,) float64, read-only: the reward for *like* of every track of the catalogue."""
        return self._tables.scores.total

    @property
    def tracks(self) -> NDArray[np.int64]:
        """(n_shown,) int64: the catalogue indices of the tracks that may be shown."""
        tables = self._tables
        return np.arange(tables.catalogue.n_tracks) if tables.tracks is None else tables.tracks

    @property
    def session_length(self) -> int:
        """How many tracks a session shows."""
        return self._tables.session_length


def _build(
    *,
    catalogue: Catalogue | str | PathLike[str] | None,
    artist: str | None,
    genre: str | None,
    danceability: tuple[float, float] | None,
    weights: Sequence[float],
    encoding: str,
    encoding_options: Mapping[str, int] | None,
    tracks: Sequence[int] | NDArray[np.int64] | None,
    session_length: int,
) -> Tables:
    arguments = {name: value for name, value in locals().items()}
    loaded = load_catalogue(catalogue)
    if artist is None and genre is None and danceability is None:
        preference = default_preference(loaded)
    else:
        preference = Preference(artist, genre, danceability)
    shown = None if tracks is None else _checked_tracks(tracks, loaded.n_tracks)
    n_shown = loaded.n_tracks if shown is None else len(shown)
    whole = isinstance(session_length, int | np.integer) and not isinstance(session_length, bool)
    if not whole or not 1 <= session_length <= n_shown:
        raise ValueError(
            f"session_length must be a whole number from 1 to {n_shown}, the number of different "
            f"tracks that can be shown, got {session_length!r}"
        )
    return Tables(
        catalogue=loaded,
        preference=preference,
        encoded=encode(loaded, encoding, encoding_options),
        scores=_shared_scores(loaded, preference, tuple(weights)),
        tracks=shown,
        session_length=int(session_length),
        arguments=arguments,
    )


def _rebuild(arguments: dict[str, Any], checksum: str) -> Tables:
    catalogue = load_catalogue(arguments["catalogue"])
    if catalogue.checksum != checksum:
        raise ValueError(
            f"the catalogue {arguments['catalogue'] or '(embedded)'} has changed since this "
            f"environment was pickled: expected checksum {checksum}, found {catalogue.checksum}"
        )
    return _build(**arguments)


_FILES: dict[tuple[str, int, int], Catalogue] = {}


def load_catalogue(catalogue: Catalogue | str | PathLike[str] | None) -> Catalogue:
    """Return a catalogue as it is, the embedded one for None, or the file read once per process.

    A file whose size or time of change differs from when it was read is read again.

    Raises:
        CatalogueError: if the file cannot be read as a catalogue.
    """
    if catalogue is None:
        return Catalogue.default()
    if isinstance(catalogue, Catalogue):
        return catalogue
    if not isinstance(catalogue, str | PathLike):
        raise TypeError(
            f"catalogue must be a path or a Catalogue, got {type(catalogue).__name__} "
            "(Catalogue.from_frame makes one of a data frame)"
        )
    path = os.path.abspath(catalogue)
    try:
        status = os.stat(path)
    except OSError:
        return Catalogue.read(path)  # which says what is wrong
    key = (path, status.st_size, status.st_mtime_ns)
    if key not in _FILES:
        _FILES[key] = Catalogue.read(path)
    return _FILES[key]


_SCORES: weakref.WeakKeyDictionary[Catalogue, dict[Any, Scores]] = weakref.WeakKeyDictionary()
_SCORES_KEPT = 16  # listeners a catalogue; a population of listeners must not fill the memory


def _shared_scores(
    catalogue: Catalogue, preference: Preference, weights: tuple[float, ...]
) -> Scores:
    kept = _SCORES.setdefault(catalogue, {})
    key = (preference, weights)
    if key not in kept:
        scores = score_tracks(catalogue, preference, weights)
        while len(kept) >= _SCORES_KEPT:
            kept.pop(next(iter(kept)))
        kept[key] = scores
    return kept[key]


def _checked_tracks(tracks: Sequence[int] | NDArray[np.int64], n_tracks: int) -> NDArray[np.int64]:
    array = np.array(tracks)
    if array.ndim != 1 or array.size == 0 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            "tracks must be a non-empty sequence of whole numbers, got "
            f"{type(tracks).__name__} of shape {array.shape} and dtype {array.dtype}"
        )
    outside = array[(array < 0) | (array >= n_tracks)]
    if outside.size:
        raise ValueError(f"tracks must be indices from 0 to {n_tracks - 1}, got {int(outside[0])}")
    values, counts = np.unique(array, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"tracks must all be different, got {int(values[counts > 1][0])} twice")
    array = array.astype(np.int64)
    array.flags.writeable = False
    return array
