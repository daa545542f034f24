"""RLlib's checkpoints in a run's folder, from which killed training goes on.

RUN/rllib/checkpoint-STEP/algorithm/   what RLlib writes: weights, moments, counters, as pickles
RUN/rllib/checkpoint-STEP/state.json   steps, seconds, and how long the run's logs are

RLlib's part holds pickles, which can run code when they are read: only going on with a run
(``train.py --resume``) reads them, so resume a run only from where you trust. The saved model
beside them (``model.safetensors``) holds none.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.run_logs import log_files
from agents.runs import RLLIB_FOLDER, RunError, read_json, write_json

ALGORITHM, STATE = "algorithm", "state.json"

_ENTRIES = {"timesteps": int, "updates": int, "sessions": int, "seconds": float, "logs": dict}


def save_checkpoint(algorithm: Any, run: Path, state: Mapping[str, Any]) -> None:
    """Save RLlib's algorithm, and delete the checkpoints before it; a kill leaves one of them.

    Args:
        algorithm: RLlib's.
        run: the run's folder.
        state: ``timesteps``, ``updates``, ``sessions`` and ``seconds`` so far.
    """
    folder = (run / RLLIB_FOLDER).resolve()  # RLlib wants a whole path
    unfinished = folder / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    algorithm.save_to_path(str(unfinished / ALGORITHM))
    logs = {path.name: path.stat().st_size for path in log_files(run)}
    write_json(unfinished / STATE, {**state, "logs": logs})
    target = folder / f"checkpoint-{state['timesteps']:012d}"
    shutil.rmtree(target, ignore_errors=True)
    unfinished.replace(target)
    for checkpoint in _checkpoints(run):
        if checkpoint.name < target.name:
            shutil.rmtree(checkpoint)


def newest_checkpoint(run: Path) -> tuple[Path, dict[str, Any]] | None:
    """Return where RLlib's part of a run's newest checkpoint lies, and its state; None: no such.

    Raises:
        RunError: if it is damaged.
    """
    found = _checkpoints(run)
    if not found:
        return None
    state = read_json(found[-1] / STATE)
    for name, expected in _ENTRIES.items():
        if type(state.get(name)) is not expected:
            raise RunError(
                f"{found[-1] / STATE}: {name} must be of type {expected.__name__}, got "
                f"{state.get(name)!r:.100}: the checkpoint is damaged, train again with --overwrite"
            )
    return found[-1].resolve() / ALGORITHM, state


def remove_checkpoints(run: Path) -> None:
    """Delete a run's checkpoints, if there are any."""
    shutil.rmtree(run / RLLIB_FOLDER, ignore_errors=True)


def _checkpoints(run: Path) -> list[Path]:
    """Return the whole checkpoints, the newest last."""
    return sorted((run / RLLIB_FOLDER).glob("checkpoint-*"))
