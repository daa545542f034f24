"""The API's requests that only look: ``API.md``, *Starting* and *Looking*."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from player.access import engine_of, session_of, shelf_of
from player.bodies import MAX_TEXT

router = APIRouter(prefix="/api")

MAX_PRESSES = 500
MAX_PLOT = 5_000
MAX_NUMBER = 2**53


@router.get("/status")
def status(request: Request) -> dict[str, Any]:
    """Return how far the player has started."""
    return engine_of(request).status()


@router.get("/artists")
def artists(
    request: Request,
    q: Annotated[str, Query(max_length=MAX_TEXT)] = "",
    n: Annotated[int, Query(ge=1, le=50)] = 10,
) -> dict[str, Any]:
    """Return the artists that are found by what was typed."""
    shelf = shelf_of(request)
    labels = shelf.catalogue.artists
    places, more = shelf.artists.find(q, n)
    found = [
        {"name": labels.vocabulary[place], "tracks": int(labels.frequency[place])}
        for place in places
    ]
    return {"artists": found, "more": more}


@router.get("/genres")
def genres(request: Request) -> dict[str, Any]:
    """Return all genres."""
    labels = shelf_of(request).catalogue.genres
    counts = labels.frequency.tolist()
    return {
        "genres": [
            {"name": name, "tracks": count}
            for name, count in zip(labels.vocabulary, counts, strict=True)
        ]
    }


@router.get("/history")
def history(
    request: Request,
    n: Annotated[int, Query(ge=1, le=MAX_PRESSES)] = 50,
    before: Annotated[int | None, Query(ge=1, le=MAX_NUMBER)] = None,
) -> dict[str, Any]:
    """Return the last presses."""
    with session_of(request) as session:
        return session.history(n, before)


@router.get("/liked")
def liked(
    request: Request, n: Annotated[int, Query(ge=1, le=MAX_NUMBER)] = MAX_NUMBER
) -> dict[str, Any]:
    """Return the liked tracks."""
    with session_of(request) as session:
        return session.liked_part(n)


@router.get("/plot")
def plot(request: Request, n: Annotated[int, Query(ge=1, le=MAX_PLOT)] = 500) -> dict[str, Any]:
    """Return the series of the live plot."""
    with session_of(request) as session:
        return session.plot(n)


@router.get("/export/liked.csv")
def export_csv(request: Request) -> Response:
    """Return the liked tracks as CSV."""
    from player.exports import as_csv

    with session_of(request) as session:
        presses = session.liked_presses()
    return _download(as_csv(shelf_of(request).catalogue, presses), "text/csv", "liked.csv")


@router.get("/export/liked.m3u")
def export_m3u(request: Request) -> Response:
    """Return the liked tracks as a playlist."""
    from player.exports import as_m3u

    with session_of(request) as session:
        presses = session.liked_presses()
    here = str(request.base_url).rstrip("/")
    playlist = as_m3u(shelf_of(request).catalogue, presses, here)
    return _download(playlist, "audio/x-mpegurl", "liked.m3u")


def _download(text: str, kind: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="musicrec-{name}"'}
    content = text.encode("utf-8", "backslashreplace")
    return Response(content, media_type=f"{kind}; charset=utf-8", headers=headers)
