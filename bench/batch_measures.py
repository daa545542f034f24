"""What `bench.batch` measures: a batch in a process of its own, and the bare forward passes.

A batch has a process of its own, so that the memory of the one that drives it is that of
``python -m cluster recommend`` and not of the benchmark, which holds the listeners.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch as th
from numpy.typing import NDArray

from agents.runs import Run, load_run
from bench.timing import in_fresh_process
from cluster.batch import Batch, Doing, locally, recommend, usable_network
from cluster.batch_on_ray import on_ray
from cluster.block_work import peak_bytes
from cluster.blocks import RECOMMENDATIONS
from cluster.connection import connected
from cluster.listener_rows import COLUMNS, LISTENER_ID
from cluster.ranking import Ranker
from music_env.listeners import Listeners

Engine = Literal["ray", "local"]

FILE_ROWS = 25_000
"""Listeners in a file."""

BARE_LISTENERS = 1_000
"""Listeners whose candidates each worker values again and again for the limit."""


def write_listeners(run: Run, listeners: Listeners, folder: Path) -> None:
    """Write listeners as Parquet files of `FILE_ROWS` rows; listener i is `listener_id` of i."""

    def names(vocabulary: tuple[str, ...], codes: NDArray[np.int64]) -> pa.Array:
        # Behind the names stands a null, for what is left open.
        places = np.where(codes < 0, len(vocabulary), codes)
        return pa.array([*vocabulary, None], pa.string()).take(pa.array(places))

    catalogue, is_open = run.catalogue, listeners.any_danceability
    columns = (
        pa.array([listener_id(i) for i in range(len(listeners))]),
        names(catalogue.artists.vocabulary, listeners.artist),
        names(catalogue.genres.vocabulary, listeners.genre),
        *(pa.array(end, mask=is_open.copy()) for end in (listeners.low, listeners.high)),
    )
    table = pa.table(dict(zip(COLUMNS, columns, strict=True)))
    folder.mkdir(parents=True)
    for number, first in enumerate(range(0, len(listeners), FILE_ROWS)):
        pq.write_table(table.slice(first, FILE_ROWS), folder / f"listeners-{number:04d}.parquet")


def listener_id(number: int) -> str:
    """Return the id that a listener is written with."""
    return f"listener-{number:09d}"


# --- A batch --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """A batch that was done.

    Attributes:
        listeners: who were recommended to.
        valued: pairs of a listener and a track that the network valued for them.
        span: from the first block's beginning to the last one's end [s].
        cpu_seconds: processor time of the workers between.
        seconds: of all, with starting Ray, looking at the input, reading it all for ids that stand
            twice.
        worker_bytes: the most memory that a worker's process has used.
        driver_bytes: the most that the process has used that drove them (with engine local it is
            the worker too).
        written_bytes: of the recommendations' files.
    """

    listeners: int
    valued: int
    span: float
    cpu_seconds: float
    seconds: float
    worker_bytes: int
    driver_bytes: int
    written_bytes: int

    @property
    def a_second(self) -> float:
        """Listeners a second of all workers together, by the clock, start-up excluded."""
        return self.listeners / self.span

    @property
    def valued_each(self) -> float:
        """Pairs valued for a listener; those who prefer the same in a block share theirs."""
        return self.valued / self.listeners


def measured_batch(run: Path, batch: Batch, engine: Engine, workers: int) -> Measured:
    """Recommend in a process of its own, on a Ray that it starts, or by itself.

    Args:
        run: folder of the run.
        batch: what is to be done; its folder `out` must be new.
        engine: Ray, or that process alone.
        workers: processors of the local Ray.

    Raises:
        RuntimeError: if it fails there; the message holds that process's traceback.
    """
    expression = (
        f"recommend_here({str(run)!r}, {str(batch.listeners)!r}, {str(batch.out)!r}, "
        f"k={batch.k}, candidates={batch.candidates}, block_rows={batch.block_rows}, "
        f"engine={engine!r}, workers={workers})"
    )
    imports = "from bench.batch_measures import recommend_here"
    return Measured(**in_fresh_process(expression, imports=imports))


def recommend_here(
    run: str, listeners: str, out: str, *, engine: Engine, workers: int, **numbers: Any
) -> dict[str, Any]:
    """Recommend from this process; return a `Measured` as plain values."""
    th.set_num_threads(1)
    batch = Batch(listeners=Path(listeners), out=Path(out), **numbers)
    doing: Doing = on_ray(None, workers) if engine == "ray" else locally
    outcome = recommend(load_run(Path(run)), batch, doing, bar=False)
    done, now = outcome.done, outcome.now
    files = (batch.out / RECOMMENDATIONS).glob("*.parquet")
    return asdict(
        Measured(
            listeners=now.listeners,
            valued=now.valued,
            span=max(d.ended for d in done) - min(d.started for d in done),
            cpu_seconds=sum(d.cpu_seconds for d in done),
            seconds=outcome.seconds,
            worker_bytes=max(d.peak_bytes for d in done),
            driver_bytes=peak_bytes(),
            written_bytes=sum(file.stat().st_size for file in files),
        )
    )


def recommended(run: Run, out: Path, numbers: Sequence[int], k: int) -> NDArray[np.int64]:
    """Return (n, k) tracks that a batch has recommended to these listeners, as it wrote them.

    Args:
        run: whose catalogue the tracks are of.
        out: the batch's folder.
        numbers: (n,) of the listeners, see `listener_id`.
        k: tracks for each.
    """
    track = {name: i for i, name in enumerate(run.catalogue.track_id.tolist())}
    ids = [listener_id(number) for number in numbers]
    table = pq.read_table(out / RECOMMENDATIONS, filters=[(LISTENER_ID, "in", ids)])
    rows = table.to_pandas().set_index([LISTENER_ID, "rank"])["track_id"].map(track)
    tracks: NDArray[np.int64] = rows.unstack("rank").loc[ids].to_numpy(dtype=np.int64)
    return tracks[:, :k]


# --- The limit ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bare:
    """What nothing but forward passes comes to.

    Attributes:
        a_second: pairs of a listener and a track, all workers together, by the clock.
        a_cpu_second: pairs in a second of a worker's processor time.
    """

    a_second: float
    a_cpu_second: float


def ranker_of(run: Run, batch: Batch) -> Ranker:
    """Return what ranks as the workers of a batch do."""
    encoding = str(run.config["environment"]["encoding"])
    return Ranker(usable_network(run), run.catalogue, encoding, k=batch.k, breadth=batch.breadth)


class BarePasses:
    """Values the candidates of some listeners again and again; nothing but forward passes.

    The candidates are found, and the observations made, before the clock runs.

    Args:
        ranker: as a worker has it.
        listeners: (n,) whose candidates are valued.
    """

    def __init__(self, ranker: Ranker, listeners: Listeners) -> None:
        self._network = ranker.network
        self._batches = [
            observations
            for part in ranker.parts(listeners)
            for some in (listeners.take(part),)
            for observations in ranker.observations(some, ranker.index.find(some, ranker.breadth))
        ]
        self.n_pairs = sum(len(observations) for observations in self._batches)

    def once(self) -> int:
        """Value all pairs; return how many there are."""
        with th.inference_mode():
            for observations in self._batches:
                self._network(observations)
        return self.n_pairs

    def repeat(self, seconds: float) -> tuple[int, float, float]:
        """Value them again and again.

        Returns:
            Pairs valued, and in how many seconds by the clock and of this process's processor time.
        """
        valued, started, cpu = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() - started < seconds:
            valued += self.once()
        return valued, time.perf_counter() - started, time.process_time() - cpu


def bare_here(ranker: Ranker, listeners: Listeners, seconds: float) -> Bare:
    """Return what this process can value."""
    passes = BarePasses(ranker, listeners.take(slice(0, BARE_LISTENERS)))
    passes.once()
    return _bare([passes.repeat(seconds)])


def bare_on_ray(ranker: Ranker, listeners: Listeners, seconds: float, workers: int) -> Bare:
    """Return what all processors of a local Ray can value at the same time."""
    with connected(None, workers):
        import ray

        actor, shared = ray.remote(num_cpus=1)(BarePasses), ray.put(ranker)
        passes = []
        for worker in range(workers):
            first = worker * BARE_LISTENERS % max(1, len(listeners) - BARE_LISTENERS)
            some = listeners.take(slice(first, first + BARE_LISTENERS))
            passes.append(actor.remote(shared, some))
        # All are there, and have valued everything once, before any clock runs.
        ray.get([one.once.remote() for one in passes])
        return _bare(ray.get([one.repeat.remote(seconds) for one in passes]))


def _bare(found: Sequence[tuple[int, float, float]]) -> Bare:
    return Bare(
        sum(valued / wall for valued, wall, _ in found),
        sum(valued for valued, _, _ in found) / sum(cpu for _, _, cpu in found),
    )
