"""train.py --listener any, and evaluate.py on it: held-out listeners, by hand and whole."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SIX_LISTENER, shared_file, six_frame
from rich.console import Console

import agents
import evaluate
import train
from agents.any_evaluation import (
    GROUPS,
    PairPolicy,
    different_listeners,
    drawn_listeners,
    held_out_tables,
    judge_policy,
    pair_baselines,
    scores_of,
    summary,
)
from agents.any_report import evaluate_any, print_any, write_any
from agents.judges import HeldOutJudge
from agents.resume import resume_run
from agents.runs import RunError
from agents.snapshots import snapshot_identity
from agents.training import AnyListenerSettings, DuelingDQNSettings, train_run
from music_env import Catalogue, MusicRecAnyListenerEnv
from music_env.listeners import OPEN, Listeners
from music_env.metrics import decision_figures
from study import any_listener
from study.intervals import Statistics
from study.report_any import any_listener_section
from study.suites import tasks_of
from study.tasks import Task


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a short run on the embedded catalogue."""
    out = tmp_path_factory.mktemp("runs") / "any"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agents.judges.METRICS_LISTENERS", 10)
        arguments = train.Arguments(
            agent="dueling-dqn", listener="any", timesteps=4_000, out=out, progress_bar=False
        )
        train_run(arguments.run_settings())
    return out


def test_a_run_says_whom_it_serves_and_how_well(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = json.loads((run / "config.json").read_text())
    assert config["listener"] == "any" and config["environment"]["split"] == "train"
    assert config["preference"] == "10,000 listeners drawn from the catalogue, train split"
    assert config["hyperparameters"]["embedding_dim"] == AnyListenerSettings().embedding_dim
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["held_out_listeners"] == 10 and metrics["relative_regret"] < 0.05
    assert metrics["milliseconds_per_listener"] > 0
    names = {path.name for path in run.iterdir()}
    assert names >= {"model.safetensors", "progress.csv", "learning_curve.png"}
    assert "snapshot" not in names
    train.print_summary(run, metrics)
    text = capsys.readouterr().out
    assert "Trained on: 10,000 listeners" in text
    assert "mean of 10 held-out listeners, all 5,849 tracks" in text


def test_a_loaded_run_serves_a_listener_by_name(run: Path) -> None:
    loaded = agents.load_run(run)
    env = loaded.make_env(split="all")
    observation, _ = env.reset(options={"listener": {"genre": "metal"}})
    assert loaded.predict(observation)[0] in (0, 1)
    liked, _ = loaded.predict(env.unwrapped.observations({"genre": "metal"}))
    scores = env.unwrapped.scores_of({"genre": "metal"})
    assert decision_figures(scores, liked)["balanced_accuracy"] > 0.95


def test_progress_is_that_of_stepping_through_sessions_of_held_out_listeners(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = 10
    monkeypatch.setattr("agents.judges.PROGRESS_LISTENERS", sessions)
    loaded = agents.load_run(run)
    judge = HeldOutJudge(loaded.make_env().unwrapped.tables)  # type: ignore[attr-defined]
    figures = judge.progress(loaded.learner)
    env = loaded.make_env(split="test").unwrapped
    trained_on = set(loaded.make_env().unwrapped.population.listeners.artist) - {OPEN}  # type: ignore[attr-defined]
    regrets, rewards, best = [], [], []
    for session in range(sessions):
        observation, info = env.reset(seed=0 if session == 0 else None)
        assert info["listener"]["artist"] not in trained_on
        done = False
        while not done:
            action = int(loaded.predict(observation)[0])
            observation, _, done, _, info = env.step(action)
        oracle = info["episode_return"] + info["episode_regret"]
        regrets.append(info["episode_regret"] / oracle)
        rewards.append(info["episode_return"] / 100)
        best.append(oracle / 100)
    assert figures["relative_regret"] == pytest.approx(np.mean(regrets))
    assert figures["mean_reward"] == pytest.approx(np.mean(rewards))
    assert judge.oracle_mean_reward == pytest.approx(np.mean(best))


@pytest.mark.parametrize(("pairs", "listeners"), [(1, 1), (3 * 5849, 3), (10**9, 4)])
def test_fewer_listeners_judge_a_larger_catalogue(
    run: Path, monkeypatch: pytest.MonkeyPatch, pairs: int, listeners: int
) -> None:
    monkeypatch.setattr("agents.judges.METRICS_PAIRS", pairs)
    monkeypatch.setattr("agents.judges.METRICS_LISTENERS", 4)
    loaded = agents.load_run(run)
    judge = HeldOutJudge(loaded.make_env().unwrapped.tables)  # type: ignore[attr-defined]
    assert judge.metrics(loaded.learner)["held_out_listeners"] == listeners


# --- Arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"agent": "q-learning"}, "--listener any goes with --agent dueling-dqn only, got q-learn"),
        (
            {"genre": "metal", "artist": "A"},
            "trains for all listeners: leave out --artist, --genre, or",
        ),
        ({"danceability": (0.1, 0.2)}, "all listeners: leave out --danceability, or"),
        (
            {"dueling_dqn": DuelingDQNSettings(n_envs=3)},
            r"--dueling-dqn\.\* are hyperparameters of ",
        ),
        (
            {"listener": "one", "any_listener": AnyListenerSettings(n_envs=3)},
            r"--any-listener\.\* are hyperparameters of --agent dueling-dqn --listener any, but",
        ),
    ],
)
def test_what_does_not_go_together(arguments: dict[str, Any], message: str) -> None:
    given = train.Arguments(**{"agent": "dueling-dqn", "listener": "any", **arguments})
    with pytest.raises(ValueError, match=message):
        given.run_settings()


@pytest.mark.parametrize("encoding", ["hash", "profile"])
def test_encodings_without_a_place_for_the_listener(encoding: Any, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = train.Arguments(
        agent="dueling-dqn", listener="any", encoding=encoding, out=out, progress_bar=False
    )
    with pytest.raises(ValueError, match=f"'{encoding}' has no place for the listener"):
        train_run(arguments.run_settings())
    assert not out.exists()


def test_there_is_only_one_agent_for_any_listener() -> None:
    assert train.Arguments(listener="any").run_settings().agent == "dueling-dqn"
    with pytest.raises(ValueError, match="--agent is missing"):
        train.Arguments().run_settings()


def test_without_listeners_to_judge_no_folder_is_made(tmp_path: Path) -> None:
    listeners, out = tmp_path / "listeners.csv", tmp_path / "run"
    listeners.write_text("artist,genre,danceability_low,danceability_high\nILLENIUM,,,\n")
    arguments = train.Arguments(listener="any", population=listeners, out=out, test_share=0.0)
    with pytest.raises(ValueError, match="test"):
        train_run(arguments.run_settings())
    assert not out.exists()


@pytest.mark.parametrize("given", [{"population": Path("x.csv")}, {"test_share": 0.5}])
def test_a_population_goes_with_any_listener_only(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="--population and --test-share go with --listener any"):
        train.Arguments(agent="dueling-dqn", **given).run_settings()


# --- Listeners from a file ------------------------------------------------------------------------


@pytest.fixture
def run_of_a_file(six: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a run that was trained in its parent folder on the listeners.csv there."""
    six_frame().to_csv(tmp_path / "tracks.csv", index=False)
    rows = [
        "artist,genre,danceability_low,danceability_high",
        "A,rock,0.4,0.6",
        "B,,,",
        ",pop,,0.5",
    ]
    (tmp_path / "listeners.csv").write_text("\n".join([*rows, "C,rock,,", ",,0.6,", "A,pop,,", ""]))
    monkeypatch.chdir(tmp_path)
    arguments = train.Arguments(
        listener="any", catalogue=Path("tracks.csv"), population=Path("listeners.csv"),
        test_share=0.5, session_length=6, timesteps=64, out=Path("run"), progress_bar=False,
        any_listener=AnyListenerSettings(buffer_size=64),
    )  # fmt: skip
    train_run(arguments.run_settings())
    monkeypatch.chdir(tmp_path.parent)
    return tmp_path / "run"


def test_the_file_of_a_runs_listeners_is_found_from_anywhere(run_of_a_file: Path) -> None:
    path = run_of_a_file.parent / "listeners.csv"
    config = json.loads((run_of_a_file / "config.json").read_text())
    assert config["population"]["path"] == str(path) and config["population"]["n_listeners"] == 6
    loaded = agents.load_run(run_of_a_file)
    tables = loaded.make_env().unwrapped.tables  # type: ignore[attr-defined]
    sides = [tables.population.listeners, held_out_tables(tables).population.listeners]
    assert min(map(len, sides)) > 0 and sum(map(len, sides)) == 6
    assert tables.population.checksum == config["population"]["checksum"]


def test_other_listeners_than_those_of_a_run_are_an_error(run_of_a_file: Path) -> None:
    path = run_of_a_file.parent / "listeners.csv"
    text = path.read_text()
    path.write_text(text.replace("0.6,", "0.7,"))
    with pytest.raises(RunError, match="trained on other listeners than 6 listeners from "):
        agents.load_run(run_of_a_file)
    (run_of_a_file / "metrics.json").unlink()  # as if it had been killed
    with pytest.raises(RunError, match="was trained on other listeners"):
        resume_run(run_of_a_file, progress_bar=False)
    path.write_text(text.replace("A,rock", " A , rock "))  # the same ones
    agents.load_run(run_of_a_file)


def test_a_file_of_listeners_that_has_moved_is_named(
    run_of_a_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run_of_a_file.parent / "listeners.csv"
    moved = path.rename(path.with_name("moved.csv"))
    with pytest.raises(RunError, match=r"(?s)cannot be read: .*evaluate\.py --population"):
        agents.load_run(run_of_a_file)
    given = ["evaluate.py", str(run_of_a_file), "--population", str(moved), "--listeners", "2"]
    monkeypatch.setattr("sys.argv", given)
    assert evaluate.main() == 0
    assert "1 of 1 listeners from" in capsys.readouterr().out
    config = json.loads((run_of_a_file / "config.json").read_text())
    before = snapshot_identity(config)
    config["population"]["path"] = config["catalogue"]["path"] = "elsewhere"
    assert snapshot_identity(config) == before
    config["population"]["checksum"] = "another"
    assert snapshot_identity(config) != before


def test_a_population_given_for_a_run_without_one(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not trained on listeners from a file, but "):
        agents.load_run(run, population=tmp_path / "x.csv")


# --- Held-out listeners ---------------------------------------------------------------------------


def six_tables(six: Catalogue, population: list[dict[str, Any]]) -> Any:
    return MusicRecAnyListenerEnv(catalogue=six, population=population, session_length=6).tables


def test_figures_of_listeners_by_hand(six: Catalogue) -> None:
    tables = six_tables(six, [SIX_LISTENER, {"artist": "B"}, {"genre": "pop", "artist": "C"}])
    listeners = tables.population.listeners
    assert scores_of(tables, listeners.take(slice(0, 1))).tolist() == [3, 1, -1, -1, -3, 1]
    assert scores_of(tables, listeners.take(slice(1, 2))).tolist() == [-1, 1, 1, 1, -1, -1]
    always = PairPolicy("likes all but track 0", lambda _: np.array([-1.0, 1, 1, 1, 1, 1]))
    judged = judge_policy(always, tables, listeners)
    # SIX_LISTENER: earns -3 +1 -1 -1 -3 +1 = -6 of 10; B: +1 +1 +1 +1 -1 -1 = 2 of 6;
    # pop and C: tracks -2 0 0 0 0 0, so 2 of 2.
    np.testing.assert_allclose(judged.figures["relative_regret"], [1.6, 4 / 6, 0])
    np.testing.assert_allclose(judged.figures["decision_accuracy"], [2 / 6, 4 / 6, 1])
    np.testing.assert_allclose(judged.figures["balanced_accuracy"][:2], [1 / 3, (1 + 1 / 3) / 2])
    assert np.isnan(judged.figures["precision_at_10"][2])  # nothing to like
    np.testing.assert_allclose(judged.figures["precision_at_10"][:2], [1, 1])
    found = summary(judged)
    assert {group: found[group]["listeners"] for group in GROUPS} == {
        "all": 3, "nothing open": 1, "one term open": 1, "two terms open": 1,
    }  # fmt: skip
    assert found["all"]["relative_regret"][0] == pytest.approx((1.6 + 4 / 6) / 3)
    assert found["all"]["precision_at_10"][0] == 1
    assert found["two terms open"]["relative_regret"] == pytest.approx([4 / 6] * 3)
    assert np.isnan(found["one term open"]["precision_at_10"]).all()


def test_baselines_know_what_they_should(six: Catalogue) -> None:
    tables = six_tables(six, [SIX_LISTENER, {"artist": "B"}])
    listeners = tables.population.listeners
    judged = {p.name: judge_policy(p, tables, listeners) for p in pair_baselines(tables)}
    assert list(judged) == ["random", "always dislike", "genre only", "oracle"]
    assert not judged["oracle"].figures["relative_regret"].any()
    assert (judged["oracle"].figures["ndcg_at_10"] == 1).all()
    # Genre only likes tracks 0, 2, 5 of the first, and nothing where the genre is left open.
    np.testing.assert_allclose(judged["genre only"].figures["decision_accuracy"], [4 / 6, 3 / 6])
    np.testing.assert_allclose(judged["always dislike"].figures["balanced_accuracy"], [0.5, 0.5])


def test_held_out_listeners_are_drawn_by_seed_and_never_twice(embedded: Catalogue) -> None:
    trained_on = MusicRecAnyListenerEnv(catalogue=embedded, split="train").tables
    tables = held_out_tables(trained_on)
    first, again, other = (drawn_listeners(tables, 400, seed=seed) for seed in (0, 0, 1))
    assert _rows(first) == _rows(again) != _rows(other)
    assert not (set(first.artist) & set(trained_on.population.listeners.artist)) - {OPEN}
    assert len(drawn_listeners(tables, 10**6, seed=0)) == len(tables.population)


def test_different_listeners_are_so_many_who_name_an_artist(embedded: Catalogue) -> None:
    tables = held_out_tables(MusicRecAnyListenerEnv(catalogue=embedded, split="train").tables)
    found, again = (different_listeners(tables, 300, seed=3) for _ in range(2))
    assert _rows(found) == _rows(again)
    assert len(set(_rows(found))) == len(found) > (found.artist != OPEN).sum() == 300
    # Those that the population repeats are drawn before: of each preference the first.
    everybody = _rows(drawn_listeners(tables, len(tables.population), seed=3))
    assert _rows(found) == list(dict.fromkeys(everybody))[: len(found)]
    with pytest.raises(
        ValueError, match=r"1000000 different listeners.*the population has \d+: ask"
    ):
        different_listeners(tables, 10**6, seed=3)


def test_without_a_training_split_nobody_is_held_out(six: Catalogue, run: Path) -> None:
    tables = six_tables(six, [SIX_LISTENER, {"artist": "B"}])
    with pytest.raises(ValueError, match="held out from an environment of split 'all'"):
        held_out_tables(tables)
    with pytest.raises(ValueError, match="split='train'"):
        HeldOutJudge(tables)
    loaded = agents.load_run(run)
    environment = {**loaded.config["environment"], "split": "test"}
    config = {**loaded.config, "environment": environment}
    other = agents.Run(loaded.folder, config, loaded.learner, loaded.catalogue)
    with pytest.raises(RunError, match="of split 'test'"):
        evaluate_any([other], ["other"], listeners=2, seed=0)


def _rows(listeners: Listeners) -> list[tuple[Any, ...]]:
    return list(zip(*(a.tolist() for a in listeners.arrays().values()), strict=True))


# --- evaluate.py ----------------------------------------------------------------------------------


def test_evaluating_a_run(run: Path, tmp_path: Path) -> None:
    loaded = agents.load_run(run)
    result = evaluate_any([loaded], ["ours"], listeners=24, seed=3)
    rows = {row["name"]: row["groups"] for row in result["policies"]}
    assert list(rows) == ["ours", "random", "always dislike", "genre only", "oracle"]
    assert rows["oracle"]["all"]["relative_regret"] == [0, 0, 0]
    assert rows["ours"]["all"]["relative_regret"][0] < 0.05
    # Where a term is open some scores are 0, and both decisions right.
    right = rows["random"]["nothing open"]["decision_accuracy"][0]
    assert right == pytest.approx(0.5, abs=0.02)
    assert rows["random"]["one term open"]["decision_accuracy"][0] > 0.6
    assert rows["always dislike"]["all"]["balanced_accuracy"][0] == pytest.approx(0.5, abs=0.05)
    counts = [rows["ours"][group]["listeners"] for group in GROUPS]
    assert counts[0] == 24 == sum(counts[1:])
    console = Console(file=io.StringIO(), width=110)
    print_any(result, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "24 of 10,000 listeners drawn from the catalogue, test split" in text
    assert "A new listener costs ours no training" in text
    assert write_any(result, tmp_path) == ["evaluation.json", "evaluation.csv"]
    assert len((tmp_path / "evaluation.csv").read_text().splitlines()) == 1 + 5 * len(GROUPS)


def test_one_listener_and_any_listener_are_not_compared(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = agents.load_run(run)
    config = {**loaded.config, "env_id": "MusicRec-v0"}
    other = agents.Run(loaded.folder, config, loaded.learner, loaded.catalogue)
    with pytest.raises(RunError, match="cannot be compared"):
        evaluate.kind_of([loaded, other])


# --- The study ------------------------------------------------------------------------------------


def test_a_task_of_the_study_and_its_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(any_listener, "HELD_OUT_LISTENERS", 12)
    planned = tasks_of("any-listener", tidytuesday=None, seeds=2)
    assert len(planned) == 2 * 4 and planned[0].setting == {"catalogue": None}
    rows = []
    for planned_task in planned[:4]:
        name, case = planned_task.learner, planned_task.case
        task = Task("any-listener", name, case, 0, 2_560, planned_task.setting)
        rows.append(task.row(status="done", **any_listener.held_out_listeners(task)))
    json.dumps(rows, allow_nan=False)
    assert rows[0]["train_seconds"] > 0 and rows[0]["updates"] > 100
    lines = "\n".join(any_listener_section(rows, Statistics(50)))
    assert "The embedded catalogue, 5,849 tracks:" in lines
    ranked = rows[0]["groups"]["all"]["ranked"]
    n_listeners = rows[0]["groups"]["all"]["listeners"]
    assert 0 < ranked <= n_listeners > 12
    assert (
        f"| genre-only | all | 1 | {n_listeners} | {ranked} |" in lines
        and "Of the listeners of a run 12 prefer an artist." in lines
        and "A new listener costs no training" in lines
    )
    better = [{**rows[0], "groups": {**rows[0]["groups"]}}]
    for group in GROUPS:
        better[0]["groups"][group] = {
            **rows[0]["groups"][group], "relative_regret": 0.006, "balanced_accuracy": 1.0,
            "precision_at_10": 1.0, "ndcg_at_10": 1.0,
        }  # fmt: skip
    text = "\n".join(any_listener_section(better, Statistics(50)))
    assert "Not reached (regret 0.5 %, the others 0.99): relative regret of all" in text
    assert "of all in 1 of 1 runs (worst 0.006)" in text
    for group in GROUPS:
        better[0]["groups"][group]["relative_regret"] = 0.004
    assert "in every group" in "\n".join(any_listener_section(better, Statistics(50)))


def judged_row(seed: int, **figures: Any) -> dict[str, Any]:
    group = {
        "listeners": 10, "ranked": 9, "relative_regret": 0.0, "decision_accuracy": 1.0,
        "balanced_accuracy": 1.0, "precision_at_10": 1.0, "ndcg_at_10": 1.0, **figures,
    }  # fmt: skip
    task = Task("any-listener", any_listener.LEARNER, "TidyTuesday: held-out listeners", seed, 1)
    return task.row(
        status="done", n_tracks=5, milliseconds=1.0, train_seconds=1.0, train_wall_seconds=1.0,
        groups={name: dict(group) for name in GROUPS},
    )  # fmt: skip


def test_one_run_that_misses_is_not_hidden_by_the_mean() -> None:
    rows = [judged_row(seed) for seed in range(9)]
    assert "in every group" in "\n".join(any_listener_section(rows, Statistics(50)))
    rows.append(judged_row(9, precision_at_10=0.95))  # the mean is 0.995
    text = "\n".join(any_listener_section(rows, Statistics(50)))
    assert "precision at 10 of two terms open in 1 of 10 runs (worst 0.95)" in text


def test_listeners_without_a_ranking_are_told_also_for_older_rows() -> None:
    rows = [judged_row(seed) for seed in range(2)]
    for group in rows[1]["groups"].values():
        del group["ranked"]
    assert "| all | 2 | 10 |  |" in "\n".join(any_listener_section(rows, Statistics(50)))
    baseline = {**judged_row(1, ranked=8), "learner": "random"}
    text = "\n".join(any_listener_section([*rows, baseline], Statistics(50)))
    assert "| all | 2 | 10 | 8-9 |" in text


def test_what_is_said_of_the_file_is_so() -> None:
    with shared_file("tidytuesday_spotify_songs.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["track_id"], row["track_artist"]) for row in csv.DictReader(file)]
    nameless = [track for track, artist in rows if artist in ("", "NA")]
    assert (len({track for track, _ in rows}), len(nameless), len(set(nameless))) == (28_356, 5, 4)
    text = "\n".join(any_listener_section([judged_row(0)], Statistics(50)))
    assert "28,356 tracks; five rows, of four of them, name no artist" in text
