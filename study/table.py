"""An append-only table of rows: one JSON object a line, safe to be cut off at any moment."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from study.tasks import Key, Row, key_of


class TableError(Exception):
    """A table cannot be read or written; the message says which line of which file, and why."""


def read_rows(path: Path) -> list[Row]:
    """Return a table's rows, one a task: what was done last, or failed last where nothing was done.

    A last line that was cut off, by a kill in the middle of writing it, is left out. A file that is
    not there holds no rows.

    Raises:
        TableError: for any other line that is not a row.
    """
    if not path.is_file():
        return []
    lines = path.read_bytes().split(b"\n")
    rows: dict[Key, Row] = {}
    for number, line in enumerate(lines[:-1], start=1):  # what follows the last newline is cut off
        try:
            row = json.loads(line)
            key = key_of(row)
        except (ValueError, KeyError, TypeError) as error:
            raise TableError(
                f"{path}, line {number}: not a row of the study ({error}); remove the line, its "
                "task is then done again"
            ) from error
        if key not in rows or row.get("status") == "done" or rows[key].get("status") != "done":
            rows[key] = row
    return list(rows.values())


class Table:
    """A table open for appending; made by `appending`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def append(self, row: Row) -> None:
        """Append a row and have it on the disk before returning."""
        line = json.dumps(row, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
        # One write of a whole line: whoever reads sees all of it or, after a kill, a cut-off last
        # line, which `read_rows` leaves out.
        data = memoryview(line.encode("utf-8") + b"\n")
        while data:
            data = data[os.write(self._descriptor, data) :]
        os.fsync(self._descriptor)


@contextmanager
def appending(path: Path) -> Iterator[Table]:
    """Open a table for appending, alone; a cut-off last line is removed first.

    Raises:
        TableError: if another process is appending to it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TableError(
                f"another study is writing to {path}: wait for it, or give this one another folder"
            ) from None
        content = path.read_bytes()
        os.ftruncate(descriptor, content.rfind(b"\n") + 1)
        yield Table(descriptor)
    finally:
        os.close(descriptor)
