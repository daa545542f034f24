"""One column of a file or frame -> text without gaps, or float64 with NaN for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from music_env.formats import NO_NUMBER, CatalogueError

Series: TypeAlias = "pd.Series[Any]"
Numbers: TypeAlias = tuple[NDArray[np.float64], NDArray[np.bool_]]


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
    for value in column[column.map(pd.api.types.is_list_like)]:
        raise CatalogueError(
            f"{where} holds {value!r}, expected text; several names in one cell are joined with ';'"
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
    start = read_text(column, where).str[:5]  # a year, and what parts it from the month
    code, different = pd.factorize(start)
    year = np.full(len(different), np.nan)
    unreadable = np.zeros(len(different), dtype=np.bool_)
    for i, word in enumerate(different.tolist()):
        if re.fullmatch(r"[0-9]{4}([^0-9].*)?", word):
            year[i] = float(word[:4])
        else:
            unreadable[i] = word.strip() not in NO_NUMBER
    return year[code], unreadable[code]
