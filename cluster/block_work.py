"""A block's work: its rows in, its recommendations out; the same wherever it is done."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from torch import nn

from cluster.blocks import Block, Counts, Input, Output
from cluster.listener_rows import BAD_ROWS, LISTENER_ID, cell, check_rows
from cluster.ranking import Ranker
from cluster.repeated_ids import Repeated
from music_env.catalogue import Catalogue


@dataclass(frozen=True)
class Done:
    """A block that a worker has done.

    Attributes:
        number: of the block.
        counts: what became of its rows.
        started: when the worker began with it [s since 1970].
        ended: when it was done.
        cpu_seconds: the processor's time that it took.
        peak_bytes: the most memory that the worker's process has used so far.
    """

    number: int
    counts: Counts
    started: float
    ended: float
    cpu_seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class BlockWork:
    """All that a worker needs; goes to each machine once, through the object store.

    Attributes:
        network: of the run's learner.
        catalogue: what it was trained on.
        encoding: of its observations.
        listeners: where they are, in which blocks.
        output: where the files go.
        repeated: rows whose id stands in an earlier row.
        k: tracks for each listener.
        breadth: candidates of each kind.
        whole: take all of each kind.
    """

    network: nn.Module
    catalogue: Catalogue
    encoding: str
    listeners: Input
    output: Output
    repeated: Repeated
    k: int
    breadth: int
    whole: bool

    def ranker(self) -> Ranker:
        """Return what ranks tracks for the listeners."""
        return Ranker(
            self.network,
            self.catalogue,
            self.encoding,
            k=self.k,
            breadth=self.breadth,
            whole=self.whole,
        )


class BlockRanker:
    """Does blocks, one after another, with one ranker.

    Args:
        work: what there is to do.
    """

    def __init__(self, work: BlockWork) -> None:
        self.work = work
        self.ranker = work.ranker()
        self.track_ids = pa.array(work.catalogue.track_id, pa.string())

    def do(self, number: int) -> Done:
        """Do a block, unless it is done already; its files are there afterwards."""
        block = self.work.listeners.blocks[number]
        started, cpu = time.time(), time.process_time()
        output = self.work.output
        # Done already by a worker that died before it could say so?
        counts = output.counts(block) if output.done(block) else self._do(block)
        cpu_seconds = time.process_time() - cpu
        return Done(number, counts, started, time.time(), cpu_seconds, peak_bytes())

    def _do(self, block: Block) -> Counts:
        work = self.work
        table = work.listeners.read(block)
        rows = check_rows(table, work.catalogue, work.repeated.get(block.number, {}))
        ranked = self.ranker.rank(rows.listeners)
        ids = table[LISTENER_ID].combine_chunks()
        counts = Counts(len(rows.good), len(rows.bad), ranked.n_valued)
        best = self._best(ids.take(pa.array(rows.good)), ranked.tracks, ranked.values)
        work.output.write(block, best, _bad(block, ids, rows.bad), counts)
        return counts

    def _best(
        self, ids: pa.Array, tracks: NDArray[np.int64], values: NDArray[np.float32]
    ) -> pa.Table:
        """Return a row for each listener and place."""
        n_listeners, k = tracks.shape
        owner = np.repeat(np.arange(n_listeners), k)
        rank = np.tile(np.arange(1, k + 1, dtype=np.int32), n_listeners)
        return pa.table(
            {
                LISTENER_ID: ids.take(pa.array(owner)),
                "rank": rank,
                "track_id": self.track_ids.take(pa.array(tracks.reshape(-1))),
                "value": values.reshape(-1),
            }
        )


def _bad(block: Block, ids: pa.Array, bad: dict[int, str]) -> pa.Table:
    names = [cell(ids, row) for row in bad]
    return pa.table(
        {
            "file": [block.file] * len(bad),
            "row": [block.first_row + row + 1 for row in bad],
            LISTENER_ID: [_as_text(name) for name in names],
            "reason": list(bad.values()),
        },
        schema=BAD_ROWS,
    )


def _as_text(name: Any) -> str | None:
    if isinstance(name, bytes):  # text that is not UTF-8
        return name.decode("utf-8", errors="backslashreplace")
    return None if name is None else str(name)


def peak_bytes() -> int:
    """Return the most memory that this process has used; 0 where that is not known."""
    if sys.platform == "win32":
        return 0
    try:  # not `getrusage` on Linux: it starts from what the process had that started this one
        status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    import resource  # which Windows does not have

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
