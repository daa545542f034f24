"""SB3's own DQN on MusicRec-v0: twelve settings, and the search for the best of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import gymnasium as gym
from stable_baselines3 import DQN
from stable_baselines3.common.vec_env import DummyVecEnv

from bench.learning import Reached, RegretClock

FULL_CAP, USUAL_CAP = 600.0, 120.0
"""Seconds after which a run is stopped: in the search for the best setting, and usually."""


@dataclass(frozen=True)
class StockSettings:
    """What is varied; gamma is 0, the buffer holds 100,000, everything else is SB3's default."""

    learning_rate: float
    batch_size: int
    n_envs: int
    train_freq: int
    encoding: str = "one-hot"

    def __str__(self) -> str:
        return (
            f"{self.encoding}, learning rate {self.learning_rate:g}, batch {self.batch_size}, "
            f"{self.n_envs} environments, train_freq {self.train_freq}"
        )


def train_stock(
    settings: StockSettings, listener: dict[str, Any], *, seed: int, cap: float
) -> Reached:
    """Train SB3's DQN until the regret is small, or for `cap` seconds."""

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
    clock = RegretClock(env.envs[0].unwrapped, cap=cap)  # type: ignore[arg-type]
    learner.learn(10_000_000, callback=clock, log_interval=None)  # type: ignore[arg-type]
    return clock.reached
