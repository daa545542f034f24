"""Which tracks are the same song, against a plain grouping by names."""

from __future__ import annotations

import tempfile
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from conftest import shared_file

from music_env import Catalogue, Judgements
from music_env.songs import FEATURES_THAT_TELL, related_songs, same_songs
from music_env.titles import bare, folded


def catalogue_of(rows: Sequence[tuple[str, ...]], **features: float | Sequence[float]) -> Catalogue:
    frame = pd.DataFrame(rows, columns=["track_id", "title", "artists"])
    return Catalogue.from_frame(frame.assign(**{"danceability": 0.5, **features}))


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
    songs = same_songs(catalogue_of(rows))
    assert songs.tolist() == [0, 0, 1, 2, 3, 4, 4]
    assert not songs.flags.writeable


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It Ain\u2019t Me", "It Ain't Me"),
        ("It Ain\u00b4t  me", " it ain\u2032t Me"),
        ("\u201cHeroes\u201d", '"Heroes"'),
        (
            unicodedata.normalize("NFC", "Beyonc\u00e9"),
            unicodedata.normalize("NFD", "BEYONC\u00c9"),
        ),
        ("Damn Son\u2026", "Damn Son..."),
        ("So \u2013 What", "So - What"),
        ("\uff21BC", "abc"),
        ("Stra\u00dfe", "STRASSE"),
    ],
)
def test_spelling_tells_no_songs_apart(one: str, other: str) -> None:
    assert folded(one) == folded(other)
    rows = [("t0", one, "A"), ("t1", other, "A"), ("t2", "X", one), ("t3", "X", other)]
    assert same_songs(catalogue_of(rows)).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Ironic - 2015 Remastered", "ironic"),
        ("Hands On the Wheel (feat. a$Ap Rocky)", "handsonthewheel"),
        ("Hood Pass Intact feat. MC Eiht", "hoodpassintact"),
        ("Defeat ft Me", "defeat"),
        ("Jay-Z", "jayz"),
        ("(I Can't Get No) Satisfaction", "icantgetnosatisfaction"),
        ("- 1 -", "1"),
        ("???", "???"),
    ],
)
def test_a_title_without_its_version(title: str, expected: str) -> None:
    assert bare(title) == expected


def test_related_songs_by_hand() -> None:
    rows = [
        ("t0", "Ironic", "A;B"),
        ("t1", "Ironic - 2015 Remastered", "B;C"),  # shares an artist
        ("t2", "Ironic (Live)", "C"),  # by way of the one before
        ("t3", "Ironic", "D"),  # somebody else's
        ("t4", "", "A"),
        ("t5", "", "A"),  # without a title only id and numbers tell
        ("t6", "Another Name", "E"),  # the same recording as t3
        ("t3", "By Its Id", "F"),
    ]
    names = ["danceability", "energy", "valence", "liveness", "tempo"]
    assert len(names) == FEATURES_THAT_TELL
    own: list[float] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.4, 0.8]
    features: dict[str, Sequence[float]] = {name: own for name in names[1:]}
    frame = pd.DataFrame(rows, columns=["track_id", "title", "artists"])
    frame = frame.assign(danceability=0.5, liked=1, **features)
    expected = [0, 0, 0, 1, 2, 3, 1, 1]
    found = related_songs(_judged(frame))
    assert found.tolist() == expected
    assert not found.flags.writeable
    # One number fewer says too little.
    assert related_songs(_judged(frame.drop(columns="tempo"))).tolist() == [0, 0, 0, 1, 2, 3, 4, 1]


def _judged(frame: pd.DataFrame) -> Catalogue:
    """The tracks of a table in which ids may repeat."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "likes.csv"
        frame.to_csv(path, index=False)
        return Judgements.read(path, like="liked").catalogue


def test_no_two_versions_of_a_real_persons_songs_are_apart() -> None:
    path = shared_file("geomack_song_attributes_likes.csv")
    judged = Judgements.read(path, columns={"title": "song_title"}, like="target")
    table = pd.read_csv(path).assign(group=judged.groups)
    for one, other in ((1169, 1694), (812, 814), (1769, 1913), (966, 625), (1185, 1981)):
        assert table["group"].iloc[one - 1] == table["group"].iloc[other - 1], (one, other)
    numbers = [name for name in judged.catalogue.features if name in table]
    assert (table.groupby(numbers)["group"].nunique() == 1).all()
    # Plainly: the title's first words, in letters and digits.
    plain = (
        table["song_title"].str.split(r" - | \(| feat", regex=True).str[0]
        .str.casefold().str.replace(r"\W", "", regex=True)
    )  # fmt: skip
    assert (table.groupby([plain, table["artist"]])["group"].nunique() == 1).all()


def test_the_embedded_catalogue_repeats_songs(embedded: Catalogue) -> None:
    names = pd.DataFrame(
        {
            "title": [folded(title) for title in embedded.title.tolist()],
            "artists": [
                tuple(sorted(folded(name) for name in embedded.artists.of(track)))
                for track in range(embedded.n_tracks)
            ],
        }
    )
    assert (names["title"] != "").all()
    wanted = names.groupby(["title", "artists"], sort=False).ngroup()
    assert wanted.nunique() < embedded.n_tracks
    assert same_songs(embedded).tolist() == wanted.tolist()
