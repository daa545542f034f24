"""Several labels a track, such as its artists or genres."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from music_env.naming import nearest

_OPEN = -2  # a code that stands in no table, not even for "no label", which is -1


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """The same array, which cannot be written to any more."""
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class Labels:
    """Several labels a track, such as its artists, as compressed sparse rows."""

    vocabulary: tuple[str, ...]
    """All labels, sorted by code point; each is a label of some track."""
    indptr: NDArray[np.int64]
    """(n_tracks + 1,) read-only: the labels of track t are `codes[indptr[t]:indptr[t + 1]]`."""
    codes: NDArray[np.int32]
    """(n_labels,) into `vocabulary`, read-only: a track's in the order of the file, none twice."""

    def __post_init__(self) -> None:
        for array in (self.indptr, self.codes):
            array.flags.writeable = False

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickle forgets that an array is read-only.
        return Labels, (self.vocabulary, self.indptr, self.codes)

    def of(self, track: int) -> tuple[str, ...]:
        """The labels of a track, in the order of the file.

        Raises:
            IndexError: there is no such track.
        """
        row = range(len(self.indptr) - 1)[track]
        codes = self.codes[self.indptr[row] : self.indptr[row + 1]]
        return tuple(self.vocabulary[code] for code in codes)

    def code(self, label: str, *, kind: str = "label") -> int:
        """The position of a label in `vocabulary`; ``kind`` is what the message calls it.

        Raises:
            ValueError: no track has this label; the message names the nearest labels.
        """
        code = self._code_of.get(label) if isinstance(label, str) else None
        if code is None:
            raise ValueError(
                f"no track has the {kind} {label!r}; expected one of {len(self.vocabulary):,} "
                f"{kind}s, as they are written in the catalogue."
                + nearest(str(label), self._code_of)
            )
        return code

    def has(self, label: str, *, kind: str = "label") -> NDArray[np.bool_]:
        """(n_tracks,) bool: which tracks have this label; ``kind`` is what a message calls it.

        Raises:
            ValueError: no track has this label; the message names the nearest labels.
        """
        places = np.flatnonzero(self.codes == self.code(label, kind=kind))
        mask = np.zeros(len(self.indptr) - 1, dtype=np.bool_)
        mask[np.searchsorted(self.indptr, places, side="right") - 1] = True
        return mask

    def pairs(self, tracks: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All pairs of one of some tracks and one of its labels.

        Args:
            tracks: (n,) indices.

        Returns:
            (n_pairs,) int64 positions in ``tracks``, ascending, and (n_pairs,) int64 codes.
        """
        counts = self.counts[tracks]
        row = np.repeat(np.arange(len(tracks)), counts)
        place = np.arange(len(row)) - np.repeat(counts.cumsum() - counts, counts)
        return row, self.codes[self.indptr[tracks][row] + place].astype(np.int64)

    def held(self, tracks: NDArray[np.integer], codes: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Whether a track has a label, for many pairs of track and label at once.

        Exact for any number of labels a track: one gather compares the first two of each, then the
        third ones are compared of those that have any, and so on.

        Args:
            tracks: (...) indices of tracks.
            codes: of the same shape, or one that broadcasts to it, into `vocabulary`; -1 is a
                label that no track has.

        Returns:
            (...) bool.
        """
        tracks = np.asarray(tracks, dtype=np.intp)
        # As they stand in the table: no track has the label of -1, also where it has no second.
        wanted = np.where(np.asarray(codes) < 0, _OPEN, codes).astype(np.int32)
        two = self._first_two.take(tracks).view(np.int32).reshape(*tracks.shape, 2)
        held = np.asarray(two[..., 0] == wanted)
        held |= two[..., 1] == wanted
        more = np.flatnonzero(self._has_more.take(tracks))
        track = tracks.reshape(-1)[more]
        wanted = np.broadcast_to(wanted, held.shape).reshape(-1)[more]
        flat = held.reshape(-1)  # a view
        place = 2
        while more.size:
            flat[more] |= self.codes[self.indptr[track] + place] == wanted
            place += 1
            left = self.counts[track] > place
            more, track, wanted = more[left], track[left], wanted[left]
        return held

    @functools.cached_property
    def _first_two(self) -> NDArray[np.int64]:
        """(n_tracks,) the first two labels of each track, two int32 in the bytes of one int64."""
        table = np.full((len(self.counts), 2), -1, dtype=np.int32)
        for place in (0, 1):
            some = self.counts > place
            table[some, place] = self.codes[self.indptr[:-1][some] + place]
        return read_only(table.view(np.int64).reshape(-1))

    @functools.cached_property
    def _has_more(self) -> NDArray[np.bool_]:
        return read_only(self.counts > 2)

    @functools.cached_property
    def tracks_of(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The tracks of each label: those of code c are ``tracks[start[c]:start[c + 1]]``.

        Returns:
            (len(vocabulary) + 1,) int64 ``start`` and (n_labels,) int64 ``tracks``, read-only;
            the tracks of a label ascend.
        """
        order = np.argsort(self.codes, kind="stable")
        owner = np.repeat(np.arange(len(self.counts)), self.counts)
        start = np.concatenate(([0], np.cumsum(self.frequency)))
        return read_only(start), read_only(owner[order])

    @functools.cached_property
    def first(self) -> NDArray[np.int32]:
        """(n_tracks,) int32: code of each track's first label, -1 where it has none."""
        first = np.full(len(self.indptr) - 1, -1, dtype=np.int32)
        some = self.counts > 0
        first[some] = self.codes[self.indptr[:-1][some]]
        return read_only(first)

    @functools.cached_property
    def counts(self) -> NDArray[np.int64]:
        """(n_tracks,) int64: labels of each track."""
        return read_only(np.diff(self.indptr))

    @functools.cached_property
    def frequency(self) -> NDArray[np.int64]:
        """(len(vocabulary),) int64: tracks of each label."""
        return read_only(np.bincount(self.codes, minlength=len(self.vocabulary)))

    @functools.cached_property
    def _code_of(self) -> dict[str, int]:
        return {label: code for code, label in enumerate(self.vocabulary)}
