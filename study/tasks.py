"""One unit of the study, a learner on a case with a seed, and the row that it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
"""What JSON can say: the task's key, ``status`` ("done" or "failed"), and what was measured."""

MACHINE = "machine.json"
"""File beside the tables: what the last runs were made on, as pairs of a name and a text."""

Key = tuple[str, str, str, int, int]

KEY = ("suite", "learner", "case", "seed", "budget")
"""What tells tasks apart, in a row as in a task. Rows that differ in the budget never mix."""


@dataclass(frozen=True)
class Task:
    """A learner trained on a case with a seed.

    Attributes:
        suite: name of the suite, see `study.suites`.
        learner: name of the learner or variant.
        case: name of the listener or environment.
        seed: of everything random.
        budget: judged tracks, or steps, at most.
        setting: what the suite needs to make the environment, plain values; not part of the key,
            as it may hold paths of this machine.
    """

    suite: str
    learner: str
    case: str
    seed: int
    budget: int
    setting: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def key(self) -> Key:
        """What tells it apart from other tasks."""
        return (self.suite, self.learner, self.case, self.seed, self.budget)

    def row(self, **measured: Any) -> Row:
        """Return a row of this task."""
        return {**dict(zip(KEY, self.key, strict=True)), **measured}


def key_of(row: Mapping[str, Any]) -> Key:
    """Return the key of the task that a row belongs to.

    Raises:
        KeyError: if the row lacks a part of it.
    """
    return tuple(row[name] for name in KEY)
