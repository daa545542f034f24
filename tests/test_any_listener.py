"""MusicRecAnyListener-v0 against a naive scorer, both checkers, SyncVectorEnv, and by hand."""

from __future__ import annotations

import copy
import json
import pickle
import re
import subprocess
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import SIX, SIX_LISTENER, SIX_SCORES, SIX_TERMS
from gymnasium.utils.env_checker import check_env as check_env_gymnasium
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.env_checker import check_env as check_env_sb3
from test_vector_env import _assert_same_step

from music_env import (
    Catalogue,
    MusicRecAnyListenerEnv,
    MusicRecAnyListenerVectorEnv,
    Preference,
)
from music_env.listeners import OPEN

ENV_ID = "MusicRecAnyListener-v0"
NUM_ENVS = 5
SIX_POPULATION: list[dict[str, Any]] = [
    SIX_LISTENER,
    {"artist": "B"},
    {"genre": "pop", "danceability": (0.0, 0.5)},
    {"artist": "C", "genre": "rock"},
    {"danceability": (0.6, 1.0)},
]


def six_env(six: Catalogue, **arguments: Any) -> MusicRecAnyListenerEnv:
    defaults: dict[str, Any] = {"population": SIX_POPULATION, "session_length": 6}
    return MusicRecAnyListenerEnv(catalogue=six, **{**defaults, **arguments})


def naive_terms(track: int, listener: dict[str, Any]) -> dict[str, float]:
    """The definition, from the rows of the file, without any of our code."""
    _, _, artists, genres, danceability = SIX[track]
    terms = dict.fromkeys(("artist", "genre", "danceability"), 0.0)
    if listener.get("artist") is not None:
        terms["artist"] = 1.0 if listener["artist"] in artists.split(";") else -1.0
    if listener.get("genre") is not None:
        terms["genre"] = 1.0 if listener["genre"] in genres.split(";") else -1.0
    if listener.get("danceability") is not None:
        low, high = listener["danceability"]
        terms["danceability"] = 1.0 if low <= danceability <= high else -1.0
    return terms


@pytest.mark.parametrize("encoding", ["codes", "one-hot"])
def test_both_checkers(encoding: str) -> None:
    env = gym.make(ENV_ID, encoding=encoding)
    check_env_gymnasium(env.unwrapped)
    check_env_sb3(env.unwrapped)


@pytest.mark.parametrize("balance", ["balanced", "uniform"])
def test_rewards_and_info_by_the_naive_scorer(six: Catalogue, balance: str) -> None:
    env = six_env(six, balance=balance)
    met = set()
    for session in range(30):
        _, info = env.reset(seed=4 if session == 0 else None)
        index = info["listener"]["index"]
        listener, total, best, tracks = SIX_POPULATION[index], 0.0, 0.0, []
        met.add(index)
        for step in range(6):
            track, action = info["track_index"] if step == 0 else env._order[step], step % 2
            _, reward, terminated, truncated, info = env.step(action)
            terms = naive_terms(track, listener)
            score = sum(terms.values())
            assert info["reward_terms"] == terms, (session, step)
            assert info["score"] == score and reward == (score if action else -score)
            assert type(reward) is float and str(reward) != "-0.0"
            assert info["track_index"] == track and info["track_id"] == f"t{track}"
            assert info["listener"]["index"] == index
            assert terminated == (step == 5) and truncated is False
            total, best = total + reward, best + abs(score)
            tracks.append(track)
        assert sorted(tracks) == list(range(6))
        assert (info["episode_return"], info["episode_regret"]) == (total, best - total)
        assert env.oracle_return == best
    assert met == set(range(5))  # every listener turns up


def test_observations_in_codes_by_hand(six: Catalogue) -> None:
    env = six_env(six)
    # Vocabularies by code point: artists A, B, C are 1, 2, 3; genres pop, rock are 1, 2.
    assert env.encoded.columns == (
        "danceability",
        "genre 1",
        "genre 2",
        "artist 1",
        "artist 2",
        "listener danceability low",
        "listener danceability high",
        "listener any danceability",
        "listener genre",
        "listener artist",
    )
    assert env.observation_space.high.tolist() == [1, 2, 2, 3, 3, 1, 1, 1, 2, 3]
    assert not env.observation_space.low.any()
    observation, _ = env.reset(seed=0, options={"listener": SIX_LISTENER})
    rows = {
        0: [0.4, 2, 0, 1, 0],
        1: [0.6, 1, 0, 1, 2],
        2: [0.61, 1, 2, 2, 0],
        3: [0.5, 1, 0, 2, 0],
        4: [0, 0, 0, 3, 0],
        5: [1, 2, 0, 3, 1],
    }
    for step in range(6):
        expected = np.array([*rows[env._order[step]], 0.4, 0.6, 0, 2, 1], dtype=np.float32)
        np.testing.assert_array_equal(observation, expected, err_msg=f"step {step}", strict=True)
        observation = env.step(0)[0]
    np.testing.assert_array_equal(observation, expected)  # the terminal one repeats the last
    observation, _ = env.reset(options={"listener": {"genre": "pop"}})
    np.testing.assert_array_equal(observation[5:], [0, 1, 1, 1, 0])
    everything = env.observations({"artist": "B"})
    assert everything.shape == (6, 10) and env.observation_space.contains(everything[3])
    np.testing.assert_array_equal(everything[3], np.array([0.5, 1, 0, 2, 0, 0, 1, 1, 0, 2], "f4"))


def test_observations_in_one_hot_by_hand(six: Catalogue) -> None:
    env = six_env(six, encoding="one-hot")
    assert env.encoded.columns[6:] == (
        "listener danceability low",
        "listener danceability high",
        "listener any danceability",
        "listener genre pop",
        "listener genre rock",
        "listener artist A",
        "listener artist B",
        "listener artist C",
    )
    env.reset(seed=0, options={"listener": Preference(artist="B", danceability=(0.25, 0.5))})
    track = env._order[0]
    observation = env.observations(Preference("B", None, (0.25, 0.5)))[track]
    np.testing.assert_array_equal(env._observe(track), observation, strict=True)
    np.testing.assert_array_equal(observation[:6], env.encoded.track.rows.row(track))
    np.testing.assert_array_equal(observation[6:], [0.25, 0.5, 0, 0, 0, 0, 1, 0])


def test_setting_the_listener(six: Catalogue) -> None:
    env = six_env(six)
    for wanted in (SIX_LISTENER, Preference(**SIX_LISTENER), 0):
        _, info = env.reset(seed=3, options={"listener": wanted})
        assert info["listener"] == {
            "index": 0 if wanted == 0 else -1,
            "artist": 0,
            "genre": 1,
            "low": 0.4,
            "high": 0.6,
            "any_danceability": False,
        }
        assert env.preference == Preference(**SIX_LISTENER)
        assert env.scores.tolist() == SIX_SCORES
        for _ in range(6):
            info = env.step(1)[4]
            track = info["track_index"]
            assert info["reward_terms"] == {name: t[track] for name, t in SIX_TERMS.items()}
    # It is for one session; the stream goes on as if it had not been set.
    other = six_env(six)
    other.reset(seed=3)
    for _ in range(5):
        assert env.reset()[1] == other.reset()[1]


def test_a_session_may_belong_to_somebody_of_whom_nothing_is_known(six: Catalogue) -> None:
    env = six_env(six)
    _, info = env.reset(seed=0, options={"listener": {}})
    assert env.preference == Preference() and info["listener"]["any_danceability"]
    assert not env.scores.any()


def test_the_documented_shares_of_kinds_are_measured(embedded: Catalogue) -> None:
    text = MusicRecAnyListenerEnv.__doc__ or ""
    sessions = np.arange(20_000, dtype=np.uint64)
    keys = np.zeros_like(sessions)
    for balance in ("balanced", "uniform"):
        tables = MusicRecAnyListenerEnv(catalogue=embedded, balance=balance).tables
        listeners = tables.population.listeners.take(tables.drawn_listeners(keys, sessions))
        kinds = tables.draw(keys, sessions).kinds[listeners.n_open == 0] & 7
        shares = 100 * np.bincount(kinds.ravel(), minlength=8) / kinds.size
        row = re.search(rf'\| ``"{balance}"`` *\|(.*)\|', text)
        assert row is not None
        stated = [float(cell) for cell in row[1].split("|")]
        np.testing.assert_allclose(shares, stated, atol=0.051, err_msg=balance)
        for bit, term in ((4, "artist"), (2, "genre"), (1, "danceability")):
            # "the genre in 48.7 % (17.1 %)", "artist matches in 10.8 % of the steps (0.2 % when"
            found = re.search(rf"{term}(?: matches)?\s+in (\S+) %[^(]*\((\S+) %", text)
            assert found is not None, term
            share = shares[(np.arange(8) & bit) > 0].sum()
            assert share == pytest.approx(float(found[1 + (balance == "uniform")]), abs=0.051)
    chosen = tables.population.listeners.artist
    frequency = embedded.artists.frequency[chosen[chosen != OPEN]]
    assert f"one of {embedded.n_tracks / frequency.mean():.0f} steps" in text


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"listener": {"artist": "a"}}, ValueError, "listener's artist: no track.*Nearest: 'A'"),
        ({"listener": {"genre": "rok"}}, ValueError, "listener's genre: no track.*'rock'"),
        ({"listener": {"artst": "A"}}, ValueError, "got 'artst'. Nearest: 'artist'"),
        ({"listener": {"danceability": (0.6, 0.4)}}, ValueError, "lowest <= highest"),
        ({"listener": 5}, ValueError, "index from 0 to 4.*got 5"),
        ({"listener": -1}, ValueError, "index from 0 to 4.*got -1"),
        ({"listener": "A"}, TypeError, "must be a Preference.*got 'A'"),
        ({"listener": True}, TypeError, "must be a Preference.*got True"),
        ({"listener": 3.5}, TypeError, "must be a Preference.*got 3.5"),
        ({"listener": np.array(3)}, TypeError, r"must be a Preference.*got array\(3\)"),
        ({"mood": 1}, ValueError, "reset options 'listener'.*, got 'mood'"),
        ({1: 2, "mood": 1}, ValueError, "reset options 'listener'.*, got 'mood', 1"),
        ([1], TypeError, r"a mapping such as \{'listener': ...\}, got \[1\]"),
    ],
)
def test_a_wrong_listener_changes_nothing(
    six: Catalogue, options: Any, error: type[Exception], message: str
) -> None:
    env = six_env(six)
    env.reset(seed=0)
    env.step(1)
    state = env.get_state()
    with pytest.raises(error, match=message):
        env.reset(seed=9, options=options)
    assert env.get_state() == state
    vector = MusicRecAnyListenerVectorEnv(
        2, catalogue=six, population=SIX_POPULATION, session_length=6
    )
    vector.reset(seed=0)
    before = vector.get_state()
    with pytest.raises(error, match=message):
        vector.reset(seed=9, options=options)
    np.testing.assert_equal(vector.get_state(), before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"encoding": "hash"}, "'hash' has no place for the listener.*state of its own"),
        ({"encoding": "profile"}, "'profile' has no place for the listener.*billions"),
        ({"encoding": "one_hot"}, "'codes', 'one-hot', got 'one_hot'. Nearest: 'one-hot'"),
        ({"split": "tset"}, "split must be.*Nearest: 'test'"),
        ({"test_share": 1.5}, "test_share must be"),
        ({"population_seed": -1}, "population_seed must be"),
        ({"population_options": {"listeners": 5}}, "no option 'listeners'.*Nearest: 'n_listeners'"),
        ({"population_options": {"open_share": 1}}, "open_share must be below 1"),
        ({"population_options": {"min_artist_tracks": 1000}}, "no artist.*has 1000 tracks"),
        ({"balance": "unifrom"}, "balance must be.*Nearest: 'uniform'"),
        ({"balance": {"artists": 0.5}}, "got 'artists'. Nearest: 'artist'"),
        ({"balance": {"artist": 0.6, "genre": 0.5}}, "1 together at most"),
        ({"balance": {"artist": "x"}}, r"must be numbers of at least 0 .*\{'artist': 'x'\}"),
        ({"balance": {"artist": float("nan")}}, "must be numbers of at least 0"),
        ({"balance": 3}, "balance must be 'balanced', 'uniform' or shares such as .*got 3"),
        ({"population_options": {"open_share": "x"}}, "open_share must be a number.*got 'x'"),
        ({"population_options": 3}, "population_options must be a mapping such as .*got 3"),
        ({"test_share": "x"}, "test_share must be a number from 0 to 1, got 'x'"),
        (
            {"population": [{"artist": "ILLENIUM"}, {}]},
            "listener 1 of the population leaves everything open, expected at least one of artist,",
        ),
        ({"weights": (1, 1)}, "three finite numbers"),
        ({"session_length": 6000}, "from 1 to 5849"),
        ({"population": [{"artist": "Linkin Prak"}]}, "listener 0 of the.*'Linkin Park'"),
        ({"population": []}, "at least one listener"),
        ({"population": [], "population_options": {"n_listeners": 3}}, "leave them out"),
    ],
)
def test_errors_say_what_was_wrong(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MusicRecAnyListenerEnv(**arguments)
    with pytest.raises(TypeError, match="population must be"):
        MusicRecAnyListenerEnv(population={"artist": "A"})


def test_one_hot_over_the_column_limit_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("music_env.pairs.MAX_ONE_HOT_COLUMNS", 20)
    monkeypatch.setattr("music_env.pairs._KEPT", {})
    with pytest.raises(ValueError, match=r"would need \d+ columns.*over 20: use encoding 'codes'"):
        MusicRecAnyListenerEnv(encoding="one-hot")


# --- Scalar and vector ----------------------------------------------------------------------------


def _pair(
    mode: AutoresetMode, **arguments: Any
) -> tuple[MusicRecAnyListenerVectorEnv, SyncVectorEnv]:
    native = gym.make_vec(ENV_ID, num_envs=NUM_ENVS, autoreset_mode=mode.value, **arguments)
    sync = gym.make_vec(
        ENV_ID,
        num_envs=NUM_ENVS,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        **arguments,
    )
    assert isinstance(native, MusicRecAnyListenerVectorEnv) and isinstance(sync, SyncVectorEnv)
    assert native.observation_space == sync.observation_space
    assert native.action_space == sync.action_space
    return native, sync


@pytest.mark.parametrize("max_episode_steps", [None, 4, 20])
@pytest.mark.parametrize("encoding", ["codes", "one-hot"])
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_equal_to_sync(mode: AutoresetMode, encoding: str, max_episode_steps: int | None) -> None:
    native, sync = _pair(
        mode,
        encoding=encoding,
        session_length=7,
        max_episode_steps=max_episode_steps,
        weights=(1, 0.3, 0.1),
    )
    _assert_same_step(native.reset(seed=11), sync.reset(seed=11), "reset")
    generator = np.random.default_rng(0)
    for step in range(45):
        actions = generator.integers(2, size=NUM_ENVS)
        mine, theirs = native.step(actions), sync.step(actions)
        _assert_same_step(mine, theirs, f"step {step}")
        if mode is AutoresetMode.DISABLED:
            mask = mine[2] | mine[3]
            if step in (3, 10, 11):  # and some early: environments drift apart
                mask = mask | (generator.random(NUM_ENVS) < 0.5)
            if mask.any():
                options: dict[str, Any] = {"reset_mask": mask}
                if step in (11, 18):
                    options["listener"] = 17
                seed = 5 if step == 10 else None
                _assert_same_step(
                    native.reset(seed=seed, options=dict(options)),
                    sync.reset(seed=seed, options=dict(options)),
                    f"masked reset after step {step}",
                )
        elif step == 15:
            options = {"listener": {"genre": "rock", "danceability": (0.25, 0.75)}}
            _assert_same_step(
                native.reset(options=dict(options)), sync.reset(options=dict(options)), "listener"
            )
        elif step == 30:
            seeds = [3, None, 5, 3, None]
            _assert_same_step(native.reset(seed=seeds), sync.reset(seed=seeds), "list of seeds")
    np.testing.assert_array_equal(native.oracle_return, sync.get_attr("oracle_return"))


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_equal_to_sync_when_sessions_end_at_different_steps(mode: AutoresetMode) -> None:
    native, sync = _pair(mode, session_length=5)
    native.reset(seed=1), sync.reset(seed=1)
    for _ in range(3):
        native.step(np.ones(NUM_ENVS, dtype=int)), sync.step(np.ones(NUM_ENVS, dtype=int))
    mask = np.array([True, False, True, False, False])
    options = {"reset_mask": mask}
    _assert_same_step(native.reset(options=dict(options)), sync.reset(options=options), "mask")
    for step in range(40):
        actions = np.full(NUM_ENVS, step % 2)
        _assert_same_step(native.step(actions), sync.step(actions), f"step {step}")


def test_a_listener_for_each_environment(six: Catalogue) -> None:
    vector = MusicRecAnyListenerVectorEnv(
        4, catalogue=six, population=SIX_POPULATION, session_length=6
    )
    drawn = vector.reset(seed=0)[1]["listener"]["index"]
    each = [2, None, {"artist": "C", "genre": "rock"}, Preference(**SIX_LISTENER)]
    observations, info = vector.reset(seed=0, options={"listener": each})
    assert info["listener"]["index"].tolist() == [2, drawn[1], -1, -1]
    for i, wanted in enumerate(each):
        scalar = six_env(six)
        options = None if wanted is None else {"listener": wanted}
        np.testing.assert_array_equal(scalar.reset(seed=i, options=options)[0], observations[i])
        assert vector.listeners.preference(i, six) == scalar.preference
    with pytest.raises(ValueError, match="num_envs = 4, got 2 listeners"):
        vector.reset(options={"listener": [1, 2]})


def test_infos_and_observations_handed_out_are_fresh() -> None:
    env = MusicRecAnyListenerVectorEnv(2, session_length=4)
    kept = copy.deepcopy(env.reset(seed=0))
    for _ in range(6):
        observation, reward, *_, info = env.step([0, 1])
        for array in (observation, reward, info["track_index"], info["listener"]["artist"]):
            array[...] = 1
    _assert_same_step(env.reset(seed=0), kept, "reset")


def test_the_same_in_another_process_and_in_other_batches() -> None:
    code = (
        "import gymnasium as gym; env = gym.make('music_env:MusicRecAnyListener-v0');"
        "info = env.reset(seed=5)[1]; print(info['listener']['index'],"
        "[env.step(1)[4]['track_index'] for _ in range(100)])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    vector = MusicRecAnyListenerVectorEnv(700)  # more than one block of `draw_mixture`
    info = vector.reset(seed=0)[1]
    assert output == f"{info['listener']['index'][5]} {vector._order[:, 5].tolist()}\n"


def test_pickles_copies_and_states_go_on_the_same() -> None:
    env = gym.make(ENV_ID, session_length=9)
    env.reset(seed=1)
    env.reset(options={"listener": {"genre": "rock"}})
    for step in range(4):
        env.step(step % 2)
    others = [
        pickle.loads(pickle.dumps(env)),
        copy.deepcopy(env),
        gym.make(ENV_ID, session_length=9),
    ]
    others[2].reset(seed=99)
    others[2].unwrapped.set_state(json.loads(json.dumps(env.unwrapped.get_state())))
    assert len(pickle.dumps(env)) < 100_000  # the arguments, not the tables
    for step in range(40):
        expected = env.step(step % 2)
        for other in others:
            mine = other.step(step % 2)
            np.testing.assert_array_equal(mine[0], expected[0], err_msg=f"step {step}")
            assert mine[1:] == expected[1:], step
        if expected[2]:
            start = env.reset()
            for other in others:
                mine_start = other.reset()
                np.testing.assert_array_equal(mine_start[0], start[0])
                assert mine_start[1] == start[1]


def test_vector_pickles_and_states_go_on_the_same() -> None:
    env = MusicRecAnyListenerVectorEnv(3, session_length=9, autoreset_mode="SameStep")
    env.reset(seed=2, options={"listener": [4, None, {"genre": "metal"}]})
    for _ in range(4):
        env.step([0, 1, 0])
    env.reset(options={"reset_mask": np.array([False, True, False])})
    env.step([0, 1, 0])
    restored = MusicRecAnyListenerVectorEnv(3, session_length=9, autoreset_mode="SameStep")
    state = env.get_state()
    assert all(isinstance(array, np.ndarray) for array in state.values())
    restored.set_state(state)
    others = [restored, pickle.loads(pickle.dumps(env)), copy.deepcopy(env)]
    for step in range(30):
        expected = env.step([1, 0, step % 2])
        for other in others:
            _assert_same_step(other.step([1, 0, step % 2]), expected, f"step {step}")


def test_spec_serialises_to_json_and_back() -> None:
    env = gym.make(
        ENV_ID,
        population=[{"artist": "Linkin Park"}, {"genre": "rock", "danceability": [0.4, 0.6]}],
        balance={"artist": 0.5},
        session_length=10,
    )
    assert env.spec is not None
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    first, second = env.reset(seed=3), again.reset(seed=3)
    np.testing.assert_array_equal(first[0], second[0])
    assert first[1] == second[1]


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_render(six: Catalogue, mode: str) -> None:
    env = six_env(six, render_mode=mode)
    env.reset(seed=0, options={"listener": SIX_LISTENER})
    before = env.render()
    env.step(1)
    after = env.render()
    vector = MusicRecAnyListenerVectorEnv(
        2, catalogue=six, population=SIX_POPULATION, session_length=6, render_mode=mode
    )
    vector.reset(seed=0, options={"listener": SIX_LISTENER})
    vector.step([1, 0])
    first = vector.render()
    assert first is not None
    if mode == "ansi":
        assert "Listener      artist A, genre rock, danceability 0.4 to 0.6" in before
        assert "Score" not in before
        assert f"Score         {SIX_SCORES[env._order[0]]:+d}: artist" in after
        assert first[0] == after
    else:
        assert after.shape == (448, 800, 3) and after.dtype == np.uint8
        assert (after != before).any()
        np.testing.assert_array_equal(first[0], after)


def test_held_out_tracks_are_never_shown() -> None:
    tracks = list(range(0, 5849, 7))
    vector = MusicRecAnyListenerVectorEnv(50, tracks=tracks, population_seed=1)
    vector.reset(seed=0)
    shown = vector._order
    assert set(shown.ravel().tolist()) <= set(tracks)
    assert all(len(set(column)) == 100 for column in shown.T.tolist())
