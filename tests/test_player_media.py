"""Features of tracks, blends of them, generated clips and the cache of media."""

import math
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import shared_file

from music_env import Catalogue
from player.media import MediaCache, TrackFeatures, blend, generate_clip, prompt_of
from player.media.generate import blended_tempo
from player.media.musicgen import MusicGen, MusicGenMissing
from player.media.styles import STYLES, style_of

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


@pytest.mark.parametrize(
    ("genre", "style"),
    [
        ("deep-house", "house"),
        ("hip-hop", "hip-hop"),
        ("Rap/Hip Hop", "hip-hop"),
        ("death-metal", "metal"),
        ("rock-n-roll", "rock"),
        ("pop punk", "rock"),
        ("dance pop", "pop"),
        ("synth-pop", "pop"),
        ("k-pop", "pop"),
        ("r&b", "soul"),
        ("r-n-b", "soul"),
        ("drum-and-bass", "drum and bass"),
        ("reggaeton", "latin"),
        ("dub", "reggae"),
        ("dubstep", "dubstep"),
        ("country", "country"),
        ("classical", "classical"),
        ("", "pop"),
        (None, "pop"),
    ],
)
def test_a_genre_means_a_style(genre: str | None, style: str) -> None:
    assert style_of(genre).name == style


def test_unknown_genres_do_not_all_sound_alike() -> None:
    names = {style_of(f"zq{chr(97 + i)}x").name for i in range(20)}
    assert len(names) > 5


def test_features_are_the_catalogues(embedded: Catalogue) -> None:
    for index in (0, 17, embedded.n_tracks - 1):
        features = TrackFeatures.of(embedded, index)
        assert features.title == embedded.title[index]
        assert features.artists == embedded.artists.of(index)
        assert features.genres == embedded.genres.of(index)
        for name in ("danceability", "energy", "valence", "acousticness", "tempo"):
            assert getattr(features, name) == embedded.features[name][index]
        assert (features.mode == "major") == (embedded.features["mode"][index] == 1)
    assert TrackFeatures.of(embedded, -1) == TrackFeatures.of(embedded, embedded.n_tracks - 1)
    with pytest.raises(IndexError):
        TrackFeatures.of(embedded, embedded.n_tracks)


def test_gaps_are_filled_near_the_genres_usual_numbers(six: Catalogue) -> None:
    features = [TrackFeatures.of(six, index) for index in range(six.n_tracks)]
    for one in features:
        style = one.styles[0][0]
        assert (one.tempo, one.mode, one.key) == (None, None, None)
        assert abs(one.energy - style.energy) <= 0.1
        full = one.filled()
        assert full.tempo is not None and style.tempo[0] <= full.tempo <= style.tempo[1]
        assert full.mode in ("major", "minor") and full.key in range(12)
        assert full.filled() == full
        assert one.filled() == full
    assert len({one.energy for one in features}) == six.n_tracks


def test_a_catalogue_without_most_numbers_works() -> None:
    catalogue = Catalogue.read(shared_file("deezer_artists_top_tracks.csv"))
    some = [TrackFeatures.of(catalogue, i).filled() for i in range(0, catalogue.n_tracks, 500)]
    assert all(one.tempo for one in some)
    assert len({one.checksum for one in some}) == len(some)


@pytest.mark.parametrize(("tempo", "played"), [(40.0, 80.0), (24.0, 96.0), (240.0, 120.0)])
def test_tempos_out_of_range_are_octaves_away(tempo: float, played: float) -> None:
    assert replace(TRACK, tempo=tempo).filled().tempo == played


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"energy": 1.5}, "energy is 1.5, expected a number within 0..1"),
        ({"valence": math.nan}, "valence is nan"),
        ({"tempo": -3.0}, "tempo is -3.0, expected BPM above 0"),
        ({"key": 12}, "key is 12, expected a pitch class 0..11"),
        ({"mode": "dorian"}, "mode is 'dorian'"),
        ({"genre_weights": (1.0, 2.0)}, "2 genre_weights for 1 genres"),
        ({"genre_weights": (0.0,)}, "not all 0"),
    ],
)
def test_wrong_features_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TRACK, **change)  # type: ignore[arg-type]


def test_the_media_load_no_torch_and_no_gymnasium() -> None:
    code = (
        "import sys, player.media; "
        "print([m for m in ('torch', 'gymnasium', 'pandas', 'soundfile') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Blending


@pytest.mark.parametrize(
    ("tempos", "expected"),
    [
        ([70.0, 140.0, 142.0], 140.0),  # 70 is 140: the mean would be 117
        ([100.0, 101.0, 200.0], 100.0),
        ([60.0, 119.0, 240.0, 121.0, 120.0], 120.0),
        ([None, 95.0, None], 95.0),
        ([128.0], 128.0),
    ],
)
def test_octave_errors_of_tempos_do_not_move_the_blend(
    tempos: list[float | None], expected: float
) -> None:
    got = blended_tempo(tempos, np.ones(len(tempos)))
    assert got == pytest.approx(expected, rel=0.011)


def test_the_blend_of_no_tempo_is_none() -> None:
    assert blended_tempo([None, None], np.ones(2)) is None


def test_a_blend_follows_what_was_liked() -> None:
    dance = [replace(TRACK, tempo=t, seed=str(t)) for t in (122.0, 124.0, 61.5)]
    calm = [
        replace(TRACK, genres=("ambient",), energy=0.1, danceability=0.2, mode="major", seed="c")
    ]
    for seed in range(20):
        made = blend(dance, seed=seed)
        assert made.tempo is not None and abs(math.log2(made.tempo / 123)) < 0.15
        assert made.genres == ("house",) and made.mode == "minor" and made.key == 9
        assert abs(made.energy - 0.6) < 0.25
        both = blend(dance + calm, [1, 1, 1, 3], seed=seed)
        assert set(both.genres) == {"house", "ambient"}
        assert both.energy < made.energy + 0.2
        only = blend(dance + calm, [0, 0, 0, 1], seed=seed)
        assert only.genres == ("ambient",) and only.mode == "major"
    energies = [blend(dance + calm, [1, 1, 1, 3], seed=seed).energy for seed in range(40)]
    assert np.mean(energies) == pytest.approx(0.35, abs=0.04)


def test_a_blend_repeats_by_seed_and_differs_between_seeds() -> None:
    liked = [TRACK, replace(TRACK, tempo=100.0, genres=("rock",))]
    assert blend(liked, seed=3) == blend(liked, seed=3)
    assert len({blend(liked, seed=seed).checksum for seed in range(10)}) == 10


def test_with_nothing_liked_every_seed_draws_a_style() -> None:
    made = [blend([], seed=seed) for seed in range(60)]
    assert len({one.styles[0][0].name for one in made}) > len(STYLES) // 2
    assert blend([], seed=1) == made[1]


@pytest.mark.parametrize(
    ("weights", "message"),
    [([1.0], "expected one each"), ([1.0, -1.0], "expected numbers >= 0"), ([0, 0], "not all 0")],
)
def test_wrong_weights_are_refused(weights: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        blend([TRACK, TRACK], weights)


class FakeModel:
    """Hums a tone of as many seconds and channels as it is told, whatever it is asked for."""

    def __init__(self, seconds: float, channels: int = 1, level: float = 5.0) -> None:
        self.asked: list[tuple[str, float, int]] = []
        self.seconds, self.channels, self.level = seconds, channels, level

    def generate(self, prompt: str, *, seconds: float, seed: int) -> tuple[np.ndarray, int]:
        self.asked.append((prompt, seconds, seed))
        tone = self.level * np.sin(np.arange(int(self.seconds * 32_000)) * 0.05)
        return (tone if self.channels == 1 else np.stack([tone] * self.channels, axis=1)), 32_000


def test_a_model_takes_the_composers_place() -> None:
    for fake in (FakeModel(12.0), FakeModel(9.0, channels=2)):
        clip = generate_clip(TRACK, 7, fake)
        assert clip.audio.shape == (320_000, 2) and clip.audio.dtype == np.float32
        assert clip.composition is None and clip.sample_rate == 32_000
        assert 0.1 < np.abs(clip.audio).max() < 1 and clip.audio[-1].tolist() == [0, 0]
        assert fake.asked == [(prompt_of(TRACK), 10.0, 7)]
    composed = generate_clip(TRACK, 7)
    assert composed.composition is not None and composed.audio.shape == (441_000, 2)


def test_the_prompt_says_what_the_features_are() -> None:
    blended = replace(TRACK, genres=("house", "jazz"), genre_weights=(0.6, 0.4), valence=0.9)
    prompt = prompt_of(blended)
    for words in ("house with elements of jazz", "124 BPM", "A minor", "danceable", "cheerful"):
        assert words in prompt, prompt


def test_a_models_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(320000, 5\)"):
        generate_clip(TRACK, 1, FakeModel(10.0, channels=5))
    with pytest.raises(ValueError, match="not finite"):
        generate_clip(TRACK, 1, FakeModel(10.0, level=math.nan))


def test_a_missing_musicgen_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MusicGenMissing, match="pip install transformers"):
        MusicGen()


# Cache


def files(folder: Path, suffix: str = ".media") -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix == suffix)


def test_the_cache_makes_each_thing_once(tmp_path: Path) -> None:
    cache = MediaCache(tmp_path / "new")
    cover = cache.artwork(TRACK)
    assert cover.startswith(b"<svg") and cache.artwork(TRACK) == cover
    assert cache.artwork(TRACK, 64) != cover
    clip = cache.clip(TRACK)
    assert clip.startswith(b"OggS")
    calls: list[str] = []
    again = MediaCache(tmp_path / "new")

    def make() -> bytes:
        calls.append("made")
        return b"fresh"

    assert again.get("clip", TRACK.checksum, make) == clip and not calls
    assert again.get("clip", "other", make) == b"fresh" == again.get("clip", "other", make)
    assert calls == ["made"]
    with pytest.raises(ValueError, match="expected lower-case letters"):
        again.get("../clip", "x", make)


@pytest.mark.parametrize("kept", [0, 5, 20, 35, 100])
def test_a_cut_or_changed_file_is_made_again(tmp_path: Path, kept: int) -> None:
    cache = MediaCache(tmp_path)
    content = b"0123456789" * 20
    cache.get("clip", "k", lambda: content)
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    assert cache.get("clip", "k", lambda: content) == content
    assert path.read_bytes() == whole
    path.write_bytes(whole[:-1] + b"x")
    assert cache.get("clip", "k", lambda: content) == content


def test_a_killed_writers_file_is_neither_read_nor_kept(tmp_path: Path) -> None:
    cache = MediaCache(tmp_path)
    cache.get("clip", "k", lambda: b"good")
    (path,) = files(tmp_path)
    old, young = path.with_name("old.partial"), path.with_name("young.partial")
    for partial in (old, young):
        partial.write_bytes(b"half")
    os.utime(old, (1, 1))
    fresh = MediaCache(tmp_path)
    assert fresh.get("clip", "k", lambda: b"bad") == b"good"
    fresh.get("clip", "another", lambda: b"x")  # the first write counts, and clears up
    assert not old.exists() and young.exists()


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    cache = MediaCache(tmp_path, max_bytes=5_000)
    for i in range(4):
        cache.get("clip", str(i), lambda: bytes(1_000))
        time.sleep(0.02)
    cache.get("clip", "0", lambda: b"lost")  # read: used last
    for i in range(4, 6):
        cache.get("clip", str(i), lambda: bytes(1_000))
        time.sleep(0.02)
    assert sum(path.stat().st_size for path in files(tmp_path)) <= 5_000
    assert cache.get("clip", "0", lambda: b"lost") == bytes(1_000)
    assert cache.get("clip", "1", lambda: b"gone") == b"gone"


def test_of_several_threads_one_makes_it(tmp_path: Path) -> None:
    cache = MediaCache(tmp_path)
    made, got = [], []

    def make() -> bytes:
        made.append(1)
        time.sleep(0.05)
        return b"content"

    threads = [
        threading.Thread(target=lambda: got.append(cache.get("clip", "k", make))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [b"content"] * 8 and len(made) == 1


WRITER = """
import sys
from player.media.cache import MediaCache
cache = MediaCache(sys.argv[1], max_bytes=20_000)
for i in range(120):
    content = str(i % 40).encode() * 500
    assert cache.get("clip", str(i % 40), lambda: content) == content
"""


def test_processes_share_a_folder_that_is_too_small(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for writer in writers:
        assert writer.communicate(timeout=120)[1] == b"" and writer.returncode == 0
    assert not files(tmp_path, ".partial")
    # Each process counts what it writes itself: in the worst case each fills the bound.
    assert sum(path.stat().st_size for path in files(tmp_path)) <= 3 * 20_000


def test_a_disk_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert MediaCache(blocked).get("clip", "k", lambda: b"made") == b"made"
