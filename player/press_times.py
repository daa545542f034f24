"""Measure in a browser how long it takes from a press to the next track on the screen.

python recommend.py &
python -m player.press_times --presses 100

The page measures it itself (``press-to-next`` of the browser's User Timing): from the press to the
end of the frame that shows the next track, with the request, learning and the disk in between.
"""

from __future__ import annotations

import argparse

import numpy as np

from player.chromium import PATIENCE, chromium, press

MEASURED = "performance.getEntriesByName('press-to-next').map((entry) => entry.duration)"


def press_times(address: str, presses: int) -> list[float]:
    """Return the times [ms] of presses, every third a Like, of a new listener."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        page.locator("#facts li").first.wait_for()
        for number in range(presses):
            press(page, liked=number % 3 == 0)
        page.wait_for_load_state("networkidle")
        times: list[float] = page.evaluate(MEASURED)
    return times


def main() -> None:
    """Print the median and the slow ones."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--address", default="http://127.0.0.1:8000/")
    parser.add_argument("--presses", type=int, default=100)
    arguments = parser.parse_args()
    times = press_times(arguments.address, arguments.presses)
    median, slow, slowest = np.percentile(times, (50, 95, 100))
    print(
        f"press to next track, {len(times)} presses: median {median:.0f} ms, "
        f"95 % within {slow:.0f} ms, slowest {slowest:.0f} ms"
    )


if __name__ == "__main__":
    main()
