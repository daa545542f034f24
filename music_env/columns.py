"""One column of a file or frame -> text, numbers with NaN for gaps, or the names in each cell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from music_env.formats import NO_NUMBER, CatalogueError
from music_env.labels import Labels

Series: TypeAlias = "pd.Series[Any]"
Bools: TypeAlias = NDArray[np.bool_]
Integers: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Numbers: TypeAlias = tuple[Floats, Bools]


def read_text(column: Series, where: str) -> Series:
    """(n_rows,) str, "" where missing; whole numbers are written as such (an id 12.0 is "12").

    Raises:
        CatalogueError: a cell is a list or another collection; `where` names the column.
    """
    if isinstance(column.dtype, pd.StringDtype):
        return column.fillna("") if column.hasnans else column
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iu":
        return column.astype(str)
    column = column.astype(object)
    if pd.api.types.infer_dtype(column, skipna=False) == "string":
        return column
    lists = column[column.map(pd.api.types.is_list_like)]
    if len(lists):
        raise CatalogueError(
            f"{where} holds {lists.iloc[0]!r}, expected text; "
            "several names in one cell are joined with ';'"
        )
    return column.map(_word)


def _word(value: Any) -> str:
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return ""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def read_number(column: Series, where: str, *, words: Mapping[str, float] | None = None) -> Numbers:
    """(n_rows,) float64, NaN where missing or unreadable; and where it is unreadable.

    Args:
        column: numbers, or text that holds numbers.
        where: names the column, for messages.
        words: what words stand for, in lower case; truth values count as words.

    Raises:
        CatalogueError: a cell is a list or another collection.
    """
    dtype = column.dtype
    if pd.api.types.is_numeric_dtype(dtype) and dtype.kind in "iuf":
        values = column.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
        return values, np.zeros(len(column), dtype=np.bool_)
    try:
        code, different = pd.factorize(column.astype(object))
    except TypeError as error:  # not hashable
        raise CatalogueError(f"{where} holds lists or the like, expected numbers") from error
    parsed = [_parse(value, words or {}) for value in different]
    # Code -1 is a gap: it takes the last place.
    values = np.array([np.nan if value is None else value for value in parsed] + [np.nan])
    unreadable = np.array([value is None for value in parsed] + [False])
    return values[code], unreadable[code]


def _parse(value: Any, words: Mapping[str, float]) -> float | None:
    """The number that a value stands for, NaN for a gap, None if it is no number."""
    if isinstance(value, bool | np.bool_):
        value = str(value)
    if isinstance(value, str):
        value = value.strip()
        if value in NO_NUMBER:
            return float("nan")
        if value.casefold() in words:
            return words[value.casefold()]
        if "_" in value:  # Python's own digit grouping, in no other language a number
            return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def read_year(column: Series, where: str) -> Numbers:
    """The year that a date begins with: YYYY, YYYY-MM or YYYY-MM-DD; result as `read_number`."""
    date_of, dates = pd.factorize(read_text(column, where))
    start_of, starts = pd.factorize(dates.str[:5])  # a year, and what parts it from the month
    year = np.full(len(starts), np.nan)
    unreadable = np.zeros(len(starts), dtype=np.bool_)
    for i, word in enumerate(starts.tolist()):
        if re.fullmatch(r"[0-9]{4}([^0-9].*)?", word):
            year[i] = float(word[:4])
        else:
            unreadable[i] = word.strip() not in NO_NUMBER
    which = start_of[date_of]
    return year[which], unreadable[which]


@dataclass(frozen=True)
class Cells:
    """A column of artists or genres: its different cells, and the names in each."""

    code: Integers
    """(n_rows,) the cell of each row."""
    start: Integers
    """(n_cells + 1,) the names of cell c are `name[start[c]:start[c + 1]]`."""
    name: Integers
    """(n_names,) into `vocabulary`."""
    vocabulary: pd.Index[str]
    """The different names, sorted by code point."""

    @classmethod
    def split(cls, column: Series, separator: str | None) -> Cells:
        """Split text at a separator (None: a cell is one name) and strip the names of space."""
        code, cells = pd.factorize(column)
        counts, pieces = np.ones(len(cells), dtype=np.int64), cells
        if separator is not None:
            words = cells.tolist()
            counts += np.fromiter((word.count(separator) for word in words), np.int64, len(words))
            pieces = pd.Index(separator.join(words).split(separator), dtype=cells.dtype)
        name, vocabulary = pd.factorize(pieces.str.strip())
        order = vocabulary.argsort()
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        vocabulary, name = vocabulary[order], rank[name]
        filled = np.asarray(vocabulary != "", dtype=np.bool_)[name]
        cell = np.repeat(np.arange(len(cells)), counts)[filled]
        start = np.concatenate(([0], np.cumsum(np.bincount(cell, minlength=len(cells)))))
        return cls(code, start, name[filled], vocabulary)

    def rows_of(self, name: str) -> Integers:
        """The rows that hold this one name only."""
        single = np.flatnonzero(np.diff(self.start) == 1)
        is_it = np.zeros(len(self.start) - 1, dtype=np.bool_)
        is_it[single] = np.asarray(self.vocabulary == name)[self.name[self.start[single]]]
        return np.flatnonzero(is_it[self.code])

    @property
    def is_blank(self) -> Bools:
        """(n_rows,) no name at all."""
        is_blank: Bools = np.diff(self.start) == 0
        return is_blank[self.code]

    def joined(self, cells: Integers) -> Iterator[str]:
        """The names of each cell in one text, with ";" between them."""
        names = self.vocabulary[self.name].tolist()
        bounds = zip(self.start[cells].tolist(), self.start[cells + 1].tolist(), strict=True)
        return (";".join(names[start:stop]) for start, stop in bounds)

    def labels(self, rows: Integers, track: Integers, n_tracks: int) -> Labels:
        """The names of `n_tracks` tracks; `track` (n,) is the track of each of `rows` (n,)."""
        cell = self.code[rows]
        counts = np.diff(self.start)[cell]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        name = self.name[np.repeat(self.start[cell], counts) + within]
        n_names = len(self.vocabulary)
        pairs = pd.unique(np.repeat(track, counts) * n_names + name)
        owner, name = np.divmod(pairs, n_names)
        name = name[np.argsort(owner, kind="stable")]
        is_used = np.bincount(name, minlength=n_names) > 0
        code = np.cumsum(is_used, dtype=np.int32) - np.int32(1)
        indptr = np.concatenate(([0], np.cumsum(np.bincount(owner, minlength=n_tracks))))
        return Labels(tuple(self.vocabulary[is_used].tolist()), indptr.astype(np.int64), code[name])
