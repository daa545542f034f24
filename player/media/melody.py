"""The lead: a motif of one bar, repeated with variation over the chords (A A' B A'')."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from player.media.composition import Note
from player.media.features import Mode
from player.media.harmony import PENTATONIC, SCALES, Chord
from player.media.patterns import STEPS

__all__ = ["compose_lead"]

_SHAPE = "AABA"
"""Which motif each bar plays; the second and fourth time A ends otherwise than the first."""

_LONGEST = 6
"""Sixteenths a note of the lead is held at most: a phrase has to breathe."""


@dataclass(frozen=True)
class _Motif:
    steps: tuple[int, ...]
    """Sixteenth on which each note starts."""
    moves: tuple[int, ...]
    """Scale steps above the chord's root at the bar's beginning."""


def compose_lead(
    chords: list[Chord],
    *,
    bars: int,
    key: int,
    mode: Mode,
    pentatonic: bool,
    centre: float,
    energy: float,
    danceability: float,
    generator: np.random.Generator,
) -> list[Note]:
    """The notes of a lead over the chords, which share the bars evenly.

    Args:
        chords: one or more a bar.
        bars: of `STEPS` sixteenths.
        key: pitch class of the tonic.
        mode: of the scale.
        pentatonic: five notes instead of seven.
        centre: MIDI pitch around which it moves.
        energy: 0..1: more notes.
        danceability: 0..1: more notes off the beat, in a rhythm that repeats.
        generator: draws the motifs.
    """
    scale = (PENTATONIC if pentatonic else SCALES)[mode]
    ladder = [p for p in range(36, 109) if (p - key) % 12 in scale]
    motifs = {name: _motif(energy, danceability, generator) for name in "AB"}
    per_bar = len(chords) // bars
    notes = []
    for bar in range(bars):
        motif = motifs[_SHAPE[bar % len(_SHAPE)]]
        last = bar == bars - 1
        if bar % len(_SHAPE) in (1, 3) and not last:
            motif = _varied(motif, generator)
        if last:  # home: the motif's beginning, then the tonic
            motif = _Motif(motif.steps[:2], (*motif.moves[:1], 0))
        ends = (*motif.steps[1:], STEPS)
        for step, end, move in zip(motif.steps, ends, motif.moves, strict=True):
            chord = chords[bar * per_bar + step * per_bar // STEPS]
            anchor = _nearest(ladder, _near(chord.root, centre))
            place = min(max(anchor + move, 0), len(ladder) - 1)
            pitch = ladder[place]
            if step % 4 == 0 or (last and step == motif.steps[-1]):
                pitch = _to_chord(pitch, chord)
            length = STEPS - step if last and end == STEPS else min(end - step, _LONGEST)
            notes.append(
                Note(
                    start=(bar * STEPS + step) / 4,
                    duration=length / 4,
                    pitch=pitch,
                    velocity=0.85 if step % 8 == 0 else 0.7 if step % 4 == 0 else 0.6,
                )
            )
    return notes


def _motif(energy: float, danceability: float, generator: np.random.Generator) -> _Motif:
    count = int(np.clip(round(2.0 + 5.5 * energy + generator.normal(0, 0.7)), 2, 9))
    steps = np.arange(STEPS)
    weight = np.where(steps % 4 == 0, 1.0, np.where(steps % 2 == 0, 0.9, 0.06 + 0.3 * energy))
    # Between the beats it dances: 3 + 3 + 2.
    weight = weight + danceability * np.isin(steps, (0, 3, 6, 8, 11, 14))
    weight[0] += 1.5
    weight[14:] *= 0.4
    chosen = np.sort(generator.choice(STEPS, size=count, replace=False, p=weight / weight.sum()))
    moves = [int(generator.choice((0, 2, 4)))]
    while len(moves) < count:
        # Steps more often than leaps, and after a leap back: how melodies move.
        leap = len(moves) > 1 and abs(moves[-1] - moves[-2]) > 2
        step = generator.choice(
            (-1, 1, -2, 2, 0, 3, -3, 4), p=(0.25, 0.22, 0.14, 0.14, 0.09, 0.06, 0.05, 0.05)
        )
        if leap:
            step = -np.sign(moves[-1] - moves[-2])
        moves.append(int(np.clip(moves[-1] + step, -4, 7)))
    return _Motif(tuple(int(step) for step in chosen), tuple(moves))


def _varied(motif: _Motif, generator: np.random.Generator) -> _Motif:
    """The same beginning with another ending: the answer to the question."""
    keep = max(len(motif.moves) - 2, 1)
    moves = list(motif.moves)
    for i in range(keep, len(moves)):
        moves[i] = int(np.clip(moves[i - 1] + generator.choice((-2, -1, 1, 2)), -4, 7))
    return _Motif(motif.steps, tuple(moves))


def _near(pitch_class: int, centre: float) -> int:
    return pitch_class + 12 * round((centre - pitch_class) / 12)


def _nearest(ladder: list[int], pitch: int) -> int:
    return min(range(len(ladder)), key=lambda place: abs(ladder[place] - pitch))


def _to_chord(pitch: int, chord: Chord) -> int:
    options = [p for p in range(pitch - 6, pitch + 7) if p % 12 in chord.pitch_classes]
    return min(options, key=lambda p: (abs(p - pitch), p))
