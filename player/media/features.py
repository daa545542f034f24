"""What is known of a track that a cover is drawn and a clip composed from."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from player.media.styles import Style, blended_styles

if TYPE_CHECKING:  # it brings gymnasium along, which nothing here needs
    from music_env.catalogue import Catalogue

__all__ = ["TEMPO_RANGE", "Mode", "TrackFeatures"]

Mode: TypeAlias = Literal["major", "minor"]

TEMPO_RANGE = (50.0, 220.0)
"""[BPM] What a clip is played at. A tempo outside is halved or doubled until it is inside, as
trackers of beats are known to miss by octaves; one outside 20..500 is taken as not known."""

_SHARES = ("danceability", "energy", "valence", "acousticness")


@dataclass(frozen=True, kw_only=True)
class TrackFeatures:
    """A track, as far as covers and clips need it. Equal features give equal covers and clips.

    `of` takes them from a catalogue, and says what stands where a value is missing.
    """

    title: str
    artists: tuple[str, ...] = ()
    genres: tuple[str, ...] = ()
    """As the catalogue writes them; none is style `player.media.styles.FALLBACK`."""
    genre_weights: tuple[float, ...] = ()
    """One for each genre, at least 0, not all 0; none given: 1, 1/2, 1/3, ... in their order."""
    tempo: float | None = None
    """[BPM], None = not known."""
    danceability: float
    """0..1, as all shares below."""
    energy: float
    valence: float
    acousticness: float
    mode: Mode | None = None
    key: int | None = None
    """Pitch class 0..11, 0 = C."""
    seed: str = ""
    """What tells apart tracks of equal features, such as the track's id."""

    def __post_init__(self) -> None:
        for name in _SHARES:
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:  # NaN as well
                raise ValueError(f"{name} is {value!r}, expected a number within 0..1")
        if self.tempo is not None and not (math.isfinite(self.tempo) and self.tempo > 0):
            raise ValueError(f"tempo is {self.tempo!r}, expected BPM above 0, or None if not known")
        if self.mode not in ("major", "minor", None):
            raise ValueError(f"mode is {self.mode!r}, expected 'major', 'minor' or None")
        if self.key is not None and self.key not in range(12):
            raise ValueError(f"key is {self.key!r}, expected a pitch class 0..11 or None")
        if not self.genre_weights:
            ranks = range(1, len(self.genres) + 1)
            object.__setattr__(self, "genre_weights", tuple(1.0 / rank for rank in ranks))
        weights = self.genre_weights
        if len(weights) != len(self.genres):
            raise ValueError(
                f"{len(weights)} genre_weights for {len(self.genres)} genres; expected one each"
            )
        if weights and not (min(weights) >= 0 and 0 < sum(weights) < math.inf):
            raise ValueError(f"genre_weights are {weights!r}, expected numbers >= 0, not all 0")

    @classmethod
    def of(cls, catalogue: Catalogue, index: int) -> TrackFeatures:
        """The features of a track, shares outside 0..1 clipped.

        A missing share (energy, valence, acousticness) is that of the track's style, moved by up
        to 0.1 either way by a hash of the track's id, so that tracks without numbers still differ.
        Tempo, mode and key stay None where they are missing; `filled` draws them.

        Raises:
            IndexError: there is no such track.
        """
        index = range(catalogue.n_tracks)[index]
        track_id = str(catalogue.track_id[index])
        genres = catalogue.genres.of(index)
        style = cls._style(genres)

        def number(name: str) -> float | None:
            values = catalogue.features.get(name)
            value = math.nan if values is None else float(values[index])
            return value if math.isfinite(value) else None

        def share(name: str) -> float:
            value = number(name)
            if value is None:
                value = getattr(style, name) + 0.2 * _unit(track_id, name) - 0.1
            return min(max(value, 0.0), 1.0)

        tempo, mode, key = number("tempo"), number("mode"), number("key")
        return cls(
            title=str(catalogue.title[index]),
            artists=catalogue.artists.of(index),
            genres=genres,
            tempo=tempo if tempo is not None and 20.0 <= tempo <= 500.0 else None,
            danceability=share("danceability"),
            energy=share("energy"),
            valence=share("valence"),
            acousticness=share("acousticness"),
            mode=None if mode is None else ("major" if mode >= 0.5 else "minor"),
            key=None if key is None or key not in range(12) else int(key),
            seed=track_id,
        )

    @staticmethod
    def _style(genres: tuple[str, ...]) -> Style:
        return blended_styles(genres, tuple(1.0 / (i + 1) for i in range(len(genres))))[0][0]

    @property
    def styles(self) -> list[tuple[Style, float]]:
        """The different styles of the genres with their weights, the heaviest first."""
        return blended_styles(self.genres, self.genre_weights)

    @functools.cached_property
    def checksum(self) -> str:
        """BLAKE2b (16 bytes, hexadecimal) of all values, the same in any process."""
        text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=True)
        return hashlib.blake2b(text.encode("ascii"), digest_size=16).hexdigest()

    def generator(self, purpose: str) -> np.random.Generator:
        """A generator seeded by these features and a purpose: no two purposes share their draws."""
        key = f"{self.checksum} {purpose}".encode()
        return np.random.default_rng(
            int.from_bytes(hashlib.blake2b(key, digest_size=16).digest(), "big")
        )

    def filled(self) -> TrackFeatures:
        """The same with tempo, mode and key, which a clip has to have; the tempo in `TEMPO_RANGE`.

        A missing tempo is drawn from the usual range of the style, a missing mode by the style's
        share of major tracks (moved by a valence that is far from the style's), a missing key from
        all twelve: by the track's own generator, so always the same.
        """
        style = self.styles[0][0]
        draw = self.generator("missing values").random(3)
        tempo, mode, key = self.tempo, self.mode, self.key
        if tempo is None:
            low, high = style.tempo
            tempo = round(low + (high - low) * float(draw[0]))
        while tempo < TEMPO_RANGE[0]:
            tempo *= 2
        while tempo > TEMPO_RANGE[1]:
            tempo /= 2
        if mode is None:
            share = style.major + 0.5 * (self.valence - style.valence)
            mode = "major" if draw[1] < share else "minor"
        if key is None:
            key = int(12 * draw[2])
        return replace(self, tempo=float(tempo), mode=mode, key=key)


def _unit(track_id: str, name: str) -> float:
    """A number in 0..1 that only depends on the two words."""
    text = f"{name}\x1f{track_id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") / 2**64
