"""A file of listeners -> a population: CSV or Parquet with a row for each listener."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.columns import read_number, read_text
from music_env.formats import CatalogueError, Columns, Layout, Match
from music_env.listeners import OPEN, Listeners
from music_env.merging import Table
from music_env.naming import nearest
from music_env.population import Population
from music_env.reading import read_table

POPULATION_COLUMNS = ("artist", "genre", "danceability_low", "danceability_high")
"""The columns of a file of listeners, others are ignored. An empty cell leaves its term open; of
the range one end may be given, the other is then 0 or 1."""

_LAYOUT = Layout("listeners", {name: name for name in POPULATION_COLUMNS}, separator=None)
_ENDS = ("danceability_low", "danceability_high")


def read_population(path: str, catalogue: Catalogue) -> Population:
    """Read listeners from a CSV file (as `Catalogue.read` reads them) or Parquet.

    Args:
        path: the file, with the columns `POPULATION_COLUMNS`.
        catalogue: whose artists and genres the listeners prefer.

    Raises:
        CatalogueError: the file cannot be read or lacks a column; or the first row that is no
            listener: an artist or genre that the catalogue does not have (with the nearest names),
            an end of the range that is no number within 0..1, ends in the wrong order, or nothing
            at all. The message names file, row (data rows from 1), column, value and expectation.
    """
    wanted = Columns(_find, frozenset(POPULATION_COLUMNS), frozenset(_ENDS), "danceability_low")
    table = read_table(path, wanted)
    if table.n_rows == 0:
        raise CatalogueError(f"{path}: there are no rows, expected at least one listener")
    if table.overlong is not None and table.overlong.any():
        row = int(np.flatnonzero(table.overlong)[0]) + 1
        raise CatalogueError(
            f"{path}: row {row} has more fields than the header; put names with a comma in "
            "quotation marks"
        )
    artist = _codes(table, "artist", catalogue)
    genre = _codes(table, "genre", catalogue)
    low, high = (_end(table, name) for name in _ENDS)
    is_open = np.isnan(low) & np.isnan(high)
    low, high = np.where(np.isnan(low), 0.0, low), np.where(np.isnan(high), 1.0, high)
    for row in np.flatnonzero(low > high).tolist():
        raise CatalogueError(
            f"{path}: row {row + 1}, columns {_ENDS[0]!r} and {_ENDS[1]!r}: {low[row]:g} is more "
            f"than {high[row]:g}, expected the lower end first"
        )
    for row in np.flatnonzero((artist == OPEN) & (genre == OPEN) & is_open).tolist():
        raise CatalogueError(
            f"{path}: row {row + 1} leaves everything open, expected at least one of "
            f"{', '.join(POPULATION_COLUMNS)}; remove the row"
        )
    listeners = Listeners(artist, genre, low, high, is_open)
    return Population(listeners, f"from {path}", catalogue=catalogue.checksum)


def _find(names: Sequence[str], source: str) -> Match:
    for name in POPULATION_COLUMNS:
        if list(names).count(name) != 1:
            raise CatalogueError(
                f"{source}: the column {name!r} is there {list(names).count(name)} times, expected "
                f"once; a file of listeners has {', '.join(POPULATION_COLUMNS)} (empty cells leave "
                f"a term open), this one has {', '.join(map(repr, names))}." + nearest(name, names)
            )
    unused = tuple(name for name in names if name not in POPULATION_COLUMNS)
    return Match(_LAYOUT, {name: name for name in POPULATION_COLUMNS}, unused)


def _codes(table: Table, column: str, catalogue: Catalogue) -> NDArray[np.int64]:
    labels = catalogue.artists if column == "artist" else catalogue.genres
    known: Mapping[str, int] = {name: code for code, name in enumerate(labels.vocabulary)}
    cells = read_text(table.columns[column], f"{table.source}: column {column!r}").str.strip()
    codes = np.full(len(cells), OPEN, dtype=np.int64)
    for row, cell in enumerate(cells.tolist()):
        if not cell:
            continue
        if cell not in known:
            raise CatalogueError(
                f"{table.source}: row {row + 1}, column {column!r}: {cell!r} is no {column} of the "
                f"catalogue, expected one of its {len(known):,} {column}s, or nothing for any."
                + nearest(cell, known)
            )
        codes[row] = known[cell]
    return codes


def _end(table: Table, column: str) -> NDArray[np.float64]:
    """(n_rows,) float64, NaN where empty."""
    cells: Any = table.columns[column]
    values, unreadable = read_number(cells, f"{table.source}: column {column!r}")
    wrong = unreadable | (~np.isnan(values) & ~((values >= 0) & (values <= 1)))
    for row in np.flatnonzero(wrong).tolist():
        raise CatalogueError(
            f"{table.source}: row {row + 1}, column {column!r}: {str(cells.iloc[row])!r}, expected "
            "a number within 0..1, or nothing for an open end"
        )
    return values
