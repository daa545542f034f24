"""What tabular learning has changed: as values, as a state, and as a file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import MaybeCallback

from agents.model_file import read_model
from agents.step_algorithm import StepAlgorithm
from agents.tabular import TabularPolicy

_COUNTERS = {  # name in the state -> attribute
    "num_timesteps": "num_timesteps",
    "episodes": "_episode_num",
    "n_updates": "_n_updates",
}


class TabularAlgorithm(StepAlgorithm):
    """A learner of a table: its memory, its state and its files.

    Attributes:
        visits: (n_states, n_actions) int64, how often each cell was updated.
    """

    policy: TabularPolicy
    observation_space: spaces.Discrete[Any]
    visits: NDArray[np.int64]
    # (n_envs,) actions already chosen for the next step, by a learner that chooses them before.
    _next_actions: NDArray[np.int64] | None = None

    @abstractmethod
    def _update_progress(self, remaining: float) -> None:
        """Take notice of the progress remaining, 1 to 0."""

    def _update_current_progress_remaining(self, num_timesteps: int, total_timesteps: int) -> None:
        super()._update_current_progress_remaining(num_timesteps, total_timesteps)
        self._update_progress(self._current_progress_remaining)

    def _setup_learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        reset_num_timesteps: bool = True,
        tb_log_name: str = "run",
        progress_bar: bool = False,
    ) -> tuple[int, BaseCallback]:
        if reset_num_timesteps or self._last_obs is None:
            self._next_actions = None  # the observations that they were chosen for are left now
        return super()._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )

    @property
    def q_table(self) -> NDArray[np.float64]:
        """The action values, (n_states, n_actions) float64: see `TabularPolicy.q_table`."""
        return self.policy.q_table

    @property
    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {"q_table": self.policy.memory, "visits": self.visits}

    def q_values(self, observations: NDArray[np.integer[Any]] | int) -> NDArray[np.float64]:
        """Return the action values of some observations.

        Args:
            observations: (n,) integers, or one.

        Returns:
            (n, n_actions) float64, a copy.

        Raises:
            ValueError: if an observation is none of the space.
        """
        return self.policy.action_values(np.atleast_1d(self._states(observations)))

    def _states(self, observations: Any) -> NDArray[np.int64]:
        """Return the rows of some observations in the table, in the observations' shape."""
        array = np.asarray(observations)
        space = self.observation_space
        start, n = int(space.start), int(space.n)
        if array.dtype.kind not in "iu" or array.ndim > 1:
            raise ValueError(
                f"expected an observation of {space} or a vector of them, got {observations!r:.200}"
            )
        states = array.astype(np.int64) - start
        if states.size and not (states.min() >= 0 and states.max() < n):
            wrong = states[(states < 0) | (states >= n)].flat[0] + start
            raise ValueError(f"observation {wrong} is not in {space}")
        return states

    # --- State and files --------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Return what learning has changed, as copies: arrays, numbers and the generator's state.

        With the environment's own state, it lets another learner of the same hyperparameters go
        on exactly where this one stands (but for the logged averages).

        Returns:
            ``q_table``, (n_states, n_actions) float64, or (2, n_states, n_actions) of a learner
            of two tables; ``visits``, (n_states, n_actions) int64; and what JSON can say:
            ``generator``, counters, ``progress_remaining``, ``last_obs`` and ``next_actions`` (a
            list of one for each environment, or None).
        """
        assert self._last_obs is None or isinstance(self._last_obs, np.ndarray)
        return {
            **{name: array.copy() for name, array in self._arrays.items()},
            "generator": self._generator.bit_generator.state,
            **{name: getattr(self, attribute) for name, attribute in _COUNTERS.items()},
            "progress_remaining": self._current_progress_remaining,
            "last_obs": None if self._last_obs is None else self._last_obs.tolist(),
            "next_actions": None if self._next_actions is None else self._next_actions.tolist(),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `get_state` returned.

        Raises:
            ValueError: if the arrays do not fit the spaces, or something is missing or malformed.
        """
        for name, own in self._arrays.items():
            given = np.asarray(state.get(name))
            if (given.shape, given.dtype) != (own.shape, own.dtype):
                raise ValueError(
                    f"{name} must be {own.dtype} of shape {own.shape}, "
                    f"not {given.dtype} of shape {given.shape}"
                )
        try:
            counters = {attribute: int(state[name]) for name, attribute in _COUNTERS.items()}
            progress, last_obs = float(state["progress_remaining"]), state["last_obs"]
            last_obs = None if last_obs is None else np.array(last_obs, dtype=np.int64)
            if last_obs is not None and last_obs.shape != (self.n_envs,):
                raise ValueError(
                    f"{last_obs.size} last observations for {self.n_envs} environments"
                )
            # Actions chosen for a step from observations that are not there are none.
            next_actions = None if last_obs is None else state.get("next_actions")
            if next_actions is not None:
                next_actions = self._checked_actions(next_actions)
            self._generator.bit_generator.state = state["generator"]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"not the state of a {type(self).__name__}: {error!r}") from error
        for attribute, count in counters.items():
            setattr(self, attribute, count)
        self._update_progress(progress)
        self._last_obs, self._next_actions = last_obs, next_actions
        for name, own in self._arrays.items():
            own[...] = state[name]

    def _checked_actions(self, actions: Any) -> NDArray[np.int64]:
        array = np.array(actions, dtype=np.int64)
        if array.shape != (self.n_envs,):
            raise ValueError(f"{array.size} next actions for {self.n_envs} environments")
        indices = array - int(self.action_space.start)
        if not ((indices >= 0) & (indices < int(self.action_space.n))).all():
            raise ValueError(f"next actions {actions!r:.200} are not all in {self.action_space}")
        return array

    def _state_to_file(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        state = self.get_state()
        return state, {name: state.pop(name) for name in self._arrays}

    def _state_from_file(
        self,
        state: Mapping[str, Any],
        tensors: Mapping[str, NDArray[Any]],
        *,
        keep_observations: bool,
    ) -> None:
        kept = {} if keep_observations else {"last_obs": None}
        self.set_state({**state, **tensors, **kept})

    def set_parameters(
        self,
        load_path_or_dict: Any,
        exact_match: bool = True,
        device: th.device | str = "auto",
    ) -> None:
        """Take over the table from a saved learner's file, or from what `get_parameters` returned.

        Args:
            load_path_or_dict: path, or ``{"policy": state_dict}``.
            exact_match: see Stable-Baselines3.
            device: see the class.
        """
        if not isinstance(load_path_or_dict, dict):
            tensors = read_model(load_path_or_dict, algorithm=type(self).__name__).tensors
            load_path_or_dict = {"policy": {"_extra_state": th.from_numpy(tensors["q_table"])}}
        super().set_parameters(load_path_or_dict, exact_match, device)
