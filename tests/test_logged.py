"""MusicRecLogged-v0: every judgement kept, by hand, as SyncVectorEnv, and on a real person's."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import shared_file
from gymnasium.utils.env_checker import check_env as check_env_gymnasium
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.env_checker import check_env as check_env_sb3
from test_vector_env import _assert_same_step

from music_env import (
    ENCODINGS,
    CatalogueError,
    Judgements,
    MusicRecLoggedEnv,
    MusicRecLoggedVectorEnv,
)

ENV_ID = "MusicRecLogged-v0"
# row: id, title, artist, danceability, energy, verdict
ROWS = """\
track_id,title,artist,danceability,energy,verdict
a,One,X,0.5,0.1,1
b,Two,Y,0.6,0.2,0
a,One,X,0.5,0.1,0
c, two ,y,0.7,0.3,TRUE
d,Three,Z,0.8,0.4,
e,Four,Z,high,0.5,1
f,Five,Z;X,0.9,0.6,False
g,Six,Z,0.1,0.7,yes
"""
# Kept: rows 1, 2, 3, 4, 7 and 8.
LIKED = [True, False, False, True, False, True]


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "judged.csv"
    file.write_text(ROWS)
    return str(file)


def test_every_judgement_is_kept_by_hand(path: str) -> None:
    judged = Judgements.read(path, like="verdict")
    assert judged.liked.tolist() == LIKED
    assert judged.rows.tolist() == [1, 2, 3, 4, 7, 8]
    # Row 3 repeats row 1; row 4 has another id than row 2, but title and artist are the same.
    assert judged.groups.tolist() == [0, 1, 0, 1, 2, 3]
    assert judged.catalogue.track_id.tolist() == ["a", "b", "a", "c", "f", "g"]
    assert judged.catalogue.features["energy"].tolist() == [0.1, 0.2, 0.1, 0.3, 0.6, 0.7]
    assert judged.catalogue.artists.of(4) == ("Z", "X")
    report = judged.catalogue.report
    assert report.dropped == {"danceability is not a number": (6,), "no judgement": (5,)}
    assert report.merged == 0 and report.n_tracks == 6
    assert str(judged).startswith(
        "6 judgements of 4 songs, 3 liked; 2 songs were both liked and disliked"
    )
    for array in (judged.liked, judged.groups, judged.rows):
        assert not array.flags.writeable


def test_rewards_by_hand(path: str) -> None:
    env = MusicRecLoggedEnv(judgements=path, like="verdict", encoding="codes", session_length=6)
    assert env.groups.tolist() == [0, 1, 0, 1, 2, 3]
    for session in range(5):
        _, info = env.reset(seed=1 if session == 0 else None)
        seen, total = [], 0.0
        for step in range(6):
            row, action = env._order[step], (session + step) % 2
            observation = env._observe(row)
            np.testing.assert_array_equal(observation, env.encoded.rows.take(np.array([row]))[0])
            _, reward, terminated, _, info = env.step(action)
            expected = 1.0 if bool(action) == LIKED[row] else -1.0
            assert reward == expected and type(reward) is float
            score = 1.0 if LIKED[row] else -1.0
            assert info["score"] == score and info["reward_terms"] == {"judgement": score}
            assert info["track_index"] == row and info["track_id"] == "abacfg"[row]
            seen.append(row)
            total += reward
        assert terminated and sorted(seen) == list(range(6))
        assert info["episode_return"] == total and info["episode_regret"] == 6 - total
        assert env.oracle_return == 6


@pytest.mark.parametrize(
    ("rows", "like", "message"),
    [
        (ROWS, "verdct", r"column 'verdct' \(like\) is there 0 times.*Nearest: 'verdict'"),
        (ROWS.replace("TRUE", "3"), "verdict", r"row 4 has '3', expected 1 or 0.*Ratings"),
        (ROWS.replace("TRUE", "maybe"), "verdict", r"'verdict' \(like\): row 4 has 'maybe'"),
        (ROWS.replace("artist", "singer"), "verdict", r"fit none of the known layouts"),
        ("title,artist,danceability,v\nA,B,0.5,\n", "v", r"is empty, expected 1 or 0"),
    ],
)
def test_errors_say_what_was_wrong(tmp_path: Path, rows: str, like: str, message: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(rows)
    with pytest.raises(CatalogueError, match=r"(?s)bad\.csv.*" + message):
        MusicRecLoggedEnv(judgements=file, like=like)
    with pytest.raises(ValueError, match="judgements are missing: name a CSV or Parquet file"):
        gym.make(ENV_ID)
    with pytest.raises(ValueError, match="judgements are missing"):
        MusicRecLoggedVectorEnv(2)
    with pytest.raises(TypeError, match="must be a path or Judgements, got int"):
        MusicRecLoggedEnv(judgements=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "arguments", "name"),
    [
        (ROWS.replace("verdict", "mode"), {"like": "mode"}, "mode"),  # recognised by its name
        (ROWS, {"like": "verdict", "columns": {"energy": "verdict"}}, "energy"),
        (ROWS, {"like": "verdict", "columns": {"genre": "verdict"}}, "genres"),
    ],
)
def test_the_answer_is_not_observed(
    tmp_path: Path, rows: str, arguments: dict[str, Any], name: str
) -> None:
    file = tmp_path / "likes.csv"
    file.write_text(rows)
    message = (
        rf"likes\.csv: the column '\w+' is the judgement and would be observed as '{name}' too"
    )
    with pytest.raises(CatalogueError, match=message):
        Judgements.read(file, **arguments)


def test_pickles_specs_and_states_go_on_the_same(path: str) -> None:
    arguments: dict[str, Any] = {"judgements": path, "like": "verdict", "session_length": 4}
    env = gym.make(ENV_ID, **arguments)
    env.reset(seed=1), env.step(1)
    assert env.spec is not None
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    again.unwrapped.set_state(json.loads(json.dumps(env.unwrapped.get_state())))
    pickled = pickle.dumps(env)
    third = pickle.loads(pickled)
    for step in range(3):
        expected = env.step(step % 2)
        for other in (third,):
            assert other.step(step % 2)[1:] == expected[1:]
        assert again.unwrapped.step(step % 2)[1:] == expected[1:]
    Path(path).write_text(ROWS.replace("TRUE", "FALSE"))
    with pytest.raises(ValueError, match="has changed since this environment was pickled"):
        pickle.loads(pickled)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_both_checkers(path: str, encoding: str) -> None:
    env = gym.make(
        ENV_ID, judgements=path, like="verdict", encoding=encoding, session_length=5
    ).unwrapped
    check_env_gymnasium(env)
    check_env_sb3(env)


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_render(path: str, mode: str) -> None:
    env = MusicRecLoggedEnv(judgements=path, like="verdict", session_length=6, render_mode=mode)
    env.reset(seed=0)
    env.step(1)
    view = env.render()
    if mode == "ansi":
        score = 1 if LIKED[env._order[0]] else -1
        assert "Listener      a recorded judgement" in view
        assert f"Score         {score:+d}: judgement {score:+d}" in view
    else:
        assert view.shape == (448, 800, 3)


# --- A real person's ------------------------------------------------------------------------------

REAL: dict[str, Any] = {"columns": {"title": "song_title"}, "like": "target"}


def test_2017_real_judgements() -> None:
    path = shared_file("geomack_song_attributes_likes.csv")
    judged = Judgements.read(path, **REAL)
    assert len(judged) == 2017 and int(judged.liked.sum()) == 1020
    assert judged.rows.tolist() == list(range(1, 2018))
    # Counted with the csv module.
    import csv

    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert judged.liked.tolist() == [row["target"] == "1" for row in rows]
    assert judged.catalogue.features["tempo"].tolist() == [float(row["tempo"]) for row in rows]
    likes: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        title = row["song_title"].replace("\u2019", "'").strip().casefold()
        likes.setdefault((title, row["artist"].casefold()), []).append(row["target"])
    both = [found for found in likes.values() if len(set(found)) > 1]
    assert str(judged).startswith(
        f"2,017 judgements of {len(likes):,} songs, 1,020 liked; {len(both)} songs were both"
    )
    assert int(judged.groups.max()) + 1 < len(likes)  # versions of a song are together


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_equal_to_sync(mode: AutoresetMode, encoding: str) -> None:
    path = str(shared_file("geomack_song_attributes_likes.csv"))
    arguments: dict[str, Any] = {
        "judgements": path,
        "encoding": encoding,
        "session_length": 6,
        "tracks": list(range(0, 2017, 3)),
        **REAL,
    }
    native = gym.make_vec(ENV_ID, num_envs=4, autoreset_mode=mode.value, **arguments)
    sync = gym.make_vec(
        ENV_ID,
        num_envs=4,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        **arguments,
    )
    assert isinstance(native, MusicRecLoggedVectorEnv) and isinstance(sync, SyncVectorEnv)
    assert native.observation_space == sync.observation_space
    _assert_same_step(native.reset(seed=2), sync.reset(seed=2), "reset")
    generator = np.random.default_rng(0)
    for step in range(30):
        actions = generator.integers(2, size=4)
        mine, theirs = native.step(actions), sync.step(actions)
        _assert_same_step(mine, theirs, f"step {step}")
        if mode is AutoresetMode.DISABLED:
            mask = mine[2] | (generator.random(4) < 0.2)
            if mask.any():
                _assert_same_step(
                    native.reset(options={"reset_mask": mask}),
                    sync.reset(options={"reset_mask": mask}),
                    f"masked reset after step {step}",
                )
