"""Train the policy for every listener in a process of its own; what `player.policy` starts.

python -m player.policy_training --out FOLDER [--catalogue FILE] [--timesteps N]
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from pathlib import Path

from agents.resume import RunFinishedError, resume_run
from agents.runs import CONFIG, RunError
from agents.training import AnyListenerSettings, RunSettings, train_run


def train(folder: Path, catalogue: str | None, timesteps: int) -> None:
    """Train a run, or go on with the one that a stopped player has left."""
    settings = RunSettings(
        agent="dueling-dqn",
        learner=AnyListenerSettings(),
        out=folder,
        environment={"catalogue": catalogue, "split": "train"},
        timesteps=timesteps,
        overwrite=True,
        progress_bar=False,
    )
    if (folder / CONFIG).is_file():
        try:
            resume_run(folder, progress_bar=False)
            return
        except RunFinishedError:
            return
        except RunError as error:
            print(f"begun anew: {error}", file=sys.stderr)
    train_run(settings)


def main() -> None:
    """Train, as long as whoever started this process is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--catalogue")
    parser.add_argument("--timesteps", type=int, required=True)
    arguments = parser.parse_args()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    train(arguments.out, arguments.catalogue, arguments.timesteps)


def _end_with_parent() -> None:
    # Returns when the other end is closed, also by a kill. Not by way of sys.stdin, whose lock a
    # thread that reads would hold when this process ends by itself.
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    main()
