"""What a tabular learner bootstraps from: the values of the states that transitions arrive at."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Target = Literal["q-learning", "sarsa", "expected-sarsa", "double"]
"""The kinds of bootstrapped value, by the names of the algorithms that use them."""


class Bootstrap(Protocol):
    """Values of next states, read from a table that may change from one transition to the next."""

    def learning_tables(self) -> NDArray[np.int64] | int:
        """Return which of the tables learns from each transition, (n,) or one for all."""

    def of_one(self, q: memoryview, i: int, row: int, n_actions: int) -> float:
        """Return the value of the state that transition `i` arrives at.

        Args:
            q: the tables' numbers, one after another.
            i: number of the transition in its batch.
            row: where the state's action values begin in the first table.
            n_actions: length of a row.
        """

    def of_all(self, q_table: NDArray[np.float64], next_states: NDArray[np.int64]) -> NDArray[Any]:
        """Return the values of (n,) next states as the tables stand, (n,) float64."""


class _OneTable:
    def learning_tables(self) -> int:
        """See `Bootstrap`."""
        return 0


class GreatestValue(_OneTable):
    """Q-learning (Watkins & Dayan 1992): ``max_a' Q[s', a']``."""

    def of_one(self, q: memoryview, i: int, row: int, n_actions: int) -> float:
        """See `Bootstrap`."""
        greatest: float = max(q[row : row + n_actions])
        return greatest

    def of_all(self, q_table: NDArray[np.float64], next_states: NDArray[np.int64]) -> NDArray[Any]:
        """See `Bootstrap`."""
        values: NDArray[Any] = q_table[next_states].max(axis=1)
        return values


class TakenAction(_OneTable):
    """SARSA (Rummery & Niranjan 1994): ``Q[s', a']``, a' being the action that follows.

    Args:
        next_actions: (n,) integers from 0; any where nothing follows.
    """

    def __init__(self, next_actions: NDArray[np.int64]) -> None:
        self._actions = next_actions
        self._as_list = next_actions.tolist()

    def of_one(self, q: memoryview, i: int, row: int, n_actions: int) -> float:
        """See `Bootstrap`."""
        value: float = q[row + self._as_list[i]]
        return value

    def of_all(self, q_table: NDArray[np.float64], next_states: NDArray[np.int64]) -> NDArray[Any]:
        """See `Bootstrap`."""
        values: NDArray[Any] = q_table[next_states, self._actions]
        return values


class ExpectedValue(_OneTable):
    """Expected SARSA (van Seijen et al. 2009) under the epsilon-greedy policy of the table.

    ``(1 - epsilon) * max_a' Q[s', a'] + epsilon * mean_a' Q[s', a']``: how a greedy policy shares
    its probability among equal values makes no difference to its expectation.

    Args:
        exploration_rate: epsilon, in [0, 1].
    """

    def __init__(self, exploration_rate: float) -> None:
        self._epsilon = exploration_rate

    def of_one(self, q: memoryview, i: int, row: int, n_actions: int) -> float:
        """See `Bootstrap`."""
        values = q[row : row + n_actions].tolist()
        return (1.0 - self._epsilon) * max(values) + self._epsilon * (sum(values) / n_actions)

    def of_all(self, q_table: NDArray[np.float64], next_states: NDArray[np.int64]) -> NDArray[Any]:
        """See `Bootstrap`."""
        rows = q_table[next_states]
        greedy, uniform = rows.max(axis=1), rows.mean(axis=1)
        values: NDArray[Any] = (1.0 - self._epsilon) * greedy + self._epsilon * uniform
        return values


class OtherTable:
    """Double Q-learning (van Hasselt 2010): ``Q_other[s', argmax_a' Q[s', a']]``.

    Of two tables, the one that learns picks the action (the first of equals), the other values it.

    Args:
        learns: (n,) integers, 0 or 1, the table that learns from each transition.
    """

    def __init__(self, learns: NDArray[np.int64]) -> None:
        self._learns = learns
        self._as_list = learns.tolist()

    def learning_tables(self) -> NDArray[np.int64]:
        """See `Bootstrap`."""
        return self._learns

    def of_one(self, q: memoryview, i: int, row: int, n_actions: int) -> float:
        """See `Bootstrap`."""
        size = len(q) // 2
        own, other = (row + size, row) if self._as_list[i] else (row, row + size)
        values = q[own : own + n_actions].tolist()
        value: float = q[other + values.index(max(values))]
        return value

    def of_all(self, q_table: NDArray[np.float64], next_states: NDArray[np.int64]) -> NDArray[Any]:
        """See `Bootstrap`."""
        best = q_table[self._learns, next_states].argmax(axis=1)
        values: NDArray[Any] = q_table[1 - self._learns, next_states, best]
        return values
