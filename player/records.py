"""What the store keeps of a listener, as values; see the tables' columns in `player.store`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Pending:
    """The track to be judged.

    Attributes:
        track: its key.
        recommended_by: the learner that chose it; "request" for a clip that was asked for.
        expected: learner -> the probability of a like; None where it was not there yet.
        waiting: keys of the generated clips that come after it: they stay until they are judged.
    """

    track: str
    recommended_by: str
    expected: Mapping[str, float | None]
    waiting: tuple[str, ...] = ()

    @property
    def clips(self) -> tuple[str, ...]:
        """All clips that are not judged, the one that is shown first."""
        return (self.track, *self.waiting) if self.track.startswith("g") else self.waiting

    def to_json(self) -> str:
        """Return it as JSON text."""
        waiting = [self.waiting] if self.waiting else []  # as earlier players wrote it, else
        return json.dumps([self.track, self.recommended_by, dict(self.expected), *waiting])

    @classmethod
    def of_json(cls, text: str | None) -> Pending | None:
        """Return what `to_json` gave."""
        if text is None:
            return None
        track, recommended_by, expected, *waiting = json.loads(text)
        return cls(track, recommended_by, expected, tuple(*waiting))


@dataclass(frozen=True)
class Press:
    """A judgement as it is stored; see the table's columns."""

    number: int
    press_id: str
    track: str
    liked: bool
    recommended_by: str
    expected: Mapping[str, float | None]
    at: float = field(default_factory=time.time)
    undone: bool = False


@dataclass(frozen=True)
class ListenerRow:
    """A listener as it is stored; see the table's columns."""

    id: int
    seed: int
    learner: str
    preference: dict[str, Any]
    settings: dict[str, bool]
    pending: Pending | None
