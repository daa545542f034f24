"""The study's statistics against independent answers, and the numbers they are made from."""

import itertools

import numpy as np
import pytest
import scipy.stats

from study import metrics, statistics, wording
from study.checks import check_grid
from study.statistics import Estimate

INF = float("inf")


def generator():
    return np.random.default_rng(0)


def test_iqm_is_the_mean_of_the_middle_half_of_all_runs():
    # 12 runs, sorted: 0 1 2 | 3 4 5 6 7 8 | 9 10 1000
    tasks = [np.array([8.0, 0, 3, 5, 1000, 7]), np.array([1.0, 2, 4, 6, 9, 10])]
    assert statistics.iqm(tasks) == pytest.approx((3 + 4 + 5 + 6 + 7 + 8) / 6)


def test_iqm_of_fewer_than_a_quarter_censored_runs_is_finite():
    assert statistics.iqm([np.array([1.0, 2, 3, 4, 5, 6, 7, INF])]) == pytest.approx(4.5)
    assert statistics.iqm([np.array([1.0, 2, 3, 4, INF, INF, INF, INF])]) == INF


def test_median_counts_censored_runs_as_the_largest():
    assert statistics.median([np.array([5.0, INF]), np.array([1.0])]) == 5
    assert statistics.median([np.array([1.0, INF, INF])]) == INF


def test_mean_weighs_tasks_alike():
    assert statistics.mean([np.array([1.0]), np.array([3.0, 5.0, 4.0])]) == 2.5


def test_interval_of_one_task_agrees_with_scipy():
    runs = np.random.default_rng(1).normal(size=40)
    ours = statistics.estimate(statistics.iqm, [runs], generator=generator(), resamples=20_000)
    theirs = scipy.stats.bootstrap(
        (runs,),
        lambda x, axis: scipy.stats.trim_mean(x, 0.25, axis=axis),
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.high, abs=0.02)
    assert (ours.value, ours.n_runs) == (scipy.stats.trim_mean(runs, 0.25), 40)


def test_what_a_cluster_shares_counts_once_a_cluster():
    # Nothing differs within a cluster: forty persons of a seed say no more than one.
    seeds = np.array([0.0, 0.2, 0.9, 0.4, 0.5])
    found = statistics.mean_of_clusters(
        [np.full(40, seed) for seed in seeds], generator=generator(), resamples=20_000
    )
    alone = statistics.estimate(statistics.mean, [seeds], generator=generator(), resamples=20_000)
    assert found.value == pytest.approx(seeds.mean()) and found.n_runs == 200
    assert found.low == pytest.approx(alone.low, abs=0.03)
    assert found.high == pytest.approx(alone.high, abs=0.03)


def test_clusters_of_different_sizes_against_a_plain_loop():
    draws = np.random.default_rng(5)
    clusters = [draws.random(size) for size in (3, 8, 1, 5, 4)]
    found = statistics.mean_of_clusters(clusters, generator=generator(), resamples=20_000)
    means = []
    for _ in range(20_000):
        chosen = [clusters[i] for i in draws.integers(5, size=5)]
        means.append(np.concatenate([draws.choice(c, len(c)) for c in chosen]).mean())
    assert found.value == pytest.approx(np.concatenate(clusters).mean())
    assert [found.low, found.high] == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.015)
    assert np.isnan(statistics.mean_of_clusters(clusters[:2], generator=generator()).low)


def test_a_share_of_no_hits_follows_the_rule_of_three():
    found = statistics.exact_share(0, 100)
    assert found.low == 0 and found.high == pytest.approx(1 - 0.025 ** (1 / 100))


def test_runs_are_drawn_within_their_task_only():
    # Two tasks without spread, far apart: drawn within each nothing varies; drawn from all, it does
    tasks = [np.full(10, 0.0), np.full(10, 100.0)]
    found = statistics.estimate(statistics.mean, tasks, generator=generator())
    assert (found.low, found.value, found.high) == (50, 50, 50)


@pytest.mark.parametrize(("level", "ends"), [(0.3, (2 / 5, 2 / 5)), (0.6, (1 / 5, 3 / 5))])
def test_small_bootstrap_equals_enumeration(level, ends):
    # Of the resamples of 0, 0, 0, 1, 1 the means are 0, 1/5, ... with probabilities 0.078, 0.259,
    # 0.346, 0.230, 0.077 and 0.010 (binomial).
    found = statistics.estimate(
        statistics.mean,
        [np.array([0.0, 0.0, 0.0, 1.0, 1.0])],
        generator=generator(),
        level=level,
        resamples=5_000,
    )
    assert (found.low, found.high) == pytest.approx(ends)


@pytest.mark.parametrize("n", [2, statistics.MIN_RUNS - 1])
def test_of_few_runs_there_is_no_interval(n):
    few, many = [np.arange(1.0, n + 1)], [np.arange(10.0)]
    assert np.isnan(statistics.estimate(statistics.iqm, few, generator=generator()).low)
    for found in (
        statistics.improvement(few, many, generator=generator()),
        statistics.difference(statistics.iqm, many, few, generator=generator()),
    ):
        assert np.isnan([found.low, found.high]).all() and np.isfinite(found.value)
        assert wording.told_apart(found, ("better", "worse", "unknown")) == "unknown"
        assert wording.sign(found) == 0
        assert "[" not in wording.share(found) + wording.bounded(found) + wording.percent(found)


def test_interval_covers_as_often_as_it_says():
    draws, covered = np.random.default_rng(3), 0
    for _ in range(200):
        tasks = [draws.normal(loc, 1.0, size=10) for loc in (0.0, 5.0, 10.0)]
        found = statistics.estimate(statistics.mean, tasks, generator=draws, resamples=400)
        covered += found.low <= 5.0 <= found.high
    # The percentile bootstrap of 30 runs falls a little short of 95 %.
    assert 0.86 <= covered / 200 <= 0.99


def test_interval_of_the_fewest_runs_covers_nearly_as_often():
    draws, covered = np.random.default_rng(3), 0
    for _ in range(300):
        runs = [draws.normal(size=statistics.MIN_RUNS)]
        found = statistics.estimate(statistics.iqm, runs, generator=draws, resamples=300)
        covered += found.low <= 0 <= found.high
    assert covered / 300 >= 0.83


def test_conclusions_from_few_runs_have_a_caution():
    few, many = [np.arange(6.0)], [np.arange(10.0)]
    for found, n in (
        (statistics.improvement(few, many, generator=generator()), 6),
        (statistics.difference(statistics.iqm, many, few, generator=generator()), 6),
        (statistics.estimate(statistics.iqm, few, generator=generator()), 6),
        (statistics.improvement(many, many, generator=generator()), None),
    ):
        assert wording.caution(found).startswith(f" (Of {n} runs only" if n else "")
        assert bool(wording.caution(found)) == (n is not None)


def test_same_generator_same_interval():
    tasks = [np.random.default_rng(4).normal(size=10)]
    first, again = (
        statistics.estimate(statistics.iqm, tasks, generator=generator()) for _ in range(2)
    )
    other = statistics.estimate(statistics.iqm, tasks, generator=np.random.default_rng(1))
    assert first == again
    assert first != other


def test_interval_of_a_median_may_be_censored_at_one_end():
    found = statistics.estimate(
        statistics.median,
        [np.array([1.0, 2, 3, 4, 5, 6, INF, INF, INF, INF])],
        generator=generator(),
    )
    assert found.value == 5.5
    assert np.isfinite(found.low) and found.high == INF


def test_probability_of_improvement_is_the_mann_whitney_statistic():
    draws = np.random.default_rng(5)
    first = [draws.integers(5, size=7).astype(float) for _ in range(3)]
    second = [draws.integers(5, size=4).astype(float) for _ in range(3)]
    expected = np.mean(
        [
            scipy.stats.mannwhitneyu(a, b, method="asymptotic").statistic / (len(a) * len(b))
            for a, b in zip(first, second, strict=True)
        ]
    )
    assert statistics.probability_of_improvement(first, second) == pytest.approx(expected)


def test_censored_runs_tie():
    inf = np.full(3, -INF)
    assert statistics.probability_of_improvement([inf], [inf]) == 0.5
    assert statistics.probability_of_improvement([np.array([-5.0])], [inf]) == 1


def test_improvement_resamples_both_sides():
    low, high = [np.arange(10.0)], [np.arange(10.0) + 100]
    assert statistics.improvement(high, low, generator=generator()).low == 1
    found = statistics.improvement(low, [np.arange(10.0) + 0.5], generator=generator())
    assert found.low < 0.3 < found.value < 0.5 < found.high


def test_improvement_needs_the_same_tasks():
    with pytest.raises(ValueError, match="the same tasks on both sides, at least one, got 1 and 2"):
        statistics.probability_of_improvement([np.ones(2)], [np.ones(2), np.ones(2)])


def test_difference_of_iqms():
    first, second = [np.full(5, 5.0)], [np.full(5, 2.0)]
    found = statistics.difference(statistics.iqm, first, second, generator=generator())
    assert (found.low, found.value, found.high) == (3, 3, 3)


def test_curve_is_the_iqm_at_each_point():
    curves = [np.array([[0.0, 4], [1, 5], [2, 6], [9, 7], [3, 8]])]
    found = statistics.efficiency_curve(curves, np.array([1, 2]), generator=generator())
    np.testing.assert_allclose(found.value, [2, 6])
    assert (found.low <= found.value).all() and (found.value <= found.high).all()
    for point in range(2):
        alone = statistics.estimate(statistics.iqm, [curves[0][:, point]], generator=generator())
        assert found.low[point] == pytest.approx(alone.low, abs=0.3)


@pytest.mark.parametrize("tasks", [[], [np.ones(2), np.array([])]])
def test_no_runs_is_an_error(tasks):
    with pytest.raises(ValueError, match="at least one task and one run for each"):
        statistics.estimate(statistics.iqm, tasks, generator=generator())


# --- Metrics --------------------------------------------------------------------------------------

CURVE = {
    "tracks": [32, 64, 96, 128],
    "seconds": [0.1, 0.2, 0.4, 0.5],
    "regret": [0.5, 0.01, 0.02, 0.0009],
}


def test_time_to_a_regret_is_the_first_check_at_it():
    assert metrics.time_to(CURVE, 0.01) == 64
    assert metrics.time_to(CURVE, 0.01, "seconds") == 0.2
    assert metrics.time_to(CURVE, 0.001) == 128


def test_a_regret_that_is_not_reached_is_censored():
    assert metrics.time_to(CURVE, 0.0) == INF
    assert metrics.time_to(CURVE, 0.0, "seconds") == INF
    assert metrics.time_settled(CURVE, 0.0) == INF


def test_settled_is_when_it_does_not_leave_again():
    assert metrics.time_settled(CURVE, 0.01) == 128
    assert metrics.time_settled(CURVE, 0.02) == 64
    assert metrics.time_settled(CURVE, 1.0) == 32


def test_a_curve_holds_its_last_check():
    grid = np.array([1, 32, 95, 96, 500])
    np.testing.assert_array_equal(
        metrics.on_grid(CURVE["tracks"], CURVE["regret"], grid), [0.5, 0.5, 0.01, 0.02, 0.0009]
    )


def test_area_is_the_mean_of_even_evaluations():
    assert metrics.area_under([100, 200, 310], [1.0, 2.0, 6.0]) == 3
    with pytest.raises(ValueError, match="evenly spread"):
        metrics.area_under([100, 200, 400], [1.0, 2.0, 6.0])


def test_normalised_scores():
    assert metrics.normalised(-500, random=-500, solved=-100) == 0
    assert metrics.normalised(-80, random=-500, solved=-100) == pytest.approx(1.05)


def test_rows_are_grouped_in_the_order_of_seeds_without_failed_ones():
    rows = [
        {"learner": "a", "case": "x", "seed": seed, "status": status, "value": value}
        for seed, status, value in ((2, "done", 20), (0, "done", 0), (1, "failed", 10))
    ]
    found = metrics.grouped(rows, lambda row: row["value"])
    np.testing.assert_array_equal(found["a"]["x"], [0, 20])


@pytest.mark.parametrize("budget", [100, 640, 24_000])
def test_checks_are_dense_at_first_and_end_at_the_budget(budget):
    grid = check_grid(budget)
    assert grid[-1] == budget and grid[0] == 32
    assert all(point % 32 == 0 for point in grid[:-1])
    steps = np.diff(grid[:-1])
    assert (steps > 0).all()
    early = [b - a for a, b in itertools.pairwise(grid[:-1]) if b <= 640]
    assert set(early) <= {32}
    assert all(b <= 1.125 * a for a, b in itertools.pairwise(grid) if a >= 640)


# --- Wording --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Estimate(1056, 900.4, 5000, 10), "1,056 [900, 5,000]"),
        (Estimate(INF, 12000, INF, 10), "> 24,000 [12,000, > 24,000]"),
        (Estimate(0.4123, 0.04123, 12.345, 10), "0.412 [0.0412, 12.3]"),
    ],
)
def test_numbers_and_what_is_censored(found, text):
    assert wording.bounded(found, 24_000) == text


def test_not_reached_without_a_budget():
    assert wording.bounded(Estimate(INF, 2.0, INF, 3)) == "not reached [2, not reached]"


def test_words_follow_from_the_interval():
    words = ("fewer", "more", "not told apart")
    cases = {(0.51, 1.0): "fewer", (0.0, 0.49): "more", (0.4, 0.9): "not told apart"}
    for (low, high), word in cases.items():
        assert wording.told_apart(Estimate(0.5, low, high, 1), words) == word
    assert [wording.sign(Estimate(0, *ends, 1)) for ends in ((1, 2), (-2, -1), (-1, 1))] == [
        1,
        -1,
        0,
    ]


def test_lists_and_counts():
    assert wording.listed(["a", "b", "c"]) == "a, b and c"
    assert wording.listed(["a"]) == "a"
    assert wording.counted([1], "seed") == "1 seed"
    assert wording.counted([9, 10], "seed") == "9 to 10 seeds"
