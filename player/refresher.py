"""Full rankings in the background, for catalogues that are too large to rank at each press."""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from player.shortlist import Shortlist

_LOG = logging.getLogger(__name__)

PAUSE = 0.002
"""[s] Between two parts of a ranking, in which a press that waits for the session gets it."""


class Refresher:
    """One thread that makes one shortlist after another anew, on demand."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Shortlist | None] = queue.SimpleQueue()
        self._waiting: set[int] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._thread: threading.Thread | None = None

    def ask(self, shortlist: Shortlist) -> None:
        """Rank a shortlist's candidates soon, once for all that ask meanwhile."""
        with self._lock:
            if self._closed or id(shortlist) in self._waiting:
                return
            self._waiting.add(id(shortlist))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="player-refresher", daemon=True
                )
                self._thread.start()
        self._queue.put(shortlist)

    def close(self) -> None:
        """Stop after the part at hand."""
        with self._lock:
            self._closed = True
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while (shortlist := self._queue.get()) is not None:
            with self._lock:
                self._waiting.discard(id(shortlist))
            try:
                for _ in shortlist.ranking():
                    if self._closed:
                        return
                    time.sleep(PAUSE)
            except Exception:  # the next press asks again
                _LOG.exception("a ranking in the background failed")
