"""Decision, ranking and regret figures, from arrays of scores, actions and Q-values; numpy only.

``scores`` are a listener's: the reward of *like*; *dislike* earns the negative. A track is to like
where its score is above 0, to dislike where below; at 0 both actions are right. Figures are numbers
for one listener; a figure that has no tracks to count is ``nan``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def decision_figures(scores: ArrayLike, actions: ArrayLike) -> dict[str, float]:
    """Return how good the decisions are, per track.

    Args:
        scores: (n,) the listener's scores.
        actions: (n,) the decisions, 1 like and 0 dislike.

    Returns:
        ``decision_accuracy``: the share of decisions that are right. ``balanced_accuracy``: the
        mean of the shares right among the tracks to like and among those to dislike (of the one
        kind there is, if only one). ``precision``: of the tracks liked, the share to like.
        ``recall``: of the tracks to like, the share liked. ``f1``: their harmonic mean.
        ``mean_reward`` and ``oracle_mean_reward``: per track, of these decisions and of always
        choosing the better one. ``relative_regret``: what is missing of the oracle's, as a share
        of it; 0 where there is nothing to earn.
    """
    scores = np.asarray(scores, dtype=np.float64)
    liked = np.asarray(actions).astype(bool)
    if scores.shape != liked.shape or scores.ndim != 1 or not len(scores):
        raise ValueError(
            f"scores and actions must be (n,) arrays, n >= 1, got {scores.shape} and {liked.shape}"
        )
    to_like, to_dislike = scores > 0, scores < 0
    wrong = (liked & to_dislike) | (~liked & to_like)
    hits = float((liked & to_like).sum())
    recall = _share(hits, to_like.sum())
    precision = _share(hits, (liked & (to_like | to_dislike)).sum())
    specificity = _share((~liked & to_dislike).sum(), to_dislike.sum())
    kinds = [share for share in (recall, specificity) if not np.isnan(share)]
    mean_reward = float(np.where(liked, scores, -scores).mean())
    oracle = float(np.abs(scores).mean())
    return {
        "decision_accuracy": float(1 - wrong.mean()),
        "balanced_accuracy": float(np.mean(kinds)) if kinds else 1.0,
        "precision": precision,
        "recall": recall,
        "f1": _share(2 * hits, 2 * hits + (wrong & (to_like | to_dislike)).sum()),
        "mean_reward": mean_reward + 0.0,
        "oracle_mean_reward": oracle,
        "relative_regret": _share(oracle - mean_reward, oracle) if oracle else 0.0,
    }


def top_k(
    values: ArrayLike, k: int, *, generator: np.random.Generator | None = None
) -> NDArray[np.int64]:
    """Return the indices of the ``k`` largest values, largest first.

    Args:
        values: (n,), e.g. Q(like) - Q(dislike) of every track.
        k: how many; all of them where there are fewer.
        generator: decides between equal values; without one the smaller index goes first.
    """
    values = np.asarray(values, dtype=np.float64)
    k = min(k, len(values))
    if generator is None:
        if k == 0 or len(values) < 4 * k:
            return np.argsort(-values, kind="stable")[:k]
        # Sorting all of a million to find ten costs 30 times as much as this.
        threshold = np.partition(values, len(values) - k)[len(values) - k]
        candidates = np.flatnonzero(values >= threshold)
        return candidates[np.argsort(-values[candidates], kind="stable")[:k]]
    shuffled = generator.permutation(len(values))
    order: NDArray[np.int64] = shuffled[top_k(values[shuffled], k)]
    return order


def ranking_figures(scores: ArrayLike, ranking: ArrayLike, k: int = 10) -> dict[str, float]:
    """Return how good the first ``k`` of a ranking are.

    Args:
        scores: (n,) the listener's scores of all tracks that could have been ranked.
        ranking: (at least k,) indices into ``scores``, best first.
        k: how many places count.

    Returns:
        For relevant meaning score > 0: ``hit_rate_at_k`` (1 if any of the k is relevant),
        ``precision_at_k`` (relevant among the k, divided by min(k, number relevant)),
        ``recall_at_k`` (divided by the number relevant), ``ndcg_at_k`` (gain max(score, 0),
        discount 1 / log2(1 + place); Jarvelin and Kekalainen, TOIS 2002) and ``mrr`` (1 / place of
        the first relevant one of the k, 0 if none), with the number in place of k.
    """
    scores = np.asarray(scores, dtype=np.float64)
    first = np.asarray(ranking, dtype=np.int64)[:k]
    if len(np.unique(first)) != len(first):
        raise ValueError(f"a ranking must not repeat a track, got {first.tolist()}")
    gains = np.maximum(scores, 0)
    relevant = int((scores > 0).sum())
    hits = scores[first] > 0
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = float((np.sort(gains)[::-1][:k] * discounts[: len(gains)]).sum())
    earned = float((gains[first] * discounts[: len(first)]).sum())
    return {
        f"hit_rate_at_{k}": float(hits.any()) if relevant else float("nan"),
        f"precision_at_{k}": _share(hits.sum(), min(k, relevant)),
        f"recall_at_{k}": _share(hits.sum(), relevant),
        f"ndcg_at_{k}": _share(earned, ideal),
        "mrr": float(1 / (1 + np.argmax(hits)))
        if hits.any()
        else (0.0 if relevant else float("nan")),
    }


def bootstrap_interval(
    values: ArrayLike,
    *,
    generator: np.random.Generator,
    level: float = 0.95,
    resamples: int = 10_000,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean (Efron, 1979).

    Args:
        values: (n,), e.g. the returns of n sessions.
        generator: draws the resamples.
        level: the share of resampled means between the two ends.
        resamples: how many are drawn.
    """
    values = np.asarray(values, dtype=np.float64)
    drawn = generator.integers(len(values), size=(resamples, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _share(
    part: float | np.integer | np.floating, whole: float | np.integer | np.floating
) -> float:
    return float(part) / float(whole) if whole else float("nan")
