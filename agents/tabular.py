"""A table of action values: its update by a batch of transitions, and its greedy policy."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule

# Up to so many transitions a plain loop is faster than arrays (tuned by us, with 16 to 1,000,000
# states and 2 to 6 actions).
SMALL_BATCH = 100


def q_learning_update(
    q_table: NDArray[np.float64],
    visits: NDArray[np.int64],
    states: NDArray[np.int64],
    actions: NDArray[np.int64],
    rewards: NDArray[np.floating[Any]],
    next_states: NDArray[np.int64],
    terminated: NDArray[np.bool_],
    *,
    learning_rate: float,
    gamma: float,
) -> NDArray[np.float64]:
    """Update `q_table` and `visits` in place by transitions as if they came one by one.

    For each transition in turn, with ``s' = next_states[i]`` and so on::

        visits[s, a] += 1
        error = r + gamma * max(Q[s']) - Q[s, a]   (without Q[s'] where terminated)
        Q[s, a] += learning_rate * error

    Hence a batch may repeat a pair of state and action, and bootstrap from a state that it updated
    before. (Plain vectorised assignment would lose all but one of the repeated updates;
    ``np.add.at`` would take the errors of all from the same old value, and overshoot.) The result
    is that of the loop to the last bit, or up to rounding where over `SMALL_BATCH` transitions
    repeat a pair.

    Args:
        q_table: (n_states, n_actions) float64, C-contiguous.
        visits: (n_states, n_actions) int64, C-contiguous.
        states: (n,), from 0.
        actions: (n,), from 0.
        rewards: (n,).
        next_states: (n,), from 0; some state, which does not matter, where terminated.
        terminated: (n,), False where a time limit alone ended the episode.
        learning_rate: in [0, 1].
        gamma: in [0, 1].

    Returns:
        (n,) float64, the temporal-difference errors.
    """
    n, n_actions = len(states), q_table.shape[1]
    cells = states * n_actions + actions
    # A sum of ones is the same in any order; the values' updates are not.
    np.add.at(visits.reshape(-1), cells, 1)
    targets = rewards.astype(np.float64)
    bootstraps = ~terminated if gamma else np.zeros(n, dtype=bool)
    if n <= SMALL_BATCH or (gamma and _reads_own_updates(states, next_states, bootstraps)):
        # A memoryview reads and writes single numbers several times as fast as an array.
        q = q_table.reshape(-1).data
        errors = []
        for cell, target, row, bootstrap in zip(
            cells.tolist(),
            targets.tolist(),
            (next_states * n_actions).tolist(),
            bootstraps.tolist(),
            strict=True,
        ):
            if bootstrap:
                target += gamma * max(q[row : row + n_actions])
            error = target - q[cell]
            q[cell] += learning_rate * error
            errors.append(error)
        return np.array(errors)
    if gamma:
        targets += np.where(bootstraps, gamma * q_table[next_states].max(axis=1), 0.0)
    return _update_at_once(q_table.reshape(-1), cells, targets, learning_rate)


def _reads_own_updates(
    states: NDArray[np.int64], next_states: NDArray[np.int64], bootstraps: NDArray[np.bool_]
) -> bool:
    """Say whether a transition bootstraps from a state that an earlier one of the batch updates."""
    updated, first = np.unique(states, return_index=True)
    place = np.searchsorted(updated, next_states).clip(max=len(updated) - 1)
    earlier = (updated[place] == next_states) & (first[place] < np.arange(len(states)))
    return bool((earlier & bootstraps).any())


def _update_at_once(
    q: NDArray[np.float64],
    cells: NDArray[np.int64],
    targets: NDArray[np.float64],
    learning_rate: float,
) -> NDArray[np.float64]:
    """Update (n_cells,) values by targets known beforehand, and return the errors.

    An update is the map ``q -> decay * q + learning_rate * target``. Those of one cell are composed
    by doubling (Hillis & Steele 1986): log2(repeats) rounds, however the repeats are spread.
    """
    order = np.argsort(cells, kind="stable")
    cells, targets = cells[order], targets[order]
    first = np.flatnonzero(np.append(True, cells[1:] != cells[:-1]))
    counts = np.diff(first, append=len(cells))
    rank = np.arange(len(cells)) - np.repeat(first, counts)  # updates of the cell before this one
    values = q[cells]  # before each update
    repeated = np.flatnonzero(rank)
    if len(repeated):
        decay = 1.0 - learning_rate
        gains = learning_rate * targets  # of the last 1, 2, 4, ... updates of the cell
        distance = 1
        while distance < counts.max():
            later = np.flatnonzero(rank >= distance)
            gains[later] += decay**distance * gains[later - distance]
            distance *= 2
        values[repeated] = decay ** rank[repeated] * values[repeated] + gains[repeated - 1]
    errors = targets - values
    last = first + counts - 1
    q[cells[last]] = values[last] + learning_rate * errors[last]
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
        q_table: (n_states, n_actions) float64.
    """

    observation_space: spaces.Discrete[Any]
    action_space: spaces.Discrete[Any]
    q_table: NDArray[np.float64]

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
        self.q_table = np.full(shape, initial_value, dtype=np.float64)

    # An array rather than a buffer of torch, since even asking a tensor for its array takes as
    # long as the rest of a small step. Torch keeps this in the state dict as `_extra_state`.
    def get_extra_state(self) -> th.Tensor:
        """Return the table for the state dict; as any tensor there, it is no copy."""
        return th.from_numpy(self.q_table)

    def set_extra_state(self, state: th.Tensor) -> None:
        """Take over the table of a state dict.

        Raises:
            ValueError: if it has another shape.
        """
        if state.shape != self.q_table.shape:
            raise ValueError(
                f"q_table must be of shape {self.q_table.shape}, not {tuple(state.shape)}"
            )
        self.q_table[...] = state.numpy()

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "initial_value": self.initial_value,
        }

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> th.Tensor:
        assert isinstance(observation, th.Tensor)
        states = observation.long() - int(self.observation_space.start)
        return th.from_numpy(self.q_table)[states].argmax(dim=1) + int(self.action_space.start)
