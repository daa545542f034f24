"""What is learnt from one person's presses: two models, mixed by how well each foretold them.

The two are the policy with the belief about the preference, and the personal model; see
`agents.online`.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agents.belief import Belief
from agents.listener_snapshot import Press
from agents.personal_model import PersonalModel
from agents.values import pair_values
from music_env.listener import Preference
from music_env.listeners import Listeners

if TYPE_CHECKING:
    from agents.online import OnlineRecommender

MAX_CANDIDATES = 20_000
"""Of a shortlist, and of a random one that is drawn where a catalogue has more tracks and none is
given. Valuing as many takes some tens of milliseconds."""

POLICY_WEIGHT = 0.75
"""Of the belief against the personal model before the first press. Chosen by us by hand; the trials
were not kept, so take it as a guess. Three to one for the belief, which knows people as in the
population; the personal model is soon heard if they are others."""

SWITCHING = 0.02
"""Share of the weights that moves back towards the start at each press, so that a model that was
wrong for long can still come back (fixed share: M. Herbster, M. K. Warmuth, "Tracking the best
expert", Machine Learning 32, 1998)."""

Floats = NDArray[np.float64]


class Mixture:
    """What is learnt from one person's presses.

    Args:
        recommender: with the policy, shared by all listeners.
        stated: the preference as far as it was stated.
        unknown: the terms of it that are not known.

    Attributes:
        belief: about the preference.
        personal: what no preference expresses.
        weights: of the policy with the belief, after each press.
    """

    def __init__(
        self, recommender: OnlineRecommender, stated: Preference, unknown: Collection[str]
    ) -> None:
        self._recommender, self._unknown = recommender, unknown
        self._listeners = Listeners.of(recommender.catalogue, [stated])
        self._by_policy: Floats | None = None
        self._prior = recommender.prior
        if stated.danceability is not None:
            self._prior = self._prior.told(
                recommender.policy, recommender.encoded, stated.danceability
            )
        self._begin()

    def _begin(self) -> None:
        self.belief = Belief(self._prior, self._listeners, self._unknown)
        self.personal = PersonalModel(self._recommender.kernel)
        self.weights: tuple[float, ...] = ()

    @property
    def policy_weight(self) -> float:
        """How far policy and belief are trusted against the personal model, 0 to 1."""
        return self.weights[-1] if self.weights else POLICY_WEIGHT

    def copy(self) -> Mixture:
        """Return an equal one, which learns on its own from here on."""
        other = copy.copy(self)
        other.belief, other.personal = self.belief.copy(), copy.copy(self.personal)
        return other

    def anew(self, presses: Sequence[Press], weights: Sequence[float] = ()) -> Mixture:
        """Return what some presses teach, one after another, and nothing else.

        Args:
            presses: of each track one.
            weights: those after the first presses, which need not be foretold again.
        """
        other = copy.copy(self)
        other._begin()
        for press in presses[: len(weights)]:
            other._take(press)
        other.weights = tuple(weights)
        for press in presses[len(weights) :]:
            other.absorb(press)
        return other

    def absorb(self, press: Press) -> None:
        """Learn from a press on a track that was not judged yet."""
        weight = self.policy_weight
        if not press.is_sound:
            foretold = [float(found[0]) for found in self.both(np.array([press.track]))]
            weight = _next_weight(weight, *foretold, liked=press.liked)
        self.weights = (*self.weights, weight)
        self._take(press)

    def _take(self, press: Press) -> None:
        if not press.is_sound:
            self.belief.absorb(press.track, press.liked)
        self.personal.absorb(press.track, press.liked)

    def both(self, tracks: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Return (n,) float64 each: P(like) of (n,) tracks by the policy, by the personal model."""
        foretell = self.belief.like_probabilities if self._unknown else self._asked
        return foretell(tracks), self.personal.like_probabilities(tracks)

    def _asked(self, tracks: NDArray[np.int64]) -> Floats:
        """Return what the policy itself says of tracks: the preference is known whole."""
        recommender = self._recommender
        n_tracks = recommender.catalogue.n_tracks
        if n_tracks > MAX_CANDIDATES:
            values = pair_values(recommender.policy, recommender.encoded, self._listeners, tracks)
            return recommender.prior.like_probabilities(values)
        if self._by_policy is None:  # asked once: no press changes it
            values = pair_values(
                recommender.policy, recommender.encoded, self._listeners, np.arange(n_tracks)
            )
            self._by_policy = recommender.prior.like_probabilities(values)
        return self._by_policy[tracks]


def _next_weight(weight: float, policy: float, personal: float, *, liked: bool) -> float:
    """Return the policy's weight after a press of which both had foretold the probability."""
    if not liked:
        policy, personal = 1 - policy, 1 - personal
    weight = weight * policy / (weight * policy + (1 - weight) * personal)
    return (1 - SWITCHING) * weight + SWITCHING * POLICY_WEIGHT
