"""A run's folder begun, ended and cleared: configuration, logs, model, figures."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from stable_baselines3.common.logger import Figure, HParam, Logger, TensorBoardOutputFormat

from agents import plotting
from agents.dueling_dqn import DuelingDQN
from agents.judges import Judge
from agents.progress import ProgressFile, read_progress
from agents.q_learning import QLearning
from agents.runs import (
    CONFIG,
    LEARNING_CURVE,
    METRICS,
    MODEL,
    PROGRESS,
    RLLIB_FOLDER,
    RunError,
    read_json,
    unfinished_json,
    versions,
    write_json,
)
from agents.settings import RunSettings
from agents.snapshots import remove_snapshot
from music_env.affected_setup import AffectedSetup
from music_env.any_tables import AnyTables
from music_env.tables import Tables

AnySetup = Tables | AnyTables | AffectedSetup
"""What an environment that a run can be trained in is made of."""

NOT_REPORTED = ("stdout", "log", "json", "csv")
"""SB3's outputs other than TensorBoard: texts and figures are for TensorBoard only."""


def prepared_folder(out: Path, *, overwrite: bool) -> Path:
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
        shutil.rmtree(out / RLLIB_FOLDER, ignore_errors=True)
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


def run_config(settings: RunSettings, tables: AnySetup) -> dict[str, Any]:
    """Return the content of ``config.json``: everything needed to repeat the run."""
    environment = {**settings.environment, "encoding": settings.learner.encoding}
    path, catalogue = environment.pop("catalogue", None), tables.catalogue
    config: dict[str, Any] = {
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
    if settings.engine == "ray":
        config |= {"engine": settings.engine, "env_runners": settings.env_runners}
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


def begin_logs(
    settings: RunSettings,
    judge: Judge,
    config: Mapping[str, Any],
    *,
    mode: Literal["begin", "continue"],
) -> Logger:
    """Return a logger to ``progress.csv`` and TensorBoard; a run that begins logs what it is."""
    out = settings.out
    logger = Logger(
        str(out), [ProgressFile(out / PROGRESS, mode=mode), TensorBoardOutputFormat(str(out))]
    )
    if mode == "begin":
        logger.record("hparams", _hparams(settings, judge), exclude=NOT_REPORTED)
        logger.record("config", _as_markdown(config), exclude=NOT_REPORTED)
        logger.dump(0)
    return logger


def end_run(
    settings: RunSettings,
    learner: QLearning | DuelingDQN,
    judge: Judge,
    logger: Logger,
    figures: Mapping[str, Any],
) -> dict[str, Any]:
    """Write what a run's folder holds once its training is over, and close what it held open.

    Args:
        settings: of the run.
        learner: as it is now, which counts its ``num_timesteps``; its environment is closed.
        judge: of the greedy policy.
        logger: from `begin_logs`; it is closed.
        figures: of the training, to stand beside those of the judge.

    Returns:
        The content of ``metrics.json``, which is written last: a run that has it has ended.
    """
    learner.save(settings.out / MODEL)
    metrics = {**judge.metrics(learner), **figures}
    _end_logs(settings, judge, logger, learner.num_timesteps)
    assert learner.env is not None
    learner.env.close()
    write_json(settings.out / METRICS, metrics)
    return metrics


def _end_logs(settings: RunSettings, judge: Judge, logger: Logger, timesteps: int) -> None:
    """Draw the learning curve from what was logged, log it too, and close the logger."""
    out = settings.out
    figure = judge.learning_curve(f"{settings.agent}: {judge.title}", read_progress(out / PROGRESS))
    plotting.save(figure, out / LEARNING_CURVE)
    logger.record("learning_curve", Figure(figure, close=True), exclude=NOT_REPORTED)
    logger.dump(timesteps)
    logger.close()


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
