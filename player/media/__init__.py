"""What the player shows and plays where a catalogue has no artwork or preview: made here.

`TrackFeatures` says what is known of a track; `artwork_svg` draws its cover; `compose` and `render`
make its clip, `to_ogg`, `to_wav` and `to_midi` the files; `blend` and `generate_clip` are "generate
for me"; `MediaCache` keeps what was made. All of it needs numpy only, the files soundfile and mido.
"""

from player.media.artwork import artwork_svg
from player.media.cache import COMPOSER_VERSION, MediaCache
from player.media.composing import compose
from player.media.composition import SECONDS, Composition, Note, Part
from player.media.export import NOTICE, to_midi, to_ogg, to_wav, wav_to_ogg
from player.media.features import TrackFeatures
from player.media.generate import Clip, TextToMusic, blend, generate_clip, prompt_of
from player.media.synthesis import SAMPLE_RATE, render

__all__ = [
    "COMPOSER_VERSION",
    "NOTICE",
    "SAMPLE_RATE",
    "SECONDS",
    "Clip",
    "Composition",
    "MediaCache",
    "Note",
    "Part",
    "TextToMusic",
    "TrackFeatures",
    "artwork_svg",
    "blend",
    "compose",
    "generate_clip",
    "prompt_of",
    "render",
    "to_midi",
    "to_ogg",
    "to_wav",
    "wav_to_ogg",
]
