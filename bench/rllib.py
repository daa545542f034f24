"""Our dueling DQN and RLlib's on MusicRec-v0: steps and seconds to a small regret, in one table.

``python -m bench.rllib`` trains both on the embedded catalogue for its default listener, each with
its default settings, RLlib's with none and with some environment runners on a local Ray, and writes
``bench/rllib.md``. Seconds are wall time on a machine that does nothing else, as RLlib's work is
that of several processes; starting Ray and building the algorithm are not counted, nor are the
checks of the regret.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch as th
import tyro

from agents.settings import DuelingDQNSettings, RLlibSettings, RunSettings
from agents.training import make_learner
from agents.vec_env import GymVecEnv, make_native
from bench.regret import CHECK_EVERY, REGRETS, Reached, RegretClock, relative_regret
from bench.report import machine, markdown_table
from cluster.connection import ClusterError, connected, require_ray
from music_env.tables import Tables

_TABLE = Path(__file__).with_name("rllib.md")


@dataclass(frozen=True)
class Arguments:
    """Compare the local engine with RLlib's DQN, and write a table."""

    seeds: int = 10
    """Runs of each."""
    env_runners: tuple[int, ...] = (0, 1, 2)
    """Of RLlib: processes that step the environments; 0: the one that learns does."""
    timesteps: int | None = None
    """Tracks to judge at most; if not given, what the settings say."""
    out: Path = _TABLE
    """Markdown file to write."""


def local(seed: int, timesteps: int | None) -> Reached:
    """Train by the local engine until the regret is small."""
    settings = DuelingDQNSettings()
    env = make_native("MusicRec-v0", settings.n_envs, encoding=settings.encoding)
    learner = make_learner(settings, GymVecEnv(env), seed=seed)
    clock = RegretClock(env.unwrapped, cap=float("inf"), clock=time.perf_counter)
    learner.learn(timesteps or settings.timesteps, callback=clock, log_interval=None)
    return clock.reached


def rllib(seed: int, timesteps: int | None, *, env_runners: int) -> Reached:
    """Train by RLlib until the regret is small; Ray runs already."""
    from agents.evaluation import learner_policy
    from agents.rllib import dqn_config, read_report, take_weights, trained_weights
    from cluster.training import bridge_learner, build, stop

    own = RLlibSettings()
    settings = RunSettings(
        "dueling-dqn", own, Path(), timesteps=timesteps, seed=seed, env_runners=env_runners
    )
    learner, tables = bridge_learner(settings)
    assert isinstance(tables, Tables)
    config = dqn_config(
        settings, learner, env_runners=env_runners, learning_starts=own.learning_starts
    )
    algorithm = build(config, CHECK_EVERY)
    reached, seconds, tracks = Reached(), 0.0, 0
    try:
        while tracks < settings.total_timesteps and not reached.done:
            started = time.perf_counter()
            result = algorithm.train()
            seconds += time.perf_counter() - started
            tracks = read_report(result, own.batch_size).timesteps
            take_weights(learner, trained_weights(algorithm))
            likes = learner_policy("RLlib", learner, tables).likes
            assert likes is not None
            reached.note(relative_regret(tables.scores.total, likes), seconds, tracks)
    finally:
        stop(algorithm)
    return reached


def row(name: str, runs: Sequence[Reached]) -> list[str]:
    """Return a row of the table: medians, ranges, and all runs."""
    cells = [name]
    for regret in REGRETS:
        arrived = [run for run in runs if regret in run.seconds]
        if len(arrived) < len(runs):
            cells += [f"{len(arrived)} of {len(runs)} runs arrived", ""]
            continue
        tracks = sorted(run.tracks[regret] for run in runs)
        seconds = sorted(run.seconds[regret] for run in runs)
        median = statistics.median
        cells.append(f"{median(tracks):,.0f} ({tracks[0]:,} to {tracks[-1]:,})")
        cells.append(f"{median(seconds):.1f} s ({seconds[0]:.1f} to {seconds[-1]:.1f})")
    return [*cells, "<br>".join(map(str, runs))]


def compared(ours: Sequence[Reached], theirs: Mapping[str, Sequence[Reached]]) -> list[str]:
    """Say how many runs of each of RLlib's came to the first of `REGRETS`, and after how much more.

    Args:
        ours: runs of the local engine.
        theirs: name -> runs of RLlib.
    """
    regret = REGRETS[0]

    def arrived(runs: Sequence[Reached]) -> bool:
        return all(regret in run.seconds for run in runs)

    lines = []
    for name, runs in theirs.items():
        count = sum(regret in run.seconds for run in runs)
        line = f"{name}: {regret:.1%} in {'all' if count == len(runs) else f'{count} of'} "
        line += f"{len(runs)} runs"
        if arrived(ours) and arrived(runs):
            tracks, seconds = (
                statistics.median(run.spent(regret, unit) for run in runs)
                / statistics.median(run.spent(regret, unit) for run in ours)
                for unit in ("tracks", "s")
            )
            line += f", after {tracks:.1f} times the tracks and {seconds:.1f} times the seconds "
            line += "of ours"
        lines.append(f"{line}.")
    return lines


def coarseness(n_envs: int) -> str:
    """Say how far apart the looks at the regret are, with so many sessions at a time."""
    every = -(-CHECK_EVERY // n_envs) * n_envs
    return (
        f"The regret is looked at every {every} tracks: {every} is the least that can stand here, "
        "and all numbers of tracks are rounded up."
    )


def main(arguments: Arguments) -> int:
    """Measure, print and write the table; return the exit status."""
    th.set_num_threads(1)
    if arguments.seeds < 1:
        print(f"rllib: seeds must be at least 1, got {arguments.seeds}", file=sys.stderr)
        return 2
    try:
        require_ray()  # before the minutes of what needs none
    except ClusterError as error:
        print(f"rllib: {error}", file=sys.stderr)
        return 2
    seeds, timesteps = range(arguments.seeds), arguments.timesteps
    ours = [local(seed, timesteps) for seed in seeds]
    theirs: dict[str, list[Reached]] = {}
    rows = [row("ours, in one process", ours)]
    print(rows[-1], flush=True)
    for env_runners in arguments.env_runners:
        with connected(None, env_runners + 1):
            runs = [rllib(seed, timesteps, env_runners=env_runners) for seed in seeds]
        name = f"RLlib, {env_runners or 'no'} environment runner{'s' * (env_runners > 1)}"
        theirs[name] = runs
        rows.append(row(name, runs))
        print(rows[-1], flush=True)
    headings = ["learner"]
    for regret in REGRETS:
        headings += [f"tracks to regret {regret:.1%}", "time"]
    settings: dict[str, Any] = vars(RLlibSettings())
    differs = {
        name: value
        for name, value in settings.items()
        if value != getattr(DuelingDQNSettings(), name)
    }
    lines = [
        "# Our dueling DQN and RLlib's",
        "",
        f"`python -m bench.rllib`: MusicRec-v0, embedded catalogue, default listener; "
        f"medians (and ranges) of {arguments.seeds} seeds; wall time, without starting Ray. The "
        "same networks; "
        f"RLlib's settings differ in {', '.join(f'{n} {v}' for n, v in differs.items())}. "
        f"{coarseness(DuelingDQNSettings().n_envs)}",
        "",
        *markdown_table([*headings, "runs"], rows),
        "",
        *(f"- {line}" for line in compared(ours, theirs)),
        "",
        *markdown_table(("", ""), machine()),
        "",
    ]
    arguments.out.write_text("\n".join(lines), encoding="utf-8")
    print(f"Written: {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Arguments, description=__doc__)))
