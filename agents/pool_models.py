"""Reduced models of an environment's sessions, by the tracks of its pool; numpy only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from agents.session_model import By, SessionModel, grouped, optimum
from music_env.affected_setup import AffectedSetup
from music_env.effects import Effects

Floats = NDArray[np.float64]


def held(setup: AffectedSetup, label: int) -> NDArray[np.bool_]:
    """Return (n_pool,) bool: which tracks of the pool have the label."""
    has: NDArray[np.bool_] = (setup.slots[setup.pool] == label).any(axis=1)
    return has


def label_shares(setup: AffectedSetup) -> Floats:
    """Return (n_labels,) float64: the share of the pool that has each label."""
    labels = setup.slots[setup.pool].ravel()
    counts = np.bincount(labels, minlength=setup.n_labels + 1)[: setup.n_labels]
    return counts / len(setup.pool)


def main_model(setup: AffectedSetup, main: int, classes: int, *, by: By = "mean") -> SessionModel:
    """Return the model of a session in which only one label's level is kept."""
    has = held(setup, main)
    fresh = setup.scores.total[setup.pool]
    parts = [
        (grouped(fresh[mask], classes, by=by, drawn=_drawn(setup, mask)), mask)
        for mask in (has, ~has)
        if mask.any()
    ]
    counts = [len(means) for (means, _), _ in parts]
    felt = np.repeat([float(mask is has) for _, mask in parts], counts)
    return SessionModel(
        fresh=np.concatenate([means for (means, _), _ in parts]),
        shares=np.concatenate([shares * mask.mean() for (_, shares), mask in parts]),
        effects=setup.effects,
        length=setup.session_length,
        rise=felt,
        felt=felt,
        slate_size=setup.n_offered,
        pool_size=len(setup.pool) if setup.n_offered > 1 else None,
    )


def own_model(setup: AffectedSetup, label: int, classes: int, *, by: By = "mean") -> SessionModel:
    """Return the model of one label's tracks, to whose level nothing else matters; no patience."""
    has = held(setup, label)
    fresh = setup.scores.total[setup.pool][has]
    means, shares = grouped(fresh, classes, by=by, drawn=_drawn(setup, has))
    return SessionModel(
        fresh=means,
        shares=shares * has.mean(),
        effects=replace(setup.effects, patience=0.0),
        length=setup.session_length,
        slate_size=setup.n_offered,
        pool_size=len(setup.pool) if setup.n_offered > 1 else None,
    )


def rest_value(setup: AffectedSetup, labels: list[int]) -> float:
    """Return what a session earns, on average, of the tracks that have none of some labels.

    As if the listener never left, such a track was never satiated, and could be played in each step
    beside one of another label.
    """
    fresh = setup.scores.total[setup.pool]
    rest = ~np.isin(setup.slots[setup.pool], labels).any(axis=1)
    if not rest.any():
        return 0.0
    values, shares = grouped(fresh[rest], int(rest.sum()))
    model = SessionModel(
        fresh=values,
        shares=shares * rest.mean(),
        effects=Effects(),
        length=1,
        slate_size=setup.n_offered,
        pool_size=len(fresh),
    )
    return optimum(model).value * setup.session_length


def _drawn(setup: AffectedSetup, mask: NDArray[np.bool_]) -> float:
    """Return how many of the tracks in a mask over the pool a slate has, 1 at least."""
    return max(1.0, setup.n_offered * float(mask.mean()))
