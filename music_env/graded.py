"""A graded listener: the preference of MusicRec-v0, with differences between tracks of a class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.listener import TERMS, Preference, checked_weights, score_tracks
from music_env.listener_models import Terms, added_up

TASTE = "taste"
"""The name of the fourth term."""

TASTE_FEATURES = (
    "energy",
    "valence",
    "acousticness",
    "tempo",
    "loudness",
    "instrumentalness",
    "gain",
    "release_year",
)
"""The audio features that a taste weighs, where a catalogue has them, in the order of the draw."""


@dataclass(frozen=True)
class GradedPreference:
    """What `Preference` says, graded; a listener model, see `music_env.listener_models`.

    Four terms, which add up to the score:

    - ``artist`` and ``genre``: plus or minus their weight, as in MusicRec-v0;
    - ``danceability``: ``weight * (2 * 2**-(d / h)**2 - 1)``, where ``d`` is the distance from the
      middle of the preferred range and ``h`` half its width: ``weight`` in the middle, 0 at the
      ends, towards ``-weight`` far away. So it has the sign of MusicRec-v0's term, but no wall;
    - ``taste``: what the three do not say. Features of the sound (`TASTE_FEATURES`), each scaled to
      mean 0 and standard deviation 1 over the catalogue (a gap counts as the mean), times weights
      drawn from the standard normal distribution by ``taste_seed``, and their sum scaled to
      standard deviation ``taste``. It is a function of what is observed of a track, so that it can
      be learnt, and holds for tracks never heard. 0 where the catalogue has none of them.

    A part of the preference that is left open contributes 0.

    Attributes:
        preference: what the listener likes.
        weights: of the first three terms, see `score_tracks`.
        taste: standard deviation of the fourth, at least 0.
        taste_seed: which taste, a whole number of at least 0.
    """

    preference: Preference
    weights: Sequence[float] = (1.0, 1.0, 1.0)
    taste: float = 0.5
    taste_seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", checked_weights(self.weights))
        if isinstance(self.taste, bool) or not (math.isfinite(self.taste) and self.taste >= 0):
            raise ValueError(f"taste must be a finite number of at least 0, got {self.taste!r}")
        seed = self.taste_seed
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise ValueError(f"taste_seed must be a whole number of at least 0, got {seed!r}")

    def terms(self, catalogue: Catalogue) -> Terms:
        """Return the terms by name, (n_tracks,) float64 each.

        Raises:
            ValueError: for an artist or genre that the catalogue does not have.
        """
        scores = score_tracks(catalogue, self.preference, self.weights)
        terms = dict(zip(TERMS, scores.terms, strict=True))
        if self.preference.danceability is not None:
            terms["danceability"] = self._closeness(catalogue.danceability)
        return {**terms, TASTE: self._taste(catalogue)}

    def scores(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Return (n_tracks,) float64: the sum of the terms."""
        return added_up(self.terms(catalogue))

    def __str__(self) -> str:
        return f"{self.preference}, taste {self.taste_seed}" if self.taste else str(self.preference)

    def _closeness(self, danceability: NDArray[np.float64]) -> NDArray[np.float64]:
        assert self.preference.danceability is not None
        low, high = self.preference.danceability
        distance = np.abs(danceability - (low + high) / 2)
        half = (high - low) / 2
        if half == 0:
            membership = (distance == 0).astype(np.float64)
        else:
            membership = np.exp2(-np.square(distance / half))
        closeness: NDArray[np.float64] = self.weights[2] * (2 * membership - 1)
        return closeness

    def _taste(self, catalogue: Catalogue) -> NDArray[np.float64]:
        weights = np.random.default_rng(self.taste_seed).normal(size=len(TASTE_FEATURES))
        total = np.zeros(catalogue.n_tracks)
        for name, weight in zip(TASTE_FEATURES, weights.tolist(), strict=True):
            values = catalogue.features.get(name)
            if values is None or np.isnan(values).all():
                continue
            spread = np.nanstd(values)
            if spread > 0:
                total += weight * np.nan_to_num((values - np.nanmean(values)) / spread)
        spread = total.std()
        return total * (self.taste / spread) if spread > 0 else total
