"""The study's tables and engine: resumable after a kill, each task once, failures contained."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from study_runs import bad, slow, square, toy_tasks

from study.engine import in_processes, pending, run_tasks
from study.table import TableError, appending, read_rows
from study.tasks import Task, key_of

ROOT = Path(__file__).resolve().parents[1]


def row(seed, status="done", **measured):
    return Task("toy", "a", "case", seed, 10).row(status=status, **measured)


# --- Tables ---------------------------------------------------------------------------------------


def test_a_table_gives_back_its_rows(tmp_path):
    path = tmp_path / "new" / "toy.jsonl"
    rows = [row(0, text="Ünïcode, \n a line"), row(1, curve={"regret": [0.5, 0.0]})]
    assert read_rows(path) == []
    with appending(path) as table:
        for one in rows:
            table.append(one)
    assert read_rows(path) == rows


def test_a_line_that_was_cut_off_is_ignored_and_removed(tmp_path):
    path = tmp_path / "toy.jsonl"
    with appending(path) as table:
        table.append(row(0))
        table.append(row(1))
    whole = path.read_bytes()
    for length in range(whole.index(b"\n") + 1, len(whole)):
        path.write_bytes(whole[:length])
        assert read_rows(path) == [row(0)], length
        with appending(path) as table:
            table.append(row(2))
        assert read_rows(path) == [row(0), row(2)], length


def test_any_other_broken_line_is_an_error(tmp_path):
    path = tmp_path / "toy.jsonl"
    path.write_text(json.dumps(row(0)) + '\n{"suite": "toy"}\n', encoding="utf-8")
    with pytest.raises(TableError, match=r"toy\.jsonl, line 2: not a row of the study"):
        read_rows(path)


def test_what_was_done_outlives_a_failure(tmp_path):
    path = tmp_path / "toy.jsonl"
    with appending(path) as table:
        for one in (row(0, "failed", error="x"), row(0, value=1), row(1, "failed", error="y")):
            table.append(one)
    assert read_rows(path) == [row(0, value=1), row(1, "failed", error="y")]


def test_two_studies_do_not_write_to_one_table(tmp_path):
    path = tmp_path / "toy.jsonl"
    with (
        appending(path),
        pytest.raises(TableError, match="another study is writing to"),
        appending(path),
    ):
        pass


# --- Engine ---------------------------------------------------------------------------------------


def values(folder):
    return {key_of(one): one.get("value") for one in read_rows(folder / "toy.jsonl")}


def test_each_task_is_run_once_whatever_the_number_of_workers(tmp_path):
    tasks = toy_tasks(9)
    found = []
    for workers, order in ((1, tasks), (2, tasks[::-1])):
        folder = tmp_path / str(workers)
        outcome = run_tasks(order, folder, square, in_processes(workers), progress_bar=False)
        assert (outcome.before, outcome.done, len(outcome.failed)) == (0, 9, 0)
        path = folder / "toy.jsonl"
        assert len(path.read_text(encoding="utf-8").splitlines()) == 9
        found.append(values(folder))
        assert os.getpid() not in {one["process"] for one in read_rows(path)}
    assert found[0] == found[1]
    again = run_tasks(
        tasks, folder, bad, in_processes(1), progress_bar=False
    )  # nothing is left to fail
    assert (again.before, again.done, len(again.failed)) == (9, 0, 0)


def test_a_failing_and_a_dying_task_do_not_stop_the_others(tmp_path, capfd):
    tasks = toy_tasks(9)
    outcome = run_tasks(tasks, tmp_path, bad, in_processes(2), progress_bar=False)
    assert outcome.done == 7
    errors = {task.learner: error for task, error in outcome.failed}
    assert errors["learner 1"] == "ValueError: no such listener"
    assert "its process died" in errors["learner 2"]
    assert "Traceback" in capfd.readouterr().err
    assert [task.key for task in pending(tasks, tmp_path)] == [tasks[1].key, tasks[2].key]
    again = run_tasks(tasks, tmp_path, square, in_processes(1), progress_bar=False)
    assert (again.before, again.done, len(again.failed)) == (7, 2, 0)
    assert set(values(tmp_path).values()) == {1, 4, 9}


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="looks for processes in /proc")
def test_after_a_kill_it_goes_on(tmp_path):
    path, tasks = tmp_path / "toy.jsonl", toy_tasks(12)
    study = subprocess.Popen(
        [sys.executable, "tests/study_runs.py", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    while not (path.is_file() and path.read_bytes().count(b"\n") >= 3):
        assert study.poll() is None
        time.sleep(0.01)
    study.send_signal(signal.SIGKILL)
    study.wait()
    workers = {one["process"] for one in read_rows(path)}
    done = len(read_rows(path))
    assert 3 <= done < 12
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").is_dir() for pid in workers):
        assert time.monotonic() < deadline, "workers outlive their study"
        time.sleep(0.05)
    with path.open("ab") as file:  # as if it had been killed in the middle of a line
        file.write(b'{"suite":"toy","learn')
    outcome = run_tasks(tasks, tmp_path, slow, in_processes(2), progress_bar=False)
    assert (outcome.before, outcome.done) == (done, 12 - done)
    keys = [key_of(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    assert sorted(keys) == sorted(task.key for task in tasks)


def test_suites_have_tables_of_their_own(tmp_path):
    tasks = [*toy_tasks(2), Task("other", "a", "case", 0, 10)]
    assert run_tasks(tasks, tmp_path, square, in_processes(1), progress_bar=False).done == 3
    assert len(read_rows(tmp_path / "toy.jsonl")) == 2
    assert len(read_rows(tmp_path / "other.jsonl")) == 1
    assert pending(tasks, tmp_path) == []
