"""What is observed in MusicRecSession-v0: a track, and behind it the state of the listener."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.effects import Effects
from music_env.encoding import ENCODINGS, MAX_STATES, Encoded, encode
from music_env.naming import nearest

SESSION_ENCODINGS = ("one-hot", "codes", "summary", "grid")
"""The encodings that have a place for the state; the first is the default."""

MAX_LABELS = 64
"""With more genres (or artists) than this, the levels of those not shown are not observed."""

GRID: Mapping[str, int] = {
    "enjoyment": 12,
    "satiates": 4,
    "satiation": 20,
    "patience": 5,
    "left": 8,
}
"""The default numbers of bins of ``grid``. Tuned by us."""

Float32 = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class State:
    """What matters of some sessions, besides the tracks shown.

    Attributes:
        levels: (n, n_labels) float64: the satiation level of each genre (or artist).
        level: (n,) float64: that of the track shown; (n, n_offered) where there are several.
        enjoyment: likewise: what playing it would earn.
        pool_level: (n,) float64: the mean over the tracks that sessions show.
        patience: (n,) float64, 0 to 1.
        left: (n,) float64: the share of the session that is still to come, 0 to 1.
    """

    levels: NDArray[np.float64]
    level: NDArray[np.float64]
    enjoyment: NDArray[np.float64]
    pool_level: NDArray[np.float64]
    patience: NDArray[np.float64]
    left: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StateEncoded:
    """Tracks and the state of the listener in one encoding.

    Attributes:
        name: the encoding's name.
        space: the observation space.
        columns: the name of each column, () for states.
        track: the encoding of the tracks alone; None where only their enjoyment is observed.
        fresh: (n_tracks,) float64: the enjoyment of each fresh track.
        top: the greatest level that there can be, which is observed as 1.
        first: the column at which the state begins; None: it is hidden.
        with_levels: all levels are observed.
        edges: of the bins of enjoyment, in ``grid``.
        bins: how many there are of the others, in ``grid``.
        satiates: (n_tracks,) int64: each track's bin of what a play adds to the pool's mean level,
            in ``grid``.
    """

    name: str
    space: gym.Space[Any]
    columns: tuple[str, ...]
    track: Encoded | None
    fresh: NDArray[np.float64]
    top: float
    first: int | None
    with_levels: bool
    edges: NDArray[np.float64] | None = None
    bins: tuple[int, ...] = ()
    satiates: NDArray[np.int64] | None = None

    def observe(self, tracks: NDArray[np.int64], state: State) -> NDArray[Any]:
        """Return fresh observations of (n,) tracks in (n,) states: rows, or numbers of states."""
        if self.edges is not None:
            return self._numbers(tracks, state)
        if self.first is None:
            assert self.track is not None
            return self.track.rows.take(tracks)
        observed = np.empty((len(tracks), len(self.columns)), dtype=np.float32)
        if self.track is None:
            observed[:, 0] = self.fresh.take(tracks)
        else:
            rows, behind = self.track.rows.take(tracks), len(self.track.columns) - self.first
            observed[:, : self.first] = rows[:, : self.first]
            observed[:, observed.shape[1] - behind :] = rows[:, self.first :]
        column = self.first
        if self.with_levels:
            width = state.levels.shape[1]
            observed[:, column : column + width] = state.levels / self.top
            column += width
        observed[:, column] = state.level / self.top
        observed[:, column + 1] = state.pool_level / self.top
        observed[:, column + 2] = state.patience
        observed[:, column + 3] = state.left
        return observed

    def _numbers(self, tracks: NDArray[np.int64], state: State) -> NDArray[np.int64]:
        """Return the state's number in ``grid``."""
        assert self.edges is not None and self.satiates is not None
        number = np.searchsorted(self.edges, state.enjoyment, side="right")
        number = number * self.bins[0] + self.satiates.take(tracks)
        # Small levels, which are the usual ones, in finer bins.
        for values, bins in zip(
            (np.sqrt(state.pool_level / self.top), state.patience, state.left),
            self.bins[1:],
            strict=True,
        ):
            number = number * bins + np.minimum((values * bins).astype(np.int64), bins - 1)
        numbers: NDArray[np.int64] = number.astype(np.int64)
        return numbers


def state_encoding(
    catalogue: Catalogue,
    fresh: NDArray[np.float64],
    satiates: NDArray[np.float64],
    pool: NDArray[np.int64],
    labels: tuple[str, ...],
    top: float,
    effects: Effects,
    *,
    encoding: str,
    options: Mapping[str, int] | None,
    observe_state: bool,
) -> StateEncoded:
    """Return an encoding of tracks and state; `MusicRecSessionEnv` describes them.

    Args:
        catalogue: the tracks.
        fresh: (n_tracks,) float64: the enjoyment of each.
        satiates: (n_tracks,) float64: what playing it adds to the pool's mean level.
        pool: (n,) indices of the tracks that sessions show.
        labels: the names of the genres (or artists) that have a level.
        top: the greatest level that there can be.
        effects: how strong they are.
        encoding: its name.
        options: of ``grid``, the number of bins by name (`GRID`).
        observe_state: False: the track alone is observed, in an encoding of MusicRec-v0.

    Raises:
        ValueError: for another encoding, an option that is none, or too many states.
    """
    if not observe_state:
        track = encode(catalogue, encoding, options)
        return StateEncoded(encoding, track.space, track.columns, track, fresh, top, None, False)
    if encoding not in SESSION_ENCODINGS:
        hint = ": it has no place for the state" if encoding in ENCODINGS else ""
        raise ValueError(
            f"encoding must be one of {', '.join(map(repr, SESSION_ENCODINGS))} where the state is "
            f"observed, got {encoding!r}{hint}." + nearest(str(encoding), SESSION_ENCODINGS)
        )
    with_levels = len(labels) <= MAX_LABELS
    if encoding == "grid":
        return _grid(fresh, satiates, pool, top, effects, options)
    if options:
        raise ValueError(f"encoding {encoding!r} has no options, got {sorted(options)}")
    named = tuple(f"satiation {label}" for label in labels) if with_levels else ()
    state = (*named, "satiation", "satiation pool", "patience", "left")
    ones = np.ones(len(state))
    if encoding == "summary":
        low = np.concatenate([[fresh[pool].min()], 0 * ones]).astype(np.float32)
        high = np.concatenate([[fresh[pool].max()], ones]).astype(np.float32)
        space = gym.spaces.Box(low, high, dtype=np.float32)
        return StateEncoded(encoding, space, ("fresh", *state), None, fresh, top, 1, with_levels)
    track = encode(catalogue, encoding)
    assert isinstance(track.space, gym.spaces.Box)
    # In codes in front of the genres, so that all numbers stand together.
    n_columns = len(track.columns)
    first = n_columns if encoding == "one-hot" else int((track.space.high == 1).sum())
    columns = (*track.columns[:first], *state, *track.columns[first:])
    bounds = np.insert(track.space.high, first, ones)
    space = gym.spaces.Box(np.zeros_like(bounds), bounds, dtype=np.float32)
    return StateEncoded(encoding, space, columns, track, fresh, top, first, with_levels)


def _grid(
    fresh: NDArray[np.float64],
    satiates: NDArray[np.float64],
    pool: NDArray[np.int64],
    top: float,
    effects: Effects,
    options: Mapping[str, int] | None,
) -> StateEncoded:
    # What cannot matter makes the table no larger.
    unneeded = dict.fromkeys(() if effects.satiation else ("satiates", "satiation"), 1)
    unneeded |= dict.fromkeys(() if effects.patience else ("patience",), 1)
    chosen = {**GRID, **unneeded, **(options or {})}
    for name, value in chosen.items():
        if name not in GRID:
            raise ValueError(
                f"encoding 'grid' has no option {name!r}; it has {', '.join(GRID)}."
                + nearest(str(name), GRID)
            )
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"encoding option {name} must be a whole number >= 1, got {value!r}")
    if (n_states := math.prod(map(int, chosen.values()))) > MAX_STATES:
        raise ValueError(
            f"encoding 'grid' must have at most {MAX_STATES:,} states, got "
            + " * ".join(f"{value} ({name})" for name, value in chosen.items())
            + f" = {n_states:,}: lower some of its options"
        )
    n_classes, n_satiates, *bins = (int(value) for value in chosen.values())
    enjoyed = pool[fresh[pool] > 0]
    # What would not be enjoyed is one bin: there is nothing to choose among such tracks.
    edges = np.append(0.0, _quantiles(fresh[enjoyed], n_classes - 1))[: n_classes - 1]
    classes = np.searchsorted(_quantiles(satiates[enjoyed], n_satiates), satiates, side="right")
    sizes = (int(classes.max()) + 1, *bins)
    space = gym.spaces.Discrete((len(edges) + 1) * math.prod(sizes))
    return StateEncoded("grid", space, (), None, fresh, top, None, False, edges, sizes, classes)


def _quantiles(values: NDArray[np.float64], n_bins: int) -> NDArray[np.float64]:
    """Return the edges, all different, of at most ``n_bins`` bins of about as many values each."""
    if n_bins <= 1 or not len(values):
        return np.zeros(0)
    n_bins = min(n_bins, len(values) + 1)  # more could not differ
    edges: NDArray[np.float64] = np.unique(np.quantile(values, np.arange(1, n_bins) / n_bins))
    return edges
