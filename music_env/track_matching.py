"""One entry of somebody's list of tracks, matched with a catalogue: an id, or title and artist."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Collection, Iterator, Mapping
from os import PathLike

from music_env.catalogue import Catalogue
from music_env.titles import folded

Row = str | tuple[str, str, str]
"""A line of text, or (id, title, artist), "" where missing."""

WRONG_ARTIST = "no track of this title is by this artist"

# What stands between title and artist in a line of text, and behind a title.
_BETWEEN = re.compile(r"\t| [-–—|] | by ", re.IGNORECASE)  # noqa: RUF001 - dashes of all kinds
_SUFFIX = re.compile(r"\s*([(\[].*[)\]]|[-–—] .*(remaster|version|edit|mix|live).*)\s*$", re.I)  # noqa: RUF001
# https://open.spotify.com/track/ID?si=..., spotify:track:ID, https://www.deezer.com/en/track/ID
_LINK = re.compile(r"(?:https?://\S*/track/|spotify:track:)(\w+)\S*", re.IGNORECASE)
_NUMBER = re.compile(r"\d+[.)]\s+")  # before a line of a numbered list
_ARTISTS = re.compile(r"[,;&/]| (?:feat|ft|featuring|with|x)\b\.? ")  # between several, folded
_COMMA = re.compile(r"\s*[,;]\s*")
_DELIMITERS = "\t;,"
_CELLS = 12
"""Of a line of a table so many are looked at: every pair may be title and artist."""


class Matching:
    """Where a track stands, by id and by title.

    Attributes:
        catalogue: the tracks.
        titles: theirs, each once.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.titles = dict.fromkeys(catalogue.title.tolist())
        self._by_id = {track_id: i for i, track_id in enumerate(catalogue.track_id.tolist())}
        self._by_title: dict[str, list[int]] = {}
        self._by_short: dict[str, list[int]] = {}
        for i, title in enumerate(catalogue.title.tolist()):
            self._by_title.setdefault(folded(title), []).append(i)
            self._by_short.setdefault(folded(_SUFFIX.sub("", title)), []).append(i)

    def find(self, row: Row) -> tuple[int | None, str]:
        """Return the track of a row and "", or None and why there is none."""
        if isinstance(row, str):
            return self._find_line(row)
        text, title, artist = row
        track = self._find_id(text)
        if track is not None:
            return track, ""
        if not title:
            return None, "no track has this id" if text else "there is nothing"
        return self._find_title(title, artist)

    def _find_id(self, text: str) -> int | None:
        """The track of an id, or of a link to it."""
        if text in self._by_id:
            return self._by_id[text]
        link = _LINK.fullmatch(text)
        return self._by_id.get(link[1]) if link else None

    def _find_line(self, line: str) -> tuple[int | None, str]:
        for text in (line, *cells_of(line)[:_CELLS]):
            track = self._find_id(text)
            if track is not None:
                return track, ""
        number = _NUMBER.match(line)
        texts = [line, line[number.end() :]] if number else [line]
        reasons = []
        for title, artist in itertools.chain.from_iterable(map(_readings, texts)):
            track, reason = self._find_title(title, artist)
            if track is not None:
                return track, ""
            reasons.append(reason)
        return None, WRONG_ARTIST if WRONG_ARTIST in reasons else reasons[-1]

    def _find_title(self, title: str, artist: str) -> tuple[int | None, str]:
        wanted = folded(artist)
        for candidates in (
            self._by_title.get(folded(title), ()),
            self._by_short.get(folded(_SUFFIX.sub("", title)), ()),
        ):
            if wanted:
                candidates = self._by(wanted, candidates)
            if len(candidates) == 1 or (candidates and wanted):
                return candidates[0], ""
            if candidates:
                names = ", ".join(
                    repr(" & ".join(self.catalogue.artists.of(i))) for i in candidates[:5]
                )
                return None, f"{len(candidates)} tracks have this title, by {names}: add the artist"
        if wanted and folded(title) in self._by_title:
            return None, WRONG_ARTIST
        return None, "no track has this title"

    def _by(self, wanted: str, tracks: list[int] | tuple[()]) -> list[int]:
        """The tracks by an artist, or else those by any of the artists that a text names."""
        names = {i: {folded(name) for name in self.catalogue.artists.of(i)} for i in tracks}
        whole = [i for i in tracks if wanted in names[i]]
        several = {part.strip() for part in _ARTISTS.split(wanted)}
        return whole or [i for i in tracks if several & names[i]]


def check_listed(what: str, tracks: object) -> None:
    """Raise ``TypeError`` for what is neither a path nor a list of tracks."""
    listed = isinstance(tracks, str | PathLike | Collection)
    if not listed or isinstance(tracks, bytes | Mapping):
        raise TypeError(
            f"{what} must be a path, or a list of tracks (ids, lines or indices), got {tracks!r}"
        )


def title_of(row: Row) -> str:
    """Return what is most likely the title of a row."""
    return _BETWEEN.split(row)[0] if isinstance(row, str) else row[1] or row[0]


def cells_of(line: str) -> list[str]:
    """Return the cells of a line of a table, [] for a line of none.

    The delimiter is the first of tab, semicolon and comma that is there.
    """
    delimiter = next((mark for mark in _DELIMITERS if mark in line), None)
    if delimiter is None:
        return []
    try:
        cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
    except csv.Error:  # a cell of more than a hundred thousand characters
        return []
    return [cell.strip() for cell in cells if cell.strip()]


def _readings(line: str) -> Iterator[tuple[str, str]]:
    """Yield what title and artist of a line may be; the artist is "" where it has none."""
    yield from itertools.permutations(cells_of(line)[:_CELLS], 2)
    # A comma last: titles and names have some, and a text then need not be quoted.
    for gaps in (_BETWEEN, _COMMA):
        for gap in gaps.finditer(line):
            before, after = line[: gap.start()], line[gap.end() :]
            yield before, after
            yield after, before
    yield line.strip('"'), ""
