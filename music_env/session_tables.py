"""What the scalar and the vector form of every environment share: tables, read once a process."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.listener import Scores
from music_env.order import session_orders
from music_env.outcomes import Outcomes


@dataclass(frozen=True)
class Drawn:
    """What some sessions show.

    Attributes:
        tracks: (n_sessions, session_length) int32: the track in each place; no two are the same.
        kinds: (n_sessions, session_length) integers: the kind of each, see `Outcomes`.
    """

    tracks: NDArray[np.int32]
    kinds: NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class ListenerView:
    """What a view of a step shows of a listener, see `music_env.rendering.StepView`.

    Attributes:
        catalogue: the tracks.
        session_length: tracks in a session.
        scores: of every track.
        wanted: what the listener wants for each of the score's terms, None where left open.
        liked: the range of danceability that is liked, where there is one.
        listener_text: the listener in a few words; None: what is wanted says it.
    """

    catalogue: Catalogue
    session_length: int
    scores: Scores
    wanted: Mapping[str, str | None]
    liked: tuple[float, float] | None = None
    listener_text: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class SessionTables:
    """What scalar and vector environments of any id share: built once a process, read-only.

    Pickles as the arguments it was built from, so that a pickled environment holds a path instead
    of a table (or the catalogue, where one was handed over as an object).

    Attributes:
        catalogue: the tracks.
        outcomes: of both actions, by kind of track.
        tracks: (n_shown,) int64 indices of the tracks that may be shown, None for all.
        session_length: tracks in a session.
        arguments: what `build` was called with.
    """

    catalogue: Catalogue
    outcomes: Outcomes
    tracks: NDArray[np.int64] | None
    session_length: int
    arguments: Mapping[str, Any] = field(repr=False)

    @classmethod
    def build(cls, **arguments: Any) -> Self:
        """Return the tables for the keyword arguments of the environment."""
        raise NotImplementedError

    def draw(self, keys: NDArray[np.uint64], sessions: NDArray[np.uint64]) -> Drawn:
        """Return what the sessions of these keys and numbers show, (n_sessions,) uint64 each."""
        raise NotImplementedError

    @classmethod
    def checksum_of(cls, arguments: Mapping[str, Any]) -> str:
        """Return the checksum of the data that the arguments name."""
        return load_catalogue(arguments["catalogue"]).checksum

    @property
    def checksum(self) -> str:
        """The checksum of the data these tables were built from."""
        return self.catalogue.checksum

    @property
    def n_shown(self) -> int:
        """The number of tracks that may be shown."""
        return self.catalogue.n_tracks if self.tracks is None else len(self.tracks)

    def view(self) -> ListenerView:
        """Return what a view of a step needs."""
        raise NotImplementedError

    def orders(self, keys: NDArray[np.uint64], sessions: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Return (n_sessions, session_length) int32: the tracks of a uniform order."""
        orders = session_orders(self.n_shown, self.session_length, keys, sessions)
        return orders if self.tracks is None else self.tracks[orders].astype(np.int32)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), dict(self.arguments), self.checksum)


class OverSessions:
    """What may be read of any environment here."""

    _tables: SessionTables

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue that the tracks come from."""
        return self._tables.catalogue

    @property
    def tracks(self) -> NDArray[np.int64]:
        """(n_shown,) int64: the catalogue indices of the tracks that may be shown."""
        tables = self._tables
        return np.arange(tables.catalogue.n_tracks) if tables.tracks is None else tables.tracks

    @property
    def session_length(self) -> int:
        """How many tracks a session shows."""
        return self._tables.session_length


def _rebuild(kind: type[SessionTables], arguments: dict[str, Any], checksum: str) -> SessionTables:
    found = kind.checksum_of(arguments)
    if found != checksum:
        source = arguments.get("catalogue", arguments.get("judgements")) or "(embedded)"
        raise ValueError(
            f"the catalogue {source} has changed since this "
            f"environment was pickled: expected checksum {checksum}, found {found}"
        )
    return kind.build(**arguments)


_FILES: dict[tuple[str, int, int], Catalogue] = {}
_PROVIDED: dict[str | None, Catalogue] = {}


def provide_catalogue(path: str | PathLike[str] | None, catalogue: Catalogue) -> None:
    """Let `load_catalogue` return this catalogue for a path from now on, and read no file.

    For processes that are sent a catalogue and may be on a machine without its file.

    Args:
        path: as it will be given to `load_catalogue`; None: in place of the embedded one.
        catalogue: what was read there.
    """
    _PROVIDED[None if path is None else os.path.abspath(path)] = catalogue


def load_catalogue(catalogue: Catalogue | str | PathLike[str] | None) -> Catalogue:
    """Return a catalogue as it is, the embedded one for None, or the file read once per process.

    A file whose size or time of change differs from when it was read is read again. A path that
    `provide_catalogue` was told of is not looked at.

    Raises:
        CatalogueError: if the file cannot be read as a catalogue.
    """
    if catalogue is None:
        return _PROVIDED[None] if None in _PROVIDED else Catalogue.default()
    if isinstance(catalogue, Catalogue):
        return catalogue
    if not isinstance(catalogue, str | PathLike):
        raise TypeError(
            f"catalogue must be a path or a Catalogue, got {type(catalogue).__name__} "
            "(Catalogue.from_frame makes one of a data frame)"
        )
    path = os.path.abspath(catalogue)
    if path in _PROVIDED:
        return _PROVIDED[path]
    try:
        status = os.stat(path)
    except OSError:
        return Catalogue.read(path)  # which says what is wrong
    key = (path, status.st_size, status.st_mtime_ns)
    if key not in _FILES:
        _FILES[key] = Catalogue.read(path)
    return _FILES[key]


def checked_options(
    env_id: str, options: Mapping[str, Any] | None, known: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the options of a reset as a mapping of their own.

    Raises:
        TypeError: they are no mapping.
        ValueError: there are others than the known ones.
    """
    if not isinstance(options, Mapping | None):
        such = f"a mapping such as {{{known[0]!r}: ...}}" if known else "an empty mapping"
        raise TypeError(f"the options of {env_id}'s reset must be None or {such}, got {options!r}")
    others = sorted(map(repr, set(options or ()) - set(known)))
    if others:
        has = f"the reset options {', '.join(map(repr, known))}" if known else "no reset options"
        raise ValueError(f"{env_id} has {has}, got {', '.join(others)}")
    return dict(options or {})


def checked_length(
    session_length: int, catalogue: Catalogue, tracks: NDArray[np.int64] | None
) -> int:
    """Return a session's length; ``ValueError`` where there are not as many tracks to show."""
    n_shown = catalogue.n_tracks if tracks is None else len(tracks)
    whole = isinstance(session_length, int | np.integer) and not isinstance(session_length, bool)
    if not whole or not 1 <= session_length <= n_shown:
        raise ValueError(
            f"session_length must be a whole number from 1 to {n_shown}, the number of different "
            f"tracks that can be shown, got {session_length!r}"
        )
    return int(session_length)


def checked_tracks(
    tracks: Sequence[int] | NDArray[np.int64] | None, n_tracks: int
) -> NDArray[np.int64] | None:
    """Return the argument ``tracks`` as a read-only array, None for all.

    Raises:
        ValueError: it is empty, or holds what is no index, or an index twice.
    """
    if tracks is None:
        return None
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
    # Environments of the same tracks share one array.
    return _TRACKS.setdefault(array.tobytes(), array)


_TRACKS: weakref.WeakValueDictionary[bytes, NDArray[np.int64]] = weakref.WeakValueDictionary()
