"""Which tracks are the same song, against a plain grouping by names."""

from __future__ import annotations

import pandas as pd

from music_env import Catalogue
from music_env.songs import same_songs


def test_songs_by_hand() -> None:
    rows = [
        ("t0", "One", "A;B"),
        ("t1", " one ", "b;a"),  # other case and order
        ("t2", "One", "A"),  # another artist is another song
        ("t3", "", "A"),
        ("t4", "", "A"),  # without a title only the id tells
        ("t5", "Two", "A"),
        ("t6", "TWO", "a"),
    ]
    frame = pd.DataFrame(rows, columns=["track_id", "title", "artists"])
    songs = same_songs(Catalogue.from_frame(frame.assign(danceability=0.5)))
    assert songs.tolist() == [0, 0, 1, 2, 3, 4, 4]
    assert not songs.flags.writeable


def test_the_embedded_catalogue_repeats_songs(embedded: Catalogue) -> None:
    names = pd.DataFrame(
        {
            "title": [title.strip().casefold() for title in embedded.title.tolist()],
            "artists": [
                tuple(sorted(name.casefold() for name in embedded.artists.of(track)))
                for track in range(embedded.n_tracks)
            ],
        }
    )
    assert (names["title"] != "").all()
    wanted = names.groupby(["title", "artists"], sort=False).ngroup()
    assert wanted.nunique() < embedded.n_tracks
    assert same_songs(embedded).tolist() == wanted.tolist()
