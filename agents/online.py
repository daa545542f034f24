"""Recommending to one person who presses Like and Dislike, from the policy for every listener on.

A newcomer is met by `OnlineRecommender`, which is made once for a policy and a catalogue and serves
any number of listeners. Each of them is an `OnlineListener`, which learns from every press:

- a *belief* about the preference (`agents.belief`), the policy's view of this listener: exact where
  people are of the family that the policy was trained on. Before the first press it is the policy
  itself: for a listener whose preference is stated its Q-values, else what they expect of the
  population;
- a *personal model* (`agents.personal_model`), which starts from nothing, and learns what no
  preference of that family expresses.

Both give each track a probability of a like; a listener's is their mixture, weighted by how well
each has foretold this listener's presses so far.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from agents.newcomers import NewcomerPrior
from agents.online_listener import OnlineListener
from agents.personal_model import TrackKernel
from agents.values import Learner
from music_env.catalogue import Catalogue
from music_env.listeners import Listeners, Wanted, as_preference
from music_env.pairs import PairEncoded
from music_env.population import Population
from music_env.songs import same_songs


class OnlineRecommender:
    """A policy for every listener that goes on learning from each of them.

    Args:
        policy: trained on MusicRecAnyListener-v0 of this catalogue: what has its ``q_values``.
        catalogue: the tracks.
        encoded: the encoding of pairs that the policy was trained on.
        population: the listeners that it was trained on; newcomers are taken to be like them.
        seed: of what is drawn while the policy is asked about terms.

    Attributes:
        song_of: (n_tracks,) int64: the number of each track's song, see
            `music_env.songs.same_songs`; none is recommended twice to the same person.

    Raises:
        ValueError: the policy does not tell the terms of a preference apart.
    """

    def __init__(
        self,
        policy: Learner,
        catalogue: Catalogue,
        encoded: PairEncoded,
        population: Population | Listeners,
        *,
        seed: int = 0,
    ) -> None:
        self.policy, self.catalogue, self.encoded = policy, catalogue, encoded
        listeners = population.listeners if isinstance(population, Population) else population
        self.prior = NewcomerPrior.of(policy, catalogue, encoded, listeners, seed=seed)
        self.kernel = TrackKernel(catalogue)
        self.song_of = same_songs(catalogue)

    @classmethod
    def of_env(cls, policy: Learner, env: Any, *, seed: int = 0) -> OnlineRecommender:
        """Return the recommender of the environment that a policy was trained on.

        Args:
            policy: the learner.
            env: MusicRecAnyListener-v0, scalar or vector, with its wrappers.
            seed: see the class.
        """
        inner = env.unwrapped
        return cls(policy, inner.catalogue, inner.encoded, inner.population, seed=seed)

    def newcomer(
        self,
        stated: Wanted | None = None,
        *,
        unknown: Collection[str] | None = None,
        seed: int = 0,
    ) -> OnlineListener:
        """Return a listener who has not pressed anything yet.

        Args:
            stated: the preference as far as the person has said it.
            unknown: the terms that are left out in it since the person did not speak of them;
                those that are left out and not unknown do not matter to the person. Default: all
                that are left out.
            seed: of what is drawn for this listener, a whole number of at least 0.

        Raises:
            ValueError: the catalogue has no such artist or genre; an unknown term is stated; or
                the seed is none.
        """
        return OnlineListener(self, as_preference(stated or {}), unknown, seed)

    def restore(self, snapshot: Mapping[str, Any]) -> OnlineListener:
        """Return the listener of a snapshot, by the same policy the same bit for bit from then on.

        By another policy, the presses are understood as that one understands them; how far a policy
        is trusted is as it was. Snapshots of version 1, which do not say that, are read as well.

        Raises:
            ValueError: the snapshot is damaged, or of another version or another catalogue.
        """
        return OnlineListener.of_snapshot(self, snapshot)
