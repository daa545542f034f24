"""The sum tree against a plain array."""

import numpy as np
import pytest

from agents.sum_tree import SumTree


@pytest.mark.parametrize("n", [1, 2, 7, 64, 1000])
def test_a_tree_equals_a_plain_array_after_a_thousand_updates(n):
    rng = np.random.default_rng(n)
    tree, array = SumTree(n), np.zeros(n)
    for update in range(1000):
        # Whole numbers, whose sums are exact in any order.
        if update % 2:
            indices = rng.integers(n, size=5)  # some twice: the last weight counts
            weights = rng.integers(4, size=5).astype(float)
            tree.set(indices, weights)
            for index, weight in zip(indices, weights, strict=True):
                array[index] = weight
        else:
            start = int(rng.integers(n))
            weights = rng.integers(4, size=rng.integers(1, n - start + 1)).astype(float)
            tree.set_range(start, weights)
            array[start : start + len(weights)] = weights
        np.testing.assert_array_equal(tree.weights, array, err_msg=f"update {update}")
        assert tree.total == array.sum(), f"update {update}"
        if array.any():
            sums = rng.random(20) * array.sum()
            expected = np.searchsorted(array.cumsum(), sums, side="right")
            np.testing.assert_array_equal(tree.find(sums), expected, err_msg=f"update {update}")
    np.testing.assert_array_equal(tree[np.arange(n)], array)


def test_the_past_leaves_no_trace():
    rng = np.random.default_rng(0)
    tree, new = SumTree(100), SumTree(100)
    for _ in range(1000):
        tree.set(rng.integers(100, size=10), rng.random(10) * 10.0 ** rng.integers(-9, 9))
    new.set_range(0, tree.weights)
    assert tree.total == new.total  # bit for bit
    sums = np.sort(rng.random(1000)) * tree.total
    np.testing.assert_array_equal(tree.find(sums), new.find(sums))


def test_a_leaf_without_weight_is_never_found():
    rng = np.random.default_rng(0)
    for n in (3, 100, 129):
        tree = SumTree(n)
        weights = np.where(rng.random(n) < 0.5, 0.0, rng.random(n) * 1e-3)
        weights[0], weights[-1] = 0, 0
        weights[1] = 1 / 3
        tree.set_range(0, weights)
        edges = np.concatenate([[0.0], weights.cumsum(), [tree.total, 2 * tree.total]])
        sums = np.concatenate([edges, np.nextafter(edges, -1), np.nextafter(edges, np.inf)])
        assert (weights[tree.find(sums.clip(min=0))] > 0).all()


def test_wrong_use():
    with pytest.raises(ValueError, match="at least 1 leaf, got n = 0"):
        SumTree(0)
    with pytest.raises(ValueError, match="all weights are 0: there is nothing to find"):
        SumTree(3).find(np.zeros(1))
    with pytest.raises(ValueError, match="read-only"):
        SumTree(3).weights[0] = 1
