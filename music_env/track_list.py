"""A list of tracks, as somebody keeps one, matched with a catalogue: ids, or titles and artists."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue, CatalogueError
from music_env.columns import read_text
from music_env.formats import LAYOUTS, Columns, Layout, Match
from music_env.labels import read_only
from music_env.naming import nearest
from music_env.reading import read_table
from music_env.track_matching import Matching, Row, cells_of, check_listed, title_of

_FIELDS = ("track_id", "title", "artists")
_LAYOUT = Layout("track list", {}, separator=None)
_NAMES: dict[str, tuple[str, ...]] = {
    name: tuple(dict.fromkeys([name, *(layout.columns.get(name, name) for layout in LAYOUTS)]))
    for name in _FIELDS
}
_NAMES["artists"] += ("artist", "Artist Name(s)")
_NAMES["title"] += ("track", "Track Name")
_NAMES["track_id"] += ("Track URI",)  # these are of Exportify, as it writes a list kept at Spotify
_KNOWN = frozenset(name for names in _NAMES.values() for name in names)
_SUGGESTED = 20  # unmatched rows for which the nearest titles are looked up: it takes time


@dataclass(frozen=True)
class Unmatched:
    """A row of which no track was found.

    Attributes:
        row: its number, from 1: data rows of a CSV file, lines of a text file, list entries.
        text: what it says.
        reason: why, with the nearest titles.
    """

    row: int
    text: str
    reason: str


@dataclass(frozen=True, eq=False)
class TrackList:
    """Tracks that were found, and rows that were not.

    Attributes:
        tracks: (n,) int64 indices into the catalogue, read-only, a row each; may repeat.
        rows: (n,) int64, read-only: the row of each.
        unmatched: the other rows.
        source: where the list is from.
    """

    tracks: NDArray[np.int64]
    rows: NDArray[np.int64]
    unmatched: tuple[Unmatched, ...]
    source: str

    def __str__(self) -> str:
        total = len(self.tracks) + len(self.unmatched)
        lines = [f"{self.source}: {len(self.tracks):,} of {total:,} rows matched"]
        lines += [f"  row {miss.row}: {miss.text!r}: {miss.reason}" for miss in self.unmatched]
        return "\n".join(lines)


def read_track_list(
    tracks: str | PathLike[str] | Sequence[str | int],
    catalogue: Catalogue,
    *,
    columns: Mapping[str, str] | None = None,
    may_be_empty: bool = False,
) -> TrackList:
    """Match a list of tracks with a catalogue.

    An id has to be exact; a link to it, or its URI, is taken as well. Titles and artists match
    however they are spelt (`music_env.titles.folded`); one of the track's artists suffices. Where
    the title is not found, it is tried without what stands behind it in brackets, or behind a dash
    where that says remaster, version, edit, mix or live. A title without an artist matches if only
    one track has it.

    Args:
        tracks: a path, or the entries themselves: ids or lines (str), or indices (int). A CSV or
            Parquet file has a column of ids or of titles (``track_id``, ``title``, ``artist``, or
            as the layouts of `music_env.formats` call them); a text file a line for each track:
            its id, or title and artist in either order, with a dash between spaces, ``by``, or a
            tab, comma or semicolon between them, or the title alone, numbered or not. So is a table
            without a header, or with one of other names: title and artist are then any two cells
            that are those of a track. Empty lines and lines that begin with ``#`` are left out.
        catalogue: the tracks.
        columns: ``track_id``, ``title`` or ``artists`` -> column of a CSV or Parquet file.
        may_be_empty: a list without entries is no error; one of which nothing is found is.

    Raises:
        CatalogueError: the file cannot be read, or nothing in it was found.
        ValueError: an index is out of range.
        TypeError: it is neither a path nor a list.
    """
    check_listed("tracks", tracks)
    matching = Matching(catalogue)
    if isinstance(tracks, str | PathLike):
        source = os.fspath(tracks)
        rows = _file_rows(source, columns)
    else:
        source = "the list"
        rows = [_entry(entry, i, catalogue) for i, entry in enumerate(tracks)]
    found, places = [], []
    missed: list[Unmatched] = []
    for number, row in enumerate(rows, start=1):
        if row is None:
            continue
        track, reason = matching.find(row)
        if track is None:
            text = row if isinstance(row, str) else ", ".join(filter(None, row))
            reason += "."
            if len(missed) < _SUGGESTED:
                reason += nearest(title_of(row), matching.titles)
            missed.append(Unmatched(number, text, reason))
        else:
            found.append(track)
            places.append(number)
    if found and missed and isinstance(tracks, str | PathLike):
        missed[0] = _told_of_header(missed[0], rows)
    result = TrackList(
        read_only(np.array(found, dtype=np.int64)),
        read_only(np.array(places, dtype=np.int64)),
        tuple(missed),
        source,
    )
    if not found and (missed or not may_be_empty):
        raise CatalogueError(
            f"{result}\nexpected at least one track of the catalogue: a line or row with its id, "
            "or its title and artist"
        )
    return result


def _told_of_header(miss: Unmatched, rows: Sequence[Row | None]) -> Unmatched:
    """Say what to do if the first line of a text file, which others follow, is a table's header."""
    first = next(number for number, row in enumerate(rows, start=1) if row is not None)
    cells = cells_of(miss.text)
    if miss.row != first or len(cells) < 2 or not isinstance(rows[first - 1], str):
        return miss
    reason = (
        f"{miss.reason} If it is the header of a table, columns={{'title': ..., 'artists': ...}} "
        f"says which of its columns these are: {', '.join(map(repr, cells))}."
    )
    return replace(miss, reason=reason)


def _entry(entry: str | int, place: int, catalogue: Catalogue) -> Row:
    if isinstance(entry, int | np.integer) and not isinstance(entry, bool):
        if not 0 <= entry < catalogue.n_tracks:
            raise ValueError(
                f"entry {place + 1} of the list of tracks must be an index from 0 to "
                f"{catalogue.n_tracks - 1}, got {entry}"
            )
        return (str(catalogue.track_id[entry]), "", "")
    return str(entry).strip()


def _file_rows(path: str, columns: Mapping[str, str] | None) -> list[Row | None]:
    """The rows of a file, None for those that are left out."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(4096)
    except OSError:
        head = b"title"  # read_table says what is wrong
    first = head.decode("utf-8-sig", "replace").strip("\r\n").splitlines()[:1] or [""]
    cells = {cell.strip(" \"'").casefold() for cell in re.split(r"[,;\t|]", first[0])}
    if head.startswith((b"PAR1", b"\x1f\x8b")) or columns or cells & _KNOWN_FOLDED:
        return list(_table_rows(path, columns or {}))
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CatalogueError(
            f"{path}: byte {error.start} is not UTF-8; save the text file as UTF-8"
        ) from error
    lines = [line.strip() for line in text.splitlines()]
    return [line if line and not line.startswith("#") else None for line in lines]


_KNOWN_FOLDED = frozenset(name.casefold() for name in _KNOWN)


def _table_rows(path: str, mapping: Mapping[str, str]) -> list[Row]:
    def find(names: Sequence[str], source: str) -> Match:
        for key, given in mapping.items():
            if key not in _FIELDS or given not in names:
                raise CatalogueError(
                    f"{source}: columns= maps {key!r} to {given!r}; expected one of "
                    f"{', '.join(_FIELDS)} to a column of the file: "
                    f"{', '.join(map(repr, names))}." + nearest(str(given), names)
                )
        taken: dict[str, str] = {}
        for name in _FIELDS:
            candidates = (mapping.get(name), *_NAMES[name])
            column = next((c for c in candidates if c is not None and c in names), None)
            if column is not None:
                taken[name] = column
        if not {"track_id", "title"} & set(taken):
            raise CatalogueError(
                f"{source}: there is neither a column of track ids nor one of titles; its columns "
                f"are {', '.join(map(repr, names))}. Say which: columns={{'title': '<its column>'}}"
            )
        return Match(_LAYOUT, taken, tuple(name for name in names if name not in taken.values()))

    known = _KNOWN.union(mapping.values())
    wanted = Columns(find, known, numbers=frozenset(), decimal="title")
    table = read_table(path, wanted)
    texts = {
        name: read_text(column, table.where(name)).str.strip().tolist()
        for name, column in table.columns.items()
    }
    empty = [""] * table.n_rows
    return list(zip(*(texts.get(name, empty) for name in _FIELDS), strict=True))
