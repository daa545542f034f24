"""Runs on MusicRec-v0 compared with each other: what ``evaluate.py`` prints and writes."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agents import plotting
from agents.baselines import baselines
from agents.evaluation import (
    TOP_K,
    TrackPolicy,
    catalogue_figures,
    learner_policy,
    session_figures,
)
from agents.runs import Run, RunError, write_json
from music_env.metrics import top_k
from music_env.tables import Tables

SESSIONS = 100
"""Sessions that policies are judged on, by default."""

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


def evaluate_tracks(
    runs: Sequence[Run], names: Sequence[str], *, sessions: int, seed: int
) -> dict[str, Any]:
    """Return the figures of runs and baselines, and the top tracks of each run.

    Args:
        runs: trained on MusicRec-v0, for one listener.
        names: of the runs, for tables.
        sessions: that every policy is judged on.
        seed: of the sessions, of random decisions and of ties.

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


def print_tracks(result: dict[str, Any], console: Console) -> None:
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


def write_tracks(result: dict[str, Any], out: Path) -> list[str]:
    """Write ``evaluation.json``, ``evaluation.csv`` and ``comparison.png``; return their names."""
    write_json(out / "evaluation.json", result)
    with (out / "evaluation.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(result["policies"][0]))
        writer.writeheader()
        writer.writerows(result["policies"])
    figure = plotting.comparison(f"Listener: {result['listener']}", result["policies"])
    plotting.save(figure, out / "comparison.png")
    return ["evaluation.json", "evaluation.csv", "comparison.png"]
