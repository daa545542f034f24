"""What the snapshots of a run cost."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from agents.training import DuelingDQNSettings, QLearningSettings, RunSettings, train_run
from bench.report import Asked, Row
from bench.timing import Options


def snapshot_overhead(options: Options) -> Iterator[Row]:
    """The seconds of training that go into snapshots, with default settings."""
    for agent, learner, rounds in (
        ("q-learning", QLearningSettings(), options.pick(9, 1)),
        ("dueling-dqn", DuelingDQNSettings(), options.pick(3, 1)),
    ):
        ours, theirs = [], []
        timesteps = options.pick(learner.timesteps, 2_000)
        for seed in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                metrics = train_run(
                    RunSettings(
                        agent=agent,  # type: ignore[arg-type]
                        learner=learner,
                        out=Path(folder),
                        timesteps=timesteps,
                        seed=seed,
                        progress_bar=False,
                    )
                )
            ours.append(metrics["snapshot_seconds"])
            theirs.append(metrics["train_seconds"] - metrics["snapshot_seconds"])
        yield Row(
            f"snapshots of {agent}, default settings: seconds spent on them",
            "the rest of its training",
            "s",
            ours,
            theirs,
            asked=Asked("at most", 0.05),
            note="eleven snapshots; measured within the same run",
        )
