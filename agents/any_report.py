"""Runs for every listener compared on held-out ones: what ``evaluate.py`` prints and writes."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agents.any_evaluation import (
    FIGURES,
    GROUPS,
    drawn_listeners,
    held_out_tables,
    judge_policy,
    pair_baselines,
    pair_policy,
    summary,
)
from agents.evaluation import TOP_K
from agents.runs import Run, RunError, write_json
from music_env.any_tables import AnyTables

SHOWN = {
    "relative_regret": ("regret", ".2%"),
    "decision_accuracy": ("right", ".2%"),
    "balanced_accuracy": ("balanced", ".2%"),
    f"precision_at_{TOP_K}": (f"precision@{TOP_K}", ".3f"),
    f"ndcg_at_{TOP_K}": (f"nDCG@{TOP_K}", ".3f"),
}
"""Figure -> (heading, format), in the order of the tables."""


def evaluate_any(
    runs: Sequence[Run], names: Sequence[str], *, listeners: int, seed: int
) -> dict[str, Any]:
    """Return the figures of runs and baselines for held-out listeners, in groups.

    Args:
        runs: trained with ``--listener any`` on one catalogue.
        names: of the runs, for tables.
        listeners: how many are drawn from the test split.
        seed: draws them, random decisions, ties and intervals.

    Raises:
        RunError: if the runs do not share catalogue, weights and held-out listeners, or one held
            out nobody.
    """
    tables = [_held_out(run) for run in runs]
    first = tables[0]
    for run, other in zip(runs[1:], tables[1:], strict=True):
        for what, mine, theirs in (
            ("catalogue", first.catalogue.checksum, other.catalogue.checksum),
            ("weights", first.weights, other.weights),
            ("split of the listeners", _split(first), _split(other)),
        ):
            if mine != theirs:
                raise RunError(
                    f"{run.folder} cannot be compared with {runs[0].folder}: its {what} is "
                    f"{theirs}, not {mine}"
                )
    drawn = drawn_listeners(first, listeners, seed=seed)
    policies = [
        (pair_policy(name, run.learner, own), own)
        for name, run, own in zip(names, runs, tables, strict=True)
    ]
    policies += [(policy, first) for policy in pair_baselines(first, seed=seed)]
    rows = []
    for policy, own in policies:
        judged = judge_policy(policy, own, drawn, seed=seed)
        rows.append(
            {
                "name": policy.name,
                "milliseconds_per_listener": judged.milliseconds,
                "groups": summary(judged, seed=seed),
            }
        )
    return {
        "listener": "any",
        "population": str(first.population),
        "n_tracks": first.catalogue.n_tracks,
        "listeners": len(drawn),
        "seed": seed,
        "n_runs": len(runs),
        "policies": rows,
    }


def _held_out(run: Run) -> AnyTables:
    try:
        return held_out_tables(run.make_env().unwrapped.tables)  # type: ignore[attr-defined]
    except ValueError as error:
        raise RunError(f"{run.folder}: {error}") from error


def print_any(result: dict[str, Any], console: Console) -> None:
    """Print a table for each group of listeners, and what a new listener costs."""
    console.print(
        escape(
            f"{result['listeners']:,} of {result['population']}, seed {result['seed']}; "
            f"all {result['n_tracks']:,} tracks for each; means over listeners [95 % interval]"
        ),
        highlight=False,
    )
    for group in GROUPS:
        count = result["policies"][0]["groups"][group]["listeners"]
        table = Table(
            title=f"{group}: {count:,} listeners", title_justify="left", box=box.SIMPLE_HEAD
        )
        table.add_column("policy", overflow="fold")
        for heading, _ in SHOWN.values():
            table.add_column(heading, justify="right")
        for row in result["policies"]:
            found = row["groups"][group]
            cells = [_cell(found, name, form) for name, (_, form) in SHOWN.items()]
            table.add_row(escape(row["name"]), *cells)
        console.print(table)
    for row in result["policies"][: result["n_runs"]]:
        console.print(
            escape(
                f"A new listener costs {row['name']} no training, and "
                f"{row['milliseconds_per_listener']:.1f} ms for the best {TOP_K} of all "
                f"{result['n_tracks']:,} tracks (median)."
            ),
            highlight=False,
        )


def write_any(result: dict[str, Any], out: Path) -> list[str]:
    """Write ``evaluation.json`` and ``evaluation.csv``; return their names."""
    write_json(out / "evaluation.json", result)
    with (out / "evaluation.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        ends = [f"{name}{end}" for name in FIGURES for end in ("", "_low", "_high")]
        writer.writerow(["name", "group", "listeners", *ends])
        for row in result["policies"]:
            for group, found in row["groups"].items():
                numbers = [number for name in FIGURES for number in found[name]]
                writer.writerow([row["name"], group, found["listeners"], *numbers])
    return ["evaluation.json", "evaluation.csv"]


def _split(tables: AnyTables) -> str:
    """Return what decides which listeners are held out."""
    names = ("population_options", "population_seed", "test_share")
    given = [f"{name}={tables.arguments[name]}" for name in names]
    return ", ".join([*given, f"population of checksum {tables.population.checksum[:12]}"])


def _cell(found: dict[str, Any], name: str, form: str) -> str:
    mean, low, high = found[name]
    if math.isnan(mean):
        return "-"
    if name == "decision_accuracy":  # its interval stands in the files: five are too wide
        return f"{mean:{form}}"
    return escape(f"{mean:{form}}\n[{low:{form}}, {high:{form}}]")
