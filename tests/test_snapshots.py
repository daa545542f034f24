"""Snapshots of learners in the ids that `train.py` does not train in: they go on exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SIX_LISTENER, six_frame
from killed_runs import final_state
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.logger import Logger

from agents.snapshots import Snapshots
from agents.training import DuelingDQNSettings, QLearningSettings, make_learner
from agents.vec_env import GymVecEnv, make_native
from music_env import Catalogue, Judgements

TIMESTEPS, N_ENVS = 400, 4
DQN = DuelingDQNSettings(
    batch_size=16, gradient_steps=2, final_gradient_steps=2, buffer_size=120, learning_starts=20,
    target_update_interval=40, net_arch=(8,), embedding_dim=4, gamma=0.9,
)  # fmt: skip


def arguments_of(env_id: str, folder: Path) -> dict[str, Any]:
    if env_id == "MusicRecLogged-v0":
        judged = folder / "judged.csv"
        six_frame().assign(liked=[1, 0, 0, 1, 0, 1]).to_csv(judged, index=False)
        return {"judgements": Judgements.read(judged, like="liked"), "session_length": 5}
    # A listener who tires and leaves: sessions are of many lengths.
    return {"catalogue": Catalogue.from_frame(six_frame()), **SIX_LISTENER, "session_length": 6}


class Killed(Exception):
    """What ends a training in its middle."""


class KilledAfter(BaseCallback):
    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def _on_step(self) -> bool:
        if self.num_timesteps >= self.steps:
            raise Killed
        return True


@pytest.mark.parametrize(
    ("env_id", "encoding", "settings"),
    [
        ("MusicRecLogged-v0", "codes", DQN),
        ("MusicRecLogged-v0", "profile", QLearningSettings(gamma=0.9)),
        ("MusicRecSession-v0", "summary", DQN),
        ("MusicRecSession-v0", "grid", QLearningSettings(gamma=0.9, target="sarsa")),
    ],
)
def test_a_learner_goes_on_exactly(
    env_id: str, encoding: str, settings: DuelingDQNSettings | QLearningSettings, tmp_path: Path
) -> None:
    arguments = arguments_of(env_id, tmp_path)
    settings = replace(settings, encoding=encoding)

    def fresh() -> Any:
        env = GymVecEnv(make_native(env_id, N_ENVS, encoding=encoding, **arguments))
        learner = make_learner(settings, env, seed=0)
        learner.set_logger(Logger(None, []))
        return learner

    # At once, as the global generators are part of it.
    expected = final_state(fresh().learn(TIMESTEPS, log_interval=None))
    callbacks = CallbackList([KilledAfter(250), Snapshots(tmp_path, TIMESTEPS)])
    with pytest.raises(Killed):
        fresh().learn(TIMESTEPS, callbacks, log_interval=None)
    resumed, snapshots = fresh(), Snapshots(tmp_path, TIMESTEPS)
    snapshots.restore(resumed)
    left = TIMESTEPS - resumed.num_timesteps
    assert 150 < left <= 200
    resumed.learn(left, snapshots, log_interval=None, reset_num_timesteps=False)
    np.testing.assert_equal(final_state(resumed), expected)
