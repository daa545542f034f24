"""A program that is a listener: the API over HTTP, with nothing but Python's own library.

An example for programs of your own, and what ``recommend.py --simulate`` uses.
"""

from __future__ import annotations

import http.client
import json
import re
import time
import uuid
from typing import Any
from urllib.parse import urlsplit

PATIENCE = 3600.0
"""[s] To wait for a policy that is being trained."""

_TIMING = re.compile(r"([a-z]+);dur=([0-9.]+)")


class ApiError(RuntimeError):
    """An answer other than 2xx.

    Args:
        status: of the answer.
        content: its body.
    """

    def __init__(self, status: int, content: dict[str, Any]) -> None:
        error = content.get("error", {})
        super().__init__(f"{status} {error.get('code')}: {error.get('reason')}")
        self.status, self.content = status, content


class Client:
    """One listener.

    Args:
        address: of the server, such as ``http://127.0.0.1:8000``.
        token: of a listener; None: `introduce` asks for one.
        timeout: of a request [s].

    Attributes:
        server_timing: of the last answer: name -> what the server says it took [ms].
    """

    def __init__(self, address: str, token: str | None = None, *, timeout: float = 60.0) -> None:
        parts = urlsplit(address)
        if parts.scheme != "http" or parts.hostname is None:
            raise ValueError(f"address must be http://HOST:PORT, got {address!r}")
        self._connection = http.client.HTTPConnection(
            parts.hostname, parts.port or 80, timeout=timeout
        )
        self.token = token
        self.server_timing: dict[str, float] = {}

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the JSON of an answer.

        Raises:
            ApiError: the answer is none of success.
            OSError, http.client.HTTPException: there was no answer.
        """
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        content = None
        if method != "GET":
            content, headers["Content-Type"] = json.dumps(body or {}), "application/json"
        try:
            answer, text = self._answer(method, path, content, headers)
        except (OSError, http.client.HTTPException):
            self._connection.close()  # the next request opens it again
            raise
        self.server_timing = {
            name: float(duration)
            for name, duration in _TIMING.findall(answer.getheader("Server-Timing", ""))
        }
        found: dict[str, Any] = json.loads(text)
        if not 200 <= answer.status < 300:
            raise ApiError(answer.status, found)
        return found

    def _answer(
        self, method: str, path: str, content: str | None, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        was_open = self._connection.sock is not None
        while True:
            try:
                self._connection.request(method, path, content, headers)
                answer = self._connection.getresponse()
                return answer, answer.read()
            except (http.client.RemoteDisconnected, ConnectionError):
                if not was_open:
                    raise
                # The server had closed it, as nothing was said for long: once more, from the start.
                self._connection.close()
                was_open = False

    def wait(self, *, seconds: float = PATIENCE) -> dict[str, Any]:
        """Wait until both learners are there, and return the status.

        Raises:
            RuntimeError: they will not be, or not in this time.
        """
        end = time.monotonic() + seconds
        while True:
            status = self.request("GET", "/api/status")
            if status["phase"] == "ready":
                return status
            if status["phase"] == "failed" or time.monotonic() > end:
                raise RuntimeError(f"the player is not ready: {status['message']}")
            time.sleep(0.2)

    def introduce(self) -> dict[str, Any]:
        """Become a new listener, and return the state."""
        found = self.request("POST", "/api/listeners")
        self.token = found["token"]
        state: dict[str, Any] = found["state"]
        return state

    def press(
        self, track: str, liked: bool, *, press_id: str | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Press on a track; return the press's id and the state with the next track.

        When no answer comes, call again with the same ``press_id``: it counts once.
        """
        press_id = press_id or uuid.uuid4().hex
        body = {"press_id": press_id, "track": track, "liked": liked}
        return press_id, self.request("POST", "/api/press", body)["state"]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
