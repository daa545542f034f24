"""Many listeners as arrays, and the kind of each pair of a track and a listener."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.labels import read_only
from music_env.listener import TERMS, Preference, checked_weights
from music_env.naming import nearest

Wanted: TypeAlias = "Preference | Mapping[str, Any]"
"""A preference, or what `Preference` is made of, as JSON has it."""

OPEN = -1
"""The code of an artist or genre that is left open."""

MATCH_BITS = len(TERMS)
"""A pair's kind has a bit for each term that matches, then one for each that is open."""

# Pairs are scored in blocks of about so many: what is in use stays in the cache. Tuned by us.
_BLOCK = 2**15


@dataclass(frozen=True, eq=False)
class Listeners:
    """The preferences of some listeners; row i of every array is listener i, all read-only.

    Attributes:
        artist: (n,) int64 position in ``catalogue.artists.vocabulary``, -1 where left open.
        genre: (n,) int64 position in ``catalogue.genres.vocabulary``, -1 where left open.
        low: (n,) float64: the lowest danceability liked; 0 where the range is left open.
        high: (n,) float64: the highest; 1 where the range is left open.
        any_danceability: (n,) bool: the range is left open. A range of 0 to 1 is not: every track
            matches it, and earns +1 for that.
    """

    artist: NDArray[np.int64]
    genre: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    any_danceability: NDArray[np.bool_]

    def __post_init__(self) -> None:
        for member in fields(self):
            read_only(getattr(self, member.name))

    def __reduce__(self) -> tuple[Any, ...]:
        return Listeners, tuple(self.arrays().values())  # pickle forgets what is read-only

    def __len__(self) -> int:
        return len(self.artist)

    @classmethod
    def of(cls, catalogue: Catalogue, preferences: Iterable[Wanted]) -> Listeners:
        """Return the listeners of these preferences.

        Raises:
            ValueError: for an artist or genre that the catalogue does not have, with the nearest
                names; a range that is none; or an unknown key of a mapping.
            TypeError: for anything else.
        """
        wanted = [as_preference(preference) for preference in preferences]
        ranges = [preference.danceability for preference in wanted]
        ends = [(0.0, 1.0) if found is None else found for found in ranges]
        return cls(
            np.array([_code(catalogue, "artist", p.artist) for p in wanted], dtype=np.int64),
            np.array([_code(catalogue, "genre", p.genre) for p in wanted], dtype=np.int64),
            np.array([low for low, _ in ends], dtype=np.float64),
            np.array([high for _, high in ends], dtype=np.float64),
            np.array([found is None for found in ranges], dtype=np.bool_),
        )

    @classmethod
    def of_arrays(cls, values: Mapping[str, Sequence[Any]]) -> Listeners:
        """Return the listeners of what `arrays` has given, in whatever dtype."""
        dtypes = (np.int64, np.int64, np.float64, np.float64, np.bool_)
        named = zip(fields(cls), dtypes, strict=True)
        return cls(*(np.array(values[member.name], dtype=dtype) for member, dtype in named))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return {member.name: getattr(self, member.name) for member in fields(self)}

    def take(self, which: NDArray[Any] | slice) -> Listeners:
        """Return some of the listeners: indices, a mask, or a slice."""
        return Listeners(*(array[which] for array in self.arrays().values()))

    def preference(self, listener: int, catalogue: Catalogue) -> Preference:
        """Return one listener's preference by name."""
        artist, genre = int(self.artist[listener]), int(self.genre[listener])
        return Preference(
            None if artist == OPEN else catalogue.artists.vocabulary[artist],
            None if genre == OPEN else catalogue.genres.vocabulary[genre],
            None
            if self.any_danceability[listener]
            else (float(self.low[listener]), float(self.high[listener])),
        )

    @property
    def checksum(self) -> str:
        """SHA-256 (hexadecimal) of the arrays, as little-endian bytes behind one another.

        Artists and genres are positions: it belongs to a catalogue.
        """
        content = hashlib.sha256()
        for array in self.arrays().values():
            content.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
        return content.hexdigest()

    @property
    def n_open(self) -> NDArray[np.int64]:
        """(n,) int64: how many of the three terms each listener leaves open."""
        is_open = [self.artist == OPEN, self.genre == OPEN, self.any_danceability]
        counts: NDArray[np.int64] = np.sum(is_open, axis=0, dtype=np.int64)
        return counts


def as_preference(wanted: Wanted) -> Preference:
    """Return a preference, made of a mapping where it is none yet.

    Raises:
        ValueError: a key of the mapping is none of ``artist``, ``genre``, ``danceability``.
        TypeError: it is neither.
    """
    if isinstance(wanted, Preference):
        return wanted
    if not isinstance(wanted, Mapping):
        raise TypeError(
            "a listener must be a Preference, a mapping such as "
            '{"artist": "...", "genre": "...", "danceability": (0.4, 0.6)}, or an index into the '
            f"population, got {wanted!r}"
        )
    for name in wanted:
        if name not in TERMS:
            raise ValueError(
                f"a listener has {', '.join(TERMS)}, got {name!r}." + nearest(str(name), TERMS)
            )
    return Preference(**wanted)


def _code(catalogue: Catalogue, term: str, name: str | None) -> int:
    if name is None:
        return OPEN
    labels = catalogue.artists if term == "artist" else catalogue.genres
    try:
        return labels.code(name)
    except ValueError as error:
        raise ValueError(f"the listener's {term}: {error}") from error


def pair_kinds(
    catalogue: Catalogue, tracks: NDArray[np.integer], listeners: Listeners
) -> NDArray[np.uint8]:
    """Return the kind of each pair of a track and a listener, see `pair_outcomes`.

    Computed from what is known of each track, so that no table of listeners by tracks is needed.

    Args:
        catalogue: the tracks.
        tracks: (n_listeners, n) indices: row i is judged by listener i.
        listeners: (n_listeners,).

    Returns:
        (n_listeners, n) uint8 in 0..63.
    """
    step = max(1, _BLOCK // max(1, tracks.shape[1]))
    if len(tracks) > step:
        kinds = np.empty(tracks.shape, dtype=np.uint8)
        for first in range(0, len(tracks), step):
            part = slice(first, first + step)
            kinds[part] = pair_kinds(catalogue, tracks[part], listeners.take(part))
        return kinds
    tracks = np.asarray(tracks, dtype=np.intp)
    value = catalogue.danceability.take(tracks)
    matches = (
        catalogue.artists.held(tracks, listeners.artist[:, None]),
        catalogue.genres.held(tracks, listeners.genre[:, None]),
        (value >= listeners.low[:, None]) & (value <= listeners.high[:, None]),
    )
    left_open = (listeners.artist == OPEN, listeners.genre == OPEN, listeners.any_danceability)
    kinds = np.zeros(tracks.shape, dtype=np.uint8)
    for row, (match, is_open) in enumerate(zip(matches, left_open, strict=True)):
        bit = 1 << (MATCH_BITS - 1 - row)
        kinds += match.view(np.uint8) * np.uint8(bit)  # ten times as fast as a shift
        kinds += (is_open.view(np.uint8) * np.uint8(bit << MATCH_BITS))[:, None]
    return kinds


def pair_outcomes(weights: Sequence[float] = (1.0, 1.0, 1.0)) -> NDArray[np.float64]:
    """Return the terms and the score of each kind of pair.

    A kind's lower three bits say which of `TERMS` match, highest first, as in `Scores.kinds`; the
    upper three say which are left open, and contribute 0 whether or not they match.

    Returns:
        (4, 64) float64: the weighted terms and their sum, see `Outcomes.by_kind`.

    Raises:
        ValueError: the weights are not three finite numbers of at least 0.
    """
    weights = checked_weights(weights)
    kinds = np.arange(2 ** (2 * MATCH_BITS))
    by_kind = np.zeros((MATCH_BITS + 1, len(kinds)))
    for row, weight in enumerate(weights):
        bit = 1 << (MATCH_BITS - 1 - row)
        by_kind[row] = np.where(kinds & bit, weight, 0.0 - weight)
        by_kind[row][kinds & (bit << MATCH_BITS) > 0] = 0.0
    # Added one after another, as in `score_tracks`: the same bits.
    by_kind[3] = by_kind[0] + by_kind[1] + by_kind[2]
    return read_only(by_kind)
