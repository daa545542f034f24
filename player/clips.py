"""*Generate for me*: what a new clip is composed from, and how a press on it is learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from player.media import TrackFeatures, blend

HALF_LIFE = 8
"""Likes after which one counts half as much: the clip follows the mood."""

MAX_LIKED = 64
"""Of the latest likes that are blended: earlier ones would count for less than 1 in 200."""

COMPARED = ("danceability", "energy", "valence", "acousticness", "tempo")
"""What says how alike two tracks sound, each in units of its spread."""


@dataclass(frozen=True)
class Clip:
    """A clip made for a listener.

    Attributes:
        features: what it is composed from.
        stand_in: the track of the catalogue that sounds most alike. No learner knows the clip
            itself: what is pressed on it is learnt as a judgement of how this track sounds, by the
            personal model (`OnlineListener.feedback_on_sound`) and by the table.
        seed: of what a text-to-music model draws, where one is used.
        clip_id: of the request that asked for it, where it had one.
    """

    features: TrackFeatures
    stand_in: int
    seed: int
    clip_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as what JSON can say."""
        return asdict(self)

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> Clip:
        """Return what `to_json` gave."""
        features: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in content["features"].items()
        }
        return cls(
            TrackFeatures(**features),
            int(content["stand_in"]),
            int(content["seed"]),
            content.get("clip_id"),
        )


def made_for(
    catalogue: Catalogue,
    liked: Sequence[int | Clip],
    number: int,
    is_judged: NDArray[np.bool_],
    *,
    seed: int,
) -> Clip:
    """Return a clip that blends what was liked (`player.media.blend`), the latest the most.

    Args:
        catalogue: the tracks.
        liked: tracks and clips, in the order in which they were liked; none: of any style.
        number: of the clip, for its title.
        is_judged: (n_tracks,) bool: these tracks are no stand-ins.
        seed: another one gives another clip.
    """
    features = [
        thing.features if isinstance(thing, Clip) else TrackFeatures.of(catalogue, thing)
        for thing in liked[-MAX_LIKED:]
    ]
    weights = [0.5 ** (age / HALF_LIFE) for age in reversed(range(len(features)))]
    blended = blend(features, weights or None, seed).filled()
    blended = replace(blended, title=f"Made for you {number}")
    return Clip(blended, _most_alike(catalogue, blended, is_judged), seed)


def _most_alike(catalogue: Catalogue, features: TrackFeatures, is_judged: NDArray[np.bool_]) -> int:
    """Return the track that sounds most alike, of a genre of the clip where any is left."""
    left = np.flatnonzero(~is_judged)
    if not left.size:
        left = np.arange(catalogue.n_tracks)
    known = set(catalogue.genres.vocabulary)
    named = np.zeros(catalogue.n_tracks, dtype=np.bool_)
    for genre in features.genres:
        if genre in known:
            named |= catalogue.genres.has(genre)
    if named[left].any():
        left = left[named[left]]
    distance = np.zeros(len(left))
    for name in COMPARED:
        values = catalogue.features.get(name)
        if values is None or np.isnan(values).all():
            continue
        spread = float(np.nanstd(values))
        difference = (values[left] - getattr(features, name)) / (spread if spread > 0 else 1.0)
        # What is not known is as far as two tracks drawn at random are apart.
        distance += np.nan_to_num(np.square(difference), nan=2.0)
    return int(left[np.argmin(distance)])
