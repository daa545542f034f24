"""The native vector environment: `num_envs` sessions of MusicRecSession-v0 at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from music_env.affected_vector import AffectedVectorEnv
from music_env.catalogue import Catalogue
from music_env.listener import Preference
from music_env.listener_models import ListenerModel
from music_env.rendering import StepView
from music_env.session_observation import StateEncoded
from music_env.session_setup import SessionSetup
from music_env.vector import Bools, check_counts


class MusicRecSessionVectorEnv(AffectedVectorEnv):
    """Many sessions of `MusicRecSessionEnv` at once; made by `gymnasium.make_vec`.

    Equal to `gymnasium.vector.SyncVectorEnv` of as many `MusicRecSessionEnv`, bit for bit; ``info``
    holds numbers only (no ``track_id``).

    Args:
        num_envs: how many environments.
        max_episode_steps: truncate after so many steps; None: never.
        autoreset_mode: ``NEXT_STEP`` (default), ``SAME_STEP`` or ``DISABLED`` (with
            ``reset(options={"reset_mask": mask})``): an `AutoresetMode` or its value.
        catalogue, artist, genre, danceability, weights, taste, taste_seed, listener, preset,
            satiation, decay, patience, satiation_of, enjoyed_share, encoding, encoding_options,
            observe_state, tracks, session_length, render_mode: see `MusicRecSessionEnv`.

    Raises:
        ValueError: see `MusicRecSessionEnv`; and for ``num_envs`` or ``max_episode_steps`` below 1.
    """

    _id = SessionSetup.env_id
    _tables: SessionSetup

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
        taste: float = 0.5,
        taste_seed: int = 0,
        listener: ListenerModel
        | Preference
        | str
        | PathLike[str]
        | Mapping[str, Any]
        | None = None,
        preset: str = "both",
        satiation: float | None = None,
        decay: float | None = None,
        patience: float | None = None,
        satiation_of: str = "genre",
        enjoyed_share: float | None = 0.5,
        encoding: str = "one-hot",
        encoding_options: Mapping[str, int] | None = None,
        observe_state: bool = True,
        tracks: Sequence[int] | NDArray[np.int64] | None = None,
        session_length: int = 50,
        render_mode: str | None = None,
    ) -> None:
        check_counts(num_envs, max_episode_steps)
        setup = SessionSetup.build(
            catalogue=catalogue,
            artist=artist,
            genre=genre,
            danceability=danceability,
            weights=weights,
            taste=taste,
            taste_seed=taste_seed,
            listener=listener,
            preset=preset,
            satiation=satiation,
            decay=decay,
            patience=patience,
            satiation_of=satiation_of,
            enjoyed_share=enjoyed_share,
            encoding=encoding,
            encoding_options=encoding_options,
            observe_state=observe_state,
            tracks=tracks,
            session_length=session_length,
        )
        self._set_up(
            setup,
            setup.encoded.space,
            num_envs=num_envs,
            max_episode_steps=max_episode_steps,
            autoreset_mode=autoreset_mode,
            render_mode=render_mode,
        )

    @property
    def encoded(self) -> StateEncoded:
        """What is observed: the space, and the names of the columns."""
        return self._tables.encoded

    # --- Parts ------------------------------------------------------------------------------------

    def _observe(self, tracks: NDArray[np.int64], envs: Bools | None = None) -> NDArray[Any]:
        state = self._state_of(tracks, slice(None) if envs is None else envs)
        return self._tables.encoded.observe(tracks, state)

    def _offered(self) -> tuple[NDArray[np.int64], Bools]:
        return self._track[:, None].copy(), np.ones((self.num_envs, 1), dtype=np.bool_)

    def _judge(self, actions: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self._live_through(self._track, actions == 1)

    def _view(self, env: int) -> StepView:
        number = int(self._position[env])
        played = None if number == 0 else bool(self._actions[env])
        return StepView(
            tables=self._shown_tables(env),
            track=int(self._order[max(number - 1, 0), env]),
            action=None if played is None else int(played),
            number=number,
            episode_return=float(self._returns[env]),
            reward=float(self._rewards[env]),
            env_id=self._id,
            state=self._state_view(env, played),
        )
