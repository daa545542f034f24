"""One training run from its settings to its folder; what ``train.py`` and the benchmarks call."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch as th
from stable_baselines3.common.callbacks import CallbackList
from stable_baselines3.common.logger import Figure, HParam, Logger, TensorBoardOutputFormat
from stable_baselines3.common.utils import LinearSchedule

from agents import plotting
from agents.callbacks import RunLogger, StopOnInterrupt
from agents.dueling_dqn import DuelingDQN
from agents.evaluation import catalogue_figures, learner_policy
from agents.extractors import CodesExtractor
from agents.progress import EVAL_TAGS, ProgressFile, read_progress
from agents.q_learning import QLearning
from agents.runs import (
    CONFIG,
    LEARNING_CURVE,
    METRICS,
    MODEL,
    PROGRESS,
    RunError,
    read_json,
    versions,
    write_json,
)
from agents.vec_env import GymVecEnv
from music_env.catalogue import Catalogue
from music_env.tables import Tables

NOT_REPORTED = ("stdout", "log", "json", "csv")
"""SB3's outputs other than TensorBoard: texts and figures are for TensorBoard only."""


@dataclass(frozen=True)
class QLearningSettings:
    """Hyperparameters of the tabular Q-learner (defaults: see the README, Results)."""

    timesteps: int = 100_000
    """Tracks to judge, seventeen times the embedded catalogue: all tracks are seen."""
    encoding: str = "profile"
    """The environment's encoding."""
    n_envs: int = 16
    """Sessions at a time."""
    learning_rate: float = 0.5
    """First step size; it falls linearly to `final_learning_rate`."""
    final_learning_rate: float = 0.05
    """Last step size: states of mixed sign then average over their tracks."""
    gamma: float = 0.0
    """Discount: 0, since the next track does not depend on the action."""
    exploration_initial_eps: float = 1.0
    """Exploration rate at the start."""
    exploration_final_eps: float = 0.05
    """Exploration rate once the exploration fraction is over."""
    exploration_fraction: float = 0.5
    """Share of the training over which the exploration rate falls."""


@dataclass(frozen=True)
class DuelingDQNSettings:
    """Hyperparameters of the dueling DQN (defaults: see docs/tuning.md)."""

    timesteps: int = 24_000
    """Tracks to judge, four times the embedded catalogue: hardly one is never met."""
    encoding: str = "codes"
    """The environment's encoding."""
    n_envs: int = 16
    """Sessions at a time."""
    learning_rate: float = 2e-2
    """First step size of Adam; it falls linearly to a twentieth."""
    batch_size: int = 128
    """Transitions in an update."""
    gradient_steps: int = 3
    """Updates after each step of all sessions."""
    buffer_size: int = 100_000
    """Transitions kept for replay."""
    learning_starts: int = 32
    """Tracks judged at random before the first update."""
    gamma: float = 0.0
    """Discount: 0, since the next track does not depend on the action."""
    double: bool = False
    """Double Q-learning targets (no difference at discount 0)."""
    target_update_interval: int = 1_000
    """Steps between two updates of the target network (no difference at discount 0)."""
    exploration_initial_eps: float = 1.0
    """Exploration rate at the start."""
    exploration_final_eps: float = 0.02
    """Exploration rate once the exploration fraction is over."""
    exploration_fraction: float = 0.2
    """Share of the training over which the exploration rate falls."""
    net_arch: tuple[int, ...] = (64,)
    """Hidden layers shared by the two streams."""
    embedding_dim: int = 32
    """Size of each embedding, encoding `codes` only."""


Agent = Literal["q-learning", "dueling-dqn"]


@dataclass(frozen=True)
class RunSettings:
    """What a run is made of."""

    agent: Agent
    learner: QLearningSettings | DuelingDQNSettings
    out: Path
    environment: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of MusicRec-v0 but for the encoding, which is the learner's."""
    timesteps: int | None = None
    """Overrides the learner's."""
    seed: int = 0
    overwrite: bool = False
    progress_bar: bool = True


def make_learner(
    settings: QLearningSettings | DuelingDQNSettings, env: Any, *, seed: int
) -> QLearning | DuelingDQN:
    """Return an untrained learner for an environment of MusicRec-v0."""
    common: dict[str, Any] = {
        "gamma": settings.gamma,
        "exploration_initial_eps": settings.exploration_initial_eps,
        "exploration_final_eps": settings.exploration_final_eps,
        "exploration_fraction": settings.exploration_fraction,
        "seed": seed,
    }
    rate = settings.learning_rate
    if isinstance(settings, QLearningSettings):
        schedule = LinearSchedule(rate, settings.final_learning_rate, 1.0)
        return QLearning(env=env, learning_rate=schedule, **common)
    policy_kwargs: dict[str, Any] = {
        "net_arch": list(settings.net_arch),
        "optimizer_kwargs": {"fused": True},  # Adam in one call: an update takes a fifth less
    }
    if settings.encoding == "codes":
        policy_kwargs["features_extractor_class"] = CodesExtractor
        policy_kwargs["features_extractor_kwargs"] = {"embedding_dim": settings.embedding_dim}
    return DuelingDQN(
        env=env,
        learning_rate=LinearSchedule(rate, rate / 20, 1.0),
        batch_size=settings.batch_size,
        gradient_steps=settings.gradient_steps,
        train_freq=1,
        buffer_size=settings.buffer_size,
        learning_starts=settings.learning_starts,
        double=settings.double,
        target_update_interval=settings.target_update_interval,
        policy_kwargs=policy_kwargs,
        device="cpu",
        **common,
    )


def train_run(settings: RunSettings) -> dict[str, Any]:
    """Train a learner, write its run's folder, and return the content of ``metrics.json``.

    Raises:
        RunError: if the folder is not empty, unless it holds a run and is to be overwritten.
        CatalogueError, ValueError: for a catalogue or preference that cannot be used.
    """
    # Small networks lose to thread hand-over; one thread also gives the same sums everywhere.
    th.set_num_threads(1)
    learner_settings = settings.learner
    environment = {**settings.environment, "encoding": learner_settings.encoding}
    timesteps = learner_settings.timesteps if settings.timesteps is None else settings.timesteps
    _check_numbers(settings, timesteps)
    native = gym.make_vec(
        "MusicRec-v0",
        num_envs=learner_settings.n_envs,
        vectorization_mode="vector_entry_point",
        autoreset_mode="SameStep",
        **environment,
    )
    tables = native.unwrapped.tables  # type: ignore[attr-defined]
    # Before anything on disk is touched: it may find that settings do not fit the environment.
    learner = make_learner(learner_settings, GymVecEnv(native), seed=settings.seed)
    out = _prepared(settings.out, overwrite=settings.overwrite)
    config = _config(settings, environment, tables.catalogue, str(tables.preference), timesteps)
    write_json(out / CONFIG, config)

    logger = Logger(str(out), [ProgressFile(out / PROGRESS), TensorBoardOutputFormat(str(out))])
    learner.set_logger(logger)
    run_logger = RunLogger(tables, timesteps, progress_bar=settings.progress_bar)
    stop = StopOnInterrupt()
    logger.record("hparams", _hparams(settings, timesteps), exclude=NOT_REPORTED)
    logger.record("config", _as_markdown(config), exclude=NOT_REPORTED)
    logger.dump(0)
    started = time.perf_counter()
    learner.learn(timesteps, callback=CallbackList([run_logger, stop]), log_interval=None)
    seconds = time.perf_counter() - started
    learner.save(out / MODEL)

    figures = catalogue_figures(learner_policy(settings.agent, learner, tables), tables)
    metrics = {
        **figures,
        "train_seconds": seconds,
        "timesteps": learner.num_timesteps,
        "interrupted": stop.interrupted,
    }
    if settings.agent == "q-learning":
        metrics.update(mixed_states(tables))
    write_json(out / METRICS, metrics)
    figure = plotting.learning_curve(
        f"{settings.agent}: {tables.preference}",
        read_progress(out / PROGRESS),
        oracle_mean_reward=figures["oracle_mean_reward"],
        random_mean_reward=0.0,  # a fair coin earns a score as often as it pays it
        session_length=tables.session_length,
    )
    plotting.save(figure, out / LEARNING_CURVE)
    logger.record("learning_curve", Figure(figure, close=True), exclude=NOT_REPORTED)
    logger.dump(learner.num_timesteps)
    logger.close()
    native.close()
    return metrics


def mixed_states(tables: Tables) -> dict[str, float]:
    """Return what sharing states costs a table: figures for a Discrete encoding.

    ``mixed_state_tracks``: the number of tracks whose state also holds a track of the other sign.
    ``best_table_regret``: the relative regret of the best decision for each state, the least that
    any table over these states can reach when every track is shown equally often.
    """
    states = tables.encoded.rows.take(np.arange(tables.catalogue.n_tracks))
    scores = tables.scores.total
    n_states = int(states.max()) + 1
    to_like = np.bincount(states[scores > 0], minlength=n_states) > 0
    to_dislike = np.bincount(states[scores < 0], minlength=n_states) > 0
    mixed = (to_like & to_dislike)[states]
    sums = np.bincount(states, weights=scores, minlength=n_states)
    oracle = np.abs(scores).sum()
    return {
        "mixed_state_tracks": int(mixed.sum()),
        "best_table_regret": float(1 - np.abs(sums).sum() / oracle) if oracle else 0.0,
    }


def _check_numbers(settings: RunSettings, timesteps: int) -> None:
    """Raise ``ValueError`` for a number that no run can be made with, naming it."""
    values = {**asdict(settings.learner), "timesteps": timesteps}
    for name in ("timesteps", "n_envs", "batch_size", "gradient_steps", "buffer_size"):
        if values.get(name, 1) < 1:
            raise ValueError(f"{name} must be at least 1, got {values[name]}")
    for name in ("learning_rate", "final_learning_rate"):
        if not 0 < values.get(name, 1) <= 1:
            raise ValueError(f"{name} must be above 0 and at most 1, got {values[name]}")
    if not 0 <= settings.seed < 2**32:
        raise ValueError(f"seed must be from 0 to 2**32 - 1, got {settings.seed}")


def _prepared(out: Path, *, overwrite: bool) -> Path:
    """Return the run's folder, empty; an existing run goes only where that is wanted."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        is_run = (out / CONFIG).is_file() and "agent" in read_json(out / CONFIG)
        if not (overwrite and is_run):
            raise RunError(
                f"{out} is not empty: choose another --out"
                + (", or --overwrite the run in it" if is_run else " (it does not hold a run)")
            )
        for file in out.iterdir():
            if file.is_file() and _written_by_a_run(file.name):
                file.unlink()
    out.mkdir(parents=True, exist_ok=True)
    return out


def _written_by_a_run(name: str) -> bool:
    own = {CONFIG, MODEL, METRICS, PROGRESS, LEARNING_CURVE}
    return name in own or name.startswith("events.out.tfevents")


def _config(
    settings: RunSettings,
    environment: Mapping[str, Any],
    catalogue: Catalogue,
    preference: str,
    timesteps: int,
) -> dict[str, Any]:
    path = environment.get("catalogue")
    return {
        "agent": settings.agent,
        "seed": settings.seed,
        "timesteps": timesteps,
        "hyperparameters": asdict(settings.learner),
        "environment": {name: v for name, v in environment.items() if name != "catalogue"},
        "preference": preference,
        "catalogue": {
            "path": None if path is None else str(Path(path).resolve()),
            "checksum": catalogue.checksum,
            "n_tracks": catalogue.n_tracks,
            "layout": catalogue.report.layout,
        },
        "versions": versions(),
    }


def _hparams(settings: RunSettings, timesteps: int) -> HParam:
    values: dict[str, Any] = {"agent": settings.agent, "seed": settings.seed}
    for name, value in {**asdict(settings.learner), "timesteps": timesteps}.items():
        values[name] = str(value) if isinstance(value, tuple) else value
    return HParam(values, dict.fromkeys([*EVAL_TAGS, "rollout/ep_rew_mean"], 0.0))


def _as_markdown(config: Mapping[str, Any]) -> str:
    rows = []
    for name, value in config.items():
        inner = value if isinstance(value, Mapping) else {"": value}
        rows += [f"| {name} {key} | {text} |" for key, text in inner.items()]
    return "\n".join(["| setting | value |", "|---|---|", *rows])
