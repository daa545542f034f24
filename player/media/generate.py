"""Generate for me: what a listener liked -> the features of a new clip -> its sound."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from player.media.composing import compose
from player.media.composition import SECONDS, Composition
from player.media.features import TEMPO_RANGE, Mode, TrackFeatures
from player.media.styles import STYLES
from player.media.synthesis import SAMPLE_RATE, faded, limited, render

__all__ = ["Clip", "TextToMusic", "blend", "blended_tempo", "generate_clip", "prompt_of"]

_GENRES = 3
"""At most so many genres are blended: a clip has three things to share out."""

_SPREAD = 0.06
"""Standard deviation of what a request adds to shares, so that the next one differs."""

_TEMPO_SPREAD = 0.04

_Choice = TypeVar("_Choice")


class TextToMusic(Protocol):
    """What makes music from words, such as `player.media.musicgen.MusicGen`."""

    def generate(
        self, prompt: str, *, seconds: float, seed: int
    ) -> tuple[NDArray[np.floating], int]:
        """The sound, (n,) or (n, channels), and its sample rate [Hz]."""
        ...


@dataclass(frozen=True, eq=False)
class Clip:
    """A generated clip of `SECONDS`."""

    audio: NDArray[np.float32]
    """(n, 2) within -1..1."""
    sample_rate: int
    features: TrackFeatures
    """What it was made for: tempo, mode and key not None."""
    composition: Composition | None
    """Its notes; None where a model made the sound, which has none."""


def blend(
    liked: Sequence[TrackFeatures],
    weights: Sequence[float] | None = None,
    seed: int = 0,
) -> TrackFeatures:
    """What a listener might like next, made of the tracks that they liked.

    Tempo as `blended_tempo`; shares are weighted means; mode and key are drawn among those liked by
    weight; genres share out the weights of the tracks that have them, the heaviest three stay.
    The seed varies all of it a little (tempo by 4 %, shares by 0.06, genres' weights by a third,
    all standard deviations), so that a listener who asks again hears something else.

    With nothing liked the seed draws one of the styles, with the numbers usual in it.

    Args:
        liked: tracks, in any order.
        weights: how much each counts, at least 0 and not all 0, None for all alike.
        seed: of the variation; the same seed, tracks and weights give the same features.

    Raises:
        ValueError: weights of another number, or negative, not finite, or all 0.
    """
    generator = np.random.default_rng(seed)
    if not liked:
        return _unprompted(generator, seed)
    shares = _normalised(weights, len(liked))
    tempo = blended_tempo([track.tempo for track in liked], shares)

    def share(name: str) -> float:
        mean = float(np.dot(shares, [getattr(track, name) for track in liked]))
        return min(max(mean + _SPREAD * float(generator.normal()), 0.0), 1.0)

    danceability, energy = share("danceability"), share("energy")
    valence, acousticness = share("valence"), share("acousticness")
    if tempo is not None:
        tempo *= math.exp(_TEMPO_SPREAD * float(np.clip(generator.normal(), -2, 2)))
    mode: Mode | None = _drawn([track.mode for track in liked], shares, generator)
    key = _drawn([track.key for track in liked], shares, generator)
    genres = _blended_genres(liked, shares, generator)
    return TrackFeatures(
        title="Made for you",
        artists=("MusicRec",),
        genres=tuple(genres),
        genre_weights=tuple(genres.values()),
        tempo=tempo,
        danceability=danceability,
        energy=energy,
        valence=valence,
        acousticness=acousticness,
        mode=mode,
        key=key,
        seed=f"generated:{seed}",
    )


def blended_tempo(tempos: Sequence[float | None], weights: NDArray[np.float64]) -> float | None:
    """The weighted median of tempos [BPM] that may be wrong by octaves, None if none is known.

    Trackers of beats report half or twice the tempo of many tracks: a listener of 70, 140 and
    142 BPM likes one tempo, not 117. So tempos are compared on a circle on which an octave is once
    around; the one nearest to all others on it is the centre, the median is taken around it, and
    it is reported in the octave in which most of the weight is.

    Args:
        tempos: None where not known.
        weights: (n,) at least 0.
    """
    known = [(math.log2(t), w) for t, w in zip(tempos, weights, strict=True) if t and w > 0]
    if not known:
        return None
    octaves = np.array([octave for octave, _ in known])
    weight = np.array([w for _, w in known])
    apart = octaves[:, None] - octaves  # (candidate, other)
    folded = np.abs(apart - np.round(apart)) @ weight
    straight = np.abs(apart) @ weight
    centre = octaves[int(np.lexsort((straight, np.round(folded, 6)))[0])]
    around = octaves - np.round(octaves - centre)
    order = np.argsort(around, kind="stable")
    half = np.searchsorted(np.cumsum(weight[order]), 0.5 * weight.sum() - 1e-12)
    median = float(around[order][min(int(half), len(order) - 1)])
    # Which octave: that in which most of the weight was reported.
    shifts = np.round(octaves - around)
    votes = {float(shift): float(weight[shifts == shift].sum()) for shift in shifts}
    tempo = 2.0 ** (median + max(votes, key=lambda shift: (votes[shift], -abs(shift))))
    while tempo < TEMPO_RANGE[0]:
        tempo *= 2
    while tempo > TEMPO_RANGE[1]:
        tempo /= 2
    return float(tempo)


def generate_clip(features: TrackFeatures, seed: int, model: TextToMusic | None = None) -> Clip:
    """The sound of features: composed here, or by a text-to-music model where one is given.

    Args:
        features: such as `blend` gives.
        seed: of the model's own draws; a composition is drawn from the features and their seed.
        model: None composes.

    Returns:
        A clip of exactly `SECONDS`; a model's sound is cut or padded to that, levelled and faded
        as a composed one is.

    Raises:
        ValueError: the model gave sound of no usable shape or sample rate, or not finite.
    """
    features = features.filled()
    if model is None:
        composition = compose(features)
        return Clip(render(composition), SAMPLE_RATE, features, composition)
    audio, sample_rate = model.generate(prompt_of(features), seconds=SECONDS, seed=seed)
    if sample_rate < 8_000:
        raise ValueError(f"the model's sample rate is {sample_rate!r}, expected 8,000 Hz or more")
    sound = np.asarray(audio, dtype=np.float32)
    if sound.ndim == 1:
        sound = sound[:, None]
    if sound.ndim != 2 or not sound.size or sound.shape[1] > 2:
        raise ValueError(
            f"the model's sound has shape {np.shape(audio)}, expected (n,), (n, 1) or (n, 2)"
        )
    if not np.isfinite(sound).all():
        raise ValueError("the model's sound has samples that are not finite numbers")
    count = round(SECONDS * sample_rate)
    exact = np.zeros((count, 2), dtype=np.float32)
    exact[: len(sound)] = sound[:count]  # one channel becomes two
    levelled = limited(exact, -21.0 + 6.0 * features.energy)
    return Clip(faded(levelled, sample_rate), sample_rate, features, None)


def prompt_of(features: TrackFeatures) -> str:
    """The features in the words that models of this kind were trained on."""
    features = features.filled()
    styles = features.styles[:2]
    genres = " with elements of ".join(style.name for style, _ in styles)
    keys = ("C", "C sharp", "D", "E flat", "E", "F", "F sharp", "G", "A flat", "A", "B flat", "B")
    assert features.key is not None
    words = [
        f"{genres} instrumental",
        f"{round(features.tempo or 0)} BPM",
        f"{keys[features.key]} {features.mode}",
        _word(features.energy, "calm and soft", "moderate energy", "energetic and loud"),
        _word(features.danceability, "free rhythm", "steady beat", "very danceable groove"),
        _word(features.valence, "melancholic", "bittersweet", "cheerful"),
    ]
    if features.acousticness > 0.6:
        words.append("acoustic instruments")
    return ", ".join(words)


def _word(share: float, low: str, middle: str, high: str) -> str:
    return low if share < 0.4 else middle if share < 0.65 else high


def _unprompted(generator: np.random.Generator, seed: int) -> TrackFeatures:
    style = STYLES[int(generator.integers(len(STYLES)))]

    def share(usual: float) -> float:
        return min(max(usual + _SPREAD * float(generator.normal()), 0.0), 1.0)

    return TrackFeatures(
        title="Made for you",
        artists=("MusicRec",),
        genres=(style.words[0],),
        danceability=share(style.danceability),
        energy=share(style.energy),
        valence=share(style.valence),
        acousticness=share(style.acousticness),
        seed=f"generated:{seed}",
    )


def _normalised(weights: Sequence[float] | None, count: int) -> NDArray[np.float64]:
    if weights is None:
        return np.full(count, 1.0 / count)
    array = np.asarray(weights, dtype=np.float64)
    if array.shape != (count,):
        raise ValueError(f"{array.shape} weights for {count} liked tracks; expected one each")
    total = float(array.sum())
    if not (np.all(array >= 0) and 0 < total < math.inf):
        raise ValueError(f"weights are {list(weights)!r}, expected numbers >= 0, not all 0")
    return np.asarray(array / total)


def _drawn(
    values: Sequence[_Choice | None],
    shares: NDArray[np.float64],
    generator: np.random.Generator,
) -> _Choice | None:
    """One of the values that are not None, by weight; always takes one draw."""
    draw = float(generator.random())
    known = [(v, float(w)) for v, w in zip(values, shares, strict=True) if v is not None and w > 0]
    below = draw * sum(weight for _, weight in known)
    for value, weight in known:
        below -= weight
        if below < 0:
            return value
    return known[-1][0] if known else None


def _blended_genres(
    liked: Sequence[TrackFeatures], shares: NDArray[np.float64], generator: np.random.Generator
) -> dict[str, float]:
    """Genre -> weight, the heaviest first; a track's own genres share its weight."""
    total: dict[str, float] = {}
    for track, share in zip(liked, shares.tolist(), strict=True):
        whole = sum(track.genre_weights)
        for genre, weight in zip(track.genres, track.genre_weights, strict=True):
            total[genre] = total.get(genre, 0.0) + share * weight / whole
    varied = {
        genre: weight * math.exp(float(generator.normal(0, 1 / 3)))
        for genre, weight in sorted(total.items())
        if weight > 0
    }
    heaviest: Callable[[str], float] = varied.__getitem__
    kept = sorted(varied, key=heaviest, reverse=True)[:_GENRES]
    whole = sum(varied[genre] for genre in kept)
    return {genre: round(varied[genre] / whole, 6) for genre in kept}
