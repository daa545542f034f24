"""Populations: the listeners that sessions belong to, drawn from a catalogue, read, or given.

A population is a list of listeners; each session's listener is drawn from it, every one equally
likely. Train and test listeners are kept apart by their preferred artists, see `is_test`.
"""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.listener import TERMS, is_share
from music_env.listeners import OPEN, Listeners, Wanted
from music_env.naming import nearest

SPLITS = ("all", "train", "test")

_DECIMALS = 3  # of the ends of a range: in as many are audio features published


@dataclass(frozen=True)
class PopulationOptions:
    """How listeners are drawn from a catalogue, see `draw_population`.

    Attributes:
        n_listeners: how many.
        min_artist_tracks: only artists with so many tracks are preferred by anybody. Five, for
            then a session of 100 shows the artist five times at least.
        open_share: the probability that a term is left open, for each of the three on its own.
        other_share: the probability that the genre, and the range of danceability, have nothing to
            do with the preferred artist.
        min_width: the narrowest range of danceability.
        max_width: the widest one.
    """

    n_listeners: int = 10_000
    min_artist_tracks: int = 5
    open_share: float = 0.2
    other_share: float = 0.2
    min_width: float = 0.1
    max_width: float = 0.5

    def __post_init__(self) -> None:
        for name in ("n_listeners", "min_artist_tracks"):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
                raise ValueError(f"population option {name} must be a whole number >= 1: {value!r}")
        for name in ("open_share", "other_share", "min_width", "max_width"):
            value = getattr(self, name)
            if not is_share(value):
                raise ValueError(
                    f"population option {name} must be a number from 0 to 1, got {value!r}"
                )
        if self.open_share == 1:
            raise ValueError("population option open_share must be below 1, got 1: all terms open")
        if self.min_width > self.max_width:
            raise ValueError(
                f"population option min_width must be at most max_width = {self.max_width}, "
                f"got {self.min_width}"
            )

    @classmethod
    def of(cls, options: Mapping[str, Any] | None) -> PopulationOptions:
        """Return the options of a mapping; ``ValueError`` for an unknown one, or no mapping."""
        if not isinstance(options, Mapping | None):
            raise ValueError(
                'population_options must be a mapping such as {"n_listeners": 1000}, got '
                f"{options!r}"
            )
        known = cls.__dataclass_fields__
        for name in options or {}:
            if name not in known:
                raise ValueError(
                    f"a population has no option {name!r}; it has {', '.join(known)}."
                    + nearest(str(name), known)
                )
        return cls(**(options or {}))


@dataclass(frozen=True, eq=False)
class Population:
    """Some listeners of a catalogue.

    Attributes:
        listeners: their preferences, (n_listeners,).
        source: where they are from, for reading.
        split: one of `SPLITS`.
        part_of: the listeners of both splits, where these are a split of a population that was
            given or read; one that was drawn is drawn for its split.
        catalogue: the checksum of the catalogue whose artists and genres they prefer, by their
            places in its vocabularies: of another one the listeners would be others. None where it
            is not known, which nobody can check.

    Raises:
        ValueError: somebody leaves all three terms open, so that there is nothing to like.
    """

    listeners: Listeners
    source: str
    split: str = "all"
    part_of: Population | None = field(default=None, repr=False)
    catalogue: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for listener in np.flatnonzero(self.listeners.n_open == len(TERMS))[:1].tolist():
            raise ValueError(
                f"listener {listener} of the population leaves everything open, expected at least "
                f"one of {', '.join(TERMS)}; leave the listener out"
            )

    def __len__(self) -> int:
        return len(self.listeners)

    @property
    def whole(self) -> Population:
        """The population that this is a split of, or itself."""
        return self if self.part_of is None else self.part_of

    @property
    def checksum(self) -> str:
        """The checksum of the listeners of `whole`, see `Listeners.checksum`."""
        return self.whole.listeners.checksum

    def __str__(self) -> str:
        split = "" if self.split == "all" else f", {self.split} split"
        return f"{len(self):,} listeners {self.source}{split}"


@dataclass(frozen=True)
class Split:
    """Which listeners of a population are taken.

    Attributes:
        name: ``"train"``, ``"test"`` or ``"all"``.
        test_share: the probability that an artist's listeners are test listeners.
        seed: another one gives another split.
    """

    name: str = "all"
    test_share: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.name not in SPLITS:
            raise ValueError(
                f"split must be one of {', '.join(map(repr, SPLITS))}, got {self.name!r}."
                + nearest(str(self.name), SPLITS)
            )
        if not is_share(self.test_share):
            raise ValueError(f"test_share must be a number from 0 to 1, got {self.test_share!r}")
        whole = isinstance(self.seed, int | np.integer) and not isinstance(self.seed, bool)
        if not whole or self.seed < 0:
            raise ValueError(f"population_seed must be a whole number >= 0, got {self.seed!r}")

    def is_test(self, text: str) -> bool:
        """Whether an artist's listeners are test listeners.

        By a hash of seed and name (BLAKE2b, 8 bytes; RFC 7693), not by a shuffled list: an artist
        is on the same side in every catalogue and population.
        """
        content = f"{self.seed}\x1f{text}".encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(content, digest_size=8).digest()
        return int.from_bytes(digest, "little") < self.test_share * 2**64

    def takes(self, catalogue: Catalogue, listeners: Listeners) -> NDArray[np.bool_]:
        """(n_listeners,) bool: who belongs to the split.

        A listener without a preferred artist belongs to the side of the whole preference, so that
        no listener at all is on both.
        """
        taken = np.ones(len(listeners), dtype=np.bool_)
        if self.name == "all":
            return taken
        side: dict[int, bool] = {}
        for i, artist in enumerate(listeners.artist.tolist()):
            if artist == OPEN:
                is_test = self.is_test(f"\x1f{listeners.preference(i, catalogue)}")
            else:
                if artist not in side:
                    side[artist] = self.is_test(catalogue.artists.vocabulary[artist])
                is_test = side[artist]
            taken[i] = is_test == (self.name == "test")
        return taken


def draw_population(
    catalogue: Catalogue, options: PopulationOptions | None = None, split: Split | None = None
) -> Population:
    """Draw listeners from a catalogue.

    - The *artist* is uniform over the artists with at least ``min_artist_tracks`` tracks. Drawn by
      their number of tracks a few artists would be half of the population, though how many tracks
      of them a catalogue has says little about how many people like them; and a policy for every
      listener is to be judged on many different artists.
    - The *genre* is one of a random track of the artist (so by how often the artist has it); with
      probability ``other_share`` any genre, uniformly: tracks then match the one or the other.
    - The *range of danceability* has a width uniform in ``min_width`` to ``max_width`` and lies
      anywhere around the danceability of a random track of the artist (with probability
      ``other_share``: of any track), cut off at 0 and 1, its ends rounded to three decimals. So
      some track of the artist lies within it, mostly.
    - Each term is *left open* with probability ``open_share``; then the others are of any track.
      Nobody leaves all three open. A catalogue without genres leaves the genre open.

    The same catalogue, options and split give the same listeners, in any process. The train and the
    test split are parts of the same stream of listeners.

    Raises:
        ValueError: no artist has as many tracks, or none of them is in the split.
    """
    options, split = options or PopulationOptions(), split or Split()
    eligible = np.flatnonzero(catalogue.artists.frequency >= options.min_artist_tracks)
    if not eligible.size:
        raise ValueError(
            f"no artist of the catalogue has {options.min_artist_tracks} tracks, the most are "
            f"{int(catalogue.artists.frequency.max())}: pass population_options="
            '{"min_artist_tracks": ...} with a smaller number, or a population of your own'
        )
    if split.name != "all":
        names = [catalogue.artists.vocabulary[artist] for artist in eligible.tolist()]
        sides = np.array([split.is_test(name) for name in names]) == (split.name == "test")
        if not sides.any():
            raise ValueError(
                f"none of the {len(eligible)} artists with {options.min_artist_tracks} tracks or "
                f"more is in the {split.name} split of test_share={split.test_share}, "
                f"population_seed={split.seed}; pass another one of them"
            )
    generator = np.random.default_rng(split.seed)
    parts: list[Listeners] = []
    missing = options.n_listeners
    while missing > 0:
        # Always as many at a time: the stream does not depend on the split.
        candidates = _candidates(catalogue, options, eligible, generator)
        taken = candidates.take(split.takes(catalogue, candidates))
        parts.append(taken.take(slice(missing)))
        missing -= len(parts[-1])
    return Population(
        joined(parts), "drawn from the catalogue", split.name, catalogue=catalogue.checksum
    )


_BATCH = 4096


def _candidates(
    catalogue: Catalogue,
    options: PopulationOptions,
    eligible: NDArray[np.int64],
    generator: np.random.Generator,
) -> Listeners:
    """Draw a batch of listeners of either split."""
    is_open = generator.random((3, _BATCH)) < options.open_share
    n_genres = len(catalogue.genres.vocabulary)
    if n_genres == 0:
        is_open[1] = True
    artist = eligible[generator.integers(len(eligible), size=_BATCH)]
    start, tracks = catalogue.artists.tracks_of

    def some_track() -> NDArray[np.int64]:
        """A random track of each artist, of all tracks where the artist is left open."""
        place = generator.random(_BATCH) * catalogue.artists.frequency[artist]
        own = tracks[start[artist] + place.astype(np.int64)]
        return np.where(is_open[0], generator.integers(catalogue.n_tracks, size=_BATCH), own)

    track = some_track()
    counts = catalogue.genres.counts[track]
    genre = generator.integers(max(1, n_genres), size=_BATCH)
    own = (generator.random(_BATCH) >= options.other_share) & (counts > 0)
    place = (generator.random(_BATCH) * counts).astype(np.int64)
    genre[own] = catalogue.genres.codes[(catalogue.genres.indptr[track] + place)[own]]

    others = generator.integers(catalogue.n_tracks, size=_BATCH)
    track = np.where(generator.random(_BATCH) < options.other_share, others, some_track())
    width = generator.uniform(options.min_width, options.max_width, _BATCH)
    start_of = catalogue.danceability[track] - generator.random(_BATCH) * width
    low = np.round(np.clip(start_of, 0, 1), _DECIMALS)
    high = np.round(np.clip(start_of + width, 0, 1), _DECIMALS)
    listeners = Listeners(
        np.where(is_open[0], OPEN, artist),
        np.where(is_open[1], OPEN, genre),
        np.where(is_open[2], 0.0, low),
        np.where(is_open[2], 1.0, high),
        is_open[2].copy(),
    )
    return listeners.take(listeners.n_open < len(is_open))


def joined(parts: Sequence[Listeners]) -> Listeners:
    """Return the listeners of all parts, behind one another."""
    arrays = [part.arrays() for part in parts]
    return Listeners(**{name: np.concatenate([a[name] for a in arrays]) for name in arrays[0]})


def given_population(
    catalogue: Catalogue, preferences: Iterable[Wanted], split: Split | None = None
) -> Population:
    """Return the listeners with these preferences, or those of them in a split.

    Raises:
        ValueError: for a preference that the catalogue cannot meet, see `Listeners.of`, or that
            leaves everything open, with its place; or none of them is in the split.
        TypeError: for what is no preference.
    """
    wanted = list(preferences)
    if not wanted:
        raise ValueError("a population needs at least one listener, got none")
    parts = []
    for i, preference in enumerate(wanted):
        try:
            parts.append(Listeners.of(catalogue, [preference]))
        except ValueError as error:
            raise ValueError(f"listener {i} of the population: {error}") from error
    everybody = Population(joined(parts), "given one by one", catalogue=catalogue.checksum)
    return in_split(catalogue, everybody, split or Split())


def in_split(catalogue: Catalogue, population: Population, split: Split) -> Population:
    """Return the part of a population that is in a split; ``ValueError`` where nobody is."""
    if split.name == "all":
        return population
    taken = split.takes(catalogue, population.listeners)
    if not taken.any():
        raise ValueError(
            f"none of the {len(population):,} listeners is in the {split.name} split of "
            f"test_share={split.test_share}, population_seed={split.seed}; pass another one of them"
        )
    listeners = population.listeners.take(taken)
    return replace(population, listeners=listeners, split=split.name, part_of=population.whole)


_DRAWN: weakref.WeakKeyDictionary[Catalogue, dict[Any, Population]] = weakref.WeakKeyDictionary()
_DRAWN_KEPT = 8


def load_population(
    catalogue: Catalogue,
    population: Population | str | PathLike[str] | Iterable[Wanted] | None,
    split: Split,
    options: Mapping[str, Any] | None,
) -> Population:
    """Return the population that the arguments of `gymnasium.make` describe.

    One that is drawn from the catalogue is drawn once per process.

    Raises:
        ValueError: see `draw_population`, `given_population` and
            `music_env.population_file.read_population`; or options with a population that is not
            drawn from the catalogue; or a `Population` of another catalogue.
        TypeError: the population is none of these.
    """
    if population is not None and options:
        raise ValueError(
            f"population_options {options} are for a population drawn from the catalogue; "
            "leave them out, or leave out population"
        )
    if population is None:
        chosen = PopulationOptions.of(options)
        kept = _DRAWN.setdefault(catalogue, {})
        if (chosen, split) not in kept:
            drawn = draw_population(catalogue, chosen, split)
            while len(kept) >= _DRAWN_KEPT:
                kept.pop(next(iter(kept)))
            kept[chosen, split] = drawn
        return kept[chosen, split]
    if isinstance(population, Population):
        if population.catalogue not in (None, catalogue.checksum):
            raise ValueError(
                "the population's artists and genres are those of the catalogue of checksum "
                f"{population.catalogue}, not of this one, {catalogue.checksum}; draw or read one "
                "for this catalogue, or give preferences by name"
            )
        return in_split(catalogue, population, split)
    if isinstance(population, str | PathLike):
        from music_env.population_file import read_population

        return in_split(catalogue, read_population(os.fspath(population), catalogue), split)
    if isinstance(population, Mapping) or not isinstance(population, Iterable):
        raise TypeError(
            "population must be a path, a sequence of preferences, a Population or None (drawn "
            f"from the catalogue), got {population!r}"
        )
    return given_population(catalogue, population, split)
