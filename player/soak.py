"""Many listeners at once, and kill -9 in the middle: is every acknowledged press there afterwards?

python -m player.soak --listeners 50 --minutes 10

Starts ``recommend.py`` as a process of its own and lets simulated listeners press through the API,
each as fast as it is answered. After half of the time the server is killed, started again on the
same listeners, and all go on. Each compares its history with what was acknowledged: when the server
is back, and at the end. The exit status is 1 where anything was lost, mixed up, or an error,
and where all had judged every track before the time was over.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from player.server_process import ProcessCost, ServerProcess, free_port, player_command
from player.settings import DATA, PlayerSettings
from player.simulate import Taste, tastes
from player.soak_listener import Outage, SoakListener

MAX_FAULTS = 10
"""Shown, of those that are not lost or mixed up."""


@dataclass(frozen=True)
class SoakReport:
    """What all listeners met.

    Attributes:
        listeners: they.
        seconds: from the first press to the last [s].
        outage: of these without a server [s].
        costs: of the server before the kill, and after it.
        complaints: what the server wrote to standard error.
        is_filled: whether anybody still pressed when the time was over.
    """

    listeners: Sequence[SoakListener]
    seconds: float
    outage: float
    costs: Sequence[ProcessCost]
    complaints: str = ""
    is_filled: bool = True

    @property
    def has_failed(self) -> bool:
        """Whether anything went wrong, or the time was not filled: then it shows too little."""
        return any(self.wrong.values()) or not self.is_filled

    @property
    def wrong(self) -> dict[str, int]:
        """What went wrong -> how often."""
        found = [c for listener in self.listeners for c in listener.comparisons]
        return {
            "lost": sum(c.lost for c in found),
            "mixed up": sum(c.mixed for c in found),
            "repeated": sum(c.repeated for c in found),
            "out of order": sum(not c.is_in_order for c in found),
            "other faults": sum(len(x.faults) for x in self.listeners) + bool(self.complaints),
        }

    @property
    def presses(self) -> int:
        """Acknowledged, also those taken back."""
        return sum(listener.presses for listener in self.listeners)

    def lines(self) -> list[str]:
        """Return it for reading."""
        kept = sum(len(listener.acknowledged) for listener in self.listeners)
        rate = self.presses / max(self.seconds - self.outage, 1e-9)
        lines = [
            f"{len(self.listeners)} listeners, {self.seconds:.0f} s; killed in the middle, ready "
            f"again after {self.outage:.1f} s",
            f"presses acknowledged: {self.presses:,}, {rate:.1f} a second; "
            f"{self.presses - kept:,} of them taken back",
        ]
        times = np.concatenate([listener.seconds for listener in self.listeners]) * 1e3
        if times.size:
            median, slow, slower, slowest = np.percentile(times, (50, 95, 99, 100))
            lines.append(
                f"press to answer: median {median:.0f} ms, 95 % within {slow:.0f} ms, 99 % within "
                f"{slower:.0f} ms, slowest {slowest:.0f} ms"
            )
        if self.costs and self.presses:
            cpu = sum(cost.cpu for cost in self.costs)
            lines.append(
                f"server: {cpu:.1f} s of processor time with both starts, "
                f"{cpu / self.presses * 1e3:.1f} ms a press; at most "
                f"{max(cost.memory for cost in self.costs):.0f} MB"
            )
        lines.append(", ".join(f"{what} {count}" for what, count in self.wrong.items()))
        if not self.is_filled:
            lines.append(
                "the time was not filled: every listener had judged all tracks, or had failed, "
                f"after {self.seconds:.0f} s. Take a larger --catalogue, a --pause, or less time"
            )
        faults = [fault for listener in self.listeners for fault in listener.faults]
        lines += [f"fault: {fault}" for fault in faults[:MAX_FAULTS]]
        if self.complaints:
            lines.append(f"the server wrote: {self.complaints[-2000:]}")
        return lines


def soak(
    server: ServerProcess,
    listeners: Sequence[Taste],
    *,
    seconds: float,
    pause: float = 0.0,
    least: int = 0,
) -> SoakReport:
    """Let listeners press at a server, which is killed and started again after half of the time.

    Args:
        server: started.
        listeners: all at once.
        seconds: in all [s].
        pause: of each between two presses, on average [s].
        least: presses to wait for before the kill, and after it, though it takes longer.

    Raises:
        RuntimeError: the server does not come up.
    """
    server.ready()
    outage, is_over = Outage(), threading.Event()
    everybody = [
        SoakListener(server.address, number, taste, outage)
        for number, taste in enumerate(listeners)
    ]
    costs: list[ProcessCost | None] = []

    def wait(until: float, presses: int) -> bool:
        """Whether it lasted: else nobody has anything left to press on."""
        while time.monotonic() < until or sum(one.presses for one in everybody) < presses:
            if all(future.done() for future in running):
                return False
            time.sleep(min(0.1, max(0.01, until - time.monotonic())))
        return True

    started = time.monotonic()
    with ThreadPoolExecutor(len(everybody)) as pool:
        running = [pool.submit(one.run, is_over.is_set, pause) for one in everybody]
        try:
            lasted = wait(started + seconds / 2, least)
            costs.append(ProcessCost.of(server.pid))
            outage.begin()
            killed = time.monotonic()
            server.kill()
            server.start()
            server.ready()
            without = time.monotonic() - killed
            outage.end()
            before = sum(one.presses for one in everybody)
            end = max(started + seconds, time.monotonic() + seconds / 4)
            lasted = wait(end, before + least) and lasted
        finally:
            outage.end()  # nobody waits for a server that does not come back
            is_over.set()
        for future in running:
            future.result()
    took = time.monotonic() - started
    costs.append(ProcessCost.of(server.pid))
    known = [cost for cost in costs if cost is not None]
    return SoakReport(everybody, took, without, known, server.complaints(), lasted)


def main() -> int:
    """Parse the command line, soak; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--listeners", type=int, default=50, help="at once (default: %(default)s)")
    add("--minutes", type=float, default=10.0, help="in all (default: %(default)s)")
    add("--pause", type=float, default=0.0, help="mean seconds between presses of a listener")
    add("--catalogue", type=Path, help="tracks; the embedded catalogue if not given")
    add("--data", type=Path, default=DATA, help="folder of the policy (default: %(default)s)")
    add("--seed", type=int, default=0, help="which listeners (default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.listeners < 1 or arguments.minutes <= 0 or arguments.pause < 0:
        parser.error("--listeners must be at least 1, --minutes above 0, --pause at least 0")
    settings = PlayerSettings(catalogue=arguments.catalogue, data=arguments.data)
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(
            player_command("--data", folder, *policy_arguments(settings)),
            free_port(),
            Path(folder) / "server.log",
        )
        with server:
            report = soak(
                server,
                tastes(settings, arguments.listeners, arguments.seed),
                seconds=60 * arguments.minutes,
                pause=arguments.pause,
            )
    print("\n".join(report.lines()))
    return 1 if report.has_failed else 0


def policy_arguments(settings: PlayerSettings) -> list[str | Path]:
    """Return the arguments by which a server uses the policy of a data folder.

    It is trained first where there is none; the listeners in that folder stay out of it.
    """
    from music_env.tables import load_catalogue
    from player.policy import policy_folder

    own = settings.data / load_catalogue(settings.catalogue).checksum[:12]
    shown = ""

    def tell(_: float, text: str) -> None:
        nonlocal shown
        if text != shown:
            print(text, file=sys.stderr, flush=True)
        shown = text

    found: list[str | Path] = ["--run", policy_folder(settings, own, tell)]
    if settings.catalogue is not None:
        found += ["--catalogue", settings.catalogue]
    return found


if __name__ == "__main__":
    sys.exit(main())
