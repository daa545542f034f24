"""How many runs of the study a local Ray makes a minute with one worker and with two.

python -m cluster.throughput
python -m cluster.throughput --workers 1 2 4 --runs 16

Starting is left out: before the clock runs, every worker has made a run, so that processes are
there and have read their catalogue. All runs are alike but for their seeds, and the number of runs
is to be a multiple of each number of workers, or some stand idle at the end.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from math import ceil

import tyro
from rich.console import Console
from rich.table import Table

from cluster.connection import ClusterError, connected, require_ray
from study.suites import run_task, tasks_of
from study.tasks import Task

SUITE, LEARNER = "musicrec", "dueling-dqn"


@dataclass(frozen=True)
class Arguments:
    """Measure runs a minute for several numbers of workers."""

    workers: tuple[int, ...] = (1, 2)
    """Numbers of workers; the first is what the others are compared with."""
    runs: int = 12
    """That are timed, for each number of workers; trainings of the dueling DQN."""
    budget: int = 24_000
    """Judged tracks of a run."""
    rounds: int = 3
    """Turns, in which the numbers of workers alternate; the fastest of each counts, as whatever
    else the machine does only ever slows a round down."""


def runs(count: int, budget: int) -> list[Task]:
    """Return runs of one learner for one listener of the embedded catalogue, a seed each."""
    listener = next(
        task for task in tasks_of(SUITE, deezer=None, seeds=1) if task.learner == LEARNER
    )
    return [replace(listener, seed=seed, budget=budget) for seed in range(count)]


def seconds(workers: int, tasks: list[Task]) -> float:
    """Return how long a local Ray takes for the tasks [s], starting left out.

    Raises:
        ClusterError: if Ray is not installed.
        RuntimeError: if a run fails.
    """
    from cluster.study import on_ray

    with connected(num_cpus=workers):
        engine = on_ray()
        # More than workers, as a worker that started early may take two.
        warm = [replace(task, budget=512) for task in tasks[:1]] * 3 * workers
        for _ in engine(warm, run_task):
            pass
        started = time.perf_counter()
        failed = [row["error"] for _, row in engine(tasks, run_task) if row["status"] == "failed"]
        taken = time.perf_counter() - started
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(tasks)} runs failed, the first with {failed[0]}")
    return taken


def main() -> int:
    """Parse the command line, measure, print a table; return the exit status."""
    arguments = tyro.cli(Arguments, description=__doc__)
    if min(*arguments.workers, arguments.runs, arguments.budget, arguments.rounds) < 1:
        print("throughput: workers, runs, budget and rounds must be at least 1", file=sys.stderr)
        return 2
    tasks = runs(arguments.runs, arguments.budget)
    best = dict.fromkeys(arguments.workers, float("inf"))
    try:
        require_ray()
        for _ in range(arguments.rounds):
            for workers in arguments.workers:
                best[workers] = min(best[workers], seconds(workers, tasks))
    except (ClusterError, RuntimeError) as error:
        print(f"throughput: {error}", file=sys.stderr)
        return 2
    table = Table("workers", "runs", "seconds", "runs a minute", f"times {arguments.workers[0]}")
    for workers, taken in best.items():
        idle = "" if arguments.runs % workers == 0 else f" ({ceil(arguments.runs / workers)} turns)"
        table.add_row(
            str(workers),
            f"{arguments.runs}{idle}",
            f"{taken:.1f}",
            f"{60 * arguments.runs / taken:.1f}",
            f"{best[arguments.workers[0]] / taken:.2f}",
        )
    Console().print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
