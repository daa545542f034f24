"""The benchmark: every row, ours and the peers' side by side, in one run. See `make bench`.

python -m bench
python -m bench --only vector --quick
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch as th
import tyro
from rich.console import Console

from bench import learning, memory, million, snapshots, speed
from bench.report import ROOT, Row, SkippedError, print_table, write_markdown
from bench.timing import Options

# What needs a quiet machine and an empty memory comes first.
BENCHMARKS: tuple[Callable[[Options], Iterator[Row]], ...] = (
    speed.reading_against_pandas,
    speed.scalar_against_cartpole,
    speed.scalar_against_sardine,
    speed.vector_against_cartpole,
    speed.vector_against_gather,
    speed.importing,
    memory.replay_memory,
    memory.many_environments,
    snapshots.snapshot_overhead,
    learning.tabular_updates,
    learning.dqn_against_stock,
    learning.dqn_against_vowpal_wabbit,
    million.million_reading,
    million.million_stepping,
    million.million_ranking,
    million.million_training,
)
NAMES = tuple(benchmark.__name__.replace("_", "-") for benchmark in BENCHMARKS)


@dataclass(frozen=True)
class Arguments:
    """Measure MusicRec and its peers side by side, and write the table."""

    only: tuple[str, ...] = ()
    """Only the benchmarks whose name contains one of these."""
    list: bool = False
    """Print the names of the benchmarks, and measure nothing."""
    quick: bool = False
    """Fewer rounds and steps: to see that it works, not for figures to quote."""
    full: bool = False
    """Search the best of twelve settings of the stock DQN, each for up to ten minutes."""
    data: Path = Options.data
    """Folder of the catalogues that are not part of the project; without it rows are skipped."""
    out: Path | None = None
    """Markdown file to write; if not given: bench/results.md, of a whole run that is not quick."""


def run(benchmark: Callable[[Options], Iterator[Row]], options: Options) -> list[Row]:
    """Return the rows of a benchmark, or one that says why there are none."""
    try:
        return list(benchmark(options))
    except SkippedError as reason:
        return [Row(benchmark.__name__.replace("_", " "), skipped=str(reason))]


def main() -> int:
    """Parse the command line, measure, print and write; return the exit status."""
    arguments = tyro.cli(Arguments, description=__doc__)
    chosen = [
        (name, benchmark)
        for name, benchmark in zip(NAMES, BENCHMARKS, strict=True)
        if not arguments.only or any(part in name for part in arguments.only)
    ]
    if arguments.list or not chosen:
        print("\n".join(NAMES))
        return 0 if arguments.list else 2
    # Small networks lose to thread hand-over; and the sides must not differ in it.
    th.set_num_threads(1)
    options = Options(quick=arguments.quick, full=arguments.full, data=arguments.data)
    console = Console(stderr=True)
    rows: list[Row] = []
    for name, benchmark in chosen:
        start = time.perf_counter()
        with console.status(name):
            rows += run(benchmark, options)
        console.print(f"{name}: {time.perf_counter() - start:.0f} s", highlight=False)
    print_table(rows)
    whole = not arguments.only and not arguments.quick
    out = arguments.out or (ROOT / "bench" / "results.md" if whole else None)
    if out is not None:
        write_markdown(rows, out, command="make bench" if whole else "python -m bench, in part")
        print(f"Written: {out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
