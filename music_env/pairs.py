"""Encodings of a pair: a track's row, and behind it what the listener prefers."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.encoding import MAX_ONE_HOT_COLUMNS, Encoded, code_bounds, encode, scaled_numbers
from music_env.listeners import Listeners
from music_env.naming import nearest

PAIR_ENCODINGS = ("codes", "one-hot")
"""The encodings that have a place for the listener; the first is the default."""

RANGE_COLUMNS = (
    "listener danceability low",
    "listener danceability high",
    "listener any danceability",
)
"""The first columns of a listener: the range's ends (0 and 1 where left open) and whether it is
left open (1) or not (0)."""

CODE_COLUMNS = ("listener genre", "listener artist")
"""The columns behind them in ``codes``: 1 + the position in the vocabulary, 0 where left open."""

_REFUSED = {
    "hash": "a hash of track and listener would give each pair a state of its own, of which "
    "nothing can be learnt for another listener",
    "profile": "a state for each genre, artist and danceability of a track and of a listener "
    "would be billions of states",
}


@dataclass(frozen=True, eq=False)
class PairEncoded:
    """A catalogue and its listeners in one encoding.

    Attributes:
        name: the encoding's name.
        track: the encoding of the tracks alone, as in MusicRec-v0.
        space: the observation space of a pair.
        columns: the name of each column: the track's, then the listener's, which begin with
            "listener ".
        n_genres: genres in the catalogue.
        n_artists: artists in the catalogue.
        padded: in ``codes`` (n_tracks, n_columns) float32: the tracks' rows with room for the
            listener's columns behind them, so that one gather makes an observation.
    """

    name: str
    track: Encoded
    space: gym.spaces.Box
    columns: tuple[str, ...]
    n_genres: int
    n_artists: int
    padded: NDArray[np.float32] | None = field(default=None, repr=False)

    @property
    def n_track_columns(self) -> int:
        """Columns of the track; those behind them are the listener's."""
        return len(self.track.columns)

    def listeners(self, listeners: Listeners) -> NDArray[np.float32]:
        """Return (n_listeners, n_listener_columns) float32: what is observed of the listeners."""
        rows = np.zeros((len(listeners), len(self.columns) - self.n_track_columns), np.float32)
        rows[:, 0], rows[:, 1] = listeners.low, listeners.high
        rows[:, 2] = listeners.any_danceability
        first = len(RANGE_COLUMNS)
        if self.name == "codes":
            rows[:, first] = listeners.genre + 1
            rows[:, first + 1] = listeners.artist + 1
            return rows
        for codes, start in (
            (listeners.genre, first),
            (listeners.artist, first + self.n_genres),
        ):
            named = np.flatnonzero(codes >= 0)
            rows[named, start + codes[named]] = 1
        return rows

    def pairs(
        self, tracks: NDArray[np.int64], listener_rows: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the observations of pairs.

        Args:
            tracks: (n,) indices.
            listener_rows: rows of `listeners`: (n, n_listener_columns), or (1, ...) or (...,) of
                one listener for all the tracks.

        Returns:
            (n, n_columns) float32, fresh.
        """
        observations: NDArray[np.float32]
        if self.padded is not None:
            observations = self.padded.take(tracks, axis=0)
        else:
            observations = np.empty((len(tracks), len(self.columns)), dtype=np.float32)
            observations[:, : self.n_track_columns] = self.track.rows.take(tracks)
        observations[:, self.n_track_columns :] = listener_rows
        return observations


def encode_pairs(catalogue: Catalogue, encoding: str) -> PairEncoded:
    """Return the encoding of pairs of a track and a listener; equal calls share one.

    Args:
        catalogue: the tracks.
        encoding: one of

            - ``"codes"``: the track's columns as in `music_env.encoding.encode` (at most 32), then
              five of the listener: the range's ends, whether the range is left open, genre code
              and artist code (0: left open). The upper bounds alone say what is what: 1 is a
              number, the bounds of the genre's and the artist's codes are those of the track's
              slots (one vocabulary), and the listener's part begins at the first number behind
              the track's codes.
            - ``"one-hot"``: the track's columns, then the range's ends, whether it is left open,
              and multi-hot genres and artists; all zero where left open.

    Raises:
        ValueError: for another encoding, with the reason; for over 20,000 one-hot columns.
    """
    if encoding in _REFUSED:
        raise ValueError(
            f"encoding {encoding!r} has no place for the listener: {_REFUSED[encoding]}; use "
            "'codes' or 'one-hot'"
        )
    if encoding not in PAIR_ENCODINGS:
        raise ValueError(
            f"encoding must be one of {', '.join(map(repr, PAIR_ENCODINGS))}, got {encoding!r}."
            + nearest(str(encoding), PAIR_ENCODINGS)
        )
    genres, artists = catalogue.genres.vocabulary, catalogue.artists.vocabulary
    if encoding == "one-hot":
        n_numbers, n_labels = len(scaled_numbers(catalogue)[1]), len(genres) + len(artists)
        n_columns = n_numbers + len(RANGE_COLUMNS) + 2 * n_labels
        if n_columns > MAX_ONE_HOT_COLUMNS:
            raise ValueError(
                f"encoding 'one-hot' would need {n_columns} columns for track and listener of this "
                f"catalogue ({len(artists)} artists), over {MAX_ONE_HOT_COLUMNS}: use encoding "
                "'codes'"
            )
    kept = _KEPT.setdefault(catalogue, {})
    if encoding not in kept:
        kept[encoding] = _encode_pairs(catalogue, encoding)
    return kept[encoding]


_KEPT: weakref.WeakKeyDictionary[Catalogue, dict[str, PairEncoded]] = weakref.WeakKeyDictionary()


def _encode_pairs(catalogue: Catalogue, encoding: str) -> PairEncoded:
    genres, artists = catalogue.genres.vocabulary, catalogue.artists.vocabulary
    track = encode(catalogue, encoding)
    assert isinstance(track.space, gym.spaces.Box)
    if encoding == "codes":
        names: tuple[str, ...] = CODE_COLUMNS
        high = [*code_bounds(catalogue)]
    else:
        labels = [f"genre {name}" for name in genres] + [f"artist {name}" for name in artists]
        names = tuple(f"listener {label}" for label in labels)
        high = [1] * len(names)
    columns = (*track.columns, *RANGE_COLUMNS, *names)
    bounds = np.concatenate([track.space.high, [1] * len(RANGE_COLUMNS), high]).astype(np.float32)
    space = gym.spaces.Box(np.zeros_like(bounds), bounds, dtype=np.float32)
    padded = None
    if encoding == "codes":
        padded = np.zeros((catalogue.n_tracks, len(columns)), dtype=np.float32)
        padded[:, : len(track.columns)] = track.rows.take(np.arange(catalogue.n_tracks))
        padded.flags.writeable = False
    return PairEncoded(encoding, track, space, columns, len(genres), len(artists), padded)
