"""Training by RLlib on a Ray cluster, from a run's settings to a folder like that of any other run.

RLlib samples, replays and updates; the networks, what is logged, and the run's folder are those of
`agents.training`. A run is no sequence that can be repeated bit for bit: RLlib does not keep what
would be needed (the replay buffer, its random generators, the environments).
"""

from __future__ import annotations

import logging
import math
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import numpy as np
from stable_baselines3.common.logger import Logger

from agents.dueling_dqn import DuelingDQN
from agents.judges import Judge, judge_of
from agents.resume import check_unchanged, check_unfinished, settings_of
from agents.run_folder import AnySetup, begin_logs, end_run, prepared_folder, run_config
from agents.run_lock import alone_in
from agents.run_logs import cut_logs
from agents.runs import CONFIG, MODEL, RunError, engine_of, read_config, write_json
from agents.settings import DuelingDQNSettings, RunSettings, check_numbers
from agents.training import untrained
from cluster.checkpoints import newest_checkpoint, remove_checkpoints, save_checkpoint
from cluster.connection import ClusterError, connected, require_ray
from cluster.run_log import Progress, RunLog

LOG_POINTS = 40
"""How many times a run logs, as `agents.callbacks.RunLogger` does."""

REFILL = 2_000
"""Steps that go to the empty replay buffer of a run that was resumed, before updates go on; fewer
where the run had not come so far."""

_UNUSED_BUFFER = 64  # transitions: a learner that only takes over weights replays nothing


def train_run(settings: RunSettings, *, address: str | None = None) -> dict[str, Any]:
    """Train a dueling DQN by RLlib, and write its run's folder.

    Args:
        settings: of the run, of engine ray.
        address: of a Ray cluster; None: a local Ray that starts and stops by itself.

    Returns:
        The content of ``metrics.json``.

    Raises:
        RunError, CatalogueError, ValueError: see `agents.training.train_run`; ``ValueError`` also
            for settings that RLlib does not know.
        ClusterError: if there is no Ray, no cluster at the address, or no room for the runners.
    """
    require_ray()
    settings = _absolute(settings)
    # Before anything on disk is touched.
    learner, tables, judge = _prepare(settings)
    if not settings.out.exists():
        settings.out.mkdir(parents=True, exist_ok=True)
    with alone_in(settings.out), _cluster(address, settings.env_runners):
        out = prepared_folder(settings.out, overwrite=settings.overwrite)
        config = run_config(settings, tables)
        write_json(out / CONFIG, config)
        return _train(settings, learner, judge, config, mode="begin")


def resume_run(
    folder: str | Path, *, address: str | None = None, progress_bar: bool = True
) -> dict[str, Any]:
    """Go on with a run of `train_run` from its last checkpoint to its end.

    Weights, the optimiser's moments, schedules and logs go on where they stood; the replay buffer
    is empty and first filled with `REFILL` steps, and the sessions shown are others. So the result
    is not that of a run that was never stopped.

    Args:
        folder: the run's. Its checkpoint holds pickles of RLlib's: see `cluster.checkpoints`.
        address: see `train_run`.
        progress_bar: show progress on standard error.

    Returns:
        The content of ``metrics.json``.

    Raises:
        agents.resume.RunFinishedError: if the run has finished.
        RunError: if the folder holds no such run, or no checkpoint to go on from; see
            `agents.resume.resume_run`.
        ClusterError: see `train_run`.
    """
    require_ray()
    folder = Path(folder)
    config = read_config(folder)
    if engine_of(config) != "ray":
        raise RunError(f"{folder} is not trained on a Ray cluster: see agents.resume.resume_run")
    with alone_in(folder):
        check_unfinished(folder, config)
        settings = _absolute(settings_of(folder, config, progress_bar=progress_bar))
        check_unchanged(folder, config)
        learner, _, judge = _prepare(settings)
        mode: Literal["begin", "continue"] = "begin"
        if newest_checkpoint(folder) is not None:
            mode = "continue"
        elif settings.snapshots == 0 or (folder / MODEL).exists():
            raise RunError(
                f"{folder} has no checkpoint to go on from (a run takes them unless --snapshots is "
                "0): train again with --overwrite"
            )
        else:  # killed before its first checkpoint: it begins again
            cut_logs(folder, {})
        with _cluster(address, settings.env_runners):
            return _train(settings, learner, judge, config, mode=mode)


def bridge_learner(settings: RunSettings) -> tuple[DuelingDQN, AnySetup]:
    """Return a `DuelingDQN` that takes over RLlib's weights, and what its environment is made of.

    It judges, predicts and is saved; it replays nothing, and has room for nothing.
    """
    own = settings.learner
    assert isinstance(own, DuelingDQNSettings)
    small = replace(own, n_envs=1, buffer_size=_UNUSED_BUFFER)
    learner, tables = untrained(replace(settings, learner=small))
    assert isinstance(learner, DuelingDQN)
    learner.buffer_size = own.buffer_size  # for whoever loads the saved model to go on with it
    return learner, tables


def _absolute(settings: RunSettings) -> RunSettings:
    """Return settings whose files are found from wherever a worker runs."""
    files = {
        name: str(Path(settings.environment[name]).resolve())
        for name in ("catalogue", "population")
        if isinstance(settings.environment.get(name), str | Path)
    }
    given = {name: value for name, value in settings.environment.items() if value is not None}
    return replace(settings, environment={**given, **files})


def _prepare(settings: RunSettings) -> tuple[DuelingDQN, AnySetup, Judge]:
    """Return a run's learner, what its environment is made of, and its judge, all checked."""
    from agents.rllib import check_settings

    check_numbers(settings)
    assert isinstance(settings.learner, DuelingDQNSettings)
    check_settings(settings.learner, settings.env_runners)
    learner, tables = bridge_learner(settings)
    return learner, tables, judge_of(tables)


@contextmanager
def _cluster(address: str | None, env_runners: int) -> Iterator[None]:
    """Be connected to a cluster with a processor for each environment runner."""
    num_cpus = env_runners + 1 if address is None else None
    with connected(address, num_cpus):
        import ray

        there = int(ray.cluster_resources().get("CPU", 0))
        if there < env_runners:
            raise ClusterError(
                f"{env_runners} environment runners need a processor each, but the cluster has "
                f"{there}: ask for fewer (--env-runners), or add nodes (to a cluster that grows "
                "with its work: min_workers in its configuration, as training does not wait)"
            )
        yield


def _train(
    settings: RunSettings,
    learner: DuelingDQN,
    judge: Judge,
    config: Mapping[str, Any],
    *,
    mode: Literal["begin", "continue"],
) -> dict[str, Any]:
    """Train a run to its end, and write all of its folder but for the configuration."""
    progress, algorithm = _algorithm(settings, learner, mode)
    logger = begin_logs(settings, judge, config, mode=mode)
    try:
        with _interruptible() as interruption:
            _run(settings, learner, judge, logger, algorithm, progress, interruption)
    except BaseException:
        logger.close()
        raise
    finally:
        stop(algorithm)
    learner.num_timesteps = progress.timesteps
    interrupted = interruption.wanted and progress.timesteps < settings.total_timesteps
    figures: dict[str, Any] = {
        "train_seconds": progress.seconds,
        "timesteps": progress.timesteps,
        "interrupted": interrupted,
    }
    metrics = end_run(settings, learner, judge, logger, figures)
    if not interrupted:
        remove_checkpoints(settings.out)
    return metrics


def _algorithm(
    settings: RunSettings, learner: DuelingDQN, mode: Literal["begin", "continue"]
) -> tuple[Progress, Any]:
    """Return how far a run has come, and RLlib's algorithm as it stands there."""
    from agents.rllib import dqn_config

    own = settings.learner
    assert isinstance(own, DuelingDQNSettings)
    found = newest_checkpoint(settings.out) if mode == "continue" else None
    progress, starts, seed = Progress(), own.learning_starts, settings.seed
    if found is not None:
        path, state = found
        progress = Progress(**{field.name: state[field.name] for field in fields(Progress)})
        cut_logs(settings.out, state["logs"])
        refill = max(min(REFILL, progress.timesteps), own.learning_starts)
        starts = progress.timesteps + refill
        seed = int(np.random.SeedSequence([seed, progress.timesteps]).generate_state(1)[0] >> 1)
    config = dqn_config(
        replace(settings, seed=seed),
        learner,
        env_runners=settings.env_runners,
        learning_starts=starts,
    )
    algorithm = build(config, log_interval(settings.total_timesteps))
    if found is not None:
        algorithm.restore_from_path(str(path))
    return progress, algorithm


def build(config: Any, steps: int) -> Any:
    """Return RLlib's algorithm, which takes so many steps an iteration, rounded up."""
    # They warn of their own defaults and deprecations.
    for name in ("ray.rllib", "ray.tune", "ray._common.deprecation"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return config.reporting(min_sample_timesteps_per_iteration=steps).build_algo()


def stop(algorithm: Any) -> None:
    """Stop RLlib's algorithm, and delete the folder that it made for itself outside the run."""
    algorithm.stop()
    shutil.rmtree(algorithm.logdir, ignore_errors=True)


def log_interval(total_timesteps: int) -> int:
    """Return the steps from one log point to the next."""
    return max(1, math.ceil(total_timesteps / LOG_POINTS))


def _run(
    settings: RunSettings,
    learner: DuelingDQN,
    judge: Judge,
    logger: Logger,
    algorithm: Any,
    progress: Progress,
    interruption: _Interruption,
) -> None:
    """Train to the end or an interruption; `progress` says how far, the learner what it learnt."""
    from agents.rllib import read_report, take_weights, trained_weights

    total, before, started = settings.total_timesteps, progress.seconds, time.perf_counter()
    log = RunLog(settings, judge, logger, progress)
    interval = total // (settings.snapshots + 1)  # from one checkpoint to the next
    due = progress.timesteps + interval
    take_weights(learner, trained_weights(algorithm))  # a run may be at its end already
    while progress.timesteps < total and not interruption.wanted:
        report = read_report(algorithm.train(), settings.learner.batch_size)  # type: ignore[union-attr]
        take_weights(learner, trained_weights(algorithm))
        progress.timesteps, progress.updates = report.timesteps, report.updates
        progress.sessions += len(report.sessions)
        progress.seconds = before + time.perf_counter() - started
        log.write(judge.progress(learner), report)
        wanted = progress.timesteps >= due or interruption.wanted
        if settings.snapshots and wanted and progress.timesteps < total:
            save_checkpoint(algorithm, settings.out, vars(progress))
            due = progress.timesteps + interval
    log.close()


class _Interruption:
    """Whether somebody has pressed Ctrl-C."""

    wanted = False


@contextmanager
def _interruptible() -> Iterator[_Interruption]:
    """Turn the first Ctrl-C into a stop at the next log point; a second interrupts at once."""
    interruption = _Interruption()
    previous = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        interruption.wanted = True
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, note)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, previous)
