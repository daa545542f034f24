"""Debian's Chromium, for what has to be seen in a browser: screenshots and the time of a press."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")

ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
"""The last one keeps the browser from asking its maker's hosts for anything."""

PATIENCE = 120_000
"""[ms] A limit for slow machines, never a pause."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser without a window, and end it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=ARGUMENTS, timeout=3 * PATIENCE
        )
        yield browser
        browser.close()


def press(page: Page, *, liked: bool) -> None:
    """Press one of the two buttons, and wait for the next track."""
    from playwright.sync_api import expect

    count = page.locator("#history-count").text_content() or "0"
    page.locator("#like" if liked else "#dislike").click()
    expect(page.locator("#history-count")).not_to_have_text(count, timeout=PATIENCE)
