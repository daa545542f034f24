"""The page as axe sees it, in both colour schemes, wide and narrow: it finds nothing to mend."""

from __future__ import annotations

from collections.abc import Callable

import pytest

for module in ("fastapi", "uvicorn", "jinja2", "playwright", "axe_playwright_python"):
    pytest.importorskip(module, reason=f"needs {module}: install the extras player and dev")

from axe_playwright_python.sync_playwright import Axe  # noqa: E402
from player_page import NARROW, WIDE, Visit, has_pressed  # noqa: E402
from playwright.sync_api import Page, Route, expect  # noqa: E402

from player.chromium import CHROMIUM  # noqa: E402

if not CHROMIUM.is_file():
    pytest.skip("needs Debian's package chromium", allow_module_level=True)


def axe_finds_nothing(page: Page, place: str) -> None:
    """Nor is the page wider than the window."""
    found = Axe().run(page)
    assert found.violations_count == 0, f"{place}: {found.generate_report()}"
    assert page.viewport_size is not None
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"], f"{place} is {width} px wide"


@pytest.mark.parametrize(
    ("viewport", "scheme"), [(WIDE, "dark"), (NARROW, "light")], ids=["wide", "narrow"]
)
def test_axe_finds_nothing_in_what_comes_now_and_then(
    visit: Callable[..., Visit], viewport: dict[str, int], scheme: str
) -> None:
    """A generated track, what the page says of waiting and training, and Spotify's frame."""
    one = visit(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    page = one.page
    page.keyboard.press("g")
    expect(page.locator("#title")).to_have_text("Made for you 1")
    expect(page.get_by_role("link", name="MIDI")).to_be_visible()
    axe_finds_nothing(page, "a generated track")
    page.keyboard.press("l")
    has_pressed(page, 1)
    page.keyboard.press("u")
    expect(page.locator("#notice")).to_contain_text("Taken back")
    axe_finds_nothing(page, "a message")
    page.route("**/api/press", lambda route: route.abort())
    page.keyboard.press("l")
    expect(page.locator("#notice")).to_contain_text("does not answer")
    expect(page.get_by_role("button", name="Try now")).to_be_visible()
    axe_finds_nothing(page, "a message of waiting")
    page.get_by_role("button", name="Try now").click()  # it is there as long as nothing is answered
    page.unroute("**/api/press")
    has_pressed(page, 1)

    def training(route: Route) -> None:
        answer = route.fetch()
        told = {"phase": "training", "progress": 0.42, "message": "42 of 100 tracks judged"}
        route.fulfill(response=answer, json={**answer.json(), **told})

    page.route("**/api/status", training)
    frame = '<html lang="en"><title>Spotify</title><main><h1>A player</h1></main></html>'
    page.route(
        "https://open.spotify.com/embed/**",
        lambda route: route.fulfill(body=frame, content_type="text/html"),
    )
    page.get_by_role("button", name="Settings and keys").click()
    page.get_by_role("switch", name="Spotify").click()
    expect(page.locator("html")).to_have_attribute("data-spotify", "on")  # the page comes anew
    inside = page.frame_locator('iframe[title="Spotify\'s player"]')
    page.locator("#spotify").scroll_into_view_if_needed()  # it is loaded lazily
    expect(inside.get_by_role("heading")).to_have_text("A player")
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "0.42")
    axe_finds_nothing(page, "the training, and Spotify's player")
    assert not [error for error in one.errors if "Failed to load resource" not in error]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_axe_finds_nothing(
    visit: Callable[..., Visit], viewport: dict[str, int], scheme: str
) -> None:
    one = visit(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    page = one.page

    def check(place: str) -> None:
        axe_finds_nothing(page, place)

    assert page.evaluate(
        "getComputedStyle(document.querySelector('#like')).transitionDuration"
    ) in (
        "0s",
        "1e-05s",
    )
    for number in range(1, 5):
        page.locator("#like" if number % 2 else "#dislike").click()
        has_pressed(page, number)
    expect(page.locator("#learnt svg[role=img]")).to_have_count(2)
    page.get_by_role("tab", name="History").click()
    expect(page.locator("#history-list li")).to_have_count(4)
    check("a track")
    page.locator("#artist").click()
    expect(page.locator("#artist-list [role=option]").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    check("the list of artists")
    page.keyboard.press("Escape")
    page.get_by_label("Danceability at most").fill("0")
    expect(page.locator("#none-left")).to_be_visible()
    check("nothing left")
    page.locator("#open-settings").click()
    check("the settings")
    page.locator("#reset").click()
    check("the question")
    one.check()
