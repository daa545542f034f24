"""A list of tracks, as somebody keeps one, matched with a catalogue: ids, or titles and artists."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

_FIELDS = ("track_id", "title", "artists")
_LAYOUT = Layout("track list", {}, separator=None)
_NAMES: dict[str, tuple[str, ...]] = {
    name: tuple(dict.fromkeys([name, *(layout.columns.get(name, name) for layout in LAYOUTS)]))
    for name in _FIELDS
}
_NAMES["artists"] += ("artist",)
_KNOWN = frozenset(name for names in _NAMES.values() for name in names)
# What stands between title and artist in a line of text, and behind a title.
_BETWEEN = re.compile(r"\t| [-–—|] | by ", re.IGNORECASE)  # noqa: RUF001 - dashes of all kinds
_SUFFIX = re.compile(r"\s*([(\[].*[)\]]|[-–—] .*(remaster|version|edit|mix|live).*)\s*$", re.I)  # noqa: RUF001
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
) -> TrackList:
    """Match a list of tracks with a catalogue.

    An id has to be exact. Titles and artists match whatever their case and spaces; one of the
    track's artists suffices. Where the title is not found, it is tried without what stands behind
    it in brackets, or behind a dash where that says remaster, version, edit, mix or live. A title
    without an artist matches if only one track has it.

    Args:
        tracks: a path, or the entries themselves: ids or lines (str), or indices (int). A CSV or
            Parquet file has a column of ids or of titles (``track_id``, ``title``, ``artist``, or
            as the layouts of `music_env.formats` call them); a text file a line for each track:
            its id, or title and artist in either order, with a tab, a dash between spaces or
            ``by`` between them, or the title alone. Empty lines and lines that begin with ``#``
            are left out.
        catalogue: the tracks.
        columns: ``track_id``, ``title`` or ``artists`` -> column of a CSV or Parquet file.

    Raises:
        CatalogueError: the file cannot be read, or nothing in it was found.
        ValueError: an index is out of range.
    """
    index = _Index(catalogue)
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
        track, reason = index.find(row)
        if track is None:
            text = row if isinstance(row, str) else ", ".join(filter(None, row))
            reason += "."
            if len(missed) < _SUGGESTED:
                reason += nearest(_title(row), index.titles)
            missed.append(Unmatched(number, text, reason))
        else:
            found.append(track)
            places.append(number)
    result = TrackList(
        read_only(np.array(found, dtype=np.int64)),
        read_only(np.array(places, dtype=np.int64)),
        tuple(missed),
        source,
    )
    if not found:
        lines = [row for row in rows if isinstance(row, str)]
        raise CatalogueError(
            f"{result}\nexpected at least one track of the catalogue: a line or row with its id, "
            "or its title and artist" + (_table_hint(lines) if lines else "")
        )
    return result


def _table_hint(lines: Sequence[str]) -> str:
    """Return what to do if lines of text are rows of a table whose header says nothing to us."""
    delimiter = next((mark for mark in ",;" if all(mark in line for line in lines)), None)
    if delimiter is None:
        return ""
    cells = [cell.strip(" \"'") for cell in lines[0].split(delimiter)]
    named = [f"'{name}': {cell!r}" for name, cell in zip(_FIELDS[1:], cells, strict=False)]
    return (
        f". Every line holds {delimiter!r}: if it is a table with a header, say which of its "
        f"columns are titles and artists, such as columns={{{', '.join(named)}}}"
    )


_WRONG_ARTIST = "no track of this title is by this artist"

# A row: a line of text, or (id, title, artist), "" where missing.
_Row = str | tuple[str, str, str]


def _entry(entry: str | int, place: int, catalogue: Catalogue) -> _Row:
    if isinstance(entry, int | np.integer) and not isinstance(entry, bool):
        if not 0 <= entry < catalogue.n_tracks:
            raise ValueError(
                f"entry {place + 1} of the list of tracks must be an index from 0 to "
                f"{catalogue.n_tracks - 1}, got {entry}"
            )
        return (str(catalogue.track_id[entry]), "", "")
    return str(entry).strip()


def _file_rows(path: str, columns: Mapping[str, str] | None) -> list[_Row | None]:
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


def _table_rows(path: str, mapping: Mapping[str, str]) -> list[_Row]:
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


class _Index:
    """Where a track stands, by id and by title."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.by_id = {track_id: i for i, track_id in enumerate(catalogue.track_id.tolist())}
        self.by_title: dict[str, list[int]] = {}
        self.by_short: dict[str, list[int]] = {}
        self.titles = dict.fromkeys(catalogue.title.tolist())
        for i, title in enumerate(catalogue.title.tolist()):
            self.by_title.setdefault(_folded(title), []).append(i)
            self.by_short.setdefault(_folded(_SUFFIX.sub("", title)), []).append(i)

    def find(self, row: _Row) -> tuple[int | None, str]:
        """The track of a row, or None and why there is none."""
        if isinstance(row, str):
            return self._find_line(row)
        track_id, title, artist = row
        if track_id in self.by_id:
            return self.by_id[track_id], ""
        if not title:
            return None, "no track has this id" if track_id else "there is nothing"
        return self._find_title(title, artist)

    def _find_line(self, line: str) -> tuple[int | None, str]:
        if line in self.by_id:
            return self.by_id[line], ""
        reasons = []
        for gap in _BETWEEN.finditer(line):
            before, after = line[: gap.start()], line[gap.end() :]
            for title, artist in ((before, after), (after, before)):
                track, reason = self._find_title(title, artist)
                if track is not None:
                    return track, ""
                reasons.append(reason)
        track, reason = self._find_title(line, "")
        return track, _WRONG_ARTIST if _WRONG_ARTIST in reasons else reason

    def _find_title(self, title: str, artist: str) -> tuple[int | None, str]:
        wanted = _folded(artist)
        for candidates in (
            self.by_title.get(_folded(title), ()),
            self.by_short.get(_folded(_SUFFIX.sub("", title)), ()),
        ):
            if wanted:
                candidates = [i for i in candidates if wanted in self._artists(i)]
            if len(candidates) == 1 or (candidates and wanted):
                return candidates[0], ""
            if candidates:
                names = ", ".join(
                    repr(" & ".join(self.catalogue.artists.of(i))) for i in candidates[:5]
                )
                return None, f"{len(candidates)} tracks have this title, by {names}: add the artist"
        if wanted and _folded(title) in self.by_title:
            return None, _WRONG_ARTIST
        return None, "no track has this title"

    def _artists(self, track: int) -> set[str]:
        names = [_folded(name) for name in self.catalogue.artists.of(track)]
        return {*names, ", ".join(names), " & ".join(names), ";".join(names)}


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _title(row: _Row) -> str:
    """What is most likely the title of a row."""
    return _BETWEEN.split(row)[0] if isinstance(row, str) else row[1] or row[0]
