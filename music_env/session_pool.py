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
    of them; where one has to choose among equals, those that stand first. Where more than that
    share of the candidates is enjoyed, all others are in the pool, and of the enjoyed ones so many
    as make the share, or the least length: evenly spread over their order from the most enjoyed to
    the least, so that the pool's are enjoyed as much as all are.

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
    wanted = round(enjoyed / enjoyed_share)
    order = candidates[np.argsort(-fresh[candidates], kind="stable")]
    if wanted <= len(candidates):
        return read_only(np.sort(order[: max(length, wanted)]))
    others = len(candidates) - enjoyed
    kept = max(1, round(others * enjoyed_share / (1 - enjoyed_share)), length - others)
    kept = min(kept, enjoyed)  # a length beyond all candidates is the caller's to refuse
    places = (2 * np.arange(kept) + 1) * enjoyed // (2 * kept)
    return read_only(np.sort(np.append(order[places], order[enjoyed:])))


def label_slots(labels: Labels) -> NDArray[np.int64]:
    """Return (n_tracks, n_slots) int64, read-only: each track's labels, then ``n_labels``."""
    counts = labels.counts
    slots = np.full((len(counts), max(1, int(counts.max(initial=0)))), len(labels.vocabulary))
    for slot in range(slots.shape[1]):
        has = counts > slot
        slots[has, slot] = labels.codes[labels.indptr[:-1][has] + slot]
    return read_only(slots.astype(np.int64))
