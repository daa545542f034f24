"""The player against other sites, a hostile catalogue, and wrong input of any kind."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from player_server import ADDRESS, PAGE, Player, press, started, tracks_frame

from player.security import Guard, host_name, origins_of, page_policy
from player.tracks import safe_link

ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    '=HYPERLINK("http://evil.example","x")',
    "+1+1",
    "-2+3",
    "@SUM(1)",
    "two\r\nlines\n#EXTINF:1,injected\nhttp://evil.example/x",
    "\u202egnp.exe",
)


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    folder = tmp_path_factory.mktemp("hostile")
    frame = tracks_frame(24)
    n = len(ATTACKS)
    # Another title each: the same one by the same artist is the same song, and shown once.
    frame["title"] = [ATTACKS[i % n] + (f" {i // n}" if i >= n else "") for i in range(24)]
    frame["album"] = frame["title"]
    frame["track_id"] = [f"=id{i}" for i in range(24)]
    frame["preview_url"] = [
        ("javascript:alert(1)", "https://cdn.example/p.mp3", "data:text/html,x")[i % 3]
        for i in range(24)
    ]
    frame["artwork_url"] = [
        (
            "https://img.example; script-src *",
            "http://pictures.example:8080/a.jpg?x=1",
            "file:///etc/passwd",
        )[i % 3]
        for i in range(24)
    ]
    frame.to_csv(folder / "tracks.csv", index=False)
    with started(folder / "tracks.csv", folder / "data") as running:
        yield running


def code_of(answer: Any) -> str:
    return str(answer.json()["error"]["code"])


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:9999"},  # another server of this machine
        {"Origin": "https://127.0.0.1:8000"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
        {},  # a browser too old to say where a request is from, with the cookie
    ],
)
def test_other_sites_cannot_press(player: Player, headers: dict[str, str]) -> None:
    browser = player.browser()
    state = browser.get("/api/state").json()
    body = {"press_id": "cross-site-press", "track": state["track"]["key"], "liked": True}
    foreign = TestClient(
        player.app, base_url=ADDRESS, headers=headers, cookies=dict(browser.cookies)
    )
    for method, path, content in (
        ("POST", "/api/press", body),
        ("POST", "/api/reset", {}),
        ("PUT", "/api/settings", {"remote_media": True}),
        ("POST", "/api/session", {}),
    ):
        answer = foreign.request(method, path, json=content)
        assert (answer.status_code, code_of(answer)) == (403, "foreign-origin"), path
        assert "set-cookie" not in answer.headers
    assert browser.get("/api/state").json() == state


@pytest.mark.parametrize("headers", [{"Origin": "null", "Sec-Fetch-Site": "same-origin"}, PAGE])
def test_the_page_can_press(player: Player, headers: dict[str, str]) -> None:
    browser = TestClient(player.app, base_url=ADDRESS, headers=headers)
    assert browser.post("/api/session", json={}).status_code == 200
    assert press(browser, True)["presses"] == 1


def test_only_known_host_names_are_answered(player: Player) -> None:
    for host, status in (
        ("127.0.0.1:8000", 200),
        ("localhost:8000", 200),
        ("[::1]:8000", 200),
        ("LOCALHOST", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("192.168.1.7", 403),
        ("", 403),
        ("localhost:80:80", 403),
        ("localhost:http", 403),
        ("localhost:8000@evil.example", 403),
        ("localhost:123456", 403),
        ("[::1].evil.example", 403),
        ("[::1", 403),
    ):
        answer = player.client.get("/api/status", headers={"Host": host})
        assert answer.status_code == status, host
    assert code_of(player.client.get("/", headers={"Host": "evil.example"})) == "foreign-host"
    answer = player.client.get("/", headers={"Host": "localhost:http"})
    assert code_of(answer) == "foreign-host"
    assert "port of at most five digits behind a colon, got 'localhost:http'" in answer.text


def test_bound_to_all_addresses_it_is_called_by_any_of_them() -> None:
    guard = Guard(None, bound_to="0.0.0.0", allowed=["Music.Home"])  # type: ignore[arg-type]
    assert guard._is_ours("192.168.1.7") and guard._is_ours("music.home")
    assert not guard._is_ours("evil.example")
    assert host_name("[2001:db8::1]:80") == "2001:db8::1"


def policy_of(browser: TestClient) -> dict[str, str]:
    """The policy of the page, which says in its root element what it was served for."""
    answer = browser.get("/")
    header = answer.headers["content-security-policy"]
    policy = dict(part.split(" ", 1) for part in header.split("; "))
    remote = "on" if policy["img-src"] != "'self'" else "off"
    spotify = "on" if policy["frame-src"] != "'none'" else "off"
    assert f'<html lang="en" data-remote-media="{remote}" data-spotify="{spotify}">' in answer.text
    return policy


def test_the_policy_follows_the_switches(player: Player) -> None:
    browser = player.browser()
    strict = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "media-src": "'self'",
        "connect-src": "'self'",
        "frame-src": "'none'",
        "form-action": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert policy_of(browser) == strict
    browser.put("/api/settings", json={"spotify": True})
    assert policy_of(browser) == {**strict, "frame-src": "https://open.spotify.com"}
    browser.put("/api/settings", json={"spotify": False, "remote_media": True})
    assert policy_of(browser) == {
        **strict,
        "img-src": "'self' http://pictures.example:8080",
        "media-src": "'self' https://cdn.example",
    }
    assert policy_of(player.browser()) == strict, "nobody else's"
    stranger = TestClient(player.app, base_url=ADDRESS)
    assert policy_of(stranger) == strict


def test_links_are_given_only_where_wanted_and_are_http(player: Player) -> None:
    browser = player.browser()
    seen = set()
    for remote in (False, True):
        browser.put("/api/settings", json={"remote_media": remote})
        for _ in range(9):
            track = press(browser, False)["track"]
            found = {track["artwork"]["catalogue"], track["preview"]["catalogue"]}
            assert remote or found == {None}
            seen |= found
    assert seen == {None, "https://cdn.example/p.mp3", "http://pictures.example:8080/a.jpg?x=1"}


def test_origins_cannot_add_words_to_the_policy() -> None:
    links = [
        "https://a.example/x",
        "https://A.example/y",
        "https://user:word@b.example/",
        "https://c.example; script-src *",
        "https://d.example'/",
        "https://[::1/x",
        "ftp://e.example/",
        "javascript:alert(1)",
        "",
    ]
    assert origins_of(links) == ("https://a.example",)
    many = origins_of(f"https://h{i}.example/" for i in range(100))
    assert page_policy(pictures=many).count("img-src 'self' http: https:;") == 1


@pytest.mark.parametrize("link", ["javascript:x", "//host/x", "https:", "data:,x", "", "http://[x"])
def test_what_is_no_link(link: str) -> None:
    assert safe_link(link) is None


def test_every_answer_has_the_headers(player: Player) -> None:
    for path in ("/", "/api/status", "/nothing", "/media/1/artwork.svg", "/api/state"):
        headers = TestClient(player.app, base_url=ADDRESS).get(path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "no-referrer", path
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert headers["cross-origin-resource-policy"] == "same-origin", path
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert player.client.get(path).status_code == 404


def test_a_playlist_is_played_by_who_has_no_cookie(player: Player) -> None:
    browser = player.browser()
    for _ in range(6):
        press(browser, True)
    browser.post("/api/generate")
    press(browser, True)
    lines = browser.get("/api/export/liked.m3u").text.splitlines()
    assert lines[1].startswith("# Left out: MusicRec - Made for you 1;")
    assert browser.get(lines[1].split()[-1]).content.startswith(b"RIFF")
    entries = dict(zip(lines[3::2], lines[2::2], strict=True))
    music_player = TestClient(player.app, base_url=ADDRESS)  # such as VLC
    own = [link for link in entries if link.startswith(ADDRESS)]
    assert own and all(entries[link].startswith("#EXTINF:10,") for link in own)
    assert music_player.get(own[0]).content.startswith(b"OggS")
    for link in set(entries) - set(own):
        assert link == "https://cdn.example/p.mp3" and entries[link].startswith("#EXTINF:-1,")


def test_a_playlist_names_no_page_of_spotify() -> None:
    from music_env import Catalogue
    from player.exports import as_csv, as_m3u
    from player.tracks import track_json

    frame = tracks_frame(1).assign(track_id="6AHJ7TA1BN7ePfChCwqph3")
    catalogue = Catalogue.from_frame(frame)
    track = track_json(catalogue, 0, {"remote_media": False, "spotify": True})
    presses = [{"track": track, "at": "2026-01-31T12:00:00Z"}]
    playlist = as_m3u(catalogue, presses, ADDRESS).splitlines()
    assert playlist[2:] == [f"{ADDRESS}/media/0/clip.ogg"]
    assert "https://open.spotify.com/track/" in as_csv(catalogue, presses), "people can open it"


@pytest.mark.parametrize(
    ("link", "address"),
    [
        ("https://x.example/Für|Elise.mp3", "https://x.example/F%C3%BCr%7CElise.mp3"),
        ("http://[::1]:80/a%20b.mp3?c=[d]&e#f~", "http://[::1]:80/a%20b.mp3?c=[d]&e#f~"),
        ("https://x.example/{1}\\2\u200b.mp3", "https://x.example/%7B1%7D%5C2%20.mp3"),
    ],
)
def test_a_playlists_links_are_ascii(link: str, address: str) -> None:
    from music_env import Catalogue
    from player.exports import as_m3u
    from player.tracks import track_json

    catalogue = Catalogue.from_frame(tracks_frame(1).assign(preview_url=link))
    track = track_json(catalogue, 0, {"remote_media": False, "spotify": False})
    assert as_m3u(catalogue, [{"track": track}], ADDRESS).split("\n")[2:] == [address, ""]


def test_exports_hold_text_alone(player: Player) -> None:
    browser = player.browser()
    for _ in range(24):
        press(browser, True)
    answer = browser.get("/api/export/liked.csv")
    assert answer.headers["content-disposition"].startswith("attachment")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert len(rows) == 24
    for row in rows:
        for cell in row.values():
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")), cell
    titles = {row["title"].removeprefix("'") for row in rows}
    assert {title for title in titles if title.startswith("=HYPER")}
    playlist = browser.get("/api/export/liked.m3u")
    lines = playlist.text.splitlines()
    assert lines[0] == "#EXTM3U"
    assert len(lines) == 1 + 2 * 24, "no title makes lines of its own"
    for entry, link in zip(lines[1::2], lines[2::2], strict=True):
        assert entry.startswith("#EXTINF:")
        assert link == "https://cdn.example/p.mp3" or link.startswith(f"{ADDRESS}/media/"), link


BODIES = {
    "/api/press": ("POST", {"press_id": "fuzzed-press", "track": "1", "liked": True}),
    "/api/undo": ("POST", {"press_id": "fuzzed-press"}),
    "/api/preference": ("PUT", {"artist": "Ada", "genre": "rock", "danceability": [0.1, 0.9]}),
    "/api/learner": ("PUT", {"learner": "tabular"}),
    "/api/settings": ("PUT", {"remote_media": False}),
    "/api/generate": ("POST", {"clip_id": "fuzzed-clip"}),
    "/api/session": ("POST", {}),
}
STRANGE: tuple[Any, ...] = (
    None, True, 0, -1, 2**70, 1e308, "", "x" * 300, "\ud800", "\x00", "g0", "g1", "999999999",
    [], [1], [0.9, 0.1], [float("nan"), 1], [0, float("inf")], {}, {"a": 1}, ["Ada"], "١٢٣", "🎵",
)  # fmt: skip


def test_wrong_bodies_are_refused_with_a_reason(player: Player) -> None:
    browser = player.browser()
    generator = np.random.default_rng(0)
    for path, (method, right) in BODIES.items():
        bodies: list[Any] = [*STRANGE[:6], [], "text", {**right, "unknown": 1}]
        for key in right:
            bodies += [{**right, key: strange} for strange in STRANGE]
            bodies.append({k: v for k, v in right.items() if k != key})
        for body in bodies:
            content = json.dumps(body).encode()
            answer = browser.request(
                method, path, content=content, headers={"Content-Type": "application/json"}
            )
            check(answer, f"{method} {path} {content[:100]!r}")
        for _ in range(5):
            content = generator.bytes(int(generator.integers(1, 60)))
            answer = browser.request(
                method, path, content=content, headers={"Content-Type": "application/json"}
            )
            assert 400 <= check(answer, f"{path} {content!r}") < 500
    assert press(browser, True)["track"] is not None, "still whole"


def check(answer: Any, what: str) -> int:
    assert answer.status_code < 500, f"{what}: {answer.text}"
    if answer.status_code >= 400:
        assert answer.json()["error"]["reason"], what
    return int(answer.status_code)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[" * 15_000,
        b'{"press_id": ' + b"1" * 6_000 + b"}",
        b"\xff\xfe",
        b'{"press_id": "aaaaaaaa", "track": "1", "liked": true, "liked": false}',
    ],
)
def test_no_json(player: Player, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = player.browser().post("/api/press", content=content, headers=headers)
    assert 400 <= check(answer, repr(content[:40])) < 500


def test_too_much_and_the_wrong_kind(player: Player) -> None:
    browser = player.browser()
    long = json.dumps({"artist": "x" * 20_000})
    answer = browser.put(
        "/api/preference", content=long, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, code_of(answer)) == (413, "too-large")
    answer = browser.post("/api/press", data={"track": "1"})  # what a form of any site can send
    assert (answer.status_code, code_of(answer)) == (415, "not-json")


@pytest.mark.parametrize(
    "path",
    [
        "/api/artists?n=0", "/api/artists?n=x", "/api/artists?q=" + "x" * 300,
        "/api/history?n=-1", "/api/history?before=99999999999999999999", "/api/plot?n=1e9",
        "/media/g1/clip.ogg", "/media/99999/clip.ogg", "/media/-1/clip.ogg", "/media/1.5/clip.wav",
        "/media/..%2f..%2fetc/artwork.svg", "/media/g/clip.mid", "/static/../app.py",
        "/static/%2e%2e/app.py", "/api/nothing", "/media/٣/artwork.svg",
    ],
)  # fmt: skip
def test_wrong_addresses(player: Player, path: str) -> None:
    answer = player.browser().get(path)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["error"]["reason"]


@pytest.mark.parametrize("q", ["%00", "%ff", "*", "a'--", "%F0%9F%8E%B5", "\\", "%ED%A0%80"])
def test_odd_searches(player: Player, q: str) -> None:
    assert player.client.get(f"/api/artists?q={q}").json() == {"artists": [], "more": False}


def test_methods_that_are_not_there(player: Player) -> None:
    browser = player.browser()
    for method, path in (("GET", "/api/press"), ("DELETE", "/api/state"), ("POST", "/api/plot")):
        answer = browser.request(method, path)
        assert (answer.status_code, code_of(answer)) == (405, "method-not-allowed")


def test_a_title_is_text_in_the_json(player: Player) -> None:
    browser = player.browser()
    titles = {press(browser, False)["track"]["title"] for _ in range(12)}
    assert any(title.startswith(ATTACKS[0]) for title in titles)
    answer = browser.get("/api/state")
    assert answer.headers["content-type"] == "application/json"


def test_a_failure_of_ours_gives_nothing_away(
    player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the listener comes back from the disk, as it was before."""
    from player.session import Session

    browser = player.browser()
    state = press(browser, True)

    def broken(self: Any) -> Any:
        raise ZeroDivisionError("a secret of ours")

    client = TestClient(
        player.app,
        base_url=ADDRESS,
        headers=PAGE,
        cookies=dict(browser.cookies),
        raise_server_exceptions=False,
    )
    body = {"press_id": "press-that-fails", "track": state["track"]["key"], "liked": True}
    with monkeypatch.context() as patch:
        patch.setattr(Session, "_chosen", broken)
        answer = client.post("/api/press", json=body)
    assert (answer.status_code, code_of(answer)) == (500, "failed")
    assert "secret" not in answer.text
    refused = client.get("/nothing").headers
    for name in refused.keys() - {"content-length", "content-type"}:
        assert answer.headers[name] == refused[name], f"{name}, as every answer has it"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert browser.get("/api/state").json() == state
    assert browser.post("/api/press", json=body).json()["press"]["repeated"] is False


def test_a_full_disk_is_said_and_nothing_is_half_done(
    player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    from player.store import Store

    browser = player.browser()
    state = press(browser, True)

    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    body = {"press_id": "press-not-saved", "track": state["track"]["key"], "liked": True}
    with monkeypatch.context() as patch:
        patch.setattr(Store, "add_press", full)
        answer = browser.post("/api/press", json=body)
    assert (answer.status_code, code_of(answer)) == (507, "not-saved")
    assert browser.get("/api/state").json() == state
    again = browser.post("/api/press", json=body).json()
    assert again["press"]["repeated"] is False
    assert again["state"]["presses"] == 2


@pytest.mark.parametrize("path", ["/api/session", "/api/listeners"])
def test_a_full_disk_takes_no_new_listener(
    player: Player, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    import sqlite3

    from player.store import Store

    def full(*_: Any, **__: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    stranger = TestClient(player.app, base_url=ADDRESS, headers=PAGE)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "add_listener", full)
        answer = stranger.post(path)
    assert (answer.status_code, code_of(answer)) == (507, "not-saved")
    assert "disk is full" in answer.text and "set-cookie" not in answer.headers
    assert stranger.post(path).status_code in (200, 201)
