"""One training run from its settings to its folder; what ``train.py`` and the benchmarks call."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch as th
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.logger import Figure, HParam, Logger, TensorBoardOutputFormat
from stable_baselines3.common.utils import LinearSchedule

from agents import plotting
from agents.callbacks import RunLogger, StopOnInterrupt
from agents.dueling_dqn import DuelingDQN
from agents.judges import Judge, judge_of
from agents.network_choice import policy_of
from agents.progress import ProgressFile, read_progress
from agents.q_learning import QLearning
from agents.replay import PrioritizedReplayBuffer
from agents.run_lock import alone_in
from agents.runs import (
    CONFIG,
    LEARNING_CURVE,
    METRICS,
    MODEL,
    PROGRESS,
    RunError,
    read_json,
    unfinished_json,
    versions,
    write_json,
)
from agents.settings import (
    Agent,
    AnyListenerSettings,
    DuelingDQNSettings,
    QLearningSettings,
    RunSettings,
    SessionDQNSettings,
    SessionQLearningSettings,
    SlateDQNSettings,
    check_numbers,
)
from agents.snapshots import Snapshots, remove_snapshot, snapshot_identity
from agents.vec_env import GymVecEnv, make_native
from music_env.affected_setup import AffectedSetup
from music_env.any_tables import AnyTables
from music_env.tables import Tables

__all__ = [
    "Agent",
    "AnyListenerSettings",
    "DuelingDQNSettings",
    "QLearningSettings",
    "RunSettings",
    "SessionDQNSettings",
    "SessionQLearningSettings",
    "SlateDQNSettings",
    "make_learner",
    "mixed_states",
    "run_training",
    "train_run",
    "untrained",
]

AnySetup = Tables | AnyTables | AffectedSetup
"""What an environment that a run can be trained in is made of."""

NOT_REPORTED = ("stdout", "log", "json", "csv")
"""SB3's outputs other than TensorBoard: texts and figures are for TensorBoard only."""


def make_learner(
    settings: QLearningSettings | DuelingDQNSettings, env: Any, *, seed: int
) -> QLearning | DuelingDQN:
    """Return an untrained learner for an environment of the id that its settings are for."""
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
        return QLearning(
            env=env,
            learning_rate=schedule,
            initial_value=settings.initial_value,
            count_bonus=settings.count_bonus,
            target=settings.target,
            **common,
        )
    policy, policy_kwargs = policy_of(settings, env)
    return DuelingDQN(
        policy,
        env=env,
        learning_rate=LinearSchedule(rate, rate / 20, 1.0),
        batch_size=settings.batch_size,
        gradient_steps=gradient_steps(settings),
        train_freq=1,
        buffer_size=settings.buffer_size,
        learning_starts=settings.learning_starts,
        double=settings.double,
        n_steps=settings.n_steps,
        replay_buffer_class=PrioritizedReplayBuffer if settings.prioritized else None,
        target_update_interval=settings.target_update_interval,
        policy_kwargs=policy_kwargs,
        device="cpu",
        **common,
    )


def gradient_steps(settings: DuelingDQNSettings) -> int | LinearSchedule:
    """Return the updates after each step of all sessions, a number where it stays the same."""
    first, last = settings.gradient_steps, settings.final_gradient_steps
    return first if first == last else LinearSchedule(first, last, settings.gradient_steps_fraction)


def train_run(settings: RunSettings) -> dict[str, Any]:
    """Train a learner, write its run's folder, and return the content of ``metrics.json``.

    A run that was killed or interrupted goes on with `agents.resume.resume_run`.

    Raises:
        RunError: if the folder is not empty, unless it holds a run and is to be overwritten, or if
            another process is training in it.
        CatalogueError, ValueError: for a catalogue or preference that cannot be used.
    """
    # Before anything on disk is touched: it may find that settings do not fit the environment.
    learner, tables = untrained(settings)
    judge = judge_of(tables)  # likewise: there may be nobody to judge
    if not settings.out.exists():
        settings.out.mkdir(parents=True, exist_ok=True)
    with alone_in(settings.out):
        out = _prepared(settings.out, overwrite=settings.overwrite)
        config = _config(settings, tables)
        write_json(out / CONFIG, config)
        return run_training(settings, learner, tables, judge, config, mode="begin")


def untrained(settings: RunSettings) -> tuple[QLearning | DuelingDQN, AnySetup]:
    """Return a run's learner with its environment as at the start, and what that is made of.

    Raises:
        CatalogueError, ValueError: see `train_run`.
    """
    # Small networks lose to thread hand-over; one thread also gives the same sums everywhere.
    th.set_num_threads(1)
    check_numbers(settings)
    native = make_native(
        settings.env_id,
        settings.learner.n_envs,
        **settings.environment,
        encoding=settings.learner.encoding,
    )
    learner = make_learner(settings.learner, GymVecEnv(native), seed=settings.seed)
    return learner, native.unwrapped.tables


def run_training(
    settings: RunSettings,
    learner: QLearning | DuelingDQN,
    tables: AnySetup,
    judge: Judge,
    config: Mapping[str, Any],
    *,
    mode: Literal["begin", "continue"],
) -> dict[str, Any]:
    """Train a run to its end, and write all of its folder but for the configuration.

    Args:
        settings: of the run.
        learner: from `untrained`.
        tables: likewise.
        judge: of the tables, see `agents.judges`.
        config: the content of ``config.json``.
        mode: begin in a folder without logs, or continue from the run's last snapshot.

    Returns:
        The content of ``metrics.json``, which is written last: a run that has it has ended.

    Raises:
        agents.snapshot_file.SnapshotError: if there is no snapshot that fits.
    """
    out, timesteps = settings.out, settings.total_timesteps
    run_logger = RunLogger(judge, timesteps, progress_bar=settings.progress_bar)
    stop = StopOnInterrupt()
    callbacks: list[BaseCallback] = [run_logger, stop]
    snapshots = Snapshots(
        out,
        timesteps,
        count=settings.snapshots,
        parts={"run_logger": run_logger},
        stop=stop,
        identity=snapshot_identity(config),
    )
    if settings.snapshots:
        callbacks.append(snapshots)
    if mode == "continue":
        snapshots.restore(learner)
    logger = Logger(
        str(out), [ProgressFile(out / PROGRESS, mode=mode), TensorBoardOutputFormat(str(out))]
    )
    learner.set_logger(logger)
    if mode == "begin":
        logger.record("hparams", _hparams(settings, judge), exclude=NOT_REPORTED)
        logger.record("config", _as_markdown(config), exclude=NOT_REPORTED)
        logger.dump(0)
    started = time.perf_counter()
    learner.learn(
        timesteps - learner.num_timesteps,
        callback=CallbackList(callbacks),
        log_interval=None,
        reset_num_timesteps=mode == "begin",
    )
    seconds = time.perf_counter() - started
    learner.save(out / MODEL)

    metrics = {
        **judge.metrics(learner),
        "train_seconds": snapshots.seconds_before + seconds,
        "snapshot_seconds": snapshots.seconds_spent,
        "timesteps": learner.num_timesteps,
        "interrupted": stop.interrupted and learner.num_timesteps < timesteps,
    }
    if settings.agent == "q-learning" and isinstance(tables, Tables):
        metrics.update(mixed_states(tables))
    figure = judge.learning_curve(f"{settings.agent}: {judge.title}", read_progress(out / PROGRESS))
    plotting.save(figure, out / LEARNING_CURVE)
    logger.record("learning_curve", Figure(figure, close=True), exclude=NOT_REPORTED)
    logger.dump(learner.num_timesteps)
    logger.close()
    assert learner.env is not None
    learner.env.close()
    write_json(out / METRICS, metrics)
    if not metrics["interrupted"]:
        remove_snapshot(out)
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


def _prepared(out: Path, *, overwrite: bool) -> Path:
    """Return the run's folder, empty; an existing run goes only where that is wanted."""
    unfinished = unfinished_json(out / CONFIG)
    if out.is_dir() and list(out.iterdir()) == [unfinished]:  # killed before there was a run
        unfinished.unlink()
    if not out.is_dir() or any(out.iterdir()):
        is_run = (out / CONFIG).is_file() and "agent" in read_json(out / CONFIG)
        if not (overwrite and is_run):
            raise RunError(
                f"{out} is not empty: choose another --out"
                + (", or --overwrite the run in it" if is_run else " (it does not hold a run)")
            )
        remove_snapshot(out)
        # The configuration last: until then a folder half cleared still holds a run.
        for file in sorted(out.iterdir(), key=lambda file: file.name == CONFIG):
            if file.is_file() and _written_by_a_run(file.name):
                file.unlink()
    return out


def _written_by_a_run(name: str) -> bool:
    own = {CONFIG, MODEL, METRICS, PROGRESS, LEARNING_CURVE}
    own |= {unfinished_json(Path(json)).name for json in (CONFIG, METRICS)}
    unfinished = name.startswith(f".{MODEL}.") and name.endswith(".part")
    return name in own or name.startswith("events.out.tfevents") or unfinished


def _config(settings: RunSettings, tables: AnySetup) -> dict[str, Any]:
    environment = {**settings.environment, "encoding": settings.learner.encoding}
    path, catalogue = environment.pop("catalogue", None), tables.catalogue
    config = {
        "agent": settings.agent,
        "env_id": settings.env_id,
        "listener": settings.listener,
        "seed": settings.seed,
        "timesteps": settings.total_timesteps,
        "snapshots": settings.snapshots,
        "hyperparameters": asdict(settings.learner),
        "environment": environment,
        "preference": _preference(tables),
        "catalogue": {
            "path": None if path is None else str(Path(path).resolve()),
            "checksum": catalogue.checksum,
            "n_tracks": catalogue.n_tracks,
            "layout": catalogue.report.layout,
        },
        "versions": versions(),
    }
    population = environment.get("population")
    if isinstance(tables, AnyTables) and isinstance(population, str | PathLike):
        del environment["population"]
        config["population"] = {
            "path": str(Path(population).resolve()),
            "checksum": tables.population.checksum,
            "n_listeners": len(tables.population.whole),
        }
    return config


def _preference(tables: AnySetup) -> str:
    if isinstance(tables, AnyTables):
        return str(tables.population)
    return str(tables.listener if isinstance(tables, AffectedSetup) else tables.preference)


def _hparams(settings: RunSettings, judge: Judge) -> HParam:
    values: dict[str, Any] = {"agent": settings.agent, "seed": settings.seed}
    for name, value in (asdict(settings.learner) | {"timesteps": settings.total_timesteps}).items():
        values[name] = str(value) if isinstance(value, tuple) else value
    return HParam(values, dict.fromkeys([*judge.tags, "rollout/ep_rew_mean"], 0.0))


def _as_markdown(config: Mapping[str, Any]) -> str:
    rows = []
    for name, value in config.items():
        inner = value if isinstance(value, Mapping) else {"": value}
        rows += [f"| {name} {key} | {text} |" for key, text in inner.items()]
    return "\n".join(["| setting | value |", "|---|---|", *rows])
