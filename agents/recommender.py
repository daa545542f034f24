"""The ranking: tracks by Q(like) - Q(dislike); and the recommender that learns from a person."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.online import OnlineRecommender
from agents.online_listener import Expectation, OnlineListener
from agents.values import CHUNK, Learner, pair_values, track_values
from music_env.encoding import Encoded
from music_env.metrics import top_k

__all__ = [
    "CHUNK",
    "Expectation",
    "Learner",
    "OnlineListener",
    "OnlineRecommender",
    "pair_values",
    "recommend",
    "track_values",
]


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
