"""Covers made of tiles, slices and points."""

from __future__ import annotations

import math

import numpy as np

from player.media.features import TrackFeatures
from player.media.palette import Palette
from player.media.svg import EXTENT, Canvas

__all__ = ["glitch", "mosaic", "shards", "spikes"]

Generator = np.random.Generator


def mosaic(canvas: Canvas, features: TrackFeatures, palette: Palette, generator: Generator) -> None:
    """Tiles of quarter circles, half circles and dots; smaller ones for more energy."""
    count = 3 + (features.energy > 0.45) + (features.energy > 0.8)
    side = EXTENT / count
    colours = (*palette.colours, palette.accent, palette.ink)
    for row in range(count):
        for column in range(count):
            x, y = column * side, row * side
            ground, shape = generator.choice(len(colours), size=2, replace=False)
            if generator.random() < 0.75:
                fill = colours[int(ground) % 4]
                canvas.rectangle(x, y, side + 0.5, side + 0.5, fill=fill)
                if fill == colours[int(shape)]:
                    shape = 5
            kind = int(generator.integers(6))
            turn = 90 * int(generator.integers(4))
            middle = (x + side / 2, y + side / 2)
            about = f"rotate({turn} {middle[0]:.1f} {middle[1]:.1f})"
            fill = colours[int(shape)]
            if kind <= 1:  # a quarter, or one in another
                for i, radius in enumerate((side, side / 2)[: kind + 1]):
                    canvas.add(
                        "path",
                        d=_quarter(x, y, radius),
                        fill=fill if i == 0 else colours[(int(shape) + 1) % 5],
                        transform=about,
                    )
            elif kind == 2:  # two halves
                half = side / 2
                for up in (0.0, half):
                    path = f"M{x:.1f} {y + up + half:.1f}a{half:.1f} {half:.1f} 0 0 1 {side:.1f} 0z"
                    canvas.add("path", d=path, fill=fill, transform=about)
            elif kind == 3:  # a record
                canvas.circle(middle, side * 0.42, fill=fill)
                canvas.circle(middle, side * 0.16, fill=palette.background)
            elif kind == 4:  # a triangle
                corners = [(x, y + side), (x + side, y + side), (x, y)]
                canvas.polygon(corners, fill=fill, transform=about)
            else:  # stripes
                lines = 3 + round(2 * features.danceability)
                for i in range(lines):
                    thick = side / (2 * lines)
                    canvas.rectangle(
                        x, y + (2 * i + 0.5) * thick, side, thick, fill=fill, transform=about
                    )


def _quarter(x: float, y: float, radius: float) -> str:
    return (
        f"M{x:.1f} {y:.1f}h{radius:.1f}a{radius:.1f} {radius:.1f} 0 0 1 {-radius:.1f} {radius:.1f}z"
    )


def glitch(canvas: Canvas, features: TrackFeatures, palette: Palette, generator: Generator) -> None:
    """A disc in slices that have slipped; the more energy, the further."""
    rows = 14 + round(14 * features.energy)
    height = EXTENT / rows
    radius = 168 + 30 * features.danceability
    burst = np.abs(generator.normal(size=rows)) ** 2
    slip = burst / burst.max() * (40 + 130 * features.energy) * generator.choice((-1, 1), size=rows)
    bright = (palette.colours[1], palette.colours[2], palette.accent, palette.colours[3])
    # Two ghosts in other colours, as where the inks of a print do not meet, and the disc itself.
    for layer, shift in enumerate((-30.0, 30.0, 0.0)):
        factor = (-0.7, 1.3, 1.0)[layer]
        for row in range(rows):
            middle = (row + 0.5) * height - 256
            if abs(middle) >= radius:
                continue
            half = math.sqrt(radius**2 - middle**2)
            ramp = bright[min(int((middle / radius + 1) * 2), 3)]
            canvas.rectangle(
                256 - half + factor * slip[row] + shift,
                row * height,
                2 * half,
                height * 0.86,
                fill=(palette.colours[0], palette.ink, ramp)[layer],
            )
    for _ in range(6 + round(10 * features.energy)):
        row = int(generator.integers(rows))
        width = generator.uniform(20, 130)
        canvas.rectangle(
            generator.uniform(0, EXTENT - width),
            row * height,
            width,
            height * (0.3 if generator.random() < 0.6 else 0.86),
            fill=(palette.ink, *palette.colours)[int(generator.integers(5))],
        )


def shards(canvas: Canvas, features: TrackFeatures, palette: Palette, generator: Generator) -> None:
    """Broken glass: triangles whose colour runs across the cover; energy breaks it smaller."""
    count = 4 + round(4 * features.energy)
    step = EXTENT / count
    shift = 0.2 + 0.22 * (1 - features.danceability)
    grid = np.stack(
        np.meshgrid(np.arange(count + 1) * step, np.arange(count + 1) * step), axis=-1
    )  # (count + 1, count + 1, 2)
    inside = (grid > 0) & (grid < EXTENT)
    grid = grid + inside * generator.uniform(-shift, shift, size=grid.shape) * step
    angle = generator.uniform(0, 2 * math.pi)
    across = np.array([math.cos(angle), math.sin(angle)])
    colours = (palette.deep, *palette.colours, palette.accent)
    focus = generator.uniform(120, 392, size=2)
    for row in range(count):
        for column in range(count):
            a, b = grid[row, column], grid[row, column + 1]
            c, d = grid[row + 1, column + 1], grid[row + 1, column]
            halves = ((a, b, c), (a, c, d)) if (row + column) % 2 else ((a, b, d), (b, c, d))
            for corners in halves:
                middle = np.mean(corners, axis=0)
                place = 0.5 + float((middle - 256) @ across) / 620
                near = math.exp(-(float(np.sum((middle - focus) ** 2)) / 130**2))
                place = 0.75 * place + 0.35 * near + float(generator.normal(0, 0.07))
                colour = colours[min(max(int(place * 6), 0), 5)]
                points = [(float(x), float(y)) for x, y in corners]
                canvas.polygon(points, fill=colour, stroke=colour, stroke_width=0.8)
                shade = "#ffffff" if generator.random() < 0.5 else "#000000"
                canvas.polygon(points, fill=shade, opacity=f"{generator.uniform(0, 0.13):.2f}")


def spikes(canvas: Canvas, features: TrackFeatures, palette: Palette, generator: Generator) -> None:
    """Stars within stars, sharper for more energy."""
    centre = (256 + generator.normal(0, 18), 256 + generator.normal(0, 18))
    tips = 7 + 2 * int(generator.integers(5))
    layers = 5
    sharp = 0.62 - 0.32 * features.energy
    lengths = generator.uniform(0.72, 1.25, size=tips)
    for layer in range(layers):
        outer = (330, 250, 182, 120, 66)[layer]
        turn = math.pi / tips * layer + generator.uniform(-0.06, 0.06)
        points = []
        for i in range(2 * tips):
            radius = outer * (lengths[i // 2] if i % 2 == 0 else sharp)
            angle = turn + math.pi * i / tips
            points.append(
                (centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle))
            )
        colours = (palette.deep, palette.colours[0], palette.colours[2], palette.ink)
        canvas.polygon(points, fill=(*colours, palette.accent)[layer])
