"""A run that was killed or interrupted goes on from its last snapshot, to the same end exactly."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from agents.judges import judge_of
from agents.run_lock import alone_in
from agents.run_logs import cut_logs
from agents.runs import (
    CONFIG,
    METRICS,
    MODEL,
    PROGRESS,
    RunError,
    engine_of,
    env_id_of,
    load_trained_catalogue,
    load_trained_population,
    read_config,
    read_json,
    versions,
)
from agents.settings import RunSettings, settings_kind
from agents.snapshots import has_snapshot, remove_snapshot
from agents.training import run_training, untrained

_ENTRIES = {
    "seed": int,
    "timesteps": int,
    "snapshots": int,
    "hyperparameters": dict,
    "versions": dict,
}
"""What resuming needs of a configuration, besides what `agents.runs.read_config` checks."""


class RunFinishedError(RunError):
    """A run that needs no resuming."""


def resume_run(folder: str | Path, *, progress_bar: bool = True) -> dict[str, Any]:
    """Train a run of `agents.training.train_run` to the end that it would have had.

    Everything is taken from the run's ``config.json`` and its last snapshot. With the same versions
    on the same kind of processor, weights, table, replay buffer and ``progress.csv`` (but for its
    times) are those of a run that was never stopped, bit for bit. A run that was killed before its
    first snapshot begins again.

    Args:
        folder: the run's.
        progress_bar: show progress on standard error.

    Returns:
        The content of ``metrics.json``; the seconds in it are those of all parts together, but for
        what was lost between the last snapshot and a kill.

    Warns:
        UserWarning: if Python or a package has another version than when the run began.

    Raises:
        RunFinishedError: if the run has finished.
        RunError: if the folder holds no run or no snapshot, another process is training in it, or
            the catalogue, the listeners or the configuration are not what the run began with.
        agents.snapshot_file.SnapshotError: if the snapshot is damaged; names the file.
        CatalogueError: if the catalogue cannot be read.
    """
    folder = Path(folder)
    config = read_config(folder)
    if engine_of(config) != "local":
        raise RunError(
            f"{folder} is trained on a Ray cluster: `python train.py --resume {folder}`, or "
            "cluster.training.resume_run"
        )
    with alone_in(folder):
        return _resume(folder, config, progress_bar=progress_bar)


def _resume(folder: Path, config: Mapping[str, Any], *, progress_bar: bool) -> dict[str, Any]:
    check_unfinished(folder, config)
    settings = settings_of(folder, config, progress_bar=progress_bar)
    check_unchanged(folder, config)
    for unfinished in folder.glob(f".{MODEL}.*.part"):
        unfinished.unlink()
    learner, tables = untrained(settings)
    judge = judge_of(tables)
    if has_snapshot(folder):
        return run_training(settings, learner, tables, judge, config, mode="continue")
    if settings.snapshots == 0 or (folder / MODEL).exists() or _has_rows(folder / PROGRESS):
        raise RunError(
            f"{folder} has no snapshot to go on from (a run takes them unless --snapshots is 0): "
            "train again with --overwrite"
        )
    # Killed in its first moments: nothing is lost by beginning again.
    cut_logs(folder, {})
    return run_training(settings, learner, tables, judge, config, mode="begin")


def check_unfinished(folder: Path, config: Mapping[str, Any]) -> None:
    """Raise `RunFinishedError` if a run has come to its end."""
    if (folder / METRICS).is_file() and not read_json(folder / METRICS).get("interrupted"):
        remove_snapshot(folder)  # which a kill at the very end may have left
        raise RunFinishedError(
            f"{folder} has finished: all of its {config.get('timesteps')} tracks are judged, there "
            "is nothing to resume"
        )


def check_unchanged(folder: Path, config: Mapping[str, Any]) -> None:
    """Check that catalogue and listeners are those that a run began with.

    Warns:
        UserWarning: if Python or a package has another version than then.

    Raises:
        RunError, CatalogueError: if they are not, or cannot be read.
    """
    load_trained_population(folder, config, load_trained_catalogue(folder, config))
    changed = [
        f"{name} {config['versions'].get(name)} then, {now} now"
        for name, now in versions().items()
        if config["versions"].get(name) != now
    ]
    if changed:
        warnings.warn(
            f"{folder} began with other versions: {'; '.join(changed)}. It goes on, but not "
            "necessarily to the same result, bit for bit",
            stacklevel=4,
        )


def settings_of(
    folder: Path, config: Mapping[str, Any], *, progress_bar: bool = True
) -> RunSettings:
    """Return the settings that a run began with.

    Raises:
        RunError: if its configuration does not hold exactly what this version needs.
    """
    path = folder / CONFIG
    env_id = env_id_of(config)
    try:
        kind = settings_kind(engine_of(config), env_id, config["agent"])
    except ValueError as error:
        raise RunError(f"{path}: {error}") from error
    for name, expected in _ENTRIES.items():
        if type(config.get(name)) is not expected:
            raise RunError(
                f"{path}: {name} must be of type {expected.__name__} to resume the run, got "
                f"{config.get(name)!r:.100}"
            )
    given, known = config["hyperparameters"], {field.name for field in fields(kind)}
    if given.keys() != known:
        raise RunError(
            f"{path}: hyperparameters differ in {sorted(given.keys() ^ known)} from those of this "
            "version: resume it with the version that it began with, "
            f"{config['versions'].get('musicrec')}"
        )
    hyperparameters: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in given.items()
    }
    environment = {n: v for n, v in config["environment"].items() if n != "encoding"}
    files = {n: config[n]["path"] for n in ("catalogue", "population") if n in config}
    return RunSettings(
        agent=config["agent"],
        learner=kind(**hyperparameters),
        out=folder,
        environment=environment | files,
        timesteps=config["timesteps"],
        seed=config["seed"],
        snapshots=config["snapshots"],
        progress_bar=progress_bar,
        env_runners=config.get("env_runners", 1),
    )


def _has_rows(progress: Path) -> bool:
    if not progress.is_file():
        return False
    with progress.open(newline="", encoding="utf-8") as file:
        return sum(1 for _ in csv.reader(file)) > 1
