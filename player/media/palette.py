"""Colours of a cover: the hue of its genre, lighter and warmer for cheerful tracks.

Colours are mixed in OKLCH (https://bottosson.github.io/posts/oklab/), in which equal numbers look
equally light; what a screen cannot show loses chroma until it can.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from player.media.features import TrackFeatures

__all__ = ["Palette", "oklch", "palette_of"]

_SCHEMES = (
    (0, 28, 56, 190),  # neighbours, and one from the other side
    (0, 35, 165, 200),  # two against two
    (0, -30, 120, 150),  # a triad
    (0, 18, -40, 95),  # warm into cool
)

_YELLOW = 105.0  # [degrees]


@dataclass(frozen=True)
class Palette:
    """Colours as #rrggbb."""

    background: str
    deep: str
    """The background's darker neighbour, for gradients."""
    colours: tuple[str, ...]
    """Four that stand out from the background, and from each other."""
    accent: str
    """The one that stands out most."""
    ink: str
    """Near black on light backgrounds, near white on dark ones."""
    dark: bool
    """The background is dark."""


def oklch(lightness: float, chroma: float, hue: float) -> str:
    """The colour as #rrggbb.

    Args:
        lightness: 0..1.
        chroma: 0 is grey, 0.3 about the most vivid there is.
        hue: [degrees]
    """
    lightness = min(max(lightness, 0.0), 1.0)
    for _ in range(24):
        channels = _linear_rgb(lightness, chroma, hue)
        if min(channels) >= -1e-4 and max(channels) <= 1 + 1e-4:
            break
        chroma *= 0.9
    return "#" + "".join(f"{round(255 * _gamma(channel)):02x}" for channel in channels)


def _linear_rgb(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _gamma(linear: float) -> float:
    linear = min(max(linear, 0.0), 1.0)
    return 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055


def _lit(lightness: float, hue: float) -> float:
    """Dark yellow is mud: yellows are lighter than the other colours of a palette."""
    return min(lightness + 0.16 * max(math.cos(math.radians(hue - _YELLOW)), 0.0), 0.93)


def palette_of(features: TrackFeatures, generator: np.random.Generator) -> Palette:
    """The colours of a track.

    The hue starts from the genre's (between those of a blend), drawn towards warm by valence;
    minor and low valence make dark backgrounds likelier, energy makes colours more vivid.
    """
    styles = features.styles
    # The mean of angles is that of their points on the circle.
    east = sum(weight * math.cos(math.radians(style.hue)) for style, weight in styles)
    north = sum(weight * math.sin(math.radians(style.hue)) for style, weight in styles)
    hue = math.degrees(math.atan2(north, east)) + float(generator.normal(0, 36))
    hue += 40 * (features.valence - 0.5) * math.sin(math.radians(70 - hue))
    mood = 0.7 * features.valence + 0.3 * (features.mode != "minor")
    chroma = 0.10 + 0.10 * features.energy
    offsets = _SCHEMES[int(generator.integers(len(_SCHEMES)))]
    turn = 1 if generator.random() < 0.5 else -1
    hues = [hue + turn * offset for offset in offsets]

    draw = float(generator.random())
    if draw > 0.25 + 0.85 * mood:
        ground, dark = (0.20 + 0.05 * mood, 0.05 + 0.02 * features.energy), True
        lightness = (0.52, 0.64, 0.76, 0.88)
    elif draw < 0.5 * mood:
        ground, dark = (0.94, 0.035), False
        lightness = (0.72, 0.60, 0.50, 0.38)
    else:
        ground, dark = (0.42 + 0.08 * mood, 0.10 + 0.04 * features.energy), True
        lightness = (0.60, 0.72, 0.82, 0.92)
    base = hues[0] if generator.random() < 0.6 else hues[3]
    if dark and abs((base - _YELLOW + 180) % 360 - 180) < 30:
        base += 45 if (base - _YELLOW + 180) % 360 > 180 else -45  # no dark yellow: see _lit
    colours = tuple(
        oklch(_lit(light, one), chroma * (0.75 if light > 0.85 else 1.0), one)
        for light, one in zip(lightness, (hues[0], hues[1], hues[2], hues[3]), strict=True)
    )
    return Palette(
        background=oklch(*ground, base),
        deep=oklch(ground[0] - (0.10 if dark else 0.07), ground[1] + 0.015, base + 12 * turn),
        colours=colours,
        accent=oklch(_lit(0.76 if dark else 0.62, hues[2] + 15), chroma + 0.05, hues[2] + 15),
        ink=oklch(0.96, 0.02, hues[1]) if dark else oklch(0.24, 0.05, hues[0]),
        dark=dark,
    )
