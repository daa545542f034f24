"""What the study's engine runs in its tests, importable by its worker processes; and a study."""

import os
import sys
import time
from pathlib import Path

from study.engine import in_processes, run_tasks
from study.tasks import Task


def toy_tasks(n):
    return [Task("toy", f"learner {i % 3}", "case", i // 3, 10) for i in range(n)]


def square(task):
    return {"value": (task.seed + 1) ** 2, "process": os.getpid()}


def bad(task):
    if task.learner == "learner 1" and task.seed == 0:
        raise ValueError("no such listener")
    if task.learner == "learner 2" and task.seed == 0:
        os._exit(3)  # as a crash in compiled code would
    return square(task)


def slow(task):
    time.sleep(0.2)
    return square(task)


def noted(task):
    """Write down that the task is begun, on which node; on the one that is held never end.

    On the others it waits until that one has begun something, so that it surely takes part.
    """
    import ray

    node = ray.get_runtime_context().get_node_id()
    with Path(task.setting["begun"]).open("a", encoding="utf-8") as file:
        file.write(f"{node}\n")  # one write of a short line
    held, deadline = task.setting["held"], time.monotonic() + 60.0
    if node == held:
        time.sleep(600)  # it is killed long before
    while held not in Path(task.setting["begun"]).read_text(encoding="utf-8"):
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return {**slow(task), "node": node}


def read_file(task):
    """Return what is in the file that the setting names, and that file's path here."""
    path = task.setting["judged"]
    return {"text": Path(path).read_text(encoding="utf-8"), "path": path, "process": os.getpid()}


def look_at_catalogue(task):
    """Return the number of tracks, and who found them in which object."""
    from music_env.tables import load_catalogue

    catalogue = load_catalogue(task.setting["catalogue"])
    same = load_catalogue(task.setting["catalogue"]) is catalogue
    return {"tracks": catalogue.n_tracks, "object": [os.getpid(), id(catalogue)], "same": same}


if __name__ == "__main__":
    folder, *address = sys.argv[1:]
    if address:
        from cluster.study import on_ray

        engine = on_ray(*address)
    else:
        engine = in_processes(2)
    run_tasks(toy_tasks(12), Path(folder), slow, engine, progress_bar=False)
