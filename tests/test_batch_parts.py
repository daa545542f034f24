"""Recommendations for many listeners, part by part: candidates, ranking, rows, repeated ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch as th
from torch import nn

pytest.importorskip("pyarrow", reason="a folder of listeners is Parquet: needs pyarrow")

import pyarrow as pa
import pyarrow.parquet as pq

from cluster import repeated_ids
from cluster.blocks import Input
from cluster.candidates import TermIndex
from cluster.errors import BatchError
from cluster.listener_rows import COLUMNS, check_rows
from cluster.ranking import Ranker, agreement
from music_env import Catalogue
from music_env.listeners import Listeners, pair_kinds, pair_outcomes


def small_catalogue(generator: np.random.Generator, n_tracks: int = 150) -> Catalogue:
    """Return tracks of few artists, genres and values, so that every kind of track is met."""

    def names(kind: str, count: int) -> list[str]:
        several = generator.integers(count, size=(n_tracks, 2))
        return [";".join(dict.fromkeys(f"{kind}{i}" for i in row)) for row in several.tolist()]

    return Catalogue.from_frame(
        pd.DataFrame(
            {
                "track_id": [f"t{i}" for i in range(n_tracks)],
                "title": [f"title {i}" for i in range(n_tracks)],
                "artists": names("artist", int(generator.integers(2, 60))),
                "genres": names("genre", int(generator.integers(2, 12))),
                "danceability": generator.integers(0, 21, n_tracks) / 20,
            }
        )
    )


def random_listeners(catalogue: Catalogue, generator: np.random.Generator, n: int) -> Listeners:
    """Return listeners with any terms open, all three included."""
    ends = np.sort(generator.integers(0, 41, (n, 2)) / 40, axis=1)
    is_open = generator.random((3, n)) < 0.3
    return Listeners(
        np.where(is_open[0], -1, generator.integers(len(catalogue.artists.vocabulary), size=n)),
        np.where(is_open[1], -1, generator.integers(len(catalogue.genres.vocabulary), size=n)),
        np.where(is_open[2], 0.0, ends[:, 0]),
        np.where(is_open[2], 1.0, ends[:, 1]),
        is_open[2],
    )


# --- Candidates -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
def test_the_best_k_by_score_are_candidates_whatever_the_terms_are_worth(seed: int) -> None:
    generator = np.random.default_rng(seed)
    catalogue = small_catalogue(generator)
    listeners = random_listeners(catalogue, generator, 40)
    k = int(generator.integers(1, 12))
    found = TermIndex(catalogue).find(listeners, 2 * k)
    scores_of = pair_outcomes(generator.random(3))[-1]
    every = np.arange(catalogue.n_tracks)[None]
    for i in range(len(listeners)):
        tracks = found.tracks[found.start[i] : found.start[i + 1]]
        assert (np.diff(tracks) > 0).all()
        scores = scores_of[pair_kinds(catalogue, every, listeners.take(slice(i, i + 1)))][0]
        best, candidates = np.sort(scores)[::-1][:k], np.sort(scores[tracks])[::-1][:k]
        np.testing.assert_array_equal(candidates, best, err_msg=f"listener {i}")


def test_candidates_are_few_and_bounded(embedded: Catalogue) -> None:
    generator = np.random.default_rng(0)
    listeners = random_listeners(embedded, generator, 200)
    index = TermIndex(embedded)
    counts = np.diff(index.find(listeners, 40).start)
    assert (counts <= index.at_most(listeners, 40)).all()
    everything = listeners.n_open == 3
    assert everything.any() and (counts[everything] == embedded.n_tracks).all()
    assert np.median(counts[~everything]) < 100


def test_candidates_of_one_listener_by_hand(six: Catalogue) -> None:
    wanted = [{"artist": "C"}, {"genre": "pop", "danceability": (0.5, 0.6)}]
    found = TermIndex(six).find(Listeners.of(six, wanted), 2)
    assert found.start.tolist() == [0, 3, 5]
    # Of C, t4 and t5; of all, in the order of danceability (t4 t0 t3 t1 t2 t5), the first and the
    # fourth: t4 again, and t1.
    assert found.tracks[:3].tolist() == [1, 4, 5]
    # Of pop within the range there are two, which is enough.
    assert found.tracks[3:].tolist() == [1, 3]


# --- Ranking --------------------------------------------------------------------------------------


class ByHand(nn.Module):
    """Values a pair of codes by the danceability and the genre's code of its track."""

    def forward(self, observations: th.Tensor) -> th.Tensor:
        value = observations[:, :1].round(decimals=1) + observations[:, -5:-4]
        return th.cat([th.zeros_like(value), value], dim=1)


def test_ranks_candidates_by_value_and_equals_by_track(embedded: Catalogue) -> None:
    generator = np.random.default_rng(1)
    some = random_listeners(embedded, generator, 30)
    listeners = some.take(np.concatenate([np.arange(30), [3, 3, 7]]))  # some prefer the same
    ranker = Ranker(ByHand(), embedded, "codes", k=5, breadth=10)
    ranked = ranker.rank(listeners)
    for i in range(len(listeners)):
        one = listeners.take(slice(i, i + 1))
        tracks = ranker.index.find(one, 10).tracks
        rows = ranker.encoded.pairs(tracks, ranker.encoded.listeners(one))
        values = ByHand()(th.from_numpy(rows)).numpy()[:, 1]
        order = np.argsort(-values, kind="stable")[:5]
        np.testing.assert_array_equal(ranked.tracks[i], tracks[order], err_msg=f"listener {i}")
        np.testing.assert_array_equal(ranked.values[i], values[order], err_msg=f"listener {i}")
    alone = ranker.rank(some).n_valued
    assert ranked.n_valued == alone < len(ranker.index.find(some, 10).tracks)


def test_in_parts_as_in_one(embedded: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    listeners = random_listeners(embedded, np.random.default_rng(2), 50)
    ranker = Ranker(ByHand(), embedded, "codes", k=5, breadth=10)
    whole = ranker.rank(listeners)
    monkeypatch.setattr("cluster.ranking.PAIRS", 200)
    assert len(list(ranker.parts(listeners))) > 10
    np.testing.assert_array_equal(ranker.rank(listeners).tracks, whole.tracks)


def test_fewer_tracks_than_asked_for(six: Catalogue) -> None:
    listeners = Listeners.of(six, [{"artist": "A"}, {}])
    ranked = Ranker(ByHand(), six, "codes", k=20, breadth=40).rank(listeners)
    assert ranked.tracks.shape == (2, 6)
    assert all(sorted(tracks) == list(range(6)) for tracks in ranked.tracks.tolist())


def test_agreement_counts_equal_scores(six: Catalogue) -> None:
    # The scores of artist A, rock, 0.4 to 0.6 are 3, 1, -1, -1, -3, 1.
    listener = Listeners.of(six, [{"artist": "A", "genre": "rock", "danceability": (0.4, 0.6)}])
    found = agreement(six, listener, np.array([[0, 1, 5, 2]]), np.array([[0, 5, 1, 4]]))
    assert (found.equal_score, found.same_track) == (0.75, 0.25)


# --- Rows -----------------------------------------------------------------------------------------

ROWS: list[tuple[Any, ...]] = [
    ("a", "A", "rock", "0.4", 0.6),
    ("b", " A ", "", None, None),
    ("c", None, None, "nan", None),
    ("", "A", None, None, None),
    (None, "A", None, None, None),
    ("d", "Nobody", None, None, None),
    ("e", None, "metal", None, None),
    ("f", None, None, "much", None),
    ("g", None, None, "-0.1", None),
    ("h", None, None, None, 1.5),
    ("i", None, None, "0.6", 0.4),
    ("j", None, None, None, None),
    ("k", None, None, None, 0.4),
    ("a", "A", None, None, None),
]
REASONS = {
    2: "danceability_low: 'nan' is no number within 0..1",
    3: "listener_id is empty",
    4: "listener_id is empty",
    5: "artist: 'Nobody' is no artist of the catalogue",
    6: "genre: 'metal' is no genre of the catalogue",
    7: "danceability_low: 'much' is no number within 0..1",
    8: "danceability_low: '-0.1' is no number within 0..1",
    9: "danceability_high: 1.5 is no number within 0..1",
    10: "danceability_low 0.6 is more than danceability_high 0.4",
    13: "again",
}


def rows_table(rows: list[tuple[Any, ...]]) -> pa.Table:
    return pa.table(dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True)))


def test_rows_are_listeners_or_say_what_is_wrong(six: Catalogue) -> None:
    checked = check_rows(rows_table(ROWS), six, {13: "again"})
    assert checked.bad == REASONS
    assert checked.good.tolist() == [0, 1, 11, 12]
    wanted = [
        {"artist": "A", "genre": "rock", "danceability": (0.4, 0.6)},
        {"artist": "A"},
        {},
        {"danceability": (0.0, 0.4)},
    ]
    expected = Listeners.of(six, wanted).arrays()
    for name, values in checked.listeners.arrays().items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def not_all_utf8(*texts: bytes | None) -> pa.Array:
    """Return a column of text as a careless writer makes it: Arrow does not look at the bytes."""
    raw = pa.array(texts, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(raw), raw.buffers())


NOT_UTF8 = {
    "listener_id": not_all_utf8(b"a", b"\xe9", b"c", b"d", b"\xe9", None),
    "artist": not_all_utf8(b" A ", b"A", b"Beyonc\xe9", b"A", None, b"\xed\xa0\x80"),
    "genre": pa.array([None, "metal", "rock", None, None, None]),
    "danceability_low": not_all_utf8(b"0.4", None, b"2", b"0.5\xff", None, None),
    "danceability_high": pa.array([0.6] + [None] * 5),
}
NOT_UTF8_REASONS = {
    1: r"listener_id: b'\xe9' is no UTF-8 text",
    2: r"artist: b'Beyonc\xe9' is no UTF-8 text",
    3: r"danceability_low: b'0.5\xff' is no UTF-8 text",
    4: r"listener_id: b'\xe9' is no UTF-8 text",
    5: r"artist: b'\xed\xa0\x80' is no UTF-8 text",
}


@pytest.mark.parametrize("dictionary", [False, True])
def test_text_that_is_not_utf8_is_a_bad_row(
    six: Catalogue, tmp_path: Path, dictionary: bool
) -> None:
    table = pa.table(NOT_UTF8)
    if dictionary:
        text = [i for i, kind in enumerate(table.schema.types) if pa.types.is_string(kind)]
        for i in text:
            table = table.set_column(i, table.schema.names[i], table.column(i).dictionary_encode())
    pq.write_table(table, tmp_path / "a.parquet")
    folder = Input.of(tmp_path, 10)
    read = folder.read(folder.blocks[0])
    repeated = repeated_ids.repeated_ids(folder)
    assert repeated == {0: {4: r"listener_id b'\xe9' is that of row 2 of a.parquet already"}}
    checked = check_rows(read, six, repeated[0])
    assert checked.bad == NOT_UTF8_REASONS
    assert checked.good.tolist() == [0]
    expected = Listeners.of(six, [{"artist": "A", "danceability": (0.4, 0.6)}]).arrays()
    for name, values in checked.listeners.arrays().items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


@pytest.mark.parametrize(
    ("number", "kind"), [(2**60 + 1, pa.int64()), (2**64 - 1, pa.uint64()), (-(2**63), pa.int64())]
)
def test_whole_numbers_that_no_float_holds_are_bad_rows(
    six: Catalogue, number: int, kind: pa.DataType
) -> None:
    rows = rows_table([(f"{i}", None, None, None, None) for i in range(4)])
    low = pa.array([0, 1, number, None], kind)
    checked = check_rows(rows.set_column(3, "danceability_low", low), six, {})
    assert checked.bad == {2: f"danceability_low: {number} is no number within 0..1"}
    assert checked.good.tolist() == [0, 1, 3]


def write(folder: Path, name: str, rows: list[tuple[Any, ...]], **options: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows_table(rows), folder / name, **options)


def test_a_folder_in_blocks(tmp_path: Path) -> None:
    rows = [(f"{i}", "A", None, None, None) for i in range(25)]
    write(tmp_path, "a.parquet", rows[:13], row_group_size=7)
    write(tmp_path / "b", "b.parquet", rows[13:])
    folder = Input.of(tmp_path, 5)
    assert [(b.file, b.first_row, b.n_rows) for b in folder.blocks] == [
        ("a.parquet", 0, 5),
        ("a.parquet", 5, 2),
        ("a.parquet", 7, 5),
        ("a.parquet", 12, 1),
        ("b/b.parquet", 0, 5),
        ("b/b.parquet", 5, 5),
        ("b/b.parquet", 10, 2),
    ]
    assert [b.number for b in folder.blocks] == list(range(7))
    read = [row for block in folder.blocks for row in folder.read(block)["listener_id"].to_pylist()]
    assert read == [f"{i}" for i in range(25)]
    scanned = [row for _, t in folder.scan(["listener_id"]) for row in t[0].to_pylist()]
    assert scanned == read


@pytest.mark.parametrize("hashes", [2**23, 4])
def test_an_id_belongs_to_its_first_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hashes: int
) -> None:
    names = ["p", "q", None, "r", "q", "s", "t", None, "p", "q", "u"]
    rows = [(name, "A", None, None, None) for name in names]
    write(tmp_path, "a.parquet", rows[:6])
    write(tmp_path, "b.parquet", rows[6:])
    monkeypatch.setattr(repeated_ids, "HASHES", hashes)
    assert repeated_ids.repeated_ids(Input.of(tmp_path, 4)) == {
        1: {0: "listener_id 'q' is that of row 2 of a.parquet already"},
        2: {
            2: "listener_id 'p' is that of row 1 of a.parquet already",
            3: "listener_id 'q' is that of row 2 of a.parquet already",
        },
    }


def test_whole_numbers_are_ids_too(tmp_path: Path) -> None:
    rows: list[tuple[Any, ...]] = [(2**60 + i % 3, "A", None, None, None) for i in range(4)]
    write(tmp_path, "a.parquet", [*rows[:3], (None, "A", None, None, None), rows[3]])
    found = repeated_ids.repeated_ids(Input.of(tmp_path, 3))
    assert found == {1: {1: f"listener_id {2**60} is that of row 1 of a.parquet already"}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop_columns(["genre"]), "'genre' is there 0 times, expected once; a file of"),
        (
            lambda t: t.set_column(1, "artist", pa.array([1.5])),
            "'artist' holds double, expected text: write",
        ),
        (
            lambda t: t.set_column(0, "listener_id", pa.array([0.5])),
            "'listener_id' holds double, expected text or numbers",
        ),
        (
            lambda t: t.set_column(0, "listener_id", pa.array([7])),
            "holds string in a.parquet, but int64 in b.parquet: write both with one type",
        ),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, change: Any, message: str) -> None:
    write(tmp_path, "a.parquet", ROWS[:1])
    pq.write_table(change(rows_table(ROWS[:1])), tmp_path / "b.parquet")
    with pytest.raises(BatchError, match=message):
        Input.of(tmp_path, 5)


def test_a_folder_without_listeners(tmp_path: Path) -> None:
    with pytest.raises(BatchError, match=r"holds no \*\.parquet file: name the folder"):
        Input.of(tmp_path, 5)
    (tmp_path / "a.parquet").write_text("no")
    with pytest.raises(BatchError, match=r"a\.parquet cannot be read as Parquet"):
        Input.of(tmp_path, 5)
