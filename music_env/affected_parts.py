"""From the arguments of an environment to a listener whom what is played affects."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.effects import checked_effects
from music_env.graded import GradedPreference
from music_env.labels import read_only
from music_env.listener import Preference, default_preference
from music_env.listener_models import ListenerModel
from music_env.outcomes import Outcomes
from music_env.session_pool import label_slots, retrieved
from music_env.session_tables import checked_length, checked_tracks, load_catalogue
from music_env.tables import shared_model_scores

REWARD_TERMS = ("fresh", "satiation")
"""The reward's named terms."""

SATIATING = ("genre", "artist")
"""What may have a level."""


def listener_parts(
    *,
    catalogue: Catalogue | str | PathLike[str] | None,
    artist: str | None,
    genre: str | None,
    danceability: tuple[float, float] | None,
    weights: Sequence[float],
    taste: float,
    taste_seed: int,
    listener: ListenerModel | Preference | str | PathLike[str] | Mapping[str, Any] | None,
    preset: str,
    satiation: float | None,
    decay: float | None,
    patience: float | None,
    satiation_of: str,
    enjoyed_share: float | None,
    tracks: Sequence[int] | NDArray[np.int64] | None,
    session_length: int,
    least_pool: int = 1,
) -> dict[str, Any]:
    """Return the attributes of `AffectedSetup` by name, all but ``arguments``.

    The arguments are those of `MusicRecSessionEnv`; the pool has at least ``least_pool`` tracks,
    and ``session_length``.
    """
    effects = checked_effects(preset, satiation, decay, patience)
    if satiation_of not in SATIATING:
        raise ValueError(f"satiation_of must be one of {SATIATING}, got {satiation_of!r}")
    loaded = load_catalogue(catalogue)
    if listener is None:
        preference = Preference(artist, genre, danceability)
        if preference == Preference():
            preference = default_preference(loaded)
        model: ListenerModel = _graded(preference, tuple(weights), taste, taste_seed)
    else:
        also = (artist, genre, danceability, tuple(weights), taste, taste_seed)
        model, preference = _model(listener, also), Preference()
    scores = shared_model_scores(loaded, model)
    shown = checked_tracks(tracks, loaded.n_tracks)
    length = checked_length(session_length, loaded, shown)
    candidates = np.arange(loaded.n_tracks) if shown is None else shown
    pool = retrieved(scores.total, candidates, enjoyed_share, max(length, least_pool))
    labels = loaded.genres if satiation_of == "genre" else loaded.artists
    slots = label_slots(labels)
    n_held = read_only(np.maximum(labels.counts, 1).astype(np.float64))
    labels_and_none = len(labels.vocabulary) + 1
    each = np.repeat(1 / n_held[pool, None], slots.shape[1], axis=1).ravel()
    pool_shares = np.bincount(slots[pool].ravel(), each, labels_and_none)
    shares = read_only(pool_shares[:-1] / len(pool))
    if effects.satiation and not shares.any():
        other = "genre" if satiation_of == "artist" else "artist"
        raise ValueError(
            f"satiation must be 0 where no track has any {satiation_of}, got {effects.satiation:g} "
            f"for {loaded.n_tracks:,} tracks of which sessions show {len(pool):,}: take "
            f'satiation_of="{other}", or preset="static" or "patience"'
        )
    return {
        "catalogue": loaded,
        "outcomes": Outcomes(REWARD_TERMS, np.zeros((len(REWARD_TERMS) + 1, 1))),
        "tracks": shown,
        "session_length": length,
        "effects": effects,
        "listener": model,
        "preference": preference,
        "scores": scores,
        "pool": pool,
        "labels": labels,
        "slots": slots,
        "n_held": n_held,
        "pool_shares": shares,
        # A play adds 1 to the level of each of its genres.
        "satiates": read_only(np.append(shares, 0.0)[slots].sum(axis=1)),
        "top": max(1.0, effects.greatest_level(length)),
    }


@functools.lru_cache(maxsize=16)  # the same object: `shared_model_scores` remembers its scores
def _graded(
    preference: Preference, weights: tuple[float, ...], taste: float, taste_seed: int
) -> GradedPreference:
    return GradedPreference(preference, weights, taste, taste_seed)


def _model(listener: Any, also: tuple[Any, ...]) -> ListenerModel:
    from music_env.listener_json import load_listener  # which few need

    if also != (None, None, None, (1, 1, 1), 0.5, 0):
        raise ValueError(
            "listener is a whole listener: leave out artist, genre, danceability, weights, taste "
            "and taste_seed"
        )
    model = load_listener(listener)
    if getattr(model, "wrong_button", 0):
        raise ValueError(
            "a listener who presses the wrong button has no place here: what is played is what the "
            f"agent plays, got {model}"
        )
    return model
