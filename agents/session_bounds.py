"""Upper bounds on what any policy earns in a session, by relaxation; numpy only.

`agents.planning.upper_bound` says what is relaxed. Where no track is shown twice, what was shown
tells what is to come, which a model of tracks drawn with replacement leaves out. `_Surplus` bounds
what that is worth. With V the model's values and D(x, track) what the best action leads to in a
state x with a track, V(x) is the mean of D(x, track) over the pool, or more. So the return of any
policy is at most V at the start and, of each step, the mean of D(x, track) over the tracks not
shown yet less that over the pool (sum V's changes along a session). The greatest of that over all
states x does not depend on the policy; its mean over orders of the tracks is added.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from agents.pool_models import held, label_shares, main_model, own_model, rest_value
from agents.session_model import SessionModel, optimum, place, rows_between
from music_env.affected_setup import AffectedSetup
from music_env.session_setup import SessionSetup

Floats = NDArray[np.float64]

PATIENCES = 2000
"""Cells of the grid of patience: half as many raise the bound of the preset by a thousandth."""

_ORDERS = 200
"""Orders of the tracks over which `_Surplus` takes the mean."""

_STANDARD_ERRORS = 3
"""So many of its standard errors are added to that mean."""


def session_bound(setup: AffectedSetup, *, classes: int, levels: int) -> float:
    """Return an upper bound on any policy's mean return, see `agents.planning.upper_bound`.

    Args:
        setup: of MusicRecSession-v0 or MusicRecSlate-v0.
        classes: of enjoyment, for each genre, at most.
        levels: cells of the grid of satiation.
    """
    everything = np.ones(len(setup.pool), dtype=np.bool_)
    labels = np.flatnonzero(label_shares(setup) > 0).tolist() if setup.effects.satiation else []
    stays = rest_value(setup, labels)
    for label in labels:
        model = own_model(setup, label, classes, by="greatest")
        surplus = _Surplus.of(setup, held(setup, label), model)
        stays += _without_patience(model, levels, surplus)
    bounds = [stays, rest_value(setup, [])]  # the second: nothing satiates, and nobody leaves
    if setup.effects.patience:
        effects = replace(setup.effects, satiation=0.0)
        fresh = replace(main_model(setup, -1, classes, by="greatest"), effects=effects)
        bounds.append(_without_satiation(fresh, _Surplus.of(setup, everything, fresh)))
    return min(bounds)


class _Surplus:
    """What knowing the tracks that were shown is worth, at most, step by step from the last."""

    def __init__(self, classes: NDArray[np.int64], n_classes: int, length: int) -> None:
        """Draw orders of the pool's tracks.

        Args:
            classes: (n_pool,) the class of each; ``n_classes`` for those that are never played.
            n_classes: how many there are.
            length: of a session.
        """
        generator = np.random.default_rng(0)  # the same bound each time
        self._shown = np.stack(
            [generator.permutation(classes)[:length] for _ in range(_ORDERS)]
        )  # (_ORDERS, length)
        self._pool = np.bincount(classes, minlength=n_classes + 1)[:-1]
        self._n_pool, self._n_classes = len(classes), n_classes
        self._of_steps: list[Floats] = []

    @classmethod
    def of(
        cls, setup: AffectedSetup, mask: NDArray[np.bool_], model: SessionModel
    ) -> _Surplus | None:
        """Return that of a model of some tracks; None for slates, drawn anew in each step.

        It is at most 1 % of the bound for the default listener, whose pool is 21 sessions.

        Args:
            setup: of the environment.
            mask: (n_pool,) which tracks the model is of.
            model: of them, its classes grouped by the greatest.
        """
        if not isinstance(setup, SessionSetup):
            return None
        fresh = setup.scores.total[setup.pool]
        classes = np.where(mask, np.searchsorted(model.fresh, fresh), len(model.fresh))
        return cls(classes, len(model.fresh), model.length)

    def add(self, step: int, more: Floats) -> None:
        """Take account of a step.

        Args:
            step: its number.
            more: (n_classes, n_states): by how much D of a track of the class is above that of one
                which is never played, in each state that can occur.
        """
        seen = np.zeros((_ORDERS, self._n_classes + 1))
        np.add.at(seen, (np.arange(_ORDERS)[:, None], self._shown[:, :step]), 1.0)
        left = (self._pool - seen[:, :-1]) / (self._n_pool - step)
        differences = (left - self._pool / self._n_pool) @ more  # (_ORDERS, n_states)
        # What the last state has is 0 in the mean, whatever the states: taking it off leaves the
        # mean as it is, and most of the variance out.
        self._of_steps.append(differences.max(axis=1) - differences[:, -1])

    def total(self) -> float:
        """Return the sum over steps, its mean over orders taken too high by 3 standard errors."""
        sums = np.sum(self._of_steps, axis=0)
        error = sums.std(ddof=1) / _ORDERS**0.5
        return float(sums.mean() + _STANDARD_ERRORS * error)


def _without_patience(model: SessionModel, levels: int, surplus: _Surplus | None) -> float:
    """Return an upper bound for a listener who never leaves.

    Values are convex in the level, and those of the grid are joined linearly. Between the points of
    the grid a mean of D less V is therefore convex, and greatest at one of them.
    """
    solved = optimum(model, levels=levels)
    if surplus is None:
        return solved.value
    grid, effects = solved.levels, model.effects
    passed = place(effects.recovered(grid), grid)
    played = place(effects.recovered(grid + 1.0), grid)
    enjoyed = effects.enjoyment(model.fresh[:, None], grid)
    for step in range(model.length - 1, 0, -1):  # before the first nothing was shown
        later = solved.values[step + 1, :, -1:]
        of_pass, of_play = rows_between(later, passed)[:, 0], rows_between(later, played)[:, 0]
        reached = effects.greatest_level(step)
        states = slice(0, min(len(grid), int(np.searchsorted(grid, reached)) + 1))
        surplus.add(step, np.maximum(enjoyed + of_play - of_pass, 0.0)[:, states])
    return solved.value + surplus.total()


def _without_satiation(model: SessionModel, surplus: _Surplus | None) -> float:
    """Return an upper bound for a listener whom nothing satiates.

    More patience is never worth less: with the same actions it stays as great and the listener as
    long, and passing over the rest costs nothing. So patience may be rounded up to the grid's.
    """
    effects = model.effects
    patience = np.linspace(0.0, 1.0, PATIENCES + 1)
    after_pass = _rounded_up(effects.patience_after_pass(patience))
    after_play = _rounded_up(effects.patience_after_play(patience, model.fresh[:, None]))
    stays = 1.0 - effects.leaves(patience)
    # Of a slate the most enjoyed track is the one to play, if any.
    best = model.none_above(np.append(0.0, np.minimum(model.shares.cumsum(), 1.0)))
    values = np.zeros(PATIENCES + 1)
    for step in range(model.length - 1, -1, -1):
        later = stays * values
        of_pass = later[after_pass]
        more = np.maximum(model.fresh[:, None] + later[after_play] - of_pass, 0.0)
        if surplus is not None and step:
            surplus.add(step, more)
        values = of_pass + np.diff(best) @ more
    return float(values[-1]) + (0.0 if surplus is None else surplus.total())


def _rounded_up(patience: Floats) -> NDArray[np.int64]:
    """Return the point of the grid at or above each patience, but for errors of rounding."""
    return np.ceil(patience * PATIENCES - 1e-6).astype(np.int64)
