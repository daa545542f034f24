"""What playing a track does to a listener: satiation and patience, one step at a time.

The scalar environment, the vector environment and the dynamic programming of `agents.planning` all
call these functions, with numbers or with arrays. They are written with additions, multiplications,
minima and maxima only, which numpy rounds alike for one number and for many.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from music_env.naming import nearest

EXPECTED = 1.0
"""The enjoyment that a listener expects of what is played: less costs patience. Tuned by us."""

PASS_COST = 0.1
"""Passing over a track costs as much patience as a play this far below `EXPECTED`. Tuned by us."""

Number = TypeVar("Number", float, Any)
"""A float, or an array of float64."""


@dataclass(frozen=True)
class Effects:
    """How strong the effects are; `MusicRecSessionEnv` says why these strengths.

    Attributes:
        satiation: enjoyment that a level of 1 takes away, at least 0; 0: no satiation.
        decay: what is left of a level after a step, 0 to below 1.
        patience: what a play costs that is enjoyed 1 less than expected, 0 to 1; 0: the listener
            never leaves.
    """

    satiation: float = 0.0
    decay: float = 0.98
    patience: float = 0.0

    def __post_init__(self) -> None:
        for name, end, closed in (
            ("satiation", math.inf, False),
            ("decay", 1.0, False),
            ("patience", 1.0, True),
        ):
            value = getattr(self, name)
            is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not is_number or not (0 <= value < end or (closed and value == end)):
                raise ValueError(
                    f"{name} must be a number from 0 to {'' if closed else 'below '}{end:g}, got "
                    f"{value!r}"
                )
            object.__setattr__(self, name, float(value))

    def greatest_level(self, plays: int) -> float:
        """Return the level after so many plays in a row: in a session, no level is greater."""
        level = 0.0
        for _ in range(plays):
            level = self.recovered(level + 1.0)
        return level

    def cost(self, level: Number) -> Number:
        """Return the enjoyment that a level takes away."""
        cost: Number = self.satiation * level
        return cost

    def enjoyment(self, fresh: Number, level: Number) -> Number:
        """Return the enjoyment of a play, given that of the fresh track and its level."""
        enjoyment: Number = fresh - self.cost(level)
        return enjoyment

    def recovered(self, level: Number) -> Number:
        """Return a level at the next step; a play adds 1 to the level before that."""
        recovered: Number = self.decay * level
        return recovered

    def patience_after_play(self, patience: Number, enjoyment: Number) -> Number:
        """Return the patience after a play of that enjoyment."""
        after: Number = _within_0_and_1(patience + self.patience * (enjoyment - EXPECTED))
        return after

    def patience_after_pass(self, patience: Number) -> Number:
        """Return the patience after a track was passed over."""
        after: Number = _within_0_and_1(patience - self.patience * PASS_COST)
        return after

    @staticmethod
    def leaves(patience: Number) -> Number:
        """Return the probability of leaving after a step: 0 at full patience, 1 at none."""
        lack = 1.0 - patience
        square = lack * lack
        return square * square


def _within_0_and_1(value: Number) -> Number:
    if isinstance(value, float):
        return min(max(value, 0.0), 1.0)
    return np.minimum(np.maximum(value, 0.0), 1.0)


PRESETS: Mapping[str, Effects] = {
    "static": Effects(),
    "satiation": Effects(satiation=0.75),
    "patience": Effects(patience=0.2),
    "both": Effects(satiation=0.75, patience=0.2),
}
"""The strengths by name. `MusicRecSessionEnv` says how they were chosen."""


def checked_effects(
    preset: str, satiation: float | None, decay: float | None, patience: float | None
) -> Effects:
    """Return a preset's effects, with those strengths that are given in place of its own.

    Raises:
        ValueError: for an unknown preset (with the nearest name), or a strength out of range.
    """
    if preset not in PRESETS:
        raise ValueError(
            f"preset must be one of {', '.join(map(repr, PRESETS))}, got {preset!r}."
            + nearest(str(preset), PRESETS)
        )
    own = PRESETS[preset]
    return Effects(
        own.satiation if satiation is None else satiation,
        own.decay if decay is None else decay,
        own.patience if patience is None else patience,
    )
