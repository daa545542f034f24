"""Tasks on MusicRecSlate-v0: what planning is worth where one of several tracks is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.runs import SLATE
from agents.settings import SlateDQNSettings
from study.planning import GAMMAS, at_gamma, worth
from study.tasks import Task

REFERENCES = ("random", "first-candidate", "best-fresh", "myopic-oracle", "planner")
"""Do not learn; `agents.session_evaluation.reference_policies` makes them."""

LEARNERS: Mapping[str, SlateDQNSettings] = {
    at_gamma(gamma): SlateDQNSettings(gamma=gamma) for gamma in (GAMMAS[0], GAMMAS[-1])
}
"""Name -> settings of the DQN that scores candidates, at the discounts that plan nothing and all
of the session."""

CASES: Mapping[str, tuple[str, ...]] = {
    "static": REFERENCES,
    "satiation": (*REFERENCES, *LEARNERS),
    "patience": REFERENCES,
    "both": (*REFERENCES, *LEARNERS),
}
"""Preset -> its policies. With patience alone some candidate of ten is hardly ever disliked: the
references show that there is nothing to be learnt."""


def planned() -> list[tuple[str, str, int, dict[str, Any]]]:
    """Return the learner, case, budget and setting of each run of one seed."""
    return [
        (name, case, LEARNERS[name].timesteps if name in LEARNERS else 0, {"preset": case})
        for case, names in CASES.items()
        for name in names
    ]


def slates_worth(task: Task) -> dict[str, Any]:
    """Train on slates, or take a policy that knows their effects; return what it earns.

    Returns:
        What `study.planning.planning_worth` does.
    """
    return worth(task, SLATE, LEARNERS)
