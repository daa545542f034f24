"""What the scalar and the vector form of MusicRecAnyListener-v0 share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from music_env.balance import Sources, checked_balance, draw_mixture
from music_env.catalogue import Catalogue
from music_env.listener import TERMS, Preference, Scores, wanted_terms
from music_env.listeners import Listeners, Wanted, pair_kinds, pair_outcomes
from music_env.order import session_hashes
from music_env.outcomes import Outcomes
from music_env.pairs import PairEncoded, encode_pairs
from music_env.population import Population, Split, load_population
from music_env.session_tables import (
    Drawn,
    ListenerView,
    OverSessions,
    SessionTables,
    checked_length,
    checked_tracks,
    load_catalogue,
)
from music_env.tables import shared_scores

_LISTENER_STREAM = 5  # of `session_hashes`

GIVEN = -1
"""The index of a listener that was set by a preference, not by an index into the population."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AnyTables(SessionTables):
    """A catalogue, its encoding with a listener, and the listeners; no table of pairs.

    Attributes:
        encoded: the observation space, and the observation of any pair.
        population: whom the sessions belong to.
        sources: which tracks of the catalogue may be shown, sorted for the draw.
        shares: of the sources, see `music_env.balance`.
        weights: of the three terms.
    """

    encoded: PairEncoded
    population: Population
    sources: Sources
    shares: Mapping[str, float]
    weights: tuple[float, ...]

    @classmethod
    def build(cls, **arguments: Any) -> AnyTables:
        """Return the tables for the keyword arguments of `MusicRecAnyListenerEnv`."""
        return _build(**arguments)

    def drawn_listeners(
        self, keys: NDArray[np.uint64], sessions: NDArray[np.uint64]
    ) -> NDArray[np.int64]:
        """Return (n_sessions,) int64: the index of each session's listener in the population."""
        hashes = session_hashes(_LISTENER_STREAM, 1, keys, sessions)[:, 0]
        return (hashes % np.uint64(len(self.population))).astype(np.int64)

    def draw(self, keys: NDArray[np.uint64], sessions: NDArray[np.uint64]) -> Drawn:
        """Return what the sessions of these keys and numbers show their drawn listeners."""
        drawn = self.drawn_listeners(keys, sessions)
        return self.draw_for(self.population.listeners.take(drawn), keys, sessions)

    def draw_for(
        self, listeners: Listeners, keys: NDArray[np.uint64], sessions: NDArray[np.uint64]
    ) -> Drawn:
        """Return what sessions show these listeners, (n_sessions,) each."""
        tracks = draw_mixture(
            self.sources, listeners, self.shares, self.session_length, keys, sessions
        )
        return Drawn(tracks, pair_kinds(self.catalogue, tracks, listeners))

    def resolve(self, wanted: Wanted | int) -> tuple[int, Listeners]:
        """Return the index (`GIVEN` for a preference) and the one listener that is meant.

        Raises:
            ValueError: for an index outside the population, or see `Listeners.of`.
            TypeError: for what is neither.
        """
        if isinstance(wanted, bool) or not isinstance(wanted, int | np.integer):
            return GIVEN, Listeners.of(self.catalogue, [cast(Wanted, wanted)])
        if not 0 <= wanted < len(self.population):
            raise ValueError(
                f"the listener must be an index from 0 to {len(self.population) - 1} into the "
                f"population, or a preference, got {wanted}"
            )
        return int(wanted), self.population.listeners.take(slice(int(wanted), int(wanted) + 1))

    def scores_of(self, preference: Preference) -> Scores:
        """Return how a listener scores every track of the catalogue."""
        return shared_scores(self.catalogue, preference, self.weights)

    def view_of(self, listeners: Listeners, which: int) -> ListenerView:
        """Return what a view of a step needs."""
        preference = listeners.preference(which, self.catalogue)
        scores = self.scores_of(preference)
        return ListenerView(
            catalogue=self.catalogue,
            session_length=self.session_length,
            scores=scores,
            wanted=wanted_terms(preference),
            liked=preference.danceability,
        )


class OverAny(OverSessions):
    """What the oracle, metrics and plots may read of an environment over `AnyTables`."""

    _tables: AnyTables

    @property
    def tables(self) -> AnyTables:
        """All of it in one."""
        return self._tables

    @property
    def encoded(self) -> PairEncoded:
        """The encoding: the observation space, and the observation of any pair."""
        return self._tables.encoded

    @property
    def population(self) -> Population:
        """The listeners whom the sessions belong to."""
        return self._tables.population

    def observations(
        self, listener: Wanted | int, tracks: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Return what is observed of tracks in a session of a listener.

        Args:
            listener: a preference, or an index into the population.
            tracks: (n,) indices into the catalogue, None for all.

        Returns:
            (n, n_columns) float32.

        Raises:
            ValueError: the catalogue does not have such an artist or genre, see `Listeners.of`.
        """
        _, found = self._tables.resolve(listener)
        if tracks is None:
            tracks = np.arange(self._tables.catalogue.n_tracks)
        return self.encoded.pairs(tracks, self.encoded.listeners(found))

    def scores_of(self, listener: Wanted | int) -> NDArray[np.float64]:
        """Return (n_tracks,) float64, read-only: the reward for *like* of a listener's tracks."""
        _, found = self._tables.resolve(listener)
        return self._tables.scores_of(found.preference(0, self._tables.catalogue)).total


def _build(
    *,
    catalogue: Catalogue | str | PathLike[str] | None,
    population: Population | str | PathLike[str] | Iterable[Wanted] | None,
    split: str,
    test_share: float,
    population_seed: int,
    population_options: Mapping[str, Any] | None,
    balance: str | Mapping[str, float],
    weights: Sequence[float],
    encoding: str,
    tracks: Sequence[int] | NDArray[np.int64] | None,
    session_length: int,
) -> AnyTables:
    arguments = {name: value for name, value in locals().items()}
    loaded = load_catalogue(catalogue)
    shares = checked_balance(balance)
    shown = checked_tracks(tracks, loaded.n_tracks)
    return AnyTables(
        catalogue=loaded,
        outcomes=Outcomes(TERMS, pair_outcomes(weights)),
        tracks=shown,
        session_length=checked_length(session_length, loaded, shown),
        arguments=arguments,
        encoded=encode_pairs(loaded, encoding),
        population=load_population(
            loaded, population, Split(split, test_share, population_seed), population_options
        ),
        sources=Sources.of(loaded, shown),
        shares=shares,
        weights=tuple(float(weight) for weight in weights),
    )
