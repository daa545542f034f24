"""One training run from its settings to its folder; what ``train.py`` and the benchmarks call."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch as th
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.logger import Figure, HParam, Logger, TensorBoardOutputFormat
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.dqn.policies import DQNPolicy

from agents import plotting
from agents.bootstrap import Target
from agents.callbacks import RunLogger, StopOnInterrupt
from agents.dueling_dqn import DuelingDQN
from agents.extractors import CodesExtractor
from agents.judges import Judge, judge_of
from agents.progress import EVAL_TAGS, ProgressFile, read_progress
from agents.q_learning import QLearning
from agents.replay import PrioritizedReplayBuffer
from agents.run_lock import alone_in
from agents.runs import (
    CONFIG,
    ENVIRONMENTS,
    LEARNING_CURVE,
    METRICS,
    MODEL,
    PROGRESS,
    Listener,
    RunError,
    read_json,
    unfinished_json,
    versions,
    write_json,
)
from agents.snapshots import SNAPSHOTS, Snapshots, remove_snapshot, snapshot_identity
from agents.two_tower import TwoTowerExtractor
from agents.vec_env import GymVecEnv, make_native
from music_env.any_tables import AnyTables
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
    initial_value: float = 0.0
    """Of the whole table; above the attainable return, it makes the learner try every action."""
    count_bonus: float = 0.0
    """Weight of 1 / sqrt(visits) in the greedy choice while learning."""
    target: Target = "q-learning"
    """What to bootstrap from (no difference at discount 0)."""


@dataclass(frozen=True)
class DuelingDQNSettings:
    """Hyperparameters of the dueling DQN (defaults: see docs/tuning.md)."""

    timesteps: int = 24_000
    """Tracks to judge, four times the embedded catalogue: hardly one is never met."""
    encoding: str = "codes"
    """The environment's encoding."""
    n_envs: int = 8
    """Sessions at a time."""
    learning_rate: float = 2e-2
    """First step size of Adam; it falls linearly to a twentieth."""
    batch_size: int = 128
    """Transitions in an update."""
    gradient_steps: int = 16
    """Updates after each step of all sessions at the start: the first tracks say most."""
    final_gradient_steps: int = 1
    """To how many they fall linearly."""
    gradient_steps_fraction: float = 0.1
    """Share of the training over which they fall."""
    buffer_size: int = 100_000
    """Transitions kept for replay."""
    learning_starts: int = 32
    """Tracks judged at random before the first update."""
    gamma: float = 0.0
    """Discount: 0, since the next track does not depend on the action."""
    dueling: bool = True
    """Dueling network; if not, the same layers without its two streams."""
    double: bool = False
    """Double Q-learning targets (no difference at discount 0)."""
    n_steps: int = 1
    """Rewards summed before bootstrapping (no difference at discount 0)."""
    prioritized: bool = False
    """Prioritized replay instead of uniform."""
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


@dataclass(frozen=True)
class AnyListenerSettings(DuelingDQNSettings):
    """Hyperparameters of the dueling DQN for every listener, on MusicRecAnyListener-v0.

    Those of `DuelingDQNSettings` with other defaults (tuned by us: with ``--timesteps 12000``
    regret for held-out listeners of the embedded catalogue ended the same, so these leave room).
    """

    timesteps: int = 48_000
    """Tracks to judge: 480 sessions, of a listener each."""
    n_envs: int = 64
    """Sessions at a time."""
    learning_rate: float = 5e-3
    """First step size of Adam; it falls linearly to a twentieth."""
    batch_size: int = 256
    """Transitions in an update."""
    gradient_steps: int = 4
    """Updates after each step of all sessions at the start."""
    final_gradient_steps: int = 4
    """To how many they fall linearly."""
    learning_starts: int = 256
    """Tracks judged at random before the first update."""
    exploration_final_eps: float = 0.05
    """Exploration rate once the exploration fraction is over."""
    embedding_dim: int = 64
    """Size of each embedding, encoding `codes` only; see `agents.two_tower.TwoTowerExtractor`."""


Agent = Literal["q-learning", "dueling-dqn"]


@dataclass(frozen=True)
class RunSettings:
    """What a run is made of."""

    agent: Agent
    learner: QLearningSettings | DuelingDQNSettings
    out: Path
    environment: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of the environment but for the encoding, which is the learner's."""
    timesteps: int | None = None
    """Overrides the learner's."""
    seed: int = 0
    snapshots: int = SNAPSHOTS
    """Evenly spread, besides one at the start; 0: none at all."""
    overwrite: bool = False
    progress_bar: bool = True

    @property
    def listener(self) -> Listener:
        """Whom the learner learns to serve, which the kind of its settings says."""
        return "any" if isinstance(self.learner, AnyListenerSettings) else "one"

    @property
    def total_timesteps(self) -> int:
        """Tracks to judge: those of the run or else the learner's."""
        return self.learner.timesteps if self.timesteps is None else self.timesteps


def make_learner(
    settings: QLearningSettings | DuelingDQNSettings, env: Any, *, seed: int
) -> QLearning | DuelingDQN:
    """Return an untrained learner for an environment of MusicRec-v0, or MusicRecAnyListener-v0."""
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
    policy_kwargs: dict[str, Any] = {
        "net_arch": list(settings.net_arch),
        "optimizer_kwargs": {"fused": True},  # Adam in one call: an update takes a fifth less
    }
    if settings.encoding == "codes":
        policy_kwargs["features_extractor_class"] = (
            TwoTowerExtractor if isinstance(settings, AnyListenerSettings) else CodesExtractor
        )
        policy_kwargs["features_extractor_kwargs"] = {"embedding_dim": settings.embedding_dim}
    return DuelingDQN(
        "MlpPolicy" if settings.dueling else DQNPolicy,
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


def untrained(settings: RunSettings) -> tuple[QLearning | DuelingDQN, Tables | AnyTables]:
    """Return a run's learner with its environment as at the start, and what that is made of.

    Raises:
        CatalogueError, ValueError: see `train_run`.
    """
    # Small networks lose to thread hand-over; one thread also gives the same sums everywhere.
    th.set_num_threads(1)
    _check_numbers(settings)
    native = make_native(
        ENVIRONMENTS[settings.listener],
        settings.learner.n_envs,
        **settings.environment,
        encoding=settings.learner.encoding,
    )
    learner = make_learner(settings.learner, GymVecEnv(native), seed=settings.seed)
    return learner, native.unwrapped.tables


def run_training(
    settings: RunSettings,
    learner: QLearning | DuelingDQN,
    tables: Tables | AnyTables,
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
        logger.record("hparams", _hparams(settings), exclude=NOT_REPORTED)
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
    figure = plotting.learning_curve(
        f"{settings.agent}: {judge.title}",
        read_progress(out / PROGRESS),
        oracle_mean_reward=judge.oracle_mean_reward,
        random_mean_reward=0.0,  # a fair coin earns a score as often as it pays it
        session_length=judge.session_length,
        judged_on=judge.judged_on,
    )
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


def _check_numbers(settings: RunSettings) -> None:
    """Raise ``ValueError`` for a number that no run can be made with, naming it."""
    values = {**asdict(settings.learner), "timesteps": settings.total_timesteps}
    at_least_1 = (
        "timesteps", "n_envs", "batch_size", "gradient_steps", "final_gradient_steps",
        "buffer_size", "n_steps", "target_update_interval", "embedding_dim",
    )  # fmt: skip
    for name in at_least_1:
        if values.get(name, 1) < 1:
            raise ValueError(f"{name} must be at least 1, got {values[name]}")
    for name in (
        "learning_rate", "final_learning_rate", "exploration_fraction", "gradient_steps_fraction",
    ):  # fmt: skip
        if not 0 < values.get(name, 1) <= 1:
            raise ValueError(f"{name} must be above 0 and at most 1, got {values[name]}")
    for name in ("gamma", "exploration_initial_eps", "exploration_final_eps"):
        if not 0 <= values[name] <= 1:
            raise ValueError(f"{name} must be from 0 to 1, got {values[name]}")
    if values.get("learning_starts", 0) < 0:
        raise ValueError(f"learning_starts must be at least 0, got {values['learning_starts']}")
    if min(values.get("net_arch", (1,)), default=1) < 1:
        raise ValueError(f"net_arch must hold sizes of at least 1, got {values['net_arch']}")
    if not 0 <= settings.seed < 2**32:
        raise ValueError(f"seed must be from 0 to 2**32 - 1, got {settings.seed}")
    if settings.snapshots < 0:
        raise ValueError(f"snapshots must be 0 or more, got {settings.snapshots}")


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


def _config(settings: RunSettings, tables: Tables | AnyTables) -> dict[str, Any]:
    environment = {**settings.environment, "encoding": settings.learner.encoding}
    path, catalogue = environment.pop("catalogue", None), tables.catalogue
    return {
        "agent": settings.agent,
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


def _preference(tables: Tables | AnyTables) -> str:
    return str(tables.population if isinstance(tables, AnyTables) else tables.preference)


def _hparams(settings: RunSettings) -> HParam:
    values: dict[str, Any] = {"agent": settings.agent, "seed": settings.seed}
    for name, value in (asdict(settings.learner) | {"timesteps": settings.total_timesteps}).items():
        values[name] = str(value) if isinstance(value, tuple) else value
    return HParam(values, dict.fromkeys([*EVAL_TAGS, "rollout/ep_rew_mean"], 0.0))


def _as_markdown(config: Mapping[str, Any]) -> str:
    rows = []
    for name, value in config.items():
        inner = value if isinstance(value, Mapping) else {"": value}
        rows += [f"| {name} {key} | {text} |" for key, text in inner.items()]
    return "\n".join(["| setting | value |", "|---|---|", *rows])
