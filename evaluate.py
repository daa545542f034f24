"""Compare trained runs with each other and with policies that do not learn.

python evaluate.py runs/q-learning runs/dueling-dqn

python evaluate.py runs/dueling-dqn --json

python evaluate.py runs/any    # trained with --listener any: judged on held-out listeners

python evaluate.py runs/both    # trained with --env MusicRecSession-v0: beside a planner

python evaluate.py runs/slate --slate-size 5    # with --env MusicRecSlate-v0, on other slates
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch as th
import tyro
from rich.console import Console

from agents import any_report, session_report, track_report
from agents.runs import ANY_LISTENER, MUSICREC, SESSION, SLATE, Run, RunError, finite, load_run
from music_env import CatalogueError

PLAIN_WIDTH = 110  # columns, where standard output is no terminal


@dataclass(frozen=True)
class Arguments:
    """Compare trained runs on the same seeded sessions, with baselines and the oracle."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders that train.py wrote, for the same catalogue and listener, or all for any."""
    sessions: int | None = None
    """Sessions that every policy is judged on; if not given: 100, and 2,000 of MusicRecSession-v0 and MusicRecSlate-v0."""  # noqa: E501
    listeners: int = 500
    """Held-out listeners that every policy is judged on, where the runs are for any listener."""
    slate_size: int | None = None
    """Candidates in a step of MusicRecSlate-v0; if not given, as many as in training."""
    seed: int = 0
    """Seed of the sessions or listeners, of random decisions and of ties."""
    catalogue: Path | None = None
    """Where the runs' catalogue lies now, if not where it was when they were trained."""
    population: Path | None = None
    """Where the file of the runs' listeners lies now, if they are from one that has moved."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Where to write evaluation.json, evaluation.csv and comparison.png; default: the first run's folder."""  # noqa: E501
    json: bool = False
    """Print the figures as one JSON document and nothing else on standard output."""


def _unique_names(runs: Sequence[Run]) -> list[str]:
    """Return the runs' names; where several agree, with their folders, and then with a number."""
    names = [run.name for run in runs]
    names = [
        f"{run.config['agent']} ({run.folder})" if names.count(name) > 1 else name
        for run, name in zip(runs, names, strict=True)
    ]
    return [
        f"{name} #{names[: i + 1].count(name)}" if names.count(name) > 1 else name
        for i, name in enumerate(names)
    ]


def main() -> int:
    """Parse the command line, evaluate, print and write; return the exit status."""
    arguments = tyro.cli(Arguments, description=__doc__)
    th.set_num_threads(1)
    # Whatever a library prints must not get into the JSON document.
    with redirect_stdout(sys.stderr) if arguments.json else nullcontext():
        try:
            if not arguments.runs:
                raise RunError("name at least one run's folder")
            sessions = 1 if arguments.sessions is None else arguments.sessions
            if min(sessions, arguments.listeners) < 1 or arguments.seed < 0:
                raise RunError(
                    "--sessions and --listeners must be at least 1 and --seed at least 0, got "
                    f"{sessions}, {arguments.listeners} and {arguments.seed}"
                )
            where = {"catalogue": arguments.catalogue, "population": arguments.population}
            runs = [load_run(folder, **where) for folder in arguments.runs]
            out = arguments.out or arguments.runs[0]
            if out.exists() and not out.is_dir():
                raise RunError(f"--out must be a folder, but {out} is a file")
            out.mkdir(parents=True, exist_ok=True)
            kind = kind_of(runs)
            if arguments.slate_size is not None and runs[0].env_id != SLATE:
                raise RunError(f"--slate-size is for runs on {SLATE}, got one on {runs[0].env_id}")
            result = kind.evaluate(runs, _unique_names(runs), arguments)
        except (CatalogueError, RunError, OSError) as error:
            print(f"evaluate.py: {error}", file=sys.stderr)
            return 2
        written = kind.write(result, out)
    if arguments.json:
        print(json.dumps(finite(result), ensure_ascii=False))
    else:
        console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
        kind.show(result, console)
        print(f"Written to {out}: {', '.join(written)}")
    return 0


@dataclass(frozen=True)
class Kind:
    """How runs of one environment are compared.

    Attributes:
        evaluate: returns the figures of some runs with these names.
        show: prints them.
        write: writes them to a folder, and returns the files' names.
    """

    evaluate: Callable[[Sequence[Run], Sequence[str], Arguments], dict[str, Any]]
    show: Callable[[dict[str, Any], Console], None]
    write: Callable[[dict[str, Any], Path], list[str]]


_AFFECTED = Kind(
    lambda runs, names, given: session_report.evaluate_sessions(
        runs,
        names,
        sessions=given.sessions or session_report.SESSIONS,
        seed=given.seed,
        slate_size=given.slate_size,
    ),
    session_report.print_sessions,
    session_report.write_sessions,
)

KINDS: Mapping[str, Kind] = {
    MUSICREC: Kind(
        lambda runs, names, given: track_report.evaluate_tracks(
            runs, names, sessions=given.sessions or track_report.SESSIONS, seed=given.seed
        ),
        track_report.print_tracks,
        track_report.write_tracks,
    ),
    ANY_LISTENER: Kind(
        lambda runs, names, given: any_report.evaluate_any(
            runs, names, listeners=given.listeners, seed=given.seed
        ),
        any_report.print_any,
        any_report.write_any,
    ),
    SESSION: _AFFECTED,
    SLATE: _AFFECTED,
}
"""Environment -> how its runs are compared."""


def kind_of(runs: Sequence[Run]) -> Kind:
    """Return how runs are compared, all of one environment."""
    env_ids = dict.fromkeys(run.env_id for run in runs)
    if len(env_ids) > 1:
        raise RunError(
            f"runs on {' and on '.join(env_ids)} cannot be compared: evaluate them one "
            "environment at a time"
        )
    return KINDS[next(iter(env_ids))]


if __name__ == "__main__":
    raise SystemExit(main())
