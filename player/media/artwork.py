"""A track's cover, drawn from its features: the same for the same track, in any process."""

from __future__ import annotations

from player.media.covers import FAMILIES
from player.media.features import TrackFeatures
from player.media.palette import palette_of
from player.media.svg import EXTENT, Canvas

__all__ = ["FAMILIES", "artwork_svg"]

_FAMILY_ODDS = (0.5, 0.3, 0.2)
"""How often a genre's first, second and third family of covers is drawn."""


def artwork_svg(features: TrackFeatures, size: int = 512) -> str:
    """An abstract cover as an SVG document: shapes and gradients, and a title for screen readers.

    Genre gives the family of shapes and the hue, valence and mode the mood of the colours, energy
    and danceability how much there is and how it moves, tempo how often it repeats. The document
    holds no script, style, font, link or reference to anything outside it.

    Args:
        features: of the track.
        size: width and height [pixels] that the document asks for; it scales to any.

    Raises:
        ValueError: the size is not at least 1.
    """
    if size < 1:
        raise ValueError(f"size is {size!r}, expected at least 1 pixel")
    features = features.filled()
    generator = features.generator("artwork")
    palette = palette_of(features, generator)
    covers = features.styles[0][0].covers
    family = covers[int(generator.choice(len(covers), p=_FAMILY_ODDS))]
    canvas = Canvas(f"m{features.checksum[:10]}")
    canvas.rectangle(
        0,
        0,
        EXTENT,
        EXTENT,
        fill=canvas.linear([(0, palette.background, 1), (1, palette.deep, 1)], "across"),
    )
    FAMILIES[family](canvas, features, palette, generator)
    # Light from above and darker corners: flat shapes look printed, not pasted.
    light = canvas.linear([(0, "#ffffff", 0.10), (0.5, "#ffffff", 0), (1, "#000000", 0.14)])
    canvas.rectangle(0, 0, EXTENT, EXTENT, fill=light)
    artists = ", ".join(features.artists)
    by = f" by {artists}" if artists else ""
    return canvas.document(
        title=f"Cover drawn by MusicRec for {features.title or 'a track'}{by}", size=size
    )
