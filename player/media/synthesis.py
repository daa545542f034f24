"""A composition -> sound: wave tables, envelopes, drums, echo, room and a soft limiter.

Everything is whole arrays: a clip of ten seconds takes about a tenth of a second of one core. The
same composition gives the same samples, bit for bit, on the same build of numpy.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from player.media.composition import DRUMS, SECONDS, Composition, Note, Part
from player.media.drums import PANNING, drum_hit
from player.media.timbres import TABLE_SIZE, TIMBRES, Timbre, wave_table

__all__ = ["CEILING", "SAMPLE_RATE", "faded", "limited", "render"]

SAMPLE_RATE = 44_100
"""[Hz]"""

CEILING = 0.89
"""Greatest sample, -1 dB: Vorbis may overshoot by that much."""

Floats = NDArray[np.float32]

_KNEE = 0.6  # below this level the limiter changes nothing
_LEVELS = {"drums": 0.9, "bass": 0.45, "chords": 0.5, "lead": 0.55}  # root mean square in the mix
_SENDS = {"drums": 0.25, "bass": 0.0, "chords": 1.0, "lead": 1.0}  # into the room
_FADE_IN, _FADE_OUT = 0.004, 1.1  # [s]
_ROOM = 1.5  # [s] length of the reverberation
_NAME_OF = {number: drum for drum, number in DRUMS.items()}


def render(composition: Composition, sample_rate: int = SAMPLE_RATE) -> Floats:
    """The sound of a composition, exactly `SECONDS` long.

    Args:
        composition: what is played.
        sample_rate: 8,000 to 192,000 [Hz].

    Returns:
        (n, 2) float32, n = `SECONDS` times the sample rate: left and right, at most `CEILING`, with
        the root mean square of `Composition.loudness` where the fade has not begun.

    Raises:
        ValueError: the sample rate is out of range, or a timbre or drum is not known.
    """
    if not 8_000 <= sample_rate <= 192_000:
        raise ValueError(f"sample_rate is {sample_rate!r}, expected 8,000 to 192,000 [Hz]")
    count = round(SECONDS * sample_rate)
    mix = np.zeros((2, count), dtype=np.float32)
    send = np.zeros(count, dtype=np.float32)
    ducked = _pump(composition, count, sample_rate)
    for part in composition.parts:
        bus = _drum_bus(part, composition, count, sample_rate)
        level = _LEVELS[part.name] * composition.beat
        if bus is None:
            timbre = _timbre(part)
            bus = _bus(part, timbre, composition, count, sample_rate)
            level = _LEVELS[part.name] * timbre.level
            bus *= ducked
        loud = float(np.sqrt(np.mean(np.square(bus))))
        if loud:
            bus *= np.float32(level / loud)
            mix += bus
            if _SENDS[part.name]:
                send += np.float32(_SENDS[part.name]) * (bus[0] + bus[1])
    if composition.room:
        mix += np.float32(composition.room) * _reverberated(send, sample_rate)
    mix = np.stack([_shaded(channel, composition.brightness, sample_rate) for channel in mix])
    mix -= mix.mean(axis=1, keepdims=True)  # direct current is inaudible and costs headroom
    return faded(limited(mix.T, composition.loudness), sample_rate)


def limited(audio: Floats, loudness: float) -> Floats:
    """The same sound at another mean level, its peaks rounded off below `CEILING`.

    Args:
        audio: (n, channels) of any level; silence stays silence.
        loudness: root mean square of the result [dB relative to full scale].

    Returns:
        (n, channels) float32, contiguous.
    """
    audio = np.ascontiguousarray(audio, dtype=np.float32)
    sample = audio[::7]  # enough to know the level
    loud = float(np.sqrt(np.mean(np.square(sample)))) if sample.size else 0.0
    if loud == 0.0:
        return audio
    target = 10 ** (loudness / 20)
    gain = target / loud
    for _ in range(4):  # rounding peaks off costs level
        gain *= target / float(np.sqrt(np.mean(np.square(_rounded(sample * np.float32(gain))))))
    return _rounded(audio * np.float32(gain))


def _rounded(audio: Floats) -> Floats:
    over = np.maximum(np.abs(audio) - np.float32(_KNEE), 0)
    above = np.float32(CEILING - _KNEE)
    kept = np.clip(audio, -np.float32(_KNEE), np.float32(_KNEE))
    return np.asarray(kept + np.copysign(above * np.tanh(over / above), audio), dtype=np.float32)


def faded(audio: Floats, sample_rate: int) -> Floats:
    """The same array, (n, channels), its beginning faded in and its end out; at least 1.2 s."""
    rise, fall = int(_FADE_IN * sample_rate), int(_FADE_OUT * sample_rate)
    audio[:rise] *= np.linspace(0, 1, rise, dtype=np.float32)[:, None]
    audio[-fall:] *= (0.5 + 0.5 * np.cos(np.linspace(0, np.pi, fall))).astype(np.float32)[:, None]
    return audio


def _timbre(part: Part) -> Timbre:
    if part.timbre not in TIMBRES:
        raise ValueError(
            f"part {part.name!r} has timbre {part.timbre!r}; expected one of {', '.join(TIMBRES)}"
        )
    return TIMBRES[part.timbre]


def _drum_bus(part: Part, composition: Composition, count: int, sample_rate: int) -> Floats | None:
    if part.name != "drums":
        return None
    bus = np.zeros((2, count), dtype=np.float32)
    per_beat = composition.seconds_per_beat * sample_rate
    for note in part.notes:
        drum = _NAME_OF.get(note.pitch)
        if drum is None:
            raise ValueError(f"no drum has note number {note.pitch}; expected one of {DRUMS}")
        start = round(note.start * per_beat)
        hit = drum_hit(drum, part.timbre, sample_rate)[: max(count - start, 0)]
        place = PANNING.get(drum, 0.0)
        for channel, side in enumerate((1 - max(place, 0.0), 1 + min(place, 0.0))):
            bus[channel, start : start + len(hit)] += np.float32(note.velocity * side) * hit
    return bus


def _bus(
    part: Part, timbre: Timbre, composition: Composition, count: int, sample_rate: int
) -> Floats:
    """All notes of a part, (2, count), with its distortion and its echo."""
    player = _Player(timbre, composition, sample_rate)
    bus = np.zeros((2, count), dtype=np.float32)
    per_beat = composition.seconds_per_beat * sample_rate
    for note in part.notes:
        start = round(note.start * per_beat)
        length = min(int(note.duration * per_beat) + player.release, count - start)
        if length > 16:
            player.play(note, bus[:, start : start + length])
    # Low notes come from the middle, as on records; others from both sides, but not apart: what
    # is only left or right is lost where one loudspeaker plays both.
    crossed = 1.0 if part.name == "bass" else 0.3
    if timbre.detune:
        bus += np.float32(crossed) * bus[::-1].copy()
    if timbre.drive:
        peak = float(np.max(np.abs(bus)))
        if peak:
            bus = np.tanh(bus * np.float32((0.7 + timbre.drive) / peak))
        bus = np.stack([_cabinet(channel, sample_rate) for channel in bus])
    if timbre.echo:
        _add_echo(bus, round(0.75 * per_beat), timbre.echo)
    return bus


class _Player:
    """One instrument: its envelopes are computed once, and cut to the length of each note."""

    def __init__(self, timbre: Timbre, composition: Composition, sample_rate: int) -> None:
        self.timbre = timbre
        self.rate = sample_rate
        self.release = int(timbre.release * sample_rate)
        self.open = 2.0 ** (3.0 * (composition.brightness - 0.5))
        self.per_beat = composition.seconds_per_beat * sample_rate
        time = np.arange(round(SECONDS * sample_rate), dtype=np.float32) / np.float32(sample_rate)
        self.level = (
            np.float32(timbre.sustain)
            + np.float32(1 - timbre.sustain) * np.exp(-time / np.float32(timbre.decay))
        ).astype(np.float32)
        attack = max(int(timbre.attack * sample_rate), 1)
        self.level[:attack] *= np.linspace(0, 1, attack, dtype=np.float32)
        if timbre.wobbles:
            swings = timbre.wobbles * np.float32(sample_rate / self.per_beat) * time
            self.blend = np.float32(0.5) + np.float32(0.5) * np.cos(np.float32(2 * np.pi) * swings)
        else:
            self.blend = np.exp(-time / np.float32(timbre.fall))
        self.count = np.arange(len(time), dtype=np.uint32)
        self.waver = None
        if timbre.vibrato:
            # Phase [periods] by which a tone of 1 Hz is ahead: the integral of its vibrato, which
            # sets in late, as a player's does.
            depth = 2 ** (timbre.vibrato / 1200) - 1
            rate = 2 * np.pi * 5.3
            self.waver = depth / rate * (1 - np.cos(rate * time)) * np.minimum(time / 0.4, 1)

    def play(self, note: Note, out: Floats) -> None:
        """Add a note to ``out``, (2, n), which is as long as the note and its release."""
        timbre, count = self.timbre, out.shape[1]
        frequency = 440.0 * 2 ** ((note.pitch - 69) / 12)
        if frequency > 0.45 * self.rate:
            return
        # Higher notes open the filter, as strings and filters with key tracking do.
        tracking = self.open * (frequency / 261.6) ** 0.4 * (0.6 + 0.5 * note.velocity)
        dark = wave_table(timbre.wave, frequency, round(timbre.dark * tracking), self.rate)
        bright = wave_table(timbre.wave, frequency, round(timbre.bright * tracking), self.rate)
        extra = bright - dark
        envelope = np.float32(note.velocity) * self.level[:count]
        held = max(count - self.release, 0)
        fade = np.linspace(1, 0, self.release, dtype=np.float32)[: count - held]
        envelope[held:] *= fade * fade
        apart = timbre.detune / 2
        for channel, cents in enumerate((-apart, apart) if apart else (0.0,)):
            pitch = frequency * 2 ** (cents / 1200)
            step = round(pitch / self.rate * 2**32)
            # 32 bits hold the phase: it wraps by itself at a whole period.
            phase = self.count[:count] * np.uint32(step) + np.uint32(channel * 0x5555_5555)
            if self.waver is not None:
                ahead = (self.waver[:count] * np.float32(pitch * 2**20)).astype(np.int32)
                phase += ahead.view(np.uint32) << np.uint32(12)
            index = (phase >> np.uint32(32 - TABLE_SIZE.bit_length() + 1)).astype(np.intp)
            tone = dark.take(index)
            tone += extra.take(index) * self.blend[:count]
            tone *= envelope
            if apart:
                out[channel] += tone
            else:
                out += tone


def _pump(composition: Composition, count: int, sample_rate: int) -> Floats:
    """(count,) gain of the parts that give way to the kick."""
    gain = np.ones(count, dtype=np.float32)
    drums = composition.part("drums")
    if drums is None or not composition.pump:
        return gain
    per_beat = composition.seconds_per_beat * sample_rate
    length = int(min(0.9 * per_beat, 0.32 * sample_rate))
    dip = 1 - np.float32(composition.pump) * np.linspace(1, 0, length, dtype=np.float32) ** 1.5
    for note in drums.notes:
        if note.pitch == DRUMS["kick"]:
            start = round(note.start * per_beat)
            under = gain[start : start + length]
            np.minimum(under, dip[: len(under)], out=under)
    return gain


def _cabinet(channel: Floats, sample_rate: int) -> Floats:
    """A guitar amplifier's loudspeaker: little above 5 kHz (a windowed sinc of 31 taps)."""
    taps = np.arange(-15, 16)
    kernel = np.sinc(taps * 2 * min(5000 / sample_rate, 0.45)) * np.hamming(31)
    return np.convolve(channel, (kernel / kernel.sum()).astype(np.float32), mode="same")


def _shaded(channel: Floats, brightness: float, sample_rate: int) -> Floats:
    """Treble above about 3 kHz from -8 dB for the least bright to +4 dB for the brightest."""
    kernel = np.hanning(2 * round(8 * sample_rate / 44_100) + 3).astype(np.float32)
    treble = np.float32(0.4 + 1.2 * brightness)
    low = np.convolve(channel, kernel / kernel.sum(), mode="same")
    return np.asarray(treble * channel + (1 - treble) * low, dtype=np.float32)


def _add_echo(bus: Floats, delay: int, share: float) -> None:
    """Three echoes, each on the other side."""
    count = bus.shape[1]
    dry = bus.copy()
    for time in range(1, 4):
        late = time * delay
        if late >= count:
            return
        bus[time % 2, late:] += np.float32(share**time) * dry.mean(axis=0)[: count - late]


@functools.lru_cache(maxsize=4)
def _room(sample_rate: int, size: int) -> NDArray[np.complex64]:
    """(2, size // 2 + 1) spectrum of the room's answer to a clap, left and right."""
    count = int(_ROOM * sample_rate)
    time = np.arange(count) / sample_rate
    noise = np.random.default_rng(1977).normal(size=(2, count))
    spectrum = np.fft.rfft(noise, axis=1)
    frequency = np.fft.rfftfreq(count, 1 / sample_rate)
    # Air and curtains take the treble, the loudspeaker of a small room has no bass.
    spectrum /= np.sqrt(1 + (frequency / 4500) ** 2)
    spectrum *= 1 / np.sqrt(1 + (220 / np.maximum(frequency, 1)) ** 4)
    answer = np.fft.irfft(spectrum, count, axis=1) * np.exp(-time / 0.28)
    answer *= np.minimum(time / 0.012, 1)  # the walls are two metres away
    answer *= np.minimum((time[-1] - time) / 0.1, 1)
    answer /= np.sqrt(np.sum(answer**2, axis=1, keepdims=True))
    return np.fft.rfft(answer.astype(np.float32), size, axis=1).astype(np.complex64)


def _reverberated(send: Floats, sample_rate: int) -> Floats:
    size = _fast_size(len(send) + int(_ROOM * sample_rate))  # so that the end cannot wrap around
    spectrum = np.fft.rfft(send, size)
    wet = np.fft.irfft(spectrum * _room(sample_rate, size), size, axis=1)
    return wet[:, : len(send)].astype(np.float32, copy=False)


def _fast_size(least: int) -> int:
    """The next size 2^a or 3 * 2^a: those the Fourier transform is fast for."""
    power = 1 << (least - 1).bit_length()
    return 3 * power // 4 if 3 * power // 4 >= least else power
