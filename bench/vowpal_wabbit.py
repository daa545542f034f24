"""Vowpal Wabbit's contextual bandit on MusicRec-v0's tracks: the learner of `agents`, timed."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from agents.vec_env import GymVecEnv
from agents.vowpal_wabbit import ARGUMENTS, VowpalWabbit
from bench.regret import Reached, RegretClock
from bench.report import SkippedError
from music_env.tables import OverTables

EPSILON = 0.1
# So that the ends of the listener's range, 0.43 and 0.77, lie between bins: with 20 bins it stalls.
DANCEABILITY_BINS = 100
NAME = f"Vowpal Wabbit, {ARGUMENTS}, epsilon {EPSILON}, {DANCEABILITY_BINS} danceability bins"


def train_vowpal_wabbit(
    listener: dict[str, Any], *, seed: int, cap: float, passes: int = 10
) -> Reached:
    """Let Vowpal Wabbit judge the tracks one at a time in a random order, pass by pass.

    Timed as the dueling DQN is: the environment's steps and the loop are included.

    Args:
        listener: arguments of `gym.make`.
        seed: of the order and of the choices.
        cap: seconds of learning after which it stops.
        passes: over all tracks, at most.
    """
    whole = gym.make("MusicRec-v0", encoding="codes", **listener).unwrapped
    assert isinstance(whole, OverTables)
    n_tracks = len(whole.scores)
    env = gym.make_vec(
        "MusicRec-v0",
        num_envs=1,
        vectorization_mode="vector_entry_point",
        autoreset_mode="SameStep",
        encoding="codes",
        **{**listener, "session_length": n_tracks},  # a session is a pass
    )
    try:
        learner = VowpalWabbit(
            GymVecEnv(env), epsilon=EPSILON, danceability_bins=DANCEABILITY_BINS, seed=seed
        )
    except ImportError as error:
        raise SkippedError(str(error)) from None
    clock = RegretClock(env.unwrapped, cap=cap)  # type: ignore[arg-type]
    learner.learn(passes * n_tracks, callback=clock, log_interval=None)
    return clock.reached
