"""What the contextual-bandit baselines share: the interface of Stable-Baselines3."""

from __future__ import annotations

import importlib
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy

from agents.bandit_features import CodesFeatures
from agents.step_algorithm import StepAlgorithm

EXTRA = "baselines"
"""The optional dependencies that hold the libraries of the baselines."""

_COUNTERS = {  # name in a file -> attribute
    "num_timesteps": "num_timesteps",
    "episodes": "_episode_num",
    "n_updates": "_n_updates",
}


class ContextualBandit(StepAlgorithm):
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
        device: accepted for the interface; the model lies in main memory.

    Raises:
        ImportError: if the library is not installed.
        ValueError: if the spaces do not fit, or a hyperparameter is out of its range.
    """

    _LIBRARIES: ClassVar[tuple[str, ...]] = ()
    hyperparameters: ClassVar[tuple[str, ...]] = ("danceability_bins", "stats_window_size")

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
        device: th.device | str = "auto",
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

    def _act(self, observations: NDArray[Any]) -> tuple[NDArray[np.int64], Any]:
        actions, chosen = self._choose(observations)
        return actions + int(self.action_space.start), chosen

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
        self._update(observations, actions - int(self.action_space.start), rewards, chosen)
        self._n_updates += len(actions)

    # --- Files ------------------------------------------------------------------------------------

    def _state_to_file(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        state = {name: getattr(self, attribute) for name, attribute in _COUNTERS.items()}
        state["generator"] = self._generator.bit_generator.state
        return state, self._get_tensors()

    def _state_from_file(
        self,
        state: Mapping[str, Any],
        tensors: Mapping[str, NDArray[Any]],
        *,
        keep_observations: bool,
    ) -> None:
        counters = {attribute: int(state[name]) for name, attribute in _COUNTERS.items()}
        self._set_tensors(tensors)
        self._generator.bit_generator.state = state["generator"]
        for attribute, count in counters.items():
            setattr(self, attribute, count)


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
