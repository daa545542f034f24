"""Rows of a file of listeners: those who can be served, and what is wrong with the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cluster.errors import BatchError
from music_env.catalogue import Catalogue
from music_env.listeners import OPEN, Listeners
from music_env.population_file import POPULATION_COLUMNS

LISTENER_ID = "listener_id"
"""Whom a row is about, text or a whole number; the other columns are `POPULATION_COLUMNS`."""

COLUMNS = (LISTENER_ID, *POPULATION_COLUMNS)
"""The columns that are read, others are ignored. A null, an empty text or NaN leaves a term open;
of the range one end may be given, the other is then 0 or 1."""

BAD_ROWS = pa.schema(
    [
        ("file", pa.string()),
        ("row", pa.int64()),
        (LISTENER_ID, pa.string()),
        ("reason", pa.string()),
    ]
)
"""Of a row that is no listener: the file's name, the row in it (data rows from 1), the id as text,
what is wrong."""

_NAMES, _ENDS = ("artist", "genre"), ("danceability_low", "danceability_high")
_Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class CheckedRows:
    """What became of some rows.

    Attributes:
        listeners: (n_good,) who can be served.
        good: (n_good,) int64: their rows, ascending.
        bad: row -> what is wrong with it, of all other rows.
    """

    listeners: Listeners
    good: NDArray[np.int64]
    bad: dict[int, str]


def check_schema(schema: pa.Schema, source: str) -> None:
    """Make sure that a file has the columns, each once and of a usable type.

    Raises:
        BatchError: if not; the message names file and column.
    """
    for name in COLUMNS:
        count = schema.names.count(name)
        if count != 1:
            raise BatchError(
                f"{source}: the column {name!r} is there {count} times, expected once; a file of "
                f"listeners has {', '.join(COLUMNS)} (nulls leave a term open), this one has "
                f"{', '.join(map(repr, schema.names))}"
            )
        kind = schema.field(name).type
        usable = _is_text(kind) or pa.types.is_null(kind)
        if name == LISTENER_ID:
            usable = _is_text(kind) or pa.types.is_integer(kind)
        elif name in _ENDS:
            usable = usable or _is_number(kind)
        if not usable:
            expected = "text" if name in _NAMES else "text or numbers"
            raise BatchError(
                f"{source}: the column {name!r} holds {kind}, expected {expected}: write the file "
                "with that type"
            )


def check_rows(table: pa.Table, catalogue: Catalogue, repeated: dict[int, str]) -> CheckedRows:
    """Tell the listeners of some rows from the rows that are none.

    Who leaves all three terms open is a listener too, unlike in a population: there is nothing to
    learn from them, but something to recommend to them.

    Args:
        table: with the columns `COLUMNS`.
        catalogue: whose artists and genres can be preferred.
        repeated: row of the table -> what is wrong, where its id stands in an earlier row.
    """
    nameless, no_id = _nameless(table[LISTENER_ID])
    artist, no_artist = _codes(table["artist"], catalogue.artists.vocabulary)
    genre, no_genre = _codes(table["genre"], catalogue.genres.vocabulary)
    low, no_low = _end(table[_ENDS[0]])
    high, no_high = _end(table[_ENDS[1]])
    any_danceability = np.isnan(low) & np.isnan(high)
    low, high = np.where(np.isnan(low), 0.0, low), np.where(np.isnan(high), 1.0, high)
    is_bad = nameless | no_id | no_artist | no_genre | no_low | no_high | (low > high)
    is_bad[list(repeated)] = True

    bad: dict[int, str] = {}
    for row in np.flatnonzero(is_bad).tolist():
        cells = {name: cell(table[name], row) for name in COLUMNS}
        undecodable = [name for name in COLUMNS if isinstance(cells[name], bytes)]
        if undecodable:
            bad[row] = f"{undecodable[0]}: {cells[undecodable[0]]!r} is no UTF-8 text"
        elif nameless[row]:
            bad[row] = f"{LISTENER_ID} is empty"
        elif row in repeated:
            bad[row] = repeated[row]
        elif no_artist[row]:
            bad[row] = f"artist: {cells['artist']!r} is no artist of the catalogue"
        elif no_genre[row]:
            bad[row] = f"genre: {cells['genre']!r} is no genre of the catalogue"
        elif no_low[row] or no_high[row]:
            name = _ENDS[0] if no_low[row] else _ENDS[1]
            bad[row] = f"{name}: {cells[name]!r} is no number within 0..1"
        else:
            bad[row] = f"{_ENDS[0]} {low[row]:g} is more than {_ENDS[1]} {high[row]:g}"
    good = np.flatnonzero(~is_bad)
    everyone = Listeners(artist, genre, low, high, any_danceability)
    return CheckedRows(everyone.take(good), good, bad)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def as_bytes(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return a column of text as the bytes that it is stored as, UTF-8 or not."""
    plain = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_dictionary(plain.type):
        plain = plain.dictionary_decode()
    return plain.cast(pa.large_binary())


def cell(column: pa.ChunkedArray | pa.Array, row: int) -> Any:
    """Return a value of a column; of a text that is not UTF-8, its bytes."""
    try:
        return column[row].as_py()
    except UnicodeDecodeError:
        return as_bytes(column.slice(row, 1))[0].as_py()


def _text(column: pa.ChunkedArray) -> tuple[pa.Array, _Mask]:
    """Return (n,) texts without spaces at the ends, and where one is not UTF-8: null there.

    Arrow and Parquet hold whatever bytes they are given; most of Arrow's functions refuse a whole
    column for one text that is none, and some do not look.
    """
    undecodable: _Mask = np.zeros(len(column), dtype=np.bool_)
    try:
        column.validate(full=True)
        plain = column.cast(pa.large_string()).combine_chunks()
    except pa.ArrowInvalid:
        texts: list[str | None] = []
        for row, value in enumerate(as_bytes(column).to_pylist()):
            try:
                texts.append(None if value is None else value.decode("utf-8"))
            except UnicodeDecodeError:
                undecodable[row] = True
                texts.append(None)
        plain = pa.array(texts, pa.large_string())
    return pc.utf8_trim_whitespace(plain), undecodable


def _nameless(ids: pa.ChunkedArray) -> tuple[_Mask, _Mask]:
    """Return where ids are empty, and where they are no text."""
    if pa.types.is_integer(ids.type):
        return ids.is_null().to_numpy(), np.zeros(len(ids), dtype=np.bool_)
    text, undecodable = _text(ids)
    return (np.asarray(pc.utf8_length(text).fill_null(0)) == 0) & ~undecodable, undecodable


def _codes(column: pa.ChunkedArray, vocabulary: tuple[str, ...]) -> tuple[NDArray[np.int64], _Mask]:
    """Return (n,) places in the vocabulary, `OPEN` where empty, and where there is no such name."""
    text, undecodable = _text(column)
    found = pc.index_in(text, value_set=pa.array(vocabulary, pa.large_string()))
    codes = np.asarray(found.cast(pa.int64()).fill_null(OPEN))
    given = np.asarray(pc.utf8_length(text).fill_null(0)) > 0
    return np.where(given, codes, OPEN), (given & (codes == OPEN)) | undecodable


def _end(column: pa.ChunkedArray) -> tuple[NDArray[np.float64], _Mask]:
    """Return (n,) ends of ranges, NaN where empty, and where there is no number within 0..1."""
    undecodable: _Mask | bool = False
    if _is_text(column.type):
        texts, undecodable = _text(column)
        text: Any = texts.to_pandas()
        given = (text.notna() & (text != "")).to_numpy(dtype=np.bool_)
        values = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
    else:
        # Not "safe": that refuses whole numbers which a float rounds, none of them within 0..1.
        numbers = column.cast(pa.float64(), safe=False).combine_chunks()
        values = np.asarray(numbers.fill_null(np.nan))
        given = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        fits = (values >= 0) & (values <= 1)
    return np.where(fits, values, np.nan), (given & ~fits) | undecodable
