"""A player in a process of its own, for what is measured from outside, and may be killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from player.client import PATIENCE, Client

RECOMMEND = Path(__file__).resolve().parents[1] / "recommend.py"

LOOK_EVERY = 0.05
"""[s] Between two looks whether a server that was started answers."""


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def player_command(*arguments: str | Path) -> list[str]:
    """Return the command line of ``recommend.py`` with some arguments."""
    return [sys.executable, str(RECOMMEND), *map(str, arguments)]


class ServerProcess:
    """A server that is started, killed, and started again; as a context manager it ends with it.

    Args:
        command: that starts it, without the port.
        port: that it is told behind the command: ``port_option`` and the number.
        log: the file for what it writes to standard error, appended to.
        port_option: what comes before the number; empty: nothing.
    """

    def __init__(
        self, command: Sequence[str], port: int, log: Path, *, port_option: str = "--port"
    ) -> None:
        self.command = [*command, *filter(None, [port_option]), str(port)]
        self.address = f"http://127.0.0.1:{port}"
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, without waiting until it answers.

        Raises:
            RuntimeError: it runs already.
        """
        if self._process is not None:
            raise RuntimeError(f"the server runs already, as process {self._process.pid}")
        here = str(RECOMMEND.parent)
        path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        """Of the running process."""
        return self._running().pid

    def kill(self) -> None:
        """End it at once, as ``kill -9`` does: it can save nothing."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, as Ctrl-C does, and wait for that."""
        self._end(signal.SIGINT)

    def ready(self, *, seconds: float = PATIENCE) -> None:
        """Wait until it is there with both learners.

        Raises:
            RuntimeError: it has ended, or will not be ready, or not in this time.
        """
        end = time.monotonic() + seconds
        client = Client(self.address)
        try:
            while True:
                if self._running().poll() is not None:
                    raise RuntimeError(f"the server has ended: {self.complaints()}")
                try:
                    client.wait(seconds=max(0.0, end - time.monotonic()))
                    return
                except ConnectionError:
                    if time.monotonic() > end:
                        raise RuntimeError("the server does not come up") from None
                    time.sleep(LOOK_EVERY)
        finally:
            client.close()

    def complaints(self) -> str:
        """Return what it has written to standard error, empty where all is well."""
        return self.log.read_text(encoding="utf-8", errors="replace").strip()

    def __enter__(self) -> ServerProcess:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it, however the block ended."""
        if self._process is not None:
            self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server was not started")
        return self._process

    def _end(self, how: signal.Signals) -> None:
        process = self._running()
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdin is not None
        process.stdin.close()
        self._process = None


@dataclass(frozen=True)
class ProcessCost:
    """What a process has taken so far.

    Attributes:
        cpu: [s] of all its threads, user and system.
        memory: [MB] resident at the most.
        has_torch: whether torch's library is in it.
    """

    cpu: float
    memory: float
    has_torch: bool

    @classmethod
    def of(cls, pid: int) -> ProcessCost | None:
        """Return that of a process; None where the system has no ``/proc``."""
        folder = Path("/proc") / str(pid)
        try:
            # The name, in brackets, may hold anything: what follows it is counted from its end.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            status = (folder / "status").read_text().splitlines()
            maps = (folder / "maps").read_text()
        except OSError:
            return None
        peak = next((line.split()[1] for line in status if line.startswith("VmHWM:")), "nan")
        ticks = os.sysconf("SC_CLK_TCK")
        cpu = (int(fields[11]) + int(fields[12])) / ticks
        return cls(cpu, float(peak) * 1024 / 1e6, "libtorch" in maps)


@contextmanager
def player_process(*arguments: str | Path, log: Path) -> Iterator[ServerProcess]:
    """Start ``recommend.py`` with some arguments on a free port, and yield it once it is ready."""
    with ServerProcess(player_command(*arguments), free_port(), log) as server:
        server.ready()
        yield server
