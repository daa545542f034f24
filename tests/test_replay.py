"""Prioritized replay: what is drawn, with which weights, and its n-step returns against SB3's."""

import json
import pickle

import numpy as np
import pytest
from gymnasium import spaces
from scipy import stats
from stable_baselines3 import DQN
from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from agents.replay import PrioritizedReplayBuffer

BOX = spaces.Box(-np.inf, np.inf, (2,))
ACTIONS = spaces.Discrete(3)
ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


def step(buffer, rng, *, ends=0.0):
    """Store a step of all environments, of which some end their episodes."""
    n = buffer.n_envs
    done = rng.random(n) < ends
    infos = [{"TimeLimit.truncated": bool(d and rng.random() < 0.5)} for d in done]
    observations, following = rng.normal(size=(2, n, 2))
    buffer.add(observations, following, rng.integers(3, size=n), rng.normal(size=n), done, infos)


def filled(n_steps_stored=4, size=4, n_envs=1, *, ends=0.0, seed=0, **kwargs):
    """Return a buffer of `size` slots, an environment each, after some steps; beta is 1."""
    buffer = PrioritizedReplayBuffer(size * n_envs, BOX, ACTIONS, n_envs=n_envs, **kwargs)
    rng = np.random.default_rng(seed)
    for _ in range(n_steps_stored):
        step(buffer, rng, ends=ends)
    buffer.seed(seed)
    buffer.set_progress(1.0)
    return buffer


def with_priorities(priorities, **kwargs):
    """Return a buffer of one environment, of alpha 1 and these priorities."""
    buffer = filled(len(priorities), len(priorities), alpha=1.0, epsilon=0.5, **kwargs)
    buffer.update_priorities(np.arange(len(priorities)), np.array(priorities) - 0.5)
    np.testing.assert_array_equal(buffer.priorities[:, 0], priorities)
    return buffer


# --- What is drawn --------------------------------------------------------------------------------


def counts(buffer, *, batches, batch_size):
    drawn = [buffer.sample(batch_size).indices for _ in range(batches)]
    return np.bincount(np.concatenate(drawn), minlength=buffer.buffer_size * buffer.n_envs)


@pytest.mark.parametrize("seed", range(3))
def test_frequencies_match_priorities(seed):
    priorities = np.array([1.0, 2.0, 0.5, 8.0, 0.5, 3.0, 1.0])
    buffer = with_priorities(priorities, seed=seed)
    # Batches of one are independent draws, as the test asks for.
    observed = counts(buffer, batches=3000, batch_size=1)
    p_value = stats.chisquare(observed, 3000 * priorities / priorities.sum()).pvalue
    assert 0.001 < p_value < 0.999
    other = priorities**0.8
    assert stats.chisquare(observed, 3000 * other / other.sum()).pvalue < 0.001  # it can tell


def test_a_batch_is_stratified():
    priorities = np.array([1.0, 2.0, 0.5, 8.0, 0.5, 4.0])
    buffer = with_priorities(priorities)
    ends = priorities.cumsum()
    for _ in range(200):
        indices = buffer.sample(8).indices
        first = (ends - priorities)[indices]
        strata = np.arange(8) * 2.0  # the total is 16
        assert (first < strata + 2).all() and (ends[indices] > strata).all()
        # Transition 3 covers 3.5 to 11.5: the strata 2 to 4 as a whole.
        assert (indices == 3).sum() >= 3
    # Each transition gets its share of larger batches too, where a stratum is part of one.
    observed = counts(buffer, batches=200, batch_size=80)
    np.testing.assert_allclose(observed / (200 * 80), priorities / 16, rtol=0.03)


def test_at_alpha_0_all_are_alike():
    buffer = filled(5, 5, n_envs=4, alpha=0.0)
    buffer.update_priorities(np.arange(20), np.logspace(-3, 3, 20))
    samples = buffer.sample(64)
    np.testing.assert_array_equal(samples.weights, np.ones((64, 1)))
    observed = counts(buffer, batches=2000, batch_size=1)
    assert 0.001 < stats.chisquare(observed).pvalue < 0.999


def test_new_transitions_have_the_highest_priority_so_far():
    buffer = filled(2, 4, n_envs=2, alpha=0.5)
    np.testing.assert_array_equal(buffer.priorities, [[1, 1], [1, 1], [0, 0], [0, 0]])
    buffer.epsilon = 0.25
    buffer.update_priorities(np.array([1, 2]), np.array([-15.75, 0.75]))
    # Flat index 1 is environment 1 of slot 0; the power of 0.5 is a square root.
    np.testing.assert_array_equal(buffer.priorities, [[1, 4], [1, 1], [0, 0], [0, 0]])
    rng = np.random.default_rng(1)
    step(buffer, rng)
    np.testing.assert_array_equal(buffer.priorities, [[1, 4], [1, 1], [4, 4], [0, 0]])
    buffer.update_priorities(np.array([1, 4, 5]), np.array([3.75, 0.0, 0.0]))
    step(buffer, rng)
    step(buffer, rng)  # overwrites the first slot; 4 stays the highest *so far*
    np.testing.assert_array_equal(buffer.priorities, [[4, 4], [1, 1], [0.5, 0.5], [4, 4]])


def test_nothing_is_drawn_that_is_not_stored():
    buffer = filled(3, 100, n_envs=2)
    assert set(buffer.sample(1000).indices) == set(range(6))
    buffer.reset()
    assert buffer.size() == 0 and not buffer.priorities.any()
    with pytest.raises(ValueError, match="nothing to find"):
        buffer.sample(1)


def test_batches_are_drawn_from_the_own_generator():
    buffers = [filled(50, 60, n_envs=3, seed=5) for _ in range(3)]
    buffers[2].seed(6)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = (buffer.sample(32).indices for buffer in buffers)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


# --- Importance weights ---------------------------------------------------------------------------


def test_weights_by_hand():
    buffer = with_priorities([1.0, 4.0, 3.0], beta_final=0.5)
    seen = set()
    for _ in range(50):
        samples = buffer.sample(2)
        # N = 3, the total is 8: (3 * 1/8) ** -0.5 and so on, by the greatest of the two.
        by_hand = np.array([1.632993, 0.8164966, 0.9428090])[samples.indices]
        np.testing.assert_allclose(samples.weights[:, 0], by_hand / by_hand.max(), rtol=1e-6)
        assert samples.weights.shape == (2, 1)
        seen.add(tuple(samples.indices))
    assert {(0, 2), (1, 2)} <= seen  # with and without the greatest of the buffer


def test_beta_moves_with_the_progress():
    buffer = filled(beta_initial=0.4, beta_final=0.9)
    for progress, beta in ((0.0, 0.4), (0.5, 0.65), (1.0, 0.9), (1.1, 0.9), (-0.1, 0.4)):
        buffer.set_progress(progress)
        assert buffer.beta == pytest.approx(beta)


@pytest.mark.parametrize("error", [np.nan, np.inf, -np.inf])
def test_errors_that_are_no_numbers(error):
    buffer = filled()
    before = buffer.priorities
    with pytest.raises(ValueError, match="a TD error is infinite or not a number: training has di"):
        buffer.update_priorities(np.arange(2), np.array([0.5, error], np.float32))
    np.testing.assert_array_equal(buffer.priorities, before)


def test_priorities_do_not_overflow():
    buffer = filled(alpha=2.0)
    buffer.update_priorities(np.arange(1), np.array([1e30], np.float32))
    assert buffer.priorities[0, 0] == pytest.approx(1e60)


# --- n-step returns -------------------------------------------------------------------------------

CASES = {  # steps stored in 20 slots
    "partly filled": 13,
    "just full": 20,
    "overwritten": 31,
}


@pytest.mark.parametrize("n_steps", [1, 3, 50])
@pytest.mark.parametrize("stored", CASES.values(), ids=CASES)
def test_transitions_equal_those_of_sb3_bit_for_bit(stored, n_steps, monkeypatch):
    kwargs = {"n_steps": n_steps, "gamma": 0.9}
    buffer = filled(stored, 20, n_envs=3, ends=0.2, **kwargs)
    theirs = NStepReplayBuffer(60, BOX, ACTIONS, n_envs=3, **kwargs)
    for name in ARRAYS:
        setattr(theirs, name, getattr(buffer, name).copy())
    theirs.pos, theirs.full = buffer.pos, buffer.full
    assert 0 < theirs.timeouts.sum() < theirs.dones.sum()
    env = VecNormalize(make_vec_env("CartPole-v1"), norm_obs=False)
    env.ret_rms.var = np.float64(4.0)
    for normalizer in (None, env):
        samples = buffer.sample(200, normalizer)
        slots, envs = np.divmod(samples.indices, 3)
        assert len(set(samples.indices)) == 3 * min(stored, 20)  # every window is compared
        monkeypatch.setattr(np.random, "randint", lambda *_, envs=envs, **__: envs)
        expected = theirs._get_samples(slots, normalizer)
        monkeypatch.undo()
        for name, tensor in expected._asdict().items():
            ours = getattr(samples, name)
            assert ours.dtype == tensor.dtype, name
            np.testing.assert_array_equal(ours, tensor, err_msg=name)


@pytest.mark.parametrize("stored", CASES.values(), ids=CASES)
def test_returns_equal_those_of_a_naive_loop(stored):
    """Write each environment's steps down as they happen, and sum along them."""
    n_envs, size, n_steps, gamma = 2, 20, 4, 0.5
    buffer = PrioritizedReplayBuffer(
        size * n_envs, BOX, ACTIONS, n_envs=n_envs, n_steps=n_steps, gamma=gamma
    )
    rng = np.random.default_rng(3)
    told = []
    for t in range(stored):
        rewards = rng.integers(-4, 5, size=n_envs).astype(float)  # exact sums in float32
        done, truncated = rng.random(n_envs) < 0.2, rng.random(n_envs) < 0.5
        told.append((rewards, done, done & truncated))
        at = np.array([[t, env] for env in range(n_envs)], dtype=float)
        infos = [{"TimeLimit.truncated": bool(x)} for x in done & truncated]
        buffer.add(at, at + np.array([0.5, 0]), np.zeros(n_envs), rewards, done, infos)
    buffer.set_progress(0.0)
    buffer.seed(0)
    samples = buffer.sample(300)
    starts = set()
    for i in range(300):
        t, env = samples.observations[i].numpy().astype(int)
        starts.add((t, env))
        total, k = 0.0, 0
        while True:
            rewards, done, truncated = told[t + k]
            total += gamma**k * rewards[env]
            k += 1
            if done[env] or k == n_steps or t + k == stored:
                break
        assert samples.rewards[i] == total, (t, env)
        assert samples.discounts[i] == gamma**k, (t, env)
        assert samples.dones[i] == float(done[env] and not truncated[env]), (t, env)
        np.testing.assert_array_equal(samples.next_observations[i], [t + k - 0.5, env])
    oldest = max(0, stored - size)
    assert starts == {(t, env) for t in range(oldest, stored) for env in range(n_envs)}


# --- Use ------------------------------------------------------------------------------------------


def test_the_dqn_of_sb3_would_ignore_the_weights():
    learner = DQN(
        "MlpPolicy",
        "CartPole-v1",
        replay_buffer_class=PrioritizedReplayBuffer,
        buffer_size=100,
        learning_starts=10,
    )
    with pytest.raises(RuntimeError, match=r"does not support it: .* Stable-Baselines3's DQN does"):
        learner.learn(50)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"alpha": -0.1}, "alpha must be at least 0 and finite, got -0.1"),
        ({"alpha": np.inf}, "alpha must be at least 0 and finite, got inf"),
        ({"beta_initial": 1.1}, r"beta_initial must be in \[0, 1\], got 1.1"),
        ({"beta_final": np.nan}, r"beta_final must be in \[0, 1\], got nan"),
        ({"gamma": 2}, r"gamma must be in \[0, 1\], got 2"),
        ({"epsilon": 0.0}, r"epsilon must be above 0 and finite, got 0.0"),
        ({"n_steps": 0}, "n_steps must be at least 1, got 0"),
        ({"optimize_memory_usage": True}, "needs optimize_memory_usage=False: sharing one array"),
    ],
)
def test_wrong_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        PrioritizedReplayBuffer(10, BOX, ACTIONS, **kwargs)


def test_observations_of_several_arrays():
    space = spaces.Dict({"a": BOX})
    message = r"one array, which those of Dict\('a'.* are not: wrap .*FlattenObservation"
    with pytest.raises(ValueError, match=message):
        PrioritizedReplayBuffer(10, space, ACTIONS)


def test_discrete_observations():
    buffer = PrioritizedReplayBuffer(8, spaces.Discrete(5), ACTIONS, n_envs=2, n_steps=2)
    for state in range(4):
        states = np.array([state, 4 - state])
        buffer.add(states, states, np.zeros(2), np.ones(2), np.zeros(2, bool), [{}, {}])
    buffer.set_progress(0)
    samples = buffer.sample(100)
    assert samples.observations.shape == (100, 1)
    slots, envs = np.divmod(samples.indices, 2)
    np.testing.assert_array_equal(samples.observations[:, 0], np.where(envs == 0, slots, 4 - slots))


# --- State ----------------------------------------------------------------------------------------


def used(seed=0):
    buffer = filled(30, 20, n_envs=3, seed=seed, ends=0.1, n_steps=3)
    rng = np.random.default_rng(seed)
    for _ in range(10):
        buffer.update_priorities(buffer.sample(16).indices, rng.normal(size=16) * 5)
    buffer.set_progress(0.3)
    return buffer


def go_on(buffer):
    """Sample, update and store; return everything that came out."""
    rng = np.random.default_rng(9)
    outcomes = []
    for _ in range(30):
        samples = buffer.sample(16)
        buffer.update_priorities(samples.indices, rng.normal(size=16))
        step(buffer, rng, ends=0.1)
        outcomes.append([np.asarray(value) for value in samples])
    return outcomes


def test_a_state_lets_another_buffer_go_on_exactly():
    buffer, other = used(), used(seed=1)
    state = buffer.get_state()
    arrays = {"priorities": state.pop("priorities")}
    state = json.loads(json.dumps(state)) | arrays
    other.set_state(state)
    for name in ARRAYS:
        getattr(other, name)[:] = getattr(buffer, name)
    other.pos, other.full = buffer.pos, buffer.full
    assert other.beta == buffer.beta == pytest.approx(0.58)
    kept = arrays["priorities"].copy()
    for i, (ours, theirs) in enumerate(zip(go_on(buffer), go_on(other), strict=True)):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=f"batch {i}")
    np.testing.assert_array_equal(arrays["priorities"], kept)  # a copy
    assert (buffer.priorities != kept).any()


def test_a_new_buffer_has_a_state_too():
    new, other = PrioritizedReplayBuffer(10, BOX, ACTIONS), used()
    state = new.get_state()
    assert state["progress"] is None and not state["priorities"].any()
    PrioritizedReplayBuffer(10, BOX, ACTIONS).set_state(state)
    with pytest.raises(ValueError, match=r"must have shape \(20, 3\), got \(10, 1\)"):
        other.set_state(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"priorities": np.full((20, 3), np.nan)}, "finite and not below 0"),
        ({"priorities": np.full((20, 3), -1.0)}, "finite and not below 0"),
        ({"priorities": "x"}, "not the state of this replay buffer: could not convert"),
        ({"max_priority": 0}, "max_priority must be above 0 and finite, got 0"),
        ({"max_priority": np.inf}, "max_priority must be above 0 and finite, got inf"),
        ({"progress": 2}, r"progress must be in \[0, 1\] or None, got 2"),
        ({"generator": {"bit_generator": "MT19937"}}, "PCG64"),
        ({"generator": None}, "not the state of this replay buffer"),
    ],
)
def test_malformed_states(change, message):
    buffer = used()
    before = buffer.get_state()
    with pytest.raises(ValueError, match=message):
        buffer.set_state(before | change)
    after = buffer.get_state()
    np.testing.assert_array_equal(after.pop("priorities"), before.pop("priorities"))
    assert after == before
    with pytest.raises(ValueError, match="not the state of this replay buffer: 'priorities'"):
        buffer.set_state({})


def test_a_pickled_buffer_goes_on():
    """SB3's `save_replay_buffer` pickles; what it loads is one's own."""
    buffer = used()
    other = pickle.loads(pickle.dumps(buffer))
    np.testing.assert_array_equal(buffer.sample(32).indices, other.sample(32).indices)
