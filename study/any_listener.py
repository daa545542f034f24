"""Tasks on MusicRecAnyListener-v0: one policy for every listener, judged on held-out ones."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.any_evaluation import (
    FIGURES,
    GROUPS,
    PairPolicy,
    different_listeners,
    held_out_tables,
    judge_policy,
    pair_baselines,
    pair_policy,
)
from agents.evaluation import TOP_K
from agents.runs import ENVIRONMENTS
from agents.training import AnyListenerSettings, make_learner
from agents.vec_env import GymVecEnv, make_native
from music_env.any_tables import AnyTables
from music_env.listeners import OPEN
from study.learners import SEED_STEP
from study.tasks import Task

LEARNER = "dueling-dqn"
BASELINES = ("random", "always-dislike", "genre-only")
"""Of `agents.any_evaluation.pair_baselines`; the oracle is right by definition."""

HELD_OUT_LISTENERS = 500
"""Different ones who name an artist, whom nobody in training did. Those who leave the artist open
come on top."""


def held_out_listeners(task: Task) -> dict[str, Any]:
    """Train for every listener; return the figures of listeners whose artists were held out.

    The seed decides which artists are held out, which listeners there are, which of them judge, and
    all that is random in training. A baseline is judged by the same listeners.

    Returns:
        ``n_tracks``; ``naming_artist``, how many listeners do; for each of `GROUPS` the number of
        listeners, of those who like any track (``ranked``: others have no ranking to judge), and
        the mean of each figure over them; ``milliseconds`` of ranking all tracks for a listener;
        for a learner ``train_seconds`` (processor time), ``train_wall_seconds`` and ``updates``.
    """
    settings = AnyListenerSettings(timesteps=task.budget)
    env = make_native(
        ENVIRONMENTS["any"],
        settings.n_envs,
        **task.setting,
        split="train",
        population_seed=task.seed,
        encoding=settings.encoding,
    )
    tables: AnyTables = env.unwrapped.tables
    held_out = held_out_tables(tables)
    measured: dict[str, Any] = {"n_tracks": tables.catalogue.n_tracks}
    policy: PairPolicy
    if task.learner == LEARNER:
        learner = make_learner(settings, GymVecEnv(env), seed=task.seed * SEED_STEP)
        process, wall = time.process_time(), time.perf_counter()
        learner.learn(task.budget, log_interval=None)
        measured["train_seconds"] = round(time.process_time() - process, 2)
        measured["train_wall_seconds"] = round(time.perf_counter() - wall, 2)
        measured["updates"] = learner._n_updates
        policy = pair_policy(task.learner, learner, held_out)
    else:
        baselines = {found.name: found for found in pair_baselines(held_out, seed=task.seed)}
        policy = baselines[task.learner.replace("-", " ")]
    listeners = different_listeners(held_out, HELD_OUT_LISTENERS, seed=task.seed)
    measured["naming_artist"] = int((listeners.artist != OPEN).sum())
    judged = judge_policy(policy, held_out, listeners, seed=task.seed)
    measured["milliseconds"] = round(judged.milliseconds, 2)
    measured["groups"] = {
        group: {
            "listeners": _counted(judged.group(group)[FIGURES[0]]),
            "ranked": _counted(judged.group(group)[f"ndcg_at_{TOP_K}"]),
            **{name: _rounded(mean) for name, mean in judged.means(group).items()},
        }
        for group in GROUPS
    }
    return measured


def _counted(figures: NDArray[np.float64]) -> int:
    return int(np.isfinite(figures).sum())


def _rounded(mean: float) -> float | None:
    return None if np.isnan(mean) else round(mean, 6)
