"""One process at a time trains in a run's folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agents.runs import RunError


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a run's folder, which exists, against whatever else would train in it.

    The lock is the system's on the folder itself: it leaves no file behind, outlasts the replacing
    of every file within, and goes with the process, however that ends. Windows and some network
    file systems cannot lock a folder; there nothing is held.

    Raises:
        RunError: if another process holds it.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl  # which Windows does not have

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"another process is training in {folder}: wait until it has ended or stop it, or "
                "choose another folder"
            ) from None
        except OSError:
            pass  # as NFS says of a folder
        yield
    finally:
        os.close(descriptor)
