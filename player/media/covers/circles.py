"""Covers made of circles and what turns around a centre."""

from __future__ import annotations

import math

import numpy as np

from player.media.features import TrackFeatures
from player.media.palette import Palette
from player.media.svg import EXTENT, Canvas, Point

__all__ = ["arcs", "bars", "orbs", "petals", "rings", "spirograph", "sunburst"]

Generator = np.random.Generator


def _around(centre: Point, radius: float, angle: float) -> Point:
    return centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)


def _beats(features: TrackFeatures) -> float:
    """The tempo from 0 (slow) to 1 (fast)."""
    return min(max(((features.tempo or 120.0) - 60.0) / 120.0, 0.0), 1.0)


def rings(canvas: Canvas, features: TrackFeatures, palette: Palette, generator: Generator) -> None:
    """Grooves of a record, broken into arcs that turn against each other; more for fast tracks."""
    centre = (256 + generator.normal(0, 26), 256 + generator.normal(0, 26))
    count = int(generator.integers(3, 6)) + round(5 * _beats(features) + 2 * features.energy)
    outer = generator.uniform(200, 330)
    width = (outer - 44) / count
    for i in range(count):
        radius = outer - width * (i + 0.5)
        round_ = 2 * math.pi * radius
        colour = palette.colours[i % 4]
        canvas.circle(
            centre, radius, fill="none", stroke=colour, stroke_width=width * 0.62, opacity="0.22"
        )
        pieces = int(generator.integers(1, 2 + round(3 * features.danceability)))
        share = generator.uniform(0.35, 0.85)
        dash = f"{round_ / pieces * share:.1f} {round_ / pieces * (1 - share):.1f}"
        canvas.circle(
            centre,
            radius,
            fill="none",
            stroke=colour,
            stroke_width=width * 0.62,
            stroke_dasharray=dash,
            stroke_linecap="round",
            transform=f"rotate({generator.integers(360)} {centre[0]:.1f} {centre[1]:.1f})",
        )
    canvas.circle(centre, 36, fill=palette.accent)
    canvas.circle(centre, 9, fill=palette.deep)


def orbs(canvas: Canvas, features: TrackFeatures, palette: Palette, generator: Generator) -> None:
    """Soft lights that run into each other, and one clear disc; more light for more energy."""
    for i in range(5 + round(4 * features.energy)):
        colour = palette.colours[i % 4] if i % 5 != 4 else palette.accent
        radius = generator.uniform(130, 270)
        glow = canvas.radial([(0, colour, 0.95), (0.45, colour, 0.6), (1, colour, 0)])
        canvas.circle((generator.uniform(20, 492), generator.uniform(20, 492)), radius, fill=glow)
    centre = (generator.uniform(190, 322), generator.uniform(190, 322))
    radius = 70 + 60 * features.danceability
    disc = canvas.linear([(0, palette.ink, 0.95), (1, palette.accent, 0.85)], "across")
    canvas.circle(centre, radius, fill=disc)
    for i in range(1, 2 + round(3 * _beats(features))):
        canvas.circle(
            centre,
            radius + 20 * i,
            fill="none",
            stroke=palette.ink,
            stroke_width=2.5,
            opacity=f"{0.7 / i:.2f}",
        )


def bars(canvas: Canvas, features: TrackFeatures, palette: Palette, generator: Generator) -> None:
    """An equaliser bent to a circle; energy makes the bars long, danceability regular."""
    centre = (256.0, 256.0)
    glow = canvas.radial([(0, palette.accent, 0.55), (1, palette.accent, 0)])
    canvas.circle(centre, 300, fill=glow)
    count = 4 * (8 + round(5 * _beats(features)))
    inner = 92 + 20 * (1 - features.energy)
    waves = 2 + int(generator.integers(5))
    phase = generator.uniform(0, 2 * math.pi)
    noise = generator.random(count)
    for i in range(count):
        angle = 2 * math.pi * i / count
        wave = 0.5 + 0.5 * math.sin(waves * angle + phase)
        height = features.danceability * wave + (1 - features.danceability) * noise[i]
        outer = inner + 22 + (70 + 60 * features.energy) * height
        start, end = _around(centre, inner, angle), _around(centre, outer, angle)
        canvas.add(
            "line",
            x1=start[0],
            y1=start[1],
            x2=end[0],
            y2=end[1],
            stroke=palette.colours[min(int(4 * height), 3)],
            stroke_width=0.7 * 2 * math.pi * inner / count,
            stroke_linecap="round",
        )
    core = canvas.linear([(0, palette.colours[1], 1), (1, palette.colours[2], 1)], "across")
    canvas.circle(centre, inner - 22, fill=core)
    canvas.circle(centre, inner - 22, fill=palette.deep, opacity="0.25")
    canvas.circle(centre, (inner - 22) * 0.38, fill=palette.ink)


def petals(canvas: Canvas, features: TrackFeatures, palette: Palette, generator: Generator) -> None:
    """A blossom in layers, with as many petals as the dance has steps."""
    centre = (256 + generator.normal(0, 20), 256 + generator.normal(0, 20))
    count = 6 + 2 * round(2 * features.danceability + 2 * _beats(features))
    turn = generator.uniform(0, 360 / count)
    for layer in range(4):
        length = (250, 196, 140, 86)[layer]
        wide = length * (0.16 + 0.10 * features.energy) * (1 + 0.1 * layer)
        colour, other = palette.colours[layer], palette.colours[(layer + 1) % 4]
        fill = canvas.linear([(0, other, 0.95), (1, colour, 0.95)])
        for i in range(count):
            angle = turn + 360 / count * (i + 0.5 * (layer % 2))
            canvas.add(
                "ellipse",
                cx=centre[0],
                cy=centre[1] - length / 2,
                rx=wide,
                ry=length / 2,
                fill=fill,
                opacity="0.88",
                transform=f"rotate({angle:.1f} {centre[0]:.1f} {centre[1]:.1f})",
            )
    canvas.circle(centre, 34, fill=palette.accent)
    canvas.circle(centre, 14, fill=palette.ink)


def sunburst(
    canvas: Canvas, features: TrackFeatures, palette: Palette, generator: Generator
) -> None:
    """Rays from a sun; cheerful suns stand high."""
    centre = (256 + generator.normal(0, 50), 400 - 190 * features.valence)
    count = 2 * (8 + round(6 * _beats(features) + 3 * features.energy))
    turn = generator.uniform(0, 2 * math.pi)
    for i in range(0, count, 2):
        start, end = (turn + 2 * math.pi * (i + j) / count for j in (0, 1))
        colour = palette.colours[(i // 2) % 3]
        canvas.polygon(
            [centre, _around(centre, 800, start), _around(centre, 800, end)],
            fill=colour,
            opacity="0.82",
        )
    grown = 0.8 + 0.4 * features.danceability
    discs = (palette.deep, *palette.colours[1:], palette.accent)
    for radius, colour in zip((150, 122, 94, 66, 46), discs, strict=True):
        canvas.circle(centre, radius * grown, fill=colour)


def arcs(canvas: Canvas, features: TrackFeatures, palette: Palette, generator: Generator) -> None:
    """Bows from two corners, a column of dots and a line: a record sleeve of the fifties."""
    corners = [(0.0, 0.0), (EXTENT, 0.0), (EXTENT, EXTENT), (0.0, EXTENT)]
    first = int(generator.integers(4))
    bows = 3 + round(3 * features.energy)
    for corner, largest in ((corners[first], 430.0), (corners[(first + 2) % 4], 300.0)):
        width = largest / bows
        for i in range(bows):
            colour = palette.colours[(i + first) % 4]
            shade = palette.deep if i % 2 and generator.random() < 0.4 else colour
            canvas.circle(corner, largest - i * width, fill=shade)
    side = corners[(first + 1) % 4]
    x = 84 + 344 * (side[0] > 0)
    count = 4 + round(5 * _beats(features))
    for i in range(count):
        y = 60 + 392 * i / (count - 1)
        radius = 12 + 12 * features.danceability * abs(math.sin(i * math.pi / 2 + first))
        canvas.circle((x, y), radius, fill=palette.ink if i % 3 else palette.accent)
    disc = 58 + 40 * features.danceability
    canvas.circle((256, 256), disc, fill=palette.accent)
    canvas.add(
        "path",
        d=f"M{256 - disc:.1f} 256a{disc:.1f} {disc:.1f} 0 0 1 {2 * disc:.1f} 0z",
        fill=palette.ink,
        transform=f"rotate({45 + 90 * int(generator.integers(4))} 256 256)",
    )


def spirograph(
    canvas: Canvas, features: TrackFeatures, palette: Palette, generator: Generator
) -> None:
    """Curves of a wheel that rolls within a ring, as many as it takes to close."""
    centre = (256.0, 256.0)
    glow = canvas.radial([(0, palette.colours[1], 0.75), (1, palette.colours[0], 0)])
    canvas.circle(centre, 256, fill=glow)
    teeth, wheel = ((7, 3), (8, 3), (9, 4), (10, 3), (11, 4), (12, 5))[int(generator.integers(6))]
    turn = generator.uniform(0, 2 * math.pi)
    layers = 3 + round(2 * features.energy)
    for layer in range(layers, 0, -1):
        reach = 0.3 + 0.7 * layer / layers
        points = []
        for i in range(teeth * 16 + 1):
            angle = 2 * math.pi * wheel * i / (teeth * 16)
            ring = 1 - wheel / teeth
            inner = angle * (teeth / wheel - 1)
            x = ring * math.cos(angle + turn) + reach * (1 - ring) * math.cos(inner - turn)
            y = ring * math.sin(angle + turn) - reach * (1 - ring) * math.sin(inner - turn)
            points.append((256 + 228 * x, 256 + 228 * y))
        canvas.curve(
            points,
            fill=palette.colours[layer % 4],
            fill_rule="evenodd",
            fill_opacity="0.5",
            stroke=palette.ink,
            stroke_width=1.4 + 1.6 * features.danceability,
            stroke_opacity="0.8",
        )
    canvas.circle(centre, 20 + 16 * features.danceability, fill=palette.accent)
