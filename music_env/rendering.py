"""Views of a step: text ("ansi") and a picture ("rgb_array")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from music_env.tables import Tables

RENDER_MODES = ["ansi", "rgb_array"]


@dataclass(frozen=True)
class StepView:
    """What a view shows.

    Attributes:
        tables: catalogue, preference and scores.
        track: the catalogue index of the track judged, or shown where nothing is judged yet.
        action: 0 dislike, 1 like, None where nothing is judged yet.
        number: how many tracks of the session have been judged.
        episode_return: the return so far.
    """

    tables: Tables
    track: int
    action: int | None
    number: int
    episode_return: float


def checked_render_mode(render_mode: str | None) -> str | None:
    """Return the render mode; ``ValueError`` for an unknown one."""
    if render_mode is not None and render_mode not in RENDER_MODES:
        raise ValueError(f"render_mode must be None or one of {RENDER_MODES}, got {render_mode!r}")
    return render_mode


def render(view: StepView, mode: str) -> Any:
    """Return the view as a string ("ansi") or as (height, width, 3) uint8 ("rgb_array")."""
    raise NotImplementedError
