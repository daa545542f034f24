"""A composed clip: notes with their instruments, as yet without sound."""

from __future__ import annotations

from dataclasses import dataclass

from player.media.features import Mode

__all__ = ["BEATS_PER_BAR", "DRUMS", "SECONDS", "Composition", "Note", "Part"]

SECONDS = 10.0
"""Length of every clip [s]."""

BEATS_PER_BAR = 4

DRUMS: dict[str, int] = {
    "kick": 36,
    "rim": 37,
    "snare": 38,
    "clap": 39,
    "brush": 40,
    "hat": 42,
    "pedal hat": 44,
    "open hat": 46,
    "tom": 45,
    "crash": 49,
    "ride": 51,
    "tambourine": 54,
    "cowbell": 56,
    "conga": 63,
    "shaker": 70,
}
"""Drum -> note number of General MIDI's percussion map."""


@dataclass(frozen=True, slots=True)
class Note:
    """One note."""

    start: float
    """[beats] from the beginning."""
    duration: float
    """[beats], above 0."""
    pitch: int
    """MIDI note number, 60 = middle C; of drums as in `DRUMS`."""
    velocity: float
    """How hard it is struck, above 0, at most 1."""


@dataclass(frozen=True)
class Part:
    """What one instrument plays."""

    name: str
    """drums, bass, chords or lead."""
    timbre: str
    """See `player.media.timbres.TIMBRES`; of drums `player.media.drums.KITS`."""
    notes: tuple[Note, ...]
    """In the order in which they start."""


@dataclass(frozen=True, kw_only=True)
class Composition:
    """A piece of whole bars, about `SECONDS` long."""

    title: str
    tempo: float
    """[BPM]"""
    key: int
    """Pitch class of the tonic, 0 = C."""
    mode: Mode
    styles: tuple[str, ...]
    """Names of the styles that it takes its elements from, the heaviest first."""
    bars: int
    """Of `BEATS_PER_BAR` beats each."""
    parts: tuple[Part, ...]
    """Those that play; a piece without drums has no part for them."""
    brightness: float
    """0..1: how open the filters are."""
    loudness: float
    """Mean level to render at [dB relative to full scale]."""
    beat: float
    """Level of the drums against the rest, as a factor."""
    room: float
    """Share of reverberation, 0..1."""
    pump: float
    """How far the kick pushes the other parts down, 0..1."""

    def part(self, name: str) -> Part | None:
        """The part of that name, None if it does not play."""
        return next((part for part in self.parts if part.name == name), None)

    @property
    def seconds_per_beat(self) -> float:
        """Length of a beat [s]."""
        return 60.0 / self.tempo
