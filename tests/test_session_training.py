"""train.py --env MusicRecSession-v0, and evaluate.py on it: planning gain, by hand and whole."""

from __future__ import annotations

import io
import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest
import torch as th
import tyro
from conftest import SIX_LISTENER, returns_of_stepping
from gymnasium import spaces
from rich.console import Console

import agents
import evaluate
import train
from agents import plotting
from agents.planning import session_returns
from agents.resume import resume_run
from agents.runs import SESSION, RunError, read_config
from agents.session_evaluation import (
    EVALUATION_SEED,
    MYOPIC,
    PLANNER,
    evaluation_env,
    gain_of,
    play_sessions,
    reference_env,
    reference_policies,
    return_figures,
)
from agents.session_extractor import EDGES, SessionExtractor
from agents.session_judge import SessionJudge
from agents.session_report import evaluate_sessions
from agents.settings import (
    DuelingDQNSettings,
    QLearningSettings,
    SessionDQNSettings,
    SessionQLearningSettings,
)
from agents.training import make_learner, train_run
from agents.vec_env import GymVecEnv, make_native
from music_env import MusicRecSessionEnv

SMALL: dict[str, Any] = {
    "q-learning": SessionQLearningSettings(timesteps=1_600, n_envs=8),
    "dueling-dqn": SessionDQNSettings(
        timesteps=1_600, n_envs=8, batch_size=64, gradient_steps=2, final_gradient_steps=2,
        buffer_size=400, learning_starts=64, target_update_interval=80, net_arch=(16,),
        learning_rate=2e-2,
    ),
}  # fmt: skip
OPTION = {"q-learning": "session_q_learning", "dueling-dqn": "session_dqn"}


LISTENER: dict[str, Any] = {"artist": "A", "genre": "rock", "danceability": (0.4, 0.6)}


@pytest.fixture(scope="module")
def tracks_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a catalogue of 120 tracks: with many more tracks than steps, planning pays."""
    generator, n = np.random.default_rng(0), 120
    columns = {
        "track_id": [f"t{i}" for i in range(n)],
        "title": [f"Track {i}" for i in range(n)],
        "artists": generator.choice(["A", "B", "C"], n),
        "genres": generator.choice(["rock", "pop"], n, p=[0.7, 0.3]),
        "danceability": generator.random(n).round(3),
    }
    path = tmp_path_factory.mktemp("catalogue") / "tracks.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def arguments(agent: Any, out: Path, tracks_file: Path, **changes: Any) -> train.Arguments:
    given = {
        "agent": agent, "env": SESSION, "out": out, "catalogue": tracks_file, "session_length": 12,
        "preset": "both", "patience": 0.5, "progress_bar": False, **LISTENER,
        OPTION[agent]: SMALL[agent],
    }  # fmt: skip
    return train.Arguments(**{**given, **changes})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, tracks_file: Path) -> dict[str, Path]:
    """Return a short run of each learner on the six tracks."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agents.session_judge.METRICS_SESSIONS", 200)
        for agent in SMALL:
            train_run(arguments(agent, folder / agent, tracks_file).run_settings())
    return {agent: folder / agent for agent in SMALL}


# --- A run ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("agent", SMALL)
def test_a_run_says_what_it_earns_beside_planner_and_myopic_oracle(
    runs: dict[str, Path], agent: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs[agent]
    config = json.loads((run / "config.json").read_text())
    assert config["env_id"] == SESSION and config["listener"] == "one"
    assert config["environment"]["preset"] == "both"
    assert config["hyperparameters"]["gamma"] == 1
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["sessions"] == 200 and metrics["timesteps"] == 1_600
    low, high = metrics["mean_return_low"], metrics["mean_return_high"]
    assert low < metrics["mean_return"] < high
    assert metrics["myopic_mean_return"] < metrics["planner_mean_return"]
    names = {path.name for path in run.iterdir()}
    assert names >= {"model.safetensors", "progress.csv", "learning_curve.png"}
    header, *rows = (run / "progress.csv").read_text().splitlines()
    logged = [dict(zip(header.split(","), row.split(","), strict=True)) for row in rows]
    assert len(logged) == 40
    assert all(row["eval/mean_return"] and row["eval/planning_gain"] for row in logged)
    assert not any(row["eval/regret"] or row["rollout/regret"] for row in logged)
    train.print_summary(run, metrics)
    text = capsys.readouterr().out
    assert "mean of 200 sessions that were not trained on" in text and "planning gain" in text


@pytest.mark.parametrize("agent", SMALL)
def test_metrics_are_those_of_stepping_through_the_sessions(
    runs: dict[str, Path], agent: str
) -> None:
    loaded = agents.load_run(runs[agent])
    returns = returns_of_stepping(loaded, range(EVALUATION_SEED, EVALUATION_SEED + 200))
    metrics = json.loads((runs[agent] / "metrics.json").read_text())
    assert np.mean(returns) == pytest.approx(metrics["mean_return"])


@pytest.mark.parametrize("agent", SMALL)
def test_an_interrupted_run_goes_on_to_the_same_end(
    runs: dict[str, Path],
    agent: str,
    tracks_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agents.session_judge.METRICS_SESSIONS", 200)
    step, taken = GymVecEnv.step_wait, []

    def interrupting(self: GymVecEnv) -> Any:
        taken.append(0)
        if len(taken) == 77:  # in the middle of sessions
            signal.raise_signal(signal.SIGINT)
        return step(self)

    run = tmp_path / agent
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GymVecEnv, "step_wait", interrupting)
        metrics = train_run(arguments(agent, run, tracks_file).run_settings())
    assert metrics["interrupted"] and 600 <= metrics["timesteps"] < 640
    resume_run(run, progress_bar=False)
    model = "model.safetensors"
    assert (run / model).read_bytes() == (runs[agent] / model).read_bytes()
    ended, whole = (json.loads((r / "metrics.json").read_text()) for r in (run, runs[agent]))
    assert ended["mean_return"] == whole["mean_return"]


def test_a_progress_file_of_an_earlier_version_keeps_its_columns(tmp_path: Path) -> None:
    from agents.progress import ProgressFile, read_progress

    path = tmp_path / "progress.csv"
    path.write_text("time/total_timesteps,train/loss\n10,0.5\n")
    file = ProgressFile(path, mode="continue")
    file.write({"time/total_timesteps": 20, "eval/mean_return": 3.0, "train/loss": 0.25}, {})
    file.close()
    assert path.read_text().splitlines()[1:] == ["10,0.5", "20,0.25"]
    found = read_progress(path)
    assert found["train/loss"] == [0.5, 0.25] and np.isnan(found["eval/mean_return"]).all()


# --- Arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"env": "MusicRec-v0", "preset": "both"}, "--preset: only with --env MusicRecSession-v0"),
        (
            {"env": "MusicRec-v0", "satiation": 1.0, "decay": 0.5},
            "--satiation, --decay: only with --env",
        ),
        ({"listener": "any"}, "--listener any has an environment of its own, MusicRecAnyListener"),
        (
            {"dueling_dqn": DuelingDQNSettings(n_envs=3)},
            r"--dueling-dqn\.\* are hyperparameters of --agent dueling-dqn, but this is --agent "
            r"dueling-dqn --env MusicRecSession-v0",
        ),
        (
            {"env": "MusicRec-v0", "session_dqn": SessionDQNSettings(n_envs=3)},
            r"--session-dqn\.\* are hyperparameters of --agent dueling-dqn --env MusicRecSess",
        ),
        ({"agent": None}, "--agent is missing"),
    ],
)
def test_what_does_not_go_together(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train.Arguments(**{"agent": "dueling-dqn", "env": SESSION, **given}).run_settings()


def test_defaults_are_the_environments() -> None:
    settings = train.Arguments(agent="q-learning", env=SESSION).run_settings()
    assert settings.env_id == SESSION and settings.learner == SessionQLearningSettings()
    assert settings.environment["preset"] == "both"
    assert settings.environment["session_length"] == 50
    assert settings.out.name.startswith("q-learning-both-")
    other = train.Arguments(agent="q-learning").run_settings()
    assert other.environment["session_length"] == 100 and "preset" not in other.environment
    assert other.learner == QLearningSettings()
    given = train.Arguments(agent="dueling-dqn", env=SESSION, preset="static", patience=0.5)
    assert given.run_settings().environment["patience"] == 0.5


def test_the_command_line_names_environment_effects_and_hyperparameters() -> None:
    words = f"--agent dueling-dqn --env {SESSION} --preset satiation --decay 0.9"
    words += " --session-dqn.gamma 0.9 --encoding codes --session-length 20"
    settings = tyro.cli(train.Arguments, args=words.split()).run_settings()
    assert settings.learner == SessionDQNSettings(gamma=0.9, encoding="codes")
    effects = {name: settings.environment.get(name) for name in ("preset", "decay", "patience")}
    assert effects == {"preset": "satiation", "decay": 0.9, "patience": None}
    assert settings.environment["session_length"] == 20


def test_an_encoding_without_a_place_for_the_state(tmp_path: Path, tracks_file: Path) -> None:
    given = arguments("q-learning", tmp_path / "run", tracks_file, encoding="profile")
    with pytest.raises(ValueError, match="it has no place for the state"):
        train_run(given.run_settings())
    assert not (tmp_path / "run").exists()


def test_a_configuration_of_an_unknown_environment(runs: dict[str, Path], tmp_path: Path) -> None:
    config = json.loads((runs["q-learning"] / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "env_id": "CartPole-v1"}))
    with pytest.raises(RunError, match=r"env_id must be one of MusicRec-v0, .*got 'CartPole-v1'"):
        read_config(tmp_path)


# --- Sessions and gain ----------------------------------------------------------------------------


def six_setup(six: Any, **changes: Any) -> Any:
    given = {"preset": "both", "session_length": 6, **SIX_LISTENER, **changes}
    return MusicRecSessionEnv(catalogue=six, encoding="grid", **given).tables


def test_what_is_played_is_that_of_stepping_through_sessions(six: Any) -> None:
    setup = six_setup(six, patience=0.6)
    env = reference_env(setup, 50)
    policy = reference_policies(env)[MYOPIC]
    played = play_sessions(policy, env, seed=7)
    np.testing.assert_array_equal(
        played.returns, session_returns(policy, env, seed=EVALUATION_SEED + 7)
    )
    assert len(set(played.lengths.tolist())) > 1, "some listeners leave"
    for session in range(50):
        one = MusicRecSessionEnv(**{**setup.arguments, "catalogue": six})
        _, info = one.reset(seed=EVALUATION_SEED + 7 + session)
        tracks, steps, done = [], 0, False
        shown = info["track_index"]
        while not done:
            action = int(
                one.effects.enjoyment(one.scores[shown], one.offers().state.level.item()) > 0
            )
            _, _, done, _, info = one.step(action)
            tracks += [info["track_index"]] * action
            steps += 1
            shown = int(one.offers().tracks[0, 0])
        assert played.tracks[session].tolist() == tracks, session
        assert played.lengths[session] == steps, session
        assert played.returns[session] == info["episode_return"], session


def test_always_like_plays_all_and_a_coin_half(six: Any) -> None:
    env = reference_env(six_setup(six, preset="static"), 200)
    policies = reference_policies(env, seed=3)
    assert list(policies) == ["random", "always like", "myopic oracle", "planner"]
    every = play_sessions(policies["always like"], env)
    assert all(sorted(tracks) == list(range(6)) for tracks in every.tracks)
    coins = [play_sessions(reference_policies(env, seed=s)["random"], env) for s in (3, 3, 4)]
    plays = np.array([len(tracks) for tracks in coins[0].tracks])
    assert plays.mean() == pytest.approx(3, abs=0.35)
    np.testing.assert_array_equal(coins[0].returns, coins[1].returns)
    assert (coins[0].returns != coins[2].returns).any()


def test_no_gain_is_to_be_had_where_nothing_has_consequences(six: Any) -> None:
    env = reference_env(six_setup(six, preset="static"), 100)
    played = {name: play_sessions(p, env) for name, p in reference_policies(env).items()}
    figures = return_figures(played["random"], played[MYOPIC], played[PLANNER])
    assert np.isnan(figures["planning_gain"]) and figures["mean_return_low"] < 0
    # Nor where the planner's advantage is no more than the luck of the draw.
    myopic, generator = np.zeros(50), np.random.default_rng(0)
    luck = generator.normal(0.05, 1, size=50)
    assert gain_of(myopic, myopic, luck, generator=generator) is None
    for errors in (
        2.1,
        2.5,
        3.0,
        6.0,
    ):  # its advantage in standard errors: never an interval of nan
        sessions = generator.normal(size=200)
        sessions += errors / 200**0.5 - sessions.mean()
        found = gain_of(0.5 * sessions, np.zeros(200), sessions, generator=generator)
        assert found is None if errors < 3 else found is None or found.low <= 0.5 <= found.high
        assert found is not None or errors < 6
    gain = gain_of(myopic + 0.5, myopic, myopic + 1 + luck / 10, generator=generator)
    assert gain is not None and gain.low < gain.gain < gain.high
    assert gain.gain == pytest.approx(0.5, abs=0.05)


def test_the_judge_of_a_static_run_shows_no_gain(six: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agents.session_judge.METRICS_SESSIONS", 50)
        setup = six_setup(six, preset="static")
        judge = SessionJudge(setup)
        env = make_native(SESSION, 4, **{**setup.arguments, "catalogue": six})
        learner = make_learner(SMALL["q-learning"], GymVecEnv(env), seed=0)
        figures = judge.progress(learner)  # an untrained table dislikes: its values tie
        assert figures["mean_return"] == 0 and np.isnan(figures["planning_gain"])
        assert judge.in_short(figures) == {"return": "0.00"}
        assert judge.metrics(learner)["session_plays"] == 0


# --- evaluate.py ----------------------------------------------------------------------------------


def test_what_earns_far_below_0_leaves_the_picture_and_is_written() -> None:
    def row(name: str, earned: float) -> dict[str, Any]:
        ends = {"mean_return_low": earned - 0.1, "mean_return_high": earned + 0.1}
        return {
            "name": name,
            "mean_return": earned,
            **ends,
            "intra_list_diversity": 0.4,
            "coverage": 1,
        }

    rows = [row("run", 6.0), row("always like", -371.04), row("a little below", -1.0)]
    axes = plotting.session_comparison("Listener", rows, upper_bound=6.2).axes[0]
    low, high = axes.get_xlim()
    assert -6 < low < -1.1 and 6.2 < high < 8
    assert [text.get_text() for text in axes.texts] == ["← -371.0"]
    near = plotting.session_comparison("Listener", [rows[0], rows[2]], upper_bound=6.2).axes[0]
    assert not near.texts and near.get_xlim()[0] < -1


def test_evaluating_runs(runs: dict[str, Path], tmp_path: Path) -> None:
    loaded = [agents.load_run(path) for path in runs.values()]
    kind = evaluate.kind_of(loaded)
    given = evaluate.Arguments(runs=tuple(runs.values()), sessions=200, seed=1)
    result = kind.evaluate(loaded, list(runs), given)
    rows = {row["name"]: row for row in result["policies"]}
    assert list(rows) == [*runs, "random", "always like", "myopic oracle", "planner"]
    assert rows["myopic oracle"]["planning_gain"] == 0 and rows["planner"]["planning_gain"] == 1
    assert result["sessions"] == 200 and result["has_planning_gain"]
    assert rows["planner"]["mean_return"] < result["upper_bound"] + 0.3
    for row in rows.values():
        assert row["mean_return_low"] < row["mean_return"] < row["mean_return_high"]
        assert 0 <= row["coverage"] <= 1 and row["plays"] <= row["session_length"] <= 12
    assert rows["always like"]["plays"] == rows["always like"]["session_length"]
    console = Console(file=io.StringIO(), width=110)
    kind.show(result, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "200 sessions of at most 12 tracks of 76, seed 1" in text
    assert "upper bound on any policy" in text and "What is played" in text
    assert "no gain to be had" not in text and "\u2026" not in text
    written = kind.write(result, tmp_path)
    assert written == ["evaluation.json", "evaluation.csv", "comparison.png"]
    assert all((tmp_path / name).stat().st_size for name in written)
    json.loads((tmp_path / "evaluation.json").read_text())
    assert len((tmp_path / "evaluation.csv").read_text().splitlines()) == 1 + 6


def changed(run: agents.Run, **environment: Any) -> agents.Run:
    config = {**run.config, "environment": {**run.config["environment"], **environment}}
    return agents.Run(run.folder, config, run.learner, run.catalogue)


def test_of_a_static_session_no_ratio_is_printed(runs: dict[str, Path]) -> None:
    static = changed(agents.load_run(runs["q-learning"]), preset="static", patience=0)
    kind = evaluate.kind_of([static])
    result = kind.evaluate([static], ["ours"], evaluate.Arguments(runs=(), sessions=100))
    console = Console(file=io.StringIO(), width=110)
    kind.show(result, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Planning gain: no gain to be had" in text and "nan" not in text


def test_runs_of_different_sessions_are_not_compared(runs: dict[str, Path]) -> None:
    ours = agents.load_run(runs["q-learning"])
    for change, what in (
        ({"satiation": 0.1}, "satiation, decay and patience"),
        ({"session_length": 5}, "session length"),
        ({"genre": "pop"}, "listener"),
        ({"satiation_of": "artist"}, "satiation_of"),
    ):
        with pytest.raises(RunError, match=f"cannot be compared with .*: its {what} is"):
            evaluate_sessions([ours, changed(ours, **change)], ["a", "b"], sessions=5, seed=0)
    config = {**ours.config, "env_id": "MusicRec-v0"}
    other = agents.Run(ours.folder, config, ours.learner, ours.catalogue)
    with pytest.raises(RunError, match=r"runs on MusicRecSession-v0 and on MusicRec-v0 cannot be"):
        evaluate.kind_of([ours, other])


# --- Features -------------------------------------------------------------------------------------


def test_numbers_are_seen_in_piecewise_linear_bins() -> None:
    space = spaces.Box(np.array([-1, 0], np.float32), np.array([3, 1], np.float32))
    extractor = SessionExtractor(space)
    assert extractor.features_dim == 2 * (len(EDGES) - 1) == 22
    features = extractor(th.tensor([[1.0, 3 / 128], [-1.0, 0.0], [3.0, 1.0]]))
    # 1 is half of -1 to 3: the bins up to 1/2 are full. 3/128: the first is, of the second half.
    np.testing.assert_allclose(features[0, :11], [1] * 7 + [0] * 4)
    np.testing.assert_allclose(features[0, 11:], [1, 0.5] + [0] * 9)
    assert not features[1].any() and (features[2] == 1).all()
    with pytest.raises(
        ValueError, match="needs a one-dimensional Box with finite bounds, got Disc"
    ):
        SessionExtractor(spaces.Discrete(4))


def test_codes_are_embedded_beside_the_numbers(six: Any) -> None:
    env = gym.make(SESSION, catalogue=six, encoding="codes", session_length=6, **SIX_LISTENER)
    extractor = SessionExtractor(env.observation_space, embedding_dim=4)
    n_numbers = int((env.observation_space.high == 1).sum())  # type: ignore[attr-defined]
    assert extractor.n_numbers == n_numbers
    assert extractor.features_dim == 11 * n_numbers + 2 * 4  # genres, artists
    observation, _ = env.reset(seed=0)
    assert extractor(th.tensor(observation[None])).shape == (1, extractor.features_dim)


# --- Learning -------------------------------------------------------------------------------------


def gain_after_training(
    settings: SessionDQNSettings | SessionQLearningSettings, preset: str
) -> float:
    """Return the planning gain in 500 sessions that the learner has not seen."""
    env = make_native(SESSION, settings.n_envs, preset=preset, encoding=settings.encoding)
    learner = make_learner(settings, GymVecEnv(env), seed=0)
    learner.learn(settings.timesteps, log_interval=None)
    setup = env.unwrapped.tables
    reference = reference_env(setup, 500)
    policies = reference_policies(reference)
    played = {name: play_sessions(policies[name], reference) for name in (MYOPIC, PLANNER)}
    ours = play_sessions(learner, evaluation_env(setup, 500))
    return return_figures(ours, played[MYOPIC], played[PLANNER])["planning_gain"]


@pytest.mark.slow
def test_the_dueling_dqn_learns_to_plan_and_without_a_future_does_not() -> None:
    """A seventh of the default training: most of the gain is there, and none with gamma 0."""
    gains = [
        gain_after_training(replace(SessionDQNSettings(), timesteps=40_000, gamma=gamma), "both")
        for gamma in (1.0, 0.0)
    ]
    assert gains[0] > 0.7 and gains[1] < 0.2, gains


@pytest.mark.slow
def test_a_table_learns_to_plan_and_without_a_future_does_not() -> None:
    """A fifth of the default training: most of the gain is there, and none with gamma 0."""
    gains = [
        gain_after_training(
            replace(SessionQLearningSettings(), timesteps=1_500_000, gamma=gamma), "satiation"
        )
        for gamma in (1.0, 0.0)
    ]
    assert gains[0] > 0.6 and gains[1] < 0.1, gains
