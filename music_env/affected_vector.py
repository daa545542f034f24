"""What all vector environments share in which what is played affects the listener."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from music_env.affected_setup import AffectedSetup, DrawnSessions, Offers, OverSetup
from music_env.rendering import StateView
from music_env.session_observation import State
from music_env.session_tables import Drawn
from music_env.vector import Bools, Info, SessionVectorEnv, put


class AffectedVectorEnv(OverSetup, SessionVectorEnv):
    """Many listeners with satiation and patience, see `MusicRecSessionEnv`.

    A subclass calls `_set_up`, and `_live_through` in each step; it says what is `_offered`.
    """

    _tables: AffectedSetup
    _shows: ClassVar[str] = "track"
    """What a session shows, for messages."""
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

    def _set_up(self, tables: Any, space: Any, *, num_envs: int, **arguments: Any) -> None:
        super()._set_up(tables, space, num_envs=num_envs, **arguments)
        length = self.session_length
        # The listeners: satiation levels, the last column always 0, and patience.
        self._levels = np.zeros((num_envs, self._tables.n_labels + 1))
        self._patience = np.ones(num_envs)
        self._has_left = np.zeros(num_envs, dtype=np.bool_)
        self._plays = np.zeros(num_envs, dtype=np.int64)
        self._rewards = np.zeros(num_envs)  # of the last step
        self._level_history = np.zeros((length, num_envs))
        self._patience_history = np.zeros((length, num_envs))
        self._enjoyment = np.zeros(num_envs)  # of the last step, for info
        self._chances = np.zeros((length, num_envs))  # derived, as the order of the tracks is

    def offers(self) -> Offers:
        """Return what a planner knows, a row an environment.

        Raises:
            gymnasium.error.ResetNeeded: before the first `reset`.
        """
        self._check_begun()
        tracks, available = self._offered()
        return Offers(
            tracks=tracks,
            available=available,
            steps=self._position.copy(),
            state=self._state_of(tracks, slice(None)),
        )

    # --- Parts ------------------------------------------------------------------------------------

    def _check_begun(self) -> None:
        """Raise ``ResetNeeded`` where an environment has shown nothing yet."""
        if (self._sessions < 0).any():
            raise gym.error.ResetNeeded(
                f"no {self._shows} is shown: call reset() to begin a session"
            )

    def _offered(self) -> tuple[NDArray[np.int64], Bools]:
        """Return the tracks offered, (num_envs, n_offered) int64, and which are available."""
        raise NotImplementedError

    def _state_of(self, tracks: NDArray[np.int64], envs: Any) -> State:
        """Return the state of the environments in a mask, for (n,) or (n, n_offered) tracks."""
        return self._tables.state(
            tracks, self._levels[envs], self._patience[envs], self._position[envs]
        )

    def _live_through(
        self, tracks: NDArray[np.int64], played: Bools
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Take a step in which each environment plays its track, or passes over it.

        Args:
            tracks: (num_envs,) indices.
            played: (num_envs,) which are played.

        Returns:
            (num_envs,) float64 rewards; (3, num_envs) float64: their terms, and the fresh
            enjoyment of the tracks, whether they were played or not.
        """
        setup, effects = self._tables, self._tables.effects
        fresh = setup.scores.total.take(tracks)
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
            for name, values in self._lived_info().items():
                mask = np.ones(self.num_envs, dtype=np.bool_) if resetting is None else ~resetting
                put(info, name, np.where(mask, values, values.dtype.type(0)), mask)
        return info

    def _lived_info(self) -> dict[str, NDArray[Any]]:
        """Return what ``info`` says of the step taken, (num_envs,) each, beside the score."""
        return {"enjoyment": self._enjoyment, "patience": self._patience}

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

    def _state_view(self, env: int, played: bool | None) -> StateView:
        """Return the view of a listener's state; None: nothing is judged yet."""
        number = int(self._position[env])
        return self._tables.state_view(
            self._levels[env],
            float(self._patience[env]),
            self._level_history[:number, env].tolist(),
            self._patience_history[:number, env].tolist(),
            played=played,
            reward=float(self._rewards[env]),
            has_left=bool(self._has_left[env]),
        )
