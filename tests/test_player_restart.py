"""kill -9 in the middle: every acknowledged press is there afterwards, and nothing else."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from player_server import press, rule_server, started, tracks_frame

from player.client import ApiError, Client
from player.records import Pending, Press
from player.store import Store, StoreError


@pytest.mark.slow
def test_kill_9_loses_no_acknowledged_press(tmp_path: Path) -> None:
    catalogue = tmp_path / "tracks.csv"
    tracks_frame(400).to_csv(catalogue, index=False)
    server = rule_server(catalogue, tmp_path / "data")
    server.start()
    acknowledged: dict[str, list[tuple[str, str, bool]]] = {}
    states: dict[str, dict[str, Any]] = {}
    unanswered: dict[str, tuple[str, str, bool]] = {}
    enough = threading.Semaphore(0)

    def go(number: int) -> None:
        client = Client(server.address)
        state = client.introduce()
        assert client.token is not None
        own = acknowledged.setdefault(client.token, [])
        for turn in range(10_000):
            key, liked = state["track"]["key"], (turn + number) % 3 == 0
            press_id = f"listener{number}-{turn:05}"
            try:
                _, state = client.press(key, liked, press_id=press_id)
            except OSError:
                unanswered[client.token] = (press_id, key, liked)
                return
            except Exception as error:  # an answer cut off by the kill
                assert not isinstance(error, ApiError), error
                unanswered[client.token] = (press_id, key, liked)
                return
            own.append((press_id, key, liked))
            states[client.token] = state
            enough.release()

    try:
        server.ready()
        threads = [threading.Thread(target=go, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(40):
            assert enough.acquire(timeout=120)
    finally:
        server.kill()
    for thread in threads:
        thread.join()
    assert len(unanswered) == 4

    server.start()
    try:
        server.ready()
        for token, own in acknowledged.items():
            client = Client(server.address, token)
            history = client.request("GET", "/api/history?n=500")["presses"][::-1]
            found = [(p["press_id"], p["track"]["key"], p["liked"]) for p in history]
            last = unanswered[token]
            assert found in (own, [*own, last]), "all that was acknowledged, at most one more"
            if found == own:
                state = client.request("GET", "/api/state")
                assert state == states[token], "the same track, and the learnt state to the bit"
            # The press that got no answer is sent again, whether or not it had arrived.
            _, state = client.press(last[1], last[2], press_id=last[0])
            assert state["presses"] == len(own) + 1
            client.close()
    finally:
        server.kill()


def test_a_restart_brings_the_learnt_state_back(tmp_path: Path) -> None:
    catalogue = tmp_path / "tracks.csv"
    tracks_frame(250).to_csv(catalogue, index=False)
    with started(catalogue, tmp_path / "data") as player:
        browser = player.browser()
        for number in range(12):
            press(browser, number % 4 == 0)
        browser.put("/api/preference", json={"genre": "jazz"})
        press(browser, True)
        browser.post("/api/generate")
        state = press(browser, True)
        undone = browser.post("/api/undo", json={"press_id": state["last_press"]["press_id"]})
        state, cookies = undone.json(), dict(browser.cookies)
        assert state["track"]["kind"] == "generated"
    with started(catalogue, tmp_path / "data") as player:
        player.client.cookies.update(cookies)
        assert player.client.get("/api/state").json() == state


def store_with_a_press(path: Path) -> tuple[Store, int]:
    store = Store(path)
    listener = store.add_listener(b"hash", seed=2**32 - 1, learner="tabular")
    pending = Pending("3", "tabular", {"tabular": 0.5, "dueling-dqn": None})
    store.add_press(
        listener, Press(1, "press-0001", "2", True, "tabular", {"tabular": 0.1}), pending
    )
    return store, listener


def test_the_store_gives_back_what_was_put_in(tmp_path: Path) -> None:
    store, listener = store_with_a_press(tmp_path / "s" / "listeners.sqlite3")
    store.close()
    store = Store(tmp_path / "s" / "listeners.sqlite3")
    row = store.listener(listener)
    assert (row.seed, row.learner) == (2**32 - 1, "tabular")
    assert row.pending == Pending("3", "tabular", {"tabular": 0.5, "dueling-dqn": None})
    (press_,) = store.presses(listener)
    assert (press_.press_id, press_.track, press_.liked, press_.undone) == (
        "press-0001",
        "2",
        True,
        False,
    )
    assert store._all("PRAGMA journal_mode") == [("wal",)]
    assert store._all("PRAGMA synchronous") == [(2,)], "FULL: also a power cut loses nothing"
    store.close()


def test_a_press_and_the_next_track_are_stored_both_or_neither(tmp_path: Path) -> None:
    store, listener = store_with_a_press(tmp_path / "listeners.sqlite3")
    twice = Press(2, "press-0001", "3", True, "tabular", {})
    with pytest.raises(Exception, match="UNIQUE"):
        store.add_press(listener, twice, Pending("9", "tabular", {}))
    pending = store.listener(listener).pending
    assert pending is not None and pending.track == "3"
    store.close()


def test_two_players_cannot_have_one_store(tmp_path: Path) -> None:
    store, _ = store_with_a_press(tmp_path / "listeners.sqlite3")
    with pytest.raises(StoreError, match="another player"):
        Store(tmp_path / "listeners.sqlite3")
    store.close()


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"{}" * 4000])
def test_a_file_of_something_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "listeners.sqlite3"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"--data"):
        Store(path)
