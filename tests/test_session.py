"""MusicRecSession-v0: by hand, as SyncVectorEnv bit for bit, states, views, checkers."""

from __future__ import annotations

import json
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest
from conftest import SIX_LISTENER
from gymnasium.utils.env_checker import check_env as check_env_gymnasium
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.env_checker import check_env as check_env_sb3
from test_vector_env import _assert_same_step

from music_env import (
    PRESETS,
    Catalogue,
    GradedPreference,
    MusicRecSessionEnv,
    MusicRecSessionVectorEnv,
    MusicRecSlateEnv,
    NoisyListener,
    Preference,
    ThreeWay,
)
from music_env.encoding import ENCODINGS
from music_env.session_observation import SESSION_ENCODINGS
from music_env.session_pool import retrieved

ENV_ID = "MusicRecSession-v0"
SIX: dict[str, Any] = {**SIX_LISTENER, "taste": 0.0, "enjoyed_share": None, "session_length": 6}
GENRES = [{"rock"}, {"pop"}, {"pop", "rock"}, {"pop"}, set(), {"rock"}]


def test_graded_score_by_hand(six: Catalogue) -> None:
    terms = GradedPreference(Preference(**SIX_LISTENER), taste=3.0).terms(six)
    assert not terms["taste"].any()
    at_the_ends = 2 * 2**-25.0 - 1
    expected = [0.0, 0.0, 2 * 2**-1.21 - 1, 1.0, at_the_ends, at_the_ends]
    np.testing.assert_allclose(terms["danceability"], expected, atol=1e-12)
    np.testing.assert_array_equal(terms["artist"], [1, 1, -1, -1, -1, 1])
    np.testing.assert_array_equal(terms["genre"], [1, -1, 1, -1, -1, 1])


def test_taste_is_scaled_seeded_and_of_the_sound(embedded: Catalogue) -> None:
    def taste(seed: int) -> np.ndarray:
        return GradedPreference(Preference(), taste=0.7, taste_seed=seed).scores(embedded)

    assert taste(0).std() == pytest.approx(0.7) and abs(taste(0).mean()) < 1e-9
    np.testing.assert_array_equal(taste(0), taste(0))
    assert np.corrcoef(taste(0), taste(1))[0, 1] < 0.9
    with pytest.raises(ValueError, match="taste_seed must be a whole number of at least 0, got -1"):
        taste(-1)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_session_by_hand(six: Catalogue, preset: str) -> None:
    """A naive listener, written anew from the specification, feels the same in every step."""
    env = MusicRecSessionEnv(catalogue=six, preset=preset, encoding="summary", **SIX)
    strength, decay, cost = (
        PRESETS[preset].satiation,
        PRESETS[preset].decay,
        PRESETS[preset].patience,
    )
    generator, left_early = np.random.default_rng(0), 0
    for session in range(40):
        observation, info = env.reset(seed=4 if session == 0 else None)
        level, patience, total = {"rock": 0.0, "pop": 0.0}, 1.0, 0.0
        for step in range(6):
            track = info["track_index"] if step == 0 else env._order[step]
            genres, fresh = GENRES[track], env.scores[track]
            satiation = sum(level[g] for g in genres) / max(1, len(genres))
            top = sum(decay**k for k in range(1, 7)) if strength else env.encoded.top
            np.testing.assert_allclose(
                observation,
                [
                    fresh,
                    level["pop"] / top,
                    level["rock"] / top,
                    satiation / top,
                    # Of six tracks 2 1/2 are rock, 2 1/2 pop, one is neither.
                    (level["pop"] + level["rock"]) * 2.5 / 6 / top,
                    patience,
                    1 - step / 6,
                ],
                rtol=1e-6,
            )
            action = int(generator.integers(2))
            enjoyment = fresh - strength * satiation
            observation, reward, terminated, truncated, info = env.step(action)
            assert reward == pytest.approx(enjoyment if action else 0.0) and type(reward) is float
            assert sum(info["reward_terms"].values()) == reward
            assert info["enjoyment"] == pytest.approx(enjoyment) and info["score"] == fresh
            patience += cost * (enjoyment - 1 if action else -0.1)
            patience = min(1.0, max(0.0, patience))
            assert info["patience"] == pytest.approx(patience)
            for genre in level:
                level[genre] = decay * (level[genre] + (action and genre in genres))
            total += reward
            assert not truncated and type(terminated) is bool
            if terminated:
                break
        assert info["episode_return"] == pytest.approx(total)
        assert info["has_left"] or step == 5
        left_early += step < 5
        with pytest.raises(gym.error.ResetNeeded):
            env.step(0)
    assert (left_early > 0) == (cost > 0)


def test_the_listener_leaves_as_often_as_stated() -> None:
    # Passing over everything: the patience is 1 - 0.02 n after n passes.
    env = MusicRecSessionVectorEnv(4000, preset="patience", encoding="grid")
    env.reset(seed=0)
    gone, stays, expected = np.zeros(4000, dtype=bool), 1.0, []
    lasted = np.zeros(4000)
    for step in range(1, 50):
        lasted += ~gone
        _, _, terminated, _, _ = env.step(np.zeros(4000, dtype=int))
        gone |= terminated
        expected.append(stays)
        stays *= 1 - (0.02 * step) ** 4
    mean = sum(expected)
    assert abs(lasted.mean() - mean) < 4 * lasted.std() / 4000**0.5
    assert lasted.std() > 1


def test_half_of_what_is_shown_is_enjoyed_fresh() -> None:
    env = MusicRecSessionEnv()
    fresh = env.scores
    pool = env.tracks
    assert np.mean(fresh[pool] > 0) == pytest.approx(0.5, abs=1e-3)
    assert fresh[pool].min() >= np.delete(fresh, pool).max()
    # Tracks differ within a class, save a few that stand in the catalogue under several ids.
    assert len(np.unique(fresh[pool])) > 0.85 * len(pool)
    shown = np.concatenate([env.reset(seed=i) and np.array(env._order) for i in range(200)])
    assert np.mean(fresh[shown] > 0) == pytest.approx(0.5, abs=0.03)
    assert set(shown.tolist()) <= set(pool.tolist())


def _pair(mode: AutoresetMode, **arguments: Any) -> tuple[MusicRecSessionVectorEnv, SyncVectorEnv]:
    native = gym.make_vec(ENV_ID, num_envs=4, autoreset_mode=mode.value, **arguments)
    sync = gym.make_vec(
        ENV_ID,
        num_envs=4,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        **arguments,
    )
    assert isinstance(native, MusicRecSessionVectorEnv) and isinstance(sync, SyncVectorEnv)
    assert native.observation_space == sync.observation_space
    assert native.action_space == sync.action_space
    return native, sync


@pytest.mark.parametrize("share", [0.5, 0.8])
@pytest.mark.parametrize("danceability", [(0.2, 0.9), (0.0, 1.0)])
def test_who_enjoys_nearly_all_is_shown_half_of_what_is_not(
    danceability: tuple[float, float], share: float
) -> None:
    env = MusicRecSessionEnv(danceability=danceability, enjoyed_share=share, encoding="summary")
    fresh, enjoyed = env.scores[env.tracks], env.scores > 0
    assert enjoyed.mean() > 0.9  # of the catalogue
    assert (fresh > 0).mean() == pytest.approx(share, abs=0.002)
    np.testing.assert_array_equal(np.sort(fresh[fresh <= 0]), np.sort(env.scores[~enjoyed]))
    # Those enjoyed are no better and no worse than all that are.
    quantiles = np.linspace(0.05, 0.95, 7)
    np.testing.assert_allclose(
        np.quantile(fresh[fresh > 0], quantiles),
        np.quantile(env.scores[enjoyed], quantiles),
        atol=0.06,
    )


def test_pools_by_hand() -> None:
    fresh, every = np.array([5.0, -1.0, 4, 3, 2, 1, 6]), np.arange(7)
    # One of seven is not enjoyed: beside it one that is, in the middle of the order 6 5 4 3 2 1.
    assert retrieved(fresh, every, 0.5, 1).tolist() == [1, 3]
    assert retrieved(fresh, every, 0.5, 3).tolist() == [0, 1, 4]  # too few for a session of three
    assert retrieved(fresh, every, 0.5, 7).tolist() == every.tolist()
    assert retrieved(fresh, every, 1.0, 2).tolist() == [0, 2, 3, 4, 5, 6]
    assert retrieved(-fresh, every, 0.5, 1).tolist() == [1, 5]
    assert retrieved(-fresh, every, 0.5, 3).tolist() == [1, 4, 5]
    assert retrieved(np.abs(fresh), every, 0.5, 2).tolist() == [0, 1]  # all are enjoyed
    assert retrieved(fresh, every, 0.5, 8).tolist() == every.tolist()


@pytest.mark.parametrize(
    "arguments",
    [
        {"preset": "static", "encoding": "one-hot"},
        {"preset": "satiation", "encoding": "codes", "max_episode_steps": 5},
        {"preset": "both", "encoding": "summary"},
        {"preset": "both", "encoding": "grid", "max_episode_steps": 7},
        {"preset": "both", "encoding": "codes", "satiation_of": "artist"},
        {"preset": "patience", "patience": 0.9, "encoding": "hash", "observe_state": False},
    ],
    ids=lambda arguments: "-".join(map(str, arguments.values())),
)
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_equal_to_sync(mode: AutoresetMode, arguments: dict[str, Any]) -> None:
    native, sync = _pair(mode, session_length=9, **arguments)
    _assert_same_step(native.reset(seed=2), sync.reset(seed=2), "reset")
    generator = np.random.default_rng(0)
    for step in range(60):
        actions = generator.integers(2, size=4)
        mine, theirs = native.step(actions), sync.step(actions)
        _assert_same_step(mine, theirs, f"step {step}")
        if mode is AutoresetMode.DISABLED:
            mask = mine[2] | mine[3] | (generator.random(4) < 0.1)
            if mask.any():
                _assert_same_step(
                    native.reset(options={"reset_mask": mask}),
                    sync.reset(options={"reset_mask": mask}),
                    f"masked reset after step {step}",
                )


def test_specs_pickles_and_states_go_on_the_same() -> None:
    env = gym.make(ENV_ID, encoding="codes", session_length=12, render_mode="ansi")
    env.reset(seed=1)
    for action in (1, 0, 1):
        env.step(action)
    assert env.spec is not None
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json())).unwrapped
    again.set_state(json.loads(json.dumps(env.unwrapped.get_state())))
    pickled = pickle.loads(pickle.dumps(env)).unwrapped
    for step in range(30):
        if env.unwrapped._has_left or env.unwrapped._position == 12:
            expected = env.unwrapped.reset()
            others = [other.reset() for other in (again, pickled)]
        else:
            expected = env.unwrapped.step(step % 2)
            others = [other.step(step % 2) for other in (again, pickled)]
        for other in others:
            np.testing.assert_array_equal(other[0], expected[0], err_msg=f"step {step}")
            assert other[1:] == expected[1:], f"step {step}"
        assert env.unwrapped.render() == again.render() == pickled.render()


def test_vector_states_go_on_the_same() -> None:
    arguments: dict[str, Any] = {"encoding": "grid", "session_length": 8, "render_mode": "ansi"}
    env = gym.make_vec(ENV_ID, num_envs=5, **arguments)
    env.reset(seed=3)
    for step in range(11):
        env.step((np.arange(5) + step) % 2)
    again = gym.make_vec(ENV_ID, num_envs=5, **arguments)
    again.set_state(env.get_state())
    pickled = pickle.loads(pickle.dumps(env))
    for step in range(20):
        expected = env.step((np.arange(5) + step) % 2)
        for other in (again, pickled):
            _assert_same_step(other.step((np.arange(5) + step) % 2), expected, f"step {step}")
        assert env.render() == again.render() == pickled.render()


def test_grid_bins_what_can_matter() -> None:
    def n_states(**arguments: Any) -> int:
        space = MusicRecSessionEnv(encoding="grid", **arguments).observation_space
        assert isinstance(space, gym.spaces.Discrete)
        return int(space.n)

    few = {"enjoyment": 3, "satiates": 2, "satiation": 4, "patience": 5, "left": 2}
    assert n_states(preset="both", encoding_options=few) == 3 * 2 * 4 * 5 * 2
    assert n_states(preset="both", encoding_options={**few, "enjoyment": 1}) == 2 * 4 * 5 * 2
    one = {"enjoyment": 3, "left": 2}  # no bins for an effect that is switched off
    assert n_states(preset="static", encoding_options=one) == 3 * 2
    assert n_states(preset="patience", encoding_options=one) == 3 * 5 * 2
    assert n_states(preset="satiation", encoding_options={**one, "satiates": 1}) == 3 * 20 * 2
    asked = {**one, "patience": 5, "satiation": 2}  # unless they are asked for
    assert n_states(preset="static", encoding_options=asked) == 3 * 2 * 5 * 2

    env = MusicRecSessionEnv(preset="both", encoding="grid", encoding_options=few)
    fresh, pool = env.tables.scores.total, env.tables.pool
    middle = np.median(fresh[pool][fresh[pool] > 0])
    satiates = env.tables.satiates
    dominant = satiates >= np.median(satiates[pool][fresh[pool] > 0])  # of the pool's main genre
    state, _ = env.reset(seed=3)
    seen, both_kinds = set(), set()
    for step in range(50):
        view = env._state_of(np.array([env._order[step]]))
        enjoyment, level, patience = view.enjoyment[0], view.pool_level[0], view.patience[0]
        liked = int(enjoyment >= 0) + int(enjoyment >= middle)
        bins = (min(int((level / env.encoded.top) ** 0.5 * 4), 3), min(int(patience * 5), 4))
        kind = int(dominant[env._order[step]])
        number = ((liked * 2 + kind) * 4 + bins[0]) * 5 + bins[1]
        assert state == number * 2 + min(int(2 * view.left[0]), 1)
        seen.add(liked), both_kinds.add(kind)
        state, _, terminated, _, _ = env.step(int(enjoyment > 0.5))
        if terminated:
            break
    assert seen == {0, 1, 2} and both_kinds == {0, 1}


def test_grid_tells_tracks_apart_by_what_they_satiate() -> None:
    options = {"enjoyment": 1, "satiates": 20, "satiation": 1, "left": 1}
    env = MusicRecSessionEnv(preset="satiation", encoding="grid", encoding_options=options)
    # Most of what this listener enjoys is of one genre: 20 quantiles of it are 3 bins.
    assert env.observation_space == gym.spaces.Discrete(3)
    tables, n_tracks = env.tables, env.catalogue.n_tracks
    n_labels = len(tables.labels.vocabulary)
    tracks, none = np.arange(n_tracks), np.zeros((n_tracks, n_labels + 1))
    start = (np.ones(n_tracks), np.zeros(n_tracks, dtype=np.int64))
    numbers = env.encoded.observe(tracks, tables.state(tracks, none, *start))
    after = tables.levels_after(tracks, np.ones(n_tracks, dtype=bool), none)
    adds = tables.state(tracks, after, *start).pool_level
    for lower, higher in ((0, 1), (1, 2)):
        assert adds[numbers == lower].max() < adds[numbers == higher].min()


def test_vector_views_equal_scalar_ones() -> None:
    arguments: dict[str, Any] = {"encoding": "grid", "render_mode": "ansi", "session_length": 6}
    native = MusicRecSessionVectorEnv(2, **arguments)
    scalar = [MusicRecSessionEnv(**arguments) for _ in range(2)]
    native.reset(seed=0), [env.reset(seed=i) for i, env in enumerate(scalar)]
    for step in range(3):
        assert native.render() == tuple(env.render() for env in scalar)
        native.step(np.array([1, step % 2]))
        scalar[0].step(1), scalar[1].step(step % 2)


def test_views_show_satiation_and_patience() -> None:
    arguments: dict[str, Any] = {"genre": "metal", "preset": "both", "encoding": "grid"}
    env = MusicRecSessionEnv(render_mode="ansi", **arguments)
    env.reset(seed=0)
    before = env.render()
    assert "Satiation     none" in before and "Patience      1.00" in before
    assert "Score" not in before
    env.step(1), env.step(0)
    view = env.render()
    played = env.catalogue.genres.of(env._order[0])[0]
    assert f"Satiation     {played} 1.0" in view  # 0.98 ** 2
    assert "Action        dislike (passed over)" in view
    bars = view.splitlines()[-1].split()[-1]
    assert len(bars) == 2
    picture = MusicRecSessionEnv(render_mode="rgb_array", **arguments)
    picture.reset(seed=0)
    first = picture.render()
    picture.step(1)
    second = picture.render()
    assert first.shape == (448, 800, 3) and first.dtype == np.uint8
    assert (first[200:270] != second[200:270]).any()


@pytest.mark.parametrize("preset", PRESETS)
def test_views_leave_out_effects_that_are_switched_off(preset: str) -> None:
    texts = []
    for env_id in (ENV_ID, "MusicRecSlate-v0"):
        env = gym.make(env_id, preset=preset, encoding="summary", render_mode="ansi").unwrapped
        env.reset(seed=0)
        env.step(1), env.step(1)
        texts.append(env.render())
        assert (
            ("Satiation" in texts[-1])
            == ("so far" in texts[-1])
            == (preset in ("satiation", "both"))
        )
        assert ("Patience" in texts[-1]) == (preset in ("patience", "both"))
    assert texts[0].startswith("Track         2 of 50\n")
    assert texts[1].startswith("Slate         2 of 50\n")


@pytest.mark.parametrize("encoding", SESSION_ENCODINGS)
@pytest.mark.parametrize("preset", ["static", "both"])
def test_both_checkers(encoding: str, preset: str) -> None:
    env = gym.make(ENV_ID, encoding=encoding, preset=preset, session_length=5).unwrapped
    check_env_gymnasium(env)
    check_env_sb3(env)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_hidden_state_is_the_track_alone(encoding: str) -> None:
    env = gym.make(ENV_ID, encoding=encoding, observe_state=False).unwrapped
    plain = gym.make("MusicRec-v0", encoding=encoding).unwrapped
    assert env.observation_space == plain.observation_space
    observation, info = env.reset(seed=0)
    expected = plain.encoded.rows.row(info["track_index"])
    np.testing.assert_array_equal(observation, expected)
    check_env_gymnasium(env)
    check_env_sb3(env)


def test_codes_keep_numbers_together() -> None:
    env = MusicRecSessionEnv(encoding="codes")
    high = env.observation_space.high
    n_numbers = int((high == 1).sum())
    assert (high[:n_numbers] == 1).all() and env.encoded.columns[0] == "danceability"
    assert env.encoded.columns[n_numbers - 4 : n_numbers] == (
        "satiation",
        "satiation pool",
        "patience",
        "left",
    )
    assert len(env.encoded.columns) == len(high)
    plain = gym.make("MusicRec-v0", encoding="codes").unwrapped
    observation, info = env.reset(seed=0)
    track = dict(zip(env.encoded.columns, observation.tolist(), strict=True))
    row = plain.encoded.rows.row(info["track_index"])
    for name, value in zip(plain.encoded.columns, row.tolist(), strict=True):
        assert track[name] == value
    assert track["patience"] == track["left"] == 1 and track["satiation dubstep"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preset": "sattion"}, "preset must be one of .* Nearest: 'satiation'"),
        ({"satiation": -1}, "satiation must be a number from 0"),
        ({"encoding": "hash"}, "got 'hash': it has no place for the state"),
        ({"encoding": "grid", "encoding_options": {"lft": 3}}, "no option 'lft'.*'left'"),
        (
            {"encoding": "grid", "encoding_options": {"satiation": 10**10, "patience": 10**10}},
            r"at most 2,147,483,648 states, got 12 \(enjoyment\) .* 10000000000 \(patience\)",
        ),
        (
            {"encoding": "grid", "encoding_options": {"satiation": 10**7}},
            r"10000000 \(satiation\) .* = 19,200,000,000: lower some of its options",
        ),
        ({"enjoyed_share": 0.0}, "enjoyed_share must be above 0 and at most 1, or None, got 0.0"),
        ({"satiation_of": "album"}, "satiation_of must be one of"),
        (
            {"listener": NoisyListener(ThreeWay(Preference(genre="metal")), 0.1)},
            "presses the wrong button has no place here",
        ),
        ({"listener": Preference(genre="metal"), "genre": "rock"}, "leave out artist, genre"),
    ],
)
def test_errors_say_what_was_wrong(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MusicRecSessionEnv(**arguments)


def test_without_genres_nothing_can_satiate_by_genre() -> None:
    rows = [(f"t{i}", f"Track {i}", f"Artist {i % 3}", i / 9) for i in range(9)]
    frame = pd.DataFrame(rows, columns=["track_id", "title", "artists", "danceability"])
    arguments: dict[str, Any] = {
        "catalogue": Catalogue.from_frame(frame),
        "danceability": (0.2, 0.6),
        "session_length": 4,
    }
    for env_class in (MusicRecSessionEnv, MusicRecSlateEnv):
        slate: dict[str, Any] = {"slate_size": 2} if env_class is MusicRecSlateEnv else {}
        for preset in ("satiation", "both"):
            with pytest.raises(ValueError, match=r'any genre, got 0.75 .* satiation_of="artist"'):
                env_class(preset=preset, **arguments, **slate)
            env_class(preset=preset, satiation_of="artist", **arguments, **slate).reset(seed=0)
        env_class(preset="patience", **arguments, **slate).reset(seed=0)
        env_class(preset="both", satiation=0.0, **arguments, **slate).reset(seed=0)


def test_there_is_no_oracle_return() -> None:
    for env in (MusicRecSessionEnv(encoding="grid"), MusicRecSessionVectorEnv(2, encoding="grid")):
        env.reset(seed=0)
        with pytest.raises(AttributeError, match=r"agents\.planning has a planner"):
            _ = env.oracle_return
