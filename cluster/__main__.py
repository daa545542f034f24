"""Work for a Ray cluster that has no command of its own.

python -m cluster recommend RUN LISTENERS OUT --k 20                       # in this process
python -m cluster recommend RUN LISTENERS OUT --k 20 --engine ray          # on all its processors
python -m cluster recommend RUN LISTENERS OUT --k 20 --engine ray --address HOST:6379
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

BAD, FAILED = 1, 2
"""Exit statuses, see `Recommend`."""


@dataclass(frozen=True)
class Recommend:
    """Recommend tracks to every listener of a folder of Parquet files, with a run of train.py --listener any.

    The files have the columns listener_id, artist, genre, danceability_low and danceability_high; a
    null leaves a term open. OUT/recommendations then holds Parquet files with a row for each
    listener and place: listener_id, rank (from 1), track_id, value (Q(like) - Q(dislike): above 0 a
    like). Rows that are no listeners go to OUT/bad_rows, with file, row and reason. After a kill the
    same command goes on. Run, listeners and OUT must be on every machine, under the same path.

    Exit status: 0 where all is done, 1 where some rows were no listeners, 2 where it could not be
    done, 130 after Ctrl-C.
    """  # noqa: E501

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Folder of the run."""
    listeners: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="LISTENERS")]
    """Folder of the listeners."""
    out: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT")]
    """Folder of the recommendations: a new one, or one in which the same was begun."""
    k: int = 20
    """Tracks for each listener."""
    candidates: int | Literal["all"] | None = None
    """How many tracks that meet the same terms are ranked (twice k at least); four times k if not given. With all, tracks of equal score are the very ones that ranking every track puts first, for many times the work."""  # noqa: E501
    engine: Literal["local", "ray"] = "local"
    """This process alone, or a Ray cluster."""
    address: str | None = None
    """Of a running cluster that this machine is part of, for --engine ray: auto, or HOST:6379; if not given, a Ray of this machine starts, and stops at the end."""  # noqa: E501
    catalogue: Path | None = None
    """Where the run's catalogue lies now, if not where it was."""
    block_rows: int = 5_000
    """Listeners in a block: what is lost when a process is killed."""
    progress_bar: bool = True
    """Show one on standard error."""


def recommend(arguments: Recommend) -> int:
    """Do it; return the exit status."""
    if arguments.address is not None and arguments.engine != "ray":
        return _refused(f"--address {arguments.address} is of a Ray cluster: add --engine ray")
    from agents.runs import RunError, load_run
    from cluster.batch import Batch, locally
    from cluster.batch import recommend as recommend_all
    from cluster.batch_on_ray import on_ray
    from cluster.connection import ClusterError
    from cluster.errors import BatchError
    from music_env.catalogue import CatalogueError

    try:
        batch = Batch(
            listeners=arguments.listeners,
            out=arguments.out,
            k=arguments.k,
            candidates=arguments.candidates,
            block_rows=arguments.block_rows,
        )
        outcome = recommend_all(
            load_run(arguments.run, catalogue=arguments.catalogue),
            batch,
            on_ray(arguments.address) if arguments.engine == "ray" else locally,
            bar=arguments.progress_bar,
        )
    except (BatchError, RunError, CatalogueError, ClusterError, OSError) as error:
        return _refused(str(error))
    except KeyboardInterrupt:
        print("cluster: stopped; the same command goes on", file=sys.stderr)
        return 130
    total, now = outcome.total, outcome.now
    print(
        f"{total.listeners:,} listeners have their recommendations in "
        f"{arguments.out / 'recommendations'}: {len(outcome.done)} of {outcome.n_blocks} blocks "
        f"({now.listeners:,} listeners) were done now, in {outcome.seconds:.1f} s"
    )
    if total.bad_rows:
        print(
            f"{total.bad_rows:,} rows are no listeners: {arguments.out / 'bad_rows'} says which, "
            "and why"
        )
    return BAD if total.bad_rows else 0


def _refused(why: str) -> int:
    print(f"cluster: {why}", file=sys.stderr)
    return FAILED


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and do what it says; return the exit status."""
    command = tyro.extras.subcommand_cli_from_dict(
        {"recommend": Recommend}, args=arguments, description=__doc__, prog="python -m cluster"
    )
    return recommend(command)


if __name__ == "__main__":
    sys.exit(main())
