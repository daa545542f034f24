"""train.py --env MusicRecSlate-v0, and evaluate.py on it; the run on other slates, untrained."""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch as th
import tyro
from conftest import SIX_LISTENER, returns_of_stepping
from rich.console import Console

import agents
import evaluate
import train
from agents.resume import resume_run
from agents.runs import SESSION, SLATE, RunError
from agents.session_evaluation import (
    EVALUATION_SEED,
    MYOPIC,
    PLANNER,
    play_sessions,
    reference_env,
    reference_policies,
    return_figures,
)
from agents.session_report import evaluate_sessions
from agents.settings import SessionDQNSettings, SlateDQNSettings
from agents.slate_policy import DuelingSlateDQNPolicy, SlateDQNPolicy
from agents.slate_runs import policy_for
from agents.training import make_learner, train_run
from agents.vec_env import GymVecEnv, make_native
from music_env import Catalogue, MusicRecSlateEnv

SMALL = SlateDQNSettings(
    timesteps=2_400, n_envs=8, batch_size=64, gradient_steps=2, final_gradient_steps=2,
    buffer_size=1_600, learning_starts=96, target_update_interval=80, net_arch=(16,),
    learning_rate=2e-2,
)  # fmt: skip
LISTENER: dict[str, Any] = {"artist": "A", "genre": "rock", "danceability": (0.4, 0.6)}


def tracks(genres: Sequence[str], *, n: int = 120) -> pd.DataFrame:
    """Return tracks of which the first genre has most: with many of them, planning pays."""
    generator, rest = np.random.default_rng(0), 0.3 / (len(genres) - 1)
    columns = {
        "track_id": [f"t{i}" for i in range(n)],
        "title": [f"Track {i}" for i in range(n)],
        "artists": generator.choice(["A", "B", "C"], n),
        "genres": generator.choice(genres, n, p=[0.7] + [rest] * (len(genres) - 1)),
        "danceability": generator.random(n).round(3),
    }
    return pd.DataFrame(columns)


@pytest.fixture(scope="module")
def tracks_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("catalogue") / "tracks.csv"
    tracks(["rock", "pop"]).to_csv(path, index=False)
    return path


def arguments(out: Path, tracks_file: Path, **changes: Any) -> train.Arguments:
    given = {
        "agent": "dueling-dqn", "env": SLATE, "out": out, "catalogue": tracks_file,
        "session_length": 12, "slate_size": 4, "preset": "satiation", "progress_bar": False,
        "slate_dqn": SMALL, **LISTENER,
    }  # fmt: skip
    return train.Arguments(**{**given, **changes})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tracks_file: Path) -> Path:
    """Return the folder of a short run."""
    out = tmp_path_factory.mktemp("runs") / "slate"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agents.session_judge.METRICS_SESSIONS", 200)
        train_run(arguments(out, tracks_file).run_settings())
    return out


# --- A run ----------------------------------------------------------------------------------------


def test_a_run_says_what_it_earns_beside_planner_and_myopic_oracle(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = json.loads((run / "config.json").read_text())
    assert config["env_id"] == SLATE and config["agent"] == "dueling-dqn"
    assert (
        config["environment"]["slate_size"] == 4 and config["environment"]["encoding"] == "summary"
    )
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["timesteps"] == 2_400
    assert metrics["mean_return_low"] < metrics["mean_return"] < metrics["mean_return_high"]
    assert metrics["myopic_mean_return"] < metrics["planner_mean_return"]
    header, *rows = (run / "progress.csv").read_text().splitlines()
    logged = [dict(zip(header.split(","), row.split(","), strict=True)) for row in rows]
    assert len(logged) == 40
    assert all(row["eval/mean_return"] and row["eval/planning_gain"] for row in logged)
    assert any(path.name.startswith("events.out.tfevents") for path in run.iterdir())
    train.print_summary(run, metrics)
    text = capsys.readouterr().out
    assert "dueling-dqn after 2,400 steps" in text and "planning gain" in text


def test_metrics_are_those_of_stepping_through_the_sessions(run: Path) -> None:
    loaded = agents.load_run(run)
    assert type(loaded.learner.policy) is DuelingSlateDQNPolicy
    returns = returns_of_stepping(loaded, range(EVALUATION_SEED, EVALUATION_SEED + 200))
    metrics = json.loads((run / "metrics.json").read_text())
    assert np.mean(returns) == pytest.approx(metrics["mean_return"])


def test_an_interrupted_run_goes_on_to_the_same_end(
    run: Path, tracks_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.session_judge.METRICS_SESSIONS", 200)
    step, taken = GymVecEnv.step_wait, []

    def interrupting(self: GymVecEnv) -> Any:
        taken.append(0)
        if len(taken) == 77:  # in the middle of sessions
            signal.raise_signal(signal.SIGINT)
        return step(self)

    other = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GymVecEnv, "step_wait", interrupting)
        metrics = train_run(arguments(other, tracks_file).run_settings())
    assert metrics["interrupted"] and 600 <= metrics["timesteps"] < 640
    resume_run(other, progress_bar=False)
    model = "model.safetensors"
    assert (other / model).read_bytes() == (run / model).read_bytes()


# --- Arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"agent": "q-learning"}, "MusicRecSlate-v0 goes with --agent dueling-dqn only: a table"),
        (
            {"env": SESSION},
            "--slate-size: only with --env MusicRecSlate-v0, got --env MusicRecSession-v0",
        ),
        ({"listener": "any"}, "leave out --env MusicRecSlate-v0"),
        (
            {"session_dqn": SessionDQNSettings(n_envs=3)},
            r"--session-dqn\.\* are hyperparameters of --agent dueling-dqn --env MusicRecSess.*, "
            r"but this is --agent dueling-dqn --env MusicRecSlate-v0",
        ),
    ],
)
def test_what_does_not_go_together(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train.Arguments(
            **{"agent": "dueling-dqn", "env": SLATE, "slate_size": 4, **given}
        ).run_settings()


def test_the_command_line_names_environment_effects_and_hyperparameters() -> None:
    words = f"--agent dueling-dqn --env {SLATE} --preset satiation --decay 0.9 --slate-size 7"
    words += " --slate-dqn.gamma 0.9 --encoding codes"
    settings = tyro.cli(train.Arguments, args=words.split()).run_settings()
    assert settings.learner == SlateDQNSettings(gamma=0.9, encoding="codes")
    expected = {"preset": "satiation", "decay": 0.9, "slate_size": 7, "session_length": 50}
    assert expected.items() <= settings.environment.items()
    assert settings.out.name.startswith("dueling-dqn-satiation-slate-")


def test_an_encoding_without_a_place_for_a_slate(tmp_path: Path, tracks_file: Path) -> None:
    given = arguments(tmp_path / "run", tracks_file, encoding="grid")
    with pytest.raises(ValueError, match="a state number has no place for a slate"):
        train_run(given.run_settings())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("encoding", ["codes", "one-hot"])
@pytest.mark.parametrize("dueling", [True, False])
def test_other_encodings_and_no_dueling(six: Catalogue, encoding: str, dueling: bool) -> None:
    settings = replace(SMALL, encoding=encoding, dueling=dueling)
    given: dict[str, Any] = {"session_length": 6, "slate_size": 3, **SIX_LISTENER}
    env = GymVecEnv(make_native(SLATE, 2, catalogue=six, encoding=encoding, **given))
    learner = make_learner(settings, env, seed=0)
    learner.learn(120)
    assert learner._n_updates > 0
    kind = DuelingSlateDQNPolicy if dueling else SlateDQNPolicy
    assert type(learner.policy) is kind


# --- evaluate.py ----------------------------------------------------------------------------------


def test_evaluating_a_run(run: Path, tmp_path: Path) -> None:
    loaded = agents.load_run(run)
    kind = evaluate.kind_of([loaded])
    result = kind.evaluate(
        [loaded], ["ours"], evaluate.Arguments(runs=(run,), sessions=200, seed=1)
    )
    rows = {row["name"]: row for row in result["policies"]}
    assert list(rows) == [
        "ours", "random", "first candidate", "best fresh", "myopic oracle", "planner",
    ]  # fmt: skip
    assert rows["myopic oracle"]["planning_gain"] == 0 and rows["planner"]["planning_gain"] == 1
    assert rows["planner"]["mean_return"] < result["upper_bound"] + 0.3
    assert max(rows[name]["planning_gain"] for name in ("random", "best fresh")) < 0
    for row in rows.values():
        assert row["mean_return_low"] < row["mean_return"] < row["mean_return_high"]
        assert 0 <= row["coverage"] <= 1 and row["plays"] <= row["session_length"] == 12
    assert rows["first candidate"]["plays"] == 12
    console = Console(file=io.StringIO(), width=110)
    kind.show(result, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "200 sessions of at most 12 slates of 4 candidates of 76, seed 1" in text
    assert "upper bound on any policy" in text and "\u2026" not in text
    written = kind.write(result, tmp_path)
    assert written == ["evaluation.json", "evaluation.csv", "comparison.png"]
    assert all((tmp_path / name).stat().st_size for name in written)
    assert len((tmp_path / "evaluation.csv").read_text().splitlines()) == 1 + 6


def test_simple_policies_are_those_of_stepping_through_slates(six: Catalogue) -> None:
    given: dict[str, Any] = {"preset": "both", "session_length": 6, "slate_size": 3}
    setup = MusicRecSlateEnv(catalogue=six, encoding="summary", **given, **SIX_LISTENER).tables
    env = reference_env(setup, 30)
    policies = reference_policies(env)
    for name in ("first candidate", "best fresh"):
        played = play_sessions(policies[name], env, seed=5)
        for session in range(30):
            one = MusicRecSlateEnv(**{**setup.arguments, "catalogue": six})
            _, info = one.reset(seed=EVALUATION_SEED + 5 + session)
            heard: list[int] = []
            done = False
            while not done:
                free = [t for t in info["candidates"].tolist() if t not in heard]
                if name == "best fresh":
                    free = [t for t in free if one.scores[t] > 0]
                    free.sort(key=lambda t: -one.scores[t])
                action = info["candidates"].tolist().index(free[0]) + 1 if free else 0
                heard += free[:1]
                _, _, done, _, info = one.step(action)
            assert played.tracks[session].tolist() == heard, (name, session)
            assert played.returns[session] == info["episode_return"], (name, session)


def test_a_masked_choice_is_no_play(six: Catalogue) -> None:
    given: dict[str, Any] = {"preset": "static", "session_length": 6, "slate_size": 6}
    setup = MusicRecSlateEnv(catalogue=six, encoding="summary", **given, **SIX_LISTENER).tables
    env = reference_env(setup, 100)
    played = play_sessions(reference_policies(env)["random"], env)
    assert all(len(set(own.tolist())) == len(own) for own in played.tracks)
    # A seventh of the choices is none, and ever more of the others are masked.
    assert np.mean([len(own) for own in played.tracks]) < 6 * 6 / 7 - 1


# --- Other slates ---------------------------------------------------------------------------------


def test_the_number_of_candidates_may_change_after_training(run: Path) -> None:
    loaded = agents.load_run(run)
    result = evaluate_sessions([loaded], ["ours"], sessions=60, seed=1, slate_size=9)
    assert result["tracks_offered"] == 9
    row = result["policies"][0]
    # By hand: its values of nine candidates are those of the slates of four that they make up.
    env = loaded.make_env(slate_size=9)
    policy = policy_for(loaded, env.unwrapped.tables)  # type: ignore[attr-defined]
    nine, four = env.unwrapped.encoded.layout, loaded.make_env().unwrapped.encoded.layout  # type: ignore[attr-defined]
    returns = []
    for session in range(60):
        observation, _ = env.reset(seed=EVALUATION_SEED + 1 + session)
        done = False
        while not done:
            action, _ = policy.predict(observation, deterministic=True)
            if session < 5:
                part = np.empty(four.size, dtype=np.float32)
                part[four.state] = observation[nine.state]
                part[four.candidates] = observation[nine.candidates[[7, 0, 3, 8]]]
                with th.no_grad():
                    values = policy.q_net(th.tensor(observation[None]))[0].numpy()
                np.testing.assert_allclose(
                    loaded.learner.q_values(part)[0], values[[0, 8, 1, 4, 9]], rtol=1e-4, atol=1e-5
                )
            observation, _, done, _, info = env.step(int(action))
        returns.append(info["episode_return"])
    assert np.mean(returns) == pytest.approx(row["mean_return"])


def test_the_catalogue_may_change_after_training(run: Path) -> None:
    """Other tracks, of other genres, and more of them: what it learnt is still worth something."""
    loaded = agents.load_run(run)
    other = Catalogue.from_frame(tracks(["metal", "jazz", "folk"], n=150))
    setup = loaded.make_env(catalogue=other, genre="metal").unwrapped.tables  # type: ignore[attr-defined]
    trained = loaded.make_env().unwrapped.tables  # type: ignore[attr-defined]
    assert setup.encoded.space.shape != trained.encoded.space.shape, "one more level"
    env = reference_env(setup, 200)  # it observes a summary, too
    ours = play_sessions(policy_for(loaded, setup), env)
    others = {name: play_sessions(p, env) for name, p in reference_policies(env).items()}
    assert ours.returns.mean() > others["random"].returns.mean()
    assert ours.returns.mean() > others["best fresh"].returns.mean()
    figures = return_figures(ours, others[MYOPIC], others[PLANNER])
    assert np.isfinite(figures["planning_gain"])


def test_a_fitted_policy_saved_with_its_learner_values_alike(run: Path, tmp_path: Path) -> None:
    """The bounds that features are made with stay those of training, through a file as well."""
    loaded = agents.load_run(run)
    other = Catalogue.from_frame(tracks(["metal", "jazz", "folk"], n=150))
    env = loaded.make_env(catalogue=other, genre="metal", slate_size=6)
    policy = policy_for(loaded, env.unwrapped.tables)  # type: ignore[attr-defined]
    learner = agents.DuelingDQN(
        DuelingSlateDQNPolicy, env, buffer_size=1,
        policy_kwargs={**policy.slate_arguments, "net_arch": list(SMALL.net_arch)},
    )  # fmt: skip
    learner.policy.load_state_dict(policy.state_dict())
    learner.save(tmp_path / "model")
    again = agents.DuelingDQN.load(tmp_path / "model")
    observation, _ = env.reset(seed=0)
    with th.no_grad():
        expected = policy.q_net(th.tensor(observation[None])).numpy()
    np.testing.assert_array_equal(again.q_values(observation), expected)


def test_slates_that_mean_something_else_are_refused(run: Path, six: Catalogue) -> None:
    loaded = agents.load_run(run)
    for changes, message in (
        ({"encoding": "codes"}, "observes 'summary', these slates are shown as 'codes'"),
        ({"session_length": 20}, "satiation as a share of .* give them the session_length and the"),
        ({"observe_state": False}, "a row has 3 columns, but row_bounds are of 7"),
    ):
        setup = loaded.make_env(**changes).unwrapped.tables  # type: ignore[attr-defined]
        with pytest.raises(RunError, match=message):
            policy_for(loaded, setup)


@pytest.mark.slow
def test_the_dueling_dqn_learns_to_plan_and_without_a_future_does_not() -> None:
    """A tenth of the default training: most of the gain is there, and none with gamma 0."""
    gains = []
    for gamma in (1.0, 0.0):
        settings = SlateDQNSettings(timesteps=30_000, gamma=gamma)
        env = make_native(SLATE, settings.n_envs, preset="both", encoding=settings.encoding)
        learner = make_learner(settings, GymVecEnv(env), seed=0)
        learner.learn(settings.timesteps, log_interval=None)
        reference = reference_env(env.unwrapped.tables, 500)
        policies = reference_policies(reference)
        played = {name: play_sessions(policies[name], reference) for name in (MYOPIC, PLANNER)}
        ours = play_sessions(learner, reference)
        gains.append(return_figures(ours, played[MYOPIC], played[PLANNER])["planning_gain"])
    assert gains[0] > 0.7 and gains[1] < 0.2, gains
