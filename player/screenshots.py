"""Take the screenshots in ``docs/`` of a player that is running.

python recommend.py &
python -m player.screenshots
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from player.chromium import PATIENCE, chromium, press

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SIZES = {"desktop": (1280, 800), "phone": (390, 844)}  # [pixels]

PRESSES = 24
"""Before the picture is taken."""

TASTE = ("rock", "metal")
"""Genres that the person in the pictures likes."""


def take(browser: Browser, address: str, size: str, scheme: Any, path: Path) -> None:
    """Visit the page, press as somebody with a taste, and take a picture."""
    width, height = SIZES[size]
    page = browser.new_page(
        viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=1
    )
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    page.locator("#facts li").first.wait_for()
    for _ in range(PRESSES):
        press(page, liked=_likes(page))
    page.locator("#history-list li").nth(PRESSES - 1).wait_for(state="attached")
    page.wait_for_load_state("networkidle")
    page.mouse.move(0, 0)
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=path)
    page.close()


def _likes(page: Page) -> bool:
    return any(genre in TASTE for genre in page.locator("#facts li").all_text_contents())


def main() -> None:
    """Take all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="http://127.0.0.1:8000/")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--size", choices=SIZES, action="append", help="both if not given")
    arguments = parser.parse_args()
    with chromium() as browser:
        for size in arguments.size or SIZES:
            for scheme in ("light", "dark"):
                path = arguments.out / f"player_{size}_{scheme}.png"
                take(browser, arguments.address, size, scheme, path)
                print(path)


if __name__ == "__main__":
    main()
