"""What the scalar and the vector form of MusicRecSession-v0 share: a track a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from music_env.affected_parts import listener_parts
from music_env.affected_setup import AffectedSetup, DrawnSessions
from music_env.order import session_orders
from music_env.session_observation import StateEncoded, state_encoding


@dataclass(frozen=True, kw_only=True, eq=False)
class SessionSetup(AffectedSetup):
    """A listener whom what is played affects, and sessions that show a track a step.

    Attributes:
        encoded: what is observed.
    """

    env_id: ClassVar[str] = "MusicRecSession-v0"

    encoded: StateEncoded

    @classmethod
    def build(cls, **arguments: Any) -> SessionSetup:
        """Return the set-up for the keyword arguments of `MusicRecSessionEnv`."""
        return _build(**arguments)

    def draw(self, keys: NDArray[np.uint64], sessions: NDArray[np.uint64]) -> DrawnSessions:
        """Return what the sessions of these keys and numbers show, (n_sessions,) uint64 each."""
        orders = session_orders(len(self.pool), self.session_length, keys, sessions)
        tracks = self.pool[orders].astype(np.int32)
        return DrawnSessions(tracks, np.zeros_like(tracks), self.chances(keys, sessions))


def _build(
    *,
    encoding: str,
    encoding_options: Mapping[str, int] | None,
    observe_state: bool,
    **listener: Any,
) -> SessionSetup:
    parts = listener_parts(**listener)
    encoded = state_encoding(
        parts["catalogue"],
        parts["scores"].total,
        parts["satiates"],
        parts["pool"],
        parts["labels"].vocabulary,
        parts["top"],
        parts["effects"],
        encoding=encoding,
        options=encoding_options,
        observe_state=observe_state,
    )
    arguments = {
        **listener,
        "encoding": encoding,
        "encoding_options": encoding_options,
        "observe_state": observe_state,
    }
    return SessionSetup(**parts, arguments=arguments, encoded=encoded)
