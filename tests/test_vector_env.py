"""The native vector environment equals `SyncVectorEnv` of scalar ones, bit for bit."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from agents.vec_env import GymVecEnv
from music_env import ENCODINGS, MusicRecVectorEnv

NUM_ENVS = 5


def _pair(mode: AutoresetMode, **arguments: Any) -> tuple[MusicRecVectorEnv, SyncVectorEnv]:
    native = gym.make_vec("MusicRec-v0", num_envs=NUM_ENVS, autoreset_mode=mode.value, **arguments)
    sync = gym.make_vec(
        "MusicRec-v0",
        num_envs=NUM_ENVS,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        **arguments,
    )
    assert isinstance(native, MusicRecVectorEnv) and isinstance(sync, SyncVectorEnv)
    assert native.metadata["autoreset_mode"] is mode
    assert native.observation_space == sync.observation_space
    assert native.action_space == sync.action_space
    return native, sync


def _assert_same_arrays(mine: Any, theirs: Any, where: str) -> None:
    assert type(mine) is type(theirs), where
    assert mine.dtype == theirs.dtype, where
    np.testing.assert_array_equal(mine, theirs, err_msg=where, strict=True)
    if mine.dtype.kind == "f":  # 0.0 and -0.0 are equal but not the same bits
        np.testing.assert_array_equal(np.signbit(mine), np.signbit(theirs), err_msg=where)


def _assert_same_info(mine: dict[str, Any], theirs: dict[str, Any], where: str) -> None:
    numbers = {name for name in theirs if name.removeprefix("_") != "track_id"}
    assert set(mine) == numbers, where
    for name in numbers:
        place = f"{where}, info {name}"
        if isinstance(theirs[name], dict):
            _assert_same_info(mine[name], theirs[name], place)
        elif theirs[name].dtype == object:
            for i in range(len(theirs[name])):
                assert type(mine[name][i]) is type(theirs[name][i]), place
                np.testing.assert_array_equal(mine[name][i], theirs[name][i], err_msg=place)
        else:
            _assert_same_arrays(mine[name], theirs[name], place)


def _assert_same_step(mine: tuple[Any, ...], theirs: tuple[Any, ...], where: str) -> None:
    for part, a, b in zip(
        ("observation", "reward", "terminated", "truncated"), mine, theirs, strict=False
    ):
        if isinstance(b, np.ndarray):
            _assert_same_arrays(a, b, f"{where}, {part}")
    _assert_same_info(mine[-1], theirs[-1], where)


@pytest.mark.parametrize("max_episode_steps", [None, 4, 7, 20])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_equal_to_sync(mode: AutoresetMode, encoding: str, max_episode_steps: int | None) -> None:
    native, sync = _pair(
        mode, encoding=encoding, session_length=7, max_episode_steps=max_episode_steps
    )
    _assert_same_step(native.reset(seed=11), sync.reset(seed=11), "reset")
    generator = np.random.default_rng(0)
    for step in range(60):
        actions = generator.integers(2, size=NUM_ENVS)
        mine, theirs = native.step(actions), sync.step(actions)
        _assert_same_step(mine, theirs, f"step {step}")
        if mode is AutoresetMode.DISABLED:
            mask = mine[2] | mine[3]
            if step in (3, 10, 11):  # and some early: environments drift apart
                mask = mask | (generator.random(NUM_ENVS) < 0.5)
            if mask.any():
                seed = 5 if step == 10 else None
                _assert_same_step(
                    native.reset(seed=seed, options={"reset_mask": mask}),
                    sync.reset(seed=seed, options={"reset_mask": mask}),
                    f"masked reset after step {step}",
                )
        elif step == 25:
            _assert_same_step(native.reset(), sync.reset(), "second reset")
        elif step == 40:
            seeds = [3, None, 5, 3, None]
            _assert_same_step(native.reset(seed=seeds), sync.reset(seed=seeds), "list of seeds")


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_equal_to_sync_when_sessions_end_at_different_steps(mode: AutoresetMode) -> None:
    native, sync = _pair(mode, encoding="codes", session_length=5, genre="rock", weights=(1, 0, 1))
    native.reset(seed=1), sync.reset(seed=1)
    for _ in range(3):
        native.step(np.ones(NUM_ENVS, dtype=int)), sync.step(np.ones(NUM_ENVS, dtype=int))
    mask = np.array([True, False, True, False, False])
    _assert_same_step(
        native.reset(options={"reset_mask": mask}), sync.reset(options={"reset_mask": mask}), "mask"
    )
    for step in range(40):
        actions = np.full(NUM_ENVS, step % 2)
        _assert_same_step(native.step(actions), sync.step(actions), f"step {step}")


def test_defaults_match_the_scalar_environment_over_a_long_run() -> None:
    native, sync = _pair(AutoresetMode.NEXT_STEP)
    _assert_same_step(native.reset(seed=0), sync.reset(seed=0), "reset")
    for step in range(250):
        actions = np.array([step % 2, 0, 1, (step // 3) % 2, 1])
        _assert_same_step(native.step(actions), sync.step(actions), f"step {step}")


def test_async_workers_give_the_same() -> None:
    sync = gym.make_vec(
        "music_env:MusicRec-v0", num_envs=2, vectorization_mode="sync", encoding="hash"
    )
    parallel = gym.make_vec(
        "music_env:MusicRec-v0", num_envs=2, vectorization_mode="async", encoding="hash"
    )
    try:
        np.testing.assert_array_equal(parallel.reset(seed=4)[0], sync.reset(seed=4)[0])
        for step in range(120):
            actions = np.array([step % 2, 1])
            mine, theirs = parallel.step(actions), sync.step(actions)
            np.testing.assert_array_equal(mine[0], theirs[0], err_msg=f"step {step}")
            np.testing.assert_array_equal(mine[1], theirs[1], err_msg=f"step {step}")
    finally:
        parallel.close()


def test_state_copies_and_pickles_go_on_the_same() -> None:
    env = MusicRecVectorEnv(3, encoding="codes", session_length=9, autoreset_mode="SameStep")
    env.reset(seed=2)
    for _ in range(4):
        env.step([0, 1, 0])
    env.reset(options={"reset_mask": np.array([False, True, False])})
    env.step([0, 1, 0])
    restored = MusicRecVectorEnv(3, encoding="codes", session_length=9, autoreset_mode="SameStep")
    restored.set_state(env.get_state())
    others = [restored, pickle.loads(pickle.dumps(env)), copy.deepcopy(env)]
    for step in range(30):
        expected = env.step([1, 0, step % 2])
        for other in others:
            _assert_same_step(other.step([1, 0, step % 2]), expected, f"step {step}")


def test_arrays_handed_out_are_fresh() -> None:
    env = MusicRecVectorEnv(2, session_length=4)
    first = env.reset(seed=0)
    kept = copy.deepcopy(first)
    for _ in range(6):
        step = env.step([0, 1])
        for array in (step[0], step[1], step[4]["track_index"], step[4]["_track_index"]):
            array[...] = 1  # must not reach the tables or the next step
    again = env.reset(seed=0)
    _assert_same_step(again, kept, "reset")


def test_oracle_return_is_that_of_the_present_sessions() -> None:
    native, sync = _pair(AutoresetMode.DISABLED, session_length=8)
    native.reset(seed=0), sync.reset(seed=0)
    np.testing.assert_array_equal(native.oracle_return, sync.get_attr("oracle_return"))


def test_errors() -> None:
    env = MusicRecVectorEnv(2, session_length=3, autoreset_mode=AutoresetMode.DISABLED)
    with pytest.raises(gym.error.ResetNeeded, match="to begin a session"):
        env.step([0, 0])
    env.reset(seed=0)
    for actions, message in [
        ([0, 2], "got 2"),
        ([0, -1], "got -1"),
        ([0], "2 whole numbers"),
        ([0.0, 1.0], "dtype float64"),
    ]:
        with pytest.raises(gym.error.InvalidAction, match=message):
            env.step(actions)
    for _ in range(3):
        env.step([0, 0])
    with pytest.raises(gym.error.ResetNeeded, match=r"environments \[0, 1\] have ended"):
        env.step([0, 0])
    with pytest.raises(TypeError, match="numpy array of bool"):
        env.reset(options={"reset_mask": [True, False]})
    with pytest.raises(ValueError, match="at least one True"):
        env.reset(options={"reset_mask": np.array([False, False])})
    with pytest.raises(ValueError, match="num_envs = 2 seeds, got 3"):
        env.reset(seed=[1, 2, 3])
    with pytest.raises(ValueError, match="has the reset options 'reset_mask', got 'listener'"):
        env.reset(options={"listener": 1})
    with pytest.raises(TypeError, match=r"a mapping such as \{'reset_mask': ...\}, got \[1\]"):
        env.reset(options=[1])
    with pytest.raises(ValueError, match="num_envs must be at least 1"):
        MusicRecVectorEnv(0)
    with pytest.raises(ValueError, match="is not a valid AutoresetMode"):
        MusicRecVectorEnv(2, autoreset_mode="sometimes")


@pytest.mark.parametrize("max_episode_steps", [None, 5])
@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
def test_as_a_vec_env_of_sb3_equals_dummy(
    mode: AutoresetMode, max_episode_steps: int | None
) -> None:
    arguments: dict[str, Any] = {
        "encoding": "codes",
        "session_length": 8,
        "max_episode_steps": max_episode_steps,
    }
    ours = GymVecEnv(MusicRecVectorEnv(3, autoreset_mode=mode, **arguments))
    dummy = DummyVecEnv([lambda: Monitor(gym.make("MusicRec-v0", **arguments))] * 3)
    ours.seed(4), dummy.seed(4)
    np.testing.assert_array_equal(ours.reset(), dummy.reset())
    ended = 0
    for step in range(40):
        actions = np.array([step % 2, 1, 0])
        mine, theirs = ours.step(actions), dummy.step(actions)
        for a, b in zip(mine[:3], theirs[:3], strict=True):
            np.testing.assert_array_equal(a, b, err_msg=f"step {step}")
        for i in np.flatnonzero(theirs[2]):
            ended += 1
            a, b = mine[3][i], theirs[3][i]
            np.testing.assert_array_equal(a["terminal_observation"], b["terminal_observation"])
            assert a["TimeLimit.truncated"] == b["TimeLimit.truncated"]
            assert (a["episode"]["r"], a["episode"]["l"]) == (b["episode"]["r"], b["episode"]["l"])
            for name in ("score", "reward_terms", "episode_return", "episode_regret"):
                assert a.get(name) == b.get(name), name
    assert ended >= 12
