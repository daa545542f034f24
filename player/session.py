"""One listener: what was pressed, what is shown, and the two learners that learn from it.

Every method is called with the session's lock held, see `player.sessions.Sessions`.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from music_env.listener import Preference
from player import wishes
from player.clips import Clip, made_for
from player.dueling_learner import DuelingLearner
from player.errors import PlayerError
from player.learners import Judgement, TabularLearner
from player.nearest import nearest_preferences
from player.records import Pending, Press
from player.settings import DEFAULT_SETTINGS
from player.shortlist import Shortlist
from player.views import SessionViews

if TYPE_CHECKING:
    from agents.online import OnlineRecommender
    from player.refresher import Refresher
    from player.sessions import Sessions

_EQUAL = 1e-9  # probabilities that differ by less are equal up to rounding


class Session(SessionViews):
    """One listener in memory.

    Args:
        sessions: all of them, with what they share.
        listener: the listener's number in the store.
        refresher: of rankings that are too long for a press.

    Attributes:
        lock: held by the request that uses the session.
        given_up: memory may differ from the disk: make another session.
        is_loaded: whether all that is on disk has been learnt.
    """

    def __init__(self, sessions: Sessions, listener: int, refresher: Refresher) -> None:
        self.listener = listener
        self.lock = threading.Lock()
        self.given_up = False
        self._shared, self._shortlist = sessions, Shortlist(self, refresher)
        self._store, self.catalogue = sessions.store, sessions.catalogue
        self.clips_have_notes = sessions.clips_have_notes
        self.is_loaded = False

    # --- From the disk ----------------------------------------------------------------------------

    def load(self, recommender: OnlineRecommender | None) -> None:
        """Learn everything anew from the disk, where that has not been done yet.

        Args:
            recommender: of the policy; None where it is not there yet.
        """
        is_new = not self.is_loaded
        if is_new:
            self._read()
            self.is_loaded = True
        if recommender is not None and self.dueling is None:
            self._meet(recommender)
        if is_new and self.pending is None:
            self.pending = self._chosen()

    def _read(self) -> None:
        row = self._store.listener(self.listener)
        stored = self._store.presses(self.listener)
        self.seed, self.learner = row.seed, row.learner
        self.preference = wishes.from_json(row.preference)
        self.settings = {**DEFAULT_SETTINGS, **row.settings}
        self.presses = [press for press in stored if not press.undone]
        self._undone = {press.press_id: press for press in stored if press.undone}
        self._last_number = stored[-1].number if stored else 0
        clips = self._store.clips(self.listener)
        self.clips = {number: Clip.of_json(content) for number, content in clips.items()}
        self.is_judged = np.zeros(self.catalogue.n_tracks, dtype=np.bool_)
        self.tabular = TabularLearner(self._shared.table)
        self.dueling: DuelingLearner | None = None
        for press in self.presses:
            self._mark(press.track, True)
            if self._shared.learning:
                self.tabular.absorb(self._judgement(press))
        self._look_for(self.preference)
        self.pending = row.pending

    def _meet(self, recommender: OnlineRecommender) -> None:
        """Let the dueling DQN's listener catch up with all presses."""
        judgements = [self._judgement(press) for press in self.presses if self._shared.learning]
        self.dueling = DuelingLearner(recommender, self.preference, judgements, self.seed)
        if self.pending is not None and self.pending.expected.get("dueling-dqn") is None:
            expected = self._expected(self.pending.track)
            self.pending = replace(self.pending, expected=expected)

    # --- What a listener does ---------------------------------------------------------------------

    def press(self, press_id: str, track: str, liked: bool) -> bool:
        """Learn from a press and choose the next track; both are on disk afterwards.

        Returns:
            Whether it was there already: the same press once more changes nothing.

        Raises:
            PlayerError: 409: it is not about the track that is to be judged, or its id is another
                press's.
        """
        before = self._press_of(press_id)
        if before is not None:
            if (before.track, before.liked) != (track, liked):
                raise self._conflict(
                    "press-id-reused",
                    f"the press {press_id} was of the track {before.track}, "
                    f"liked {str(before.liked).lower()}: take a new press_id for every press",
                )
            return True
        if self.pending is None or self.pending.track != track:
            now = "no track" if self.pending is None else f"the track {self.pending.track}"
            raise self._conflict(
                "stale-track", f"{now} is to be judged now, not {track!r}: see the state"
            )
        self._last_number += 1
        shown = self.pending
        press = Press(
            self._last_number, press_id, track, liked, shown.recommended_by, shown.expected
        )
        self.presses.append(press)
        self._mark(track, True)
        self._learn(self._judgement(press))
        self.pending = self._next(shown.waiting)
        self._store.add_press(self.listener, press, self.pending)
        return False

    def undo(self, press_id: str) -> None:
        """Take the last press back; its track is to be judged again.

        Raises:
            PlayerError: 409: it is not the last press.
        """
        if press_id in self._undone:
            return
        if not self.presses or self.presses[-1].press_id != press_id:
            last = self.presses[-1].press_id if self.presses else "none"
            raise self._conflict(
                "not-the-last-press",
                f"only the last press can be taken back, which is {last}, not {press_id}",
            )
        press = self.presses.pop()
        self._undone[press_id] = replace(press, undone=True)
        self._mark(press.track, False)
        if self._shared.learning:
            self.tabular.undo()
            if self.dueling is not None:
                self.dueling.undo()
        self._look_for_more()
        waiting = () if self.pending is None else self.pending.clips
        self.pending = Pending(press.track, press.recommended_by, press.expected, waiting)
        self._store.undo_press(self.listener, press.number, self.pending)

    def ask_for(self, preference: Preference) -> None:
        """Show tracks of a preference from now on; a clip that is not judged yet goes.

        Raises:
            PlayerError: 422: the catalogue has no such artist or genre.
        """
        self.preference = wishes.checked(self.catalogue, preference)
        self._look_for(self.preference)
        if self.dueling is not None:
            self.dueling = self.dueling.asked(self.preference)
        self.pending = self._chosen()
        content = wishes.as_json(self.preference)
        self._store.change(self.listener, pending=self.pending, preference=content)

    def choose_learner(self, learner: str) -> None:
        """Let a learner recommend from now on; a clip that was asked for stays."""
        if learner != self.learner:
            self.learner = learner
            self._shortlist.forget()
            self.pending = self._next(() if self.pending is None else self.pending.clips)
            self._store.change(self.listener, pending=self.pending, learner=learner)

    def change_settings(self, changes: Mapping[str, bool]) -> None:
        """Change some settings."""
        self.settings = {**self.settings, **changes}
        self._store.change(self.listener, pending=self.pending, settings=self.settings)

    def generate(self, clip_id: str | None = None) -> None:
        """Make a clip of what was liked so far, which is to be judged next.

        It takes the place of a clip that is shown; those that wait come after it.

        Args:
            clip_id: the caller's: a clip of this id that is there already is not made twice.
        """
        if clip_id is not None and any(c.clip_id == clip_id for c in self.clips.values()):
            return
        liked = [self._of_key(press.track) for press in self.presses if press.liked]
        number = self._store.last_clip(self.listener) + 1  # also of those before a reset
        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        made = made_for(self.catalogue, liked, len(self.clips) + 1, self.is_judged, seed=seed)
        clip = replace(made, clip_id=clip_id)
        self.clips[number] = clip
        waiting = () if self.pending is None else self.pending.waiting
        self.pending = self._asked_for(f"g{number}", *waiting)
        self._store.add_clip(self.listener, number, clip.to_json(), self.pending)

    def reset(self) -> None:
        """Forget all presses, clips, and the preference."""
        self._store.forget(self.listener, seed=secrets.randbits(32))
        self.is_loaded = False
        self.load(self._shared.recommender)
        self._store.change(self.listener, pending=self.pending)

    # --- Choosing ---------------------------------------------------------------------------------

    def _look_for(self, preference: Preference) -> None:
        self.candidates = self._shared.candidates_of(preference)
        self._shortlist.forget()
        self._look_for_more()

    def _look_for_more(self) -> None:
        self.remaining = len(self.candidates.left(self.is_judged))
        self._suggestions: list[dict[str, Any]] | None = None

    def _next(self, clips: Sequence[str]) -> Pending | None:
        """Return the first of the clips that are not judged yet, or else the best candidate."""
        if not clips:
            return self._chosen()
        self._look_for_more()
        return self._asked_for(*clips)

    def _asked_for(self, clip: str, *waiting: str) -> Pending:
        return Pending(clip, "request", self._expected(clip), waiting)

    def _chosen(self) -> Pending | None:
        """Return the candidate most likely to be liked; any of equal ones."""
        left = self.candidates.left(self.is_judged)
        self.remaining, self._suggestions = len(left), None
        if not left.size:
            return None
        generator = np.random.default_rng([self.seed, self._last_number])
        pool = self._shortlist.pool(left, generator)
        name, learner = self.active()
        likely = learner.like_probabilities(pool)
        track = int(pool[generator.choice(np.flatnonzero(likely >= likely.max() - _EQUAL))])
        return Pending(str(track), name, self._expected(str(track)))

    def active(self) -> tuple[str, TabularLearner | DuelingLearner]:
        """Return who recommends now, and the name: the table until the dueling DQN is there."""
        if self.learner == "dueling-dqn" and self.dueling is not None:
            return "dueling-dqn", self.dueling
        return "tabular", self.tabular

    def _expected(self, key: str) -> dict[str, float | None]:
        track = np.array([self._judgement_on(key, True).track])
        dueling = self.dueling
        return {
            "tabular": float(self.tabular.like_probabilities(track)[0]),
            "dueling-dqn": None if dueling is None else float(dueling.like_probabilities(track)[0]),
        }

    def suggestions(self) -> list[dict[str, Any]]:
        """Return the nearest preferences that have tracks left, where this one has none."""
        if self.remaining:
            return []
        if self._suggestions is None:
            found = nearest_preferences(self.catalogue, self.preference, self.is_judged)
            self._suggestions = [near.as_json() for near in found]
        return self._suggestions

    # --- Learning ---------------------------------------------------------------------------------

    def _learn(self, judgement: Judgement) -> None:
        if self._shared.learning:
            self.tabular.absorb(judgement)
            if self.dueling is not None:
                self.dueling.absorb(judgement)

    def _judgement(self, press: Press) -> Judgement:
        return self._judgement_on(press.track, press.liked)

    def _judgement_on(self, key: str, liked: bool) -> Judgement:
        thing = self._of_key(key)
        if isinstance(thing, Clip):
            return Judgement(thing.stand_in, liked, is_sound=True)
        return Judgement(thing, liked)

    def _of_key(self, key: str) -> int | Clip:
        """Return the catalogue's index, or the clip, of a key that was given out."""
        return self.clips[int(key[1:])] if key.startswith("g") else int(key)

    def _mark(self, key: str, is_judged: bool) -> None:
        """Note that a track is judged, or is not; with it the same song under other ids."""
        if not key.startswith("g"):
            song_of = self._shared.song_of
            self.is_judged[song_of == song_of[int(key)]] = is_judged

    def _press_of(self, press_id: str) -> Press | None:
        for press in reversed(self.presses):
            if press.press_id == press_id:
                return press
        return self._undone.get(press_id)

    def _conflict(self, code: str, reason: str) -> PlayerError:
        return PlayerError(409, code, reason, state=self.state())
