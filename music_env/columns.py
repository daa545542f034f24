"""One column of a file or frame -> text without gaps, or float64 with NaN for them."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from music_env.formats import NO_NUMBER, CatalogueError

Series: TypeAlias = "pd.Series[Any]"
Numbers: TypeAlias = tuple[NDArray[np.float64], NDArray[np.bool_]]

FLAGS = ("explicit", "mode")  # features that may be written as a word or a truth value
FLAG_WORDS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}


def read_text(column: Series, name: str) -> Series:
    """(n_rows,) str, "" where missing; whole numbers are written as such (an id 12.0 is "12").

    Raises:
        CatalogueError: a value is a list or another collection.
    """
    if isinstance(column.dtype, pd.StringDtype):
        return column.fillna("") if column.hasnans else column
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iu":
        return column.astype(str)
    column = column.astype(object)
    inferred = pd.api.types.infer_dtype(column, skipna=False)
    if inferred == "string":
        return column
    try:
        return column.map(_word)
    except TypeError as error:
        raise CatalogueError(
            f"column {column.name!r} ({name}) holds {error}, expected text; "
            "several names in one cell are joined with ';'"
        ) from error


def _word(value: Any) -> str:
    if isinstance(value, str):
        return value
    if not pd.api.types.is_scalar(value):
        raise TypeError(f"{value!r} ({type(value).__name__})")
    if pd.isna(value):
        return ""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def read_number(column: Series, name: str) -> Numbers:
    """(n_rows,) float64, NaN where missing or unreadable; and where it is unreadable."""
    dtype = column.dtype
    if pd.api.types.is_bool_dtype(dtype) and name not in FLAGS:
        return np.full(len(column), np.nan), column.notna().to_numpy(dtype=np.bool_)
    if pd.api.types.is_numeric_dtype(dtype) and dtype.kind in "biuf":
        values = column.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
        return values, np.zeros(len(column), dtype=np.bool_)
    code, different = pd.factorize(column.astype(object))
    parsed = [_parse(value, name in FLAGS) for value in different]
    # Code -1 is a gap: it takes the last place.
    values = np.array([np.nan if value is None else value for value in parsed] + [np.nan])
    unreadable = np.array([value is None for value in parsed] + [False])
    return values[code], unreadable[code]


def _parse(value: Any, is_flag: bool) -> float | None:
    """The number that a value stands for, NaN for a gap, None if it is no number."""
    if isinstance(value, bool | np.bool_):
        return float(value) if is_flag else None
    if isinstance(value, str):
        value = value.strip()
        if value in NO_NUMBER:
            return float("nan")
        if is_flag and value.casefold() in FLAG_WORDS:
            return FLAG_WORDS[value.casefold()]
        if "_" in value:  # Python's own digit grouping, in no other language a number
            return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def read_year(column: Series) -> Numbers:
    """The year that a date begins with: YYYY, YYYY-MM or YYYY-MM-DD; result as `read_number`."""
    start = read_text(column, "release_date").str.strip().str[:5]
    code, different = pd.factorize(start)
    year = np.full(len(different), np.nan)
    unreadable = np.zeros(len(different), dtype=np.bool_)
    for i, word in enumerate(different.tolist()):
        if re.fullmatch(r"[0-9]{4}([^0-9].*)?", word):
            year[i] = float(word[:4])
        else:
            unreadable[i] = word not in NO_NUMBER
    return year[code], unreadable[code]
