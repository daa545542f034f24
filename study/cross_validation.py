"""Repeated, grouped cross-validation: the folds, and the interval of what is measured on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from study.statistics import LEVEL, Estimate

FOLDS = 10


def folds(
    liked: NDArray[np.bool_], groups: NDArray[np.int64], seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield training and test indices of ten folds; no group is ever on both sides.

    Folds hold about the same share of likes (scikit-learn's `StratifiedGroupKFold`); they depend on
    the seed alone, and so are the same for every learner.

    Args:
        liked: (n,).
        groups: (n,) rows that tell too much of each other have the same number, see
            `music_env.songs.related_songs`.
        seed: of the shuffling.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    split = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    yield from split.split(np.zeros(len(liked)), liked, groups)


def corrected_mean(values: NDArray[Any], *, level: float = LEVEL) -> Estimate:
    """Return the mean over the folds of repeated cross-validation, with a corrected t interval.

    Folds share most of their training data, and repetitions all of their data: an interval that
    takes them for independent, as a bootstrap of folds would, is several times too narrow. Nadeau
    & Bengio ("Inference for the generalization error", Machine Learning 52, 2003) therefore add
    the ratio of test to training rows to 1 / n in the variance of the mean; for repeated
    cross-validation see Bouckaert & Frank (PAKDD 2004).

    Args:
        values: (n_repetitions, n_folds) of one learner, or differences of two on the same folds.
        level: of the interval.

    Returns:
        The mean; the interval's ends are ``nan`` for a single value.
    """
    flat = np.asarray(values, dtype=np.float64)
    n, value = flat.size, float(flat.mean())
    if n < 2:
        return Estimate(value, float("nan"), float("nan"), n)
    test_to_training = 1 / (flat.shape[-1] - 1)
    error = np.sqrt((1 / n + test_to_training) * flat.var(ddof=1))
    half = float(scipy.stats.t.ppf((1 + level) / 2, n - 1) * error)
    return Estimate(value, value - half, value + half, n)
