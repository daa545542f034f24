"""CSV of any delimiter and the common encodings -> the columns that a catalogue takes."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from music_env.columns import Series
from music_env.formats import (
    EXPECTED,
    FEATURES,
    KNOWN_COLUMNS,
    NO_NUMBER,
    CatalogueError,
    match,
)
from music_env.merging import Table

HEAD_BYTES = 65536  # what delimiter and encoding are guessed from
_SAMPLE_ROWS = 100  # what the spelling of numbers is guessed from

# Up to pandas 3.0 the default converter is off in the last bit now and then; from 3.1 all
# converters are exact and the argument is deprecated.
_EXACT: dict[str, Any] = (
    {"float_precision": "round_trip"}
    if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)
    else {}
)

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order mark, encoding."""


def read_csv(data: bytes, mapping: Mapping[str, str] | None, *, source: str) -> Table:
    """Read the columns of a CSV file that a catalogue takes.

    Delimiter and encoding are guessed from the head. A byte further on that is not UTF-8 makes
    it cp1252 (latin-1 where that has holes), unless most other characters beyond ASCII are UTF-8.

    Args:
        data: the contents of the file.
        mapping: canonical name -> column of the file, see `music_env.formats.match`.
        source: name of the file, for messages.

    Raises:
        CatalogueError: its columns fit no layout, or it is cut off or damaged.
    """
    mark, encoding = next((mark for mark in MARKS if data.startswith(mark[0])), (b"", "utf-8"))
    if not mark:
        encoding = bare_utf16(data) or encoding
    try:
        if encoding.startswith("utf-8"):
            return _read_utf8(data[len(mark) :], mapping, source, encoding)
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if not encoding.startswith("utf-8"):
            raise CatalogueError(
                f"{source}: begins as {encoding}, but byte {error.start:,} is not "
                f"({error.reason}): the file is cut off or damaged; get it again"
            ) from error
        encoding = _one_byte_encoding(data, source)
        text = data.decode(encoding)
    return _read_utf8(text.encode(), mapping, source, encoding)


def bare_utf16(data: bytes) -> str | None:
    """The kind of UTF-16 without byte order mark, if it is that: a header's other bytes are 0."""
    start = data[:64]
    for odd, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, letters = start[odd::2], start[1 - odd :: 2]
        if len(start) > 8 and not any(zeros) and all(letters):
            return encoding
    return None


def _one_byte_encoding(data: bytes, source: str) -> str:
    text = data.decode("utf-8", "surrogateescape")
    bad = len(re.findall("[\udc80-\udcff]", text))
    good = len(re.findall("[^\0-\x7f]", text)) - bad
    if good > bad:  # accents of a one-byte encoding hardly ever happen to be UTF-8
        start = len(text[: re.search("[\udc80-\udcff]", text).start()].encode())  # type: ignore[union-attr]
        line = data.count(b"\n", 0, start) + 1
        raise CatalogueError(
            f"{source}: line {line:,} (the header is line 1) has the byte 0x{data[start]:02x}, "
            f"which is not UTF-8, while {good:,} other characters are: the file is damaged or "
            "mixes encodings; repair that line, or get the file again"
        )
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def _read_utf8(data: bytes, mapping: Mapping[str, str] | None, source: str, encoding: str) -> Table:
    """Read CSV; raises UnicodeDecodeError where a column that is taken is not UTF-8."""
    is_whole = len(data) <= HEAD_BYTES
    head = codecs.getincrementaldecoder("utf-8")().decode(data[:HEAD_BYTES], final=is_whole)
    if not is_whole:
        head = head[: max(head.rfind("\n"), head.rfind("\r")) + 1] or head
    delimiter = _delimiter(head, mapping or {})
    start = _Start.of(head, delimiter)
    found = match(start.header, mapping, source=source)
    body = data[len(head[: start.n_chars].encode()) :]
    width = len(start.header)
    _refuse_cut_row(body, delimiter, width, source)

    place = {name: start.header.index(column) for name, column in found.columns.items()}
    texts = {p for name, p in place.items() if not _is_number(name)}
    numbers = set(place.values()) - texts
    decimal = start.decimal_mark(numbers) if delimiter != "," else "."
    options: dict[str, Any] = {
        "sep": delimiter,
        "decimal": decimal,
        "na_values": {
            **{str(p): sorted(NO_NUMBER) for p in numbers},
            **{str(p): [""] for p in (width, width + 1)},
        },
        **_EXACT,
    }
    # The header is replaced by numbers, so that names may repeat, and made two columns wider than
    # the table: pandas drops the surplus of an overlong row without a word if columns are chosen.
    wide_header = delimiter.join(map(str, range(width + 2)))
    contents = b"".join((wide_header.encode(), b"\n", body))
    # Left to itself, pandas reads text three times as fast, but takes ids of digits for numbers.
    digits = {p for p in texts if start.looks_like_numbers(p)}
    raw = _parse(contents, {*place.values(), width, width + 1}, digits, options, source)
    misread = {p for p in texts if not pd.api.types.is_string_dtype(raw[str(p)])}
    if misread:
        again = _parse(contents, misread, misread, options, source)
        raw = raw.assign(**{str(p): again[str(p)] for p in misread})

    columns: dict[str, Series] = {name: raw[str(p)] for name, p in place.items()}
    if decimal == ",":
        for name, p in place.items():
            if p in numbers and pd.api.types.is_string_dtype(columns[name]):
                columns[name] = columns[name].str.replace(",", ".", regex=False)
    overlong = (raw[str(width)].notna() | raw[str(width + 1)].notna()).to_numpy(dtype=np.bool_)
    return Table(source, found, columns, len(raw), overlong, encoding, delimiter)


def _is_number(name: str) -> bool:
    return name in FEATURES or name == "duration_ms"


def _parse(
    contents: bytes,
    wanted: Collection[int],
    as_text: Collection[int],
    options: Mapping[str, Any],
    source: str,
) -> pd.DataFrame:
    try:
        return pd.read_csv(
            io.BytesIO(contents),
            usecols=sorted(wanted),
            dtype={str(p): "str" for p in as_text},
            keep_default_na=False,
            index_col=False,
            low_memory=False,
            **options,
        )
    except pd.errors.ParserError as error:
        opened = re.search(r"EOF inside string starting at row (\d+)", str(error))
        if opened is None:
            raise CatalogueError(
                f"{source}: cannot be read as CSV ({str(error).strip()}); {EXPECTED}"
            ) from error
        raise CatalogueError(
            f"{source}: a quoted field that begins in row {opened[1]} (data rows from 1, blank "
            "lines counted) is never closed: the file is cut off, or a quotation mark is missing "
            "there; get it again, or repair that row"
        ) from error


@dataclass(frozen=True)
class _Start:
    """The beginning of a CSV file."""

    header: list[str]
    n_chars: int
    """Length of everything up to the first row."""
    sample: list[list[str]]
    """The first rows."""

    @classmethod
    def of(cls, head: str, delimiter: str, n_rows: int = _SAMPLE_ROWS) -> _Start:
        lines = list(io.StringIO(head, newline=""))
        reader = csv.reader(lines, delimiter=delimiter)
        rows = (row for row in reader if row)
        header = [name.strip() for name in next(rows, [])]
        n_chars = sum(map(len, lines[: reader.line_num]))
        return cls(header, n_chars, list(itertools.islice(rows, n_rows)))

    def cells(self, place: int) -> Iterable[str]:
        return (row[place] for row in self.sample if place < len(row))

    def looks_like_numbers(self, place: int) -> bool:
        return all(map(_looks_like_a_number, self.cells(place)))

    def decimal_mark(self, places: Iterable[int]) -> str:
        cells = itertools.chain.from_iterable(map(self.cells, places))
        return "," if any(re.fullmatch(r"\s*[-+]?\d*,\d+\s*", cell) for cell in cells) else "."


def _looks_like_a_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell.strip().casefold() in ("", "true", "false")
    return True


def _delimiter(head: str, mapping: Mapping[str, str]) -> str:
    """The character that makes the most known columns of the header, then the most columns."""
    known = KNOWN_COLUMNS.union(mapping.values())
    first_line = head.lstrip("\r\n").splitlines()[0]
    candidates = dict.fromkeys(",;\t|" + "".join(re.findall(r"[^\w\"'\r\n]", first_line, re.ASCII)))

    def fitness(candidate: str) -> tuple[int, int, int]:
        start = _Start.of(head, candidate, n_rows=20)
        width = len(start.header)
        even = sum(len(row) == width for row in start.sample) if width > 1 else 0
        return sum(name in known for name in start.header), even, width

    return max((c for c in candidates if c.isascii()), key=fitness)


def _refuse_cut_row(body: bytes, delimiter: str, width: int, source: str) -> None:
    """Refuse a last row that neither ends its line nor has all its fields."""
    if body.endswith((b"\n", b"\r")):
        return
    last_line = re.split(rb"[\r\n]", body[-HEAD_BYTES:])[-1]
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
