"""The columns of a source -> one row a track: checked, merged, and counted."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from music_env.catalogue import Catalogue, CatalogueReport, row_list
from music_env.columns import (
    Bools,
    Cells,
    Floats,
    Integers,
    Series,
    read_number,
    read_text,
    read_year,
)
from music_env.formats import CONVERTED, FEATURES, CatalogueError, Match
from music_env.labels import Labels

LINKS = ("preview_url", "artwork_url")
FLAGS = ("explicit", "mode")  # features that some write as words
FLAG_WORDS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}


@dataclass(frozen=True)
class Table:
    """The columns of a source that a catalogue takes, as they stand there."""

    source: str
    match: Match
    columns: Mapping[str, Series]
    """Canonical name -> (n_rows,) values; in a text column of a file "" is missing."""
    n_rows: int
    overlong: Bools | None = None
    """(n_rows,) rows of a CSV with more fields than its header."""
    encoding: str | None = None
    delimiter: str | None = None

    def where(self, name: str) -> str:
        """What to call a column in a message."""
        return f"{self.source}: column {self.match.columns[name]!r} ({name})"


@dataclass(frozen=True)
class _Taken:
    """The texts in some rows of a column, taken when they are first asked for."""

    column: Series
    rows: Integers

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.column.iloc[self.rows], dtype=dtype)


def build(
    table: Table, *, merge: bool = True, unusable: Mapping[str, Bools] | None = None
) -> Catalogue:
    """Check the rows of a table, merge those of the same track, and count what was done.

    Args:
        table: the columns of a source.
        merge: False keeps every usable row as a track of its own, so that ids may repeat.
        unusable: reason -> (n_rows,) more rows to drop.

    Raises:
        CatalogueError: there are no rows, or none of them is usable.
    """
    if table.n_rows == 0:
        raise CatalogueError(f"{table.source}: there are no rows, expected at least one track")
    layout = table.match.layout
    numbers, unreadable = _numbers(table)
    texts = {
        name: read_text(column, table.where(name))
        for name, column in table.columns.items()
        if name not in FEATURES and name not in CONVERTED
    }
    cells: dict[str, Cells] = {
        name: Cells.split(texts.pop(name), layout.separator)
        for name in ("artists", "genres")
        if name in texts
    }
    dropped, kept = _unusable(table, texts, cells["artists"], numbers, unreadable, unusable or {})
    if not len(kept):
        raise CatalogueError(_nothing_usable(table, dropped))

    track, track_id = _tracks(texts, cells["artists"], kept)
    if not merge:
        track, track_id = np.arange(len(kept)), np.asarray(track_id, dtype=object)[track]
    is_first = np.diff(np.maximum.accumulate(track), prepend=-1) > 0
    first = kept[is_first]  # (n_tracks,) the row that stands for each track
    later = kept[~is_first]
    texts.pop("track_id", None)
    refused = {name: ~_is_link(texts[name]) for name in LINKS if name in texts}

    def labels(name: str) -> Labels:
        if name not in cells:
            return Labels((), np.zeros(len(first) + 1, np.int64), np.zeros(0, np.int32))
        return cells[name].labels(kept, track, len(first))

    features = {name: numbers[name][first] for name in FEATURES if name in numbers}
    values: dict[str, Any] = {**texts, **numbers}
    conflicts = _conflicts(values, later, first[track[~is_first]])
    del unreadable["danceability"]  # such rows are dropped
    report = CatalogueReport(
        path=table.source,
        layout=layout.name,
        columns=table.match.columns,
        unused=table.match.unused,
        encoding=table.encoding,
        delimiter=table.delimiter,
        n_rows=table.n_rows,
        n_tracks=len(first),
        dropped=dropped,
        merged=len(later),
        duplicates=_duplicates(
            # The columns that tell most rows apart go first: fewer are left for the others.
            {name: values[name] for name in sorted(conflicts, key=lambda n: -len(conflicts[n]))},
            cells,
            kept,
            track,
        ),
        conflicts=conflicts,
        unreadable=_row_numbers(unreadable, kept),
        refused_links=_row_numbers(
            {name: bad & (texts[name] != "").to_numpy() for name, bad in refused.items()}, kept
        ),
        unknown={
            name: gaps
            for name, values in features.items()
            if (gaps := int(np.count_nonzero(np.isnan(values))))
        },
    )
    kept_texts: dict[str, Any] = {name: _Taken(column, first) for name, column in texts.items()}
    for name, bad in refused.items():
        kept_texts[name] = texts[name].iloc[first].mask(bad[first], "")
    return Catalogue(
        texts={"track_id": track_id, **kept_texts},
        artists=labels("artists"),
        genres=labels("genres"),
        features=features,
        report=report,
    )


def _numbers(table: Table) -> tuple[dict[str, Floats], dict[str, Bools]]:
    """Feature -> (n_rows,) values, NaN = missing; and where there was something unreadable."""
    values: dict[str, Floats] = {}
    unreadable: dict[str, Bools] = {}
    for name, column in table.columns.items():
        feature = CONVERTED.get(name, name)
        if feature not in FEATURES:
            continue
        if name == "release_date":
            number, bad = read_year(column, table.where(name))
        else:
            words = FLAG_WORDS if name in FLAGS else None
            number, bad = read_number(column, table.where(name), words=words)
        if name == "duration_ms":
            number /= 1000.0
        if feature != "danceability":  # where infinity is out of range, and dropped as such
            bad = bad | np.isinf(number)
            number[bad] = np.nan
        unknown = FEATURES[feature].unknown
        if unknown is not None:
            number[number == unknown] = np.nan
        values[feature], unreadable[feature] = number, bad
    return values, unreadable


def _unusable(
    table: Table,
    texts: Mapping[str, Series],
    artists: Cells,
    numbers: Mapping[str, Floats],
    unreadable: Mapping[str, Bools],
    others: Mapping[str, Bools],
) -> tuple[dict[str, tuple[int, ...]], Integers]:
    """Reason -> row numbers from 1 of the rows to drop, and the positions of the others."""
    nameless = np.ones(table.n_rows, dtype=np.bool_)
    for name in ("track_id", "title"):
        if name in texts and nameless.any():
            nameless &= _is_blank(texts[name])
    value = numbers["danceability"]
    gap = np.isnan(value)
    no_number = unreadable["danceability"]
    reasons = {
        "more fields than the header": table.overlong,
        "neither id nor title": nameless,
        "no artist": artists.is_blank | _without_text(texts, artists, table.match.layout.no_text),
        "danceability is missing": gap & ~no_number,
        "danceability is not a number": no_number,
        "danceability is outside 0..1": ~gap & ~((value >= 0.0) & (value <= 1.0)),
        **others,
    }
    dropped: dict[str, tuple[int, ...]] = {}
    usable = np.ones(table.n_rows, dtype=np.bool_)
    for reason, mask in reasons.items():
        if mask is not None and (mask & usable).any():
            dropped[reason] = tuple((np.flatnonzero(mask & usable) + 1).tolist())
            usable &= ~mask
    return dropped, np.flatnonzero(usable)


def _without_text(texts: Mapping[str, Series], artists: Cells, word: str) -> Bools:
    """(n_rows,) where the word for missing text stands for artists, title and album at once."""
    mask = np.zeros(len(artists.code), dtype=np.bool_)
    if word and "title" in texts:
        rows = artists.rows_of(word)
        for name in ("title", "album"):
            if name in texts:
                rows = rows[(texts[name].iloc[rows] == word).to_numpy(dtype=np.bool_)]
        mask[rows] = True
    return mask


def _nothing_usable(table: Table, dropped: Mapping[str, tuple[int, ...]]) -> str:
    lines = [
        f"{table.source}: none of its {table.n_rows:,} rows is usable "
        f"(layout {table.match.layout.name})"
    ]
    for reason, rows in dropped.items():
        line = f"  {reason}: {row_list(rows)}"
        if reason.startswith("danceability"):
            found = table.columns["danceability"].iloc[rows[0] - 1]
            line += (
                f"; row {rows[0]} has {str(found)!r} in column "
                f"{table.match.columns['danceability']!r}, expected a number within 0..1"
            )
        lines.append(line)
    return "\n".join(lines)


def _tracks(texts: Mapping[str, Series], artists: Cells, kept: Integers) -> tuple[Integers, Any]:
    """The track of each kept row, tracks numbered as they appear, and the tracks' ids."""
    if "track_id" in texts:
        given = texts["track_id"].iloc[kept]
        lacking = np.flatnonzero(_is_blank(given))
        if not len(lacking):
            return pd.factorize(given)
        ids = given.to_numpy(dtype=object, copy=True)
    else:
        lacking = np.arange(len(kept))
        ids = np.empty(len(kept), dtype=object)
    rows = kept[lacking]
    title, words = pd.factorize(texts["title"].iloc[rows].str.strip())
    # One hash for each different pair of title and artists, not for each row.
    pair, pairs = pd.factorize(title * len(artists.start) + artists.code[rows])
    of_title, of_cell = np.divmod(pairs, len(artists.start))
    derived = list(map(_derived_id, words[of_title].tolist(), artists.joined(of_cell)))
    ids[lacking] = np.array(derived, dtype=object)[pair]
    return pd.factorize(ids)


def _derived_id(title: str, artists: str) -> str:
    content = f"{title}\x1f{artists}".encode("utf-8", "surrogatepass")
    return f"derived:{hashlib.blake2b(content, digest_size=8).hexdigest()}"


def _is_blank(column: Series) -> Bools:
    return (column.str.strip() == "").to_numpy(dtype=np.bool_)


def _is_link(column: Series) -> Bools:
    return column.str.fullmatch(r"https?://[^\s<>\"]+", case=False).to_numpy(dtype=np.bool_)


def _conflicts(
    values: Mapping[str, Any], later: Integers, first: Integers
) -> dict[str, tuple[int, ...]]:
    """Column -> row numbers of the rows `later` that differ from those of `first`."""
    conflicts: dict[str, tuple[int, ...]] = {}
    for name, column in values.items():
        if isinstance(column, pd.Series):
            differ = column.array[later] != column.array[first]
        else:
            here, there = column[later], column[first]
            differ = (here != there) & ~(np.isnan(here) & np.isnan(there))
        rows = later[np.asarray(differ, dtype=np.bool_)]
        if len(rows):
            conflicts[name] = tuple((rows + 1).tolist())
    return conflicts


def _duplicates(
    differing: Mapping[str, Any], cells: Mapping[str, Cells], kept: Integers, track: Integers
) -> int:
    """Number of rows that repeat an earlier row of the same track.

    A column in which the rows of no track differ cannot tell them apart, so it is left out.
    """
    rows, same = kept, track
    for column in (*map(np.asarray, differing.values()), *(cell.code for cell in cells.values())):
        again = (np.bincount(same, minlength=1) > 1)[same]  # the others repeat no row
        rows, same = rows[again], same[again]
        code, different = pd.factorize(column[rows], use_na_sentinel=False)
        same, _ = pd.factorize(same * len(different) + code)
    return len(same) - int(np.count_nonzero(np.bincount(same)))


def _row_numbers(masks: Mapping[str, Bools], kept: Integers) -> dict[str, tuple[int, ...]]:
    """Name -> numbers from 1 of the kept rows in its mask, for the masks that have any."""
    found = {name: kept[mask[kept]] + 1 for name, mask in masks.items()}
    return {name: tuple(rows.tolist()) for name, rows in found.items() if len(rows)}
