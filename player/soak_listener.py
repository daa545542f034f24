"""A simulated listener who writes down each acknowledged press, and compares it with the server's.

It waits out a server that is killed and started again, and goes on. See `player.soak`.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from player.client import ApiError, Client
from player.settings import LEARNERS
from player.simulate import Taste, history_of

UNDO_SHARE = 0.03
"""Of the actions: so often is the last press taken back."""

Answer = dict[str, Any]


class Outage:
    """When the server may not answer: from the kill until it is ready again."""

    def __init__(self) -> None:
        self._is_up = threading.Event()
        self._is_up.set()
        self._down, self._up = float("inf"), float("-inf")

    def begin(self) -> None:
        """Note that the server is killed now."""
        self._is_up.clear()
        self._down, self._up = time.monotonic(), float("inf")

    def end(self) -> None:
        """Note that it is ready again."""
        self._up = time.monotonic()
        self._is_up.set()

    def explains(self, sent: float) -> bool:
        """Whether a request sent at that time [s, monotonic] may have got no answer.

        One that was sent before the kill may have, too; so this is asked when the answer fails.
        """
        return self._down < float("inf") and sent <= self._up

    def wait(self, seconds: float) -> bool:
        """Wait for the end of it; whether it came."""
        return self._is_up.wait(seconds)


@dataclass(frozen=True)
class Acknowledged:
    """A press that the server has answered.

    Attributes:
        press_id: the listener's own.
        track: its key.
        liked: Like or Dislike.
        expected: learner -> probability of a like that was shown before it; None: none was there.
    """

    press_id: str
    track: str
    liked: bool
    expected: dict[str, float | None]


@dataclass
class Comparison:
    """What a history that was found has to do with what was acknowledged.

    Attributes:
        lost: acknowledged and not found.
        mixed: found, and of somebody else, or with another track or answer.
        repeated: found more than once.
        is_in_order: whether all that was found stands as it was pressed.
    """

    lost: int = 0
    mixed: int = 0
    repeated: int = 0
    is_in_order: bool = True

    @property
    def is_equal(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.mixed or self.repeated) and self.is_in_order


def compared(
    found: Sequence[tuple[str, str, bool]], expected: Sequence[tuple[str, str, bool]]
) -> Comparison:
    """Compare a history, (press id, track, liked) in order, with what was acknowledged."""
    there, wanted = Counter(found), Counter(expected)
    return Comparison(
        lost=(wanted - there).total(),
        mixed=sum(press not in wanted for press in there),
        repeated=sum(count - 1 for count in there.values()),
        is_in_order=[p for p in found if p in wanted] == [p for p in expected if p in there],
    )


@dataclass
class SoakListener:
    """One listener, who presses until told to stop.

    Args:
        address: of the server.
        number: tells the listener's presses from those of others.
        taste: what it likes.
        outage: when the server may not answer.
        patience: [s] to wait for the server's return.

    Attributes:
        acknowledged: the presses that were answered and not taken back, in order.
        presses: answered, also those taken back.
        seconds: from press to answer, of presses that were answered at the first attempt.
        comparisons: of each history that was looked at with what was acknowledged then.
        faults: what else was wrong.
    """

    address: str
    number: int
    taste: Taste
    outage: Outage
    patience: float = 600.0
    acknowledged: list[Acknowledged] = field(default_factory=list)
    presses: int = 0
    seconds: list[float] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def run(self, is_over: Callable[[], bool], pause: float = 0.0) -> None:
        """Press until it is over, then compare the history.

        Args:
            is_over: asked before each press.
            pause: [s] mean of an exponential pause between two presses.
        """
        client = Client(self.address, timeout=self.patience)
        generator = np.random.default_rng(self.number)
        try:
            state = self._insist(client.introduce)
            learner = LEARNERS[self.number % len(LEARNERS)]
            state = self._put(client, "/api/learner", {"learner": learner})
            while not is_over() and state["track"] is not None:
                if self.acknowledged and generator.random() < UNDO_SHARE:
                    state = self._undo(client)
                else:
                    state = self._press(client, state)
                if pause:
                    time.sleep(float(generator.exponential(pause)))
            self._look(client, None)
            self._check(state, self._insist(lambda: _plot(client)))
        except (ApiError, OSError, http.client.HTTPException, RuntimeError) as error:
            self.faults.append(f"listener {self.number} after {self.presses} presses: {error}")
        finally:
            client.close()

    def _press(self, client: Client, state: Answer) -> Answer:
        shown = state["track"]
        own = Acknowledged(
            f"soak-{self.number:04}-{self.presses:07}",
            shown["key"],
            self.taste.likes(shown),
            _expected(shown["why"]["learners"]),
        )
        is_first_attempt = True

        def send() -> Answer:
            return client.press(own.track, own.liked, press_id=own.press_id)[1]

        def returned() -> None:
            nonlocal is_first_attempt
            is_first_attempt = False
            self._look(client, own)  # before it is sent again

        started = time.perf_counter()
        state = self._insist(send, returned)
        if is_first_attempt:
            self.seconds.append(time.perf_counter() - started)
        self.acknowledged.append(own)
        self.presses += 1
        return state

    def _undo(self, client: Client) -> Answer:
        last = self.acknowledged[-1]
        body = {"press_id": last.press_id}
        state = self._insist(lambda: client.request("POST", "/api/undo", body))
        self.acknowledged.pop()
        track = state["track"]
        if track is None or track["key"] != last.track:
            self.faults.append(f"listener {self.number}: undo did not bring back {last.track}")
        return state

    def _put(self, client: Client, path: str, body: Answer) -> Answer:
        return self._insist(lambda: client.request("PUT", path, body))

    def _insist(
        self, ask: Callable[[], Answer], returned: Callable[[], None] | None = None
    ) -> Answer:
        """Ask until there is an answer; only an outage may keep it from coming.

        Args:
            ask: asks once.
            returned: called when the server is there again, before it is asked once more.
        """
        while True:
            sent = time.monotonic()
            try:
                return ask()
            except (OSError, http.client.HTTPException, ApiError) as error:
                is_starting = isinstance(error, ApiError) and error.status == 503
                is_lost = not isinstance(error, ApiError)
                if not ((is_lost or is_starting) and self.outage.explains(sent)):
                    raise
            if not self.outage.wait(self.patience):
                raise RuntimeError("the server has not come back")
            if returned is not None:
                returned()

    def _look(self, client: Client, unanswered: Acknowledged | None) -> None:
        """Compare the history with what was acknowledged; one press may not have been answered."""
        found = self._insist(lambda: {"presses": history_of(client)})["presses"]
        expected = [(p.press_id, p.track, p.liked) for p in self.acknowledged]
        if unanswered is not None and len(found) > len(expected):
            expected.append((unanswered.press_id, unanswered.track, unanswered.liked))
        self.comparisons.append(compared(found, expected))

    def _check(self, state: Answer, learners: Answer) -> None:
        """Compare the counts that the server shows with those of what was acknowledged."""
        liked = sum(press.liked for press in self.acknowledged)
        if (state["presses"], state["liked"]) != (len(self.acknowledged), liked):
            self.faults.append(
                f"listener {self.number}: {state['liked']} of {state['presses']} liked, expected "
                f"{liked} of {len(self.acknowledged)}"
            )
        for name in LEARNERS:
            known = [
                (p > 0.5) == press.liked
                for press in self.acknowledged
                if (p := press.expected[name]) is not None
            ]
            share = sum(known) / len(known) if known else None
            series = learners[name]["right_share"]
            shown = series[-1] if series else None
            if shown != share:
                self.faults.append(
                    f"listener {self.number}: {name} was right in {shown} of its guesses, "
                    f"expected {share}"
                )


def _plot(client: Client) -> Answer:
    learners: Answer = client.request("GET", "/api/plot?n=1")["learners"]
    return learners


def _expected(learners: Answer) -> dict[str, float | None]:
    """Return what each learner expects of the track shown, of its *why*."""
    return {
        name: None if (found := learners[name]) is None else float(found["like_probability"])
        for name in LEARNERS
    }
