"""Runs that are killed: what `test_resume` starts in processes of their own."""

from __future__ import annotations

import contextlib
import functools
import itertools
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import matplotlib.backends.backend_agg  # noqa: F401 - see CONTEXT
import torch._dynamo
import torch.utils.tensorboard  # noqa: F401
from matplotlib.figure import Figure

import agents.model_file
import agents.plotting
import agents.progress
import agents.resume
import agents.run_folder
import agents.run_logs
import agents.training
from agents.replay_segments import _rings
from agents.snapshot_file import write_state
from agents.training import (
    AnyListenerSettings,
    DuelingDQNSettings,
    QLearningSettings,
    RunSettings,
)
from agents.training_state import training_state

CONTEXT = multiprocessing.get_context("forkserver")
# Once: what takes seconds to import, also what optimisers and figures import when they are made.
CONTEXT.set_forkserver_preload(["killed_runs"])


# 8 sessions at a time, a ring of 30 rows which 100 steps fill several times.
_DQN = DuelingDQNSettings(
    timesteps=800, n_envs=8, batch_size=16, gradient_steps=3, gradient_steps_fraction=0.5,
    buffer_size=240, learning_starts=64, target_update_interval=80, net_arch=(8,), embedding_dim=4,
    gamma=0.9,
)  # fmt: skip
_TABULAR = QLearningSettings(timesteps=1600, n_envs=4)
SETTINGS: dict[str, QLearningSettings | DuelingDQNSettings] = {
    "q-learning": _TABULAR,
    "sarsa": replace(_TABULAR, target="sarsa", gamma=0.9),
    "double-q-learning": replace(_TABULAR, target="double", gamma=0.9),
    "dueling-dqn": _DQN,
    "n-step": replace(_DQN, n_steps=3),
    "all-switches": replace(_DQN, prioritized=True, n_steps=3, double=True),
    "any-listener": AnyListenerSettings(**{**vars(_DQN), "gamma": 0.0}),
}
_ENVIRONMENT: dict[str, Any] = {"artist": "A", "genre": "rock", "danceability": (0.4, 0.6)}
# B is held out by the split.
_ANY_ENVIRONMENT: dict[str, Any] = {
    "population": [
        {"artist": "A", "genre": "rock"}, {"artist": "B"},
        {"artist": "C", "danceability": [0, 0.5]}, {"genre": "pop", "danceability": [0.5, 0.7]},
    ],
    "split": "train",
    "test_share": 0.5,
}  # fmt: skip


def settings(variant: str, out: Path, catalogue: Path) -> RunSettings:
    learner = SETTINGS[variant]
    return RunSettings(
        agent="q-learning" if isinstance(learner, QLearningSettings) else "dueling-dqn",
        learner=learner,
        out=out,
        environment={
            **(_ANY_ENVIRONMENT if variant == "any-listener" else _ENVIRONMENT),
            "catalogue": str(catalogue),
            "session_length": 5,
        },
        progress_bar=False,
    )


def live(variant: str, out: Path, catalogue: Path, last_operation: int | None = None) -> None:
    """Begin a run or go on with it, and note the learner's final state; die at a file operation."""
    learners: list[Any] = []
    untrained = agents.training.untrained

    def noted(settings: RunSettings) -> Any:
        made = untrained(settings)
        learners.append(made[0])
        return made

    agents.training.untrained = agents.resume.untrained = noted
    write_json = agents.run_folder.write_json

    def write_final_state_first(path: Path, content: Mapping[str, Any]) -> None:
        if path.name == "metrics.json":
            write_state(out / "final.safetensors", final_state(learners[0]))
        write_json(path, content)

    agents.run_folder.write_json = write_final_state_first
    agents.plotting.learning_curve = blank_figure
    if last_operation is not None:
        _die_at(last_operation)
    if not (out / "config.json").exists():
        agents.training.train_run(settings(variant, out, catalogue))
        return
    with contextlib.suppress(agents.resume.RunFinishedError):  # killed after its last file
        agents.resume.resume_run(out, progress_bar=False)


def blank_figure(*_: Any, **__: Any) -> Figure:
    """Return a figure in place of the learning curve, which takes longer than these runs."""
    return Figure(figsize=(1, 1))


def final_state(learner: Any) -> dict[str, Any]:
    """Return all that must be the same, however often the run was killed."""
    state = training_state(learner)
    for time_of_day in ("elapsed", "windows"):
        state.pop(time_of_day)
    state["env"].pop("seconds")
    state["windows"] = [
        [{n: v for n, v in episode.items() if n != "t"} for episode in learner.ep_info_buffer],
        list(learner.ep_success_buffer),
    ]
    buffer = getattr(learner, "replay_buffer", None)
    if buffer is None:
        # The tabular learner uses no global generator, so nothing seeds them.
        state["generators"] = {"actions": state["generators"]["actions"]}
    else:
        own = buffer.get_state() if hasattr(buffer, "get_state") else None
        state["replay"] = [_rings(buffer), buffer.pos, buffer.full, own]
    return state


def _die_at(last: int) -> None:
    """Count what changes files; kill this process at the last one, half-way through writing."""
    count = itertools.count(1)

    def dying(operation: Callable[..., Any], half: Callable[..., Any] | None = None) -> Any:
        @functools.wraps(operation)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if next(count) == last:
                if half is not None:
                    half(*args, **kwargs)
                os.kill(os.getpid(), signal.SIGKILL)
            return operation(*args, **kwargs)

        return wrapper

    save_file = agents.model_file.save_file

    def save_half(arrays: Any, path: Path, metadata: Any) -> None:
        save_file(arrays, path, metadata)
        os.truncate(path, path.stat().st_size // 2)

    agents.model_file.save_file = dying(save_file, save_half)
    agents.run_logs.os = _Module(os, truncate=dying(os.truncate))  # type: ignore[attr-defined, assignment]
    Path.replace = dying(Path.replace)  # type: ignore[method-assign]
    Path.unlink = dying(Path.unlink)  # type: ignore[method-assign]
    write = agents.progress.ProgressFile.write

    def write_half(self: Any, values: Mapping[str, Any], *_: Any) -> None:
        if "time/total_timesteps" in values:
            self._file.write("12,3")
            self._file.flush()

    agents.progress.ProgressFile.write = dying(write, write_half)  # type: ignore[method-assign]


class _Module:
    def __init__(self, module: Any, **replaced: Any) -> None:
        self._module = module
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def in_process(*arguments: Any) -> int | None:
    """Call `live` in a process of its own; return its exit code, -9 where it was killed."""
    process = CONTEXT.Process(target=live, args=arguments)
    # The server that imports what is preloaded does not get this process's paths otherwise.
    with mock.patch.dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)):
        process.start()
    process.join(120)
    return process.exitcode
