"""What decides how training goes on: the learner's state, its environment's, every generator's.

All but the replay buffer, see `agents.replay_segments`. Valid between two rollouts of a learner on
Stable-Baselines3, that is where ``_on_rollout_start`` of a callback is called.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.vec_env import GymVecEnv

# Windows of the logged averages (SB3), and sums since the last log point (`QLearning`); the
# learners' `get_state` leaves them out, as they do not change what is learnt.
_WINDOWS = ("ep_info_buffer", "ep_success_buffer")
_SUMS = ("_td_error_sum", "_td_error_count")
_PENDING = ("name_to_value", "name_to_count", "name_to_excluded")


def training_state(learner: BaseAlgorithm) -> dict[str, Any]:
    """Return the state of a learner that is training: arrays and plain values, as copies.

    Raises:
        TypeError: if the learner or its environment has no state to give.
    """
    return {
        "learner": _with_state(learner).get_state(),
        "env": _env(learner).get_state(),
        "last_episode_starts": np.array(learner._last_episode_starts),
        "windows": {name: _columns(getattr(learner, name)) for name in _WINDOWS},
        "sums": {name: getattr(learner, name) for name in _SUMS if hasattr(learner, name)},
        "pending": {name: dict(getattr(learner.logger, name)) for name in _PENDING},
        "elapsed": time.time_ns() - learner.start_time,  # [ns]
        "steps_at_start": learner._num_timesteps_at_start,
        "generators": _generators(learner),
    }


def restore_learner(learner: BaseAlgorithm, state: Mapping[str, Any]) -> None:
    """Bring a fresh learner and its environment to a state; before ``learn``.

    Raises:
        KeyError, TypeError, ValueError: if the state does not fit them.
    """
    _with_state(learner).set_state(state["learner"])
    _env(learner).set_state(state["env"])
    learner._last_episode_starts = state["last_episode_starts"]


def restore_progress(learner: BaseAlgorithm, state: Mapping[str, Any]) -> None:
    """Restore what ``learn`` sets up anew, and the generators; when training starts."""
    for name, recent in state["windows"].items():
        getattr(learner, name).extend(_rows(recent))
    for name, value in state["sums"].items():
        setattr(learner, name, value)
    for name, values in state["pending"].items():
        getattr(learner.logger, name).update(values)
    learner.start_time = time.time_ns() - state["elapsed"]
    learner._num_timesteps_at_start = state["steps_at_start"]
    _restore_generators(learner, state["generators"])


def _columns(window: Iterable[Any]) -> list[Any] | dict[str, Any]:
    """Return a window of episodes as one array a figure, which is written ten times as fast."""
    episodes = list(window)
    if not (episodes and all(type(episode) is dict for episode in episodes)):
        return episodes
    columns: dict[str, Any] = {}
    for name in episodes[0]:
        values = [episode.get(name) for episode in episodes]
        if {type(value) for value in values} not in ({float}, {int}):
            return episodes
        columns[name] = np.array(values)
    return columns if all(episode.keys() == columns.keys() for episode in episodes) else episodes


def _rows(window: list[Any] | dict[str, Any]) -> list[Any]:
    if isinstance(window, list):
        return window
    columns = (values.tolist() for values in window.values())
    return [dict(zip(window, row, strict=True)) for row in zip(*columns, strict=True)]


# Stable-Baselines3 draws weights, replayed batches and more from the global generators.


def _generators(learner: BaseAlgorithm) -> dict[str, Any]:
    version, numbers, gauss_next = random.getstate()
    return {
        "python": [version, np.array(numbers, dtype=np.uint32), gauss_next],
        "numpy": np.random.get_state(legacy=False),  # noqa: NPY002
        "torch": th.get_rng_state().numpy().copy(),
        "actions": learner.action_space.np_random.bit_generator.state,
    }


def _restore_generators(learner: BaseAlgorithm, state: Mapping[str, Any]) -> None:
    version, numbers, gauss_next = state["python"]
    random.setstate((version, tuple(numbers.tolist()), gauss_next))
    np.random.set_state(state["numpy"])  # noqa: NPY002
    th.set_rng_state(th.from_numpy(state["torch"]))
    learner.action_space.np_random.bit_generator.state = state["actions"]


def _with_state(learner: BaseAlgorithm) -> Any:
    if not (hasattr(learner, "get_state") and hasattr(learner, "set_state")):
        raise TypeError(
            f"{type(learner).__name__} has no get_state and set_state: snapshots are for the "
            "project's own learners"
        )
    return learner


def _env(learner: BaseAlgorithm) -> GymVecEnv:
    """Return the environment; wrappers around it have a state that nobody could restore."""
    if not isinstance(learner.env, GymVecEnv):
        raise TypeError(
            f"snapshots need the environment's state, which {type(learner.env).__name__} does not "
            "give: train in a GymVecEnv of a native vector environment, without wrappers"
        )
    return learner.env
