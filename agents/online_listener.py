"""One person's feedback: what is learnt from each press, and which track comes next.

Made by `agents.online.OnlineRecommender`, where it is said how.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents.listener_snapshot import ListenerSnapshot, Press, checked_seed, latest
from agents.mixture import MAX_CANDIDATES, Mixture
from agents.values import CHUNK
from music_env.listener import TERMS, Preference
from music_env.metrics import top_k

if TYPE_CHECKING:
    from agents.online import OnlineRecommender

UNDO_AT_ONCE = 4
"""Presses in a row that are taken back at once: what was known before each is kept for that. For
others the presses before are learnt anew, which costs up to a millisecond for each of them."""

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
        self._seed = checked_seed(seed)
        self._shown: dict[int, None] = {}  # in order
        self._presses: list[Press] = []  # all of them, also those on a track judged again later
        self._before: deque[Mixture] = deque(maxlen=UNDO_AT_ONCE)
        self._learnt = Mixture(recommender, stated, self.unknown)

    @property
    def judged(self) -> dict[int, bool]:
        """The tracks judged, and whether they were liked, in the order of the presses."""
        return {p.track: p.liked for p in latest(self._presses) if not p.is_sound}

    @property
    def shown(self) -> tuple[int, ...]:
        """The tracks shown or judged so far, in order."""
        return tuple(self._shown)

    @property
    def policy_weight(self) -> float:
        """How far policy and belief are trusted against the personal model, 0 to 1."""
        return self._learnt.policy_weight

    def next_track(self, candidates: NDArray[np.int64] | None = None) -> int | None:
        """Return the track to be shown next, which then counts as shown.

        Args:
            candidates: (n,) catalogue indices to choose from, at most `MAX_CANDIDATES` where
                milliseconds matter. Default: every track; of a catalogue that is larger than
                that, so many drawn at random.

        Returns:
            The index of the track most likely to be liked among those not shown yet, neither
            itself nor as another track of the same song; None where none is left. (Optimism, a
            deviation of the personal model added, and looking one press ahead were tried when this
            was made, on one real and 20 simulated listeners, and left out as no better; no command
            repeats that, and the real one is the person of the study.)

        Raises:
            ValueError: a candidate is no track.
        """
        generator = self._drawing()
        best = self._best(candidates, generator)
        if not best.size:
            return None
        track = int(generator.choice(best))
        self._shown[track] = None
        return track

    def best_tracks(self, candidates: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return the tracks of which `next_track` would show any, each with the same probability.

        For figures that do not hang on that draw. Nothing counts as shown by it.

        Args:
            candidates: see `next_track`.

        Returns:
            (n,) int64; none where no new track is left.

        Raises:
            ValueError: a candidate is no track.
        """
        return self._best(candidates, self._drawing())

    def _drawing(self) -> np.random.Generator:
        # A function of what a snapshot holds: no state of a generator has to be kept.
        return np.random.default_rng(
            np.random.SeedSequence(self._seed, spawn_key=(len(self._shown),))
        )

    def _best(
        self, candidates: NDArray[np.int64] | None, generator: np.random.Generator
    ) -> NDArray[np.int64]:
        """The likeliest new tracks, equal ones all: the catalogue's order says nothing."""
        is_new = self._is_new()
        if candidates is None:
            tracks = np.flatnonzero(is_new)
            if len(tracks) > MAX_CANDIDATES:
                tracks = generator.choice(tracks, MAX_CANDIDATES, replace=False, shuffle=False)
        else:
            tracks = self._checked(candidates, "candidates")
            tracks = tracks[is_new[tracks]]
        if not tracks.size:
            return tracks
        likely = self.like_probabilities(tracks)
        best: NDArray[np.int64] = tracks[likely >= likely.max() - _EQUAL]
        return best

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

    def undo(self) -> tuple[int, bool] | None:
        """Take the last press back, and return its track and judgement; None where there is none.

        The track still counts as shown. What was learnt is as if the press had never been; a track
        that had been judged before is judged as it was then.
        """
        if not self._presses:
            return None
        held = latest(self._presses)
        last = self._presses.pop()
        if self._before:
            self._learnt = self._before.pop()
        else:
            self._learn_anew(held)
        return last.track, last.liked

    def like_probabilities(self, tracks: NDArray[np.int64]) -> Floats:
        """Return (n,) float64: the probability that each of (n,) tracks is liked.

        Raises:
            ValueError: one of them is no track.
        """
        policy, personal = self._learnt.both(self._checked(tracks, "tracks"))
        return self.policy_weight * policy + (1 - self.policy_weight) * personal

    def shortlist(self, k: int = MAX_CANDIDATES) -> NDArray[np.int64]:
        """Return the ``k`` songs not shown yet that are most likely to be liked, best first.

        Of the whole catalogue, valued part by part: for a large one something to do in the
        background, whose result is handed to `next_track` from then on.

        Returns:
            (k,) int64 tracks, of each song the likeliest; fewer where there are fewer.

        Raises:
            ValueError: ``k`` is no whole number of at least 1.
        """
        if not _is_whole(k) or k < 1:
            raise ValueError(f"k must be a whole number of at least 1, got {k!r}")
        tracks = np.flatnonzero(self._is_new())
        parts = [
            self.like_probabilities(tracks[start : start + CHUNK])
            for start in range(0, len(tracks), CHUNK)
        ]
        if not parts:
            return tracks
        ranked = tracks[top_k(np.concatenate(parts), len(tracks))]
        first = np.unique(self._recommender.song_of[ranked], return_index=True)[1]
        return ranked[np.sort(first)[:k]]

    def expectation(self, track: int) -> Expectation:
        """Return what is expected of a track, and why.

        Raises:
            ValueError: there is no such track.
        """
        track = self._checked_track(track)
        policy, personal = (float(found[0]) for found in self._learnt.both(np.array([track])))
        weight = self.policy_weight
        terms = self._learnt.belief.expected_terms(track).tolist()
        return Expectation(
            weight * policy + (1 - weight) * personal,
            policy,
            personal,
            weight,
            dict(zip(TERMS, terms, strict=True)),
        )

    def snapshot(self) -> dict[str, Any]:
        """Return the listener as what JSON can say, for `OnlineRecommender.restore`.

        What was learnt is a function of policy and presses, so these are all, some bytes each, and
        the weights that the policy came to, so that restoring does not have to foretell each press
        again.
        """
        return ListenerSnapshot(
            self.stated,
            self.unknown,
            self._seed,
            self.shown,
            tuple(self._presses),
            self._learnt.weights,
        ).as_json(self._recommender.catalogue)

    @classmethod
    def of_snapshot(
        cls, recommender: OnlineRecommender, snapshot: Mapping[str, Any]
    ) -> OnlineListener:
        """Return the listener of a snapshot, see `OnlineRecommender.restore`."""
        found = ListenerSnapshot.read(snapshot, recommender.catalogue)
        listener = cls(recommender, found.stated, found.unknown, found.seed)
        listener._shown = dict.fromkeys(found.shown)
        listener._presses = list(found.presses)
        listener._learnt = listener._learnt.anew(latest(found.presses), found.policy_weights or ())
        return listener

    def _is_new(self) -> NDArray[np.bool_]:
        """(n_tracks,) whether no track of its song was shown."""
        song_of = self._recommender.song_of
        is_shown = np.zeros(len(song_of), dtype=np.bool_)
        is_shown[song_of[list(self._shown)]] = True
        return ~is_shown[song_of]

    def _checked_track(self, track: int) -> int:
        n_tracks = self._recommender.catalogue.n_tracks
        if not _is_whole(track) or not 0 <= track < n_tracks:
            raise ValueError(f"track must be an index from 0 to {n_tracks - 1}, got {track!r}")
        return int(track)

    def _checked(self, tracks: NDArray[np.int64], name: str) -> NDArray[np.int64]:
        found, n_tracks = np.asarray(tracks), self._recommender.catalogue.n_tracks
        if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
            raise ValueError(
                f"{name} must be indices of tracks, got {found.dtype} of shape {found.shape}"
            )
        if found.size and not (found.min() >= 0 and found.max() < n_tracks):
            raise ValueError(
                f"{name} must be indices from 0 to {n_tracks - 1}, got {found.min()} to "
                f"{found.max()}"
            )
        return found.astype(np.int64)

    def _press(self, track: int, liked: bool, *, is_sound: bool = False) -> Press:
        track = self._checked_track(track)
        if not isinstance(liked, bool | np.bool_):
            raise ValueError(f"liked must be True or False, got {liked!r}")
        return Press(track, bool(liked), is_sound)

    def _learn(self, press: Press) -> None:
        held = latest(self._presses)
        self._before.append(self._learnt.copy())
        self._presses.append(press)
        if any(press.track == earlier.track for earlier in held):
            self._learn_anew(held)
        else:
            self._learnt.absorb(press)

    def _learn_anew(self, held: Sequence[Press]) -> None:
        """Learn the presses that hold now, of which the first may be those that held before."""
        holding = latest(self._presses)
        pairs = zip(holding, held, strict=False)
        places = (place for place, (now, then) in enumerate(pairs) if now != then)
        same = next(places, min(len(holding), len(held)))
        self._learnt = self._learnt.anew(holding, self._learnt.weights[:same])


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
