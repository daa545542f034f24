"""MusicRecSlate-v0: by hand, as SyncVectorEnv bit for bit, masks, states, views, checkers."""

from __future__ import annotations

import json
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import SIX_LISTENER
from gymnasium.utils.env_checker import check_env as check_env_gymnasium
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from sb3_contrib.common.maskable.utils import get_action_masks
from stable_baselines3.common.env_checker import check_env as check_env_sb3
from test_session import GENRES
from test_vector_env import _assert_same_step

from agents.codes_space import CodesColumns
from agents.planning import MyopicOracle, Planner
from music_env import PRESETS, Catalogue, MusicRecSlateEnv, MusicRecSlateVectorEnv
from music_env.slate_observation import SLATE_ENCODINGS

ENV_ID = "MusicRecSlate-v0"
SIX: dict[str, Any] = {**SIX_LISTENER, "taste": 0.0, "enjoyed_share": None, "session_length": 6}


def test_before_the_first_reset_nothing_is_offered(six: Catalogue) -> None:
    arguments: dict[str, Any] = {"catalogue": six, "encoding": "summary", **SIX}
    for env_id, what in (("MusicRecSession-v0", "track"), (ENV_ID, "slate")):
        slate = {"slate_size": 3} if what == "slate" else {}
        for env in (
            gym.make(env_id, **arguments, **slate).unwrapped,
            gym.make_vec(env_id, num_envs=2, **arguments, **slate),
        ):
            calls = [env.offers, MyopicOracle(env).predict, Planner(env, levels=8).predict]
            if what == "slate":
                calls.append(env.action_masks)
            for call in calls:
                with pytest.raises(gym.error.ResetNeeded, match=f"no {what} is shown: call reset"):
                    call()
            env.reset(seed=0)
            for call in calls:
                call()


@pytest.mark.parametrize("preset", PRESETS)
def test_sessions_by_hand(six: Catalogue, preset: str) -> None:
    env = MusicRecSlateEnv(catalogue=six, preset=preset, encoding="summary", slate_size=3, **SIX)
    effects, generator, ends = PRESETS[preset], np.random.default_rng(0), set()
    layout, masked_once = env.encoded.layout, False
    assert env.encoded.columns[:6] == (
        "satiation pop",
        "satiation rock",
        "satiation pool",
        "patience",
        "left",
        "1 fresh",
    )
    for session in range(30):
        observation, info = env.reset(seed=4 if session == 0 else None)
        level, patience, total = {"rock": 0.0, "pop": 0.0}, 1.0, 0.0
        played: list[int] = []
        masked_choices = 0
        top = env.encoded.top
        for step in range(6):
            candidates = info["candidates"].tolist()
            assert len(set(candidates)) == 3 and info["candidates"].dtype == np.int64
            is_played = [track in played for track in candidates]
            assert info["action_mask"].tolist() == [1, *(1 - np.array(is_played))]
            assert info["action_mask"].dtype == np.int8
            np.testing.assert_array_equal(env.action_masks(), info["action_mask"] == 1)
            satiation = [
                sum(level[g] for g in GENRES[t]) / max(1, len(GENRES[t])) for t in range(6)
            ]
            expected = [level["pop"] / top, level["rock"] / top, np.mean(satiation) / top]
            expected += [patience, 1 - step / 6]
            for track, mask in zip(candidates, is_played, strict=True):
                satiates = sum(
                    len({*GENRES[track]} & {*GENRES[other]}) / max(1, len(GENRES[other]))
                    for other in range(6)
                )
                expected += [env.scores[track], satiates / 6, satiation[track] / top, mask]
            np.testing.assert_allclose(observation, expected, rtol=1e-6)
            rows = observation[layout.rows]
            np.testing.assert_array_equal(rows[:, 0], env.scores[candidates].astype(np.float32))
            np.testing.assert_array_equal(rows[:, 4:], np.tile(observation[layout.state], (3, 1)))
            np.testing.assert_array_equal(observation[layout.played_columns], is_played)

            action = int(generator.integers(4))
            track = candidates[action - 1] if action else -1
            masked = action > 0 and track in played
            observation, reward, terminated, truncated, info = env.step(action)
            assert info["masked"] is masked
            masked_choices += masked
            if action and not masked:
                played.append(track)
                enjoyment = env.scores[track] - effects.satiation * satiation[track]
                assert info["track_index"] == track and info["track_id"] == f"t{track}"
                assert info["score"] == env.scores[track]
                patience += effects.patience * (enjoyment - 1)
            else:
                enjoyment, track = 0.0, -1
                assert (info["track_index"], info["track_id"], info["score"]) == (-1, "", 0)
                patience -= effects.patience * 0.1
            patience = min(1.0, max(0.0, patience))
            assert reward == info["enjoyment"] == pytest.approx(enjoyment)
            assert type(reward) is float and sum(info["reward_terms"].values()) == reward
            assert info["patience"] == pytest.approx(patience)
            for genre in level:
                level[genre] = effects.decay * (
                    level[genre] + (track >= 0 and genre in GENRES[track])
                )
            total += reward
            assert not truncated and type(terminated) is bool
            if terminated:
                break
        assert info["episode_return"] == pytest.approx(total)
        assert info["plays"] == len(played) and info["masked_choices"] == masked_choices
        assert info["has_left"] or step == 5
        ends.add(step)
        masked_once |= masked_choices > 0
        with pytest.raises(gym.error.ResetNeeded, match="no slate is shown"):
            env.step(0)
    assert masked_once and (len(ends) > 1) == (effects.patience > 0)


def test_slates_are_drawn_from_the_pool_anew_whatever_is_played() -> None:
    env = MusicRecSlateVectorEnv(300, preset="static", session_length=20)
    other = MusicRecSlateVectorEnv(300, preset="static", session_length=20)
    slates = [env.reset(seed=3)[1]["candidates"]]
    other.reset(seed=3)
    for step in range(19):
        info = env.step(np.full(300, step % 11))[-1]
        np.testing.assert_array_equal(
            other.step(np.zeros(300, dtype=int))[-1]["candidates"], info["candidates"]
        )
        slates.append(info["candidates"])
    offered = np.stack(slates)  # (steps, envs, candidates)
    pool = env.tracks
    assert np.isin(offered, pool).all()
    assert all(len(set(slate)) == 10 for slate in offered.reshape(-1, 10)[:500].tolist())
    counts = np.bincount(np.searchsorted(pool, offered.ravel()), minlength=len(pool))
    expected = offered.size / len(pool)
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert abs(chi2 - len(pool)) < 5 * (2 * len(pool)) ** 0.5


@pytest.mark.parametrize(
    "arguments",
    [
        {"preset": "both", "encoding": "codes", "slate_size": 4},
        {"preset": "satiation", "encoding": "one-hot", "slate_size": 2, "max_episode_steps": 5},
        {"preset": "both", "encoding": "summary", "slate_size": 10, "max_episode_steps": 7},
        {"preset": "patience", "patience": 0.05, "slate_size": 1, "observe_state": False},
    ],
    ids=lambda arguments: "-".join(map(str, arguments.values())),
)
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_equal_to_sync(mode: AutoresetMode, arguments: dict[str, Any]) -> None:
    # Of twelve tracks, so that those played come again.
    arguments = {"tracks": list(range(0, 240, 20)), "session_length": 9, **arguments}
    native = gym.make_vec(ENV_ID, num_envs=4, autoreset_mode=mode.value, **arguments)
    sync = gym.make_vec(
        ENV_ID,
        num_envs=4,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        **arguments,
    )
    assert isinstance(native, MusicRecSlateVectorEnv) and isinstance(sync, SyncVectorEnv)
    assert native.observation_space == sync.observation_space
    assert native.action_space == sync.action_space
    _assert_same_step(native.reset(seed=2), sync.reset(seed=2), "reset")
    generator = np.random.default_rng(0)
    masked = 0
    for step in range(40):
        actions = generator.integers(arguments["slate_size"] + 1, size=4)
        mine, theirs = native.step(actions), sync.step(actions)
        _assert_same_step(mine, theirs, f"step {step}")
        masked += int(mine[-1].get("masked", np.zeros(1)).sum())
        masks = np.stack(sync.call("action_masks"))
        np.testing.assert_array_equal(native.action_masks(), masks, err_msg=f"step {step}")
        if mode is AutoresetMode.DISABLED:
            mask = mine[2] | mine[3] | (generator.random(4) < 0.1)
            if mask.any():
                _assert_same_step(
                    native.reset(options={"reset_mask": mask}),
                    sync.reset(options={"reset_mask": mask}),
                    f"masked reset after step {step}",
                )
    assert masked > 0


def test_specs_pickles_and_states_go_on_the_same() -> None:
    arguments: dict[str, Any] = {"session_length": 12, "render_mode": "ansi", "slate_size": 4}
    env = gym.make(ENV_ID, tracks=list(range(0, 300, 15)), **arguments)
    env.reset(seed=1)
    for action in (1, 0, 4):
        env.step(action)
    assert env.spec is not None
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json())).unwrapped
    again.set_state(json.loads(json.dumps(env.unwrapped.get_state())))
    pickled = pickle.loads(pickle.dumps(env)).unwrapped
    for step in range(25):
        state = env.unwrapped.get_state()
        if state["has_left"] or state["position"] == 12:
            expected = env.unwrapped.reset()
            others = [other.reset() for other in (again, pickled)]
        else:
            expected = env.unwrapped.step(step % 5)
            others = [other.step(step % 5) for other in (again, pickled)]
        for other in others:
            np.testing.assert_array_equal(other[0], expected[0], err_msg=f"step {step}")
            assert other[1:-1] == expected[1:-1], f"step {step}"
            np.testing.assert_equal(other[-1], expected[-1], err_msg=f"step {step}")
        assert env.unwrapped.render() == again.render() == pickled.render()


def test_vector_states_go_on_the_same() -> None:
    arguments: dict[str, Any] = {
        "tracks": list(range(0, 300, 15)),
        "session_length": 8,
        "render_mode": "ansi",
        "slate_size": 3,
    }
    env = gym.make_vec(ENV_ID, num_envs=3, **arguments)
    env.reset(seed=3)
    for step in range(11):
        env.step((np.arange(3) + step) % 4)
    again = gym.make_vec(ENV_ID, num_envs=3, **arguments)
    again.set_state(env.get_state())
    pickled = pickle.loads(pickle.dumps(env))
    for step in range(15):
        expected = env.step((np.arange(3) + step) % 4)
        for other in (again, pickled):
            _assert_same_step(other.step((np.arange(3) + step) % 4), expected, f"step {step}")
        assert env.render() == again.render() == pickled.render()


def test_views_show_candidates_satiation_and_patience(six: Catalogue) -> None:
    arguments: dict[str, Any] = {"catalogue": six, "slate_size": 6, "patience": 0.01, **SIX}
    native = MusicRecSlateVectorEnv(2, render_mode="ansi", **arguments)
    scalar = [MusicRecSlateEnv(render_mode="ansi", **arguments) for _ in range(2)]
    native.reset(seed=0), [env.reset(seed=i) for i, env in enumerate(scalar)]
    pictures = MusicRecSlateEnv(render_mode="rgb_array", **arguments)
    pictures.reset(seed=0)
    frames = [pictures.render()]
    before = scalar[0].render()
    assert "(nothing played yet)" in before and "Score" not in before
    assert "Satiation     none" in before and "Patience      1.00" in before
    first = scalar[0]._order[0][0].item()
    for actions in ([1, 2], [0, 1], [6, 0]):
        assert native.render() == tuple(env.render() for env in scalar)
        native.step(np.array(actions))
        for env, action in zip((*scalar, pictures), (*actions, actions[0]), strict=True):
            env.step(action)
        frames.append(pictures.render())
        if actions[0] == 1:
            view = scalar[0].render()
            assert f"Title         {six.title[first]}" in view
            assert f"> 1           {six.title[first]} · " in view
            assert "Action        play 1 (" in view and "(played before)" not in view
        if actions[0] == 0:
            view = scalar[0].render()
            assert "(none played)" in view and "Action        none (passed over)" in view
            assert f"(played before) {six.title[first]} · " in view and "Score" not in view
    assert all(frame.shape == (448, 800, 3) and frame.dtype == np.uint8 for frame in frames)
    assert (frames[0][200:270] != frames[1][200:270]).any()


@pytest.mark.parametrize("encoding", SLATE_ENCODINGS)
@pytest.mark.parametrize("observe_state", [True, False])
def test_both_checkers(encoding: str, observe_state: bool) -> None:
    env = gym.make(
        ENV_ID, encoding=encoding, observe_state=observe_state, session_length=5, slate_size=3
    ).unwrapped
    check_env_gymnasium(env)
    check_env_sb3(env)


@pytest.mark.parametrize("observe_state", [True, False])
def test_a_row_is_a_candidate_beside_the_state_for_any_slate_size(observe_state: bool) -> None:
    plain = gym.make("MusicRec-v0", encoding="codes").unwrapped
    widths = set()
    for slate_size in (1, 7):
        env = MusicRecSlateEnv(slate_size=slate_size, observe_state=observe_state)
        layout, space = env.encoded.layout, env.observation_space
        assert (layout.size,) == space.shape and len(env.encoded.columns) == layout.size
        columns = CodesColumns.of(layout.row_space(space), reader="a test")
        widths.add(str((layout.row_size, columns)))
        observation, info = env.reset(seed=0)
        rows = observation[layout.rows]
        assert layout.row_space(space).contains(rows[0])
        names = [env.encoded.columns[column] for column in layout.rows[-1]]
        for number, track in enumerate(info["candidates"].tolist()):
            shown = dict(zip(names, rows[number].tolist(), strict=True))
            own = plain.encoded.rows.row(track).tolist()
            for name, value in zip(plain.encoded.columns, own, strict=True):
                assert shown[f"{slate_size} {name}"] == value
            assert shown[f"{slate_size} played"] == 0
            assert ("patience" in shown) is observe_state
    assert len(widths) == 1


def test_masks_as_sb3_contrib_asks_for_them() -> None:
    env = gym.make(ENV_ID, slate_size=3, tracks=[0, 1, 2], session_length=3, enjoyed_share=None)
    env.reset(seed=0)
    env.step(2)
    masks = get_action_masks(env)
    assert masks.dtype == np.bool_ and masks.sum() == 3 and masks[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"slate_size": 0}, "slate_size must be a whole number of at least 1, got 0"),
        ({"slate_size": 4, "tracks": [1, 2, 3], "session_length": 2}, "must be at most 3"),
        ({"encoding": "grid"}, "got 'grid': a state number has no place for a slate"),
        ({"encoding": "code"}, r"got 'code'\..* Nearest: 'codes'"),
        ({"encoding": "one-hot"}, "'one-hot' would need .* columns for 10 candidates"),
        ({"encoding_options": {"left": 3}}, "encoding 'codes' has no options here"),
        ({"preset": "sattion"}, "preset must be one of .* Nearest: 'satiation'"),
    ],
)
def test_errors_say_what_was_wrong(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MusicRecSlateEnv(**arguments)


@pytest.mark.parametrize("action", [-1, 4, 1.0, "2"])
def test_actions_that_are_none(action: Any) -> None:
    env = MusicRecSlateEnv(slate_size=3)
    env.reset(seed=0)
    with pytest.raises(gym.error.InvalidAction, match=r"must be 0 \(none\) or the number"):
        env.step(action)
    many = MusicRecSlateVectorEnv(2, slate_size=3)
    many.reset(seed=0)
    with pytest.raises(gym.error.InvalidAction):
        many.step(np.array([0, action]))
