"""How many runs of the study a local Ray makes a minute with one worker and with two.

python -m cluster.throughput
python -m cluster.throughput --workers 1 2 4 --runs 16

Starting is left out: before the clock runs, every worker's process is there and has made a run. All
runs that are timed are one and the same, seed included: a run ends once its regret stays at zero,
which is after three times the tracks with one seed than with another, and the longest would be
waited for at the end. For the same reason their number is to be a multiple of each number of
workers.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

from bench.report import ROOT, machine, markdown_table
from cluster.connection import ClusterError, connected, require_ray
from study.suites import run_task, tasks_of
from study.tasks import Task

SUITE, LEARNER = "musicrec", "dueling-dqn"

ASKED = {2: 1.7}
"""Workers -> how many times the runs a minute of one worker they are to make at least."""

_WARM_BUDGET = 512  # judged tracks of a run before the clock runs

HEADINGS = ("workers", "runs", "seconds", "runs a minute", "times the first", "asked", "")


@dataclass(frozen=True)
class Arguments:
    """Measure runs a minute for several numbers of workers."""

    workers: tuple[int, ...] = (1, 2)
    """Numbers of workers; the first is what the others are compared with."""
    runs: int = 12
    """That are timed, for each number of workers; trainings of the dueling DQN."""
    budget: int = 24_000
    """Judged tracks of a run at most."""
    rounds: int = 3
    """Turns, in which the numbers of workers alternate; the fastest of each counts, as whatever
    else the machine does only ever slows a round down."""
    out: Path = ROOT / "bench" / "throughput.md"
    """Markdown file to write."""


def same_run(count: int, budget: int) -> list[Task]:
    """Return one run of one learner for one listener of the embedded catalogue, many times."""
    found = next(task for task in tasks_of(SUITE, deezer=None, seeds=1) if task.learner == LEARNER)
    return [replace(found, budget=budget)] * count


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
        warm = [replace(tasks[0], budget=_WARM_BUDGET)] * 3 * workers
        for _ in engine(warm, run_task):
            pass
        started = time.perf_counter()
        failed = [row["error"] for _, row in engine(tasks, run_task) if row["status"] == "failed"]
        taken = time.perf_counter() - started
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(tasks)} runs failed, the first with {failed[0]}")
    return taken


def table_rows(best: Mapping[int, float], runs: int) -> list[list[str]]:
    """Return the rows of the table, see `HEADINGS`.

    Args:
        best: workers -> seconds that the runs took; the first is what the others are compared with.
        runs: how many there were.
    """
    first = next(iter(best))
    rows = []
    for workers, taken in best.items():
        idle = "" if runs % workers == 0 else f" ({ceil(runs / workers)} turns)"
        times = best[first] / taken
        asked = ASKED.get(workers) if first == 1 else None
        rows.append(
            [
                str(workers),
                f"{runs}{idle}",
                f"{taken:.1f}",
                f"{60 * runs / taken:.1f}",
                f"{times:.2f}",
                "" if asked is None else f">= {asked}",
                "" if asked is None else "met" if times >= asked else "NOT MET",
            ]
        )
    return rows


def main() -> int:
    """Parse the command line, measure, print and write a table; return the exit status."""
    arguments = tyro.cli(Arguments, description=__doc__)
    numbers = (len(arguments.workers), *arguments.workers)
    if min(*numbers, arguments.runs, arguments.budget, arguments.rounds) < 1:
        print("throughput: workers, runs, budget and rounds must be at least 1", file=sys.stderr)
        return 2
    tasks = same_run(arguments.runs, arguments.budget)
    best = dict.fromkeys(arguments.workers, float("inf"))
    try:
        require_ray()
        for _ in range(arguments.rounds):
            for workers in arguments.workers:
                best[workers] = min(best[workers], seconds(workers, tasks))
    except (ClusterError, RuntimeError) as error:
        print(f"throughput: {error}", file=sys.stderr)
        return 2
    rows = table_rows(best, arguments.runs)
    table = Table(*HEADINGS)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    lines = [
        "# Throughput of the study on a local Ray",
        "",
        f"`python -m cluster.throughput`: {arguments.runs} times the same run of {LEARNER}, "
        f"{tasks[0].case}; the fastest of {arguments.rounds} rounds, starting left out.",
        "",
        *markdown_table(HEADINGS, rows),
        "",
        *markdown_table(("", ""), machine()),
        "",
    ]
    arguments.out.write_text("\n".join(lines), encoding="utf-8")
    print(f"Written: {arguments.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
