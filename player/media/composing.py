"""Features of a track -> a composed clip: drums, bass, chords and a lead of its genre.

What the features do, each in one direction, so that one can hear what a number means:

- *tempo*: the tempo of the piece, exactly (in octaves of itself within `TEMPO_RANGE`);
- *energy*: more layers of drums, livelier bass lines and chords, more notes in the lead, brighter
  sounds, louder;
- *danceability*: drums louder and steadier (below 0.5 some kicks are left out or come late), more
  percussion between the beats, more of the pump of the kick;
- *mode* and *key*: those of the piece; *valence*: higher, brighter lead;
- *acousticness*: more room, less pump, players who are not machines;
- *genre*: everything else (`player.media.styles`). Of several genres, the heaviest gives the drums
  and the bass line, the next the chords, the next after that (or the second) the lead.
"""

from __future__ import annotations

import math

import numpy as np

from player.media.composition import BEATS_PER_BAR, DRUMS, SECONDS, Composition, Note, Part
from player.media.features import TrackFeatures
from player.media.harmony import SCALES, Chord, choose_progression, voicings
from player.media.melody import compose_lead
from player.media.patterns import BASSLINES, COMPINGS, FILLS, GROOVES, STEPS, pattern_for
from player.media.styles import Style

__all__ = ["compose", "loudness_of"]

_FADE_ROOM = 0.6
"""[s] A bar that would begin later than this before the end is not played: the last one rings."""

_METAL = frozenset({"hat", "open hat", "pedal hat", "ride", "brush", "shaker", "tambourine"})

_MINOR_PART = 0.12
"""Share below which a genre of a blend gives no element."""


def compose(features: TrackFeatures) -> Composition:
    """The clip of a track, the same for the same features; see the module for what does what."""
    features = features.filled()
    assert features.tempo is not None and features.mode is not None and features.key is not None
    styles = [style for style, weight in features.styles if weight >= _MINOR_PART][:3]
    main, second, third = styles[0], styles[min(1, len(styles) - 1)], styles[-1]
    bars = max(math.ceil((SECONDS - _FADE_ROOM) / (BEATS_PER_BAR * 60 / features.tempo)), 1)
    generator = features.generator("composition")
    energy = features.energy

    # A slow piece has few bars: two chords in each, that there is a progression at all.
    per_bar = 1 if bars >= 4 else 2
    chords = choose_progression(
        second.progressions,
        key=features.key,
        mode=features.mode,
        count=bars * per_bar,
        closing=per_bar,
        seventh=second.sevenths,
        generator=generator,
    )
    drums = _drums(main, bars, features, generator)
    lead = compose_lead(
        chords,
        bars=bars,
        key=features.key,
        mode=features.mode,
        pentatonic=third.pentatonic,
        centre=70 + 8 * features.valence,
        energy=0.25 + 0.75 * energy if third.groove != "none" else 0.6 * energy,
        danceability=features.danceability,
        generator=generator,
    )
    found = (
        Part("drums", main.kit, tuple(drums)),
        Part("bass", main.bass, tuple(_bass(main, chords, bars, energy, features))),
        Part("chords", second.chords, tuple(_comp(second, chords, bars, energy))),
        Part("lead", third.lead, tuple(lead)),
    )
    timed = (_timed(part, main, features, generator) for part in found if part.notes)
    return Composition(
        title=features.title,
        tempo=features.tempo,
        key=features.key,
        mode=features.mode,
        styles=tuple(style.name for style in styles),
        bars=bars,
        parts=tuple(timed),
        brightness=float(np.clip(0.1 + 0.75 * energy + 0.15 * features.valence, 0, 1)),
        loudness=loudness_of(energy),
        beat=0.55 + 0.6 * features.danceability,
        room=min(main.room * (0.7 + 0.6 * features.acousticness), 0.6),
        pump=main.pump * (0.4 + 0.6 * features.danceability) * (1 - 0.7 * features.acousticness),
    )


def loudness_of(energy: float) -> float:
    """The mean level of a clip [dB relative to full scale]: -21 to -15 for energy 0 to 1."""
    return -21.0 + 6.0 * energy


def _drums(
    style: Style, bars: int, features: TrackFeatures, generator: np.random.Generator
) -> list[Note]:
    energy, danceability = features.energy, features.danceability
    layers = [
        layer
        for layer in GROOVES[style.groove]
        if energy >= layer.energy and danceability >= layer.danceability
    ]
    if not layers:
        return []
    fill = FILLS[int(generator.integers(len(FILLS)))] if energy > 0.3 else "." * STEPS
    unsteady = max(0.5 - danceability, 0.0)
    notes: dict[tuple[int, str], float] = {}
    for bar in range(bars):
        filled = bar % 4 == 3 and bar < bars - 1
        fill_from = next((i for i, mark in enumerate(fill) if mark != "."), STEPS)
        for layer in layers:
            for step, mark in enumerate(layer.steps):
                if mark == "." or (filled and step >= fill_from and layer.drum != "kick"):
                    continue
                at = bar * STEPS + step
                if layer.drum == "kick" and step and generator.random() < unsteady:
                    if generator.random() < 0.5:
                        continue
                    at += 1
                notes[at, layer.drum] = max(int(mark) / 9, notes.get((at, layer.drum), 0.0))
        for step, mark in enumerate(fill):
            if filled and mark != ".":
                drum = "tom" if step % 4 == 2 or style.groove == "none" else "snare"
                notes[bar * STEPS + step, drum] = int(mark) / 9
    if energy > 0.55 and style.swing < 0.2:
        notes[0, "crash"] = 0.7
    # Who plays softly plays the cymbals softest.
    hard, soft = 0.65 + 0.35 * energy, 0.3 + 0.7 * energy
    return [
        Note(
            start=at / 4,
            duration=0.25,
            pitch=DRUMS[drum],
            velocity=velocity * (soft if drum in _METAL else hard),
        )
        for (at, drum), velocity in sorted(notes.items())
        if at < bars * STEPS
    ]


def _bass(
    style: Style, chords: list[Chord], bars: int, energy: float, features: TrackFeatures
) -> list[Note]:
    pattern = pattern_for(BASSLINES[style.bassline], energy)
    per_bar = len(chords) // bars
    lowest = 31 if style.bass != "sub bass" else 28  # G1, E1: below, small loudspeakers are mute
    notes = []
    for bar in range(bars):
        for step, mark, length in _strikes("R---------------" if bar == bars - 1 else pattern):
            place = bar * per_bar + step * per_bar // STEPS
            chord = chords[place]
            root = lowest + (chord.root - lowest) % 12
            pitch = root + {"R": 0, "T": chord.intervals[1], "F": 7, "O": 12, "a": 0}[mark]
            if mark == "a":
                following = chords[min(place + 1, len(chords) - 1)]
                pitch = _step_below(lowest + (following.root - lowest) % 12, features)
            notes.append(_note(bar, step, length, pitch, 0.9 if step % 4 == 0 else 0.75))
            if per_bar > 1 and mark == "R" and step < STEPS // 2 < step + length:
                # Held over the change of chord: struck again on the new root.
                notes[-1] = _note(bar, step, STEPS // 2 - step, pitch, 0.9)
                root = lowest + (chords[place + 1].root - lowest) % 12
                notes.append(_note(bar, STEPS // 2, length + step - STEPS // 2, root, 0.85))
    return notes


def _step_below(pitch: int, features: TrackFeatures) -> int:
    assert features.key is not None and features.mode is not None
    scale = SCALES[features.mode]
    below = pitch - 1
    while (below - features.key) % 12 not in scale:
        below -= 1
    return below


def _comp(style: Style, chords: list[Chord], bars: int, energy: float) -> list[Note]:
    pattern = pattern_for(COMPINGS[style.comping], energy)
    power = style.comping == "power chords"
    voiced: list[tuple[int, ...]]
    if power:
        low = [40 + (chord.root - 40) % 12 for chord in chords]
        voiced = [(root, root + 7, root + 12) for root in low]
    else:
        voiced = voicings(chords, centre=60)
    per_bar = len(chords) // bars
    notes = []
    for bar in range(bars):
        last = bar == bars - 1
        strikes = _strikes("x---------------" if last and style.comping != "arpeggio" else pattern)
        count = 0
        for step, mark, length in strikes:
            place = bar * per_bar + step * per_bar // STEPS
            pieces = [(step, length, voiced[place])]
            if per_bar > 1 and step < STEPS // 2 < step + length:
                half = STEPS // 2
                pieces = [(step, half - step, voiced[place])]
                pieces.append((half, length + step - half, voiced[place + 1]))
            for start, held, pitches in pieces:
                velocity = 0.8 if start % 8 == 0 else 0.7 if start % 4 == 0 else 0.62
                if mark == "a":
                    climb = (*pitches, pitches[0] + 12, *pitches[:0:-1])
                    pitch = climb[count % len(climb)]
                    notes.append(_note(bar, start, max(held, 3), pitch, velocity))
                    count += 1
                    continue
                spread = 0.035 if style.comping == "strum" else 0.0
                order = pitches if count % 2 == 0 else pitches[::-1]
                for i, pitch in enumerate(order):
                    notes.append(_note(bar, start + 4 * spread * i, held, pitch, velocity))
                count += 1
    return notes


def _strikes(pattern: str) -> list[tuple[int, str, int]]:
    """Step, mark and length in steps of every note of a pattern."""
    found = []
    for step, mark in enumerate(pattern):
        if mark not in "-.":
            tail = pattern[step + 1 :]
            found.append((step, mark, 1 + len(tail) - len(tail.lstrip("-"))))
    return found


def _note(bar: int, step: float, length: float, pitch: int, velocity: float) -> Note:
    return Note((bar * STEPS + step) / 4, length / 4, pitch, velocity)


def _timed(
    part: Part, style: Style, features: TrackFeatures, generator: np.random.Generator
) -> Part:
    """Swung, and played by hand: the more acoustic the track, the less like a machine."""
    loose = 0.35 * features.acousticness if style.swing == 0 else 0.15 + 0.3 * features.acousticness
    count = len(part.notes)
    late = loose * 0.02 * np.abs(generator.normal(size=count)).clip(max=2)
    strength = 1 + loose * 0.2 * generator.normal(size=count).clip(-2, 2)
    notes = []
    for note, delay, factor in zip(part.notes, late.tolist(), strength.tolist(), strict=True):
        start = _swing(note.start, style)
        end = _swing(note.start + note.duration, style)
        notes.append(
            Note(
                start=start + delay,
                duration=end - start,
                pitch=note.pitch,
                velocity=min(max(note.velocity * factor, 0.05), 1.0),
            )
        )
    return Part(part.name, part.timbre, tuple(sorted(notes, key=lambda note: note.start)))


def _swing(beat: float, style: Style) -> float:
    pair, within = divmod(beat, 2 * style.swung)
    within /= style.swung
    middle = 1 + style.swing
    bent = within * middle if within < 1 else middle + (within - 1) * (2 - middle)
    return (pair * 2 + bent) * style.swung
