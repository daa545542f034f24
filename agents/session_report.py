"""Runs on MusicRecSession-v0 or MusicRecSlate-v0 compared: what ``evaluate.py`` tells of them."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agents import plotting
from agents.planning import Policy, upper_bound
from agents.runs import Run, RunError, write_json
from agents.session_evaluation import (
    MYOPIC,
    PLANNER,
    Played,
    diversity_figures,
    evaluation_env,
    play_sessions,
    reference_env,
    reference_policies,
    return_figures,
)
from agents.slate_runs import policy_for
from music_env.affected_setup import AffectedSetup

SESSIONS = 2_000
"""Sessions that policies are judged on, by default: the planning gain is then known to about a
twentieth."""

DIVERSITY = {
    "plays": ("plays", ".1f"),
    "session_length": ("steps", ".1f"),
    "coverage": ("coverage", ".1%"),
    "intra_list_diversity": ("diversity", ".3f"),
    "novelty": ("novelty", ".3f"),
    "repeat_rate": ("repeats", ".1%"),
}
"""Figure -> (heading, format), in the order of the table."""

NO_GAIN = "no gain to be had"
"""In place of a ratio to nothing."""


def evaluate_sessions(
    runs: Sequence[Run],
    names: Sequence[str],
    *,
    sessions: int,
    seed: int,
    slate_size: int | None = None,
) -> dict[str, Any]:
    """Return the figures of runs and of what they are measured against, over the same sessions.

    Args:
        runs: trained on one of the two, for one listener and with the same effects.
        names: of the runs, for tables.
        sessions: that every policy plays.
        seed: of the first session, of random decisions and of intervals.
        slate_size: candidates of MusicRecSlate-v0; by default as many as in training.

    Raises:
        RunError: if the runs do not share catalogue, listener, effects, tracks, session
            length and number of candidates.
    """
    changes = {} if slate_size is None else {"slate_size": slate_size}
    setups = [run.make_env(**changes).unwrapped.tables for run in runs]  # type: ignore[attr-defined]
    first: AffectedSetup = setups[0]
    for run, other in zip(runs[1:], setups[1:], strict=True):
        for (what, mine), theirs in zip(
            _shared(first).items(), _shared(other).values(), strict=True
        ):
            if mine != theirs:
                raise RunError(
                    f"{run.folder} cannot be compared with {runs[0].folder}: its {what} is "
                    f"{theirs}, not {mine}"
                )
    env = reference_env(first, sessions)
    pairs: list[tuple[str, Policy, Any]] = [
        (name, policy_for(run, setup) if changes else run.learner, evaluation_env(setup, sessions))
        for name, run, setup in zip(names, runs, setups, strict=True)
    ]
    pairs += [(name, policy, env) for name, policy in reference_policies(env, seed=seed).items()]
    played = [(name, play_sessions(policy, own, seed=seed)) for name, policy, own in pairs]
    by_name = dict(played[len(runs) :])
    rows = [_row(name, own, by_name, first, seed) for name, own in played]
    return {
        "env_id": runs[0].env_id,
        "listener": str(first.listener),
        "effects": asdict(first.effects),
        "session_length": first.session_length,
        "tracks_offered": first.n_offered,
        "n_pool": len(first.pool),
        "sessions": sessions,
        "seed": seed,
        "n_runs": len(runs),
        "upper_bound": upper_bound(env),
        "has_planning_gain": not math.isnan(rows[-1]["planning_gain"]),
        "policies": rows,
    }


def _shared(setup: AffectedSetup) -> dict[str, Any]:
    """Return what runs must have in common to be compared, by its name."""
    return {
        "catalogue": setup.catalogue.checksum,
        "listener": str(setup.listener),
        "satiation, decay and patience": tuple(asdict(setup.effects).values()),
        "satiation_of": setup.arguments["satiation_of"],
        "session length": setup.session_length,
        "number of candidates": setup.n_offered,
        "enjoyment of the tracks": f"{setup.scores.total[setup.pool].sum():.9g} in all",
        "number of tracks": len(setup.pool),
    }


def _row(
    name: str, played: Played, by_name: Mapping[str, Played], setup: AffectedSetup, seed: int
) -> dict[str, Any]:
    return {
        "name": name,
        **return_figures(played, by_name[MYOPIC], by_name[PLANNER], seed=seed),
        **diversity_figures(played, setup),
    }


def print_sessions(result: Mapping[str, Any], console: Console) -> None:
    """Print what policies earn, the planning gain, and how diverse is what they play."""
    effects = ", ".join(f"{name} {value:g}" for name, value in result["effects"].items())
    steps = f"{result['session_length']} tracks"
    if result["tracks_offered"] > 1:
        steps = f"{result['session_length']} slates of {result['tracks_offered']} candidates"
    console.print(
        escape(
            f"Listener: {result['listener']}; {effects}\n{result['sessions']:,} sessions of at "
            f"most {steps} of {result['n_pool']:,}, seed {result['seed']}; means over sessions "
            "[95 % interval]"
        ),
        highlight=False,
    )
    table = Table(title="Return of a session (J)", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("policy", overflow="fold")
    table.add_column("J", justify="right", no_wrap=True)
    table.add_column("planning gain", justify="right", no_wrap=True)
    for row in result["policies"]:
        gain = _with_interval(row, "planning_gain", ".3f")
        # Of themselves they have no interval: 0 and 1 by definition.
        if result["has_planning_gain"] and row["name"] in (MYOPIC, PLANNER):
            gain = f"{row['planning_gain']:.0f}"
        table.add_row(
            escape(row["name"]), escape(_with_interval(row, "mean_return", ".2f")), escape(gain)
        )
    table.add_row("upper bound on any policy", f"{result['upper_bound']:.2f}", "")
    console.print(table)
    console.print(escape(_said(result)), highlight=False)
    _print_diversity(result, console)


def _with_interval(row: Mapping[str, Any], name: str, form: str) -> str:
    if math.isnan(row[name]):
        return "-"
    return f"{row[name]:{form}} [{row[f'{name}_low']:{form}}, {row[f'{name}_high']:{form}}]"


def _said(result: Mapping[str, Any]) -> str:
    """Return what the planning gain is, or that there is none."""
    if not result["has_planning_gain"]:
        return (
            f"Planning gain: {NO_GAIN}. The planner earns no more than the myopic oracle, which "
            "maximises the next reward, that these sessions could show."
        )
    return (
        "Planning gain: (J - J of the myopic oracle) / (J of the planner - J of the myopic "
        "oracle). The planner's J is a lower bound on the optimum. The upper bound is of the "
        "expected J: that of the sessions drawn may lie above it by chance."
    )


def _print_diversity(result: Mapping[str, Any], console: Console) -> None:
    table = Table(title="What is played", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("policy", overflow="fold")
    for heading, _ in DIVERSITY.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for row in result["policies"]:
        cells = ("-" if math.isnan(row[n]) else f"{row[n]:{f}}" for n, (_, f) in DIVERSITY.items())
        table.add_row(escape(row["name"]), *cells)
    console.print(table)


def write_sessions(result: Mapping[str, Any], out: Path) -> list[str]:
    """Write ``evaluation.json``, ``evaluation.csv`` and ``comparison.png``; return their names."""
    write_json(out / "evaluation.json", result)
    with (out / "evaluation.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(result["policies"][0]))
        writer.writeheader()
        writer.writerows(result["policies"])
    figure = plotting.session_comparison(
        f"Listener: {result['listener']}", result["policies"], upper_bound=result["upper_bound"]
    )
    plotting.save(figure, out / "comparison.png")
    return ["evaluation.json", "evaluation.csv", "comparison.png"]


def session_summary(metrics: Mapping[str, Any]) -> Table:
    """Return a table of what a run has come to, from its ``metrics.json``."""
    table = Table()
    table.add_column(f"mean of {metrics['sessions']:,} sessions that were not trained on")
    table.add_column("", justify="right")
    table.add_row("return [95 %]", escape(_with_interval(metrics, "mean_return", ".2f")))
    table.add_row("of the myopic oracle", f"{metrics['myopic_mean_return']:.2f}")
    table.add_row("of the planner", f"{metrics['planner_mean_return']:.2f}")
    gain = metrics["planning_gain"]
    if gain is None or math.isnan(gain):
        table.add_row("planning gain", NO_GAIN)
    else:
        table.add_row("planning gain", escape(_with_interval(metrics, "planning_gain", ".3f")))
    table.add_row("tracks played", f"{metrics['session_plays']:.1f}")
    table.add_row("steps", f"{metrics['session_steps']:.1f}")
    return table
