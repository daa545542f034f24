"""One person's feedback: what is learnt from each press, and which track comes next.

Made by `agents.online.OnlineRecommender`, where it is said how.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents.belief import Belief
from agents.personal_model import PersonalModel
from agents.values import CHUNK, pair_values
from music_env.listener import TERMS, Preference
from music_env.listeners import Listeners, as_preference
from music_env.metrics import top_k

if TYPE_CHECKING:
    from agents.online import OnlineRecommender

MAX_CANDIDATES = 20_000
"""Of a shortlist, and of a random one that is drawn where a catalogue has more tracks and none is
given. Valuing as many takes some tens of milliseconds."""

POLICY_WEIGHT = 0.75
"""Of the belief against the personal model before the first press. Chosen by us: for people as in
the population the personal model then makes no difference that we could measure, and it is soon
heard for others."""

SWITCHING = 0.02
"""Share of the weights that moves back towards the start at each press, so that a model that was
wrong for long can still come back (fixed share: M. Herbster, M. K. Warmuth, "Tracking the best
expert", Machine Learning 32, 1998)."""

UNDO_AT_ONCE = 4
"""Presses that are taken back without learning all others anew, which costs some milliseconds for
each of them; what was known before each is kept for that."""

SNAPSHOT_VERSION = 1

_EQUAL = 1e-9  # probabilities that differ by less are equal up to rounding

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Expectation:
    """What a listener is expected to think of a track, and why.

    Attributes:
        like_probability: that the track is liked; the mixture of the two below.
        policy_probability: by the policy and the belief about the preference.
        personal_probability: by what the personal model has learnt.
        policy_weight: of the policy in the mixture, 0 to 1.
        terms: for artist, genre and danceability what the term is expected to contribute by the
            belief: 1 where surely met, -1 where surely not, 0 where surely left open.
    """

    like_probability: float
    policy_probability: float
    personal_probability: float
    policy_weight: float
    terms: Mapping[str, float]


class OnlineListener:
    """One person's feedback, and what it says of every track; made by `OnlineRecommender`.

    Attributes:
        stated: the preference as far as it was stated.
        unknown: the terms of it that are not known.
    """

    def __init__(
        self,
        recommender: OnlineRecommender,
        stated: Preference,
        unknown: Collection[str] | str | None,
        seed: int,
    ) -> None:
        left_out = tuple(term for term in TERMS if getattr(stated, term) is None)
        unknown = (unknown,) if isinstance(unknown, str) else unknown
        for term in unknown or ():
            if term not in left_out:
                raise ValueError(
                    f"unknown must be of {', '.join(TERMS)} and not stated, got {term!r} with the "
                    f"preference {stated}"
                )
        self.stated = stated
        self.unknown = left_out if unknown is None else tuple(t for t in TERMS if t in unknown)
        if len(left_out) == len(TERMS) and not self.unknown:
            raise ValueError(
                "a listener of whom nothing is stated and nothing is unknown prefers nothing: name "
                f"what is unknown of {', '.join(TERMS)}"
            )
        self._recommender = recommender
        self._seed = seed
        self._listeners = Listeners.of(recommender.catalogue, [stated])
        self._shown: dict[int, None] = {}  # in order
        self._presses: list[_Press] = []  # all of them, also those on a track judged again later
        self._before: deque[_Learnt] = deque(maxlen=UNDO_AT_ONCE)
        self._by_policy: Floats | None = None
        self._prior = recommender.prior
        if stated.danceability is not None:
            self._prior = self._prior.told(
                recommender.policy, recommender.encoded, stated.danceability
            )
        self._learn_anew()

    @property
    def judged(self) -> dict[int, bool]:
        """The tracks judged, and whether they were liked, in the order of the presses."""
        latest = _latest(self._presses)
        return {press.track: press.liked for press in latest if not press.is_sound}

    @property
    def shown(self) -> tuple[int, ...]:
        """The tracks shown or judged so far, in order."""
        return tuple(self._shown)

    @property
    def policy_weight(self) -> float:
        """How far policy and belief are trusted against the personal model, 0 to 1."""
        return self._policy_weight

    def next_track(self, candidates: NDArray[np.int64] | None = None) -> int | None:
        """Return the track to be shown next, which then counts as shown.

        Args:
            candidates: (n,) catalogue indices to choose from, at most `MAX_CANDIDATES` where
                milliseconds matter. Default: every track; of a catalogue that is larger than
                that, so many drawn at random.

        Returns:
            The index of the track most likely to be liked among those not shown yet; None where
            none is left. Neither optimism (a deviation of the personal model added) nor looking
            one press ahead was better, measured on one real and on 20 simulated listeners.

        Raises:
            ValueError: a candidate is no track.
        """
        # A function of what a snapshot holds: no state of a generator has to be kept.
        generator = np.random.default_rng(
            np.random.SeedSequence(self._seed, spawn_key=(len(self._shown),))
        )
        n_tracks = self._recommender.catalogue.n_tracks
        is_new = np.ones(n_tracks, dtype=np.bool_)
        is_new[list(self._shown)] = False
        if candidates is None:
            tracks = np.flatnonzero(is_new)
            if len(tracks) > MAX_CANDIDATES:
                tracks = generator.choice(tracks, MAX_CANDIDATES, replace=False, shuffle=False)
        else:
            tracks = np.asarray(candidates)
            if tracks.size and tracks.dtype.kind not in "iu":
                raise ValueError(f"candidates must be indices of tracks, got {tracks.dtype}")
            tracks = tracks.astype(np.int64)
            if tracks.size and not (tracks.min() >= 0 and tracks.max() < n_tracks):
                raise ValueError(
                    f"candidates must be indices from 0 to {n_tracks - 1}, got {tracks.min()} to "
                    f"{tracks.max()}"
                )
            tracks = tracks[is_new[tracks]]
        if not tracks.size:
            return None
        likely = self.like_probabilities(tracks)
        # Any of equal ones: the catalogue's order says nothing.
        track = int(tracks[generator.choice(np.flatnonzero(likely >= likely.max() - _EQUAL))])
        self._shown[track] = None
        return track

    def feedback(self, track: int, liked: bool) -> None:
        """Learn from a press; a track that was judged before is judged anew.

        Args:
            track: its index in the catalogue, whether or not `next_track` chose it.
            liked: Like or Dislike.

        Raises:
            ValueError: there is no such track, or the judgement is neither True nor False.
        """
        press = self._press(track, liked)
        self._shown.setdefault(press.track)
        self._learn(press)

    def feedback_on_sound(self, track: int, liked: bool) -> None:
        """Learn from a press on something that sounds as a track does, but is not that track.

        Such as a clip composed to be alike. The personal model alone learns from it, as if the
        track had been judged: the belief about the preference, which is about the artist as well,
        does not. The track itself counts neither as shown nor as judged.

        Args:
            track: the index of the track that sounds most alike.
            liked: Like or Dislike.

        Raises:
            ValueError: see `feedback`.
        """
        self._learn(self._press(track, liked, is_sound=True))

    def _press(self, track: int, liked: bool, *, is_sound: bool = False) -> _Press:
        track, n_tracks = int(track), self._recommender.catalogue.n_tracks
        if not 0 <= track < n_tracks:
            raise ValueError(f"track must be an index from 0 to {n_tracks - 1}, got {track}")
        if not isinstance(liked, bool | np.bool_):
            raise ValueError(f"liked must be True or False, got {liked!r}")
        return _Press(track, bool(liked), is_sound)

    def _learn(self, press: _Press) -> None:
        is_again = any(press.track == earlier.track for earlier in self._presses)
        self._before.append(
            _Learnt(self._belief.copy(), copy.copy(self._personal), self._policy_weight)
        )
        self._presses.append(press)
        if is_again:
            self._learn_anew()
        else:
            self._absorb(press)

    def undo(self) -> tuple[int, bool] | None:
        """Take the last press back, and return its track and judgement; None where there is none.

        The track still counts as shown. What was learnt is as if the press had never been; a track
        that had been judged before is judged as it was then.
        """
        if not self._presses:
            return None
        last = self._presses.pop()
        if self._before:
            before = self._before.pop()
            self._belief, self._personal = before.belief, before.personal
            self._policy_weight = before.policy_weight
        else:
            self._learn_anew()
        return last.track, last.liked

    def like_probabilities(self, tracks: NDArray[np.int64]) -> Floats:
        """Return (n,) float64: the probability that each of (n,) tracks is liked."""
        policy, personal = self._both(np.asarray(tracks, dtype=np.int64))
        return self.policy_weight * policy + (1 - self.policy_weight) * personal

    def shortlist(self, k: int = MAX_CANDIDATES) -> NDArray[np.int64]:
        """Return the ``k`` tracks not shown yet that are most likely to be liked, best first.

        Of the whole catalogue, valued part by part: for a large one something to do in the
        background, whose result is handed to `next_track` from then on.

        Returns:
            (k,) int64, fewer where there are fewer.
        """
        is_new = np.ones(self._recommender.catalogue.n_tracks, dtype=np.bool_)
        is_new[list(self._shown)] = False
        tracks = np.flatnonzero(is_new)
        parts = [
            self.like_probabilities(tracks[start : start + CHUNK])
            for start in range(0, len(tracks), CHUNK)
        ]
        return tracks[top_k(np.concatenate(parts), k)] if parts else tracks

    def expectation(self, track: int) -> Expectation:
        """Return what is expected of a track, and why."""
        policy, personal = (float(found[0]) for found in self._both(np.array([track])))
        weight = self.policy_weight
        terms = self._belief.expected_terms(track).tolist()
        return Expectation(
            weight * policy + (1 - weight) * personal,
            policy,
            personal,
            weight,
            dict(zip(TERMS, terms, strict=True)),
        )

    def snapshot(self) -> dict[str, Any]:
        """Return the listener as what JSON can say, for `OnlineRecommender.restore`.

        What was learnt is a function of policy and presses, so these are all, some bytes each.
        """
        ends = self.stated.danceability
        return {
            "version": SNAPSHOT_VERSION,
            "catalogue": self._recommender.catalogue.checksum,
            "stated": {
                "artist": self.stated.artist,
                "genre": self.stated.genre,
                "danceability": None if ends is None else list(ends),
            },
            "unknown": list(self.unknown),
            "seed": self._seed,
            "shown": list(self._shown),
            "presses": [press.as_list() for press in self._presses],
        }

    @classmethod
    def of_snapshot(
        cls, recommender: OnlineRecommender, snapshot: Mapping[str, Any]
    ) -> OnlineListener:
        """Return the listener of a snapshot, see `OnlineRecommender.restore`."""
        stated = as_preference(snapshot["stated"])
        listener = cls(recommender, stated, snapshot["unknown"], snapshot["seed"])
        listener._shown = dict.fromkeys(snapshot["shown"])
        listener._presses = [_Press(*press) for press in snapshot["presses"]]
        listener._learn_anew()
        return listener

    def _both(self, tracks: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Return what the policy (with the belief) and the personal model say of tracks."""
        foretell = self._belief.like_probabilities if self.unknown else self._asked
        return foretell(tracks), self._personal.like_probabilities(tracks)

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

    def _learn_anew(self) -> None:
        """Learn all presses that still hold, one after another, as when they came."""
        self._belief = Belief(self._prior, self._listeners, self.unknown)
        self._personal = PersonalModel(self._recommender.kernel)
        self._policy_weight = POLICY_WEIGHT
        for press in _latest(self._presses):
            self._absorb(press)

    def _absorb(self, press: _Press) -> None:
        if press.is_sound:
            self._personal.absorb(press.track, press.liked)
            return
        foretold = [float(found[0]) for found in self._both(np.array([press.track]))]
        self._policy_weight = _next_weight(self._policy_weight, *foretold, liked=press.liked)
        self._belief.absorb(press.track, press.liked)
        self._personal.absorb(press.track, press.liked)


@dataclass(frozen=True)
class _Press:
    track: int
    liked: bool
    is_sound: bool = False  # of something that sounds so, see `feedback_on_sound`

    def as_list(self) -> list[Any]:
        return [self.track, self.liked, True] if self.is_sound else [self.track, self.liked]


@dataclass(frozen=True)
class _Learnt:
    """What was known before a press; nothing that is still written to."""

    belief: Belief
    personal: PersonalModel
    policy_weight: float


def _latest(presses: list[_Press]) -> list[_Press]:
    """Return of each track the last press, in the order of these."""
    latest = {press.track: place for place, press in enumerate(presses)}
    return [presses[place] for place in sorted(latest.values())]


def _next_weight(weight: float, policy: float, personal: float, *, liked: bool) -> float:
    """Return the policy's weight after a press of which both had foretold the probability."""
    if not liked:
        policy, personal = 1 - policy, 1 - personal
    weight = weight * policy / (weight * policy + (1 - weight) * personal)
    return (1 - SWITCHING) * weight + SWITCHING * POLICY_WEIGHT
