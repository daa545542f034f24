"""A step as a picture, drawn with Pillow, which is imported when the first one is drawn."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from music_env.rendering import Facts, StateView, satiation_text, signed

if TYPE_CHECKING:
    from PIL import Image, ImageFont

WIDTH, HEIGHT = 800, 448
"""The picture's size [px]: multiples of 16, which every video encoder takes as they are."""

_Colour = tuple[int, int, int]
# Every text has a contrast of at least 4.5 to what is behind it (WCAG 2.2, AA). Blue and orange are
# of Okabe and Ito's palette, told apart with any colour vision; a word and a sign go with them.
_BACKGROUND, _CARD, _GROOVE = (13, 17, 23), (24, 29, 39), (46, 54, 68)
_TEXT, _SOFT = (240, 243, 248), (160, 170, 186)
_BLUE, _ORANGE = (86, 180, 233), (230, 159, 0)
_BLUE_DEEP, _ORANGE_DEEP, _GREY_DEEP = (22, 51, 74), (66, 48, 16), (36, 42, 54)
_LEFT, _RIGHT, _GAP = 40, WIDTH - 40, 16
_CHIPS = 3  # side by side: as many as MusicRec-v0 has terms
# Upper edges of two bars: the progress of the session, and danceability from 0 to 1.
_PROGRESS, _SCALE = 61, 237
# What Pillow's own font can draw besides ASCII, as far as titles have it.
_PILLOW_GLYPHS = frozenset("‘’“”«»·…")  # noqa: RUF001


def draw(facts: Facts) -> NDArray[np.uint8]:
    """Return the picture of a step, (`HEIGHT`, `WIDTH`, 3) uint8, a fresh array.

    Raises:
        ImportError: without Pillow.
    """
    try:
        picture = _backdrop().copy()
    except ImportError as error:
        raise ImportError(
            'render_mode="rgb_array" needs Pillow 10.1 or later, which cannot be imported here '
            f"({error}): pip install 'pillow>=10.1', or choose render_mode=\"ansi\""
        ) from error
    _draw_track(picture, facts)
    panels = [] if facts.state is None else _panels(facts.state)
    if panels or not facts.has_track:
        _draw_state(picture, panels)
    else:
        _draw_danceability(picture, facts)
    _draw_terms(picture, facts)
    _draw_outcome(picture, facts)
    return np.array(picture)


@functools.cache
def _backdrop() -> Image.Image:
    """Return what is the same in every picture."""
    from PIL import Image

    picture = Image.new("RGB", (WIDTH, HEIGHT), _BACKGROUND)
    _box(picture, 16, 16, WIDTH - 32, HEIGHT - 32, _CARD, radius=18)
    for i, height in enumerate((8, 15, 11, 5)):
        _box(picture, _LEFT + 6 * i, 51 - height, 4, height, _BLUE)
    _box(picture, _LEFT, _PROGRESS, _RIGHT - _LEFT, 6, _GROOVE)
    _write(picture, _LEFT, _SCALE + 11, "0", 15, _SOFT)
    _write(picture, _RIGHT, _SCALE + 11, "1", 15, _SOFT, anchor="rs")
    _box(picture, _LEFT + 20, _SCALE, _RIGHT - _LEFT - 40, 12, _GROOVE)
    _write(picture, _RIGHT, 381, "return so far", 15, _SOFT, anchor="rs")
    return picture


def _draw_track(picture: Image.Image, facts: Facts) -> None:
    """The place in the session, and what track it is."""
    width = _RIGHT - _LEFT
    _write(picture, _LEFT + 32, 51, facts.env_id, 15, _SOFT)
    place = f"{facts.shows} {facts.number:,} of {facts.session_length:,}"
    _write(picture, _RIGHT, 51, place, 15, _SOFT, anchor="rs")
    if facts.action is not None:
        done = max(6, round(width * facts.number / facts.session_length))
        _box(picture, _LEFT, _PROGRESS, done, 6, _SOFT)
    _write(picture, _LEFT, 116, facts.title, 40, _TEXT, width=width)
    _write(picture, _LEFT, 152, facts.artists, 24, _TEXT, width=width)
    # Genres first: they count, and a long album's name would push them out.
    about = " · ".join(text for text in (facts.genres, facts.album) if text)
    _write(picture, _LEFT, 181, about, 18, _SOFT, width=width)


def _draw_danceability(picture: Image.Image, facts: Facts) -> None:
    """On a bar from 0 to 1 the range that the listener likes, and the track as a dot."""
    left, width = _LEFT + 20, _RIGHT - _LEFT - 40
    _write(picture, _LEFT, 222, f"Danceability {facts.danceability:g}", 18, _TEXT)
    if "danceability" in facts.wanted:
        liked = f"liked: {facts.wanted['danceability'] or 'any'}"
        _write(picture, _RIGHT, 222, liked, 18, _SOFT, anchor="rs")
    ends = [left + round(width * end) for end in facts.liked or ()]
    if ends:
        _box(picture, ends[0], _SCALE, ends[1] - ends[0] + 1, 12, _BLUE, radius=0)
    dot = left + round(width * facts.danceability)
    _box(picture, dot - 12, _SCALE - 6, 25, 25, _CARD)
    _box(picture, dot - 9, _SCALE - 3, 19, 19, _TEXT)
    for end in ends:  # over the dot, so that one sees on which side of an end it lies
        _box(picture, end - 1, _SCALE - 9, 3, 31, _BLUE)


@dataclass(frozen=True)
class _Panel:
    """A part of the listener's state: its name, what it is now, and what it was."""

    name: str
    now: str
    history: Sequence[float]
    greatest: float
    colour: _Colour


def _panels(state: StateView) -> list[_Panel]:
    """Return what there is to show of a listener's state: nothing of effects without strength."""
    panels = []
    if state.levels is not None:
        now = satiation_text(state.levels, 2)
        panels.append(_Panel("satiation", now, state.level_history, state.top, _ORANGE))
    if state.patience is not None:
        now = f"{state.patience:.2f}"
        panels.append(_Panel("patience", now, state.patience_history, 1.0, _BLUE))
    return panels


def _draw_state(picture: Image.Image, panels: Sequence[_Panel]) -> None:
    """Satiation and patience after each track so far, side by side, where danceability stood."""
    width, top, height = (_RIGHT - _LEFT - _GAP) // 2, 204, 62
    picture.paste(_CARD, (_LEFT - 4, 200, _RIGHT + 4, _SCALE + 38))
    for number, panel in enumerate(panels):
        left = _LEFT + number * (width + _GAP)
        _write(picture, left, top + 14, panel.name, 15, _SOFT)
        _write(picture, left + width, top + 14, panel.now, 15, _TEXT, anchor="rs", width=width - 90)
        picture.paste(_GROOVE, (left, top + 22, left + width, top + height))
        for place, value in enumerate(panel.history[-width:]):  # a column of pixels or more
            step = max(1, min(8, width // max(1, len(panel.history))))
            high = round((height - 22) * min(1.0, value / panel.greatest))
            edge = left + place * step
            box = (edge, top + height - high, edge + max(1, step - 1), top + height)
            picture.paste(panel.colour, box)


def _draw_terms(picture: Image.Image, facts: Facts) -> None:
    """A chip a term: what the listener wants, and once judged whether the track has it."""
    width, height, top = (_RIGHT - _LEFT - 2 * _GAP) // _CHIPS, 72, 278
    terms = list(facts.terms.items())
    if len(terms) > _CHIPS:  # of a listener model: those that count most
        terms = sorted(terms, key=lambda term: -abs(term[1]))[:_CHIPS]
    for i, (term, value) in enumerate(terms):
        left, wanted = _LEFT + i * (width + _GAP), facts.wanted[term]
        word, colour, fill = "open", _SOFT, _GREY_DEEP
        if wanted is not None and facts.action is None:
            word = "not judged"
        elif wanted is not None and value == 0:
            word = "weight 0"
        elif value > 0:
            word, colour, fill = f"match {signed(value, 3)}", _BLUE, _BLUE_DEEP
        elif value < 0:
            word, colour, fill = f"no match {signed(value, 3)}", _ORANGE, _ORANGE_DEEP
        _box(picture, left, top, width, height, colour, radius=10)
        _box(picture, left + 2, top + 2, width - 4, height - 4, fill, radius=8)
        _write(picture, left + 14, top + 27, term, 15, _TEXT)
        _write(
            picture, left + width - 14, top + 27, word, 15, colour, anchor="rs", width=width - 116
        )
        _write(picture, left + 14, top + 56, wanted or "any", 21, _TEXT, width=width - 28)


def _draw_outcome(picture: Image.Image, facts: Facts) -> None:
    """The action, whether it was right, the reward, and the return so far."""
    _write(picture, _RIGHT, 414, facts.episode_return, 30, _TEXT, anchor="rs")
    top, height, base = 372, 42, 401
    width = 118 if facts.action else 178
    fill, ink = (_TEXT, _BACKGROUND) if facts.plays else (_CARD, _TEXT)
    _box(picture, _LEFT, top, width, height, _TEXT)
    _box(picture, _LEFT + 2, top + 2, width - 4, height - 4, fill)
    word = facts.action.upper() if facts.action else "not judged yet"
    _write(picture, _LEFT + width // 2, base, word, 22, ink, anchor="ms")
    if facts.action:
        colour = _BLUE if facts.reward > 0 else _ORANGE if facts.reward < 0 else _SOFT
        _write(picture, _LEFT + width + _GAP, base, facts.verdict, 24, colour)
        _write(picture, _RIGHT - 200, 381, "reward", 15, _SOFT, anchor="rs")
        _write(picture, _RIGHT - 200, 414, signed(facts.reward), 30, colour, anchor="rs")


def _box(
    picture: Image.Image,
    left: int,
    top: int,
    width: int,
    height: int,
    colour: _Colour,
    *,
    radius: int = HEIGHT,
) -> None:
    """Draw a box with round corners; by default its ends are half circles."""
    picture.paste(colour, (left, top), _box_mask(width, height, radius))


@functools.lru_cache(maxsize=256)
def _box_mask(width: int, height: int, radius: int) -> Image.Image:
    """Return the coverage of a box, drawn four times as large and averaged: smooth corners."""
    from PIL import Image, ImageDraw

    mask = Image.new("L", (4 * width, 4 * height))
    radius = 4 * min(radius, width // 2, height // 2)
    corners = (0, 0, 4 * width - 1, 4 * height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(corners, radius, fill=255)
    return mask.reduce(4)


def _write(
    picture: Image.Image,
    x: int,
    y: int,
    text: str,
    size: int,
    colour: _Colour,
    *,
    anchor: str = "ls",
    width: int = WIDTH,
) -> None:
    """Write on the base line y, shortened to a width; the anchors are Pillow's."""
    mask, dx, dy = _text_mask(text, size, anchor, width)
    picture.paste(colour, (x + dx, y + dy), mask)


@functools.lru_cache(maxsize=128)  # most texts come again in the next frame
def _text_mask(text: str, size: int, anchor: str, width: int) -> tuple[Image.Image, int, int]:
    """Return the coverage of a text, and where it lies from the point that it is anchored to."""
    from PIL import Image, ImageDraw

    font = _font(size, all(char.isascii() or char in _PILLOW_GLYPHS for char in text))
    text = _shortened(text, font, width)
    left, top, right, bottom = (round(edge) for edge in font.getbbox(text, anchor=anchor))
    mask = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(mask).text((-left, -top), text, 255, font, anchor)
    return mask, left, top


@functools.cache
def _font(size: int, pillow_has_it: bool) -> ImageFont.FreeTypeFont:
    """Return Pillow's own font, or one with more scripts where Pillow's has not all of a text.

    Pillow's (Aileron) has no accents. DejaVu Sans, which has the Latin, Greek and Cyrillic scripts,
    comes with matplotlib; without it, and for other scripts, a box stands for a character.
    """
    from PIL import ImageFont

    if not pillow_has_it:
        matplotlib = importlib.util.find_spec("matplotlib")  # found, not imported
        for folder in (matplotlib and matplotlib.submodule_search_locations) or ():
            path = Path(folder) / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
            if path.is_file():
                # Smaller, for it is wider. The basic layout does not depend on what is installed.
                size = round(0.88 * size)
                return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # whenever a size is asked for
    return font


def _shortened(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Return the text, or as much of it as fits into the width with an ellipsis behind it."""
    if font.getlength(text) <= width:
        return text
    fits, too_long = 0, len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if font.getlength(text[:middle] + "…") <= width:
            fits = middle
        else:
            too_long = middle
    return text[:fits].rstrip() + "…"
