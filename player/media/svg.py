"""Drawing as SVG text: shapes and gradients only, whatever they are asked to say."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import TypeAlias
from xml.sax.saxutils import escape, quoteattr

__all__ = ["EXTENT", "Canvas", "Point", "plain_text"]

EXTENT = 512.0
"""Width and height of the drawing in its own units."""

Point: TypeAlias = tuple[float, float]
Value: TypeAlias = str | float


def plain_text(text: str, longest: int = 200) -> str:
    """The text without what XML forbids or a reader would not see, at most ``longest`` characters.

    Control and format characters (NUL, marks that turn the direction of writing), surrogates and
    private characters become nothing, line breaks and other separators a space.
    """
    kept = []
    for character in text[: 4 * longest]:
        category = unicodedata.category(character)
        if category[0] == "Z" or character in "\t\n\r":
            kept.append(" ")
        elif category[0] != "C" and character not in "\ufffe\uffff":
            kept.append(character)
    return "".join(kept).strip()[:longest]


def number(value: float) -> str:
    """A coordinate to a tenth of a unit (which nobody sees), as short as it can be written."""
    return f"{round(float(value), 1) + 0.0:g}"


class Canvas:
    """A square of `EXTENT` units that shapes are added to, the first at the bottom."""

    def __init__(self, prefix: str) -> None:
        """Start empty; ``prefix`` makes the ids unique to this picture: letters and digits."""
        self._prefix = prefix
        self._definitions: list[str] = []
        self._shapes: list[str] = []

    def add(self, tag: str, **attributes: Value) -> None:
        """Add an element; ``stroke_width`` is written stroke-width."""
        self._shapes.append(_element(tag, attributes))

    def rectangle(self, x: float, y: float, width: float, height: float, **rest: Value) -> None:
        """Add a rectangle."""
        self.add("rect", x=x, y=y, width=width, height=height, **rest)

    def circle(self, centre: Point, radius: float, **rest: Value) -> None:
        """Add a circle."""
        self.add("circle", cx=centre[0], cy=centre[1], r=radius, **rest)

    def polygon(self, points: Iterable[Point], **rest: Value) -> None:
        """Add a closed shape of straight lines."""
        self.add("polygon", points=" ".join(f"{number(x)},{number(y)}" for x, y in points), **rest)

    def curve(self, points: Sequence[Point], *, then: str = "", **rest: Value) -> None:
        """Add a smooth line through points (a Catmull-Rom spline), and what follows it."""
        self.add("path", d=smooth(points) + then, **rest)

    def linear(self, stops: Sequence[tuple[float, str, float]], angle: str = "down") -> str:
        """A gradient of (offset 0..1, colour, opacity) for ``fill``: down, right or across."""
        x2, y2 = {"down": (0, 1), "right": (1, 0), "across": (1, 1)}[angle]
        return self._gradient("linearGradient", {"x1": 0, "y1": 0, "x2": x2, "y2": y2}, stops)

    def radial(self, stops: Sequence[tuple[float, str, float]], centre: Point = (0.5, 0.5)) -> str:
        """A gradient from a centre outwards, in shares of the shape it fills."""
        where: dict[str, Value] = {"cx": f"{centre[0]:.2f}", "cy": f"{centre[1]:.2f}", "r": "0.5"}
        return self._gradient("radialGradient", where, stops)

    def _gradient(
        self, tag: str, where: dict[str, Value], stops: Sequence[tuple[float, str, float]]
    ) -> str:
        name = f"{self._prefix}{len(self._definitions)}"
        inside = "".join(
            _element(
                "stop",
                {"offset": f"{at:.2f}", "stop_color": colour, "stop_opacity": f"{opacity:.2f}"},
            )
            for at, colour, opacity in stops
        )
        opening = _element(tag, {"id": name, **where})[:-2] + ">"
        self._definitions.append(f"{opening}{inside}</{tag}>")
        return f"url(#{name})"

    def document(self, *, title: str, size: int) -> str:
        """The whole picture, ``size`` pixels wide and high, with a title for who cannot see it."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}" '
            f'viewBox="0 0 {number(EXTENT)} {number(EXTENT)}" role="img">'
            f"<title>{escape(plain_text(title))}</title>"
            f"<defs>{''.join(self._definitions)}</defs>{''.join(self._shapes)}</svg>"
        )


def smooth(points: Sequence[Point]) -> str:
    """Path data of a Catmull-Rom spline through the points, as cubic Bézier curves."""
    path = f"M{number(points[0][0])} {number(points[0][1])}"
    last = len(points) - 1
    for i in range(last):
        before, start, end, after = (
            points[max(i - 1, 0)],
            points[i],
            points[i + 1],
            points[min(i + 2, last)],
        )
        controls = (
            start[0] + (end[0] - before[0]) / 6,
            start[1] + (end[1] - before[1]) / 6,
            end[0] - (after[0] - start[0]) / 6,
            end[1] - (after[1] - start[1]) / 6,
            *end,
        )
        path += "C" + " ".join(map(number, controls))
    return path


def _element(tag: str, attributes: dict[str, Value]) -> str:
    written = "".join(
        f" {name.replace('_', '-')}={quoteattr(value if isinstance(value, str) else number(value))}"
        for name, value in attributes.items()
    )
    return f"<{tag}{written}/>"
