"""The policy for every listener: loaded, or trained on the first start, and the recommender of it.

This module loads torch: import it in the background.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch as th

from agents.online import OnlineRecommender
from agents.runs import METRICS, PROGRESS, RunError, load_run
from agents.training import AnyListenerSettings
from music_env.catalogue import Catalogue
from player.settings import PlayerSettings

Report = Callable[[float, str], None]

LOOK_EVERY = 0.5
"""[s] Between two looks at how far the training is."""


def recommender_for(
    catalogue: Catalogue, settings: PlayerSettings, folder: Path, report: Report
) -> OnlineRecommender:
    """Return the recommender of a catalogue's policy, which is trained where there is none.

    Args:
        catalogue: the tracks.
        settings: of the player.
        folder: of the catalogue; the policy is in its ``policy``.
        report: told how far it is.

    Raises:
        agents.RunError: the run named does not serve every listener, or not this catalogue; or the
            training failed.
    """
    th.set_num_threads(1)  # small networks lose to thread hand-over
    run_folder = policy_folder(settings, folder, report)
    report(1.0, "loading the policy for every listener")
    run = load_run(run_folder, catalogue=catalogue)
    if run.listener != "any":
        raise RunError(
            f"{run_folder} serves one listener: the player needs a policy for every listener, "
            f"`python train.py --listener any --out {run_folder}`"
        )
    return OnlineRecommender.of_env(run.learner, run.make_env())


def policy_folder(settings: PlayerSettings, folder: Path, report: Report) -> Path:
    """Return the folder of the policy's run, which is trained first where there is none.

    Training runs in a process of its own, so that the page stays quick, and goes on where it was
    stopped. That process ends with this one, however this one ends.

    Args:
        settings: of the player.
        folder: of the catalogue; the policy is in its ``policy``.
        report: told how far it is.

    Raises:
        agents.RunError: the training failed.
    """
    if settings.run is not None:
        return settings.run
    found = folder / "policy"
    if not (found / METRICS).is_file():
        _train(settings, found, report)
    return found


def _train(settings: PlayerSettings, folder: Path, report: Report) -> None:
    total = settings.timesteps or AnyListenerSettings().timesteps
    report(0.0, f"training the policy for every listener: 0 of {total:,} tracks judged")
    folder.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "player.policy_training", "--out", str(folder.resolve())]
    if settings.catalogue is not None:
        command += ["--catalogue", str(settings.catalogue.resolve())]
    command += ["--timesteps", str(total)]
    here = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    log = folder.parent / "training.log"
    with log.open("w", encoding="utf-8") as output:
        # The pipe is never written to: the trainer reads its end when this process is gone.
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        )
        try:
            while process.poll() is None:
                judged = _judged(folder / PROGRESS)
                report(
                    min(judged / total, 1.0),
                    f"training the policy for every listener: {judged:,} of {total:,} tracks "
                    "judged",
                )
                time.sleep(LOOK_EVERY)
        finally:
            if process.stdin is not None:
                process.stdin.close()
            process.wait()
    if process.returncode:
        last = log.read_text(encoding="utf-8").strip().splitlines()[-1:]
        raise RunError(f"the training failed, see {log}: {' '.join(last)}")


def _judged(progress: Path) -> int:
    """Return how many tracks the training has judged, by the last whole row of its log."""
    try:
        with progress.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return int(float(rows[-1]["time/total_timesteps"])) if rows else 0
    except (OSError, KeyError, TypeError, ValueError):
        return 0  # not there yet, or a row that is being written
