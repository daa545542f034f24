"""The server is killed under a page that somebody looks at, and started again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

for module in ("fastapi", "uvicorn", "jinja2", "playwright"):
    pytest.importorskip(module, reason=f"needs {module}: install the extras player and dev")

from player_page import Visit, has_pressed  # noqa: E402
from player_server import rule_server, tracks_frame  # noqa: E402
from playwright.sync_api import Page, expect  # noqa: E402

from player.chromium import CHROMIUM, PATIENCE, chromium  # noqa: E402

if not CHROMIUM.is_file():
    pytest.skip("needs Debian's package chromium", allow_module_level=True)


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    expect.set_options(timeout=PATIENCE)
    yield
    expect.set_options(timeout=5_000)


def state_of(page: Page) -> dict[str, Any]:
    """What the server says to this page's listener, with what both learners expect."""
    found: dict[str, Any] = page.evaluate("fetch('/api/state').then((answer) => answer.json())")
    return found


@pytest.mark.slow
def test_the_page_comes_back_by_itself_after_kill_9(tmp_path: Path) -> None:
    catalogue = tmp_path / "tracks.csv"
    tracks_frame(60).to_csv(catalogue, index=False)
    server = rule_server(catalogue, tmp_path / "data")
    with chromium() as browser, server:
        server.ready()
        one = Visit(browser, server.address)
        page = one.page
        page.evaluate("window.wasNotLoadedAgain = true")
        for number, key in enumerate("ldl", 1):
            page.keyboard.press(key)
            has_pressed(page, number)
        before, (cookie,) = state_of(page), one.context.cookies()
        assert before["presses"] == 3
        title = page.locator("#title").text_content()

        server.kill()
        page.keyboard.press("l")
        expect(page.locator("#notice")).to_contain_text("does not answer")
        assert one.errors and all("Failed to load resource" in error for error in one.errors)
        server.start()
        # It is said for a few seconds, which may be over when the server is ready.
        again = "The player answers again."
        expect(page.locator("#notice")).to_have_text(again, timeout=3 * PATIENCE)
        has_pressed(page, 4)  # the press that had no answer
        server.ready()
        expect(page.locator("#liked-count")).to_have_text("3")
        expect(page.locator("#liked-list li")).to_have_count(3)
        expect(page.locator("#liked-list li").first).to_contain_text(str(title))
        expect(page.locator("#learnt")).to_contain_text("After 4 presses")

        page.keyboard.press("u")  # what is learnt now is what was learnt before, to the bit
        has_pressed(page, 3)
        expect(page.locator("#title")).to_have_text(str(title))
        assert state_of(page) == before
        (after,) = one.context.cookies()
        assert (after["name"], after["value"]) == (cookie["name"], cookie["value"])
        assert page.evaluate("window.wasNotLoadedAgain")
        one.context.close()
