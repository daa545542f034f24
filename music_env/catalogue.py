"""The tracks that a listener may be shown: read, checked and merged once, then read-only."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from music_env.formats import FEATURES, CatalogueError
from music_env.naming import nearest

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Catalogue", "CatalogueError", "CatalogueReport", "Labels"]

Texts: TypeAlias = NDArray[np.object_]
Floats: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = Mapping[str, tuple[int, ...]]

# pandas brings pyarrow along where that is installed, and takes longer to import than everything
# else here together. It is therefore imported when something is read.


@dataclass(frozen=True, eq=False)
class Labels:
    """Several labels a track, such as its artists, as compressed sparse rows."""

    vocabulary: tuple[str, ...]
    """All labels, sorted by code point; each is a label of some track."""
    indptr: NDArray[np.int64]
    """(n_tracks + 1,) read-only: the labels of track t are `codes[indptr[t]:indptr[t + 1]]`."""
    codes: NDArray[np.int32]
    """(n_labels,) into `vocabulary`, read-only: a track's in the order of the file, none twice."""

    def __post_init__(self) -> None:
        for array in (self.indptr, self.codes):
            array.flags.writeable = False

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickle forgets that an array is read-only.
        return Labels, (self.vocabulary, self.indptr, self.codes)

    def of(self, track: int) -> tuple[str, ...]:
        """The labels of a track, in the order of the file.

        Raises:
            IndexError: there is no such track.
        """
        row = range(len(self.indptr) - 1)[track]
        codes = self.codes[self.indptr[row] : self.indptr[row + 1]]
        return tuple(self.vocabulary[code] for code in codes)

    def code(self, label: str) -> int:
        """The position of a label in `vocabulary`.

        Raises:
            ValueError: no track has this label; the message names the nearest labels.
        """
        code = self._code_of.get(label)
        if code is None:
            raise ValueError(
                f"no track has the label {label!r}; expected one of {len(self.vocabulary):,} "
                "labels, as they are written in the catalogue." + nearest(str(label), self._code_of)
            )
        return code

    def has(self, label: str) -> NDArray[np.bool_]:
        """(n_tracks,) bool: which tracks have this label.

        Raises:
            ValueError: no track has this label; the message names the nearest labels.
        """
        places = np.flatnonzero(self.codes == self.code(label))
        mask = np.zeros(len(self.indptr) - 1, dtype=np.bool_)
        mask[np.searchsorted(self.indptr, places, side="right") - 1] = True
        return mask

    @functools.cached_property
    def first(self) -> NDArray[np.int32]:
        """(n_tracks,) int32: code of each track's first label, -1 where it has none."""
        first = np.full(len(self.indptr) - 1, -1, dtype=np.int32)
        some = self.counts > 0
        first[some] = self.codes[self.indptr[:-1][some]]
        return _read_only(first)

    @functools.cached_property
    def counts(self) -> NDArray[np.int64]:
        """(n_tracks,) int64: labels of each track."""
        return _read_only(np.diff(self.indptr))

    @functools.cached_property
    def frequency(self) -> NDArray[np.int64]:
        """(len(vocabulary),) int64: tracks of each label."""
        return _read_only(np.bincount(self.codes, minlength=len(self.vocabulary)))

    @functools.cached_property
    def _code_of(self) -> dict[str, int]:
        return {label: code for code, label in enumerate(self.vocabulary)}


@dataclass(frozen=True)
class CatalogueReport:
    """What was read, and what became of every row.

    Rows are numbered from 1 as data rows: the header is not counted, nor are blank lines, and a
    row whose fields hold line breaks counts once. ``str(report)`` is for reading.
    """

    path: str
    """The file as it was named, or "the frame"."""
    layout: str
    """Name of the layout, see `music_env.formats.LAYOUTS`."""
    columns: Mapping[str, str]
    """Canonical name -> column that was taken for it."""
    unused: tuple[str, ...]
    """Columns that were not taken."""
    encoding: str | None
    """Encoding of a CSV file, None for Parquet and frames."""
    delimiter: str | None
    """Delimiter of a CSV file, None for Parquet and frames."""
    n_rows: int
    n_tracks: int
    dropped: Rows
    """Reason -> rows that were not usable; each row stands under its first reason only."""
    merged: int
    """Rows that were merged into an earlier row of the same track."""
    duplicates: int
    """Those among them that repeat an earlier row in every column that was taken."""
    conflicts: Rows
    """Canonical name -> merged rows that differ from the first row of their track, which stands;
    artists and genres are united instead. A gap differs from a value."""
    unreadable: Rows
    """Feature -> used rows in which it is not a finite number; it is missing there."""
    refused_links: Rows
    """`preview_url` or `artwork_url` -> used rows in which it is no http or https link."""
    unknown: Mapping[str, int]
    """Feature -> tracks that have no value for it, where there are any."""

    def __post_init__(self) -> None:
        for name in ("columns", "dropped", "conflicts", "unreadable", "refused_links", "unknown"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __reduce__(self) -> tuple[Any, ...]:
        values = (getattr(self, field.name) for field in fields(self))
        return CatalogueReport, tuple(
            dict(value) if isinstance(value, MappingProxyType) else value for value in values
        )

    @property
    def n_dropped(self) -> int:
        """Rows that were not usable."""
        return sum(map(len, self.dropped.values()))

    def __str__(self) -> str:
        how = f" ({self.encoding}, delimiter {self.delimiter!r})" if self.encoding else ""
        renamed = [f"{name} = {column}" for name, column in self.columns.items() if name != column]
        lines = [
            f"{self.path}: {self.n_rows:,} rows, {self.n_tracks:,} tracks",
            f"  layout: {self.layout}{how}" + (f"; {', '.join(renamed)}" if renamed else ""),
        ]
        if self.unused:
            lines.append(f"  columns not used: {', '.join(self.unused)}")
        lines += [f"  dropped, {reason}: {row_list(rows)}" for reason, rows in self.dropped.items()]
        if self.merged:
            lines.append(
                f"  merged into an earlier row of the same track: {self.merged:,} rows, "
                f"{self.duplicates:,} of them exact duplicates"
            )
        for title, found in (
            ("differs from the track's first row, which stands", self.conflicts),
            ("is not a finite number, taken as missing", self.unreadable),
            ("is no http or https link, left out", self.refused_links),
        ):
            lines += [f"  {name} {title}: {row_list(rows)}" for name, rows in found.items()]
        if self.unknown:
            gaps = ", ".join(f"{name} of {n:,}" for name, n in self.unknown.items())
            lines.append(f"  not known, of {self.n_tracks:,} tracks: {gaps}")
        return "\n".join(lines)


@dataclass(frozen=True, eq=False, repr=False)
class Catalogue:
    """Tracks and what is known of them; row t of every array is track t.

    Make one with `read`, `from_frame` or `default`. A catalogue never changes: its arrays are
    read-only. It is hashable (by identity) and can be pickled.
    """

    track_id: Texts
    """(n_tracks,) str: unique. An id that the source lacks is "derived:" and the BLAKE2b hash
    (8 bytes, hexadecimal) of the title, U+001F, and the artists joined with ";", in UTF-8."""
    title: Texts
    """(n_tracks,) str, "" = none."""
    album: Texts
    """(n_tracks,) str, "" = none."""
    artists: Labels
    genres: Labels
    features: Mapping[str, Floats]
    """Name -> (n_tracks,) float64, NaN = missing: those of `music_env.formats.FEATURES` (which
    has the units) that the source has; always with "danceability"."""
    preview_url: Texts
    """(n_tracks,) str: http or https link to a sound clip, "" = none."""
    artwork_url: Texts
    """(n_tracks,) str: http or https link to a picture, "" = none."""
    report: CatalogueReport

    def __post_init__(self) -> None:
        for array in (*self._texts, *self.features.values()):
            array.flags.writeable = False
        object.__setattr__(self, "features", MappingProxyType(dict(self.features)))

    def __reduce__(self) -> tuple[Any, ...]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["features"] = dict(self.features)
        return _catalogue, (values,)

    def __repr__(self) -> str:
        return (
            f"<Catalogue of {self.n_tracks:,} tracks, {len(self.artists.vocabulary):,} artists, "
            f"{len(self.genres.vocabulary):,} genres, from {self.report.path}>"
        )

    @classmethod
    def read(
        cls, path: str | os.PathLike[str], *, columns: Mapping[str, str] | None = None
    ) -> Catalogue:
        """Read a CSV file (any delimiter, UTF-8, UTF-16 or cp1252, plain or gzip) or Parquet.

        The layout is recognised by the names of the columns (`music_env.formats.LAYOUTS`). Rows
        that cannot be used (neither id nor title, no artist, danceability not within 0..1) are
        dropped; rows of the same id are merged: artists and genres are united in the order in
        which they appear, everything else is the first row's. `report` says what was done.

        Args:
            path: the file.
            columns: canonical name -> column of the file, for a file in none of the layouts or
                to take another column than the layout does, e.g. ``{"artist": "performer"}``.
                Columns that bear canonical names are taken all the same.

        Raises:
            CatalogueError: the file is not there, or is no whole CSV or Parquet file, its columns
                fit no layout, or no row is usable. The message says what to do.
        """
        from music_env.merging import build
        from music_env.reading import read_table

        return build(read_table(path, columns))

    @classmethod
    def from_frame(
        cls, frame: pd.DataFrame, *, columns: Mapping[str, str] | None = None
    ) -> Catalogue:
        """Take the tracks of a pandas frame, as `read` does those of a file.

        Missing values of any kind (None, NaN, NA) are missing. The index is ignored.

        Raises:
            CatalogueError: its columns fit no layout, or no row is usable.
            TypeError: not a DataFrame.
        """
        from music_env.merging import build
        from music_env.reading import take_frame

        return build(take_frame(frame, columns))

    @classmethod
    def default(cls) -> Catalogue:
        """The embedded catalogue: 5,849 Spotify tracks (see ``data/README.md``), read once."""
        return _default()

    @property
    def n_tracks(self) -> int:
        """Number of tracks."""
        return len(self.track_id)

    @property
    def danceability(self) -> Floats:
        """(n_tracks,) float64 within 0..1, exactly as read."""
        return self.features["danceability"]

    @functools.cached_property
    def checksum(self) -> str:
        """SHA-256 (hexadecimal) of the content: equal tracks agree, from whatever file format."""
        digest = hashlib.sha256(b"musicrec catalogue 1\n")
        for texts in self._texts:
            _add_texts(digest, texts.tolist())
        for labels in (self.artists, self.genres):
            _add_texts(digest, list(labels.vocabulary))
            digest.update(labels.indptr.astype("<i8").tobytes())
            digest.update(labels.codes.astype("<i4").tobytes())
        for name in FEATURES:
            if name in self.features:
                values = self.features[name] + 0.0  # -0.0 and 0.0 are the same number
                digest.update(name.encode())
                digest.update(np.where(np.isnan(values), np.nan, values).astype("<f8").tobytes())
        return digest.hexdigest()

    @property
    def _texts(self) -> tuple[Texts, ...]:
        return self.track_id, self.title, self.album, self.preview_url, self.artwork_url


def _catalogue(values: dict[str, Any]) -> Catalogue:
    return Catalogue(**values)


@functools.cache
def _default() -> Catalogue:
    here = Path(__file__).parent
    places = (here / "data" / "tracks.csv", here.parent / "data" / "tracks.csv")  # wheel, clone
    for place in places:
        if place.is_file():
            return Catalogue.read(place)
    raise CatalogueError(
        f"the embedded catalogue is missing: expected {places[0]} (installed) or {places[1]} "
        "(in a clone); install the package again"
    )


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


def _add_texts(digest: Any, texts: list[str]) -> None:
    # The lengths keep ["ab", "c"] apart from ["a", "bc"].
    digest.update(np.fromiter(map(len, texts), "<i8", len(texts)).tobytes())
    digest.update("".join(texts).encode("utf-8", "surrogatepass"))


def row_list(rows: tuple[int, ...], shown: int = 5) -> str:
    """How many rows, and the first of their numbers."""
    numbers = ", ".join(map(str, rows[:shown])) + (", ..." if len(rows) > shown else "")
    return f"{len(rows):,} row{'s' * (len(rows) > 1)} ({numbers})"
