"""One training run from its settings to its folder; what ``train.py`` and the benchmarks call."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch as th
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.utils import LinearSchedule

from agents.callbacks import RunLogger, StopOnInterrupt
from agents.dueling_dqn import DuelingDQN
from agents.judges import Judge, judge_of
from agents.network_choice import policy_of
from agents.q_learning import QLearning
from agents.replay import PrioritizedReplayBuffer
from agents.run_folder import AnySetup, begin_logs, end_run, prepared_folder, run_config
from agents.run_lock import alone_in
from agents.runs import CONFIG, write_json
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
        out = prepared_folder(settings.out, overwrite=settings.overwrite)
        config = run_config(settings, tables)
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
    logger = begin_logs(settings, judge, config, mode=mode)
    learner.set_logger(logger)
    started = time.perf_counter()
    learner.learn(
        timesteps - learner.num_timesteps,
        callback=CallbackList(callbacks),
        log_interval=None,
        reset_num_timesteps=mode == "begin",
    )
    seconds = time.perf_counter() - started
    interrupted = stop.interrupted and learner.num_timesteps < timesteps
    figures: dict[str, Any] = {
        "train_seconds": snapshots.seconds_before + seconds,
        "snapshot_seconds": snapshots.seconds_spent,
        "timesteps": learner.num_timesteps,
        "interrupted": interrupted,
    }
    if settings.agent == "q-learning" and isinstance(tables, Tables):
        figures.update(mixed_states(tables))
    metrics = end_run(settings, learner, judge, logger, figures)
    if not interrupted:
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
