"""The listener: a preference over artist, genre and danceability, and the score of each track."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue

TERMS = ("artist", "genre", "danceability")
"""The reward's named terms, in the order of ``weights`` and of the columns of `Scores.terms`."""


@dataclass(frozen=True)
class Preference:
    """What a listener likes; a part that is ``None`` is left open and contributes 0 to the score.

    Attributes:
        artist: the preferred artist's name, as in the catalogue.
        genre: the preferred genre's name, as in the catalogue.
        danceability: (lowest, highest) danceability liked, ends included, within 0..1.
    """

    artist: str | None = None
    genre: str | None = None
    danceability: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.danceability is None:
            return
        try:
            low, high = (float(end) for end in self.danceability)
            fits = not isinstance(self.danceability, str) and 0 <= low <= high <= 1
        except (TypeError, ValueError):  # no numbers, or not two of them
            fits = False
        if not fits:
            raise ValueError(
                "danceability must be (lowest, highest) with 0 <= lowest <= highest <= 1, "
                f"got {self.danceability!r}"
            )
        object.__setattr__(self, "danceability", (low, high))

    def __str__(self) -> str:
        low, high = self.danceability or (0.0, 1.0)
        parts = [
            f"artist {self.artist}" if self.artist is not None else "any artist",
            f"genre {self.genre}" if self.genre is not None else "any genre",
            f"danceability {low:g} to {high:g}" if self.danceability else "any danceability",
        ]
        return ", ".join(parts)


def wanted_terms(preference: Preference) -> dict[str, str | None]:
    """Return what is preferred for each of `TERMS`, in words; None where it is left open."""
    liked = preference.danceability
    return {
        "artist": preference.artist,
        "genre": preference.genre,
        "danceability": None if liked is None else f"{liked[0]:g} to {liked[1]:g}",
    }


def default_preference(catalogue: Catalogue) -> Preference:
    """Return the preference of the listener whom the catalogue represents best.

    The artist with the most tracks, that artist's most frequent genre, and the middle half (first
    to third quartile, `numpy.quantile`'s linear interpolation) of that artist's danceability. Ties
    go to the name that sorts first. A catalogue without genres leaves the genre open.
    """
    artist = int(np.argmax(catalogue.artists.frequency))
    name = catalogue.artists.vocabulary[artist]
    tracks = np.flatnonzero(catalogue.artists.has(name))
    genre = None
    if catalogue.genres.vocabulary:
        counts = [
            np.count_nonzero(catalogue.genres.has(g)[tracks]) for g in catalogue.genres.vocabulary
        ]
        genre = catalogue.genres.vocabulary[int(np.argmax(counts))] if any(counts) else None
    low, high = np.quantile(catalogue.danceability[tracks], [0.25, 0.75])
    return Preference(name, genre, (float(low), float(high)))


@dataclass(frozen=True)
class Scores:
    """How a listener scores every track of a catalogue; arrays are read-only.

    Each term either matches or not, so there are eight kinds of tracks. A byte a track says which:
    looking up a few bytes and a table of eight is much faster than four numbers a track, which for
    a million tracks do not fit the processor's cache.

    Attributes:
        kinds: (n_tracks,) uint8 in 0..7; its bits, highest first, say which of `TERMS` match.
        by_kind: (4, 8) float64: for each kind the weighted terms, in the order of `TERMS`, and
            their sum.
        total: (n_tracks,) float64, the sum for each track: the reward of *like*.
        names: of the terms; other than `TERMS`, and with more kinds, where the listener is a model.
    """

    kinds: NDArray[Any]
    by_kind: NDArray[np.float64]
    total: NDArray[np.float64]
    names: tuple[str, ...] = TERMS

    @property
    def terms(self) -> NDArray[np.float64]:
        """(n_terms, n_tracks) float64: the weighted terms of every track, computed afresh."""
        return self.by_kind[:-1].take(self.kinds, axis=1)


def score_tracks(
    catalogue: Catalogue, preference: Preference, weights: Sequence[float] = (1.0, 1.0, 1.0)
) -> Scores:
    """Return the score of every track: the reward for *like*; *dislike* earns its negative.

    Each of the three terms is ``+weight`` on a match and ``-weight`` otherwise: one of the track's
    artists is the preferred one; one of its genres is; its danceability lies within the range, ends
    included. A term whose preference is open is 0. With unit weights and nothing left open the
    score is one of -3, -1, +1, +3.

    Raises:
        ValueError: for an artist or genre that the catalogue does not have (with the nearest
            names), and for weights that are not three finite numbers of at least 0.
    """
    weights = checked_weights(weights)
    matches: list[NDArray[np.bool_] | None] = [None, None, None]
    if preference.artist is not None:
        matches[0] = catalogue.artists.has(preference.artist, kind="artist")
    if preference.genre is not None:
        matches[1] = catalogue.genres.has(preference.genre, kind="genre")
    if preference.danceability is not None:
        low, high = preference.danceability
        matches[2] = (catalogue.danceability >= low) & (catalogue.danceability <= high)
    kinds = np.zeros(catalogue.n_tracks, dtype=np.uint8)
    by_kind = np.zeros((len(TERMS) + 1, 2 ** len(TERMS)))
    for row, (match, weight) in enumerate(zip(matches, weights, strict=True)):
        bit = 1 << (len(TERMS) - 1 - row)
        if match is not None:
            kinds |= match.astype(np.uint8) * np.uint8(bit)
            by_kind[row] = np.where(np.arange(by_kind.shape[1]) & bit, weight, 0.0 - weight)
    # Added one after another, in the order of TERMS: a caller who adds up `reward_terms` gets the
    # same bits.
    by_kind[3] = by_kind[0] + by_kind[1] + by_kind[2]
    total = by_kind[3].take(kinds)
    for array in (kinds, by_kind, total):
        array.flags.writeable = False
    return Scores(kinds, by_kind, total)


def is_share(value: Any) -> bool:
    """Say whether a value is a number from 0 to 1."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return number and bool(0 <= value <= 1)


def checked_weights(weights: Sequence[float]) -> tuple[float, ...]:
    """Return the weights of the three terms as float.

    Raises:
        ValueError: they are not three finite numbers of at least 0 whose sum is finite.
    """
    try:
        checked = tuple(float(weight) for weight in weights)
    except (TypeError, ValueError):  # no numbers
        checked = ()
    if len(checked) != len(TERMS) or not all(math.isfinite(w) and w >= 0 for w in checked):
        raise ValueError(
            f"weights must be three finite numbers >= 0, one for each of {TERMS}, got {weights!r}"
        )
    if not math.isfinite(sum(checked)):
        raise ValueError(f"the sum of the weights must be finite, got {weights!r}: scale them down")
    return checked
