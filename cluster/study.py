"""The study's tasks on a Ray cluster: an engine beside `study.engine.in_processes`."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import ray

from cluster.connection import RETRIES, connected
from cluster.parcels import Parcel, Sender, unpack
from study.engine import Engine, Rows, Run, attempt
from study.tasks import Row, Task

AHEAD = 2
"""Tasks handed over for each processor: one that runs, and one that can start when it ends. A
cluster is not given more than it can soon do, whatever the number of tasks."""

_LOOK_AGAIN = 10.0  # [s] between looks at how large the cluster is, while nothing ends


def on_ray(address: str | None = None, *, workers: int | None = None) -> Engine:
    """Return an engine that runs each task as one of Ray's, of one processor.

    Catalogues reach each node once, through the object store; nodes need not have their files.

    Args:
        address: of the cluster, see `cluster.connection.connected`; None: a local Ray.
        workers: processors of that local Ray.

    Raises:
        ClusterError: (the engine, where there are tasks) if there is no Ray to run them on.
    """

    def engine(tasks: Sequence[Task], run: Run) -> Rows:
        if tasks:  # else there is nothing to start a cluster for
            with connected(address, workers):
                yield from _rows(tasks, run)

    return engine


def _rows(tasks: Sequence[Task], run: Run) -> Rows:
    sender = Sender()
    remote = ray.remote(_attempt).options(max_retries=RETRIES)
    waiting, running = deque(tasks), dict[ray.ObjectRef, Task]()
    try:
        while waiting or running:
            # Asked each time: a cluster may grow, and lose nodes.
            processors = int(ray.cluster_resources().get("CPU", 0))
            while waiting and len(running) < AHEAD * max(1, processors):
                task = waiting.popleft()
                running[remote.remote(run, task, sender.parcel(task.setting))] = task
            ended, _ = ray.wait(list(running), timeout=_LOOK_AGAIN)
            for reference in ended:
                yield running[reference], _row(reference, running[reference])
                del running[reference]
    finally:
        for reference in running:
            ray.cancel(reference, force=True)


def _row(reference: ray.ObjectRef, task: Task) -> Row:
    row: Row
    try:
        row, trace = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        # Not of the task, whose errors are rows: its node cannot run it, lacking the project, say.
        print(error, file=sys.stderr, flush=True)
        reason = str(error.cause).strip().splitlines()[-1:]
        return task.row(
            status="failed",
            error=f"a node could not run it: {type(error.cause).__name__}: {''.join(reason)}",
        )
    except ray.exceptions.RayError as error:
        # Ray's own text names machines and files.
        return task.row(
            status="failed",
            error=f"its process died, each of {1 + RETRIES} times ({type(error).__name__})",
        )
    if trace:
        print(trace, file=sys.stderr, flush=True)
    return row


def _attempt(run: Run, task: Task, parcel: Parcel) -> tuple[Row, str]:
    """Run a task in a worker; return its row and the traceback if there is one."""
    return attempt(lambda t: run(replace(t, setting=unpack(parcel, t.setting))), task)
