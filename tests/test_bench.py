"""The benchmark's pieces work on tiny inputs; what they measure is for `make bench`."""

import itertools
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import bench.__main__ as program
from bench import learning, listeners, memory, million, planning, report, stock_dqn, timing
from bench.regret import Reached, notebooks_listener, relative_regret
from music_env import PRESETS, Catalogue, Preference, encode

ROOT = Path(__file__).resolve().parents[1]
LISTENER = {"session_length": 20}


def row(**arguments):
    return report.Row("what", "peer", "s", [2.0, 6.0, 4.0], [1.0, 2.0, 8.0], **arguments)


def test_a_row_is_judged_by_the_median_of_its_rounds():
    at_least, at_most = report.Asked("at least", 2), report.Asked("at most", 1.9)
    assert row().ratios == [2.0, 3.0, 0.5]
    assert row(inverted=True).ratios == [0.5, 1 / 3, 2.0]
    assert row().verdict == ""
    assert row(asked=at_least).verdict == "met"
    assert row(asked=at_most).verdict == "NOT MET"
    assert row(asked=at_least, failed="it loads torch").verdict == "NOT MET"
    assert row(asked=at_least, skipped="no data").verdict == "skipped"


def test_the_table_says_what_is_a_bound_and_what_was_skipped(tmp_path, capsys):
    rows = [row(unfinished=True, inverted=True, note="a | b"), report.Row("x", skipped="no data")]
    report.write_markdown(rows, tmp_path / "results.md", command="make bench")
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "| **> 0.5** | 0.333 to 2 |  |  | what (1) | peer | 4 | > 2 | s |" in text
    assert "|  |  |  | skipped | x (2) |  |  |  |  |" in text
    assert "\n1. a | b\n2. no data\n" in text
    report.print_table(rows)
    assert "no data" in capsys.readouterr().out
    assert "| processor | " in text and "| numpy | " in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123, "0.0123"), (0.00001234, "1.23e-05"), (12.345, "12.3"), (999.7, "1,000"), (0, "0")],
)
def test_three_digits_count(value, text):
    assert report.number(value) == text


def test_both_sides_are_measured_in_turn_after_a_round_that_does_not_count():
    ticks = itertools.count()
    ours, theirs = timing.in_turn(lambda: next(ticks), lambda: -next(ticks), 2)
    assert (ours, theirs) == ([2, 4], [-3, -5])


def test_rates_go_on_over_the_ends_of_sessions():
    scalar = gym.make("MusicRec-v0", encoding="codes", **LISTENER)
    vector = gym.make_vec("MusicRec-v0", num_envs=3, encoding="codes", **LISTENER)
    actions = np.zeros((45, 3), dtype=np.int64)
    assert timing.scalar_rate(scalar, [0] * 45)() > 0
    assert timing.vector_rate(vector, actions)() > 0
    assert timing.vector_rate(vector, actions[:20], from_reset=True)() > 0


def test_the_made_up_catalogue_is_read_whole(tmp_path):
    catalogue = Catalogue.read(million.make_catalogue(2000, tmp_path / "made.parquet"))
    again = Catalogue.read(million.make_catalogue(2000, tmp_path / "again.parquet"))
    assert catalogue.n_tracks == 2000
    assert not catalogue.report.dropped and not catalogue.report.unreadable
    assert 150 < len(catalogue.artists.vocabulary) <= 261
    assert 50 < len(catalogue.genres.vocabulary) <= million.N_GENRES
    assert catalogue.artists.counts.max() == 2
    assert catalogue.features.keys() == Catalogue.default().features.keys()
    assert catalogue.checksum == again.checksum
    assert encode(catalogue, "codes").space.shape[0] <= 32


def test_reached_keeps_the_first_check_at_each_regret():
    reached = Reached()
    for check in ((0.5, 1.0, 250), (0.009, 2.0, 500), (0.02, 3.0, 750), (0.0, 4.0, 1000)):
        assert not reached.done
        reached.note(*check)
    assert reached.done
    assert reached.seconds == {0.01: 2.0, 0.001: 4.0}
    assert str(reached) == "1.0% after 500 tracks, 2.00 s, 0.1% after 1,000 tracks, 4.00 s"
    assert Reached(total=7.0).spent(0.001, "s") == 7.0
    assert reached.spent(0.01, "tracks") == 500


def test_relative_regret():
    scores = np.array([3.0, -1.0, -1.0, 1.0])
    assert relative_regret(scores, np.array([True, False, False, True])) == 0
    assert relative_regret(scores, np.array([True, False, False, False])) == pytest.approx(1 / 3)


def test_both_dqns_stop_at_the_cap():
    ours = learning.train_ours(LISTENER, seed=0, cap=0)
    settings = stock_dqn.StockSettings(1e-3, 16, n_envs=2, train_freq=4, encoding="codes")
    theirs = stock_dqn.train_stock(settings, LISTENER, seed=0, cap=0)
    for reached in (ours, theirs):
        assert 0 < reached.lowest < 2 and reached.total > 0
    assert len(set(stock_dqn.SETTINGS)) == 12
    assert stock_dqn.BEST in stock_dqn.SETTINGS


def test_the_plain_loop_learns():
    loop = learning.PlainLoop()
    loop.learn(300)
    assert 0 < np.count_nonzero(loop.q_values) <= 300


def test_vowpal_wabbit_learns():
    pytest.importorskip("vowpalwabbit")
    from bench.vowpal_wabbit import train_vowpal_wabbit

    scores = gym.make("MusicRec-v0", **LISTENER).unwrapped.scores
    always_dislike = relative_regret(scores, np.zeros(len(scores), dtype=bool))
    learnt = train_vowpal_wabbit(LISTENER, seed=0, cap=5, passes=1)
    assert learnt.lowest < always_dislike / 2


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="reads /proc")
def test_memory_grows():
    assert memory.resident_size() > 2**20
    assert timing.in_fresh_process("1 + math.floor(2.5)", imports="import math") == 3
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        timing.in_fresh_process("1 / 0")


def test_without_its_data_a_row_is_skipped(tmp_path):
    options = timing.Options(data=tmp_path)
    with pytest.raises(report.SkippedError, match=r"no deezer_artists_top_tracks\.csv"):
        notebooks_listener(options)
    (skipped,) = program.run(learning.dqn_against_stock, options)
    assert (skipped.verdict, skipped.name) == ("skipped", "dqn against stock")


def test_the_program_lists_its_benchmarks():
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--list"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == list(program.NAMES)


def test_the_share_of_perfect_runs_has_an_interval(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = {"decision_accuracy": 1.0, "relative_regret": 0.0, "train_seconds": 1.0}
    monkeypatch.setattr("sys.argv", ["listeners"])
    monkeypatch.setattr(listeners, "train_run", lambda _: metrics)
    monkeypatch.setattr(
        listeners, "all_listeners", lambda *_: 23 * [("embedded", None, Preference("A"))]
    )
    listeners.main()
    # 0.025 ** (1 / 23), by hand
    assert "23 of 23 runs with every decision right (95 % interval of the share, " in (
        out := capsys.readouterr().out
    )
    assert "Clopper-Pearson: 0.85 to 1.00)" in out


def test_what_planning_is_worth_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(planning, "PRESETS", {"satiation": PRESETS["satiation"]})
    for name, cells in (("_LEVELS", 32), ("_MYOPIC_LEVELS", 64), ("_PATIENCES", 4)):
        monkeypatch.setattr(planning, name, cells)
    planning.main(sessions=60, slate_size=2)  # no file but the default listener's is overwritten
    assert "Written" not in capsys.readouterr().out
    planning.main(sessions=60, out=tmp_path / "planning.md")
    text, printed = (tmp_path / "planning.md").read_text(), capsys.readouterr().out
    row = next(line for line in text.splitlines() if line.startswith("| satiation |"))
    assert row in printed and len(row.split("|")) == 7 and "[" in row
    assert "on a grid of 32 levels (64 for the myopic oracle)" in text
    # Value and its grid halved, of the myopic oracle and of the optimum, and their ratio.
    cells = [line for line in text.splitlines() if line.startswith("| satiation 0.5, decay 0.95 |")]
    greedy, of_greedy, best, of_best, ratio = map(float, cells[0].split("|")[2:-1])
    assert best == pytest.approx(18.65, abs=2 * of_best) and 0 < of_best < of_greedy < 1
    assert ratio == pytest.approx(best / greedy, abs=0.01)
