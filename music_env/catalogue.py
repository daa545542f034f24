"""The tracks that a listener may be shown: read, checked and merged once, then read-only."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from music_env.formats import FEATURES, CatalogueError, catalogue_columns
from music_env.labels import Labels, read_only

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Catalogue", "CatalogueError", "CatalogueReport", "Labels"]

Texts: TypeAlias = NDArray[np.object_]
Floats: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = Mapping[str, tuple[int, ...]]

# pandas brings pyarrow along where that is installed, and takes longer to import than everything
# else here together. It is therefore imported when something is read.


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
        values = (getattr(self, member.name) for member in fields(self))
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

    texts: Mapping[str, Any] = field(repr=False)
    """What `track_id`, `title`, `album`, `preview_url` and `artwork_url` are made of; (n_tracks,)
    each. Use those: they are made when they are first asked for, as a million str take a second."""
    artists: Labels
    genres: Labels
    features: Mapping[str, Floats]
    """Name -> (n_tracks,) float64, NaN = missing: those of `music_env.formats.FEATURES` (which
    has the units) that the source has; always with "danceability"."""
    report: CatalogueReport

    def __post_init__(self) -> None:
        for array in self.features.values():
            array.flags.writeable = False
        object.__setattr__(self, "features", MappingProxyType(dict(self.features)))
        object.__setattr__(self, "texts", MappingProxyType(dict(self.texts)))

    def __reduce__(self) -> tuple[Any, ...]:
        texts = {name: getattr(self, name) for name in self.texts}
        return Catalogue, (texts, self.artists, self.genres, dict(self.features), self.report)

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

        return build(read_table(path, catalogue_columns(columns)))

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

        return build(take_frame(frame, catalogue_columns(columns)))

    @classmethod
    def default(cls) -> Catalogue:
        """The embedded catalogue: 5,849 Spotify tracks (see ``data/README.md``), read once."""
        return _default()

    @property
    def n_tracks(self) -> int:
        """Number of tracks."""
        return len(self.artists.indptr) - 1

    @functools.cached_property
    def track_id(self) -> Texts:
        """(n_tracks,) str: unique.

        An id that the source lacks is "derived:" and the BLAKE2b hash (8 bytes, hexadecimal) of
        the title, U+001F, and the artists joined with ";", in UTF-8.
        """
        return self._text("track_id")

    @functools.cached_property
    def title(self) -> Texts:
        """(n_tracks,) str, "" = none."""
        return self._text("title")

    @functools.cached_property
    def album(self) -> Texts:
        """(n_tracks,) str, "" = none."""
        return self._text("album")

    @functools.cached_property
    def preview_url(self) -> Texts:
        """(n_tracks,) str: http or https link to a sound clip, "" = none."""
        return self._text("preview_url")

    @functools.cached_property
    def artwork_url(self) -> Texts:
        """(n_tracks,) str: http or https link to a picture, "" = none."""
        return self._text("artwork_url")

    @property
    def danceability(self) -> Floats:
        """(n_tracks,) float64 within 0..1, exactly as read."""
        return self.features["danceability"]

    @functools.cached_property
    def checksum(self) -> str:
        """SHA-256 (hexadecimal) of the content: equal tracks agree, from whatever file format."""
        digest = hashlib.sha256(b"musicrec catalogue 1\n")
        for texts in (self.track_id, self.title, self.album, self.preview_url, self.artwork_url):
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

    def _text(self, name: str) -> Texts:
        if name not in self.texts:
            return read_only(np.full(self.n_tracks, "", dtype=object))
        return read_only(np.array(self.texts[name], dtype=object))


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


def _add_texts(digest: Any, texts: list[str]) -> None:
    # The lengths keep ["ab", "c"] apart from ["a", "bc"].
    digest.update(np.fromiter(map(len, texts), "<i8", len(texts)).tobytes())
    digest.update("".join(texts).encode("utf-8", "surrogatepass"))


def row_list(rows: tuple[int, ...], shown: int = 5) -> str:
    """How many rows, and the first of their numbers."""
    numbers = ", ".join(map(str, rows[:shown])) + (", ..." if len(rows) > shown else "")
    return f"{len(rows):,} row{'s' * (len(rows) > 1)} ({numbers})"
