"""Simple policies for sessions in which what is played has consequences; numpy only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.planning import KnowingPolicy
from music_env.affected_setup import Offers


class RandomPolicy:
    """Every action equally often: for each track a fair coin.

    Args:
        num_envs: sessions at a time.
        seed: of the draws.
        n_actions: how many actions there are.
    """

    def __init__(self, num_envs: int, *, seed: int = 0, n_actions: int = 2) -> None:
        self._num_envs, self._generator = num_envs, np.random.default_rng(seed)
        self._n_actions = n_actions

    def predict(
        self,
        observation: Any = None,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], None]:
        """Return (num_envs,) int64 actions; the arguments are not looked at."""
        return self._generator.integers(self._n_actions, size=self._num_envs), None


class AlwaysLike:
    """Plays every track.

    Args:
        num_envs: sessions at a time.
    """

    def __init__(self, num_envs: int) -> None:
        self._num_envs = num_envs

    def predict(
        self,
        observation: Any = None,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = True,
    ) -> tuple[NDArray[np.int64], None]:
        """Return (num_envs,) ones; the arguments are not looked at."""
        return np.ones(self._num_envs, dtype=np.int64), None


class FirstCandidate(KnowingPolicy):
    """Plays the first candidate of each slate that was not played before, as a shuffle would."""

    def _worths(self, offers: Offers) -> NDArray[np.float64]:
        first_highest = np.arange(offers.tracks.shape[1], 0, -1, dtype=np.float64)
        return np.broadcast_to(first_highest, offers.tracks.shape)


class BestFresh(KnowingPolicy):
    """Plays what would be enjoyed most if nothing had been played before: always the favourites."""

    def _worths(self, offers: Offers) -> NDArray[np.float64]:
        return self._tables.scores.total[offers.tracks]
