"""The server: what `create_app` makes of the routes, the guard and the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from player import catalogue_routes, listener_routes, media_routes, page
from player.engine import Engine, MakeRecommender
from player.errors import PlayerError
from player.security import Guard
from player.settings import PlayerSettings

_CODES = {404: "not-found", 405: "method-not-allowed"}


def create_app(
    settings: PlayerSettings, make_recommender: MakeRecommender | None = None
) -> FastAPI:
    """Return the player as an ASGI application.

    Args:
        settings: what it is started with.
        make_recommender: see `Engine`.
    """
    engine = Engine(settings, make_recommender)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine.start()
        yield
        engine.stop()

    # Their pages of documentation load scripts from another host.
    app = FastAPI(
        title="MusicRec player", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan
    )
    app.state.engine = engine
    for routes in (page, listener_routes, catalogue_routes, media_routes):
        app.include_router(routes.router)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    app.add_exception_handler(PlayerError, _refuse)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_middleware(Guard, bound_to=settings.host, allowed=settings.allowed_hosts)
    return app


async def _refuse(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, PlayerError)
    headers = {"Retry-After": "1"} if error.status == 503 else None
    return JSONResponse(error.content(), status_code=error.status, headers=headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    # What was sent is not repeated: it may be anything, also no text that UTF-8 can hold.
    reason = f"{'.'.join(place) or 'the request'}: {first['msg']}"
    refused = PlayerError(422, "bad-request", reason, field=place[0] if place else None)
    return await _refuse(request, refused)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "bad-request")
    answer = await _refuse(request, PlayerError(error.status_code, code, str(error.detail)))
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer
