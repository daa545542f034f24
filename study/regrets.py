"""What the rows of one catalogue say about each learner's regret."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from study import metrics, statistics
from study.checks import check_grid
from study.intervals import Statistics
from study.learners import LEARNERS, SWITCHES, VOWPAL_WABBITS
from study.metrics import REGRETS, Group, grouped, time_settled, time_to
from study.statistics import Estimate
from study.tasks import Row
from study.wording import bounded

OURS = "dueling-dqn"

REGRET_NAMES = {0.01: "1 %", 0.001: "0.1 %", 0.0: "0"}
MEDIAN_HEADINGS = ("learner", "runs", *(f"to {REGRET_NAMES[regret]}" for regret in REGRETS))
FEWER = ("fewer", "more", "neither tellably fewer nor more")
"""What `study.wording.told_apart` says of judged tracks."""


def catalogue_of(row: Row) -> str:
    """Return the catalogue's name, with which a case's name begins."""
    return str(row["case"]).partition(": ")[0]


def by_catalogue(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of each catalogue."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(catalogue_of(row), []).append(row)
    return found


def _curve(grid: metrics.Floats, row: Row) -> metrics.Floats:
    return metrics.on_grid(row["curve"]["tracks"], row["curve"]["regret"], grid)


def _time_to(regret: float, unit: str, row: Row) -> float:
    return time_to(row["curve"], regret, unit)


class Regrets:
    """What the rows of one catalogue say about each learner.

    Args:
        rows: of suite ``musicrec`` or ``ablation``, one catalogue.
        how: the intervals.
    """

    def __init__(self, rows: Sequence[Row], how: Statistics) -> None:
        self.rows = [row for row in rows if row["status"] == "done"]
        self.how = how
        self.budgets = {row["learner"]: row["budget"] for row in self.rows}
        self.budget = max(self.budgets.values())
        self.n_tracks = max(row["n_tracks"] for row in self.rows)
        self._times = {
            (regret, unit): grouped(self.rows, partial(_time_to, regret, unit))
            for regret in REGRETS
            for unit in ("tracks", "seconds")
        }
        there = self._times[0.0, "tracks"]
        # In the order of the study, whatever the order in which the runs ended.
        self.learners = [name for name in (*LEARNERS, *SWITCHES) if name in there]

    def times(self, learner: str, regret: float, unit: str = "tracks") -> Group:
        """Return case -> (n_runs,) times to a regret, ``inf`` where it was not reached."""
        return self._times[regret, unit][learner]

    def settled(self, learner: str) -> Group:
        """Return case -> (n_runs,) judged tracks from which on the regret was 0 for good."""
        return grouped(self.rows, lambda row: time_settled(row["curve"], 0.0))[learner]

    def last(self, learner: str) -> Group:
        """Return case -> (n_runs,) regret at the last check."""
        return grouped(self.rows, lambda row: row["curve"]["regret"][-1])[learner]

    def median(self, learner: str, regret: float, unit: str = "tracks") -> Estimate:
        """Return the median time over all runs."""
        return self.how.of(statistics.median, self.times(learner, regret, unit))

    def reached(self, learner: str, regret: float, within: float | None = None) -> tuple[int, int]:
        """Return how many runs got to a regret, and how many there are.

        Args:
            learner: its name.
            regret: relative.
            within: so many judged tracks, by default its budget: the last check may be later, as
                it is made when all sessions have taken a step.
        """
        within = self.budgets[learner] if within is None else within
        pooled = np.concatenate(list(self.times(learner, regret).values()))
        return int((np.isfinite(pooled) & (pooled <= within)).sum()), len(pooled)

    def shown(self, learner: str, found: Estimate) -> str:
        """Write judged tracks, the censored ones as more than the learner's budget."""
        return bounded(found, self.budgets[learner])

    def curves(self) -> dict[str, statistics.Curve]:
        """Return learner -> its sample-efficiency curve over all listeners, up to its budget."""
        found = {}
        for name in self.learners:
            grid = np.array(check_grid(self.budgets[name]), dtype=np.float64)
            curves = grouped(
                (row for row in self.rows if row["learner"] == name), partial(_curve, grid)
            )[name]
            found[name] = statistics.efficiency_curve(
                list(curves.values()), grid, **self.how.arguments()
            )
        return found

    def other_budgets(self) -> list[str]:
        """Return which learners had another budget than the largest, in words."""
        return [
            f"{name} {self.budgets[name]:,}"
            for name in self.learners
            if self.budgets[name] != self.budget
        ]

    def best_vowpal_wabbit(self, regret: float = 0.01, unit: str = "tracks") -> str | None:
        """Return the Vowpal Wabbit that is soonest at a regret, chosen in hindsight."""
        there = [name for name in VOWPAL_WABBITS if name in self.learners]

        def key(name: str) -> tuple[float, float]:
            pooled = np.concatenate(list(self.times(name, regret, unit).values()))
            return float(np.median(pooled)), float(np.isinf(pooled).mean())

        return min(there, key=key, default=None)

    def sooner(self, other: str, regret: float, unit: str = "tracks") -> Estimate:
        """Return the probability that a run of ours is at a regret before one of the other.

        Within the smaller of the two budgets: what comes after it was watched of one of them only.
        """
        budget = min(self.budgets[OURS], self.budgets[other])
        ours, theirs = (self._within(budget, name, regret, unit) for name in (OURS, other))
        return self.how.sooner(ours, theirs)

    def _within(self, budget: float, learner: str, regret: float, unit: str) -> Group:
        tracks, values = self.times(learner, regret), self.times(learner, regret, unit)
        return {case: np.where(tracks[case] <= budget, values[case], np.inf) for case in values}

    def by_listener(self, other: str, regret: float = 0.01) -> tuple[list[str], list[str]]:
        """Return the listeners on whom our median is lower, and those on whom it is higher."""
        ours, theirs = self.times(OURS, regret), self.times(other, regret)
        middles = {
            case.partition(": ")[2]: (float(np.median(ours[case])), float(np.median(theirs[case])))
            for case in ours
            if case in theirs
        }
        lower = [name for name, (own, other_) in middles.items() if own < other_]
        return lower, [name for name, (own, other_) in middles.items() if own > other_]

    def never_at_zero(self, learner: str) -> list[tuple[str, int, float]]:
        """Return listener, seed and last regret of the runs that did not get to regret 0."""
        return [
            (row["case"].partition(": ")[2], row["seed"], row["curve"]["regret"][-1])
            for row in self.rows
            if row["learner"] == learner and np.isinf(time_to(row["curve"], 0.0))
        ]
