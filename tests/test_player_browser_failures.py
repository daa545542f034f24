"""The page in a real browser when answers are late or lost, or when the server fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

for module in ("fastapi", "uvicorn", "jinja2", "playwright"):
    pytest.importorskip(module, reason=f"needs {module}: install the extras player and dev")

from player_page import Visit, focused, has_pressed, serving  # noqa: E402
from player_server import by_rule, tracks_frame  # noqa: E402
from playwright.sync_api import Page, Route, expect  # noqa: E402

from player.chromium import CHROMIUM, PATIENCE  # noqa: E402

if not CHROMIUM.is_file():
    pytest.skip("needs Debian's package chromium", allow_module_level=True)


def next_of(held: list[Route], page: Page) -> Route:
    """Wait for the next request that a handler holds back."""
    for _ in range(PATIENCE // 20):
        if held:
            break
        page.wait_for_timeout(20)
    return held.pop(0)


def test_a_press_without_an_answer_is_sent_again_and_counted_once(
    visit: Callable[..., Visit],
) -> None:
    page = visit().page
    sent: list[str] = []
    may_pass: list[bool] = []

    def fail(route: Route) -> None:
        sent.append(route.request.post_data_json["press_id"])
        if len(sent) == 2:
            route.fetch()  # arrives, and its answer is lost; the others never arrive
        if len(sent) > 2 and may_pass:
            route.continue_()
        else:
            route.abort()

    page.route("**/api/press", fail)
    page.locator("#like").click()
    expect(page.locator("#notice")).to_contain_text("does not answer")
    page.get_by_role("button", name="Try now").click()
    may_pass.append(True)
    expect(page.locator("#notice")).to_have_text("The player answers again.")
    has_pressed(page, 1)
    assert len(sent) >= 3
    assert len(set(sent)) == 1
    expect(page.locator("#history-list li")).to_have_count(1)


def test_a_wish_outlives_the_answer_to_something_else(visit: Callable[..., Visit]) -> None:
    """An artist is chosen while another learner's answer is on its way, then a genre."""
    one = visit()
    page = one.page
    held: list[Route] = []
    may_pass: list[bool] = []

    def hold(route: Route) -> None:
        if may_pass:
            route.continue_()
        else:
            held.append(route)

    page.route("**/api/learner", hold)
    page.route("**/api/preference", hold)
    page.locator("label", has_text="Table").click()
    page.get_by_role("combobox", name="Artist").click()
    page.get_by_role("option", name="Ada").click()
    next_of(held, page).continue_()  # the learner's
    first = next_of(held, page)
    page.get_by_label("Genre").select_option("rock")
    may_pass.append(True)
    first.continue_()
    expect(page.locator("#why")).to_contain_text("you asked for rock: it is")
    expect(page.locator("#why")).to_contain_text("you asked for Ada: it is")
    expect(page.get_by_role("radio", name="Table")).to_be_checked()
    one.check()


def test_two_switches_in_a_row_are_both_kept(visit: Callable[..., Visit]) -> None:
    """The page is loaded again for the second one, and not before it has arrived."""
    one = visit()
    page = one.page
    held: list[Route] = []
    page.route("**/api/settings", lambda route: held.append(route))
    page.get_by_role("button", name="Settings and keys").click()
    page.get_by_role("switch", name="Pictures and previews").click()
    page.get_by_role("switch", name="Spotify").click()
    next_of(held, page).continue_()
    second = next_of(held, page)
    page.wait_for_timeout(500)  # in which the page would be loaded again
    second.continue_()
    expect(page.locator("html")).to_have_attribute("data-spotify", "on")
    expect(page.locator("html")).to_have_attribute("data-remote-media", "on")


def test_a_press_without_an_answer_outlives_a_reload(visit: Callable[..., Visit]) -> None:
    one = visit()
    page = one.page
    title = page.locator("#title").text_content()
    page.route("**/api/press", lambda route: route.abort())
    page.locator("#like").click()
    expect(page.locator("#notice")).to_contain_text("does not answer")
    page.unroute("**/api/press")
    one.arrive()
    has_pressed(page, 1)
    expect(page.locator("#liked-list li")).to_contain_text([str(title)])


def test_a_press_at_which_the_server_fails_is_given_up_and_kept(
    visit: Callable[..., Visit],
) -> None:
    """A 500 may come for ever: the listener is told what to do, and a reload sends it again."""
    one = visit()
    page = one.page
    sent: list[str] = []

    def fail(route: Route) -> None:
        sent.append(route.request.post_data_json["press_id"])
        reason = '{"error": {"code": "failed", "reason": "the player failed here"}}'
        route.fulfill(status=500, body=reason)

    page.route("**/api/press", fail)
    page.locator("#like").click()
    expect(page.locator("#notice")).to_contain_text("What you pressed is kept")
    expect(page.locator("#notice")).to_contain_text("load the page again")
    expect(page.locator("#stage")).to_have_attribute("aria-busy", "false")
    page.wait_for_timeout(9_000)  # longer than between any two attempts
    assert len(sent) == 4 and len(set(sent)) == 1
    page.unroute("**/api/press")
    page.get_by_role("button", name="Try now").click()  # loads the page
    has_pressed(page, 1)
    expect(page.locator("#history-list li")).to_have_count(1)
    one.arrive()
    has_pressed(page, 1)


def test_what_was_given_up_is_over_once_something_works(visit: Callable[..., Visit]) -> None:
    """The message goes with the next success, and the press that is kept with a reset."""
    one = visit()
    page = one.page
    kept = "sessionStorage.getItem('musicrec-press')"
    page.route("**/api/press", lambda route: route.fulfill(status=500, body="{}"))
    page.locator("#like").click()
    expect(page.locator("#notice")).to_contain_text("load the page again")
    page.keyboard.press("g")
    expect(page.locator("#notice")).to_have_text("The player answers again.")
    expect(page.locator("#title")).to_have_text("Made for you 1")
    assert page.evaluate(kept)
    page.get_by_role("button", name="Settings and keys").click()
    page.get_by_role("button", name="Reset my profile").click()
    page.get_by_role("button", name="Forget everything").click()
    expect(page.locator("#notice")).to_have_text("Your profile is empty again.")
    assert page.evaluate(kept) is None


def test_a_clip_whose_answer_is_lost_is_made_once(visit: Callable[..., Visit]) -> None:
    page = visit().page
    sent: list[str] = []

    def lose_one(route: Route) -> None:
        sent.append(route.request.post_data)
        if len(sent) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/api/generate", lose_one)
    page.keyboard.press("g")
    expect(page.locator("#title")).to_have_text("Made for you 1")
    assert len(sent) == 2 and len(set(sent)) == 1


@pytest.mark.parametrize("kind", ["liked", "history"])
def test_more_of_a_list_that_does_not_come_is_asked_for_again(
    visit: Callable[..., Visit], kind: str
) -> None:
    one = visit()
    page = one.page
    asked: list[str] = []

    def fail_once(route: Route) -> None:
        url = route.request.url
        is_more = "before=" in url or "n=100" in url
        if is_more:
            asked.append(url)
        if is_more and len(asked) == 1:
            route.abort()
        else:
            answer = route.fetch()
            route.fulfill(response=answer, json={**answer.json(), "more": not is_more})

    # The lists are asked for after the visit and after the press: each is over before what follows.
    page.wait_for_function(
        """() => ["plot", "history", "liked"].every((name) => performance
            .getEntriesByType("resource").some((entry) => entry.name.includes(`/api/${name}?`)))"""
    )
    page.route(f"**/api/{kind}?*", fail_once)
    page.keyboard.press("l")
    page.locator(f"#tab-{kind}").click()
    expect(page.locator(f"#{kind}-list li")).to_have_count(1)
    page.locator(f"#{kind}-more").click()
    expect(page.locator("#notice")).to_have_text("More of this list did not come: press again.")
    page.locator(f"#{kind}-more").click()
    expect(page.locator(f"#{kind}-more")).to_be_hidden()
    expect(page.locator(f"#{kind}-list li")).to_have_count(1)
    assert len(asked) == 2 and len(set(asked)) == 1
    assert not [error for error in one.errors if "Failed to load resource" not in error]


def test_a_refusal_is_shown_with_its_reason(visit: Callable[..., Visit]) -> None:
    page = visit().page
    body = '{"error": {"code": "not-saved", "reason": "the disk is full"}}'
    page.route("**/api/press", lambda route: route.fulfill(status=507, body=body))
    page.locator("#like").click()
    expect(page.locator("#notice")).to_have_text("The disk is full.")
    has_pressed(page, 0)
    assert focused(page) == "like"


def test_the_table_recommends_while_the_policy_trains(
    tmp_path: Path, visit: Callable[..., Visit]
) -> None:
    tracks_frame(20).to_csv(tmp_path / "tracks.csv", index=False)
    trained = threading.Event()

    def slowly(catalogue: Any, settings: Any, folder: Path, report: Any) -> Any:
        report(0.42, "training the policy: 42 of 100 tracks judged")
        assert trained.wait(10 * PATIENCE / 1000)
        return by_rule(catalogue, settings, folder, report)

    try:
        with serving(tmp_path / "tracks.csv", tmp_path / "data", slowly) as address:
            one = visit(address)
            page = one.page
            expect(page.get_by_role("progressbar")).to_have_attribute("value", "0.42")
            expect(page.locator("#training")).to_contain_text("42 of 100 tracks judged")
            expect(page.locator("#facts")).to_contain_text("the table expects")
            page.locator("#like").click()
            has_pressed(page, 1)
            trained.set()
            expect(page.locator("#training")).to_be_hidden()
            page.locator("#like").click()
            expect(page.locator("#facts")).to_contain_text("the dueling DQN expects")
            one.check()
            one.context.close()
    finally:
        trained.set()
