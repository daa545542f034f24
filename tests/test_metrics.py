"""Figures against hand-computed values on six tracks."""

import math

import numpy as np
import pytest

from music_env.metrics import bootstrap_interval, decision_figures, ranking_figures, top_k

SCORES = np.array([3.0, 1.0, 0.0, -1.0, -1.0, -3.0])


def test_decisions_by_hand() -> None:
    # Right, wrong, either, right, wrong, right.
    figures = decision_figures(SCORES, np.array([1, 0, 1, 0, 1, 0]))
    assert figures["decision_accuracy"] == pytest.approx(4 / 6)
    assert figures["balanced_accuracy"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert figures["precision"] == pytest.approx(
        1 / 2
    )  # tracks 0 and 4; track 2 counts for neither
    assert figures["recall"] == pytest.approx(1 / 2)
    assert figures["f1"] == pytest.approx(1 / 2)
    assert figures["mean_reward"] == pytest.approx((3 - 1 + 0 + 1 - 1 + 3) / 6)
    assert figures["oracle_mean_reward"] == pytest.approx(9 / 6)
    assert figures["relative_regret"] == pytest.approx(4 / 9)


def test_always_dislike_has_accuracy_but_no_balance() -> None:
    scores = np.where(np.arange(100) < 9, 1.0, -1.0)
    figures = decision_figures(scores, np.zeros(100, dtype=int))
    assert figures["decision_accuracy"] == pytest.approx(0.91)
    assert figures["balanced_accuracy"] == 0.5
    assert figures["recall"] == 0 and math.isnan(figures["precision"]) and figures["f1"] == 0
    assert figures["relative_regret"] == pytest.approx(0.18)


def test_perfect_and_indifferent() -> None:
    perfect = decision_figures(SCORES, SCORES > 0)
    assert perfect["decision_accuracy"] == perfect["balanced_accuracy"] == perfect["f1"] == 1
    assert perfect["relative_regret"] == 0
    nothing = decision_figures(np.zeros(3), np.array([0, 1, 0]))
    assert nothing["decision_accuracy"] == 1 and nothing["relative_regret"] == 0


def test_ranking_by_hand() -> None:
    figures = ranking_figures(SCORES, [3, 1, 0, 2, 4, 5], k=3)
    assert figures["hit_rate_at_3"] == 1
    assert figures["precision_at_3"] == 1  # both relevant tracks of two
    assert figures["recall_at_3"] == 1
    assert figures["mrr"] == 1 / 2
    earned = 1 / math.log2(3) + 3 / math.log2(4)
    assert figures["ndcg_at_3"] == pytest.approx(earned / (3 + 1 / math.log2(3)))
    assert ranking_figures(SCORES, [3, 4, 5], k=3) == {
        "hit_rate_at_3": 0,
        "precision_at_3": 0,
        "recall_at_3": 0,
        "ndcg_at_3": 0,
        "mrr": 0,
    }


def test_ranking_without_relevant_tracks_and_with_few_tracks() -> None:
    assert all(math.isnan(v) for v in ranking_figures([-1.0, -1.0], [0, 1]).values())
    assert ranking_figures([1.0, -1.0], [0, 1], k=10)["ndcg_at_10"] == 1
    with pytest.raises(ValueError, match="must not repeat"):
        ranking_figures(SCORES, [1, 1], k=2)


def test_equal_scores_are_equal() -> None:
    scores = np.array([1.0, 3.0, 3.0, -1.0])
    first, second = (ranking_figures(scores, order, k=2) for order in ([1, 2], [2, 1]))
    assert first == second and first["ndcg_at_2"] == 1


def test_top_k_equals_a_stable_sort() -> None:
    generator = np.random.default_rng(0)
    for n in (1, 5, 50, 1000):
        values = generator.integers(0, 20, n)
        expected = sorted(range(n), key=lambda i: (-values[i], i))
        for k in (0, 1, 3, 10, n):
            assert top_k(values, k).tolist() == expected[:k], (n, k)


def test_top_k_breaks_ties_by_the_generator() -> None:
    values = np.array([0.0, 1.0, 1.0, 1.0, 0.0])
    seen = {int(top_k(values, 1, generator=np.random.default_rng(i))[0]) for i in range(50)}
    assert seen == {1, 2, 3}


def test_bootstrap_interval_covers_the_mean_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        low, high = bootstrap_interval(
            generator.normal(5, 2, 40), generator=generator, resamples=500
        )
        covered += low <= 5 <= high
    assert 180 <= covered <= 198


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"\(n,\) arrays"):
        decision_figures([1.0, 2.0], [1])
