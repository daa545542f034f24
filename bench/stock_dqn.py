"""SB3's own DQN on MusicRec-v0, and the search for the best of twelve settings.

The search is part of ``python -m bench --full``; its table is `stock_dqn.md`.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import gymnasium as gym
from stable_baselines3 import DQN
from stable_baselines3.common.vec_env import DummyVecEnv

from bench.regret import LISTENER, REGRETS, Reached, RegretClock
from bench.report import machine, markdown_table
from music_env.tables import OverTables

FULL_CAP, USUAL_CAP = 600.0, 120.0
"""Seconds of learning after which a run is stopped: in the search, and in the usual benchmark."""

_TABLE = Path(__file__).with_name("stock_dqn.md")


@dataclass(frozen=True)
class StockSettings:
    """What is varied. Discount 0, a buffer of 100,000; everything else is SB3's default."""

    learning_rate: float
    batch_size: int
    n_envs: int
    train_freq: int
    encoding: str = "one-hot"

    def __str__(self) -> str:
        return (
            f"{self.encoding}, learning rate {self.learning_rate:g}, batch {self.batch_size}, "
            f"environments {self.n_envs}, train_freq {self.train_freq}"
        )


# Environments and steps from one update to the next: 4, 4 and 16 judged tracks for an update.
SETTINGS = tuple(
    StockSettings(rate, batch, n_envs, train_freq)
    for rate, batch, (n_envs, train_freq) in product(
        (1e-3, 3e-3), (64, 256), ((1, 4), (4, 1), (16, 1))
    )
)

BEST = StockSettings(3e-3, 256, 16, 1)
"""The best in `stock_dqn.md`, run again by the usual benchmark."""


def make_stock(
    settings: StockSettings, listener: Mapping[str, Any], *, seed: int
) -> tuple[DQN, OverTables]:
    """Return SB3's untrained DQN, and what the oracle may read of its environment."""

    def make() -> gym.Env[Any, Any]:
        return gym.make("MusicRec-v0", encoding=settings.encoding, **listener)

    env = DummyVecEnv([make] * settings.n_envs)
    learner = DQN(
        "MlpPolicy",
        env,
        gamma=0.0,
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        train_freq=settings.train_freq,
        buffer_size=100_000,
        seed=seed,
        device="cpu",
    )
    tables = env.envs[0].unwrapped
    assert isinstance(tables, OverTables)
    return learner, tables


def train_stock(
    settings: StockSettings, listener: dict[str, Any], *, seed: int, cap: float
) -> Reached:
    """Train SB3's DQN until the regret is small, or for ``cap`` seconds."""
    learner, tables = make_stock(settings, listener, seed=seed)
    clock = RegretClock(tables, cap=cap)
    learner.learn(10_000_000, callback=clock, log_interval=None)  # type: ignore[arg-type]
    return clock.reached


def search(listener: dict[str, Any], *, seeds: int = 3, cap: float = FULL_CAP) -> StockSettings:
    """Try all settings, write the table, and return the setting with the shortest median time.

    Where a run does not get there within the cap, the setting's other seeds are left out. The best
    setting is tried with `codes` too: its numbers are no codes to a network that does not embed.
    """
    results = {settings: _tried(settings, listener, seeds, cap) for settings in SETTINGS}
    best = min(results, key=lambda settings: _seconds(results[settings]))
    codes = replace(best, encoding="codes")
    results[codes] = _tried(codes, listener, 1, cap)
    _write(results)
    return best


def _tried(
    settings: StockSettings, listener: dict[str, Any], seeds: int, cap: float
) -> list[Reached]:
    runs: list[Reached] = []
    for seed in range(seeds):
        runs.append(train_stock(settings, listener, seed=seed, cap=cap))
        print(f"stock DQN, {settings}, seed {seed}: {runs[-1]}", flush=True)
        if not runs[-1].done:
            break
    return runs


def _seconds(runs: list[Reached]) -> float:
    done = all(run.done for run in runs)
    return statistics.median(run.total for run in runs) if done else float("inf")


def _write(results: dict[StockSettings, list[Reached]]) -> None:
    rows = []
    for settings, runs in sorted(results.items(), key=lambda item: _seconds(item[1])):
        done = all(run.done for run in runs)
        rows.append(
            (
                f"{_seconds(runs):.1f} s" if done else f"> {max(run.total for run in runs):.0f} s",
                str(settings),
                "<br>".join(map(str, runs)),
            )
        )
    lines = [
        "# SB3's stock DQN: the search for its best setting",
        "",
        f"`python -m bench --full`. {LISTENER}. Time to relative regret {REGRETS[-1]:.1%} over the "
        'whole catalogue: `DQN("MlpPolicy")`, discount 0, a buffer of 100,000 transitions, '
        "`DummyVecEnv`, one torch thread; everything else is SB3's default. Median of the seconds "
        "of processor time over the seeds.",
        "",
        *markdown_table(("time", "setting", "seeds 0, 1, 2"), rows),
        "",
        *markdown_table(("", ""), machine()),
        "",
    ]
    _TABLE.write_text("\n".join(lines), encoding="utf-8")
