"""A MusicGen model behind *Generate for me*, with a stand-in for transformers and its weights."""

from __future__ import annotations

import io
import sys
import wave
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from player_server import PAGE, press, started, tracks_frame

from player.media import SECONDS, to_wav, wav_to_ogg
from player.media.musicgen import MusicGen, MusicGenMissing

RATE = 32_000  # [Hz] of MusicGen's codec


class FakeProcessor:
    """As transformers' AutoProcessor of MusicGen: text to tokens."""

    def __call__(self, *, text: list[str], padding: bool, return_tensors: str) -> dict[str, Any]:
        assert padding and return_tensors == "pt" and len(text) == 1
        return {"input_ids": torch.tensor([[len(text[0])]])}


class FakeModel:
    """As MusicgenForConditionalGeneration: sound drawn from torch's global generator."""

    def __init__(self) -> None:
        self.config = SimpleNamespace(audio_encoder=SimpleNamespace(sampling_rate=RATE))
        self.calls: list[dict[str, Any]] = []

    def generate(
        self, *, input_ids: torch.Tensor, do_sample: bool, max_new_tokens: int
    ) -> torch.Tensor:
        self.calls.append({"tokens": max_new_tokens, "sample": do_sample})
        return 0.1 * torch.randn(1, 1, max_new_tokens * RATE // 50)  # (batch, channels, n)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    """What is loaded in place of the weights; nothing may be asked of the network."""
    loaded = FakeModel()

    def of(name: str, thing: Any) -> Any:
        def from_pretrained(found: str, *, local_files_only: bool) -> Any:
            assert local_files_only, "nothing is downloaded"
            if found != name:
                raise OSError(f"{found} is not a local folder")
            return thing

        return SimpleNamespace(from_pretrained=from_pretrained)

    transformers: Any = ModuleType("transformers")
    transformers.AutoProcessor = of("a/model", FakeProcessor())
    transformers.MusicgenForConditionalGeneration = of("a/model", loaded)
    monkeypatch.setitem(sys.modules, "transformers", transformers)
    return loaded


def test_the_sound_is_the_seeds_and_torchs_generator_stays(model: FakeModel) -> None:
    music = MusicGen("a/model")
    before = torch.get_rng_state()
    first, rate = music.generate("calm piano", seconds=2.0, seed=1)
    assert (first.dtype, first.shape, rate) == (np.float32, (101 * RATE // 50, 1), RATE)
    np.testing.assert_array_equal(music.generate("calm piano", seconds=2.0, seed=1)[0], first)
    assert (music.generate("calm piano", seconds=2.0, seed=2)[0] != first).any()
    assert torch.equal(torch.get_rng_state(), before)
    assert model.calls[0] == {"tokens": 101, "sample": True}


def test_weights_that_are_not_here(model: FakeModel) -> None:
    with pytest.raises(MusicGenMissing, match=r"'b/other' are not on this.*b/other fetches"):
        MusicGen("b/other")


def test_a_model_makes_the_players_clips(model: FakeModel, tmp_path: Path) -> None:
    catalogue = tmp_path / "tracks.csv"
    tracks_frame(60).to_csv(catalogue, index=False)
    with started(catalogue, tmp_path / "data", music_model="a/model") as player:
        browser = player.browser()
        press(browser, True)
        track = browser.post("/api/generate", json={}).json()["track"]
        assert track["downloads"] == {"wav": "/media/g1/clip.wav", "midi": None}
        assert model.calls == [], "made when it is asked for"
        answer = browser.get(track["downloads"]["wav"])
        with wave.open(io.BytesIO(answer.content)) as sound:
            assert (sound.getframerate(), sound.getnchannels()) == (RATE, 2)
            assert sound.getnframes() == SECONDS * RATE
        ogg = browser.get(track["preview"]["made"])
        assert ogg.content.startswith(b"OggS")
        assert browser.get(track["preview"]["made"]).content == ogg.content
        assert len(model.calls) == 1, "once for both files"
        missing = browser.get("/media/g1/clip.mid")
        assert missing.status_code == 404 and "writes no notes" in missing.text
        # Tracks of the catalogue are composed, with notes.
        assert browser.get("/media/3/clip.mid").content.startswith(b"MThd")
        state = press(browser, True)
        assert state["last_press"]["track"]["downloads"]["midi"] is None
        assert len(model.calls) == 1


def test_a_player_without_its_model_says_what_to_do(model: FakeModel, tmp_path: Path) -> None:
    catalogue = tmp_path / "tracks.csv"
    tracks_frame(60).to_csv(catalogue, index=False)
    with started(catalogue, tmp_path / "data", music_model="b/other") as player:
        status = player.client.get("/api/status").json()
        assert status["phase"] == "failed" and status["catalogue"] is None
        assert "huggingface-cli download b/other" in status["message"]
        assert player.client.post("/api/session", headers=PAGE, json={}).status_code == 503


def test_wav_to_ogg_keeps_the_sound() -> None:
    soundfile = pytest.importorskip("soundfile")
    time = np.arange(RATE) / RATE
    tone = np.stack([np.sin(880 * np.pi * time), np.zeros(RATE)], axis=1).astype(np.float32) / 2
    found, rate = soundfile.read(io.BytesIO(wav_to_ogg(to_wav(tone, RATE), title="A")))
    assert rate == RATE and found.shape[1] == 2
    middle = slice(RATE // 4, RATE // 2)
    assert np.abs(found[middle] - tone[middle]).max() < 0.05
