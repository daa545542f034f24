"""Shared fixtures: six tracks whose scores are known by hand, and visits to the player's page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from music_env import Catalogue

if TYPE_CHECKING:
    from player_page import Visit
    from playwright.sync_api import Browser

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

# For artist A, genre rock, danceability 0.4 to 0.6 (by hand):
#   track  artist  genre  danceability   score of "like"
SIX = [
    ("t0", "Zero", "A", "rock", 0.4),  # +1 +1 +1 = +3, the lower end counts
    ("t1", "One", "A;B", "pop", 0.6),  # +1 -1 +1 = +1, the upper end counts
    ("t2", "Two", "B", "pop;rock", 0.61),  # -1 +1 -1 = -1
    ("t3", "Three", "B", "pop", 0.5),  # -1 -1 +1 = -1
    ("t4", "Four", "C", "", 0.0),  # -1 -1 -1 = -3, no genre
    ("t5", "Five", "C;A", "rock", 1.0),  # +1 +1 -1 = +1
]
SIX_TERMS = {
    "artist": [1, 1, -1, -1, -1, 1],
    "genre": [1, -1, 1, -1, -1, 1],
    "danceability": [1, 1, -1, 1, -1, -1],
}
SIX_SCORES = [3, 1, -1, -1, -3, 1]
SIX_LISTENER = {"artist": "A", "genre": "rock", "danceability": (0.4, 0.6)}


def six_frame() -> pd.DataFrame:
    return pd.DataFrame(SIX, columns=["track_id", "title", "artists", "genres", "danceability"])


@pytest.fixture(scope="session")
def six() -> Catalogue:
    return Catalogue.from_frame(six_frame())


@pytest.fixture(scope="session")
def embedded() -> Catalogue:
    return Catalogue.default()


def returns_of_stepping(run, seeds) -> list[float]:
    """Play a session of each seed in the run's scalar environment, step by step."""
    env, returns = run.make_env(), []
    for seed in seeds:
        observation, _ = env.reset(seed=seed)
        done = False
        while not done:
            action, _ = run.predict(observation)
            observation, _, done, _, info = env.step(int(action))
        returns.append(info["episode_return"])
    return returns


def shared_file(name: str) -> Path:
    """Return a real data file that is not part of the project, or skip the test."""
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"needs ../shared/data/{name}, which is not here")
    return path


# --- The player in a browser; its packages are imported where a test asks for one -----------------


@pytest.fixture(scope="module")
def chromium_browser() -> Iterator[Browser]:
    from playwright.sync_api import expect

    from player.chromium import PATIENCE, chromium

    with chromium() as browser:
        expect.set_options(timeout=PATIENCE)
        yield browser
        expect.set_options(timeout=5_000)


@pytest.fixture(scope="module")
def player_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from player_page import remote_frame, serving

    folder = tmp_path_factory.mktemp("player")
    remote_frame(60).to_csv(folder / "tracks.csv", index=False)
    with serving(folder / "tracks.csv", folder / "data") as address:
        yield address


@pytest.fixture
def visit(chromium_browser: Browser, player_address: str) -> Iterator[Callable[..., Visit]]:
    """Begin visits of new listeners: `visit(address, **options of the browser's context)`."""
    from player_page import Visit

    visits: list[Visit] = []

    def begin(at: str = player_address, **options: Any) -> Visit:
        visits.append(Visit(chromium_browser, at, **options))
        return visits[-1]

    yield begin
    for one in visits:
        if not one.page.is_closed():  # by the test
            one.page.unroute_all(behavior="ignoreErrors")  # handlers may be at work
        one.context.close()
