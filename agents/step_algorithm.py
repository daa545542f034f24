"""Learners that learn from each step of the environments at once, with no replay."""

from __future__ import annotations

import sys
import time
from abc import abstractmethod
from typing import Any, Self

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.type_aliases import MaybeCallback
from stable_baselines3.common.utils import safe_mean

from agents.saved_algorithm import SavedAlgorithm


class StepAlgorithm(SavedAlgorithm):
    """The loop of `learn`, the learner's random generator and its coins.

    A callback sees the learner *after* the update by the step's transitions, so what it saves has
    learnt from all of ``num_timesteps``; and no global random generator is seeded or drawn from.
    """

    action_space: spaces.Discrete[Any]
    _generator: np.random.Generator

    @abstractmethod
    def _act(self, observations: NDArray[Any]) -> tuple[NDArray[np.int64], Any]:
        """Return (n_envs,) actions, exploration included, and what `_learn_from` is to know."""

    @abstractmethod
    def _learn_from(
        self,
        observations: NDArray[Any],
        actions: NDArray[np.int64],
        chosen: Any,
        rewards: NDArray[np.floating[Any]],
        new_obs: NDArray[Any],
        dones: NDArray[np.bool_],
        infos: list[dict[str, Any]],
    ) -> None:
        """Learn from what a step of the environments gave, (n_envs,) each."""

    def _record_more(self) -> None:
        """Hand the learner's own figures to the logger."""

    def set_random_seed(self, seed: int | None = None) -> None:
        """Seed the learner's generator, the action space and the environment; nothing global."""
        # A child: the environment of the same seed draws from the sequence itself, and the coins
        # must not repeat its draws.
        self._generator = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
        if seed is not None:
            self.action_space.seed(seed)
            if self.env is not None:
                self.env.seed(seed)

    def _epsilon_greedy(self, values: NDArray[np.float64], epsilon: float) -> NDArray[np.int64]:
        """Return an action for each row of values, from 0; ties are broken at random.

        Args:
            values: (n, n_actions).
            epsilon: the probability, tossed for each row, of any action.
        """
        n, n_actions = values.shape
        draws = self._generator.random((n, n_actions + 1))
        candidates = (values == values.max(axis=1, keepdims=True)) | (draws[:, -1:] < epsilon)
        # The largest of equally distributed numbers is any of them, evenly.
        actions: NDArray[np.int64] = np.where(candidates, draws[:, :-1], -1.0).argmax(axis=1)
        return actions

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int | None = 100,
        tb_log_name: str | None = None,
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Learn from steps of the environment.

        Args:
            total_timesteps: steps to take, counted over all environments; the last step of them
                may overshoot.
            callback: called after each step of the environments; training stops when one returns
                False.
            log_interval: episodes from one logging to the next; None leaves it to the callbacks,
                which call `dump_logs`.
            tb_log_name: name of the run for TensorBoard; the class's if None.
            reset_num_timesteps: if False, go on counting, and do not reset the environment.
            progress_bar: show one.

        Returns:
            The learner itself.
        """
        if self.env is None:
            raise ValueError("an environment is missing: call set_env, or give one to load")
        total_timesteps, callback = self._setup_learn(
            total_timesteps,
            callback,
            reset_num_timesteps,
            tb_log_name or type(self).__name__,
            progress_bar,
        )
        self._update_current_progress_remaining(self.num_timesteps, max(total_timesteps, 1))
        callback.on_training_start(locals(), globals())
        env, going_on = self.env, True
        while going_on and self.num_timesteps < total_timesteps:
            callback.on_rollout_start()
            observations = self._last_obs
            assert isinstance(observations, np.ndarray)
            actions, chosen = self._act(observations)
            new_obs, rewards, dones, infos = env.step(actions)
            assert isinstance(new_obs, np.ndarray)
            self.num_timesteps += env.num_envs
            self._learn_from(observations, actions, chosen, rewards, new_obs, dones, infos)
            self._last_obs = new_obs
            self._update_current_progress_remaining(self.num_timesteps, total_timesteps)
            ended = np.flatnonzero(dones)
            logged = log_interval and self._episode_num // log_interval
            if len(ended):
                self._episode_num += len(ended)
                self._update_info_buffer([infos[i] for i in ended], dones[ended])
            callback.update_locals(locals())
            going_on = callback.on_step()
            if log_interval and self._episode_num // log_interval != logged:
                self.dump_logs()
            callback.on_rollout_end()
        callback.on_training_end()
        return self

    def dump_logs(self) -> None:
        """Write the figures named in the class's docstring to the logger."""
        assert self.ep_info_buffer is not None
        record = self.logger.record
        elapsed = max((time.time_ns() - self.start_time) / 1e9, sys.float_info.epsilon)  # [s]
        if self.ep_info_buffer:
            record("rollout/ep_rew_mean", safe_mean([info["r"] for info in self.ep_info_buffer]))
            record("rollout/ep_len_mean", safe_mean([info["l"] for info in self.ep_info_buffer]))
        record("time/episodes", self._episode_num, exclude="tensorboard")
        record("time/fps", int((self.num_timesteps - self._num_timesteps_at_start) / elapsed))
        record("time/time_elapsed", int(elapsed), exclude="tensorboard")
        record("time/total_timesteps", self.num_timesteps, exclude="tensorboard")
        record("train/n_updates", self._n_updates, exclude="tensorboard")
        self._record_more()
        self.logger.dump(step=self.num_timesteps)
