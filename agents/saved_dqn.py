"""A DQN whose state is arrays and numbers, saved as one safetensors file without pickle."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, ClassVar

import numpy as np
import torch as th
from numpy.typing import NDArray
from stable_baselines3.common.type_aliases import TrainFreq
from stable_baselines3.dqn import DQN

from agents.model_file import read_model
from agents.replay import PrioritizedReplayBuffer
from agents.saved_algorithm import SavedAlgorithm

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


class SavedDQN(SavedAlgorithm, DQN):
    """What `agents.DuelingDQN` knows of its state and files: the parts of SB3's that pickle.

    Attributes:
        double: see `agents.DuelingDQN`.
    """

    hyperparameters: ClassVar[tuple[str, ...]] = _HYPERPARAMETERS
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

    def _state_to_file(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        state = self.get_state()
        return state, state.pop("tensors")

    def _state_from_file(
        self,
        state: Mapping[str, Any],
        tensors: Mapping[str, NDArray[Any]],
        *,
        keep_observations: bool,
    ) -> None:
        self.set_state({**state, "tensors": tensors})
        if not keep_observations:
            self._last_obs = None

    def _seeded_by_file(self) -> None:
        # By the file alone, without a draw from the generator that goes on where it stood.
        ahead = deepcopy(self._generator)
        self._seed_replay_buffer(np.random.SeedSequence(int(ahead.integers(2**63))))

    def _argument(self, name: str) -> Any:
        if name in self._given:
            return self._given[name]
        if name == "policy":
            aliases = {policy: alias for alias, policy in self.policy_aliases.items()}
            return aliases.get(self.policy_class, self.policy_class)
        if name == "train_freq" and isinstance(self.train_freq, TrainFreq):
            return self.train_freq.frequency, self.train_freq.unit.value
        return getattr(self, "_stats_window_size" if name == "stats_window_size" else name)

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
