"""The instruments: what waves they are made of, and how a note of them grows and fades."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["TABLE_SIZE", "TIMBRES", "Timbre", "wave_table"]

TABLE_SIZE = 4096
"""Samples of one period; a power of two, that a phase of 32 bits is an index by a shift."""

Floats = NDArray[np.float32]
Harmonics = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Timbre:
    """An instrument of the synthesiser."""

    program: int
    """Of General MIDI, from 0."""
    wave: str
    """See `WAVES`."""
    bright: float
    """[Hz] Cut-off of the low-pass filter when a note is struck (for middle C)."""
    dark: float
    """[Hz] Cut-off that it falls to."""
    fall: float = 0.3
    """[s] How fast it falls (time constant)."""
    attack: float = 0.004
    """[s]"""
    decay: float = 0.6
    """[s] From the attack to the sustained level (time constant)."""
    sustain: float = 0.0
    """Sustained level, 0..1."""
    release: float = 0.12
    """[s] From the end of the note to silence."""
    detune: float = 0.0
    """[cents] Between left and right."""
    vibrato: float = 0.0
    """[cents]"""
    wobbles: float = 0.0
    """Swings of the filter a beat."""
    drive: float = 0.0
    """Distortion: gain before saturation, 0 = none."""
    level: float = 1.0
    """Loudness of the part in the mix."""
    echo: float = 0.0
    """Share of the echo, three sixteenths behind."""


TIMBRES: dict[str, Timbre] = {
    # Basses.
    "round bass": Timbre(
        program=38, wave="saw", bright=900, dark=260, fall=0.12, decay=0.5, sustain=0.6
    ),
    "sub bass": Timbre(
        program=39, wave="round", bright=700, dark=180, fall=0.1, decay=1.2, sustain=0.5, level=1.2
    ),
    "saw bass": Timbre(
        program=38, wave="saw", bright=2200, dark=500, fall=0.1, decay=0.3, sustain=0.5, detune=9
    ),
    "wobble bass": Timbre(
        program=87,
        wave="square saw",
        bright=4200,
        dark=200,
        decay=3.0,
        sustain=0.9,
        detune=12,
        wobbles=2,
        drive=2.0,
        level=1.35,
    ),
    "pick bass": Timbre(
        program=34,
        wave="steel",
        bright=2600,
        dark=500,
        fall=0.15,
        decay=0.8,
        sustain=0.3,
        drive=0.8,
    ),
    "upright bass": Timbre(
        program=32, wave="nylon", bright=1100, dark=260, fall=0.15, decay=0.6, sustain=0.05
    ),
    # Chords.
    "electric piano": Timbre(
        program=4, wave="electric piano", bright=5200, dark=1100, decay=1.1, detune=5, release=0.25
    ),
    "piano": Timbre(
        program=0, wave="piano", bright=6000, dark=1300, fall=0.4, decay=1.3, detune=2, release=0.3
    ),
    "organ": Timbre(program=16, wave="organ", bright=5000, dark=3500, sustain=1.0, detune=4),
    "saw pad": Timbre(
        program=90,
        wave="saw",
        bright=2600,
        dark=1500,
        attack=0.02,
        sustain=0.8,
        release=0.3,
        detune=16,
    ),
    "soft pad": Timbre(
        program=89,
        wave="saw",
        bright=800,
        dark=1300,
        fall=1.5,
        attack=0.6,
        sustain=0.9,
        release=1.4,
        detune=11,
    ),
    "bright pad": Timbre(
        program=81,
        wave="saw",
        bright=3400,
        dark=1200,
        fall=0.25,
        attack=0.01,
        decay=0.7,
        sustain=0.45,
        release=0.3,
        detune=13,
    ),
    "nylon guitar": Timbre(
        program=24, wave="nylon", bright=4200, dark=700, fall=0.15, decay=0.55, detune=3
    ),
    "steel guitar": Timbre(
        program=25, wave="steel", bright=6500, dark=1300, fall=0.2, decay=0.8, detune=6
    ),
    "driven guitar": Timbre(
        program=29,
        wave="saw",
        bright=3000,
        dark=1600,
        decay=1.8,
        sustain=0.5,
        release=0.06,
        detune=10,
        drive=3.0,
    ),
    "distorted guitar": Timbre(
        program=30,
        wave="saw",
        bright=3800,
        dark=2200,
        decay=2.5,
        sustain=0.7,
        release=0.04,
        detune=12,
        drive=9.0,
        level=1.1,
    ),
    # Leads.
    "pluck": Timbre(
        program=80,
        wave="square saw",
        bright=5200,
        dark=700,
        fall=0.09,
        decay=0.28,
        release=0.2,
        detune=8,
        echo=0.35,
    ),
    "saw lead": Timbre(
        program=81,
        wave="saw",
        bright=5000,
        dark=2400,
        fall=0.2,
        sustain=0.7,
        detune=14,
        echo=0.3,
    ),
    "square lead": Timbre(
        program=80,
        wave="square",
        bright=3600,
        dark=1500,
        decay=0.5,
        sustain=0.4,
        detune=8,
        vibrato=9,
        echo=0.35,
    ),
    "soft lead": Timbre(
        program=85,
        wave="triangle",
        bright=3000,
        dark=1800,
        attack=0.03,
        decay=0.8,
        sustain=0.6,
        vibrato=10,
        detune=5,
        echo=0.25,
    ),
    "lead guitar": Timbre(
        program=29,
        wave="saw",
        bright=4200,
        dark=2200,
        attack=0.008,
        decay=1.2,
        sustain=0.6,
        vibrato=14,
        drive=4.0,
        detune=4,
        echo=0.22,
    ),
    "bell": Timbre(
        program=14,
        wave="bell",
        bright=8000,
        dark=1600,
        decay=0.9,
        release=0.9,
        detune=4,
        echo=0.4,
    ),
    "marimba": Timbre(
        program=12, wave="marimba", bright=7000, dark=900, fall=0.06, decay=0.22, echo=0.15
    ),
    "vibraphone": Timbre(
        program=11, wave="marimba", bright=5000, dark=1500, decay=1.2, release=0.5, detune=5
    ),
    "banjo": Timbre(
        program=105, wave="banjo", bright=7000, dark=1500, fall=0.08, decay=0.3, detune=3, echo=0.1
    ),
    "strings": Timbre(
        program=48,
        wave="saw",
        bright=2400,
        dark=1800,
        attack=0.12,
        sustain=0.9,
        release=0.35,
        detune=12,
        vibrato=7,
    ),
}
"""Name -> instrument. Values by ear and by spectrum."""


def _plucked(fall: float, place: float) -> Callable[[Harmonics], Harmonics]:
    # A string plucked at `place` of its length lacks the harmonics with a node there.
    return lambda k: k**-fall * np.abs(np.sin(np.pi * k * place))


def _drawn(amplitudes: dict[int, float]) -> Callable[[Harmonics], Harmonics]:
    return lambda k: np.array([amplitudes.get(int(n), 0.0) for n in k])


WAVES: dict[str, Callable[[Harmonics], Harmonics]] = {
    "saw": lambda k: 1 / k,
    "square": lambda k: (k % 2) / k,
    "square saw": lambda k: (0.45 + 0.55 * (k % 2)) / k,
    "triangle": lambda k: (k % 2) / k**2,
    "round": _drawn({1: 1.0, 2: 0.35, 3: 0.16, 4: 0.06}),
    "organ": _drawn({1: 1.0, 2: 0.7, 3: 0.45, 4: 0.5, 6: 0.25, 8: 0.3}),
    "electric piano": _drawn({1: 1.0, 2: 0.3, 3: 0.12, 4: 0.08, 7: 0.16, 14: 0.05}),
    "piano": lambda k: k**-1.35 * np.where(k % 7 == 0, 0.4, 1.0),
    "nylon": _plucked(1.4, 0.21),
    "steel": _plucked(1.05, 0.14),
    "banjo": _plucked(0.75, 0.09),
    "marimba": _drawn({1: 1.0, 4: 0.32, 10: 0.1}),
    "bell": _drawn({1: 1.0, 2: 0.2, 3: 0.35, 5: 0.3, 7: 0.12, 9: 0.15, 13: 0.08}),
}
"""Name -> amplitude of each harmonic k (1 is the fundamental) before the filter."""


@functools.lru_cache(maxsize=4096)
def wave_table(wave: str, frequency: float, cutoff: float, sample_rate: int) -> Floats:
    """(`TABLE_SIZE`,) float32: one period, with no harmonic above 0.45 of the sample rate.

    Args:
        wave: see `WAVES`.
        frequency: of the note [Hz].
        cutoff: of the low-pass filter, 12 dB an octave [Hz].
        sample_rate: [Hz]
    """
    count = int(min(max(0.45 * sample_rate / frequency, 1), 256))
    k = np.arange(1, count + 1, dtype=np.float64)
    amplitude = WAVES[wave](k)
    loudness = np.sqrt(np.sum(amplitude**2))
    amplitude = amplitude / np.sqrt(1 + (k * frequency / cutoff) ** 4)
    spectrum = np.zeros(TABLE_SIZE // 2 + 1, dtype=np.complex128)
    spectrum[1 : count + 1] = -1j * amplitude / loudness
    period = np.fft.irfft(spectrum, TABLE_SIZE) * (TABLE_SIZE / 2)
    table = np.asarray(period, dtype=np.float32)
    table.flags.writeable = False
    return table
