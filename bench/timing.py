"""How the benchmark measures: two sides in turn, steps per second, figures of fresh processes."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.report import ROOT

Measure = Callable[[], float]


@dataclass(frozen=True)
class Options:
    """What a benchmark is run with."""

    quick: bool = False
    """Fewer rounds and steps: to see that it works, not for figures to quote."""
    full: bool = False
    """All twelve settings of the stock DQN, each for up to ten minutes."""
    data: Path = ROOT.parent / "shared" / "data"
    """Folder of the catalogues that are not part of the project."""

    def pick(self, usual: int, quick: int) -> int:
        """Return the number for this run."""
        return quick if self.quick else usual


def in_turn(ours: Measure, theirs: Measure, rounds: int) -> tuple[list[float], list[float]]:
    """Measure both sides in turn, after a round that is not counted.

    Garbage is collected between the measurements, not within: as for `timeit`, else what earlier
    benchmarks have left in memory would be searched through in the time of a later one.

    Returns:
        Our figures and theirs, one a round. A machine that slows down for a while slows down both.
    """

    def measured(measure: Measure) -> float:
        gc.collect()
        gc.disable()
        try:
            return measure()
        finally:
            gc.enable()

    measured(ours), measured(theirs)
    pairs = [(measured(ours), measured(theirs)) for _ in range(rounds)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def seconds(work: Callable[[], object]) -> Measure:
    """Return a measure: the seconds that the work takes."""

    def measure() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return measure


def scalar_rate(env: Any, actions: Sequence[Any]) -> Measure:
    """Return a measure: steps per second of an environment, resets at the ends included."""
    env.reset(seed=0)

    def measure() -> float:
        step, reset = env.step, env.reset
        start = time.perf_counter()
        for action in actions:
            _, _, terminated, truncated, _ = step(action)
            if terminated or truncated:
                reset()
        return len(actions) / (time.perf_counter() - start)

    return measure


def vector_rate(env: Any, actions: Sequence[Any], *, from_reset: bool = False) -> Measure:
    """Return a measure: steps per second, over all environments of a vector environment.

    Args:
        env: the vector environment.
        actions: (num_envs,) actions of each step.
        from_reset: begin each round with new episodes; beginning them is not timed.
    """
    env.reset(seed=0)

    def measure() -> float:
        step = env.step
        if from_reset:
            env.reset()
        start = time.perf_counter()
        for batch in actions:
            # Kept until the next step is done, as by an agent that stores transitions.
            kept = step(batch)
        rate: float = env.num_envs * len(actions) / (time.perf_counter() - start)
        del kept
        return rate

    return measure


def in_fresh_process(expression: str, *, imports: str = "") -> Any:
    """Return what an expression gives in a process of its own; the value must fit into JSON."""
    code = f"import json\n{imports}\nprint(json.dumps({expression}))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{expression} failed in a process of its own:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])
