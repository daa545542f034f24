"""A learner watched while it learns: regret over the whole catalogue, and greedy episodes.

Both checks look at the learner between two steps, draw nothing from its generators, and stop the
clock meanwhile. The clock is the processor time of
this process, in one thread: what else the machine does changes it little.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback

from music_env.metrics import decision_figures

Values = Callable[[NDArray[Any]], NDArray[Any]]

EVERY, EVERY_UNTIL = 32, 640
"""Judged tracks from one check to the next, and until when; 32 is the most sessions at a time."""

GROWTH = 9 / 8
"""From then on each check comes an eighth later than the one before: one of Vowpal Wabbit, which
reads text, costs as much as judging a thousand tracks."""

ZERO_CHECKS = 5
"""Checks in a row at regret 0 after which a run is over: what follows is taken to be 0 as well."""


def check_grid(budget: int) -> list[int]:
    """Return the judged tracks at which a run is checked, the budget being the last.

    All but the last are multiples of `EVERY`, so that learners with up to that many sessions at a
    time are checked at the very same numbers.
    """
    grid, at = [], EVERY
    while at < budget:
        grid.append(at)
        step = EVERY if at < EVERY_UNTIL else int(at * (GROWTH - 1))
        at += max(EVERY, step - step % EVERY)
    return [*grid, budget]


class _Watch(BaseCallback):
    """Calls `_check` at given steps, with the seconds of learning until then."""

    def __init__(self, at: list[int]) -> None:
        super().__init__()
        self.at = at
        self.seconds = 0.0  # of learning, at the last check
        self._checked = -1
        self._over = False

    def _check(self) -> bool:
        """Look at the learner; return whether the run may end here."""
        raise NotImplementedError

    def _on_training_start(self) -> None:
        self._started, self._checking = time.process_time(), 0.0

    def _on_step(self) -> bool:
        return not self._over

    def _on_rollout_start(self) -> None:
        # Not in `_on_step`, where SB3's DQN has not yet learnt from the step that it reports.
        if not self._over and self.at and self.num_timesteps >= self.at[0]:
            while self.at and self.num_timesteps >= self.at[0]:
                self.at.pop(0)
            self._look()

    def _on_training_end(self) -> None:
        if not self._over and self.num_timesteps > self._checked:
            self._look()

    def _look(self) -> None:
        start = time.process_time()
        self.seconds = start - self._started - self._checking
        self._checked = self.num_timesteps
        self._over = self._check()
        self._checking += time.process_time() - start


class RegretWatch(_Watch):
    """Notes the greedy policy's relative regret over some tracks at each point of `check_grid`.

    Args:
        rows: the observations of all tracks.
        scores: (n_tracks,) the listener's.
        values: (n, ...) observations -> (n, 2) action values.
        budget: judged tracks.

    Attributes:
        curve: ``tracks`` judged, ``seconds`` of learning, ``regret``; one number a check each.
        over_at_zero: whether the run was stopped by `ZERO_CHECKS`.
    """

    def __init__(
        self, rows: NDArray[Any], scores: NDArray[np.float64], values: Values, budget: int
    ) -> None:
        super().__init__(check_grid(budget))
        self.curve: dict[str, list[float]] = {"tracks": [], "seconds": [], "regret": []}
        self.over_at_zero = False
        self._rows, self._scores, self._values = rows, scores, values

    def _check(self) -> bool:
        values = self._values(self._rows)
        figures = decision_figures(self._scores, values[:, 1] > values[:, 0])
        self.curve["tracks"].append(self.num_timesteps)
        self.curve["seconds"].append(round(self.seconds, 3))
        # 1e-6 is less than one track wrong by the least score of a catalogue of 300,000.
        self.curve["regret"].append(round(figures["relative_regret"], 6))
        last = self.curve["regret"][-ZERO_CHECKS:]
        self.over_at_zero = len(last) == ZERO_CHECKS and not any(last)
        return self.over_at_zero or not self.at


class EpisodeWatch(_Watch):
    """Notes the mean return of greedy episodes at evenly spread points of the training.

    Args:
        env_id: Gymnasium's.
        budget: steps of training; the run ends there.
        points: how many.
        episodes: at each point.
        last_episodes: at the last one.

    Attributes:
        curve: ``steps``, ``seconds`` of learning, mean ``return``; one number a point each.
    """

    FIRST_SEED = 1_000_000
    """Of the first episode, the next one's being one more; far from the seeds of training."""

    def __init__(
        self, env_id: str, budget: int, *, points: int, episodes: int, last_episodes: int
    ) -> None:
        super().__init__([round(budget * (i + 1) / points) for i in range(points - 1)])
        self.curve: dict[str, list[float]] = {"steps": [], "seconds": [], "return": []}
        self._budget, self._episodes, self._last_episodes = budget, episodes, last_episodes
        self._envs = [gym.make(env_id) for _ in range(max(episodes, last_episodes))]

    def _on_rollout_start(self) -> None:
        pass  # with `train_freq` 256, rollouts are too far apart for evenly spread points

    def _on_step(self) -> bool:
        if self.at and self.num_timesteps >= self.at[0]:
            self.at.pop(0)
            self._look()
        return self.num_timesteps < self._budget

    def _on_training_end(self) -> None:
        super()._on_training_end()
        for env in self._envs:
            env.close()

    def _check(self) -> bool:
        n_episodes = self._episodes if self.at else self._last_episodes
        returns = greedy_returns(self._greedy, self._envs[:n_episodes], self.FIRST_SEED)
        self.curve["steps"].append(self.num_timesteps)
        self.curve["seconds"].append(round(self.seconds, 3))
        self.curve["return"].append(round(float(returns.mean()), 3))
        return False

    def _greedy(self, observations: NDArray[Any]) -> NDArray[np.int64]:
        actions: NDArray[np.int64] = self.model.predict(observations, deterministic=True)[0]
        return actions


def greedy_returns(
    policy: Callable[[NDArray[Any]], NDArray[np.int64]],
    envs: list[gym.Env[Any, Any]],
    first_seed: int,
) -> NDArray[np.float64]:
    """Return (n_envs,) the return of one episode in each environment, stepped side by side.

    Args:
        policy: (n, ...) observations -> (n,) actions.
        envs: of one kind.
        first_seed: of the first environment; the next one's is one more.
    """
    returns = np.zeros(len(envs))
    observations = np.stack([env.reset(seed=first_seed + i)[0] for i, env in enumerate(envs)])
    running = np.arange(len(envs))
    while len(running):
        actions = policy(observations[running])
        going_on = []
        for i, action in zip(running.tolist(), actions.tolist(), strict=True):
            observations[i], reward, terminated, truncated, _ = envs[i].step(action)
            returns[i] += float(reward)
            if not (terminated or truncated):
                going_on.append(i)
        running = np.array(going_on, dtype=np.int64)
    return returns
