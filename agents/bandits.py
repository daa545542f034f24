"""What the contextual-bandit baselines share: the interface of Stable-Baselines3."""

from __future__ import annotations

import importlib
import sys
import time
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm, maybe_make_env
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import MaybeCallback
from stable_baselines3.common.utils import (
    check_for_correct_spaces,
    get_system_info,
    safe_mean,
)

from agents.bandit_features import CodesFeatures
from agents.model_file import (
    ModelFileError,
    read_model,
    space_from_json,
    space_to_json,
    write_model,
)

EXTRA = "baselines"
"""The optional dependencies that hold the libraries of the baselines."""


class ContextualBandit(BaseAlgorithm):
    """A learner of the reward of each action in a context, behind Stable-Baselines3's interface.

    It learns from observation, action and reward; what comes after the step does not matter to it.
    It has no policy network, hence no ``policy`` argument. As in `agents.QLearning`, a callback
    sees the learner after the update by the step's transitions, and no global random generator is
    seeded or drawn from.

    Logged, every `log_interval` episodes: ``rollout/ep_rew_mean``, ``rollout/ep_len_mean``,
    ``time/episodes``, ``time/fps``, ``time/time_elapsed`` [s], ``time/total_timesteps`` and
    ``train/n_updates`` (transitions seen).

    Args:
        env: an environment, a `VecEnv`, or the id of a registered environment; observations of
            encoding ``codes`` and ``Discrete`` actions.
        danceability_bins: the number of equal-width bins in which danceability is seen, several
            of them, or None for none.
        max_columns: see `agents.bandit_features.CodesFeatures`.
        stats_window_size: episodes over which the rollout figures are averaged.
        tensorboard_log: folder for TensorBoard's files, none if None.
        verbose: 0 for no output, 1 for info messages, 2 for debug messages.
        seed: of the learner's random generator, and of the environment. If None, drawn from the
            operating system.

    Raises:
        ImportError: if the library is not installed.
        ValueError: if the spaces do not fit, or a hyperparameter is out of its range.
    """

    _LIBRARIES: ClassVar[tuple[str, ...]] = ()
    _HYPERPARAMETERS: ClassVar[tuple[str, ...]] = ("danceability_bins", "stats_window_size")

    action_space: spaces.Discrete[Any]

    def __init__(
        self,
        env: Any = None,
        *,
        danceability_bins: int | tuple[int, ...] | None = None,
        max_columns: int | None = None,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        verbose: int = 0,
        seed: int | None = None,
        _init_setup_model: bool = True,
    ) -> None:
        if env is None and _init_setup_model:
            raise ValueError(f"an environment is missing: {type(self).__name__}(env=...)")
        for library in self._LIBRARIES:
            _import(library, type(self).__name__)
        super().__init__(
            BasePolicy,
            env,
            learning_rate=0.0,  # none of Stable-Baselines3's
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            device="cpu",
            support_multi_env=True,
            seed=seed,
        )
        self.stats_window_size = stats_window_size
        bins = () if danceability_bins is None else danceability_bins
        self.danceability_bins = (bins,) if isinstance(bins, int | np.integer) else tuple(bins)
        self.max_columns = max_columns
        if _init_setup_model:
            self._setup_model()

    # --- What a baseline must have ----------------------------------------------------------------

    @abstractmethod
    def _reset_model(self, seed: int) -> None:
        """Make the untrained model; `seed` is for the library's own generator."""

    @abstractmethod
    def _estimates(self, observations: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return (n, n_actions) float64, the estimated reward of each action."""

    @abstractmethod
    def _choose(self, observations: NDArray[np.float32]) -> tuple[NDArray[np.int64], Any]:
        """Return (n,) actions from 0, exploration included, and what `_update` is to know."""

    @abstractmethod
    def _update(
        self,
        observations: NDArray[np.float32],
        actions: NDArray[np.int64],
        rewards: NDArray[np.floating[Any]],
        chosen: Any,
    ) -> None:
        """Learn from (n,) transitions in order; `chosen` came with the actions."""

    @abstractmethod
    def _get_tensors(self) -> dict[str, NDArray[Any]]:
        """Return the model as arrays, for a file."""

    @abstractmethod
    def _set_tensors(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `_get_tensors` returned; KeyError or ValueError if it is not that."""

    # --- Set-up -----------------------------------------------------------------------------------

    def _setup_model(self) -> None:
        if not isinstance(self.action_space, spaces.Discrete):
            raise ValueError(
                f"{type(self).__name__} needs Discrete actions, not {self.action_space}"
            )
        self.features = CodesFeatures(
            self.observation_space,
            danceability_bins=self.danceability_bins,
            max_columns=self.max_columns,
        )
        self.n_actions = int(self.action_space.n)
        self.set_random_seed(self.seed)
        self._reset_model(int(self._generator.integers(2**31)))

    def set_random_seed(self, seed: int | None = None) -> None:
        """Seed the learner's generator, the action space and the environment; nothing global."""
        # A child: the environment of the same seed draws from the sequence itself, and the coins
        # must not repeat its draws.
        self._generator = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
        if seed is not None:
            self.action_space.seed(seed)
            if self.env is not None:
                self.env.seed(seed)

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return [], []  # there is no network: `get_parameters` is empty

    # --- Values and actions -----------------------------------------------------------------------

    def q_values(self, observations: NDArray[Any]) -> NDArray[np.float64]:
        """Return the estimated reward of each action, without exploration.

        Args:
            observations: (n, n_columns), or (n_columns,) for one.

        Returns:
            (n, n_actions) float64.

        Raises:
            ValueError: if the observations are not of the space's shape.
        """
        rows = self._rows(observations)
        return self._estimates(np.atleast_2d(rows))

    def predict(
        self,
        observation: NDArray[Any] | dict[str, NDArray[Any]],
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], tuple[NDArray[Any], ...] | None]:
        """Return the actions for some observations.

        Args:
            observation: (n, n_columns), or (n_columns,) for one.
            state: handed back.
            episode_start: not used.
            deterministic: if True, the action of the highest estimate, the first one where several
                are highest; if False, what the learner would do now, exploration included: this
                draws from its generator.

        Returns:
            The actions, (n,) int64 or one, and `state`.

        Raises:
            ValueError: if the observations are not of the space's shape.
        """
        rows = self._rows(observation)
        batch = np.atleast_2d(rows)
        if deterministic:
            actions = self._estimates(batch).argmax(axis=1)
        else:
            actions, chosen = self._choose(batch)
            self._forget(chosen)
        return (actions + int(self.action_space.start)).reshape(rows.shape[:-1]), state

    def _forget(self, chosen: Any) -> None:
        """Release what `_choose` returned for an `_update` that does not come."""

    def _explore(self, values: NDArray[np.float64], epsilon: float) -> NDArray[np.int64]:
        """Return epsilon-greedy actions, ties broken at random, a coin for each row."""
        n, n_actions = values.shape
        draws = self._generator.random((n, n_actions + 1))
        candidates = (values == values.max(axis=1, keepdims=True)) | (draws[:, -1:] < epsilon)
        # The largest of equally distributed numbers is any of them, evenly.
        actions: NDArray[np.int64] = np.where(candidates, draws[:, :-1], -1.0).argmax(axis=1)
        return actions

    def _rows(self, observations: Any) -> NDArray[np.float32]:
        rows = np.asarray(observations)
        shape = self.observation_space.shape
        if rows.dtype.kind not in "fiu" or rows.ndim not in (1, 2) or rows.shape[-1:] != shape:
            raise ValueError(
                f"expected an observation of shape {shape} or (n, {shape[0] if shape else '?'}), "
                f"got {rows.dtype} of shape {rows.shape}"
            )
        return rows.astype(np.float32, copy=False)

    # --- Learning ---------------------------------------------------------------------------------

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
        callback.on_training_start(locals(), globals())
        env, going_on, start = self.env, True, int(self.action_space.start)
        while going_on and self.num_timesteps < total_timesteps:
            callback.on_rollout_start()
            observations = self._last_obs
            assert isinstance(observations, np.ndarray)
            actions, chosen = self._choose(observations)
            new_obs, rewards, dones, infos = env.step(actions + start)
            self.num_timesteps += env.num_envs
            self._update(observations, actions, rewards, chosen)
            self._n_updates += env.num_envs
            self._last_obs = new_obs  # type: ignore[assignment]
            self._update_current_progress_remaining(self.num_timesteps, total_timesteps)
            logged = log_interval and self._episode_num // log_interval
            if dones.any():
                ended = np.flatnonzero(dones)
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
        self.logger.dump(step=self.num_timesteps)

    # --- Files ------------------------------------------------------------------------------------

    def save(self, path: Any, exclude: Any = None, include: Any = None) -> None:
        """Save the learner as one safetensors file (`agents.model_file`), without pickle.

        Args:
            path: where to; ``.safetensors`` is added where there is no suffix.
            exclude: as for `include`, must be None: the file holds what `load` needs.
            include: see `exclude`.
        """
        if exclude is not None or include is not None:
            raise ValueError(f"{type(self).__name__}.save takes neither `exclude` nor `include`")
        config = {
            "hyperparameters": {name: getattr(self, name) for name in self._HYPERPARAMETERS},
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "n_envs": self.n_envs,
            "seed": self.seed,
            "num_timesteps": self.num_timesteps,
            "episodes": self._episode_num,
            "n_updates": self._n_updates,
            "generator": self._generator.bit_generator.state,
        }
        write_model(path, algorithm=type(self).__name__, config=config, tensors=self._get_tensors())

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

        Its random generator goes on where it stood; the environment is reset, not seeded.

        Args:
            path: as given to `save`.
            env: to go on learning in; may have another number of environments. None for
                predicting.
            device: accepted for the interface; the model lies in main memory.
            custom_objects: must be None: the file holds plain numbers only.
            print_system_info: print the present versions.
            force_reset: must be True.
            kwargs: ``verbose`` and ``tensorboard_log`` of the constructor.

        Raises:
            FileNotFoundError: if there is no such file.
            ModelFileError: if the file is not a learner of this class.
            ValueError: if the spaces of `env` are not those of the learner.
        """
        if custom_objects is not None or not force_reset:
            raise ValueError(f"{cls.__name__}.load takes no custom_objects, and force_reset=True")
        if print_system_info:
            get_system_info()
        file = read_model(path, algorithm=cls.__name__)
        config = file.config
        try:
            saved = config["hyperparameters"]
            arguments = {name: saved[name] for name in cls._HYPERPARAMETERS}
            arguments["danceability_bins"] = tuple(arguments["danceability_bins"])
            observation_space = space_from_json(config["observation_space"])
            action_space = space_from_json(config["action_space"])
            counters = [int(config[name]) for name in ("num_timesteps", "episodes", "n_updates")]
            n_envs, seed, generator = config["n_envs"], config["seed"], config["generator"]
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"{path} is not a whole {cls.__name__}: {error!r}") from error
        if env is not None:
            env = cls._wrap_env(maybe_make_env(env, 0))
            check_for_correct_spaces(env, observation_space, action_space)
        model = cls(env=env, _init_setup_model=False, **arguments, **kwargs)
        if env is None:
            model.observation_space, model.action_space = observation_space, action_space  # type: ignore[assignment]
            model.n_envs = n_envs
        try:
            model._setup_model()
            model._set_tensors(file.tensors)
            model._generator.bit_generator.state = generator
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"{path} is not a whole {cls.__name__}: {error}") from error
        model.num_timesteps, model._episode_num, model._n_updates = counters
        model.seed = seed
        return model


def checked_number(name: str, value: Any, low: float, high: float = float("inf")) -> Any:
    """Return a hyperparameter; raise ValueError unless it is a finite number in [low, high]."""
    if not (isinstance(value, int | float | np.number) and low <= value <= high) or np.isinf(value):
        span = f"from {low:g} to {high:g}" if np.isfinite(high) else f"of at least {low:g}"
        raise ValueError(f"{name} must be a number {span}, got {value!r}")
    return value


def _import(library: str, user: str) -> Any:
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise ImportError(
            f"{user} needs {library.partition('.')[0]}, which cannot be imported ({error}): "
            f"pip install 'musicrec[{EXTRA}]'"
        ) from error
