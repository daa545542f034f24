"""The adapter hands out, step by step, what DummyVecEnv of the same environments would."""

import copy
import functools
import pickle
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import batch_space
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecCheckNan,
    VecEnv,
    VecExtractDictObs,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
)

from agents.vec_env import GymVecEnv

torch.set_num_threads(1)

SAME_STEP, DISABLED = AutoresetMode.SAME_STEP, AutoresetMode.DISABLED
MODES = pytest.mark.parametrize("mode", [SAME_STEP, DISABLED], ids=lambda mode: mode.value)
MakeEnv = Callable[[], gym.Env[Any, Any]]


class Wander(gym.Env[dict[str, Any], int]):
    """Every kind of observation and of info, with random ends; at step 6 it is truncated."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 7}  # noqa: RUF012
    observation_space = spaces.Dict(
        {
            "place": spaces.Box(-np.inf, np.inf, (2,), np.float32),
            "side": spaces.Discrete(2),
            "bits": spaces.MultiBinary(3),
            "codes": spaces.MultiDiscrete([3, 4]),
        }
    )
    action_space: spaces.Space[Any] = spaces.Discrete(3)
    colour = "red"

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def _observation(self) -> dict[str, Any]:
        return {
            "place": np.full(2, self.place, dtype=np.float32),
            "side": int(self.place > 0),
            "bits": self.np_random.integers(2, size=3, dtype=np.int8),
            "codes": self.np_random.integers([3, 4]),
        }

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        super().reset(seed=seed)
        self.place = float((options or {}).get("place", self.np_random.normal()))
        self.steps = 0
        self.places = [self.place]
        return self._observation(), {"start": self.place, "by": {"seed": seed is not None}}

    def step(self, action: int) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        self.place += float(action) - 1 + self.np_random.normal()
        self.steps += 1
        self.places.append(self.place)
        info: dict[str, Any] = {
            "steps": self.steps,
            "name": f"step {self.steps}",
            "places": self.places,  # the same list in each step
            "row": np.array([self.place, 1.0]),
            "reward_terms": {"artist": self.place, "genre": int(action)},
            "_private": True,
        }
        if self.steps % 2:
            info["odd"] = np.float32(0.5)
        terminated = bool(self.np_random.random() < 0.2)
        return self._observation(), self.place / 3, terminated, self.steps == 6, info

    def render(self) -> Any:
        return np.full((4, 4, 3), self.steps, dtype=np.uint8)

    def add(self, a: int, *, b: int) -> int:
        return self.steps + a + b


class FloatProbability(gym.Wrapper[Any, Any, Any, Any]):
    """FrozenLake's reset says probability 1, an int: then a SyncVectorEnv's info holds ints."""

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        observation, info = super().reset(**kwargs)
        return observation, {"prob": float(info["prob"])}


ENVS: dict[str, MakeEnv] = {
    "Box": functools.partial(gym.make, "CartPole-v1", max_episode_steps=13),
    "Discrete": lambda: FloatProbability(gym.make("FrozenLake-v1", max_episode_steps=7)),
    "Dict": Wander,
}


def dummy(make_env: MakeEnv, n_envs: int) -> DummyVecEnv:
    return DummyVecEnv([lambda: Monitor(make_env())] * n_envs)


def adapter(
    make_env: MakeEnv, n_envs: int, mode: AutoresetMode, *, copy: bool = True, **kwargs: bool
) -> GymVecEnv:
    env: SyncVectorEnv[Any, Any] = SyncVectorEnv(
        [make_env] * n_envs, autoreset_mode=mode, copy=copy
    )
    return GymVecEnv(env, **kwargs)


def assert_same(actual: Any, expected: Any, where: str) -> None:
    """Compare nested dictionaries, lists and arrays; only an episode's clock time may differ."""
    if isinstance(expected, dict):
        assert isinstance(actual, dict), where
        assert actual.keys() == expected.keys(), where
        for key in expected.keys() - {"t"}:
            assert_same(actual[key], expected[key], f"{where}, {key}")
    elif isinstance(expected, list):
        assert len(actual) == len(expected), where
        for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
            assert_same(a, e, f"{where}, environment {i}")
    elif isinstance(expected, np.ndarray):
        assert isinstance(actual, np.ndarray), where
        assert actual.dtype == expected.dtype, where
        np.testing.assert_array_equal(actual, expected, err_msg=where)
    else:
        assert not isinstance(actual, np.ndarray), where
        assert isinstance(expected, np.generic) or not isinstance(actual, np.generic), where
        assert actual == expected, where


def play_both(actual: VecEnv, expected: VecEnv, n_steps: int, *, all_infos: bool) -> list[Any]:
    """Step both with the same actions, compare all they return; return the ended infos."""
    rng = np.random.default_rng(0)
    ended = []
    actual.seed(3)
    expected.seed(3)
    assert_same(actual.reset(), expected.reset(), "reset")
    assert_same(actual.reset_infos, expected.reset_infos, "reset")
    for step in range(n_steps):
        actions = rng.integers(expected.action_space.n, size=expected.num_envs)  # type: ignore[attr-defined]
        *arrays, infos = actual.step(actions)
        *expected_arrays, expected_infos = expected.step(actions)
        assert_same(arrays, expected_arrays, f"step {step}")
        dones = arrays[2]
        if not all_infos:
            expected_infos = [
                info if done else {} for info, done in zip(expected_infos, dones, strict=True)
            ]
        assert_same(infos, expected_infos, f"step {step}")
        assert_same(actual.reset_infos, expected.reset_infos, f"step {step}")
        ended += [info for info, done in zip(infos, dones, strict=True) if done]
    return ended


# --- The same as DummyVecEnv ----------------------------------------------------------------------


@MODES
@pytest.mark.parametrize("step_infos", [False, True])
@pytest.mark.parametrize("name", ENVS)
def test_equals_dummy_vec_env_step_by_step(
    name: str, step_infos: bool, mode: AutoresetMode
) -> None:
    actual = adapter(ENVS[name], 5, mode, step_infos=step_infos)
    expected = dummy(ENVS[name], 5)
    assert actual.observation_space == expected.observation_space
    assert actual.action_space == expected.action_space
    infos = play_both(actual, expected, 100, all_infos=step_infos)
    # Both kinds of end occurred, otherwise the comparison proves little.
    assert {info["TimeLimit.truncated"] for info in infos} == {False, True}
    assert all(info["episode"]["t"] >= 0 for info in infos)


def test_truncated_and_terminated_at_once_is_no_time_limit() -> None:
    infos = play_both(adapter(Wander, 5, SAME_STEP), dummy(Wander, 5), 100, all_infos=False)
    at_limit = {info["TimeLimit.truncated"] for info in infos if info["episode"]["l"] == 6}
    assert at_limit == {False, True}


def test_a_reset_in_mid_episode_begins_new_episodes_and_statistics() -> None:
    actual, expected = adapter(ENVS["Box"], 3, SAME_STEP), dummy(ENVS["Box"], 3)
    for vec_env in (actual, expected):
        vec_env.reset()
        for _ in range(5):
            assert not vec_env.step(np.array([0, 1, 0]))[2].any()
    play_both(actual, expected, 40, all_infos=False)


def test_episode_statistics_of_the_environment_itself_are_kept() -> None:
    def make_env() -> gym.Env[Any, Any]:
        return gym.wrappers.TransformReward(Monitor(ENVS["Box"]()), lambda reward: -float(reward))

    vec_env = adapter(make_env, 2, SAME_STEP)
    vec_env.reset()
    ended = [info for _ in range(30) for info in vec_env.step(np.array([0, 1]))[3] if info]
    assert ended
    for info in ended:
        assert info["episode"]["r"] == info["episode"]["l"]


WRAPPERS: dict[str, tuple[str, Callable[[VecEnv], VecEnv]]] = {
    "VecNormalize": ("Box", VecNormalize),
    "VecFrameStack": ("Box", lambda env: VecFrameStack(env, 3)),
    "VecCheckNan": ("Box", VecCheckNan),
    "VecExtractDictObs": ("Dict", lambda env: VecExtractDictObs(env, "place")),
}


@MODES
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers_of_sb3_work(wrapper: str, mode: AutoresetMode) -> None:
    name, wrap = WRAPPERS[wrapper]
    actual, expected = wrap(adapter(ENVS[name], 4, mode)), wrap(dummy(ENVS[name], 4))
    play_both(actual, expected, 60, all_infos=False)


def test_vec_monitor_says_that_the_statistics_are_there_already() -> None:
    with pytest.warns(UserWarning, match="already wrapped with a `Monitor`"):
        vec_env = VecMonitor(adapter(ENVS["Box"], 2, SAME_STEP))
    with pytest.warns(UserWarning, match="already wrapped with a `Monitor`"):
        expected = VecMonitor(dummy(ENVS["Box"], 2))
    play_both(vec_env, expected, 40, all_infos=False)


# --- Learning -------------------------------------------------------------------------------------


@MODES
def test_dqn_learns_the_same(mode: AutoresetMode) -> None:
    models = []
    for vec_env in (adapter(ENVS["Box"], 4, mode), dummy(ENVS["Box"], 4)):
        model = DQN(
            "MlpPolicy", vec_env, seed=1, buffer_size=2000, learning_starts=100, device="cpu"
        )
        models.append(model.learn(1200))
    actual, expected = models
    for name in ("observations", "next_observations", "actions", "rewards", "dones", "timeouts"):
        assert_same(
            getattr(actual.replay_buffer, name), getattr(expected.replay_buffer, name), name
        )
    assert expected.replay_buffer is not None
    assert expected.replay_buffer.timeouts.any()
    assert expected.ep_info_buffer is not None
    assert len(expected.ep_info_buffer) > 10
    assert_same(list(actual.ep_info_buffer or ()), list(expected.ep_info_buffer), "episodes")
    for name, tensor in expected.policy.state_dict().items():
        assert torch.equal(tensor, actual.policy.state_dict()[name]), name


def test_ppo_bootstraps_the_same_from_dict_observations() -> None:
    policies = []
    for vec_env in (adapter(Wander, 4, SAME_STEP), dummy(Wander, 4)):
        model = PPO("MultiInputPolicy", vec_env, n_steps=32, batch_size=32, seed=1, device="cpu")
        policies.append(model.learn(256).policy.state_dict())
    for name, tensor in policies[1].items():
        assert torch.equal(tensor, policies[0][name]), name


@MODES
def test_evaluate_policy_and_eval_callback(mode: AutoresetMode) -> None:
    model = DQN("MlpPolicy", adapter(ENVS["Box"], 3, mode), seed=0, device="cpu")
    results = []
    for vec_env in (adapter(ENVS["Box"], 3, mode), dummy(ENVS["Box"], 3)):
        vec_env.seed(5)
        results.append(evaluate_policy(model, vec_env, 10, return_episode_rewards=True))
    assert results[0] == results[1]

    callback = EvalCallback(
        adapter(ENVS["Box"], 2, mode), n_eval_episodes=4, eval_freq=20, verbose=0
    )
    model.learn(96, callback=callback)
    assert callback.n_calls == 32
    assert 8 <= callback.last_mean_reward <= 13


# --- Infos and observations -----------------------------------------------------------------------


def test_the_shared_info_is_read_only_and_its_copies_are_not() -> None:
    vec_env = adapter(ENVS["Box"], 2, SAME_STEP)
    vec_env.reset()
    first, second = vec_env.step(np.array([0, 1]))[3]
    assert first is second
    assert isinstance(first, dict)
    assert first == {}
    assert first.get("episode") is None
    assert first.pop("terminal_observation", None) is None

    def write(info: dict[str, Any]) -> None:
        info["key"] = 1

    def merge(info: dict[str, Any]) -> None:
        info |= {"key": 1}

    writes: list[Callable[[dict[str, Any]], object]] = [
        write,
        merge,
        lambda info: info.update(key=1),
        lambda info: info.setdefault("key", 1),
    ]
    for change in writes:
        with pytest.raises(TypeError, match=r"shared by all .* step_infos=True"):
            change(first)
        for own in (
            first.copy(),
            copy.copy(first),
            copy.deepcopy(first),
            pickle.loads(pickle.dumps(first)),
        ):
            change(own)
            assert own == {"key": 1}
    assert first == {}


@MODES
@pytest.mark.parametrize("step_infos", [False, True])
def test_nothing_handed_out_changes_later(mode: AutoresetMode, step_infos: bool) -> None:
    vec_env = adapter(Wander, 4, mode, copy=False, step_infos=step_infos)
    handed_out: list[Any] = [vec_env.reset()]
    snapshots = copy.deepcopy(handed_out)
    for _ in range(30):
        returned = list(vec_env.step(np.array([0, 1, 2, 1])))
        snapshots.append(copy.deepcopy(returned))
        handed_out.append(returned)
    for step, (now, then) in enumerate(zip(handed_out, snapshots, strict=True)):
        assert_same(now, then, f"step {step}")
    assert handed_out[-1][3] is not handed_out[-2][3]


# --- Native vector environments -------------------------------------------------------------------


class Clocks(VectorEnv[Any, Any, Any]):
    """Shows the step of the episode; environment i terminates after i + 2 steps. All batched."""

    def __init__(
        self,
        num_envs: int = 3,
        *,
        reuse: bool = False,
        final_obs: bool = True,
        as_dict: bool = False,
    ) -> None:
        self.num_envs, self.reuse, self.gives_final_obs = num_envs, reuse, final_obs
        self.as_dict = as_dict
        self.metadata = {"autoreset_mode": SAME_STEP}
        self.single_observation_space = spaces.Box(0, np.inf, (1,), np.float32)
        if as_dict:
            self.single_observation_space = spaces.Dict({"step": self.single_observation_space})
        self.single_action_space = spaces.Discrete(2)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.steps = np.zeros((num_envs, 1), dtype=np.float32)
        self.calls = 0

    def _observation(self) -> Any:
        steps = self.steps if self.reuse else self.steps.copy()
        return {"step": steps} if self.as_dict else steps

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        self.seed = seed
        self.steps[:] = 0
        return self._observation(), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        self.steps += 1
        terminated = self.steps[:, 0] == np.arange(self.num_envs) + 2
        final = self._observation() if not self.reuse else self.steps.copy()
        self.steps[terminated] = 0
        info = {"final_obs": final} if self.gives_final_obs else {}
        return (
            self._observation(),
            np.ones(self.num_envs),
            terminated,
            np.zeros_like(terminated),
            info,
        )

    def count(self, by: int) -> int:
        self.calls += by
        return self.calls


@pytest.mark.parametrize("as_dict", [False, True])
@pytest.mark.parametrize("step_infos", [False, True])
def test_a_native_environment_with_batched_final_observations(
    as_dict: bool, step_infos: bool
) -> None:
    vec_env = GymVecEnv(Clocks(as_dict=as_dict), step_infos=step_infos)
    vec_env.reset()
    ends = []
    for step in range(1, 13):
        observations, _, _, infos = vec_env.step(np.zeros(3))
        rows = observations["step"] if isinstance(observations, dict) else observations
        np.testing.assert_array_equal(rows, [[step % 2], [step % 3], [step % 4]], err_msg=str(step))
        for i, info in enumerate(infos):
            if "episode" not in info:
                assert info == ({"TimeLimit.truncated": False} if step_infos else {})
                continue
            last = np.array([i + 2], dtype=np.float32)
            assert_same(
                info,
                {
                    "terminal_observation": {"step": last} if as_dict else last,
                    "TimeLimit.truncated": False,
                    "episode": {"r": i + 2.0, "l": i + 2, "t": 0.0},
                },
                f"step {step}",
            )
            ends.append((step, i))
    assert ends == [(s, i) for s in range(1, 13) for i in range(3) if s % (i + 2) == 0]


def test_a_native_environment_that_reuses_its_array_needs_copies() -> None:
    vec_env = GymVecEnv(Clocks(reuse=True), copy_observations=True)
    first = vec_env.reset()
    vec_env.step(np.zeros(3))
    np.testing.assert_array_equal(first, np.zeros((3, 1)))


def test_observations_of_others_are_not_copied() -> None:
    env = Clocks(reuse=True)
    assert GymVecEnv(env).reset() is env.steps


def test_final_observations_must_be_there() -> None:
    vec_env = GymVecEnv(Clocks(final_obs=False))
    vec_env.reset()
    vec_env.step(np.zeros(3))
    with pytest.raises(RuntimeError, match=r"environments \[0\] without final_obs"):
        vec_env.step(np.zeros(3))


def test_attributes_and_methods_of_a_native_environment() -> None:
    clocks = Clocks()
    wrapped: VectorEnv[Any, Any, Any] = gym.wrappers.vector.RecordEpisodeStatistics(clocks)
    vec_env = GymVecEnv(wrapped)
    assert vec_env.get_attr("calls") == [0, 0, 0]
    assert vec_env.get_attr("calls", indices=[2]) == [0]
    assert vec_env.get_attr("episode_count", indices=1) == [0]  # of the wrapper
    assert not vec_env.has_attr("absent")
    assert vec_env.env_method("count", by=2) == [2, 2, 2]
    assert clocks.calls == 2  # once
    vec_env.set_attr("calls", 7)
    assert vec_env.get_attr("calls") == [7, 7, 7]
    assert clocks.calls == 7
    assert vec_env.env_is_wrapped(Monitor) == [True] * 3
    assert vec_env.env_is_wrapped(gym.wrappers.TimeLimit, indices=0) == [False]
    with pytest.raises(ValueError, match=r"one by one: expected indices=None, got 0"):
        vec_env.env_method("count", 1, indices=0)
    with pytest.raises(ValueError, match=r"one by one: expected indices=None, got \[1\]"):
        vec_env.set_attr("calls", 1, indices=[1])
    vec_env.seed(11)
    vec_env.reset()
    assert clocks.seed == 11
    vec_env.reset()
    assert clocks.seed is None
    vec_env.close()
    assert clocks.closed


# --- Sub-environments -----------------------------------------------------------------------------


@MODES
def test_seeds_and_options_are_used_once(mode: AutoresetMode) -> None:
    vec_env = adapter(Wander, 3, mode)
    assert vec_env.seed(40) == [40, 41, 42]
    vec_env.set_options({"place": 2.5})
    assert vec_env.reset()["side"].tolist() == [1, 1, 1]  # type: ignore[call-overload]
    assert [info["start"] for info in vec_env.reset_infos] == [2.5] * 3
    assert vec_env.get_attr("np_random_seed") == [40, 41, 42]
    assert all(info["by"]["seed"] for info in vec_env.reset_infos)
    vec_env.reset()
    starts = [info["start"] for info in vec_env.reset_infos]
    assert len(set(starts)) == 3
    assert not any(info["by"]["seed"] for info in vec_env.reset_infos)

    vec_env.set_options([{"place": 1.5}] * 3)
    vec_env.reset()
    assert [info["start"] for info in vec_env.reset_infos] == [1.5] * 3
    with pytest.raises(ValueError, match="the same reset options for all environments"):
        vec_env.set_options([{"place": 1.0}, {"place": 1.0}, {"place": 2.0}])


def test_attributes_and_methods_of_sub_environments() -> None:
    vec_env = adapter(lambda: gym.wrappers.TimeLimit(Wander(), 99), 3, SAME_STEP)
    vec_env.reset()
    assert vec_env.get_attr("colour") == ["red"] * 3
    vec_env.set_attr("colour", "blue", indices=[0, 2])
    assert vec_env.get_attr("colour") == ["blue", "red", "blue"]
    assert vec_env.has_attr("add")
    assert not vec_env.has_attr("absent")
    vec_env.set_attr("steps", 10, indices=1)
    assert vec_env.env_method("add", 1, b=2) == [3, 13, 3]
    assert vec_env.env_method("add", 1, b=2, indices=1) == [13]
    assert vec_env.env_is_wrapped(gym.wrappers.TimeLimit) == [True] * 3
    assert vec_env.env_is_wrapped(gym.wrappers.OrderEnforcing, indices=[1]) == [False]
    vec_env.close()
    assert vec_env.env.closed


def test_rendering() -> None:
    vec_env = adapter(lambda: Wander("rgb_array"), 4, SAME_STEP)
    assert vec_env.render_mode == "rgb_array"
    frames_per_second: Any = vec_env.metadata["render_fps"]
    assert frames_per_second == 7
    vec_env.reset()
    vec_env.set_attr("steps", 5, indices=3)
    images = vec_env.get_images()
    assert [int(image[0, 0, 0]) for image in images if image is not None] == [0, 0, 0, 5]
    picture = vec_env.render()
    assert picture is not None
    assert picture.shape == (8, 8, 3)
    assert adapter(Wander, 2, SAME_STEP).get_images() == [None, None]


@MODES
def test_worker_processes(mode: AutoresetMode) -> None:
    env: AsyncVectorEnv[Any, Any] = AsyncVectorEnv(
        [ENVS["Box"]] * 2, autoreset_mode=mode, context="spawn", copy=False
    )
    vec_env = GymVecEnv(env)
    try:
        play_both(vec_env, dummy(ENVS["Box"], 2), 30, all_infos=False)
        assert vec_env.get_attr("gravity", indices=[1]) == [9.8]
        assert not vec_env.has_attr("absent")  # and the workers survive the question
        vec_env.set_attr("gravity", 1.6)
        assert vec_env.get_attr("gravity") == [1.6, 1.6]
        assert vec_env.env_method("has_wrapper_attr", "gravity") == [True, True]
        assert vec_env.env_is_wrapped(Monitor) == [True, True]
        with pytest.raises(ValueError, match="one by one"):
            vec_env.set_attr("gravity", 1.0, indices=0)
    finally:
        vec_env.close()


# --- Refusals -------------------------------------------------------------------------------------


def test_next_step_autoreset_is_refused_and_the_advice_works() -> None:
    native = gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="vector_entry_point")
    sync = gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="sync")
    for env in (native, sync):
        with pytest.raises(
            ValueError, match=r"NEXT_STEP.* a bogus one an episode.*vectorization_mode=\"sync\""
        ) as error:
            GymVecEnv(env)
    advice = str(error.value)
    start = advice.index("gymnasium.make_vec(")
    expression = advice[start : advice.index(";", start)]
    assert expression == (
        'gymnasium.make_vec(id, num_envs=n, vectorization_mode="sync", '
        'vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP})'
    )
    env = gym.make_vec(
        "CartPole-v1",
        num_envs=2,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
    )
    vec_env = GymVecEnv(env)
    assert vec_env.spec is not None
    assert vec_env.spec.id == "CartPole-v1"


@pytest.mark.parametrize("metadata", [{}, {"autoreset_mode": "SameStep"}])
def test_an_unknown_autoreset_mode_is_refused(metadata: dict[str, Any]) -> None:
    env = Clocks()
    env.metadata = metadata
    with pytest.raises(ValueError, match=r"expected an AutoresetMode.*Make it with"):
        GymVecEnv(env)


def test_other_environments_and_spaces_are_refused() -> None:
    with pytest.raises(TypeError, match=r"expected a gymnasium\.vector\.VectorEnv, got .*Wander"):
        GymVecEnv(Wander())  # type: ignore[arg-type]
    plain = spaces.Discrete(2)
    for space in (spaces.Tuple([plain]), spaces.Dict(a=spaces.Dict(b=plain)), spaces.Text(3)):
        env = Clocks()
        env.single_observation_space = space
        with pytest.raises(TypeError, match="which Stable-Baselines3 cannot use"):
            GymVecEnv(env)
    env = Clocks()
    env.single_action_space = spaces.Dict(a=plain)
    with pytest.raises(TypeError, match=r"Dict.*which Stable-Baselines3 cannot use"):
        GymVecEnv(env)
