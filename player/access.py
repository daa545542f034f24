"""Who sends a request: by the page's cookie, or by a program's bearer token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from starlette.requests import Request

from player.engine import Engine, Shelf
from player.errors import PlayerError
from player.security import COOKIE

if TYPE_CHECKING:  # it loads torch
    from player.session import Session


def engine_of(request: Request) -> Engine:
    """Return the engine of the server that answers a request."""
    engine: Engine = request.app.state.engine
    return engine


def shelf_of(request: Request) -> Shelf:
    """Return its catalogue and listeners.

    Raises:
        PlayerError: 503 until the catalogue is read.
    """
    return engine_of(request).shelf()


def bearer_of(request: Request) -> str | None:
    """Return the token that a program sends; None where the request has none."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def remembered(request: Request) -> tuple[str, int] | None:
    """Return the token in the page's cookie and its listener; None where it is nobody's here.

    A cookie without a store's id, as earlier players set it, may be another player's.

    Raises:
        PlayerError: 503 until the catalogue is read.
    """
    sessions = shelf_of(request).sessions
    for name in (sessions.cookie, COOKIE):
        token = request.cookies.get(name)
        listener = sessions.listener_of(token) if token else None
        if token and listener is not None:
            return token, listener
    return None


def known_listener(request: Request) -> int | None:
    """Return the number of the listener who sends a request; None where it is nobody's.

    A program's token goes before the page's.
    """
    token = bearer_of(request)
    if token is not None:
        return shelf_of(request).sessions.listener_of(token)
    found = remembered(request)
    return None if found is None else found[1]


@contextmanager
def session_of(request: Request) -> Iterator[Session]:
    """Hold the session of the listener who sends a request.

    Raises:
        PlayerError: 401 where it is nobody's.
    """
    listener = known_listener(request)
    if listener is None:
        raise PlayerError(
            401,
            "no-listener",
            "the request has no listener's token: the page calls POST /api/session first; a "
            "program calls POST /api/listeners and sends 'Authorization: Bearer TOKEN'",
        )
    with shelf_of(request).sessions.use(listener) as session:
        yield session
