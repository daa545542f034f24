"""Compare trained runs with each other and with policies that do not learn.

python evaluate.py runs/q-learning runs/dueling-dqn

python evaluate.py runs/dueling-dqn --json

python evaluate.py runs/any    # trained with --listener any: judged on held-out listeners
"""

from __future__ import annotations

import csv
import json
import math
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch as th
import tyro
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agents import plotting
from agents.any_report import evaluate_any, print_any, write_any
from agents.baselines import baselines
from agents.evaluation import (
    TOP_K,
    TrackPolicy,
    catalogue_figures,
    learner_policy,
    session_figures,
)
from agents.runs import Run, RunError, finite, load_run, write_json
from music_env import CatalogueError
from music_env.metrics import top_k
from music_env.tables import Tables

# Figure -> (heading, format), in the order of the tables: each fits into 80 columns.
DECISIONS = {
    "decision_accuracy": ("right", ".2%"),
    "balanced_accuracy": ("balanced", ".2%"),
    "mean_return": ("return [95 %]", ".1f"),
    "relative_regret": ("regret", ".2%"),
}
LIKES = {
    "precision": ("precision", ".3f"),
    "recall": ("recall", ".3f"),
    "f1": ("F1", ".3f"),
}
RANKING = {
    f"precision_at_{TOP_K}": (f"precision@{TOP_K}", ".2f"),
    f"ndcg_at_{TOP_K}": (f"nDCG@{TOP_K}", ".3f"),
    f"hit_rate_at_{TOP_K}": (f"hit rate@{TOP_K}", ".0f"),
    "milliseconds_per_recommendation": ("time [ms]", ".2f"),
}
PLAIN_WIDTH = 110  # columns, where standard output is no terminal


@dataclass(frozen=True)
class Arguments:
    """Compare trained runs on the same seeded sessions, with baselines and the oracle."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders that train.py wrote, for the same catalogue and listener, or all for any."""
    sessions: int = 100
    """Sessions that every policy is judged on."""
    listeners: int = 500
    """Held-out listeners that every policy is judged on, where the runs are for any listener."""
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


def evaluate(runs: Sequence[Run], *, sessions: int, seed: int) -> dict[str, Any]:
    """Return the figures of runs and baselines, and the top tracks of each run.

    Raises:
        RunError: if the runs do not share catalogue, listener and session length.
    """
    tables = [run.make_env().unwrapped.tables for run in runs]  # type: ignore[attr-defined]
    first = tables[0]
    for run, other in zip(runs[1:], tables[1:], strict=True):
        for name, mine, theirs in (
            ("catalogue", first.catalogue.checksum, other.catalogue.checksum),
            ("listener", first.preference, other.preference),
            (
                "weights",
                runs[0].config["environment"]["weights"],
                run.config["environment"]["weights"],
            ),
            ("session length", first.session_length, other.session_length),
        ):
            if mine != theirs:
                raise RunError(
                    f"{run.folder} cannot be compared with {runs[0].folder}: its {name} is "
                    f"{theirs}, not {mine}"
                )
    names = _unique_names(runs)
    policies = [
        learner_policy(name, run.learner, table)
        for name, run, table in zip(names, runs, tables, strict=True)
    ]
    rows = [
        _figures(policy, first, sessions=sessions, seed=seed)
        for policy in [*policies, *baselines(first, seed=seed)]
    ]
    return {
        "listener": str(first.preference),
        "n_tracks": first.catalogue.n_tracks,
        "sessions": sessions,
        "session_length": first.session_length,
        "seed": seed,
        "policies": rows,
        f"top_{TOP_K}": {policy.name: _top_tracks(policy, first) for policy in policies},
    }


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


def _figures(policy: TrackPolicy, tables: Tables, *, sessions: int, seed: int) -> dict[str, Any]:
    """Return one row: decisions on sessions, ranking over the catalogue, time per ranking."""
    ranking = catalogue_figures(policy, tables, seed=seed)
    row: dict[str, Any] = {"name": policy.name}
    row.update(session_figures(policy, tables, sessions=sessions, seed=seed))
    row.update({name: ranking[name] for name in ranking if name.endswith(f"_at_{TOP_K}")})
    row["mrr"] = ranking["mrr"]
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        top_k(policy.values(), TOP_K)
        seconds.append(time.perf_counter() - started)
    row["milliseconds_per_recommendation"] = 1000 * float(np.median(seconds))
    return row


def _top_tracks(policy: TrackPolicy, tables: Tables) -> list[dict[str, Any]]:
    values = policy.values()
    catalogue = tables.catalogue
    return [
        {
            "track_index": track,
            "track_id": catalogue.track_id[track],
            "title": catalogue.title[track],
            "artists": list(catalogue.artists.of(track)),
            "genres": list(catalogue.genres.of(track)),
            "danceability": float(catalogue.danceability[track]),
            "value": float(values[track]),
            "score": float(tables.scores.total[track]),
        }
        for track in top_k(values, TOP_K).tolist()
    ]


def print_tables(result: dict[str, Any], console: Console) -> None:
    """Print the comparison and each run's top tracks."""
    sessions = f"{result['sessions']} sessions of {result['session_length']} tracks"
    console.print(f"Listener: {escape(result['listener'])}", highlight=False)
    console.print(
        _figures_table(f"Decisions, {sessions}, seed {result['seed']}", DECISIONS, result)
    )
    console.print(_figures_table("Tracks liked, in the same sessions", LIKES, result))
    every = f"Ranking of all {result['n_tracks']:,} tracks"
    console.print(_figures_table(every, RANKING, result))
    for name, tracks in result[f"top_{TOP_K}"].items():
        top = Table(
            title=f"Top {TOP_K} of {escape(name)}", title_justify="left", box=box.SIMPLE_HEAD
        )
        top.add_column("", justify="right", no_wrap=True)
        for heading in ("title", "artists", "genres"):
            top.add_column(heading, overflow="fold")
        for heading in ("dance.", "score"):
            top.add_column(heading, justify="right", no_wrap=True)
        for place, track in enumerate(tracks, start=1):
            top.add_row(
                str(place),
                escape(track["title"]),
                escape(", ".join(track["artists"])),
                escape(", ".join(track["genres"])),
                f"{track['danceability']:.3f}",
                f"{track['score']:+g}",
            )
        console.print(top)


def _figures_table(
    title: str, columns: dict[str, tuple[str, str]], result: dict[str, Any]
) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("policy", overflow="fold")
    for heading, _ in columns.values():
        table.add_column(escape(heading), justify="right", no_wrap=True)
    for row in result["policies"]:
        cells = []
        for name, (_, form) in columns.items():
            value = row[name]
            text = "-" if math.isnan(value) else format(value, form)
            if name == "mean_return":
                text += f" [{row['mean_return_low']:.1f}, {row['mean_return_high']:.1f}]"
            cells.append(escape(text))
        table.add_row(escape(row["name"]), *cells)
    return table


def write_files(result: dict[str, Any], out: Path) -> list[str]:
    """Write ``evaluation.json``, ``evaluation.csv`` and ``comparison.png``; return their names."""
    write_json(out / "evaluation.json", result)
    with (out / "evaluation.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(result["policies"][0]))
        writer.writeheader()
        writer.writerows(result["policies"])
    figure = plotting.comparison(f"Listener: {result['listener']}", result["policies"])
    plotting.save(figure, out / "comparison.png")
    return ["evaluation.json", "evaluation.csv", "comparison.png"]


def main() -> int:
    """Parse the command line, evaluate, print and write; return the exit status."""
    arguments = tyro.cli(Arguments, description=__doc__)
    th.set_num_threads(1)
    # Whatever a library prints must not get into the JSON document.
    with redirect_stdout(sys.stderr) if arguments.json else nullcontext():
        try:
            if not arguments.runs:
                raise RunError("name at least one run's folder")
            if min(arguments.sessions, arguments.listeners) < 1 or arguments.seed < 0:
                raise RunError(
                    "--sessions and --listeners must be at least 1 and --seed at least 0, got "
                    f"{arguments.sessions}, {arguments.listeners} and {arguments.seed}"
                )
            where = {"catalogue": arguments.catalogue, "population": arguments.population}
            runs = [load_run(folder, **where) for folder in arguments.runs]
            out = arguments.out or arguments.runs[0]
            if out.exists() and not out.is_dir():
                raise RunError(f"--out must be a folder, but {out} is a file")
            out.mkdir(parents=True, exist_ok=True)
            result = _evaluate(runs, arguments)
        except (CatalogueError, RunError, OSError) as error:
            print(f"evaluate.py: {error}", file=sys.stderr)
            return 2
        is_any = "population" in result
        written = write_any(result, out) if is_any else write_files(result, out)
    if arguments.json:
        print(json.dumps(finite(result), ensure_ascii=False))
    else:
        console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
        print_any(result, console) if is_any else print_tables(result, console)
        print(f"Written to {out}: {', '.join(written)}")
    return 0


def _evaluate(runs: Sequence[Run], arguments: Arguments) -> dict[str, Any]:
    kinds = {run.listener for run in runs}
    if len(kinds) > 1:
        raise RunError(
            "runs for one listener and runs for any listener cannot be compared: evaluate them "
            "one kind at a time"
        )
    if kinds == {"any"}:
        return evaluate_any(
            runs, _unique_names(runs), listeners=arguments.listeners, seed=arguments.seed
        )
    return evaluate(runs, sessions=arguments.sessions, seed=arguments.seed)


if __name__ == "__main__":
    raise SystemExit(main())
