"""Which tracks the sessions of MusicRecSession-v0 show, and which labels each of them has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from music_env.labels import Labels, read_only


def retrieved(
    fresh: NDArray[np.float64],
    candidates: NDArray[np.int64],
    enjoyed_share: float | None,
    length: int,
) -> NDArray[np.int64]:
    """Return the pool of tracks that sessions show, as after a retrieval stage.

    The tracks that are enjoyed most, so many that those enjoyed fresh (above 0) are a given share
    of them; where one has to choose among equals, those that stand first.

    Args:
        fresh: (n_tracks,) float64: the enjoyment of each fresh track.
        candidates: (n,) the tracks to choose from.
        enjoyed_share: above 0 and at most 1; None: all candidates.
        length: the pool has at least so many tracks.

    Returns:
        (n_pool,) int64, sorted, read-only.

    Raises:
        ValueError: ``enjoyed_share`` is out of range.
    """
    if enjoyed_share is None:
        return read_only(np.sort(candidates))
    is_number = isinstance(enjoyed_share, int | float) and not isinstance(enjoyed_share, bool)
    if not is_number or not 0 < enjoyed_share <= 1:
        raise ValueError(
            f"enjoyed_share must be above 0 and at most 1, or None, got {enjoyed_share!r}"
        )
    enjoyed = int(np.count_nonzero(fresh[candidates] > 0))
    n_pool = min(len(candidates), max(length, round(enjoyed / enjoyed_share)))
    best = np.argsort(-fresh[candidates], kind="stable")[:n_pool]
    return read_only(np.sort(candidates[best]))


def label_slots(labels: Labels) -> NDArray[np.int64]:
    """Return (n_tracks, n_slots) int64, read-only: each track's labels, then ``n_labels``."""
    counts = labels.counts
    slots = np.full((len(counts), max(1, int(counts.max(initial=0)))), len(labels.vocabulary))
    for slot in range(slots.shape[1]):
        has = counts > slot
        slots[has, slot] = labels.codes[labels.indptr[:-1][has] + slot]
    return read_only(slots.astype(np.int64))
