"""The native vector environment: `num_envs` sessions of MusicRecAnyListener-v0 at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from music_env.any_tables import GIVEN, AnyTables, OverAny
from music_env.catalogue import Catalogue
from music_env.listener import Preference
from music_env.listeners import Listeners, Wanted
from music_env.population import Population, joined
from music_env.session_tables import Drawn
from music_env.vector import Bools, Info, SessionVectorEnv, check_counts

_FIELDS = tuple(Listeners.__dataclass_fields__)
# (index in the population, preference) of each environment, None where the listener is drawn.
_Chosen = list[tuple[int, Listeners] | None]


class MusicRecAnyListenerVectorEnv(OverAny, SessionVectorEnv):
    """Many sessions of `MusicRecAnyListenerEnv` at once; made by `gymnasium.make_vec`.

    Equal to `gymnasium.vector.SyncVectorEnv` of as many `MusicRecAnyListenerEnv`, bit for bit:
    observations, rewards, both flags and the numbers in ``info`` with their masks. ``info`` holds
    numbers only (no ``track_id``), the reward's terms and the listener as arrays.

    ``reset(options={"listener": ...})`` sets one listener for all environments that are reset, or
    a sequence of ``num_envs``: preferences, mappings, indices into the population, or None where
    the listener is drawn. Resets at the end of a session draw the listener again.

    Args:
        num_envs: how many environments.
        max_episode_steps: truncate after so many steps; None: never.
        autoreset_mode: ``NEXT_STEP`` (default), ``SAME_STEP`` or ``DISABLED`` (with
            ``reset(options={"reset_mask": mask})``): an `AutoresetMode` or its value, e.g.
            ``"SameStep"``.
        catalogue, population, split, test_share, population_seed, population_options, balance,
            weights, encoding, tracks, session_length, render_mode: see `MusicRecAnyListenerEnv`.

    Raises:
        ValueError: see `MusicRecAnyListenerEnv`; and for ``num_envs`` or ``max_episode_steps``
            below 1.
    """

    _id = "MusicRecAnyListener-v0"
    _tables: AnyTables
    _state = (
        *SessionVectorEnv._state,
        "listener_index",
        *(f"listener_{name}" for name in _FIELDS),
    )

    def __init__(
        self,
        num_envs: int = 1,
        *,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
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
        check_counts(num_envs, max_episode_steps)
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
        # Whom each environment's session belongs to, (num_envs,) each; all open before a reset.
        nobody = Listeners.of(tables.catalogue, [Preference()] * num_envs)
        self._listener_index = np.full(num_envs, GIVEN)
        for name, array in nobody.arrays().items():
            setattr(self, f"_listener_{name}", array.copy())
        self._listener_rows = tables.encoded.listeners(nobody)  # derived from it
        self._set_up(
            tables,
            tables.encoded.space,
            num_envs=num_envs,
            max_episode_steps=max_episode_steps,
            autoreset_mode=autoreset_mode,
            render_mode=render_mode,
        )

    @property
    def listeners(self) -> Listeners:
        """The listener of each environment's present session, (num_envs,)."""
        return Listeners(*(getattr(self, f"_listener_{name}").copy() for name in _FIELDS))

    # --- Parts ------------------------------------------------------------------------------------

    def _observe(self, tracks: NDArray[np.int64], envs: Bools | None = None) -> NDArray[Any]:
        rows = self._listener_rows if envs is None else self._listener_rows[envs]
        return self._tables.encoded.pairs(tracks, rows)

    _reset_options = ("listener", "reset_mask")

    def _chosen(self, options: Mapping[str, Any]) -> _Chosen | None:
        wanted = options.get("listener")
        if wanted is None:
            return None
        several = isinstance(wanted, Iterable) and not isinstance(wanted, Mapping | str)
        several = several and getattr(wanted, "ndim", 1) > 0  # an array of no dimension is none
        each = list(wanted) if several else [wanted] * self.num_envs
        if len(each) != self.num_envs:
            raise ValueError(
                f"listener must be one for all or a sequence of num_envs = {self.num_envs}, got "
                f"{len(each)} listeners"
            )
        return [None if w is None else self._tables.resolve(w) for w in each]

    def _draw(self, mask: Bools, chosen: _Chosen | None) -> Drawn:
        keys, numbers = self._keys[mask], self._sessions[mask].astype(np.uint64)
        index = self._tables.drawn_listeners(keys, numbers)
        listeners = self._tables.population.listeners.take(index)
        if chosen is not None:
            set_ones = [chosen[i] for i in np.flatnonzero(mask)]
            parts = []
            for i, found in enumerate(set_ones):
                if found is None:
                    parts.append(listeners.take(slice(i, i + 1)))
                else:
                    index[i] = found[0]
                    parts.append(found[1])
            listeners = joined(parts)
        self._listener_index[mask] = index
        for name, array in listeners.arrays().items():
            getattr(self, f"_listener_{name}")[mask] = array
        self._listener_rows[mask] = self._tables.encoded.listeners(listeners)
        return self._tables.draw_for(listeners, keys, numbers)

    def _drawn_again(self, mask: Bools) -> Drawn:
        listeners = self.listeners.take(mask)
        self._listener_rows[mask] = self._tables.encoded.listeners(listeners)
        numbers = self._sessions[mask].astype(np.uint64)
        return self._tables.draw_for(listeners, self._keys[mask], numbers)

    def _shown_info(self) -> Info:
        listener = {"index": self._listener_index.copy()}
        listener |= {name: getattr(self, f"_listener_{name}").copy() for name in _FIELDS}
        return {**super()._shown_info(), "listener": listener}

    def _shown_tables(self, env: int) -> Any:
        return self._tables.view_of(self.listeners, env)
