"""Many listeners and a kill -9: nothing is lost; and what would be lost or mixed up is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest
from player_server import rule_server, tracks_frame

from player.server_process import ProcessCost, free_port
from player.simulate import Taste
from player.soak import soak
from player.soak_listener import Acknowledged, Outage, SoakListener, compared

A, B, C = ("a", "1", True), ("b", "2", False), ("c", "3", True)


@pytest.mark.slow
def test_listeners_go_on_after_a_kill_and_nothing_is_lost(tmp_path: Path) -> None:
    catalogue = tmp_path / "tracks.csv"
    tracks_frame(1500).to_csv(catalogue, index=False)
    tastes = [Taste("Ada", "rock", (0.2, 0.7)), Taste("Bo", None, None)] * 2
    with rule_server(catalogue, tmp_path / "data") as server:
        report = soak(server, tastes, seconds=2.0, least=20)
    text = "\n".join(report.lines())
    assert set(report.wrong.values()) == {0}, text
    assert "lost 0, mixed up 0, repeated 0" in text
    assert report.presses >= 40, text
    assert not report.has_failed, text
    for listener in report.listeners:
        # One look after the kill, where a press had no answer, and one at the end.
        assert len(listener.comparisons) in (1, 2)
    assert any(len(listener.comparisons) == 2 for listener in report.listeners)


def test_a_soak_whose_listeners_run_out_of_tracks_has_failed(tmp_path: Path) -> None:
    """Else ten minutes of twelve tracks would show nothing, and say that all is well."""
    catalogue = tmp_path / "tracks.csv"
    tracks_frame(12).to_csv(catalogue, index=False)
    with rule_server(catalogue, tmp_path / "data") as server:
        report = soak(server, [Taste("Ada", "rock", (0.2, 0.7))], seconds=3600.0)
    text = "\n".join(report.lines())
    assert set(report.wrong.values()) == {0}, text
    assert report.seconds < 3000 and report.has_failed
    assert "the time was not filled" in text


@pytest.mark.parametrize(
    ("found", "lost", "mixed", "repeated", "is_in_order"),
    [
        ([A, B, C], 0, 0, 0, True),
        ([A, C], 1, 0, 0, True),
        ([A, B, ("c", "3", False)], 1, 1, 0, True),
        ([A, B, C, ("another's", "3", True)], 0, 1, 0, True),
        ([A, B, B, C], 0, 0, 1, False),
        ([B, A, C], 0, 0, 0, False),
        ([], 3, 0, 0, True),
    ],
)
def test_a_history_against_what_was_acknowledged(
    found: list[tuple[str, str, bool]], lost: int, mixed: int, repeated: int, is_in_order: bool
) -> None:
    result = compared(found, [A, B, C])
    assert (result.lost, result.mixed, result.repeated) == (lost, mixed, repeated)
    assert result.is_in_order == is_in_order
    assert result.is_equal == (found == [A, B, C])


def test_wrong_counts_are_faults() -> None:
    listener = SoakListener("http://127.0.0.1:1", 0, Taste("Ada", None, None), Outage())
    listener.acknowledged = [
        Acknowledged("a", "1", True, {"tabular": 0.6, "dueling-dqn": None}),
        Acknowledged("b", "2", True, {"tabular": 0.5, "dueling-dqn": 0.9}),
    ]
    right = {"tabular": {"right_share": [0.5]}, "dueling-dqn": {"right_share": [1.0]}}
    listener._check({"presses": 2, "liked": 2}, right)
    assert listener.faults == []
    listener._check({"presses": 2, "liked": 1}, right)
    assert "1 of 2 liked, expected 2 of 2" in listener.faults[0]
    listener._check({"presses": 2, "liked": 2}, {**right, "tabular": {"right_share": [1.0]}})
    assert "tabular was right in 1.0 of its guesses, expected 0.5" in listener.faults[1]


def test_a_connection_lost_without_a_kill_is_a_fault() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    listener = SoakListener(address, 0, Taste("Ada", None, None), Outage())
    listener.run(lambda: False)
    (fault,) = listener.faults
    assert "listener 0 after 0 presses" in fault


def test_only_the_outage_explains_a_request_without_an_answer() -> None:
    outage = Outage()
    assert not outage.explains(0.0)
    outage.begin()
    assert outage.explains(0.0), "sent before the kill, not answered because of it"
    assert not outage.wait(0.0)
    outage.end()
    assert outage.wait(0.0)
    assert outage.explains(outage._up) and not outage.explains(outage._up + 1e-6)


def test_the_cost_of_a_process() -> None:
    import os

    cost = ProcessCost.of(os.getpid())
    if cost is None:
        pytest.skip("this system has no /proc")
    assert cost.cpu > 0 and cost.memory > 10
    assert ProcessCost.of(2**22 + 1) is None, "there is no such process"
