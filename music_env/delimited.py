"""CSV of any delimiter and the common encodings -> the columns that a catalogue takes."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from music_env.columns import Bools, Series
from music_env.formats import (
    EXPECTED,
    NO_NUMBER,
    CatalogueError,
    Columns,
)
from music_env.merging import Table

HEAD_BYTES = 65536  # what delimiter and encoding are guessed from
_SAMPLE_ROWS = 100  # what the spelling of numbers is guessed from
_VERSION = tuple(map(int, pd.__version__.split(".")[:2]))
# Up to pandas 3.0 the default converter is off in the last bit now and then; from 3.1 all
# converters are exact and the argument is deprecated.
_EXACT = {"float_precision": "round_trip"} if _VERSION < (3, 1) else {}
# pandas parses with several threads from 3.1 on, but only a plain file of at least 5 MB, and only
# if it may take all the columns. Nothing is gained in other versions.
_WHEN_PARALLEL = 5 * 1024 * 1024 if _VERSION >= (3, 1) else sys.maxsize

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order mark, encoding."""


def read_csv(data: bytes, wanted: Columns, *, source: str, path: Path | None = None) -> Table:
    """Read some columns of a CSV file.

    Delimiter and encoding are guessed from the head. A byte further on that is not UTF-8 makes
    it cp1252 (latin-1 where that has holes), unless most other characters beyond ASCII are UTF-8.

    Args:
        data: the contents of the file.
        wanted: the columns, see `music_env.formats.catalogue_columns`.
        source: name of the file, for messages.
        path: the file, if `data` is just what is in it: pandas reads long files faster.

    Raises:
        CatalogueError: the columns are not there, or it is cut off or damaged.
    """
    mark, encoding = next((mark for mark in MARKS if data.startswith(mark[0])), (b"", "utf-8"))
    if not mark:
        encoding = bare_utf16(data) or encoding
    if encoding.startswith("utf-8"):
        try:
            return _read_utf8(data[len(mark) :], wanted, source, encoding, path)
        except UnicodeDecodeError:  # which knows only its place in a cell
            encoding = _other_encoding(data, source)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise CatalogueError(
            f"{source}: begins as {encoding}, but byte {error.start:,} is not ({error.reason}): "
            "the file is cut off or damaged; get it again"
        ) from error
    return _read_utf8(text.encode(), wanted, source, encoding, path=None)


def bare_utf16(data: bytes) -> str | None:
    """The kind of UTF-16 without byte order mark, if it is that: a header's other bytes are 0."""
    start = data[:64]
    for odd, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, letters = start[odd::2], start[1 - odd :: 2]
        if len(start) > 8 and not any(zeros) and all(letters):
            return encoding
    return None


def _other_encoding(data: bytes, source: str) -> str:
    """The encoding of a file that is not all UTF-8."""
    text = data.decode("utf-8", "surrogateescape")
    bad = len(re.findall("[\udc80-\udcff]", text))
    good = len(re.findall("[^\0-\x7f]", text)) - bad
    if good > bad:  # accents of a one-byte encoding hardly ever happen to be UTF-8
        before, byte, _ = re.split("([\udc80-\udcff])", text, maxsplit=1)
        raise CatalogueError(
            f"{source}: line {before.count(chr(10)) + 1:,} (the header is line 1) has the byte "
            f"0x{ord(byte) - 0xDC00:02x}, which is not UTF-8, while {good:,} other characters "
            "are: the file is damaged or mixes encodings; repair that line, or get it again"
        )
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def _read_utf8(
    data: bytes, wanted: Columns, source: str, encoding: str, path: Path | None
) -> Table:
    """Read CSV; raises UnicodeDecodeError where a column that is taken is not UTF-8."""
    text = data.lstrip(b"\r\n")
    if not text[:HEAD_BYTES].strip():
        raise CatalogueError(f"{source}: the file is empty, {EXPECTED}; get it again")
    is_whole = len(text) <= HEAD_BYTES
    head = codecs.getincrementaldecoder("utf-8")().decode(text[:HEAD_BYTES], final=is_whole)
    if not is_whole:
        head = head[: max(head.rfind("\n"), head.rfind("\r")) + 1] or head
    delimiter = _delimiter(head, wanted.known)
    start = _Start.of(head, delimiter)
    found = wanted.find(start.header, source)
    place = {name: start.header.index(column) for name, column in found.columns.items()}
    texts = {p for name, p in place.items() if name not in wanted.numbers}
    decimal = start.decimal_mark(place[wanted.decimal]) if delimiter != "," else "."
    parser = _Parser(
        body=memoryview(text)[len(head[: start.n_chars].encode()) :],
        path=path if len(text) == len(data) and start.n_lines == 1 else None,
        width=len(start.header),
        numbers=frozenset(place.values()) - texts,
        options={"sep": delimiter, "decimal": decimal, **_EXACT},
        source=source,
    )
    _refuse_cut_row(bytes(parser.body[-HEAD_BYTES:]), delimiter, parser.width, source)

    # Left to itself, pandas reads text three times as fast, but takes ids of digits for numbers.
    digits = {p for p in texts if start.looks_like_numbers(p)}
    raw, overlong = parser.read(set(place.values()), as_text=digits)
    misread = {p for p in texts if not pd.api.types.is_string_dtype(raw[str(p)])}
    again, _ = parser.read(misread, as_text=misread) if misread else (raw, None)
    columns: dict[str, Series] = {}
    for name, p in place.items():
        columns[name] = (again if p in misread else raw)[str(p)]
        if decimal == "," and p not in texts and pd.api.types.is_string_dtype(columns[name]):
            columns[name] = columns[name].str.replace(",", ".", regex=False)
    return Table(source, found, columns, len(raw), overlong, encoding, delimiter)


@dataclass(frozen=True)
class _Parser:
    """How to have pandas parse a CSV file; its columns are called "0", "1" and so on."""

    body: memoryview
    """The rows, in UTF-8."""
    path: Path | None
    """The file, if it holds just one line and these rows."""
    width: int
    numbers: frozenset[int]
    options: Mapping[str, Any]
    source: str

    def read(self, wanted: set[int], *, as_text: set[int]) -> tuple[pd.DataFrame, Bools]:
        """The columns `wanted`, and (n_rows,) which rows have more fields than the header."""
        frame = self._read_file(as_text) if len(self.body) >= _WHEN_PARALLEL else None
        if frame is not None:
            return frame, np.zeros(len(frame), dtype=np.bool_)
        # The header is replaced by numbers, so that names may repeat, and made two columns wider
        # than the table: pandas drops the surplus of a row without a word if columns are chosen.
        surplus = {self.width, self.width + 1}
        header = self.options["sep"].join(map(str, range(self.width + 2)))
        try:
            frame = pd.read_csv(
                io.BytesIO(b"".join((header.encode(), b"\n", self.body))),
                usecols=sorted(wanted | surplus),
                dtype={str(p): "str" for p in as_text},
                keep_default_na=False,
                na_values={**self._gaps, **{str(p): [""] for p in surplus}},
                index_col=False,
                low_memory=False,
                **self.options,
            )
        except pd.errors.ParserError as error:
            raise CatalogueError(_parser_message(str(error), self.source)) from error
        over = [frame[str(p)].notna().to_numpy(dtype=np.bool_) for p in surplus]
        return frame, np.logical_or.reduce(over)

    @property
    def _gaps(self) -> dict[str, list[str]]:
        return {str(p): sorted(NO_NUMBER) for p in self.numbers}

    def _read_file(self, as_text: set[int]) -> pd.DataFrame | None:
        """All columns; None for a file that wants care, such as one with overlong rows."""
        if self.path is None:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.DtypeWarning)  # a column of numbers and words
            try:
                frame: pd.DataFrame = pd.read_csv(
                    self.path,
                    header=None,
                    skiprows=1,
                    names=list(map(str, range(self.width))),
                    dtype={str(p): "str" for p in as_text},
                    keep_default_na=False,
                    na_values=self._gaps,
                    index_col=False,
                    compression=None,
                    **self.options,
                )
            except (pd.errors.ParserError, pd.errors.DtypeWarning, UnicodeDecodeError):
                return None
        return frame


def _parser_message(error: str, source: str) -> str:
    opened = re.search(r"EOF inside string starting at row (\d+)", error)
    if opened:
        return (
            f"{source}: a quoted field that begins in row {opened[1]} (data rows from 1, blank "
            "lines counted) is never closed: the file is cut off, or a quotation mark is missing "
            "there; get it again, or repair that row"
        )
    return f"{source}: cannot be read as CSV ({error.strip()}); {EXPECTED}"


@dataclass(frozen=True)
class _Start:
    """The beginning of a CSV file."""

    header: list[str]
    n_lines: int
    n_chars: int
    """Lines and characters up to the first row."""
    sample: list[list[str]]
    """The first rows."""

    @classmethod
    def of(cls, head: str, delimiter: str, n_rows: int = _SAMPLE_ROWS) -> _Start:
        lines = list(io.StringIO(head, newline=""))
        reader = csv.reader(lines, delimiter=delimiter)
        rows = (row for row in reader if row)
        header = [name.strip() for name in next(rows, [])]
        n_lines = reader.line_num
        n_chars = sum(map(len, lines[:n_lines]))
        return cls(header, n_lines, n_chars, list(itertools.islice(rows, n_rows)))

    def cells(self, place: int) -> Iterable[str]:
        return (row[place] for row in self.sample if place < len(row))

    def looks_like_numbers(self, place: int) -> bool:
        return all(map(_looks_like_a_number, self.cells(place)))

    def decimal_mark(self, place: int) -> str:
        is_comma = any(re.fullmatch(r"\s*\d*,\d+\s*", cell) for cell in self.cells(place))
        return "," if is_comma else "."


def _looks_like_a_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell.strip().casefold() in ("", "true", "false")
    return True


def _delimiter(head: str, known: frozenset[str]) -> str:
    """The character that makes the most known columns of the header, then the most columns."""
    first_line = head.splitlines()[0]
    candidates = dict.fromkeys(",;\t|" + "".join(re.findall(r"[^\w\"'\r\n]", first_line, re.ASCII)))

    def fitness(candidate: str) -> tuple[int, int, int]:
        start = _Start.of(head, candidate, n_rows=20)
        width = len(start.header)
        even = sum(len(row) == width for row in start.sample) if width > 1 else 0
        return sum(name in known for name in start.header), even, width

    return max((c for c in candidates if c.isascii()), key=fitness)


def _refuse_cut_row(tail: bytes, delimiter: str, width: int, source: str) -> None:
    """Refuse a last row that neither ends its line nor has all its fields."""
    if tail.endswith((b"\n", b"\r")):
        return
    last_line = re.split(rb"[\r\n]", tail)[-1]
    # An odd number of quotes: it continues a field of several lines, which the parser will check.
    if not last_line.strip() or last_line.count(b'"') % 2:
        return
    text = last_line.decode("utf-8", "replace")
    n_fields = len(next(csv.reader([text], delimiter=delimiter)))
    if n_fields < width:
        raise CatalogueError(
            f"{source}: the last row has {n_fields} of {width} fields and no end of line: the "
            f"file is cut off (it ends with {text[-40:]!r}); get it again, or remove that row"
        )
