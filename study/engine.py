"""Runs tasks and keeps their rows, one after another as they end, resumable; in processes here."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from study.table import appending, read_rows
from study.tasks import Row, Task, key_of

Run = Callable[[Task], Row]
"""Makes a task's measured values."""

Rows = Generator[tuple[Task, Row], None, None]
"""Each task with its row, as it ends."""

Engine = Callable[[Sequence[Task], Run], Rows]
"""Runs tasks somewhere. A task that cannot be done is a row whose ``status`` is "failed"; closing
the generator ends what is still running."""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Outcome:
    """What became of the tasks.

    Attributes:
        before: were done already.
        done: are done now.
        failed: a task and the text of its error, for each that failed.
    """

    before: int
    done: int
    failed: Sequence[tuple[Task, str]]


def table_of(suite: str, folder: Path) -> Path:
    """Return where a suite's table is."""
    return folder / f"{suite}.jsonl"


def pending(tasks: Sequence[Task], folder: Path) -> list[Task]:
    """Return the tasks that the tables hold no done row of; failed ones are tried again."""
    done = {
        key_of(row)
        for suite in {task.suite for task in tasks}
        for row in read_rows(table_of(suite, folder))
        if row["status"] == "done"
    }
    return [task for task in tasks if task.key not in done]


def run_tasks(
    tasks: Sequence[Task],
    folder: Path,
    run: Run,
    engine: Engine,
    *,
    progress_bar: bool = True,
) -> Outcome:
    """Run the tasks that the tables do not hold yet, and append a row for each as it ends.

    A task that raises, or whose process dies, becomes a row with ``status`` "failed" and its
    ``error``; the others go on. After a kill, call it again: rows that are written are not done
    again.

    Args:
        tasks: all of them, done ones included.
        folder: of the tables, one for each suite.
        run: makes a task's measured values; a function of a module, since it runs in another
            process.
        engine: where tasks run: `in_processes` of this machine, or `cluster.study.on_ray`.
        progress_bar: show one on standard error, where that is a terminal.

    Raises:
        TableError: if a table cannot be read, or another process is writing to it.
    """
    failed: list[tuple[Task, str]] = []
    suites = dict.fromkeys(task.suite for task in tasks)
    with ExitStack() as stack:
        tables = {
            suite: stack.enter_context(appending(table_of(suite, folder))) for suite in suites
        }
        # Read under the locks, so that no other study can be doing the same tasks.
        left = pending(tasks, folder)
        with tqdm(
            total=len(tasks),
            initial=len(tasks) - len(left),
            unit="run",
            disable=None if progress_bar else True,
            dynamic_ncols=True,
            smoothing=0,
        ) as bar:
            for task, row in stack.enter_context(closing(engine(left, run))):
                if row["status"] == "failed":
                    failed.append((task, row["error"]))
                    # Before the bar and not over it.
                    bar.write(f"failed: {task.key}: {row['error']}", file=sys.stderr)
                tables[task.suite].append(row)
                bar.update()
    return Outcome(len(tasks) - len(left), len(left) - len(failed), failed)


def in_processes(workers: int) -> Engine:
    """Return an engine of this machine: processes of one thread each, started by spawn."""

    def engine(tasks: Sequence[Task], run: Run) -> Rows:
        with _one_thread():
            yield from _rows(tasks, run, workers)

    return engine


def _rows(tasks: Sequence[Task], run: Run, workers: int) -> Rows:
    waiting = deque(tasks)
    while waiting:
        # Only as many as there are workers are handed over, so that these alone are suspected of
        # having killed a worker.
        running: dict[Future[Row], Task] = {}
        with _pool(min(workers, len(waiting))) as pool:
            try:
                while waiting or running:
                    while waiting and len(running) < workers:
                        running[pool.submit(_guarded, run, waiting[0])] = waiting[0]
                        waiting.popleft()
                    ended, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in ended:
                        row = future.result()
                        yield running.pop(future), row
            except BrokenProcessPool:
                pass
        for task in running.values():
            yield task, _alone(run, task)


def _alone(run: Run, task: Task) -> Row:
    """Run a task in a process of its own: it was running when a worker died, perhaps of it."""
    with _pool(1) as pool:
        try:
            return pool.submit(_guarded, run, task).result()
        except BrokenProcessPool as error:
            return task.row(status="failed", error=f"its process died: {error}")


def attempt(run: Run, task: Task) -> tuple[Row, str]:
    """Run a task; return its row, done or failed, and the traceback if there is one, else ""."""
    try:
        return task.row(status="done", **run(task)), ""
    except Exception as error:  # whatever it is, it must not end the other tasks
        # Without the traceback, which names files of this machine.
        failed = task.row(status="failed", error=f"{type(error).__name__}: {error}")
        return failed, traceback.format_exc()


def _guarded(run: Run, task: Task) -> Row:
    row, trace = attempt(run, task)
    if trace:
        print(trace, file=sys.stderr, flush=True)
    return row


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent
    )


def _end_with_parent() -> None:
    """Let a worker end when the study is killed, instead of waiting for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait_for_it() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait_for_it, daemon=True).start()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let processes started meanwhile use one thread; small networks lose to thread hand-over."""
    before = {name: os.environ.get(name) for name in _THREADS}
    # In the environment, which libraries read when they are imported.
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
