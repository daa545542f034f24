"""The dueling DQN for every listener, as one listener's session uses it.

It takes the presses of a window into account, which moves on by many presses at a time. Who is told
the presses of the next window learns them along the way, so that no single press costs as many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.online import OnlineRecommender
from agents.online_listener import OnlineListener
from music_env.listener import TERMS, Preference
from player.learners import Judgement

Floats = NDArray[np.float64]

WINDOW = 100
"""Of the presses, the dueling DQN's listener takes into account the last 100 to 199: what a press
costs grows with them, and tastes change. (The table keeps all: it costs nothing.)"""


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
        self._before: OnlineListener | None = None  # of the window before, as it was at its end
        self._heir: OnlineListener | None = None  # of the next window, told its first presses
        self._n_told = 0  # of these

    def like_probabilities(self, tracks: NDArray[np.int64]) -> Floats:
        """Return (n,) float64: the probability that each of (n,) tracks is liked."""
        return self._listener.like_probabilities(tracks)

    def absorb(self, judgement: Judgement) -> None:
        """Learn from a press."""
        self._judgements.append(judgement)
        _tell(self._listener, judgement)
        count = len(self._judgements)
        self._prepare(count)
        if count % WINDOW == 0:  # the heir's next window begins here
            if self._heir is not None:
                self._before, self._listener = self._listener, self._heir
            self._heir, self._n_told = None, 0

    def undo(self) -> None:
        """Unlearn the last press."""
        count = len(self._judgements)
        self._judgements.pop()
        if window_start(count) == window_start(count - 1):
            self._listener.undo()
            if count % WINDOW == 0:
                self._heir, self._n_told = None, 0
            elif self._heir is not None and self._n_told > (count - 1) % WINDOW:
                self._heir.undo()
                self._n_told -= 1
        elif self._before is not None:
            self._listener.undo()
            self._heir, self._n_told = self._listener, WINDOW - 1
            self._before.undo()
            self._listener, self._before = self._before, None
        else:
            self._listener = self._learnt_anew()
            self._heir, self._n_told = None, 0

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

    def _prepare(self, count: int) -> None:
        """Tell the heir what it has to know of the presses so far, to know all at the edge.

        In turn with the presses that is one each; after a restart more, as it begins with none.
        """
        start = (count - 1) // WINDOW * WINDOW
        if start == 0:
            return  # the first window is twice as long
        if self._heir is None:
            self._heir = self._newcomer()
        presses_left = start + WINDOW - count + 1  # with this one
        missing = self._judgements[start + self._n_told :]
        for judgement in missing[: -(-len(missing) // presses_left)]:
            _tell(self._heir, judgement)
            self._n_told += 1

    def _learnt_anew(self) -> OnlineListener:
        listener = self._newcomer()
        for judgement in self._judgements[window_start(len(self._judgements)) :]:
            _tell(listener, judgement)
        return listener

    def _newcomer(self) -> OnlineListener:
        # What is not stated is unknown, not indifferent.
        return self._recommender.newcomer(self._stated, seed=self._seed)


def window_start(count: int) -> int:
    """Return the first of ``count`` presses that is taken into account.

    A function of the count alone, so that a listener who is learnt anew after a restart is the
    same; and constant for `WINDOW` presses at a time.
    """
    return max(0, (count // WINDOW - 1) * WINDOW)


def _tell(listener: OnlineListener, judgement: Judgement) -> None:
    tell = listener.feedback_on_sound if judgement.is_sound else listener.feedback
    tell(judgement.track, judgement.liked)
