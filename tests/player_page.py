"""The player served in a thread, and a visit to its page in Chromium: for the browser tests."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import uvicorn
from player_server import by_rule, tracks_frame
from playwright.sync_api import Browser, Page, Route, expect

from player.app import create_app
from player.chromium import PATIENCE
from player.settings import PlayerSettings

WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


def remote_frame(count: int) -> pd.DataFrame:
    """Tracks that name pictures, previews and Spotify ids on other hosts."""
    numbers = range(count)
    return tracks_frame(count).assign(
        track_id=[f"{i:022d}" for i in numbers],
        album=[f"Album {i // 10}" for i in numbers],
        artwork_url=[f"https://pictures.example/{i}.png" for i in numbers],
        preview_url=[f"https://previews.example/{i}.mp3" for i in numbers],
    )


@contextmanager
def serving(catalogue: Path, data: Path, make: Callable[..., Any] = by_rule) -> Iterator[str]:
    """Serve a player in a thread; yield its address."""
    app = create_app(PlayerSettings(catalogue=catalogue, data=data), make)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)


class Visit:
    """A new listener's page; the network is cut off but for the page's own host."""

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        self.address = address
        self.foreign: list[str] = []
        self.errors: list[str] = []
        self.context = browser.new_context(**{"viewport": WIDE, **options})
        self.context.set_default_timeout(PATIENCE)
        self.context.route(re.compile(rf"^(?!{re.escape(address)}/)"), self._cut_off)
        self.page = self.context.new_page()
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", lambda dialog: self.errors.append(f"dialog {dialog.message}"))
        self.arrive()

    def _cut_off(self, route: Route) -> None:
        self.foreign.append(route.request.url)
        route.abort()

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def arrive(self) -> None:
        """Load the page and wait until the first track is shown."""
        self.page.goto(self.address)
        stage = self.page.locator("#stage")  # the first visit waits until torch is loaded
        expect(stage).to_have_attribute("aria-busy", "false", timeout=3 * PATIENCE)

    def check(self) -> None:
        """Nothing was asked of another host, no script failed, no policy was violated."""
        assert self.foreign == []
        assert self.errors == []


def has_pressed(page: Page, count: int) -> None:
    """Wait until so many presses are shown."""
    expect(page.locator("#history-count")).to_have_text(str(count))


def remaining(page: Page) -> int:
    text = page.locator("#remaining").text_content() or ""
    return int(text.split()[0].replace(",", ""))


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id"))


def tab_to(page: Page, target: str, key: str = "Tab") -> None:
    """Press Tab until an element has the focus, as somebody without a mouse does."""
    for _ in range(60):
        page.keyboard.press(key)
        if focused(page) == target:
            return
    raise AssertionError(f"{key} does not lead to {target}")
