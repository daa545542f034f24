"""Measure how long it takes from a press to the next track, in a browser or through the API.

python -m player.press_times --presses 100
python -m player.press_times --api --tracks 1000000 --timesteps 3000

Starts a player of its own, whose listeners are kept nowhere; ``--address`` measures one that runs.

In the browser the page measures itself (by User Timing): ``press-to-next`` is from the press to the
end of the frame that shows the next track, with the request, learning and the disk in between;
``press-to-artwork`` is until its picture can be drawn as well. Through the API it is from sending
the press to its answer. Of that the server tells its own part (``Server-Timing``), and how much of
it was processor time, which is the same on a busy machine. With ``--at-most`` the exit status is 1
where a median press takes longer.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import numpy as np

from player.chromium import PATIENCE, chromium, press
from player.client import Client
from player.server_process import ProcessCost, ServerProcess, player_process
from player.settings import DATA, PlayerSettings

MEASURES = ("press-to-next", "press-to-artwork")

_MEASURED = "name => performance.getEntriesByName(name).map((entry) => entry.duration)"
_SERVER = """() => performance.getEntriesByType('resource')
  .filter((entry) => entry.name.endsWith('/api/press'))
  .map((entry) => Object.fromEntries(entry.serverTiming.map((part) => [part.name, part.duration])))
"""

Times = Mapping[str, Sequence[float]]
"""What was measured -> the times [ms], a press each."""


def browser_times(address: str, presses: int) -> Times:
    """Return what a new listener's presses took in a browser, every third a Like."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        page.locator("#facts li").first.wait_for()
        page.evaluate(f"performance.setResourceTimingBufferSize({100 * presses + 1000})")
        for number in range(presses):
            press(page, liked=number % 3 == 0)
        page.wait_for_load_state("networkidle")
        found = {name: page.evaluate(_MEASURED, name) for name in MEASURES}
        return {**found, **_by_name(page.evaluate(_SERVER))}


def api_times(address: str, presses: int) -> Times:
    """Return what a new listener's presses took through the API, every third a Like.

    Raises:
        RuntimeError: there are not so many tracks.
    """
    client = Client(address)
    seconds, parts = [], []
    try:
        state = client.introduce()
        for number in range(presses):
            if state["track"] is None:
                raise RuntimeError(f"no track is left after {number} presses")
            started = perf_counter()
            _, state = client.press(state["track"]["key"], number % 3 == 0)
            seconds.append(1e3 * (perf_counter() - started))
            parts.append(client.server_timing)
    finally:
        client.close()
    return {"press-to-answer": seconds, **_by_name(parts)}


def _by_name(parts: Sequence[Mapping[str, float]]) -> Times:
    names = dict.fromkeys(name for part in parts for name in part)
    return {f"server: {name}": [part[name] for part in parts if name in part] for name in names}


def lines(times: Times) -> list[str]:
    """Return medians and the slow ones for reading."""
    width = max(map(len, times))
    found = []
    for name, values in times.items():
        if not len(values):
            continue
        median, slow, slowest = np.percentile(values, (50, 95, 100))
        found.append(
            f"{name:{width}}  {len(values)} presses: median {median:.1f} ms, 95 % within "
            f"{slow:.1f} ms, slowest {slowest:.1f} ms"
        )
    return found


def too_slow(times: Times, at_most: float | None) -> str | None:
    """Return what is wrong where the median of the first measure is above a limit [ms]."""
    name, values = next(iter(times.items()))
    median = float(np.median(values)) if len(values) else float("nan")
    if at_most is None or median <= at_most:  # nothing measured is above any limit
        return None
    return f"{name}: median {median:.1f} ms, at most {at_most:g} ms asked for"


@contextmanager
def _own(arguments: argparse.Namespace) -> Iterator[ServerProcess]:
    """Start a player with the policy of the data folder, and listeners in one that is deleted."""
    from player.soak import policy_arguments

    with tempfile.TemporaryDirectory() as folder:
        catalogue, data = arguments.catalogue, arguments.data
        if arguments.tracks is not None:
            try:
                from bench.million import make_catalogue
            except ImportError as error:
                raise SystemExit(
                    f"press_times: --tracks needs the folder bench and pyarrow ({error}): "
                    "run it in the project, or give a --catalogue"
                ) from error

            catalogue = make_catalogue(arguments.tracks, Path(folder) / "made_up.parquet")
            data = data / f"made-up-{arguments.tracks}"
        settings = PlayerSettings(catalogue=catalogue, data=data, timesteps=arguments.timesteps)
        given = policy_arguments(settings)
        log = Path(folder) / "server.log"
        started = perf_counter()
        with player_process("--data", folder, *given, log=log) as server:
            print(f"ready {perf_counter() - started:.1f} s after the command", file=sys.stderr)
            yield server


def main() -> int:
    """Parse the command line, print what was measured; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--address", help="of a player that runs; one is started if not given")
    add("--presses", type=int, default=100, help="(default: %(default)s)")
    add("--api", action="store_true", help="through the API, without a browser")
    add("--catalogue", type=Path, help="tracks; the embedded catalogue if not given")
    add("--tracks", type=int, metavar="N", help="a made-up catalogue of N tracks (bench.million)")
    add("--data", type=Path, default=DATA, help="folder of the policy (default: %(default)s)")
    add("--timesteps", type=int, help="tracks to judge where the policy has to be trained first")
    add(
        "--at-most",
        type=float,
        metavar="MS",
        help="exit with status 1 where the median of press-to-next, or press-to-answer, is above",
    )
    arguments = parser.parse_args()
    if arguments.presses < 1:
        parser.error(f"--presses must be at least 1, got {arguments.presses}")
    if arguments.at_most is not None and not arguments.at_most > 0:
        parser.error(f"--at-most must be above 0 ms, got {arguments.at_most}")
    measure = api_times if arguments.api else browser_times
    if arguments.address is not None:
        times = measure(arguments.address, arguments.presses)
        print("\n".join(lines(times)))
        return _verdict(times, arguments.at_most)
    with _own(arguments) as server:
        before = ProcessCost.of(server.pid)
        times = measure(server.address, arguments.presses)
        after = ProcessCost.of(server.pid)
        print("\n".join(lines(times)))
        if before is not None and after is not None:
            print(
                f"server: {1e3 * (after.cpu - before.cpu) / arguments.presses:.1f} ms of processor "
                f"time a press, with what it does besides; at most {after.memory:.0f} MB"
            )
    return _verdict(times, arguments.at_most)


def _verdict(times: Times, at_most: float | None) -> int:
    wrong = too_slow(times, at_most)
    if wrong is None:
        return 0
    print(f"press_times: {wrong}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
