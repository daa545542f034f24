"""The benchmarks of what runs on a cluster, without one: their tables, and a batch in a process."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="a folder of listeners is Parquet: needs pyarrow")

from batch_runs import trained_run

from agents.settings import DuelingDQNSettings
from bench import batch, rllib
from bench.batch_measures import Bare, Measured, write_listeners
from bench.regret import Reached
from bench.report import ROOT
from cluster import throughput
from cluster.blocks import Input
from cluster.listener_rows import check_rows
from cluster.ranking import Agreement
from music_env import draw_population
from music_env.population import PopulationOptions

FEW = Measured(
    listeners=200, valued=20_000, span=1.0, cpu_seconds=2.0, seconds=2.0,
    worker_bytes=100, driver_bytes=100, written_bytes=4_000,
)  # fmt: skip
WHOLE = Measured(
    listeners=1_000, valued=100_000, span=4.0, cpu_seconds=8.0, seconds=5.0,
    worker_bytes=105, driver_bytes=106, written_bytes=20_000,
)  # fmt: skip


def test_what_is_asked_of_a_batch_is_judged() -> None:
    # 250 listeners a second; 100 pairs each, of which 40,000 a second can be valued.
    found = batch.Found(FEW, WHOLE, Bare(40_000, 25_000), Agreement(0.989, 0.5))
    rows = {what: (value, verdict) for what, value, _, verdict in batch.measured_rows(found, 7)}
    assert rows["listeners a second, start-up excluded"][0] == "250"
    assert rows["with start-up, reading, checking"][0] == "200"
    assert rows["bare forward passes: listeners a second"][0] == "400"
    assert rows["share of that limit"] == ("0.62", "met")
    assert rows["share of it by processor time"][0] == "0.50"
    assert rows["places of equal score, 7 listeners"] == ("98.90%", "NOT MET")
    assert rows["memory of a worker, 1,000 listeners"][1] == "met"
    assert rows["memory of the driver, 1,000 listeners"][1] == "NOT MET"


def test_costs_at_a_rate() -> None:
    # 125 listeners a second and worker: a million takes 8,000 s; 20 bytes are written for each.
    rows = batch.cost_rows(WHOLE, 2, 0.09)
    assert rows[0] == ("1,000,000", "2.22", "0.20 at 0.09 a core-hour", "0.0 GB")
    assert rows[1] == ("100,000,000", "222.22", "20.00 at 0.09 a core-hour", "2.0 GB")
    assert batch.cost_rows(WHOLE, 2, None)[0][2] == ""


def test_what_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match=r"those of the sample \(3\), got 2"):
        batch.Arguments(listeners=2, sample=3)
    with pytest.raises(ValueError, match="rounds must be at least 1, got 0"):
        batch.Arguments(rounds=0)


@pytest.mark.slow
def test_a_batch_is_measured_without_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, out = trained_run(tmp_path / "run", 500), tmp_path / "batch.md"
    arguments = [
        *("--engine", "local", "--run", str(run), "--out", str(out), "--seconds", "0.01"),
        *("--listeners", "50", "--block-rows", "20", "--sample", "3", "--rounds", "1"),
    ]
    monkeypatch.setattr(sys, "argv", ["batch", *arguments])
    assert batch.main() == 0
    text = out.read_text(encoding="utf-8")
    assert "`python -m bench.batch --engine local --run " in text, "the command as it was given"
    assert "50 listeners" in text and "one process" in text
    assert "| memory of the driver, 10 listeners |" in text and "| 100,000,000 |" in text


def test_listeners_are_read_as_they_were_drawn(tmp_path: Path, embedded: object) -> None:
    from types import SimpleNamespace

    from music_env import Catalogue

    assert isinstance(embedded, Catalogue)
    drawn = draw_population(embedded, PopulationOptions(n_listeners=60)).listeners
    write_listeners(SimpleNamespace(catalogue=embedded), drawn, tmp_path / "in")  # type: ignore[arg-type]
    folder = Input.of(tmp_path / "in", 100)
    checked = check_rows(folder.read(folder.blocks[0]), embedded, {})
    assert not checked.bad
    for name, values in checked.listeners.arrays().items():
        np.testing.assert_array_equal(values, drawn.arrays()[name], err_msg=name)


def test_runs_of_the_throughput_are_one_and_the_same() -> None:
    tasks = throughput.same_run(3, 700)
    assert len(tasks) == 3 and len({task.key for task in tasks}) == 1
    assert tasks[0].budget == 700 and tasks[0].learner == "dueling-dqn"
    assert throughput.table_rows({1: 90.0, 2: 50.0}, 12) == [
        ["1", "12", "90.0", "8.0", "1.00", "", ""],
        ["2", "12", "50.0", "14.4", "1.80", ">= 1.7", "met"],
    ]
    assert throughput.table_rows({1: 90.0, 2: 60.0}, 13)[1][1:] == (
        ["13 (7 turns)", "60.0", "13.0", "1.50", ">= 1.7", "NOT MET"]
    )


def reached(tracks: int, seconds: float) -> Reached:
    run = Reached()
    run.note(0.01, seconds, tracks)
    run.note(0.001, 2 * seconds, 2 * tracks)
    return run


def test_the_page_says_how_coarse_its_tracks_are() -> None:
    page = (ROOT / "bench" / "rllib.md").read_text(encoding="utf-8")
    said = rllib.coarseness(DuelingDQNSettings().n_envs)
    assert said.startswith("The regret is looked at every 256 tracks") and said in page


def test_learners_are_compared_by_medians_and_ranges() -> None:
    ours = [reached(1_000, 1.0), reached(2_000, 2.0), reached(3_000, 3.0)]
    theirs = [reached(4_000, 30.0), reached(4_000, 40.0), reached(5_000, 50.0)]
    row = rllib.row("ours", ours)
    assert row[:3] == ["ours", "2,000 (1,000 to 3,000)", "2.0 s (1.0 to 3.0)"]
    assert row[3] == "4,000 (2,000 to 6,000)"
    never = Reached()
    never.note(0.5, 9.0, 100)
    assert rllib.row("x", [*ours, never])[1:3] == ["3 of 4 runs arrived", ""]
    assert rllib.compared(ours, {"RLlib": theirs, "slow": [never]}) == [
        "RLlib: 1.0% in all 3 runs, after 2.0 times the tracks and 20.0 times the seconds of ours.",
        "slow: 1.0% in 0 of 1 runs.",
    ]
