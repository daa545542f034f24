"""Statistics over runs: numbers in, numbers with intervals out; numpy and scipy only.

Runs are strata: an array of scores is (n_runs, n_tasks), where a task is an environment or a
listener and its runs differ by the seed. Intervals are percentiles of a stratified bootstrap, which
draws runs with replacement within each task and never across tasks (Agarwal et al., "Deep
reinforcement learning at the edge of the statistical precipice", NeurIPS 2021).

Censored values, a regret that a run did not reach within its budget, are ``inf``. A median needs to
know only that they are larger than all others, so `median` takes them as they are and is ``inf``
itself where half of the runs or more did not get there. The mean of anything with ``inf`` is
``inf``: `iqm` is finite as long as fewer than a quarter of all runs are censored, for these are
trimmed away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Statistic = Callable[[Sequence[Floats]], Floats]
"""From each task's (..., n_runs) to (...): so that many resamples are one call."""

RESAMPLES = 2_000
"""Bootstrap resamples, as in Agarwal et al. (2021), section 4.2."""

MIN_RUNS = 5
"""Runs of a task below which there is no interval; its ends are ``nan`` then. A bootstrap of few
runs is too narrow: of three of one task it covers three quarters of the time, of five nine tenths,
instead of 95 %."""

FULL_RUNS = 10
"""Runs of a task below which what is concluded from an interval has a caution beside it."""

LEVEL = 0.95
"""Share of the resampled values that lies between the two ends of an interval."""


@dataclass(frozen=True)
class Estimate:
    """A statistic with its interval.

    Attributes:
        value: of the runs themselves.
        low: lower end of the interval.
        high: upper end; either end is ``inf`` where censored runs reach that far, and ``nan``
            where a task has fewer than `MIN_RUNS`.
        n_runs: the number of runs it is made from, over all tasks.
        fewest: the number of runs of the task that has the fewest.
    """

    value: float
    low: float
    high: float
    n_runs: int
    fewest: int = FULL_RUNS


def iqm(scores: Sequence[Floats]) -> Floats:
    """Return the interquartile mean: of the middle half of all runs of all tasks, pooled.

    Args:
        scores: for each task (..., n_runs).

    Returns:
        (...).
    """
    pooled = np.concatenate(scores, axis=-1)
    return np.asarray(scipy.stats.trim_mean(pooled, 0.25, axis=-1))


def median(scores: Sequence[Floats]) -> Floats:
    """Return the median of all runs of all tasks, pooled; ``inf`` counts as the largest.

    Of an even number of runs it is the mean of the middle two. Shapes as for `iqm`.
    """
    return np.asarray(np.median(np.concatenate(scores, axis=-1), axis=-1))


def mean(scores: Sequence[Floats]) -> Floats:
    """Return the mean over the tasks of the mean over each task's runs. Shapes as for `iqm`."""
    return np.asarray(np.mean([task.mean(axis=-1) for task in scores], axis=0))


def probability_of_improvement(first: Sequence[Floats], second: Sequence[Floats]) -> Floats:
    """Return the probability that a run of the first beats one of the second on the same task.

    Mean over the tasks of the Mann-Whitney statistic: the share of all pairs of runs in which the
    first is larger, where a tie counts half (Agarwal et al. 2021, section 4.3). Two censored runs
    tie.

    Args:
        first: for each task (..., n_runs), larger is better (hand in negative values where smaller
            is).
        second: the same for the same tasks in the same order; run counts may differ.

    Returns:
        (...).

    Raises:
        ValueError: if they have different numbers of tasks, or none.
    """
    if len(first) != len(second) or not first:
        raise ValueError(
            "a probability of improvement needs the same tasks on both sides, at least one, got "
            f"{len(first)} and {len(second)}"
        )
    shares = []
    for ours, theirs in zip(first, second, strict=True):
        larger = (ours[..., :, None] > theirs[..., None, :]).mean(axis=(-2, -1))
        equal = (ours[..., :, None] == theirs[..., None, :]).mean(axis=(-2, -1))
        shares.append(larger + equal / 2)
    return np.asarray(np.mean(shares, axis=0))


def estimate(
    statistic: Statistic,
    scores: Sequence[Floats],
    *,
    generator: np.random.Generator,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Return a statistic of some runs with its stratified bootstrap interval.

    Args:
        statistic: `iqm`, `median`, `mean`, or any function of the list of tasks' runs.
        scores: for each task (n_runs,).
        generator: draws the resamples.
        level: share of the resampled values between the two ends.
        resamples: how many are drawn.

    Raises:
        ValueError: if a task has no run, or there is no task.
    """
    _check(scores)
    low, high = _ends(statistic(_resampled(scores, generator, resamples)), level, scores)
    return Estimate(float(statistic(scores)), low, high, sum(map(len, scores)), _fewest(scores))


def improvement(
    first: Sequence[Floats],
    second: Sequence[Floats],
    *,
    generator: np.random.Generator,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Return `probability_of_improvement` with its interval: both sides are resampled."""
    _check(first)
    _check(second)
    drawn = probability_of_improvement(
        _resampled(first, generator, resamples), _resampled(second, generator, resamples)
    )
    low, high = _ends(drawn, level, [*first, *second])
    n_runs = sum(map(len, first)) + sum(map(len, second))
    value, fewest = float(probability_of_improvement(first, second)), _fewest([*first, *second])
    return Estimate(value, low, high, n_runs, fewest)


def difference(
    statistic: Statistic,
    first: Sequence[Floats],
    second: Sequence[Floats],
    *,
    generator: np.random.Generator,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Return the first's statistic minus the second's, with its interval: both are resampled.

    Only for uncensored scores: ``inf`` minus ``inf`` is not a number.
    """
    _check(first)
    _check(second)
    ours = statistic(_resampled(first, generator, resamples))
    theirs = statistic(_resampled(second, generator, resamples))
    low, high = _ends(ours - theirs, level, [*first, *second])
    n_runs = sum(map(len, first)) + sum(map(len, second))
    value, fewest = float(statistic(first) - statistic(second)), _fewest([*first, *second])
    return Estimate(value, low, high, n_runs, fewest)


def mean_of_clusters(
    clusters: Sequence[Floats],
    *,
    generator: np.random.Generator,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Return the mean of all values, with the interval of a two-stage bootstrap.

    For values that share something with the others of their cluster, such as persons who are served
    by the same trained policy: a resample draws clusters with replacement, and of each one drawn
    values with replacement (A. C. Davison, D. V. Hinkley, "Bootstrap Methods and their
    Application", Cambridge 1997, section 3.8). It errs on the wide side. Of fewer than `MIN_RUNS`
    clusters the ends are ``nan``.

    Args:
        clusters: (n_values,) each, of any sizes.
        generator: draws the resamples.
        level: share of the resampled values between the two ends.
        resamples: how many are drawn.

    Returns:
        The estimate; its ``n_runs`` is the number of values.

    Raises:
        ValueError: there is no cluster, or one without a value.
    """
    _check(clusters)
    sizes = np.array([len(cluster) for cluster in clusters])
    place = np.arange(sizes.max())
    padded = np.zeros((len(clusters), len(place)))
    for row, cluster in zip(padded, clusters, strict=True):
        row[: len(cluster)] = cluster
    sums, counts = np.zeros(resamples), np.zeros(resamples)
    for drawn in generator.integers(len(clusters), size=(len(clusters), resamples)):
        size = sizes[drawn][:, None]
        values = padded[drawn[:, None], generator.integers(size, size=(resamples, len(place)))]
        sums += np.where(place < size, values, 0).sum(axis=1)
        counts += size[:, 0]
    low, high = _ends(sums / counts, level, [sizes.astype(np.float64)])
    value = float(np.concatenate(clusters).mean())
    return Estimate(value, low, high, int(sizes.sum()))


def exact_share(hits: int, n: int, *, level: float = LEVEL) -> Estimate:
    """Return a share of independent trials with its interval by Clopper and Pearson (1934)."""
    found = scipy.stats.binomtest(hits, n).proportion_ci(level, method="exact")
    return Estimate(hits / n, float(found.low), float(found.high), n)


@dataclass(frozen=True)
class Curve:
    """A statistic at each point of a grid, with pointwise intervals.

    Attributes:
        at: (n_points,) steps or judged tracks.
        value: (n_points,).
        low: (n_points,) lower ends.
        high: (n_points,) upper ends.
    """

    at: Floats
    value: Floats
    low: Floats
    high: Floats


def efficiency_curve(
    curves: Sequence[Floats],
    at: Floats,
    *,
    generator: np.random.Generator,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> Curve:
    """Return the sample-efficiency curve: the IQM over all runs at each point, with intervals.

    A run is resampled whole, with all of its points, so that neighbouring points share their
    resamples; the intervals are pointwise.

    Args:
        curves: for each task (n_runs, n_points).
        at: (n_points,) where the points lie.
        generator: draws the resamples.
        level: share of the resampled values between the two ends.
        resamples: how many are drawn.
    """
    _check(curves)
    places = [_places(len(task), generator, resamples) for task in curves]
    # A point at a time: all of them at once would be gigabytes.
    drawn = np.stack(
        [
            iqm([task[:, i][where] for task, where in zip(curves, places, strict=True)])
            for i in range(len(at))
        ],
        axis=1,
    )  # (resamples, n_points)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    value = iqm([task.T for task in curves])
    return Curve(np.asarray(at, dtype=np.float64), value, low, high)


def _resampled(
    scores: Sequence[Floats], generator: np.random.Generator, resamples: int
) -> list[Floats]:
    """Return for each task (resamples, n_runs)."""
    return [task[_places(len(task), generator, resamples)] for task in scores]


def _places(n_runs: int, generator: np.random.Generator, resamples: int) -> NDArray[np.int64]:
    return generator.integers(n_runs, size=(resamples, n_runs))


def _ends(drawn: Floats, level: float, runs: Sequence[Floats]) -> tuple[float, float]:
    if _fewest(runs) < MIN_RUNS:
        return float("nan"), float("nan")
    # No interpolation: between a number and inf there is nothing to interpolate.
    low = np.quantile(drawn, (1 - level) / 2, method="lower")
    high = np.quantile(drawn, (1 + level) / 2, method="higher")
    return float(low), float(high)


def _fewest(scores: Sequence[Floats]) -> int:
    return min(map(len, scores))


def _check(scores: Sequence[Floats]) -> None:
    if not scores or any(len(task) == 0 for task in scores):
        raise ValueError(
            "statistics need at least one task and one run for each, got runs per task: "
            f"{[len(task) for task in scores]}"
        )
