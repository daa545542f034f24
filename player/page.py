"""The page itself: one template, whose security policy follows the listener's settings."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.templating import Jinja2Templates

from player.access import engine_of, session_of
from player.errors import PlayerError
from player.security import page_policy
from player.settings import DEFAULT_SETTINGS

router = APIRouter()

_TEMPLATES = Jinja2Templates(Path(__file__).parent / "templates")


@router.get("/")
def page(request: Request) -> Response:
    """Return the page; it says nothing of the listener but the switches that its policy follows.

    Its script compares them with the listener's, and loads the page again where they differ.
    """
    settings = _settings(request)
    answer = _TEMPLATES.TemplateResponse(request, "index.html", settings)
    answer.headers["Content-Security-Policy"] = _policy(request, settings)
    return answer


def _settings(request: Request) -> dict[str, bool]:
    """Return the switches of the listener; all off where the listener is not known, or not yet."""
    with suppress(PlayerError), session_of(request) as session:
        return dict(session.settings)
    return dict(DEFAULT_SETTINGS)


def _policy(request: Request, settings: dict[str, bool]) -> str:
    shelf = engine_of(request).shelf() if settings["remote_media"] else None
    return page_policy(
        pictures=() if shelf is None else shelf.picture_origins,
        previews=() if shelf is None else shelf.preview_origins,
        spotify=settings["spotify"],
    )
