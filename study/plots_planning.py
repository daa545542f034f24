"""Figures of the suite on planning, from numbers already computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from study.plots import look
from study.statistics import Estimate


@dataclass(frozen=True)
class Line:
    """Estimates at some points of an axis.

    Attributes:
        at: (n_points,) rising.
        found: (n_points,) an estimate at each.
    """

    at: Sequence[float]
    found: Sequence[Estimate]


def worth(
    panels: Mapping[str, Mapping[str, Line]],
    gains: Mapping[str, Line],
    presets: Mapping[str, float],
) -> Figure:
    """Return "what planning is worth": returns by strength, a panel an effect, and learnt gain.

    Args:
        panels: effect -> policy -> its returns by the effect's strength.
        gains: preset -> the learner's planning gain by its discount; no panel where empty.
        presets: effect -> the strength of its preset, which is marked.
    """
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    count = len(panels) + bool(gains)
    figure = Figure(figsize=(4.6 * count, 4.8), layout="constrained")
    every = figure.subplots(1, count, squeeze=False)[0]
    for axes, (effect, lines) in zip(every, panels.items(), strict=False):
        for name, line in lines.items():
            _draw(axes, name, line, names.index(name))
        if effect in presets:
            axes.axvline(presets[effect], color="black", lw=0.8, ls=":", label="the preset")
        top = max((found.value for line in lines.values() for found in line.found), default=1.0)
        # What plays without an eye to satiation earns tens below 0: it leaves the picture.
        axes.set_ylim(-top / 8, 1.05 * top)
        axes.set_title(f"What planning is worth: {effect}")
        axes.set_xlabel(f"strength of {effect}")
        axes.set_ylabel("return of a session")
    if gains:
        for i, (name, line) in enumerate(gains.items()):
            # In equal steps: from 0.9 to 1 more happens than from 0 to 0.9.
            _draw(every[-1], name, Line(range(len(line.at)), line.found), i)
        at = next(iter(gains.values())).at
        every[-1].set_xticks(range(len(at)), [f"{gamma:g}" for gamma in at])
        for level in (0, 1):
            every[-1].axhline(level, color="black", lw=0.8, ls=":")
        every[-1].set_title("What the dueling DQN learns of it")
        every[-1].set_xlabel("discount (gamma)")
        every[-1].set_ylabel("planning gain: 0 myopic oracle, 1 planner")
    for axes in every:
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    return figure


def _draw(axes: object, name: str, line: Line, i: int) -> None:
    style = look(i)
    values, low, high = (
        np.array([getattr(found, end) for found in line.found]) for end in ("value", "low", "high")
    )
    axes.plot(line.at, values, marker=".", label=name, **style)  # type: ignore[attr-defined]
    axes.fill_between(  # type: ignore[attr-defined]
        line.at, low, high, color=style["color"], alpha=0.15, lw=0
    )
