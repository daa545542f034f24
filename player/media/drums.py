"""The drums: every drum of a kit is synthesised once, and then struck."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["KITS", "PANNING", "Kit", "drum_hit"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Kit:
    """What the drums of a kit are like."""

    kick: tuple[float, float]
    """[Hz] From which pitch the kick falls, and to which."""
    kick_decay: float
    """[s], as all decays: the time constant."""
    click: float
    """Share of the beater's noise in the kick."""
    snare: float
    """[Hz] Pitch of the snare's drumhead."""
    snare_decay: float
    wires: float
    """Share of noise in the snare."""
    hat: float
    """[Hz] Below this the cymbals are silent."""
    hat_decay: float


KITS: dict[str, Kit] = {
    "electronic kit": Kit(
        kick=(210, 48),
        kick_decay=0.16,
        click=0.25,
        snare=190,
        snare_decay=0.11,
        wires=0.75,
        hat=8000,
        hat_decay=0.03,
    ),
    "hip-hop kit": Kit(
        kick=(150, 45),
        kick_decay=0.24,
        click=0.15,
        snare=210,
        snare_decay=0.12,
        wires=0.6,
        hat=7000,
        hat_decay=0.025,
    ),
    "acoustic kit": Kit(
        kick=(120, 58),
        kick_decay=0.12,
        click=0.2,
        snare=200,
        snare_decay=0.14,
        wires=0.65,
        hat=5500,
        hat_decay=0.045,
    ),
    "heavy kit": Kit(
        kick=(170, 56),
        kick_decay=0.13,
        click=0.5,
        snare=180,
        snare_decay=0.17,
        wires=0.7,
        hat=5000,
        hat_decay=0.05,
    ),
}

PANNING: dict[str, float] = {
    "hat": 0.25,
    "open hat": 0.25,
    "pedal hat": 0.25,
    "ride": -0.3,
    "crash": -0.35,
    "tom": -0.2,
    "shaker": -0.4,
    "tambourine": 0.4,
    "conga": -0.3,
    "cowbell": 0.3,
    "rim": 0.15,
}
"""Drum -> place from -1 (left) to 1 (right), where it is not the middle."""


@functools.lru_cache(maxsize=256)
def drum_hit(drum: str, kit: str, sample_rate: int) -> Floats:
    """(n,) float32: the sound of a drum of `player.media.composition.DRUMS`, peak at most 1."""
    made = _Maker(KITS[kit], sample_rate).make(drum)
    made = made - np.mean(made)
    end = np.minimum(np.arange(len(made))[::-1] / (0.005 * sample_rate), 1.0)  # no click
    hit = np.asarray(_LEVELS[drum] * made * end / np.max(np.abs(made)), dtype=np.float32)
    hit.flags.writeable = False
    return hit


_LEVELS = {
    "kick": 1.0,
    "snare": 0.8,
    "clap": 0.65,
    "rim": 0.4,
    "brush": 0.4,
    "hat": 0.4,
    "pedal hat": 0.32,
    "open hat": 0.42,
    "tom": 0.6,
    "crash": 0.4,
    "ride": 0.36,
    "tambourine": 0.35,
    "cowbell": 0.25,
    "conga": 0.5,
    "shaker": 0.25,
}


class _Maker:
    def __init__(self, kit: Kit, sample_rate: int) -> None:
        self.kit = kit
        self.rate = sample_rate

    def make(self, drum: str) -> NDArray[np.float64]:
        kit = self.kit
        cymbals = {
            "hat": (kit.hat, kit.hat_decay),
            "pedal hat": (kit.hat * 0.9, kit.hat_decay * 0.7),
            "open hat": (kit.hat, 0.16),
            "crash": (kit.hat * 0.6, 0.55),
            "tambourine": (6500, 0.05),
            "shaker": (5000, 0.025),
        }
        if drum in cymbals:
            low, decay = cymbals[drum]
            attack = 0.012 if drum == "shaker" else 0.0005
            return self._metal(low, decay, attack)
        match drum:
            case "kick":
                return self._kick()
            case "snare":
                return self._snare()
            case "clap":
                return self._clap()
            case "ride":
                return 0.6 * self._metal(kit.hat * 0.8, 0.3, 0.0005) + 0.4 * self._bells(0.3)
            case "brush":
                return self._noise(0.12, 2500, 9000) * self._fall(0.12, 0.03, 0.012)
            case "rim":
                return self._drop(1750, 1650, 0.01, 0.014) + 0.4 * self._drop(480, 450, 0.01, 0.014)
            case "cowbell":
                return self._drop(562, 560, 1, 0.06) + 0.8 * self._drop(845, 842, 1, 0.06)
            case "conga":
                return self._drop(330, 280, 0.03, 0.07)
            case "tom":
                return self._drop(170, 95, 0.06, 0.14)
        raise ValueError(f"no drum {drum!r} in the kit")

    def _time(self, seconds: float) -> NDArray[np.float64]:
        return np.arange(int(seconds * self.rate)) / self.rate

    def _fall(self, seconds: float, decay: float, attack: float = 0.0005) -> NDArray[np.float64]:
        time = self._time(seconds)
        return np.asarray(np.minimum(time / attack, 1.0) * np.exp(-time / decay))

    def _noise(self, seconds: float, low: float, high: float) -> NDArray[np.float64]:
        """White noise between two frequencies [Hz], root mean square 1."""
        count = int(seconds * self.rate)
        # The same noise for all that is made of it: a drum of its own for each pair of edges.
        white = np.random.default_rng(int(low) * 100_003 + int(high)).normal(size=count)
        spectrum = np.fft.rfft(white)
        frequency = np.fft.rfftfreq(count, 1 / self.rate)
        spectrum *= 1 / np.sqrt(1 + (low / np.maximum(frequency, 1)) ** 8)
        spectrum *= 1 / np.sqrt(1 + (frequency / high) ** 8)
        noise = np.fft.irfft(spectrum, count)
        return np.asarray(noise / np.sqrt(np.mean(noise**2)))

    def _drop(self, start: float, end: float, sweep: float, decay: float) -> NDArray[np.float64]:
        """A tone that falls from one pitch to another [Hz]."""
        time = self._time(min(7 * decay, 1.5))
        phase = end * time + (start - end) * sweep * (1 - np.exp(-time / sweep))
        return np.asarray(np.sin(2 * np.pi * phase) * self._fall(min(7 * decay, 1.5), decay))

    def _metal(self, low: float, decay: float, attack: float) -> NDArray[np.float64]:
        seconds = min(7 * decay, 2.0)
        return self._noise(seconds, low, 16000) * self._fall(seconds, decay, attack)

    def _bells(self, decay: float) -> NDArray[np.float64]:
        time = self._time(min(7 * decay, 2.0))
        tones = [np.sin(2 * np.pi * f * time) for f in (3170, 4523, 5741, 7127)]
        return np.asarray(np.mean(tones, axis=0) * np.exp(-time / decay))

    def _kick(self) -> NDArray[np.float64]:
        body = self._drop(*self.kit.kick, 0.03, self.kit.kick_decay)
        click = 0.3 * self.kit.click * self._noise(0.02, 1500, 7000) * self._fall(0.02, 0.004)
        body[: len(click)] += click
        return np.asarray(np.tanh(1.6 * body))

    def _snare(self) -> NDArray[np.float64]:
        kit = self.kit
        seconds = 7 * kit.snare_decay
        wires = 0.35 * self._noise(seconds, 900, 9500) * self._fall(seconds, kit.snare_decay)
        head = self._drop(kit.snare * 1.5, kit.snare, 0.02, 0.07)
        wires *= kit.wires
        wires[: len(head)] += (1 - kit.wires) * 1.6 * head[: len(wires)]
        return np.asarray(np.tanh(1.5 * wires))

    def _clap(self) -> NDArray[np.float64]:
        """Four hands that are not quite together."""
        seconds = 0.35
        time = self._time(seconds)
        hands = np.zeros_like(time)
        for late, decay in ((0.0, 0.006), (0.011, 0.006), (0.021, 0.006), (0.03, 0.07)):
            hands += np.where(time >= late, np.exp(-np.maximum(time - late, 0) / decay), 0)
        return self._noise(seconds, 900, 6000) * hands
