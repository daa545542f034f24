"""The page in a real browser: by mouse, by keys alone, offline, with attacks as titles."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest

for module in ("fastapi", "uvicorn", "jinja2", "playwright"):
    pytest.importorskip(module, reason=f"needs {module}: install the extras player and dev")

from player_page import (  # noqa: E402
    NARROW,
    WIDE,
    Visit,
    focused,
    has_pressed,
    remaining,
    serving,
    tab_to,
)
from player_server import tracks_frame  # noqa: E402
from playwright.sync_api import Response, Route, expect  # noqa: E402

from player.chromium import CHROMIUM  # noqa: E402

if not CHROMIUM.is_file():
    pytest.skip("needs Debian's package chromium", allow_module_level=True)

LEARNERS = {"tabular": "Table", "dueling-dqn": "Dueling DQN"}

ATTACKS = [
    "<script>document.title = 'owned'; alert(1)</script>".replace(";", ","),
    '"><img src=x onerror=alert(1)>',
    "</option></select><svg onload=alert(1)>",
    "' onmouseover='alert(1)' x='",
    "javascript:alert(1)",
    "{{ 7 * 7 }} ${alert(1)}",
    "\u202egnp.3pm \u200b",
    "long " * 400,
]
"""What a catalogue might say. (Artists and genres are separated by semicolons: none in here.)"""


def test_enter_that_is_held_judges_once(visit: Callable[..., Visit]) -> None:
    page = visit().page
    page.get_by_role("button", name="Like", exact=True).focus()
    for _ in range(5):  # all but the first are repetitions
        page.keyboard.down("Enter")
        page.wait_for_timeout(200)
    page.keyboard.up("Enter")
    has_pressed(page, 1)


# --- The whole of it ------------------------------------------------------------------------------


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("learner", LEARNERS)
def test_by_mouse(visit: Callable[..., Visit], learner: str, viewport: dict[str, int]) -> None:
    one = visit(viewport=viewport)
    page = one.page
    page.locator("label", has_text=LEARNERS[learner]).click()
    expect(page.get_by_role("radio", name=LEARNERS[learner])).to_be_checked()

    page.get_by_role("combobox", name="Artist").click()
    page.get_by_role("combobox", name="Artist").press_sequentially("ad")
    page.get_by_role("option", name="Ada").click()
    expect(page.locator("#artists")).to_have_text("Ada")
    page.get_by_label("Genre").select_option("rock")
    expect(page.locator("#facts")).to_contain_text("rock")
    page.get_by_label("Danceability at most").fill("0.95")
    expect(page.locator("#dance-text")).to_have_text("0.00 to 0.95")
    expect(page.locator("#why")).to_contain_text("you asked for 0.00 to 0.95: it has")
    expect(page.locator("#why")).to_contain_text("you asked for Ada: it is")
    expect(page.locator("#facts")).to_contain_text("expects a like")
    total = remaining(page)
    assert 1 < total < 20

    for number in range(1, total + 1):
        assert remaining(page) == total + 1 - number
        last = page.locator("#title").text_content()
        page.get_by_role("button", name="Like" if number % 2 else "Dislike", exact=True).click()
        has_pressed(page, number)
    expect(page.get_by_role("heading", name="Nothing is left that fits")).to_be_focused()
    expect(page.locator("#like")).to_be_hidden()
    page.locator("#nearest button").first.click()
    expect(page.locator("#title")).to_be_focused()
    expect(page.locator("#none-left")).to_be_hidden()

    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#title")).to_have_text(str(last))
    has_pressed(page, total - 1)
    page.get_by_role("button", name="Like", exact=True).click()
    has_pressed(page, total)
    assert focused(page) == "like"

    page.get_by_role("button", name="Generate for me").click()
    expect(page.locator("#title")).to_have_text("Made for you 1")
    for kind in ("WAV", "MIDI"):
        with page.expect_download() as download:
            page.get_by_role("link", name=kind).click()
        assert Path(download.value.path()).stat().st_size > 100
    page.get_by_role("button", name="Dislike", exact=True).click()
    has_pressed(page, total + 1)

    liked = int(page.locator("#liked-count").text_content() or 0)
    expect(page.locator("#liked-list li")).to_have_count(liked)
    page.get_by_role("tab", name="History").click()
    expect(page.locator("#history-list li")).to_have_count(total + 1)
    expect(page.locator("#history-list li").first).to_contain_text("Made for you 1")
    expect(page.locator("#learnt")).to_contain_text(f"After {total + 1} presses")
    page.get_by_role("tab", name="Liked").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    with Path(download.value.path()).open(newline="", encoding="utf-8") as file:
        assert len(list(csv.reader(file))) == liked + 1

    page.get_by_role("button", name="Settings and keys").click()
    page.get_by_role("button", name="Reset my profile").click()
    page.get_by_role("button", name="Keep it").click()
    has_pressed(page, total + 1)
    page.get_by_role("button", name="Reset my profile").click()
    page.get_by_role("button", name="Forget everything").click()
    has_pressed(page, 0)
    expect(page.locator("#liked-list li")).to_have_count(0)
    one.check()


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("learner", LEARNERS)
def test_by_keyboard_alone(
    visit: Callable[..., Visit], learner: str, viewport: dict[str, int]
) -> None:
    one = visit(viewport=viewport)
    page, key = one.page, one.page.keyboard.press
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the track")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")  # the switch of the learners: its arrows press nothing
    key("ArrowLeft" if learner == "tabular" else "ArrowRight")
    if learner == "dueling-dqn":  # it was there: there and back again
        key("ArrowRight")
    expect(page.get_by_role("radio", name=LEARNERS[learner])).to_be_checked()

    key("/")
    assert focused(page) == "artist"
    page.keyboard.type("ludd")  # keys rest while somebody types
    expect(page.locator("#artist-more")).to_have_text("No artist has this in the name.")
    key("Escape")
    expect(page.locator("#artist")).to_have_value("")
    page.keyboard.type("a")
    expect(page.locator("#artist-list [role=option]").first).to_be_visible()
    key("ArrowDown")
    key("ArrowUp")
    key("ArrowDown")
    active = page.locator("#artist").get_attribute("aria-activedescendant")
    expect(page.locator(f"#{active}")).to_have_attribute("aria-selected", "true")
    key("Enter")
    expect(page.locator("#artists")).to_have_text("Ada")
    expect(page.locator("#artist")).to_have_attribute("aria-expanded", "false")
    tab_to(page, "genre")
    for _ in range(3):  # any, jazz, pop, rock: the last one counts
        key("ArrowDown")
    expect(page.locator("#facts")).to_contain_text("rock")
    tab_to(page, "dance-high")
    for _ in range(5):
        key("ArrowLeft")  # moves the end of the range, and is no Dislike
    expect(page.locator("#why")).to_contain_text("you asked for 0.00 to 0.95")
    has_pressed(page, 0)
    total = remaining(page)

    key("ArrowDown")  # of the range still
    expect(page.locator("#dance-text")).to_have_text("0.00 to 0.94")
    # It is sent a moment later; what is pressed before the answer may be refused as meant for
    # another track.
    expect(page.locator("#why")).to_contain_text("you asked for 0.00 to 0.94")
    tab_to(page, "anything")
    for number, name in enumerate(("l", "d", "ArrowLeft", "ArrowRight"), 1):
        if remaining(page) > 1:
            key(name)
            has_pressed(page, number)
    done = int(page.locator("#history-count").text_content() or 0)
    key("u")
    has_pressed(page, done - 1)
    tab_to(page, "like", "Shift+Tab")
    for number in range(done, done + total):
        if page.locator("#none-left").is_visible():
            break
        key("Enter")
        has_pressed(page, number)
    expect(page.get_by_role("heading", name="Nothing is left that fits")).to_be_focused()
    key("Tab")
    key("Enter")
    expect(page.locator("#title")).to_be_focused()
    key("g")
    expect(page.locator("#title")).to_have_text("Made for you 1")

    key("?")
    expect(page.get_by_role("dialog", name="Settings and keys")).to_be_visible()
    before = page.locator("#history-count").text_content()
    key("l")  # rests in a dialog
    tab_to(page, "keys-on")
    key("Space")
    key("Escape")
    key("l")  # and where keys are switched off
    tab_to(page, "tab-liked")
    key("ArrowRight")
    expect(page.get_by_role("tab", name="History")).to_be_focused()
    expect(page.locator("#panel-history")).to_be_visible()
    expect(page.locator("#history-list li")).to_have_count(int(before or 0))

    tab_to(page, "open-settings", "Shift+Tab")
    key("Enter")
    tab_to(page, "reset")
    key("Enter")
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    key("Tab")
    key("Enter")
    has_pressed(page, 0)
    one.check()


def test_the_preview_plays_pauses_seeks_and_goes_on(visit: Callable[..., Visit]) -> None:
    one = visit()
    page = one.page
    page.get_by_label("Volume").fill("0.3")
    assert page.evaluate("document.querySelector('audio').volume") == pytest.approx(0.3)
    expect(page.locator("#made")).to_contain_text("not the original recording")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.locator("#time")).not_to_have_text("0:00 / 0:10")
    page.get_by_role("button", name="Pause").click()
    page.get_by_label("Position").fill("7")
    expect(page.locator("#time")).to_have_text("0:07 / 0:10")
    assert page.evaluate("document.querySelector('audio').currentTime") == pytest.approx(7, abs=0.2)
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.keyboard.press("d")  # the next one plays as well
    has_pressed(page, 1)
    expect(page.locator("#time")).to_have_text(re.compile("0:0[1-5] / 0:10"))
    page.get_by_role("button", name="Mute").click()
    assert page.evaluate("document.querySelector('audio').muted")
    one.check()


def test_a_wish_that_nothing_fits_is_said_to_be_one(visit: Callable[..., Visit]) -> None:
    """Nobody who has judged one track is told to have judged all that fit."""
    one = visit()
    page = one.page
    page.locator("#like").click()
    has_pressed(page, 1)
    page.get_by_label("Danceability at most").fill("0")
    expect(page.get_by_role("heading", name="Nothing fits this wish")).to_be_visible()
    expect(page.locator("#none-left")).to_contain_text("No track of the catalogue is all that")
    expect(page.locator("#none-left")).not_to_contain_text("judged")
    expect(page.locator("#announcement")).to_have_text("Nothing fits this wish.")
    page.locator("#nearest button").first.click()
    expect(page.locator("#title")).to_be_focused()
    expect(page.locator("#facts")).to_contain_text("expects a like")
    one.check()


def test_a_clip_is_fetched_before_play_is_pressed(visit: Callable[..., Visit]) -> None:
    one = visit()
    state = "document.querySelector('audio').readyState"
    is_there = """() => new Promise((there) => {
      const audio = document.querySelector("audio");
      if (audio.readyState >= HTMLMediaElement.HAVE_METADATA) there();
      else audio.addEventListener("loadedmetadata", () => there(), { once: true });
    })"""
    assert one.page.evaluate(state) == 0, "nothing is composed for who does not listen"
    one.page.locator("#play").hover()
    one.page.evaluate(is_there)
    one.page.keyboard.press("d")
    has_pressed(one.page, 1)
    one.page.evaluate(is_there)
    assert one.page.evaluate("document.querySelector('audio').paused")
    one.check()


def test_the_listener_is_the_same_after_a_reload_and_in_another_tab(
    visit: Callable[..., Visit],
) -> None:
    one = visit()
    one.page.keyboard.press("l")
    has_pressed(one.page, 1)
    title = one.page.locator("#title").text_content()
    one.arrive()
    expect(one.page.locator("#title")).to_have_text(str(title))
    other = one.context.new_page()
    other.goto(one.address)
    has_pressed(other, 1)
    other.keyboard.press("d")
    has_pressed(other, 2)
    one.page.locator("#like").click()  # on a track that was judged in the other tab
    expect(one.page.locator("#notice")).to_contain_text("is to be judged now")
    has_pressed(one.page, 2)


# --- Other hosts, and text that nobody trusts -----------------------------------------------------


def test_other_hosts_only_once_they_are_switched_on(visit: Callable[..., Visit]) -> None:
    one = visit()
    page = one.page
    one.check()
    page.get_by_role("button", name="Settings and keys").click()
    with page.expect_request("https://pictures.example/*"):
        page.get_by_role("switch", name="Pictures and previews").click()
    # It was asked for, did not come, and the picture that is made here stands in.
    expect(page.locator("#artwork[data-made=yes]")).to_be_visible()
    expect(page.locator("#artwork")).to_have_js_property("complete", True)
    assert page.locator("#artwork").evaluate("(picture) => picture.naturalWidth") > 0
    assert {re.sub("/[0-9]+[.].*", "", link) for link in one.foreign} == {
        "https://pictures.example"
    }
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.locator("#made")).to_contain_text("not the original recording")  # the same of sound
    assert one.foreign[-1].startswith("https://previews.example/")
    one.foreign.clear()
    page.get_by_role("button", name="Settings and keys").click()
    page.get_by_role("switch", name="Spotify").click()
    expect(page.locator("html")).to_have_attribute("data-spotify", "on")  # the page comes anew
    frame = page.locator('iframe[title="Spotify\'s player"]')
    expect(frame).to_have_attribute("src", re.compile("https://open.spotify.com/embed/track/0+"))
    page.get_by_role("button", name="Settings and keys").click()
    page.get_by_role("switch", name="Spotify").click()
    expect(frame).to_have_count(0)
    assert not [error for error in one.errors if "Failed to load resource" not in error]


def test_the_policy_follows_the_switches_by_whatever_way_one_comes(
    visit: Callable[..., Visit],
) -> None:
    """A link on another site leads to the page without the strict cookie: it is loaded again."""
    one = visit()
    page = one.page
    spotify = "https://open.spotify.com/embed/**"
    page.route(spotify, lambda route: route.fulfill(body="<p>a player</p>"))
    page.get_by_role("button", name="Settings and keys").click()
    page.get_by_role("switch", name="Spotify").click()
    expect(page.locator("html")).to_have_attribute("data-spotify", "on")  # the page comes anew
    frame = page.frame_locator('iframe[title="Spotify\'s player"]')
    expect(frame.locator("p")).to_have_text("a player")
    link = f'<a href="{one.address}/">To the player</a>'
    page.route(
        "http://elsewhere.example/**",
        lambda route: route.fulfill(body=link, content_type="text/html"),
    )
    page.goto("http://elsewhere.example/")
    served: list[bool] = []  # for whom Spotify is switched on

    def note(answer: Response) -> None:
        if answer.url == f"{one.address}/":
            served.append("frame-src 'none'" not in answer.headers["content-security-policy"])

    page.on("response", note)
    page.get_by_role("link", name="To the player").click()
    expect(frame.locator("p")).to_have_text("a player")
    expect(page.locator("html")).to_have_attribute("data-spotify", "on")
    assert served == [False, True]
    one.check()

    loads: list[str] = []

    def strictly(route: Route) -> None:  # whatever is switched on
        loads.append(route.request.url)
        answer = route.fetch()
        body = answer.text().replace('data-spotify="on"', 'data-spotify="off"')
        route.fulfill(response=answer, body=body)

    page.route(f"{one.address}/", strictly)
    one.arrive()
    expect(page.locator("#facts")).to_contain_text("expects a like")
    page.wait_for_load_state("networkidle")
    assert len(loads) == 2, "loaded again once, and not for ever"


def test_what_a_catalogue_says_runs_no_script(tmp_path: Path, visit: Callable[..., Visit]) -> None:
    n = len(ATTACKS)
    frame = tracks_frame(n).assign(
        track_id=[f"{i}{attack}" for i, attack in enumerate(ATTACKS)],
        title=ATTACKS,
        artists=ATTACKS,
        album=ATTACKS,
        genres=ATTACKS,
        artwork_url=["javascript:alert(1)", "data:text/html,<script>alert(1)</script>"] * (n // 2),
        preview_url=["https://x.example script-src *", "//x.example/'onerror='alert(1)"] * (n // 2),
    )
    frame.to_csv(tmp_path / "<img src=x onerror=alert(1)>.csv", index=False)
    with serving(tmp_path / "<img src=x onerror=alert(1)>.csv", tmp_path / "data") as address:
        one = visit(address)
        page = one.page
        titles = set()
        page.locator("#artist").click()
        expect(page.locator("#artist-list [role=option]")).to_have_count(n)
        for attack in ("long long", "<script>"):
            page.locator("#artist").fill(attack)
            page.locator("#artist-list [role=option]", has_text=attack).first.click()
            expect(page.locator("#artists")).to_contain_text(attack)
            chosen = page.locator("#artists").text_content()
            page.get_by_label("Genre").select_option(chosen)
            expect(page.locator("#facts li").first).to_have_text(str(chosen))
            expect(page.locator("#why")).to_contain_text(f"you asked for {chosen}: it is")
            assert remaining(page) == 1
            for size in (WIDE, NARROW):
                page.set_viewport_size(size)
                width = page.evaluate("document.documentElement.scrollWidth")
                assert width <= size["width"], f"{attack}: {width} px wide"
            page.set_viewport_size(WIDE)
            page.get_by_role("button", name="Leave everything open").click()
            expect(page.locator("#remaining")).to_have_text(f"{n} tracks")
        page.locator("#artist").blur()  # letters that are typed there are no presses
        for number in range(1, n + 1):
            titles.add(page.locator("#title").text_content())
            page.keyboard.press("l")
            has_pressed(page, number)
        assert len(titles) == n
        assert {attack.strip() for attack in ATTACKS[:-2]} <= titles
        page.keyboard.press("g")
        expect(page.locator("#title")).to_have_text("Made for you 1")
        page.get_by_role("tab", name="History").click()
        expect(page.locator("#history-list li")).to_have_count(n)
        page.locator("#history-list li").first.hover()
        assert (
            page.locator("main :is(script, iframe, object, embed, [onerror], [onload])").count()
            == 0
        )
        assert page.locator("img:not([src^='/media/'], [src^='http://127.0.0.1'])").count() == 0
        one.check()
        one.context.close()
