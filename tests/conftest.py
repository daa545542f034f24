"""Shared fixtures: a catalogue of six tracks whose scores are known by hand."""

from pathlib import Path

import pandas as pd
import pytest

from music_env import Catalogue

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
