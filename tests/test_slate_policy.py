"""One network scores every candidate: whatever their order and number, masked ones as none."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.utils import ConstantSchedule

from agents import DuelingDQN, GymVecEnv
from agents.planning import MyopicOracle, session_returns
from agents.slate_policy import DuelingSlateDQNPolicy, SlateDQNPolicy
from music_env import MusicRecSlateEnv, MusicRecSlateVectorEnv

POLICIES = (SlateDQNPolicy, DuelingSlateDQNPolicy)


def policy_for(env: Any, kind: type[SlateDQNPolicy] = SlateDQNPolicy) -> SlateDQNPolicy:
    th.manual_seed(0)
    policy = kind(
        env.observation_space,
        env.action_space,
        ConstantSchedule(1e-3),
        layout=env.encoded.layout,
    )
    for weights in policy.q_net.parameters():  # embeddings start at 0
        th.nn.init.normal_(weights, std=0.3)
    return policy


def values(policy: SlateDQNPolicy, observation: np.ndarray) -> np.ndarray:
    with th.no_grad():
        return policy.q_net(th.as_tensor(observation)[None])[0].numpy()


@pytest.mark.parametrize("kind", POLICIES)
@pytest.mark.parametrize("encoding", ["codes", "summary"])
def test_candidates_are_scored_one_by_one(encoding: str, kind: type[SlateDQNPolicy]) -> None:
    few, many = (MusicRecSlateEnv(encoding=encoding, slate_size=size) for size in (3, 8))
    observation, _ = many.reset(seed=0)
    observation, *_ = many.step(2)
    layout = many.encoded.layout
    policy = policy_for(many, kind)
    scores = values(policy, observation)
    assert len(scores) == 9 and len(set(scores.tolist())) == 9
    # Another order of the candidates.
    order = np.random.default_rng(0).permutation(8)
    shuffled = observation.copy()
    shuffled[layout.candidates] = observation[layout.candidates[order]]
    expected = [scores[0], *scores[1:][order]]
    np.testing.assert_allclose(values(policy, shuffled), expected, rtol=1e-5)
    # The same weights, where there are fewer candidates.
    smaller = policy.fitted(few.encoded)
    shown = few.encoded.layout
    part = np.empty(shown.size, dtype=np.float32)
    part[shown.state] = observation[layout.state]
    part[shown.candidates] = observation[layout.candidates[[6, 0, 4]]]
    np.testing.assert_allclose(values(smaller, part), scores[[0, 7, 1, 5]], rtol=1e-5)
    # One that was played before is worth what none is.
    part[shown.played_columns[1]] = 1
    np.testing.assert_allclose(values(smaller, part), scores[[0, 7, 0, 5]], rtol=1e-5)


@pytest.mark.parametrize("kind", POLICIES)
def test_the_value_of_what_was_taken_is_that_among_all(kind: type[SlateDQNPolicy]) -> None:
    env = MusicRecSlateEnv(encoding="summary", slate_size=4)
    policy = policy_for(env, kind)
    first, _ = env.reset(seed=0)
    second = env.step(3)[0]
    second[env.encoded.layout.played_columns[1]] = 1  # masked
    shown = th.as_tensor(np.stack([first, second]))
    every = policy.q_net(shown)
    assert every[1, 2] == every[1, 0] and every[0, 2] != every[0, 0]
    for action in range(5):
        actions = th.full((2, 1), action)
        taken = policy.q_net.values_taken(shown, actions)
        th.testing.assert_close(taken, every.gather(1, actions))


def test_without_levels_the_network_has_no_column_of_a_genre() -> None:
    env = MusicRecSlateEnv(encoding="summary", slate_size=4, preset="both")
    layout = env.encoded.layout
    assert layout.n_levels == 6
    policy = SlateDQNPolicy(
        env.observation_space,
        env.action_space,
        ConstantSchedule(1e-3),
        layout=layout,
        sees_levels=False,
    )
    seen = policy.q_net.features_extractor.rows.flatten().tolist()
    assert sorted(set(seen)) == list(range(6, layout.size))
    with pytest.raises(ValueError, match=r"a row has 13 columns, but row_bounds are of 3"):
        SlateDQNPolicy(
            env.observation_space,
            env.action_space,
            ConstantSchedule(1e-3),
            layout=layout,
            row_bounds=([0.0] * 3, [1.0] * 3),
        )


def test_a_layout_of_another_environment_is_refused() -> None:
    env = MusicRecSlateEnv(slate_size=3)
    other = MusicRecSlateEnv(slate_size=4).encoded.layout
    with pytest.raises(ValueError, match=r"take encoded\.layout of the same environment"):
        SlateDQNPolicy(env.observation_space, env.action_space, ConstantSchedule(1), layout=other)


def test_it_learns_to_choose_what_is_enjoyed_most_and_is_saved(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"preset": "static", "encoding": "summary", "slate_size": 5}
    env = MusicRecSlateVectorEnv(16, autoreset_mode="SameStep", session_length=10, **arguments)
    model = DuelingDQN(
        SlateDQNPolicy,
        GymVecEnv(env),
        policy_kwargs={"layout": asdict(env.encoded.layout), "net_arch": [32]},
        gamma=0.0,
        learning_rate=5e-3,
        learning_starts=200,
        train_freq=1,
        gradient_steps=2,
        batch_size=64,
        exploration_fraction=0.5,
        seed=0,
    )
    model.learn(4_000)
    judged = MusicRecSlateVectorEnv(50, session_length=10, **arguments)
    best = session_returns(MyopicOracle(judged), judged, seed=9)
    learnt = session_returns(model, judged, seed=9)
    assert learnt.mean() > 0.9 * best.mean()
    model.save(tmp_path / "model")
    again = DuelingDQN.load(tmp_path / "model", env=GymVecEnv(env))
    np.testing.assert_array_equal(session_returns(again, judged, seed=9), learnt)
