"""The API's requests that a listener makes: ``API.md``, *Being a listener* and *Pressing*."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from player.access import bearer_of, remembered, session_of, shelf_of
from player.bodies import (
    EmptyBody,
    GenerateBody,
    LearnerBody,
    PreferenceBody,
    PressBody,
    SettingsBody,
    UndoBody,
)
from player.security import COOKIE

router = APIRouter(prefix="/api")

COOKIE_SECONDS = 400 * 24 * 3600
"""[s] How long the page's listener is remembered: the most that browsers allow."""

# Every function is a plain one: it may wait for a lock and the disk, and runs in a thread.


@router.post("/session")
def greet(request: Request, body: EmptyBody | None = None) -> JSONResponse:
    """Return the state of the cookie's listener, or of a new one, and set or renew the cookie."""
    if bearer_of(request) is not None:  # a program, which needs no cookie
        with session_of(request) as session:
            return JSONResponse(session.state())
    sessions = shelf_of(request).sessions
    token, listener = remembered(request) or sessions.create()
    with sessions.use(listener) as session:
        answer = JSONResponse(session.state())
    _set_cookie(request, answer, sessions.cookie, token)
    return answer


def _set_cookie(request: Request, answer: Response, name: str, token: str) -> None:
    """Remember the page's listener from now on; who comes again in time is not forgotten."""
    answer.set_cookie(
        name,
        token,
        max_age=COOKIE_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        path="/",
    )
    if request.cookies.get(COOKIE) == token:  # set by an earlier player: it has this name now
        answer.delete_cookie(COOKIE, path="/")


@router.post("/listeners", status_code=201)
def introduce(request: Request, body: EmptyBody | None = None) -> dict[str, Any]:
    """Return a new listener's token and state."""
    sessions = shelf_of(request).sessions
    token, listener = sessions.create()
    with sessions.use(listener) as session:
        return {"token": token, "state": session.state()}


@router.get("/state")
def state(request: Request) -> dict[str, Any]:
    """Return the listener's state."""
    with session_of(request) as session:
        return session.state()


@router.post("/reset")
def reset(request: Request, body: EmptyBody | None = None) -> dict[str, Any]:
    """Forget all of a listener's presses."""
    with session_of(request) as session:
        session.reset()
        return session.state()


@router.post("/press")
def press(request: Request, response: Response, body: PressBody) -> dict[str, Any]:
    """Learn from a press, and return the next track; the answer says what that took."""
    began, worked = time.perf_counter(), time.thread_time()
    with session_of(request) as session:
        repeated = session.press(body.press_id, body.track, body.liked)
        shown = session.state()
    took, cpu = time.perf_counter() - began, time.thread_time() - worked
    response.headers["Server-Timing"] = f"press;dur={1e3 * took:.1f}, cpu;dur={1e3 * cpu:.1f}"
    return {"press": {**body.model_dump(), "repeated": repeated}, "state": shown}


@router.post("/undo")
def undo(request: Request, body: UndoBody) -> dict[str, Any]:
    """Take back the last press."""
    with session_of(request) as session:
        session.undo(body.press_id)
        return session.state()


@router.put("/preference")
def ask_for(request: Request, body: PreferenceBody) -> dict[str, Any]:
    """Show tracks that fit a preference from now on."""
    with session_of(request) as session:
        session.ask_for(body.preference())
        return session.state()


@router.put("/learner")
def choose_learner(request: Request, body: LearnerBody) -> dict[str, Any]:
    """Let a learner recommend from now on."""
    with session_of(request) as session:
        session.choose_learner(body.learner)
        return session.state()


@router.put("/settings")
def change_settings(request: Request, body: SettingsBody) -> dict[str, Any]:
    """Switch what is loaded from other hosts on or off."""
    with session_of(request) as session:
        session.change_settings(body.model_dump(exclude_none=True))
        return session.state()


@router.post("/generate")
def generate(request: Request, body: GenerateBody | None = None) -> dict[str, Any]:
    """Compose a clip from what was liked, to be judged next."""
    with session_of(request) as session:
        session.generate(None if body is None else body.clip_id)
        return session.state()
