"""train.py and evaluate.py as a person runs them, what they write, and loading it again."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import six_frame
from rich.console import Console

import agents
from agents.runs import RunError, load_run
from agents.track_report import evaluate_tracks, print_tracks
from music_env import Catalogue

ROOT = Path(__file__).resolve().parents[1]
FILES = {
    "config.json", "model.safetensors", "metrics.json", "progress.csv", "learning_curve.png",
}  # fmt: skip


def run_script(
    script: str, *arguments: str, check: bool = True
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / script), *arguments],
        capture_output=True,
        text=True,
        check=check,
        timeout=300,
    )


def train(out: Path, agent: str, *arguments: str, timesteps: int = 3000) -> str:
    return run_script(
        "train.py", "--agent", agent, "--timesteps", str(timesteps), "--out", str(out),
        "--no-progress-bar", *arguments,
    ).stdout  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a short run of each learner on the embedded catalogue."""
    folder = tmp_path_factory.mktemp("runs")
    for agent in ("q-learning", "dueling-dqn"):
        output = train(folder / agent, agent)
        assert "decisions right" in output and "ILLENIUM" in output
    return {agent: folder / agent for agent in ("q-learning", "dueling-dqn")}


AGENTS = ("q-learning", "dueling-dqn")


@pytest.mark.parametrize("agent", AGENTS)
def test_a_run_writes_all_its_files(runs: dict[str, Path], agent: str) -> None:
    names = {path.name for path in runs[agent].iterdir()}
    assert names >= FILES
    assert sum(name.startswith("events.out.tfevents") for name in names) == 1
    metrics = json.loads((runs[agent] / "metrics.json").read_text())
    for name in (
        "decision_accuracy", "balanced_accuracy", "mean_reward", "oracle_mean_reward",
        "relative_regret", "train_seconds",
    ):  # fmt: skip
        assert isinstance(metrics[name], float), name
    assert 3000 <= metrics["timesteps"] < 3100
    config = json.loads((runs[agent] / "config.json").read_text())
    assert config["catalogue"]["checksum"] == Catalogue.default().checksum
    assert config["versions"]["gymnasium"] and config["hyperparameters"]["gamma"] == 0


@pytest.mark.parametrize("agent", AGENTS)
def test_a_loaded_run_predicts_what_its_metrics_say(runs: dict[str, Path], agent: str) -> None:
    run = agents.load_run(runs[agent])
    encoded = run.make_env().unwrapped.encoded
    scores = run.make_env().unwrapped.scores
    rows = encoded.rows.take(np.arange(run.catalogue.n_tracks))
    actions, _ = run.predict(rows)
    metrics = json.loads((runs[agent] / "metrics.json").read_text())
    right = np.where(actions == 1, scores > 0, scores < 0).mean()
    assert right == metrics["decision_accuracy"] > 0.5
    env = run.make_env()
    observation, _ = env.reset(seed=0)
    action, _ = run.predict(observation)
    env.step(action)


@pytest.mark.parametrize("agent", AGENTS)
def test_same_seed_same_result_in_another_process(
    runs: dict[str, Path], agent: str, tmp_path: Path
) -> None:
    train(tmp_path / "again", agent)
    train(tmp_path / "other", agent, "--seed", "1")
    figures, progress, models = [], [], []
    for folder in (runs[agent], tmp_path / "again", tmp_path / "other"):
        metrics = json.loads((folder / "metrics.json").read_text())
        for name in ("train_seconds", "snapshot_seconds"):
            metrics.pop(name)
        figures.append(metrics)
        rows = (folder / "progress.csv").read_text().splitlines()
        timed = [i for i, name in enumerate(rows[0].split(",")) if name in TIMES]
        progress.append(
            [[c for i, c in enumerate(row.split(",")) if i not in timed] for row in rows]
        )
        models.append((folder / "model.safetensors").read_bytes())
    assert figures[0] == figures[1]
    assert progress[0] == progress[1] != progress[2]
    assert models[0] == models[1] != models[2]


TIMES = ("time/fps", "time/time_elapsed")


def test_evaluate_prints_one_json_document(runs: dict[str, Path], tmp_path: Path) -> None:
    folders = [str(path) for path in runs.values()]
    result = run_script(
        "evaluate.py", *folders, "--json", "--out", str(tmp_path), "--sessions", "20"
    )
    document = json.loads(result.stdout)
    names = [row["name"] for row in document["policies"]]
    assert names == [
        "q-learning", "dueling-dqn", "random", "always like",
        "always dislike", "popularity", "genre only", "oracle",
    ]  # fmt: skip
    oracle = document["policies"][-1]
    assert oracle["relative_regret"] == 0 and oracle["ndcg_at_10"] == 1
    for row in document["policies"]:
        for name in (
            "decision_accuracy", "balanced_accuracy", "precision", "recall", "f1", "mean_return",
            "mean_return_low", "mean_return_high", "relative_regret", "precision_at_10",
            "ndcg_at_10", "hit_rate_at_10", "milliseconds_per_recommendation",
        ):  # fmt: skip
            assert name in row
    assert json.loads((tmp_path / "evaluation.json").read_text()) == document
    assert len((tmp_path / "evaluation.csv").read_text().splitlines()) == 9
    assert (tmp_path / "comparison.png").stat().st_size > 10_000


def test_evaluate_prints_a_table_and_the_top_ten(runs: dict[str, Path], tmp_path: Path) -> None:
    result = run_script("evaluate.py", str(runs["dueling-dqn"]), "--out", str(tmp_path))
    assert "always dislike" in result.stdout and "Top 10 of dueling-dqn" in result.stdout


def test_the_tables_fit_a_terminal_of_80_columns(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "a folder whose name is longer than most"
    shutil.copytree(runs["q-learning"], folder)
    run = load_run(folder)
    result = evaluate_tracks([run], [run.name], sessions=5, seed=0)
    console = Console(width=80, file=io.StringIO(), force_terminal=True)
    print_tracks(result, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\u2026" not in text, text  # the sign of a figure cut off
    for heading in ("balanced", "regret", "recall", "nDCG@10", "dance."):
        assert heading in text


def test_a_run_whose_catalogue_has_moved(tmp_path: Path) -> None:
    path, moved = tmp_path / "mine.csv", tmp_path / "elsewhere.csv"
    six_frame().to_csv(path, index=False)
    arguments = ["--catalogue", str(path), "--session-length", "6"]
    train(tmp_path / "run", "q-learning", *arguments, timesteps=16)
    path.rename(moved)
    with pytest.raises(RunError, match=r"was trained on .*mine\.csv.*load_run\(folder, catalogue="):
        load_run(tmp_path / "run")
    assert load_run(tmp_path / "run", catalogue=moved).catalogue.n_tracks == 6
    run_script("evaluate.py", str(tmp_path / "run"), "--catalogue", str(moved), "--sessions", "2")


def test_runs_of_different_listeners_are_not_compared(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    train(tmp_path / "metal", "q-learning", "--genre", "metal", timesteps=100)
    result = run_script(
        "evaluate.py", str(runs["q-learning"]), str(tmp_path / "metal"), check=False
    )
    assert result.returncode == 2 and "its listener is" in result.stderr


def test_own_tracks_and_listener(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    six_frame().to_csv(path, index=False)
    output = train(
        tmp_path / "run", "dueling-dqn", "--catalogue", str(path), "--artist", "A", "--genre",
        "rock", "--danceability", "0.4", "0.6", "--session-length", "6", "--encoding", "one-hot",
        timesteps=2000,
    )  # fmt: skip
    assert "6 of 6 (100.00%)" in output
    assert load_run(tmp_path / "run").catalogue.n_tracks == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--artist", "Linkin Prak"], "'Linkin Park'"),
        (["--catalogue", "nowhere.csv"], "nowhere.csv"),
        (["--danceability", "0.9", "0.1"], "lowest <= highest"),
        (["--dueling-dqn.batch-size", "8"], "dueling-dqn, but this is --agent q-learning"),
    ],
)
def test_wrong_arguments_end_with_a_reason_and_no_traceback(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    result = run_script(
        "train.py", "--agent", "q-learning", "--out", str(tmp_path / "run"), *arguments, check=False
    )
    assert result.returncode == 2
    assert message in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()


def test_nothing_is_overwritten_unasked(runs: dict[str, Path], tmp_path: Path) -> None:
    copied = tmp_path / "run"
    shutil.copytree(runs["q-learning"], copied)
    (copied / "notes.txt").write_text("mine")
    arguments = ["--agent", "q-learning", "--timesteps", "100", "--out", str(copied)]
    result = run_script("train.py", *arguments, check=False)
    assert result.returncode == 2 and "--overwrite the run in it" in result.stderr
    run_script("train.py", *arguments, "--overwrite")
    assert (copied / "notes.txt").read_text() == "mine"
    assert json.loads((copied / "metrics.json").read_text())["timesteps"] < 200
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    result = run_script(
        "train.py", "--agent", "q-learning", "--out", str(other), "--overwrite", check=False
    )
    assert result.returncode == 2 and "does not hold a run" in result.stderr


@pytest.mark.parametrize("agent", AGENTS)
def test_ctrl_c_saves_what_is_learnt_so_far(tmp_path: Path, agent: str) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), "--agent", agent, "--timesteps", "100000000",
         "--out", str(out), "--no-progress-bar"],
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    # The first Ctrl-C counts once training has begun, which the first events show.
    deadline = time.monotonic() + 60
    while not list(out.glob("events.out.tfevents*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "Interrupted: what was learnt so far is saved." in output
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["interrupted"] and 0 < metrics["timesteps"] < 100_000_000
    load_run(out)


class _Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("agent", AGENTS)
def test_a_crafted_run_runs_nothing(runs: dict[str, Path], agent: str, tmp_path: Path) -> None:
    folder, marker = tmp_path / "run", tmp_path / "executed"
    shutil.copytree(runs[agent], folder)
    payload = pickle.dumps(_Bomb(marker))
    for name in ("model.safetensors", "config.json"):
        original = (folder / name).read_bytes()
        (folder / name).write_bytes(payload)
        with pytest.raises(RunError):
            load_run(folder)
        (folder / name).write_bytes(original)
    load_run(folder)
    assert not marker.exists()
    pickle.loads(payload)
    assert marker.exists()  # the payload would have worked


def _edit(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    for name, value in changes.items():
        config[name] = {**config[name], **value} if isinstance(value, dict) else value
    (folder / "config.json").write_text(json.dumps(config))


def test_loading_says_what_differs(runs: dict[str, Path], six: Catalogue, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"holds no run: it has no config\.json"):
        load_run(tmp_path)
    with pytest.raises(RunError, match=r"another catalogue: 5849 tracks .* found 6 tracks"):
        load_run(runs["q-learning"], catalogue=six)
    folder = tmp_path / "run"
    shutil.copytree(runs["dueling-dqn"], folder)
    _edit(folder, environment={"encoding": "one-hot"})
    with pytest.raises(RunError, match="encoding 'one-hot' of this catalogue gives"):
        load_run(folder)
    _edit(folder, environment={"encoding": "cods"})
    with pytest.raises(RunError, match="Nearest: 'codes'"):
        load_run(folder)
    _edit(folder, agent="sarsa")
    with pytest.raises(RunError, match="agent must be one of q-learning, dueling-dqn, got 'sarsa'"):
        load_run(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(RunError, match="is not JSON"):
        load_run(folder)


def test_help_has_a_sentence_for_every_argument() -> None:
    output = run_script("train.py", "--help").stdout
    for name in (
        "--agent", "--catalogue", "--artist", "--genre", "--danceability", "--encoding",
        "--timesteps", "--seed", "--out", "--q-learning.learning-rate", "--dueling-dqn.batch-size",
    ):  # fmt: skip
        assert name in output
    assert "Discount: 0, since the next track does not depend on the action." in output


def test_a_wrong_setting_destroys_no_run(runs: dict[str, Path], tmp_path: Path) -> None:
    copied = tmp_path / "run"
    shutil.copytree(runs["q-learning"], copied)
    before = {path.name for path in copied.iterdir()}
    for wrong, message in (
        (["--encoding", "one-hot"], "needs Discrete"),
        (["--timesteps", "0"], "timesteps must be at least 1, got 0"),
        (["--seed", "-1"], "seed must be from 0"),
        (["--q-learning.learning-rate", "7"], "learning_rate must be above 0"),
        (["--q-learning.gamma", "7"], "gamma must be from 0 to 1, got 7"),
        (["--q-learning.exploration-fraction", "0"], "exploration_fraction must be above 0"),
    ):
        result = run_script(
            "train.py", "--agent", "q-learning", "--out", str(copied), "--overwrite", *wrong,
            check=False,
        )  # fmt: skip
        assert result.returncode == 2 and message in result.stderr, wrong
        assert {path.name for path in copied.iterdir()} == before
    load_run(copied)


def test_names_that_mean_something_to_tables_figures_and_json(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    frame = six_frame().replace(
        {"artists": {"A": "A$AP [/b] x^2_{"}, "genres": {"rock": "[/rock]"}}
    )
    frame.to_csv(path, index=False)
    output = train(
        tmp_path / "run", "q-learning", "--catalogue", str(path), "--artist", "A$AP [/b] x^2_{",
        "--genre", "[/rock]", "--session-length", "6", timesteps=16,
    )  # fmt: skip
    assert "A$AP [/b] x^2_{" in output and "[/rock]" in output

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    json.loads((tmp_path / "run" / "metrics.json").read_text(), parse_constant=refuse)
    run_script("evaluate.py", str(tmp_path / "run"))


def test_runs_of_one_name_are_told_apart(runs: dict[str, Path], tmp_path: Path) -> None:
    other = tmp_path / "q-learning"
    shutil.copytree(runs["q-learning"], other)
    folders = [str(runs["q-learning"]), str(other)]
    result = run_script("evaluate.py", *folders, "--json", "--out", str(tmp_path / "c"))
    document = json.loads(result.stdout)
    names = [row["name"] for row in document["policies"][:2]]
    assert names == [f"q-learning ({folder})" for folder in folders]
    assert list(document["top_10"]) == names


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"catalogue": "x"}, "catalogue must be an object"),
        ({"catalogue": {"path": 5, "checksum": "x", "n_tracks": 1}}, "path must be text or null"),
        ({"environment": None}, "environment must be an object"),
        ({"agent": [1]}, "agent must be one of"),
        ({"environment": {"encoding": "codes", "artist": "Nobody"}}, "environment: .*Nobody"),
        ({"environment": {"encoding": "codes", "colour": 1}}, "environment: .*colour"),
    ],
)
def test_a_damaged_configuration_is_a_clear_error(
    runs: dict[str, Path], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(runs["dueling-dqn"], folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(RunError, match=message):
        load_run(folder)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").unlink()
    with pytest.raises(RunError, match="its training did not end"):
        load_run(folder)
