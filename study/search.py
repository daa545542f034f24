"""What `tune.py` searches, a space for each learner, and what a point of it is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import gymnasium as gym
import numpy as np
import optuna
from stable_baselines3.common.callbacks import BaseCallback

import music_env  # noqa: F401  registers the ids, in a worker's process too
from agents.evaluation import learner_policy
from agents.training import Agent, DuelingDQNSettings, QLearningSettings, make_learner
from agents.vec_env import GymVecEnv
from bench.regret import relative_regret
from music_env.tables import Tables

Settings = QLearningSettings | DuelingDQNSettings

FLOOR = 1e-4
"""Relative regret below which a run is as good as right: under one wrong track of a catalogue."""
FIRST_CHECK = 64
"""Judged tracks at the first check; every further one has the square root of two times as many."""


def dueling_dqn_space(trial: optuna.Trial) -> DuelingDQNSettings:
    """Return the settings of a trial: what is searched for the dueling DQN.

    Updates are searched as numbers for every sixteen tracks, whatever the number of sessions: at
    first, and later on, up to what a training of some ten seconds has time for.
    """
    n_envs = trial.suggest_categorical("n_envs", [8, 16, 32])
    first = trial.suggest_int("first_updates_per_16_tracks", 4, 32, step=4)
    later = trial.suggest_int("updates_per_16_tracks", 2, 4, step=2)
    return replace(
        DuelingDQNSettings(),
        n_envs=n_envs,
        gradient_steps=first * n_envs // 16,
        final_gradient_steps=later * n_envs // 16,
        gradient_steps_fraction=trial.suggest_float("gradient_steps_fraction", 0.02, 0.3, log=True),
        learning_rate=trial.suggest_float("learning_rate", 1e-3, 5e-2, log=True),
        batch_size=trial.suggest_categorical("batch_size", [64, 128, 256]),
        learning_starts=trial.suggest_categorical("learning_starts", [32, 64, 128, 256]),
        exploration_fraction=trial.suggest_float("exploration_fraction", 0.01, 0.5, log=True),
        exploration_final_eps=trial.suggest_float("exploration_final_eps", 0.01, 0.1, log=True),
        net_arch=(trial.suggest_categorical("hidden", [32, 64, 128]),),
        embedding_dim=trial.suggest_categorical("embedding_dim", [8, 16, 32]),
    )


def q_learning_space(trial: optuna.Trial) -> QLearningSettings:
    """Return the settings of a trial: what is searched for the tabular Q-learner."""
    rate = trial.suggest_float("learning_rate", 0.1, 1.0, log=True)
    return replace(
        QLearningSettings(),
        learning_rate=rate,
        final_learning_rate=rate * trial.suggest_float("final_share", 0.01, 1.0, log=True),
        exploration_fraction=trial.suggest_float("exploration_fraction", 0.01, 1.0, log=True),
        exploration_final_eps=trial.suggest_float("exploration_final_eps", 0.01, 0.2, log=True),
    )


SPACES: dict[Agent, Callable[[optuna.Trial], Settings]] = {
    "dueling-dqn": dueling_dqn_space,
    "q-learning": q_learning_space,
}


def defaults_as_point(agent: Agent) -> dict[str, Any]:
    """Return `train.py`'s defaults as a point of the search space: a new study's first trial."""
    settings = DuelingDQNSettings() if agent == "dueling-dqn" else QLearningSettings()
    point = asdict(settings)
    if isinstance(settings, DuelingDQNSettings):
        point["first_updates_per_16_tracks"] = 16 * settings.gradient_steps // settings.n_envs
        point["updates_per_16_tracks"] = 16 * settings.final_gradient_steps // settings.n_envs
        (point["hidden"],) = settings.net_arch
    else:
        point["final_share"] = settings.final_learning_rate / settings.learning_rate
    trial = optuna.trial.FixedTrial(point)
    SPACES[agent](trial)  # type: ignore[arg-type]
    return trial.params  # those of the point that the space asks for


class RegretCurve(BaseCallback):
    """Notes the greedy policy's relative regret at `checks`, and stops after the last.

    Args:
        tables: the tracks and their scores.
        checks: rising numbers of judged tracks; each is met at the first step at or after it.

    Attributes:
        regrets: (n_checks,) once training is over.
    """

    def __init__(self, tables: Tables, checks: Sequence[int]) -> None:
        super().__init__()
        self.regrets: list[float] = []
        self._tables, self._checks = tables, checks

    def _on_step(self) -> bool:
        while self.num_timesteps >= self._checks[len(self.regrets)]:
            likes = learner_policy("learner", self.model, self._tables).likes  # type: ignore[arg-type]
            assert likes is not None
            self.regrets.append(relative_regret(self._tables.scores.total, likes))
            if len(self.regrets) == len(self._checks):
                return False
        return True


def checks_up_to(budget: int) -> list[int]:
    """Return the numbers of judged tracks at which a run is checked; the last is the budget."""
    n_factors = int(2 * np.log2(budget / FIRST_CHECK))
    return [round(FIRST_CHECK * 2 ** (i / 2)) for i in range(n_factors)] + [budget]


def log_regret(
    settings: Settings, listener: Mapping[str, Any], checks: Sequence[int], *, seed: int
) -> float:
    """Train for one listener; return the mean log10 of the relative regret at the checks.

    Args:
        settings: the learner's hyperparameters; the schedules fall over their ``timesteps``.
        listener: arguments of `gym.make`.
        checks: see `RegretCurve`.
        seed: the learner's and the environment's.
    """
    native = gym.make_vec(
        "MusicRec-v0",
        num_envs=settings.n_envs,
        vectorization_mode="vector_entry_point",
        autoreset_mode="SameStep",
        encoding=settings.encoding,
        **listener,
    )
    learner = make_learner(settings, GymVecEnv(native), seed=seed)
    curve = RegretCurve(native.unwrapped.tables, checks)  # type: ignore[attr-defined]
    timesteps = max(settings.timesteps, checks[-1] + settings.n_envs)
    learner.learn(timesteps, callback=curve, log_interval=None)
    native.close()
    return float(np.log10(np.maximum(curve.regrets, FLOOR)).mean())
