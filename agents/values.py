"""The value of a track: Q(like) - Q(dislike), as a learner sees it."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from music_env.encoding import Encoded
from music_env.listeners import Listeners
from music_env.pairs import PairEncoded

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

    Raises:
        TypeError: if the rows are of pairs of a track and a listener.
    """
    if isinstance(encoded, PairEncoded):
        raise TypeError(
            "this encoding is of pairs of a track and a listener, whose preference decides: use "
            "pair_values, or OnlineRecommender.of_env(learner, env).newcomer(preference, "
            "unknown=()).shortlist(k)"
        )
    if tracks is None:
        tracks = np.arange(encoded.n_tracks)
    values = np.empty(len(tracks))
    for start in range(0, len(tracks), CHUNK):
        part = slice(start, start + CHUNK)
        q = learner.q_values(encoded.rows.take(tracks[part]))
        np.subtract(q[:, 1], q[:, 0], out=values[part], dtype=np.float64)
    return values


def pair_values(
    learner: Learner, encoded: PairEncoded, listeners: Listeners, tracks: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return Q(like) - Q(dislike) of pairs of a track and a listener.

    Args:
        learner: trained on MusicRecAnyListener-v0 of this encoding.
        encoded: the encoding of pairs.
        listeners: (n,) row i judges track i; or one, who judges all.
        tracks: (n,) indices into the catalogue.

    Returns:
        (n,) float64, see `track_values`.
    """
    rows = encoded.listeners(listeners)
    values = np.empty(len(tracks))
    for start in range(0, len(tracks), CHUNK):
        part = slice(start, start + CHUNK)
        observations = encoded.pairs(tracks[part], rows if len(rows) == 1 else rows[part])
        q = learner.q_values(observations)
        np.subtract(q[:, 1], q[:, 0], out=values[part], dtype=np.float64)
    return values
