"""Sound and pictures made here: ``API.md``, *Sound and pictures*."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from player.errors import PlayerError

router = APIRouter(prefix="/media")

Key = Annotated[str, Path(pattern=r"^g?[0-9]{1,9}$")]


@router.get("/{key}/artwork.svg")
def artwork(
    request: Request, key: Key, size: Annotated[int, Query(ge=32, le=2048)] = 512
) -> Response:
    """Return the picture of a track."""
    raise PlayerError(404, "not-found", "pictures are not there yet")
