"""The exact optimum of a session whose tracks are drawn alike: dynamic programming on a grid.

The reduced model has one satiation level and one patience, and in each step a track of one of
finitely many classes, or a slate of several of which one may be played. `optimum` computes what the
best policy earns, `myopic` what the policy earns that plays what is enjoyed most now, both by
backward induction. numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from music_env.effects import Effects

Floats = NDArray[np.float64]
By = Literal["mean", "greatest"]
"""What stands for the tracks of a class, see `grouped`."""

LEVELS, PATIENCES = 256, 64
"""Cells of the grid, by default."""


@dataclass(frozen=True, eq=False)
class SessionModel:
    """A session in which each step shows tracks of classes drawn with fixed probabilities.

    Attributes:
        fresh: (n_classes,) float64: the enjoyment of a fresh track of each class.
        shares: (n_classes,) float64: the probability of each, together at most 1; the rest are
            tracks that are never worth playing.
        effects: satiation and patience.
        length: steps in a session.
        rise: (n_classes,) float64: what a play adds to the level, 1 each by default.
        felt: (n_classes,) float64: how much of the level such a track is satiated by, 1 by default.
        slate_size: how many tracks a step shows, of which one may be played.
        pool_size: they are all different, of so many; None: independent of each other.
    """

    fresh: Floats
    shares: Floats
    effects: Effects
    length: int
    rise: Floats = field(default_factory=lambda: np.ones(1))
    felt: Floats = field(default_factory=lambda: np.ones(1))
    slate_size: int = 1
    pool_size: int | None = None

    def __post_init__(self) -> None:
        for name in ("fresh", "shares", "rise", "felt"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        for name in ("rise", "felt"):
            object.__setattr__(self, name, np.broadcast_to(getattr(self, name), self.fresh.shape))
        if self.fresh.ndim != 1 or self.shares.shape != self.fresh.shape or self.length < 1:
            raise ValueError(
                "a session model needs as many shares as classes, and a length of at least 1, got "
                f"shapes {self.fresh.shape} and {self.shares.shape}, length {self.length}"
            )
        if (self.shares < 0).any() or self.shares.sum() > 1 + 1e-9:
            raise ValueError(f"the shares must be probabilities, got {self.shares.tolist()}")
        if not 1 <= self.slate_size <= (self.pool_size or self.slate_size):
            raise ValueError(
                f"slate_size must be at least 1 and at most pool_size = {self.pool_size}, got "
                f"{self.slate_size}"
            )

    def none_above(self, share: Floats) -> Floats:
        """Return the probability that a slate has only tracks that are of a share of all.

        Args:
            share: any shape, 0 to 1.
        """
        none_above = np.ones_like(share)
        for drawn in range(self.slate_size):
            if self.pool_size is None:
                none_above *= share
            else:  # those drawn before are gone
                left = share * self.pool_size - drawn
                none_above *= np.maximum(left, 0.0) / (self.pool_size - drawn)
        return none_above


def grouped(
    fresh: ArrayLike, n_classes: int, *, by: By = "mean", drawn: float = 1.0
) -> tuple[Floats, Floats]:
    """Return classes of tracks, sorted by enjoyment.

    A class for each different enjoyment, where there are no more of them than classes; else classes
    that are equally likely to have the best of the tracks drawn: of equally many tracks where one
    is drawn, smaller ones at the top where there are several. Grouping by the mean lowers what the
    best policy earns a little, since it can no longer tell the tracks of a class apart; by the
    greatest, it cannot fall.

    Args:
        fresh: (n_tracks,) enjoyment of each track, n_tracks at least 1.
        n_classes: at most how many.
        by: what stands for the tracks of a class.
        drawn: how many tracks are drawn at a time, at least 1, on average.

    Returns:
        (n,) float64: the enjoyment of each class; and (n,) float64: its share of the tracks.
    """
    ordered = np.sort(np.asarray(fresh, dtype=np.float64))
    values, counts = np.unique(ordered, return_counts=True)
    if len(values) <= n_classes:
        return values, counts / len(ordered)
    if drawn == 1:
        parts = np.array_split(ordered, n_classes)
    else:  # the best of them is among the lowest share of all with probability share**drawn
        ends = (np.arange(1, n_classes) / n_classes) ** (1 / drawn) * len(ordered)
        parts = np.split(ordered, np.unique(np.clip(ends.round(), 1, len(ordered) - 1).astype(int)))
    standing = [part.mean() if by == "mean" else part[-1] for part in parts]
    return np.array(standing), np.array([len(part) for part in parts]) / len(ordered)


@dataclass(frozen=True, eq=False)
class Solution:
    """The value of a policy at every point of the grid.

    Attributes:
        model: what was solved.
        levels: (n_levels,) float64: the levels of the grid, evenly spread from 0.
        patiences: (n_patiences,) float64: likewise, from 0 to 1.
        values: (length + 1, n_levels, n_patiences) float64: what is still earned, on average, from
            each step on; the last is 0.
    """

    model: SessionModel
    levels: Floats
    patiences: Floats
    values: Floats

    @property
    def value(self) -> float:
        """What a session earns on average, from level 0 and full patience."""
        return float(self.values[0, 0, -1])

    def at(self, step: int, level: ArrayLike, patience: ArrayLike = 1.0) -> Floats:
        """Return the value from a step on, interpolated linearly; arrays of one shape, or scalars.

        Beyond the last step it is 0. A level above the grid's is taken for its highest.
        """
        level, patience = np.broadcast_arrays(
            np.asarray(level, dtype=np.float64), np.asarray(patience, dtype=np.float64)
        )
        values = self.values[min(step, self.model.length)]
        i, above = place(level, self.levels)
        j, right = place(patience, self.patiences)
        low = _between(values[i, j], values[i, j + 1], right)
        high = _between(values[i + 1, j], values[i + 1, j + 1], right)
        return _between(low, high, above)


def optimum(model: SessionModel, *, levels: int = LEVELS, patiences: int = PATIENCES) -> Solution:
    """Return the value of the best policy.

    For a fixed policy the return is affine in the level at the start, so that without patience the
    best one's is convex in it, and linear interpolation between exact values is never below them:
    the value returned is an upper bound, and falls to the optimum as the grid gets finer. With
    patience it is an approximation whose error `halving_error` estimates.

    Args:
        model: the session.
        levels: cells of the grid from level 0 to the greatest that a session can reach; without
            satiation there is one.
        patiences: cells from patience 0 to 1; without an effect of patience there is one.
    """
    return _solved(model, "best", levels, patiences)


def myopic(model: SessionModel, *, levels: int = LEVELS, patiences: int = PATIENCES) -> Solution:
    """Return the value of the policy that plays what would be enjoyed most now, if above 0."""
    return _solved(model, "myopic", levels, patiences)


class Solve(Protocol):
    """`optimum` or `myopic`."""

    def __call__(self, model: SessionModel, *, levels: int, patiences: int) -> Solution:
        """Return the value of a policy."""


def halving_error(
    model: SessionModel,
    *,
    solve: Solve = optimum,
    levels: int = LEVELS,
    patiences: int = PATIENCES,
) -> float:
    """Return by how much the value of a policy moves when the cells of the grid are halved.

    Where the error falls as the square of the cells' size, as it does for smooth values, what is
    left on the finer grid is a third of this; where it falls in proportion, it is all of this.
    """
    coarse = solve(model, levels=levels, patiences=patiences).value
    fine = solve(model, levels=2 * levels, patiences=2 * patiences).value
    return abs(coarse - fine)


def _solved(
    model: SessionModel, rule: Literal["best", "myopic"], n_levels: int, n_patiences: int
) -> Solution:
    effects, shares = model.effects, model.shares
    top = max(1.0, effects.greatest_level(model.length) * float(model.rise.max(initial=0.0)))
    levels = np.linspace(0.0, top, (n_levels if effects.satiation else 1) + 1)
    patiences = np.linspace(0.0, 1.0, (n_patiences if effects.patience else 1) + 1)
    values = np.zeros((model.length + 1, len(levels), len(patiences)))

    passed = place(effects.recovered(levels), levels)
    after_pass = effects.patience_after_pass(patiences)
    stays_passed = 1.0 - effects.leaves(after_pass) if effects.patience else np.ones(1)
    passed_patience = place(after_pass, patiences)
    # (n_classes, n_levels, ...): what a play leads to, the same in each step.
    enjoyed = effects.enjoyment(model.fresh[:, None], model.felt[:, None] * levels)
    played = place(effects.recovered(levels + model.rise[:, None]), levels)
    after_play = effects.patience_after_play(patiences, enjoyed[..., None])
    stays_played = 1.0 - effects.leaves(after_play) if effects.patience else np.ones(1)
    played_patience = place(after_play, patiences)
    rows = np.arange(len(levels))[:, None]
    one = model.slate_size == 1
    for step in range(model.length - 1, -1, -1):
        later = values[step + 1]
        kept = rows_between(later, passed)
        of_pass = stays_passed * _between(
            kept[:, passed_patience[0]], kept[:, passed_patience[0] + 1], passed_patience[1]
        )
        total = (1.0 - shares.sum()) * of_pass
        outcomes, preferred = [], []
        for number, share in enumerate(shares.tolist()):  # one class at a time stays in the cache
            moved = rows_between(later, (played[0][number], played[1][number]))
            column, right = played_patience[0][number], played_patience[1][number]
            stays = stays_played[number] if effects.patience else 1.0
            enjoyed_now = enjoyed[number][:, None]
            of_play = enjoyed_now + stays * _between(
                moved[rows, column], moved[rows, column + 1], right
            )
            if rule == "best":
                outcome = preference = np.maximum(of_play, of_pass)
            else:
                outcome = np.where(enjoyed_now > 0, of_play, of_pass)
                preference = np.broadcast_to(enjoyed_now, outcome.shape)
            if one:
                total += share * outcome
            else:
                outcomes.append(outcome)
                preferred.append(preference)
        if not one:
            total = _of_slate(model, np.stack(outcomes), np.stack(preferred), of_pass)
        values[step] = total
    return Solution(model, levels, patiences, values)


def _of_slate(model: SessionModel, outcomes: Floats, preferred: Floats, of_pass: Floats) -> Floats:
    """Return the mean outcome of the preferred one of a slate.

    Args:
        model: which says how often the tracks of a class are there.
        outcomes: (n_classes, ...) of playing a track of each class, or of passing over it.
        preferred: (n_classes, ...): the class with the greatest is chosen.
        of_pass: (...) the outcome where the slate has tracks of none of the classes.
    """
    order = np.argsort(preferred, axis=0, kind="stable")
    rest = max(0.0, 1.0 - float(model.shares.sum()))
    up_to = model.none_above(np.minimum(rest + model.shares[order].cumsum(axis=0), 1.0))
    nothing = model.none_above(np.array([rest]))
    chosen = np.diff(up_to, axis=0, prepend=np.broadcast_to(nothing, (1, *up_to.shape[1:])))
    best = np.take_along_axis(outcomes, order, axis=0)
    mean: Floats = nothing * of_pass + (chosen * best).sum(axis=0)
    return mean


def place(points: Floats, grid: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Return the cell of each point of an evenly spread grid, and where in the cell, 0 to 1."""
    scaled = np.clip(points / grid[1], 0.0, len(grid) - 1)
    cell = np.minimum(scaled.astype(np.intp), len(grid) - 2)
    return cell, scaled - cell


def _between(low: Floats, high: Floats, share: Floats) -> Floats:
    interpolated: Floats = low + share * (high - low)
    return interpolated


def rows_between(values: Floats, place: tuple[NDArray[np.intp], Floats]) -> Floats:
    """Return rows of a table, interpolated between neighbours."""
    cell, above = place
    return _between(values[cell], values[cell + 1], above[:, None])
