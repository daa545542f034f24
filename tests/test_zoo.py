"""The commands of the README for rl-zoo3, run as a user does, in an empty folder."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from agents import DuelingDQN, zoo
from agents.extractors import CodesExtractor
from agents.training import DuelingDQNSettings

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ["--env", "MusicRec-v0", "--gym-packages", "music_env"]
CODES = ["--env-kwargs", "encoding:'codes'"]

needs_the_zoo = pytest.mark.skipif(
    find_spec("rl_zoo3") is None, reason="needs rl-zoo3: pip install '.[zoo]'"
)


def run(folder, module, *arguments):
    """Return what a module printed when it was run in a folder that holds nothing of ours."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def train(folder, module, algorithm, *script):
    return run(
        folder,
        module,
        *script,
        *("--algo", algorithm, *ENVIRONMENT, *CODES, "--conf-file", "agents.zoo"),
        *("--num-threads", "1", "--seed", "0"),
        *("-n", "512", "--eval-freq", "256", "--eval-episodes", "1"),
    )


def rewards(output):
    return [float(reward) for reward in re.findall(r"Episode Reward: (\S+)", output)]


@needs_the_zoo
@pytest.mark.slow
def test_the_zoo_trains_and_enjoys_the_dueling_policy(tmp_path):
    output = train(tmp_path, "rl_zoo3.train", "dqn")
    assert "agents.policies.DuelingDQNPolicy" in output
    assert "eval_env_kwargs={'encoding': 'codes'}" in output
    assert re.search(r"n_updates\s*\|\s*[1-9]", output), "it never learnt"
    enjoy = ["--algo", "dqn", *ENVIRONMENT, "-f", "logs", "--no-render"]
    earned = rewards(run(tmp_path, "rl_zoo3.enjoy", *enjoy, "-n", "300"))
    assert len(earned) == 3
    # 100 tracks of this listener are worth about 228; pressing at random earns about 0.
    assert min(earned) > 100


@needs_the_zoo
@pytest.mark.slow
def test_the_zoo_trains_and_enjoys_our_learner(tmp_path):
    train(tmp_path, "agents.zoo", "dueling_dqn", "train")
    enjoy = ["enjoy", "--algo", "dueling_dqn", *ENVIRONMENT, "-f", "logs", "--no-render"]
    last = rewards(run(tmp_path, "agents.zoo", *enjoy, "-n", "300"))
    best = rewards(run(tmp_path, "agents.zoo", *enjoy, "-n", "100", "--load-best"))
    assert len(last) == 3 and len(best) == 1
    assert min(last + best) > 100
    # The zoo's schedule is none of the classes that a file may name; the zoo replaces it as well.
    model = DuelingDQN.load(
        tmp_path / "logs" / "dueling_dqn" / "MusicRec-v0_1" / "MusicRec-v0.zip",
        custom_objects={"learning_rate": 0.0},
    )
    assert isinstance(model.q_net.features_extractor, CodesExtractor)


def test_the_zoo_is_given_the_defaults_of_train():
    given, settings = zoo.hyperparams["MusicRec-v0"], DuelingDQNSettings()
    assert given["n_timesteps"] == settings.timesteps
    assert given["learning_rate"] == f"lin_{settings.learning_rate}"
    assert given["env_kwargs"] == {"encoding": "codes"}
    for name in ("n_envs", "batch_size", "learning_starts", "gamma"):
        assert given[name] == getattr(settings, name), name
    # From 16 to 1 over the first tenth, 1 from then on: 1.75 on average.
    assert given["gradient_steps"] == 2


@pytest.mark.parametrize("arguments", [[], ["plot_train"]])
def test_another_script_of_the_zoo_is_refused(arguments, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["agents.zoo", *arguments])
    with pytest.raises(SystemExit, match=r"agents\.zoo: expected train or enjoy first, got"):
        zoo.main()


@pytest.mark.skipif(find_spec("rl_zoo3") is not None, reason="rl-zoo3 is installed")
def test_without_the_zoo_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["agents.zoo", "train"])
    with pytest.raises(SystemExit, match=r'pip install "musicrec\[zoo\]"'):
        zoo.main()
