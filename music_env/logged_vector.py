"""The native vector environment: `num_envs` sessions of MusicRecLogged-v0 at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from music_env.judgements import Judgements
from music_env.logged_tables import LoggedTables, OverLogged
from music_env.vector import Bools, SessionVectorEnv, check_counts


class MusicRecLoggedVectorEnv(OverLogged, SessionVectorEnv):
    """Many sessions of `MusicRecLoggedEnv` at once; made by `gymnasium.make_vec`.

    Equal to `gymnasium.vector.SyncVectorEnv` of as many `MusicRecLoggedEnv`, bit for bit; ``info``
    holds numbers only (no ``track_id``).

    Args:
        num_envs: how many environments.
        max_episode_steps: truncate after so many steps; None: never.
        autoreset_mode: ``NEXT_STEP`` (default), ``SAME_STEP`` or ``DISABLED`` (with
            ``reset(options={"reset_mask": mask})``): an `AutoresetMode` or its value.
        judgements, columns, like, encoding, encoding_options, tracks, session_length, render_mode:
            see `MusicRecLoggedEnv`.

    Raises:
        ValueError: see `MusicRecLoggedEnv`; and for ``num_envs`` or ``max_episode_steps`` below 1.
    """

    _id = "MusicRecLogged-v0"
    _tables: LoggedTables

    def __init__(
        self,
        num_envs: int = 1,
        *,
        judgements: Judgements | str | PathLike[str] | None = None,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        columns: Mapping[str, str] | None = None,
        like: str = "like",
        encoding: str = "one-hot",
        encoding_options: Mapping[str, int] | None = None,
        tracks: Sequence[int] | NDArray[np.int64] | None = None,
        session_length: int = 100,
        render_mode: str | None = None,
    ) -> None:
        check_counts(num_envs, max_episode_steps)
        tables = LoggedTables.build(
            judgements=judgements,
            columns=columns,
            like=like,
            encoding=encoding,
            encoding_options=encoding_options,
            tracks=tracks,
            session_length=session_length,
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
