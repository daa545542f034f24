"""The study and the search on three Ray nodes of this machine; nodes and drivers die."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs Ray: pip install '.[ray]'")
pytest.importorskip("optuna", reason="needs Optuna: pip install '.[ray]'")

import optuna
import ray
from conftest import six_frame
from ray_nodes import ROOT, ray_nodes
from study_runs import bad, look_at_catalogue, noted, read_file, slow, square, toy_tasks

import tune
from cluster import connection
from cluster.connection import ClusterError, connected, require_ray
from cluster.study import on_ray
from music_env import session_tables
from music_env.tables import load_catalogue
from study import suites
from study.__main__ import main
from study.engine import in_processes, run_tasks
from study.suites import run_task
from study.table import read_rows
from study.tasks import Task, key_of


@pytest.fixture(scope="module")
def nodes():
    with ray_nodes(1, 1, 1) as cluster, connected(cluster.address):
        yield cluster


def lines(path):
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def assert_each_once(path, tasks):
    found = [key_of(json.loads(line)) for line in lines(path)]
    assert sorted(found) == sorted(task.key for task in tasks)


def without_seconds(value):
    if isinstance(value, dict):
        return {k: without_seconds(v) for k, v in value.items() if "seconds" not in k}
    return value


def test_rows_are_those_of_the_local_engine_bit_for_bit(nodes, tmp_path, monkeypatch, capsys):
    names = ("dueling-dqn", "q-learning-profile", "always-dislike", "nobody")
    tasks = [Task("musicrec", name, "a case", 3, 96, {}) for name in names]
    run_tasks(tasks, tmp_path / "local", run_task, in_processes(1), progress_bar=False)
    monkeypatch.setattr(suites, "tasks_of", lambda suite, **_: tasks)
    arguments = ["--suites", "musicrec", "--tables", str(tmp_path / "ray"), "--no-progress-bar"]
    command = ["run", "--engine", "ray", "--address", nodes.address, *arguments]
    assert main(command) == 1
    said = capsys.readouterr()
    assert "3 runs done" in said.out and "1 failed" in said.out
    assert "Traceback" in said.err and "KeyError: 'nobody'" in said.err
    rows = [
        sorted(map(without_seconds, read_rows(tmp_path / engine / "musicrec.jsonl")), key=key_of)
        for engine in ("local", "ray")
    ]
    assert rows[0] == rows[1]
    assert [row["status"] for row in rows[0]].count("done") == 3
    ours = next(row for row in rows[0] if row["learner"] == "dueling-dqn")
    assert len(ours["curve"]["regret"]) > 1


def test_catalogues_and_files_come_from_the_store(nodes, tmp_path, monkeypatch):
    path, file = tmp_path / "six.csv", tmp_path / "judged.csv"
    six_frame().to_csv(path, index=False)
    file.write_text("a,b\n", encoding="utf-8")
    monkeypatch.setitem(session_tables._PROVIDED, str(path), load_catalogue(path))
    path.unlink()  # so that no worker can read it
    tasks = [replace(t, setting={"catalogue": str(path)}) for t in toy_tasks(9)]
    rows = [row for _, row in on_ray()(tasks, look_at_catalogue)]
    assert {(row["tracks"], row["same"]) for row in rows} == {(6, True)}
    objects = {tuple(row["object"]) for row in rows}
    assert len(objects) == len({process for process, _ in objects}), "taken out more than once"

    tasks = [replace(t, setting={"judged": str(file)}) for t in toy_tasks(2)]
    for _, row in on_ray()(tasks, read_file):
        assert row["text"] == "a,b\n"
        assert row["path"] != str(file)


def test_a_failing_and_a_dying_task_do_not_stop_the_others(nodes, tmp_path, capsys):
    outcome = run_tasks(toy_tasks(9), tmp_path, bad, on_ray(), progress_bar=False)
    assert outcome.done == 7
    errors = {task.learner: error for task, error in outcome.failed}
    assert errors["learner 1"] == "ValueError: no such listener"
    assert "its process died, each of 4 times" in errors["learner 2"]
    assert "ValueError: no such listener" in capsys.readouterr().err
    again = run_tasks(toy_tasks(9), tmp_path, square, on_ray(), progress_bar=False)
    assert (again.before, again.done, len(again.failed)) == (7, 2, 0)


def test_no_more_is_handed_over_than_can_soon_be_done(nodes, tmp_path):
    tasks = [replace(t, setting={"begun": str(tmp_path / "begun")}) for t in toy_tasks(30)]
    rows = on_ray()(tasks, noted)
    next(rows)
    time.sleep(3.0)  # as if the table were slow: nothing is asked for meanwhile
    begun = len(lines(tmp_path / "begun"))
    rows.close()
    assert 1 <= begun <= 2 * 3


def test_the_driver_is_killed_and_the_same_command_goes_on(nodes, tmp_path):
    path, tasks = tmp_path / "toy.jsonl", toy_tasks(12)
    command = [sys.executable, "tests/study_runs.py", str(tmp_path), nodes.address]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    driver = subprocess.Popen(command, cwd=ROOT, env=environment)
    while len(lines(path)) < 3:
        assert driver.poll() is None
        time.sleep(0.01)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    before = lines(path)
    assert 3 <= len(before) < 12
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    assert lines(path)[: len(before)] == before
    assert_each_once(path, tasks)


TINY = ("--agent", "q-learning", "--listeners", "2", "--budget", "128")


def test_a_search_goes_on_where_it_stopped(nodes, tmp_path, monkeypatch):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for trials in (2, 5):
        where = ("--engine", "ray", "--address", nodes.address)
        arguments = [*TINY, *where, "--trials", str(trials), "--out", str(tmp_path)]
        monkeypatch.setattr(sys, "argv", ["tune.py", *arguments])
        assert tune.main() == 0
        summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
        assert summary["complete"] + summary["pruned"] == trials
    # The first point is the defaults; what it is worth does not depend on where it was tried.
    listeners = tune.draw(tune.Arguments(agent="q-learning", listeners=2))
    checks = tune.checks_up_to(128)
    own = optuna.create_study()
    own.enqueue_trial(tune.defaults_as_point("q-learning"))
    own.optimize(tune.objective("q-learning", listeners, checks, 0), n_trials=1)
    assert summary["defaults"]["trial"] == 0
    assert summary["defaults"]["log10_regret"] == own.best_value


def test_a_node_is_killed_in_the_middle(nodes, tmp_path):
    """The last test that wants three nodes: it leaves two."""
    begun, victim = tmp_path / "begun", nodes.list_all_nodes()[-1]
    setting = {"begun": str(begun), "held": victim.node_id}
    tasks = [replace(task, setting=setting) for task in toy_tasks(40)]
    killed = []

    def engine(tasks, run):
        for task, row in on_ray()(tasks, run):
            if not killed and victim.node_id in lines(begun):
                nodes.remove_node(victim, allow_graceful=False)
                killed.append(task)
            yield task, row

    outcome = run_tasks(tasks, tmp_path, noted, engine, progress_bar=False)
    assert killed, "the node took no part"
    assert (outcome.done, len(outcome.failed)) == (40, 0)
    assert_each_once(tmp_path / "toy.jsonl", tasks)
    assert len(lines(begun)) > 40, "what it was doing was not begun again"
    deadline = time.monotonic() + 60.0  # the head notices some seconds later
    while len([node for node in ray.nodes() if node["Alive"]]) > 2:
        assert time.monotonic() < deadline, "the node lives"
        time.sleep(0.1)


# --- Without a cluster ----------------------------------------------------------------------------


def test_without_ray_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        ClusterError, match=r'Ray cannot be imported.*pip install "musicrec\[ray\]"'
    ):
        require_ray()
    arguments = ["--suites", "control", "--cases", "CartPole", "--tables", str(tmp_path)]
    assert main(["run", "--engine", "ray", *arguments]) == 2
    assert 'pip install "musicrec[ray]"' in capsys.readouterr().err


def test_an_address_without_ray_is_refused(tmp_path, monkeypatch, capsys):
    assert main(["run", "--address", "auto", "--tables", str(tmp_path)]) == 2
    assert "--address auto is for --engine ray" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["tune.py", *TINY, "--address", "x", "--out", str(tmp_path)])
    assert tune.main() == 2
    assert "--address x is for --engine ray" in capsys.readouterr().err


def test_a_cluster_that_is_not_there(monkeypatch):
    def refuse(**arguments):
        raise ConnectionError("nobody answers")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        message = rf"no connection to a Ray cluster at '{address}' \(nobody answers\)"
        with pytest.raises(ClusterError, match=message), connected(address):
            pass
    with pytest.raises(ClusterError, match=r"no local Ray starts \(nobody answers\)"), connected():
        pass
    with pytest.raises(ValueError, match="num_cpus=2 is for a local Ray"), connected("h:1", 2):
        pass


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_where_nothing_listens_it_is_said_at_once(tmp_path, monkeypatch, capsys, scheme):
    """Ray itself would ask such an address for minutes."""
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", pytest.fail)
    with socket.socket() as bound:  # to a port on which nobody listens, then
        bound.bind(("127.0.0.1", 0))
        address = f"{scheme}127.0.0.1:{bound.getsockname()[1]}"
        arguments = ["--suites", "control", "--cases", "CartPole", "--tables", str(tmp_path)]
        assert main(["run", "--engine", "ray", "--address", address, *arguments]) == 2
        said = capsys.readouterr().err
        assert f"no connection to a Ray cluster at '{address}'" in said and "refused" in said
        monkeypatch.setenv("RAY_ADDRESS", address)
        with (
            pytest.raises(ClusterError, match=r"at 'auto' .*refused.*: start one"),
            connected("auto"),
        ):
            pass


def test_the_example_of_a_cluster_fits_rays_schema():
    jsonschema, yaml = pytest.importorskip("jsonschema"), pytest.importorskip("yaml")
    schema = Path(ray.__file__).parent / "autoscaler" / "ray-schema.json"
    example = yaml.safe_load((ROOT / "cluster" / "cluster.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(example, json.loads(schema.read_text(encoding="utf-8")))
    # The tested versions of Ray and Python: a driver and its nodes must have the same.
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    (version,) = [pin.removeprefix("ray==") for pin in pins if pin.startswith("ray==")]
    assert f"/ray:{version}-py311" in example["docker"]["image"]


def test_nothing_to_do_starts_no_cluster(monkeypatch):
    monkeypatch.setattr(connection, "require_ray", pytest.fail)
    assert list(on_ray()([], slow)) == []
