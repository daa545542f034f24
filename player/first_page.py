"""Measure how long it takes from the command to the first page.

python -m player.first_page --starts 5

Starts ``recommend.py`` in a folder of its own and asks for the page, with all scripts, styles and
pictures that it names, until they are there. It is served before torch is loaded, the catalogue
read or a policy trained; whether torch was there is looked up in the process's memory map (Linux).
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from player.server_process import ProcessCost, ServerProcess, free_port, player_command

ASKED = 3.0
"""[s] From the command to the first page."""

LOOK_EVERY = 0.01
"""[s] Between two attempts to reach the server."""

_NAMED = re.compile(rb'(?:href|src)="(/static/[^"]+)"')
_IMPORTED = re.compile(rb'from "\./([a-z]+\.js)"')


@dataclass(frozen=True)
class FirstPage:
    """What one start took.

    Attributes:
        seconds: from the command to the page with all that it names [s].
        cost: of the server's process when the page itself was there; None where the system has no
            ``/proc``.
        files: how many were fetched.
    """

    seconds: float
    cost: ProcessCost | None
    files: int


def first_page(server: ServerProcess, *, patience: float = 600.0) -> FirstPage:
    """Start a server, and return what the first page took.

    Args:
        server: not started yet.
        patience: [s] to wait for it.

    Raises:
        TimeoutError: the page does not come.
    """
    began = time.perf_counter()
    server.start()
    page = _fetched(server, "/", began + patience)
    cost = ProcessCost.of(server.pid)
    left, seen = set(_NAMED.findall(page)), set[bytes]()
    while left:
        path = left.pop()
        seen.add(path)
        content = _fetched(server, path.decode(), began + patience)
        left |= {b"/static/" + name for name in _IMPORTED.findall(content)} - seen
    return FirstPage(time.perf_counter() - began, cost, len(seen) + 1)


def _fetched(server: ServerProcess, path: str, end: float) -> bytes:
    while True:
        try:
            with urllib.request.urlopen(server.address + path, timeout=60) as answer:
                content: bytes = answer.read()
                return content
        except ConnectionError:
            pass
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionError):
                raise
        if time.perf_counter() > end:
            raise TimeoutError(f"{path} has not come: {server.complaints()}")
        time.sleep(LOOK_EVERY)


def main() -> int:
    """Start the player several times, print what the first page took; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--starts", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--catalogue", type=Path, help="the embedded catalogue if not given")
    arguments = parser.parse_args()
    if arguments.starts < 1:
        parser.error(f"--starts must be at least 1, got {arguments.starts}")
    given = [] if arguments.catalogue is None else ["--catalogue", arguments.catalogue]
    found = []
    for _ in range(arguments.starts):
        with tempfile.TemporaryDirectory() as folder:
            command = player_command("--data", folder, *given)
            server = ServerProcess(command, free_port(), Path(folder) / "log")
            try:
                found.append(first_page(server))
            finally:
                server.stop()
    seconds = [one.seconds for one in found]
    print(
        f"command to first page ({found[0].files} files), {len(found)} starts: median "
        f"{np.median(seconds):.2f} s, slowest {max(seconds):.2f} s (asked: {ASKED:g} s)"
    )
    costs = [one.cost for one in found if one.cost is not None]
    if costs:
        cpu = np.median([cost.cpu for cost in costs])
        print(
            f"processor time of the server until the page itself: median {cpu:.2f} s; "
            f"torch was loaded in {sum(cost.has_torch for cost in costs)} of {len(costs)} starts"
        )
    return 0 if np.median(seconds) <= ASKED else 1


if __name__ == "__main__":
    sys.exit(main())
