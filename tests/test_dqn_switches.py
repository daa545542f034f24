"""Dueling, double, prioritized, n-step: each mixture finds known values; what is refused."""

import itertools
import warnings
from copy import deepcopy
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.dqn.policies import DQNPolicy
from torch.nn import functional as F

from agents import DuelingDQN, PrioritizedReplayBuffer, load_run
from agents.extractors import CodesExtractor
from agents.policies import DuelingQNetwork
from agents.replay import PrioritizedSamples
from agents.runs import read_json
from agents.training import DuelingDQNSettings, RunSettings, make_learner, train_run
from music_env import MusicRecEnv

ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


@pytest.fixture(autouse=True)
def one_thread():
    threads = th.get_num_threads()
    th.set_num_threads(1)
    yield
    th.set_num_threads(threads)


# --- A chain whose values are known ---------------------------------------------------------------

N_CELLS, GAMMA, SLIP = 4, 0.9, 0.2


def reward(cell, arrival):
    return 0.05 * cell + (0.8 if arrival == N_CELLS else 0.0)


class Chain(gym.Env):
    """Cells in a row, seen one-hot; left and right, which slip; it ends beyond either end.

    All TD errors are below 1, where Huber's loss is a square and its minimum a mean.
    """

    observation_space = spaces.Box(0, 1, (N_CELLS,))
    action_space = spaces.Discrete(2)

    def __init__(self, limit=None):
        self.limit = limit

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._cell, self._steps = int(self.np_random.integers(N_CELLS)), 0
        return self._observation(), {}

    def step(self, action):
        cell = self._cell
        self._cell += (2 * int(action) - 1) * (1 if self.np_random.random() >= SLIP else -1)
        self._steps += 1
        terminated = not 0 <= self._cell < N_CELLS
        truncated = self._steps == self.limit and not terminated
        return self._observation(), reward(cell, self._cell), terminated, truncated, {}

    def _observation(self):
        return np.eye(N_CELLS, dtype=np.float32)[np.clip(self._cell, 0, N_CELLS - 1)]


def chain_values(n_steps):
    """Return the (cells, actions) values on which n-step Q-learning settles, by their equations.

    Uniform behaviour, of whose actions the n-step return takes the later rewards.
    """
    transitions, rewards = np.zeros((N_CELLS, 2, N_CELLS)), np.zeros((N_CELLS, 2))
    for cell, action, slips in itertools.product(range(N_CELLS), range(2), (False, True)):
        probability = SLIP if slips else 1 - SLIP
        arrival = cell + (2 * action - 1) * (-1 if slips else 1)
        rewards[cell, action] += probability * reward(cell, arrival)
        if 0 <= arrival < N_CELLS:
            transitions[cell, action, arrival] += probability
    values = np.zeros((N_CELLS, 2))
    for _ in range(500):
        tail = values.max(axis=1)
        for _ in range(n_steps):
            values = rewards + GAMMA * transitions @ tail
            tail = values.mean(axis=1)
    return values


def chain_learner(n_envs=64, **kwargs):
    arguments = {
        "policy": "MlpPolicy",
        "gamma": GAMMA,
        "exploration_initial_eps": 1.0,
        "exploration_final_eps": 1.0,
        "buffer_size": 20_000,
        "train_freq": 1,
        "policy_kwargs": {"net_arch": []},  # linear in one-hot cells: a table
        "seed": 0,
        "device": "cpu",
        **kwargs,
    }
    return DuelingDQN(env=make_vec_env(Chain, n_envs=n_envs, seed=0), **arguments)


PRIORITIZED = {"replay_buffer_class": PrioritizedReplayBuffer}


@pytest.mark.parametrize("dueling", [False, True], ids=["plain", "dueling"])
@pytest.mark.parametrize("prioritized", [False, True], ids=["uniform", "prioritized"])
@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("double", [False, True], ids=["single", "double"])
def test_every_mixture_finds_the_values(double, n_steps, prioritized, dueling):
    learner = chain_learner(
        policy="MlpPolicy" if dueling else DQNPolicy,
        double=double,
        n_steps=n_steps,
        # Chance makes large errors: without the weights in full, good luck would count too much.
        **(PRIORITIZED | {"replay_buffer_kwargs": {"beta_initial": 1.0}} if prioritized else {}),
        learning_rate=LinearSchedule(0.05, 0.0005, 1.0),
        learning_starts=8000,
        gradient_steps=15,
        batch_size=128,
        target_update_interval=64,
    )
    learner.learn(8000)
    learner.learning_starts = 0
    learner.learn(64 * 30)
    assert isinstance(learner.q_net, DuelingQNetwork) is dueling
    assert isinstance(learner.replay_buffer, PrioritizedReplayBuffer) is prioritized
    expected = chain_values(n_steps)
    # Other switches settle elsewhere.
    assert np.abs(chain_values(1) - chain_values(3)).max() > 0.2
    values = learner.q_values(np.eye(N_CELLS, dtype=np.float32))
    np.testing.assert_allclose(values, expected, atol=0.06)


# --- The update -----------------------------------------------------------------------------------


def trained_on_noise(**kwargs):
    """Return a learner whose buffer is filled and whose networks differ from each other."""
    learner = chain_learner(4, learning_starts=10_000, batch_size=32, **PRIORITIZED, **kwargs)
    learner.learn(400)
    learner.set_logger(configure(None, []))
    with th.no_grad():
        for parameter in learner.q_net.parameters():
            parameter += th.linspace(-2, 2, parameter.numel()).reshape(parameter.shape)
    return learner


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("double", [False, True])
def test_an_update_weighs_the_losses_and_sets_the_priorities(double, n_steps, monkeypatch):
    learner = trained_on_noise(double=double, n_steps=n_steps)
    buffer = learner.replay_buffer
    indices = np.arange(400)
    buffer.update_priorities(indices, np.linspace(0, 5, 400))
    learner._current_progress_remaining = 0.25
    batches = []
    monkeypatch.setattr(
        buffer,
        "sample",
        lambda *a, **k: batches.append(type(buffer).sample(buffer, *a, **k)) or batches[-1],
    )
    reference = deepcopy(learner.policy)
    learner.train(1, 64)
    (batch,) = batches
    assert buffer.beta == pytest.approx(0.4 + 0.75 * 0.6)
    assert 0 < batch.weights.min() < 0.9 and batch.weights.max() == 1

    rows = th.arange(64)
    q, actions = reference.q_net(batch.observations), batch.actions[:, 0].long()
    target_q = reference.q_net_target(batch.next_observations)
    picks = (reference.q_net(batch.next_observations) if double else target_q).argmax(1)
    following = batch.discounts[:, 0] * (1 - batch.dones[:, 0]) * target_q[rows, picks]
    errors = batch.rewards[:, 0] + following.detach() - q[rows, actions]
    losses = th.where(errors.abs() < 1, errors.square() / 2, errors.abs() - 0.5)
    (losses * batch.weights[:, 0]).mean().backward()
    th.nn.utils.clip_grad_norm_(reference.q_net.parameters(), 10)
    for (name, ours), theirs in zip(
        learner.q_net.named_parameters(), reference.q_net.parameters(), strict=True
    ):
        np.testing.assert_allclose(ours.grad, theirs.grad, atol=1e-6, err_msg=name)

    expected = (np.linspace(0, 5, 400) + 1e-6) ** 0.6
    expected[batch.indices] = (errors.detach().abs().double().numpy() + 1e-6) ** 0.6
    np.testing.assert_allclose(buffer.priorities.ravel()[:400], expected, rtol=1e-4)


def test_equal_weights_are_the_uniform_loss():
    learner = trained_on_noise()
    learner.replay_buffer.set_progress(0.0)
    samples = learner.replay_buffer.sample(32)._replace(weights=th.ones(32, 1))
    assert isinstance(samples, PrioritizedSamples)
    values, targets = th.linspace(-3, 3, 32)[:, None], th.zeros(32, 1)
    loss = learner._loss(values, targets, samples)
    assert loss.item() == pytest.approx(F.smooth_l1_loss(values, targets).item())


def test_beta_follows_the_training(monkeypatch):
    betas = []
    sample = PrioritizedReplayBuffer.sample

    def noted(self, *args, **kwargs):
        betas.append(self.beta)
        return sample(self, *args, **kwargs)

    monkeypatch.setattr(PrioritizedReplayBuffer, "sample", noted)
    chain_learner(4, learning_starts=0, **PRIORITIZED).learn(400)
    np.testing.assert_allclose(betas, 0.4 + 0.6 * np.arange(4, 401, 4) / 400)


# --- Randomness and resuming ----------------------------------------------------------------------


def weights_of(learner):
    return {name: tensor.numpy().copy() for name, tensor in learner.policy.state_dict().items()}


def assert_equal_weights(a, b):
    for name, array in a.items():
        np.testing.assert_array_equal(array, b[name], err_msg=name)


def test_prioritized_training_reads_no_global_generator():
    runs = []
    for seed, disturbance in ((0, 1), (0, 2), (1, 1)):
        learner = chain_learner(4, seed=seed, learning_starts=40, n_steps=3, **PRIORITIZED)
        np.random.seed(disturbance)  # noqa: NPY002
        runs.append(weights_of(learner.learn(400)))
    assert_equal_weights(runs[0], runs[1])
    with pytest.raises(AssertionError):
        assert_equal_weights(runs[0], runs[2])


def test_batches_do_not_repeat_the_exploration():
    learner = chain_learner(4, **PRIORITIZED)
    draws = learner.replay_buffer._generator.random(100)
    assert not np.intersect1d(draws, learner._generator.random(100)).size


def test_a_prioritized_learner_goes_on_exactly(tmp_path):
    kwargs = {"learning_starts": 40, "n_steps": 3, "double": True, "batch_size": 16}
    buffer_kwargs = {"alpha": 0.7, "beta_final": 0.8}
    learner = chain_learner(4, **kwargs, **PRIORITIZED, replay_buffer_kwargs=buffer_kwargs)
    learner.learn(400)
    learner.save(tmp_path / "model")
    loaded = DuelingDQN.load(tmp_path / "model", env=deepcopy(learner.get_env()), force_reset=False)
    assert type(loaded.replay_buffer) is PrioritizedReplayBuffer
    assert (loaded.replay_buffer.alpha, loaded.replay_buffer.beta_final) == (0.7, 0.8)
    assert (loaded.replay_buffer.n_steps, loaded.n_steps) == (3, 3)
    assert loaded.replay_buffer.gamma == GAMMA
    for name in ARRAYS:
        getattr(loaded.replay_buffer, name)[:] = getattr(learner.replay_buffer, name)
    loaded.replay_buffer.pos = learner.replay_buffer.pos
    loaded.replay_buffer.set_state(learner.replay_buffer.get_state())
    for one in (learner, loaded):
        one.learn(400, reset_num_timesteps=False)
    assert_equal_weights(weights_of(learner), weights_of(loaded))
    np.testing.assert_array_equal(learner.replay_buffer.priorities, loaded.replay_buffer.priorities)


def test_a_file_decides_how_its_learner_goes_on(tmp_path):
    chain_learner(4, **PRIORITIZED).save(tmp_path / "model")
    runs, draws = [], []
    for seed in (None, None, 5):
        env = make_vec_env(Chain, n_envs=4, seed=1)
        kwargs = {} if seed is None else {"seed": seed}
        loaded = DuelingDQN.load(tmp_path / "model", env=env, **kwargs)
        draws.append(deepcopy(loaded.replay_buffer._generator).random())
        runs.append(weights_of(loaded.learn(400)))
    assert draws[0] == draws[1] != draws[2]
    assert_equal_weights(runs[0], runs[1])


# --- n-step returns -------------------------------------------------------------------------------


class Truncated(Chain):
    def __init__(self):
        super().__init__(limit=3)


@pytest.mark.parametrize("kwargs", [{}, PRIORITIZED], ids=["uniform", "prioritized"])
def test_returns_do_not_cross_a_reset_between_two_trainings(kwargs):
    learner = chain_learner(3, learning_starts=10_000, n_steps=3, **kwargs)
    learner.learn(3 * 20)
    buffer = learner.replay_buffer
    before = {name: getattr(buffer, name).copy() for name in ARRAYS}
    going = before["dones"][19] == 0
    assert going.any() and not going.all()  # one mid-episode, one that ended there anyway
    learner.learn(3, reset_num_timesteps=False)  # no reset: nothing is cut
    np.testing.assert_array_equal(buffer.dones[19], before["dones"][19])
    cut = buffer.dones[20] == 0
    assert cut.any()
    learner.learn(3)
    np.testing.assert_array_equal(buffer.dones[20], 1)
    np.testing.assert_array_equal(buffer.timeouts[20], cut)
    rest = np.r_[0:20]
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(buffer, name)[rest], before[name][rest])


def test_a_buffer_of_one_step_is_left_alone():
    learner = chain_learner(3, learning_starts=10_000)
    learner.learn(60).learn(3)
    assert not learner.replay_buffer.timeouts.any()
    assert not learner.replay_buffer.dones[19].all()


def test_n_steps_reach_each_buffer_that_sums():
    class Own(NStepReplayBuffer):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # SB3 warns that n_steps is ignored
        for buffer_class in (NStepReplayBuffer, Own, PrioritizedReplayBuffer):
            for n_steps in (1, 4):
                learner = chain_learner(replay_buffer_class=buffer_class, n_steps=n_steps)
                assert learner.n_steps == learner.replay_buffer.n_steps == n_steps
                assert learner.replay_buffer.gamma == GAMMA
    given = {"n_steps": 4, "gamma": 0.5}
    learner = chain_learner(**PRIORITIZED, **given, replay_buffer_kwargs=given)
    assert (learner.replay_buffer.n_steps, learner.replay_buffer.gamma) == (4, 0.5)


class OneStep(ReplayBuffer):
    """A buffer that takes no n_steps."""


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (
            {"n_steps": 3, "replay_buffer_class": OneStep},
            "n_steps=3 would be ignored by OneStep, which takes no `n_steps`: use agents.replay.P",
        ),
        ({"n_steps": 0}, "n_steps must be at least 1, got 0"),
        ({"gamma": 1.5}, "gamma must be in .0, 1., got 1.5"),
        ({"gamma": -0.1}, "gamma must be in .0, 1., got -0.1"),
        ({"gamma": float("nan"), **PRIORITIZED}, "gamma must be in .0, 1., got nan"),
        (
            {"n_steps": 3, "replay_buffer_kwargs": {"n_steps": 2}, **PRIORITIZED},
            "n_steps=3 contradicts replay_buffer_kwargs with n_steps=2",
        ),
        (
            {"n_steps": 3, "replay_buffer_kwargs": {"n_steps": 2}},
            "n_steps=3 contradicts replay_buffer_kwargs with n_steps=2",
        ),
        # The buffer's own would go before the learner's without a word.
        (
            {"replay_buffer_kwargs": {"n_steps": 4}, **PRIORITIZED},
            "n_steps=1 contradicts replay_buffer_kwargs with n_steps=4: give it to the learner",
        ),
        (
            {"replay_buffer_kwargs": {"gamma": 0.5}, **PRIORITIZED},
            "gamma=0.9 contradicts replay_buffer_kwargs with gamma=0.5: give it to the learner",
        ),
        (
            {"n_steps": 3, "replay_buffer_kwargs": {"gamma": 0.5}},
            "gamma=0.9 contradicts replay_buffer_kwargs with gamma=0.5",
        ),
        ({"optimize_memory_usage": True, **PRIORITIZED}, "needs optimize_memory_usage=False"),
    ],
)
def test_what_does_not_go_together_is_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        chain_learner(**kwargs)
    chain_learner(replay_buffer_class=OneStep)  # of one step, it is welcome


@pytest.mark.parametrize("n_steps", [1.5, 2.0, "3", None])
def test_steps_are_counted_in_integers(n_steps):
    for kwargs in ({}, PRIORITIZED):
        with pytest.raises(TypeError, match=f"n_steps must be an integer, got {n_steps!r}"):
            chain_learner(n_steps=n_steps, **kwargs)
    assert chain_learner(n_steps=np.int64(2)).n_steps == 2


class Dicts(gym.Env):
    observation_space = spaces.Dict({"a": spaces.Box(0, 1, (2,)), "b": spaces.Discrete(3)})
    action_space = spaces.Discrete(2)


def test_observations_of_several_arrays():
    message = "n_steps=3 needs a replay buffer that sums rewards, .* for plain observations only"
    for kwargs in ({}, PRIORITIZED, {"replay_buffer_class": NStepReplayBuffer}):
        with pytest.raises(ValueError, match=message):
            DuelingDQN("MultiInputPolicy", Dicts(), n_steps=3, **kwargs)
    for buffer_class in (PrioritizedReplayBuffer, NStepReplayBuffer, ReplayBuffer, OneStep):
        with pytest.raises(ValueError, match=r"stores observations as one array, .*Flatten"):
            DuelingDQN("MultiInputPolicy", Dicts(), replay_buffer_class=buffer_class)
    # As the messages say.
    flat = gym.wrappers.FlattenObservation(Dicts())
    DuelingDQN(env=flat, buffer_size=10, n_steps=3, **PRIORITIZED)


# --- Settings of a run ----------------------------------------------------------------------------


def test_each_setting_switches_one_thing():
    env = MusicRecEnv(encoding="codes")
    settings = replace(DuelingDQNSettings(), buffer_size=100, learning_rate=0.01)
    for dueling, prioritized, n_steps in itertools.product((True, False), (True, False), (1, 2)):
        learner = make_learner(
            replace(settings, dueling=dueling, prioritized=prioritized, n_steps=n_steps),
            env,
            seed=0,
        )
        assert isinstance(learner.q_net, DuelingQNetwork) is dueling
        assert isinstance(learner.replay_buffer, PrioritizedReplayBuffer) is prioritized
        assert getattr(learner.replay_buffer, "n_steps", 1) == n_steps
        extractor = learner.q_net.features_extractor
        assert type(extractor) is CodesExtractor
        assert learner.q_net.net_arch == [64]
    # The plain network: the same layers, and one output for each action behind them.
    sizes = [tuple(p.shape) for p in learner.q_net.q_net.parameters()]
    assert sizes == [(64, extractor.features_dim), (64,), (2, 64), (2,)]


def test_a_run_with_all_switches_is_trained_and_loaded(tmp_path):
    settings = replace(
        DuelingDQNSettings(), dueling=False, double=True, prioritized=True, n_steps=2, gamma=0.5
    )
    run = RunSettings("dueling-dqn", settings, tmp_path / "run", timesteps=640, progress_bar=False)
    train_run(run)
    chosen = read_json(tmp_path / "run" / "config.json")["hyperparameters"]
    assert (chosen["dueling"], chosen["prioritized"], chosen["n_steps"]) == (False, True, 2)
    learner = load_run(tmp_path / "run").learner
    assert type(learner.policy) is DQNPolicy and learner.double
    assert type(learner.replay_buffer) is PrioritizedReplayBuffer
    assert learner.replay_buffer.n_steps == 2 and learner.replay_buffer.gamma == 0.5
    with pytest.raises(ValueError, match="n_steps must be at least 1, got 0"):
        train_run(replace(run, learner=replace(settings, n_steps=0)))
