"""Real people's judgements: a table of tracks with a column that says which were liked."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue, CatalogueError, row_list
from music_env.formats import catalogue_columns
from music_env.songs import related_songs, same_songs

if TYPE_CHECKING:
    from music_env.merging import Table

# What needs pandas is imported when something is read, as in `music_env.catalogue`.

_LIKE = "like"
NO_JUDGEMENT = "no judgement"
"""The reason for which a row without a judgement is dropped, see `CatalogueReport.dropped`."""


@dataclass(frozen=True, eq=False)
class Judgements:
    """Judgements as they stand in a table; row i of every array is judgement i.

    Attributes:
        catalogue: a track for each judgement, with the numbers of its own row. A song that is
            judged twice is there twice, so ``track_id`` may repeat here.
        liked: (n_judgements,) bool, read-only.
        groups: (n_judgements,) int64, read-only: judgements of the same song, in whatever version,
            have the same number, see `music_env.songs.related_songs`. Cross-validation has to keep
            them on one side.
        rows: (n_judgements,) int64, read-only: the row in the table, data rows from 1.
    """

    catalogue: Catalogue
    liked: NDArray[np.bool_]
    groups: NDArray[np.int64]
    rows: NDArray[np.int64]

    def __post_init__(self) -> None:
        for array in (self.liked, self.groups, self.rows):
            array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.liked)

    def __str__(self) -> str:
        songs = same_songs(self.catalogue)
        judged, liked = np.bincount(songs), np.bincount(songs, weights=self.liked)
        both = int(((liked > 0) & (liked < judged)).sum())
        return (
            f"{len(self):,} judgements of {len(judged):,} songs, {int(self.liked.sum()):,} liked; "
            f"{both} songs were both liked and disliked\n{self.catalogue.report}"
        )

    @functools.cached_property
    def checksum(self) -> str:
        """SHA-256 (hexadecimal) of tracks and judgements."""
        content = self.catalogue.checksum.encode() + np.packbits(self.liked).tobytes()
        return hashlib.sha256(content).hexdigest()

    @classmethod
    def read(
        cls,
        path: str | PathLike[str],
        *,
        columns: Mapping[str, str] | None = None,
        like: str = _LIKE,
    ) -> Judgements:
        """Read a CSV or Parquet file, as `Catalogue.read` does; every row is a judgement.

        Rows that cannot be used, and those without a judgement, are dropped and counted in
        ``catalogue.report``. Rows of the same track are not merged.

        Args:
            path: the file.
            columns: canonical name -> column of the file, see `Catalogue.read`.
            like: the column that says what was liked: 1 or 0, true or false, yes or no.

        Raises:
            CatalogueError: see `Catalogue.read`; there is no column ``like``; it is also taken as
                something else of the track, so that the observation would hold the answer; or it
                holds anything else, with the row and the value.
        """
        from music_env.merging import build
        from music_env.reading import read_table

        table = read_table(path, catalogue_columns(columns, {_LIKE: like}))
        _check_unseen(table, like)
        values = _likes(table)
        others = {name: values_ for name, values_ in table.columns.items() if name != _LIKE}
        match = dataclasses.replace(
            table.match, columns={n: c for n, c in table.match.columns.items() if n != _LIKE}
        )
        match = dataclasses.replace(match, unused=tuple(c for c in match.unused if c != like))
        catalogue = build(
            dataclasses.replace(table, columns=others, match=match),
            merge=False,
            unusable={NO_JUDGEMENT: np.isnan(values)},
        )
        is_kept = np.ones(table.n_rows, dtype=np.bool_)
        for dropped in catalogue.report.dropped.values():
            is_kept[np.array(dropped) - 1] = False
        rows = np.flatnonzero(is_kept)
        return cls(catalogue, values[rows] == 1, related_songs(catalogue), rows + 1)


def _check_unseen(table: Table, like: str) -> None:
    """Raise `CatalogueError` where the column of judgements is observed as well."""
    for name, column in table.match.columns.items():
        if column == like and name != _LIKE:
            raise CatalogueError(
                f"{table.source}: the column {like!r} is the judgement and would be observed as "
                f"{name!r} too: the observation would hold the answer. Take {name!r} from another "
                f"column (columns={{{name!r}: ...}}), or rename this one in the file if it is no "
                f"{name}"
            )


def _likes(table: Table) -> NDArray[np.float64]:
    """(n_rows,) 1 or 0, NaN where there is no judgement."""
    from music_env.columns import read_number
    from music_env.merging import FLAG_WORDS

    column = table.columns[_LIKE]
    values, unreadable = read_number(column, table.where(_LIKE), words=FLAG_WORDS)
    wrong = np.flatnonzero(unreadable | (~np.isnan(values) & (values != 0) & (values != 1)))
    if wrong.size:
        raise CatalogueError(
            f"{table.where(_LIKE)}: row {wrong[0] + 1} has {str(column.iloc[wrong[0]])!r}, "
            "expected 1 or 0, true or false, yes or no, or nothing where there is no judgement; "
            f"that is so in {row_list(tuple((wrong + 1).tolist()))}. Ratings have to be made likes "
            "first"
        )
    if np.isnan(values).all():
        raise CatalogueError(f"{table.where(_LIKE)} is empty, expected 1 or 0 for each judgement")
    return values


_READ: dict[tuple[object, ...], Judgements] = {}


def load_judgements(
    judgements: Judgements | str | PathLike[str] | None,
    columns: Mapping[str, str] | None,
    like: str,
) -> Judgements:
    """Return judgements as they are, or the file read once per process.

    A file whose size or time of change differs from when it was read is read again.

    Raises:
        CatalogueError: see `Judgements.read`.
        ValueError: there are none.
        TypeError: it is neither.
    """
    if judgements is None:
        raise ValueError(
            "judgements are missing: name a CSV or Parquet file of tracks with a column that says "
            'which were liked, such as judgements="likes.csv", like="liked"'
        )
    if isinstance(judgements, Judgements):
        return judgements
    if not isinstance(judgements, str | PathLike):
        raise TypeError(f"judgements must be a path or Judgements, got {type(judgements).__name__}")
    path = os.path.abspath(judgements)
    try:
        status = os.stat(path)
    except OSError:
        return Judgements.read(path, columns=columns, like=like)  # which says what is wrong
    mapping = tuple(sorted((columns or {}).items()))
    key = (path, status.st_size, status.st_mtime_ns, mapping, like)
    if key not in _READ:
        _READ[key] = Judgements.read(path, columns=columns, like=like)
    return _READ[key]
