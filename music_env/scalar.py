"""What all scalar environments share: a session shows tracks one by one, and each is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from music_env.order import draw_key
from music_env.outcomes import OutcomeOf
from music_env.rendering import RENDER_MODES, StepView, checked_render_mode, render
from music_env.session_tables import OverSessions, SessionTables, checked_options

# Sessions whose orders are computed in one call: a call costs about as much for 16 as for one.
_SESSIONS_AHEAD = 64
_MAX_ORDERS_AHEAD = 8192


class Action(IntEnum):
    """The two actions."""

    DISLIKE = 0
    LIKE = 1


class Session(NamedTuple):
    """What a session shows.

    Attributes:
        tracks: the index of each track, in order.
        kinds: the kind of each, see `Outcomes`.
    """

    tracks: list[int]
    kinds: list[int]


class SessionEnv(OverSessions, gym.Env[Any, Any]):
    """A session at a time; a subclass says what a session shows and what is observed of a track.

    It calls `_set_up` with its tables, and sets `_observe` in `_bind`; it may override
    `_sessions_from` and `_shown_tables`.
    """

    # Declared an instance variable by Gymnasium, which reads it from the class.
    metadata: dict[str, Any] = {"render_modes": RENDER_MODES, "render_fps": 2}  # noqa: RUF012
    _id: str
    """The environment's id, for messages."""
    _observe: Callable[[Any], Any]
    """Returns a fresh observation of a track (or slate of tracks) in the present session."""

    def _set_up(
        self,
        tables: SessionTables,
        space: gym.Space[Any],
        mode: str | None,
        *,
        n_actions: int = len(Action),
    ) -> None:
        self._tables = tables
        self.render_mode = checked_render_mode(mode)
        self.observation_space = space
        self.action_space = gym.spaces.Discrete(n_actions)
        # The state: the stream of sessions, the place in the present one, its sums.
        self._key: int | None = None
        self._session = -1
        self._position = 0
        self._action: Any = None
        self._return = self._best_return = 0.0
        self._luck = 0.0  # what slips of the finger have added to the return
        # Derived from it: the present session.
        self._order: list[int] = []
        self._kinds: list[int] = []
        self._bind()

    @property
    def oracle_return(self) -> float:
        """The return of always choosing the better action, over the whole present session.

        As if no button were pressed by mistake.
        """
        return float(sum(abs(self._outcome_of[kind][0]) for kind in self._kinds))

    # --- Gymnasium's interface ------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin the next session; with a seed, the first session of that seed.

        Args:
            seed: see `gymnasium.Env.reset`.
            options: none are known.

        Returns:
            The observation of the session's first track, and ``info`` with its ``track_index``.

        Raises:
            ValueError: for options.
            TypeError: for options that are no mapping.
        """
        checked_options(self._id, options)
        self._next_session(seed)
        self._begin(self._session_of(self._session))
        return self._observe(self._order[0]), self._reset_info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Judge the track shown.

        Args:
            action: 0 (dislike) or 1 (like).

        Returns:
            The next track's observation, the reward (float), terminated, truncated (False), info.

        Raises:
            gymnasium.error.ResetNeeded: before the first `reset` and after a session's end.
            gymnasium.error.InvalidAction: for an action other than 0 and 1.
        """
        order, position = self._order, self._position
        if position >= len(order):
            raise gym.error.ResetNeeded(
                "no track is shown: call reset() "
                + ("for the next session" if order else "to begin a session")
            )
        track = order[position]
        score, reward, terms = self._outcome_of[self._kinds[position]]
        if action == 0:
            reward = 0.0 - reward  # not -reward, which would make -0.0 of 0.0
        elif action != 1:
            raise gym.error.InvalidAction(
                f"the action must be 0 (dislike) or 1 (like), got {action!r}"
            )
        if self._may_slip:
            self._luck += reward - (score if action == 1 else 0.0 - score)
        self._action = action
        self._return += reward
        self._best_return += abs(score)
        self._position = position = position + 1
        info = {
            "track_index": track,
            "track_id": self._track_id[track],
            "score": score,
            "reward_terms": terms.copy(),
        }
        if position < len(order):
            return self._observe(order[position]), reward, False, False, info
        info["episode_return"] = self._return
        info["episode_regret"] = self._best_return - (self._return - self._luck)
        return self._observe(track), reward, True, False, info

    def render(self) -> Any:
        """Return the view of the track judged last, or of the first one after a reset.

        Returns:
            A string for ``"ansi"``, (height, width, 3) uint8 for ``"rgb_array"``, None otherwise.

        Raises:
            gymnasium.error.ResetNeeded: before the first `reset`.
        """
        if self.render_mode is None:
            gym.logger.warn(
                "render() was called without a render mode: pass one at initialisation, e.g. "
                f'gym.make("{self._id}", render_mode="rgb_array")'
            )
            return None
        if not self._order:
            raise gym.error.ResetNeeded("no track is shown yet: call reset() before render()")
        return render(self._view(), self.render_mode)

    # --- State: saved, restored, pickled --------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Return the session's state as plain numbers; `set_state` goes on from it exactly.

        The state of ``np_random`` is not part of it: nothing is drawn from it after the key.
        """
        state = {
            "key": self._key,
            "session": self._session,
            "position": self._position,
            "action": None if self._action is None else int(self._action),
            "episode_return": self._return,
            "best_return": self._best_return,
        }
        return {**state, "luck": self._luck} if self._may_slip else state

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned, in an environment made with the same arguments."""
        self._key, self._session = state["key"], state["session"]
        self._ahead.clear()
        if self._session < 0:
            self._order, self._kinds = [], []
        else:
            self._begin(self._session_again(state))
        self._position, self._action = state["position"], state["action"]
        self._return, self._best_return = state["episode_return"], state["best_return"]
        self._luck = state.get("luck", 0.0)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _BOUND}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._bind()

    # --- What a subclass says ---------------------------------------------------------------------

    def _sessions_from(self, first: int, count: int) -> list[Any]:
        """Return the sessions of numbers ``first`` to ``first + count - 1``."""
        numbers = np.arange(first, first + count, dtype=np.uint64)
        drawn = self._tables.draw(np.full(count, self._key, dtype=np.uint64), numbers)
        pairs = zip(drawn.tracks.tolist(), drawn.kinds.tolist(), strict=True)
        return [Session(tracks, kinds) for tracks, kinds in pairs]

    def _session_again(self, state: Mapping[str, Any]) -> Any:
        """Return the present session once more, for `set_state`."""
        return self._session_of(self._session)

    def _reset_info(self) -> dict[str, Any]:
        """Return what ``info`` says at the start of a session."""
        return {"track_index": self._order[0]}

    def _shown_tables(self) -> Any:
        """Return what the views need, see `StepView`."""
        return self._tables.view()

    def _view(self) -> StepView:
        """Return the view of the track judged last, or of the first one."""
        judged = self._position - 1
        reward = None
        if judged >= 0:
            _, liked, _ = self._outcome_of[self._kinds[judged]]
            reward = liked if self._action else 0.0 - liked
        return StepView(
            tables=self._shown_tables(),
            track=self._order[max(judged, 0)],
            action=None if judged < 0 else int(self._action),
            number=self._position,
            episode_return=self._return,
            reward=reward,
            env_id=self._id,
        )

    # --- Parts ------------------------------------------------------------------------------------

    def _bind(self) -> None:
        """Keep what each step looks up as attributes; they are rebuilt, not pickled."""
        outcomes = self._tables.outcomes
        self._outcome_of = OutcomeOf(outcomes)
        self._may_slip = outcomes.wrong_button > 0
        self._track_id = self._tables.catalogue.track_id
        self._ahead: dict[int, Any] = {}

    def _next_session(self, seed: int | None) -> None:
        """Count on to the next session of the stream, or to the first of a new one."""
        gym.Env.reset(self, seed=seed)
        if seed is not None or self._key is None:
            self._key, self._session = draw_key(self.np_random), -1
            self._ahead.clear()
        self._session += 1

    def _begin(self, session: Any) -> None:
        self._order, self._kinds = session.tracks, session.kinds
        self._position = 0
        self._action = None
        self._return = self._best_return = self._luck = 0.0

    def _session_of(self, number: int) -> Any:
        """Return a session; computes some later ones with it."""
        if number not in self._ahead:
            count = max(1, min(_SESSIONS_AHEAD, _MAX_ORDERS_AHEAD // self.session_length))
            drawn = self._sessions_from(number, count)
            self._ahead = dict(zip(range(number, number + count), drawn, strict=True))
        return self._ahead.pop(number)


_BOUND = frozenset({"_observe", "_outcome_of", "_may_slip", "_track_id", "_ahead"})
