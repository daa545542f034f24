"""What the player answers to wrong input: a status, a code and a reason."""

from __future__ import annotations

from typing import Any


class PlayerError(Exception):
    """A request that cannot be fulfilled, through no fault of the server.

    Args:
        status: of the answer, 4xx or 5xx.
        code: a word for programs, see ``API.md``.
        reason: a sentence for people.
        field: the part of the request that is to blame.
        state: the listener's present state, where the request did not fit it.
    """

    def __init__(
        self,
        status: int,
        code: str,
        reason: str,
        *,
        field: str | None = None,
        state: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(reason)
        self.status, self.code, self.reason = status, code, reason
        self.field, self.state = field, state

    def content(self) -> dict[str, Any]:
        """Return the body of the answer."""
        error = {"code": self.code, "reason": printable(self.reason)}
        if self.field is not None:
            error["field"] = self.field
        return {"error": error} if self.state is None else {"error": error, "state": self.state}


def printable(text: str) -> str:
    """Return a text that UTF-8 can hold: a lone half of a surrogate pair is written out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def starting() -> PlayerError:
    """Return the answer while the catalogue is being read."""
    return PlayerError(503, "starting", "the player is starting: try again in a second")
