"""The logs of a run's folder, which only ever grow: how long they are, and cutting them back.

A step that training repeats after it was killed must not stand in them twice. TensorBoard's own
means against that, ``purge_step``, only hides the first ones from its own page.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from agents.runs import PROGRESS
from agents.snapshot_file import SnapshotError

EVENTS = "events.out.tfevents*"


def log_files(run: Path) -> list[Path]:
    """Return ``progress.csv`` and TensorBoard's event files, as far as they exist."""
    return [*run.glob(PROGRESS), *sorted(run.glob(EVENTS))]


def cut_logs(run: Path, sizes: Mapping[str, int]) -> None:
    """Cut a run's logs to some sizes [bytes], and delete those that have none.

    A kill in between leaves files of which each is as long as before or as wanted: cutting again
    completes it.

    Raises:
        SnapshotError: if a file is missing or shorter; then nothing is changed.
    """
    for name, size in sizes.items():
        path = run / name
        found = path.stat().st_size if path.is_file() else None
        if found is None or found < size:
            raise SnapshotError(
                f"{path} must have at least the {size} bytes that it had at the snapshot, "
                + ("but is missing" if found is None else f"but has {found}")
                + ": it was changed since, and the run cannot go on from there"
            )
    for path in log_files(run):
        if path.name in sizes:
            os.truncate(path, sizes[path.name])
        else:
            path.unlink()
