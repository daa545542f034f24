"""The native vector environment: `num_envs` sessions of MusicRec-v0 at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.listener import Preference
from music_env.listener_models import ListenerModel
from music_env.tables import OverTables, Tables
from music_env.vector import Bools, SessionVectorEnv, check_counts


class MusicRecVectorEnv(OverTables, SessionVectorEnv):
    """Many sessions of `MusicRecEnv` at once, over the same tables; made by `gymnasium.make_vec`.

    Equal to `gymnasium.vector.SyncVectorEnv` of as many `MusicRecEnv`, bit for bit: observations,
    rewards, both flags and the numbers in ``info`` with their masks. ``info`` holds numbers only
    (no ``track_id``), the reward's terms as three arrays. The environments may be in different
    places of their sessions, after a masked reset; while all are in the same place, as after a
    common reset, the order of tracks is read a row at a time.

    Args:
        num_envs: how many environments.
        max_episode_steps: truncate after so many steps; None: never.
        autoreset_mode: ``NEXT_STEP`` (default), ``SAME_STEP`` or ``DISABLED`` (with
            ``reset(options={"reset_mask": mask})``): an `AutoresetMode` or its value, e.g.
            ``"SameStep"``.
        catalogue, artist, genre, danceability, weights, encoding, encoding_options, tracks,
            session_length, listener, render_mode: see `MusicRecEnv`.

    Raises:
        ValueError: see `MusicRecEnv`; and for ``num_envs`` or ``max_episode_steps`` below 1.
    """

    _id = "MusicRec-v0"
    _tables: Tables

    def __init__(
        self,
        num_envs: int = 1,
        *,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        catalogue: Catalogue | str | PathLike[str] | None = None,
        artist: str | None = None,
        genre: str | None = None,
        danceability: tuple[float, float] | None = None,
        weights: Sequence[float] = (1, 1, 1),
        encoding: str = "one-hot",
        encoding_options: Mapping[str, int] | None = None,
        tracks: Sequence[int] | NDArray[np.int64] | None = None,
        session_length: int = 100,
        listener: ListenerModel
        | Preference
        | str
        | PathLike[str]
        | Mapping[str, Any]
        | None = None,
        render_mode: str | None = None,
    ) -> None:
        check_counts(num_envs, max_episode_steps)
        tables = Tables.build(
            catalogue=catalogue,
            artist=artist,
            genre=genre,
            danceability=danceability,
            weights=weights,
            encoding=encoding,
            encoding_options=encoding_options,
            tracks=tracks,
            session_length=session_length,
            listener=listener,
        )
        self._set_up(
            tables,
            tables.encoded.space,
            num_envs=num_envs,
            max_episode_steps=max_episode_steps,
            autoreset_mode=autoreset_mode,
            render_mode=render_mode,
        )

    def _observe(self, tracks: NDArray[np.int64], envs: Bools | None = None) -> NDArray[Any]:
        return self._tables.encoded.rows.take(tracks)
