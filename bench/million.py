"""A catalogue of a million tracks: made, read, stepped through, trained on, ranked."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.report import Asked, Row, SkippedError
from bench.timing import Options, in_turn, scalar_rate, seconds
from music_env import Catalogue, encode

MANY, FEW = 1_000_000, 6_000
# The Million Playlist Dataset has 2,262,292 tracks by 295,860 artists (Chen et al., RecSys 2018);
# the dataset that the embedded catalogue is a part of has 114 genres.
TRACKS_PER_ARTIST = 7.65
N_GENRES = 114
_SECOND_ARTIST = 0.3  # share of tracks
_OTHER_GENRE = 0.1  # share of an artist's tracks
_LETTERS = np.array(list("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"))


def make_catalogue(n_tracks: int, path: Path, *, seed: int = 0) -> Path:
    """Write a made-up catalogue to a Parquet file, in the project's own layout.

    A few artists and genres have most tracks (Zipf's law); an artist keeps to a genre, mostly. The
    numbers of a track are those of some track of the embedded catalogue, danceability moved a bit.
    """
    generator = np.random.default_rng(seed)
    n_artists = max(2, round(n_tracks / TRACKS_PER_ARTIST))
    artist = _zipf(generator, n_artists, n_tracks, exponent=0.8)
    second = _zipf(generator, n_artists, n_tracks, exponent=0.8)
    names = np.array([f"Artist {number}" for number in range(n_artists)], dtype=object)
    artists = names[artist]
    both = (generator.random(n_tracks) < _SECOND_ARTIST) & (second != artist)
    artists[both] += ";" + names[second[both]]
    genre = _zipf(generator, N_GENRES, n_artists, exponent=0.5)[artist]
    other = generator.random(n_tracks) < _OTHER_GENRE
    genre[other] = generator.integers(N_GENRES, size=int(other.sum()))
    real = Catalogue.default()
    like = generator.integers(real.n_tracks, size=n_tracks)
    frame = pd.DataFrame(
        {
            "track_id": _ids(generator, n_tracks),
            "title": [f"Title {number}" for number in range(n_tracks)],
            "artists": artists,
            "genres": np.array([f"genre {number}" for number in range(N_GENRES)], object)[genre],
            "album": [f"Album {number // 8}" for number in range(n_tracks)],
            **{name: values[like] for name, values in real.features.items()},
        }
    )
    moved = frame["danceability"] + generator.normal(0, 0.02, n_tracks)
    frame["danceability"] = moved.clip(0, 1).round(3)
    frame.to_parquet(path, index=False)
    return path


def million_reading(options: Options) -> Iterator[Row]:
    """Read the million tracks."""
    path = _file(_many(options))
    ours, theirs = in_turn(
        seconds(lambda: Catalogue.read(path)),
        seconds(lambda: pd.read_parquet(path)),
        options.pick(3, 1),
    )
    catalogue = _catalogue(_many(options))
    yield Row(
        f"reading {_many(options):,} tracks from Parquet",
        "pandas.read_parquet",
        "s",
        ours,
        theirs,
        note=f"{len(catalogue.artists.vocabulary):,} artists, "
        f"{len(catalogue.genres.vocabulary)} genres",
    )


def million_stepping(options: Options) -> Iterator[Row]:
    """The size of the catalogue must not show in a step."""
    actions = np.random.default_rng(0).integers(2, size=options.pick(50_000, 5_000)).tolist()
    many, few = (
        gym.make("MusicRec-v0", catalogue=_catalogue(n), encoding="codes")
        for n in (_many(options), FEW)
    )
    ours, theirs = in_turn(
        scalar_rate(many, actions), scalar_rate(few, actions), options.pick(9, 3)
    )
    yield Row(
        f"scalar environment, codes, {_many(options):,} tracks",
        f"{FEW:,} tracks",
        "steps/s",
        ours,
        theirs,
        asked=Asked("at least", 0.7),
    )


def million_training(options: Options) -> Iterator[Row]:
    """Train the dueling DQN on either catalogue with its default settings."""
    n_steps = options.pick(4_000, 1_000)
    ours, theirs = in_turn(
        lambda: n_steps / _trained(_many(options), n_steps)[1],
        lambda: n_steps / _trained(FEW, n_steps)[1],
        options.pick(3, 1),
    )
    yield Row(
        f"training DuelingDQN on {_many(options):,} tracks",
        f"{FEW:,} tracks",
        "judged tracks/s",
        ours,
        theirs,
        note=f"default settings, {n_steps:,} tracks",
    )


def million_ranking(options: Options) -> Iterator[Row]:
    """The top 10 of all tracks against the network's forward passes alone."""
    import torch as th

    from agents.recommender import CHUNK, recommend

    learner, _ = _trained(_many(options), options.pick(4_000, 1_000))
    encoded = encode(_catalogue(_many(options)), "codes")
    rows = th.as_tensor(encoded.rows.table.copy())  # type: ignore[attr-defined]

    def forward() -> None:
        learner.policy.set_training_mode(False)
        with th.inference_mode():
            for start in range(0, len(rows), CHUNK):
                learner.q_net(rows[start : start + CHUNK])

    ours, theirs = in_turn(
        seconds(lambda: recommend(learner, encoded, 10)), seconds(forward), options.pick(7, 2)
    )
    yield Row(
        f"top 10 of {_many(options):,} tracks by a trained dueling DQN",
        "torch's forward passes over the same rows",
        "s",
        ours,
        theirs,
        asked=Asked("at most", 1.5),
    )


# --- Parts ----------------------------------------------------------------------------------------


def _many(options: Options) -> int:
    return options.pick(MANY, MANY // 10)


def _zipf(
    generator: np.random.Generator, n_values: int, size: int, *, exponent: float
) -> NDArray[np.int64]:
    weights = np.arange(1, n_values + 1) ** -exponent
    return generator.choice(n_values, size=size, p=weights / weights.sum())


def _ids(generator: np.random.Generator, count: int) -> list[str]:
    """Return ids of 22 letters and digits, as Spotify's."""
    letters = _LETTERS[generator.integers(len(_LETTERS), size=(count, 22))]
    ids: list[str] = np.ascontiguousarray(letters).view("<U22")[:, 0].tolist()
    return ids


@functools.cache
def _file(n_tracks: int) -> Path:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise SkippedError("pyarrow is not installed (pip install 'musicrec[bench]')") from None
    folder = Path(tempfile.mkdtemp(prefix="musicrec-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return make_catalogue(n_tracks, folder / f"{n_tracks}.parquet")


@functools.cache
def _catalogue(n_tracks: int) -> Catalogue:
    return Catalogue.read(_file(n_tracks))


def _trained(n_tracks: int, n_steps: int) -> tuple[Any, float]:
    """Return a learner trained on a made-up catalogue, and the seconds that training took."""
    from agents.training import DuelingDQNSettings, make_learner
    from agents.vec_env import GymVecEnv

    settings = replace(DuelingDQNSettings(), timesteps=n_steps)
    env = gym.make_vec(
        "MusicRec-v0",
        num_envs=settings.n_envs,
        vectorization_mode="vector_entry_point",
        autoreset_mode="SameStep",
        catalogue=_catalogue(n_tracks),
        encoding=settings.encoding,
    )
    learner = make_learner(settings, GymVecEnv(env), seed=0)
    return learner, seconds(lambda: learner.learn(n_steps, log_interval=None))()
