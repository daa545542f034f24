"""Speed: steps of the scalar and the vector environment, reading a catalogue, importing."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

import music_env
from bench.report import Asked, Row, SkippedError
from bench.timing import (
    Options,
    in_fresh_process,
    in_turn,
    scalar_rate,
    seconds,
    vector_rate,
)
from music_env import Catalogue

_SESSION = 101  # steps of a session of 100 tracks, with the one that begins the next


def scalar_against_cartpole(options: Options) -> Iterator[Row]:
    """One environment through `gym.make`, default encoding, full info."""
    actions = _coins(options.pick(50_000, 5_000)).tolist()
    ours, theirs = in_turn(
        scalar_rate(gym.make("MusicRec-v0"), actions),
        scalar_rate(gym.make("CartPole-v1"), actions),
        options.pick(9, 3),
    )
    yield Row(
        "scalar environment through gym.make, one-hot",
        "CartPole-v1",
        "steps/s",
        ours,
        theirs,
        asked=Asked("at least", 2.5),
        note="random actions, resets included",
    )


def scalar_against_sardine(options: Options) -> Iterator[Row]:
    """The same against the fastest of SARDINE's ids."""
    envs = _sardine()
    rates = {name: scalar_rate(env, _sampled(env, 300)) for name, env in envs.items()}
    first = {name: max(rate(), rate()) for name, rate in rates.items()}
    fastest = max(first, key=first.__getitem__)
    ours, theirs = in_turn(
        scalar_rate(gym.make("MusicRec-v0"), _coins(options.pick(50_000, 5_000)).tolist()),
        scalar_rate(envs[fastest], _sampled(envs[fastest], options.pick(5_000, 500))),
        options.pick(9, 3),
    )
    yield Row(
        "scalar environment through gym.make, one-hot",
        f"SARDINE, its fastest id: {fastest}",
        "steps/s",
        ours,
        theirs,
        asked=Asked("at least", 25),
        note="random actions, resets included",
    )


def vector_against_cartpole(options: Options) -> Iterator[Row]:
    """Both native vector environments."""
    for num_envs in (1024, 4096):
        ours, theirs = in_turn(
            vector_rate(_make_vec("MusicRec-v0", num_envs, encoding="codes"), _batches(num_envs)),
            vector_rate(_make_vec("CartPole-v1", num_envs), _batches(num_envs)),
            options.pick(9, 3),
        )
        yield Row(
            f"vector environment, {num_envs:,} at a time, codes, numbers in info",
            "CartPole-v1, native vector environment",
            "steps/s",
            ours,
            theirs,
            asked=Asked("at least", 1.5),
        )


def vector_against_gather(options: Options) -> Iterator[Row]:
    """A vector step against the least that it could do: gather the rows and the scores."""
    for encoding, asked, part in (
        ("one-hot", 0.7, ""),
        ("codes", 0.2, ""),
        ("codes", None, ", but for beginning sessions"),
    ):
        env = _make_vec("MusicRec-v0", 4096, encoding=encoding)
        batches = _batches(4096)
        if part:
            step = vector_rate(env, batches[: _SESSION - 1], from_reset=True)
        else:
            step = vector_rate(env, batches)
        ours, theirs = in_turn(step, _gather_rate(env.unwrapped), options.pick(9, 3))
        yield Row(
            f"vector environment, 4,096 at a time, {encoding}: share of the physical limit{part}",
            "gathering the same rows and scores into fresh arrays",
            "steps/s",
            ours,
            theirs,
            asked=None if asked is None else Asked("at least", asked),
        )


def reading_against_pandas(options: Options) -> Iterator[Row]:
    """Reading, checking and merging a CSV file against parsing it."""
    import pandas as pd

    path = options.data / "tidytuesday_spotify_songs.csv"
    if not path.is_file():
        raise SkippedError(f"there is no {path.name} in ../shared/data")
    ours, theirs = in_turn(
        seconds(lambda: Catalogue.read(path)),
        seconds(lambda: pd.read_csv(path)),
        options.pick(9, 3),
    )
    yield Row(
        "reading the 32,833 rows of TidyTuesday's spotify_songs",
        "pandas.read_csv",
        "s",
        ours,
        theirs,
        asked=Asked("at most", 2.5),
    )


def importing(options: Options) -> Iterator[Row]:
    """Importing `music_env` in a fresh process."""

    def measure(modules: str) -> float:
        return float(
            in_fresh_process(
                "seconds", imports=f"import time; t = time.perf_counter()\nimport {modules}\n"
                "seconds = time.perf_counter() - t"
            )
        )  # fmt: skip

    ours, theirs = in_turn(
        lambda: measure("music_env"), lambda: measure("gymnasium, pandas"), options.pick(9, 3)
    )
    loads_torch = in_fresh_process("'torch' in sys.modules", imports="import sys, music_env")
    yield Row(
        "import music_env",
        "import gymnasium, pandas",
        "s",
        ours,
        theirs,
        asked=Asked("at most", 1.2),
        failed="it loads torch" if loads_torch else "",
        note="each in a fresh process; torch is not loaded",
    )


# --- Parts ----------------------------------------------------------------------------------------


def _coins(count: int) -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(2, size=count)


def _batches(num_envs: int) -> list[NDArray[np.int64]]:
    """Return actions of two sessions: list of (num_envs,) arrays."""
    return list(np.random.default_rng(0).integers(2, size=(2 * _SESSION, num_envs)))


def _make_vec(name: str, num_envs: int, **arguments: Any) -> Any:
    return gym.make_vec(
        name, num_envs=num_envs, vectorization_mode="vector_entry_point", **arguments
    )


def _gather_rate(env: music_env.MusicRecVectorEnv) -> Any:
    """Return a measure: rows and scores gathered per second, for tracks in a session's order."""
    table, scores = env.encoded.rows.table, env.scores  # type: ignore[attr-defined]
    generator = np.random.default_rng(0)
    tracks = list(generator.integers(len(table), size=(2 * _SESSION, env.num_envs)))

    def measure() -> float:
        start = time.perf_counter()
        for batch in tracks:
            kept = table.take(batch, axis=0), scores.take(batch)
        rate = env.num_envs * len(tracks) / (time.perf_counter() - start)
        del kept
        return rate

    return measure


def _sardine() -> dict[str, Any]:
    try:
        import sardine  # type: ignore[import-untyped]  # noqa: F401 - registers the ids
    except ImportError:
        raise SkippedError("sardine-rec is not installed (pip install 'musicrec[bench]')") from None
    names = [name for name in gym.registry if name.startswith("sardine/")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its spaces are float32, its observations are not
        return {name: gym.make(name) for name in names}


def _sampled(env: Any, count: int) -> list[Any]:
    env.action_space.seed(0)
    return [env.action_space.sample() for _ in range(count)]
