"""MusicRec-v0 against the hand-computed six tracks, both environment checkers, and wrappers."""

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import SIX_LISTENER, SIX_SCORES, SIX_TERMS, six_frame
from gymnasium.utils.env_checker import check_env as check_env_gymnasium
from stable_baselines3.common.env_checker import check_env as check_env_sb3

from music_env import ENCODINGS, Action, Catalogue

ENV_ID = "MusicRec-v0"


@pytest.fixture
def six_env(six: Catalogue) -> gym.Env[Any, Any]:
    return gym.make(ENV_ID, catalogue=six, session_length=6, **SIX_LISTENER)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_both_checkers(encoding: str) -> None:
    env = gym.make(ENV_ID, encoding=encoding)
    check_env_gymnasium(env.unwrapped)
    check_env_sb3(env.unwrapped)


def test_rewards_info_and_regret_by_hand(six_env: gym.Env[Any, Any]) -> None:
    env = six_env
    observation, info = env.reset(seed=3)
    order, total, best = [info["track_index"]], 0.0, 0.0
    assert list(info) == ["track_index"]
    for step in range(6):
        action = step % 2
        before = observation
        observation, reward, terminated, truncated, info = env.step(action)
        track = order[-1]
        score = SIX_SCORES[track]
        assert reward == (score if action == Action.LIKE else -score), step
        assert type(reward) is float and type(terminated) is bool and truncated is False
        assert info["track_index"] == track and info["track_id"] == f"t{track}"
        assert info["score"] == score
        assert info["reward_terms"] == {name: terms[track] for name, terms in SIX_TERMS.items()}
        assert sum(info["reward_terms"].values()) == score
        total, best = total + reward, best + abs(score)
        assert terminated == (step == 5)
        if terminated:
            assert info["episode_return"] == total
            assert info["episode_regret"] == best - total
            np.testing.assert_array_equal(observation, before)  # the terminal one repeats it
        else:
            assert "episode_return" not in info
            shown = env.unwrapped._order[step + 1]
            np.testing.assert_array_equal(observation, env.unwrapped.encoded.rows.row(shown))
            order.append(shown)
    assert sorted(order) == list(range(6))
    assert env.unwrapped.oracle_return == best == 10


def test_the_next_track_does_not_depend_on_the_action() -> None:
    likes, dislikes = (gym.make(ENV_ID, encoding="codes") for _ in range(2))
    np.testing.assert_array_equal(likes.reset(seed=0)[0], dislikes.reset(seed=0)[0])
    for step in range(100):
        one, two = likes.step(1), dislikes.step(0)
        np.testing.assert_array_equal(one[0], two[0], err_msg=f"step {step}")
        assert one[1] == -two[1]


def _tracks(env: gym.Env[Any, Any], seed: int | None, sessions: int = 2) -> list[int]:
    tracks = []
    for session in range(sessions):
        tracks.append(env.reset(seed=seed if session == 0 else None)[1]["track_index"])
        done = False
        while not done:
            *_, done, _, info = env.step(0)
            tracks.append(info["track_index"])
    return tracks


def test_seeds_give_sessions_without_repeats() -> None:
    first, again, other = (gym.make(ENV_ID, encoding="hash") for _ in range(3))
    tracks = _tracks(first, 7)
    assert tracks == _tracks(again, 7) != _tracks(other, 8)
    assert len(set(tracks[1:101])) == 100 and tracks[1:101] != tracks[102:]
    assert _tracks(first, 7) == tracks  # seeding again starts the stream of sessions again
    unseeded = [_tracks(gym.make(ENV_ID, encoding="hash"), None) for _ in range(2)]
    assert unseeded[0] != unseeded[1]


def test_same_sessions_in_another_process() -> None:
    code = (
        "import gymnasium as gym; env = gym.make('music_env:MusicRec-v0'); env.reset(seed=5);"
        "print([env.step(1)[4]['track_index'] for _ in range(100)])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout == f"{_tracks(gym.make(ENV_ID), 5, sessions=1)[1:]}\n"


def test_held_out_tracks_are_never_shown(six: Catalogue) -> None:
    env = gym.make(ENV_ID, catalogue=six, tracks=[4, 1, 3], session_length=3, genre="rock")
    for seed in range(20):
        assert sorted(_tracks(env, seed, sessions=1)[1:]) == [1, 3, 4]
    assert env.unwrapped.tracks.tolist() == [4, 1, 3]


def test_pickling_and_state_in_mid_session_give_the_same_steps() -> None:
    env = gym.make(ENV_ID, encoding="codes")
    env.reset(seed=1)
    _finish(env)
    env.reset()
    for step in range(30):
        env.step(step % 2)
    copies = [
        pickle.loads(pickle.dumps(env)),
        copy.deepcopy(env),
        gym.make(ENV_ID, encoding="codes"),
    ]
    copies[2].reset(seed=99)
    copies[2].unwrapped.set_state(json.loads(json.dumps(env.unwrapped.get_state())))
    assert len(pickle.dumps(env)) < 100_000  # the arguments, not the tables
    for step in range(200):
        expected = env.step(step % 2)
        for other in copies:
            _assert_equal(other.step(step % 2), expected, step)
        if expected[2]:
            start = env.reset()
            for other in copies:
                np.testing.assert_array_equal(other.reset()[0], start[0])


def _finish(env: gym.Env[Any, Any]) -> None:
    while not env.step(1)[2]:
        pass


def _assert_equal(mine: tuple[Any, ...], theirs: tuple[Any, ...], step: int) -> None:
    np.testing.assert_array_equal(mine[0], theirs[0], err_msg=f"step {step}")
    assert mine[1:] == theirs[1:], step


def test_pickled_catalogue_that_changed_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "tracks.csv"
    six_frame().to_csv(path, index=False)
    env = gym.make(ENV_ID, catalogue=str(path), session_length=6, genre="rock")
    pickled = pickle.dumps(env)
    pickle.loads(pickled)
    six_frame().iloc[:5].to_csv(path, index=False)
    with pytest.raises(ValueError, match="has changed since this environment was pickled"):
        pickle.loads(pickled)


def test_a_path_is_read_once_and_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "tracks.csv"
    six_frame().to_csv(path, index=False)
    arguments: dict[str, Any] = {"session_length": 3, "genre": "rock"}
    one = gym.make(ENV_ID, catalogue=str(path), **arguments).unwrapped
    two = gym.make(ENV_ID, catalogue=path, **arguments).unwrapped
    assert one.catalogue is two.catalogue and one.scores is two.scores
    six_frame().iloc[:5].to_csv(path, index=False)
    assert gym.make(ENV_ID, catalogue=path, **arguments).unwrapped.catalogue.n_tracks == 5


def test_spec_serialises_to_json_and_back(tmp_path: Path) -> None:
    path = tmp_path / "tracks.csv"
    six_frame().to_csv(path, index=False)
    env = gym.make(
        ENV_ID, catalogue=str(path), session_length=6, tracks=list(range(6)), **SIX_LISTENER
    )
    assert env.spec is not None
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert _tracks(again, 4) == _tracks(env, 4)
    assert again.unwrapped.preference == env.unwrapped.preference


def test_registered_once_and_by_module_prefix() -> None:
    code = (
        "import warnings; warnings.simplefilter('error'); import importlib, gymnasium as gym;"
        "import music_env; importlib.reload(music_env); gym.make('music_env:MusicRec-v0');"
        "import sys; assert 'torch' not in sys.modules and 'stable_baselines3' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_wrappers() -> None:
    env = gym.make(ENV_ID, max_episode_steps=10)
    env.reset(seed=0)
    flags = [env.step(0)[2:4] for _ in range(10)]
    assert flags == [(False, False)] * 9 + [(False, True)]

    env = gym.wrappers.RecordEpisodeStatistics(gym.make(ENV_ID, encoding="codes"))
    env.reset(seed=0)
    total, done = 0.0, False
    while not done:
        _, reward, done, _, info = env.step(0)
        total += float(reward)
    assert info["episode"]["r"] == total == info["episode_return"] and info["episode"]["l"] == 100

    for encoding, width in (("profile", None), ("one-hot", 2780)):
        flat = gym.wrappers.FlattenObservation(gym.make(ENV_ID, encoding=encoding))
        observation, _ = flat.reset(seed=0)
        assert flat.observation_space.contains(observation) and observation.ndim == 1
        if width:
            assert abs(len(observation) - width) < 20


def test_stepping_without_a_track_shown_is_an_error(six_env: gym.Env[Any, Any]) -> None:
    env = six_env.unwrapped
    with pytest.raises(gym.error.ResetNeeded, match=r"call reset\(\) to begin a session"):
        env.step(0)
    env.reset(seed=0)
    for _ in range(6):
        env.step(0)
    with pytest.raises(gym.error.ResetNeeded, match="for the next session"):
        env.step(0)


@pytest.mark.parametrize("action", [2, -1, 0.5, None])
def test_an_invalid_action_changes_nothing(six_env: gym.Env[Any, Any], action: Any) -> None:
    env = six_env.unwrapped
    env.reset(seed=0)
    state = env.get_state()
    with pytest.raises(gym.error.InvalidAction, match=r"0 \(dislike\) or 1 \(like\), got"):
        env.step(action)
    assert env.get_state() == state


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"artist": "Linkin Prak"}, "'Linkin Park'"),
        ({"genre": "metall"}, "'metal'"),
        ({"danceability": (0.5, 0.4)}, "lowest <= highest"),
        ({"danceability": (0.5,)}, r"must be \(lowest, highest\)"),
        ({"encoding": "one_hot"}, "'one-hot'"),
        ({"session_length": 5850}, "from 1 to 5849.*got 5850"),
        ({"session_length": 0}, "got 0"),
        ({"tracks": [1, 2, 3]}, "from 1 to 3.*got 100"),
        ({"tracks": [0, 5849]}, "indices from 0 to 5848, got 5849"),
        ({"tracks": [5, 5]}, "all be different, got 5 twice"),
        ({"tracks": []}, "non-empty"),
        ({"render_mode": "human"}, "render_mode must be"),
    ],
)
def test_errors_say_what_was_wrong(arguments: dict[str, Any], message: str) -> None:
    # Made directly: gym.make would warn about the render mode before the error.
    from music_env import MusicRecEnv

    with pytest.raises(ValueError, match=message):
        MusicRecEnv(**arguments)


def test_unknown_reset_options_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"no reset options, got 'listener'"):
        gym.make(ENV_ID).reset(options={"listener": 3})
    with pytest.raises(TypeError, match=r"v0's reset must be None or an empty mapping, got \[1\]"):
        gym.make(ENV_ID).reset(options=[1])  # type: ignore[arg-type]


def test_a_missing_catalogue_is_named(tmp_path: Path) -> None:
    from music_env import CatalogueError

    with pytest.raises(CatalogueError, match=r"nowhere\.csv"):
        gym.make(ENV_ID, catalogue=tmp_path / "nowhere.csv")


def test_a_score_of_zero_makes_both_actions_right(six: Catalogue) -> None:
    # Artist and genre only: tracks 1, 2 and 3 ... some have terms that cancel.
    env = gym.make(ENV_ID, catalogue=six, session_length=6, artist="A", genre="rock")
    for action in (0, 1):
        env.reset(seed=0)
        for _ in range(6):
            _, reward, _, _, info = env.step(action)
            if info["score"] == 0:
                assert str(reward) == "0.0"  # not -0.0
    assert info["episode_return"] + info["episode_regret"] == env.unwrapped.oracle_return
