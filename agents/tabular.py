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
    visit_exponent: float = 0.0,
) -> NDArray[np.float64]:
    """Update `q_table` and `visits` in place by transitions as if they came one by one.

    For each transition in turn, with ``s' = next_states[i]`` and so on::

        visits[s, a] += 1
        error = r + gamma * max(Q[s']) - Q[s, a]   (without Q[s'] where terminated)
        Q[s, a] += learning_rate * visits[s, a] ** -visit_exponent * error

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
        visit_exponent: in [0, 1].

    Returns:
        (n,) float64, the temporal-difference errors.
    """
    n, n_actions = len(states), q_table.shape[1]
    cells = states * n_actions + actions
    targets = rewards.astype(np.float64)
    bootstraps = ~terminated if gamma else np.zeros(n, dtype=bool)
    if n <= SMALL_BATCH or (gamma and _reads_own_updates(states, next_states, bootstraps)):
        # Memoryviews read and write single numbers several times as fast as arrays.
        q, counts = q_table.reshape(-1).data, visits.reshape(-1).data
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
            counts[cell] += 1
            step_size = learning_rate
            if visit_exponent:
                step_size *= counts[cell] ** -visit_exponent
            q[cell] += step_size * error
            errors.append(error)
        return np.array(errors)
    if gamma:
        targets += np.where(bootstraps, gamma * q_table[next_states].max(axis=1), 0.0)
    return _update_at_once(
        q_table.reshape(-1), visits.reshape(-1), cells, targets, learning_rate, visit_exponent
    )


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
    visits: NDArray[np.int64],
    cells: NDArray[np.int64],
    targets: NDArray[np.float64],
    learning_rate: float,
    visit_exponent: float,
) -> NDArray[np.float64]:
    """Update (n_cells,) values by targets known beforehand, and return the errors.

    Each update is a map ``q -> decay * q + gain``. Those of one cell are composed by doubling
    (Hillis & Steele 1986): log2(repeats) rounds, however the repeats are spread.
    """
    order = np.argsort(cells, kind="stable")
    cells, targets = cells[order], targets[order]
    first = np.flatnonzero(np.append(True, cells[1:] != cells[:-1]))
    counts = np.diff(first, append=len(cells))
    rank = np.arange(len(cells)) - np.repeat(first, counts)  # updates of the cell before this one
    step_sizes = np.full(len(cells), learning_rate)
    if visit_exponent:
        step_sizes *= (visits[cells] + rank + 1.0) ** -visit_exponent
    values = q[cells]  # before each update
    repeated = np.flatnonzero(rank)
    if len(repeated):
        decays, gains = 1.0 - step_sizes, step_sizes * targets
        distance = 1
        while distance < counts.max():
            later = np.flatnonzero(rank >= distance)
            gains[later] += decays[later] * gains[later - distance]
            decays[later] *= decays[later - distance]
            distance *= 2
        values[repeated] = decays[repeated - 1] * values[repeated] + gains[repeated - 1]
    errors = targets - values
    last = first + counts - 1
    q[cells[last]] = values[last] + step_sizes[last] * errors[last]
    visits[cells[first]] += counts
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

    observation_space: spaces.Discrete[Any]
    action_space: spaces.Discrete[Any]
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
        states = observation.long() - int(self.observation_space.start)
        return self.q_table[states].argmax(dim=1) + int(self.action_space.start)
