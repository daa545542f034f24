"""Tabular Q-learning: optimal where the optimum is known, and exact where a loop tells."""

import random
from copy import deepcopy
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from dynamic_programming import Model
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import (
    BaseCallback,
    CheckpointCallback,
    EvalCallback,
    StopTrainingOnRewardThreshold,
)
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.utils import ConstantSchedule, LinearSchedule
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from agents import tabular
from agents.model_file import ModelFileError, write_model
from agents.q_learning import QLearning
from agents.tabular import TabularPolicy, q_learning_update


class Corridor(gym.Env[np.int64, np.int64]):
    """Three cells in a row, numbered 5, 6, 7; action -1 steps left (or stays), 0 steps right.

    Each step costs 1; walking right out of cell 7 ends the episode with +10. Steps are counted,
    and truncated after `limit`.
    """

    observation_space = spaces.Discrete(3, start=5)
    action_space = spaces.Discrete(2, start=-1)

    def __init__(self, limit: int = 4) -> None:
        self.limit = limit

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.cell, self.steps = 5, 0
        return self.cell, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert action in self.action_space
        self.steps += 1
        terminated = bool(self.cell == 7 and action == 0)
        if not terminated:
            self.cell = max(5, self.cell - 1) if action == -1 else self.cell + 1
        reward = 10.0 if terminated else -1.0
        return self.cell, reward, terminated, not terminated and self.steps >= self.limit, {}


def corridors(n: int, **kwargs: Any) -> DummyVecEnv:
    return DummyVecEnv([lambda: Corridor(**kwargs)] * n)


class Record(KVWriter):
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def write(self, key_values: Any, key_excluded: Any, step: int = 0) -> None:
        self.rows.append(dict(key_values))

    def close(self) -> None:
        pass


# --- Learning the optimum -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env_id", "env_kwargs", "timesteps", "gamma", "hyperparameters"),
    [
        ("FrozenLake-v1", {"is_slippery": False}, 10_000, 0.95, {"initial_value": 1.0}),
        ("CliffWalking-v1", {}, 10_000, 0.95, {}),
        (
            "FrozenLake-v1",
            {"is_slippery": True},
            100_000,
            0.99,
            {"learning_rate": LinearSchedule(0.1, 0.0, 1.0)},
        ),
        pytest.param(
            "Taxi-v4",
            {},
            200_000,
            0.95,
            {"initial_value": 20.0, "exploration_rate_schedule": 0.1},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["FrozenLake", "CliffWalking", "FrozenLake-slippery", "Taxi"],
)
def test_learns_the_optimal_policy(
    env_id: str,
    env_kwargs: dict[str, Any],
    timesteps: int,
    gamma: float,
    hyperparameters: dict[str, Any],
) -> None:
    env = make_vec_env(env_id, 16, env_kwargs=env_kwargs)
    arguments = {"learning_rate": 1.0, "exploration_final_eps": 0.3, **hyperparameters}
    learner = QLearning(env=env, gamma=gamma, exploration_fraction=1.0, seed=0, **arguments)
    learner.learn(timesteps)
    # The exact values, discounted and without the time limit, for the environment's own
    # distribution of first states.
    model = Model.of(gym.make(env_id, **env_kwargs))
    actions, _ = learner.predict(np.arange(len(model.start)), deterministic=True)
    optimum = model.start @ model.optimal_values(gamma)
    assert model.start @ model.policy_values(actions, gamma) == pytest.approx(optimum, abs=1e-9)
    worst = model.start @ model.policy_values(learner.q_table.argmin(axis=1), gamma)
    assert worst < optimum - 0.1, "any policy is optimal, so this test shows nothing"


@pytest.mark.parametrize("n_envs", [1, 3])
def test_bootstraps_at_truncation_and_not_at_termination(n_envs: int) -> None:
    learner = QLearning(
        env=corridors(n_envs),
        learning_rate=1.0,
        gamma=0.5,
        exploration_rate_schedule=1.0,
        seed=0,
    )
    learner.learn(3_000)
    # By hand: V(7) = 10, V(6) = -1 + V(7) / 2 = 4, V(5) = -1 + V(6) / 2 = 1. A truncation that
    # counted as an end would give -1 there, now and then.
    expected = [[-1 + 1 / 2, 1], [-1 + 1 / 2, 4], [-1 + 4 / 2, 10]]
    np.testing.assert_allclose(learner.q_table, expected, rtol=1e-12)
    np.testing.assert_array_equal(learner.q_values(np.array([7, 5])), learner.q_table[[2, 0]])
    np.testing.assert_array_equal(learner.q_values(6), learner.q_table[[1]])
    assert learner.visits.sum() == learner.num_timesteps == 3_000


def test_a_truncated_step_bootstraps_from_its_own_next_state() -> None:
    learner = QLearning(env=corridors(1, limit=1), learning_rate=1.0, gamma=0.5, seed=0)
    learner.q_table[:] = [[0, 0], [8, 0], [0, 0]]
    learner.learn(100)
    # Each episode is one step: right to 6, worth 8; or left, which stays in 5.
    assert learner.q_table[0, 1] == -1 + 0.5 * 8
    assert np.all(learner.visits[0] > 0) and not learner.visits[1:].any()


def test_narrow_integers_do_not_overflow() -> None:
    class Bytes(gym.Env[np.uint8, np.int64]):
        observation_space = spaces.Discrete(200, dtype=np.uint8)
        action_space = spaces.Discrete(3)

        def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
            return np.uint8(199), {}

        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            return np.uint8(150), 1.0, False, True, {}

    learner = QLearning(env=Bytes(), learning_rate=1.0, gamma=0.5, seed=0).learn(500)
    assert set(np.flatnonzero(learner.visits.sum(axis=1))) == {199}
    assert set(learner.q_table[199]) == {1.0}
    assert learner.learn(0).num_timesteps == 0


# --- The update -----------------------------------------------------------------------------------


def update_by_loop(
    q: NDArray[np.float64], visits: NDArray[np.int64], rate: float, gamma: float, *batch: Any
) -> NDArray[np.float64]:
    errors = []
    for s, a, reward, s_next, ended in zip(*batch, strict=True):
        target = reward if ended else reward + gamma * np.max(q[s_next])
        errors.append(target - q[s, a])
        q[s, a] = q[s, a] + rate * errors[-1]
        visits[s, a] += 1
    return np.array(errors)


def check_update(
    rng: np.random.Generator, n_states: int, batch: tuple[Any, ...], rate: float, gamma: float
) -> None:
    q = rng.normal(size=(n_states, 3))
    visits = rng.integers(5, size=q.shape)
    expected_q, expected_visits = q.copy(), visits.copy()
    expected_errors = update_by_loop(expected_q, expected_visits, rate, gamma, *batch)
    errors = q_learning_update(q, visits, *batch, learning_rate=rate, gamma=gamma)
    np.testing.assert_allclose(q, expected_q, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(errors, expected_errors, rtol=1e-11, atol=1e-12)
    np.testing.assert_array_equal(visits, expected_visits)


@pytest.mark.parametrize("small_batch", [0, tabular.SMALL_BATCH])
@pytest.mark.parametrize("rate", [0.1, 1.0])
@pytest.mark.parametrize("gamma", [0.0, 0.9, 1.0])
@pytest.mark.parametrize(
    ("n", "n_states"), [(1, 1), (2, 1), (7, 2), (64, 16), (500, 1), (1_000, 16), (300, 100_000)]
)
def test_a_batch_equals_one_after_another(
    monkeypatch: pytest.MonkeyPatch,
    n: int,
    n_states: int,
    gamma: float,
    rate: float,
    small_batch: int,
) -> None:
    monkeypatch.setattr(tabular, "SMALL_BATCH", small_batch)
    rng = np.random.default_rng([n, n_states])
    for _ in range(5):
        batch = (
            rng.integers(n_states, size=n),
            # Skewed, so that some pairs are frequent and others are not.
            rng.choice(3, size=n, p=[0.8, 0.15, 0.05]),
            rng.normal(size=n).astype(np.float32),
            rng.integers(n_states, size=n),
            rng.random(n) < 0.2,
        )
        check_update(rng, n_states, batch, rate, gamma)


@pytest.mark.parametrize("updated_first", [False, True])
def test_the_order_within_a_batch_counts(
    monkeypatch: pytest.MonkeyPatch, updated_first: bool
) -> None:
    rng = np.random.default_rng(0)
    n = 400
    states = rng.integers(50, size=n)
    next_states = 50 + rng.integers(50, size=n)
    # One transition starts in a state that all others arrive at.
    reader, writer = (n - 1, 0) if updated_first else (0, n - 1)
    states[writer] = next_states[reader] = 77
    next_states[writer] = 99
    batch = (
        states,
        rng.integers(3, size=n),
        rng.normal(size=n),
        next_states,
        np.zeros(n, dtype=bool),
    )
    at_once = []
    original = tabular._update_at_once
    monkeypatch.setattr(
        tabular, "_update_at_once", lambda *args: at_once.append(1) or original(*args)
    )
    check_update(rng, 100, batch, 0.5, 0.9)
    assert bool(at_once) is not updated_first


def test_small_batches_are_exact_to_the_last_bit() -> None:
    rng = np.random.default_rng(1)
    q, visits = rng.normal(size=(4, 3)), np.zeros((4, 3), dtype=np.int64)
    expected = q.copy()
    batch = (
        rng.integers(4, size=50),
        rng.integers(3, size=50),
        rng.normal(size=50),
        rng.integers(4, size=50),
        rng.random(50) < 0.1,
    )
    update_by_loop(expected, visits.copy(), 0.3, 0.9, *batch)
    q_learning_update(q, visits, *batch, learning_rate=0.3, gamma=0.9)
    np.testing.assert_array_equal(q, expected)


# --- Actions --------------------------------------------------------------------------------------


def test_actions_have_the_shape_of_the_observations() -> None:
    learner = QLearning(env=Corridor(), seed=0)
    learner.q_table[:] = [[0, 1], [1, 0], [2, 2]]  # a tie in cell 7: the first action
    for observation in (5, np.int64(5), np.array(5)):
        for predict in (learner.predict, learner.policy.predict):
            action, state = predict(observation, deterministic=True)
            assert (action.shape, int(action), state) == ((), 0, None)
    for predict in (learner.predict, learner.policy.predict):
        actions, _ = predict(np.array([5, 6, 7]), deterministic=True)
        np.testing.assert_array_equal(actions, [0, -1, -1])
    actions, state = learner.predict(np.array([5, 6, 7, 7]), state=(np.zeros(1),))
    assert actions.shape == (4,) and state is not None
    assert all(action in Corridor.action_space for action in actions)


def test_one_exploration_coin_for_each_environment() -> None:
    learner = QLearning(
        env=gym.make("FrozenLake-v1"), exploration_rate_schedule=ConstantSchedule(0.4), seed=0
    )
    learner.q_table[:, 2] = 1.0
    actions, _ = learner.predict(np.zeros(40_000, dtype=np.int64))
    shares = np.bincount(actions, minlength=4) / len(actions)
    # Standard error below 0.0025: four of them.
    np.testing.assert_allclose(shares, [0.1, 0.1, 0.7, 0.1], atol=0.01)


def test_ties_are_broken_evenly_while_exploring() -> None:
    learner = QLearning(env=gym.make("FrozenLake-v1"), exploration_rate_schedule=0.0, seed=0)
    learner.q_table[:] = [0.0, 3.0, 3.0, 3.0]
    actions, _ = learner.predict(np.zeros(30_000, dtype=np.int64))
    np.testing.assert_allclose(np.bincount(actions) / 30_000, [0, 1 / 3, 1 / 3, 1 / 3], atol=0.011)
    assert set(learner.predict(np.arange(16), deterministic=True)[0]) == {1}


def test_exploration_rate_falls_as_in_dqn() -> None:
    class Rates(BaseCallback):
        def _on_step(self) -> bool:
            seen[self.num_timesteps] = self.model.exploration_rate
            return True

    rates = []
    for algorithm in (QLearning, DQN):
        seen: dict[int, float] = {}
        policy = "TabularPolicy" if algorithm is QLearning else "MlpPolicy"
        learner = algorithm(
            policy,
            gym.make("FrozenLake-v1"),
            exploration_initial_eps=0.8,
            exploration_final_eps=0.2,
            exploration_fraction=0.5,
        )
        learner.learn(40, callback=Rates())
        rates.append(seen)
    # DQN's callback comes before it takes notice of the step.
    for step in range(1, 40):
        assert rates[0][step] == pytest.approx(rates[1][step + 1]), step
    assert rates[0][10] == pytest.approx(0.5)


# --- Randomness -----------------------------------------------------------------------------------


def learnt(seed: int) -> QLearning:
    env = make_vec_env("FrozenLake-v1", 4)
    return QLearning(env=env, seed=seed, exploration_fraction=1.0).learn(2_000)


def test_a_seed_decides_everything() -> None:
    first, second, other = learnt(3), learnt(3), learnt(4)
    np.testing.assert_array_equal(first.q_table, second.q_table)
    np.testing.assert_array_equal(first.visits, second.visits)
    assert first.get_state()["generator"] == second.get_state()["generator"]
    assert (first.visits != other.visits).any()


def test_global_generators_are_left_alone() -> None:
    env = make_vec_env("FrozenLake-v1", 4)  # draws a seed
    before = (random.getstate(), np.random.get_state(), th.get_rng_state())  # noqa: NPY002
    QLearning(env=env, seed=3).learn(100)
    assert random.getstate() == before[0]
    np.testing.assert_equal(np.random.get_state(), before[1])  # noqa: NPY002
    assert th.equal(th.get_rng_state(), before[2])


# --- The interface of Stable-Baselines3 -----------------------------------------------------------


def test_construction() -> None:
    for learner in (
        QLearning("TabularPolicy", "FrozenLake-v1"),
        QLearning(TabularPolicy, Corridor()),
        QLearning(env=corridors(2)),
    ):
        assert isinstance(learner.get_env(), VecEnv)
        assert learner.learn(20) is learner


class Watch(BaseCallback):
    """Checks at each step what callbacks may rely on."""

    def __init__(self, stop_at: int) -> None:
        super().__init__()
        self.stop_at = stop_at
        self.rollouts = self.ends = 0

    def _on_rollout_start(self) -> None:
        self.rollouts += 1

    def _on_training_end(self) -> None:
        self.ends += 1

    def _on_step(self) -> bool:
        assert isinstance(self.model, QLearning)
        given = self.locals
        for name in ("new_obs", "rewards", "dones", "infos", "actions"):
            assert len(given[name]) == 3, name
        assert self.num_timesteps == self.model.visits.sum() == 3 * self.rollouts
        np.testing.assert_array_equal(given["new_obs"], self.model._last_obs)
        return self.num_timesteps < self.stop_at


def test_callbacks_see_the_step_and_can_stop_the_training() -> None:
    learner = QLearning(env=corridors(3))
    watch = Watch(stop_at=30)
    learner.learn(1_000, callback=watch)
    assert (learner.num_timesteps, watch.rollouts, watch.ends) == (30, 10, 1)
    assert learner.learn(10).num_timesteps == 12
    learner.learn(10, reset_num_timesteps=False)
    assert learner.num_timesteps == 24


def test_evaluation_stops_the_training_and_keeps_the_best(tmp_path: Path) -> None:
    stop = StopTrainingOnRewardThreshold(reward_threshold=8.0)
    evaluation = EvalCallback(
        make_vec_env(Corridor),
        callback_on_new_best=stop,
        eval_freq=50,
        best_model_save_path=str(tmp_path),
        verbose=0,
    )
    learner = QLearning(env=corridors(2), learning_rate=1.0, seed=0)
    learner.learn(100_000, callback=evaluation)
    assert learner.num_timesteps < 10_000
    assert evaluation.best_mean_reward == 8.0
    best = QLearning.load(tmp_path / "best_model.safetensors")
    np.testing.assert_array_equal(best.predict(np.array([5, 6, 7]), deterministic=True)[0], 0)


def test_checkpoints_load(tmp_path: Path) -> None:
    callback = CheckpointCallback(save_freq=10, save_path=str(tmp_path))
    learner = QLearning(env=Corridor(), seed=0).learn(20, callback=callback)
    assert QLearning.load(tmp_path / "rl_model_10_steps.zip").visits.sum() == 10
    last = QLearning.load(tmp_path / "rl_model_20_steps.zip")
    np.testing.assert_array_equal(last.q_table, learner.q_table)


def test_logged_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    errors: dict[int, float] = {}  # n_updates -> sum of all so far

    def counted_update(*args: Any, **kwargs: Any) -> NDArray[np.float64]:
        found = q_learning_update(*args, **kwargs)
        before = learner._n_updates
        errors[before + 2] = errors.get(before, 0.0) + float(np.abs(found).sum())
        return found

    monkeypatch.setattr("agents.q_learning.q_learning_update", counted_update)
    record = Record()
    learner = QLearning(
        env=make_vec_env(Corridor, 2), learning_rate=LinearSchedule(0.5, 0.0, 1.0), gamma=0.0
    )
    learner.set_logger(Logger(None, [record]))
    learner.learn(1_000, log_interval=5)
    assert [row["time/episodes"] // 5 for row in record.rows] == list(
        range(1, learner._episode_num // 5 + 1)
    )
    last = record.rows[-1]
    assert last.keys() == {
        "rollout/ep_rew_mean",
        "rollout/ep_len_mean",
        "rollout/exploration_rate",
        "time/episodes",
        "time/fps",
        "time/time_elapsed",
        "time/total_timesteps",
        "train/learning_rate",
        "train/n_updates",
        "train/td_error",
    }
    assert 1.0 <= last["rollout/ep_len_mean"] <= 4.0
    assert last["rollout/exploration_rate"] == pytest.approx(0.05)
    assert last["train/learning_rate"] == pytest.approx(
        0.5 * (1 - last["time/total_timesteps"] / 1_000)
    )
    assert last["train/n_updates"] == last["time/total_timesteps"]
    done = [row["train/n_updates"] for row in record.rows[-2:]]
    mean = (errors[done[1]] - errors[done[0]]) / (done[1] - done[0])
    assert last["train/td_error"] == pytest.approx(mean)

    silent = QLearning(env=Corridor())
    silent.set_logger(Logger(None, [record := Record()]))
    silent.learn(100, log_interval=None)
    assert record.rows == []


@pytest.mark.filterwarnings("ignore:rich is experimental")
def test_tensorboard_and_progress_bar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    learner = QLearning(env=Corridor(), tensorboard_log=str(tmp_path), verbose=1)
    learner.learn(200, log_interval=10, progress_bar=True)
    assert list((tmp_path / "QLearning_1").glob("events.out.tfevents.*"))
    assert "td_error" in capsys.readouterr().out


def test_parameters_and_environment() -> None:
    learner, other = learnt(0), learnt(1)
    other.set_parameters(learner.get_parameters())
    np.testing.assert_array_equal(other.q_table, learner.q_table)
    other.learn(100)
    assert (other.q_table != learner.q_table).any()
    other.set_env(make_vec_env("FrozenLake-v1", 4))
    other.learn(100)
    copied = deepcopy(other)
    copied.learn(100)
    np.testing.assert_array_equal(
        copied.q_table, copied.get_parameters()["policy"]["_extra_state"].numpy()
    )
    with pytest.raises(ValueError, match=r"q_table must be of shape \(16, 4\), not \(3, 2\)"):
        other.set_parameters(QLearning(env=Corridor()).get_parameters())
    with pytest.raises(ValueError, match="Observation spaces do not match"):
        other.set_env(make_vec_env("Taxi-v4", 4))


# --- Files ----------------------------------------------------------------------------------------


def test_a_loaded_learner_goes_on_bit_for_bit(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {
        "learning_rate": LinearSchedule(0.5, 0.1, 0.7),
        "gamma": 0.9,
        "exploration_rate_schedule": ConstantSchedule(0.3),
        "initial_value": 0.5,
        "stats_window_size": 7,
    }
    learner = QLearning(env=make_vec_env("FrozenLake-v1", 4), seed=2, **arguments)
    learner.learn(1_000)
    learner.save(tmp_path / "model")
    env = deepcopy(learner.get_env())
    assert env is not None
    loaded = QLearning.load(tmp_path / "model", env=env, force_reset=False)
    for name in ("gamma", "initial_value", "stats_window_size", "seed", "num_timesteps"):
        assert getattr(loaded, name) == getattr(learner, name), name
    assert str(loaded.lr_schedule) == str(learner.lr_schedule)
    assert loaded.exploration_rate == 0.3
    for either in (learner, loaded):
        either.learn(500, reset_num_timesteps=False)
    first, second = learner.get_state(), loaded.get_state()
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_equal(second[name], value, err_msg=name)
    assert first["num_timesteps"] == 1_500


def test_state_can_be_taken_and_given() -> None:
    learner = learnt(0)
    other = QLearning(env=make_vec_env("FrozenLake-v1", 4), seed=9)
    state = learner.get_state()
    other.set_state(deepcopy(state))
    np.testing.assert_equal(other.get_state(), state)
    learner.q_table[:] = 7.0
    assert (state["q_table"] < 7.0).all(), "the state is not a copy"
    with pytest.raises(ValueError, match=r"visits must be int64 of shape \(16, 4\), not float64"):
        other.set_state({**state, "visits": np.zeros((16, 4))})
    with pytest.raises(ValueError, match=r"q_table must be float64 of shape \(16, 4\), not object"):
        other.set_state({"visits": state["visits"]})
    for wrong in ({"generator": {"bit_generator": "MT19937"}}, {"num_timesteps": None}):
        with pytest.raises(ValueError, match="not the state of a QLearning"):
            other.set_state({**state, **wrong})
    with pytest.raises(ValueError, match="4 last observations for 1 environments"):
        QLearning(env="FrozenLake-v1").set_state(state)
    np.testing.assert_equal(other.get_state(), state)


def test_loading_for_prediction_and_with_other_environments(tmp_path: Path) -> None:
    learner = learnt(0)
    learner.save(tmp_path / "model")
    loaded = QLearning.load(tmp_path / "model")
    assert loaded.get_env() is None
    everywhere = np.arange(16)
    np.testing.assert_array_equal(
        loaded.predict(everywhere, deterministic=True)[0],
        learner.predict(everywhere, deterministic=True)[0],
    )
    with pytest.raises(ValueError, match="an environment is missing: call set_env"):
        loaded.learn(10)
    loaded.set_env(make_vec_env("FrozenLake-v1", 4))
    loaded.learn(10)
    more = QLearning.load(tmp_path / "model", env=make_vec_env("FrozenLake-v1", 7), gamma=0.5)
    assert (more.n_envs, more.gamma) == (7, 0.5)
    more.learn(10)
    assert isinstance(QLearning.load(tmp_path / "model", env="FrozenLake-v1").learn(5), QLearning)
    more.set_parameters(tmp_path / "model")
    np.testing.assert_array_equal(more.q_table, learner.q_table)
    with pytest.raises(ValueError, match=r"do not match: Discrete\(16\) != Discrete\(500\)"):
        QLearning.load(tmp_path / "model", env="Taxi-v4")
    with pytest.raises(ValueError, match="4 last observations for 1 environments"):
        QLearning.load(tmp_path / "model", env="FrozenLake-v1", force_reset=False)


def test_the_environment_is_seeded_on_loading_only_if_asked(tmp_path: Path) -> None:
    learner = QLearning(env=corridors(1), seed=5)
    learner.save(tmp_path / "model")
    for seed, expected in ((None, [None]), (6, [6])):
        env = corridors(1)
        loaded = QLearning.load(
            tmp_path / "model", env=env, **({} if seed is None else {"seed": seed})
        )
        assert env._seeds == expected
        assert loaded.seed == (seed or 5)


def third(progress_remaining: float) -> float:
    return progress_remaining / 3


def test_a_schedule_of_ones_own_is_asked_for(tmp_path: Path) -> None:
    QLearning(env=Corridor(), learning_rate=third).learn(10).save(tmp_path / "model")
    with pytest.raises(ModelFileError, match=r"uses '.*third', which is not loaded by its name"):
        QLearning.load(tmp_path / "model")
    loaded = QLearning.load(tmp_path / "model", learning_rate=third)
    assert loaded.lr_schedule(0.6) == pytest.approx(0.2)


def test_other_files_are_refused(tmp_path: Path) -> None:
    learner = learnt(0)
    DQN("MlpPolicy", "FrozenLake-v1", buffer_size=10).save(tmp_path / "sb3.zip")
    for load in (QLearning.load, learner.set_parameters):
        with pytest.raises(ModelFileError, match="a zip archive, such as Stable-Baselines3"):
            load(tmp_path / "sb3.zip")  # type: ignore[operator]
    write_model(tmp_path / "other", algorithm="DuelingDQN", config={}, tensors={})
    with pytest.raises(ModelFileError, match="holds a model of 'DuelingDQN'"):
        QLearning.load(tmp_path / "other")
    write_model(tmp_path / "empty", algorithm="QLearning", config={}, tensors={})
    with pytest.raises(ModelFileError, match="not a whole QLearning: KeyError"):
        QLearning.load(tmp_path / "empty")
    with pytest.raises(ValueError, match="takes neither `exclude` nor `include`"):
        learner.save(tmp_path / "model", exclude=["visits"])


# --- Errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"an environment is missing: QLearning\(env=\.\.\.\)"),
        ({"policy": "MlpPolicy"}, "unknown policy 'MlpPolicy': expected 'TabularPolicy'"),
        ({"policy": Corridor()}, r"unknown policy .*: .* QLearning\(env=\.\.\.\)"),
        ({"env": "CartPole-v1"}, r"needs Discrete observations, not Box\("),
        ({"env": "Pendulum-v1"}, r"needs Discrete observations, not Box\("),
        ({"env": "FrozenLake-v1", "gamma": 1.1}, "gamma must be from 0 to 1, not 1.1"),
        ({"env": "FrozenLake-v1", "learning_rate": "fast"}, "learning_rate must .*, not 'fast'"),
        ({"env": "FrozenLake-v1", "exploration_fraction": 0.0}, "exploration_fraction must .* 0.0"),
        ({"env": "FrozenLake-v1", "exploration_final_eps": -0.1}, "exploration_final_eps must"),
        ({"env": "FrozenLake-v1", "initial_value": np.inf}, "initial_value must .*, not inf"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QLearning(**arguments)


def test_wrong_actions() -> None:
    env = Corridor()
    env.action_space = spaces.Box(0, 1)  # type: ignore[assignment]
    with pytest.raises(ValueError, match=r"needs Discrete actions, not Box\("):
        QLearning(env=env)


@pytest.mark.parametrize(
    ("observation", "message"),
    [
        (4, r"observation 4 is not in Discrete\(3, start=5\)"),
        (np.array([5, 8]), r"observation 8 is not in Discrete\(3, start=5\)"),
        (np.array([5.0]), r"expected an observation of Discrete\(3, start=5\) or a vector"),
        (np.array([[5]]), "expected an observation of"),
        ({"a": 5}, "expected an observation of"),
    ],
)
def test_wrong_observations(observation: Any, message: str) -> None:
    learner = QLearning(env=Corridor())
    with pytest.raises(ValueError, match=message):
        learner.predict(observation)
    with pytest.raises(ValueError, match=message):
        learner.q_values(observation)
