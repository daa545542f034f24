"""The listeners in memory, one lock each; who was away for long is learnt anew from the disk."""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from music_env.catalogue import Catalogue
from music_env.listener import Preference
from music_env.songs import same_songs
from player.errors import PlayerError
from player.refresher import Refresher
from player.security import cookie_of
from player.session import Session
from player.settings import LEARNERS
from player.store import Store
from player.tokens import hashed
from player.wishes import ANYTHING, Candidates

if TYPE_CHECKING:
    from agents.online import OnlineRecommender
    from player.learners import SharedTable

MAX_IN_MEMORY = 256
"""Listeners kept in memory; those who pressed longest ago are learnt anew when they return."""


@contextmanager
def _refused_by_the_disk() -> Iterator[None]:
    """Answer what the disk refuses with a reason."""
    try:
        yield
    except sqlite3.Error as error:
        reason = f"this could not be saved: {error}"
        raise PlayerError(507, "not-saved", reason) from error


class Sessions:
    """All listeners of a catalogue.

    Args:
        store: where they are on disk.
        catalogue: the tracks.
        table: what tabular learners share.
        learning: whether learners learn from presses.
        clips_have_notes: whether generated clips are composed; a model makes sound alone.

    Attributes:
        recommender: of the policy, set once it is there.
        cookie: the name of its listeners' cookies.
    """

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        table: SharedTable,
        *,
        learning: bool = True,
        clips_have_notes: bool = True,
    ) -> None:
        self.store, self.catalogue, self.table = store, catalogue, table
        self.cookie = cookie_of(store.id)
        self.song_of = same_songs(catalogue)
        self.learning, self.clips_have_notes = learning, clips_have_notes
        self.recommender: OnlineRecommender | None = None
        self._everything = Candidates.of(catalogue, ANYTHING)
        self._lock = threading.Lock()
        self._sessions: OrderedDict[int, Session] = OrderedDict()
        self._refresher = Refresher()

    def create(self) -> tuple[str, int]:
        """Store a new listener; return its token and number.

        Raises:
            PlayerError: 507: the disk refused it.
        """
        token = secrets.token_urlsafe(32)
        with _refused_by_the_disk():
            listener = self.store.add_listener(
                hashed(token), seed=secrets.randbits(32), learner=LEARNERS[-1]
            )
        return token, listener

    def listener_of(self, token: str) -> int | None:
        """Return the number of a token's listener; None where there is none."""
        return self.store.listener_of(hashed(token))

    def candidates_of(self, preference: Preference) -> Candidates:
        """Return the tracks that fit a preference; all of them are held once for all listeners."""
        if preference == ANYTHING:
            return self._everything
        return Candidates.of(self.catalogue, preference)

    @contextmanager
    def use(self, listener: int) -> Iterator[Session]:
        """Hold a listener's session for one request; no other request has it meanwhile.

        Where anything but a refusal goes wrong, memory and disk may differ: the session is given
        up, and learnt anew from the disk by the next request.

        Raises:
            PlayerError: 507: the disk refused what was to be saved.
        """
        while True:
            session = self._get(listener)
            session.lock.acquire()
            if not session.given_up:
                break
            session.lock.release()
        try:
            with _refused_by_the_disk():
                try:
                    session.load(self.recommender)
                    yield session
                except PlayerError:
                    raise  # a refusal, before anything was changed
                except BaseException:
                    self._give_up(session)
                    raise
        finally:
            session.lock.release()

    def close(self) -> None:
        """Stop what runs in the background, and close the store."""
        self._refresher.close()
        self.store.close()

    def _get(self, listener: int) -> Session:
        with self._lock:
            session = self._sessions.get(listener)
            if session is None:
                session = Session(self, listener, self._refresher)
                self._sessions[listener] = session
                self._make_room()
            self._sessions.move_to_end(listener)
            return session

    def _make_room(self) -> None:
        """Give up the sessions used longest ago, but for those in use."""
        for number, session in list(self._sessions.items())[:-1]:
            if len(self._sessions) <= MAX_IN_MEMORY:
                return
            if session.lock.acquire(blocking=False):
                session.given_up = True
                session.lock.release()
                del self._sessions[number]

    def _give_up(self, session: Session) -> None:
        with self._lock:
            session.given_up = True
            if self._sessions.get(session.listener) is session:
                del self._sessions[session.listener]
