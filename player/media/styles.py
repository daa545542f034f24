"""What a genre sounds and looks like: the named styles, and which style a genre's name means.

A style is a choice of ours, not a measurement: patterns and sounds of the usual textbook kind for
that music, so that a clip of a house track is at once told from one of a country track. The numbers
a track may lack are medians of the genre (``data/tracks.csv`` for country, deep-house, dubstep,
hip-hop, metal and rock; TidyTuesday's Spotify songs for edm, latin, pop and r&b), by estimate for
the others.
"""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass

__all__ = ["FALLBACK", "STYLES", "Style", "blended_styles", "style_of"]


@dataclass(frozen=True, kw_only=True)
class Style:
    """How tracks of a family of genres are composed, sounded and drawn."""

    name: str
    words: tuple[str, ...]
    """What stands in the names of its genres, in lower case, letters only."""
    tempo: tuple[float, float]
    """Usual range [BPM]: the quartiles, for tracks whose tempo is not known."""
    danceability: float
    energy: float
    valence: float
    acousticness: float
    major: float
    """Share of tracks in a major mode."""
    groove: str
    """Drum pattern, see `player.media.patterns.GROOVES`."""
    bassline: str
    """See `player.media.patterns.BASSLINES`."""
    comping: str
    """How chords are struck, see `player.media.patterns.COMPINGS`."""
    progressions: str
    """See `player.media.harmony.PROGRESSIONS`."""
    kit: str = "acoustic kit"
    """See `player.media.drums.KITS`."""
    bass: str
    chords: str
    lead: str
    """Timbres, see `player.media.timbres.TIMBRES`."""
    sevenths: bool = False
    """Chords are sevenths, not triads."""
    pentatonic: bool = False
    """The lead keeps to the five notes that rub against no chord."""
    swing: float = 0.0
    """How late every second note of the swung value comes, as a share of it; 1/3 is triplets."""
    swung: float = 0.25
    """The value that swings [beats]: sixteenths, or eighths (0.5)."""
    room: float = 0.15
    """Share of reverberation."""
    pump: float = 0.0
    """How far the kick pushes chords and bass down, 0..1 (side-chain compression)."""
    hue: float
    """Degrees on the OKLCH colour circle from which covers start."""
    covers: tuple[str, ...]
    """Families of covers, see `player.media.artwork.FAMILIES`, the commonest first."""


STYLES: tuple[Style, ...] = (
    Style(
        name="dubstep",
        words=("dubstep", "brostep", "riddim", "bass", "grime", "future bass"),
        tempo=(138, 142),
        danceability=0.52,
        energy=0.77,
        valence=0.24,
        acousticness=0.04,
        major=0.5,
        groove="half-time",
        bassline="wobble",
        comping="pad",
        progressions="club",
        kit="electronic kit",
        bass="wobble bass",
        chords="saw pad",
        lead="square lead",
        room=0.2,
        pump=0.5,
        hue=300,
        covers=("interference", "glitch", "bars"),
    ),
    Style(
        name="house",
        words=("house", "disco", "garage", "club", "dance", "electro house"),
        tempo=(119, 126),
        danceability=0.72,
        energy=0.76,
        valence=0.44,
        acousticness=0.04,
        major=0.46,
        groove="four-on-the-floor",
        bassline="offbeat",
        comping="stabs",
        progressions="club",
        kit="electronic kit",
        bass="round bass",
        chords="electric piano",
        lead="pluck",
        sevenths=True,
        room=0.18,
        pump=0.65,
        hue=230,
        covers=("rings", "orbs", "waveform"),
    ),
    Style(
        name="techno",
        words=(
            "techno",
            "edm",
            "trance",
            "electro",
            "rave",
            "hardstyle",
            "electronic",
            "industrial",
            "big room",
            "idm",
        ),
        tempo=(123, 130),
        danceability=0.66,
        energy=0.83,
        valence=0.37,
        acousticness=0.02,
        major=0.5,
        groove="four-on-the-floor",
        bassline="sixteenths",
        comping="trance gate",
        progressions="club",
        kit="electronic kit",
        bass="saw bass",
        chords="saw pad",
        lead="saw lead",
        room=0.2,
        pump=0.75,
        hue=190,
        covers=("bars", "interference", "rings"),
    ),
    Style(
        name="drum and bass",
        words=("drumandbass", "drum and bass", "dnb", "jungle", "breakbeat", "breakcore"),
        tempo=(170, 176),
        danceability=0.55,
        energy=0.88,
        valence=0.35,
        acousticness=0.02,
        major=0.45,
        groove="breakbeat",
        bassline="held",
        comping="pad",
        progressions="club",
        kit="electronic kit",
        bass="saw bass",
        chords="saw pad",
        lead="pluck",
        room=0.2,
        pump=0.3,
        hue=140,
        covers=("glitch", "interference", "bars"),
    ),
    Style(
        name="hip-hop",
        words=("hiphop", "hip hop", "rap", "trap", "drill", "trip hop", "lofi", "boom bap"),
        tempo=(88, 98),
        danceability=0.75,
        energy=0.69,
        valence=0.55,
        acousticness=0.12,
        major=0.48,
        groove="hip-hop",
        bassline="eight-oh-eight",
        comping="loop",
        progressions="club",
        kit="hip-hop kit",
        bass="sub bass",
        chords="electric piano",
        lead="bell",
        sevenths=True,
        pentatonic=True,
        swing=0.22,
        room=0.14,
        pump=0.2,
        hue=60,
        covers=("mosaic", "glitch", "orbs"),
    ),
    Style(
        name="metal",
        words=("metal", "metalcore", "grindcore", "hardcore", "screamo", "djent", "deathcore"),
        tempo=(120, 160),
        danceability=0.47,
        energy=0.89,
        valence=0.40,
        acousticness=0.01,
        major=0.35,
        groove="double kick",
        bassline="gallop",
        comping="power chords",
        progressions="metal",
        kit="heavy kit",
        bass="pick bass",
        chords="distorted guitar",
        lead="lead guitar",
        pentatonic=True,
        room=0.1,
        hue=22,
        covers=("ridges", "shards", "spikes"),
    ),
    Style(
        name="rock",
        words=(
            "rock",
            "punk",
            "grunge",
            "alternative",
            "emo",
            "indie",
            "guitar",
            "britpop",
            "alt",
            "goth",
            "wave",
        ),
        tempo=(105, 145),
        danceability=0.55,
        energy=0.70,
        valence=0.55,
        acousticness=0.10,
        major=0.72,
        groove="backbeat",
        bassline="eighths",
        comping="power chords",
        progressions="rock",
        kit="heavy kit",
        bass="pick bass",
        chords="driven guitar",
        lead="lead guitar",
        pentatonic=True,
        room=0.14,
        hue=30,
        covers=("shards", "sunburst", "ridges"),
    ),
    Style(
        name="latin",
        words=(
            "latin",
            "latino",
            "reggaeton",
            "salsa",
            "samba",
            "brazil",
            "mpb",
            "pagode",
            "forro",
            "sertanejo",
            "tango",
            "spanish",
            "cumbia",
            "bachata",
            "tropical",
        ),
        tempo=(92, 104),
        danceability=0.73,
        energy=0.73,
        valence=0.63,
        acousticness=0.14,
        major=0.56,
        groove="dembow",
        bassline="tresillo",
        comping="montuno",
        progressions="latin",
        kit="electronic kit",
        bass="round bass",
        chords="nylon guitar",
        lead="marimba",
        room=0.15,
        hue=350,
        covers=("petals", "mosaic", "sunburst"),
    ),
    Style(
        name="reggae",
        words=("reggae", "ska", "dub", "dancehall", "afrobeat", "afro"),
        tempo=(74, 92),
        danceability=0.72,
        energy=0.6,
        valence=0.68,
        acousticness=0.12,
        major=0.65,
        groove="one drop",
        bassline="tresillo",
        comping="skank",
        progressions="folk",
        bass="sub bass",
        chords="organ",
        lead="marimba",
        swing=0.12,
        room=0.24,
        hue=130,
        covers=("sunburst", "petals", "horizon"),
    ),
    Style(
        name="jazz",
        words=("jazz", "blues", "swing", "bebop", "bossa", "bossanova", "ragtime"),
        tempo=(100, 140),
        danceability=0.53,
        energy=0.38,
        valence=0.5,
        acousticness=0.7,
        major=0.6,
        groove="ride",
        bassline="walking",
        comping="charleston",
        progressions="jazz",
        bass="upright bass",
        chords="piano",
        lead="vibraphone",
        sevenths=True,
        swing=1 / 3,
        swung=0.5,
        room=0.2,
        hue=250,
        covers=("arcs", "ribbons", "mosaic"),
    ),
    Style(
        name="soul",
        words=(
            "soul",
            "rnb",
            "r b",
            "r n b",
            "new jack swing",
            "funk",
            "gospel",
            "motown",
            "groove",
            "urban",
            "urban contemporary",
        ),
        tempo=(93, 112),
        danceability=0.69,
        energy=0.60,
        valence=0.54,
        acousticness=0.17,
        major=0.52,
        groove="ghost notes",
        bassline="funk",
        comping="charleston",
        progressions="jazz",
        kit="hip-hop kit",
        bass="round bass",
        chords="electric piano",
        lead="soft lead",
        sevenths=True,
        pentatonic=True,
        swing=0.15,
        room=0.2,
        hue=10,
        covers=("ribbons", "orbs", "arcs"),
    ),
    Style(
        name="country",
        words=(
            "country",
            "bluegrass",
            "folk",
            "acoustic",
            "honkytonk",
            "honky tonk",
            "americana",
            "singer songwriter",
            "songwriter",
            "world",
        ),
        tempo=(98, 147),
        danceability=0.56,
        energy=0.61,
        valence=0.52,
        acousticness=0.23,
        major=0.89,
        groove="train beat",
        bassline="root and fifth",
        comping="strum",
        progressions="folk",
        bass="upright bass",
        chords="steel guitar",
        lead="banjo",
        pentatonic=True,
        room=0.14,
        hue=75,
        covers=("horizon", "ribbons", "sunburst"),
    ),
    Style(
        name="ambient",
        words=(
            "ambient",
            "sleep",
            "chill",
            "newage",
            "new age",
            "study",
            "meditation",
            "drone",
            "minimal",
            "relaxing",
        ),
        tempo=(62, 84),
        danceability=0.35,
        energy=0.22,
        valence=0.3,
        acousticness=0.75,
        major=0.6,
        groove="none",
        bassline="held",
        comping="pad",
        progressions="ambient",
        bass="sub bass",
        chords="soft pad",
        lead="bell",
        pentatonic=True,
        room=0.45,
        hue=200,
        covers=("orbs", "horizon", "waveform"),
    ),
    Style(
        name="classical",
        words=(
            "classical",
            "opera",
            "piano",
            "orchestra",
            "orchestral",
            "soundtrack",
            "romance",
            "chamber",
            "baroque",
            "strings",
            "score",
        ),
        tempo=(78, 126),
        danceability=0.32,
        energy=0.2,
        valence=0.3,
        acousticness=0.95,
        major=0.65,
        groove="none",
        bassline="held",
        comping="arpeggio",
        progressions="folk",
        bass="strings",
        chords="piano",
        lead="strings",
        room=0.35,
        hue=95,
        covers=("spirograph", "arcs", "waveform"),
    ),
    Style(
        name="pop",
        words=(
            "pop",
            "kpop",
            "jpop",
            "idol",
            "anime",
            "disney",
            "party",
            "happy",
            "cantopop",
            "mandopop",
            "kids",
            "children",
        ),
        tempo=(103, 130),
        danceability=0.65,
        energy=0.73,
        valence=0.50,
        acousticness=0.08,
        major=0.59,
        groove="pop",
        bassline="eighths",
        comping="push",
        progressions="pop",
        kit="electronic kit",
        bass="round bass",
        chords="bright pad",
        lead="pluck",
        room=0.18,
        pump=0.35,
        hue=330,
        covers=("orbs", "petals", "waveform"),
    ),
)

FALLBACK = next(style for style in STYLES if style.name == "pop")
"""The style of a track without a genre."""


@functools.lru_cache(maxsize=4096)
def style_of(genre: str | None) -> Style:
    """The style that a genre's name means.

    The style with the longest word that stands in the name, whole words before parts of words
    ("deep-house" is house, "synth-pop" pop, "grindcore" metal). A name in which no style is found
    gets one of them by its BLAKE2b hash: always the same, and not the same for all.

    Args:
        genre: a genre as the catalogue writes it; None or blank gives `FALLBACK`.
    """
    words = re.findall(r"[^\W\d_]+", (genre or "").casefold())
    if not words:
        return FALLBACK
    name = " ".join(words)
    # The last word is what a compound is: "pop punk" is punk, "dance pop" pop.
    whole = [
        (f" {name} ".rindex(f" {word} ") + len(word), len(word), index)
        for index, style in enumerate(STYLES)
        for word in style.words
        if f" {word} " in f" {name} "
    ]
    if whole:
        return STYLES[max(whole)[2]]
    joined = "".join(words)
    parts = [
        (len(word), -index)
        for index, style in enumerate(STYLES)
        for word in style.words
        if len(word) > 3 and word.replace(" ", "") in joined
    ]
    if parts:
        return STYLES[-max(parts)[1]]
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return STYLES[int.from_bytes(digest, "big") % len(STYLES)]


def blended_styles(
    genres: tuple[str, ...], weights: tuple[float, ...]
) -> list[tuple[Style, float]]:
    """The different styles of several genres, the heaviest first; weights sum to 1.

    Args:
        genres: none gives `FALLBACK` alone.
        weights: one for each genre, not negative.
    """
    total: dict[str, float] = {}
    by_name: dict[str, Style] = {}
    for genre, weight in zip(genres, weights, strict=True):
        style = style_of(genre)
        by_name[style.name] = style
        total[style.name] = total.get(style.name, 0.0) + weight
    whole = sum(total.values())
    if not whole:
        return [(FALLBACK, 1.0)]
    ranked = sorted(total.items(), key=lambda entry: -entry[1])  # stable: ties as in the catalogue
    return [(by_name[name], weight / whole) for name, weight in ranked if weight]
