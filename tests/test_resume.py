"""A run that is killed at any moment ends, once resumed, as if nothing had happened."""

from __future__ import annotations

import csv
import itertools
import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import killed_runs
import numpy as np
import pytest
import torch as th
from conftest import six_frame
from gymnasium import spaces
from killed_runs import in_process
from stable_baselines3 import DQN
from stable_baselines3.common.buffers import DictReplayBuffer, NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecCheckNan
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

import agents.model_file
import train
from agents.replay import PrioritizedReplayBuffer
from agents.replay_segments import ReplaySegments, _rings, check_buffer, delete_segments
from agents.resume import RunFinishedError, resume_run
from agents.runs import RunError
from agents.snapshot_file import SnapshotError, read_state, write_state
from agents.snapshots import Snapshots
from agents.training import train_run, untrained
from agents.training_state import restore_learner, restore_progress, training_state
from agents.vec_env import GymVecEnv

ROOT = Path(__file__).resolve().parents[1]
TIMES = ("time/fps", "time/time_elapsed")
AGENTS = ("q-learning", "dueling-dqn")


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("catalogue") / "six.csv"
    six_frame().to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def uninterrupted(
    catalogue: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Return a function: variant -> the folder of its uninterrupted run."""
    folder = tmp_path_factory.mktemp("uninterrupted")

    def run(variant: str) -> Path:
        if not (folder / variant).exists():
            assert in_process(variant, folder / variant, catalogue) == 0
        return folder / variant

    return run


def progress(run: Path) -> list[dict[str, str]]:
    with (run / "progress.csv").open(newline="") as file:
        return [{n: v for n, v in row.items() if n not in TIMES} for row in csv.DictReader(file)]


def events(run: Path) -> dict[tuple[str, int], Any]:
    """Return (tag, step) -> value from a run's event files, each of which must be there once."""
    found: list[tuple[tuple[str, int], Any]] = []
    for path in run.glob("events.out.tfevents*"):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                number = value.tensor.float_val[0] if value.tensor.float_val else None
                found.append(((value.tag, event.step), number))
    twice = {key: n for key, n in Counter(key for key, _ in found).items() if n > 1}
    assert not twice
    return dict(found)


def assert_same_end(run: Path, reference: Path) -> None:
    np.testing.assert_equal(
        read_state(run / "final.safetensors"), read_state(reference / "final.safetensors")
    )
    assert (run / "model.safetensors").read_bytes() == (
        reference / "model.safetensors"
    ).read_bytes()
    for row, (ours, theirs) in enumerate(
        zip(progress(run), progress(reference), strict=True), start=1
    ):
        assert ours == theirs, f"row {row} of progress.csv"
    ours, theirs = events(run), events(reference)
    assert ours.keys() == theirs.keys()
    for key in theirs.keys() - {key for key in theirs if key[0] in TIMES}:
        assert ours[key] == theirs[key], key
    steps = [int(row["time/total_timesteps"]) for row in progress(run)]
    assert len(steps) > 30 and {("eval/regret", step) for step in steps} <= ours.keys()
    metrics = [json.loads((r / "metrics.json").read_text()) for r in (run, reference)]
    for each in metrics:
        assert 0 < each.pop("snapshot_seconds") < each.pop("train_seconds")
        each.pop("milliseconds_per_listener", None)
    assert metrics[0] == metrics[1]
    left_over = {path.name for path in run.rglob("*")} - {p.name for p in reference.rglob("*")}
    allowed = ("events.out.tfevents", ".final.safetensors")  # the latter is the test's own
    assert all(name.startswith(allowed) for name in left_over), left_over


@pytest.mark.parametrize("variant", killed_runs.SETTINGS)
def test_killed_again_and_again_it_ends_the_same(
    variant: str,
    uninterrupted: Callable[[str], Path],
    catalogue: Path,
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    generator = np.random.default_rng(list(variant.encode()))
    deaths, steps = 0, []
    # Each life ends at a file operation drawn by chance, in the middle of it where it writes.
    while (code := in_process(variant, run, catalogue, int(generator.integers(25, 50)))) != 0:
        assert code == -signal.SIGKILL
        deaths += 1
        steps.append(_last_step(run))
        assert deaths < 20, f"no progress: {steps}"
    assert deaths >= 2
    assert steps == sorted(steps) and steps[-1] > 0
    assert_same_end(run, uninterrupted(variant))


def _last_step(run: Path) -> int:
    if (run / "metrics.json").exists():
        return int(json.loads((run / "metrics.json").read_text())["timesteps"])
    states = sorted((run / "snapshot").glob("state-*.safetensors"))
    return int(states[-1].stem.removeprefix("state-")) if states else 0


@pytest.mark.slow
def test_killed_at_each_operation_around_a_snapshot_it_ends_the_same(
    uninterrupted: Callable[[str], Path], catalogue: Path, tmp_path: Path
) -> None:
    # The first log, the first snapshot, rows of the log, the second snapshot with its segment: all
    # even operations are the death of a first life, the odd ones that of a second.
    for last in range(2, 16, 2):
        run = tmp_path / str(last)
        first = [last]
        if last == 2:
            assert in_process("dueling-dqn", run, catalogue, 1) == -signal.SIGKILL
            # Nothing has begun; it begins in the same folder, once that is cleared.
            assert [path.name for path in run.iterdir()] == ["config.json.part"]
            first = [last + 1]
        for operation in (*first, 17 - last):
            code = in_process("dueling-dqn", run, catalogue, operation)
            assert code == -signal.SIGKILL, (last, operation)
        assert in_process("dueling-dqn", run, catalogue) == 0, last
        assert_same_end(run, uninterrupted("dueling-dqn"))


@pytest.mark.parametrize("agent", AGENTS)
def test_a_killed_process_of_train_py_goes_on(agent: str, catalogue: Path, tmp_path: Path) -> None:
    arguments = [
        "--agent", agent, "--catalogue", str(catalogue), "--session-length", "6",
        "--timesteps", "2000", "--seed", "3", "--snapshots", "20",
    ]  # fmt: skip
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert _main(*arguments, "--out", str(whole)) == 0
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *arguments, "--out", str(run)],
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while _last_step(run) < 300 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.communicate()
    if process.returncode == 0:
        pytest.skip("the run was over before it could be killed")
    assert 300 <= _last_step(run) < 2000
    assert not (run / "model.safetensors").exists()
    assert _main("--resume", str(run), "--no-progress-bar") == 0
    assert progress(run) == progress(whole)
    assert events(run).keys() == events(whole).keys()
    assert (run / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def _main(*arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py", *arguments])
        return train.main()


# --- In this process ------------------------------------------------------------------------------


class Stopped(Exception):
    pass


@pytest.fixture(autouse=True)
def _no_learning_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.plotting.learning_curve", killed_runs.blank_figure)


@pytest.fixture(scope="module")
def originals(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a run of each learner which an error broke off in the middle of a snapshot."""
    folder = tmp_path_factory.mktemp("broken-off")
    for variant, last in (("q-learning", 6), ("dueling-dqn", 12)):
        with pytest.MonkeyPatch.context() as patch:
            _fail_at(patch, last)
            with pytest.raises(Stopped):
                train_run(killed_runs.settings(variant, folder / variant, catalogue))
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture
def broken_off(originals: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """Return a function: variant -> a copy of the run that an error broke off."""

    def copy(variant: str) -> Path:
        # The snapshot does not know the folder's name.
        return Path(shutil.copytree(originals[variant], tmp_path / variant))

    return copy


def _fail_at(patch: pytest.MonkeyPatch, last: int) -> None:
    """Let the last file that is written as safetensors break off in the middle."""
    save_file, calls = agents.model_file.save_file, []

    def save(arrays: Any, path: Path, metadata: Any) -> None:
        calls.append(path)
        save_file(arrays, path, metadata)
        if len(calls) == last:
            os.truncate(path, path.stat().st_size // 2)
            raise Stopped

    patch.setattr(agents.model_file, "save_file", save)


def _fail_at_call(patch: pytest.MonkeyPatch, method: str, last: int) -> None:
    """Let the last of some calls of a path's method do nothing but raise `Stopped`."""
    original, calls = getattr(Path, method), itertools.count(1)

    def failing(self: Path, *args: Any, **kwargs: Any) -> Any:
        if next(calls) == last:
            raise Stopped
        return original(self, *args, **kwargs)

    patch.setattr(Path, method, failing)


@pytest.mark.parametrize("variant", AGENTS)
def test_an_error_while_writing_leaves_the_snapshot_before(
    variant: str, broken_off: Callable[[str], Path], uninterrupted: Callable[[str], Path]
) -> None:
    run = broken_off(variant)
    steps = _last_step(run)
    assert 0 < steps < killed_runs.SETTINGS[variant].timesteps
    resume_run(run, progress_bar=False)
    reference = uninterrupted(variant)
    assert (run / "model.safetensors").read_bytes() == (
        reference / "model.safetensors"
    ).read_bytes()
    assert progress(run) == progress(reference)


def test_ten_snapshots_a_run_and_only_new_rows_are_written(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[str, int]] = []

    def note(path: Path, state: dict[str, Any], *, sync: bool = False) -> None:
        written.append((path.name, len(state["rows"]) if "rows" in state else 0))
        write_state(path, state, sync=sync)

    monkeypatch.setattr("agents.snapshots.write_state", note)
    monkeypatch.setattr("agents.replay_segments.write_state", note)
    train_run(killed_runs.settings("dueling-dqn", tmp_path / "run", catalogue))
    states = [name for name, _ in written if name.startswith("state-")]
    assert len(set(states)) == len(states) == 1 + 10
    # A row a step of all environments; those after the last snapshot are not in any.
    last = int(states[-1].removeprefix("state-").removesuffix(".safetensors"))
    assert sum(rows for _, rows in written) == last // 8 >= 90
    assert not (tmp_path / "run" / "snapshot").exists()


def test_a_run_that_was_killed_before_it_began_begins_in_the_same_folder(
    catalogue: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = replace(killed_runs.settings("q-learning", tmp_path / "run", catalogue), timesteps=8)
    with pytest.MonkeyPatch.context() as patch:
        _fail_at_call(patch, "replace", 1)
        with pytest.raises(Stopped):
            train_run(settings)
    assert [path.name for path in settings.out.iterdir()] == ["config.json.part"]
    assert _main("--resume", str(settings.out)) == 2
    assert "holds no run" in (message := capsys.readouterr().err)
    assert f"--out {settings.out}" in message
    train_run(settings)  # as the message says
    assert {path.name for path in settings.out.iterdir()} >= {"config.json", "metrics.json"}
    # Another's folder is another matter.
    (settings.out / "config.json").unlink()
    with pytest.raises(RunError, match="it does not hold a run"):
        train_run(settings)


def test_overwriting_can_be_killed_and_clears_what_killed_runs_left(
    catalogue: Path, tmp_path: Path
) -> None:
    settings = replace(killed_runs.settings("q-learning", tmp_path / "run", catalogue), timesteps=8)
    train_run(settings)
    for name in ("config.json.part", "metrics.json.part", ".model.safetensors.1.part"):
        (settings.out / name).touch()
    with pytest.MonkeyPatch.context() as patch:
        _fail_at_call(patch, "unlink", len(list(settings.out.iterdir())))
        with pytest.raises(Stopped):
            train_run(replace(settings, overwrite=True))
    # The folder still holds a run, which can be overwritten.
    assert [path.name for path in settings.out.iterdir()] == ["config.json"]
    train_run(replace(settings, overwrite=True))
    assert (settings.out / "metrics.json").exists()


@pytest.mark.parametrize("agent", AGENTS)
def test_ctrl_c_and_resume_end_the_same(
    agent: str,
    uninterrupted: Callable[[str], Path],
    catalogue: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, interrupted_at = tmp_path / "run", 555
    with pytest.MonkeyPatch.context() as patch:
        step = GymVecEnv.step_wait

        def interrupting(self: GymVecEnv) -> Any:
            self.taken = getattr(self, "taken", 0) + self.num_envs
            if self.taken - self.num_envs < interrupted_at <= self.taken:
                signal.raise_signal(signal.SIGINT)
            return step(self)

        patch.setattr(GymVecEnv, "step_wait", interrupting)
        metrics = train_run(killed_runs.settings(agent, run, catalogue))
    assert metrics["interrupted"] and interrupted_at <= metrics["timesteps"] < 600
    (state,) = (run / "snapshot").glob("state-*")
    # Nothing that was learnt is lost.
    assert int(state.stem.removeprefix("state-")) >= interrupted_at
    assert _main("--resume", str(run), "--no-progress-bar") == 0
    assert "decisions right" in capsys.readouterr().out
    reference = uninterrupted(agent)
    assert (run / "model.safetensors").read_bytes() == (
        reference / "model.safetensors"
    ).read_bytes()
    assert progress(run) == progress(reference)
    assert events(run).keys() == events(reference).keys()
    assert not json.loads((run / "metrics.json").read_text())["interrupted"]
    # A finished run has nothing to resume, and says so.
    before = {path: path.read_bytes() for path in run.iterdir()}
    assert _main("--resume", str(run)) == 0
    assert "has finished" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in run.iterdir()} == before
    with pytest.raises(RunFinishedError):
        resume_run(run)


def test_resuming_reads_no_pickle_and_runs_nothing(
    broken_off: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = broken_off("dueling-dqn")
    files = list((run / "snapshot").iterdir())
    assert len(files) >= 2
    for path in files:
        header_length = int.from_bytes(path.read_bytes()[:8], "little")
        json.loads(path.read_bytes()[8 : 8 + header_length])  # safetensors

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(th, "load", refuse)
    resume_run(run, progress_bar=False)


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("damage", ["pickle", "flipped", "cut", "empty"])
def test_a_damaged_snapshot_is_an_error_that_names_the_file(
    broken_off: Callable[[str], Path], damage: str, tmp_path: Path
) -> None:
    run = broken_off("dueling-dqn")
    for pattern in ("state-*", "replay-*"):
        for path in (run / "snapshot").glob(pattern):
            content = path.read_bytes()
            damaged = {
                "pickle": pickle.dumps(Bomb(tmp_path / "executed")),
                "flipped": content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
                "cut": content[:-100],
                "empty": b"",
            }[damage]
            path.write_bytes(damaged)
            with pytest.raises(SnapshotError, match=rf"{path.name} is damaged"):
                resume_run(run, progress_bar=False)
            path.write_bytes(content)
    assert not (tmp_path / "executed").exists()
    gone = sorted((run / "snapshot").glob("replay-*"))[-1]
    content = gone.read_bytes()
    gone.unlink()
    with pytest.raises(SnapshotError, match=rf"{gone.name} is missing"):
        resume_run(run, progress_bar=False)
    gone.write_bytes(content)
    resume_run(run, progress_bar=False)  # the errors have changed nothing


def test_of_two_snapshots_the_older_stands_in_for_the_other(
    catalogue: Path,
    tmp_path: Path,
    uninterrupted: Callable[[str], Path],
) -> None:
    run = tmp_path / "run"
    # The third snapshot, and that one alone, is forced to disk; the run breaks off in the sixth.
    synced, sync_to_disk = [], agents.model_file.sync_to_disk
    intervals = iter([np.inf, np.inf, 0.0] + 9 * [np.inf])
    take = Snapshots._take

    def take_third_durably(self: Snapshots, step: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("agents.snapshots.SYNC_INTERVAL", next(intervals))
            take(self, step)

    def note(path: Path) -> None:
        synced.append(path.name)
        sync_to_disk(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Snapshots, "_take", take_third_durably)
        for module in ("model_file", "replay_segments"):
            patch.setattr(f"agents.{module}.sync_to_disk", note)
        _fail_at(patch, 11)  # the first has no segment
        with pytest.raises(Stopped):
            train_run(killed_runs.settings("dueling-dqn", run, catalogue))
    third, fifth = sorted((run / "snapshot").glob("state-*"))
    first_segment, second_segment = (s["file"] for s in read_state(third)["replay"]["segments"])
    assert synced == [
        f".{second_segment}.{os.getpid()}.part", "snapshot", first_segment,
        f".{third.name}.{os.getpid()}.part", "snapshot",
    ]  # fmt: skip
    fifth.write_bytes(fifth.read_bytes()[:-50])  # as a power failure may leave it
    with pytest.warns(UserWarning, match=rf"{fifth.name} is damaged.*the snapshot before it"):
        resume_run(run, progress_bar=False)
    reference = uninterrupted("dueling-dqn")
    assert progress(run) == progress(reference) and events(run).keys() == events(reference).keys()
    assert (run / "model.safetensors").read_bytes() == (
        reference / "model.safetensors"
    ).read_bytes()


def _edit(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    config = json.loads((run / "config.json").read_text())
    change(config)
    (run / "config.json").write_text(json.dumps(config))


def test_what_cannot_be_resumed_says_why(
    broken_off: Callable[[str], Path],
    tmp_path: Path,
    catalogue: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    original = broken_off("q-learning")

    def copy(name: str) -> Path:
        shutil.copytree(original, tmp_path / name)
        return tmp_path / name

    def error(run: Path, *more: str) -> str:
        before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
        assert _main("--resume", str(run), *more) == 2
        assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
        return capsys.readouterr().err

    assert "holds no run: it has no config.json" in error(tmp_path / "nowhere")
    assert "leave out --seed, --q-learning.gamma" in error(
        original, "--seed", "1", "--q-learning.gamma=0.5"
    )
    run = copy("no-snapshot")
    shutil.rmtree(run / "snapshot")
    assert "has no snapshot to go on from" in error(run)
    run = copy("changed")
    _edit(run, lambda config: config.update(seed=5))
    assert "belongs to another run: its seed is 0, not 5" in error(run)
    run = copy("unknown-setting")
    _edit(run, lambda config: config["hyperparameters"].update(colour=1))
    assert "hyperparameters differ in ['colour']" in error(run)
    run = copy("damaged-configuration")
    _edit(run, lambda config: config.update(timesteps="many"))
    assert "timesteps must be of type int to resume the run, got 'many'" in error(run)
    run = copy("older-version")
    _edit(run, lambda config: config.pop("snapshots"))
    assert "snapshots must be of type int to resume the run, got None" in error(run)
    run = copy("other-catalogue")
    other = tmp_path / "other.csv"
    six_frame().head(5).to_csv(other, index=False)
    _edit(run, lambda config: config["catalogue"].update(path=str(other)))
    assert "was trained on another catalogue" in error(run)
    run = copy("cut-log")
    os.truncate(run / "progress.csv", 200)
    assert "progress.csv must have at least" in error(run)
    assert _main("--out", str(tmp_path / "x")) == 2
    assert "--agent is missing: expected q-learning or dueling-dqn" in capsys.readouterr().err


def test_another_version_is_a_warning(broken_off: Callable[[str], Path]) -> None:
    run = broken_off("q-learning")
    _edit(run, lambda config: config["versions"].update(torch="1.0"))
    with pytest.warns(UserWarning, match=r"torch 1\.0 then, .* now.*not necessarily"):
        resume_run(run, progress_bar=False)


def test_a_moved_catalogue_can_be_named_in_the_configuration(
    broken_off: Callable[[str], Path], catalogue: Path, tmp_path: Path
) -> None:
    run = broken_off("q-learning")
    moved = tmp_path / "moved.csv"
    shutil.copy(catalogue, moved)
    _edit(run, lambda config: config["catalogue"].update(path=str(moved)))
    resume_run(run, progress_bar=False)


def test_seconds_add_up(broken_off: Callable[[str], Path]) -> None:
    run = broken_off("dueling-dqn")
    (path,) = (run / "snapshot").glob("state-*")
    state = read_state(path)
    state["seconds"], state["training"]["elapsed"] = 1000.0, 2000 * 10**9
    write_state(path, state)
    assert 1000 < resume_run(run, progress_bar=False)["train_seconds"] < 1100
    with (run / "progress.csv").open(newline="") as file:
        elapsed = [int(row["time/time_elapsed"]) for row in csv.DictReader(file)]
    assert elapsed[0] < 100 and 2000 <= elapsed[-1] < 2100


@pytest.mark.parametrize("begins", [True, False])
def test_one_process_at_a_time_trains_in_a_folder(
    begins: bool, broken_off: Callable[[str], Path], catalogue: Path, tmp_path: Path
) -> None:
    settings = killed_runs.settings("q-learning", tmp_path / "run", catalogue)
    settings = replace(settings, timesteps=8)
    run = settings.out if begins else broken_off("q-learning")
    step, refused = GymVecEnv.step_wait, []

    def trained_elsewhere(self: GymVecEnv) -> Any:
        if not refused:
            for attempt in (
                lambda: resume_run(run, progress_bar=False),
                lambda: train_run(replace(settings, out=run, overwrite=True)),
            ):
                with pytest.raises(RunError, match=f"another process is training in {run}: wait"):
                    attempt()
                refused.append(attempt)
        return step(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GymVecEnv, "step_wait", trained_elsewhere)
        train_run(settings) if begins else resume_run(run, progress_bar=False)
    assert len(refused) == 2
    # Once that has ended, the folder is free.
    with pytest.raises(RunFinishedError):
        resume_run(run)


def test_without_snapshots(catalogue: Path, tmp_path: Path) -> None:
    settings = killed_runs.settings("q-learning", tmp_path / "run", catalogue)
    train_run(replace(settings, snapshots=0))
    assert not (tmp_path / "run" / "snapshot").exists()
    (tmp_path / "run" / "metrics.json").unlink()
    with pytest.raises(RunError, match="has no snapshot"):
        resume_run(tmp_path / "run")


# --- The parts ------------------------------------------------------------------------------------


def test_a_state_comes_back_with_its_types(tmp_path: Path) -> None:
    state = {
        "arrays": [np.arange(6.0).reshape(2, 3).T, np.zeros((0, 2), np.int8), np.array(True)],
        "scalars": (np.float32(0.1), np.float64(0.1), np.int64(2**62), np.bool_(True)),
        "plain": {"none": None, "big": 2**127, "exact": 0.1 + 0.2, "text": "é", "no": False},
        "infinite": [float("inf"), float("-inf"), -0.0],
        "empty": [{}, [], ()],
    }
    path = tmp_path / "x.safetensors"
    write_state(path, state)
    back = read_state(path)
    np.testing.assert_equal(back, state)
    assert [type(v) for v in back["scalars"]] == [type(v) for v in state["scalars"]]
    assert [a.dtype for a in back["arrays"]] == [a.dtype for a in state["arrays"]]
    assert str(back["infinite"][2]) == "-0.0" and isinstance(back["scalars"], tuple)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": [th.zeros(2)]}, "state/a/0 is a Tensor"),
        ({"a": {1: 2}}, "state/a has the key 1"),
        ({"a": {"$array": 2}}, "state/a has the key '\\$array'"),
        ({"a": np.array([None])}, "state/a is an array of object"),
        ({"a": {1, 2}}, "state/a is a set"),
    ],
)
def test_a_state_of_anything_else_is_refused(
    tmp_path: Path, state: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        write_state(tmp_path / "x.safetensors", state)
    assert not list(tmp_path.iterdir())


BOX = spaces.Box(-1, 1, (3,), np.float32)
SPACES: dict[str, spaces.Space[Any]] = {
    "box": BOX,
    "bytes": spaces.Box(0, 255, (2, 2), np.uint8),
    "discrete": spaces.Discrete(7),
    "dict": spaces.Dict({"a": BOX, "b": spaces.Discrete(5)}),
}
BUFFERS: dict[str, tuple[str, type[ReplayBuffer], dict[str, Any]]] = {
    "box": ("box", ReplayBuffer, {}),
    "bytes": ("bytes", ReplayBuffer, {}),
    "discrete": ("discrete", ReplayBuffer, {}),
    "dict": ("dict", DictReplayBuffer, {}),
    "n-step": ("box", NStepReplayBuffer, {"n_steps": 3}),
    "own state": ("box", PrioritizedReplayBuffer, {"n_steps": 3}),
    "one array": (
        "box",
        ReplayBuffer,
        {"optimize_memory_usage": True, "handle_timeout_termination": False},
    ),
}


@pytest.mark.parametrize("name", BUFFERS)
def test_a_buffer_is_restored_from_segments(name: str, tmp_path: Path) -> None:
    space_name, kind, arguments = BUFFERS[name]
    space, n_envs, size = SPACES[space_name], 3, 10
    space.seed(0)
    generator = np.random.default_rng(0)

    def empty() -> ReplayBuffer:
        return kind(size * n_envs, space, spaces.Discrete(2), "cpu", n_envs=n_envs, **arguments)

    def batch() -> Any:
        drawn = [space.sample() for _ in range(n_envs)]
        if isinstance(space, spaces.Dict):
            return {key: np.stack([one[key] for one in drawn]) for key in space.spaces}
        return np.stack(drawn)

    def add(buffer: ReplayBuffer) -> None:
        done = generator.random(n_envs) < 0.3
        buffer.add(
            batch(), batch(), generator.integers(2, size=n_envs), generator.random(n_envs), done,
            [{"TimeLimit.truncated": bool(d)} for d in done],
        )  # fmt: skip
        if isinstance(buffer, PrioritizedReplayBuffer):  # those of old rows change as well
            stored = np.arange(buffer.size() * n_envs)
            buffer.update_priorities(generator.choice(stored, 4), generator.normal(size=4))

    buffer, added = empty(), 0
    segments = ReplaySegments(tmp_path)
    overlap = int(buffer.optimize_memory_usage)
    # Less than a ring, none, over the end, exactly a ring, more than one.
    for new in (0, 4, 0, 3, 5, 1, 10, 2, 23, 1):
        for _ in range(new):
            add(buffer)
        added += new
        before = set(tmp_path.iterdir())
        described = segments.write(buffer, added)
        for path in set(tmp_path.iterdir()) - before:
            assert len(read_state(path)["rows"]) == min(min(new, size) + overlap, size)
        delete_segments(tmp_path, but=[described])
        write_state(tmp_path / "described.safetensors", described)
        described = read_state(tmp_path / "described.safetensors")
        (tmp_path / "described.safetensors").unlink()
        restored = empty()
        again = ReplaySegments(tmp_path, described)
        again.restore(restored, described)
        assert (restored.pos, restored.full) == (buffer.pos, buffer.full), added
        np.testing.assert_equal(_rings(restored), _rings(buffer), err_msg=str(added))
        if isinstance(buffer, PrioritizedReplayBuffer):
            assert isinstance(restored, PrioritizedReplayBuffer)
            np.testing.assert_equal(restored.get_state(), buffer.get_state())
        held = sum(len(read_state(path)["rows"]) for path in tmp_path.iterdir())
        assert held <= 3 * (size + overlap), "segments that nothing needs are kept"
        segments = again  # as after a resume


def test_forcing_a_buffer_to_disk_forces_each_segment_that_it_needs_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    for module in ("model_file", "replay_segments"):
        monkeypatch.setattr(f"agents.{module}.sync_to_disk", lambda path: synced.append(path.name))
    buffer, added = ReplayBuffer(10, BOX, spaces.Discrete(2), "cpu"), 0

    def write(segments: ReplaySegments, new: int, *, sync: bool) -> tuple[list[str], Any]:
        nonlocal added
        zeros = np.zeros((1, 3), np.float32)
        for _ in range(new):
            buffer.add(zeros, zeros, np.zeros((1, 1)), np.zeros(1), np.zeros(1), [{}])
        added += new
        synced.clear()
        described = segments.write(buffer, added, sync=sync)
        names = [name.removeprefix(".").partition(".")[0] for name in synced]
        return sorted(set(names) - {tmp_path.name}), described

    segments = ReplaySegments(tmp_path)
    assert write(segments, 4, sync=False)[0] == []
    assert write(segments, 5, sync=False)[0] == []
    # The first is needed no longer.
    last_two = ["replay-000000000009", "replay-000000000014"]
    assert write(segments, 5, sync=True)[0] == last_two
    assert write(segments, 0, sync=True)[0] == []
    assert write(segments, 1, sync=False)[0] == []
    forced, described = write(segments, 0, sync=True)
    assert forced == ["replay-000000000015"]
    # What a killed process wrote may not be on the disk yet.
    again = ReplaySegments(tmp_path, described)
    assert write(again, 0, sync=True)[0] == [*last_two, "replay-000000000015"]


def test_a_buffer_with_an_unknown_state_is_refused() -> None:
    class Secretive(ReplayBuffer):
        pass

    with pytest.raises(TypeError, match=r"Secretive may keep more .*give it get_state"):
        check_buffer(Secretive(10, BOX, spaces.Discrete(2)))


def test_generators_and_what_is_half_way_to_the_logs_are_part_of_the_state(
    catalogue: Path, tmp_path: Path
) -> None:
    run_settings = killed_runs.settings("dueling-dqn", tmp_path, catalogue)

    def started() -> Any:
        learner, _ = untrained(run_settings)
        learner._setup_learn(8)
        learner.set_logger(Logger(None, []))
        return learner

    def draws(learner: Any) -> list[Any]:
        return [
            random.random(), random.gauss(), np.random.normal(),  # noqa: NPY002
            th.rand(3).tolist(), [learner.action_space.sample() for _ in range(20)],
            learner._generator.random(3).tolist(),
        ]  # fmt: skip

    first, second = started(), started()
    draws(first)
    first.logger.record("a/b", np.float32(0.1), exclude="tensorboard")
    first.logger.record_mean("c", 2.0)
    write_state(tmp_path / "x.safetensors", training_state(first))
    state, expected = read_state(tmp_path / "x.safetensors"), draws(first)
    restore_learner(second, state)
    restore_progress(second, state)
    assert draws(second) == expected
    assert second.logger.name_to_value == {"a/b": np.float32(0.1), "c": 2.0}
    assert second.logger.name_to_count == {"c": 1}
    assert second.logger.name_to_excluded == {"a/b": ("tensorboard",), "c": ("",)}


def test_only_what_gives_its_state_can_have_snapshots(catalogue: Path, tmp_path: Path) -> None:
    learner, _ = untrained(killed_runs.settings("q-learning", tmp_path, catalogue))
    with pytest.raises(
        TypeError, match=r"snapshots need the environment's state, which VecCheckNan"
    ):
        learner.set_env(VecCheckNan(learner.env))
        restore_learner(learner, {"learner": learner.get_state(), "env": {}})
    with pytest.raises(TypeError, match="DQN has no get_state and set_state"):
        restore_learner(DQN("MlpPolicy", "CartPole-v1"), {})


def test_an_adapter_goes_on_from_its_state() -> None:
    def make(**arguments: Any) -> GymVecEnv:
        return GymVecEnv(
            gym.make_vec(
                "music_env:MusicRec-v0", vectorization_mode="vector_entry_point",
                autoreset_mode="SameStep", session_length=7, encoding="codes", **arguments,
            )
        )  # fmt: skip

    first, second = make(num_envs=3), make(num_envs=3)
    first.seed(1)
    first.reset()
    actions = np.random.default_rng(0).integers(2, size=(40, 3))
    for batch in actions[:18]:
        first.step(batch)
    state = first.get_state()
    second.set_state(state)
    for step, batch in enumerate(actions[18:]):
        ours, theirs = second.step(batch), first.step(batch)
        for info in (*ours[3], *theirs[3]):
            if "episode" in info:
                info["episode"].pop("t")
        np.testing.assert_equal(ours, theirs, err_msg=f"step {step}")
    with pytest.raises(ValueError, match=r"returns must have shape \(2,\), got \(3,\)"):
        make(num_envs=2).set_state(state)
    plain = gym.make_vec(
        "CartPole-v1", vectorization_mode="sync", vector_kwargs={"autoreset_mode": "SameStep"}
    )
    with pytest.raises(TypeError, match="has no get_state"):
        GymVecEnv(plain).get_state()
