"""Listener models beyond the three-way match: anything that gives every track a score.

A model is an object with a method ``scores``, see `ListenerModel`. It may also have ``terms``, the
named parts of the score, and ``wrong_button``, the probability that the listener presses the other
button. `MusicRecEnv` takes one as ``listener=``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.formats import FEATURES
from music_env.labels import Labels, read_only
from music_env.listener import Preference, Scores, checked_weights, score_tracks
from music_env.naming import nearest

Terms = dict[str, NDArray[np.float64]]

_OCTAVE = 12.0  # pitch classes: key 11 is as near to 0 as 1 is


@runtime_checkable
class ListenerModel(Protocol):
    """Gives every track a score: the reward of *like*; *dislike* earns its negative."""

    def scores(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Return (n_tracks,) float64, finite: above 0 what the listener likes."""


@dataclass(frozen=True)
class ThreeWay:
    """The match of MusicRec-v0 as a model, so that others can be wrapped around it.

    Attributes:
        preference: what the listener likes.
        weights: of the terms, see `score_tracks`; kept as a tuple of float.

    Raises:
        ValueError: the weights are not three finite numbers of at least 0.
    """

    preference: Preference
    weights: Sequence[float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", checked_weights(self.weights))

    def scores(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Return (n_tracks,) float64, see `score_tracks`."""
        return score_tracks(catalogue, self.preference, self.weights).total

    def terms(self, catalogue: Catalogue) -> Terms:
        """Return the terms by name, see `score_tracks`."""
        scores = score_tracks(catalogue, self.preference, self.weights)
        return dict(zip(scores.names, scores.terms, strict=True))

    def __str__(self) -> str:
        return str(self.preference)


@dataclass(frozen=True)
class FeatureTarget:
    """Where an audio feature is liked, with a tolerance in place of a wall.

    With ``d`` the distance of a track's value to the range ``low`` to ``high`` (0 within) the term
    is ``weight * (2 * exp(-d**2 / (2 * tolerance**2)) - 1)``: ``weight`` within the range, 0 at
    1.18 tolerances from it, towards ``-weight`` far away. The exponential is the Gaussian
    membership function of a fuzzy set. A tolerance of 0 is the wall of MusicRec-v0: ``weight``
    within, ``-weight`` outside. A track whose value is missing earns 0. The key is a circle: 11 is
    next to 0, and a range from 10 to 1 is that of 10, 11, 0 and 1.

    Attributes:
        feature: a name of `music_env.formats.FEATURES`, which has the units.
        low: the lowest value that is liked best. Of the key, where the range begins.
        high: the highest one; as ``low`` for a single value.
        tolerance: in the feature's unit, at least 0.
        weight: a negative one dislikes what is within the range.
    """

    feature: str
    low: float
    high: float
    tolerance: float = 0.0
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.feature, str) or self.feature not in FEATURES:
            raise ValueError(
                f"feature must be one of {', '.join(FEATURES)}, got {self.feature!r}."
                + nearest(str(self.feature), FEATURES)
            )
        for name in ("low", "high", "tolerance", "weight"):
            check_finite(f"{name} of the target {self.feature}", getattr(self, name))
        across = self.feature == "key" and self.high >= 0 and self.low < _OCTAVE
        if self.low > self.high and not across:
            raise ValueError(
                f"low must be at most high, got {self.low} and {self.high} for {self.feature} "
                "(only the key is a circle, of 0 to 11)"
            )
        if self.tolerance < 0:
            raise ValueError(f"tolerance must be at least 0, got {self.tolerance}")

    def term(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Return (n_tracks,) float64.

        Raises:
            ValueError: the catalogue does not have the feature.
        """
        if self.feature not in catalogue.features:
            raise ValueError(
                f"the catalogue has no {self.feature}; it has {', '.join(catalogue.features)}"
            )
        value = catalogue.features[self.feature]
        high = self.high if self.low <= self.high else self.high + _OCTAVE
        # A value on a circle stands at each of its turns; the nearest counts.
        turns = (-_OCTAVE, 0.0, _OCTAVE) if self.feature == "key" else (0.0,)
        values = np.stack([value + turn for turn in turns])
        distance = np.maximum(np.maximum(self.low - values, values - high), 0.0).min(axis=0)
        if self.tolerance == 0:
            membership = (distance == 0).astype(np.float64)
        else:
            membership = np.exp(-0.5 * np.square(distance / self.tolerance))
        return np.where(np.isnan(value), 0.0, self.weight * (2.0 * membership - 1.0))

    def __str__(self) -> str:
        span = f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"
        return f"{self.feature} {span}" + (f" ± {self.tolerance:g}" if self.tolerance else "")


@dataclass(frozen=True)
class WeightedPreference:
    """Several artists and genres, liked and disliked, and targets on audio features.

    The score is ``bias`` plus the weights of those of the track's artists that are named, plus
    those of its genres, plus the targets' terms. Its terms are ``artist``, ``genre``, one named
    after each target's feature, and ``bias``. (``Preference(artist="A")`` is
    ``artists={"A": 2}, bias=-1``.)

    Attributes:
        artists: artist -> weight: above 0 liked, below 0 disliked.
        genres: genre -> weight.
        targets: of different features.
        bias: the score of a track of which nothing is named.

    Raises:
        ValueError: they are not mappings to finite numbers and a sequence of targets, or several
            targets are for one feature, or the weights have no finite sum, or there is nothing at
            all.
    """

    artists: Mapping[str, float] = field(default_factory=dict)
    genres: Mapping[str, float] = field(default_factory=dict)
    targets: Sequence[FeatureTarget] = ()
    bias: float = 0.0

    def __post_init__(self) -> None:
        for kind, weights in (("artist", self.artists), ("genre", self.genres)):
            if not isinstance(weights, Mapping):
                raise ValueError(
                    f"{kind}s must be weights by name such as {{{kind!r}: 1}}, got {weights!r}"
                )
            for name, weight in weights.items():
                check_finite(f"the weight of {kind} {name!r}", weight)
        check_finite("bias", self.bias)
        if not isinstance(self.targets, Sequence) or not all(
            isinstance(target, FeatureTarget) for target in self.targets
        ):
            raise ValueError(f"targets must be a sequence of FeatureTarget, got {self.targets!r}")
        features = [target.feature for target in self.targets]
        for feature in features:
            if features.count(feature) > 1:
                raise ValueError(f"there are several targets for {feature}, expected one")
        if not (self.artists or self.genres or self.targets or self.bias):
            raise ValueError("a weighted preference needs artists, genres, targets or a bias")
        every = [*self.artists.values(), *self.genres.values(), self.bias]
        every += [target.weight for target in self.targets]
        if not math.isfinite(sum(abs(float(weight)) for weight in every)):
            raise ValueError("the sum of all weights and the bias must be finite: scale them down")

    def terms(self, catalogue: Catalogue) -> Terms:
        """Return the terms by name, (n_tracks,) float64 each; they add up to the score.

        Raises:
            ValueError: the catalogue lacks an artist or genre (with the nearest names) or feature.
        """
        terms = {
            "artist": _weighted(catalogue.artists, self.artists),
            "genre": _weighted(catalogue.genres, self.genres),
        }
        terms |= {target.feature: target.term(catalogue) for target in self.targets}
        return {**terms, "bias": np.full(catalogue.n_tracks, float(self.bias))}

    def scores(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Return (n_tracks,) float64: the sum of the terms."""
        return added_up(self.terms(catalogue))

    def __str__(self) -> str:
        named = [
            f"{name} {weight:+g}" for name, weight in (*self.artists.items(), *self.genres.items())
        ]
        return ", ".join([*named, *map(str, self.targets)]) or f"bias {self.bias:+g}"


@dataclass(frozen=True)
class NoisyListener:
    """A listener who presses the wrong button now and then.

    The scores are those of the listener inside. In a step, with probability ``wrong_button``, the
    reward is that of the other button: drawn from the environment's key, the session's number and
    the place in it, so that it is the same in the scalar and the vector environment.

    Attributes:
        listener: any model.
        wrong_button: the probability, 0 to below 1; at 0.5 the rewards say nothing.
    """

    listener: ListenerModel
    wrong_button: float

    def __post_init__(self) -> None:
        checked_wrong_button(self.wrong_button)
        if getattr(self.listener, "wrong_button", 0):
            raise ValueError("the listener inside is noisy already: give one probability")

    def scores(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Return (n_tracks,) float64: those of the listener inside."""
        return self.listener.scores(catalogue)

    def terms(self, catalogue: Catalogue) -> Terms:
        """Return the terms of the listener inside."""
        return terms_of(self.listener, catalogue)

    def __str__(self) -> str:
        return f"{self.listener}, presses the wrong button with probability {self.wrong_button:g}"


def checked_wrong_button(value: float) -> float:
    """Return the probability that a listener presses the wrong button.

    Raises:
        ValueError: it is no number from 0 to below 1.
    """
    check_finite("wrong_button", value)
    if not 0 <= value < 1:
        raise ValueError(f"wrong_button must be a probability below 1, got {value!r}")
    return float(value)


_ADD_UP = 1e-6  # relative and absolute: terms may be added up in any order, or in float32


def terms_of(model: ListenerModel, catalogue: Catalogue) -> Terms:
    """Return a model's named terms; of one that has none, its score as the term ``listener``.

    Raises:
        ValueError: there are none, they are not (n_tracks,) finite numbers, or they do not add up
            to the model's scores.
        TypeError: it is no model.
    """
    if not isinstance(model, ListenerModel):
        raise TypeError(
            "a listener model needs a method scores(catalogue) -> (n_tracks,) float64, got "
            f"{model!r}"
        )
    scores = _per_track("scores", model.scores(catalogue), catalogue)
    terms = getattr(model, "terms", None)
    if terms is None:
        return {"listener": scores}
    found = terms(catalogue)
    if not isinstance(found, Mapping) or not found:
        raise ValueError(
            "the listener model's terms must be arrays by name, at least one, got "
            f"{found!r}; without a method terms its scores are the only one"
        )
    checked = {
        name: _per_track(f"term {name!r}", values, catalogue) for name, values in found.items()
    }
    total = added_up(checked)
    apart = np.flatnonzero(~np.isclose(total, scores, rtol=_ADD_UP, atol=_ADD_UP))
    if apart.size:
        track = int(apart[0])
        raise ValueError(
            f"the listener model's terms ({', '.join(checked)}) must add up to its scores; for "
            f"{apart.size} of {catalogue.n_tracks} tracks they do not: that of index {track} has "
            f"the score {scores[track]}, its terms the sum {total[track]}"
        )
    return checked


def _per_track(what: str, values: object, catalogue: Catalogue) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (catalogue.n_tracks,) or not np.isfinite(array).all():
        raise ValueError(
            f"the listener model's {what} must be {catalogue.n_tracks} finite numbers, "
            f"got shape {array.shape} with {np.count_nonzero(~np.isfinite(array))} not finite"
        )
    return array


def added_up(terms: Terms) -> NDArray[np.float64]:
    """Return the sum of the terms, added one after another: as who adds them up gets it."""
    total: NDArray[np.float64] = sum(terms.values(), start=np.zeros(1))
    return total


def model_scores(catalogue: Catalogue, model: ListenerModel) -> Scores:
    """Return a model's scores as the environments take them: a kind for each track.

    Raises:
        ValueError: see `terms_of`.
        TypeError: see `terms_of`.
    """
    inside = model.listener if isinstance(model, NoisyListener) else model
    if isinstance(inside, ThreeWay):  # eight kinds, not one a track
        return score_tracks(catalogue, inside.preference, inside.weights)
    terms = terms_of(inside, catalogue)
    by_kind = read_only(np.stack([*terms.values(), added_up(terms)]))
    kinds = read_only(np.arange(catalogue.n_tracks, dtype=np.int32))
    return Scores(kinds, by_kind, read_only(by_kind[-1].copy()), tuple(terms))


def _weighted(labels: Labels, weights: Mapping[str, float]) -> NDArray[np.float64]:
    """Return (n_tracks,) float64: the sum of the weights of each track's labels."""
    of_label = np.zeros(len(labels.vocabulary))
    for name, weight in weights.items():
        of_label[labels.code(name)] = weight
    return label_sums(labels, of_label)


def label_sums(labels: Labels, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n_tracks,) float64: the sum of ``values`` (one a label) over each track's labels."""
    sums = np.zeros(len(labels.counts))
    np.add.at(sums, np.repeat(np.arange(len(sums)), labels.counts), values[labels.codes])
    return sums


def check_finite(what: str, value: float) -> None:
    """Raise ``ValueError`` for what is no finite number, saying what it should be."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise ValueError(f"{what} must be a number, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{what} must be a finite number, got {value!r}")
