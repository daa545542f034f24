"""A table of action values: its update by a batch of transitions, and its greedy policy."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule

from agents.bootstrap import Bootstrap, GreatestValue

# Up to so many transitions a plain loop is faster than arrays (tuned by us, with 16 to 1,000,000
# states and 2 to 6 actions).
SMALL_BATCH = 100
_GREATEST_VALUE = GreatestValue()


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
    bootstrap: Bootstrap = _GREATEST_VALUE,
) -> NDArray[np.float64]:
    """Update `q_table` and `visits` in place by transitions as if they came one by one.

    For each transition in turn, with ``s' = next_states[i]`` and so on::

        visits[s, a] += 1
        error = r + gamma * max(Q[s']) - Q[s, a]   (without Q[s'] where terminated)
        Q[s, a] += learning_rate * error

    `bootstrap` may put another value in the place of ``max(Q[s'])``. A batch may repeat a pair of
    state and action, and bootstrap from a state that it updated before. (Plain vectorised
    assignment would lose all but one of the repeated updates; ``np.add.at`` would take the errors
    of all from the same old value, and overshoot.) The result is that of the loop to the last bit,
    or up to rounding where over `SMALL_BATCH` transitions repeat a pair or bootstrap from a mean.

    Args:
        q_table: (n_states, n_actions) float64, C-contiguous; or two of them, (2, n_states,
            n_actions), for `agents.bootstrap.OtherTable`.
        visits: (n_states, n_actions) int64, C-contiguous.
        states: (n,), from 0.
        actions: (n,), from 0.
        rewards: (n,).
        next_states: (n,), from 0; some state, which does not matter, where terminated.
        terminated: (n,), False where a time limit alone ended the episode.
        learning_rate: in [0, 1].
        gamma: in [0, 1].
        bootstrap: the value of the next state.

    Returns:
        (n,) float64, the temporal-difference errors.
    """
    n, n_actions = len(states), q_table.shape[-1]
    cells = states * n_actions + actions
    # A sum of ones is the same in any order; the values' updates are not.
    np.add.at(visits.reshape(-1), cells, 1)
    if q_table.ndim == 3:
        cells += bootstrap.learning_tables() * visits.size
    targets = rewards.astype(np.float64)
    goes_on = ~terminated if gamma else np.zeros(n, dtype=bool)
    if n <= SMALL_BATCH or (gamma and _reads_own_updates(states, next_states, goes_on)):
        # A memoryview reads and writes single numbers several times as fast as an array.
        q = q_table.reshape(-1).data
        rows = (next_states * n_actions).tolist()
        parts = (cells.tolist(), targets.tolist(), rows, goes_on.tolist())
        errors = []
        if isinstance(bootstrap, GreatestValue):
            # As below, written out: a call for each transition would take as long as the rest.
            for cell, target, row, continues in zip(*parts, strict=True):
                if continues:
                    target += gamma * max(q[row : row + n_actions])
                error = target - q[cell]
                q[cell] += learning_rate * error
                errors.append(error)
            return np.array(errors)
        for i, (cell, target, row, continues) in enumerate(zip(*parts, strict=True)):
            if continues:
                target += gamma * bootstrap.of_one(q, i, row, n_actions)
            error = target - q[cell]
            q[cell] += learning_rate * error
            errors.append(error)
        return np.array(errors)
    if gamma:
        targets += np.where(goes_on, gamma * bootstrap.of_all(q_table, next_states), 0.0)
    return _update_at_once(q_table.reshape(-1), cells, targets, learning_rate)


def _reads_own_updates(
    states: NDArray[np.int64], next_states: NDArray[np.int64], goes_on: NDArray[np.bool_]
) -> bool:
    """Say whether a transition bootstraps from a state that an earlier one of the batch updates."""
    updated, first = np.unique(states, return_index=True)
    place = np.searchsorted(updated, next_states).clip(max=len(updated) - 1)
    earlier = (updated[place] == next_states) & (first[place] < np.arange(len(states)))
    return bool((earlier & goes_on).any())


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
    """The greedy policy of a table of action values, or of the mean of two.

    Args:
        observation_space: the states.
        action_space: the actions.
        lr_schedule: not used; Stable-Baselines3 gives it to every policy.
        initial_value: of every cell.
        n_tables: 1, or 2 for double Q-learning.

    Attributes:
        q_tables: (n_tables, n_states, n_actions) float64.
    """

    observation_space: spaces.Discrete[Any]
    action_space: spaces.Discrete[Any]
    q_tables: NDArray[np.float64]

    def __init__(
        self,
        observation_space: spaces.Discrete[Any],
        action_space: spaces.Discrete[Any],
        lr_schedule: Schedule | None = None,
        *,
        initial_value: float = 0.0,
        n_tables: int = 1,
    ) -> None:
        super().__init__(observation_space, action_space)
        self.initial_value, self.n_tables = initial_value, n_tables
        shape = (n_tables, int(observation_space.n), int(action_space.n))
        self.q_tables = np.full(shape, initial_value, dtype=np.float64)

    @property
    def q_table(self) -> NDArray[np.float64]:
        """The action values, (n_states, n_actions) float64.

        Of one table it is the memory itself; of two it is their mean, which cannot be written to.
        """
        if self.n_tables == 1:
            return self.memory
        mean: NDArray[np.float64] = self.q_tables.mean(axis=0)
        mean.flags.writeable = False
        return mean

    @property
    def memory(self) -> NDArray[np.float64]:
        """What is saved: one table, (n_states, n_actions), or (2, n_states, n_actions)."""
        memory: NDArray[np.float64] = self.q_tables[0] if self.n_tables == 1 else self.q_tables
        return memory

    def action_values(self, states: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the action values of (n,) states from 0: (n, n_actions) float64, a copy."""
        values: NDArray[np.float64] = self.q_tables[0][states]
        if self.n_tables == 2:
            values = (values + self.q_tables[1][states]) / 2
        return values

    # An array rather than a buffer of torch, since even asking a tensor for its array takes as
    # long as the rest of a small step. Torch keeps this in the state dict as `_extra_state`.
    def get_extra_state(self) -> th.Tensor:
        """Return the memory for the state dict; as any tensor there, it is no copy."""
        return th.from_numpy(self.memory)

    def set_extra_state(self, state: th.Tensor) -> None:
        """Take over the memory of a state dict.

        Raises:
            ValueError: if it has another shape.
        """
        own = self.memory
        if state.shape != own.shape:
            raise ValueError(f"q_table must be of shape {own.shape}, not {tuple(state.shape)}")
        own[...] = state.numpy()

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "initial_value": self.initial_value,
            "n_tables": self.n_tables,
        }

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> th.Tensor:
        assert isinstance(observation, th.Tensor)
        states = observation.long().numpy() - int(self.observation_space.start)
        greedy = self.action_values(states).argmax(axis=1)
        return th.from_numpy(greedy) + int(self.action_space.start)
