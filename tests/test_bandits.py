"""The contextual-bandit baselines against independent answers on tiny problems."""

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy

from agents import GymVecEnv
from agents.bandit_features import CodesFeatures
from agents.evaluation import catalogue_figures, learner_policy
from agents.linear_bandits import LinearThompson, LinUCB
from agents.logistic_regression import OnlineLogisticRegression
from agents.model_file import ModelFileError, read_model, write_model
from agents.vowpal_wabbit import VowpalWabbit
from music_env import encode
from tests.conftest import SIX_LISTENER, SIX_SCORES

LEARNERS = (VowpalWabbit, LinUCB, LinearThompson, OnlineLogisticRegression)
SMALL = {LinUCB: {"batch_size": 8, "danceability_bins": 10}} | {
    LinearThompson: {"batch_size": 8, "danceability_bins": 10}
}


def make_env(catalogue, n_envs=1, *, session_length=6, **arguments):
    return GymVecEnv(
        gym.make_vec(
            "MusicRec-v0",
            num_envs=n_envs,
            vectorization_mode="vector_entry_point",
            autoreset_mode="SameStep",
            **{"encoding": "codes", "catalogue": catalogue, "session_length": session_length}
            | arguments,
        )
    )


def make(cls, catalogue, n_envs=1, *, seed=0, **arguments):
    env = make_env(catalogue, n_envs, **SIX_LISTENER)
    return cls(env, seed=seed, **{**SMALL.get(cls, {}), **arguments})


class Transitions(BaseCallback):
    """Keeps what the learner saw."""

    def __init__(self):
        super().__init__()
        self.observations, self.actions, self.rewards = [], [], []

    def _on_step(self):
        self.observations.append(self.locals["observations"].copy())
        self.actions.append(self.locals["actions"].copy())
        self.rewards.append(self.locals["rewards"].copy())
        return True

    def joined(self):
        return tuple(map(np.concatenate, (self.observations, self.actions, self.rewards)))


# --- Features -------------------------------------------------------------------------------------


def test_features_by_hand(six):
    encoded = encode(six, "codes")
    features = CodesFeatures(encoded.space, danceability_bins=(10,))
    rows = encoded.rows.take(np.arange(6))
    # danceability; 10 bins; genres pop, rock; artists A, B, C; constant
    expected = np.zeros((6, 1 + 10 + 2 + 3 + 1))
    expected[:, -1] = 1
    tracks = [
        (0.4, 4, [1], [0]),
        (0.6, 6, [0], [0, 1]),
        (0.61, 6, [0, 1], [1]),
        (0.5, 5, [0], [1]),
        (0.0, 0, [], [2]),
        (1.0, 9, [1], [2, 0]),
    ]
    for row, (danceability, place, genres, artists) in zip(expected, tracks, strict=True):
        row[0] = np.float32(danceability)
        row[1 + place] = 1
        row[[11 + genre for genre in genres]] = 1
        row[[13 + artist for artist in artists]] = 1
    np.testing.assert_array_equal(features.dense(rows), expected)
    np.testing.assert_array_equal(features.sparse(rows).toarray(), expected)


def test_a_large_vocabulary_is_hashed_as_documented():
    high = np.array([1, 1000, 1000], dtype=np.float32)
    space = spaces.Box(np.zeros(3, dtype=np.float32), high)
    features = CodesFeatures(space, max_columns=64)
    codes = np.arange(1, 1001)
    rows = np.stack([np.full(1000, 0.5), codes, np.zeros(1000)], axis=1).astype(np.float32)
    dense = features.dense(rows)
    assert dense.shape == (1000, 1 + 64 + 1)
    expected = [(2654435769 * int(code)) % 2**32 * 64 // 2**32 for code in codes]
    np.testing.assert_array_equal(dense[:, 1:-1].argmax(axis=1), expected)
    assert (dense[:, 1:-1].sum(axis=1) == 1).all()
    assert np.bincount(expected).max() <= 20  # 15.6 a column: spread evenly
    twice = np.array([[0.5, 5, 5]], dtype=np.float32)  # meets itself: still a one
    np.testing.assert_array_equal(features.sparse(twice).toarray(), features.dense(twice))
    assert features.dense(twice).max() == 1


@pytest.mark.parametrize("encoding", ["one-hot", "hash", "profile"])
def test_other_encodings_are_refused_with_a_reason(six, encoding):
    env = make_env(six, encoding=encoding)
    with pytest.raises(ValueError, match=r"make the environment with encoding='codes'"):
        VowpalWabbit(env)


# --- Against independent answers ------------------------------------------------------------------


@pytest.mark.parametrize("n_envs", [1, 3])
@pytest.mark.parametrize("cls", [LinUCB, LinearThompson])
def test_linear_estimates_are_ridge_regression(six, cls, n_envs):
    learner, seen = make(cls, six, n_envs, l2_lambda=0.5), Transitions()
    learner.learn(48, callback=seen)
    observations, actions, rewards = seen.joined()
    # Batches of 8 steps, or of 9 with three environments: what is beyond the last is not learnt.
    learnt = 48 if n_envs == 1 else 45
    x = CodesFeatures(learner.observation_space, danceability_bins=(10,)).dense(observations)
    every = encode(six, "codes").rows.take(np.arange(6))
    for action in (0, 1):
        own = actions[:learnt] == action
        assert own.sum() > 3
        xa, ya = x[:learnt][own], rewards[:learnt][own].astype(np.float64)
        weights = np.linalg.solve(xa.T @ xa + 0.5 * np.eye(x.shape[1]), xa.T @ ya)
        expected = learner.features.dense(every) @ weights
        np.testing.assert_allclose(learner.q_values(every)[:, action], expected, atol=1e-9)


def test_linucb_takes_the_highest_upper_confidence_bound(six):
    learner, seen = make(LinUCB, six, alpha=2.0), Transitions()
    learner.learn(80, callback=seen)
    observations, actions, rewards = seen.joined()
    x, d = learner.features.dense(observations), learner.features.n_features
    for step in range(8, 80):
        learnt = step // 8 * 8
        bounds = []
        for action in (0, 1):
            own = actions[:learnt] == action
            inverse = np.linalg.inv(x[:learnt][own].T @ x[:learnt][own] + 0.1 * np.eye(d))
            mean = x[step] @ inverse @ x[:learnt][own].T @ rewards[:learnt][own]
            bounds.append(mean + 2.0 * np.sqrt(x[step] @ inverse @ x[step]))
        assert actions[step] == np.argmax(bounds), f"step {step}: {bounds}"


def test_thompson_sampling_draws_as_mabwiser_does(six):
    learner = make(LinearThompson, six, alpha=1.5)
    learner.learn(16)
    row = encode(six, "codes").rows.take(np.array([2]))
    n = 4_000
    ours = learner.predict(np.repeat(row, n, axis=0))[0].mean()
    contexts = learner.features.dense(np.repeat(row, n, axis=0))
    theirs = np.mean(learner._mab.predict(contexts))
    assert 0.05 < theirs < 0.95
    assert abs(ours - theirs) < 4 * np.sqrt(0.5 / n)  # four standard errors of the difference


def test_logistic_regression_is_scikit_learns(six):
    from sklearn.linear_model import LogisticRegression

    learner, seen = make(OnlineLogisticRegression, six, first_fit=60, epsilon=0.3), Transitions()
    learner.learn(60, callback=seen)  # the only fit is at the end
    observations, actions, rewards = seen.joined()
    every = encode(six, "codes").rows.take(np.arange(6))
    x, new = learner.features.dense(observations), learner.features.dense(every)
    for action in (0, 1):
        own = actions == action
        model = LogisticRegression(C=10.0, max_iter=1000).fit(
            x[own], rewards[own] > 0, np.abs(rewards[own])
        )
        expected = (2 * model.predict_proba(new)[:, 1] - 1) * np.abs(rewards[own]).mean()
        np.testing.assert_allclose(learner.q_values(every)[:, action], expected, atol=2e-3)


def test_logistic_regression_of_one_class(six):
    # Every dislike of a track that deserves it is right: nothing to tell apart.
    learner = make(OnlineLogisticRegression, six, first_fit=3)
    row = encode(six, "codes").rows.take(np.array([4, 4, 4]))
    learner._update(row, np.zeros(3, dtype=np.int64), np.full(3, 3.0, dtype=np.float32), None)
    p = 4 / 5  # (3 + 1) / (3 + 2)
    np.testing.assert_allclose(learner.q_values(row[:1]), [[(2 * p - 1) * 3, 0]])


@pytest.mark.parametrize("bins", [None, 10, (5, 10)])
def test_vowpal_wabbit_learns_a_separable_listener(six, bins):
    # Without danceability in the preference the plain number does, too.
    listener = {"artist": "A", "genre": "rock", "danceability": (0.4, 0.6) if bins else None}
    learner = VowpalWabbit(make_env(six, **listener), danceability_bins=bins, seed=0)
    scores = learner.env.env.unwrapped.scores
    learner.learn(600)
    every = encode(six, "codes").rows.take(np.arange(6))
    likes = learner.predict(every, deterministic=True)[0] == 1
    decided = scores != 0
    np.testing.assert_array_equal(likes[decided], scores[decided] > 0)


def test_vowpal_wabbits_values_are_those_of_cb_explore(six):
    """The usual command line learns from the same transitions to the same preference."""
    from vowpalwabbit import Workspace

    learner = make(VowpalWabbit, six, epsilon=0.2, danceability_bins=10)
    usual = Workspace("--cb_explore 2 --epsilon 0.2 --interactions :: --quiet")
    every = encode(six, "codes").rows.take(np.arange(6))

    def text(track):
        genres, artists = six.genres.of(track), six.artists.of(track)
        place = min(int(six.danceability[track] * 10 + 1e-6), 9)
        return (
            f"|a {' '.join('c' + name for name in artists)} "
            f"|b {' '.join('c' + name for name in genres)} |d b{place}"
        )

    generator = np.random.default_rng(1)
    for _ in range(400):
        track = int(generator.integers(6))
        actions, chosen = learner._choose(every[[track]])
        ((_, probability),) = chosen
        (greedy,) = learner.predict(every[[track]], deterministic=True)[0]
        assert probability == pytest.approx(0.9 if actions[0] == greedy else 0.1) or (
            probability == pytest.approx(0.5)
        )
        reward = SIX_SCORES[track] * (1 if actions[0] else -1)
        learner._update(every[[track]], actions, np.array([reward], dtype=np.float32), chosen)
        usual.learn(f"{1 + actions[0]}:{-reward}:{probability} {text(track)}")
    theirs = [usual.predict(text(track))[1] > 0.5 for track in range(6)]
    values = learner.q_values(every)
    assert ((values[:, 1] > values[:, 0]) == theirs).all()
    assert theirs == [score > 0 for score in SIX_SCORES]
    # The values are the rewards.
    np.testing.assert_allclose(values[:, 1], SIX_SCORES, atol=0.5)
    np.testing.assert_allclose(values[:, 0], np.negative(SIX_SCORES), atol=0.5)


@pytest.mark.parametrize("cls", LEARNERS)
def test_no_transition_is_mirrored(six, cls):
    """What an action earned says nothing of the other one."""
    learner = make(cls, six, **({"first_fit": 8} if cls is OnlineLogisticRegression else {}))
    every = encode(six, "codes").rows.take(np.arange(6))
    for _ in range(3):
        rows = np.repeat(every[[0]], 8, axis=0)
        _, chosen = learner._choose(rows)
        chosen = None if cls in (LinUCB, LinearThompson) else chosen
        rewards = np.full(8, -3, dtype=np.float32)
        learner._update(rows, np.zeros(8, dtype=np.int64), rewards, chosen)
    values = learner.q_values(every[[0]])
    assert values[0, 0] < -0.5
    assert values[0, 1] == 0


# --- The interface --------------------------------------------------------------------------------


@pytest.mark.parametrize("n_envs", [1, 4])
@pytest.mark.parametrize("cls", LEARNERS)
def test_a_seed_decides_everything(six, cls, n_envs):
    def actions(seed):
        np.random.seed(seed + 7)  # noqa: NPY002
        seen = Transitions()
        make(cls, six, n_envs, seed=seed).learn(120, callback=seen)
        return seen.joined()

    first, again, other = actions(0), actions(0), actions(1)
    for name, one, two in zip(("observations", "actions", "rewards"), first, again, strict=True):
        np.testing.assert_array_equal(one, two, err_msg=name)
    assert not np.array_equal(first[1], other[1])


@pytest.mark.parametrize("cls", LEARNERS)
def test_interface(six, cls):
    learner = make(cls, six, 2)
    every = encode(six, "codes").rows.take(np.arange(6))
    untrained = learner.q_values(every)
    assert untrained.shape == (6, 2) and not untrained.any()
    draws = learner.predict(np.repeat(every, 100, axis=0))[0]
    assert 0.4 < draws.mean() < 0.6  # it knows nothing: a fair coin

    class Stop(BaseCallback):
        def _on_step(self):
            return self.num_timesteps < 40

    assert learner.learn(1_000, callback=Stop()) is learner
    assert learner.num_timesteps == 40
    assert learner.learn(60, reset_num_timesteps=False).num_timesteps == 100
    values = learner.q_values(every)
    assert values.dtype == np.float64 and values.any()
    actions, state = learner.predict(every, deterministic=True)
    np.testing.assert_array_equal(actions, values.argmax(axis=1))
    assert state is None
    one, _ = learner.predict(every[3], deterministic=True)
    assert one.shape == () and one == actions[3]
    np.testing.assert_array_equal(learner.q_values(every[3]), values[3:4])
    assert learner.get_parameters() == {}
    mean, _ = evaluate_policy(learner, make_env(six, **SIX_LISTENER), n_eval_episodes=2)
    assert -10 <= mean <= 10


@pytest.mark.parametrize("cls", LEARNERS)
def test_a_saved_learner_goes_on_as_it_was(six, cls, tmp_path):
    learner = make(cls, six, 2)
    learner.learn(102)  # in the middle of a batch
    learner.save(tmp_path / "model")
    every = encode(six, "codes").rows.take(np.arange(6))
    loaded = cls.load(tmp_path / "model", env=make_env(six, 2, **SIX_LISTENER))
    np.testing.assert_array_equal(loaded.q_values(every), learner.q_values(every))
    assert loaded.num_timesteps == 102

    # From here on the same transitions teach both the same.
    def go_on(model):
        for _ in range(20):
            actions, chosen = model._choose(every)
            rewards = np.where(actions, SIX_SCORES, np.negative(SIX_SCORES)).astype(np.float32)
            model._update(every, actions, rewards, chosen)
        return actions, model.q_values(every)

    for one, two in zip(go_on(learner), go_on(loaded), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-9)
    loaded.learn(20)
    alone = cls.load(tmp_path / "model")
    assert alone.predict(every[0], deterministic=True)[0] in (0, 1)
    with pytest.raises(ValueError, match="an environment is missing"):
        alone.learn(10)


@pytest.mark.parametrize("cls", LEARNERS)
def test_a_damaged_file_is_refused(six, cls, tmp_path):
    learner = make(cls, six).learn(100)
    path = tmp_path / "model.safetensors"
    learner.save(path)
    file = read_model(path)
    broken = {name: tensor[:1] if tensor.ndim else tensor for name, tensor in file.tensors.items()}
    write_model(path, algorithm=cls.__name__, config=file.config, tensors=broken)
    with pytest.raises(ModelFileError, match=f"is not a whole {cls.__name__}"):
        cls.load(path)


def test_a_vowpal_wabbit_model_with_a_command_line_of_its_own_is_refused(six, tmp_path):
    from vowpalwabbit import Workspace

    make(VowpalWabbit, six).learn(30).save(tmp_path / "model")
    file = read_model(tmp_path / "model")
    foreign = Workspace(f"--cb_explore 2 --quiet --final_regressor {tmp_path / 'out'}")
    foreign.save(str(tmp_path / "foreign.vw"))
    content = np.frombuffer((tmp_path / "foreign.vw").read_bytes(), dtype=np.uint8)
    tensors = {**file.tensors, "vowpal_wabbit": content}
    write_model(tmp_path / "model", algorithm="VowpalWabbit", config=file.config, tensors=tensors)
    with pytest.raises(ModelFileError, match="of another version or has other arguments"):
        VowpalWabbit.load(tmp_path / "model")


def test_errors_say_what_is_wrong(six):
    env = make_env(six, **SIX_LISTENER)
    with pytest.raises(ValueError, match=r"an environment is missing: LinUCB\(env=\.\.\.\)"):
        LinUCB()
    with pytest.raises(ValueError, match="epsilon must be a number from 0 to 1, got 2"):
        VowpalWabbit(env, epsilon=2)
    with pytest.raises(ValueError, match="alpha must be a number of at least 0, got -1"):
        LinUCB(env, alpha=-1)
    with pytest.raises(ValueError, match="danceability_bins must be whole numbers"):
        LinUCB(env, danceability_bins=(20, 0))
    with pytest.raises(ValueError, match=r"expected an observation of shape \(5,\) or \(n, 5\)"):
        VowpalWabbit(env).predict(np.zeros(3))
    with pytest.raises(ValueError, match="takes neither `exclude` nor `include`"):
        VowpalWabbit(env).save("x", include=["y"])


@pytest.mark.parametrize(
    ("cls", "library"),
    [
        (VowpalWabbit, "vowpalwabbit"),
        (LinUCB, "mabwiser"),
        (LinearThompson, "mabwiser"),
        (OnlineLogisticRegression, "sklearn"),
    ],
)
def test_a_missing_library_names_the_extra(six, cls, library, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    message = rf"{cls.__name__} needs {library}, .*pip install 'musicrec\[baselines\]'"
    with pytest.raises(ImportError, match=message):
        make(cls, six)


def test_importing_agents_loads_no_library_of_the_baselines():
    code = (
        "import sys, agents, agents.vowpal_wabbit, agents.linear_bandits\n"
        "import agents.logistic_regression\n"
        "print({'vowpalwabbit', 'mabwiser', 'sklearn'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.slow
@pytest.mark.parametrize("cls", LEARNERS)
def test_beats_always_dislike_on_the_embedded_catalogue(embedded, cls):
    env = make_env(embedded, 16, session_length=100)
    # Fewer columns for 2,758 artists: half the time, and good enough here.
    fewer = {"max_columns": 256} if cls in (LinUCB, LinearThompson) else {}
    learner = cls(env, seed=0, **fewer).learn(1_600)
    tables = env.env.unwrapped.tables
    figures = catalogue_figures(learner_policy("learner", learner, tables), tables)
    assert figures["balanced_accuracy"] > 0.9  # always-dislike: 0.5
    assert figures["relative_regret"] < 0.05  # always-dislike: 0.09
