"""Which tracks are the same song: the same recording under several ids, or judged several times."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.labels import read_only


# A loop over all titles: recommender, player and study ask for the same catalogue.
@functools.lru_cache(maxsize=2)
def same_songs(catalogue: Catalogue) -> NDArray[np.int64]:
    """Return the number of each track's song.

    Tracks are the same song where id, or title and artists (whatever the case, in any order), are;
    also by way of a third one. Without a title only the id tells songs apart.

    Args:
        catalogue: the tracks; ids may repeat, as in `music_env.judgements.Judgements`.

    Returns:
        (n_tracks,) int64, read-only: songs counted from 0 in order of appearance.
    """
    ids = np.unique(catalogue.track_id.astype(str), return_inverse=True)[1]
    artists = catalogue.artists
    folded: dict[str, int] = {}
    number = [folded.setdefault(name.casefold(), len(folded)) for name in artists.vocabulary]
    codes, ends = [number[code] for code in artists.codes.tolist()], artists.indptr.tolist()
    names: dict[tuple[str | int, ...], int] = {}
    named = np.empty(catalogue.n_tracks, dtype=np.int64)
    for i, (title, own_id) in enumerate(zip(catalogue.title.tolist(), ids.tolist(), strict=True)):
        title = title.strip().casefold()
        key = (title, *sorted(codes[ends[i] : ends[i + 1]])) if title else ("", -1, own_id)
        named[i] = names.setdefault(key, len(names))
    song = np.arange(catalogue.n_tracks)
    while True:  # each track takes the least number among those that share anything with it
        before = song
        for key_of in (ids, named):
            least = np.full(int(key_of.max()) + 1, catalogue.n_tracks)
            np.minimum.at(least, key_of, song)
            song = least[key_of]
        if (song == before).all():
            break
    _, first, number_of = np.unique(song, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    return read_only(order[number_of].astype(np.int64))
