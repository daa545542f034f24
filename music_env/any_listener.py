"""The scalar environment MusicRecAnyListener-v0. The class docstring is its specification."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from music_env.any_tables import GIVEN, AnyTables, OverAny
from music_env.catalogue import Catalogue
from music_env.listener import Preference
from music_env.listeners import Listeners, Wanted
from music_env.population import Population
from music_env.scalar import SessionEnv


@dataclass(frozen=True)
class _Session:
    """A session and whom it belongs to."""

    tracks: list[int]
    kinds: list[int]
    index: int
    listener: Listeners  # of one


class MusicRecAnyListenerEnv(OverAny, SessionEnv):
    """SPECIFICATION"""

    _id = "MusicRecAnyListener-v0"
    _tables: AnyTables

    def __init__(
        self,
        *,
        catalogue: Catalogue | str | PathLike[str] | None = None,
        population: Population | str | PathLike[str] | Iterable[Wanted] | None = None,
        split: str = "all",
        test_share: float = 0.2,
        population_seed: int = 0,
        population_options: Mapping[str, Any] | None = None,
        balance: str | Mapping[str, float] = "balanced",
        weights: Sequence[float] = (1, 1, 1),
        encoding: str = "codes",
        tracks: Sequence[int] | NDArray[np.int64] | None = None,
        session_length: int = 100,
        render_mode: str | None = None,
    ) -> None:
        tables = AnyTables.build(
            catalogue=catalogue,
            population=population,
            split=split,
            test_share=test_share,
            population_seed=population_seed,
            population_options=population_options,
            balance=balance,
            weights=weights,
            encoding=encoding,
            tracks=tracks,
            session_length=session_length,
        )
        self._index = GIVEN
        self._listener: Listeners | None = None
        self._set_up(tables, tables.encoded.space, render_mode)

    @property
    def preference(self) -> Preference:
        """The preference of the present session's listener.

        Raises:
            gymnasium.error.ResetNeeded: before the first `reset`.
        """
        return self._present().preference(0, self.catalogue)

    @property
    def scores(self) -> NDArray[np.float64]:
        """(n_tracks,) float64, read-only: the reward for *like* of every track, present listener.

        Raises:
            gymnasium.error.ResetNeeded: before the first `reset`.
        """
        return self._tables.scores_of(self.preference).total

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin the next session; with a seed, the first session of that seed.

        Args:
            seed: see `gymnasium.Env.reset`.
            options: ``{"listener": ...}`` sets the listener of this session: a `Preference`, a
                mapping such as ``{"artist": "...", "danceability": (0.4, 0.6)}``, or an index into
                the population. The session after it belongs to a drawn listener again.

        Returns:
            The observation of the session's first track, and ``info`` with its ``track_index`` and
            the ``listener``.

        Raises:
            ValueError: for other options, or a listener that the catalogue cannot have.
        """
        options = dict(options or {})
        wanted = options.pop("listener", None)
        if options:
            raise ValueError(
                f"{self._id} has the reset option 'listener', got {sorted(options)} as well"
            )
        chosen = None if wanted is None else self._tables.resolve(wanted)
        self._next_session(seed)
        if chosen is None:
            session = self._session_of(self._session)
        else:
            self._ahead.pop(self._session, None)
            session = self._session_with(*chosen)
        self._begin(session)
        info = {"track_index": self._order[0], "listener": self._listener_info.copy()}
        return self._observe(self._order[0]), info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Judge the track shown, see `SessionEnv.step`; ``info`` also has the ``listener``."""
        result = super().step(action)
        result[-1]["listener"] = self._listener_info.copy()
        return result

    def get_state(self) -> dict[str, Any]:
        """Return the session's state as plain numbers; `set_state` goes on from it exactly."""
        listener = None if self._listener is None else dict(self._listener_info)
        return {**super().get_state(), "listener": listener}

    # --- Parts ------------------------------------------------------------------------------------

    def _bind(self) -> None:
        super()._bind()
        self._observe = self._pair
        if self._listener is not None:
            self._note_listener()

    def _pair(self, track: int) -> NDArray[np.float32]:
        row = self._tables.encoded.track.rows.row(track)
        pair: NDArray[np.float32] = np.concatenate((row, self._listener_row))
        return pair

    def _sessions_from(self, first: int, count: int) -> list[Any]:
        numbers = np.arange(first, first + count, dtype=np.uint64)
        keys = np.full(count, self._key, dtype=np.uint64)
        drawn = self._tables.draw(keys, numbers)
        indices = self._tables.drawn_listeners(keys, numbers)
        listeners = self._tables.population.listeners.take(indices)
        return [
            _Session(tracks, kinds, index, listeners.take(slice(i, i + 1)))
            for i, (tracks, kinds, index) in enumerate(
                zip(drawn.tracks.tolist(), drawn.kinds.tolist(), indices.tolist(), strict=True)
            )
        ]

    def _session_with(self, index: int, listener: Listeners) -> _Session:
        """Return the session of the present number, for this listener."""
        key, number = (np.array([value], dtype=np.uint64) for value in (self._key, self._session))
        drawn = self._tables.draw_for(listener, key, number)
        return _Session(drawn.tracks[0].tolist(), drawn.kinds[0].tolist(), index, listener)

    def _session_again(self, state: Mapping[str, Any]) -> _Session:
        values = dict(state["listener"])
        index = int(values.pop("index"))
        listener = Listeners.of_arrays({name: [value] for name, value in values.items()})
        return self._session_with(index, listener)

    def _begin(self, session: Any) -> None:
        super()._begin(session)
        self._index, self._listener = session.index, session.listener
        self._note_listener()

    def _note_listener(self) -> None:
        """Keep what each step shows of the present listener."""
        listener = self._present()
        self._listener_row = self._tables.encoded.listeners(listener)[0]
        values = {name: array.item() for name, array in listener.arrays().items()}
        self._listener_info = {"index": self._index, **values}

    def _present(self) -> Listeners:
        if self._listener is None:
            raise gym.error.ResetNeeded("there is no listener yet: call reset() first")
        return self._listener

    def _shown_tables(self) -> Any:
        return self._tables.view_of(self._present(), 0)
