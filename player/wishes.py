"""What a listener asks for, and which tracks fit it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.labels import Labels
from music_env.listener import Preference
from player.errors import PlayerError

ANYTHING = Preference()


def checked(catalogue: Catalogue, preference: Preference) -> Preference:
    """Return a preference whose artist and genre the catalogue has.

    Raises:
        PlayerError: 422, with the nearest names.
    """
    for kind, labels in (("artist", catalogue.artists), ("genre", catalogue.genres)):
        name = getattr(preference, kind)
        if name is not None:
            try:
                labels.code(name, kind=kind)
            except ValueError as error:
                raise PlayerError(422, f"unknown-{kind}", str(error), field=kind) from error
    return preference


def as_json(preference: Preference) -> dict[str, Any]:
    """Return a preference as the API gives it."""
    ends = preference.danceability
    return {
        "artist": preference.artist,
        "genre": preference.genre,
        "danceability": None if ends is None else list(ends),
    }


def from_json(content: dict[str, Any]) -> Preference:
    """Return the preference of what `as_json` gave; what is left out is open."""
    ends = content.get("danceability")
    return Preference(
        content.get("artist"), content.get("genre"), None if ends is None else (ends[0], ends[1])
    )


def tracks_that_fit(catalogue: Catalogue, preference: Preference) -> NDArray[np.int64]:
    """Return the tracks that meet every part of a preference: (n,) int64, ascending."""
    tracks: NDArray[np.int64] | None = None
    for labels, name in (
        (catalogue.artists, preference.artist),
        (catalogue.genres, preference.genre),
    ):
        if name is not None:
            own = tracks_with(labels, name)
            tracks = own if tracks is None else np.intersect1d(tracks, own, assume_unique=True)
    if tracks is None:
        tracks = np.arange(catalogue.n_tracks)
    if preference.danceability is not None:
        low, high = preference.danceability
        value = catalogue.danceability[tracks]
        tracks = tracks[(value >= low) & (value <= high)]
    return tracks


def tracks_with(labels: Labels, name: str) -> NDArray[np.int64]:
    """Return the tracks that have a label: (n,) int64, ascending."""
    start, tracks = labels.tracks_of
    code = labels.code(name)
    return tracks[start[code] : start[code + 1]]


@dataclass(frozen=True, eq=False)
class Candidates:
    """The tracks that fit a preference.

    Attributes:
        tracks: (n,) int64, ascending.
    """

    tracks: NDArray[np.int64]

    @classmethod
    def of(cls, catalogue: Catalogue, preference: Preference) -> Candidates:
        """Return those of a preference."""
        return cls(tracks_that_fit(catalogue, preference))

    def left(self, is_judged: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return those that are not judged, given (n_tracks,) bool."""
        if len(self.tracks) == len(is_judged):
            return np.flatnonzero(~is_judged)
        return self.tracks[~is_judged[self.tracks]]
