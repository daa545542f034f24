"""Prioritized replay: a buffer for `DuelingDQN`, proportional, for one or several steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize

from agents.sum_tree import SumTree


class PrioritizedSamples(NamedTuple):
    """A batch of replayed transitions: SB3's `ReplayBufferSamples`, and how they were drawn.

    Attributes:
        observations: (batch, ...).
        actions: (batch, 1) int64.
        next_observations: (batch, ...), after the last step that `rewards` counts.
        dones: (batch, 1) float32, 1 where that step terminated its episode, truncation aside.
        rewards: (batch, 1) float32, the discounted sum over the steps.
        discounts: (batch, 1) float32, of the value of `next_observations`.
        weights: (batch, 1) float32 importance weights, the greatest of the batch being 1.
        indices: (batch,) int64, for `PrioritizedReplayBuffer.update_priorities`.
    """

    observations: th.Tensor
    actions: th.Tensor
    next_observations: th.Tensor
    dones: th.Tensor
    rewards: th.Tensor
    discounts: th.Tensor
    weights: th.Tensor
    indices: NDArray[np.int64]


class PrioritizedReplayBuffer(NStepReplayBuffer):
    """Proportional prioritized replay (Schaul et al. 2016), for one or several steps of reward.

    Transition i is drawn with probability ``P(i) = p_i / sum of all p``, where
    ``p_i = (|TD error| + epsilon) ** alpha`` as of its last update; a new one has the highest p so
    far (1 at first), so that it is seen soon. A batch of k is stratified: its j-th transition is
    drawn from the j-th of k equal parts of the total. The bias is corrected by importance weights
    ``w_i = (N P(i)) ** -beta``, divided by the greatest *of the batch* (the paper leaves open of
    what; the total and N then cancel out), with beta moving linearly over the training.

    With ``n_steps`` above 1, rewards are summed as by SB3's `NStepReplayBuffer`: up to the end of
    the episode, or up to the newest transition of the environment, so that old and new data never
    mix; the value of the observation after that is discounted by as many steps, and left out only
    where the episode terminated.

    Unlike SB3's buffers, it draws from a generator of its own, and each environment's transition of
    one step has a priority of its own.

    The learner has to call `seed`, `set_progress`, and `update_priorities` after each update, and
    to multiply its losses by the weights. `agents.DuelingDQN` does. SB3's `DQN` would silently
    ignore weights and priorities: `sample` refuses there.

    Args:
        buffer_size: transitions kept, over all environments.
        observation_space: the observations; not a ``Dict``.
        action_space: the actions.
        device: of the tensors sampled.
        n_envs: number of environments.
        optimize_memory_usage: must be False.
        handle_timeout_termination: tell truncation from termination.
        n_steps: rewards summed; `DuelingDQN` hands over its own.
        gamma: discount; `DuelingDQN` hands over its own.
        alpha: how much priorities count, at least 0; at 0 all transitions are alike. Default of
            this and `beta_initial`: the paper's, for the proportional variant (its table 3).
        beta_initial: beta at the start of training, in [0, 1].
        beta_final: beta at its end, in [0, 1]; 1 corrects the bias in full.
        epsilon: added to the absolute TD error, so that no transition is lost for ever. The paper
            gives no number; 1e-6 is that of OpenAI's Baselines.

    Raises:
        ValueError: if an argument is out of its range, observations are a ``Dict``, or
            `optimize_memory_usage` is True.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: th.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
        *,
        n_steps: int = 1,
        gamma: float = 0.99,
        alpha: float = 0.6,
        beta_initial: float = 0.4,
        beta_final: float = 1.0,
        epsilon: float = 1e-6,
    ) -> None:
        if isinstance(observation_space, spaces.Dict):
            raise ValueError(
                "PrioritizedReplayBuffer stores observations as one array, which those of "
                f"{observation_space} are not: wrap the environment in "
                "gymnasium.wrappers.FlattenObservation"
            )
        if optimize_memory_usage:
            raise ValueError(
                "PrioritizedReplayBuffer needs optimize_memory_usage=False: sharing one array "
                "loses the last observation of an episode, which truncation and n-step returns need"
            )
        in_unit_interval = {"gamma": gamma, "beta_initial": beta_initial, "beta_final": beta_final}
        for name, value in in_unit_interval.items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {value}")
        if not 0 <= alpha < np.inf:
            raise ValueError(f"alpha must be at least 0 and finite, got {alpha}")
        if not 0 < epsilon < np.inf:
            raise ValueError(f"epsilon must be above 0 and finite, got {epsilon}")
        if n_steps < 1:
            raise ValueError(f"n_steps must be at least 1, got {n_steps}")
        super().__init__(
            buffer_size,
            observation_space,
            action_space,
            device,
            n_envs,
            handle_timeout_termination=handle_timeout_termination,
            n_steps=n_steps,
            gamma=gamma,
        )
        self.alpha = alpha
        self.beta_initial = beta_initial
        self.beta_final = beta_final
        self.epsilon = epsilon
        self._progress: float | None = None
        self._forget_priorities()
        self.seed(None)

    def _forget_priorities(self) -> None:
        # Leaf slot * n_envs + environment: SB3's arrays are (buffer_size, n_envs, ...).
        self._tree = SumTree(self.buffer_size * self.n_envs)
        self._max_priority = 1.0

    def seed(self, seed: int | np.random.SeedSequence | None) -> None:
        """Seed the generator that batches are drawn from; None: by the operating system."""
        self._generator = np.random.default_rng(seed)

    def set_progress(self, progress: float) -> None:
        """Tell how far the training is, from 0 to 1, on which beta depends."""
        self._progress = min(max(float(progress), 0.0), 1.0)

    @property
    def beta(self) -> float:
        """The present exponent of the importance weights.

        Raises:
            RuntimeError: if the learner has not told the progress.
        """
        if self._progress is None:
            raise RuntimeError(
                "PrioritizedReplayBuffer is used by a learner that does not support it: it must "
                "call set_progress before it samples, weigh its losses, and call "
                "update_priorities. agents.DuelingDQN does; Stable-Baselines3's DQN does not"
            )
        return self.beta_initial + self._progress * (self.beta_final - self.beta_initial)

    @property
    def priorities(self) -> NDArray[np.float64]:
        """All p, to the power of alpha, 0 where nothing is stored: (buffer_size, n_envs) copy."""
        return self._tree.weights.reshape(self.buffer_size, self.n_envs).copy()

    def reset(self) -> None:
        """Forget all transitions and priorities."""
        super().reset()
        self._forget_priorities()

    def add(
        self,
        obs: NDArray[Any],
        next_obs: NDArray[Any],
        action: NDArray[Any],
        reward: NDArray[Any],
        done: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Store a step of all environments, at the highest priority so far."""
        first = self.pos * self.n_envs
        super().add(obs, next_obs, action, reward, done, infos)
        self._tree.set_range(first, np.full(self.n_envs, self._max_priority))

    def sample(  # type: ignore[override]
        self, batch_size: int, env: VecNormalize | None = None
    ) -> PrioritizedSamples:
        """Draw a batch of transitions, stratified, with replacement.

        Args:
            batch_size: how many.
            env: normalises observations and rewards.

        Raises:
            RuntimeError: if the learner has not told the progress, see `beta`.
            ValueError: if nothing is stored.
        """
        beta = self.beta
        strata = np.arange(batch_size) + self._generator.random(batch_size)
        indices = self._tree.find(strata * (self._tree.total / batch_size))
        priorities = self._tree[indices]
        weights = ((priorities.min() / priorities) ** beta).astype(np.float32)
        arrays = *self._transitions(indices, env), weights[:, None]
        tensors = [self.to_torch(array, copy=False) for array in arrays]
        return PrioritizedSamples(*tensors, indices=indices)  # type: ignore[arg-type, misc]

    def update_priorities(self, indices: NDArray[np.int64], td_errors: NDArray[Any]) -> None:
        """Set the priorities of transitions of the last batch by their TD errors.

        Args:
            indices: (batch,), as sampled.
            td_errors: (batch,), of either sign.

        Raises:
            ValueError: if an error is not finite.
        """
        priorities = (np.abs(td_errors, dtype=np.float64) + self.epsilon) ** self.alpha
        highest = float(priorities.max())
        if not highest < np.inf:  # also where it is not a number
            raise ValueError(
                "a TD error is infinite or not a number: training has diverged; lower the "
                "learning rate or the scale of the rewards"
            )
        self._tree.set(indices, priorities)
        self._max_priority = max(self._max_priority, highest)

    def _transitions(
        self, indices: NDArray[np.int64], env: VecNormalize | None
    ) -> tuple[NDArray[Any], ...]:
        """Return observations, actions, next observations, dones, rewards and discounts."""
        # SB3's `_get_samples` computes the same, but draws the environments by itself.
        slots, envs = np.divmod(indices, self.n_envs)
        steps = np.arange(self.n_steps)
        window = (slots[:, None] + steps) % self.buffer_size  # (batch, n_steps)
        column = envs[:, None]
        newest = (self.pos - 1) % self.buffer_size
        stops = (self.dones[window, column] != 0) | (window == newest)
        stops[:, -1] = True
        last = stops.argmax(axis=1)  # (batch,) steps from the first to the last that counts
        counted = steps <= last[:, None]
        rewards = self._normalize_reward(self.rewards[window, column], env)
        powers = self.gamma ** np.arange(self.n_steps + 1, dtype=np.float32)
        returns = (rewards * powers[:-1] * counted).sum(axis=1, keepdims=True)
        ends = (slots + last) % self.buffer_size
        terminated = self.dones[ends, envs] * (1 - self.timeouts[ends, envs])
        observations = self._normalize_obs(self.observations[slots, envs], env)
        next_observations = self._normalize_obs(self.next_observations[ends, envs], env)
        assert isinstance(observations, np.ndarray) and isinstance(next_observations, np.ndarray)
        return (
            observations,
            self.actions[slots, envs],
            next_observations,
            terminated[:, None],
            returns,
            powers[last + 1][:, None],
        )

    # --- State ------------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Return what this buffer has beyond SB3's arrays and counters, as copies.

        SB3's are ``observations``, ``next_observations``, ``actions``, ``rewards``, ``dones``,
        ``timeouts``, ``pos`` and ``full``; with both restored, batches go on exactly.

        Returns:
            ``priorities``, a (buffer_size, n_envs) float64 array, and what JSON can say:
            ``max_priority``, ``progress`` (None before the first training) and ``generator``.
        """
        return {
            "priorities": self.priorities,
            "max_priority": self._max_priority,
            "progress": self._progress,
            "generator": self._generator.bit_generator.state,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `get_state` returned.

        Raises:
            ValueError: if it is of a buffer of another size, or something is missing or malformed.
        """
        try:
            priorities = np.asarray(state["priorities"], dtype=np.float64)
            if priorities.shape != (self.buffer_size, self.n_envs):
                raise ValueError(
                    f"priorities must have shape {(self.buffer_size, self.n_envs)}, "
                    f"got {priorities.shape}"
                )
            if not (np.isfinite(priorities).all() and (priorities >= 0).all()):
                raise ValueError("priorities must be finite and not below 0")
            highest = float(state["max_priority"])
            if not 0 < highest < np.inf:
                raise ValueError(f"max_priority must be above 0 and finite, got {highest}")
            progress = None if state["progress"] is None else float(state["progress"])
            if progress is not None and not 0 <= progress <= 1:
                raise ValueError(f"progress must be in [0, 1] or None, got {progress}")
            self._generator.bit_generator.state = state["generator"]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not the state of this replay buffer: {error}") from error
        self._tree.set_range(0, priorities.ravel())
        self._max_priority, self._progress = highest, progress
