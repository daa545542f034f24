"""What the scalar and the vector form of MusicRecSlate-v0 share: a slate of candidates a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from music_env.affected_parts import listener_parts
from music_env.affected_setup import AffectedSetup, DrawnSessions
from music_env.order import session_orders
from music_env.slate_observation import SlateEncoded, slate_encoding


@dataclass(frozen=True, kw_only=True, eq=False)
class SlateSetup(AffectedSetup):
    """A listener whom what is played affects, and sessions that offer a slate a step.

    Attributes:
        slate_size: how many candidates a step offers.
        encoded: what is observed.
    """

    env_id: ClassVar[str] = "MusicRecSlate-v0"

    slate_size: int
    encoded: SlateEncoded

    @classmethod
    def build(cls, **arguments: Any) -> SlateSetup:
        """Return the set-up for the keyword arguments of `MusicRecSlateEnv`."""
        return _build(**arguments)

    @property
    def n_offered(self) -> int:
        """How many tracks a step offers, of which one may be played."""
        return self.slate_size

    def draw(self, keys: NDArray[np.uint64], sessions: NDArray[np.uint64]) -> DrawnSessions:
        """Return what the sessions of these keys and numbers offer, (n_sessions,) uint64 each.

        Their ``tracks`` are (n_sessions, session_length, slate_size) int32; those of one step are
        all different.
        """
        n, length = len(keys), self.session_length
        # Each step has a number of its own, and with it a permutation of the pool.
        steps = sessions[:, None] * np.uint64(length) + np.arange(length, dtype=np.uint64)
        orders = session_orders(
            len(self.pool), self.slate_size, np.repeat(keys, length), steps.ravel()
        )
        tracks = self.pool[orders].astype(np.int32).reshape(n, length, self.slate_size)
        kinds = np.zeros((n, length), dtype=np.int32)
        return DrawnSessions(tracks, kinds, self.chances(keys, sessions))


def checked_slate_size(slate_size: Any) -> int:
    """Return the number of candidates; ``ValueError`` unless it is a whole number from 1."""
    whole = isinstance(slate_size, int | np.integer) and not isinstance(slate_size, bool)
    if not whole or slate_size < 1:
        raise ValueError(f"slate_size must be a whole number of at least 1, got {slate_size!r}")
    return int(slate_size)


def _build(
    *,
    slate_size: int,
    encoding: str,
    encoding_options: Mapping[str, int] | None,
    observe_state: bool,
    **listener: Any,
) -> SlateSetup:
    size = checked_slate_size(slate_size)
    parts = listener_parts(**listener, least_pool=size)
    if size > len(parts["pool"]):
        raise ValueError(
            f"slate_size must be at most {len(parts['pool'])}, the number of tracks that can be "
            f"offered, got {slate_size}"
        )
    encoded = slate_encoding(
        parts["catalogue"],
        parts["scores"].total,
        parts["satiates"],
        parts["pool"],
        parts["labels"].vocabulary,
        parts["top"],
        slate_size=size,
        encoding=encoding,
        options=encoding_options,
        observe_state=observe_state,
    )
    arguments = {
        **listener,
        "slate_size": slate_size,
        "encoding": encoding,
        "encoding_options": encoding_options,
        "observe_state": observe_state,
    }
    return SlateSetup(**parts, arguments=arguments, slate_size=size, encoded=encoded)
