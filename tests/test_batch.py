"""Recommendations for a folder of listeners, in this process: results, bad rows, going on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

pytest.importorskip("pyarrow", reason="a folder of listeners is Parquet: needs pyarrow")

import pyarrow as pa
import pyarrow.parquet as pq
from batch_runs import listener_rows, parts, results, trained_run, write_rows

from agents.run_lock import alone_in
from agents.runs import Run, load_run
from cluster.__main__ import main
from cluster.batch import Batch, locally, recommend
from cluster.block_work import BlockWork, Done
from cluster.blocks import Counts
from cluster.errors import BatchError
from cluster.listener_rows import COLUMNS
from cluster.ranking import Ranker, agreement
from music_env.listeners import Listeners

BAD = [
    ("listener 3", None, "metal", None, None),
    ("x", "Nobody At All", None, None, None),
    ("y", None, None, 0.6, 0.4),
    (None, None, None, None, 0.4),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return load_run(trained_run(tmp_path_factory.mktemp("runs") / "any", 6_000))


@pytest.fixture(scope="module")
def job(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """Return 60 listeners in blocks of 20, and four bad rows in one of their own, not done."""
    folder = tmp_path_factory.mktemp("job")
    write_rows(folder / "in" / "a.parquet", listener_rows(run.catalogue, 60))
    write_rows(folder / "in" / "b.parquet", BAD)
    return Batch(listeners=folder / "in", out=folder / "out", k=10, block_rows=20)


def command(run: Run, job: Batch, *more: str) -> list[str]:
    numbers = ["--k", f"{job.k}", "--block-rows", f"{job.block_rows}", "--no-progress-bar"]
    return ["recommend", str(run.folder), str(job.listeners), str(job.out), *numbers, *more]


def preferences(run: Run, rows: Sequence[tuple[object, ...]]) -> Listeners:
    wanted = [
        {"artist": a, "genre": g, "danceability": None if low is None else (low, high)}
        for _, a, g, low, high in rows
    ]
    return Listeners.of(run.catalogue, wanted)


def test_everyone_gets_the_first_k_of_all_tracks(
    run: Run, job: Batch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(run, job)) == 1
    said = capsys.readouterr().out
    assert "60 listeners have their recommendations" in said
    assert "4 of 4 blocks (60 listeners) were done now" in said
    assert f"4 rows are no listeners: {job.out / 'bad_rows'} says which" in said

    found = results(job.out)
    assert found.columns.tolist() == ["listener_id", "rank", "track_id", "value"]
    rows = sorted(listener_rows(run.catalogue, 60))
    assert found["listener_id"].tolist() == [row[0] for row in rows for _ in range(10)]
    assert found["rank"].tolist() == list(range(1, 11)) * 60
    assert not found.duplicated(["listener_id", "track_id"]).any()
    assert (found.groupby("listener_id")["value"].diff().dropna() <= 0).all()

    number = {name: i for i, name in enumerate(run.catalogue.track_id.tolist())}
    tracks = found["track_id"].map(number).to_numpy().reshape(60, 10)
    listeners = preferences(run, rows)
    network = run.learner.q_net  # type: ignore[union-attr]
    ranker = Ranker(network, run.catalogue, "codes", k=10, breadth=40)
    every = ranker.rank_every(listeners)
    assert agreement(run.catalogue, listeners, tracks, every.tracks).equal_score >= 0.99
    whole = Ranker(network, run.catalogue, "codes", k=10, breadth=40, whole=True)
    assert agreement(run.catalogue, listeners, whole.rank(listeners).tracks, every.tracks) == (
        agreement(run.catalogue, listeners, every.tracks, every.tracks)
    )


def test_bad_rows_are_named_with_their_reason(job: Batch) -> None:
    bad = pq.read_table(job.out / "bad_rows").to_pylist()
    assert [(row["file"], row["row"], row["listener_id"]) for row in bad] == [
        ("b.parquet", 1, "listener 3"),
        ("b.parquet", 2, "x"),
        ("b.parquet", 3, "y"),
        ("b.parquet", 4, None),
    ]
    assert [row["reason"] for row in bad] == [
        "listener_id 'listener 3' is that of row 4 of a.parquet already",
        "artist: 'Nobody At All' is no artist of the catalogue",
        "danceability_low 0.6 is more than danceability_high 0.4",
        "listener_id is empty",
    ]


def test_what_is_done_is_not_done_again(
    run: Run, job: Batch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = parts(job.out)
    assert main(command(run, job)) == 1
    assert "0 of 4 blocks (0 listeners) were done now" in capsys.readouterr().out
    assert parts(job.out) == before and len(before) == 4


def test_stopped_in_the_middle_it_goes_on(run: Run, job: Batch, tmp_path: Path) -> None:
    stopped = replace(job, out=tmp_path / "out")

    def two_blocks(work: BlockWork, numbers: Sequence[int]) -> Iterator[Done]:
        yield from locally(work, numbers[:2])
        left_over = stopped.out / "recommendations" / ".part-000002.parquet.x.part"
        left_over.write_text("half a file")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recommend(run, stopped, two_blocks, bar=False)
    before = parts(stopped.out)
    assert len(before) == 2
    outcome = recommend(run, stopped, bar=False)
    assert [done.number for done in outcome.done] == [2, 3]
    assert outcome.now == Counts(20, 4, outcome.now.valued)
    assert outcome.total.listeners == 60 and outcome.total.bad_rows == 4
    assert parts(stopped.out).items() >= before.items()
    assert not list((stopped.out / "recommendations").glob(".*"))
    pd.testing.assert_frame_equal(results(stopped.out), results(job.out))


def test_a_lost_block_is_no_success(run: Run, job: Batch, tmp_path: Path) -> None:
    lost = replace(job, out=tmp_path / "out")
    with pytest.raises(BatchError, match=r"1 of 4 blocks have no file in .*, the first of them b"):
        recommend(run, lost, lambda work, numbers: locally(work, numbers[:-1]), bar=False)


def test_an_id_that_is_not_utf8_does_not_stop_the_job(run: Run, tmp_path: Path) -> None:
    raw = pa.array([b"good", b"Beyonc\xe9"])
    table = {name: pa.nulls(2) for name in COLUMNS}
    table["listener_id"] = pa.Array.from_buffers(pa.string(), len(raw), raw.buffers())
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table(table), tmp_path / "in" / "a.parquet")
    outcome = recommend(run, Batch(listeners=tmp_path / "in", out=tmp_path / "out"), bar=False)
    assert outcome.total == Counts(1, 1, outcome.total.valued)
    assert set(results(tmp_path / "out")["listener_id"]) == {"good"}
    (bad,) = pq.read_table(tmp_path / "out" / "bad_rows").to_pylist()
    assert (bad["row"], bad["listener_id"]) == (2, r"Beyonc\xe9")
    assert bad["reason"] == r"listener_id: b'Beyonc\xe9' is no UTF-8 text"


# --- Refused --------------------------------------------------------------------------------------


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 2
    return capsys.readouterr().err


def test_something_else_than_what_was_begun(
    run: Run, job: Batch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = parts(job.out)
    said = refused(command(run, replace(job, k=11)), capsys)
    assert f"{job.out} was begun with something else: k was 10, is 11; candidates was 40" in said
    assert "choose a new folder" in said
    write_rows(tmp_path / "a.parquet", BAD)
    assert "listeners was {" in refused(command(run, replace(job, listeners=tmp_path)), capsys)
    begun = json.loads((job.out / "job.json").read_text())
    other = tmp_path / "other"
    other.mkdir()
    (other / "job.json").write_text(json.dumps({**begun, "model": "another"}))
    assert 'model was "another", is "' in refused(command(run, replace(job, out=other)), capsys)
    assert parts(job.out) == before


def test_what_cannot_be_asked_for(
    run: Run, job: Batch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    said = refused(command(run, replace(job, out=tmp_path)), capsys)
    assert "is not empty, and holds no job.json: choose a new folder" in said
    said = refused(command(run, job, "--candidates", "19"), capsys)
    assert "with fewer than 20 candidates of each kind" in said
    said = refused(command(run, job, "--address", "h:1"), capsys)
    assert "--address h:1 is of a Ray cluster: add --engine ray" in said
    said = refused(command(run, job, "--engine", "ray", "--address", "ray://h:1"), capsys)
    assert "ray://h:1 is an address of Ray Client" in said and "with the address auto" in said
    job.out.mkdir(parents=True, exist_ok=True)
    with alone_in(job.out):
        assert "another process is recommending into" in refused(command(run, job), capsys)
    with pytest.raises(BatchError, match="k and block_rows must be at least 1, got 0 and 20"):
        replace(job, k=0)
    one = replace(run, config={**run.config, "env_id": "MusicRec-v0"})
    with pytest.raises(BatchError, match="which serves one listener: name one that serves every"):
        recommend(one, job)


def test_recommendations_do_not_go_among_the_listeners(
    run: Run, job: Batch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    linked = tmp_path / "linked"
    linked.symlink_to(job.listeners)
    for out in (job.listeners, job.listeners / "out", linked / "a" / "b"):
        arguments = ["recommend", str(run.folder), str(job.listeners), str(out)]
        assert f"{out} lies in {job.listeners}, where its files" in refused(arguments, capsys)
    assert {path.name for path in job.listeners.iterdir()} == {"a.parquet", "b.parquet"}


def test_a_folder_that_cannot_be_made(
    run: Run, job: Batch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    said = refused(command(run, replace(job, out=tmp_path / "file")), capsys)
    assert f"{tmp_path / 'file'} is no folder: choose another" in said
    said = refused(command(run, replace(job, out=tmp_path / "file" / "out")), capsys)
    assert f"the folder {tmp_path / 'file' / 'out'} cannot be made" in said
    assert (tmp_path / "file").read_text() == "mine"


def test_killed_before_there_was_a_job(run: Run, job: Batch, tmp_path: Path) -> None:
    (tmp_path / "job.json.part").write_text('{"form')
    assert recommend(run, replace(job, out=tmp_path), bar=False).total.listeners == 60
    assert not (tmp_path / "job.json.part").exists()


@pytest.mark.parametrize("content", [None, b""])
def test_a_block_whose_file_was_damaged(
    run: Run,
    job: Batch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes | None,
) -> None:
    """Emptied, as file systems do when the power fails; or written by something else."""
    again = replace(job, out=tmp_path / "out")
    recommend(run, again, bar=False)
    part = again.out / "recommendations" / "part-000001.parquet"
    if content is None:
        pq.write_table(pa.table({"a": [1]}), part)
    else:
        part.write_bytes(content)
    said = refused(command(run, again), capsys)
    assert f"{part} is not as it was written" in said and "delete it and start again" in said
    part.unlink()
    assert [done.number for done in recommend(run, again, bar=False).done] == [1]
    pd.testing.assert_frame_equal(results(again.out), results(job.out))


def test_nobody_left_in_a_block(run: Run, tmp_path: Path) -> None:
    write_rows(tmp_path / "in" / "a.parquet", BAD[1:3])
    outcome = recommend(run, Batch(listeners=tmp_path / "in", out=tmp_path / "out"), bar=False)
    assert outcome.total == Counts(0, 2, 0)
    assert len(results(tmp_path / "out")) == 0
    assert len(parts(tmp_path / "out")) == 1
