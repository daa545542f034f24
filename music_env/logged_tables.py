"""What the scalar and the vector form of MusicRecLogged-v0 share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from music_env.encoding import Encoded, encode
from music_env.judgements import Judgements, load_judgements
from music_env.labels import read_only
from music_env.listener import Scores
from music_env.outcomes import Outcomes
from music_env.session_tables import (
    Drawn,
    ListenerView,
    OverSessions,
    SessionTables,
    checked_length,
    checked_tracks,
)

LOGGED_TERMS = ("judgement",)
"""The name of the reward's only term."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LoggedTables(SessionTables):
    """Judgements and their encoded rows.

    Attributes:
        judgements: what was liked; ``catalogue`` is theirs.
        encoded: observation space and rows.
        scores: +1 or -1 of each judgement.
    """

    judgements: Judgements
    encoded: Encoded
    scores: Scores

    @classmethod
    def build(cls, **arguments: Any) -> LoggedTables:
        """Return the tables for the keyword arguments of `MusicRecLoggedEnv`."""
        return _build(**arguments)

    @classmethod
    def checksum_of(cls, arguments: Mapping[str, Any]) -> str:
        """Return the checksum of the judgements that the arguments name."""
        names = ("judgements", "columns", "like")
        return load_judgements(*(arguments[name] for name in names)).checksum

    @property
    def checksum(self) -> str:
        """The checksum of the judgements."""
        return self.judgements.checksum

    def draw(self, keys: NDArray[np.uint64], sessions: NDArray[np.uint64]) -> Drawn:
        """Return what the sessions of these keys and numbers show, (n_sessions,) uint64 each."""
        rows = self.orders(keys, sessions)
        return Drawn(rows, self.scores.kinds.take(rows.T).T)

    def view(self) -> ListenerView:
        """Return what a view of a step needs."""
        return ListenerView(
            catalogue=self.catalogue,
            session_length=self.session_length,
            scores=self.scores,
            wanted=dict.fromkeys(LOGGED_TERMS, "as recorded"),
            listener_text="a recorded judgement",
        )


class OverLogged(OverSessions):
    """What metrics, plots and cross-validation may read of an environment over `LoggedTables`."""

    _tables: LoggedTables

    @property
    def tables(self) -> LoggedTables:
        """All of it in one."""
        return self._tables

    @property
    def judgements(self) -> Judgements:
        """The judgements."""
        return self._tables.judgements

    @property
    def encoded(self) -> Encoded:
        """The encoding: the observation space, and a row for each judgement."""
        return self._tables.encoded

    @property
    def scores(self) -> NDArray[np.float64]:
        """(n_judgements,) float64, read-only: +1 where liked, -1 where not."""
        return self._tables.scores.total

    @property
    def groups(self) -> NDArray[np.int64]:
        """(n_judgements,) int64, read-only: what has to stay on one side of a split.

        Judgements of the same song, in whatever version, have the same number, see
        `music_env.songs.related_songs`.
        """
        return self._tables.judgements.groups


def _build(
    *,
    judgements: Judgements | str | PathLike[str] | None,
    columns: Mapping[str, str] | None,
    like: str,
    encoding: str,
    encoding_options: Mapping[str, int] | None,
    tracks: Sequence[int] | NDArray[np.int64] | None,
    session_length: int,
) -> LoggedTables:
    arguments = {name: value for name, value in locals().items()}
    loaded = load_judgements(judgements, columns, like)
    shown = checked_tracks(tracks, len(loaded))
    by_kind = read_only(np.array([[-1.0, 1.0], [-1.0, 1.0]]))
    kinds = loaded.liked.view(np.uint8)
    scores = Scores(kinds, by_kind, read_only(by_kind[-1].take(kinds)), LOGGED_TERMS)
    return LoggedTables(
        catalogue=loaded.catalogue,
        outcomes=Outcomes(LOGGED_TERMS, by_kind),
        tracks=shown,
        session_length=checked_length(session_length, loaded.catalogue, shown),
        arguments=arguments,
        judgements=loaded,
        encoded=encode(loaded.catalogue, encoding, encoding_options),
        scores=scores,
    )
