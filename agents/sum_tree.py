"""A sum tree: weights that are drawn from, and changed, in logarithmic time, a batch at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


class SumTree:
    """Non-negative weights as the leaves of a binary tree whose inner nodes are sums.

    Each inner node is always the sum of its two children as they are now, never adjusted by a
    difference: rounding errors do not add up, and the same leaves give the same tree, bit for bit,
    whatever happened to them before.

    Args:
        n: number of leaves, all of weight 0 at first.

    Raises:
        ValueError: if `n` is below 1.
    """

    def __init__(self, n: int) -> None:
        if n < 1:
            raise ValueError(f"a sum tree has at least 1 leaf, got n = {n}")
        self.n = n
        self._depth = (n - 1).bit_length()
        self._first = 1 << self._depth
        # The root is node 1; the children of node i are 2i and 2i + 1; the leaves come last.
        self._nodes: Floats = np.zeros(2 * self._first)

    @property
    def total(self) -> float:
        """The sum of all weights."""
        return float(self._nodes[1])

    @property
    def weights(self) -> Floats:
        """All weights, a view not to be written to: (n,)."""
        view = self._nodes[self._first : self._first + self.n]
        view.flags.writeable = False
        return view

    def __getitem__(self, indices: NDArray[np.integer[Any]]) -> Floats:
        """Return the (k,) weights of (k,) leaves."""
        weights: Floats = self._nodes[indices + self._first]
        return weights

    def set(self, indices: NDArray[np.integer[Any]], weights: Floats) -> None:
        """Change the weights of some leaves.

        Args:
            indices: (k,) leaves; of one that is named twice the last weight counts.
            weights: (k,) finite numbers, none below 0.
        """
        nodes = indices + self._first
        self._nodes[nodes] = weights
        for _ in range(self._depth):
            nodes >>= 1
            left = 2 * nodes
            self._nodes[nodes] = self._nodes[left] + self._nodes[left + 1]

    def set_range(self, start: int, weights: Floats) -> None:
        """Change the weights of leaves that follow one another.

        Args:
            start: the first of them.
            weights: (k,) finite numbers, none below 0.
        """
        first, last = self._first + start, self._first + start + len(weights) - 1
        self._nodes[first : last + 1] = weights
        for _ in range(self._depth):
            first, last = first >> 1, last >> 1
            children = self._nodes[2 * first : 2 * last + 2]
            np.add(children[::2], children[1::2], out=self._nodes[first : last + 1])

    def find(self, sums: Floats) -> Indices:
        """Return the leaves in which running sums of the weights pass some values.

        A leaf of weight 0 is never returned, whatever the rounding.

        Args:
            sums: (k,) from 0 to `total`.

        Returns:
            (k,) int64: leaf i where the weights before i add up to at most the value, and with i's
            own weight to more.

        Raises:
            ValueError: if all weights are 0.
        """
        if not self._nodes[1] > 0:
            raise ValueError("all weights are 0: there is nothing to find")
        rest = np.array(sums, dtype=np.float64)
        nodes = np.ones(len(rest), dtype=np.int64)
        for _ in range(self._depth):
            nodes *= 2
            left = self._nodes[nodes]
            # The second condition holds but for rounding, and at `total` itself.
            right = (rest >= left) & (self._nodes[nodes + 1] > 0)
            rest -= left * right
            nodes += right
        return nodes - self._first
