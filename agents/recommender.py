"""The ranking: every track by Q(like) - Q(dislike)."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from music_env.encoding import Encoded
from music_env.metrics import top_k

CHUNK = 16_384
"""Tracks valued in one call: large enough to hide the calls, small enough to stay in the cache."""


class Learner(Protocol):
    """What the ranking needs of a learner: `QLearning` and `DuelingDQN` have it."""

    def q_values(self, observations: NDArray[Any]) -> NDArray[Any]:
        """Return (n, n_actions) action values of n observations."""


def track_values(
    learner: Learner, encoded: Encoded, tracks: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Return Q(like) - Q(dislike) of tracks.

    Args:
        learner: trained on observations of this encoding.
        encoded: the catalogue's rows.
        tracks: (n,) indices into the catalogue; default: every track.

    Returns:
        (n,) float64. Above 0 the learner likes the track, otherwise it dislikes it, as `predict`
        does when deterministic.
    """
    if tracks is None:
        tracks = np.arange(encoded.n_tracks)
    values = np.empty(len(tracks))
    for start in range(0, len(tracks), CHUNK):
        part = slice(start, start + CHUNK)
        q = learner.q_values(encoded.rows.take(tracks[part]))
        np.subtract(q[:, 1], q[:, 0], out=values[part], dtype=np.float64)
    return values


def recommend(
    learner: Learner,
    encoded: Encoded,
    k: int = 10,
    *,
    tracks: NDArray[np.int64] | None = None,
    generator: np.random.Generator | None = None,
) -> NDArray[np.int64]:
    """Return the ``k`` tracks that the learner values most, best first.

    Args:
        learner: trained on observations of this encoding.
        encoded: the catalogue's rows.
        k: how many; all of them where there are fewer.
        tracks: (n,) catalogue indices of the candidates; default: every track.
        generator: decides between equal values; without one the earlier track goes first.

    Returns:
        (k,) int64 indices into the catalogue.
    """
    best = top_k(track_values(learner, encoded, tracks), k, generator=generator)
    return best if tracks is None else tracks[best]
