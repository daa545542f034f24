"""MusicRec: a Gymnasium environment for music recommendation.

Importing this package registers its environments; the docstrings of their classes are their
specifications.
"""

import gymnasium as gym

from music_env.any_listener import MusicRecAnyListenerEnv
from music_env.any_listener_vector import MusicRecAnyListenerVectorEnv
from music_env.catalogue import Catalogue, CatalogueError
from music_env.effects import PRESETS, Effects
from music_env.encoding import ENCODINGS, encode
from music_env.env import Action, MusicRecEnv
from music_env.graded import GradedPreference
from music_env.judgements import Judgements
from music_env.listener import Preference, default_preference, score_tracks
from music_env.listener_json import load_listener
from music_env.listener_models import (
    FeatureTarget,
    ListenerModel,
    NoisyListener,
    ThreeWay,
    WeightedPreference,
)
from music_env.listeners import Listeners
from music_env.logged import MusicRecLoggedEnv
from music_env.logged_vector import MusicRecLoggedVectorEnv
from music_env.population import Population, draw_population
from music_env.session import MusicRecSessionEnv
from music_env.session_vector import MusicRecSessionVectorEnv
from music_env.slate import MusicRecSlateEnv
from music_env.slate_vector import MusicRecSlateVectorEnv
from music_env.taste_profile import TasteProfile
from music_env.vector_env import MusicRecVectorEnv

__all__ = [
    "ENCODINGS",
    "PRESETS",
    "Action",
    "Catalogue",
    "CatalogueError",
    "Effects",
    "FeatureTarget",
    "GradedPreference",
    "Judgements",
    "ListenerModel",
    "Listeners",
    "MusicRecAnyListenerEnv",
    "MusicRecAnyListenerVectorEnv",
    "MusicRecEnv",
    "MusicRecLoggedEnv",
    "MusicRecLoggedVectorEnv",
    "MusicRecSessionEnv",
    "MusicRecSessionVectorEnv",
    "MusicRecSlateEnv",
    "MusicRecSlateVectorEnv",
    "MusicRecVectorEnv",
    "NoisyListener",
    "Population",
    "Preference",
    "TasteProfile",
    "ThreeWay",
    "WeightedPreference",
    "default_preference",
    "draw_population",
    "encode",
    "load_listener",
    "score_tracks",
]

__version__ = "0.1.0"

_IDS = {
    "MusicRec-v0": ("music_env.env:MusicRecEnv", "music_env.vector_env:MusicRecVectorEnv"),
    "MusicRecAnyListener-v0": (
        "music_env.any_listener:MusicRecAnyListenerEnv",
        "music_env.any_listener_vector:MusicRecAnyListenerVectorEnv",
    ),
    "MusicRecLogged-v0": (
        "music_env.logged:MusicRecLoggedEnv",
        "music_env.logged_vector:MusicRecLoggedVectorEnv",
    ),
    "MusicRecSession-v0": (
        "music_env.session:MusicRecSessionEnv",
        "music_env.session_vector:MusicRecSessionVectorEnv",
    ),
    "MusicRecSlate-v0": (
        "music_env.slate:MusicRecSlateEnv",
        "music_env.slate_vector:MusicRecSlateVectorEnv",
    ),
}

for _id, (_scalar, _vector) in _IDS.items():
    # Idempotent: registering an id twice warns, and a reload or a second import path does that.
    if _id not in gym.registry:
        gym.register(id=_id, entry_point=_scalar, vector_entry_point=_vector)
