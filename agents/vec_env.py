"""Lets Stable-Baselines3 train in Gymnasium's vector environments, native ones included."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import (
    AsyncVectorEnv,
    AutoresetMode,
    SyncVectorEnv,
    VectorEnv,
    VectorWrapper,
)
from numpy.typing import NDArray
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import (
    VecEnvIndices,
    VecEnvObs,
    VecEnvStepReturn,
)

from agents.shared_info import NOTHING_ENDED, Info, split, split_dict, without_final

_PLAIN_SPACES = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


class GymVecEnv(VecEnv):
    """A Gymnasium `VectorEnv` as a Stable-Baselines3 `VecEnv`.

    Step by step it hands out what `DummyVecEnv` of the same environments, each in a `Monitor`,
    would, with the exception of ``infos`` (below):

        env = gym.make_vec(
            "CartPole-v1",
            num_envs=8,
            vectorization_mode="sync",
            vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        )
        model = DQN("MlpPolicy", GymVecEnv(env))

    **Autoreset.** ``SAME_STEP``, and ``DISABLED``: then the adapter resets what has ended, with
    ``reset(options={"reset_mask": mask})``. ``NEXT_STEP`` is refused: the step after an end
    ignores its action and returns the next episode's first observation, which Stable-Baselines3
    would store as a transition.

    **Infos.** Where an episode ended, a dictionary of its own: the environment's ``final_info``
    (numpy scalars as Python numbers), ``terminal_observation``, ``TimeLimit.truncated``, and
    ``episode`` (return ``r``, length ``l``, time ``t`` [s] since the adapter was made) as
    `Monitor` has it, unless the environment has an ``episode`` already. Everywhere else one
    shared empty dictionary, since thousands of dictionaries a step take longer than the step.
    It refuses writing; its copies do not. A wrapper which writes into the infos of running
    environments, and code which reads them, need ``step_infos=True``: each environment gets its
    full info in each step.

    **Observations** are never overwritten by a later step. The arrays of the vector environment
    are handed on as they are, which is right for environments that return new ones in each step,
    as Gymnasium's own do; they are copied for `SyncVectorEnv` and `AsyncVectorEnv` with
    ``copy=False``, and with ``copy_observations=True``.

    **Attributes and methods** (`get_attr`, `set_attr`, `env_method`) are those of the
    sub-environments of a `SyncVectorEnv` or `AsyncVectorEnv`. A native vector environment has no
    sub-environments: its own attribute is the value for each environment, and its own method is
    called once. Where the environments cannot be reached one by one, `set_attr` and `env_method`
    accept no selection. `AsyncVectorEnv` calls an attribute that can be called.

    Args:
        env: the vector environment.
        step_infos: give each environment its full info in each step.
        copy_observations: copy the observations: for a native vector environment which reuses
            the array that it returns.

    Raises:
        TypeError: if ``env`` is no `VectorEnv`, or has spaces that Stable-Baselines3 cannot use.
        ValueError: for autoreset ``NEXT_STEP``, and where ``metadata["autoreset_mode"]`` is not
            an `AutoresetMode`.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        *,
        step_infos: bool = False,
        copy_observations: bool = False,
    ) -> None:
        if not isinstance(env, VectorEnv):
            raise TypeError(
                f"expected a gymnasium.vector.VectorEnv, got {env!r}: make one with "
                "gymnasium.make_vec, or give a single environment to Stable-Baselines3 as it is"
            )
        self.env = env
        self._same_step = _checked_autoreset_mode(env) is AutoresetMode.SAME_STEP
        observation_space, action_space = env.single_observation_space, env.single_action_space
        parts = [observation_space]
        if isinstance(observation_space, spaces.Dict):
            parts = list(observation_space.values())
        for space in (*parts, action_space):
            if not isinstance(space, _PLAIN_SPACES):
                raise TypeError(
                    f"{env} has the space {space}, which Stable-Baselines3 cannot use: expected "
                    "Box, Discrete, MultiDiscrete or MultiBinary, or for observations a Dict of "
                    "these; gymnasium.wrappers.FlattenObservation makes one Box of many"
                )
        self.step_infos = step_infos
        self._copies = copy_observations or getattr(env.unwrapped, "copy", True) is False
        super().__init__(env.num_envs, observation_space, action_space)
        self.metadata = env.metadata
        self.spec = env.spec
        self._all = np.arange(self.num_envs)
        self._returns = np.zeros(self.num_envs)  # [reward] of the present episodes
        self._lengths = np.zeros(self.num_envs, dtype=np.int64)  # [steps]
        self._start = time.perf_counter()

    # --- Episodes ---------------------------------------------------------------------------------

    def reset(self) -> VecEnvObs:
        """Begin a new episode everywhere, with the seeds and options that were set, if any."""
        # Seeds are consecutive: a number is what every vector environment understands.
        seed = None if self._seeds[0] is None else int(self._seeds[0])
        observations, batch = self.env.reset(seed=seed, options=self._options[0] or None)
        self._reset_seeds()
        self._reset_options()
        self._returns[:] = 0.0
        self._lengths[:] = 0
        self.reset_infos = split_dict(batch, self._all)
        return self._own(observations)

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions, (num_envs, ...), for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Take the step.

        Returns:
            Observations (num_envs, ...), the first of the next episode where one ended; rewards
            (num_envs,) float32; dones (num_envs,) bool; and a list of num_envs infos.
        """
        observations, rewards, terminated, truncated, batch = self.env.step(self._actions)
        self._returns += rewards
        self._lengths += 1
        dones = terminated | truncated
        if dones.any():
            observations, infos = self._end(observations, terminated, dones, batch)
        else:
            infos = self._running_infos(batch)
        return self._own(observations), rewards.astype(np.float32), dones, infos

    def _end(
        self,
        observations: Any,
        terminated: NDArray[np.bool_],
        dones: NDArray[np.bool_],
        batch: Info,
    ) -> tuple[Any, list[Info]]:
        """Return the observations after the reset of what has ended, and all infos."""
        ended = np.flatnonzero(dones)
        infos = self._running_infos(batch)
        if self._same_step:
            if "final_obs" not in batch:
                raise RuntimeError(
                    f"{self.env} ended episodes of environments {ended.tolist()} without "
                    f"final_obs in its info, as autoreset SAME_STEP must; got {sorted(batch)}"
                )
            reset = without_final(batch)
            terminal_observations = split(batch["final_obs"], ended)
            final_infos = split_dict(batch.get("final_info", {}), ended)
        else:
            terminal_observations = split(observations, ended)  # a copy, before the reset
            final_infos = split_dict(batch, ended)
            observations, reset = self.env.reset(options={"reset_mask": dones.copy()})
        seconds = round(time.perf_counter() - self._start, 6)
        for i, info, reset_info, terminal_observation, timeout, total, length in zip(
            ended.tolist(),
            final_infos,
            split_dict(reset, ended),
            terminal_observations,
            (~terminated[ended]).tolist(),
            self._returns[ended].tolist(),
            self._lengths[ended].tolist(),
            strict=True,
        ):
            info["TimeLimit.truncated"] = timeout
            info["terminal_observation"] = terminal_observation
            if "episode" not in info:
                info["episode"] = {"r": round(total, 6), "l": length, "t": seconds}
            infos[i] = info
            self.reset_infos[i] = reset_info
        self._returns[ended] = 0.0
        self._lengths[ended] = 0
        return observations, infos

    def _running_infos(self, batch: Info) -> list[Info]:
        if not self.step_infos:
            return [NOTHING_ENDED] * self.num_envs
        infos = split_dict(without_final(batch) if self._same_step else batch, self._all)
        for info in infos:
            info["TimeLimit.truncated"] = False
        return infos

    def _own(self, observations: Any) -> VecEnvObs:
        own: VecEnvObs = deepcopy(observations) if self._copies else observations
        return own

    # --- State ------------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Return the state between two steps: the environment's own, and the episodes' statistics.

        With it, and the observations that were handed out last, another adapter of an environment
        made with the same arguments goes on exactly. Seeds and options set for the next reset are
        not part of it.

        Raises:
            TypeError: if the vector environment has no ``get_state`` and ``set_state``, as
                `MusicRecVectorEnv` has, or stands in a wrapper, whose state would be lost.
        """
        return {
            "env": self._with_state().get_state(),
            "returns": self._returns.copy(),
            "lengths": self._lengths.copy(),
            "seconds": time.perf_counter() - self._start,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `get_state` returned; no reset is needed then.

        Raises:
            ValueError: if it is of another number of environments.
            TypeError: as `get_state`.
        """
        for name, own in (("returns", self._returns), ("lengths", self._lengths)):
            if np.shape(state[name]) != own.shape:
                raise ValueError(
                    f"the state's {name} must have shape {own.shape}, got {np.shape(state[name])}"
                )
        self._with_state().set_state(state["env"])
        self._returns[:] = state["returns"]
        self._lengths[:] = state["lengths"]
        self._start = time.perf_counter() - state["seconds"]

    def _with_state(self) -> Any:
        if not (hasattr(self.env, "get_state") and hasattr(self.env, "set_state")):
            raise TypeError(
                f"{self.env} has no get_state and set_state: expected a native vector environment "
                "that has, such as MusicRecVectorEnv, without wrappers"
            )
        return self.env

    # --- Options, pictures ------------------------------------------------------------------------

    def set_options(self, options: list[Info] | Info | None = None) -> None:
        """Set the options of the next reset.

        Raises:
            ValueError: if they differ: a vector environment takes one dictionary for all.
        """
        if isinstance(options, list) and any(own != options[0] for own in options):
            raise ValueError(
                f"{self.env} takes the same reset options for all environments, got {options}"
            )
        super().set_options(options)

    def get_images(self) -> Sequence[NDArray[Any] | None]:
        """Return a frame for each environment, None unless the render mode is rgb_array."""
        frames: Any = self.env.render() if self.render_mode == "rgb_array" else None
        return [None] * self.num_envs if frames is None else list(frames)

    def close(self) -> None:
        """Close the vector environment."""
        self.env.close()

    # --- What the environments have ---------------------------------------------------------------

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return the attribute of each environment; see the class for native ones."""
        base = self.env.unwrapped
        if isinstance(base, SyncVectorEnv):
            return [base.envs[i].get_wrapper_attr(attr_name) for i in self._get_indices(indices)]
        if isinstance(base, AsyncVectorEnv):
            values = _call_workers(base, attr_name)
        else:
            values = (getattr(self._owner(attr_name), attr_name),) * self.num_envs
        return [values[i] for i in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set the attribute of each environment; see the class for native ones."""
        base = self.env.unwrapped
        if isinstance(base, SyncVectorEnv):
            for i in self._get_indices(indices):
                base.envs[i].set_wrapper_attr(attr_name, value)
            return
        self._check_all(indices)
        if isinstance(base, AsyncVectorEnv):
            base.set_attr(attr_name, [value] * self.num_envs)
        else:
            setattr(self._owner(attr_name), attr_name, value)

    def env_method(
        self,
        method_name: str,
        *method_args: Any,
        indices: VecEnvIndices = None,
        **method_kwargs: Any,
    ) -> list[Any]:
        """Return each environment's result of the method; see the class for native ones."""
        base = self.env.unwrapped
        if isinstance(base, SyncVectorEnv):
            return [
                base.envs[i].get_wrapper_attr(method_name)(*method_args, **method_kwargs)
                for i in self._get_indices(indices)
            ]
        self._check_all(indices)
        if isinstance(base, AsyncVectorEnv):
            return list(_call_workers(base, method_name, *method_args, **method_kwargs))
        method = getattr(self._owner(method_name), method_name)
        return [method(*method_args, **method_kwargs)] * self.num_envs

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Say whether the environments have the wrapper.

        True for `Monitor`, as its statistics are in ``infos`` here: `evaluate_policy` asks for
        them thus. False for every other where the environments cannot be reached one by one.
        """
        base = self.env.unwrapped
        envs = base.envs if isinstance(base, SyncVectorEnv) else None
        return [
            wrapper_class is Monitor or (envs is not None and is_wrapped(envs[i], wrapper_class))
            for i in self._get_indices(indices)
        ]

    def _owner(self, name: str) -> VectorEnv[Any, Any, Any]:
        """Return the outermost vector wrapper or environment with the attribute, or the last."""
        env = self.env
        while not hasattr(env, name) and isinstance(env, VectorWrapper):
            env = env.env
        return env

    def _check_all(self, indices: VecEnvIndices) -> None:
        if set(self._get_indices(indices)) != set(range(self.num_envs)):
            raise ValueError(
                f"{self.env} cannot reach its environments one by one: expected indices=None, "
                f"got {indices}"
            )


def _checked_autoreset_mode(env: VectorEnv[Any, Any, Any]) -> AutoresetMode:
    mode = env.metadata.get("autoreset_mode")
    if mode in (AutoresetMode.SAME_STEP, AutoresetMode.DISABLED):
        return AutoresetMode(mode)
    if mode is AutoresetMode.NEXT_STEP:
        reason = (
            "autoreset mode NEXT_STEP, in which the step after an episode's end ignores its action "
            "and returns the next episode's first observation: Stable-Baselines3 would store that "
            "as a transition, a bogus one an episode"
        )
    else:
        reason = (
            f'metadata["autoreset_mode"] = {mode!r}, expected an AutoresetMode: without it the '
            "transitions at an episode's end cannot be told apart"
        )
    raise ValueError(
        f"{env} has {reason}. Make it with AutoresetMode.SAME_STEP or AutoresetMode.DISABLED: "
        'gymnasium.make_vec(id, num_envs=n, vectorization_mode="sync", '
        'vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP}); a native vector environment '
        "may take autoreset_mode as an argument of its own"
    )


def _call_workers(env: AsyncVectorEnv[Any, Any], name: str, *args: Any, **kwargs: Any) -> Any:
    # Asked first, since a missing attribute ends the worker process.
    if not all(env.call("has_wrapper_attr", name)):
        raise AttributeError(f"the environments of {env} have no attribute {name!r}")
    return env.call(name, *args, **kwargs)


def make_native(env_id: str, num_envs: int, **arguments: Any) -> Any:
    """Return an id's own vector environment with an autoreset mode that `GymVecEnv` takes.

    Args:
        env_id: registered with a vector entry point.
        num_envs: sessions at a time.
        arguments: of the environment.
    """
    return gym.make_vec(
        env_id,
        num_envs=num_envs,
        vectorization_mode="vector_entry_point",
        autoreset_mode="SameStep",
        **arguments,
    )
