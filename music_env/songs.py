"""Which tracks are the same song: the same recording under several ids, or judged several times."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.labels import read_only
from music_env.titles import bare, folded

FEATURES_THAT_TELL = 5
"""Known audio features from which on tracks with identical ones are taken for one recording. With
fewer, different songs may well share them (all of a table with danceability alone, say)."""

_NOT_AUDIO = frozenset({"popularity"})

Indices = NDArray[np.int64]


# A loop over all titles: recommender, player and study ask for the same catalogue.
@functools.lru_cache(maxsize=2)
def same_songs(catalogue: Catalogue) -> Indices:
    """Return the number of each track's song.

    Tracks are the same song where id, or title and artists (in any order, spelt as
    `music_env.titles.folded` compares), are; also by way of a third one. Without a title only the
    id tells songs apart.

    Args:
        catalogue: the tracks; ids may repeat, as in `music_env.judgements.Judgements`.

    Returns:
        (n_tracks,) int64, read-only: songs counted from 0 in order of appearance.
    """
    ids = np.unique(catalogue.track_id.astype(str), return_inverse=True)[1]
    codes, ends = _artists(catalogue)
    names: dict[tuple[object, ...], int] = {}
    named = np.empty(catalogue.n_tracks, dtype=np.int64)
    for i, (title, own_id) in enumerate(zip(catalogue.title.tolist(), ids.tolist(), strict=True)):
        title = folded(title)
        key = (title, *sorted(codes[ends[i] : ends[i + 1]])) if title else ("", -1, own_id)
        named[i] = names.setdefault(key, len(names))
    tracks = np.arange(catalogue.n_tracks)
    return _connected(catalogue.n_tracks, (tracks, ids), (tracks, named))


@functools.lru_cache(maxsize=2)
def related_songs(catalogue: Catalogue) -> Indices:
    """Return the number of each track's group of songs that tell too much of each other.

    For splits of judgements, where a song must not be on both sides in any version: rather too much
    is kept together than too little. Together are, also by way of a third one,

    - tracks of the same song (`same_songs`);
    - tracks that share an artist and the title without its version, as `music_env.titles.bare`
      compares: remasters, remixes, edits, with or without guests, but also movements of a work;
    - tracks of identical audio features, if at least `FEATURES_THAT_TELL` of them are known: the
      same recording under whatever title and artist.

    Cover versions by others, and versions under another title with other numbers, are apart.

    Returns:
        (n_tracks,) int64, read-only: groups counted from 0 in order of appearance.
    """
    codes, ends = _artists(catalogue)
    titles: dict[tuple[str, int], int] = {}
    pairs = [
        (i, titles.setdefault((bare(title), code), len(titles)))
        for i, title in enumerate(catalogue.title.tolist())
        if folded(title)
        for code in codes[ends[i] : ends[i + 1]]
    ]
    by_title = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return _connected(
        catalogue.n_tracks,
        (np.arange(catalogue.n_tracks), same_songs(catalogue)),
        (by_title[0], by_title[1]),
        _recordings(catalogue),
    )


def _artists(catalogue: Catalogue) -> tuple[list[int], list[int]]:
    """The number of each label of artists, whatever its spelling, and where a track's begin."""
    artists = catalogue.artists
    numbers: dict[str, int] = {}
    number = [numbers.setdefault(folded(name), len(numbers)) for name in artists.vocabulary]
    return [number[code] for code in artists.codes.tolist()], artists.indptr.tolist()


def _recordings(catalogue: Catalogue) -> tuple[Indices, Indices]:
    """Tracks with enough known features, and a number that those of identical ones share."""
    columns = [values for name, values in catalogue.features.items() if name not in _NOT_AUDIO]
    table = np.column_stack(columns)
    tracks = np.flatnonzero((~np.isnan(table)).sum(axis=1) >= FEATURES_THAT_TELL)
    known = np.nan_to_num(table[tracks], nan=np.inf)  # unknown in both is identical
    return tracks, np.unique(known, axis=0, return_inverse=True)[1].reshape(-1)


def _connected(n_tracks: int, *shared: tuple[Indices, Indices]) -> Indices:
    """Number the groups of tracks that are connected by what they share.

    Args:
        n_tracks: how many there are.
        shared: pairs of (n,) tracks and (n,) numbers of a thing that each of them has.
    """
    least = np.arange(n_tracks)
    while True:  # each track takes the least number among those that share anything with it
        before = least.copy()
        for tracks, things in shared:
            of_thing = np.full(int(things.max(initial=-1)) + 1, n_tracks)
            np.minimum.at(of_thing, things, least[tracks])
            np.minimum.at(least, tracks, of_thing[things])
        if (least == before).all():
            return read_only(np.unique(least, return_inverse=True)[1].astype(np.int64))
