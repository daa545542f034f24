"""What a listener sees of a session, as ``API.md`` describes it."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from music_env.catalogue import Catalogue
from music_env.listener import Preference
from player import wishes
from player.clips import Clip
from player.settings import LEARNERS
from player.tracks import clip_json, clip_reward_terms, reward_terms, track_json

if TYPE_CHECKING:
    from player.dueling_learner import DuelingLearner
    from player.learners import Judgement, TabularLearner
    from player.records import Pending, Press


class SessionViews:
    """The part of `player.session.Session` that only looks."""

    catalogue: Catalogue
    clips_have_notes: bool
    preference: Preference
    candidates: wishes.Candidates
    learner: str
    settings: dict[str, bool]
    presses: list[Press]
    pending: Pending | None
    remaining: int
    clips: dict[int, Clip]
    tabular: TabularLearner
    dueling: DuelingLearner | None

    def suggestions(self) -> list[dict[str, Any]]:
        """See `player.session.Session`."""
        raise NotImplementedError

    def _judgement_on(self, key: str, liked: bool) -> Judgement:
        raise NotImplementedError

    def _of_key(self, key: str) -> int | Clip:
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """Return the listener's *State*."""
        shown, last = self.pending, self.presses[-1] if self.presses else None
        liked = sum(press.liked for press in self.presses)
        return {
            "preference": wishes.as_json(self.preference),
            "learner": self.learner,
            "track": None
            if shown is None
            else {
                **self._track(shown.track),
                "recommended_by": shown.recommended_by,
                "expected": shown.expected.get(shown.recommended_by),
                "why": self._why(shown.track),
            },
            "total": len(self.candidates.tracks),
            "remaining": self.remaining,
            "nearest": [] if shown is not None else self.suggestions(),
            "presses": len(self.presses),
            "liked": liked,
            "disliked": len(self.presses) - liked,
            "last_press": None
            if last is None
            else {
                "press_id": last.press_id,
                "track": self._track(last.track),
                "liked": last.liked,
            },
            "settings": dict(self.settings),
        }

    def history(self, count: int, before: int | None) -> dict[str, Any]:
        """Return the last presses, before one of them where that is given."""
        presses = [p for p in self.presses if before is None or p.number < before]
        shown = presses[: -count - 1 : -1]
        return {
            "presses": [self._press(press) for press in shown],
            "more": len(presses) > len(shown),
        }

    def liked_presses(self) -> list[dict[str, Any]]:
        """Return the presses on *Like*, latest first."""
        found: list[dict[str, Any]] = self.liked_part(len(self.presses))["tracks"]
        return found

    def liked_part(self, count: int) -> dict[str, Any]:
        """Return the last ``count`` of the same, and whether there are more."""
        latest = (press for press in reversed(self.presses) if press.liked)
        shown = [self._press(press) for press in itertools.islice(latest, count)]
        return {"tracks": shown, "more": next(latest, None) is not None}

    def plot(self, count: int) -> dict[str, Any]:
        """Return the series of the live plot, of the last presses."""
        liked = np.array([press.liked for press in self.presses], dtype=np.bool_)
        numbers = np.arange(1, len(liked) + 1)
        last = slice(max(0, len(liked) - count), None)
        learners = {}
        for name in LEARNERS:
            found = [press.expected.get(name) for press in self.presses]
            guess = np.array([0.0 if p is None else p for p in found]) > 0.5
            known = np.array([p is not None for p in found], dtype=np.bool_)
            right = np.cumsum((guess == liked) & known)
            shares = right / np.maximum(np.cumsum(known), 1)
            learners[name] = {
                "expected": found[last],
                "right_share": [
                    share if there else None
                    for share, there in zip(
                        shares[last].tolist(), (np.cumsum(known) > 0)[last].tolist(), strict=True
                    )
                ],
            }
        return {
            "first": last.start + 1,
            "liked": liked[last].tolist(),
            "liked_share": (np.cumsum(liked) / np.maximum(numbers, 1))[last].tolist(),
            "learners": learners,
        }

    def _press(self, press: Press) -> dict[str, Any]:
        at = datetime.fromtimestamp(press.at, UTC).isoformat(timespec="seconds")
        return {
            "number": press.number,
            "press_id": press.press_id,
            "track": self._track(press.track),
            "liked": press.liked,
            "at": at.replace("+00:00", "Z"),
            "recommended_by": press.recommended_by,
            "expected": {name: press.expected.get(name) for name in LEARNERS},
        }

    def _track(self, key: str) -> dict[str, Any]:
        thing = self._of_key(key)
        if isinstance(thing, Clip):
            return clip_json(key, thing, has_notes=self.clips_have_notes)
        return track_json(self.catalogue, thing, self.settings)

    def _why(self, key: str) -> dict[str, Any]:
        thing = self._of_key(key)
        if isinstance(thing, Clip):
            terms = clip_reward_terms(thing, self.preference)
        else:
            terms = reward_terms(self.catalogue, thing, self.preference)
        track = self._judgement_on(key, True).track
        return {
            "terms": terms,
            "reward": sum(term["reward"] for term in terms),
            "learners": {
                "tabular": self.tabular.why(track),
                "dueling-dqn": None if self.dueling is None else self.dueling.why(track),
            },
        }
