"""How fast many listeners get their recommendations, how right they are, and what they cost.

python -m bench.batch --run runs/any-tidytuesday
python -m bench.batch --listeners 20000 --price-per-core-hour 0.05

Listeners are drawn from the run's catalogue (by default the TidyTuesday file's, for which a policy
is trained where the folder holds none), written as Parquet, and recommended to on a local Ray,
start-up and all. Then, on the same workers' processors at the same time:

- the bare forward passes over candidate rows that are already observations: what a batch cannot be
  faster than;
- for a sample of listeners, every track ranked.

Memory is the most that any worker's process has used, for a fifth of the listeners and for all.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch as th
import tyro
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from agents.runs import MODEL, Run, load_run
from agents.settings import AnyListenerSettings, RunSettings
from agents.training import train_run
from bench.listeners import TIDYTUESDAY
from bench.report import ROOT
from cluster.batch import Batch, Outcome, on_ray, recommend, usable_network
from cluster.connection import connected
from cluster.listener_rows import COLUMNS, LISTENER_ID
from cluster.ranking import Ranker, agreement
from music_env import draw_population
from music_env.listeners import Listeners
from music_env.population import PopulationOptions

FILE_ROWS = 25_000
"""Listeners in a file."""

BARE_LISTENERS = 1_000
"""Listeners whose candidates each worker values again and again for the limit."""

SCALES = (1_000_000, 100_000_000)
"""Listeners for whom costs are worked out."""


@dataclass(frozen=True)
class Arguments:
    """Measure a batch of recommendations on a local Ray."""

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
    workers: int = 2
    """Processors of the local Ray."""
    sample: int = 200
    """Listeners for whom every track is ranked."""
    seconds: float = 5.0
    """For which the bare forward passes are repeated."""
    price_per_core_hour: float | None = None
    """What you pay for a processor for an hour: costs are then printed in your currency too."""


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


def write_listeners(run: Run, listeners: Listeners, folder: Path) -> None:
    """Write listeners as Parquet files of `FILE_ROWS` rows."""
    names = [run.catalogue.artists.vocabulary, run.catalogue.genres.vocabulary]
    artist, genre = (
        pa.array([*vocabulary, None]).take(pa.array(codes))  # the last stands for -1
        for vocabulary, codes in zip(
            names,
            (
                np.where(listeners.artist < 0, len(names[0]), listeners.artist),
                np.where(listeners.genre < 0, len(names[1]), listeners.genre),
            ),
            strict=True,
        )
    )
    is_open = listeners.any_danceability
    ends = [pa.array(end, mask=is_open.copy()) for end in (listeners.low, listeners.high)]
    ids = pa.array([f"listener-{i:09d}" for i in range(len(listeners))])
    table = pa.table(dict(zip(COLUMNS, (ids, artist, genre, *ends), strict=True)))
    folder.mkdir(parents=True)
    for number, first in enumerate(range(0, len(listeners), FILE_ROWS)):
        pq.write_table(table.slice(first, FILE_ROWS), folder / f"listeners-{number:04d}.parquet")


@dataclass(frozen=True)
class Rate:
    """How fast something went.

    Attributes:
        a_second: of all workers together, by the clock.
        a_core_second: of one worker's processor time.
    """

    a_second: float
    a_core_second: float


def batch_rate(outcome: Outcome) -> Rate:
    """Return listeners, from the first block's beginning to the last one's end."""
    seconds = max(d.ended for d in outcome.done) - min(d.started for d in outcome.done)
    listeners = outcome.now.listeners
    return Rate(listeners / seconds, listeners / sum(d.cpu_seconds for d in outcome.done))


def bare_forward(ranker: Ranker, listeners: Listeners, seconds: float) -> tuple[int, float, float]:
    """Value the candidates of some listeners again and again; nothing but forward passes.

    Returns:
        How many listeners were served so, in how many seconds by the clock and of the processor.
    """
    batches = [
        observations
        for part in ranker.parts(listeners)
        for some in (listeners.take(part),)
        for observations in ranker.observations(
            some, ranker.index.find(some, ranker.breadth, whole=ranker.whole)
        )
    ]
    served = 0
    with th.inference_mode():
        for observations in batches:  # once before the clock runs
            ranker.network(observations)
        started, cpu = time.perf_counter(), time.process_time()
        while time.perf_counter() - started < seconds:
            for observations in batches:
                ranker.network(observations)
            served += len(listeners)
    return served, time.perf_counter() - started, time.process_time() - cpu


def bare_rate(ranker: Ranker, listeners: Listeners, workers: int, seconds: float) -> Rate:
    """Return the listeners whose candidates all workers can value at the same time."""
    import ray

    shared = ray.put((ranker, listeners))
    task: Any = ray.remote(num_cpus=1)(_bare)
    found = ray.get([task.remote(shared, worker, seconds) for worker in range(workers)])
    return Rate(
        sum(served / wall for served, wall, _ in found),
        sum(served for served, _, _ in found) / sum(cpu for _, _, cpu in found),
    )


def _bare(
    shared: tuple[Ranker, Listeners], worker: int, seconds: float
) -> tuple[int, float, float]:
    ranker, listeners = shared
    first = worker * BARE_LISTENERS % max(1, len(listeners) - BARE_LISTENERS)
    return bare_forward(ranker, listeners.take(slice(first, first + BARE_LISTENERS)), seconds)


def recommended(run: Run, out: Path, ids: Sequence[str], k: int) -> NDArray[np.int64]:
    """Return (n, k) tracks that a batch has recommended to these listeners, as it wrote them."""
    number = {name: i for i, name in enumerate(run.catalogue.track_id.tolist())}
    table = pq.read_table(out / "recommendations", filters=[(LISTENER_ID, "in", list(ids))])
    rows = table.to_pandas().set_index([LISTENER_ID, "rank"])["track_id"].map(number)
    tracks: NDArray[np.int64] = rows.unstack("rank").loc[list(ids)].to_numpy(dtype=np.int64)
    return tracks[:, :k]


def main() -> int:
    """Parse the command line, measure, print; return the exit status."""
    arguments = tyro.cli(Arguments, description=__doc__)
    th.set_num_threads(1)
    run = trained(arguments)
    console = Console(width=110)
    drawn = draw_population(run.catalogue, PopulationOptions(n_listeners=arguments.listeners))
    listeners = drawn.listeners
    with tempfile.TemporaryDirectory() as name, connected(None, arguments.workers):
        outcomes, jobs = [], []
        for count in (arguments.listeners // 5, arguments.listeners):
            folder = Path(name) / f"{count}"
            write_listeners(run, listeners.take(slice(0, count)), folder / "in")
            job = Batch(
                listeners=folder / "in",
                out=folder / "out",
                k=arguments.k,
                candidates=arguments.candidates,
            )
            outcomes.append(recommend(run, job, on_ray()))
            jobs.append(job)
        small, whole = outcomes
        network = usable_network(run)
        encoding = str(run.config["environment"]["encoding"])
        ranker = Ranker(network, run.catalogue, encoding, k=job.k, breadth=job.breadth)
        limit = bare_rate(ranker, listeners, arguments.workers, arguments.seconds)
        which = np.sort(
            np.random.default_rng(0).choice(len(listeners), arguments.sample, replace=False)
        )
        some = listeners.take(which)
        tracks = recommended(run, job.out, [f"listener-{i:09d}" for i in which], ranker.k)
        agreed = agreement(run.catalogue, some, tracks, ranker.rank_every(some).tracks)

    rate = batch_rate(whole)
    table = Table(
        title=f"{whole.total.listeners:,} listeners, {run.catalogue.n_tracks:,} tracks, first "
        f"{ranker.k}, {arguments.workers} workers"
    )
    table.add_column("measured")
    table.add_column("found", justify="right")
    table.add_column("asked", justify="right")
    for row in (
        ("listeners a second, start-up excluded", f"{rate.a_second:,.0f}", ""),
        ("  with start-up, reading, checking", f"{len(listeners) / whole.seconds:,.0f}", ""),
        ("bare forward passes: listeners a second", f"{limit.a_second:,.0f}", ""),
        ("share of that limit", f"{rate.a_second / limit.a_second:.2f}", ">= 0.50"),
        ("  by processor time", f"{rate.a_core_second / limit.a_core_second:.2f}", ""),
        ("candidates valued for a listener", f"{whole.now.valued / len(listeners):.1f}", ""),
        (f"places of equal score, {len(which)} listeners", f"{agreed.equal_score:.2%}", ">= 99 %"),
        ("  with the same track", f"{agreed.same_track:.2%}", ""),
        (f"memory of a worker, {small.total.listeners:,} listeners", _megabytes(small), ""),
        (f"memory of a worker, {whole.total.listeners:,} listeners", _megabytes(whole), "the same"),
    ):
        table.add_row(*row)
    console.print(table)
    for scale in SCALES:
        console.print(
            _cost(scale, rate.a_second / arguments.workers, arguments.price_per_core_hour)
        )
    return 0


def _megabytes(outcome: Outcome) -> str:
    return f"{max(done.peak_bytes for done in outcome.done) / 1e6:,.0f} MB"


def _cost(listeners: int, a_core_second: float, price: float | None) -> str:
    """Say what so many listeners cost at a measured rate, by the clock, start-up excluded."""
    hours = listeners / a_core_second / 3600
    text = f"{listeners:,} listeners: {hours:,.2f} core-hours"
    if price is None:
        return f"{text} (times what you pay for one: --price-per-core-hour)"
    return f"{text}, {hours * price:,.2f} at {price:g} each"


if __name__ == "__main__":
    sys.exit(main())
