"""Tasks on MusicRec-v0: regret while learning, in the ablation too; held-out tracks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from agents.q_learning import QLearning
from agents.training import DuelingDQNSettings
from music_env.metrics import decision_figures
from music_env.tables import OverTables
from study.checks import RegretWatch
from study.learners import (
    BASELINES,
    LEARNERS,
    SWITCHES,
    Contestant,
    Make,
    decisions,
    dueling_dqn,
    dueling_dqn_of_one_session,
)
from study.tasks import Task

HELD_OUT = 0.2
"""Share of the tracks that generalisation is measured on."""

Measured = dict[str, Any]


def regret_while_learning(task: Task) -> Measured:
    """Train on all tracks; return the curve of regret over all tracks, and their number."""
    if task.learner in BASELINES:
        return _unlearnt(task)
    return _watched(task, _make(task)(task.setting, task.seed), task.budget)


def one_pass(task: Task) -> Measured:
    """Show every track once, in one session; return what `regret_while_learning` does.

    Every learner has its defaults, and schedules that fall as over their whole training.
    """
    if task.learner in BASELINES:
        return _unlearnt(task)
    env = _tables(task.setting)
    setting = {**task.setting, "session_length": len(env.scores)}
    make = dueling_dqn_of_one_session if task.learner == "dueling-dqn" else LEARNERS[task.learner]
    return _watched(task, make(setting, task.seed), DuelingDQNSettings().timesteps)


def _unlearnt(task: Task) -> Measured:
    """Return the curve of a baseline, which has one point."""
    env = _tables(task.setting)
    figures = decision_figures(env.scores, decisions(task.learner, env))
    curve = {"tracks": [0], "seconds": [0.0], "regret": [round(figures["relative_regret"], 6)]}
    return {"n_tracks": len(env.scores), "curve": curve, "over_at_zero": False}


def _watched(task: Task, contestant: Contestant, horizon: int) -> Measured:
    """Train for the task's budget with schedules over a horizon; return the curve of regret."""
    env = contestant.env
    rows = env.encoded.rows.take(np.arange(len(env.scores)))
    watch = RegretWatch(rows, env.scores, contestant.values, task.budget)
    contestant.learner.learn(horizon, callback=watch, log_interval=_NEVER)
    return {
        "n_tracks": len(env.scores),
        "curve": watch.curve,
        "over_at_zero": watch.over_at_zero,
    }


def generalisation(task: Task) -> Measured:
    """Train on a random 80 % of the tracks; return figures of the decisions on the other 20 %.

    The split depends on the seed alone and is the same for every learner. For a tabular learner
    also the held-out tracks whose state it has been trained on ("seen"), and the accuracy on those
    and on the others.
    """
    n_tracks = len(_tables(task.setting).scores)
    train, test = split(n_tracks, task.seed)
    if task.learner in BASELINES:
        env = _tables(task.setting)
        return _figures(env.scores[test], decisions(task.learner, env)[test])
    contestant = _make(task)({**task.setting, "tracks": train}, task.seed)
    contestant.learner.learn(task.budget, log_interval=_NEVER)
    env = contestant.env
    rows = env.encoded.rows.take(test)
    values = contestant.values(rows)
    likes = values[:, 1] > values[:, 0]
    measured = _figures(env.scores[test], likes)
    if isinstance(contestant.learner, QLearning):
        seen = contestant.learner.visits.sum(axis=1)[rows] > 0
        right = (likes == (env.scores[test] > 0)) | (env.scores[test] == 0)
        measured["seen"] = int(seen.sum())
        measured["right_seen"] = int(right[seen].sum())
        measured["right_unseen"] = int(right[~seen].sum())
    return measured


def split(n_tracks: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of the tracks to train on, and of those held out, both ascending."""
    order = np.random.default_rng(seed).permutation(n_tracks)
    held_out = round(n_tracks * HELD_OUT)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


# Episodes from one logging to the next: SB3's DQN takes no None.
_NEVER = 10**9


def _make(task: Task) -> Make:
    if task.suite == "ablation":
        return partial(dueling_dqn, **SWITCHES[task.learner])
    return LEARNERS[task.learner]


def _tables(listener: Mapping[str, Any]) -> OverTables:
    env = gym.make("MusicRec-v0", encoding="codes", **listener).unwrapped
    assert isinstance(env, OverTables)
    return env


def _figures(scores: NDArray[np.float64], likes: NDArray[np.bool_]) -> Measured:
    figures = decision_figures(scores, likes)
    names = ("decision_accuracy", "balanced_accuracy", "relative_regret")
    return {"held_out": len(scores), **{name: round(figures[name], 6) for name in names}}
