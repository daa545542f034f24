"""What a training run has come to, as ``train.py`` prints it at the end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agents.runs import AFFECTED, CONFIG, LEARNING_CURVE, env_id_of, listener_of
from agents.session_report import session_summary


def print_summary(out: Path, metrics: Mapping[str, Any]) -> None:
    """Print what a run has come to."""
    config = json.loads((out / CONFIG).read_text(encoding="utf-8"))
    affected = env_id_of(config) in AFFECTED
    table = session_summary(metrics) if affected else _decision_summary(config, metrics)
    table.title = (
        f"{config['agent']} after {metrics['timesteps']:,} {'steps' if affected else 'tracks'}"
    )
    table.title_justify = "left"
    table.add_row("training time", f"{metrics['train_seconds']:.1f} s")
    console = Console()
    whom = "Listener" if listener_of(config) == "one" else "Trained on"
    console.print(escape(f"{whom}: {config['preference']}"), highlight=False)
    console.print(table)
    if metrics["interrupted"]:
        console.print("Interrupted: what was learnt so far is saved.")
        if config["snapshots"]:
            console.print(escape(f"Go on: python train.py --resume {out}"), highlight=False)
    where = f"Run: {out}, figure: {out / LEARNING_CURVE}"
    console.print(escape(where), highlight=False)


def _decision_summary(config: Mapping[str, Any], metrics: Mapping[str, Any]) -> Table:
    """Return a table of what the decisions on single tracks have come to."""
    table = Table()
    n_tracks = config["catalogue"]["n_tracks"]
    right = f"{metrics['decision_accuracy']:.2%}"
    if listener_of(config) == "any":
        count = metrics["held_out_listeners"]
        table.add_column(f"mean of {count} held-out listeners, all {n_tracks:,} tracks")
    else:
        table.add_column("on every track of the catalogue")
        right = f"{round(metrics['decision_accuracy'] * n_tracks):,} of {n_tracks:,} ({right})"
    table.add_column("", justify="right")
    table.add_row("decisions right", right)
    table.add_row("balanced accuracy", f"{metrics['balanced_accuracy']:.2%}")
    length = config["environment"]["session_length"]
    earned, oracle = (length * metrics[name] for name in ("mean_reward", "oracle_mean_reward"))
    table.add_row(f"return per {length} tracks, of the oracle's", f"{earned:.2f} of {oracle:.2f}")
    table.add_row("relative regret", f"{metrics['relative_regret']:.2%}")
    if "milliseconds_per_listener" in metrics:
        table.add_row("precision@10", f"{metrics['precision_at_10']:.3f}")
        cost = f"{metrics['milliseconds_per_listener']:.0f} ms"
        table.add_row("ranking all tracks for a new listener", cost)
    if "mixed_state_tracks" in metrics:
        table.add_row(
            "tracks whose state has both signs",
            f"{metrics['mixed_state_tracks']:,} of {n_tracks:,}",
        )
        table.add_row("least regret of any such table", f"{metrics['best_table_regret']:.2%}")
    return table
