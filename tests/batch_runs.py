"""What the tests of recommendations for many listeners share; workers import it too."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch as th
from torch import nn

import train
from agents.training import train_run
from cluster.listener_rows import COLUMNS
from music_env import Catalogue, draw_population
from music_env.population import PopulationOptions

Row = tuple[Any, ...]


def trained_run(out: Path, timesteps: int) -> Path:
    """Train for every listener of the embedded catalogue."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agents.judges.METRICS_LISTENERS", 2)
        patch.setattr("agents.judges.PROGRESS_LISTENERS", 2)
        arguments = train.Arguments(
            agent="dueling-dqn",
            listener="any",
            timesteps=timesteps,
            snapshots=0,
            out=out,
            progress_bar=False,
        )
        train_run(arguments.run_settings())
    return out


def listener_rows(catalogue: Catalogue, count: int) -> list[Row]:
    """Return rows of listeners drawn from the catalogue, as `COLUMNS`."""
    listeners = draw_population(catalogue, PopulationOptions(n_listeners=count)).listeners
    preferences = [listeners.preference(i, catalogue) for i in range(count)]
    return [
        (f"listener {i}", p.artist, p.genre, *(p.danceability or (None, None)))
        for i, p in enumerate(preferences)
    ]


def write_rows(path: Path, rows: list[Row], **options: Any) -> None:
    """Write rows to a Parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = map(list, zip(*rows, strict=True))
    pq.write_table(pa.table(dict(zip(COLUMNS, columns, strict=True))), path, **options)


def results(out: Path) -> pd.DataFrame:
    """Return all recommendations, in the order of listeners and places."""
    found = pd.read_parquet(out / "recommendations")
    return found.sort_values(["listener_id", "rank"], ignore_index=True)


def parts(out: Path) -> dict[str, int]:
    """Return the finished blocks' files and when each was written [ns since 1970]."""
    found = (out / "recommendations").glob("part-*.parquet")
    return {path.name: path.stat().st_mtime_ns for path in found}


class HangingOn(nn.Module):
    """A network that hangs on one Ray node, and is in no hurry on the others before it does so."""

    def __init__(self, network: nn.Module, node: str, notes: Path) -> None:
        super().__init__()
        self.network, self.node, self.notes = network, node, notes

    def forward(self, observations: th.Tensor) -> th.Tensor:
        import ray

        if ray.get_runtime_context().get_node_id() == self.node:
            (self.notes / "hanging").touch()
            time.sleep(600)
        give_up = time.monotonic() + 120
        while not (self.notes / "hanging").exists() and time.monotonic() < give_up:
            time.sleep(0.05)
        values: th.Tensor = self.network(observations)
        return values


class Deadly(nn.Module):
    """A network that ends its process at the first pair that it is to value; it notes that."""

    def __init__(self, notes: Path) -> None:
        super().__init__()
        self.notes = notes

    def forward(self, observations: th.Tensor) -> th.Tensor:
        with self.notes.open("a") as file:
            file.write("died\n")
        os._exit(1)
