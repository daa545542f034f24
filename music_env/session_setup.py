"""What the scalar and the vector form of MusicRecSession-v0 share: listener, effects, sessions."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.effects import Effects, checked_effects
from music_env.graded import GradedPreference
from music_env.labels import Labels, read_only
from music_env.listener import Preference, Scores, default_preference, wanted_terms
from music_env.listener_models import ListenerModel
from music_env.order import session_hashes, session_orders, uniform
from music_env.outcomes import Outcomes
from music_env.rendering import StateView
from music_env.session_observation import State, StateEncoded, state_encoding
from music_env.session_pool import label_slots, retrieved
from music_env.session_tables import (
    Drawn,
    ListenerView,
    OverSessions,
    SessionTables,
    checked_length,
    checked_tracks,
    load_catalogue,
)
from music_env.tables import shared_model_scores

REWARD_TERMS = ("fresh", "satiation")
"""The reward's named terms."""

SATIATING = ("genre", "artist")
"""What may have a level."""

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


@dataclass(frozen=True, kw_only=True, eq=False)
class SessionSetup(SessionTables):
    """A listener, the tracks of the sessions, and what playing them does.

    Attributes:
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
        encoded: what is observed.
    """

    effects: Effects
    listener: ListenerModel
    preference: Preference
    scores: Scores
    pool: NDArray[np.int64]
    labels: Labels
    slots: NDArray[np.int64]
    n_held: NDArray[np.float64]
    pool_shares: NDArray[np.float64]
    encoded: StateEncoded

    @classmethod
    def build(cls, **arguments: Any) -> SessionSetup:
        """Return the set-up for the keyword arguments of `MusicRecSessionEnv`."""
        return _build(**arguments)

    @property
    def n_labels(self) -> int:
        """How many genres (or artists) have a level."""
        return len(self.labels.vocabulary)

    def draw(self, keys: NDArray[np.uint64], sessions: NDArray[np.uint64]) -> DrawnSessions:
        """Return what the sessions of these keys and numbers show, (n_sessions,) uint64 each."""
        orders = session_orders(len(self.pool), self.session_length, keys, sessions)
        tracks = self.pool[orders].astype(np.int32)
        hashes = session_hashes(_LEAVE_STREAM, self.session_length, keys, sessions)
        return DrawnSessions(tracks, np.zeros_like(tracks), uniform(hashes))

    def level_of(
        self, tracks: NDArray[np.int64], levels: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return (n,) float64: the mean level of each track's labels.

        Args:
            tracks: (n,) indices.
            levels: (n, n_labels + 1) float64, the last 0.
        """
        slots, rows = self.slots[tracks], np.arange(len(tracks))
        total = levels[rows, slots[:, 0]]
        for slot in range(1, slots.shape[1]):
            total = total + levels[rows, slots[:, slot]]
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
            tracks: (n,) indices.
            levels: (n, n_labels + 1) float64, the last 0.
            patience: (n,) float64.
            position: (n,) how many tracks were judged.
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
            ),
            patience=patience if self.effects.patience else None,
            level_history=level_history,
            patience_history=patience_history,
            top=max(_LEVEL_SHOWN, *level_history, 0.0),
            verdict=word + ", listener leaves" * has_left,
        )


class OverSetup(OverSessions):
    """What planners, metrics and plots may read of an environment over `SessionSetup`."""

    _tables: SessionSetup

    @property
    def tables(self) -> SessionSetup:
        """All of it in one."""
        return self._tables

    @property
    def effects(self) -> Effects:
        """How strong satiation and patience are."""
        return self._tables.effects

    @property
    def encoded(self) -> StateEncoded:
        """What is observed: the space, and the names of the columns."""
        return self._tables.encoded

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


def _build(
    *,
    catalogue: Catalogue | str | PathLike[str] | None,
    artist: str | None,
    genre: str | None,
    danceability: tuple[float, float] | None,
    weights: Sequence[float],
    taste: float,
    taste_seed: int,
    listener: ListenerModel | Preference | str | PathLike[str] | Mapping[str, Any] | None,
    preset: str,
    satiation: float | None,
    decay: float | None,
    patience: float | None,
    satiation_of: str,
    enjoyed_share: float | None,
    encoding: str,
    encoding_options: Mapping[str, int] | None,
    observe_state: bool,
    tracks: Sequence[int] | NDArray[np.int64] | None,
    session_length: int,
) -> SessionSetup:
    arguments = {name: value for name, value in locals().items()}
    effects = checked_effects(preset, satiation, decay, patience)
    if satiation_of not in SATIATING:
        raise ValueError(f"satiation_of must be one of {SATIATING}, got {satiation_of!r}")
    loaded = load_catalogue(catalogue)
    if listener is None:
        preference = Preference(artist, genre, danceability)
        if preference == Preference():
            preference = default_preference(loaded)
        model: ListenerModel = _graded(preference, tuple(weights), taste, taste_seed)
    else:
        also = (artist, genre, danceability, tuple(weights), taste, taste_seed)
        model, preference = _model(listener, also), Preference()
    scores = shared_model_scores(loaded, model)
    shown = checked_tracks(tracks, loaded.n_tracks)
    length = checked_length(session_length, loaded, shown)
    candidates = np.arange(loaded.n_tracks) if shown is None else shown
    pool = retrieved(scores.total, candidates, enjoyed_share, length)
    labels = loaded.genres if satiation_of == "genre" else loaded.artists
    slots = label_slots(labels)
    n_held = read_only(np.maximum(labels.counts, 1).astype(np.float64))
    labels_and_none = len(labels.vocabulary) + 1
    each = np.repeat(1 / n_held[pool, None], slots.shape[1], axis=1).ravel()
    pool_shares = np.bincount(slots[pool].ravel(), each, labels_and_none)
    encoded = state_encoding(
        loaded,
        scores.total,
        pool,
        labels.vocabulary,
        max(1.0, effects.greatest_level(length)),
        encoding=encoding,
        options=encoding_options,
        observe_state=observe_state,
    )
    return SessionSetup(
        catalogue=loaded,
        outcomes=Outcomes(REWARD_TERMS, np.zeros((len(REWARD_TERMS) + 1, 1))),
        tracks=shown,
        session_length=length,
        arguments=arguments,
        effects=effects,
        listener=model,
        preference=preference,
        scores=scores,
        pool=pool,
        labels=labels,
        slots=slots,
        n_held=n_held,
        pool_shares=read_only(pool_shares[:-1] / len(pool)),
        encoded=encoded,
    )


@functools.lru_cache(maxsize=16)  # the same object: `shared_model_scores` remembers its scores
def _graded(
    preference: Preference, weights: tuple[float, ...], taste: float, taste_seed: int
) -> GradedPreference:
    return GradedPreference(preference, weights, taste, taste_seed)


def _model(listener: Any, also: tuple[Any, ...]) -> ListenerModel:
    from music_env.listener_json import load_listener  # which few need

    if also != (None, None, None, (1, 1, 1), 0.5, 0):
        raise ValueError(
            "listener is a whole listener: leave out artist, genre, danceability, weights, taste "
            "and taste_seed"
        )
    model = load_listener(listener)
    if getattr(model, "wrong_button", 0):
        raise ValueError(
            "a listener who presses the wrong button has no place here: what is played is what the "
            f"agent plays, got {model}"
        )
    return model
