"""A listener whom what is played affects: what all environments with such a listener share.

`MusicRecSessionEnv` specifies the effects, `music_env.effects` computes them a step at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from music_env.effects import Effects
from music_env.labels import Labels
from music_env.listener import Preference, Scores, wanted_terms
from music_env.listener_models import ListenerModel
from music_env.order import session_hashes, uniform
from music_env.rendering import StateView
from music_env.session_observation import State
from music_env.session_tables import Drawn, ListenerView, OverSessions, SessionTables

_LEVEL_SHOWN = 5.0
"""A view's scale of satiation reaches to this level at least."""

_LEAVE_STREAM = 6  # of `session_hashes`


@dataclass(frozen=True)
class DrawnSessions(Drawn):
    """What some sessions show, and when the listener would leave.

    Attributes:
        chances: (n_sessions, session_length) float64, uniform in [0, 1): the listener leaves after
            a step where this is below the probability of leaving.
    """

    chances: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Offers:
    """What some sessions offer now, with all that planners may know.

    Attributes:
        tracks: (n, n_offered) int64: the tracks of which one may be played.
        available: (n, n_offered) bool: whether it may; not where it was played before.
        steps: (n,) int64: how many steps there were.
        state: of the listeners, for each of the tracks.
    """

    tracks: NDArray[np.int64]
    available: NDArray[np.bool_]
    steps: NDArray[np.int64]
    state: State


@dataclass(frozen=True, kw_only=True, eq=False)
class AffectedSetup(SessionTables):
    """A listener, the tracks of the sessions, and what playing them does.

    Attributes:
        env_id: of the environment.
        effects: how strong they are.
        listener: whose enjoyment it is.
        preference: the listener's; all open where a model was given.
        scores: of every track of the catalogue: the enjoyment of a fresh one.
        pool: (n_pool,) int64: the tracks that sessions show, sorted.
        labels: the genres (or artists) that have a level.
        slots: (n_tracks, n_slots) int64: the labels of each track; ``n_labels``, of which the level
            is always 0, where it has fewer.
        n_held: (n_tracks,) float64: how many labels it has, 1 where it has none.
        pool_shares: (n_labels,) float64: what a level of each adds to the mean level of the pool.
        satiates: (n_tracks,) float64: what playing each track adds to it.
        top: the greatest level that there can be, which is observed as 1.
    """

    env_id: ClassVar[str]

    effects: Effects
    listener: ListenerModel
    preference: Preference
    scores: Scores
    pool: NDArray[np.int64]
    labels: Labels
    slots: NDArray[np.int64]
    n_held: NDArray[np.float64]
    pool_shares: NDArray[np.float64]
    satiates: NDArray[np.float64]
    top: float

    @property
    def n_offered(self) -> int:
        """How many tracks a step offers, of which one may be played."""
        return 1

    @property
    def n_labels(self) -> int:
        """How many genres (or artists) have a level."""
        return len(self.labels.vocabulary)

    def chances(
        self, keys: NDArray[np.uint64], sessions: NDArray[np.uint64]
    ) -> NDArray[np.float64]:
        """Return the `DrawnSessions.chances` of these keys and numbers, (n_sessions,) each."""
        return uniform(session_hashes(_LEAVE_STREAM, self.session_length, keys, sessions))

    def level_of(
        self, tracks: NDArray[np.int64], levels: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return (n,) or (n, n_offered) float64: the mean level of each track's labels.

        Args:
            tracks: (n,) or (n, n_offered) indices.
            levels: (n, n_labels + 1) float64, the last 0.
        """
        slots = self.slots[tracks]
        rows = np.arange(len(tracks)).reshape(-1, *(1,) * (tracks.ndim - 1))
        total = levels[rows, slots[..., 0]]
        for slot in range(1, slots.shape[-1]):
            total = total + levels[rows, slots[..., slot]]
        mean: NDArray[np.float64] = total / self.n_held[tracks]
        return mean

    def state(
        self,
        tracks: NDArray[np.int64],
        levels: NDArray[np.float64],
        patience: NDArray[np.float64],
        position: NDArray[np.int64],
    ) -> State:
        """Return the state of (n,) sessions that show these tracks.

        Args:
            tracks: (n,) or (n, n_offered) indices.
            levels: (n, n_labels + 1) float64, the last 0.
            patience: (n,) float64.
            position: (n,) how many steps there were.
        """
        level = self.level_of(tracks, levels)
        return State(
            levels=levels[:, :-1],
            level=level,
            enjoyment=self.effects.enjoyment(self.scores.total.take(tracks), level),
            pool_level=(levels[:, :-1] * self.pool_shares).sum(axis=1),
            patience=patience,
            left=(self.session_length - position) / self.session_length,
        )

    def levels_after(
        self,
        tracks: NDArray[np.int64],
        played: NDArray[np.bool_],
        levels: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the levels after a step, (n, n_labels + 1) float64, a fresh array."""
        levels = levels.copy()
        rows = np.flatnonzero(played)
        # A track's labels are all different, save those that stand for none.
        levels[rows[:, None], self.slots[tracks[rows]]] += 1.0
        levels[:, -1] = 0.0
        recovered: NDArray[np.float64] = self.effects.recovered(levels)
        return recovered

    def view(self) -> ListenerView:
        """Return what a view of a step needs."""
        wanted = wanted_terms(self.preference)
        return ListenerView(
            catalogue=self.catalogue,
            session_length=self.session_length,
            scores=self.scores,
            wanted={name: wanted.get(name, "as modelled") for name in self.scores.names},
            liked=self.preference.danceability,
            listener_text=str(self.listener),
        )

    def state_view(
        self,
        levels: NDArray[np.float64],
        patience: float,
        level_history: Sequence[float],
        patience_history: Sequence[float],
        *,
        played: bool | None,
        reward: float,
        has_left: bool,
    ) -> StateView:
        """Return what a view shows of the state of a session.

        Args:
            levels: (n_labels + 1,) float64.
            patience: 0 to 1.
            level_history: the highest level after each step so far.
            patience_history: the patience after each.
            played: what was done with the last track; None where there is none yet.
            reward: for that.
            has_left: whether the listener has left after it.
        """
        highest = np.argsort(-levels, kind="stable")[:3].tolist()
        word = "" if played is None else "passed over"
        if played:
            word = "enjoyed" if reward > 0 else "disappointed" if reward < 0 else "played"
        return StateView(
            levels=tuple(
                (self.labels.vocabulary[label], levels.item(label))
                for label in highest
                if levels[label] > 0
            )
            if self.effects.satiation
            else None,
            patience=patience if self.effects.patience else None,
            level_history=level_history,
            patience_history=patience_history,
            top=max(_LEVEL_SHOWN, *level_history, 0.0),
            verdict=word + ", listener leaves" * has_left,
        )


class OverSetup(OverSessions):
    """What planners, metrics and plots may read of an environment over `AffectedSetup`."""

    _tables: AffectedSetup

    @property
    def tables(self) -> AffectedSetup:
        """All of it in one."""
        return self._tables

    @property
    def effects(self) -> Effects:
        """How strong satiation and patience are."""
        return self._tables.effects

    @property
    def scores(self) -> NDArray[np.float64]:
        """(n_tracks,) float64, read-only: the enjoyment of every track when fresh."""
        return self._tables.scores.total

    @property
    def tracks(self) -> NDArray[np.int64]:
        """(n_pool,) int64: the catalogue indices of the tracks that sessions show."""
        return self._tables.pool

    @property
    def oracle_return(self) -> Any:
        """There is none: which action is better depends on what comes later."""
        raise AttributeError(
            "a session in which what is played has consequences has no oracle_return; "
            "agents.planning has a planner and the myopic oracle"
        )
