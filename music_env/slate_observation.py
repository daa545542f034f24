"""What is observed in MusicRecSlate-v0: the state of the listener, and a row a candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.encoding import ENCODINGS, MAX_ONE_HOT_COLUMNS, Encoded, encode
from music_env.naming import nearest
from music_env.session_observation import MAX_LABELS, State

SLATE_ENCODINGS = ("codes", "one-hot", "summary")
"""The encodings of a candidate; the first is the default."""

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class SlateLayout:
    """Where things stand in an observation: the state first, then a row a candidate.

    Plain numbers, so that a network's configuration can hold them. A network that scores
    candidates one by one reads ``observations[:, layout.rows]``, (n, slate_size, row_size): each
    candidate's columns with those of the state among them, numbers before codes, the bounds of
    which are ``layout.row_space(space)``. It has the same inputs for any ``slate_size``.

    Attributes:
        slate_size: how many candidates there are.
        n_state: columns of the state, which come first; 0 where it is hidden.
        n_levels: of these, the first: a level of each genre (or artist); 0 where they are too many.
        n_columns: columns of a candidate.
        n_numbers: of these, those before the codes; all of them where there are no codes.
        played: the column of a candidate that is 1 where the track was played before.
    """

    slate_size: int
    n_state: int
    n_levels: int
    n_columns: int
    n_numbers: int
    played: int

    @property
    def size(self) -> int:
        """Columns of an observation."""
        return self.n_state + self.slate_size * self.n_columns

    @property
    def row_size(self) -> int:
        """Columns of a candidate and the state together."""
        return self.n_columns + self.n_state

    @property
    def state(self) -> slice:
        """The columns of the state."""
        return slice(0, self.n_state)

    @property
    def candidates(self) -> NDArray[np.int64]:
        """(slate_size, n_columns) int64: the columns of each candidate."""
        columns = np.arange(self.n_state, self.size, dtype=np.int64)
        return columns.reshape(self.slate_size, self.n_columns)

    @property
    def rows(self) -> NDArray[np.int64]:
        """(slate_size, row_size) int64: each candidate's numbers, the state, its codes."""
        own = self.candidates
        state = np.broadcast_to(np.arange(self.n_state), (self.slate_size, self.n_state))
        return np.concatenate([own[:, : self.n_numbers], state, own[:, self.n_numbers :]], axis=1)

    @property
    def played_columns(self) -> NDArray[np.int64]:
        """(slate_size,) int64: the column of each candidate that says that it was played."""
        return self.candidates[:, self.played]

    def row_space(self, space: gym.spaces.Box) -> gym.spaces.Box:
        """Return the bounds of one candidate and the state, given those of the observations."""
        row = self.rows[0]
        return gym.spaces.Box(space.low[row], space.high[row], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class SlateEncoded:
    """A slate and the state of the listener in one encoding.

    Attributes:
        name: the encoding's name.
        space: the observation space.
        layout: what stands where.
        columns: the name of each column of an observation.
        track: the encoding of the tracks alone; None in ``summary``.
        summary: (n_tracks, 2) float32: each track's columns there.
        top: the greatest level that there can be, which is observed as 1.
    """

    name: str
    space: gym.spaces.Box
    layout: SlateLayout
    columns: tuple[str, ...]
    track: Encoded | None
    summary: Float32
    top: float

    def observe(
        self, tracks: NDArray[np.int64], available: NDArray[np.bool_], state: State
    ) -> Float32:
        """Return fresh (n, layout.size) observations.

        Args:
            tracks: (n, slate_size) indices of the candidates.
            available: (n, slate_size): which were not played before.
            state: of the listeners, for each candidate.
        """
        layout = self.layout
        n, observes_state = len(tracks), layout.n_state > 0
        rows = np.empty((n, layout.slate_size, layout.n_columns), dtype=np.float32)
        shown = tracks.ravel()
        own = self.summary[shown] if self.track is None else self.track.rows.take(shown)
        own = own.reshape(n, layout.slate_size, -1)
        first = layout.n_numbers - 1 - observes_state  # of the columns that are not the track's
        rows[..., :first] = own[..., :first]
        rows[..., layout.n_numbers :] = own[..., first:]
        rows[..., layout.played] = ~available
        if observes_state:
            rows[..., layout.played - 1] = state.level / self.top
        observed = np.empty((n, layout.size), dtype=np.float32)
        if observes_state:
            if layout.n_levels:
                observed[:, : layout.n_levels] = state.levels / self.top
            observed[:, layout.n_state - 3] = state.pool_level / self.top
            observed[:, layout.n_state - 2] = state.patience
            observed[:, layout.n_state - 1] = state.left
        observed[:, layout.n_state :] = rows.reshape(n, -1)
        return observed


def slate_encoding(
    catalogue: Catalogue,
    fresh: NDArray[np.float64],
    satiates: NDArray[np.float64],
    pool: NDArray[np.int64],
    labels: tuple[str, ...],
    top: float,
    *,
    slate_size: int,
    encoding: str,
    options: Mapping[str, int] | None,
    observe_state: bool,
) -> SlateEncoded:
    """Return the encoding of slates.

    Args:
        catalogue: the tracks.
        fresh: (n_tracks,) float64: the enjoyment of each fresh track.
        satiates: (n_tracks,) float64: what playing it adds to the pool's mean level.
        pool: (n_pool,) the tracks that sessions offer.
        labels: the genres (or artists) that have a level.
        top: the greatest level that there can be.
        slate_size: how many candidates a step offers.
        encoding: its name.
        options: none are known.
        observe_state: False: the state is hidden, and only the candidates are observed.

    Raises:
        ValueError: for another encoding, an option, or more than 20,000 one-hot columns.
    """
    if encoding not in SLATE_ENCODINGS:
        known = encoding in ENCODINGS or encoding == "grid"
        raise ValueError(
            f"encoding must be one of {', '.join(map(repr, SLATE_ENCODINGS))}, got {encoding!r}"
            + (": a state number has no place for a slate." if known else ".")
            + nearest(str(encoding), SLATE_ENCODINGS)
        )
    if options:
        raise ValueError(f"encoding {encoding!r} has no options here, got {dict(options)}")
    with_levels = observe_state and len(labels) <= MAX_LABELS
    state = [f"satiation {label}" for label in labels] if with_levels else []
    n_levels = len(state)
    state += ["satiation pool", "patience", "left"] if observe_state else []
    added = ["satiation", "played"] if observe_state else ["played"]
    track = None if encoding == "summary" else encode(catalogue, encoding)
    if track is None:
        names, n_numbers = ["fresh", "satiates"], 2
        low, high = np.array([fresh[pool].min(), 0]), np.array([fresh[pool].max(), 1])
    else:
        assert isinstance(track.space, gym.spaces.Box)
        names, high = list(track.columns), track.space.high
        low = np.zeros_like(high)
        # In codes in front of the genres, so that all numbers stand together.
        n_numbers = len(names) if encoding == "one-hot" else int((high == 1).sum())
    names[n_numbers:n_numbers] = added
    low, high = (
        np.insert(low, n_numbers, [0] * len(added)),
        np.insert(high, n_numbers, [1] * len(added)),
    )
    n_numbers += len(added)
    layout = SlateLayout(
        slate_size, len(state), n_levels, len(names), n_numbers, played=n_numbers - 1
    )
    if encoding == "one-hot" and layout.size > MAX_ONE_HOT_COLUMNS:
        raise ValueError(
            f"encoding 'one-hot' would need {layout.size} columns for {slate_size} candidates of "
            f"this catalogue, over {MAX_ONE_HOT_COLUMNS}: use encoding 'codes', or a smaller "
            "slate_size"
        )
    zeros, ones = np.zeros(len(state)), np.ones(len(state))
    space = gym.spaces.Box(
        np.concatenate([zeros, np.tile(low, slate_size)]).astype(np.float32),
        np.concatenate([ones, np.tile(high, slate_size)]).astype(np.float32),
        dtype=np.float32,
    )
    columns = (*state, *(f"{i + 1} {name}" for i in range(slate_size) for name in names))
    # Never above 1, whatever the rounding of shares that add up to it.
    summary = np.stack([fresh, np.minimum(satiates, 1)], axis=1).astype(np.float32)
    return SlateEncoded(encoding, space, layout, columns, track, summary, top)
