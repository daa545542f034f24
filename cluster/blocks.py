"""A folder of listeners in blocks, and the folder that their recommendations go to.

job.json                              what was asked: the same goes on, another is refused
recommendations/part-000000.parquet   a block's recommendations
bad_rows/part-000000.parquet          its rows that are no listeners, where there are any

A block's file of recommendations is put in place whole and last: where it is, the block is done.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from agents.runs import RunError, read_json, unfinished_json, write_json
from cluster.errors import BatchError
from cluster.listener_rows import COLUMNS, check_schema

JOB = "job.json"
RECOMMENDATIONS, BAD_ROWS_FOLDER = "recommendations", "bad_rows"
_COUNTS = b"musicrec"  # the key, in a file's metadata, of what became of its block


@dataclass(frozen=True)
class Block:
    """Some rows that stand behind one another in a file of listeners.

    Attributes:
        number: its place among all blocks.
        file: the file's path within the folder.
        row_group: the Parquet row group.
        nth: which block of the row group.
        first_row: the first row of the block in the file, from 0.
        n_rows: how many.
    """

    number: int
    file: str
    row_group: int
    nth: int
    first_row: int
    n_rows: int


@dataclass(frozen=True)
class Input:
    """A folder of listeners.

    Attributes:
        folder: where it is; every machine that works on it must see it there.
        files: file -> SHA-256 (hexadecimal) of its content.
        blocks: all of them, in the order of files and rows.
        block_rows: rows of a block, but for the last of a row group.
    """

    folder: Path
    files: Mapping[str, str]
    blocks: Sequence[Block]
    block_rows: int

    @property
    def n_rows(self) -> int:
        """Rows in all files."""
        return sum(block.n_rows for block in self.blocks)

    @classmethod
    def of(cls, folder: Path, block_rows: int) -> Input:
        """Look at a folder's Parquet files, those of its folders included.

        Raises:
            BatchError: there is none, or one cannot be read, lacks a column, or has ids of
                another type than the first.
        """
        paths = sorted(path for path in folder.rglob("*.parquet") if path.is_file())
        if not paths:
            raise BatchError(
                f"{folder} holds no *.parquet file: name the folder of listeners, Parquet files "
                f"with the columns {', '.join(COLUMNS)}"
            )
        files: dict[str, str] = {}
        blocks: list[Block] = []
        id_types: dict[str, pa.DataType] = {}
        for path in paths:
            name = path.relative_to(folder).as_posix()
            with opened(path) as file:
                check_schema(file.schema_arrow, str(path))
                id_types[name] = file.schema_arrow.field(COLUMNS[0]).type
                sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            blocks += _blocks(name, sizes, block_rows, len(blocks))
            with path.open("rb") as content:
                files[name] = hashlib.file_digest(content, "sha256").hexdigest()
        first, *others = id_types
        for name in others:
            if id_types[name] != id_types[first]:
                raise BatchError(
                    f"{folder}: the column {COLUMNS[0]!r} holds {id_types[first]} in {first}, but "
                    f"{id_types[name]} in {name}: write both with one type"
                )
        return cls(folder, files, blocks, block_rows)

    def read(self, block: Block) -> pa.Table:
        """Return the rows of a block.

        Only a block of the row group is in memory at a time, however large the group is.
        """
        with opened(self.folder / block.file) as file:
            batches = file.iter_batches(self.block_rows, [block.row_group], list(COLUMNS))
            return self._checked(block, next(itertools.islice(batches, block.nth, None), None))

    def scan(self, columns: Sequence[str]) -> Iterator[tuple[Block, pa.Table]]:
        """Yield all blocks with their rows, reading every file once."""
        for name, blocks in itertools.groupby(self.blocks, lambda block: block.file):
            with opened(self.folder / name) as file:
                for row_group, members in itertools.groupby(blocks, lambda b: b.row_group):
                    batches = file.iter_batches(self.block_rows, [row_group], list(columns))
                    for block in members:
                        yield block, self._checked(block, next(batches, None))

    def _checked(self, block: Block, batch: pa.RecordBatch | None) -> pa.Table:
        if batch is None or batch.num_rows != block.n_rows:
            raise BatchError(
                f"{self.folder / block.file} has been changed meanwhile: rows are missing from row "
                f"{block.first_row + 1} on; let the files be as they were, and start again"
            )
        return pa.Table.from_batches([batch])


def opened(path: Path) -> pq.ParquetFile:
    """Open a Parquet file; `BatchError` says what is wrong with one that cannot be read."""
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise BatchError(f"{path} cannot be read as Parquet: {error}") from error


def _blocks(name: str, sizes: Sequence[int], block_rows: int, number: int) -> Iterator[Block]:
    first_row = 0
    for row_group, size in enumerate(sizes):
        for nth, start in enumerate(range(0, size, block_rows)):
            n_rows = min(block_rows, size - start)
            yield Block(number, name, row_group, nth, first_row + start, n_rows)
            number += 1
        first_row += size


@dataclass(frozen=True)
class Counts:
    """What became of some rows.

    Attributes:
        listeners: recommended to.
        bad_rows: no listeners.
        valued: pairs of a listener and a track that the network has valued.
    """

    listeners: int = 0
    bad_rows: int = 0
    valued: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.listeners + other.listeners,
            self.bad_rows + other.bad_rows,
            self.valued + other.valued,
        )


@dataclass(frozen=True)
class Output:
    """The folder that recommendations go to; every machine must see it under this path."""

    folder: Path

    def make_folder(self) -> None:
        """Make the folder, if there is none.

        Raises:
            BatchError: it is a file, or cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise BatchError(
                f"{self.folder} is no folder: choose another for the recommendations"
            ) from error
        except OSError as error:
            raise BatchError(
                f"the folder {self.folder} cannot be made ({error}): choose another for the "
                "recommendations"
            ) from error

    def begin(self, job: Mapping[str, Any]) -> None:
        """Begin a job in the folder, which exists, or go on with it.

        Args:
            job: what decides about the result, as JSON has it.

        Raises:
            BatchError: another job was begun there, or something else is there.
        """
        path = self.folder / JOB
        unfinished = unfinished_json(path)
        if list(self.folder.iterdir()) == [unfinished]:  # killed before there was a job
            unfinished.unlink()
        if path.exists():
            self._check(path, json.loads(json.dumps(job)))
        elif any(self.folder.iterdir()):
            raise BatchError(
                f"{self.folder} is not empty, and holds no {JOB}: choose a new folder for the "
                "recommendations"
            )
        else:
            write_json(path, job)
        for name in (RECOMMENDATIONS, BAD_ROWS_FOLDER):
            (self.folder / name).mkdir(exist_ok=True)
            for left_over in (self.folder / name).glob(".*.part"):
                left_over.unlink(missing_ok=True)

    def _check(self, path: Path, job: Mapping[str, Any]) -> None:
        try:
            begun = read_json(path)
        except RunError as error:
            raise BatchError(str(error)) from error
        changed = [name for name in {**begun, **job} if begun.get(name) != job.get(name)]
        if changed:
            differences = "; ".join(
                f"{name} was {_short(begun.get(name))}, is {_short(job.get(name))}"
                for name in changed
            )
            raise BatchError(
                f"{self.folder} was begun with something else: {differences}. Go on with what it "
                "was begun with, or choose a new folder for the recommendations"
            )

    def done(self, block: Block) -> bool:
        """Whether a block is done."""
        return self._part(RECOMMENDATIONS, block).exists()

    def write(self, block: Block, best: pa.Table, bad: pa.Table, counts: Counts) -> None:
        """Write what a block came to; the same block again writes the same files."""
        if bad.num_rows:
            _put(bad, self._part(BAD_ROWS_FOLDER, block))
        noted = {**(best.schema.metadata or {}), _COUNTS: json.dumps(asdict(counts)).encode()}
        _put(best.replace_schema_metadata(noted), self._part(RECOMMENDATIONS, block))

    def note_attempt(self, block: Block) -> int:
        """Note that a block is begun with; return how often it was since `begin`."""
        with self._attempts(block).open("ab") as notes:
            notes.write(b".")
        return self._attempts(block).stat().st_size

    def forget_attempts(self, block: Block) -> None:
        """Forget how often a block was begun with."""
        self._attempts(block).unlink(missing_ok=True)

    def counts(self, block: Block) -> Counts:
        """Return what became of a block that is done.

        Raises:
            BatchError: its file is not as it was written.
        """
        part = self._part(RECOMMENDATIONS, block)
        try:
            with pq.ParquetFile(part) as file:
                return Counts(**json.loads(file.schema_arrow.metadata[_COUNTS]))
        except (OSError, pa.ArrowException, TypeError, KeyError, ValueError) as error:
            raise BatchError(
                f"{part} is not as it was written ({error}): delete it and start again, and its "
                "block is done again"
            ) from error

    def _part(self, folder: str, block: Block) -> Path:
        return self.folder / folder / f"part-{block.number:06d}.parquet"

    def _attempts(self, block: Block) -> Path:
        part = self._part(RECOMMENDATIONS, block)
        return part.with_name(f".{part.name}.attempts.part")


def _put(table: pa.Table, path: Path) -> None:
    # A name of its own: a worker that was given up for dead may be writing the same block.
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    pq.write_table(table, part)
    part.replace(path)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
