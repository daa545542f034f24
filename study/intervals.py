"""Statistics of grouped runs, with intervals that are the same for the same report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from study import statistics
from study.metrics import Group
from study.statistics import Estimate, improvement


@dataclass(frozen=True)
class Statistics:
    """How intervals are drawn: the same resamples for the same report.

    Attributes:
        resamples: of each bootstrap.
    """

    resamples: int

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the functions of `study.statistics`."""
        return {"generator": np.random.default_rng(0), "resamples": self.resamples}

    def of(self, statistic: statistics.Statistic, group: Group) -> Estimate:
        """Return a statistic of a group's runs."""
        found = statistics.estimate(statistic, list(group.values()), **self.arguments())
        return found

    def sooner(self, first: Group, second: Group) -> Estimate:
        """Return the probability that a run of the first is smaller than one of the second."""
        return self.larger(_negative(first), _negative(second))

    def larger(self, first: Group, second: Group) -> Estimate:
        """Return the probability that a run of the first is larger than one of the second."""
        cases = [case for case in first if case in second]
        return improvement(
            [first[case] for case in cases],
            [second[case] for case in cases],
            **self.arguments(),
        )


def _negative(group: Group) -> Group:
    return {case: -values for case, values in group.items()}
