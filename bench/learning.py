"""Learning: time to a small regret against stock DQN and Vowpal Wabbit, tabular updates."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np

from agents.q_learning import QLearning
from agents.training import DuelingDQNSettings, make_learner
from agents.vec_env import GymVecEnv
from bench import stock_dqn
from bench.regret import LISTENER, REGRETS, Reached, RegretClock, notebooks_listener
from bench.report import Asked, Row
from bench.timing import Options, in_turn
from bench.vowpal_wabbit import NAME, train_vowpal_wabbit

_LAST = REGRETS[-1]


def dqn_against_stock(options: Options) -> Iterator[Row]:
    """Time to relative regret 0.1 % against SB3's DQN, the best of twelve settings."""
    listener = notebooks_listener(options)
    best, cap = stock_dqn.BEST, float(options.pick(int(stock_dqn.USUAL_CAP), 15))
    if options.full:
        best, cap = stock_dqn.search(listener), stock_dqn.FULL_CAP
    ours, theirs = [], []
    for seed in range(options.pick(3, 1)):
        ours.append(_ours(options, seed))
        theirs.append(stock_dqn.train_stock(best, listener, seed=seed, cap=cap))
    done = all(reached.done for reached in theirs)
    yield Row(
        f"DuelingDQN, default settings: time to relative regret {_LAST:.1%}",
        f"SB3's DQN, {best}",
        "s",
        [reached.spent(_LAST, "s") for reached in ours],
        [reached.spent(_LAST, "s") for reached in theirs],
        inverted=True,
        asked=Asked("at least", 3),
        unfinished=not done,
        failed="" if all(r.done for r in ours) else "ours did not get there in its own time",
        note=f"{LISTENER}; ours: {_all(ours)}; theirs: {_all(theirs)}",
    )


def dqn_against_vowpal_wabbit(options: Options) -> Iterator[Row]:
    """Time to relative regret 1 % and 0.1 % against Vowpal Wabbit's contextual bandit."""
    listener = notebooks_listener(options)
    seeds = range(options.pick(3, 1))
    theirs = [train_vowpal_wabbit(listener, seed=seed, cap=30) for seed in seeds]
    ours = [_ours(options, seed) for seed in seeds]
    for regret in REGRETS:
        done = all(regret in reached.seconds for reached in theirs)
        for what, unit in (("time", "s"), ("judged tracks", "tracks")):
            if unit == "tracks" and not done:
                continue
            yield Row(
                f"DuelingDQN, default settings: {what} to relative regret {regret:.1%}",
                NAME,
                unit,
                [reached.spent(regret, unit) for reached in ours],
                [reached.spent(regret, unit) for reached in theirs],
                inverted=True,
                unfinished=not done,
                failed="" if all(r.done for r in ours) else "ours did not get there",
                note=LISTENER,
            )


def tabular_updates(options: Options) -> Iterator[Row]:
    """Tabular Q-learning in the vector environment against a plain loop over one environment."""
    for n_envs, asked in ((1024, Asked("at least", 8)), (16, None)):
        env = _vector_env("profile", n_envs)
        learner = QLearning(env=GymVecEnv(env), learning_rate=0.1, gamma=0.0, seed=0)
        n_steps = options.pick(2_000, 200)  # of all environments
        ours, theirs = in_turn(
            _rate(functools.partial(learner.learn, log_interval=None), n_steps * n_envs),
            _rate(PlainLoop().learn, options.pick(50_000, 5_000)),
            options.pick(7, 2),
        )
        yield Row(
            f"tabular Q-learning, {n_envs:,} environments at a time",
            "a plain loop over one environment",
            "updates/s",
            ours,
            theirs,
            asked=asked,
            note="profile encoding, the environments' steps included on both sides",
        )


# --- Parts ----------------------------------------------------------------------------------------


def train_ours(listener: dict[str, Any], *, seed: int, cap: float) -> Reached:
    """Train `DuelingDQN` with its default settings until the regret is small."""
    settings = DuelingDQNSettings()
    env = _vector_env(settings.encoding, settings.n_envs, **listener)
    learner = make_learner(settings, GymVecEnv(env), seed=seed)
    clock = RegretClock(env.unwrapped, cap=cap)
    learner.learn(settings.timesteps, callback=clock, log_interval=None)
    return clock.reached


@functools.cache
def _ours(options: Options, seed: int) -> Reached:
    return train_ours(notebooks_listener(options), seed=seed, cap=stock_dqn.FULL_CAP)


def _vector_env(encoding: str, num_envs: int, **listener: Any) -> Any:
    return gym.make_vec(
        "MusicRec-v0",
        num_envs=num_envs,
        vectorization_mode="vector_entry_point",
        autoreset_mode="SameStep",
        encoding=encoding,
        **listener,
    )


def _all(reached: list[Reached]) -> str:
    return " / ".join(map(str, reached))


def _rate(learn: Callable[[int], object], n_updates: int) -> Callable[[], float]:
    """Return a measure: updates per second."""

    def measure() -> float:
        start = time.perf_counter()
        learn(n_updates)
        return n_updates / (time.perf_counter() - start)

    return measure


class PlainLoop:
    """Q-learning as tutorials write it, step by step over a table of numpy."""

    def __init__(self) -> None:
        self.env = gym.make("MusicRec-v0", encoding="profile")
        self.env.reset(seed=0)
        n_states = int(self.env.observation_space.n)  # type: ignore[attr-defined]
        self.q_values = np.zeros((n_states, 2))
        self.generator = np.random.default_rng(0)

    def learn(self, n_steps: int, *, learning_rate: float = 0.1, gamma: float = 0.0) -> None:
        """Take and learn from that many steps; the exploration rate falls as in `QLearning`."""
        env, q_values, generator = self.env, self.q_values, self.generator
        state, _ = env.reset()
        for step in range(n_steps):
            if generator.random() < max(0.05, 1 - 0.95 * step / (0.1 * n_steps)):
                action = int(generator.integers(2))
            else:
                action = int(np.argmax(q_values[state]))
            next_state, reward, terminated, truncated, _ = env.step(action)
            future = 0.0 if terminated else np.max(q_values[next_state])
            error = float(reward) + gamma * future - q_values[state, action]
            q_values[state, action] += learning_rate * error
            state = env.reset()[0] if terminated or truncated else next_state
