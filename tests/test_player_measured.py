"""What is measured of the player: the first page comes early, and presses say what they took."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from player_server import by_rule, tracks_frame

from player import press_times
from player.first_page import ASKED, first_page
from player.press_times import api_times, lines
from player.server_process import ServerProcess, free_port, player_command
from player.settings import PlayerSettings
from player.simulate import running


@pytest.mark.slow  # on a machine that does other things as well
def test_the_first_page_comes_before_torch_and_the_catalogue(tmp_path: Path) -> None:
    catalogue = tmp_path / "tracks.csv"
    tracks_frame(50).to_csv(catalogue, index=False)
    command = player_command("--data", tmp_path / "data", "--catalogue", catalogue)
    server = ServerProcess(command, free_port(), tmp_path / "log")
    try:
        found = first_page(server)
    finally:
        server.stop()
    assert server.complaints() == "", "Ctrl-C ends it without a word"
    assert found.files > 15, "the page names its scripts and styles"
    if found.cost is None:
        pytest.skip("this system has no /proc")
    assert not found.cost.has_torch
    # Processor time is the same on a busy machine; on an idle one it is the seconds.
    assert found.cost.cpu < ASKED, "with torch, Stable-Baselines3 and the catalogue it takes longer"


def test_a_page_that_does_not_come_is_an_error(tmp_path: Path) -> None:
    server = ServerProcess(player_command("--port", "none"), free_port(), tmp_path / "log")
    try:
        with pytest.raises(TimeoutError, match="/ has not come"):
            first_page(server, patience=0.2)
        with pytest.raises(RuntimeError, match="runs already, as process"):
            server.start()
    finally:
        server.kill()


def test_a_limit_that_presses_must_keep(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    times = {"press-to-next": [80.0, 101.0, 500.0], "server: cpu": [900.0]}
    monkeypatch.setattr(press_times, "browser_times", lambda address, presses: times)
    for limit, status in (("101", 0), ("100", 1), (None, 0)):
        given = [] if limit is None else ["--at-most", limit]
        monkeypatch.setattr("sys.argv", ["press_times", "--address", "http://x", *given])
        assert press_times.main() == status, limit
    assert "press-to-next: median 101.0 ms, at most 100 ms asked for" in capsys.readouterr().err
    assert press_times.too_slow({"press-to-next": []}, 100.0), "nothing measured is not fast"
    monkeypatch.setattr("sys.argv", ["press_times", "--at-most", "0"])
    with pytest.raises(SystemExit):
        press_times.main()
    assert "--at-most must be above 0 ms" in capsys.readouterr().err


def test_presses_through_the_api_are_timed_by_both_sides(tmp_path: Path) -> None:
    catalogue = tmp_path / "tracks.csv"
    tracks_frame(60).to_csv(catalogue, index=False)
    settings = PlayerSettings(catalogue=catalogue, data=tmp_path / "data", port=0)
    with running(settings, by_rule) as (address, engine):
        engine.wait(600)
        began = time.perf_counter()
        times = api_times(address, 6)
        took = 1e3 * (time.perf_counter() - began)
        with pytest.raises(RuntimeError, match="no track is left after 60 presses"):
            api_times(address, 61)
    assert list(times) == ["press-to-answer", "server: press", "server: cpu"]
    assert {len(values) for values in times.values()} == {6}
    whole, server, _ = times.values()
    assert sum(whole) <= took
    assert all(0 < part <= all_ + 0.1 for part, all_ in zip(server, whole, strict=True))
    text = lines({"press-to-next": [1.0, 2.0, 30.0], "nothing": []})
    assert text == ["press-to-next  3 presses: median 2.0 ms, 95 % within 27.2 ms, slowest 30.0 ms"]
