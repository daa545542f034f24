"""The part of ``docs/planning.md`` on MusicRecSlate-v0, from the suite's table alone."""

from __future__ import annotations

from collections.abc import Sequence

from study import slates
from study.intervals import Statistics
from study.missing import missing_section
from study.planning import SESSIONS
from study.planning_results import BEST, MYOPIC_DQN, Results
from study.report_planning import (
    WANTED_GAIN,
    WANTED_MYOPIC_GAIN,
    costs_section,
    presets_section,
    reached,
    variety_section,
)
from study.tasks import Row

ORDER = ("random", "first-candidate", "best-fresh", "myopic-oracle", *slates.LEARNERS, "planner")
"""Of the policies in tables."""

METHOD = (
    "In `MusicRecSlate-v0` each step offers ten candidates, of which one may be played; the "
    "effects are those of the presets above. *best-fresh* knows what would be enjoyed most if "
    "nothing had been played before, and plays that; the *dueling DQN* scores candidates one by "
    "one with one network, from the encoding `summary`. J and planning gain are over "
    f"{SESSIONS:,} sessions a seed, as above. A learner is trained where there is a gain to be had."
)


def slates_section(rows: Sequence[Row], how: Statistics, *, seeds: int) -> list[str]:
    """Return the section's lines; [] without rows.

    Args:
        rows: of the suite's table, failed ones included.
        how: how intervals are drawn.
        seeds: how many a whole study has, to say which runs are missing.
    """
    if not rows:
        return []
    results = Results([row for row in rows if row["status"] == "done"], how, ORDER)
    lines = ["## Slates of ten", "", METHOD, "", *presets_section(results)]
    for learner, sign, bound in ((BEST, 1, WANTED_GAIN), (MYOPIC_DQN, -1, WANTED_MYOPIC_GAIN)):
        gains = {
            case: gain
            for case in slates.CASES
            if (gain := results.mean(learner, case, "planning_gain")) is not None
        }
        if gains:
            lines += [reached(learner, gains, sign, bound), ""]
    for heading, found in (
        ("Variety on slates", variety_section(results)),
        ("What training on slates costs", costs_section(results, slates.LEARNERS)),
    ):
        if found:
            lines += [f"### {heading}", "", *found]
    wanted = [(learner, case, budget, seeds) for learner, case, budget, _ in slates.planned()]
    return [*lines, *missing_section(wanted, rows, of="slates")]
