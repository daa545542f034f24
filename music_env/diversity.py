"""What a policy plays, beyond reward: coverage, diversity, novelty, repeats; numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.encoding import SCALES
from music_env.labels import Labels

POPULARITY = ("popularity", "rank")
"""The columns that say how well known a track is, the first that a catalogue has."""


@dataclass(frozen=True)
class Diversity:
    """Figures of many sessions; one that has nothing to count is ``nan``.

    Attributes:
        coverage: the share of the tracks that could be played that was played in any session, 0 to
            1: catalogue coverage (Ge, Delgado-Battenfeld and Jannach, "Beyond accuracy: evaluating
            recommender systems by coverage and serendipity", RecSys 2010). It grows with the number
            of sessions: compare policies over equally many.
        intra_list_diversity: how unlike each other the tracks of a session are, 0 to 1: the mean
            distance of two of them, by the mean over the sessions that have two (Ziegler, McNee,
            Konstan and Lausen, "Improving recommendation lists through topic diversification", WWW
            2005; as a distance: Zhang and Hurley, "Avoiding monotony", RecSys 2008). The distance
            of two tracks is Jaccard's, of their sets of genres: 0 for the same genres, 1 for none
            in common. Tracks without a genre are left out.
        novelty: how little known a track played is, 0 to 1, by the mean over plays: the expected
            popularity complement (Vargas and Castells, "Rank and relevance in novelty and diversity
            metrics for recommender systems", RecSys 2011), 1 less the popularity. That is the
            catalogue's column (`POPULARITY`) on the scale of `music_env.encoding.SCALES`, tracks of
            unknown popularity left out; in a catalogue without one, the share of these sessions
            that played the track.
        repeat_rate: the share of plays of an artist who was already played in the session, 0 to 1
            (of a track of several artists: any of them). No session plays a track twice.
        session_length: [steps], by the mean over sessions, passes included.
    """

    coverage: float
    intra_list_diversity: float
    novelty: float
    repeat_rate: float
    session_length: float


def session_diversity(
    catalogue: Catalogue,
    played: Sequence[NDArray[np.int64]],
    lengths: NDArray[np.int64],
    *,
    candidates: NDArray[np.int64] | None = None,
) -> Diversity:
    """Return how diverse is what was played.

    Args:
        catalogue: the tracks.
        played: of each session the catalogue indices of the tracks played, in order, (n_plays,)
            whole numbers; empty where none was.
        lengths: (n_sessions,) how many steps each session had.
        candidates: the catalogue indices of the tracks that could be played, such as ``tracks`` of
            an environment, of which `Diversity.coverage` is the share; None: the whole catalogue.

    Raises:
        ValueError: there is no session, the numbers of sessions differ, an index is none of the
            catalogue's (or candidates'), or a session is shorter than what it played.
    """
    lengths = np.asarray(lengths)
    if not len(played) or lengths.shape != (len(played),):
        raise ValueError(
            "lengths must be one number for each session in played, at least one, got shape "
            f"{lengths.shape} for {len(played)} sessions"
        )
    counts = np.array([len(tracks) for tracks in played])
    short = np.flatnonzero(lengths < counts)
    if short.size:
        session = int(short[0])
        raise ValueError(
            f"session {session} has {lengths[session]} steps, fewer than the {counts[session]} "
            "tracks that it played"
        )
    tracks = np.concatenate([np.asarray(tracks, dtype=np.int64) for tracks in played])
    could = np.ones(catalogue.n_tracks, dtype=np.bool_)
    if candidates is not None:
        could[:] = False
        could[candidates] = True
    outside = tracks[(tracks < 0) | (tracks >= catalogue.n_tracks)]
    if not outside.size:
        outside = tracks[~could[tracks]]
    if outside.size:
        raise ValueError(
            f"played holds {int(outside[0])}, which is none of the {int(could.sum())} tracks that "
            "could be played"
        )
    sessions = np.repeat(np.arange(len(played)), counts)
    return Diversity(
        coverage=len(np.unique(tracks)) / int(could.sum()),
        intra_list_diversity=_mean([_spread(catalogue.genres, tracks) for tracks in played]),
        novelty=_mean(1 - _popularity(catalogue, tracks, sessions, len(played))),
        repeat_rate=_mean(_repeats(catalogue.artists, tracks, sessions)),
        session_length=float(lengths.mean()),
    )


def _mean(values: Sequence[float] | NDArray[np.float64]) -> float:
    """Return the mean of what is not ``nan``, ``nan`` where nothing is left."""
    array = np.asarray(values, dtype=np.float64)
    array = array[~np.isnan(array)]
    return float(array.mean()) if array.size else float("nan")


def _spread(labels: Labels, tracks: NDArray[np.int64]) -> float:
    """Return the mean Jaccard distance of two tracks, ``nan`` where there are not two."""
    tracks = np.asarray(tracks, dtype=np.int64)
    tracks = tracks[labels.counts[tracks] > 0]
    if len(tracks) < 2:
        return float("nan")
    places, codes = _entries(labels, tracks)
    _, columns = np.unique(codes, return_inverse=True)
    held = np.zeros((len(tracks), int(columns.max()) + 1))
    held[places, columns] = 1
    shared, sizes = held @ held.T, held.sum(axis=1)
    distances = 1 - shared / (sizes[:, None] + sizes - shared)
    # The diagonal is 0.
    return float(distances.sum()) / (len(tracks) * (len(tracks) - 1))


def _popularity(
    catalogue: Catalogue, tracks: NDArray[np.int64], sessions: NDArray[np.int64], n_sessions: int
) -> NDArray[np.float64]:
    """Return (n_plays,) float64, 0 to 1: the popularity of each track played, ``nan`` unknown."""
    for name in POPULARITY:
        if name in catalogue.features:
            low, high = SCALES[name]
            scaled: NDArray[np.float64] = np.clip(
                (catalogue.features[name][tracks] - low) / (high - low), 0, 1
            )
            return scaled
    pairs = np.unique(np.stack([tracks, sessions]), axis=1)
    shares = np.bincount(pairs[0], minlength=catalogue.n_tracks) / n_sessions
    return shares[tracks]


def _repeats(
    labels: Labels, tracks: NDArray[np.int64], sessions: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return (n_plays,) 1 where a label of the track was played earlier in its session, else 0."""
    places, codes = _entries(labels, tracks)
    keys = sessions[places] * (len(labels.vocabulary) + 1) + codes
    first = np.zeros(len(keys), dtype=np.bool_)
    first[np.unique(keys, return_index=True)[1]] = True
    repeats = np.zeros(len(tracks))
    repeats[places[~first]] = 1
    return repeats


def _entries(
    labels: Labels, tracks: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (n_entries,) each: places in ``tracks`` and codes, an entry a label of a track."""
    counts = labels.counts[tracks]
    within = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    codes = labels.codes[np.repeat(labels.indptr[:-1][tracks], counts) + within]
    return np.repeat(np.arange(len(tracks)), counts), codes.astype(np.int64)
