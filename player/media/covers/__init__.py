"""Families of covers: each draws a track in its own way on a canvas that has its background."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from player.media.covers.circles import arcs, bars, orbs, petals, rings, spirograph, sunburst
from player.media.covers.grids import glitch, mosaic, shards, spikes
from player.media.covers.lines import horizon, interference, ribbons, ridges, waveform
from player.media.features import TrackFeatures
from player.media.palette import Palette
from player.media.svg import Canvas

__all__ = ["FAMILIES", "Family"]

Family: TypeAlias = Callable[[Canvas, TrackFeatures, Palette, np.random.Generator], None]

FAMILIES: dict[str, Family] = {
    "arcs": arcs,
    "bars": bars,
    "glitch": glitch,
    "horizon": horizon,
    "interference": interference,
    "mosaic": mosaic,
    "orbs": orbs,
    "petals": petals,
    "ribbons": ribbons,
    "ridges": ridges,
    "rings": rings,
    "shards": shards,
    "spikes": spikes,
    "spirograph": spirograph,
    "sunburst": sunburst,
    "waveform": waveform,
}
"""Name -> what draws it."""
