"""What tabular learning has changed: as values, as a state, and as a file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm, maybe_make_env
from stable_baselines3.common.utils import check_for_correct_spaces, get_system_info

from agents.model_file import (
    ModelFileError,
    read_model,
    space_from_json,
    space_to_json,
    write_model,
)
from agents.policies import argument_from_json, argument_to_json
from agents.tabular import TabularPolicy

_COUNTERS = {  # name in the state -> attribute
    "num_timesteps": "num_timesteps",
    "episodes": "_episode_num",
    "n_updates": "_n_updates",
}


class TabularAlgorithm(BaseAlgorithm):
    """A learner of a table: its memory, its random generator, its state and its files.

    Attributes:
        hyperparameters: names of the constructor's arguments that a file keeps; each is an
            attribute too.
        visits: (n_states, n_actions) int64, how often each cell was updated.
    """

    hyperparameters: ClassVar[tuple[str, ...]]
    # Of arguments that files of the present format may lack, since they came later.
    _later_hyperparameters: ClassVar[Mapping[str, Any]] = {}
    policy: TabularPolicy
    observation_space: spaces.Discrete[Any]
    action_space: spaces.Discrete[Any]
    visits: NDArray[np.int64]
    _generator: np.random.Generator
    # (n_envs,) actions already chosen for the next step, by a learner that chooses them before.
    _next_actions: NDArray[np.int64] | None = None

    @abstractmethod
    def _update_progress(self, remaining: float) -> None:
        """Take notice of the progress remaining, 1 to 0."""

    def set_random_seed(self, seed: int | None = None) -> None:
        """Seed the learner's generator, the action space and the environment; nothing global."""
        # A child: the environment of the same seed draws from the sequence itself, and the coins
        # must not repeat its draws.
        self._generator = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
        if seed is not None:
            self.action_space.seed(seed)
            if self.env is not None:
                self.env.seed(seed)

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
            raise ValueError(f"{type(self).__name__}.save takes neither `exclude` nor `include`")
        state = self.get_state()
        arrays = {name: state.pop(name) for name in self._arrays}
        config = {
            "hyperparameters": {
                name: argument_to_json(getattr(self, name)) for name in self.hyperparameters
            },
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
            saved = {**cls._later_hyperparameters, **file.config["hyperparameters"]}
            arguments = {
                name: argument_from_json(saved[name], custom_objects or {})
                for name in cls.hyperparameters
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
        model = cls(env=env, device=device, _init_setup_model=False, **arguments, **kwargs)  # type: ignore[call-arg]
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
