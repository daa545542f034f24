"""Figures from arrays already computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by the colour-blind as well (jfly.uni-koeln.de/color, 2008).
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#6E6E6E"


def learning_curve(
    title: str,
    progress: Mapping[str, Sequence[float]],
    *,
    oracle_mean_reward: float,
    random_mean_reward: float,
    session_length: int,
    judged_on: str = "every track",
) -> Figure:
    """Return a figure of return and regret against steps, with the loss below.

    Args:
        title: above the figure.
        progress: tag -> one value a log point, as in ``progress.csv``; nan where not logged.
        oracle_mean_reward: per track, of the better action everywhere.
        random_mean_reward: per track, of a fair coin.
        session_length: tracks in a session, to draw per-track figures as returns.
        judged_on: what the greedy policy was evaluated on.
    """
    figure = Figure(figsize=(8, 9), layout="constrained")
    figure.suptitle(title, parse_math=False)  # names may hold dollar signs
    returns, regrets, losses = figure.subplots(3, 1, sharex=True)
    steps = np.asarray(progress["time/total_timesteps"], dtype=float)

    def line(axes: Any, tag: str, label: str, colour: str, factor: float = 1) -> bool:
        """Draw what is known of a tag; say whether any of it is positive."""
        values = np.asarray(progress.get(tag, []), dtype=float) * factor
        known = np.isfinite(values)
        if known.any():
            axes.plot(steps[known], values[known], color=colour, label=label, marker=".")
        return bool((values[known] > 0).any())

    line(returns, "eval/mean_reward", f"greedy, {judged_on}", BLUE, session_length)
    line(returns, "rollout/ep_rew_mean", "exploring, recent sessions", ORANGE)
    returns.axhline(oracle_mean_reward * session_length, color=GREEN, ls="--", label="oracle")
    returns.axhline(random_mean_reward * session_length, color=GREY, ls=":", label="random")
    returns.set_ylabel(f"return per session\nof {session_length} tracks")
    line(regrets, "eval/regret", f"greedy, {judged_on}", BLUE, 100)
    line(regrets, "rollout/regret", "exploring, recent sessions", ORANGE, 100)
    regrets.axhline(0, color=GREEN, ls="--", label="oracle")
    regrets.axhline(
        100 * (1 - random_mean_reward / oracle_mean_reward) if oracle_mean_reward else 0,
        color=GREY,
        ls=":",
        label="random",
    )
    # Symmetric logarithm: linear below 1 %, so that 0 has a place.
    regrets.set_yscale("symlog", linthresh=1)
    regrets.set_ylim(bottom=-0.1)
    regrets.set_yticks([0, 0.5, 1, 10, 100], ["0", "0.5", "1", "10", "100"])
    regrets.set_ylabel("relative regret [%]")
    positive = [line(losses, tag, tag, BLUE) for tag in ("train/loss", "train/td_error")]
    if any(positive):
        losses.set_yscale("log")
    losses.set_ylabel("loss or TD error")
    losses.set_xlabel("steps (judged tracks)")
    for axes in (returns, regrets, losses):
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize="small")
    return figure


def session_learning_curve(
    title: str,
    progress: Mapping[str, Sequence[float]],
    *,
    levels: Mapping[str, float],
    sessions: int,
) -> Figure:
    """Return a figure of the return of sessions in which what is played has consequences.

    Args:
        title: above the figure.
        progress: tag -> one value a log point, as in ``progress.csv``; nan where not logged.
        levels: policy -> mean return of a session, drawn to compare with.
        sessions: on how many the greedy policy was judged.
    """
    figure = Figure(figsize=(8, 9), layout="constrained")
    figure.suptitle(title, parse_math=False)  # names may hold dollar signs
    panels = figure.subplots(3, 1, sharex=True)
    steps = np.asarray(progress["time/total_timesteps"], dtype=float)
    drawn = (
        (0, "eval/mean_return", f"greedy, {sessions} sessions", BLUE),
        (0, "rollout/ep_rew_mean", "exploring, recent sessions", ORANGE),
        (1, "eval/planning_gain", f"greedy, {sessions} sessions", BLUE),
        (2, "train/loss", "train/loss", BLUE),
        (2, "train/td_error", "train/td_error", BLUE),
    )
    for place, tag, label, colour in drawn:
        values = np.asarray(progress.get(tag, []), dtype=float)
        known = np.isfinite(values)
        if known.any():
            panels[place].plot(steps[known], values[known], color=colour, label=label, marker=".")
    for (name, level), style in zip(levels.items(), ("--", ":", "-."), strict=False):
        panels[0].axhline(level, color=GREEN, ls=style, label=name)
    panels[0].set_ylabel("return of a session")
    for level in (0, 1):
        panels[1].axhline(level, color=GREY, ls=":")
    panels[1].set_ylim(-1.1, 1.1)
    panels[1].set_ylabel("planning gain\n(0 myopic oracle, 1 planner)")
    panels[2].set_ylabel("loss or TD error")
    panels[2].set_xlabel("steps")
    for axes in panels:
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize="small")
    return figure


def comparison(title: str, rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Return a figure that compares policies.

    Args:
        title: above the figure.
        rows: one a policy, with ``name``, ``mean_return`` and the ends of its interval,
            ``oracle_mean_return``, ``balanced_accuracy``, ``decision_accuracy``, ``ndcg_at_10``.
    """
    figure = Figure(figsize=(11, 1.6 + 0.42 * len(rows)), layout="constrained")
    figure.suptitle(title, parse_math=False)  # names may hold dollar signs
    left, middle, right = figure.subplots(1, 3, sharey=True)
    places = np.arange(len(rows))[::-1]
    _return_bars(left, places, rows)
    left.axvline(rows[0]["oracle_mean_return"], color=GREEN, ls="--", label="oracle")
    left.set_xlabel("mean return per session, 95 % interval")
    above: dict[str, Any] = {
        "loc": "lower center",
        "bbox_to_anchor": (0.5, 1),
        "ncols": 2,
        "frameon": False,
    }
    left.legend(**above)
    half = 0.38
    middle.barh(
        places + half / 2, _column(rows, "decision_accuracy"), half, color=GREY, label="accuracy"
    )
    middle.barh(
        places - half / 2, _column(rows, "balanced_accuracy"), half, color=ORANGE, label="balanced"
    )
    middle.set_xlabel("share of decisions right")
    middle.set_xlim(0, 1)
    middle.legend(**above)
    right.barh(places, _column(rows, "ndcg_at_10"), color=GREEN)
    right.set_xlabel("nDCG@10")
    right.set_xlim(0, 1)
    left.set_yticks(places, [row["name"] for row in rows], parse_math=False)
    for axes in (left, middle, right):
        axes.grid(axis="x", alpha=0.3)
        axes.set_axisbelow(True)
    return figure


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows], dtype=float)


def _return_bars(axes: Any, places: np.ndarray, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw each row's mean return with its interval."""
    means, low, high = (_column(rows, f"mean_return{end}") for end in ("", "_low", "_high"))
    ends = np.maximum(np.stack([means - low, high - means]), 0)
    axes.barh(places, means, xerr=ends, color=BLUE, ecolor=GREY, capsize=3)


def _leave_out_far_below(axes: Any, places: np.ndarray, means: np.ndarray, top: float) -> None:
    """End the axis of returns below 0 where others can be seen, and write what lies beyond it.

    Args:
        axes: with a bar a policy.
        places: (n,) of the bars.
        means: (n,) returns.
        top: what no policy is expected to earn more than.
    """
    top = max(top, float(means.max()))
    lowest = -top / 2
    if top <= 0 or means.min() >= lowest:
        return
    axes.set_xlim(lowest, 1.05 * top)
    for place, mean in zip(places, means, strict=True):
        if mean < lowest:
            axes.annotate(
                f"← {mean:.1f}", (lowest, place), (4, 0), textcoords="offset points",
                color="white", va="center",
            )  # fmt: skip


def session_comparison(
    title: str, rows: Sequence[Mapping[str, Any]], *, upper_bound: float
) -> Figure:
    """Return a figure that compares what policies earn in a session, and how varied it is.

    A policy that earns far below 0 leaves the picture, with its mean return written at its bar: the
    others would be too small to be told apart.

    Args:
        title: above the figure.
        rows: one a policy, with ``name``, ``mean_return`` and the ends of its interval,
            ``intra_list_diversity`` and ``coverage`` (nan where there is nothing to count).
        upper_bound: on any policy's mean return.
    """
    figure = Figure(figsize=(9, 1.9 + 0.42 * len(rows)), layout="constrained")
    figure.suptitle(title, parse_math=False)  # names may hold dollar signs
    left, right = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(rows))[::-1]
    _return_bars(left, places, rows)
    left.axvline(upper_bound, color=GREEN, ls="--", label="upper bound on any policy")
    left.set_xlabel("mean return of a session, 95 % interval")
    _leave_out_far_below(left, places, _column(rows, "mean_return"), upper_bound)
    half = 0.38
    for offset, name, label, colour in (
        (half / 2, "intra_list_diversity", "diversity", ORANGE),
        (-half / 2, "coverage", "coverage", GREY),
    ):
        right.barh(
            places + offset, np.nan_to_num(_column(rows, name)), half, color=colour, label=label
        )
    right.set_xlabel("of what is played, 0 to 1")
    right.set_xlim(0, 1)
    left.set_yticks(places, [row["name"] for row in rows], parse_math=False)
    for axes in (left, right):
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
        axes.grid(axis="x", alpha=0.3)
        axes.set_axisbelow(True)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG."""
    figure.savefig(path, dpi=120)
