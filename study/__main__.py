"""The study, from the runs to ``docs/results.md``.

python -m study run                     # all suites, on all cores; again after a kill: goes on
python -m study run --suites musicrec
python -m study run --engine ray --address auto   # on a Ray cluster; extra `ray`
python -m study report    # docs/results.md, docs/planning.md and figures, from the tables alone
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from bench.listeners import DEEZER, TIDYTUESDAY
from bench.report import ROOT, machine
from study.judgements import JUDGEMENTS
from study.tasks import MACHINE, Task

if TYPE_CHECKING:
    from study.engine import Engine, Rows
    from study.engine import Run as Measure

TABLES = ROOT / "docs" / "study"
RESULTS = ROOT / "docs" / "results.md"

Suite = Literal[
    "musicrec",
    "one-pass",
    "ablation",
    "generalisation",
    "any-listener",
    "control",
    "control-ablation",
    "judgements",
    "online",
    "planning",
    "slates",
]


@dataclass(frozen=True)
class Run:
    """Run what the tables do not hold yet; safe to kill and to start again.

    Exit status: 0 where all is done, 1 where a run failed (its error stands in the table; it is
    tried again next time), 2 where nothing could be run, 130 after Ctrl-C.
    """

    suites: tuple[Suite, ...] = (
        "musicrec",
        "one-pass",
        "ablation",
        "generalisation",
        "any-listener",
        "control",
        "control-ablation",
        "judgements",
        "online",
        "planning",
        "slates",
    )
    """Which ones, in this order."""
    seeds: int = 10
    """How many, from 0."""
    only: tuple[str, ...] = ()
    """Only learners and variants of these names."""
    cases: tuple[str, ...] = ()
    """Only listeners and environments whose name contains one of these."""
    budget: int | None = None
    """Judged tracks or steps of every run, in place of the suite's own: to try things out."""
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Processes, of one thread each; a running cluster has its own number."""
    engine: Literal["local", "ray"] = "local"
    """Where runs are made: in processes of this machine, or as tasks of Ray."""
    address: str | None = None
    """Of a running Ray cluster that this machine is part of: auto, or HOST:6379; if not given, a local Ray starts and stops by itself."""  # noqa: E501
    deezer: Annotated[Path, tyro.conf.arg(metavar="FILE")] = DEEZER
    """The Deezer catalogue, which is not part of the project; its listeners are left out without it."""  # noqa: E501
    tidytuesday: Annotated[Path, tyro.conf.arg(metavar="FILE")] = TIDYTUESDAY
    """The TidyTuesday catalogue, likewise; for any-listener."""
    judged: Annotated[Path, tyro.conf.arg(metavar="FILE")] = JUDGEMENTS
    """Recorded judgements, which are not part of the project; what needs them is left out without them."""  # noqa: E501
    tables: Annotated[Path, tyro.conf.arg(metavar="DIR")] = TABLES
    """Folder of the tables, a file for each suite."""
    progress_bar: bool = True
    """Show one on standard error."""
    dry: bool = False
    """Print what would be run, and run nothing."""


@dataclass(frozen=True)
class Report:
    """Write the results and their figures from the tables; nothing is run."""

    tables: Annotated[Path, tyro.conf.arg(metavar="DIR")] = TABLES
    """Folder of the tables."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")] = RESULTS
    """Markdown file to write; beside it go figures, and planning.md with its own."""
    resamples: int = 2_000
    """Of the bootstrap."""


def run(arguments: Run) -> int:
    """Run the suites; return the exit status."""
    from cluster.connection import ClusterError
    from study.engine import pending, run_tasks
    from study.suites import run_task, tasks_of
    from study.table import TableError

    if arguments.seeds < 1 or arguments.workers < 1:
        print(
            f"study: seeds and workers must be at least 1, got {arguments.seeds} and "
            f"{arguments.workers}",
            file=sys.stderr,
        )
        return 2
    if arguments.address is not None and arguments.engine != "ray":
        print(
            f"study: --address {arguments.address} is for --engine ray, which is not asked for",
            file=sys.stderr,
        )
        return 2
    if not arguments.deezer.is_file():
        print(
            f"study: {arguments.deezer} is not there: the Deezer catalogue's listeners are left "
            "out (--deezer FILE says where it is)",
            file=sys.stderr,
        )
    if "any-listener" in arguments.suites and not arguments.tidytuesday.is_file():
        print(
            f"study: {arguments.tidytuesday} is not there: any-listener leaves it out "
            "(--tidytuesday FILE says where it is)",
            file=sys.stderr,
        )
    chosen = arguments.suites
    if "judgements" in chosen and not arguments.judged.is_file():
        print(
            f"study: {arguments.judged} is not there: the suite of recorded judgements is left out "
            "(--judged FILE says where it is)",
            file=sys.stderr,
        )
        chosen = tuple(suite for suite in chosen if suite != "judgements")
    tasks = [
        task
        for suite in chosen
        for task in tasks_of(
            suite,
            deezer=arguments.deezer,
            tidytuesday=arguments.tidytuesday,
            judged=arguments.judged,
            seeds=arguments.seeds,
            budget=arguments.budget,
        )
        if (not arguments.only or task.learner in arguments.only)
        and (not arguments.cases or any(part in task.case for part in arguments.cases))
    ]
    if not tasks:
        print("study: no run fits --suites, --only and --cases", file=sys.stderr)
        return 2
    started = time.monotonic()
    try:
        if arguments.dry:
            return _plan(tasks, pending(tasks, arguments.tables))
        engine = _noting_machine(_engine(arguments), arguments.tables, arguments.engine)
        outcome = run_tasks(
            tasks, arguments.tables, run_task, engine, progress_bar=arguments.progress_bar
        )
    except (TableError, ClusterError) as error:
        print(f"study: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("study: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    print(
        f"{outcome.done} runs done in {time.monotonic() - started:.0f} s, {outcome.before} were "
        f"done before, {len(outcome.failed)} failed"
    )
    return 1 if outcome.failed else 0


def _plan(tasks: Sequence[Task], left: Sequence[Task]) -> int:
    for suite in dict.fromkeys(task.suite for task in tasks):
        counts = [sum(task.suite == suite for task in which) for which in (left, tasks)]
        print(f"{suite}: {counts[0]} of {counts[1]} runs are left")
    return 0


def _engine(arguments: Run) -> Engine:
    if arguments.engine == "local":
        from study.engine import in_processes

        return in_processes(arguments.workers)
    from cluster.connection import require_ray

    require_ray()
    from cluster.study import on_ray

    return on_ray(
        arguments.address, workers=arguments.workers if arguments.address is None else None
    )


def _noting_machine(engine: Engine, tables: Path, name: str) -> Engine:
    """Return an engine that notes the machine with its first row: not where nothing is run."""

    def noting(tasks: Sequence[Task], run_task: Measure) -> Rows:
        with closing(engine(tasks, run_task)) as rows:
            for number, row in enumerate(rows):
                if number == 0:
                    _note_machine(tables, name)
                yield row

    return noting


def _note_machine(tables: Path, engine: str) -> None:
    facts = machine()
    if engine != "local":
        facts.append(("engine", f"{engine}: what stands here is the machine that asked"))
    text = json.dumps(facts, ensure_ascii=False, indent=1)
    (tables / MACHINE).write_text(text + "\n", encoding="utf-8")


def report(arguments: Report) -> int:
    """Write the results; return the exit status."""
    from study.report import write_planning, write_report
    from study.table import TableError

    resamples, planning = arguments.resamples, arguments.out.with_name("planning.md")
    try:
        written = write_planning(arguments.tables, planning, resamples=resamples)
        try:
            written += write_report(arguments.tables, arguments.out, resamples=resamples)
        except FileNotFoundError:
            if not written:
                raise
    except (TableError, FileNotFoundError) as error:
        print(f"study: {error}", file=sys.stderr)
        return 2
    print("Written: " + ", ".join(map(str, written)))
    return 0


def main(args: Sequence[str] | None = None) -> int:
    """Parse the command line; return the exit status."""
    command = tyro.extras.subcommand_cli_from_dict(
        {"run": Run, "report": Report}, description=__doc__, args=args
    )
    return run(command) if isinstance(command, Run) else report(command)


if __name__ == "__main__":
    raise SystemExit(main())
