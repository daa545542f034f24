"""A player whose policy is a rule, so that no test has to train: in-process, or as a server.

python tests/player_server.py CATALOGUE DATA PORT [LISTENERS]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fastapi.testclient import TestClient

from player.app import create_app
from player.server_process import ServerProcess, free_port
from player.settings import PlayerSettings

ADDRESS = "http://127.0.0.1:8000"

PAGE = {"Origin": ADDRESS, "Sec-Fetch-Site": "same-origin"}
"""What a browser sends with a request of the page's script."""


class Rule:
    """A policy that values a like as the rewards do: it reads the observation by column names."""

    def __init__(self, encoded: Any) -> None:
        names, n = encoded.columns, encoded.n_track_columns
        self.slots = {
            kind: [i for i in range(n) if names[i].startswith(f"{kind} ")]
            for kind in ("genre", "artist")
        }
        self.danceability, self.listener = names.index("danceability"), n

    def q_values(self, observations: np.ndarray) -> np.ndarray:
        low, high, anything, genre, artist = observations[:, self.listener :].T
        value = observations[:, self.danceability]
        score = np.where(anything > 0, 0, np.where((value >= low) & (value <= high), 1, -1))
        for kind, wanted in (("genre", genre), ("artist", artist)):
            held = (observations[:, self.slots[kind]] == wanted[:, None]).any(axis=1)
            score = score + np.where(wanted == 0, 0, np.where(held, 1, -1))
        return np.stack([-score, score], axis=1).astype(np.float32)


def by_rule(catalogue: Any, settings: PlayerSettings, folder: Path, report: Any) -> Any:
    """In place of `player.policy.recommender_for`."""
    from agents.online import OnlineRecommender
    from music_env.listeners import Listeners
    from music_env.pairs import encode_pairs

    encoded = encode_pairs(catalogue, "codes")
    artists, genres = catalogue.artists.vocabulary, catalogue.genres.vocabulary
    preferences: list[dict[str, Any]] = [
        {"artist": artist, "genre": genre, "danceability": ends}
        for artist in artists[:3]
        for genre in (*genres[:2], None)
        for ends in ((0.4, 0.6), (0.0, 0.5), None)
    ]
    listeners = Listeners.of(catalogue, preferences)
    return OnlineRecommender(Rule(encoded), catalogue, encoded, listeners)


class Player:
    """An application that is started, and the clients that talk to it."""

    def __init__(self, app: Any, client: TestClient) -> None:
        self.app, self.client = app, client

    @property
    def engine(self) -> Any:
        return self.app.state.engine

    def browser(self) -> TestClient:
        """Another browser, with cookies of its own; its page has said hello."""
        client = TestClient(self.app, base_url=ADDRESS, headers=PAGE)
        assert client.post("/api/session").status_code == 200
        return client


@contextmanager
def started(
    catalogue: Path | None, data: Path, make: Callable[..., Any] = by_rule, **settings: Any
) -> Iterator[Player]:
    app = create_app(PlayerSettings(catalogue=catalogue, data=data, **settings), make)
    with TestClient(app, base_url=ADDRESS, headers=PAGE) as client:
        app.state.engine.wait(600)
        yield Player(app, client)


def rule_server(catalogue: Path, data: Path) -> ServerProcess:
    """This file as a process of its own: one that can be killed."""
    command = [sys.executable, str(Path(__file__).resolve()), str(catalogue), str(data)]
    return ServerProcess(command, free_port(), data / "server.log", port_option="")


_number = iter(range(10**9))


def press(client: TestClient, liked: bool, press_id: str | None = None) -> dict[str, Any]:
    """Press on what is shown, and return the state."""
    track = client.get("/api/state").json()["track"]["key"]
    body = {"press_id": press_id or f"press-{next(_number):06}", "track": track, "liked": liked}
    answer = client.post("/api/press", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["state"]


def tracks_frame(count: int, seed: int = 0) -> pd.DataFrame:
    """A catalogue of drawn tracks of five artists and three genres."""
    generator = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "track_id": [f"t{i}" for i in range(count)],
            "title": [f"Title {i}" for i in range(count)],
            "artists": generator.choice(["Ada", "Bo", "Cleo", "Dan", "Eve"], count),
            "genres": generator.choice(["rock", "pop", "jazz"], count),
            "danceability": generator.random(count).round(3),
            "energy": generator.random(count).round(3),
            "tempo": generator.uniform(60, 180, count).round(1),
            "duration": generator.uniform(100, 300, count).round(1),
            "explicit": generator.integers(0, 2, count),
        }
    )


if __name__ == "__main__":
    import os
    import threading

    import uvicorn

    def end_with_the_test() -> None:
        os.read(0, 1)  # returns when the other end of the pipe is closed, also by a kill
        os._exit(1)

    threading.Thread(target=end_with_the_test, daemon=True).start()
    given = sys.argv[1:]
    uvicorn.run(
        create_app(PlayerSettings(catalogue=Path(given[0]), data=Path(given[1])), by_rule),
        host="127.0.0.1",
        port=int(given[2]),
        log_level="warning",
    )
