"""Chords: progressions in Roman numerals, and voicings that move as little as they can."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from player.media.features import Mode

__all__ = [
    "PENTATONIC",
    "PROGRESSIONS",
    "SCALES",
    "Chord",
    "choose_progression",
    "chord_of",
    "voicings",
]

SCALES: dict[Mode, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
}
"""Semitones above the tonic; minor is the natural one (a V chord brings its own leading note)."""

PENTATONIC: dict[Mode, tuple[int, ...]] = {
    "major": (0, 2, 4, 7, 9),
    "minor": (0, 3, 5, 7, 10),
}

PROGRESSIONS: dict[str, dict[Mode, tuple[str, ...]]] = {
    "pop": {
        "major": ("I V vi IV", "vi IV I V", "I vi IV V", "I iii IV V", "IV I V vi"),
        "minor": ("i VI III VII", "i VII VI VII", "i iv VI V", "VI VII i III"),
    },
    "rock": {
        "major": ("I bVII IV I", "I IV V IV", "I V vi IV", "I IV bVII V"),
        "minor": ("i VII VI VII", "i VI VII i", "i III VII VI", "i iv VII III"),
    },
    "metal": {
        "major": ("I bVII bVI bVII", "I bIII IV bVI", "I bVI bVII I"),
        "minor": ("i VI VII i", "i bII i VII", "i VI iv V", "i i VI bII"),
    },
    "club": {
        "major": ("IV V vi I", "I vi IV V", "vi IV I iii", "ii IV vi V"),
        "minor": ("i VI VII v", "i iv VI VII", "i VII iv VI", "i III VI iv"),
    },
    "jazz": {
        "major": ("ii V I vi", "I vi ii V", "iii vi ii V", "I IV iii vi"),
        "minor": ("i iv V i", "i VI iv V", "iv VII III VI", "i v iv V"),
    },
    "folk": {
        "major": ("I IV I V", "I V IV I", "I IV V I", "I vi IV V", "I V vi IV"),
        "minor": ("i VII VI V", "i iv VII i", "i VI III V", "i iv V i"),
    },
    "latin": {
        "major": ("I IV V IV", "I vi ii V", "vi IV I V"),
        "minor": ("i VII VI V", "i iv VII III", "i VI III VII", "i iv V V"),
    },
    "ambient": {
        "major": ("I IV I IV", "I iii IV I", "IV I vi IV", "I V IV IV"),
        "minor": ("i VI i VI", "i III iv i", "VI i VII i", "i v VI i"),
    },
}
"""Name -> mode -> progressions of four chords: upper case is major, lower case minor, b a semitone
lower than the scale has it."""

_DEGREES = ("I", "II", "III", "IV", "V", "VI", "VII")


@dataclass(frozen=True)
class Chord:
    """A chord as pitch classes."""

    root: int
    """Pitch class 0..11."""
    intervals: tuple[int, ...]
    """Semitones above the root, 0 first."""

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """The root's first."""
        return tuple((self.root + interval) % 12 for interval in self.intervals)


def chord_of(numeral: str, *, key: int, mode: Mode, seventh: bool = False) -> Chord:
    """The chord that a Roman numeral means in a key.

    A seventh is major on major chords but for the dominant's and a lowered seventh degree's, minor
    on minor chords.
    """
    match = re.fullmatch("(b?)([IV]+|[iv]+)", numeral)
    if match is None or match[2].upper() not in _DEGREES:
        raise ValueError(f"chord {numeral!r} is no Roman numeral such as I, vi or bVII")
    degree = _DEGREES.index(match[2].upper())
    major = match[2].isupper()
    root = SCALES[mode][degree] - len(match[1])
    intervals: tuple[int, ...] = (0, 4, 7) if major else (0, 3, 7)
    if seventh:
        flat = not major or degree == 4 or degree == 6
        intervals += (10 if flat else 11,)
    return Chord((key + root) % 12, intervals)


def choose_progression(
    name: str,
    *,
    key: int,
    mode: Mode,
    count: int,
    closing: int,
    seventh: bool,
    generator: np.random.Generator,
) -> list[Chord]:
    """``count`` chords: one of the progressions over and over, the last ``closing`` the tonic."""
    known = PROGRESSIONS[name][mode]
    numerals = known[int(generator.integers(len(known)))].split()
    chosen = [numerals[i % len(numerals)] for i in range(count)]
    chosen[-closing:] = ["I" if mode == "major" else "i"] * closing
    return [chord_of(numeral, key=key, mode=mode, seventh=seventh) for numeral in chosen]


def voicings(chords: list[Chord], *, centre: float) -> list[tuple[int, ...]]:
    """MIDI pitches of each chord, near ``centre``, every voice moving as little as it can."""
    result: list[tuple[int, ...]] = []
    for chord in chords:
        options = [option for option in _inversions(chord) if abs(np.mean(option) - centre) <= 6.5]
        before = result[-1] if result else None
        result.append(min(options, key=lambda option: _distance(option, before, centre)))
    return result


def _inversions(chord: Chord) -> list[tuple[int, ...]]:
    found = []
    for first in range(len(chord.intervals)):
        order = chord.pitch_classes[first:] + chord.pitch_classes[:first]
        for lowest in range(order[0], 108, 12):
            pitches = [lowest]
            for pitch_class in order[1:]:
                pitches.append(pitches[-1] + (pitch_class - pitches[-1] - 1) % 12 + 1)
            found.append(tuple(pitches))
    return found


def _distance(option: tuple[int, ...], before: tuple[int, ...] | None, centre: float) -> float:
    off_centre = abs(float(np.mean(option)) - centre)
    if before is None or len(before) != len(option):
        return off_centre
    moved = sum(abs(one - other) for one, other in zip(option, before, strict=True))
    return moved + 0.3 * off_centre
