"""When no track is left: the nearest preferences that still have some."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.labels import Labels
from music_env.listener import Preference
from player.wishes import as_json, tracks_that_fit

WIDER = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
"""Steps by which a range of danceability is widened at both ends; the first that helps is taken."""

ALTERNATIVES = 3
"""Other genres of the artist, and other artists of the genre, that are named at most."""

MAX_SUGGESTIONS = 10


@dataclass(frozen=True)
class Suggestion:
    """A preference near the one that has no tracks left.

    Attributes:
        preference: it.
        change: what differs, see ``API.md``.
        text: the difference in words.
        remaining: tracks that fit it and are not judged yet.
    """

    preference: Preference
    change: str
    text: str
    remaining: int

    def as_json(self) -> dict[str, Any]:
        """Return it as the API gives it."""
        return {**vars(self), "preference": as_json(self.preference)}


def nearest_preferences(
    catalogue: Catalogue, preference: Preference, is_judged: NDArray[np.bool_]
) -> list[Suggestion]:
    """Return the nearest preferences that still have tracks, nearest first.

    One part of the preference is relaxed at a time: the range of danceability, step by step and
    then altogether; the genre, to others that the artist has in the range; the artist, to others of
    the genre in the range. Then two parts at once, and at last all of them.

    Args:
        catalogue: the tracks.
        preference: the one that has none left.
        is_judged: (n_tracks,) bool.
    """
    found: list[Suggestion] = []
    taken = {preference}
    for suggestion in _all(catalogue, preference, is_judged):
        if suggestion.remaining and suggestion.preference not in taken:
            taken.add(suggestion.preference)
            found.append(suggestion)
    return found[:MAX_SUGGESTIONS]


def _all(
    catalogue: Catalogue, preference: Preference, is_judged: NDArray[np.bool_]
) -> Iterator[Suggestion]:
    def suggest(near: Preference, change: str, text: str) -> Suggestion:
        tracks = tracks_that_fit(catalogue, near)
        return Suggestion(near, change, text, int(np.count_nonzero(~is_judged[tracks])))

    def left(near: Preference) -> NDArray[np.int64]:
        tracks = tracks_that_fit(catalogue, near)
        return tracks[~is_judged[tracks]]

    artist, genre, ends = preference.artist, preference.genre, preference.danceability
    if ends is not None:
        yield from _wider(suggest, preference, ends)
    if genre is not None:
        if artist is not None:
            tracks = left(replace(preference, genre=None))
            for other in _most_frequent(catalogue.genres, tracks, but=genre):
                yield suggest(replace(preference, genre=other), "genre", f"genre {other}")
        yield suggest(replace(preference, genre=None), "any-genre", "any genre")
    if artist is not None:
        if genre is not None or ends is not None:
            tracks = left(replace(preference, artist=None))
            for other in _most_frequent(catalogue.artists, tracks, but=artist):
                yield suggest(replace(preference, artist=other), "artist", f"artist {other}")
        yield suggest(replace(preference, artist=None), "any-artist", "any artist")
    alone = [
        (Preference(artist=artist), "any-genre", f"any track of {artist}"),
        (Preference(genre=genre), "any-artist", f"any track of the genre {genre}"),
    ]
    for near, change, text in alone:
        if near != Preference():
            yield suggest(near, change, text)
    yield suggest(Preference(), "anything", "any track")


def _wider(
    suggest: Callable[[Preference, str, str], Suggestion],
    preference: Preference,
    ends: tuple[float, float],
) -> Iterator[Suggestion]:
    for step in WIDER:
        low, high = max(0.0, round(ends[0] - step, 3)), min(1.0, round(ends[1] + step, 3))
        text = f"danceability {low:g} to {high:g}"
        wider = suggest(replace(preference, danceability=(low, high)), "danceability", text)
        if wider.remaining:
            yield wider
            break
    open_range = replace(preference, danceability=None)
    yield suggest(open_range, "any-danceability", "any danceability")


def _most_frequent(labels: Labels, tracks: NDArray[np.int64], *, but: str) -> list[str]:
    """Return the labels that most of the tracks have, but for one."""
    sizes = labels.counts[tracks]
    offset = np.repeat(labels.indptr[tracks] - (np.cumsum(sizes) - sizes), sizes)
    codes = labels.codes[offset + np.arange(len(offset))]
    counts = np.bincount(codes, minlength=len(labels.vocabulary))
    counts[labels.code(but)] = 0
    best = np.argsort(-counts, kind="stable")[:ALTERNATIVES]
    return [labels.vocabulary[code] for code in best.tolist() if counts[code]]
