"""The suite on planning: its tasks, what one measures, and a page whose conclusions follow."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.planning import Planner, upper_bound
from agents.settings import SessionDQNSettings, SessionQLearningSettings, SlateDQNSettings
from music_env import PRESETS
from music_env.effects import checked_effects
from study import planning, report_planning, slates
from study.__main__ import main
from study.intervals import Statistics
from study.missing import missing_section
from study.planning import GAMMAS, LEARNERS, STRENGTHS, at_gamma, cases, planned, seeds_of
from study.planning_results import ORDER, Results, by_strength
from study.report_planning import planning_page
from study.report_slates import slates_section
from study.suites import tasks_of
from study.table import appending
from study.tasks import Task

HOW = Statistics(100)


# --- Tasks ----------------------------------------------------------------------------------------


def test_cases_are_the_presets_and_other_strengths_of_one_effect() -> None:
    found = cases()
    assert [case.name for case in found.values() if case.is_preset] == list(PRESETS)
    for effect, strengths in STRENGTHS.items():
        by = by_strength(effect)
        assert [at for at, _ in by] == sorted({0.0, *strengths, getattr(PRESETS[effect], effect)})
        for at, case in by:
            given = {"satiation": None, "decay": None, "patience": None, **case.setting}
            effects = checked_effects(**given)
            assert getattr(effects, effect) == at
            (other,) = {*STRENGTHS} - {effect}
            assert getattr(effects, other) == 0


def test_tasks_of_the_suite() -> None:
    tasks = tasks_of("planning", seeds=10)
    count = {
        key: sum((task.learner, task.case) == key for task in tasks)
        for key in {(task.learner, task.case) for task in tasks}
    }
    for gamma in GAMMAS:
        assert all(count[at_gamma(gamma), case] == 10 for case in PRESETS if case != "static")
    assert count["planner", "patience 0.3"] == 10 == count["random", "static"]
    assert count[at_gamma(1), "satiation 0.5"] == planning.SWEEP_SEEDS
    assert (at_gamma(0.5), "static") not in count
    assert {task.learner for task in tasks} == set(ORDER)
    assert len(tasks_of("planning", seeds=2)) == 2 * len(planned())
    settings = LEARNERS[at_gamma(0.9)]
    assert settings == SessionDQNSettings(gamma=0.9)
    budgets = {task.learner: task.budget for task in tasks}
    assert budgets[at_gamma(0.9)] == settings.timesteps and budgets["planner"] == 0


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the planner plan coarsely, learners learn little, and few sessions be played."""
    coarse = partial(Planner, classes=4, levels=16, patiences=8)
    monkeypatch.setattr(planning, "SESSIONS", 40)
    monkeypatch.setattr(planning, "Planner", coarse)
    monkeypatch.setattr("agents.session_evaluation.Planner", coarse)
    monkeypatch.setattr(planning, "upper_bound", partial(upper_bound, classes=10, levels=16))
    learners = {
        at_gamma(1): SessionDQNSettings(n_envs=8, learning_starts=64, batch_size=16),
        "q-learning-grid": SessionQLearningSettings(n_envs=8),
    }
    monkeypatch.setattr(planning, "LEARNERS", learners)
    on_slates = SlateDQNSettings(n_envs=8, learning_starts=64, batch_size=16)
    monkeypatch.setattr(slates, "LEARNERS", {at_gamma(1): on_slates})


def test_what_a_task_measures(small: None) -> None:
    rows = {}
    for learner, budget in (
        ("random", 0), ("always-like", 0), ("myopic-oracle", 0), ("planner", 0),
        (at_gamma(1), 400), ("q-learning-grid", 400),
    ):  # fmt: skip
        task = Task("planning", learner, "both", 1, budget, {"preset": "both"})
        rows[learner] = planning.planning_worth(task)
    json.dumps(rows, allow_nan=False)
    for learner, row in rows.items():
        for name in ("myopic_mean_return", "planner_mean_return"):
            assert row[name] == rows["planner"][name], (learner, name)
        assert 0 <= row["coverage"] <= 1 and row["plays"] <= row["session_length"] <= 50
        assert ("train_seconds" in row) == (learner in planning.LEARNERS)
        assert ("upper_bound" in row) == (learner == "planner")
        earned = row["mean_return"] - row["myopic_mean_return"]
        span = row["planner_mean_return"] - row["myopic_mean_return"]
        assert row["planning_gain"] == pytest.approx(earned / span, abs=1e-4), learner
    assert rows["planner"]["planning_gain"] == 1 and rows["myopic-oracle"]["planning_gain"] == 0
    assert rows[at_gamma(1)]["updates"] == 10 * (400 - 64) // 8
    other = planning.planning_worth(Task("planning", "planner", "both", 2, 0, {"preset": "both"}))
    assert other["mean_return"] != rows["planner"]["mean_return"], "other seed, other sessions"


def test_static_rows_have_no_gain(small: None) -> None:
    task = Task("planning", "planner", "static", 0, 0, {"preset": "static"})
    row = planning.planning_worth(task)
    assert row["planning_gain"] is None and row["myopic_mean_return"] == row["planner_mean_return"]


def test_what_a_task_on_slates_measures(small: None) -> None:
    rows = {
        learner: slates.slates_worth(Task("slates", learner, "both", 1, budget, {"preset": "both"}))
        for learner, budget in [*((name, 0) for name in slates.REFERENCES), (at_gamma(1), 200)]
    }
    json.dumps(rows, allow_nan=False)
    assert rows["planner"]["planning_gain"] == 1 and rows["myopic-oracle"]["planning_gain"] == 0
    assert rows["best-fresh"]["mean_return"] < rows["myopic-oracle"]["mean_return"]
    assert rows["first-candidate"]["mean_return"] != rows["best-fresh"]["mean_return"]
    assert rows["planner"]["mean_return"] < rows["planner"]["upper_bound"]
    assert rows[at_gamma(1)]["updates"] > 0 and "updates" not in rows["planner"]
    for row in rows.values():
        assert row["planner_mean_return"] == rows["planner"]["mean_return"]


def test_tasks_on_slates() -> None:
    tasks = tasks_of("slates", seeds=3)
    assert len(tasks) == len({task.key for task in tasks}) == 3 * len(slates.planned())
    learnt = {(task.case, task.budget) for task in tasks if task.learner in slates.LEARNERS}
    steps = SlateDQNSettings().timesteps
    assert learnt == {("satiation", steps), ("both", steps)}
    assert {task.case for task in tasks if task.learner == "planner"} == set(PRESETS)


# --- The page -------------------------------------------------------------------------------------


def row_of(learner: str, case: str, seed: int, budget: int, gain: float | None) -> dict[str, Any]:
    """Return a row of a case in which the myopic oracle earns 4 and the planner 6."""
    spread = 0.005 * (seed - 2)
    row: dict[str, Any] = {
        "suite": "planning", "learner": learner, "case": case, "seed": seed, "budget": budget,
        "status": "done", "myopic_mean_return": 4.0,
        "planner_mean_return": 4.0 if gain is None else 6.0,
        "planning_gain": None if gain is None else gain + spread,
        "mean_return": 4.0 if gain is None else 4 + 2 * (gain + spread),
        "coverage": 0.25 if learner == "planner" else 0.5, "intra_list_diversity": 0.25,
        "novelty": None, "repeat_rate": 0.125,
        "session_length": 40.0, "plays": 20.0,
    }  # fmt: skip
    if learner == "planner":
        row["upper_bound"] = 6.5
    if learner in LEARNERS:
        row |= {"train_seconds": 50.0 + seed / 2, "train_wall_seconds": 60.0, "updates": 1}
    return row


def whole(gains: dict[str, float]) -> list[dict[str, Any]]:
    """Return the rows of five seeds, with the gain of each policy."""
    return [
        row_of(learner, case, seed, budget, None if case == "static" else gains[learner])
        for seed in range(5)
        for learner, case, budget, _ in planned()
        if seed < seeds_of(learner, case, 5)
    ]


GAINS = {
    "random": -3.0, "always-like": -5.0, "myopic-oracle": 0.0, "planner": 1.0,
    **{at_gamma(gamma): 0.95 * gamma for gamma in GAMMAS},
    "dueling-dqn-codes": 0.8, "q-learning-grid": 0.7,
}  # fmt: skip


def test_conclusions_of_a_whole_study() -> None:
    lines, figures = planning_page(whole(GAINS), HOW, seeds=5)
    text = "\n".join(lines)
    assert list(figures) == ["planning.png"] and "](planning.png)" in text
    assert "nan" not in text and "Runs that are missing" not in text
    assert "| dueling-dqn-gamma-1 | 5 | 5.9 [5.89, 5.91] | 0.95 [0.94, 0.96] |" in text
    assert "| upper bound on any policy |  | 6.5 |  |" in text
    # The rows of the planner differ by seed only here, where a table would have them alike.
    assert (
        "The planner earns 1.50 [1.50, 1.50] times what the myopic oracle earns, at least" in text
    )
    assert "There is no gain to be had: the planner earns 1.00" in text
    assert "| 0.8 | 0.76 [0.75, 0.77] |" in text
    assert (
        "dueling-dqn-gamma-1: the mean gain is at least 0.9 on satiation, patience and both (with "
        "its whole interval on satiation, patience and both)." in text
    )
    assert "dueling-dqn-gamma-0: the mean gain is at most 0.1 on satiation, patience and" in text
    assert (
        "q-learning-grid: the mean gain is at least 0.9 on none (with its whole interval on none), "
        "and not on satiation, patience and both." in text
    )
    assert "coverage of the pool from 0.5 to 0.25 on satiation, 0.5 to 0.25 on patience and" in text
    said = f"means of dueling-dqn-gamma-1 are over {planning.SWEEP_SEEDS} runs each ("
    assert text.count(said) == 2 and text.count("those of the planner over 5 runs.") == 2
    assert "| satiation | 0.75 |" in text and "| patience | 0 |" in text
    assert "| both | q-learning-grid | 5.4 | 20 | 40 | 0.5 | 0.25 |  | 0.125 |" in text
    for name in ORDER:  # in the same table, whichever it is
        assert re.search(rf"\| both \| {name} \| [-0-9.]+ \| 20 \| 40 \| 0.[25]+ \|", text), name
    steps = SessionDQNSettings().timesteps
    assert f"| dueling-dqn-codes | {steps:,} | 15 | 51 | 52 |" in text
    assert "all are within that" in text
    axes = figures["planning.png"].axes
    assert [panel.get_title() for panel in axes] == [
        "What planning is worth: satiation", "What planning is worth: patience",
        "What the dueling DQN learns of it",
    ]  # fmt: skip
    planner = axes[0].get_lines()[3]
    assert list(planner.get_xdata()) == [0, 0.25, 0.5, 0.75, 1, 1.5]
    assert list(planner.get_ydata()) == pytest.approx([4, 6, 6, 6, 6, 6])


def test_conclusions_where_too_little_is_learnt() -> None:
    low = {**GAINS, at_gamma(1.0): 0.895, at_gamma(0.0): 0.3}
    rows = [
        {**row, "train_seconds": 400.0} if row["learner"] == "dueling-dqn-codes" else row
        for row in whole(low)
    ]
    text = "\n".join(planning_page(rows, HOW, seeds=5)[0])
    assert "on none (with its whole interval on none), and not on satiation, patience and b" in text
    assert "more than that: dueling-dqn-codes" in text


def test_a_page_of_a_part_says_what_is_missing() -> None:
    rows = [
        row for row in whole(GAINS)
        if row["case"] == "both" and row["learner"] in ("planner", at_gamma(1)) and row["seed"] < 2
    ]  # fmt: skip
    rows.append({**rows[0], "seed": 2, "status": "failed", "error": "ValueError: no | such"})
    lines, figures = planning_page(rows, HOW, seeds=3)
    text = "\n".join(lines)
    assert not figures and "nan" not in text
    assert "| planner | both | 2 of 3 |  |" in text and "| random | both | 0 of 3 |  |" in text
    assert "## Runs that failed" in text and "no \\| such" in text
    assert "Preset `static`" not in text
    empty = "\n".join(planning_page([], HOW, seeds=3)[0])
    assert empty.count("| 0 of ") == len(planned())


def test_slates_have_a_section_of_their_own() -> None:
    gains = {**GAINS, "first-candidate": -2.0, "best-fresh": -1.0, at_gamma(1): 0.97}
    rows = [
        {**row_of(name, case, seed, budget, gain), "suite": "slates"}
        for seed in range(5)
        for name, case, budget, _ in slates.planned()
        for gain in [gains[name] if case in ("satiation", "both") else None]
    ]
    text = "\n".join(slates_section(rows, HOW, seeds=5))
    assert "nan" not in text and "missing" not in text
    assert "| best-fresh | 5 | 2 [1.99, 2.01] | -1.00 [-1.01, -0.99] |" in text
    assert text.count("There is no gain to be had") == 2
    assert "dueling-dqn-gamma-1: the mean gain is at least 0.9 on satiation and both (with" in text
    assert "dueling-dqn-gamma-0: the mean gain is at most 0.1 on satiation and both (with" in text
    assert "| both | best-fresh | 2 | 20 | 40 | 0.5 | 0.25 |" in text
    assert f"| dueling-dqn-gamma-1 | {SlateDQNSettings().timesteps:,} | 10 |" in text
    less = "\n".join(slates_section(rows[:-1], HOW, seeds=5))
    name, case, *_ = slates.planned()[-1]
    assert "## Runs on slates that are missing" in less and f"| {name} | {case} | 4 of 5 |" in less
    assert slates_section([], HOW, seeds=5) == []


def test_a_shorter_training_than_planned_is_named() -> None:
    row = row_of(at_gamma(1), "both", 0, 320, 0.5)
    wanted = [(at_gamma(1), "both", 600_000, 1)]
    assert f"| {at_gamma(1)} | both | 1 of 1 | 320 of 600,000 |" in missing_section(wanted, [row])
    assert missing_section(wanted, [{**row, "budget": 600_000}]) == []


def test_without_the_planner_there_is_no_ratio() -> None:
    rows = [row for row in whole(GAINS) if row["learner"] != "planner"]
    assert Results(rows, HOW).ratio("both") is None
    assert "The rows of the planner are missing." in "\n".join(planning_page(rows, HOW, seeds=3)[0])


def test_sweep_runs_have_fewer_seeds() -> None:
    assert seeds_of(at_gamma(1), "satiation 0.5", 10) == planning.SWEEP_SEEDS
    assert seeds_of(at_gamma(1), "satiation 0.5", 2) == 2
    assert seeds_of("planner", "satiation 0.5", 10) == 10 == seeds_of(at_gamma(1), "both", 10)


def test_the_report_writes_the_page_beside_the_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables, out = tmp_path / "study", tmp_path / "results.md"
    with appending(tables / "planning.jsonl") as table:
        for row in whole(GAINS):
            table.append(row)
    given = ["report", "--tables", str(tables), "--out", str(out), "--resamples", "50"]
    assert main(given) == 0
    assert "planning.md" in capsys.readouterr().out and not out.exists()
    assert "# What planning is worth" in (tmp_path / "planning.md").read_text()
    assert (tmp_path / "planning.png").stat().st_size > 10_000


def test_every_figure_of_variety_is_measured() -> None:
    row = row_of("random", "both", 0, 0, 0.0)
    assert set(report_planning.VARIETY) <= row.keys()
    assert np.isfinite(row["plays"])
