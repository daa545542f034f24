"""Figures from numbers already computed; no statistics, no files read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from study.statistics import Curve, Estimate

# Okabe and Ito's colours, told apart by the colour-blind as well (jfly.uni-koeln.de/color, 2008),
# with the line's style as a second sign where there are more lines than colours.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6E6E6E")
_STYLES = ("-", "--", ":")


def regret_curves(panels: Mapping[str, Mapping[str, Curve]], levels: Mapping[str, Any]) -> Figure:
    """Return sample-efficiency curves of relative regret, a panel for each catalogue.

    Args:
        panels: catalogue -> learner -> its curve, relative regret.
        levels: catalogue -> name -> the regret of what does not learn, as a level.
    """
    figure = Figure(figsize=(6.5 * len(panels), 5.4), layout="constrained")
    all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    for axes, (catalogue, curves) in zip(all_axes, panels.items(), strict=True):
        for name, curve in curves.items():
            style = look(names.index(name))
            axes.plot(curve.at, 100 * curve.value, label=name, **style)
            axes.fill_between(
                curve.at, 100 * curve.low, 100 * curve.high, color=style["color"], alpha=0.15, lw=0
            )
        for i, (name, regret) in enumerate(levels.get(catalogue, {}).items()):
            axes.axhline(100 * regret, color="black", lw=0.8, ls=_STYLES[1 + i % 2], label=name)
        axes.set_title(f"{catalogue} catalogue", parse_math=False)
        axes.set_xscale("log")
        axes.set_xlabel("judged tracks")
        # Symmetric logarithm: linear below 0.1 %, so that 0 has a place.
        axes.set_yscale("symlog", linthresh=0.1)
        axes.set_ylim(-0.01, 200)
        axes.set_yticks([0, 0.1, 1, 10, 100], ["0", "0.1", "1", "10", "100"])
        axes.grid(alpha=0.3)
    all_axes[0].set_ylabel("relative regret [%], IQM and 95 % interval")
    _legend(figure, all_axes[0])
    return figure


def return_curves(panels: Mapping[str, Mapping[str, Curve]], solved: Mapping[str, float]) -> Figure:
    """Return sample-efficiency curves of greedy returns, a panel for each environment.

    Args:
        panels: environment -> learner -> its curve of returns.
        solved: environment -> the return from which it counts as solved.
    """
    figure = Figure(figsize=(5 * len(panels), 4.6), layout="constrained")
    all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    for axes, (environment, curves) in zip(all_axes, panels.items(), strict=True):
        for name, curve in curves.items():
            style = look(names.index(name))
            axes.plot(curve.at, curve.value, marker=".", label=name, **style)
            axes.fill_between(
                curve.at, curve.low, curve.high, color=style["color"], alpha=0.15, lw=0
            )
        if environment in solved:
            axes.axhline(solved[environment], color="black", lw=0.8, ls=":")
        axes.set_title(environment)
        axes.set_xlabel("steps")
        axes.grid(alpha=0.3)
    all_axes[0].set_ylabel("greedy return, IQM and 95 % interval")
    _legend(figure, all_axes[0])
    return figure


def intervals(
    panels: Mapping[str, Mapping[str, Estimate]],
    *,
    label: str,
    line: float | None = None,
    logarithmic: bool = False,
    censored: Mapping[str, float] | None = None,
) -> Figure:
    """Return estimates as dots with their intervals, a panel for each group, a line for each name.

    Args:
        panels: group -> name -> estimate.
        label: of the axis.
        line: where to draw a line to compare with.
        logarithmic: scale of the axis.
        censored: group -> where to draw what is ``inf``; marked by an arrow.
    """
    names = list(dict.fromkeys(name for estimates in panels.values() for name in estimates))
    figure = Figure(
        figsize=(2.2 + 3.6 * len(panels), 1.2 + 0.36 * len(names)), layout="constrained"
    )
    all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (group, estimates) in zip(all_axes, panels.items(), strict=True):
        end = (censored or {}).get(group, np.nan)
        for name, found in estimates.items():
            place = len(names) - 1 - names.index(name)
            value, low, high = (
                end if np.isinf(x) else x for x in (found.value, found.low, found.high)
            )
            axes.plot([low, high], [place, place], color=_COLOURS[0], lw=2, alpha=0.5)
            marker = ">" if np.isinf(found.value) else "o"
            axes.plot(value, place, marker=marker, color=_COLOURS[0])
        if line is not None:
            axes.axvline(line, color="black", lw=0.8, ls=":")
        if logarithmic:
            axes.set_xscale("log")
        axes.set_title(group, parse_math=False)
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
    all_axes[0].set_yticks(range(len(names)), names[::-1], parse_math=False)
    return figure


def look(i: int) -> dict[str, Any]:
    """Return colour and style of the i-th line."""
    n = len(_COLOURS)
    return {"color": _COLOURS[i % n], "ls": _STYLES[i // n % len(_STYLES)], "lw": 1.5}


def _legend(figure: Figure, axes: Any) -> None:
    handles: Sequence[Any]
    handles, names = axes.get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside lower center", ncols=min(4, len(names)), fontsize="small"
    )


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG."""
    figure.savefig(path, dpi=100)
