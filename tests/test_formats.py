"""Reading files: layouts, delimiters, encodings, and the message for each thing that is none."""

from __future__ import annotations

import gzip
import re
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from music_env.catalogue import Catalogue, CatalogueError
from music_env.formats import FEATURES, LAYOUTS, match

HEADER = "track_id,title,artists,genres,danceability\n"
SMALL = HEADER + "1,A,x;y,pop,0.5\n2,B,z,,0.25\n"


@pytest.fixture(params=["from memory", "from the file"])
def file(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a file; both ways of parsing CSV must give the same."""
    limit = 0 if request.param == "from the file" else sys.maxsize
    monkeypatch.setattr("music_env.delimited._WHEN_PARALLEL", limit)

    def write(content: str | bytes, name: str = "f.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def summary(catalogue: Catalogue) -> list[tuple[Any, ...]]:
    return [
        (
            catalogue.track_id[t],
            catalogue.title[t],
            catalogue.artists.of(t),
            catalogue.genres.of(t),
            catalogue.danceability[t],
        )
        for t in range(catalogue.n_tracks)
    ]


SMALL_SUMMARY = [("1", "A", ("x", "y"), ("pop",), 0.5), ("2", "B", ("z",), (), 0.25)]


# --- Layouts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "columns"),
    [
        ("MusicRec", "track_id title artists genres danceability"),
        ("MusicRec", "title artist danceability"),
        ("MusicRec", "track_id artists danceability"),
        ("Spotify Tracks", "track_id artists track_name danceability"),
        ("Spotify Tracks", "artists track_name track_genre danceability"),
        ("TidyTuesday spotify_songs", "track_id track_name track_artist danceability"),
        ("Deezer", "TrackID Title ArtistName danceability track_genre"),
        ("Deezer", "TrackID ArtistName danceability"),
    ],
)
def test_a_layout_is_recognised_by_its_columns(layout: str, columns: str) -> None:
    assert match(columns.split(), None, source="f").layout.name == layout


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_every_layout_takes_all_its_columns(layout: Any) -> None:
    names = ["first", *layout.columns.values(), "danceability", "last"]
    found = match(names, None, source="f")
    assert found.layout is layout
    assert found.columns == {**layout.columns, "danceability": "danceability"}
    assert found.unused == ("first", "last")


def test_canonical_names_are_taken_in_every_layout() -> None:
    names = ["TrackID", "ArtistName", "danceability", "energy", "duration_ms", "release_year"]
    assert set(match(names, None, source="f").columns) == {
        *("track_id", "artists", "danceability"),
        *("energy", "duration_ms", "release_year"),
    }


def test_seconds_go_before_milliseconds_unless_the_mapping_says_otherwise() -> None:
    names = ["title", "artist", "danceability", "duration", "duration_ms", "ms"]
    assert "duration_ms" not in match(names, None, source="f").columns
    found = match(names, {"duration_ms": "ms"}, source="f").columns
    assert found["duration_ms"] == "ms" and "duration" not in found


def test_a_mapping_overrides_one_column_of_a_layout(file: Any) -> None:
    path = file(
        "track_id,track_name,track_artist,playlist_genre,playlist_subgenre,danceability\n"
        "1,A,x;y,pop,dance pop,0.5\n"
    )
    catalogue = Catalogue.read(path, columns={"genre": "playlist_subgenre"})
    assert catalogue.report.layout == "TidyTuesday spotify_songs"
    assert summary(catalogue) == [("1", "A", ("x;y",), ("dance pop",), 0.5)]
    assert catalogue.report.unused == ("playlist_genre",)


def test_a_file_in_none_of_the_layouts_can_be_mapped(file: Any) -> None:
    path = file("performer,song,dance,tempo,mood\nx,A,0.5,120,sad\n")
    with pytest.raises(CatalogueError) as error:
        Catalogue.read(path)
    assert str(error.value).splitlines() == [
        f"{path}: its columns fit none of the known layouts (MusicRec, Spotify Tracks, "
        "TidyTuesday spotify_songs, Deezer).",
        "  Columns found: 'performer', 'song', 'dance', 'tempo', 'mood'",
        "  Nearest layout: MusicRec, which needs artists, danceability, and title or track_id; "
        "it takes besides genres, album, preview_url, artwork_url, "
        + ", ".join(name for name in FEATURES if name != "danceability"),
        "  Missing: title, artists, danceability",
        "  If they are there under other names, say so: Catalogue.read(path, columns="
        '{"title": "<its column>", "artists": "<its column>", "danceability": "<its column>"}), '
        "canonical name -> column of the file",
    ]
    mapping = {"artist": "performer", "title": "song", "danceability": "dance"}
    catalogue = Catalogue.read(path, columns=mapping)
    assert (catalogue.title[0], catalogue.artists.of(0)) == ("A", ("x",))
    assert catalogue.features["tempo"].tolist() == [120.0]
    assert catalogue.report.unused == ("mood",)


def test_the_nearest_layout_is_named(file: Any) -> None:
    path = file("TrackID,ArtistName,Title,BPM\n1,x,A,0\n")
    with pytest.raises(CatalogueError, match="Nearest layout: Deezer, which needs ArtistName") as e:
        Catalogue.read(path)
    assert "  Missing: danceability\n" in str(e.value)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (
            {"artist": "perfomer"},
            "columns= takes 'artist' from column 'perfomer', which is not there; its columns are "
            "'performer', 'song', 'danceability'. Nearest: 'performer'.",
        ),
        ({"artits": "performer"}, "columns= has 'artits', which is no canonical name; expected"),
        ({"artits": "performer"}, "Nearest: 'artists', 'artist'"),
        ({"artist": "performer", "artists": "song"}, "columns= has 'artists' in both spellings"),
    ],
)
def test_a_faulty_mapping_is_an_error(file: Any, mapping: dict[str, str], message: str) -> None:
    path = file("performer,song,danceability\nx,A,0.5\n")
    with pytest.raises(CatalogueError, match=re.escape(message)):
        Catalogue.read(path, columns=mapping)


def test_a_column_that_is_taken_may_stand_there_once_only(file: Any) -> None:
    path = file("title,title,artists,danceability,x,x\nA,B,y,0.5,1,2\n")
    with pytest.raises(CatalogueError, match=r"column 'title' \(title\) is there 2 times"):
        Catalogue.read(path)
    path = file("title,artists,danceability,x,x\nA,y,0.5,1,2\n")
    assert Catalogue.read(path).report.unused == ("x", "x")


# --- CSV ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", list(",;\t|^~: \x01"))
def test_any_delimiter(file: Any, delimiter: str) -> None:
    content = SMALL.replace(",", delimiter)
    if delimiter == ";":
        content = content.replace("x;y", '"x;y"')
    catalogue = Catalogue.read(file(content))
    assert summary(catalogue) == SMALL_SUMMARY
    assert catalogue.report.delimiter == delimiter


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
@pytest.mark.parametrize("packed", [False, True])
def test_common_encodings(file: Any, encoding: str, packed: bool) -> None:
    content = SMALL.replace("A", "“Ångström”").encode(encoding)
    catalogue = Catalogue.read(file(gzip.compress(content) if packed else content))
    assert catalogue.title.tolist() == ["“Ångström”", "B"]
    assert catalogue.report.encoding == encoding


def test_latin_1_where_cp1252_has_holes(file: Any) -> None:
    catalogue = Catalogue.read(file(SMALL.replace("A", "\x81é").encode("latin-1")))
    assert (catalogue.title[0], catalogue.report.encoding) == ("\x81é", "latin-1")


MANY = "".join(f"id{i},T,x,pop,0.5\n" for i in range(10_000))  # longer than what is guessed from


def test_the_first_accent_may_be_late(file: Any) -> None:
    catalogue = Catalogue.read(file((HEADER + MANY + "last,é,Ø,,0.5\n").encode("cp1252")))
    assert (catalogue.title[-1], catalogue.report.encoding) == ("é", "cp1252")


def test_a_damaged_byte_in_utf_8_is_named_by_its_line(file: Any) -> None:
    content = (HEADER + MANY.replace("T", "é")).encode() + b"last,\xe9,x,,0.5\n"
    with pytest.raises(
        CatalogueError, match=r"line 10,002 \(the header is line 1\) has the byte 0x"
    ):
        Catalogue.read(file(content))


@pytest.mark.skipif(pd.__version__ < "3.1", reason="pandas decoded all columns before 3.1")
def test_a_damaged_byte_in_a_column_that_is_not_taken_does_no_harm(file: Any) -> None:
    content = "title,artists,danceability,note\n" + "é,x,0.5,é\n" * 9_000
    catalogue = Catalogue.read(file(content.encode() + b"B,x,0.5,\xe9\n", "f.csv.gz"))
    assert catalogue.title.tolist() == ["é", "B"]
    assert catalogue.report.encoding == "utf-8"


def test_the_name_of_a_file_says_nothing(file: Any) -> None:
    for name in ("f.csv.gz", "f.parquet", "f.zip", "f"):
        assert summary(Catalogue.read(file(SMALL, name))) == SMALL_SUMMARY


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n\n"])
def test_ends_of_lines(file: Any, end: str) -> None:
    catalogue = Catalogue.read(file("\n" + SMALL.replace("\n", end)))
    assert summary(catalogue) == SMALL_SUMMARY
    assert catalogue.report.n_rows == 2


def test_quoted_fields_may_hold_anything(file: Any) -> None:
    title = 'A, "b"\nc; d'
    quoted = '"' + title.replace('"', '""') + '"'
    catalogue = Catalogue.read(file(HEADER + f"1,{quoted},x,pop,0.5\n2,B,z,pop,2\n"))
    assert catalogue.title.tolist() == [title]
    assert catalogue.report.dropped == {"danceability is outside 0..1": (2,)}
    names = '"track_id","title","artists","danceability"\n'
    assert Catalogue.read(file(names + '"1","A","x",0.5\n')).track_id.tolist() == ["1"]
    names = '"track\n_id","title","artists","danceability"\n'
    catalogue = Catalogue.read(file(names + "1,A,x,0.5\n"), columns={"track_id": "track\n_id"})
    assert catalogue.track_id.tolist() == ["1"]


def test_a_long_file_that_changes_its_looks(tmp_path: Path, monkeypatch: Any) -> None:
    """Over 5 MB pandas parses with several threads, which see different parts of the file."""
    n = 60_000
    frame = pd.DataFrame(
        {
            "track_id": [f"{i:06d}" for i in range(n - 1)] + ["z"],
            "title": ["T\n" * (1 + i % 7) + "x" * 80 for i in range(n)],
            "artists": ["x"] * n,
            "danceability": [i / n for i in range(n)],
            "tempo": ["fast" if i == n - 9 else str(1 + i) for i in range(n)],
            "key": ["" if i < n - 9 else "1" for i in range(n)],
        }
    )
    path = tmp_path / "f.csv"
    path.write_bytes(frame.to_csv(index=False).encode() + b"y,T,x,0.5,1,1,overlong\n")
    assert path.stat().st_size > 6_000_000
    found = Catalogue.read(path)
    assert found.track_id.tolist() == frame["track_id"].tolist()
    assert found.title.tolist() == frame["title"].tolist()
    assert found.danceability.tolist() == frame["danceability"].tolist()
    assert found.report.unreadable == {"tempo": (n - 8,)}
    assert found.report.dropped == {"more fields than the header": (n + 1,)}
    monkeypatch.setattr("music_env.delimited._WHEN_PARALLEL", sys.maxsize)
    assert Catalogue.read(path).checksum == found.checksum


def test_ids_of_digits_stay_as_they_are_written(file: Any) -> None:
    ids = ["007", "1.0", "1e3", "12345678901234567890123", "TRUE", "inf", "-0"]
    rows = "".join(f"{i},{i},{i},{i},0.5\n" for i in ids)
    catalogue = Catalogue.read(file(HEADER + rows))
    assert catalogue.track_id.tolist() == catalogue.title.tolist() == ids
    assert catalogue.artists.vocabulary == tuple(sorted(ids))


def test_words_for_missing_are_text_in_columns_of_text(file: Any) -> None:
    words = ["NA", "None", "Null", "nan", "NULL", "n/a"]
    rows = "".join(f"{i},{w},{w},{w},0.5\n" for i, w in enumerate(words))
    catalogue = Catalogue.read(file(HEADER + rows + "9,A,x,,NA\n"))
    assert catalogue.title.tolist() == words
    assert catalogue.report.dropped == {"danceability is missing": (7,)}


def test_r_writes_na_for_missing_text_in_tidytuesday(file: Any) -> None:
    path = file(
        "track_id,track_name,track_artist,track_album_name,playlist_genre,danceability\n"
        "1,NA,NA,NA,rap,0.5\n2,NA,NA,Album,rap,0.5\n3,NA,x,NA,rap,0.5\n"
    )
    catalogue = Catalogue.read(path)
    assert catalogue.track_id.tolist() == ["2", "3"]
    assert catalogue.report.dropped == {"no artist": (1,)}


def test_danceability_is_the_very_float(file: Any) -> None:
    # Each of these was off in the last bit with some converter of some version of pandas.
    cells = ["0.1", "0.30000000000000004", "0.69999999999999996", "1.7e-5", "0.123456789012345678"]
    rows = "".join(f"{i},T,x,,{cell}\n" for i, cell in enumerate(cells))
    catalogue = Catalogue.read(file(HEADER + rows))
    assert catalogue.danceability.tolist() == [float(cell) for cell in cells]


def test_decimal_commas(file: Any) -> None:
    content = "title;artist;danceability;tempo\nA;x;0,5;120,5\nB;x;0.25;99\nC;x;a;1\nD;x;1;1,2,3\n"
    catalogue = Catalogue.read(file(content))
    assert catalogue.danceability.tolist() == [0.5, 0.25, 1.0]
    assert catalogue.features["tempo"].tolist()[:2] == [120.5, 99.0]
    assert catalogue.report.dropped == {"danceability is not a number": (3,)}
    assert catalogue.report.unreadable == {"tempo": (4,)}


def test_rows_with_too_many_or_too_few_fields(file: Any) -> None:
    rows = "1,A,x,pop,0.5\n2,B, the second,z,pop,0.5\n3,C,z\n4,D,z,,0.5,,,\n5,E,a,b,c,d,e,0.5\n"
    catalogue = Catalogue.read(file(HEADER + rows))
    assert catalogue.track_id.tolist() == ["1", "4"]
    assert catalogue.report.dropped == {
        "more fields than the header": (2, 5),
        "danceability is missing": (3,),
    }


# --- Everything that is no catalogue --------------------------------------------------------------

EXPECTED = "expected CSV (plain or gzip) or Parquet"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", f": the file is empty, {EXPECTED}"),
        ("\n \n", f": the file is empty, {EXPECTED}"),
        (b"\xef\xbb\xbf", f": the file is empty, {EXPECTED}"),
        (b"\xff\xfe\n\0", f": the file is empty, {EXPECTED}"),
        (HEADER, ": there are no rows, expected at least one track"),
        ("<!DOCTYPE html>\n<html>", ": this is a web page (HTML or XML), expected CSV"),
        ("\n <HTML lang=en>", ": this is a web page (HTML or XML), expected CSV"),
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            ": this is a Git LFS pointer instead of the data; run `git lfs pull`",
        ),
        (bytes(range(256)), r": this is a binary file (it begins with b'\x00\x01\x02\x03"),
        (b"\x89PNG\r\n\x1a\n\0", r": this is a binary file (it begins with b'\x89PNG\r\n\x1a\n')"),
        (b"PK\x03\x04...", ": this is a zip archive or an Excel workbook; unpack it"),
        (gzip.compress(SMALL.encode() * 99)[:-9], ": the gzip file is cut off or damaged ("),
        (gzip.compress(b""), f": the file is empty, {EXPECTED}"),
        (
            SMALL + '3,"C,x,pop,0.5\n4,D,x,pop,0.5\n',
            ": a quoted field that begins in row 3 (data rows from 1, blank lines counted) is "
            "never closed: the file is cut off",
        ),
        (
            SMALL + "3,C",
            ": the last row has 2 of 5 fields and no end of line: the file is cut off "
            "(it ends with '3,C'); get it again, or remove that row",
        ),
        (SMALL.encode("utf-16")[:-1], ": begins as utf-16, but byte "),
        ("PAR1....", ": the Parquet file is cut off or damaged ("),
        ("1,2,3\n4,5,6\n", "  Columns found: '1', '2', '3'\n"),
        (
            HEADER + "1,A,x,pop,68\n",
            ": none of its 1 rows is usable (layout MusicRec)\n  danceability is outside 0..1: "
            "1 row (1); row 1 has '68' in column 'danceability', expected a number within 0..1",
        ),
    ],
)
def test_each_fault_has_its_message(file: Any, content: str | bytes, message: str) -> None:
    path = file(content)
    if message.startswith(": the Parquet"):
        pytest.importorskip("pyarrow", reason="reading Parquet needs pyarrow")
    with pytest.raises(CatalogueError) as error:
        Catalogue.read(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


def test_paths_that_are_no_file(tmp_path: Path, file: Any) -> None:
    file(SMALL, "tracks.csv")
    with pytest.raises(CatalogueError, match=r"no such file; check the path\. Nearest: 'tracks"):
        Catalogue.read(tmp_path / "track.csv")
    with pytest.raises(CatalogueError, match=r"no such file, for there is no folder"):
        Catalogue.read(str(tmp_path / "nowhere" / "tracks.csv"))
    with pytest.raises(CatalogueError, match=r"this is a folder, expected CSV .*; name a file in"):
        Catalogue.read(tmp_path)


# --- Parquet --------------------------------------------------------------------------------------


def test_parquet_gives_what_csv_gives(tmp_path: Path, file: Any) -> None:
    pytest.importorskip("pyarrow", reason="reading Parquet needs pyarrow")
    frame = pd.DataFrame(
        {
            "track_id": ["1", "2", "1"],
            "title": ["A", None, "A"],
            "artists": pd.Categorical(["x;y", "z", "w"]),
            "danceability": [0.1, 0.30000000000000004, 0.1],
            "tempo": [120, 0, 120],
            "explicit": [True, False, True],
            "release_date": pd.to_datetime(["1999-01-02", "2001-02-03", None]),
        }
    )
    frame.set_index("track_id").to_parquet(tmp_path / "f.parquet")
    parquet = Catalogue.read(tmp_path / "f.parquet")
    plain = Catalogue.read(file(frame.to_csv(index=False)))
    assert parquet.checksum == plain.checksum == Catalogue.from_frame(frame).checksum
    assert parquet.artists.of(0) == ("x", "y", "w")
    assert parquet.features["release_year"].tolist() == [1999.0, 2001.0]
    packed = gzip.compress((tmp_path / "f.parquet").read_bytes())
    assert Catalogue.read(file(packed, "f.gz")).checksum == plain.checksum


def test_a_damaged_parquet_file(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="reading Parquet needs pyarrow")
    path = tmp_path / "f.parquet"
    pd.DataFrame(
        {"title": ["A"] * 99, "artists": ["x"] * 99, "danceability": [0.5] * 99}
    ).to_parquet(path)
    whole = path.read_bytes()
    for cut in (whole[:-1], whole[:20], whole[:40] + bytes(60) + whole[100:]):
        path.write_bytes(cut)
        with pytest.raises(CatalogueError, match="the Parquet file is cut off or damaged"):
            Catalogue.read(path)


def test_parquet_without_pyarrow(file: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(CatalogueError, match=r"needs pyarrow.*pip install 'musicrec\[parquet\]'"):
        Catalogue.read(file("PAR1....PAR1"))
