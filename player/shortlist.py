"""What is ranked at a press: of a large catalogue a shortlist, made in the background."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from music_env.metrics import top_k

if TYPE_CHECKING:
    from player.refresher import Refresher
    from player.session import Session

MAX_SHORTLIST = 20_000
"""Candidates ranked at a press; of more of them, those at the top of the last full ranking."""

CHUNK = 8_192
"""Tracks ranked at a time in the background, while a press may have to wait."""


class Shortlist:
    """The candidates of one session that are most likely to be liked, by the last full ranking.

    Args:
        session: whose.
        refresher: that ranks in the background.

    Attributes:
        best: (n,) int64, the likeliest first; None: none were ranked yet.
    """

    def __init__(self, session: Session, refresher: Refresher) -> None:
        self._session, self._refresher = session, refresher
        self.best: NDArray[np.int64] | None = None
        self._n_forgotten = 0

    def forget(self) -> None:
        """Note that other candidates or another learner are asked for, or the taste is forgotten.

        A ranking that has begun is not taken either.
        """
        self.best = None
        self._n_forgotten += 1

    def pool(self, left: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
        """Return at most `MAX_SHORTLIST` of the tracks that are left, and have the rest ranked.

        Called with the session's lock held.
        """
        if len(left) <= MAX_SHORTLIST:
            return left
        self._refresher.ask(self)
        if self.best is not None:
            best = self.best[~self._session.is_judged[self.best]]
            if best.size:
                return best
        return generator.choice(left, MAX_SHORTLIST, replace=False, shuffle=False)

    def ranking(self) -> Iterator[None]:
        """Rank all candidates, and keep the best; yields now and then.

        Called without the lock, and takes it for a part at a time: a press that comes between two
        parts is taken into account by the later one only. The next ranking mends that.
        """
        session = self._session
        with session.lock:
            if session.given_up or not session.is_loaded:
                return
            begun = self._n_forgotten
            tracks = session.candidates.left(session.is_judged)
        likely = np.empty(len(tracks), dtype=np.float32)
        for start in range(0, len(tracks), CHUNK):
            part = slice(start, start + CHUNK)
            with session.lock:
                if begun != self._n_forgotten:
                    return  # somebody asked for something else, and for another ranking
                likely[part] = session.active()[1].like_probabilities(tracks[part])
            yield
        best = tracks[top_k(likely, MAX_SHORTLIST)]
        with session.lock:
            if begun == self._n_forgotten:
                self.best = best
