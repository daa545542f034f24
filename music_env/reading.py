"""Files and frames -> the columns that a catalogue takes, and clear errors for everything else."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from pathlib import Path

import pandas as pd

from music_env.delimited import HEAD_BYTES, MARKS, bare_utf16, read_csv
from music_env.formats import EXPECTED, CatalogueError, Columns
from music_env.merging import Table
from music_env.naming import nearest

_OTHERS = (
    (b"version https://git-lfs", "a Git LFS pointer instead of the data; run `git lfs pull`"),
    (b"PK\x03\x04", "a zip archive or an Excel workbook; unpack it, or save the sheet as CSV"),
    (b"BZh", "compressed with bzip2; unpack it first"),
    (b"\xfd7zXZ", "compressed with xz; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"),
    (b"ARROW1", "an Arrow (Feather) file; save it as Parquet"),
    (b"SQLite format 3", "an SQLite database; export its table as CSV"),
)

# Some programs delimit with control characters, which are therefore no sign of a binary file.
_CONTROL = bytes(set(range(32)) - set(b"\t\n\v\f\r\x01\x1c\x1d\x1e\x1f"))
_MOST_CONTROL = 0.02  # share of them; random bytes have 9 %, text has none


def read_table(path: str | os.PathLike[str], wanted: Columns) -> Table:
    """Read some columns of a CSV or Parquet file.

    Args:
        path: a file; gzip and Parquet are recognised by their first bytes, not by the name.
        wanted: the columns, see `music_env.formats.catalogue_columns`.

    Raises:
        CatalogueError: there is no such file, or it is no whole CSV or Parquet file, or the
            columns are not there.
    """
    source = os.fspath(path)
    plain: Path | None = Path(path)
    data = _contents(Path(path))
    if data.startswith(b"\x1f\x8b"):
        plain = None
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise CatalogueError(
                f"{source}: the gzip file is cut off or damaged ({error}); get it again"
            ) from error
    if data.startswith(b"PAR1"):
        return _read_parquet(data, wanted, source)
    _refuse_others(data, source)
    return read_csv(data, wanted, source=source, path=plain)


def take_frame(frame: pd.DataFrame, wanted: Columns) -> Table:
    """Take some columns of a frame; its index is ignored.

    Raises:
        CatalogueError: the columns are not there.
        TypeError: it is no DataFrame.
    """
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"expected a pandas DataFrame, got {type(frame).__name__}")
    names = [str(name) for name in frame.columns]
    found = wanted.find(names, "the frame")
    columns = {
        name: frame.iloc[:, names.index(column)].reset_index(drop=True)
        for name, column in found.columns.items()
    }
    return Table("the frame", found, columns, len(frame))


def _contents(path: Path) -> bytes:
    if path.is_dir():
        raise CatalogueError(f"{path}: this is a folder, {EXPECTED}; name a file in it")
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        if not path.parent.is_dir():
            raise CatalogueError(
                f"{path}: no such file, for there is no folder {path.parent}; check the path"
            ) from error
        others = (other.name for other in path.parent.iterdir())
        raise CatalogueError(
            f"{path}: no such file; check the path." + nearest(path.name, others)
        ) from error
    except OSError as error:
        raise CatalogueError(f"{path}: cannot be read ({error}); {EXPECTED}") from error


def _refuse_others(data: bytes, source: str) -> None:
    head = data[:HEAD_BYTES]
    for magic, kind in _OTHERS:
        if head.startswith(magic):
            raise CatalogueError(f"{source}: this is {kind}; {EXPECTED}")
    if re.match(rb"(\xef\xbb\xbf)?\s*<(!doctype|html|head|body|\?xml)", head, re.IGNORECASE):
        raise CatalogueError(
            f"{source}: this is a web page (HTML or XML), {EXPECTED}; the address gave a page "
            "instead of the file: download the raw file"
        )
    if bare_utf16(head) or any(head.startswith(mark) for mark, _ in MARKS):
        return
    control = len(head) - len(head.translate(None, delete=_CONTROL))
    if b"\0" in head or control > _MOST_CONTROL * len(head):
        raise CatalogueError(
            f"{source}: this is a binary file (it begins with {head[:8]!r}), {EXPECTED}"
        )


def _read_parquet(data: bytes, columns: Columns, source: str) -> Table:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise CatalogueError(
            f"{source}: reading Parquet needs pyarrow, which is not installed; "
            "pip install 'musicrec[parquet]', or save the file as CSV"
        ) from error
    try:
        file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(data))
        found = columns.find(file.schema_arrow.names, source)
        wanted = list(dict.fromkeys(found.columns.values()))
        frame = file.read(columns=wanted).to_pandas(ignore_metadata=True)
    except (pyarrow.ArrowException, OSError) as error:
        raise CatalogueError(
            f"{source}: the Parquet file is cut off or damaged ({str(error).splitlines()[0]}); "
            "get it again"
        ) from error
    taken = {name: frame[column] for name, column in found.columns.items()}
    return Table(source, found, taken, len(frame))
