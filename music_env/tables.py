"""The tables behind MusicRec-v0: a catalogue, its encoded rows and a listener's scores."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.encoding import Encoded, encode
from music_env.listener import (
    TERMS,
    Preference,
    Scores,
    default_preference,
    score_tracks,
    wanted_terms,
)
from music_env.listener_models import (
    ListenerModel,
    NoisyListener,
    ThreeWay,
    checked_wrong_button,
    model_scores,
)
from music_env.order import session_hashes, uniform
from music_env.outcomes import Outcomes
from music_env.session_tables import (
    Drawn,
    ListenerView,
    OverSessions,
    SessionTables,
    checked_length,
    checked_tracks,
    load_catalogue,
)

__all__ = ["OverTables", "Tables", "load_catalogue", "shared_scores"]

# A stream of `session_hashes` for each purpose.
SLIP_STREAM = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Tables(SessionTables):
    """A catalogue, its encoded rows and a listener's scores, behind MusicRec-v0.

    Attributes:
        preference: the listener's; all open where the listener is a model.
        encoded: observation space and rows.
        scores: of every track of the catalogue.
        listener: the model; None where the preference says it all.
    """

    preference: Preference
    encoded: Encoded
    scores: Scores
    listener: ListenerModel | None = None

    @classmethod
    def build(cls, **arguments: Any) -> Tables:
        """Return the tables for the keyword arguments of `MusicRecEnv`."""
        return _build(**arguments)

    def draw(self, keys: NDArray[np.uint64], sessions: NDArray[np.uint64]) -> Drawn:
        """Return what the sessions of these keys and numbers show, (n_sessions,) uint64 each."""
        tracks = self.orders(keys, sessions)
        # Transposed twice: the orders lie in memory a place behind the other, and so do the kinds.
        kinds = self.scores.kinds.take(tracks.T).T
        if self.outcomes.wrong_button:
            slips = session_hashes(SLIP_STREAM, self.session_length, keys, sessions)
            kinds = kinds.astype(np.int64)
            kinds[uniform(slips) < self.outcomes.wrong_button] += 1 << self.outcomes.bits
        return Drawn(tracks, kinds)

    def view(self) -> ListenerView:
        """Return what a view of a step needs."""
        wanted = wanted_terms(self.preference)
        if self.listener is not None and self.scores.names != TERMS:
            wanted = dict.fromkeys(self.scores.names, "as modelled")
        return ListenerView(
            catalogue=self.catalogue,
            session_length=self.session_length,
            scores=self.scores,
            wanted=wanted,
            liked=self.preference.danceability,
            listener_text=None if self.listener is None else str(self.listener),
        )


class OverTables(OverSessions):
    """What the oracle, metrics and plots may read of an environment over `Tables`."""

    _tables: Tables

    @property
    def tables(self) -> Tables:
        """All of it in one."""
        return self._tables

    @property
    def preference(self) -> Preference:
        """The listener's preference; all open where the listener is a model."""
        return self._tables.preference

    @property
    def listener(self) -> ListenerModel | None:
        """The listener model, None where the preference says it all."""
        return self._tables.listener

    @property
    def encoded(self) -> Encoded:
        """The catalogue's encoding: the observation space, and a row for every track."""
        return self._tables.encoded

    @property
    def scores(self) -> NDArray[np.float64]:
        """(n_tracks,) float64, read-only: the reward for *like* of every track of the catalogue."""
        return self._tables.scores.total


def _build(
    *,
    catalogue: Catalogue | str | PathLike[str] | None,
    artist: str | None,
    genre: str | None,
    danceability: tuple[float, float] | None,
    weights: Sequence[float],
    encoding: str,
    encoding_options: Mapping[str, int] | None,
    tracks: Sequence[int] | NDArray[np.int64] | None,
    session_length: int,
    listener: ListenerModel | Preference | str | PathLike[str] | Mapping[str, Any] | None = None,
) -> Tables:
    arguments = {name: value for name, value in locals().items()}
    loaded = load_catalogue(catalogue)
    model = None if listener is None else _model(listener, artist, genre, danceability, weights)
    if model is not None:
        inside = model.listener if isinstance(model, NoisyListener) else model
        preference = inside.preference if isinstance(inside, ThreeWay) else Preference()
    elif artist is None and genre is None and danceability is None:
        preference = default_preference(loaded)
    else:
        preference = Preference(artist, genre, danceability)
    shown = checked_tracks(tracks, loaded.n_tracks)
    if model is None:
        scores = shared_scores(loaded, preference, tuple(weights))
    elif isinstance(inside, ThreeWay):
        scores = shared_scores(loaded, inside.preference, tuple(inside.weights))
    else:
        scores = shared_model_scores(loaded, model)
    return Tables(
        catalogue=loaded,
        preference=preference,
        encoded=encode(loaded, encoding, encoding_options),
        scores=scores,
        outcomes=Outcomes(
            scores.names, scores.by_kind, checked_wrong_button(getattr(model, "wrong_button", 0.0))
        ),
        tracks=shown,
        session_length=checked_length(session_length, loaded, shown),
        arguments=arguments,
        listener=model,
    )


def _model(
    listener: ListenerModel | Preference | str | PathLike[str] | Mapping[str, Any],
    artist: str | None,
    genre: str | None,
    danceability: tuple[float, float] | None,
    weights: Sequence[float],
) -> ListenerModel:
    from music_env.listener_json import load_listener  # which few need

    given = {"artist": artist, "genre": genre, "danceability": danceability}
    also = [name for name, value in given.items() if value is not None]
    if also or tuple(weights) != (1, 1, 1):
        raise ValueError(
            f"listener is a whole listener: leave out {', '.join(also) or 'weights'}, which a "
            '{"model": "preference", ...} can have'
        )
    return load_listener(listener)


# Key -> what must live as long as the key does, and the scores.
_SCORES: weakref.WeakKeyDictionary[Catalogue, dict[Any, tuple[Any, Scores]]] = (
    weakref.WeakKeyDictionary()
)
_SCORES_KEPT = 16  # listeners a catalogue; a population of listeners must not fill the memory


def shared_scores(
    catalogue: Catalogue, preference: Preference, weights: tuple[float, ...]
) -> Scores:
    """Return `score_tracks`, remembered for the last few listeners of a catalogue."""
    make = functools.partial(score_tracks, catalogue, preference, weights)
    return _remembered(catalogue, (preference, weights), None, make)


def shared_model_scores(catalogue: Catalogue, model: ListenerModel) -> Scores:
    """Return `model_scores`, remembered likewise for the same object if it cannot change."""
    make = functools.partial(model_scores, catalogue, model)
    parameters = getattr(type(model), "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        return make()
    return _remembered(catalogue, id(model), model, make)


def _remembered(catalogue: Catalogue, key: Any, owner: Any, make: Callable[[], Scores]) -> Scores:
    kept = _SCORES.setdefault(catalogue, {})
    if key not in kept:
        scores = make()
        while len(kept) >= _SCORES_KEPT:
            kept.pop(next(iter(kept)))
        kept[key] = owner, scores
    return kept[key][1]
