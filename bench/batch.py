"""How fast many listeners get their recommendations, how right they are, and what they cost.

python -m bench.batch --run runs/any-tidytuesday
python -m bench.batch --listeners 20000 --price-per-core-hour 0.05
python -m bench.batch --engine local                   # without Ray, in one process

Listeners are drawn from the run's catalogue (by default the TidyTuesday file's, for which a policy
is trained where the folder holds none), written as Parquet, and recommended to on a local Ray,
start-up and all. In turn with that, on the same processors:

- the bare forward passes over candidate rows that are already observations: what a batch cannot be
  faster than. They are counted in pairs of a listener and a track, as in a batch listeners who
  prefer the same are ranked once: the limit is for as many pairs as the batch has valued.

Then, for a sample of listeners, every track is ranked. Memory is the most that any worker's process
has used, and the process that drives them, for a fifth of the listeners and for all.
"""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch as th
import tyro
from rich.console import Console
from rich.table import Table

from agents.runs import MODEL, Run, RunError, load_run
from agents.settings import AnyListenerSettings, RunSettings
from agents.training import train_run
from bench.batch_measures import (
    Bare,
    Engine,
    Measured,
    bare_here,
    bare_on_ray,
    measured_batch,
    ranker_of,
    recommended,
    write_listeners,
)
from bench.listeners import TIDYTUESDAY
from bench.report import ROOT, machine, markdown_table
from cluster.batch import Batch
from cluster.connection import ClusterError, require_ray
from cluster.errors import BatchError
from cluster.ranking import Agreement, agreement
from music_env import CatalogueError, draw_population
from music_env.population import PopulationOptions

SHARE_OF_LIMIT, EQUAL_PLACES = 0.5, 0.99
"""What is asked at least."""

SAME_MEMORY = 1.05
"""Memory has not grown where it is at most so many times as much: allocators do not give it back to
the byte."""

SCALES = (1_000_000, 100_000_000)
"""Listeners for whom costs are worked out."""

HEADINGS = ("measured", "found", "asked", "")
COST_HEADINGS = ("listeners", "core-hours", "price", "Parquet written")


@dataclass(frozen=True)
class Arguments:
    """Measure a batch of recommendations."""

    run: Path = ROOT / "runs" / "any-tidytuesday"
    """Folder of a run of train.py --listener any; trained on --catalogue where there is none."""
    catalogue: Annotated[Path, tyro.conf.arg(metavar="FILE")] = TIDYTUESDAY
    """Tracks to train on."""
    listeners: int = 100_000
    """How many are recommended to."""
    k: int = 20
    """Tracks for each."""
    candidates: int | None = None
    """Of each kind, see cluster/candidates.py."""
    block_rows: int = 5_000
    """Listeners in a block."""
    engine: Engine = "ray"
    """A local Ray, or one process without it."""
    workers: int = 2
    """Processors of the local Ray."""
    rounds: int = 3
    """Turns of batch and bare passes; the fastest of each counts, as whatever else the machine does only ever slows one down."""  # noqa: E501
    sample: int = 200
    """Listeners for whom every track is ranked."""
    seconds: float = 5.0
    """For which the bare forward passes are repeated in a round."""
    price_per_core_hour: float | None = None
    """What you pay for a processor for an hour: costs are then written in your currency too."""
    out: Path = ROOT / "bench" / "batch.md"
    """Markdown file to write."""

    def __post_init__(self) -> None:
        counts = {
            name: getattr(self, name) for name in ("k", "block_rows", "workers", "rounds", "sample")
        }
        for name, value in counts.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.listeners < max(5, self.sample):
            raise ValueError(
                f"listeners must be at least 5, and those of the sample ({self.sample}), got "
                f"{self.listeners}"
            )


def trained(arguments: Arguments) -> Run:
    """Return the run, which is trained first where there is none."""
    if not (arguments.run / MODEL).is_file():
        train_run(
            RunSettings(
                agent="dueling-dqn",
                learner=AnyListenerSettings(),
                out=arguments.run,
                environment={"catalogue": str(arguments.catalogue), "split": "train"},
            )
        )
    return load_run(arguments.run)


@dataclass(frozen=True)
class Found:
    """All that was measured.

    Attributes:
        few: the batch of a fifth of the listeners.
        whole: the fastest batch of all of them.
        bare: the fastest bare passes.
        agreed: how far the batch agrees with ranking every track.
    """

    few: Measured
    whole: Measured
    bare: Bare
    agreed: Agreement


def measure(arguments: Arguments, run: Run, folder: Path) -> Found:
    """Measure all; what is written goes to a folder."""
    options = PopulationOptions(n_listeners=arguments.listeners)
    listeners = draw_population(run.catalogue, options).listeners

    def batch(name: str, out: str) -> Batch:
        return Batch(
            listeners=folder / name,
            out=folder / out,
            k=arguments.k,
            candidates=arguments.candidates,
            block_rows=arguments.block_rows,
        )

    def measured(job: Batch) -> Measured:
        return measured_batch(run.folder, job, arguments.engine, arguments.workers)

    write_listeners(run, listeners.take(slice(0, arguments.listeners // 5)), folder / "few")
    write_listeners(run, listeners, folder / "all")
    few = measured(batch("few", "few-out"))
    wholes, bares = [], []
    for number in range(arguments.rounds):
        job = batch("all", f"out-{number}")
        wholes.append(measured(job))
        ranker = ranker_of(run, job)
        if arguments.engine == "ray":
            bares.append(bare_on_ray(ranker, listeners, arguments.seconds, arguments.workers))
        else:
            bares.append(bare_here(ranker, listeners, arguments.seconds))
    generator = np.random.default_rng(0)
    which = np.sort(generator.choice(len(listeners), arguments.sample, replace=False))
    some = listeners.take(which)
    agreed = agreement(
        run.catalogue,
        some,
        recommended(run, job.out, which.tolist(), ranker.k),
        ranker.rank_every(some).tracks,
    )
    fastest = max(bares, key=lambda bare: bare.a_second)
    return Found(few, max(wholes, key=lambda whole: whole.a_second), fastest, agreed)


def measured_rows(found: Found, sample: int) -> list[tuple[str, str, str, str]]:
    """Return the rows of the table, see `HEADINGS`."""
    few, whole, bare, agreed = found.few, found.whole, found.bare, found.agreed
    limit = bare.a_second / whole.valued_each
    share = whole.a_second / limit
    by_cpu = whole.valued / whole.cpu_seconds / bare.a_cpu_second

    def memory(whose: str, less: int, more: int) -> list[tuple[str, str, str, str]]:
        return [
            (f"memory of {whose}, {few.listeners:,} listeners", _megabytes(less), "", ""),
            (
                f"memory of {whose}, {whole.listeners:,} listeners",
                f"{_megabytes(more)}, {more / less:.2f} times as much",
                f"<= {SAME_MEMORY} times",
                _verdict(more <= SAME_MEMORY * less),
            ),
        ]

    return [
        ("listeners a second, start-up excluded", f"{whole.a_second:,.0f}", "", ""),
        ("with start-up, reading, checking", f"{whole.listeners / whole.seconds:,.0f}", "", ""),
        ("bare forward passes: listeners a second", f"{limit:,.0f}", "", ""),
        (
            "share of that limit",
            f"{share:.2f}",
            f">= {SHARE_OF_LIMIT}",
            _verdict(share >= SHARE_OF_LIMIT),
        ),
        ("share of it by processor time", f"{by_cpu:.2f}", "", ""),
        ("candidates valued for a listener", f"{whole.valued_each:.1f}", "", ""),
        (
            f"places of equal score, {sample} listeners",
            f"{agreed.equal_score:.2%}",
            f">= {EQUAL_PLACES:.0%}",
            _verdict(agreed.equal_score >= EQUAL_PLACES),
        ),
        ("places with the same track", f"{agreed.same_track:.2%}", "", ""),
        *memory("a worker", few.worker_bytes, whole.worker_bytes),
        *memory("the driver", few.driver_bytes, whole.driver_bytes),
    ]


def cost_rows(
    whole: Measured, workers: int, price: float | None
) -> list[tuple[str, str, str, str]]:
    """Return what many listeners cost at a measured rate, see `COST_HEADINGS`.

    By the clock, start-up and the machine that drives the others excluded.

    Args:
        whole: what was measured.
        workers: that it was measured with.
        price: of a processor for an hour; None: not known.
    """
    rows = []
    for scale in SCALES:
        hours = scale * workers / whole.a_second / 3600
        rows.append(
            (
                f"{scale:,}",
                f"{hours:.2f}",
                "" if price is None else f"{hours * price:,.2f} at {price:g} a core-hour",
                f"{scale * whole.written_bytes / whole.listeners / 1e9:,.1f} GB",
            )
        )
    return rows


def main() -> int:
    """Parse the command line, measure, print and write; return the exit status."""
    try:
        arguments = tyro.cli(Arguments, description=__doc__)
        th.set_num_threads(1)
        if arguments.engine == "ray":
            require_ray()
        run = trained(arguments)
        with tempfile.TemporaryDirectory() as folder:
            found = measure(arguments, run, Path(folder))
    except (ValueError, RunError, CatalogueError, BatchError, ClusterError) as error:
        print(f"batch: {error}", file=sys.stderr)
        return 2
    workers = arguments.workers if arguments.engine == "ray" else 1
    rows = measured_rows(found, arguments.sample)
    costs = cost_rows(found.whole, workers, arguments.price_per_core_hour)
    console = Console(width=110)
    for headings, cells in ((HEADINGS, rows), (COST_HEADINGS, costs)):
        console.print(_table(headings, cells))
    where = f"{workers} workers of a local Ray" if arguments.engine == "ray" else "one process"
    lines = [
        "# Recommendations for many listeners",
        "",
        f"`{shlex.join(['python', '-m', 'bench.batch', *sys.argv[1:]])}`: "
        f"{found.whole.listeners:,} listeners, {run.catalogue.n_tracks:,} tracks, the first "
        f"{arguments.k}, {where}; batch and bare forward passes in {arguments.rounds} turns, the "
        "fastest of each.",
        "",
        *markdown_table(HEADINGS, rows),
        "",
        "At that rate, start-up and the machine that drives the others left out:",
        "",
        *markdown_table(COST_HEADINGS, costs),
        "",
        *markdown_table(("", ""), machine()),
        "",
    ]
    arguments.out.write_text("\n".join(lines), encoding="utf-8")
    print(f"Written: {arguments.out}")
    return 0


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(*headings)
    for row in rows:
        table.add_row(*row)
    return table


def _verdict(met: bool) -> str:
    return "met" if met else "NOT MET"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"


if __name__ == "__main__":
    sys.exit(main())
