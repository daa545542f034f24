"""From rows to numbers: times to a regret, curves on a common grid, scores; no statistics.

A regret that a run did not reach within its budget is *censored*: its time is ``inf`` here, is
shown as more than the budget, and counts as later than every time that was reached.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from study.tasks import Row

Floats = NDArray[np.float64]
Group = dict[str, Floats]
"""Case -> one number (or curve) for each of its runs, in the order of their seeds."""

REGRETS = (0.01, 0.001, 0.0)
"""Relative regrets whose times are reported: 1 %, 0.1 %, none."""


def time_to(curve: Mapping[str, Sequence[float]], regret: float, unit: str = "tracks") -> float:
    """Return when a run was first seen at a regret or below; ``inf`` if it never was.

    Args:
        curve: ``tracks``, ``seconds`` and ``regret`` of its checks.
        regret: relative.
        unit: ``"tracks"`` judged, or ``"seconds"`` of processor time spent learning.
    """
    for at, seen in zip(curve[unit], curve["regret"], strict=True):
        if seen <= regret:
            return float(at)
    return float("inf")


def time_settled(curve: Mapping[str, Sequence[float]], regret: float) -> float:
    """Return after how many judged tracks a run was at a regret or below for good.

    That is the first check from which on all are; ``inf`` where the last one is not. A run can be
    seen at a regret earlier (`time_to`), and leave it again.
    """
    above = np.flatnonzero(np.asarray(curve["regret"]) > regret)
    first = int(above[-1]) + 1 if len(above) else 0
    return float(curve["tracks"][first]) if first < len(curve["tracks"]) else float("inf")


def on_grid(at: Sequence[float], values: Sequence[float], grid: Floats) -> Floats:
    """Return a run's curve on a grid: at each point, the value of the last check until then.

    Before the first check it is that check's value. After the last it is the last one's: a run that
    was ended early had regret 0 in all of its last checks.
    """
    places = np.searchsorted(np.asarray(at), grid, side="right") - 1
    return np.asarray(values, dtype=np.float64)[np.maximum(places, 0)]


def area_under(steps: Sequence[float], values: Sequence[float]) -> float:
    """Return the mean over training of evaluations at evenly spread points: their mean.

    Raises:
        ValueError: if the points are not evenly spread, up to a twentieth of the last one.
    """
    spread = np.diff(np.asarray(steps, dtype=np.float64), prepend=0.0)
    if np.ptp(spread) > steps[-1] / 20:
        raise ValueError(f"evaluations must be evenly spread over the training, got {list(steps)}")
    return float(np.mean(values))


def normalised(score: float, *, random: float, solved: float) -> float:
    """Return a score as 0 for a random policy and 1 for Gymnasium's ``reward_threshold``."""
    return (score - random) / (solved - random)


def grouped(rows: Iterable[Row], measure: Callable[[Row], Any]) -> dict[str, Group]:
    """Return learner -> case -> (n_runs, ...) measures, in the order of the seeds.

    Failed rows are left out, as they hold no measure.
    """
    found: dict[str, dict[str, list[tuple[int, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["status"] == "done":
            found[row["learner"]][row["case"]].append((row["seed"], measure(row)))
    return {
        learner: {
            case: np.array([value for _, value in sorted(runs, key=lambda run: run[0])])
            for case, runs in cases.items()
        }
        for learner, cases in found.items()
    }
