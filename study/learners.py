"""The learners of the study on MusicRec-v0 by name: how each is made, and from what it learns."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch as th
from numpy.typing import NDArray
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit

from agents.extractors import DANCEABILITY_BINS
from agents.training import DuelingDQNSettings, QLearningSettings, make_learner
from agents.vec_env import GymVecEnv, make_native
from bench.stock_dqn import BEST, make_stock
from music_env.tables import OverTables
from study.checks import Values

VOWPAL_WABBITS: dict[str, int | tuple[int, ...] | None] = {
    "vowpal-wabbit-no-bins": None,
    "vowpal-wabbit-20-bins": 20,
    "vowpal-wabbit-100-bins": 100,
    "vowpal-wabbit-all-bins": DANCEABILITY_BINS,
}
"""Name -> equal-width danceability bins: none; ones that meet the ends 0.4 and 0.8; ones that also
meet 0.43 and 0.77; and those of the dueling DQN, from coarse to fine, which are its default."""


@dataclass(frozen=True)
class Contestant:
    """An untrained learner in its environment.

    Attributes:
        learner: with Stable-Baselines3's ``learn``.
        env: what it may not see: tracks and scores.
        values: (n, ...) observations -> (n, 2) action values.
    """

    learner: Any
    env: OverTables
    values: Values


SEED_STEP = 1_000
"""Seeds of learners with several sessions at a time lie so far apart: sessions of seed s are those
of the seeds s, s + 1, ..., and runs of neighbouring seeds would see nearly the same tracks."""

Make = Callable[[Mapping[str, Any], int], Contestant]
"""From the arguments of `gym.make` (without the encoding) and a seed."""


def dueling_dqn(listener: Mapping[str, Any], seed: int, **switches: Any) -> Contestant:
    """Return our DQN with the default settings of `train.py` but for the switches.

    With ``dueling=False`` its network has one stream, with the same features and hidden layers.
    """
    settings = replace(DuelingDQNSettings(), **switches)
    env = _native(settings.encoding, settings.n_envs, listener)
    learner = make_learner(settings, GymVecEnv(env), seed=seed * SEED_STEP)
    return Contestant(learner, env.unwrapped, learner.q_values)


def dueling_dqn_of_one_session(listener: Mapping[str, Any], seed: int) -> Contestant:
    """Return our DQN with its default settings, judging one session and not several at a time.

    It is updated as often as in its defaults: after as many tracks as it has sessions there.
    """
    settings = DuelingDQNSettings()
    env = _native(settings.encoding, 1, listener)
    learner = make_learner(settings, GymVecEnv(env), seed=seed * SEED_STEP)
    learner.train_freq = TrainFreq(settings.n_envs, TrainFrequencyUnit.STEP)  # type: ignore[union-attr]
    return Contestant(learner, env.unwrapped, learner.q_values)


def q_learning(listener: Mapping[str, Any], seed: int, *, encoding: str) -> Contestant:
    """Return our tabular Q-learner with the default settings of `train.py` but for the encoding."""
    settings = replace(QLearningSettings(), encoding=encoding)
    env = _native(settings.encoding, settings.n_envs, listener)
    learner = make_learner(settings, GymVecEnv(env), seed=seed * SEED_STEP)
    return Contestant(learner, env.unwrapped, learner.q_values)


def stock_dqn(listener: Mapping[str, Any], seed: int) -> Contestant:
    """Return SB3's ``DQN("MlpPolicy")`` in the best setting that we found for it."""
    learner, tables = make_stock(BEST, listener, seed=seed * SEED_STEP)

    def values(observations: NDArray[Any]) -> NDArray[Any]:
        with th.inference_mode():
            found: NDArray[Any] = learner.q_net(th.as_tensor(observations)).numpy()
        return found

    return Contestant(learner, tables, values)


def bandit(
    listener: Mapping[str, Any], seed: int, *, module: str, name: str, **arguments: Any
) -> Contestant:
    """Return one of the contextual-bandit baselines, judging one session at a time.

    Its library is imported here and not before: it is an optional extra.
    """
    made = getattr(importlib.import_module(module), name)
    env = _native("codes", 1, listener)
    learner = made(env=GymVecEnv(env), seed=seed, **arguments)
    return Contestant(learner, env.unwrapped, learner.q_values)


def _native(encoding: str, num_envs: int, listener: Mapping[str, Any]) -> Any:
    return make_native(
        "MusicRec-v0",
        num_envs,
        encoding=encoding,
        **listener,
    )


_vowpal_wabbit = partial(bandit, module="agents.vowpal_wabbit", name="VowpalWabbit")

LEARNERS: dict[str, Make] = {
    "dueling-dqn": dueling_dqn,
    "stock-dqn": stock_dqn,
    "q-learning-profile": partial(q_learning, encoding="profile"),
    "q-learning-hash": partial(q_learning, encoding="hash"),
    **{
        name: partial(_vowpal_wabbit, danceability_bins=bins)
        for name, bins in VOWPAL_WABBITS.items()
    },
    "linucb": partial(bandit, module="agents.linear_bandits", name="LinUCB"),
    "linear-thompson": partial(bandit, module="agents.linear_bandits", name="LinearThompson"),
    "logistic-regression": partial(
        bandit, module="agents.logistic_regression", name="OnlineLogisticRegression"
    ),
}
"""Name -> how it is made."""

BASELINES = ("always-dislike", "genre-only")
"""Do not learn; `agents.baselines` has them."""

OFF: dict[str, Any] = {"dueling": False, "double": False, "prioritized": False, "n_steps": 1}

SWITCHES: dict[str, dict[str, Any]] = {
    "none": OFF,
    "dueling": {**OFF, "dueling": True},
    "double": {**OFF, "double": True},
    "prioritized": {**OFF, "prioritized": True},
    "n-step": {**OFF, "n_steps": 3},
    "all": {"dueling": True, "double": True, "prioritized": True, "n_steps": 3},
}
"""Variant of the ablation -> settings of `DuelingDQNSettings`."""

SAME_AT_DISCOUNT_0 = {"double": "none", "n-step": "none"}
"""Variant -> the one that it is bit for bit identical to at discount 0, where nothing is
bootstrapped and only the first reward of n counts; `tests/test_study.py` shows it."""


def in_order(names: Iterable[str]) -> list[str]:
    """Return names of learners, baselines and variants, each once, in the order of the study.

    The order in which runs ended, that of a table's rows, is chance. Unknown names come last.
    """
    place = {name: i for i, name in enumerate((*LEARNERS, *BASELINES, *SWITCHES))}
    return sorted(set(names), key=lambda name: (place.get(name, len(place)), name))


def decisions(name: str, env: OverTables) -> NDArray[np.bool_]:
    """Return (n_tracks,) the likes of one of `BASELINES`."""
    from agents.baselines import baselines

    (found,) = (p for p in baselines(env.tables) if p.name == name.replace("-", " "))
    assert found.likes is not None
    return found.likes
