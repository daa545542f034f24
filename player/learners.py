"""The two learners as a listener's session uses them: both learn from every press, and unlearn it.

This module loads torch: import it in the background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from agents.online import OnlineRecommender
from agents.online_listener import OnlineListener
from agents.tabular import q_learning_update
from agents.training import QLearningSettings
from music_env.catalogue import Catalogue
from music_env.encoding import encode
from music_env.env import Action
from music_env.listener import TERMS, Preference

Floats = NDArray[np.float64]

WINDOW = 100
"""Of the presses, the dueling DQN's listener takes into account the last 100 to 199: what a press
costs grows with them, and tastes change. (The table keeps all: it costs nothing.)"""


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


class DuelingLearner:
    """The dueling DQN for every listener, which learns from one person (`agents.online`).

    Args:
        recommender: of the policy, shared by all listeners.
        stated: what the person asks for now; the rest is to be found out.
        judgements: all presses so far.
        seed: of the listener.
    """

    def __init__(
        self,
        recommender: OnlineRecommender,
        stated: Preference,
        judgements: Sequence[Judgement],
        seed: int,
    ) -> None:
        self._recommender, self._stated, self._seed = recommender, stated, seed
        self._judgements = list(judgements)
        self._listener = self._learnt_anew()

    def like_probabilities(self, tracks: NDArray[np.int64]) -> Floats:
        """Return (n,) float64: the probability that each of (n,) tracks is liked."""
        return self._listener.like_probabilities(tracks)

    def absorb(self, judgement: Judgement) -> None:
        """Learn from a press."""
        before = _window(len(self._judgements))
        self._judgements.append(judgement)
        if _window(len(self._judgements)) != before:
            self._listener = self._learnt_anew()
        else:
            _tell(self._listener, judgement)

    def undo(self) -> None:
        """Unlearn the last press."""
        before = _window(len(self._judgements))
        self._judgements.pop()
        if _window(len(self._judgements)) != before:
            self._listener = self._learnt_anew()
        else:
            self._listener.undo()

    def asked(self, stated: Preference) -> DuelingLearner:
        """Return the same person who asks for something else now."""
        return DuelingLearner(self._recommender, stated, self._judgements, self._seed)

    def why(self, track: int) -> dict[str, Any]:
        """Return what is expected of a track, see ``API.md``."""
        found = self._listener.expectation(track)
        return {
            "like_probability": found.like_probability,
            "policy_probability": found.policy_probability,
            "personal_probability": found.personal_probability,
            "policy_weight": found.policy_weight,
            "expected_terms": {term: float(found.terms[term]) for term in TERMS},
        }

    def _learnt_anew(self) -> OnlineListener:
        # What is not stated is unknown, not indifferent.
        listener = self._recommender.newcomer(self._stated, seed=self._seed)
        for judgement in self._judgements[_window(len(self._judgements)) :]:
            _tell(listener, judgement)
        return listener


def _window(count: int) -> int:
    """Return the first of ``count`` presses that is taken into account.

    A function of the count alone, so that a listener who is learnt anew after a restart is the
    same; and constant for `WINDOW` presses at a time, so that a press seldom costs as many.
    """
    return max(0, (count // WINDOW - 1) * WINDOW)


def _tell(listener: OnlineListener, judgement: Judgement) -> None:
    tell = listener.feedback_on_sound if judgement.is_sound else listener.feedback
    tell(judgement.track, judgement.liked)
