"""Clips: composed as their features say, rendered without fault, exported whole."""

import hashlib
import io
import os
import subprocess
import sys
import wave
from dataclasses import replace
from itertools import pairwise

import mido
import numpy as np
import pytest
import soundfile

from player.media import (
    NOTICE,
    Composition,
    TrackFeatures,
    compose,
    render,
    to_midi,
    to_ogg,
    to_wav,
)
from player.media.composition import DRUMS, Note, Part
from player.media.harmony import chord_of, voicings
from player.media.patterns import BASSLINES, COMPINGS, FILLS, GROOVES, STEPS
from player.media.styles import STYLES
from player.media.synthesis import CEILING, limited
from player.media.timbres import TIMBRES, WAVES, wave_table

RATE = 44_100
TRACK = TrackFeatures(
    title="One",
    artists=("A",),
    genres=("house",),
    tempo=124.0,
    danceability=0.7,
    energy=0.6,
    valence=0.5,
    acousticness=0.1,
    mode="minor",
    key=9,
    seed="t1",
)
STYLE_GENRES = {style.name: style.words[0] for style in STYLES}


def pitches(composition: Composition, part: str) -> list[int]:
    found = composition.part(part)
    return [note.pitch for note in found.notes] if found else []


def level(audio: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(np.square(audio[: 8 * RATE], dtype=np.float64)))))


def centroid(audio: np.ndarray) -> float:
    """Mean frequency of the magnitude spectrum [Hz]."""
    spectrum = np.abs(np.fft.rfft(audio.mean(axis=1)))
    return float(np.sum(spectrum * np.fft.rfftfreq(len(audio), 1 / RATE)) / np.sum(spectrum))


# Patterns


def test_patterns_are_a_bar_long_and_know_their_drums() -> None:
    for name, layers in GROOVES.items():
        for layer in layers:
            assert len(layer.steps) == STEPS and layer.drum in DRUMS, (name, layer)
    for patterns in (BASSLINES, COMPINGS):
        for name, choices in patterns.items():
            assert choices[0][0] == 0.0 and all(a[0] < b[0] for a, b in pairwise(choices)), name
            assert all(len(pattern) == STEPS for _, pattern in choices), name
    assert all(len(fill) == STEPS for fill in FILLS)
    for style in STYLES:
        assert style.groove in GROOVES and style.bassline in BASSLINES, style.name
        assert style.comping in COMPINGS, style.name
        assert {style.bass, style.chords, style.lead} <= set(TIMBRES), style.name


def test_chords_are_those_of_the_numerals() -> None:
    def notes(numeral: str, mode: str = "major", seventh: bool = False) -> set[int]:
        return set(chord_of(numeral, key=0, mode=mode, seventh=seventh).pitch_classes)  # type: ignore[arg-type]

    assert notes("I") == {0, 4, 7} and notes("vi") == {9, 0, 4} and notes("V") == {7, 11, 2}
    assert notes("bVII") == {10, 2, 5} and notes("VI", "minor") == {8, 0, 3}
    assert notes("i", "minor") == {0, 3, 7} and notes("bII", "minor") == {1, 5, 8}
    assert notes("V", seventh=True) == {7, 11, 2, 5} and notes("I", seventh=True) == {0, 4, 7, 11}
    assert notes("ii", seventh=True) == {2, 5, 9, 0}
    with pytest.raises(ValueError, match="'X' is no Roman numeral"):
        notes("X")


def test_voices_move_little() -> None:
    chords = [chord_of(n, key=2, mode="major") for n in ("I", "V", "vi", "IV", "I")]
    voiced = voicings(chords, centre=60)
    for chord, pitched in zip(chords, voiced, strict=True):
        assert {p % 12 for p in pitched} == set(chord.pitch_classes)
        assert abs(np.mean(pitched) - 60) <= 6.5
    moved = [max(abs(a - b) for a, b in zip(x, y, strict=True)) for x, y in pairwise(voiced)]
    assert max(moved) <= 4  # by root position it would be 7


# Composing


@pytest.mark.parametrize("style", STYLE_GENRES)
@pytest.mark.parametrize("tempo", [50.0, 93.0, 128.0, 220.0])
def test_every_style_is_whole_bars_of_its_key(style: str, tempo: float) -> None:
    for share in (0.0, 0.5, 1.0):
        features = replace(
            TRACK,
            genres=(STYLE_GENRES[style],),
            tempo=tempo,
            energy=share,
            danceability=share,
            acousticness=1 - share,
        )
        made = compose(features)
        assert made.tempo == tempo and made.styles == (style,)
        seconds = made.bars * 4 * made.seconds_per_beat
        assert abs(seconds - 10) <= max(4 * made.seconds_per_beat, 0.6)
        for part in made.parts:
            starts = [note.start for note in part.notes]
            assert starts == sorted(starts)
            for note in part.notes:
                assert 0 <= note.start < made.bars * 4 + 0.1, (part.name, note)
                assert 0 < note.velocity <= 1 and note.duration > 0, (part.name, note)
        assert {"bass", "chords", "lead"} <= {part.name for part in made.parts}
        # It ends on the tonic: bass in the last bar, and the lead's last note in its chord.
        assert pitches(made, "bass")[-1] % 12 == 9
        assert pitches(made, "lead")[-1] % 12 in {9, 0, 4, 7}


def test_mode_decides_the_third() -> None:
    for style, genre in STYLE_GENRES.items():
        for mode, third in (("major", 1), ("minor", 0)):  # above A: C sharp or C
            made = compose(replace(TRACK, genres=(genre,), mode=mode))  # type: ignore[arg-type]
            last = made.part("chords")
            assert last is not None
            final = [n.pitch % 12 for n in last.notes if n.start >= 4 * (made.bars - 1)]
            if style not in ("rock", "metal"):  # power chords have no third
                assert third in final and 1 - third not in final, (style, mode)


def drum_starts(genre: str, drum: str, **change: float) -> list[float]:
    """Where a drum is struck in the first bar [beats]."""
    made = compose(replace(TRACK, genres=(genre,), acousticness=0.0, **change))  # type: ignore[arg-type]
    part = made.part("drums")
    if part is None:
        return []
    return [
        round(note.start, 2) for note in part.notes if note.pitch == DRUMS[drum] and note.start < 4
    ]


def test_drums_are_the_genres() -> None:
    assert drum_starts("house", "kick") == [0, 1, 2, 3]
    assert drum_starts("rock", "snare") == [1, 3]
    assert drum_starts("dubstep", "snare") == [2]  # half time
    assert drum_starts("reggaeton", "snare") == [0.75, 1.5, 2.75, 3.5]  # dembow
    assert drum_starts("ambient", "kick") == drum_starts("classical", "kick") == []
    # Hip-hop swings: the second sixteenth of a pair comes late.
    late = [start % 0.5 for start in drum_starts("hip-hop", "hat", energy=0.9)]
    assert any(0.29 < off < 0.4 for off in late)


def test_the_lead_repeats_its_motif() -> None:
    repeated = 0
    for seed in range(10):
        made = compose(replace(TRACK, tempo=192.0, seed=str(seed)))  # eight bars
        lead = made.part("lead")
        assert lead is not None and made.bars == 8
        bars = [
            tuple(round(n.start % 4, 2) for n in lead.notes if n.start // 4 == bar)
            for bar in range(8)
        ]
        assert bars[0] == bars[1] == bars[3] == bars[4]  # A A' B A'' A
        repeated += bars[2] != bars[0]
    assert repeated >= 8


def test_a_blend_takes_from_both() -> None:
    mixed = compose(replace(TRACK, genres=("metal", "jazz"), genre_weights=(0.6, 0.4)))
    parts = {part.name: part.timbre for part in mixed.parts}
    assert mixed.styles == ("metal", "jazz")
    assert parts == {
        "drums": "heavy kit",
        "bass": "pick bass",
        "chords": "piano",
        "lead": "vibraphone",
    }
    slight = compose(replace(TRACK, genres=("metal", "jazz"), genre_weights=(0.95, 0.05)))
    assert slight.styles == ("metal",)


def test_tracks_differ_and_the_same_track_does_not() -> None:
    made = [compose(replace(TRACK, seed=str(i))) for i in range(12)]
    assert len({str(one.parts) for one in made}) == 12
    assert compose(TRACK) == compose(replace(TRACK))


# Rendering


@pytest.mark.parametrize("style", STYLE_GENRES)
def test_every_style_sounds_without_fault(style: str) -> None:
    composition = compose(replace(TRACK, genres=(STYLE_GENRES[style],)))
    audio = render(composition)
    assert audio.shape == (10 * RATE, 2) and audio.dtype == np.float32
    assert np.isfinite(audio).all() and np.abs(audio).max() <= CEILING < 1
    assert level(audio) == pytest.approx(composition.loudness, abs=1.0)
    assert abs(audio.mean()) < 1e-3
    seconds = audio[: 9 * RATE].reshape(9, -1)
    assert np.sqrt(np.mean(seconds**2, axis=1)).min() > 0.01  # never silent
    assert np.abs(audio[:3]).max() < 0.01 and np.abs(audio[-3:]).max() < 0.01  # no clicks
    # Neither all bass nor all hiss, and what is on both sides is not out of phase.
    power = np.abs(np.fft.rfft(audio.mean(axis=1))) ** 2
    frequency = np.fft.rfftfreq(len(audio), 1 / RATE)
    edges = (20, 250, 2_000, 20_000)
    shares = [
        power[(frequency >= low) & (frequency < high)].sum() / power.sum()
        for low, high in pairwise(edges)
    ]
    assert 0.15 < shares[0] < 0.85 and shares[1] > 0.12 and shares[2] > 0.003, shares
    assert power[frequency < 20].sum() / power.sum() < 0.01
    assert 0.1 < np.corrcoef(audio.T)[0, 1] < 0.99


def test_other_sample_rates_are_the_same_piece() -> None:
    composition = compose(TRACK)
    low = render(composition, 32_000)
    assert low.shape == (320_000, 2)
    high = render(composition)
    blocks = [np.sqrt(np.mean(a.reshape(100, -1) ** 2, axis=1)) for a in (low, high)]
    assert np.corrcoef(*blocks)[0, 1] > 0.95
    with pytest.raises(ValueError, match="sample_rate is 100"):
        render(composition, 100)


def test_wave_tables_hold_no_harmonic_that_would_alias() -> None:
    for name in WAVES:
        for frequency in (41.2, 440.0, 3_951.0):
            table = wave_table(name, frequency, 30_000, RATE)
            spectrum = np.abs(np.fft.rfft(table.astype(np.float64)))
            above = np.arange(len(spectrum)) * frequency > 0.45 * RATE + frequency
            assert spectrum[0] < 1e-2 and spectrum[above].max(initial=0) < 1e-2, (name, frequency)


def test_a_note_has_its_pitch() -> None:
    for timbre in TIMBRES:
        part = Part("chords", timbre, (Note(0.0, 8.0, 69, 0.9),))
        piece = replace(compose(TRACK), parts=(part,), room=0.0)
        audio = render(piece).mean(axis=1)[RATE // 4 : RATE // 4 + RATE]
        spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio))))
        near = slice(430, 451)
        assert abs(430 + int(np.argmax(spectrum[near])) - 440) <= 4, timbre
        assert spectrum[near].max() > 20 * spectrum[500:640].max() or timbre == "wobble bass"


def test_wrong_parts_are_named() -> None:
    piece = compose(TRACK)
    with pytest.raises(ValueError, match="part 'lead' has timbre 'kazoo'"):
        render(replace(piece, parts=(Part("lead", "kazoo", (Note(0, 1, 60, 1),)),)))
    with pytest.raises(ValueError, match="no drum has note number 5"):
        render(replace(piece, parts=(Part("drums", "heavy kit", (Note(0, 1, 5, 1),)),)))


def test_the_limiter_keeps_silence_and_reaches_the_level() -> None:
    assert not limited(np.zeros((100, 2), np.float32), -15.0).any()
    wild = np.random.default_rng(0).normal(size=(RATE, 2)).astype(np.float32) ** 3
    tame = limited(wild, -15.0)
    assert np.abs(tame).max() <= CEILING
    assert 20 * np.log10(np.sqrt(np.mean(tame**2))) == pytest.approx(-15, abs=0.5)


# What the features do to the sound


def onsets(audio: np.ndarray, hop: int = 256) -> np.ndarray:
    """Rise of the level below 150 Hz, from block to block: the kick, mostly."""
    spectrum = np.fft.rfft(audio.mean(axis=1))
    spectrum[np.fft.rfftfreq(len(audio), 1 / RATE) > 150] = 0
    low = np.fft.irfft(spectrum, len(audio))[: len(audio) // hop * hop].reshape(-1, hop)
    loud = np.sqrt(np.mean(low**2, axis=1))
    rise = np.maximum(np.diff(loud), 0)
    return np.asarray(rise - rise.mean())


def beat_of(rise: np.ndarray, hop: int = 256) -> tuple[float, float]:
    """Tempo [BPM] by autocorrelation at 1 to 8 beats, and how clear it is (0..1)."""
    own = np.correlate(rise, rise, mode="full")[len(rise) - 1 :]
    own = own / own[0]
    best = (0.0, -1.0)
    for tempo in np.arange(60, 200, 0.25):
        lags = 60 / tempo * RATE / hop * np.arange(1, 9)
        clarity = float(np.mean(np.interp(lags, np.arange(len(own)), own)))
        best = max(best, (float(tempo), clarity), key=lambda found: found[1])
    return best


@pytest.mark.parametrize("tempo", [88.0, 124.0, 137.3, 174.0])
@pytest.mark.parametrize("genre", ["house", "techno", "reggaeton"])
def test_one_can_hear_the_tempo(genre: str, tempo: float) -> None:
    heard, _ = beat_of(onsets(render(compose(replace(TRACK, genres=(genre,), tempo=tempo)))))
    octave = 2.0 ** round(np.log2(tempo / heard))
    assert heard * octave == pytest.approx(tempo, rel=0.02), heard


GENRES = ("house", "rock", "hip-hop", "country", "metal", "dubstep")


def test_energy_is_louder_brighter_and_busier() -> None:
    for genre in GENRES:
        track = replace(TRACK, genres=(genre,))
        calm, wild = (compose(replace(track, energy=energy)) for energy in (0.2, 0.9))
        count = [sum(len(part.notes) for part in one.parts) for one in (calm, wild)]
        assert count[1] > 1.2 * count[0], genre
        sounds = render(calm), render(wild)
        assert level(sounds[1]) > level(sounds[0]) + 3, genre
        assert centroid(sounds[1]) > 1.05 * centroid(sounds[0]), genre


def test_danceability_is_a_clearer_beat() -> None:
    for genre in ("house", "techno", "pop", "reggaeton"):
        clear = {0.1: 0.0, 0.9: 0.0}
        for danceability in clear:
            for seed in "ab":
                track = replace(TRACK, genres=(genre,), danceability=danceability, seed=seed)
                clear[danceability] += beat_of(onsets(render(compose(track))))[1] / 2
        assert clear[0.9] > clear[0.1] + 0.03, (genre, clear)


def test_valence_is_a_higher_lead() -> None:
    means = [
        np.mean(
            [
                np.mean(pitches(compose(replace(TRACK, valence=v, seed=str(s))), "lead"))
                for s in range(10)
            ]
        )
        for v in (0.1, 0.9)
    ]
    assert means[1] > means[0] + 3


# Files


def test_ogg_decodes_and_says_what_it_is() -> None:
    audio = render(compose(TRACK))
    encoded = to_ogg(audio, title="One\x00\u202e <b>")
    with soundfile.SoundFile(io.BytesIO(encoded)) as file:
        assert (file.format, file.subtype, file.samplerate) == ("OGG", "VORBIS", RATE)
        assert file.comment == NOTICE and file.title == f"One <b> ({NOTICE})"
        decoded = file.read()
    assert decoded.shape == audio.shape and np.abs(decoded).max() < 1
    error = np.sqrt(np.mean((decoded - audio) ** 2))
    assert error < 0.2 * np.sqrt(np.mean(audio**2))


def test_ogg_pages_have_right_checksums() -> None:
    encoded = to_ogg(render(compose(TRACK), 8_000), 8_000)
    at, pages = 0, 0
    while at < len(encoded):
        lengths = encoded[at + 27 : at + 27 + encoded[at + 26]]
        page = encoded[at : at + 27 + len(lengths) + sum(lengths)]
        register = 0  # RFC 3533, bit by bit
        for byte in page[:22] + bytes(4) + page[26:]:
            register ^= byte << 24
            for _ in range(8):
                register = (register << 1) ^ (0x04C11DB7 if register >> 31 else 0)
                register &= 0xFFFF_FFFF
        assert register.to_bytes(4, "little") == page[22:26], pages
        at, pages = at + len(page), pages + 1
        if pages == 4:  # the loop is slow, the pages are all made alike
            break
    assert pages == 4


def test_wav_is_the_samples() -> None:
    audio = render(compose(TRACK))
    with wave.open(io.BytesIO(to_wav(audio))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)
        assert file.getnframes() == 10 * RATE
        back = np.frombuffer(file.readframes(10 * RATE), "<i2").reshape(-1, 2) / 32767
    assert np.abs(back - audio).max() <= 0.5 / 32767 + 1e-7


@pytest.mark.parametrize("to_file", [to_ogg, to_wav])
def test_wrong_audio_is_refused(to_file: object) -> None:
    assert callable(to_file)
    with pytest.raises(ValueError, match=r"shape \(5,\), expected \(n, channels\)"):
        to_file(np.zeros(5, np.float32))
    with pytest.raises(ValueError, match=r"reaches 1.5, expected samples within -1..1"):
        to_file(np.full((5, 2), 1.5, np.float32))


@pytest.mark.parametrize("genre", [*GENRES, "ambient", "jazz"])
def test_midi_reads_back(genre: str) -> None:
    made = compose(replace(TRACK, genres=(genre,), title="Zoë \u202e"))
    file = mido.MidiFile(file=io.BytesIO(to_midi(made)), charset="utf-8", clip=False)
    head = {message.type: message for message in file.tracks[0]}
    assert mido.tempo2bpm(head["set_tempo"].tempo) == pytest.approx(124.0, abs=0.001)
    assert head["text"].text == NOTICE and head["track_name"].name == f"Zoë ({NOTICE})"
    assert head["key_signature"].key == "Am"
    assert len(file.tracks) == 1 + len(made.parts)
    for part, track in zip(made.parts, file.tracks[1:], strict=True):
        now, sounding, found = 0, {}, set()
        for message in track:
            now += message.time
            if message.type == "program_change":
                assert message.program == TIMBRES[part.timbre].program
            if message.type in ("note_on", "note_off"):
                assert (message.channel == 9) == (part.name == "drums")
                if message.type == "note_on":
                    assert message.note not in sounding, "struck while down"
                    sounding[message.note] = now
                else:
                    start = sounding.pop(message.note)
                    assert now > start
                    found.add((start, message.note))
        assert not sounding
        assert found == {(round(note.start * 480), note.pitch) for note in part.notes}


HASHES = """
import hashlib
from player.media import *
track = TRACK
piece = compose(track)
audio = render(piece)
for made in (artwork_svg(track).encode(), audio.tobytes(), to_ogg(audio), to_midi(piece)):
    print(hashlib.sha256(made).hexdigest())
"""


def test_another_process_makes_the_same_bytes() -> None:
    from player.media import artwork_svg

    piece = compose(TRACK)
    audio = render(piece)
    mine = [
        hashlib.sha256(made).hexdigest()
        for made in (artwork_svg(TRACK).encode(), audio.tobytes(), to_ogg(audio), to_midi(piece))
    ]
    done = subprocess.run(
        [sys.executable, "-c", HASHES.replace("TRACK", repr(TRACK))],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "77"},
    )
    assert done.stdout.split() == mine
