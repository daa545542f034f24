"""Tabular Q-learning with the interface of Stable-Baselines3."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm, maybe_make_env
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import MaybeCallback, PyTorchObs, Schedule
from stable_baselines3.common.utils import (
    ConstantSchedule,
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

# From here on a vector step is faster than the plain loop (tuned by us: 2 to 16 actions a state).
_SMALL_BATCH = 32
_ARRAYS = ("q_table", "visits")
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


def q_learning_update(
    q_table: NDArray[np.float64],
    states: NDArray[np.integer[Any]],
    actions: NDArray[np.integer[Any]],
    rewards: NDArray[np.floating[Any]],
    next_states: NDArray[np.integer[Any]],
    terminated: NDArray[np.bool_],
    *,
    learning_rate: float,
    gamma: float,
) -> NDArray[np.float64]:
    """Update `q_table` in place by a batch of transitions, exactly as if they came one by one.

    For each transition in turn, with ``s' = next_states[i]`` and so on::

        target = r + gamma * max(Q[s'])   (r alone where terminated)
        Q[s, a] += learning_rate * (target - Q[s, a])

    Hence a batch may repeat a pair of state and action, or reach a state that it updated before.
    (A plain vectorised update would lose all but one of the repeated updates; ``np.add.at`` would
    apply them all to the same old value, which overshoots.)

    Args:
        q_table: (n_states, n_actions) float64, C-contiguous.
        states: (n,) integers from 0.
        actions: (n,) integers from 0.
        rewards: (n,).
        next_states: (n,); what stands there where `terminated` is not used, but must be a state.
        terminated: (n,), False where a time limit alone ended the episode.
        learning_rate: the step size.
        gamma: the discount.

    Returns:
        (n,) float64: each transition's temporal-difference error, ``target - Q[s, a]`` before its
        update.
    """
    n, n_actions = len(states), q_table.shape[1]
    cells = states * n_actions + actions
    targets = rewards.astype(np.float64)
    bootstraps = ~terminated if gamma else np.zeros(n, dtype=bool)
    if n < _SMALL_BATCH or (gamma and _reads_own_updates(states, next_states, bootstraps)):
        rows = next_states * n_actions
        return _update_one_by_one(
            q_table, cells, targets, rows, bootstraps, learning_rate=learning_rate, gamma=gamma
        )
    if gamma:
        targets += np.where(bootstraps, gamma * q_table[next_states].max(axis=1), 0.0)
    return _update_at_once(q_table, cells, targets, learning_rate=learning_rate)


def _reads_own_updates(
    states: NDArray[np.integer[Any]],
    next_states: NDArray[np.integer[Any]],
    bootstraps: NDArray[np.bool_],
) -> bool:
    """Say whether a transition bootstraps from a state that an earlier one of the batch updates."""
    updated, first = np.unique(states, return_index=True)
    place = np.searchsorted(updated, next_states).clip(max=len(updated) - 1)
    earlier = (updated[place] == next_states) & (first[place] < np.arange(len(states)))
    return bool((earlier & bootstraps).any())


def _update_one_by_one(
    q_table: NDArray[np.float64],
    cells: NDArray[np.integer[Any]],
    rewards: NDArray[np.float64],
    rows: NDArray[np.integer[Any]],
    bootstraps: NDArray[np.bool_],
    *,
    learning_rate: float,
    gamma: float,
) -> NDArray[np.float64]:
    # A memoryview reads and writes single numbers several times as fast as indexing an array.
    q = q_table.reshape(-1).data
    n_actions = q_table.shape[1]
    errors = []
    for cell, target, row, bootstrap in zip(
        cells.tolist(), rewards.tolist(), rows.tolist(), bootstraps.tolist(), strict=True
    ):
        if bootstrap:
            target += gamma * max(q[row : row + n_actions])
        error = target - q[cell]
        q[cell] += learning_rate * error
        errors.append(error)
    return np.array(errors)


def _update_at_once(
    q_table: NDArray[np.float64],
    cells: NDArray[np.integer[Any]],
    targets: NDArray[np.float64],
    *,
    learning_rate: float,
) -> NDArray[np.float64]:
    """Update by targets known beforehand, repeated cells included.

    Each update is the affine map ``q -> decay * q + learning_rate * target``; those of one cell are
    composed by doubling (Hillis & Steele 1986), in log2(repeats) rounds.
    """
    order = np.argsort(cells, kind="stable")
    cells, targets = cells[order], targets[order]
    is_first = np.append(True, cells[1:] != cells[:-1])
    first = np.flatnonzero(is_first)
    counts = np.diff(first, append=len(cells))
    rank = np.arange(len(cells)) - np.repeat(first, counts)  # how many updates of the cell before
    q = q_table.reshape(-1)
    before = q[cells]
    most = int(counts.max())
    if most > 1:
        decay = 1.0 - learning_rate
        gained = learning_rate * targets  # by the last 1, 2, 4, ... updates of the cell
        distance = 1
        while distance < most:
            later = np.flatnonzero(rank >= distance)
            gained[later] += decay**distance * gained[later - distance]
            distance *= 2
        repeated = np.flatnonzero(rank)
        before[repeated] = decay ** rank[repeated] * before[repeated] + gained[repeated - 1]
    errors = targets - before
    last = first + counts - 1
    q[cells[last]] = before[last] + learning_rate * errors[last]
    in_order = np.empty_like(errors)
    in_order[order] = errors
    return in_order


class TabularPolicy(BasePolicy):
    """The greedy policy of a table of action values.

    Args:
        observation_space: the states.
        action_space: the actions.
        lr_schedule: not used; Stable-Baselines3 gives it to every policy.
        initial_value: of every cell.

    Attributes:
        q_table: (n_states, n_actions) float64 tensor, part of the state dict.
    """

    q_table: th.Tensor

    def __init__(
        self,
        observation_space: spaces.Discrete[Any],
        action_space: spaces.Discrete[Any],
        lr_schedule: Schedule | None = None,
        *,
        initial_value: float = 0.0,
    ) -> None:
        super().__init__(observation_space, action_space)
        self.initial_value = initial_value
        shape = (int(observation_space.n), int(action_space.n))
        self.register_buffer("q_table", th.full(shape, initial_value, dtype=th.float64))

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "initial_value": self.initial_value,
        }

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> th.Tensor:
        assert isinstance(observation, th.Tensor)
        assert isinstance(self.observation_space, spaces.Discrete)
        assert isinstance(self.action_space, spaces.Discrete)
        states = observation.long() - int(self.observation_space.start)
        return self.q_table[states].argmax(dim=1) + int(self.action_space.start)


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
        learning_rate: step size, in (0, 1]; or a function of the progress remaining (1 to 0).
            With a constant one the values keep following the noise of random rewards and
            transitions; one that falls towards 0, such as ``LinearSchedule(0.5, 0.0, 1.0)``,
            averages it out.
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
        if not callable(learning_rate):
            _check("learning_rate", learning_rate, 0 < learning_rate <= 1, "in (0, 1]")
        _check("gamma", gamma, 0 <= gamma <= 1, "in [0, 1]")
        _check(
            "exploration_fraction",
            exploration_fraction,
            0 < exploration_fraction <= 1,
            "in (0, 1]",
        )
        for name, eps in (
            ("exploration_initial_eps", exploration_initial_eps),
            ("exploration_final_eps", exploration_final_eps),
        ):
            _check(name, eps, 0 <= eps <= 1, "in [0, 1]")
        _check("initial_value", initial_value, np.isfinite(initial_value), "finite")
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
        self._generator = np.random.default_rng(seed)
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
        table: NDArray[np.float64] = self.policy.q_table.numpy()
        return table

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
        coins, picks = self._generator.random((2, len(values)))
        candidates = values == values.max(axis=1, keepdims=True)  # (n, n_actions)
        candidates[coins < self.exploration_rate] = True
        ordinal = candidates.cumsum(axis=1)
        # A pick in [0, 1) chooses evenly: the k-th candidate is the first whose ordinal exceeds k.
        return (ordinal > (picks * ordinal[:, -1])[:, None]).argmax(axis=1)

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
        log_interval: int | None = 100,  # type: ignore[override]
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
        self._update_progress(1.0 - self.num_timesteps / total_timesteps)
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
        terminated = dones
        if self.gamma and dones.any():
            terminated, new_obs = dones.copy(), new_obs.copy()
            for i in np.flatnonzero(dones):
                if infos[i].get("TimeLimit.truncated", False):
                    terminated[i] = False
                    # `new_obs` is the first observation of the next episode.
                    new_obs[i] = infos[i]["terminal_observation"]
        states = self._states(observations)
        actions = actions - int(self.action_space.start)
        errors = q_learning_update(
            self.q_table,
            states,
            actions,
            rewards,
            self._states(new_obs),
            terminated,
            learning_rate=self.lr_schedule(self._current_progress_remaining),
            gamma=self.gamma,
        )
        # A sum of ones is the same in any order, which a sum of updates to the values is not.
        np.add.at(self.visits, (states, actions), 1)
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
            "num_timesteps": self.num_timesteps,
            "episodes": self._episode_num,
            "n_updates": self._n_updates,
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
            if not isinstance(given, np.ndarray) or given.shape != own.shape:
                found = given.shape if isinstance(given, np.ndarray) else given
                raise ValueError(f"{name} must be an array of shape {own.shape}, found {found!r}")
        try:
            self._generator.bit_generator.state = state["generator"]
            self.num_timesteps = int(state["num_timesteps"])
            self._episode_num = int(state["episodes"])
            self._n_updates = int(state["n_updates"])
            self._update_progress(float(state["progress_remaining"]))
            last_obs = state["last_obs"]
            self._last_obs = None if last_obs is None else np.array(last_obs, dtype=np.int64)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not the state of a QLearning: {error!r}") from error
        for name in _ARRAYS:
            getattr(self, name)[...] = state[name]

    def save(  # type: ignore[override]
        self, path: Any, exclude: Any = None, include: Any = None
    ) -> None:
        """Save the learner as one safetensors file (`agents.model_file`), without pickle.

        A schedule is kept if it is a number, a `ConstantSchedule` or a `LinearSchedule`. Any other
        function cannot be written without pickle: its present value is, with a warning; give the
        function to `load` again to go on with it.

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
        hyperparameters = {name: getattr(self, name) for name in _HYPERPARAMETERS}
        for name in ("learning_rate", "exploration_rate_schedule"):
            hyperparameters[name] = self._schedule_to_json(name)
        config = {
            "hyperparameters": hyperparameters,
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "n_envs": self.n_envs,
            "seed": self.seed,
            "state": state,
        }
        write_model(path, algorithm=type(self).__name__, config=config, tensors=arrays)

    @classmethod
    def load(  # type: ignore[override]
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

        Its random generator goes on where it stood. The environment is neither seeded nor reset.

        Args:
            path: as given to `save`.
            env: to go on learning in; may have another number of environments. None for
                predicting.
            device: see the class.
            custom_objects: accepted for the interface; there are no objects in the file.
            print_system_info: print the present versions.
            force_reset: reset the environment before learning goes on. False if it stands where
                it stood when the learner was saved.
            kwargs: arguments of the constructor that replace the saved ones.

        Raises:
            FileNotFoundError: if there is no such file.
            ModelFileError: if the file is not a learner of this class.
            ValueError: if the spaces of `env` are not those of the learner.
        """
        if print_system_info:
            get_system_info()
        file = read_model(path, algorithm=cls.__name__)
        try:
            saved = dict(file.config["hyperparameters"])
            for name in ("learning_rate", "exploration_rate_schedule"):
                saved[name] = _schedule_from_json(saved[name])
            observation_space = space_from_json(file.config["observation_space"])
            action_space = space_from_json(file.config["action_space"])
            n_envs, seed = file.config["n_envs"], file.config["seed"]
            state = {**file.config["state"], **file.tensors}
        except (KeyError, TypeError) as error:
            raise ModelFileError(f"{path} is not a whole {cls.__name__}: {error!r}") from error
        # No seed yet, as it would send the environment back to its first episodes.
        if env is not None:
            env = cls._wrap_env(maybe_make_env(env, 0))
            check_for_correct_spaces(env, observation_space, action_space)
        model = cls(env=env, _init_setup_model=False, **{**saved, **kwargs})
        if env is None:
            model.observation_space, model.action_space = observation_space, action_space  # type: ignore[assignment]
            model.n_envs = n_envs
        model._setup_model()
        model.seed = seed
        try:
            model.set_state(state)
        except ValueError as error:
            raise ModelFileError(f"{path} is not a whole {cls.__name__}: {error}") from error
        if force_reset:
            model._last_obs = None
        return model

    def set_parameters(
        self,
        load_path_or_dict: Any,
        exact_match: bool = True,
        device: th.device | str = "auto",
    ) -> None:
        """Take over the table from a saved learner's file, or from what `get_parameters` returned.

        Args:
            load_path_or_dict: path, or ``{"policy": {"q_table": tensor}}``.
            exact_match: see Stable-Baselines3.
            device: see the class.
        """
        if not isinstance(load_path_or_dict, dict):
            tensors = read_model(load_path_or_dict, algorithm=type(self).__name__).tensors
            load_path_or_dict = {"policy": {"q_table": th.from_numpy(tensors["q_table"])}}
        super().set_parameters(load_path_or_dict, exact_match, device)

    def _schedule_to_json(self, name: str) -> Any:
        schedule = getattr(self, name)
        if isinstance(schedule, FloatSchedule):
            schedule = schedule.value_schedule
        if isinstance(schedule, ConstantSchedule):
            return float(schedule.val)
        if isinstance(schedule, LinearSchedule):
            return {"linear": [schedule.start, schedule.end, schedule.end_fraction]}
        if not callable(schedule):
            return schedule
        value = float(schedule(self._current_progress_remaining))
        warnings.warn(
            f"{name}={schedule!r} cannot be saved without pickle: its present value, {value}, is. "
            f"Use a LinearSchedule, or load(path, {name}=...)",
            stacklevel=3,
        )
        return value


def _schedule_from_json(data: Any) -> float | Schedule | None:
    if isinstance(data, dict):
        start, end, fraction = map(float, data["linear"])
        return LinearSchedule(start, end, fraction)
    return None if data is None else float(data)


def _is_tabular(policy: Any) -> bool:
    return isinstance(policy, type) and issubclass(policy, TabularPolicy)


def _check(name: str, value: Any, fits: bool, expected: str) -> None:
    if not fits:
        raise ValueError(f"{name} must be {expected}, not {value!r}")
