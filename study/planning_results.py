"""The suite on planning as estimates: from its table's rows to means over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.session_evaluation import MYOPIC, PLANNER, RANDOM
from music_env import PRESETS
from study import statistics
from study.intervals import Statistics
from study.metrics import grouped
from study.planning import GAMMAS, LEARNERS, STRENGTHS, Case, at_gamma, cases
from study.plots_planning import Line
from study.statistics import Estimate
from study.tasks import Row

BEST = at_gamma(GAMMAS[-1])
"""The learner that is run at every strength: the whole return is what it is to earn."""

MYOPIC_DQN = at_gamma(GAMMAS[0])

ORDER = ("random", "always-like", "myopic-oracle", *LEARNERS, "planner")
"""Of the policies in tables."""

STATIC = "static"


@dataclass(frozen=True)
class Results:
    """What the done rows of the table say.

    Attributes:
        rows: done ones.
        how: how intervals are drawn.
        order: of the policies in tables.
    """

    rows: Sequence[Row]
    how: Statistics
    order: Sequence[str] = ORDER

    def runs(self, learner: str, case: str) -> list[Row]:
        """Return the rows of a policy on a case."""
        return [row for row in self.rows if row["learner"] == learner and row["case"] == case]

    def policies(self, case: str) -> list[str]:
        """Return the policies that a case has rows of, in the tables' order."""
        return [name for name in self.order if self.runs(name, case)]

    def mean(self, learner: str, case: str, figure: str) -> Estimate | None:
        """Return the mean of a figure over the seeds; None where no run has it."""
        own = [row for row in self.runs(learner, case) if row.get(figure) is not None]
        if not own:
            return None
        (group,) = grouped(own, lambda row: float(row[figure])).values()
        return self.how.of(statistics.mean, group)

    def ratio(self, case: str) -> Estimate | None:
        """Return how many times the myopic oracle's return the planner earns, a seed's sessions.

        None without rows of the planner, or where the myopic oracle earns nothing.
        """
        own = self.runs(PLANNER, case)
        if not own or any(row["myopic_mean_return"] <= 0 for row in own):
            return None
        found = grouped(own, lambda row: row["planner_mean_return"] / row["myopic_mean_return"])
        return self.how.of(statistics.mean, found[PLANNER])

    def has_gain(self, case: str) -> bool:
        """Say whether a run could tell a gain that is to be had."""
        return any(r["case"] == case and r["planning_gain"] is not None for r in self.rows)

    def returns_by_strength(self) -> dict[str, dict[str, Line]]:
        """Return effect -> policy -> its returns, where there are two strengths at least."""
        shown = {RANDOM: RANDOM, MYOPIC: "myopic-oracle", "dueling DQN": BEST, PLANNER: PLANNER}
        panels: dict[str, dict[str, Line]] = {}
        for effect in STRENGTHS:
            lines = {}
            for label, name in shown.items():
                points = [
                    (strength, found)
                    for strength, case in by_strength(effect)
                    if (found := self.mean(name, case.name, "mean_return")) is not None
                ]
                if len(points) > 1:
                    lines[label] = Line([at for at, _ in points], [found for _, found in points])
            if lines:
                panels[effect] = lines
        return panels

    def gains_by_discount(self) -> dict[str, Line]:
        """Return preset -> the learner's gain, of presets of which every discount has a run."""
        lines = {}
        for case in PRESETS:
            found = [self.mean(at_gamma(gamma), case, "planning_gain") for gamma in GAMMAS]
            known = [estimate for estimate in found if estimate is not None]
            if len(known) == len(GAMMAS):
                lines[case] = Line(GAMMAS, known)
        return lines


def by_strength(effect: str) -> list[tuple[float, Case]]:
    """Return the cases of one effect by rising strength, from none."""
    every = cases()
    found = [(case.strength, case) for case in every.values() if case.effect == effect]
    return [(0.0, every[STATIC]), *sorted(found, key=lambda pair: pair[0])]
