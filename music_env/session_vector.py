"""The native vector environment: `num_envs` sessions of MusicRecSession-v0 at a time."""

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
from music_env.rendering import StepView
from music_env.session_observation import State
from music_env.session_setup import DrawnSessions, OverSetup, SessionSetup
from music_env.session_tables import Drawn
from music_env.vector import Bools, Info, SessionVectorEnv, check_counts, put


class MusicRecSessionVectorEnv(OverSetup, SessionVectorEnv):
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

    _id = "MusicRecSession-v0"
    _tables: SessionSetup
    _state = (
        *SessionVectorEnv._state,
        "levels",
        "patience",
        "has_left",
        "plays",
        "rewards",
        "level_history",
        "patience_history",
    )

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
        length = setup.session_length
        # The listeners: satiation levels, the last column always 0, and patience.
        self._levels = np.zeros((num_envs, setup.n_labels + 1))
        self._patience = np.ones(num_envs)
        self._has_left = np.zeros(num_envs, dtype=np.bool_)
        self._plays = np.zeros(num_envs, dtype=np.int64)
        self._rewards = np.zeros(num_envs)  # of the last step
        self._level_history = np.zeros((length, num_envs))
        self._patience_history = np.zeros((length, num_envs))
        self._enjoyment = np.zeros(num_envs)  # of the last step, for info
        self._chances = np.zeros((length, num_envs))  # derived, as the order of the tracks is
        self._set_up(
            setup,
            setup.encoded.space,
            num_envs=num_envs,
            max_episode_steps=max_episode_steps,
            autoreset_mode=autoreset_mode,
            render_mode=render_mode,
        )

    def listener_state(self) -> tuple[NDArray[np.int64], NDArray[np.int64], State]:
        """Return what a planner knows.

        Returns:
            (num_envs,) the index of the track shown, (num_envs,) how many were judged, the state.
        """
        return self._track.copy(), self._position.copy(), self._state_of(self._track, slice(None))

    # --- Parts ------------------------------------------------------------------------------------

    def _observe(self, tracks: NDArray[np.int64], envs: Bools | None = None) -> NDArray[Any]:
        state = self._state_of(tracks, slice(None) if envs is None else envs)
        return self._tables.encoded.observe(tracks, state)

    def _state_of(self, tracks: NDArray[np.int64], envs: Any) -> State:
        return self._tables.state(
            tracks, self._levels[envs], self._patience[envs], self._position[envs]
        )

    def _judge(self, actions: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        setup, effects, tracks = self._tables, self._tables.effects, self._track
        fresh, played = setup.scores.total.take(tracks), actions == 1
        cost = effects.cost(setup.level_of(tracks, self._levels))
        self._enjoyment = enjoyment = fresh - cost
        rewards = np.where(played, enjoyment, 0.0)
        self._levels = setup.levels_after(tracks, played, self._levels)
        self._patience = np.where(
            played,
            effects.patience_after_play(self._patience, enjoyment),
            effects.patience_after_pass(self._patience),
        )
        place = np.minimum(self._position, self.session_length - 1), self._envs
        self._has_left = self._chances[place] < effects.leaves(self._patience)
        self._plays += played
        self._rewards = rewards.copy()
        self._level_history[place] = self._levels.max(axis=1)
        self._patience_history[place] = self._patience
        terms = np.where(played, fresh, 0.0), np.where(played, 0.0 - cost, 0.0), fresh
        return rewards, np.stack(terms)

    def _judged_info(self, judged: NDArray[np.float64], resetting: Bools | None) -> Info:
        info = super()._judged_info(judged, resetting)
        if resetting is None or not resetting.all():
            for name, values in (("enjoyment", self._enjoyment), ("patience", self._patience)):
                mask = np.ones(self.num_envs, dtype=np.bool_) if resetting is None else ~resetting
                put(info, name, np.where(mask, values, 0.0), mask)
        return info

    def _ends(self, resetting: Bools | None) -> tuple[Bools, Bools, bool]:
        terminated = (self._position == self.session_length) | self._has_left
        truncated = np.zeros(self.num_envs, dtype=np.bool_)
        if self.max_episode_steps is not None:
            truncated |= self._position >= self.max_episode_steps
        return terminated, truncated, bool(terminated.any() or truncated.any())

    def _final_info(self) -> dict[str, NDArray[Any]]:
        return {
            "episode_return": self._returns,
            "plays": self._plays,
            "has_left": self._has_left,
        }

    def _begin(self, mask: Bools, chosen: Any = None) -> None:
        self._levels[mask] = 0.0
        self._patience[mask] = 1.0
        self._has_left[mask] = False
        self._plays[mask] = 0
        self._rewards[mask] = 0.0
        self._level_history[:, mask] = self._patience_history[:, mask] = 0.0
        super()._begin(mask, chosen)

    def _show_sessions(self, mask: Bools, drawn: Drawn) -> None:
        assert isinstance(drawn, DrawnSessions)
        super()._show_sessions(mask, drawn)
        self._chances[:, mask] = drawn.chances.T

    def _view(self, env: int) -> StepView:
        number = int(self._position[env])
        played = None if number == 0 else bool(self._actions[env])
        reward = float(self._rewards[env])
        state = self._tables.state_view(
            self._levels[env],
            float(self._patience[env]),
            self._level_history[:number, env].tolist(),
            self._patience_history[:number, env].tolist(),
            played=played,
            reward=reward,
            has_left=bool(self._has_left[env]),
        )
        return StepView(
            tables=self._shown_tables(env),
            track=int(self._order[max(number - 1, 0), env]),
            action=None if played is None else int(played),
            number=number,
            episode_return=float(self._returns[env]),
            reward=reward,
            env_id=self._id,
            state=state,
        )
