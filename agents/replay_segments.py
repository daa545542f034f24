"""A replay buffer on disk: at each snapshot a file of the rows that are new since the one before.

A buffer of Stable-Baselines3 is a ring of rows, a row a step of all environments. The newest
segments that together cover the ring restore it; older ones are deleted once a snapshot that does
not need them stands.

That only the new is written holds for the transitions. What a buffer keeps beyond them (its own
`get_state`) goes into each snapshot whole: of a prioritized one all priorities, 8 bytes a
transition, since any of them may have changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.buffers import DictReplayBuffer, NStepReplayBuffer, ReplayBuffer

from agents.model_file import sync_to_disk
from agents.snapshot_file import SnapshotError, read_state, write_state

PATTERN = "replay-*.safetensors"

_RINGS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
# Buffers whose state is those arrays, the place in them, and nothing else.
_PLAIN = (ReplayBuffer, DictReplayBuffer, NStepReplayBuffer)


def check_buffer(buffer: ReplayBuffer) -> None:
    """Raise ``TypeError`` for a buffer whose state cannot be known to be complete."""
    if type(buffer) not in _PLAIN and not _has_own_state(buffer):
        raise TypeError(
            f"{type(buffer).__name__} may keep more than Stable-Baselines3's {', '.join(_RINGS)}: "
            "give it get_state() and set_state(state) for the rest, as arrays and plain values"
        )


class ReplaySegments:
    """The segments of one buffer in one folder.

    Args:
        folder: which exists.
        described: what `write` returned for the snapshot to go on from; None at the beginning.
    """

    def __init__(self, folder: Path, described: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self._segments: list[dict[str, Any]] = []  # oldest first
        self._added: int | None = None  # rows, in all, at the last snapshot
        self._pos = 0
        if described is not None:
            self._segments = list(described["segments"])
            self._added, self._pos = described["added"], described["pos"]
        # Not known to outlast a power failure.
        self._unsynced = self._needed

    def write(self, buffer: ReplayBuffer, added: int, *, sync: bool = False) -> dict[str, Any]:
        """Write the rows that are new, and describe the buffer.

        Args:
            buffer: the same each time.
            added: rows that were ever added to it.
            sync: Return once all segments that the buffer needs, also those written before, would
                outlast a power failure. (The names of the latter do so with the file that is to
                hold the description, once that is forced to disk in the same folder.)

        Returns:
            What `restore` needs, for `agents.snapshot_file.write_state`.
        """
        first, count = self._new_rows(buffer, added)
        if count:
            # With one array for both, the last row's next observation lies in the row after it.
            overlap = int(buffer.optimize_memory_usage)
            rows = (first + np.arange(min(count + overlap, buffer.buffer_size))) % (
                buffer.buffer_size
            )
            name = PATTERN.replace("*", f"{added:012d}")
            arrays = {ring: array[rows] for ring, array in _rings(buffer).items()}
            write_state(self.folder / name, {"rows": rows, "arrays": arrays}, sync=sync)
            self._segments.append({"file": name, "rows": count})
            if not sync:
                self._unsynced.add(name)
        self._segments = _covering(self._segments, buffer.size())
        self._unsynced &= self._needed
        if sync:
            for name in sorted(self._unsynced):
                sync_to_disk(self.folder / name)
            self._unsynced.clear()
        self._added, self._pos = added, buffer.pos
        return {
            "added": added,
            "pos": buffer.pos,
            "full": buffer.full,
            "segments": list(self._segments),
            "own": buffer.get_state() if _has_own_state(buffer) else None,  # type: ignore[attr-defined]
        }

    @property
    def _needed(self) -> set[str]:
        return {segment["file"] for segment in self._segments}

    def restore(self, buffer: ReplayBuffer, described: Mapping[str, Any]) -> None:
        """Fill a new buffer with what `write` described.

        Raises:
            SnapshotError: if a segment is missing, damaged, or of a buffer of other arrays.
        """
        rings = _rings(buffer)
        for segment in described["segments"]:
            path = self.folder / segment["file"]
            content = read_state(path)
            rows, arrays = content["rows"], content["arrays"]
            for name, ring in rings.items():
                expected = (ring.dtype, (len(rows), *ring.shape[1:]))
                given = arrays.get(name)
                if given is None or (given.dtype, given.shape) != expected:
                    raise SnapshotError(
                        f"{path}: expected {name} of {expected[0]} and shape {expected[1]}, found "
                        + ("none" if given is None else f"{given.dtype} and {given.shape}")
                    )
                ring[rows] = given
        buffer.pos, buffer.full = described["pos"], described["full"]
        if described["own"] is not None:
            buffer.set_state(described["own"])  # type: ignore[attr-defined]

    def _new_rows(self, buffer: ReplayBuffer, added: int) -> tuple[int, int]:
        """Return the first row that is new, and how many are."""
        size = buffer.size()
        if self._added is not None:
            new = added - self._added
            # Otherwise something else has been at the buffer.
            if 0 <= new <= size and (self._pos + new) % buffer.buffer_size == buffer.pos:
                return self._pos, new
        return (buffer.pos if buffer.full else 0), size


def delete_segments(folder: Path, *, but: Iterable[Mapping[str, Any]]) -> None:
    """Delete the segments that none of some buffers, as `ReplaySegments.write` described, needs."""
    needed = {segment["file"] for described in but for segment in described["segments"]}
    for path in folder.glob(PATTERN):
        if path.name not in needed:
            path.unlink()


def _covering(segments: list[dict[str, Any]], size: int) -> list[dict[str, Any]]:
    """Return the newest segments that together hold so many rows."""
    start = len(segments)
    while start and size > 0:
        start -= 1
        size -= segments[start]["rows"]
    return segments[start:]


def _rings(buffer: ReplayBuffer) -> dict[str, NDArray[Any]]:
    """Return the arrays of a buffer, (buffer_size, n_envs, ...) each, by name."""
    rings: dict[str, NDArray[Any]] = {}
    for name in _RINGS:
        value: Any = getattr(buffer, name, None)
        if isinstance(value, dict):
            rings |= {f"{name}.{key}": array for key, array in value.items()}
        elif value is not None:
            rings[name] = value
    return rings


def _has_own_state(buffer: ReplayBuffer) -> bool:
    return hasattr(buffer, "get_state") and hasattr(buffer, "set_state")
