"""Encodings against rows written out by hand, and against each other."""

import hashlib
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import SIX

import music_env.encoding
from music_env import Catalogue, encode


def test_one_hot_rows_by_hand(six: Catalogue) -> None:
    encoded = encode(six, "one-hot")
    assert encoded.columns == (
        "danceability", "genre pop", "genre rock", "artist A", "artist B", "artist C",
    )  # fmt: skip
    expected = np.array(
        [
            [0.4, 0, 1, 1, 0, 0],
            [0.6, 1, 0, 1, 1, 0],
            [0.61, 1, 1, 0, 1, 0],
            [0.5, 1, 0, 0, 1, 0],
            [0.0, 0, 0, 0, 0, 1],
            [1.0, 0, 1, 1, 0, 1],
        ],
        dtype=np.float32,
    )
    np.testing.assert_array_equal(encoded.rows.take(np.arange(6)), expected)
    for track in range(6):
        np.testing.assert_array_equal(encoded.rows.row(track), expected[track])
    assert encoded.space.contains(encoded.rows.row(0))


def test_codes_rows_by_hand(six: Catalogue) -> None:
    encoded = encode(six, "codes")
    assert encoded.columns == ("danceability", "genre 1", "genre 2", "artist 1", "artist 2")
    expected = np.array(
        [
            [0.4, 2, 0, 1, 0],
            [0.6, 1, 0, 1, 2],
            [0.61, 1, 2, 2, 0],
            [0.5, 1, 0, 2, 0],
            [0.0, 0, 0, 3, 0],
            [1.0, 2, 0, 3, 1],
        ],
        dtype=np.float32,
    )
    np.testing.assert_array_equal(encoded.rows.take(np.arange(6)), expected)
    assert encoded.space.high.tolist() == [1, 2, 2, 3, 3]


def test_numbers_are_scaled_clipped_and_masked() -> None:
    frame = pd.DataFrame(
        {
            "title": ["a", "b", "c"],
            "artists": "X",
            "danceability": [0.5, 0.25, 1.0],
            "tempo": [135.0, 0.0, 1000.0],  # 0 BPM means unknown
            "loudness": [-10.0, -80.0, 5.0],
        }
    )
    encoded = encode(Catalogue.from_frame(frame), "codes")
    names = list(encoded.columns)
    rows = encoded.rows.take(np.arange(3))
    assert rows[:, names.index("danceability")].tolist() == [0.5, 0.25, 1.0]
    assert rows[:, names.index("loudness")].tolist() == [0.5, 0, 1]
    assert rows[:, names.index("tempo")].tolist() == [0.5, 0, 1]
    assert rows[:, names.index("tempo missing")].tolist() == [0, 1, 0]
    assert "loudness missing" not in names


def test_codes_hold_at_most_32_numbers_and_report_what_is_left_out(embedded: Catalogue) -> None:
    encoded = encode(embedded, "codes")
    assert encoded.space.shape[0] == len(encoded.columns) <= 32
    artists = embedded.artists.counts
    assert encoded.report["artists beyond the slots"] == np.maximum(artists - 6, 0).sum() > 0
    crowded = encode(_crowded(), "codes")
    assert crowded.space.shape == (32,)
    assert crowded.report["numbers left out"] == 13  # of 18 numbers and 17 masks, 22 fit
    assert crowded.report["genres beyond the slots"] == 1
    assert crowded.report["artists beyond the slots"] == 1
    assert crowded.columns[0] == "danceability"


def _crowded() -> Catalogue:
    """Two tracks with every number, each missing somewhere, and too many genres and artists."""
    from music_env.formats import FEATURES

    frame = pd.DataFrame(
        {
            "title": ["a", "b"],
            "artists": ["1;2;3;4;5;6;7", "1"],
            "genres": ["a;b;c;d;e", ""],
            **{name: [1.0, np.nan] for name in FEATURES if name != "danceability"},
            "danceability": [0.1, 0.2],
        }
    )
    return Catalogue.from_frame(frame)


def test_rows_built_on_the_fly_equal_the_table(
    six: Catalogue, embedded: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    for catalogue in (six, embedded):
        table = encode(catalogue, "one-hot").rows
        monkeypatch.setattr(music_env.encoding, "MAX_DENSE_BYTES", 0)
        sparse = music_env.encoding._one_hot(catalogue).rows
        monkeypatch.undo()
        assert type(sparse) is not type(table)
        tracks = np.random.default_rng(0).integers(catalogue.n_tracks, size=300)
        np.testing.assert_array_equal(sparse.take(tracks), table.take(tracks))
        np.testing.assert_array_equal(sparse.row(3), table.row(3))


def test_too_many_columns_recommend_codes(six: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(music_env.encoding, "MAX_ONE_HOT_COLUMNS", 5)
    with pytest.raises(ValueError, match=r"would need 6 columns.*use encoding 'codes'"):
        music_env.encoding._one_hot(six)


def test_hash_is_the_documented_one(six: Catalogue) -> None:
    encoded = encode(six, "hash", {"n_states": 97})
    for track, (track_id, _, artists, genres, _) in enumerate(SIX):
        genres_ = [genre for genre in genres.split(";") if genre]
        text = "\x1f".join([*genres_, "", *artists.split(";"), "", track_id])
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        assert encoded.rows.row(track) == int.from_bytes(digest, "little") % 97
    assert encode(six, "hash").space.n == 10_000


def test_hash_is_the_same_in_another_process(embedded: Catalogue) -> None:
    # Python's own hash of a string is not: the fault of the notebook's state.
    code = (
        "from music_env import *; import numpy as np;"
        "rows = encode(Catalogue.default(), 'hash').rows.take(np.arange(100)); print(rows.tolist())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {f"{encode(embedded, 'hash').rows.take(np.arange(100)).tolist()}\n"}


def test_profile_is_shared_by_alike_tracks(embedded: Catalogue) -> None:
    encoded = encode(embedded, "profile")
    states = encoded.rows.take(np.arange(embedded.n_tracks))
    by_state: dict[int, set[tuple[object, ...]]] = {}
    for track, state in enumerate(states.tolist()):
        dance = min(int(embedded.danceability[track] * 20), 19)
        genre, artist = embedded.genres.of(track)[:1], embedded.artists.of(track)[0]
        by_state.setdefault(state, set()).add((genre, artist, dance))
    assert all(len(profiles) == 1 for profiles in by_state.values())
    assert len(by_state) == encoded.space.n < embedded.n_tracks
    assert len({next(iter(p)) for p in by_state.values()}) == len(by_state)


def test_equal_calls_share_one_table(embedded: Catalogue) -> None:
    assert encode(embedded, "one-hot") is encode(embedded, "one-hot", {})
    with pytest.raises(ValueError, match="read-only"):
        encode(embedded, "one-hot").rows.table[0, 0] = 1  # type: ignore[attr-defined]


def test_errors(six: Catalogue) -> None:
    with pytest.raises(ValueError, match=r"got 'code'. Nearest: 'codes'"):
        encode(six, "code")
    with pytest.raises(ValueError, match=r"'codes' has no option 'n_states'"):
        encode(six, "codes", {"n_states": 5})
    with pytest.raises(ValueError, match="whole number >= 1, got 0"):
        encode(six, "hash", {"n_states": 0})


def test_single_rows_of_a_wide_table_equal_it_and_are_fresh(embedded: Catalogue) -> None:
    rows = encode(embedded, "one-hot").rows
    assert isinstance(rows, music_env.encoding._MostlyZeros)
    for track in np.random.default_rng(1).integers(embedded.n_tracks, size=50).tolist():
        row = rows.row(track)
        np.testing.assert_array_equal(row, rows.table[track], strict=True)
        row[:] = 7  # an agent's to write to
        np.testing.assert_array_equal(rows.row(track), rows.table[track])
