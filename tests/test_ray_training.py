"""train.py --engine ray: RLlib's DQN over our networks, on a cluster of three nodes and without."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch as th

pytest.importorskip("ray", reason="needs the extra ray")

from ray_nodes import ROOT, ray_nodes
from test_tensorboard import SHARED_TAGS

import agents
import train
from agents.dueling_dqn import DuelingDQN
from agents.progress import read_progress
from agents.resume import resume_run as resume_local
from agents.runs import RunError, load_run, read_config
from agents.settings import (
    DuelingDQNSettings,
    RLlibAnyListenerSettings,
    RLlibSessionSettings,
    RLlibSettings,
    RunSettings,
)
from agents.training import train_run as train_local
from cluster import training
from cluster.connection import ClusterError, connected

pytestmark = [
    # Ray's own, of itself and of what it imports.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*unclosed.*:pytest.PytestUnraisableExceptionWarning"),
]

LISTENER: dict[str, Any] = {"artist": "A", "genre": "rock", "danceability": (0.4, 0.6)}
_SMALL: dict[str, Any] = {
    "timesteps": 320, "n_envs": 4, "batch_size": 8, "gradient_steps": 1, "final_gradient_steps": 1,
    "buffer_size": 500, "learning_starts": 16, "net_arch": (16,), "embedding_dim": 8,
}  # fmt: skip


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Return the address of a cluster of three nodes, to which the module is connected."""
    with ray_nodes(1, 1, 1) as nodes, connected(nodes.address):
        yield nodes.address


@pytest.fixture(scope="module")
def tracks_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator, n = np.random.default_rng(0), 120
    columns = {
        "track_id": [f"t{i}" for i in range(n)],
        "title": [f"Track {i}" for i in range(n)],
        "artists": generator.choice(["A", "B", "C", "D", "E"], n),
        "genres": generator.choice(["rock", "pop"], n),
        "danceability": generator.random(n).round(3),
    }
    path = tmp_path_factory.mktemp("catalogue") / "tracks.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def settings(kind: type[Any], out: Path, tracks_file: Path, **changes: Any) -> RunSettings:
    learner = {name: changes.pop(name) for name in list(changes) if hasattr(kind, name)}
    environment: dict[str, Any] = {"catalogue": str(tracks_file), "session_length": 8}
    if kind is RLlibAnyListenerSettings:
        environment |= {"split": "train", "test_share": 0.4}
    else:
        environment |= LISTENER | {"weights": (1.0, 1.0, 1.0)}
    if kind is RLlibSessionSettings:
        environment |= {"preset": "both"}
    return RunSettings(
        agent="dueling-dqn",
        learner=kind(**{**_SMALL, **learner}),
        out=out,
        environment=environment,
        progress_bar=False,
        **changes,
    )


@pytest.fixture(scope="module")
def run(cluster: str, tmp_path_factory: pytest.TempPathFactory, tracks_file: Path) -> Path:
    """Return a run of two environment runners on a cluster of three nodes."""
    out = tmp_path_factory.mktemp("runs") / "rllib"
    training.train_run(settings(RLlibSettings, out, tracks_file, env_runners=2), address=cluster)
    return out


# --- The bridge -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (RLlibSettings, {}),
        (RLlibSettings, {"encoding": "one-hot", "net_arch": (16, 8)}),
        (RLlibSettings, {"encoding": "profile", "net_arch": ()}),
        (RLlibSettings, {"dueling": False}),
        (RLlibAnyListenerSettings, {}),
        (RLlibSessionSettings, {}),
    ],
)
def test_a_learner_with_the_weights_of_rllibs_module_has_its_values(
    kind: type[Any], changes: dict[str, Any], tracks_file: Path, tmp_path: Path
) -> None:
    from agents.rllib import dqn_config, take_weights

    asked = settings(kind, tmp_path, tracks_file, **changes)
    learner, _ = training.bridge_learner(asked)
    config = dqn_config(asked, learner, env_runners=0, learning_starts=16)
    spaces = {"default_policy": (learner.observation_space, learner.action_space)}
    spec = config.get_rl_module_spec(spaces=spaces)
    th.manual_seed(3)
    module = spec.build()
    for parameter in module.parameters():  # some start at zero
        th.nn.init.normal_(parameter)
    learner.observation_space.seed(5)
    observations = np.stack([learner.observation_space.sample() for _ in range(50)])
    with th.no_grad():
        theirs = module.compute_q_values({"obs": th.as_tensor(observations)})["qf_preds"].numpy()
    assert not np.allclose(learner.q_values(observations), theirs, atol=1e-2)
    take_weights(learner, module.get_state())
    np.testing.assert_allclose(learner.q_values(observations), theirs, rtol=1e-5, atol=1e-5)
    learner.save(tmp_path / "model")
    loaded = DuelingDQN.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.q_values(observations), learner.q_values(observations))
    with pytest.raises(ValueError, match="not of the layers"):
        take_weights(learner, {"af.0.weight": np.zeros((2, 3))})


def test_runners_show_sessions_of_their_own() -> None:
    from agents.rllib import SessionCallback

    seeds = []
    for worker in (0, 1, 2, 3):
        runner = SimpleNamespace(config=SimpleNamespace(seed=7), worker_index=worker, _seed=None)
        SessionCallback().on_environment_created(
            env_runner=runner, metrics_logger=None, env=SimpleNamespace(num_envs=4), env_context={}
        )
        seeds.append(runner._seed)
    assert seeds == [7, 7, 11, 15]  # number 0 steps nothing where there are others


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"final_gradient_steps": 2}, "final_gradient_steps must be gradient_steps, got 2 and 1"),
        ({"env_runners": 3}, "multiple of the env_runners that share them, got 4 and 3"),
        ({"env_runners": -1}, "env_runners must be 0 .* or more: -1"),
    ],
)
def test_what_rllib_does_not_know_is_refused(
    changes: dict[str, Any], message: str, tracks_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with pytest.raises(ValueError, match=message):
        training.train_run(settings(RLlibSettings, out, tracks_file, **changes))
    assert not out.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"agent": "q-learning", "engine": "ray"}, "goes with --agent dueling-dqn only"),
        (
            {"agent": "dueling-dqn", "engine": "ray", "env": "MusicRecSlate-v0"},
            "goes with other environments than MusicRecSlate-v0",
        ),
        ({"agent": "dueling-dqn", "address": "auto"}, "go with --engine ray only"),
        ({"agent": "dueling-dqn", "env_runners": 2}, "go with --engine ray only"),
        (
            {"agent": "dueling-dqn", "engine": "ray", "dueling_dqn": DuelingDQNSettings(n_envs=2)},
            "but this is --agent dueling-dqn --engine ray: leave them out",
        ),
    ],
)
def test_arguments_that_do_not_go_together(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train.Arguments(**changes).run_settings()


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, RLlibSettings),
        ({"listener": "any"}, RLlibAnyListenerSettings),
        ({"env": "MusicRecSession-v0"}, RLlibSessionSettings),
    ],
)
def test_each_environment_has_settings_of_its_own(changes: dict[str, Any], kind: type[Any]) -> None:
    asked = train.Arguments(agent="dueling-dqn", engine="ray", env_runners=2, **changes)
    found = asked.run_settings()
    assert type(found.learner) is kind and found.engine == "ray" and found.env_runners == 2


# --- Runs -----------------------------------------------------------------------------------------


def test_a_run_on_three_nodes_has_learnt(run: Path) -> None:
    config = read_config(run)
    assert (config["engine"], config["env_runners"]) == ("ray", 2)
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["timesteps"] >= 320 and not metrics["interrupted"]
    assert metrics["relative_regret"] < 0.5  # a coin's is 1
    assert not (run / "rllib").exists()
    loaded = load_run(run)
    assert isinstance(loaded.learner, DuelingDQN) and loaded.learner.buffer_size == 500
    assert len(agents.recommend(loaded.learner, loaded.make_env().unwrapped.encoded, k=3)) == 3


def test_a_run_logs_what_others_log(run: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(run), size_guidance={"tensors": 0, "images": 0})
    accumulator.Reload()
    tags = accumulator.Tags()
    assert {*SHARED_TAGS, "train/loss"} <= set(tags["scalars"])
    assert "learning_curve" in tags["images"] and "config/text_summary" in tags["tensors"]
    assert "_hparams_/session_start_info" in accumulator.summary_metadata
    progress = read_progress(run / "progress.csv")
    steps = progress["time/total_timesteps"]
    assert len(steps) >= 30 and steps == sorted(set(steps)) and steps[-1] >= 320
    assert progress["time/episodes"][-1] == pytest.approx(320 / 8, abs=4)
    assert progress["rollout/ep_len_mean"][-1] == 8
    # 4 tracks a round, an update each, but for the first 16.
    assert progress["train/n_updates"][-1] == pytest.approx(320 / 4 - 4, abs=8)
    rate = [value for value in progress["train/learning_rate"] if np.isfinite(value)]
    assert rate[0] > 0.9 * RLlibSettings.learning_rate and rate[-1] < 0.1 * rate[0]
    assert progress["rollout/exploration_rate"][0] > progress["rollout/exploration_rate"][-1]
    final = json.loads((run / "metrics.json").read_text())
    assert progress["eval/regret"][-1] == pytest.approx(final["relative_regret"])


def test_evaluate_reads_a_run_beside_one_of_ours_without_ray(
    run: Path, tracks_file: Path, tmp_path: Path
) -> None:
    ours = settings(RLlibSettings, tmp_path / "ours", tracks_file)
    names = ("timesteps", "n_envs", "batch_size", "learning_starts")
    local = DuelingDQNSettings(**{name: _SMALL[name] for name in names})
    train_local(replace(ours, learner=local))
    command = (
        "import sys, runpy; sys.modules['ray'] = None; "
        "sys.argv = ['evaluate.py', *sys.argv[1:]]; runpy.run_path('evaluate.py', None, '__main__')"
    )
    given = [str(run), str(ours.out), "--json", "--out", str(tmp_path / "found")]
    done = subprocess.run(
        [sys.executable, "-c", command, *given], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)["policies"]}
    assert {"dueling-dqn (rllib)", "dueling-dqn (ours)", "oracle"} <= rows.keys()
    assert rows["dueling-dqn (rllib)"]["relative_regret"] < 0.5


@pytest.mark.parametrize("kind", [RLlibAnyListenerSettings, RLlibSessionSettings])
def test_the_other_environments(
    kind: type[Any],
    cluster: str,
    tracks_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agents.session_judge.METRICS_SESSIONS", 50)
    monkeypatch.setattr("agents.judges.METRICS_LISTENERS", 3)
    asked = settings(kind, tmp_path / "run", tracks_file, env_runners=0, timesteps=96)
    metrics = training.train_run(asked, address=cluster)
    assert metrics["timesteps"] >= 96
    loaded = load_run(asked.out)
    assert loaded.env_id == kind.env_id
    observation, _ = loaded.make_env().reset(seed=0)
    assert loaded.predict(observation)[0] in (0, 1)


class Killed(BaseException):
    """In place of a signal: what follows a checkpoint does not happen."""


def test_a_killed_run_goes_on_from_its_last_checkpoint(
    cluster: str, tracks_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agents.rllib import trained_weights

    asked = settings(RLlibSettings, tmp_path / "run", tracks_file, env_runners=0, snapshots=3)
    saved: list[Any] = []
    save, begin = training.save_checkpoint, training._run

    def killing(algorithm: Any, run: Path, state: Any) -> None:
        save(algorithm, run, state)
        saved.append((dict(state), trained_weights(algorithm)))
        if len(saved) == 2:
            raise Killed

    monkeypatch.setattr(training, "save_checkpoint", killing)
    with pytest.raises(Killed):
        training.train_run(asked, address=cluster)
    run, (state, weights) = asked.out, saved[-1]
    assert [path.name for path in (run / "rllib").iterdir()] == [
        f"checkpoint-{state['timesteps']:012d}"
    ]
    with (run / "progress.csv").open("a") as file:
        file.write("9999" + "," * 18 + "\n")  # logged after the checkpoint, and to be done again
    with pytest.raises(RunError, match="trained on a Ray cluster"):
        resume_local(run)

    def compared(*given: Any) -> None:
        progress, algorithm = given[5], given[4]
        assert (progress.timesteps, progress.updates) == (state["timesteps"], state["updates"])
        for name, value in trained_weights(algorithm).items():
            np.testing.assert_array_equal(value, weights[name], err_msg=name)
        begin(*given)

    monkeypatch.setattr(training, "_run", compared)
    metrics = training.resume_run(run, address=cluster, progress_bar=False)
    assert metrics["timesteps"] >= 320 and not metrics["interrupted"]
    progress = read_progress(run / "progress.csv")
    steps = progress["time/total_timesteps"]
    assert steps == sorted(set(steps)) and 320 <= steps[-1] < 9999
    assert state["timesteps"] in steps
    assert progress["train/n_updates"][-1] > state["updates"]
    # The step size goes on where it stood, as does the exploration rate.
    rate = dict(zip(steps, progress["train/learning_rate"], strict=True))
    later = [value for step, value in rate.items() if step > state["timesteps"] and value == value]
    assert later[0] < rate[state["timesteps"]]
    assert not (run / "rllib").exists()
    with pytest.raises(RunError, match="has finished"):
        training.resume_run(run, address=cluster)


def test_more_runners_than_processors_are_refused(
    cluster: str, tracks_file: Path, tmp_path: Path
) -> None:
    asked = settings(RLlibSettings, tmp_path / "run", tracks_file, env_runners=4)
    with pytest.raises(ClusterError, match=r"4 environment runners need .* the cluster has 3"):
        training.train_run(asked, address=cluster)


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ({}, []),
        ({"session_return": 2.0, "session_length": 8.0, "session_best_return": 4.0}, [[2, 8, 4]]),
        (
            {"session_return": [2, 3], "session_length": [8, 7], "session_best_return": [4, 5]},
            [[2, 8, 4], [3, 7, 5]],
        ),
        (dict.fromkeys(("session_return", "session_length", "session_best_return"), np.nan), []),
    ],
)
def test_sessions_are_read_from_rllibs_report(reported: Any, expected: list[Any]) -> None:
    from agents.rllib import read_report

    result = {"env_runners": {"num_env_steps_sampled_lifetime": 40.0, **reported}}
    report = read_report(result, batch_size=8)
    assert (report.timesteps, report.updates, report.learning) == (40, 0, {})
    np.testing.assert_array_equal(report.sessions, np.reshape(expected, (-1, 3)))
