"""A policy judged on every track of a catalogue, and on seeded sessions of MusicRec-v0.

The next track does not depend on the action and a session's order depends on the seed alone, so a
policy is judged from one decision a track; `tests/test_evaluation.py` shows that stepping through
the environment gives the same figures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray

from agents.recommender import Learner, track_values
from music_env.metrics import bootstrap_interval, decision_figures, ranking_figures, top_k
from music_env.order import draw_key
from music_env.tables import Tables

TOP_K = 10
"""How many places of a ranking are judged, as in ``precision_at_10``."""


@dataclass(frozen=True)
class TrackPolicy:
    """A policy as one value a track.

    Attributes:
        name: shown in tables.
        values: returns (n_tracks,) float64 afresh: the higher, the sooner recommended.
        likes: (n_tracks,) bool, the decisions; None: a fair coin for each track shown.
    """

    name: str
    values: Callable[[], NDArray[np.float64]]
    likes: NDArray[np.bool_] | None


def learner_policy(name: str, learner: Learner, tables: Tables) -> TrackPolicy:
    """Return a learner's greedy policy: like where Q(like) > Q(dislike)."""

    def values() -> NDArray[np.float64]:
        return track_values(learner, tables.encoded)

    return TrackPolicy(name, values, values() > 0)


def catalogue_figures(policy: TrackPolicy, tables: Tables, *, seed: int = 0) -> dict[str, float]:
    """Return decision and ranking figures over every track of the catalogue, each track once.

    Tracks of equal value are ranked in an order drawn by ``seed``.
    """
    generator = np.random.default_rng(seed)
    scores = tables.scores.total
    likes = _decisions(policy, np.arange(len(scores)), generator)
    ranking = top_k(policy.values(), TOP_K, generator=generator)
    return {**decision_figures(scores, likes), **ranking_figures(scores, ranking, TOP_K)}


def session_figures(
    policy: TrackPolicy, tables: Tables, *, sessions: int = 100, seed: int = 0
) -> dict[str, float]:
    """Return decision figures over the tracks of seeded sessions, and the sessions' returns.

    The sessions are the first ones of an environment reset with ``seed``, the same for each policy.

    Returns:
        `decision_figures` over all tracks shown; ``mean_return`` with the ends of its 95 %
        bootstrap interval (``mean_return_low``, ``mean_return_high``), ``oracle_mean_return``, and
        ``mean_regret``, the difference, per session.
    """
    key = draw_key(seeding.np_random(seed)[0])
    shown = tables.orders(
        np.full(sessions, key, dtype=np.uint64), np.arange(sessions, dtype=np.uint64)
    )
    generator = np.random.default_rng(seed)
    scores = tables.scores.total[shown]  # (sessions, session_length)
    likes = _decisions(policy, shown, generator)
    returns = np.where(likes, scores, -scores).sum(axis=1)
    oracle = np.abs(scores).sum(axis=1)
    low, high = bootstrap_interval(returns, generator=generator)
    return {
        **decision_figures(scores.ravel(), likes.ravel()),
        "mean_return": float(returns.mean()),
        "mean_return_low": low,
        "mean_return_high": high,
        "oracle_mean_return": float(oracle.mean()),
        "mean_regret": float((oracle - returns).mean()),
    }


def _decisions(
    policy: TrackPolicy, tracks: NDArray[Any], generator: np.random.Generator
) -> NDArray[np.bool_]:
    likes = policy.likes
    return generator.random(tracks.shape) < 0.5 if likes is None else likes.take(tracks)
