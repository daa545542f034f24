"""Snapshots of a training run, from which it goes on exactly after it was killed.

A snapshot is everything that decides what comes next: the learner, its environment, the replay
buffer, every random generator, what is half-way to the logs, and how long the logs are. It is taken
at the start of a rollout, where Stable-Baselines3 has stored and learnt from every step.

RUN/snapshot/replay-STEP.safetensors  rows that came to the replay buffer between two snapshots
RUN/snapshot/state-STEP.safetensors   all the rest; written last, and named so by a rename
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from agents.callbacks import StopOnInterrupt
from agents.model_file import sync_to_disk
from agents.replay_segments import PATTERN, ReplaySegments, check_buffer, delete_segments
from agents.run_logs import cut_logs, log_files
from agents.runs import finite
from agents.snapshot_file import SnapshotError, read_state, write_state
from agents.training_state import restore_learner, restore_progress, training_state

SNAPSHOTS = 10
"""How many a run takes between its start and its end, evenly spread."""

FOLDER, STATES = "snapshot", "state-*.safetensors"

SYNC_INTERVAL = 5.0  # [s]
"""A snapshot that comes sooner after one that was forced to disk is not forced to disk itself.

A killed process loses nothing by that: the system has what was written. A power failure may damage
it, and the one that was forced is kept until the next one is. Forcing takes 10 to 50 ms, as long as
a tenth of the tabular learner's training; ext4 does it as often (man ext4, ``commit``).
"""


class HasState(Protocol):
    """What can give its state as arrays and plain values, and take it back."""

    def get_state(self) -> dict[str, Any]:
        """Return the state."""

    def set_state(self, state: Mapping[str, Any], /) -> None:
        """Take over a state."""


class Snapshots(BaseCallback):
    """Take snapshots of a run, and let it go on from one.

    The last of a run's callbacks: the others have then logged what belongs to a step before the
    snapshot of that step, and have begun before their states are restored.

    To go on, `restore` a fresh learner, then open the logs, then
    ``learn(remaining, callback, reset_num_timesteps=False)`` with this callback in it.

    Args:
        run: the run's folder.
        total_timesteps: at which training ends.
        count: how many, evenly spread, besides one at the start.
        parts: what else belongs to a snapshot, by name: callbacks with a state.
        stop: if given, a snapshot is taken before it stops the training.
        identity: what a snapshot belongs to, as JSON can say it; `restore` compares.

    Attributes:
        seconds_before: [s] of training up to the snapshot that was restored; 0 if none was.
        seconds_spent: [s] on taking snapshots, of these and those before together.
    """

    def __init__(
        self,
        run: Path,
        total_timesteps: int,
        *,
        count: int = SNAPSHOTS,
        parts: Mapping[str, HasState] | None = None,
        stop: StopOnInterrupt | None = None,
        identity: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.run = run
        self.folder = run / FOLDER
        self.interval = max(1, -(-total_timesteps // (count + 1)))  # rounded up
        self.parts = dict(parts or {})
        self.stop = stop
        self.identity = None if identity is None else dict(identity)
        self.seconds_before = self.seconds_spent = 0.0
        self._began = 0.0
        self._next = 0  # [steps]
        self._last: int | None = None  # [steps]
        self._synced = 0.0  # when
        self._kept: dict[Path, Any] = {}  # the last state that was forced to disk, and its buffer
        self._segments: ReplaySegments | None = None
        self._restored: Mapping[str, Any] | None = None

    def _on_training_start(self) -> None:
        # A run shorter than the interval is never forced to disk: it is soon repeated.
        self._began = self._synced = time.perf_counter()
        self.folder.mkdir(exist_ok=True)
        for unfinished in self.folder.glob(".*.part"):  # by a process that was killed
            unfinished.unlink()
        buffer = getattr(self.model, "replay_buffer", None)
        if buffer is not None:
            check_buffer(buffer)
            self._segments = self._segments or ReplaySegments(self.folder)
        if self._restored is not None:
            for name, part in self.parts.items():
                part.set_state(self._restored["parts"][name])
            restore_progress(self.model, self._restored["training"])
            self._restored = None

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        step = self.model.num_timesteps
        stopping = self.stop is not None and self.stop.stopping
        if step != self._last and (step >= self._next or stopping):
            started = time.perf_counter()
            self._take(step)
            self.seconds_spent += time.perf_counter() - started

    def _take(self, step: int) -> None:
        now = time.perf_counter()
        sync = now - self._synced >= SYNC_INTERVAL
        logs = log_files(self.run)
        replay = None
        if self._segments is not None:
            buffer = self.model.replay_buffer  # type: ignore[attr-defined]
            replay = self._segments.write(buffer, step // self.model.n_envs, sync=sync)
        state = {
            "identity": self.identity,
            "seconds": self.seconds_before + now - self._began,
            "seconds_spent": self.seconds_spent,
            "logs": {path.name: path.stat().st_size for path in logs},
            "training": training_state(self.model),
            "parts": {name: part.get_state() for name, part in self.parts.items()},
            "replay": replay,
        }
        if sync:
            for log in logs:
                sync_to_disk(log)
        path = self.folder / STATES.replace("*", f"{step:012d}")
        write_state(path, state, sync=sync)
        if sync:
            self._synced, self._kept = now, {path: replay}
        self._tidy({**self._kept, path: replay})
        self._last = step
        self._next = self.interval * (step // self.interval + 1)

    def restore(self, learner: BaseAlgorithm) -> None:
        """Bring a fresh learner, its environment and replay buffer to the last snapshot.

        The run's logs are cut to where they were then; what is left is restored when training
        starts.

        Args:
            learner: made with the same arguments as the one of the snapshot.

        Raises:
            SnapshotError: if there is no snapshot, it is damaged, or it does not belong to this
                run or this learner. Of two, the older one stands in for the other, with a warning.
        """
        paths = _states(self.run)
        if not paths:
            raise SnapshotError(f"{self.folder} holds no snapshot")
        for path in paths[:-1]:
            try:
                return self._restore(learner, path)
            except SnapshotError as error:
                warnings.warn(f"{error}. Going on from the snapshot before it", stacklevel=2)
        self._restore(learner, paths[-1])

    def _restore(self, learner: BaseAlgorithm, path: Path) -> None:
        state = read_state(path)
        try:
            if state["identity"] != self.identity:
                difference = _difference(state["identity"], self.identity)
                raise SnapshotError(f"{path} belongs to another run: {difference}")
            restore_learner(learner, state["training"])
            replay = state["replay"]
            if replay is not None:
                self._segments = ReplaySegments(self.folder, replay)
                self._segments.restore(learner.replay_buffer, replay)  # type: ignore[attr-defined]
            self.seconds_before = state["seconds"]
            self.seconds_spent = state["seconds_spent"]
            cut_logs(self.run, state["logs"])
        except SnapshotError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise SnapshotError(f"{path} does not fit this learner: {error}") from error
        self._kept = {path: replay}
        self._tidy(self._kept)
        self._last = learner.num_timesteps
        self._next = self.interval * (self._last // self.interval + 1)
        self._restored = state

    def _tidy(self, needed: Mapping[Path, Any]) -> None:
        """Delete what is needed by none of some snapshots."""
        for path in _states(self.run):
            if path not in needed:
                path.unlink()
        delete_segments(self.folder, but=[replay for replay in needed.values() if replay])


def _states(run: Path) -> list[Path]:
    """Return a run's snapshots, the last one first."""
    return sorted((run / FOLDER).glob(STATES), reverse=True)


def snapshot_identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a snapshot belongs to: a run's configuration as its file holds it.

    Left out are the versions, and the paths of the catalogue and of the listeners, which may move:
    they have checksums.
    """
    plain: dict[str, Any] = json.loads(json.dumps(finite(config)))
    plain.pop("versions", None)
    for name in ("catalogue", "population"):
        plain.get(name, {}).pop("path", None)
    return plain


def has_snapshot(run: Path) -> bool:
    """Say whether a run has a snapshot to go on from."""
    return bool(_states(run))


def remove_snapshot(run: Path) -> None:
    """Delete the snapshot of a run, if there is one."""
    folder = run / FOLDER
    for pattern in (STATES, PATTERN, ".*.part"):
        for path in folder.glob(pattern):
            path.unlink()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _difference(theirs: Any, ours: Any) -> str:
    """Say in which entries two descriptions differ."""
    if not (isinstance(theirs, Mapping) and isinstance(ours, Mapping)):
        return f"of {theirs!r:.200}, not of {ours!r:.200}"
    names = [n for n in {**theirs, **ours} if theirs.get(n) != ours.get(n)]
    return "; ".join(f"its {n} is {theirs.get(n)!r:.100}, not {ours.get(n)!r:.100}" for n in names)
