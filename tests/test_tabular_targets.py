"""SARSA, Expected SARSA, double Q-learning, and exploration by counts and initial values.

Each is compared with a naive loop over single transitions, with exact dynamic programming, and with
what its authors say of it.
"""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from dynamic_programming import Model
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import DummyVecEnv

from agents import tabular
from agents.bootstrap import Bootstrap, ExpectedValue, GreatestValue, OtherTable, TakenAction
from agents.model_file import ModelFileError, read_model, write_model
from agents.q_learning import QLearning
from agents.tabular import q_learning_update
from agents.training import QLearningSettings, make_learner

TARGETS = ("q-learning", "sarsa", "expected-sarsa", "double")
EPSILON = 0.3


def next_value(
    target: str, q: NDArray[np.float64], s_next: int, a_next: int, coin: int, epsilon: float
) -> float:
    """The bootstrapped value as textbooks write it; `q` is (n_tables, n_states, n_actions)."""
    row = q[0, s_next]
    match target:
        case "q-learning":
            return float(np.max(row))
        case "sarsa":
            return float(row[a_next])
        case "expected-sarsa":
            best = np.flatnonzero(row == row.max())
            probabilities = np.full(len(row), epsilon / len(row))
            probabilities[best] += (1 - epsilon) / len(best)
            return float(probabilities @ row)
        case "double":
            return float(q[1 - coin, s_next, np.argmax(q[coin, s_next])])
    raise AssertionError(target)


# --- The update -----------------------------------------------------------------------------------


def check_update(
    rng: np.random.Generator,
    target: str,
    n_states: int,
    batch: tuple[NDArray[Any], ...],
    *,
    rate: float,
    gamma: float,
) -> None:
    n = len(batch[0])
    next_actions, coins = rng.integers(3, size=n), rng.integers(2, size=n)
    tables = 2 if target == "double" else 1
    # Rounded, so that values tie within a row.
    q = rng.normal(size=(tables, n_states, 3)).round(1)
    visits = rng.integers(5, size=q.shape[1:])
    expected_q, expected_visits, expected_errors = q.copy(), visits.copy(), []
    for i, (s, a, reward, s_next, ended) in enumerate(zip(*batch, strict=True)):
        learns = coins[i] if target == "double" else 0
        value = next_value(target, expected_q, s_next, next_actions[i], coins[i], EPSILON)
        error = float(reward) + (0.0 if ended else gamma * value) - expected_q[learns, s, a]
        expected_q[learns, s, a] += rate * error
        expected_visits[s, a] += 1
        expected_errors.append(error)
    bootstrap: Bootstrap = {
        "q-learning": GreatestValue(),
        "sarsa": TakenAction(next_actions),
        "expected-sarsa": ExpectedValue(EPSILON),
        "double": OtherTable(coins),
    }[target]
    errors = q_learning_update(
        q if target == "double" else q[0],
        visits,
        *batch,
        learning_rate=rate,
        gamma=gamma,
        bootstrap=bootstrap,
    )
    np.testing.assert_allclose(q, expected_q, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(errors, expected_errors, rtol=1e-11, atol=1e-12)
    np.testing.assert_array_equal(visits, expected_visits)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("small_batch", [0, tabular.SMALL_BATCH])
@pytest.mark.parametrize(("rate", "gamma"), [(0.1, 0.9), (1.0, 1.0), (0.5, 0.0)])
@pytest.mark.parametrize(
    ("n", "n_states"), [(1, 1), (7, 2), (64, 16), (500, 1), (1_000, 16), (300, 100_000)]
)
def test_a_batch_equals_one_after_another(
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    n: int,
    n_states: int,
    rate: float,
    gamma: float,
    small_batch: int,
) -> None:
    monkeypatch.setattr(tabular, "SMALL_BATCH", small_batch)
    rng = np.random.default_rng([n, n_states])
    for _ in range(3):
        batch = (
            rng.integers(n_states, size=n),
            rng.choice(3, size=n, p=[0.8, 0.15, 0.05]),  # skewed: some pairs are frequent
            rng.normal(size=n).astype(np.float32),
            rng.integers(n_states, size=n),
            rng.random(n) < 0.2,
        )
        check_update(rng, target, n_states, batch, rate=rate, gamma=gamma)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("updated_first", [False, True])
def test_the_order_within_a_batch_counts(
    monkeypatch: pytest.MonkeyPatch, target: str, updated_first: bool
) -> None:
    rng = np.random.default_rng(0)
    n = 400
    states, next_states = rng.integers(50, size=n), 50 + rng.integers(50, size=n)
    # One transition starts in a state that another one arrives at.
    reader, writer = (n - 1, 0) if updated_first else (0, n - 1)
    states[writer] = next_states[reader] = 77
    next_states[writer] = 99
    actions, rewards = rng.integers(3, size=n), rng.normal(size=n)
    at_once = []
    original = tabular._update_at_once
    monkeypatch.setattr(
        tabular, "_update_at_once", lambda *args: at_once.append(1) or original(*args)
    )
    batch = (states, actions, rewards, next_states, np.zeros(n, dtype=bool))
    for _ in range(5):  # so that SARSA's next action is the updated one at times
        check_update(rng, target, 100, batch, rate=0.5, gamma=0.9)
    assert bool(at_once) is not updated_first


# --- The whole learner against a loop -------------------------------------------------------------


class Recorded(gym.Wrapper[Any, Any, Any, Any]):
    """Keeps the actions taken."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.taken: list[int] = []

    def step(self, action: Any) -> Any:
        self.taken.append(int(action))
        return super().step(action)


def short_lakes(n: int) -> tuple[DummyVecEnv, list[Recorded]]:
    """Slippery lakes whose episodes end in holes, at the goal, or by a limit of eight steps."""
    envs = [
        Recorded(TimeLimit(gym.make("FrozenLake-v1", disable_env_checker=True), 8))
        for _ in range(n)
    ]
    made: list[Callable[[], gym.Env[Any, Any]]] = [lambda env=env: env for env in envs]
    return DummyVecEnv(made), envs


def learn_by_loop(
    target: str, n_envs: int, steps: int, *, rate: float, gamma: float, bonus: float, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], list[list[int]], int]:
    """Learn as `QLearning` is documented to, with plain loops and the same random numbers."""
    env, recorded = short_lakes(n_envs)
    generator = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
    env.seed(seed)
    q = np.full((2 if target == "double" else 1, 16, 4), 0.5)
    visits = np.zeros((16, 4), dtype=np.int64)

    def choose(states: Any) -> list[int]:
        draws = generator.random((len(states), 5))
        chosen = []
        for s, (*ranks, coin) in zip(states, draws, strict=True):
            values = [float(np.mean(q[:, s, a])) for a in range(4)]
            if bonus:
                for a in range(4):
                    count = visits[s, a]
                    values[a] += bonus / np.sqrt(count) if count else np.inf
            best = [a for a in range(4) if coin < EPSILON or values[a] == max(values)]
            chosen.append(max(best, key=lambda a: ranks[a]))
        return chosen

    states, truncations = env.reset(), 0
    actions = choose(states)
    for _ in range(steps):
        new, rewards, dones, infos = env.step(np.array(actions))
        s_next, ended = list(new), list(dones)
        following = actions_next = choose(new) if target == "sarsa" else [0] * n_envs
        cut = [i for i in range(n_envs) if dones[i] and infos[i]["TimeLimit.truncated"]]
        truncations += len(cut)
        for i in cut:
            ended[i], s_next[i] = False, infos[i]["terminal_observation"]
        if cut and target == "sarsa":
            following = list(actions_next)
            for i, action in zip(cut, choose([s_next[i] for i in cut]), strict=True):
                following[i] = action
        coins = generator.integers(2, size=n_envs) if target == "double" else [0] * n_envs
        for i in range(n_envs):
            s, a, k = states[i], actions[i], coins[i]
            value = next_value(target, q, s_next[i], following[i], k, EPSILON)
            goal = float(rewards[i]) + (0.0 if ended[i] else gamma * value)
            q[k, s, a] += rate * (goal - q[k, s, a])
            visits[s, a] += 1
        states = new
        actions = actions_next if target == "sarsa" else choose(new)
    return q, visits, [one.taken for one in recorded], truncations


@pytest.mark.parametrize("n_envs", [1, 5, 120])
@pytest.mark.parametrize("bonus", [0.0, 0.2])
@pytest.mark.parametrize("target", TARGETS)
def test_the_learner_equals_a_plain_loop(target: str, bonus: float, n_envs: int) -> None:
    steps = 40 if n_envs == 120 else 200
    arguments: dict[str, Any] = {"gamma": 0.9, "seed": 7}
    expected_q, expected_visits, expected_taken, truncations = learn_by_loop(
        target, n_envs, steps, rate=0.25, bonus=bonus, **arguments
    )
    env, recorded = short_lakes(n_envs)
    learner = QLearning(
        env=env,
        target=target,  # type: ignore[arg-type]
        learning_rate=0.25,
        count_bonus=bonus,
        initial_value=0.5,
        exploration_rate_schedule=EPSILON,
        **arguments,
    )
    # In two parts: the second one goes on where the first one stood.
    learner.learn(n_envs * 10)
    learner.learn(n_envs * (steps - 10), reset_num_timesteps=False)
    for i, one in enumerate(recorded):
        assert one.taken == expected_taken[i], f"environment {i}"
    np.testing.assert_allclose(learner.policy.q_tables, expected_q, rtol=1e-12)
    np.testing.assert_array_equal(learner.visits, expected_visits)
    np.testing.assert_allclose(learner.q_table, expected_q.mean(axis=0), rtol=1e-12)
    assert truncations > 0, "no time limit was met"


@pytest.mark.parametrize("target", TARGETS[1:])
def test_without_discount_all_are_q_learning(target: Any) -> None:
    learners = []
    for chosen in ("q-learning", target):
        env = make_vec_env("FrozenLake-v1", 4)
        learners.append(QLearning(env=env, target=chosen, gamma=0.0, seed=2).learn(5_000))
    first, second = learners
    assert (first.q_table > 0).any()
    np.testing.assert_array_equal(second.q_table, first.q_table)
    np.testing.assert_array_equal(second.visits, first.visits)
    assert second.get_state()["generator"] == first.get_state()["generator"]
    if target == "double":
        np.testing.assert_array_equal(second.policy.q_tables[1], first.q_table)


def test_sarsa_begins_anew_with_a_new_episode() -> None:
    class Goals(gym.Env[Any, Any]):
        """Two states; state 1 alone takes action 1."""

        observation_space, action_space = spaces.Discrete(2), spaces.Discrete(2)

        def __init__(self, first: int) -> None:
            self.first = first

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            self.state = self.first
            return self.state, {}

        def step(self, action: Any) -> Any:
            assert action == self.state, "the action was chosen for another state"
            return self.state, 0.0, False, False, {}

    learner = QLearning(
        env=Goals(0), target="sarsa", gamma=0.9, learning_rate=0.0, exploration_rate_schedule=0.0
    )
    learner.q_table[:] = np.eye(2)
    learner.learn(5)
    learner.set_env(Goals(1))
    learner.learn(5, reset_num_timesteps=False)  # set_env lets the environment be reset
    learner.get_env().envs[0].unwrapped.first = 0  # type: ignore[union-attr]
    learner.learn(5)


# --- Learning the optimum -------------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS[1:])
def test_learns_the_optimal_policy_of_the_lake(target: Any) -> None:
    not_slippery = {"is_slippery": False}
    learner = QLearning(
        env=make_vec_env("FrozenLake-v1", 16, env_kwargs=not_slippery),
        target=target,
        gamma=0.95,
        learning_rate=0.5,
        initial_value=1.0,
        # The policy that SARSA and Expected SARSA value becomes the greedy one.
        exploration_rate_schedule=LinearSchedule(0.5, 0.0, 0.9),
        seed=0,
    )
    learner.learn(40_000)
    assert_optimal(learner, Model.of(gym.make("FrozenLake-v1", **not_slippery)), 0.95)


@pytest.mark.parametrize("target", ["expected-sarsa", "double"])
def test_learns_the_optimal_policy_where_transitions_are_random(target: Any) -> None:
    # At this discount the best policy stays the best one with any exploration rate up to 0.3.
    learner = QLearning(
        env=make_vec_env("FrozenLake-v1", 256),
        target=target,
        gamma=0.95,
        learning_rate=LinearSchedule(0.1, 0.0, 1.0),
        exploration_rate_schedule=LinearSchedule(1.0, 0.1, 0.5),
        seed=0,
    )
    learner.learn(300_000)
    assert_optimal(learner, Model.of(gym.make("FrozenLake-v1")), 0.95)


def assert_optimal(learner: QLearning, model: Model, gamma: float) -> None:
    actions, _ = learner.predict(np.arange(len(model.start)), deterministic=True)
    optimum = model.start @ model.optimal_values(gamma)
    assert model.start @ model.policy_values(actions, gamma) == pytest.approx(optimum, abs=1e-9)
    worst = model.start @ model.policy_values(learner.q_table.argmin(axis=1), gamma)
    assert worst < optimum / 2 if optimum > 0 else worst < 2 * optimum, (
        "any policy is optimal, so this test shows nothing"
    )


@pytest.mark.parametrize("target", ["q-learning", "expected-sarsa", "double"])
def test_sweeps_over_the_cliff_find_the_exact_values(target: str) -> None:
    epsilon, gamma = 0.2 if target == "expected-sarsa" else 0.0, 0.9
    model = Model.of(gym.make("CliffWalking-v1"))
    n_states, n_actions = model.rewards.shape
    values = np.zeros(n_states)
    for _ in range(500):
        expected = model.action_values(values, gamma)
        values = (1 - epsilon) * expected.max(axis=1) + epsilon * expected.mean(axis=1)
    # Nothing is random on the cliff: a transition is certain, or it ends the episode.
    states, actions = (a.ravel() for a in np.indices((n_states, n_actions)))
    chances = model.transitions[states, actions]
    batch = (states, actions, model.rewards[states, actions], chances.argmax(1), chances.max(1) < 1)
    rng = np.random.default_rng(0)
    tables = np.zeros((2 if target == "double" else 1, n_states, n_actions))
    visits = np.zeros((n_states, n_actions), dtype=np.int64)
    for _ in range(300):
        bootstrap: Bootstrap = ExpectedValue(epsilon) if epsilon else GreatestValue()
        if target == "double":
            bootstrap = OtherTable(rng.integers(2, size=len(states)))
        q_learning_update(
            tables if target == "double" else tables[0],
            visits,
            *batch,
            learning_rate=1.0,
            gamma=gamma,
            bootstrap=bootstrap,
        )
    for q in tables:
        np.testing.assert_allclose(q, expected, rtol=1e-9, atol=1e-9)
    if epsilon:
        best = model.optimal_values(gamma)
        assert np.abs(tables[0].max(axis=1) - best).max() > 1, "as without exploration"


# --- What their authors say of them ---------------------------------------------------------------


def walked_rows(learner: QLearning) -> list[int]:
    """Rows of the 4 x 12 cliff on the greedy walk; 3 holds start, cliff and goal."""
    env = gym.make("CliffWalking-v1")
    state, _ = env.reset(seed=0)
    rows, ended = [int(state) // 12], False
    while not ended:
        assert len(rows) < 50, "the greedy walk goes in circles"
        action, _ = learner.predict(state, deterministic=True)
        state, _, ended, _, _ = env.step(int(action))
        rows.append(int(state) // 12)
    return rows


@pytest.mark.parametrize("seed", range(3))
def test_sarsa_walks_away_from_the_cliff_and_q_learning_along_it(seed: int) -> None:
    """Sutton & Barto 2018, example 6.6: constant exploration rate 0.1, no discount."""
    walks = {}
    for target in TARGETS[:3]:
        learner = QLearning(
            env=make_vec_env("CliffWalking-v1", 16),
            target=target,  # type: ignore[arg-type]
            gamma=1.0,
            learning_rate=0.1,
            exploration_rate_schedule=0.1,
            seed=seed,
        )
        walks[target] = walked_rows(learner.learn(40_000))
    assert walks["q-learning"] == [3, *[2] * 12, 3], "not the shortest way, along the edge"
    for target in ("sarsa", "expected-sarsa"):
        # Over the cliff's middle columns it keeps at least one row between itself and the edge.
        assert max(walks[target][3:-3]) < 2, (target, walks[target])


class NoisyLeft(gym.Env[Any, Any]):
    """Sutton & Barto 2018, example 6.7, with ten actions in B.

    In A, even actions go right, which ends the episode with 0, and odd ones left to B, with 0. In
    B, every action ends the episode with a reward from N(-0.1, 1): left is worth -0.1.
    """

    observation_space, action_space = spaces.Discrete(2), spaces.Discrete(10)
    LEFT_IS_WORTH = -0.1

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.state = 0
        return 0, {}

    def step(self, action: Any) -> Any:
        if self.state == 0 and action % 2:
            self.state = 1
            return 1, 0.0, False, False, {}
        reward = self.np_random.normal(self.LEFT_IS_WORTH, 1.0) if self.state else 0.0
        return self.state, float(reward), True, False, {}


class CountLefts(BaseCallback):
    """Counts how often the learner goes left from A."""

    def __init__(self) -> None:
        super().__init__()
        self.lefts = self.choices = 0

    def _on_step(self) -> bool:
        if self.locals["observations"][0] == 0:
            self.choices += 1
            self.lefts += int(self.locals["actions"][0] % 2)
        return True


def test_double_q_learning_lessens_the_maximisation_bias() -> None:
    def learn(target: Any, seed: int, exploration_rate: float, callback: Any = None) -> QLearning:
        learner = QLearning(
            env=NoisyLeft(),
            target=target,
            gamma=1.0,
            learning_rate=0.1,
            exploration_rate_schedule=exploration_rate,
            seed=seed,
        )
        return learner.learn(600, callback=callback)

    bias, lefts = {}, {}
    for target in ("q-learning", "double"):
        # What left is worth, after some twenty rewards of each action in B.
        found = [learn(target, seed, 1.0).q_table[0, 1::2].mean() for seed in range(20)]
        bias[target] = np.mean(found) - NoisyLeft.LEFT_IS_WORTH
        counts = [CountLefts() for _ in range(20)]
        for seed, count in enumerate(counts):
            learn(target, seed, 0.1, count)
        lefts[target] = np.mean([count.lefts / count.choices for count in counts])
    # Over 20 seeds the standard errors are about 0.02. Half of the random actions go left, a share
    # of 0.05, which is the least.
    figures = f"bias {bias}, share of left {lefts}"
    assert bias["q-learning"] > 0.25 and abs(bias["double"]) < 0.1, figures
    assert lefts["double"] < lefts["q-learning"] - 0.1, figures


# --- Exploration ----------------------------------------------------------------------------------


class Chain(gym.Env[Any, Any]):
    """A row of cells; action 0 steps left, 1 right; walking out to the right ends with +10.

    Stepping left in the first cell earns 0.001 each time, which is what a greedy learner finds.
    """

    action_space = spaces.Discrete(2)

    def __init__(self, length: int) -> None:
        self.length, self.observation_space = length, spaces.Discrete(length)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.cell = 0
        return 0, {}

    def step(self, action: Any) -> Any:
        if action == 0:
            reward, self.cell = 0.001 * (self.cell == 0), max(0, self.cell - 1)
            return self.cell, reward, False, False, {}
        if self.cell == self.length - 1:
            return self.cell, 10.0, True, False, {}
        self.cell += 1
        return self.cell, 0.0, False, False, {}


def test_optimism_and_counts_explore_where_epsilon_greedy_does_not() -> None:
    def learn(**arguments: Any) -> QLearning:
        return QLearning(env=Chain(20), learning_rate=0.5, seed=0, **arguments).learn(10_000)

    stuck = learn(exploration_rate_schedule=0.1)
    assert not stuck.visits[-5:].any(), "the chain is too short to show anything"
    assert stuck.predict(0, deterministic=True)[0] == 0
    for arguments in ({"initial_value": 10.0}, {"count_bonus": 3.0}):
        learner = learn(exploration_rate_schedule=0.0, **arguments)
        assert learner.visits[-1, 1] > 10, arguments
        actions, _ = learner.predict(np.arange(20), deterministic=True)
        np.testing.assert_array_equal(actions, 1, err_msg=str(arguments))


def test_the_count_bonus_tries_rare_actions_and_leaves_predictions_alone() -> None:
    learner = QLearning(env="FrozenLake-v1", count_bonus=3.0, exploration_rate_schedule=0.0, seed=0)
    learner.q_table[5] = [1.0, 0.9, 0.0, -9.0]
    state = np.full(2_000, 5)
    learner.visits[5] = [9, 4, 1, 0]
    assert set(learner.predict(state)[0]) == {3}, "the action never tried comes first"
    learner.visits[5] = [9, 4, 1, 1]  # 1 + 3 / 3, 0.9 + 3 / 2, 0 + 3, -9 + 3
    assert set(learner.predict(state)[0]) == {2}
    learner.visits[5] = [9, 4, 9, 1]
    assert set(learner.predict(state)[0]) == {1}
    learner.visits[5] = [9, 4, 0, 0]
    shares = np.bincount(learner.predict(state)[0], minlength=4) / len(state)
    np.testing.assert_allclose(shares, [0, 0, 0.5, 0.5], atol=0.05)
    assert learner.predict(5, deterministic=True)[0] == 0
    np.testing.assert_array_equal(learner.q_values(5), [[1.0, 0.9, 0.0, -9.0]])


# --- Two tables, state and files ------------------------------------------------------------------


def test_two_tables_act_as_their_mean() -> None:
    learner = QLearning(env="FrozenLake-v1", target="double", initial_value=0.5, seed=0)
    assert learner.policy.q_tables.shape == (2, 16, 4)
    assert (learner.policy.q_tables == 0.5).all()
    learner.policy.q_tables[0, 3] = [4.0, 0.0, 3.0, 0.0]
    learner.policy.q_tables[1, 3] = [0.0, 1.0, 3.0, 0.0]
    np.testing.assert_array_equal(learner.q_table[3], [2.0, 0.5, 3.0, 0.0])
    np.testing.assert_array_equal(learner.q_values(3), [[2.0, 0.5, 3.0, 0.0]])
    for predict in (learner.predict, learner.policy.predict):
        assert predict(3, deterministic=True)[0] == 2
    with pytest.raises(ValueError, match="read-only"):
        learner.q_table[3] = 0.0
    other = QLearning(env="FrozenLake-v1", target="double")
    other.set_parameters(learner.get_parameters())
    np.testing.assert_array_equal(other.policy.q_tables, learner.policy.q_tables)
    single = QLearning(env="FrozenLake-v1")
    with pytest.raises(ValueError, match=r"must be of shape \(16, 4\), not \(2, 16, 4\)"):
        single.set_parameters(learner.get_parameters())
    with pytest.raises(ValueError, match=r"of shape \(16, 4\), not float64 of shape \(2, 16, 4\)"):
        single.set_state(learner.get_state())


@pytest.mark.parametrize("target", TARGETS)
def test_a_loaded_learner_goes_on_bit_for_bit(tmp_path: Path, target: Any) -> None:
    learner = QLearning(
        env=make_vec_env("FrozenLake-v1", 4), target=target, count_bonus=0.1, gamma=0.9, seed=2
    )
    learner.learn(1_000)
    path = tmp_path / "model"
    learner.save(path)
    state = learner.get_state()
    assert state["q_table"].shape == ((2, 16, 4) if target == "double" else (16, 4))
    assert (state["next_actions"] is None) is (target != "sarsa")
    loaded = QLearning.load(path, env=deepcopy(learner.get_env()), force_reset=False)
    assert (loaded.target, loaded.count_bonus) == (target, 0.1)
    given = QLearning(
        env=deepcopy(learner.get_env()), target=target, count_bonus=0.1, gamma=0.9, seed=None
    )
    given.set_state(deepcopy(state))
    for one in (learner, loaded, given):
        one.learn(500, reset_num_timesteps=False)
    for one in (loaded, given):
        np.testing.assert_equal(one.get_state(), learner.get_state())
    assert learner.get_state()["generator"] != state["generator"]
    # Other environments are reset: what was chosen for the old ones is not taken there.
    more = QLearning.load(path, env=make_vec_env("FrozenLake-v1", 7))
    assert more.get_state()["next_actions"] is None
    more.learn(70)
    more.set_parameters(path)
    np.testing.assert_array_equal(more.policy.memory, state["q_table"])
    assert th.equal(
        more.get_parameters()["policy"]["_extra_state"], th.from_numpy(state["q_table"])
    )


def test_wrong_next_actions_are_refused() -> None:
    learner = QLearning(env=make_vec_env("FrozenLake-v1", 4), target="sarsa", seed=0).learn(40)
    state = learner.get_state()
    for actions, message in (
        ([0, 1], "2 next actions for 4 environments"),
        ([0, 1, 2, 4], r"next actions \[0, 1, 2, 4\] are not all in Discrete\(4\)"),
        ("up", "not the state of a QLearning"),
    ):
        with pytest.raises(ValueError, match=message):
            learner.set_state({**state, "next_actions": actions})
    np.testing.assert_equal(learner.get_state(), state)


def test_a_file_from_before_there_was_a_choice_loads(tmp_path: Path) -> None:
    learner = QLearning(env=make_vec_env("FrozenLake-v1", 4), seed=2).learn(1_000)
    path = tmp_path / "model"
    learner.save(path)
    file = read_model(path)
    for name in ("target", "count_bonus"):
        del file.config["hyperparameters"][name]
    del file.config["state"]["next_actions"]
    write_model(path, algorithm="QLearning", config=file.config, tensors=file.tensors)
    loaded = QLearning.load(path)
    assert (loaded.target, loaded.count_bonus) == ("q-learning", 0.0)
    np.testing.assert_array_equal(loaded.q_table, learner.q_table)
    file.config["hyperparameters"]["target"] = "double"
    write_model(path, algorithm="QLearning", config=file.config, tensors=file.tensors)
    with pytest.raises(ModelFileError, match=r"q_table must be float64 of shape \(2, 16, 4\)"):
        QLearning.load(path)


# --- Arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"target": "SARSA"},
            "target must be one of q-learning, sarsa, expected-sarsa, double, not 'SARSA'. "
            "Nearest: 'sarsa'",
        ),
        ({"target": None}, "target must be one of .*, not None"),
        ({"count_bonus": -1.0}, "count_bonus must be from 0 to .*, not -1.0"),
        ({"count_bonus": np.inf}, "count_bonus must .*, not inf"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QLearning(env="FrozenLake-v1", **arguments)


def test_settings_of_a_run_reach_the_learner() -> None:
    settings = QLearningSettings(target="double", count_bonus=0.5, initial_value=2.0)
    learner = make_learner(settings, make_vec_env("FrozenLake-v1", 2), seed=0)
    assert isinstance(learner, QLearning)
    assert (learner.target, learner.count_bonus, learner.initial_value) == ("double", 0.5, 2.0)
    assert (learner.q_table == 2.0).all()
