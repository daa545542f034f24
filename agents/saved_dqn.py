"""A DQN whose state is arrays and numbers, saved as one safetensors file without pickle."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Self

import numpy as np
import torch as th
from numpy.typing import NDArray
from stable_baselines3.common.base_class import maybe_make_env
from stable_baselines3.common.type_aliases import TrainFreq
from stable_baselines3.common.utils import check_for_correct_spaces, get_system_info
from stable_baselines3.dqn import DQN

from agents.model_file import (
    ModelFileError,
    read_model,
    space_from_json,
    space_to_json,
    write_model,
)
from agents.policies import argument_from_json, argument_to_json
from agents.replay import PrioritizedReplayBuffer

# Saved under these names, and arguments of the constructor. Left out on purpose: `tensorboard_log`
# and `verbose`, since a stranger's file has no say in where this machine writes.
_HYPERPARAMETERS = (
    "policy",
    "learning_rate",
    "buffer_size",
    "learning_starts",
    "batch_size",
    "tau",
    "gamma",
    "train_freq",
    "gradient_steps",
    "replay_buffer_class",
    "replay_buffer_kwargs",
    "optimize_memory_usage",
    "n_steps",
    "double",
    "target_update_interval",
    "exploration_fraction",
    "exploration_initial_eps",
    "exploration_final_eps",
    "max_grad_norm",
    "stats_window_size",
    "policy_kwargs",
)
_COUNTERS = {  # name in the state -> attribute
    "num_timesteps": "num_timesteps",
    "episodes": "_episode_num",
    "n_updates": "_n_updates",
    "n_calls": "_n_calls",
}


class SavedDQN(DQN):
    """What `agents.DuelingDQN` knows of its state and files: the parts of SB3's that pickle.

    Attributes:
        double: see `agents.DuelingDQN`.
    """

    double: bool
    _generator: np.random.Generator
    # Arguments of the constructor which SB3 changes.
    _given: dict[str, Any]

    def _seed_replay_buffer(self, seed: np.random.SeedSequence) -> None:
        """Seed the replay buffer where it has a generator of its own."""
        if isinstance(self.replay_buffer, PrioritizedReplayBuffer):
            self.replay_buffer.seed(seed)

    def get_state(self) -> dict[str, Any]:
        """Return what learning has changed but for the replay buffer, as copies.

        A prioritized buffer has a `get_state` of its own.

        Returns:
            Counters and the generator's state, which JSON can say, and ``tensors``: the weights
            (``policy.*``), the optimiser's moments (``optimizer.<parameter>.*``) and the present
            observations (``last_obs``, or ``last_obs.<key>``), as arrays by name.
        """
        tensors = {f"policy.{name}": t for name, t in self.policy.state_dict().items()}
        for index, moments in self.policy.optimizer.state_dict()["state"].items():
            for name, moment in moments.items():
                if moment is not None:
                    tensors[f"optimizer.{index}.{name}"] = th.as_tensor(moment)
        arrays = {name: t.detach().cpu().numpy().copy() for name, t in tensors.items()}
        if isinstance(self._last_obs, dict):
            arrays |= {f"last_obs.{key}": obs.copy() for key, obs in self._last_obs.items()}
        elif self._last_obs is not None:
            arrays["last_obs"] = self._last_obs.copy()
        return {
            **{name: getattr(self, attribute) for name, attribute in _COUNTERS.items()},
            "progress_remaining": self._current_progress_remaining,
            "exploration_rate": self.exploration_rate,
            "generator": self._generator.bit_generator.state,
            "tensors": arrays,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `get_state` returned.

        Raises:
            ValueError: if the arrays do not fit the networks, or something is missing or malformed.
        """
        try:
            counters = {a: int(state[name]) for name, a in _COUNTERS.items()}
            progress, rate = float(state["progress_remaining"]), float(state["exploration_rate"])
            tensors = state["tensors"]
            parameters = _parameters(tensors, self.policy.optimizer)
            super().set_parameters(parameters, device=self.device)  # type: ignore[arg-type]
            self._generator.bit_generator.state = state["generator"]
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"not the state of this learner: {error}") from error
        for attribute, count in counters.items():
            setattr(self, attribute, count)
        self._current_progress_remaining, self.exploration_rate = progress, rate
        keyed = {key: tensors[f"last_obs.{key}"].copy() for key in _keys(tensors, "last_obs.")}
        last_obs = tensors.get("last_obs")
        self._last_obs = keyed or (None if last_obs is None else last_obs.copy())
        if self._vec_normalize_env is not None and self._last_obs is not None:
            self._last_original_obs = self._vec_normalize_env.get_original_obs()

    def save(self, path: Any, exclude: Any = None, include: Any = None) -> None:
        """Save the learner as one safetensors file (`agents.model_file`), without pickle.

        Hyperparameters, spaces, weights, the optimiser's moments, counters and the generator's
        state are kept; the replay buffer, the environment, ``tensorboard_log`` and ``verbose`` are
        not. Schedules of SB3 and classes that the project, SB3 or torch have are kept by numbers
        and names; of other objects only the name is, for `load` to ask for.

        Args:
            path: where to; ``.safetensors`` is added where there is no suffix. Callbacks that name
                the file themselves may ask for ``.zip``: the content is the same.
            exclude: as for `include`, must be None: the file holds what `load` needs.
            include: see `exclude`.
        """
        if exclude is not None or include is not None:
            raise ValueError("DuelingDQN.save takes neither `exclude` nor `include`")
        state = self.get_state()
        tensors = state.pop("tensors")
        config = {
            "hyperparameters": {n: argument_to_json(self._argument(n)) for n in _HYPERPARAMETERS},
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "n_envs": self.n_envs,
            "seed": self.seed,
            "state": state,
        }
        write_model(path, algorithm=type(self).__name__, config=config, tensors=tensors)

    def _argument(self, name: str) -> Any:
        """Return an argument of the constructor as it was given."""
        if name in self._given:
            return self._given[name]
        if name == "policy":
            aliases = {policy: alias for alias, policy in self.policy_aliases.items()}
            return aliases.get(self.policy_class, self.policy_class)
        if name == "train_freq" and isinstance(self.train_freq, TrainFreq):
            return self.train_freq.frequency, self.train_freq.unit.value
        return getattr(self, "_stats_window_size" if name == "stats_window_size" else name)

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

        Its random generator goes on where it stood. The replay buffer is empty, and seeded by that
        generator's state if it is prioritized. The environment is
        neither seeded nor reset, nor are global generators seeded, unless ``seed`` is given.

        Args:
            path: as given to `save`.
            env: to go on learning in; may have another number of environments. None for
                predicting; then ``buffer_size=1`` saves the memory of the replay buffer.
            device: of the networks.
            custom_objects: objects for the names in the file which are not of the project, SB3 or
                torch: ``{"package.module.Class": Class}``. As in SB3, names of arguments too.
            print_system_info: print the present versions.
            force_reset: reset the environment before learning goes on. False if it stands where
                it stood when the learner was saved.
            kwargs: arguments of the constructor that replace the saved ones.

        Raises:
            FileNotFoundError: if there is no such file.
            ModelFileError: if the file is not a learner of this class, or uses a class that must
                be given in `custom_objects`.
            ValueError: if the spaces of `env` are not those of the learner.
        """
        if print_system_info:
            get_system_info()
        custom_objects = custom_objects or {}
        given = {n: custom_objects[n] for n in _HYPERPARAMETERS if n in custom_objects} | kwargs
        # Not for the constructor: it would send the environment back to its first episodes.
        new_seed = given.pop("seed", None)
        file = read_model(path, algorithm=cls.__name__)
        try:
            saved = file.config["hyperparameters"]
            arguments = {
                name: argument_from_json(saved[name], custom_objects)
                for name in _HYPERPARAMETERS
                if name not in given
            }
            observation_space = space_from_json(file.config["observation_space"])
            action_space = space_from_json(file.config["action_space"])
            n_envs, seed = file.config["n_envs"], file.config["seed"]
            state = {**file.config["state"], "tensors": file.tensors}
        except (KeyError, TypeError, RecursionError) as error:
            raise ModelFileError(f"{path} is not a whole {cls.__name__}: {error!r}") from error
        if env is not None:
            env = cls._wrap_env(maybe_make_env(env, 0))
            check_for_correct_spaces(env, observation_space, action_space)
        model = cls(env=env, device=device, _init_setup_model=False, **arguments, **given)
        if env is None:
            model.observation_space, model.action_space = observation_space, action_space
            model.n_envs = n_envs
        model._setup_model()
        try:
            model.set_state(state)
        except ValueError as error:
            raise ModelFileError(f"{path} is not a whole {cls.__name__}: {error}") from error
        model.seed = seed if new_seed is None else new_seed
        if new_seed is not None:
            model.set_random_seed(new_seed)
        else:
            # By the file alone, without a draw from the generator that goes on where it stood.
            ahead = deepcopy(model._generator)
            model._seed_replay_buffer(np.random.SeedSequence(int(ahead.integers(2**63))))
        if force_reset:
            model._last_obs = None
        return model

    def set_parameters(
        self,
        load_path_or_dict: Any,
        exact_match: bool = True,
        device: th.device | str = "auto",
    ) -> None:
        """Take over weights and moments from a saved learner, or from what `get_parameters` gave.

        Args:
            load_path_or_dict: path, or ``{"policy": state_dict, "policy.optimizer": state_dict}``.
            exact_match: see Stable-Baselines3.
            device: see Stable-Baselines3.
        """
        if not isinstance(load_path_or_dict, dict):
            tensors = read_model(load_path_or_dict, algorithm=type(self).__name__).tensors
            load_path_or_dict = _parameters(tensors, self.policy.optimizer)
        super().set_parameters(load_path_or_dict, exact_match, device)


def _keys(tensors: Mapping[str, Any], prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in tensors if name.startswith(prefix)]


def _parameters(
    tensors: Mapping[str, NDArray[Any]], optimizer: th.optim.Optimizer
) -> dict[str, dict[str, Any]]:
    """Return SB3's nested dictionary of state dicts from the arrays of `get_state`."""
    # Copies, as an optimiser goes on writing into the moments that it is given.
    weights = {name: th.tensor(tensors[f"policy.{name}"]) for name in _keys(tensors, "policy.")}
    moments: dict[int, dict[str, th.Tensor]] = {}
    for name in _keys(tensors, "optimizer."):
        index, _, moment = name.partition(".")
        moments.setdefault(int(index), {})[moment] = th.tensor(tensors[f"optimizer.{name}"])
    # Groups hold hyperparameters, which this optimiser has from its own constructor.
    groups = optimizer.state_dict()["param_groups"]
    return {"policy": weights, "policy.optimizer": {"state": moments, "param_groups": groups}}
