"""Covers made of lines, waves and land."""

from __future__ import annotations

import math

import numpy as np

from player.media.features import TrackFeatures
from player.media.palette import Palette, oklch
from player.media.svg import EXTENT, Canvas

__all__ = ["horizon", "interference", "ribbons", "ridges", "waveform"]

Generator = np.random.Generator


def waveform(
    canvas: Canvas, features: TrackFeatures, palette: Palette, generator: Generator
) -> None:
    """The clip's waveform as bars before a disc, and its reflection."""
    centre = (256 + generator.normal(0, 60), 210 - 40 * (features.valence - 0.5))
    disc = canvas.linear([(0, palette.accent, 1), (1, palette.colours[0], 0.9)])
    canvas.circle(centre, 128 + 40 * features.danceability, fill=disc)
    count = 13 + 2 * round(4 * ((features.tempo or 120.0) - 50) / 170)
    step = 460 / count
    place = np.arange(count) / (count - 1)
    swell = np.sin(np.pi * place) ** (1.4 - features.energy)
    beat = 0.55 + 0.45 * np.cos(2 * np.pi * place * (2 + round(4 * features.danceability)))
    heights = 34 + (130 + 110 * features.energy) * swell * beat * generator.uniform(0.6, 1, count)
    base = 330.0
    shine = canvas.linear([(0, palette.ink, 1), (1, palette.colours[3], 1)])
    for i, height in enumerate(heights.tolist()):
        x = 26 + (i + 0.2) * step
        canvas.rectangle(x, base - height, 0.66 * step, height, rx=0.33 * step, fill=shine)
        canvas.rectangle(
            x, base + 10, 0.66 * step, 0.45 * height, rx=0.33 * step, fill=shine, opacity="0.3"
        )


def interference(
    canvas: Canvas, features: TrackFeatures, palette: Palette, generator: Generator
) -> None:
    """Waves that bend around hidden bodies; energy bends them, danceability evens them out."""
    count = 20 + round(8 * features.energy)
    bodies = [
        (generator.uniform(110, 402), generator.uniform(110, 402), generator.uniform(70, 120), sign)
        for sign in (1, -1, 1)
    ]
    ripple = 2 + round(4 * (1 - features.danceability))
    phase = generator.uniform(0, 2 * math.pi)
    step = (EXTENT + 80) / count
    for i in range(count):
        base = -40 + (i + 0.5) * step
        points = []
        for j in range(30):
            x = -10 + j * 532 / 29
            y = base + 6 * math.sin(ripple * x / 130 + phase + i * 0.25)
            for cx, cy, size, sign in bodies:
                near = math.exp(-((x - cx) ** 2 + (base - cy) ** 2) / (2 * size**2))
                y += sign * (60 + 70 * features.energy) * near * math.tanh((base - cy) / 40 + 0.4)
            points.append((x, y))
        canvas.curve(
            points,
            fill="none",
            stroke=(*palette.colours, palette.accent)[(i * 5 // count + i % 2) % 5],
            stroke_width=step * 0.52,
            stroke_linecap="round",
        )


def ribbons(
    canvas: Canvas, features: TrackFeatures, palette: Palette, generator: Generator
) -> None:
    """Silk: a curve that turns into another one, strand by strand."""
    count = 16 + round(10 * features.energy)
    swing = 70 + 110 * features.danceability
    start, end = (
        np.column_stack(
            [np.linspace(-60, 572, 6), middle + generator.uniform(-swing, swing, size=6)]
        )
        for middle in (generator.uniform(30, 150), generator.uniform(360, 480))
    )
    ramp = (palette.colours[0], palette.colours[1], palette.accent, palette.colours[2])
    for i in range(count):
        share = i / (count - 1)
        bent = share + 0.08 * math.sin(2 * math.pi * share)
        points = [(float(x), float(y)) for x, y in (1 - bent) * start + bent * end]
        first = ramp[min(int(share * 3), 2)]
        second = ramp[min(int(share * 3) + 1, 3)]
        canvas.curve(
            points,
            fill="none",
            stroke=canvas.linear([(0, first, 1), (0.5, second, 1), (1, first, 1)], "right"),
            stroke_width=470 / count * (0.75 + 0.5 * math.sin(math.pi * share)),
            opacity="0.88",
        )
        if i % 4 == 1:
            canvas.curve(points, fill="none", stroke=palette.ink, stroke_width=1.6, opacity="0.55")


def ridges(canvas: Canvas, features: TrackFeatures, palette: Palette, generator: Generator) -> None:
    """Mountains behind mountains under a moon; energy makes them steep and jagged."""
    moon = (generator.uniform(140, 372), 150 - 40 * (features.valence - 0.5))
    glow = canvas.radial([(0, palette.accent, 0.8), (1, palette.accent, 0)])
    canvas.circle(moon, 210, fill=glow)
    canvas.circle(moon, 66 + 30 * features.danceability, fill=palette.accent)
    layers = 6 + round(3 * features.energy)
    rows = 33
    for layer in range(layers):
        share = layer / (layers - 1)
        base = 210 + 260 * share
        x = np.linspace(0, EXTENT, rows)
        rough = generator.normal(size=rows) * (8 + 26 * features.energy)
        walk = np.cumsum(generator.normal(size=rows)) * 7
        peak = 120 * (1 - 0.6 * share) * np.exp(-(((x - generator.uniform(60, 452)) / 80) ** 2))
        y = base - peak - (walk - walk.mean()) - np.abs(rough)
        points = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
        colour = palette.colours[min(int((1 - share) * 4), 3)]
        shade = canvas.linear([(0, colour, 1), (0.75, palette.deep, 1)])
        canvas.polygon([*points, (EXTENT, 520), (0, 520)], fill=shade)
        canvas.polygon(
            [*points, (EXTENT, 520), (0, 520)], fill=palette.deep, opacity=f"{0.55 * share:.2f}"
        )


def horizon(
    canvas: Canvas, features: TrackFeatures, palette: Palette, generator: Generator
) -> None:
    """A sun over hills; it stands high for cheerful tracks, and the land rolls with the dance."""
    warm = oklch(0.72 + 0.1 * features.valence, 0.16, 35 + 45 * features.valence)
    sky = canvas.linear([(0, palette.deep, 1), (0.4, palette.colours[0], 0.9), (0.7, warm, 0.9)])
    canvas.rectangle(0, 0, EXTENT, EXTENT, fill=sky)
    level = 330.0
    sun = (generator.uniform(130, 382), level - 40 - 130 * features.valence)
    radius = 62 + 36 * features.energy
    halo = canvas.radial([(0, palette.ink if palette.dark else "#ffffff", 0.7), (1, warm, 0)])
    canvas.circle(sun, radius * 2.4, fill=halo)
    disc = canvas.linear([(0, "#fff6dd", 1), (1, warm, 1)])
    canvas.circle(sun, radius, fill=disc)
    for i in range(round(6 * features.energy)):
        # A sun in stripes, as on every record of the eighties.
        y = sun[1] + radius * (0.15 + 0.15 * i)
        half = math.sqrt(max(radius**2 - (y - sun[1]) ** 2, 0))
        canvas.rectangle(
            sun[0] - half, y, 2 * half, 2 + 1.2 * i, fill=palette.colours[0], opacity="0.75"
        )
    hills = 4 + round(2 * features.danceability)
    for hill in range(hills):
        share = hill / (hills - 1)
        base = level - 30 + 165 * share
        roll = (14 + 34 * features.danceability) * (0.7 + 0.6 * share)
        waves = generator.uniform(0.6, 1.5)
        phase = generator.uniform(0, 2 * math.pi)
        points = [
            (x, base + roll * math.sin(waves * 2 * math.pi * x / EXTENT + phase))
            for x in np.linspace(-20, 532, 12).tolist()
        ]
        colour = palette.colours[(hill + 1) % 4]
        fill = canvas.linear([(0, colour, 1), (1, palette.deep, 1)])
        canvas.curve(points, then="L540 540L-20 540z", fill=fill)
        canvas.curve(
            points, then="L540 540L-20 540z", fill=palette.deep, opacity=f"{0.15 + 0.4 * share:.2f}"
        )
