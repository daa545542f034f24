"""One person's presses, and a snapshot of a listener as JSON: written, and read with every check.

Plain values; what is learnt from them is `agents.online_listener`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from music_env.catalogue import Catalogue
from music_env.listener import TERMS, Preference
from music_env.listeners import as_preference

SNAPSHOT_VERSION = 2
"""Version 1 lacks the policy's weights, which are then found anew from the presses."""

READABLE = (1, SNAPSHOT_VERSION)


@dataclass(frozen=True)
class Press:
    """Like or Dislike.

    Attributes:
        track: its index in the catalogue.
        liked: which of the two.
        is_sound: it was of something that only sounds like the track.
    """

    track: int
    liked: bool
    is_sound: bool = False

    def as_list(self) -> list[int | bool]:
        """Return what JSON says of it; the last entry only where it is true."""
        return [self.track, self.liked, True] if self.is_sound else [self.track, self.liked]


def latest(presses: Sequence[Press]) -> list[Press]:
    """Return of each track the last press, in the order of these."""
    places = {press.track: place for place, press in enumerate(presses)}
    return [presses[place] for place in sorted(places.values())]


@dataclass(frozen=True)
class ListenerSnapshot:
    """All that a listener is, given the policy and the catalogue.

    Attributes:
        stated: the preference as far as it was stated.
        unknown: the terms of it that are not known.
        seed: of what is drawn for the listener.
        shown: the tracks shown or judged, in order.
        presses: all of them, also those on a track that was judged again later.
        policy_weights: the policy's weight after each of the `latest` presses; None where the
            snapshot does not say.
    """

    stated: Preference
    unknown: tuple[str, ...]
    seed: int
    shown: tuple[int, ...]
    presses: tuple[Press, ...]
    policy_weights: tuple[float, ...] | None

    def as_json(self, catalogue: Catalogue) -> dict[str, Any]:
        """Return what `read` takes, of values that JSON can say."""
        ends = self.stated.danceability
        return {
            "version": SNAPSHOT_VERSION,
            "catalogue": catalogue.checksum,
            "stated": {
                "artist": self.stated.artist,
                "genre": self.stated.genre,
                "danceability": None if ends is None else list(ends),
            },
            "unknown": list(self.unknown),
            "seed": self.seed,
            "shown": list(self.shown),
            "presses": [press.as_list() for press in self.presses],
            "policy_weights": None if self.policy_weights is None else list(self.policy_weights),
        }

    @classmethod
    def read(cls, snapshot: Mapping[str, Any], catalogue: Catalogue) -> ListenerSnapshot:
        """Return what a mapping says, all of it checked but the names in ``stated``.

        Raises:
            ValueError: it is damaged, or of another version or another catalogue.
        """
        if not isinstance(snapshot, Mapping):
            raise ValueError(
                "not a whole snapshot of a listener: expected a mapping as OnlineListener.snapshot "
                f"returns it, got {type(snapshot).__name__}"
            )
        version = snapshot.get("version")
        if not (_is_whole(version) and version in READABLE):
            raise ValueError(
                f"a listener's snapshot must be of version {SNAPSHOT_VERSION}, or 1, got "
                f"{version!r}"
            )
        if snapshot.get("catalogue") != catalogue.checksum:
            raise ValueError(
                "the snapshot is of a listener of another catalogue (checksum "
                f"{snapshot.get('catalogue')}, here {catalogue.checksum})"
            )
        of = _Checked(snapshot, catalogue.n_tracks)
        presses = of.presses()
        weights = of.weights(len(latest(presses))) if version > 1 else None
        return cls(of.stated(), of.unknown(), of.seed(), of.shown(presses), presses, weights)


def checked_seed(seed: Any) -> int:
    """Return a listener's seed.

    Raises:
        ValueError: it is no whole number of at least 0.
    """
    if not (_is_whole(seed) and seed >= 0):
        raise ValueError(f"seed must be a whole number of at least 0, got {seed!r}")
    return int(seed)


@dataclass(frozen=True)
class _Checked:
    """The entries of a snapshot."""

    snapshot: Mapping[str, Any]
    n_tracks: int

    def stated(self) -> Preference:
        stated = self._entry("stated", Mapping, "a mapping")
        try:
            return as_preference(stated)
        except (TypeError, ValueError) as error:
            raise _damaged(f"stated: {error}") from error

    def unknown(self) -> tuple[str, ...]:
        unknown = self._entry("unknown", list, "a list")
        for place, term in enumerate(unknown):
            if term not in TERMS:
                raise _damaged(f"unknown[{place}] must be of {', '.join(TERMS)}, got {term!r}")
        return tuple(unknown)

    def seed(self) -> int:
        try:
            return checked_seed(self._entry("seed", object, "a number"))
        except ValueError as error:
            raise _damaged(str(error)) from error

    def presses(self) -> tuple[Press, ...]:
        presses = self._entry("presses", list, "a list")
        return tuple(self._press(place, press) for place, press in enumerate(presses))

    def shown(self, presses: Sequence[Press]) -> tuple[int, ...]:
        shown = self._entry("shown", list, "a list")
        for place, track in enumerate(shown):
            self._check_track(track, f"shown[{place}]")
        known = set(shown)
        if len(known) < len(shown):
            raise _damaged("shown holds a track twice")
        for place, press in enumerate(presses):
            if not press.is_sound and press.track not in known:
                raise _damaged(f"presses[{place}] is of track {press.track}, which is not in shown")
        return tuple(shown)

    def weights(self, count: int) -> tuple[float, ...]:
        weights = self._entry("policy_weights", list, "a list")
        if len(weights) != count:
            raise _damaged(f"policy_weights must have {count} entries, got {len(weights)}")
        for place, weight in enumerate(weights):
            if not (isinstance(weight, float) and 0 < weight < 1):
                raise _damaged(
                    f"policy_weights[{place}] must be a number between 0 and 1, got {weight!r}"
                )
        return tuple(weights)

    def _press(self, place: int, press: Any) -> Press:
        is_press = isinstance(press, list) and len(press) in (2, 3) and isinstance(press[1], bool)
        if not is_press or press[2:] not in ([], [True]):
            raise _damaged(
                f"presses[{place}] must be [track, true or false], with a third entry true where "
                f"it is of a sound, got {press!r}"
            )
        self._check_track(press[0], f"presses[{place}][0]")
        return Press(press[0], press[1], len(press) == 3)

    def _check_track(self, track: Any, where: str) -> None:
        if not (_is_whole(track) and 0 <= track < self.n_tracks):
            raise _damaged(f"{where} must be a track from 0 to {self.n_tracks - 1}, got {track!r}")

    def _entry(self, name: str, kind: type, words: str) -> Any:
        if name not in self.snapshot:
            raise _damaged(f"it has no {name!r}")
        found = self.snapshot[name]
        if not isinstance(found, kind):
            raise _damaged(f"{name} must be {words}, got {found!r}")
        return found


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _damaged(what: str) -> ValueError:
    return ValueError(f"not a whole snapshot of a listener: {what}")
