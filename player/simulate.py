"""Simulated listeners who press through the API: how the share of liked tracks grows."""

from __future__ import annotations

import dataclasses
import itertools
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from player.client import ApiError, Client
from player.engine import Engine, MakeRecommender
from player.settings import PlayerSettings

ROWS = 10
"""Of the table."""

FIRST = 20
"""Presses of which the share is reported besides."""

TIMEOUT = 600.0
"""[s] Of a request: many listeners at once wait for each other."""


@dataclass(frozen=True)
class Taste:
    """A simulated listener: a preference, of which nothing is told to the player.

    Attributes:
        artist: preferred, None: open; as are the others.
        genre: likewise.
        danceability: lowest and highest.
    """

    artist: str | None
    genre: str | None
    danceability: tuple[float, float] | None

    def likes(self, track: dict[str, Any]) -> bool:
        """Whether the reward of *like* would be above 0 (see `music_env.score_tracks`)."""
        score = 0
        if self.artist is not None:
            score += 1 if self.artist in track["artists"] else -1
        if self.genre is not None:
            score += 1 if self.genre in track["genres"] else -1
        if self.danceability is not None:
            low, high = self.danceability
            score += 1 if low <= track["features"]["danceability"] <= high else -1
        return score > 0


@dataclass(frozen=True)
class Outcome:
    """What one simulated listener met.

    Attributes:
        liked: whether each track was liked, in order.
        seconds: from each press to the next track, as a client sees it.
        right: learner -> the share of its guesses that were right.
        faults: what went wrong: an error, or a history that is not what was pressed.
    """

    liked: list[bool]
    seconds: list[float]
    right: dict[str, float | None]
    faults: list[str]


def simulate(settings: PlayerSettings, presses: int, *, listeners: int = 1, seed: int = 0) -> int:
    """Serve the player to simulated listeners, print what they met; return the exit status.

    Args:
        settings: of the player; another port is taken.
        presses: of each listener.
        listeners: how many at once.
        seed: the first of them.
    """
    from rich.console import Console

    console = Console()
    started = time.perf_counter()
    try:
        outcomes = simulated(settings, presses, listeners=listeners, seed=seed, console=console)
    except (ApiError, OSError, RuntimeError, ValueError) as error:
        print(f"recommend.py: {error}", file=sys.stderr)
        return 2
    report(
        outcomes,
        console,
        seconds=time.perf_counter() - started,
        learning=settings.learning,
    )
    return 1 if any(outcome.faults for outcome in outcomes) else 0


def simulated(
    settings: PlayerSettings,
    presses: int,
    *,
    listeners: int,
    seed: int = 0,
    at_once: int | None = None,
    console: Any,
    make_recommender: MakeRecommender | None = None,
) -> list[Outcome]:
    """Serve the player to simulated listeners, and return what each of them met.

    They are of the test split of `music_env.draw_population`: the policy was trained for others,
    whose artists are none of theirs. Their presses are kept in a folder that is deleted at the end.

    Args:
        settings: of the player; another port is taken.
        presses: of each listener.
        listeners: how many.
        seed: the first of them.
        at_once: how many press at a time; None: all.
        console: of rich, told how far the start is.
        make_recommender: see `Engine`.

    Raises:
        RuntimeError: the player does not become ready.
    """
    with tempfile.TemporaryDirectory() as folder:
        settings = dataclasses.replace(settings, port=0, listeners=Path(folder) / "listeners.db")
        with running(settings, make_recommender) as (address, _):
            client = Client(address)
            try:
                _wait(client, console)
            finally:
                client.close()
            return meet(address, tastes(settings, listeners, seed), presses, at_once=at_once)


@contextmanager
def running(
    settings: PlayerSettings, make_recommender: MakeRecommender | None = None
) -> Iterator[tuple[str, Engine]]:
    """Serve the player in a thread, and yield its address and engine."""
    from player.app import create_app
    from player.command import bound, server_of

    with bound(settings.host, settings.port) as listening:
        app = create_app(settings, make_recommender)
        server = server_of(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://{settings.host}:{listening.getsockname()[1]}", app.state.engine
        finally:
            server.should_exit = True
            thread.join(timeout=30)


def tastes(settings: PlayerSettings, count: int, seed: int) -> list[Taste]:
    """Return simulated listeners of a catalogue."""
    from music_env.population import Split, draw_population
    from music_env.tables import load_catalogue

    catalogue = load_catalogue(settings.catalogue)
    population = draw_population(catalogue, split=Split("test")).listeners
    preferences = [
        population.preference((seed + number) % len(population), catalogue)
        for number in range(count)
    ]
    return [Taste(p.artist, p.genre, p.danceability) for p in preferences]


def meet(
    address: str, listeners: Sequence[Taste], presses: int, *, at_once: int | None = None
) -> list[Outcome]:
    """Let listeners press, all at once or so many, and return what each of them met."""
    with ThreadPoolExecutor(min(len(listeners), at_once or len(listeners))) as pool:
        return list(pool.map(lambda taste: _meet(address, taste, presses), listeners))


def _meet(address: str, taste: Taste, presses: int) -> Outcome:
    client = Client(address, timeout=TIMEOUT)
    liked: list[bool] = []
    seconds: list[float] = []
    faults: list[str] = []
    pressed: list[tuple[str, str, bool]] = []
    right: dict[str, float | None] = {}
    try:
        state = client.introduce()
        while len(liked) < presses and (track := state["track"]) is not None:
            likes = taste.likes(track)
            started = time.perf_counter()
            press_id, state = client.press(track["key"], likes)
            seconds.append(time.perf_counter() - started)
            pressed.append((press_id, track["key"], likes))
            liked.append(likes)
        if history_of(client) != pressed:
            faults.append("the history is not what was pressed")
        for name, series in client.request("GET", "/api/plot?n=1")["learners"].items():
            right[name] = series["right_share"][-1] if series["right_share"] else None
    except (ApiError, OSError) as error:
        faults.append(f"after {len(liked)} presses: {error}")
    finally:
        client.close()
    return Outcome(liked, seconds, right, faults)


def history_of(client: Client) -> list[tuple[str, str, bool]]:
    """Return all presses of a listener, the first one first: (press id, track's key, liked)."""
    found: list[dict[str, Any]] = []
    while True:
        before = f"&before={found[-1]['number']}" if found else ""
        part = client.request("GET", f"/api/history?n=500{before}")
        found += part["presses"]
        if not part["more"]:
            return [(p["press_id"], p["track"]["key"], p["liked"]) for p in reversed(found)]


def _wait(client: Client, console: Any) -> None:
    """Wait until the player is ready, and say why."""
    with console.status("starting") as shown:
        while True:
            try:
                client.wait(seconds=0.5)
                return
            except RuntimeError:
                status = client.request("GET", "/api/status")
                if status["phase"] == "failed":
                    raise
                shown.update(status["message"])


def report(
    outcomes: Sequence[Outcome], console: Any, *, seconds: float, learning: bool = True
) -> None:
    """Print how the share of liked tracks grew, and what it cost."""
    from rich.table import Table

    who = "a simulated listener" if len(outcomes) == 1 else f"{len(outcomes)} simulated listeners"
    how = "" if learning else ", learning switched off"
    table = Table(title=f"Liked by {who}, nothing told{how}", title_justify="left")
    for column in ("presses", "liked of these", "liked so far"):
        table.add_column(column, justify="right")
    longest = max(len(outcome.liked) for outcome in outcomes)
    for first, last in _rows(longest):
        part = _share([outcome.liked[first:last] for outcome in outcomes])
        so_far = _share([outcome.liked[:last] for outcome in outcomes])
        table.add_row(f"{first + 1} to {last}", f"{part:.0%}", f"{so_far:.0%}")
    console.print(table)
    first_half = _share([outcome.liked[: FIRST // 2] for outcome in outcomes])
    second_half = _share([outcome.liked[FIRST // 2 : FIRST] for outcome in outcomes])
    console.print(
        f"First {FIRST} presses: {first_half:.0%} liked in the first half, {second_half:.0%} in "
        "the second",
        highlight=False,
    )
    for name in outcomes[0].right:
        known = [r for o in outcomes if (r := o.right.get(name)) is not None]
        if known:
            console.print(f"Guesses of {name} that were right: {np.mean(known):.0%}")
    times = np.concatenate([outcome.seconds for outcome in outcomes] or [[]]) * 1e3
    if times.size:
        console.print(
            f"Press to next track: median {np.median(times):.0f} ms, 95 % within "
            f"{np.quantile(times, 0.95):.0f} ms; {times.size} presses in {seconds:.1f} s",
            highlight=False,
        )
    faults = [fault for outcome in outcomes for fault in outcome.faults]
    for fault in faults[:10]:
        console.print(f"Fault: {fault}", markup=False)
    if not faults:
        console.print("Every listener's history is what was pressed: nothing lost or mixed up.")


def _rows(presses: int) -> list[tuple[int, int]]:
    edges = np.unique(np.linspace(0, presses, min(ROWS, max(presses, 1)) + 1).astype(int)).tolist()
    return list(itertools.pairwise(edges))


def _share(parts: Sequence[Sequence[bool]]) -> float:
    joined = [liked for part in parts for liked in part]
    return float(np.mean(joined)) if joined else float("nan")
