"""MusicRec-v0 drives agents that are not ours."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
from sb3_contrib import QRDQN
from stable_baselines3 import DQN

from music_env.metrics import decision_figures


def test_stable_baselines3_dqn() -> None:
    model = DQN("MlpPolicy", gym.make("MusicRec-v0"), learning_starts=50, buffer_size=500, seed=0)
    model.learn(200)
    assert model.num_timesteps == 200


def test_sb3_contrib_qrdqn() -> None:
    env = gym.make("MusicRec-v0", encoding="profile")
    model = QRDQN("MlpPolicy", env, learning_starts=50, buffer_size=500, seed=0)
    model.learn(200)
    assert model.num_timesteps == 200


def test_a_plain_loop_learns_from_rewards_alone() -> None:
    """Average the reward of each state's actions: a bandit in ten lines beats always-dislike."""
    env = gym.make("MusicRec-v0", encoding="profile")
    generator = np.random.default_rng(0)
    sums, counts = (
        np.zeros((env.observation_space.n, 2)),
        np.full((env.observation_space.n, 2), 1e-9),
    )
    for session in range(400):
        state, _ = env.reset(seed=0 if session == 0 else None)
        done = False
        while not done:
            explore = generator.random() < 0.1
            best = np.argmax(sums[state] / counts[state])
            action = int(generator.integers(2) if explore else best)
            next_state, reward, done, _, _ = env.step(action)
            sums[state, action] += float(reward)
            counts[state, action] += 1
            state = next_state
    catalogue_env = env.unwrapped
    scores = catalogue_env.scores
    likes = np.argmax(sums / counts, axis=1)[
        catalogue_env.encoded.rows.take(np.arange(len(scores)))
    ]
    figures = decision_figures(scores, likes)
    always_dislike = decision_figures(scores, np.zeros(len(scores)))
    assert figures["recall"] > 0.6  # always-dislike: 0
    assert figures["mean_reward"] > always_dislike["mean_reward"] + 0.1


def test_vector_environments_of_gymnasium() -> None:
    for mode in ("sync", "async"):
        envs = gym.make_vec("MusicRec-v0", num_envs=2, vectorization_mode=mode)
        observations, _ = envs.reset(seed=0)
        assert envs.observation_space.contains(observations)
        for _ in range(3):
            observations, rewards, *_ = envs.step(np.array([0, 1]))
        assert observations.shape[0] == 2 and rewards.dtype == np.float64
        envs.close()
