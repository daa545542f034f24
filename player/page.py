"""The page itself: one template, whose security policy follows the listener's settings."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.templating import Jinja2Templates

from player.access import engine_of, known_listener, session_of
from player.errors import PlayerError
from player.security import page_policy

router = APIRouter()

_TEMPLATES = Jinja2Templates(Path(__file__).parent / "templates")


@router.get("/")
def page(request: Request) -> Response:
    """Return the page; it says nothing of the listener, its script asks for that."""
    answer = _TEMPLATES.TemplateResponse(request, "index.html")
    answer.headers["Content-Security-Policy"] = _policy(request)
    return answer


def _policy(request: Request) -> str:
    """Return the strictest policy, unless the listener is known and has switched more on."""
    try:
        shelf = engine_of(request).shelf()
        if known_listener(request) is None:
            return page_policy()
        with session_of(request) as session:
            settings = dict(session.settings)
    except PlayerError:
        return page_policy()
    remote = settings["remote_media"]
    return page_policy(
        pictures=shelf.picture_origins if remote else (),
        previews=shelf.preview_origins if remote else (),
        spotify=settings["spotify"],
    )
