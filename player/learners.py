"""What a listener's session tells its learners, and the tabular one of them.

The other one is in `player.dueling_learner`. Both learn from every press, and unlearn it. This
module loads torch: import it in the background.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from agents.tabular import q_learning_update
from agents.training import QLearningSettings
from music_env.catalogue import Catalogue
from music_env.encoding import encode
from music_env.env import Action

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Judgement:
    """A press as a learner needs it.

    Attributes:
        track: index in the catalogue; of a composed clip that of its stand-in, the track of the
            catalogue that sounds most alike.
        liked: Like or Dislike.
        is_sound: of a composed clip: nothing is said of the stand-in's artist.
    """

    track: int
    liked: bool
    is_sound: bool = False


class SharedTable:
    """What all tabular learners of a catalogue share: each track's state.

    Args:
        catalogue: the tracks.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        encoded = encode(catalogue, "profile")
        assert isinstance(encoded.space, gym.spaces.Discrete)
        self.states: NDArray[np.int64] = encoded.rows.take(np.arange(catalogue.n_tracks))
        self.learning_rate = QLearningSettings().learning_rate


class TabularLearner:
    """Q-learning from nothing over ``profile`` states (first genre, first artist, danceability).

    What is shown is liked or not: +1 or -1 for the action *like*; no transition is invented for
    *dislike*, whose value stays 0. Only states of judged tracks have a row.

    Args:
        shared: of the catalogue.
    """

    def __init__(self, shared: SharedTable) -> None:
        self._shared = shared
        self._row_of: dict[int, int] = {}  # state -> row of the table
        self._table = np.zeros((64, len(Action)))
        self._visits = np.zeros(self._table.shape, dtype=np.int64)
        self._undo: list[tuple[int, float]] = []  # row and value before, a press each

    def like_probabilities(self, tracks: NDArray[np.int64]) -> Floats:
        """Return (n,) float64: Q(like) - Q(dislike), from -1..1 to 0..1; 0.5 where unknown."""
        if not self._row_of:
            return np.full(len(tracks), 0.5)
        known = np.fromiter(self._row_of, np.int64, len(self._row_of))
        order = np.argsort(known)
        q = self._table[: len(known)]
        values = (q[:, Action.LIKE] - q[:, Action.DISLIKE])[order]  # rows are in order of arrival
        states = self._shared.states[tracks]
        place = np.searchsorted(known[order], states).clip(max=len(known) - 1)
        value = np.where(known[order][place] == states, values[place], 0.0)
        return np.asarray((1 + value) / 2)

    def absorb(self, judgement: Judgement) -> None:
        """Learn from a press."""
        state = int(self._shared.states[judgement.track])
        row = self._row_of.setdefault(state, len(self._row_of))
        if row == len(self._table):
            self._table = np.concatenate([self._table, np.zeros_like(self._table)])
            self._visits = np.concatenate([self._visits, np.zeros_like(self._visits)])
        self._undo.append((row, float(self._table[row, Action.LIKE])))
        rows = np.array([row])
        q_learning_update(
            self._table,
            self._visits,
            rows,
            np.array([int(Action.LIKE)]),
            np.array([1.0 if judgement.liked else -1.0]),
            rows,
            np.array([True]),
            learning_rate=self._shared.learning_rate,
            gamma=0.0,
        )

    def undo(self) -> None:
        """Unlearn the last press: the table is what it was before, to the bit."""
        row, before = self._undo.pop()
        self._table[row, Action.LIKE] = before
        self._visits[row, Action.LIKE] -= 1

    def why(self, track: int) -> dict[str, Any]:
        """Return what the table says of a track, see ``API.md``."""
        row = self._row_of.get(int(self._shared.states[track]))
        like, dislike = (0.0, 0.0) if row is None else self._table[row].tolist()
        return {
            "like_probability": float(self.like_probabilities(np.array([track]))[0]),
            "q_like": like,
            "q_dislike": dislike,
            "visits": 0 if row is None else int(self._visits[row, Action.LIKE]),
        }
