"""What all scalar environments share in which what is played affects the listener."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from music_env.affected_setup import AffectedSetup, Offers, OverSetup
from music_env.rendering import StateView
from music_env.scalar import Action, SessionEnv
from music_env.session_observation import State
from music_env.session_tables import SessionTables


class AffectedEnv(OverSetup, SessionEnv):
    """A listener with satiation and patience, see `MusicRecSessionEnv`.

    A subclass calls `_set_up`, and `_live_through` in each step; it says what is `_offered`, and
    begins sessions that have ``chances`` besides what `SessionEnv` asks for.
    """

    _tables: AffectedSetup
    _shows: ClassVar[str] = "track"
    """What a session shows, for messages."""

    def _set_up(
        self,
        tables: SessionTables,
        space: gym.Space[Any],
        mode: str | None,
        *,
        n_actions: int = len(Action),
    ) -> None:
        super()._set_up(tables, space, mode, n_actions=n_actions)
        # The listener: (1, n_labels + 1) satiation levels, the last always 0, and the patience.
        self._levels = np.zeros((1, self._tables.n_labels + 1))
        self._patience = 1.0
        self._has_left = False
        self._plays = 0
        self._reward = 0.0  # of the last step
        self._chances: list[float] = []  # derived, as the order of the tracks is
        self._level_history: list[float] = []
        self._patience_history: list[float] = []

    def get_state(self) -> dict[str, Any]:
        """Return the session's state as plain numbers and lists; `set_state` goes on from it."""
        return {
            **super().get_state(),
            "levels": self._levels[0].tolist(),
            "patience": self._patience,
            "has_left": self._has_left,
            "plays": self._plays,
            "reward": self._reward,
            "level_history": list(self._level_history),
            "patience_history": list(self._patience_history),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned, in an environment made with the same arguments."""
        super().set_state(state)
        self._levels = np.array([state["levels"]], dtype=np.float64)
        self._patience, self._has_left = state["patience"], state["has_left"]
        self._plays, self._reward = state["plays"], state["reward"]
        self._level_history = list(state["level_history"])
        self._patience_history = list(state["patience_history"])

    def offers(self) -> Offers:
        """Return what a planner knows: of one session, in the form of the vector environment.

        Raises:
            gymnasium.error.ResetNeeded: before the first `reset`.
        """
        self._check_begun()
        tracks, available = self._offered()
        return Offers(
            tracks=tracks,
            available=available,
            steps=np.array([self._position]),
            state=self._state_of(tracks),
        )

    # --- Parts ------------------------------------------------------------------------------------

    def _offered(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the tracks offered, (1, n_offered) int64, and which are available, bool."""
        raise NotImplementedError

    def _state_of(self, tracks: NDArray[np.int64]) -> State:
        """Return the state, for (1,) or (1, n_offered) tracks."""
        patience, position = np.array([self._patience]), np.array([self._position])
        return self._tables.state(tracks, self._levels, patience, position)

    def _check_begun(self) -> None:
        """Raise ``ResetNeeded`` where nothing was shown yet."""
        if not self._order:
            raise gym.error.ResetNeeded(
                f"no {self._shows} is shown: call reset() to begin a session"
            )

    def _check_running(self) -> None:
        """Raise ``ResetNeeded`` where no step can be taken."""
        self._check_begun()
        if self._position >= len(self._order) or self._has_left:
            raise gym.error.ResetNeeded(
                f"no {self._shows} is shown: call reset() for the next session"
            )

    def _felt(self, track: int) -> tuple[float, float]:
        """Return the enjoyment of a track when fresh, and what satiation takes of it now."""
        fresh = self._tables.scores.total.item(track)
        level = self._tables.level_of(np.array([track]), self._levels).item()
        return fresh, self._tables.effects.cost(level)

    def _live_through(self, track: int, played: bool, enjoyment: float) -> bool:
        """Take a step in which a track is played, or passed over; return whether it is the last.

        Args:
            track: its index; of no account where nothing is played.
            played: whether it is.
            enjoyment: of the play.
        """
        setup, effects = self._tables, self._tables.effects
        self._reward = enjoyment if played else 0.0
        self._levels = setup.levels_after(np.array([track]), np.array([played]), self._levels)
        self._patience = (
            effects.patience_after_play(self._patience, enjoyment)
            if played
            else effects.patience_after_pass(self._patience)
        )
        self._has_left = self._chances[self._position] < effects.leaves(self._patience)
        self._plays += played
        self._level_history.append(self._levels.max().item())
        self._patience_history.append(self._patience)
        self._return += self._reward
        self._position += 1
        return self._has_left or self._position == len(self._order)

    def _begin(self, session: Any) -> None:
        super()._begin(session)
        self._chances = session.chances
        self._levels = np.zeros_like(self._levels)
        self._patience, self._has_left = 1.0, False
        self._plays, self._reward = 0, 0.0
        self._level_history, self._patience_history = [], []

    def _state_view(self, played: bool | None) -> StateView:
        """Return the view of the listener's state; None: nothing is judged yet."""
        return self._tables.state_view(
            self._levels[0],
            self._patience,
            self._level_history,
            self._patience_history,
            played=played,
            reward=self._reward,
            has_left=self._has_left,
        )
