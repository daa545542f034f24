"""Blocks of listeners on the workers of a Ray cluster: an engine beside `cluster.batch.locally`.

Ray Data keeps a pool of workers busy with blocks, and gives the blocks of one that dies to
another. (Its own checkpoints keep the ids of all rows that are done in memory, which grows with the
listeners; a block's file does not.)
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from numpy.typing import NDArray

from cluster.batch import Doing
from cluster.block_work import BlockRanker, BlockWork, Done
from cluster.blocks import Counts
from cluster.connection import RETRIES, connected
from cluster.errors import BatchError

_MEND = "Mend that and start again: what is done is not done again"


def on_ray(address: str | None = None, num_cpus: int | None = None, **init: Any) -> Doing:
    """Return the engine that does blocks on a Ray cluster: a worker for each of its processors.

    Args:
        address: of a running cluster, see `cluster.connection.connected`; None: a local Ray.
        num_cpus: processors of that local Ray; None: all.
        init: further arguments of ``ray.init``.

    Raises:
        BatchError: if the address is one of Ray Client, through which Ray Data does not work.
    """
    if address is not None and address.startswith("ray://"):
        raise BatchError(
            f"{address} is an address of Ray Client, through which Ray Data does not work: run the "
            "command on a machine of the cluster, with the address auto"
        )

    def doing(work: BlockWork, numbers: Sequence[int]) -> Iterator[Done]:
        with connected(address, num_cpus, **init):
            yield from _on_workers(work, numbers)

    return doing


def _on_workers(work: BlockWork, numbers: Sequence[int]) -> Iterator[Done]:
    import ray
    from ray.data import ActorPoolStrategy, DataContext

    logging.getLogger("ray.data").setLevel(logging.WARNING)
    # Which warns that the bars below are off; there is one of ours.
    logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    n_workers = max(1, min(len(numbers), int(ray.cluster_resources().get("CPU", 1))))
    # A cluster may grow while it works, from no processor at all: Ray Data adds workers where there
    # is room for them, and asks for machines. One that has lost some goes on with what is left.
    blocks = ray.data.from_items(
        [{"number": number} for number in numbers], override_num_blocks=len(numbers)
    )
    done = blocks.map_batches(
        _RayBlockRanker,
        fn_constructor_args=(ray.put(work),),
        batch_size=1,
        compute=ActorPoolStrategy(min_size=1, max_size=len(numbers), initial_size=n_workers),
        num_cpus=1,
    )
    try:
        for row in done.iter_rows():
            if row["failed"]:
                raise BatchError(f"a block could not be done: {row['failed']}. {_MEND}")
            values = json.loads(row["done"])
            yield Done(**{**values, "counts": Counts(**values["counts"])})
    except ray.exceptions.RayError as error:
        # Not of a block, whose errors are rows: Ray's own, or a node that lacks the project.
        raise BatchError(
            f"the cluster could not go on ({type(error).__name__}): {_last_line(error)}. {_MEND}"
        ) from error


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["it does not say why"])[-1].strip().rstrip(".")


class _RayBlockRanker:
    """A `BlockRanker` as Ray Data calls it.

    Ray Data starts a worker that died again, and gives it its block again, without end. Hence what
    was begun is counted, in `Output`: what other process could tell? The ranker is made with the
    first block, as that may be what ends the process.
    """

    def __init__(self, work: Any) -> None:
        self.work = work
        self.ranker: BlockRanker | None = None

    def __call__(self, batch: dict[str, NDArray[Any]]) -> dict[str, list[str]]:
        (number,) = batch["number"]
        try:
            done = self._do(int(number))
        except Exception as error:  # as text: what Ray raises for it does not say what it was
            reason = str(error) if isinstance(error, BatchError) else repr(error)
            return {"done": [""], "failed": [reason]}
        return {"done": [json.dumps(asdict(done))], "failed": [""]}

    def _do(self, number: int) -> Done:
        import ray

        if isinstance(self.work, ray.ObjectRef):
            self.work = ray.get(self.work)
        block, output = self.work.listeners.blocks[number], self.work.output
        if output.note_attempt(block) > 1 + RETRIES:
            raise BatchError(
                f"the process that did rows {block.first_row + 1} to "
                f"{block.first_row + block.n_rows} of {block.file} died, each of {1 + RETRIES} "
                "times; it may want more memory than there is, and Ray's logs on the nodes say more"
            )
        self.ranker = self.ranker or BlockRanker(self.work)
        done = self.ranker.do(number)
        output.forget_attempts(block)
        return done
