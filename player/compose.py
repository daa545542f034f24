"""*Generate for me*: what a new clip should sound like, from what was liked so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from player.media.features import TrackFeatures

SECONDS = 10.0
"""[s] Of a clip."""

HALF_LIFE = 8
"""Likes after which one counts half as much: the clip follows the mood."""

MAX_GENRES = 3
"""Of the blend: those of the greatest weight."""

SPREAD = 0.05
"""Standard deviation by which a share (0..1) is varied, so that each clip is another one; of the
tempo the same part of it."""

SHARES = ("danceability", "energy", "valence", "acousticness")


@dataclass(frozen=True)
class Clip:
    """A clip to be composed.

    Attributes:
        features: what it is composed from.
        stand_in: the track of the catalogue that sounds most alike; what is pressed on the clip is
            learnt as a judgement of how that one sounds.
    """

    features: TrackFeatures
    stand_in: int

    def to_json(self) -> dict[str, Any]:
        """Return it as what JSON can say."""
        return {"features": asdict(self.features), "stand_in": self.stand_in}

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> Clip:
        """Return what `to_json` gave."""
        features = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in content["features"].items()
        }
        return cls(TrackFeatures(**features), int(content["stand_in"]))


def compose(
    catalogue: Catalogue,
    liked: Sequence[int | Clip],
    number: int,
    is_judged: NDArray[np.bool_],
    generator: np.random.Generator,
) -> Clip:
    """Return the clip that blends what was liked, each time another one.

    Shares and tempo are weighted means (the tempo's on a logarithmic scale), varied a little; mode
    and key are those of a liked track drawn by weight; the genres are the heaviest, by weight.

    Args:
        catalogue: the tracks.
        liked: tracks and clips, in the order in which they were liked, at least one.
        number: of the clip, for its title and seed.
        is_judged: (n_tracks,) bool: these tracks are no stand-ins.
        generator: of the variation.
    """
    features = [
        thing.features if isinstance(thing, Clip) else TrackFeatures.of(catalogue, thing).filled()
        for thing in liked[-64:]
    ]
    weights = 0.5 ** (np.arange(len(features))[::-1] / HALF_LIFE)
    weights /= weights.sum()

    def mean(values: Sequence[float]) -> float:
        return float(weights @ np.array(values))

    shares = {
        name: float(
            np.clip(mean([getattr(f, name) for f in features]) + generator.normal(0, SPREAD), 0, 1)
        )
        for name in SHARES
    }
    tempo = np.exp(mean([np.log(f.tempo or 120.0) for f in features]))
    tempo = float(np.clip(tempo * (1 + generator.normal(0, SPREAD)), 60, 200))
    model = features[int(generator.choice(len(features), p=weights))]
    genres = _blend(features, weights)
    blended = TrackFeatures(
        title=f"Made for you {number}",
        genres=tuple(genres),
        genre_weights=tuple(genres.values()),
        tempo=tempo,
        mode=model.mode,
        key=model.key,
        seed=f"{number}-{int(generator.integers(2**32))}",
        **shares,
    )
    return Clip(blended, _most_alike(catalogue, blended, is_judged))


def _blend(features: Sequence[TrackFeatures], weights: NDArray[np.float64]) -> dict[str, float]:
    """Return the heaviest genres and their weights, which add up to 1."""
    total: dict[str, float] = {}
    for track, weight in zip(features, weights.tolist(), strict=True):
        own = sum(track.genre_weights)
        for genre, share in zip(track.genres, track.genre_weights, strict=True):
            total[genre] = total.get(genre, 0.0) + weight * share / own
    heaviest = sorted(total.items(), key=lambda pair: (-pair[1], pair[0]))[:MAX_GENRES]
    kept = sum(weight for _, weight in heaviest)
    return {genre: weight / kept for genre, weight in heaviest}


def _most_alike(catalogue: Catalogue, features: TrackFeatures, is_judged: NDArray[np.bool_]) -> int:
    """Return the track that sounds most alike: of a genre of the blend if any is left.

    By the distance of what both are described by, each number in units of its spread.
    """
    left = np.flatnonzero(~is_judged)
    if not left.size:
        left = np.arange(catalogue.n_tracks)
    named = np.zeros(catalogue.n_tracks, dtype=np.bool_)
    for genre in features.genres:
        if genre in catalogue.genres.vocabulary:
            named |= catalogue.genres.has(genre)
    if named[left].any():
        left = left[named[left]]
    distance = np.zeros(len(left))
    for name in (*SHARES, "tempo"):
        if name in catalogue.features:
            values = catalogue.features[name]
            spread = float(np.nanstd(values)) or 1.0
            difference = (values[left] - getattr(features, name)) / spread
            distance += np.nan_to_num(np.square(difference), nan=1.0)
    return int(left[np.argmin(distance)])
