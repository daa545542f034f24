"""The player's API as API.md has it: pressing, undoing, two learners, many listeners."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from player_server import ADDRESS, PAGE, Player, by_rule, press, started, tracks_frame


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("catalogue") / "tracks.csv"
    tracks_frame(60).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def player(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    with started(catalogue, tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture
def browser(player: Player) -> TestClient:
    return player.browser()


def ok(answer: Any) -> dict[str, Any]:
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def refused(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    content = answer.json()
    assert content["error"]["code"] == code
    assert content["error"]["reason"]
    return content


def test_status_says_what_there_is(player: Player) -> None:
    status = ok(player.client.get("/api/status"))
    assert status["phase"] == "ready"
    assert status["learners"] == {"tabular": True, "dueling-dqn": True}
    assert status["catalogue"] == {"name": "tracks.csv", "tracks": 60, "artists": 5, "genres": 3}


@pytest.mark.parametrize("learner", ["tabular", "dueling-dqn"])
def test_a_search_to_its_end(browser: TestClient, learner: str) -> None:
    ok(browser.put("/api/learner", json={"learner": learner}))
    wish = {"artist": "Ada", "genre": "rock", "danceability": None}
    state = ok(browser.put("/api/preference", json=wish))
    total = state["total"]
    assert state["remaining"] == total > 2
    shown = []
    while state["track"] is not None:
        assert state["track"]["recommended_by"] == learner
        assert state["track"]["artists"] == ["Ada"]
        assert state["track"]["genres"] == ["rock"]
        assert [term["reward"] for term in state["track"]["why"]["terms"]] == [1, 1, 0]
        assert state["nearest"] == []
        shown.append(state["track"]["key"])
        state = press(browser, len(shown) % 2 == 0)
        assert state["remaining"] == total - len(shown)
    assert len(set(shown)) == total
    assert state["presses"] == total == state["liked"] + state["disliked"]
    near = state["nearest"]
    assert {suggestion["change"] for suggestion in near} >= {"genre", "artist", "anything"}
    state = ok(browser.put("/api/preference", json=near[0]["preference"]))
    assert state["remaining"] == near[0]["remaining"] > 0
    assert state["track"]["key"] not in shown


def test_undo_back_to_the_first_press_unlearns_everything(browser: TestClient) -> None:
    state = ok(browser.get("/api/state"))
    before = [state]
    for number in range(8):  # more than are undone at once
        before.append(press(browser, number % 3 == 0))
    for state in reversed(before[:-1]):
        last = ok(browser.get("/api/state"))["last_press"]["press_id"]
        undone = ok(browser.post("/api/undo", json={"press_id": last}))
        assert undone["track"] == state["track"]
        assert undone["remaining"] == state["remaining"]
        again = ok(browser.post("/api/undo", json={"press_id": last}))
        assert again == undone, "a repeated undo changes nothing"
    assert ok(browser.get("/api/history"))["presses"] == []
    content = refused(
        browser.post("/api/undo", json={"press_id": "never-was"}), 409, "not-the-last-press"
    )
    assert content["state"] == undone


def test_the_same_press_counts_once(browser: TestClient) -> None:
    key = ok(browser.get("/api/state"))["track"]["key"]
    body = {"press_id": "retried-press", "track": key, "liked": True}
    first = ok(browser.post("/api/press", json=body))
    second = ok(browser.post("/api/press", json=body))
    assert (first["press"]["repeated"], second["press"]["repeated"]) == (False, True)
    assert second["state"] == first["state"]
    assert second["state"]["presses"] == 1
    refused(browser.post("/api/press", json={**body, "liked": False}), 409, "press-id-reused")
    stale = browser.post("/api/press", json={**body, "press_id": "another-press"})
    assert refused(stale, 409, "stale-track")["state"] == first["state"]
    ok(browser.post("/api/undo", json={"press_id": "retried-press"}))
    late = ok(browser.post("/api/press", json=body))
    assert late["press"]["repeated"], "a late retry does not press again what was taken back"
    assert late["state"]["presses"] == 0


def test_both_learners_learn_whoever_recommends(browser: TestClient) -> None:
    ok(browser.put("/api/learner", json={"learner": "tabular"}))
    state = ok(browser.get("/api/state"))
    press(browser, True)
    last = ok(browser.get("/api/state"))["last_press"]["press_id"]
    history = ok(browser.get("/api/history"))["presses"]
    assert history[0]["press_id"] == last
    assert history[0]["recommended_by"] == "tabular"
    assert history[0]["expected"]["tabular"] == 0.5
    before = state["track"]["why"]["learners"]
    # The table has a state of its own for each artist, genre and part of the range: look there.
    wish = {"artist": state["track"]["artists"][0], "genre": state["track"]["genres"][0]}
    after = ok(browser.put("/api/preference", json=wish))["track"]["why"]["learners"]
    assert before["dueling-dqn"]["personal_probability"] == 0.5
    assert after["dueling-dqn"]["personal_probability"] > 0.5


def test_the_plot_by_hand(browser: TestClient) -> None:
    answers = [True, False, False, True, False]
    for liked in answers:
        press(browser, liked)
    presses = ok(browser.get("/api/history"))["presses"][::-1]
    plot = ok(browser.get("/api/plot"))
    assert plot["first"] == 1
    assert plot["liked"] == answers
    assert plot["liked_share"] == pytest.approx([1, 1 / 2, 1 / 3, 2 / 4, 2 / 5])
    for name, series in plot["learners"].items():
        expected = [one["expected"][name] for one in presses]
        right, shares = 0, []
        for number, (probability, liked) in enumerate(zip(expected, answers, strict=True), 1):
            right += (probability > 0.5) == liked
            shares.append(right / number)
        assert series["expected"] == expected
        assert series["right_share"] == pytest.approx(shares)
    last = ok(browser.get("/api/plot?n=2"))
    assert last["first"] == 4
    assert last["liked_share"] == plot["liked_share"][-2:]


def test_history_in_parts_and_likes(browser: TestClient) -> None:
    for number in range(5):
        press(browser, number in (1, 3))
    first = ok(browser.get("/api/history?n=2"))
    assert [one["number"] for one in first["presses"]] == [5, 4]
    assert first["more"]
    rest = ok(browser.get("/api/history?n=3&before=4"))
    assert [one["number"] for one in rest["presses"]] == [3, 2, 1]
    assert not rest["more"]
    liked = ok(browser.get("/api/liked"))
    assert [one["number"] for one in liked["tracks"]] == [4, 2] and not liked["more"]
    assert ok(browser.get("/api/liked?n=1")) == {"tracks": liked["tracks"][:1], "more": True}
    assert ok(browser.get("/api/liked?n=2")) == liked
    refused(browser.get("/api/liked?n=0"), 422, "bad-request")


def test_listeners_are_kept_apart(player: Player) -> None:
    one, other = player.browser(), player.browser()
    untouched = ok(other.get("/api/state"))
    for _ in range(3):
        press(one, True)
    ok(one.put("/api/preference", json={"artist": "Bo"}))
    ok(one.put("/api/settings", json={"spotify": True}))
    assert ok(other.get("/api/state")) == untouched
    assert ok(other.get("/api/history"))["presses"] == []


def test_many_listeners_at_once_lose_nothing(player: Player) -> None:
    browsers = [player.browser() for _ in range(6)]
    pressed: list[list[tuple[str, bool]]] = [[] for _ in browsers]
    failures: list[BaseException] = []

    def go(number: int) -> None:
        try:
            for turn in range(6):
                press_id, liked = f"listener{number}-{turn}", (number + turn) % 2 == 0
                press(browsers[number], liked, press_id)
                pressed[number].append((press_id, liked))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=go, args=(number,)) for number in range(len(browsers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    for browser, own in zip(browsers, pressed, strict=True):
        found = ok(browser.get("/api/history"))["presses"][::-1]
        assert [(one["press_id"], one["liked"]) for one in found] == own


def test_one_press_of_many_at_once_counts(browser: TestClient) -> None:
    key = ok(browser.get("/api/state"))["track"]["key"]
    codes: list[int] = []

    def go(number: int) -> None:
        body = {"press_id": f"race-{number:04}", "track": key, "liked": True}
        codes.append(browser.post("/api/press", json=body).status_code)

    threads = [threading.Thread(target=go, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200, 409, 409, 409, 409]
    assert ok(browser.get("/api/state"))["presses"] == 1


def test_a_program_has_a_token_and_no_cookie(player: Player) -> None:
    program = TestClient(player.app, base_url=ADDRESS)
    refused(program.get("/api/state"), 401, "no-listener")
    answer = program.post("/api/listeners")
    assert answer.status_code == 201
    assert "set-cookie" not in answer.headers
    token = answer.json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    key = answer.json()["state"]["track"]["key"]
    body = {"press_id": "by-a-program", "track": key, "liked": False}
    assert ok(program.post("/api/press", json=body, headers=headers))["state"]["presses"] == 1
    refused(program.get("/api/state", headers={"Authorization": "Bearer x"}), 401, "no-listener")
    store = player.engine.shelf().sessions.store
    rows = store._all("SELECT * FROM listeners")
    assert token not in repr(rows) and token.encode().hex() not in repr(rows)


def test_the_cookie_stays_the_same_listener(player: Player) -> None:
    browser = TestClient(player.app, base_url=ADDRESS, headers=PAGE)
    answer = browser.post("/api/session")
    cookie = answer.headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=strict", "Path=/"):
        assert part in cookie
    state = press(browser, True)
    again = browser.post("/api/session")
    assert ok(again) == state
    assert again.headers["set-cookie"] == cookie, "renewed: who comes every week is remembered"
    assert f"Max-Age={400 * 24 * 3600}" in cookie


def test_two_players_on_one_machine_keep_their_listeners(
    player: Player, catalogue: Path, tmp_path: Path
) -> None:
    """A browser keeps cookies by host name: what one port sets, the other one gets and may replace.

    Also of the same catalogue, and in whatever order the page's cookies are sent.
    """
    here = player.browser()
    state = press(here, True)
    with started(catalogue, tmp_path / "data") as other:
        there = TestClient(other.app, base_url=ADDRESS, headers=PAGE, cookies=here.cookies)
        assert ok(there.post("/api/session"))["presses"] == 0
        pressed = press(there, False)
        both = TestClient(player.app, base_url=ADDRESS, headers=PAGE, cookies=there.cookies)
        assert ok(both.post("/api/session")) == state
        back = TestClient(other.app, base_url=ADDRESS, headers=PAGE, cookies=both.cookies)
        assert ok(back.post("/api/session")) == pressed
    assert len({name for name in back.cookies}) == 2


def test_a_cookie_of_an_earlier_player_is_honoured_where_it_is_ours(player: Player) -> None:
    browser = player.browser()
    state = press(browser, True)
    ((name, token),) = browser.cookies.items()
    for value, presses in ((token, 1), ("of-another-player", 0)):
        earlier = TestClient(
            player.app, base_url=ADDRESS, headers=PAGE, cookies={"musicrec_listener": value}
        )
        found = ok(earlier.post("/api/session"))
        assert found["presses"] == presses
        assert (earlier.cookies.get(name) == token) == (found == state)
    answer = earlier.post("/api/session", headers={"Authorization": "Bearer x"})
    refused(answer, 401, "no-listener")


def test_reset_forgets(browser: TestClient) -> None:
    press(browser, True)
    ok(browser.post("/api/generate"))
    ok(browser.put("/api/settings", json={"remote_media": True}))
    ok(browser.put("/api/preference", json={"genre": "jazz"}))
    state = ok(browser.post("/api/reset"))
    assert state["presses"] == 0
    assert state["preference"] == {"artist": None, "genre": None, "danceability": None}
    assert state["settings"]["remote_media"], "settings stay"
    assert state["track"]["kind"] == "catalogue"
    assert ok(browser.get("/api/history"))["presses"] == []
    refused(browser.get("/media/g1/clip.mid"), 404, "unknown-track")
    for key in ("g2", "g3"):  # a browser may still have pictures of g1, and another tab show it
        track = ok(browser.post("/api/generate"))["track"]
        assert (track["key"], track["title"]) == (key, "Made for you 1")
        stale = {"press_id": "on-an-old-clip", "track": "g1", "liked": True}
        refused(browser.post("/api/press", json=stale), 409, "stale-track")
        ok(browser.post("/api/reset"))
        ok(browser.post("/api/reset"))


def test_unknown_names_are_told_the_nearest(browser: TestClient) -> None:
    before = ok(browser.get("/api/state"))
    answer = browser.put("/api/preference", json={"artist": "cleo"})
    content = refused(answer, 422, "unknown-artist")
    assert "'Cleo'" in content["error"]["reason"]
    assert content["error"]["field"] == "artist"
    refused(browser.put("/api/preference", json={"genre": "Roc"}), 422, "unknown-genre")
    assert ok(browser.get("/api/state")) == before


def test_artists_and_genres(player: Player) -> None:
    found = ok(player.client.get("/api/artists?q=E&n=1"))
    assert [artist["name"] for artist in found["artists"]] == ["Eve"]
    assert found["more"], "Cleo holds it"
    genres = ok(player.client.get("/api/genres"))["genres"]
    assert [genre["name"] for genre in genres] == ["jazz", "pop", "rock"]
    assert sum(genre["tracks"] for genre in genres) == 60


def test_generate_is_pressed_on_and_learnt(player: Player) -> None:
    browser, other = player.browser(), player.browser()
    press(browser, True)
    shown = ok(browser.post("/api/generate"))
    track = shown["track"]
    assert (track["key"], track["kind"], track["artists"]) == ("g1", "generated", ["MusicRec"])
    assert track["recommended_by"] == "request"
    before = track["why"]["learners"]["dueling-dqn"]
    liked = press(browser, True)
    assert liked["track"]["kind"] == "catalogue"
    assert liked["remaining"] == shown["remaining"], "no track of the catalogue was judged"
    last = liked["last_press"]
    undone = ok(browser.post("/api/undo", json={"press_id": last["press_id"]}))
    assert undone["track"] == track
    press(browser, True)
    after = ok(browser.post("/api/generate"))["track"]["why"]["learners"]["dueling-dqn"]
    assert before["expected_terms"].keys() == after["expected_terms"].keys()
    likes = ok(browser.get("/api/liked"))["tracks"]
    assert [one["track"]["kind"] for one in likes] == ["generated", "catalogue"]
    refused(other.get("/media/g1/clip.mid"), 404, "unknown-track")
    midi = browser.get(track["downloads"]["midi"])
    assert midi.content.startswith(b"MThd")
    assert "attachment" in midi.headers["content-disposition"]


def test_a_clip_stays_until_it_is_judged(catalogue: Path, tmp_path: Path) -> None:
    """After Undo, also back over a clip, with another learner, and after a restart."""

    def undo(browser: TestClient) -> dict[str, Any]:
        last = ok(browser.get("/api/state"))["last_press"]["press_id"]
        return ok(browser.post("/api/undo", json={"press_id": last}))

    def shown(state: dict[str, Any]) -> str:
        key: str = state["track"]["key"]
        return key

    with started(catalogue, tmp_path) as player:
        browser = player.browser()
        first = shown(ok(browser.get("/api/state")))
        press(browser, True)
        ok(browser.post("/api/generate"))
        press(browser, True)
        assert shown(ok(browser.post("/api/generate"))) == "g2"
        assert shown(ok(browser.put("/api/learner", json={"learner": "tabular"}))) == "g2"
        assert shown(undo(browser)) == "g1"
        assert shown(undo(browser)) == first
        cookies = browser.cookies
    with started(catalogue, tmp_path) as player:
        browser = TestClient(player.app, base_url=ADDRESS, headers=PAGE, cookies=cookies)
        assert shown(ok(browser.get("/api/state"))) == first
        state = press(browser, False)
        assert shown(state) == "g1"
        assert state["track"]["recommended_by"] == "request"
        assert state["remaining"] == 59, "of 60: what was just judged no longer counts"
        assert shown(undo(browser)) == first
        back = ok(browser.put("/api/learner", json={"learner": "dueling-dqn"}))
        assert shown(back) == "g1", "it was asked for, the other track was not"
        assert shown(press(browser, True)) == "g2"
        state = press(browser, True)
        assert state["track"]["kind"] == "catalogue" and state["presses"] == 2
        assert shown(ok(browser.post("/api/generate"))) == "g3"
        assert ok(browser.put("/api/preference", json={}))["track"]["kind"] == "catalogue"
        assert press(browser, True)["track"]["kind"] == "catalogue", "a new wish lets it go"


def test_a_clip_that_waits_outlives_another_one(browser: TestClient) -> None:
    """The one that is shown is replaced; the one that waits, after Undo, is not."""

    def generated() -> str:
        key: str = ok(browser.post("/api/generate"))["track"]["key"]
        return key

    last = press(browser, True)["last_press"]["press_id"]
    assert generated() == "g1"
    back = ok(browser.post("/api/undo", json={"press_id": last}))
    assert back["track"]["kind"] == "catalogue"
    assert (generated(), generated()) == ("g2", "g3")
    assert press(browser, True)["track"]["key"] == "g1"
    state = press(browser, False)
    assert (state["track"]["kind"], state["presses"]) == ("catalogue", 2)


def test_a_clip_whose_answer_was_lost_is_not_made_twice(browser: TestClient) -> None:
    body = {"clip_id": "asked-for-once"}
    first = ok(browser.post("/api/generate", json=body))
    assert ok(browser.post("/api/generate", json=body)) == first
    assert first["track"]["key"] == "g1"
    state = press(browser, True)
    assert ok(browser.post("/api/generate", json=body)) == state, "a late retry shows it not again"
    assert ok(browser.post("/api/generate", json={}))["track"]["key"] == "g2"
    refused(browser.post("/api/generate", json={"clip_id": "short"}), 422, "bad-request")


def test_a_clip_says_nothing_of_the_preference() -> None:
    from agents.online import OnlineRecommender
    from music_env import Catalogue

    catalogue = Catalogue.from_frame(tracks_frame(60))
    recommender: OnlineRecommender = by_rule(catalogue, None, None, None)  # type: ignore[arg-type]
    listener = recommender.newcomer()
    before = listener.expectation(3)
    listener.feedback_on_sound(3, True)
    after = listener.expectation(3)
    assert after.terms == before.terms
    assert after.policy_probability == before.policy_probability
    assert after.personal_probability > before.personal_probability
    assert listener.judged == {} and listener.shown == ()
    again = recommender.restore(listener.snapshot())
    assert again.expectation(3) == after
    assert listener.undo() == (3, True)
    assert listener.expectation(3) == before


def test_media_are_there_and_can_be_sought_in(player: Player) -> None:
    client = player.client
    picture = client.get("/media/7/artwork.svg")
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert b"<script" not in picture.content
    sound = client.get("/media/7/clip.ogg")
    assert sound.content.startswith(b"OggS")
    part = client.get("/media/7/clip.ogg", headers={"Range": "bytes=10-19"})
    assert part.status_code == 206
    assert part.content == sound.content[10:20]
    assert part.headers["content-range"] == f"bytes 10-19/{len(sound.content)}"
    rest = client.get("/media/7/clip.ogg", headers={"Range": "bytes=-5"})
    assert rest.content == sound.content[-5:]
    beyond = client.get("/media/7/clip.ogg", headers={"Range": "bytes=99999999-"})
    assert beyond.status_code == 416
    whole = client.get("/media/7/clip.ogg", headers={"Range": "bytes=9-3x"})
    assert whole.status_code == 200
    refused(client.get("/media/60/artwork.svg"), 404, "unknown-track")


def test_while_the_policy_is_trained_the_table_recommends(catalogue: Path, tmp_path: Path) -> None:
    """And the dueling DQN catches up with the presses: as if it had been there all along."""
    trained = threading.Event()

    def slowly(*arguments: Any) -> Any:
        arguments[3](0.25, "training")
        assert trained.wait(600)
        return by_rule(*arguments)

    def pressed(browser: TestClient) -> dict[str, Any]:
        for liked in (True, False, True):
            press(browser, liked)
        return ok(browser.get("/api/state"))

    with started_early(catalogue, tmp_path / "slow", slowly) as player:
        browser = player.browser()
        status = ok(browser.get("/api/status"))
        assert (status["phase"], status["progress"]) == ("training", 0.25)
        assert status["learners"] == {"tabular": True, "dueling-dqn": False}
        state = pressed(browser)
        assert state["learner"] == "dueling-dqn"
        assert state["track"]["recommended_by"] == "tabular"
        assert state["track"]["why"]["learners"]["dueling-dqn"] is None
        trained.set()
        player.engine.wait(600)
        caught_up = ok(browser.get("/api/state"))
        assert caught_up["track"]["key"] == state["track"]["key"], "what is shown stays"
        plot = ok(browser.get("/api/plot"))["learners"]
        assert plot["dueling-dqn"]["expected"] == [None] * 3
        assert plot["dueling-dqn"]["right_share"] == [None] * 3
        assert None not in plot["tabular"]["right_share"]
        dueling = caught_up["track"]["why"]["learners"]["dueling-dqn"]
        session_key = caught_up["track"]["key"]
        judgements = [
            (p["track"]["key"], p["liked"])
            for p in reversed(ok(browser.get("/api/history"))["presses"])
        ]
        shelf = player.engine.shelf()
        listener = shelf.sessions.recommender.newcomer()
        for key, liked in judgements:
            listener.feedback(int(key), liked)
        assert (
            dueling["like_probability"] == listener.expectation(int(session_key)).like_probability
        )


def test_without_a_policy_the_table_stays(catalogue: Path, tmp_path: Path) -> None:
    def broken(*_: Any) -> Any:
        raise ValueError("no such run")

    with started(catalogue, tmp_path, broken) as player:
        status = ok(player.client.get("/api/status"))
        assert status["phase"] == "failed"
        assert "no such run" in status["message"]
        state = press(player.browser(), True)
        assert state["track"]["recommended_by"] == "tabular"


def test_before_the_catalogue_is_read(tmp_path: Path) -> None:
    with started(tmp_path / "none.csv", tmp_path) as player:
        answer = player.client.post("/api/session")
        refused(answer, 503, "starting")
        assert answer.headers["retry-after"] == "1"
        status = ok(player.client.get("/api/status"))
        assert status["phase"] == "failed" and "none.csv" in status["message"]
        page = player.client.get("/")
        assert page.status_code == 200 and "text/html" in page.headers["content-type"]


def test_learning_switched_off(catalogue: Path, tmp_path: Path) -> None:
    with started(catalogue, tmp_path, learning=False) as player:
        browser = player.browser()
        probabilities = {
            press(browser, False)["track"]["why"]["learners"]["tabular"]["visits"] for _ in range(5)
        }
        assert probabilities == {0}


def started_early(catalogue: Path, data: Path, make: Any) -> Any:
    """As `started`, but only until the table is there."""
    from contextlib import contextmanager

    from player.app import create_app
    from player.settings import PlayerSettings

    @contextmanager
    def early() -> Iterator[Player]:
        app = create_app(PlayerSettings(catalogue=catalogue, data=data), make)
        with TestClient(app, base_url=ADDRESS, headers=PAGE) as client:
            while client.get("/api/status").json()["progress"] != 0.25:
                threading.Event().wait(0.05)
            yield Player(app, client)

    return early()
