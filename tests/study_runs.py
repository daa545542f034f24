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


if __name__ == "__main__":
    run_tasks(toy_tasks(12), Path(sys.argv[1]), slow, in_processes(2), progress_bar=False)
