"""Sound and notes -> files: OGG Vorbis, WAV and MIDI, all saying that MusicRec made them."""

from __future__ import annotations

import io
import wave
import zlib

import numpy as np
from numpy.typing import NDArray

from player.media.composition import BEATS_PER_BAR, Composition, Note, Part
from player.media.svg import plain_text
from player.media.synthesis import SAMPLE_RATE
from player.media.timbres import TIMBRES

__all__ = ["NOTICE", "to_midi", "to_ogg", "to_wav", "wav_to_ogg"]

NOTICE = "made by MusicRec, not the original recording"
"""Stands in every file whose format has a place for it (WAV, as the standard library writes it,
has none)."""

Floats = NDArray[np.float32]

_BLOCK = 8192  # libsndfile encodes Vorbis on the stack: frames in one call are better few
_TICKS = 480  # a beat, as most sequencers have it
_DRUM_CHANNEL = 9  # channel 10, counted from 0
_SERIAL = 0x4D526563  # "MRec"


def to_ogg(audio: Floats, sample_rate: int = SAMPLE_RATE, *, title: str = "") -> bytes:
    """Encode as OGG Vorbis, with `NOTICE` as its comment; equal samples give equal bytes.

    libsndfile draws the serial number of the stream by the clock, which would make every encoding
    of the same clip another file: it is replaced, and the pages' checksums with it.

    Args:
        audio: (n, channels) float32 within -1..1.
        sample_rate: [Hz]
        title: of the track that the clip stands for; the tag says that it is not the recording.

    Raises:
        ValueError: not of shape (n, channels), or outside -1..1.
        ImportError: soundfile is not installed (extra ``player``).
    """
    import soundfile

    _check(audio)
    file = io.BytesIO()
    with soundfile.SoundFile(
        file, "w", sample_rate, audio.shape[1], format="OGG", subtype="VORBIS"
    ) as encoder:
        encoder.title = _tagged(title)
        encoder.artist = "MusicRec"
        encoder.comment = NOTICE
        for start in range(0, len(audio), _BLOCK):
            encoder.write(audio[start : start + _BLOCK])
    return _with_serial(file.getvalue(), _SERIAL)


def to_wav(audio: Floats, sample_rate: int = SAMPLE_RATE) -> bytes:
    """Encode as WAV of 16 bits.

    Args:
        audio: (n, channels) float32 within -1..1.
        sample_rate: [Hz]

    Raises:
        ValueError: not of shape (n, channels), or outside -1..1.
    """
    _check(audio)
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(audio.shape[1])
        writer.setsampwidth(2)
        writer.setframerate(sample_rate)
        writer.writeframes(np.round(audio * 32767).astype("<i2").tobytes())
    return file.getvalue()


def wav_to_ogg(sound: bytes, *, title: str = "") -> bytes:
    """The same sound as `to_wav` gave, as OGG Vorbis, see `to_ogg`."""
    with wave.open(io.BytesIO(sound)) as reader:
        channels, sample_rate = reader.getnchannels(), reader.getframerate()
        samples = np.frombuffer(reader.readframes(reader.getnframes()), dtype="<i2")
    audio = samples.reshape(-1, channels).astype(np.float32) / np.float32(32767)
    return to_ogg(audio, sample_rate, title=title)


def to_midi(composition: Composition) -> bytes:
    """The notes as a MIDI file: a track for the tempo and the text, then one for each part.

    Drums are on channel 10, as General MIDI has them; the others carry the program of their timbre.

    Raises:
        ImportError: mido is not installed (extra ``player``).
    """
    import mido

    file = mido.MidiFile(type=1, ticks_per_beat=_TICKS, charset="utf-8")
    head = mido.MidiTrack()
    head.append(mido.MetaMessage("track_name", name=_tagged(composition.title)))
    head.append(mido.MetaMessage("text", text=NOTICE))
    head.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(composition.tempo)))
    head.append(mido.MetaMessage("time_signature", numerator=BEATS_PER_BAR, denominator=4))
    names = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
    minor = ("Cm", "C#m", "Dm", "Ebm", "Em", "Fm", "F#m", "Gm", "G#m", "Am", "Bbm", "Bm")
    key = (names if composition.mode == "major" else minor)[composition.key]
    head.append(mido.MetaMessage("key_signature", key=key))
    file.tracks.append(head)
    for channel, part in enumerate(composition.parts):
        file.tracks.append(_midi_track(part, channel))
    written = io.BytesIO()
    file.save(file=written)
    return written.getvalue()


def _midi_track(part: Part, channel: int) -> object:
    import mido

    track = mido.MidiTrack()
    track.append(mido.MetaMessage("track_name", name=part.name))
    if part.name == "drums":
        channel = _DRUM_CHANNEL
    else:
        program = TIMBRES[part.timbre].program
        track.append(mido.Message("program_change", channel=channel, program=program))
    events: list[tuple[int, int, int, int]] = []  # tick, 0 = off or 1 = on, pitch, velocity
    for pitch, notes in _by_pitch(part.notes).items():
        for i, note in enumerate(notes):
            start = round(note.start * _TICKS)
            end = max(round((note.start + note.duration) * _TICKS), start + 1)
            if i + 1 < len(notes):  # the key has to be up before it can be struck again
                end = min(end, max(round(notes[i + 1].start * _TICKS), start + 1))
            events.append((start, 1, pitch, max(round(note.velocity * 127), 1)))
            events.append((end, 0, pitch, 0))
    now = 0
    for tick, on, pitch, velocity in sorted(events):
        kind = "note_on" if on else "note_off"
        track.append(
            mido.Message(kind, channel=channel, note=pitch, velocity=velocity, time=tick - now)
        )
        now = tick
    return track


def _by_pitch(notes: tuple[Note, ...]) -> dict[int, list[Note]]:
    """The notes of each pitch as they follow each other, one of those that start together."""
    found: dict[int, list[Note]] = {}
    for note in notes:
        same = found.setdefault(note.pitch, [])
        if same and round(same[-1].start * _TICKS) == round(note.start * _TICKS):
            same[-1] = max(same[-1], note, key=lambda one: one.velocity)
        else:
            same.append(note)
    return found


def _tagged(title: str) -> str:
    return f"{plain_text(title) or 'Clip'} ({NOTICE})"


def _check(audio: Floats) -> None:
    if audio.ndim != 2 or not audio.size:
        raise ValueError(f"audio has shape {audio.shape}, expected (n, channels) and not empty")
    peak = float(np.max(np.abs(audio)))
    if not peak <= 1.0:  # NaN as well
        raise ValueError(f"audio reaches {peak!r}, expected samples within -1..1")


def _with_serial(ogg: bytes, serial: int) -> bytes:
    """The same stream under another serial number (RFC 3533 has the layout of a page)."""
    pages = []
    at = 0
    while at < len(ogg):
        if ogg[at : at + 4] != b"OggS":
            raise ValueError(f"no OGG page at byte {at}")
        segments = ogg[at + 26]
        end = at + 27 + segments + sum(ogg[at + 27 : at + 27 + segments])
        page = bytearray(ogg[at:end])
        page[14:18] = serial.to_bytes(4, "little")
        page[22:26] = bytes(4)
        page[22:26] = _checksum(bytes(page)).to_bytes(4, "little")
        pages.append(bytes(page))
        at = end
    return b"".join(pages)


_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _checksum(page: bytes) -> int:
    """OGG's CRC-32: zlib's polynomial, but bits from the other end, and no inversion."""
    reflected = zlib.crc32(page.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{reflected:032b}"[::-1], 2)
