"""Tabular Q-learning with the interface of Stable-Baselines3."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm, maybe_make_env
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import MaybeCallback, Schedule
from stable_baselines3.common.utils import (
    FloatSchedule,
    LinearSchedule,
    check_for_correct_spaces,
    get_system_info,
    safe_mean,
)

from agents.model_file import (
    ModelFileError,
    read_model,
    space_from_json,
    space_to_json,
    write_model,
)
from agents.policies import argument_from_json, argument_to_json
from agents.tabular import TabularPolicy, q_learning_update

_ARRAYS = ("q_table", "visits")
_COUNTERS = {  # name in the state -> attribute
    "num_timesteps": "num_timesteps",
    "episodes": "_episode_num",
    "n_updates": "_n_updates",
}
_HYPERPARAMETERS = (
    "learning_rate",
    "gamma",
    "exploration_fraction",
    "exploration_initial_eps",
    "exploration_final_eps",
    "exploration_rate_schedule",
    "initial_value",
    "stats_window_size",
)


class QLearning(BaseAlgorithm):
    """Tabular Q-learning (Watkins & Dayan 1992; Sutton & Barto 2018, section 6.5).

    For any environment whose observations and actions are both ``Discrete``. After each step of
    the environments, the transitions update the table one after another, in the environments'
    order (`q_learning_update`). The step bootstraps unless the episode `terminated`; a time limit
    does not count as an end. With probability `exploration_rate`, tossed for each environment by
    itself, the action is uniformly random; otherwise it is greedy, ties broken at random.

    Two deviations from Stable-Baselines3's DQN: a callback sees the learner *after* the update by
    the step's transitions, so what it saves has learnt from all of ``num_timesteps``; and no global
    random generator is seeded or drawn from.

    Logged, every `log_interval` episodes: ``rollout/ep_rew_mean``, ``rollout/ep_len_mean``,
    ``rollout/success_rate`` (if the environment tells), ``rollout/exploration_rate``,
    ``time/episodes``, ``time/fps``, ``time/time_elapsed`` [s], ``time/total_timesteps``,
    ``train/learning_rate``, ``train/n_updates`` (transitions learnt from) and ``train/td_error``
    (mean absolute temporal-difference error since the last time).

    Args:
        policy: ``"TabularPolicy"`` or a subclass of `TabularPolicy`.
        env: an environment, a `VecEnv`, or the id of a registered environment.
        learning_rate: step size, in [0, 1]; or a function of the progress remaining (1 to 0).
            1 is right where nothing is random. Where rewards or transitions are, one that falls
            to 0, such as ``LinearSchedule(0.1, 0.0, 1.0)``, averages the noise out.
        gamma: discount, in [0, 1].
        exploration_fraction: share of the training, in (0, 1], over which the exploration rate
            falls linearly.
        exploration_initial_eps: exploration rate at the start, in [0, 1].
        exploration_final_eps: exploration rate after that share, in [0, 1].
        exploration_rate_schedule: if given, the exploration rate, as a number or as a function of
            the progress remaining (1 to 0), in place of the three above.
        initial_value: of the whole table. One above the attainable return is optimistic: it makes
            the greedy policy try every action (Sutton & Barto 2018, section 2.6).
        stats_window_size: episodes over which the rollout figures are averaged.
        tensorboard_log: folder for TensorBoard's files, none if None.
        verbose: 0 for no output, 1 for info messages, 2 for debug messages.
        seed: of the learner's random generator, and of the environment. If None, drawn from the
            operating system.
        device: accepted for the interface; the table lies in main memory.

    Raises:
        ValueError: if the spaces are not ``Discrete``, or a hyperparameter is out of its range.

    Attributes:
        visits: (n_states, n_actions) int64, how often each cell was updated.
        exploration_rate: the present one.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"TabularPolicy": TabularPolicy}
    policy: TabularPolicy
    observation_space: spaces.Discrete[Any]
    action_space: spaces.Discrete[Any]
    visits: NDArray[np.int64]

    def __init__(
        self,
        policy: str | type[TabularPolicy] = "TabularPolicy",
        env: Any = None,
        *,
        learning_rate: float | Schedule = 0.1,
        gamma: float = 0.99,
        exploration_fraction: float = 0.1,
        exploration_initial_eps: float = 1.0,
        exploration_final_eps: float = 0.05,
        exploration_rate_schedule: float | Schedule | None = None,
        initial_value: float = 0.0,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: th.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        if not (policy in self.policy_aliases or _is_tabular(policy)):
            raise ValueError(
                f"unknown policy {policy!r}: expected 'TabularPolicy'. The environment is the "
                "second argument: QLearning(env=...)"
            )
        if env is None and _init_setup_model:
            raise ValueError("an environment is missing: QLearning(env=...)")
        super().__init__(
            policy,
            env,
            learning_rate,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            device="cpu",
            support_multi_env=True,
            seed=seed,
        )
        shares = {
            "gamma": gamma,
            "exploration_fraction": exploration_fraction,
            "exploration_initial_eps": exploration_initial_eps,
            "exploration_final_eps": exploration_final_eps,
        }
        if not callable(learning_rate):
            shares["learning_rate"] = learning_rate
        for name, value in shares.items():
            _check(name, value, 0.0, 1.0)
        _check("exploration_fraction", exploration_fraction, sys.float_info.min, 1.0)
        _check("initial_value", initial_value, -sys.float_info.max, sys.float_info.max)
        self.gamma = gamma
        self.exploration_fraction = exploration_fraction
        self.exploration_initial_eps = exploration_initial_eps
        self.exploration_final_eps = exploration_final_eps
        self.exploration_rate_schedule = exploration_rate_schedule
        self.initial_value = initial_value
        self.stats_window_size = stats_window_size
        self._td_error_sum, self._td_error_count = 0.0, 0
        if _init_setup_model:
            self._setup_model()

    # --- Set-up -----------------------------------------------------------------------------------

    def _setup_model(self) -> None:
        for kind, space in (
            ("observations", self.observation_space),
            ("actions", self.action_space),
        ):
            if not isinstance(space, spaces.Discrete):
                raise ValueError(
                    f"QLearning keeps a table and needs Discrete {kind}, not {space} "
                    "(MusicRec-v0 has Discrete observations with encoding='hash' or 'profile')"
                )
        self._setup_lr_schedule()
        schedule = self.exploration_rate_schedule
        if schedule is None:
            schedule = LinearSchedule(
                self.exploration_initial_eps, self.exploration_final_eps, self.exploration_fraction
            )
        self.exploration_schedule = FloatSchedule(schedule)
        self._update_progress(self._current_progress_remaining)
        self.policy = self.policy_class(  # type: ignore[assignment]
            self.observation_space,
            self.action_space,
            self.lr_schedule,
            initial_value=self.initial_value,
        )
        self.visits = np.zeros(self.q_table.shape, dtype=np.int64)
        self.set_random_seed(self.seed)

    def set_random_seed(self, seed: int | None = None) -> None:
        """Seed the learner's generator, the action space and the environment; nothing global."""
        # A child: the environment of the same seed draws from the sequence itself, and the coins
        # must not repeat its draws.
        self._generator = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
        if seed is not None:
            self.action_space.seed(seed)
            if self.env is not None:
                self.env.seed(seed)

    def _update_progress(self, remaining: float) -> None:
        self._current_progress_remaining = remaining
        self.exploration_rate = self.exploration_schedule(remaining)

    # --- Values and actions -----------------------------------------------------------------------

    @property
    def q_table(self) -> NDArray[np.float64]:
        """The action values, (n_states, n_actions) float64: the policy's own memory."""
        return self.policy.q_table

    def q_values(self, observations: NDArray[np.integer[Any]] | int) -> NDArray[np.float64]:
        """Return the action values of some observations.

        Args:
            observations: (n,) integers, or one.

        Returns:
            (n, n_actions) float64, a copy.

        Raises:
            ValueError: if an observation is none of the space.
        """
        return self.q_table[np.atleast_1d(self._states(observations))]

    def predict(
        self,
        observation: NDArray[Any] | dict[str, NDArray[Any]] | int,
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], tuple[NDArray[Any], ...] | None]:
        """Return the actions for some observations.

        Args:
            observation: (n,) integers, or one.
            state: handed back.
            episode_start: not used.
            deterministic: if True, the greedy actions, the first one where several are best; if
                False, those which the learner would take now, exploration included: this draws
                from its generator.

        Returns:
            The actions, int64 of the observations' shape, and `state`.

        Raises:
            ValueError: if an observation is none of the space.
        """
        states = self._states(observation)
        values = self.q_table[np.atleast_1d(states)]
        actions = values.argmax(axis=1) if deterministic else self._explore(values)
        return (actions + int(self.action_space.start)).reshape(states.shape), state

    def _explore(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        n, n_actions = values.shape
        draws = self._generator.random((n, n_actions + 1))
        explores = draws[:, -1:] < self.exploration_rate  # (n, 1)
        candidates = (values == values.max(axis=1, keepdims=True)) | explores
        # The largest of equally distributed numbers is any of them, evenly.
        actions: NDArray[np.int64] = np.where(candidates, draws[:, :-1], -1.0).argmax(axis=1)
        return actions

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

    # --- Learning ---------------------------------------------------------------------------------

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int | None = 100,
        tb_log_name: str = "QLearning",
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
            tb_log_name: name of the run for TensorBoard.
            reset_num_timesteps: if False, go on counting, and do not reset the environment.
            progress_bar: show one.

        Returns:
            The learner itself.
        """
        if self.env is None:
            raise ValueError("an environment is missing: call set_env, or give one to load")
        total_timesteps, callback = self._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )
        self._update_progress(1.0 - self.num_timesteps / max(total_timesteps, 1))
        callback.on_training_start(locals(), globals())
        env, going_on = self.env, True
        while going_on and self.num_timesteps < total_timesteps:
            callback.on_rollout_start()
            observations = self._last_obs
            assert isinstance(observations, np.ndarray)
            actions, _ = self.predict(observations)
            new_obs, rewards, dones, infos = env.step(actions)
            assert isinstance(new_obs, np.ndarray)
            self.num_timesteps += env.num_envs
            self._learn_from(observations, actions, rewards, new_obs, dones, infos)
            self._last_obs = new_obs
            self._update_progress(1.0 - self.num_timesteps / total_timesteps)
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

    def _learn_from(
        self,
        observations: NDArray[Any],
        actions: NDArray[np.int64],
        rewards: NDArray[np.floating[Any]],
        new_obs: NDArray[Any],
        dones: NDArray[np.bool_],
        infos: list[dict[str, Any]],
    ) -> None:
        """Update the table by what a step of the environments gave, (n_envs,) each."""
        start = int(self.observation_space.start)
        terminated = dones
        if self.gamma and dones.any():
            terminated, new_obs = dones.copy(), new_obs.copy()
            for i in np.flatnonzero(dones):
                if infos[i].get("TimeLimit.truncated", False):
                    terminated[i] = False
                    # `new_obs` is the first observation of the next episode.
                    new_obs[i] = infos[i]["terminal_observation"]
        errors = q_learning_update(
            self.q_table,
            self.visits,
            observations.astype(np.int64) - start,
            actions - int(self.action_space.start),
            rewards,
            new_obs.astype(np.int64) - start,
            terminated,
            learning_rate=self.lr_schedule(self._current_progress_remaining),
            gamma=self.gamma,
        )
        self._n_updates += len(errors)
        self._td_error_sum += float(np.abs(errors).sum())
        self._td_error_count += len(errors)

    def dump_logs(self) -> None:
        """Write the figures named in the class's docstring to the logger."""
        assert self.ep_info_buffer is not None and self.ep_success_buffer is not None
        record = self.logger.record
        elapsed = max((time.time_ns() - self.start_time) / 1e9, sys.float_info.epsilon)  # [s]
        if self.ep_info_buffer:
            record("rollout/ep_rew_mean", safe_mean([info["r"] for info in self.ep_info_buffer]))
            record("rollout/ep_len_mean", safe_mean([info["l"] for info in self.ep_info_buffer]))
        if self.ep_success_buffer:
            record("rollout/success_rate", safe_mean(self.ep_success_buffer))
        record("rollout/exploration_rate", self.exploration_rate)
        record("time/episodes", self._episode_num, exclude="tensorboard")
        record("time/fps", int((self.num_timesteps - self._num_timesteps_at_start) / elapsed))
        record("time/time_elapsed", int(elapsed), exclude="tensorboard")
        record("time/total_timesteps", self.num_timesteps, exclude="tensorboard")
        record("train/learning_rate", self.lr_schedule(self._current_progress_remaining))
        record("train/n_updates", self._n_updates, exclude="tensorboard")
        if self._td_error_count:
            record("train/td_error", self._td_error_sum / self._td_error_count)
        self._td_error_sum, self._td_error_count = 0.0, 0
        self.logger.dump(step=self.num_timesteps)

    # --- State and files --------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Return what learning has changed, as copies: arrays, numbers and the generator's state.

        With the environment's own state, it lets another learner of the same hyperparameters go
        on exactly where this one stands (but for the logged averages).
        """
        assert self._last_obs is None or isinstance(self._last_obs, np.ndarray)
        return {
            "q_table": self.q_table.copy(),
            "visits": self.visits.copy(),
            "generator": self._generator.bit_generator.state,
            **{name: getattr(self, attribute) for name, attribute in _COUNTERS.items()},
            "progress_remaining": self._current_progress_remaining,
            "last_obs": None if self._last_obs is None else self._last_obs.tolist(),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `get_state` returned.

        Raises:
            ValueError: if the arrays do not fit the spaces, or something is missing or malformed.
        """
        for name in _ARRAYS:
            own, given = getattr(self, name), state.get(name)
            given = np.asarray(given)
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
            self._generator.bit_generator.state = state["generator"]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"not the state of a QLearning: {error!r}") from error
        for attribute, count in counters.items():
            setattr(self, attribute, count)
        self._update_progress(progress)
        self._last_obs = last_obs
        for name in _ARRAYS:
            getattr(self, name)[...] = state[name]

    def save(self, path: Any, exclude: Any = None, include: Any = None) -> None:
        """Save the learner as one safetensors file (`agents.model_file`), without pickle.

        Hyperparameters, spaces, arrays, counters and the generator's state are kept; the
        environment, ``tensorboard_log`` and ``verbose`` are not. Of a schedule that is none of
        Stable-Baselines3's, only the name is, for `load` to ask for.

        Args:
            path: where to; ``.safetensors`` is added where there is no suffix. Callbacks that name
                the file themselves may ask for ``.zip``: the content is the same.
            exclude: as for `include`, must be None: the file holds what `load` needs.
            include: see `exclude`.
        """
        if exclude is not None or include is not None:
            raise ValueError("QLearning.save takes neither `exclude` nor `include`")
        state = self.get_state()
        arrays = {name: state.pop(name) for name in _ARRAYS}
        config = {
            "hyperparameters": {n: argument_to_json(getattr(self, n)) for n in _HYPERPARAMETERS},
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "n_envs": self.n_envs,
            "seed": self.seed,
            "state": state,
        }
        write_model(path, algorithm=type(self).__name__, config=config, tensors=arrays)

    @classmethod
    def load(
        cls,
        path: Any,
        env: Any = None,
        device: th.device | str = "auto",
        custom_objects: dict[str, Any] | None = None,
        print_system_info: bool = False,
        force_reset: bool = True,
        **kwargs: Any,
    ) -> Self:
        """Load a learner; nothing in the file is executed.

        Its random generator goes on where it stood. The environment is neither seeded nor reset,
        unless ``seed`` is given.

        Args:
            path: as given to `save`.
            env: to go on learning in; may have another number of environments. None for
                predicting.
            device: see the class.
            custom_objects: schedules for the names in the file which are not of Stable-Baselines3:
                ``{"package.module.function": function}``; or give ``learning_rate=function``.
            print_system_info: print the present versions.
            force_reset: reset the environment before learning goes on. False if it stands where
                it stood when the learner was saved.
            kwargs: arguments of the constructor that replace the saved ones.

        Raises:
            FileNotFoundError: if there is no such file.
            ModelFileError: if the file is not a learner of this class, or uses a schedule that must
                be given.
            ValueError: if the spaces of `env` are not those of the learner.
        """
        if print_system_info:
            get_system_info()
        # Not for the constructor: it would send the environment back to its first episodes.
        new_seed = kwargs.pop("seed", None)
        file = read_model(path, algorithm=cls.__name__)
        try:
            saved = file.config["hyperparameters"]
            arguments = {
                name: argument_from_json(saved[name], custom_objects or {})
                for name in _HYPERPARAMETERS
                if name not in kwargs
            }
            observation_space = space_from_json(file.config["observation_space"])
            action_space = space_from_json(file.config["action_space"])
            n_envs, seed = file.config["n_envs"], file.config["seed"]
            state = {**file.config["state"], **file.tensors}
            if force_reset:
                state["last_obs"] = None
        except (KeyError, TypeError, RecursionError) as error:
            raise ModelFileError(f"{path} is not a whole {cls.__name__}: {error!r}") from error
        if env is not None:
            env = cls._wrap_env(maybe_make_env(env, 0))
            check_for_correct_spaces(env, observation_space, action_space)
        model = cls(env=env, device=device, _init_setup_model=False, **arguments, **kwargs)
        if env is None:
            model.observation_space, model.action_space = observation_space, action_space  # type: ignore[assignment]
            model.n_envs = n_envs
        model._setup_model()
        try:
            model.set_state(state)
        except ValueError as error:
            raise ModelFileError(f"{path} is not a whole {cls.__name__}: {error}") from error
        model.seed = seed if new_seed is None else new_seed
        if new_seed is not None:
            model.set_random_seed(new_seed)
        return model

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


def _is_tabular(policy: Any) -> bool:
    return isinstance(policy, type) and issubclass(policy, TabularPolicy)


def _check(name: str, value: Any, low: float, high: float) -> None:
    if not (isinstance(value, int | float | np.number) and low <= value <= high):
        raise ValueError(f"{name} must be from {low:g} to {high:g}, not {value!r}")
