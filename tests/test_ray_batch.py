"""Recommendations for many listeners on three Ray nodes of this machine; nodes and drivers die."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

pytest.importorskip("ray", reason="needs Ray: pip install '.[ray]'")

import ray
from batch_runs import Deadly, HangingOn, listener_rows, parts, results, trained_run, write_rows
from ray_nodes import ROOT, ray_nodes

from agents.runs import Run, load_run
from cluster.__main__ import main
from cluster.batch import Batch, recommend
from cluster.batch_on_ray import on_ray
from cluster.block_work import BlockWork, Done
from cluster.blocks import Counts
from cluster.connection import RETRIES, connected
from cluster.errors import BatchError

# Ray Data's own settings warn of themselves when they are made.
pytestmark = pytest.mark.filterwarnings("ignore:`.*` is deprecated::ray.data.context")

N_LISTENERS, BLOCK_ROWS = 600, 25
N_BLOCKS = N_LISTENERS // BLOCK_ROWS


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    with ray_nodes(1, 1, 1) as cluster, connected(cluster.address):
        yield cluster


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return load_run(trained_run(tmp_path_factory.mktemp("runs") / "any", 500))


@pytest.fixture(scope="module")
def done_here(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """Return a job that was done in this process; all candidates, so that a block takes a while."""
    folder = tmp_path_factory.mktemp("job")
    rows = listener_rows(run.catalogue, N_LISTENERS)
    rows[70] = ("nobody", "Nobody At All", None, None, None)
    write_rows(folder / "in" / "a.parquet", rows)
    job = Batch(
        listeners=folder / "in", out=folder / "out", candidates="all", block_rows=BLOCK_ROWS
    )
    assert recommend(run, job, bar=False).total.listeners == N_LISTENERS - 1
    return job


def assert_the_same(job: Batch, out: Path) -> None:
    """Everyone is there once, with what the local engine recommends."""
    assert parts(out).keys() == parts(job.out).keys()
    pd.testing.assert_frame_equal(results(out), results(job.out))
    (bad,) = pd.read_parquet(out / "bad_rows").to_dict("records")
    assert (bad["file"], bad["row"], bad["listener_id"]) == ("a.parquet", 71, "nobody")


def test_the_driver_is_killed_and_the_same_command_goes_on(
    nodes: Any, run: Run, done_here: Batch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = [
        *("recommend", str(run.folder), str(done_here.listeners), str(out)),
        *("--candidates", "all", "--block-rows", str(BLOCK_ROWS), "--no-progress-bar"),
        *("--engine", "ray", "--address", nodes.address),
    ]
    driver = subprocess.Popen([sys.executable, "-m", "cluster", *arguments], cwd=ROOT)
    while len(parts(out)) < 2:
        assert driver.poll() is None
        time.sleep(0.02)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    before = parts(out)
    assert len(before) < N_BLOCKS
    assert main(arguments) == 1  # as one row is no listener
    said = capsys.readouterr().out
    assert f"{N_LISTENERS - 1:,} listeners have their recommendations" in said
    again = int(said.split(" blocks")[0].rsplit(": ", 1)[1].split(" of ")[0])
    assert 0 < again <= N_BLOCKS - len(before)
    assert parts(out).items() >= before.items()
    assert_the_same(done_here, out)


def test_what_stops_a_block_is_said(nodes: Any, run: Run, done_here: Batch, tmp_path: Path) -> None:
    def without_files(work: BlockWork, numbers: Sequence[int]) -> Iterator[Done]:
        elsewhere = replace(work, listeners=replace(work.listeners, folder=tmp_path / "none"))
        yield from on_ray()(elsewhere, numbers[:1])

    with pytest.raises(BatchError, match=r"a block could not be done: .*a\.parquet cannot be read"):
        recommend(run, replace(done_here, out=tmp_path / "out"), without_files, bar=False)


def test_a_block_that_kills_its_worker_is_given_up(nodes: Any, run: Run, tmp_path: Path) -> None:
    def deadly(work: BlockWork, numbers: Sequence[int]) -> Iterator[Done]:
        yield from on_ray()(replace(work, network=Deadly(tmp_path / "notes")), numbers)

    write_rows(tmp_path / "in" / "a.parquet", listener_rows(run.catalogue, 5))
    job = Batch(listeners=tmp_path / "in", out=tmp_path / "out")
    with pytest.raises(BatchError, match=r"did rows 1 to 5 of a\.parquet died, each of 4 times"):
        recommend(run, job, deadly, bar=False)
    assert (tmp_path / "notes").read_text().count("died") == 1 + RETRIES
    assert recommend(run, job, bar=False).total.listeners == 5
    assert not list((job.out / "recommendations").glob(".*"))


def test_a_node_is_killed_in_the_middle(
    nodes: Any, run: Run, done_here: Batch, tmp_path: Path
) -> None:
    """The last test: it leaves two nodes."""
    victim = nodes.list_all_nodes()[-1]
    killed = False

    def killing(work: BlockWork, numbers: Sequence[int]) -> Iterator[Done]:
        network = HangingOn(work.network, victim.node_id, tmp_path)
        nonlocal killed
        for done in on_ray()(replace(work, network=network), numbers):
            if not killed and (tmp_path / "hanging").exists():
                nodes.remove_node(victim, allow_graceful=False)
                killed = True
            yield done

    outcome = recommend(run, replace(done_here, out=tmp_path / "out"), killing, bar=False)
    assert killed, "the node took no part"
    deadline = time.monotonic() + 60.0  # the head notices some seconds later
    while len([node for node in ray.nodes() if node["Alive"]]) > 2:
        assert time.monotonic() < deadline, "the node lives"
        time.sleep(0.1)
    assert sorted(done.number for done in outcome.done) == list(range(N_BLOCKS))
    assert outcome.total == Counts(N_LISTENERS - 1, 1, outcome.total.valued)
    assert_the_same(done_here, tmp_path / "out")


def test_without_ray_it_says_what_to_install(
    run: Run,
    done_here: Batch,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    arguments = [str(run.folder), str(done_here.listeners), str(tmp_path / "out")]
    assert main(["recommend", *arguments, "--engine", "ray"]) == 2
    assert 'pip install "musicrec[ray]"' in capsys.readouterr().err
