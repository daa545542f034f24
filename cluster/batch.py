"""Recommendations for a folder of listeners, in blocks: here, or by another engine.

A block's result is a file (`cluster.blocks`), so that what is done outlasts any process, and a
block done twice is the same file twice.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import nn
from tqdm import tqdm

from agents.dueling_dqn import DuelingDQN
from agents.run_lock import alone_in
from agents.runs import ANY_LISTENER, MODEL, Run, RunError
from cluster.block_work import BlockRanker, BlockWork, Done
from cluster.blocks import Counts, Input, Output
from cluster.candidates import MARGIN
from cluster.errors import BatchError
from cluster.repeated_ids import repeated_ids

BLOCK_ROWS = 5_000
"""Listeners in a block: some seconds of work, which are lost when a worker dies."""

FORMAT = "musicrec-batch-1"
"""Of `job.json` and the files; the number rises when what was begun cannot be gone on with."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What is to be done.

    Attributes:
        listeners: a folder of Parquet files with the columns `cluster.listener_rows.COLUMNS`.
        out: where the recommendations go, see `cluster.blocks`; a new folder, or one in which the
            same batch was begun.
        k: tracks for each listener; all where the catalogue has fewer.
        candidates: of each kind, see `cluster.candidates`; None: `MARGIN` times k; "all": all.
        block_rows: listeners in a block.

    Raises:
        BatchError: a number is not at least 1, there are too few candidates for k, or `out` lies
            within `listeners`.
    """

    listeners: Path
    out: Path
    k: int = 20
    candidates: int | Literal["all"] | None = None
    block_rows: int = BLOCK_ROWS

    def __post_init__(self) -> None:
        if self.k < 1 or self.block_rows < 1:
            raise BatchError(
                f"k and block_rows must be at least 1, got {self.k} and {self.block_rows}"
            )
        if self.breadth < 2 * self.k:
            raise BatchError(
                f"with fewer than {2 * self.k} candidates of each kind the first {self.k} may be "
                f"others than those of all tracks, got {self.breadth}: name more, or leave it "
                "out"
            )
        if self.out.resolve().is_relative_to(self.listeners.resolve()):
            raise BatchError(
                f"{self.out} lies in {self.listeners}, where its files would be taken for files of "
                "listeners: choose another folder for the recommendations"
            )

    @property
    def breadth(self) -> int:
        """So many candidates of a kind are enough."""
        return self.candidates if isinstance(self.candidates, int) else MARGIN * self.k


@dataclass(frozen=True)
class Outcome:
    """What a call of `recommend` came to.

    Attributes:
        total: rows of all blocks, those that were done before included.
        n_blocks: all of them.
        done: the blocks of this call, in the order in which they ended.
        seconds: of this call, from its beginning.
    """

    total: Counts
    n_blocks: int
    done: Sequence[Done]
    seconds: float

    @property
    def now(self) -> Counts:
        """Rows of the blocks of this call."""
        return sum((done.counts for done in self.done), Counts())


Doing = Callable[[BlockWork, Sequence[int]], Iterator[Done]]
"""An engine: does the blocks of these numbers, and yields each when it is done."""


def recommend(run: Run, batch: Batch, doing: Doing | None = None, *, bar: bool = True) -> Outcome:
    """Recommend to all listeners of a folder; what is done already is not done again.

    Args:
        run: of ``train.py --listener any``.
        batch: what is to be done.
        doing: `locally` (default), or that of `cluster.batch_on_ray.on_ray`.
        bar: show a progress bar on standard error, where that is a terminal.

    Raises:
        BatchError: see `usable_network`, `Batch`, `Input.of`, `Output.make_folder`, `begin` and
            `counts`; another process is working in the folder; or a block could not be done.
    """
    began = time.monotonic()
    network = usable_network(run)
    # Absolute, as a worker may have been started somewhere else.
    listeners = Input.of(batch.listeners.absolute(), batch.block_rows)
    output = Output(batch.out.absolute())
    output.make_folder()
    with _alone_in(batch.out):
        output.begin(_job(run, batch, listeners))
        left = [block.number for block in listeners.blocks if not output.done(block)]
        done: list[Done] = []
        rows_left = sum(listeners.blocks[number].n_rows for number in left)
        with tqdm(
            total=listeners.n_rows,
            initial=listeners.n_rows - rows_left,
            unit=" listeners",
            disable=None if bar else True,
            dynamic_ncols=True,
        ) as shown:
            if left:
                work = BlockWork(
                    network,
                    run.catalogue,
                    str(run.config["environment"]["encoding"]),
                    listeners,
                    output,
                    repeated_ids(listeners),
                    batch.k,
                    batch.breadth,
                    batch.candidates == "all",
                )
                for ended in (doing or locally)(work, left):
                    done.append(ended)
                    shown.update(listeners.blocks[ended.number].n_rows)
        missing = [block.number for block in listeners.blocks if not output.done(block)]
        if missing:
            raise BatchError(
                f"{len(missing)} of {len(listeners.blocks)} blocks have no file in {batch.out}, "
                f"the first of them block {missing[0]}: is that folder the same one on every "
                "machine? Start again to do them"
            )
        total = sum((output.counts(block) for block in listeners.blocks), Counts())
    return Outcome(total, len(listeners.blocks), done, time.monotonic() - began)


def usable_network(run: Run) -> nn.Module:
    """Return the network of a run, which values pairs of a track and a listener.

    Raises:
        BatchError: it serves one listener only.
    """
    if run.env_id != ANY_LISTENER or not isinstance(run.learner, DuelingDQN):
        raise BatchError(
            f"{run.folder} is a run of {run.config['agent']} on {run.env_id}, which serves one "
            "listener: name one that serves every listener, of `python train.py --listener any`"
        )
    network: nn.Module = run.learner.q_net
    return network.cpu()


def locally(work: BlockWork, numbers: Sequence[int]) -> Iterator[Done]:
    """Do the blocks in this process, one after another."""
    ranker = BlockRanker(work)
    for number in numbers:
        yield ranker.do(number)


def _job(run: Run, batch: Batch, listeners: Input) -> dict[str, Any]:
    """Return what decides about the result."""
    with (run.folder / MODEL).open("rb") as content:
        model = hashlib.file_digest(content, "sha256").hexdigest()
    return {
        "format": FORMAT,
        "model": model,
        "catalogue": run.catalogue.checksum,
        "encoding": run.config["environment"]["encoding"],
        "k": batch.k,
        "candidates": "all" if batch.candidates == "all" else batch.breadth,
        "block_rows": batch.block_rows,
        "listeners": dict(listeners.files),
    }


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    with ExitStack() as held:
        try:
            held.enter_context(alone_in(folder))
        except RunError:
            raise BatchError(
                f"another process is recommending into {folder}: wait until it has ended or stop "
                "it, or choose another folder"
            ) from None
        yield
