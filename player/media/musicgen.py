"""MusicGen behind "generate for me", where the user has installed it and fetched its weights."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MusicGen", "MusicGenMissing"]

_TOKENS_A_SECOND = 50  # of MusicGen's codec, EnCodec at 32 kHz


class MusicGenMissing(RuntimeError):
    """The library or the weights are not on this machine; the message says how to get them."""


class MusicGen:
    """A MusicGen model of Hugging Face's transformers, on the CPU.

    Nothing is downloaded: the weights (whose licence, CC BY-NC 4.0, allows no commercial use) have
    to be in the local cache or in a folder.
    """

    def __init__(self, name: str = "facebook/musicgen-small") -> None:
        """Load the model.

        Args:
            name: of the model in the local cache, or a folder.

        Raises:
            MusicGenMissing: transformers is not installed, or the weights are not here.
        """
        try:
            from transformers import AutoProcessor, MusicgenForConditionalGeneration
        except ImportError as error:
            raise MusicGenMissing(
                "MusicGen needs transformers, which is not installed: pip install transformers, "
                f"then huggingface-cli download {name}. Without it clips are composed."
            ) from error
        self._one_at_a_time = threading.Lock()
        try:
            self._processor: Any = AutoProcessor.from_pretrained(name, local_files_only=True)
            self._model: Any = MusicgenForConditionalGeneration.from_pretrained(
                name, local_files_only=True
            )
        except (OSError, ValueError) as error:
            raise MusicGenMissing(
                f"the weights of {name!r} are not on this machine ({error}); "
                f"huggingface-cli download {name} fetches them. Without them clips are composed."
            ) from error

    def generate(
        self, prompt: str, *, seconds: float, seed: int
    ) -> tuple[NDArray[np.float32], int]:
        """The sound of a prompt, (n, channels), and its sample rate [Hz].

        The same seed gives the same sound on the same build of torch; the global generator is put
        back as it was.
        """
        import torch

        inputs = self._processor(text=[prompt], padding=True, return_tensors="pt")
        # transformers samples from the global generator only: no other clip may draw meanwhile.
        with self._one_at_a_time, torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            sound = self._model.generate(
                **inputs, do_sample=True, max_new_tokens=int(seconds * _TOKENS_A_SECOND) + 1
            )
        rate = int(self._model.config.audio_encoder.sampling_rate)
        return sound[0].cpu().numpy().T.astype(np.float32), rate
