"""Policies that a learner has to beat, and the oracle that none can.

None of them learns. Genre-only and the oracle know the listener; the others know the catalogue.
"""

from __future__ import annotations

import numpy as np

from agents.evaluation import TrackPolicy
from music_env.catalogue import Catalogue
from music_env.tables import Tables

# The column that says how many people hear a track, first one that the catalogue has.
_POPULARITY = ("popularity", "rank")


def baselines(tables: Tables, *, seed: int = 0) -> list[TrackPolicy]:
    """Return the baselines for a listener of a catalogue, weakest first, the oracle last.

    - ``random``: a fair coin for each decision, a ranking drawn by ``seed``.
    - ``always like``, ``always dislike``: one decision for all, tracks in random order.
    - ``popularity``: likes the more popular half of the tracks (above the median), ranks by it;
      left out where the catalogue has no such column.
    - ``genre only``: likes the preferred genre, nothing else; left out where the genre is open.
    - ``oracle``: knows every score.
    """
    n_tracks = tables.catalogue.n_tracks
    generator = np.random.default_rng(seed)
    same = np.zeros(n_tracks)
    policies = [
        TrackPolicy("random", lambda: generator.random(n_tracks), None),
        TrackPolicy("always like", lambda: same, np.ones(n_tracks, dtype=np.bool_)),
        TrackPolicy("always dislike", lambda: same, np.zeros(n_tracks, dtype=np.bool_)),
    ]
    popularity = popularity_of(tables.catalogue)
    if popularity is not None:
        likes = popularity > np.median(popularity)
        policies.append(TrackPolicy("popularity", lambda: popularity, likes))
    if tables.preference.genre is not None:
        matches = tables.catalogue.genres.has(tables.preference.genre)
        policies.append(TrackPolicy("genre only", lambda: matches.astype(np.float64), matches))
    scores = tables.scores.total
    policies.append(TrackPolicy("oracle", lambda: scores, scores > 0))
    return policies


def popularity_of(catalogue: Catalogue) -> np.ndarray | None:
    """Return (n_tracks,) how popular tracks are; None where the catalogue does not say."""
    for name in _POPULARITY:
        if name in catalogue.features:
            return np.nan_to_num(catalogue.features[name], nan=-1.0)  # unknown: least popular
    return None
