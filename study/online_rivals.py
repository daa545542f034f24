"""Who recommends to one person in the study of online use: ours, and what it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from agents.baselines import popularity_of
from agents.linear_bandits import LinUCB
from agents.online import OnlineRecommender
from agents.online_listener import OnlineListener
from agents.tabular import q_learning_update
from agents.training import QLearningSettings
from agents.vec_env import GymVecEnv, make_native
from music_env import Action, Catalogue
from music_env.encoding import encode
from music_env.songs import same_songs

OURS, FROZEN = "policy-online", "policy-frozen"
POLICIES = (OURS, FROZEN)
"""They start from the policy for every listener; only the first learns from presses."""

ORACLE = "oracle"
"""Knows what is liked: the most that any recommender can reach, of each song one track."""


class Recommending(Protocol):
    """Recommends tracks that it has not shown yet."""

    def best_tracks(self) -> NDArray[np.int64]:
        """Return the tracks of which the next is drawn, each with the same probability."""

    def next_track(self) -> int | None:
        """Return the next track."""

    def feedback(self, track: int, liked: bool) -> None:
        """Learn from a press."""


class _Shown:
    """Tracks in the order of a value, each song once."""

    def __init__(self, catalogue: Catalogue, seed: int) -> None:
        self._generator = np.random.default_rng(seed)
        self._song_of = same_songs(catalogue)
        self._is_new = np.ones(catalogue.n_tracks, dtype=np.bool_)

    def equally_good(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the new tracks of the greatest value."""
        values = np.where(self._is_new, values, -np.inf)
        return np.flatnonzero(values == values.max())

    def best(self, values: NDArray[np.float64]) -> int:
        """Return any new track of the greatest value; its song is then shown."""
        track = int(self._generator.choice(self.equally_good(values)))
        self._is_new[self._song_of == self._song_of[track]] = False
        return track


class Frozen:
    """The policy for every listener, which does not listen."""

    def __init__(self, listener: OnlineListener) -> None:
        self._listener = listener

    def best_tracks(self) -> NDArray[np.int64]:
        """Return the tracks that the policy expects most of."""
        return self._listener.best_tracks()

    def next_track(self) -> int | None:
        """Return the track that the policy expects most of."""
        return self._listener.next_track()

    def feedback(self, track: int, liked: bool) -> None:
        """Learn nothing."""


class Fixed:
    """Tracks by a value that is known beforehand."""

    def __init__(self, values: NDArray[np.float64], catalogue: Catalogue, seed: int) -> None:
        self._values, self._shown = values, _Shown(catalogue, seed)

    def best_tracks(self) -> NDArray[np.int64]:
        """Return the best of the new ones."""
        return self._shown.equally_good(self._values)

    def next_track(self) -> int:
        """Return one of the best."""
        return self._shown.best(self._values)

    def feedback(self, track: int, liked: bool) -> None:
        """Learn nothing."""


class Tabular:
    """Q-learning from nothing over ``profile`` states: the state's Q(like) - Q(dislike).

    What is shown is liked or not: +1 or -1 for the action *like*. A state of which nothing is known
    stands between the liked and the disliked ones.
    """

    def __init__(self, catalogue: Catalogue, seed: int) -> None:
        encoded = encode(catalogue, "profile")
        assert isinstance(encoded.space, gym.spaces.Discrete)
        self._states = encoded.rows.take(np.arange(catalogue.n_tracks))
        self._table = np.zeros((int(encoded.space.n), len(Action)))
        self._visits = np.zeros(self._table.shape, dtype=np.int64)
        self._shown = _Shown(catalogue, seed)

    def best_tracks(self) -> NDArray[np.int64]:
        """Return the new tracks of the best states."""
        return self._shown.equally_good(self._track_values())

    def next_track(self) -> int:
        """Return a new track of the best state."""
        return self._shown.best(self._track_values())

    def _track_values(self) -> NDArray[np.float64]:
        values = self._table[:, Action.LIKE] - self._table[:, Action.DISLIKE]
        return np.asarray(values[self._states])

    def feedback(self, track: int, liked: bool) -> None:
        """Update the state's value."""
        state = self._states[[track]]
        q_learning_update(
            self._table,
            self._visits,
            state,
            np.array([int(Action.LIKE)]),
            np.array([1.0 if liked else -1.0]),
            state,
            np.array([True]),
            learning_rate=QLearningSettings().learning_rate,
            gamma=0.0,
        )


class UpperBounds:
    """LinUCB from nothing, by mabwiser: the track of the highest bound of *like*.

    With the default settings of `agents.LinUCB`, updated at every press.
    """

    def __init__(self, catalogue: Catalogue, seed: int) -> None:
        env = make_native(
            "MusicRec-v0",
            1,
            catalogue=catalogue,
            encoding="codes",
            session_length=1,  # it is never stepped: the learner reads its spaces
        )
        self._learner = LinUCB(GymVecEnv(env), batch_size=1, seed=seed)
        encoded = encode(catalogue, "codes")
        self._observations = encoded.rows.take(np.arange(catalogue.n_tracks))
        self._shown = _Shown(catalogue, seed)

    def best_tracks(self) -> NDArray[np.int64]:
        """Return the new tracks of the highest bound."""
        return self._shown.equally_good(self._bounds())

    def next_track(self) -> int:
        """Return the new track of the highest bound."""
        return self._shown.best(self._bounds())

    def _bounds(self) -> NDArray[np.float64]:
        return self._learner.upper_bounds(self._observations, Action.LIKE)

    def feedback(self, track: int, liked: bool) -> None:
        """Update the regression."""
        self._learner.update(
            self._observations[[track]],
            np.array([int(Action.LIKE)]),
            np.array([1.0 if liked else -1.0]),
        )


@dataclass(frozen=True)
class Newcomer:
    """Somebody to recommend to.

    Attributes:
        catalogue: the tracks.
        liked: (n_tracks,) bool: what the person likes; for the oracle alone.
        stated: what is told at the start, as keyword arguments of `OnlineRecommender.newcomer`.
        seed: of everything that is drawn for this person.
    """

    catalogue: Catalogue
    liked: NDArray[np.bool_]
    stated: Mapping[str, Any]
    seed: int


Meet = Callable[[Newcomer, OnlineRecommender | None], Recommending]


def _popular(newcomer: Newcomer, _: OnlineRecommender | None) -> Recommending:
    values = popularity_of(newcomer.catalogue)
    assert values is not None, "left out where the catalogue says nothing of popularity"
    return Fixed(values, newcomer.catalogue, newcomer.seed)


def _ours(newcomer: Newcomer, recommender: OnlineRecommender | None) -> OnlineListener:
    assert recommender is not None
    return recommender.newcomer(**newcomer.stated, seed=newcomer.seed)


MEET: dict[str, Meet] = {
    OURS: _ours,
    FROZEN: lambda newcomer, recommender: Frozen(_ours(newcomer, recommender)),
    "q-learning": lambda newcomer, _: Tabular(newcomer.catalogue, newcomer.seed),
    "linucb": lambda newcomer, _: UpperBounds(newcomer.catalogue, newcomer.seed),
    "popularity": _popular,
    "random": lambda newcomer, _: Fixed(
        np.zeros(newcomer.catalogue.n_tracks), newcomer.catalogue, newcomer.seed
    ),
    ORACLE: lambda newcomer, _: Fixed(
        newcomer.liked.astype(np.float64), newcomer.catalogue, newcomer.seed
    ),
}
"""Name -> how it meets a newcomer."""
