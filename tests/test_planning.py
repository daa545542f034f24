"""The planner and the myopic oracle in the environment, against the reduced model's optimum."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from agents.planning import MyopicOracle, Planner, planning_gain, session_returns, upper_bound
from agents.session_model import SessionModel, myopic, optimum
from music_env import PRESETS, Catalogue, Effects, MusicRecSessionEnv, MusicRecSessionVectorEnv

CLASSES, SHARES = (-1.0, 1.0, 2.0, 3.0), (0.3, 0.3, 0.2, 0.2)
# The listener expects 1: nobody who plays the classes above loses patience. Of these, some do.
TRYING = (-1.0, 0.3, 3.0), (0.4, 0.4, 0.2)
N_TRACKS = 10_000


@dataclass(frozen=True)
class OneGenre:
    """The listener of the reduced model."""

    classes: tuple[float, ...] = CLASSES
    shares: tuple[float, ...] = SHARES

    def scores(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Return each class for its share of the tracks."""
        counts = [round(share * catalogue.n_tracks) for share in self.shares]
        return np.repeat(self.classes, counts)


def rock(n_tracks: int) -> Catalogue:
    rows = [(f"t{i}", f"Track {i}", "Somebody", "rock", 0.5) for i in range(n_tracks)]
    columns = ["track_id", "title", "artists", "genres", "danceability"]
    return Catalogue.from_frame(pd.DataFrame(rows, columns=columns))


@pytest.fixture(scope="module")
def one_genre() -> Catalogue:
    return rock(N_TRACKS)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_environment_agrees_with_the_reduced_model(one_genre: Catalogue, preset: str) -> None:
    n = 1000
    classes, shares = TRYING if preset == "patience" else (CLASSES, SHARES)
    env = MusicRecSessionVectorEnv(
        n,
        catalogue=one_genre,
        listener=OneGenre(classes, shares),
        enjoyed_share=None,
        preset=preset,
        encoding="grid",
    )
    model = SessionModel(np.array(classes), np.array(shares), PRESETS[preset], 50)
    best = optimum(model, levels=128, patiences=64).value
    greedy = myopic(model, levels=1024, patiences=64).value
    assert best == greedy if preset == "static" else best > 1.3 * greedy
    planner = Planner(env)
    assert planner._plan.value == pytest.approx(best, rel=2e-2)  # a coarser grid, the same model
    for policy, value in ((planner, best), (MyopicOracle(env), greedy)):
        returns = session_returns(policy, env, seed=0)
        error = 4 * returns.std() / n**0.5 + 0.01 * value
        assert returns.mean() == pytest.approx(value, abs=error), type(policy).__name__
    assert upper_bound(env, levels=128) >= best - 1e-9


@dataclass(frozen=True)
class Listed:
    """A listener of a few tracks."""

    fresh: tuple[float, ...]

    def scores(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Return what is listed."""
        return np.array(self.fresh)


def best_of_the_rest(fresh: tuple[float, ...], effects: Effects, length: int) -> float:
    """Return the exact optimum of a session that shows no track twice, by recursion."""

    @functools.cache
    def value(rest: tuple[float, ...], level: float, patience: float) -> float:
        if len(rest) == len(fresh) - length:
            return 0.0
        total = 0.0
        for i, track in enumerate(rest):
            left = rest[:i] + rest[i + 1 :]
            enjoyed = effects.enjoyment(track, level)
            ends = [effects.patience_after_pass(patience)]
            ends.append(effects.patience_after_play(patience, enjoyed))
            passed, played = (
                (1 - effects.leaves(end) if effects.patience else 1)
                * value(left, effects.recovered(level + plays), end)
                for plays, end in enumerate(ends)
            )
            total += max(passed, enjoyed + played)
        return total / len(rest)

    return value(tuple(sorted(fresh)), 0.0, 1.0)


@pytest.mark.parametrize(
    ("fresh", "effects", "length"),
    [
        ((1.0, 1.0, 3.0, 3.0), Effects(satiation=1.5), 4),
        ((1.0, 1.0, 3.0, 3.0), Effects(satiation=1.5), 3),
        ((-0.2, 0.1, 0.4, 0.7, 1.0, 1.2), Effects(patience=0.5), 6),
        ((-0.2, 0.1, 0.4, 0.7, 1.0, 3.0), Effects(patience=0.5), 4),
        ((-0.5, 0.5, 1.0, 1.5, 2.0, 3.0), Effects(satiation=1.0, patience=0.3), 5),
    ],
)
def test_the_upper_bound_holds_where_a_session_shows_most_of_the_pool(
    fresh: tuple[float, ...], effects: Effects, length: int
) -> None:
    env = MusicRecSessionVectorEnv(
        2000,
        catalogue=rock(len(fresh)),
        listener=Listed(fresh),
        enjoyed_share=None,
        satiation=effects.satiation,
        patience=effects.patience,
        session_length=length,
        encoding="summary",
    )
    best, bound = best_of_the_rest(fresh, effects, length), upper_bound(env)
    planner = session_returns(Planner(env), env, seed=0)
    assert planner.mean() <= best + 4 * planner.std() / 2000**0.5
    assert best <= bound <= sum(max(track, 0) for track in fresh) * length / len(fresh) + 1e-9
    if fresh[0] == 1 and length == 4:
        assert best == pytest.approx(4.5495, abs=1e-4)


@dataclass(frozen=True)
class TwoClasses:
    """Half of the tracks are enjoyed by 0.5, half by 3."""

    def scores(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Return the one for the first half, the other for the second."""
        return np.repeat([0.5, 3.0], catalogue.n_tracks // 2)


def test_three_steps_in_the_environment_earn_what_was_computed_by_hand(
    one_genre: Catalogue,
) -> None:
    # By hand in test_session_model.py: 3.9375, and 3.75 for the myopic oracle.
    env = MusicRecSessionVectorEnv(
        4000,
        catalogue=one_genre,
        listener=TwoClasses(),
        enjoyed_share=None,
        preset="satiation",
        satiation=2.0,
        decay=0.5,
        session_length=3,
        encoding="grid",
    )
    for policy, value in ((Planner(env, levels=8), 3.9375), (MyopicOracle(env), 3.75)):
        returns = session_returns(policy, env, seed=0)
        assert returns.mean() == pytest.approx(value, abs=4 * returns.std() / 4000**0.5)


@pytest.mark.parametrize(
    ("preset", "least"), [("static", 1), ("satiation", 1.3), ("patience", 1.3), ("both", 1.3)]
)
def test_what_planning_is_worth_for_the_default_listener(preset: str, least: float) -> None:
    env = MusicRecSessionVectorEnv(400, preset=preset, encoding="grid")
    greedy = session_returns(MyopicOracle(env), env, seed=0)
    planner = session_returns(Planner(env), env, seed=0)
    assert planner.mean() / greedy.mean() >= least
    assert planner.mean() <= upper_bound(env, classes=100) + 4 * planner.std() / 20
    if preset == "static":
        np.testing.assert_array_equal(planner, greedy)
        with pytest.raises(ValueError, match="there is no planning gain"):
            planning_gain(greedy, greedy, planner, generator=np.random.default_rng(0))
    else:
        gain = planning_gain(planner, greedy, planner, generator=np.random.default_rng(0))
        assert gain.gain == gain.low == gain.high == 1


@pytest.mark.parametrize(
    ("effects", "least", "most"),
    [
        ({"preset": "satiation"}, 0.99, 1.02),
        ({"preset": "satiation", "satiation": 2.0}, 1.0, 1.1),
        ({"preset": "both"}, 1.3, 2.5),  # patience by itself: as much
    ],
)
def test_satiation_by_artist_is_hardly_worth_planning_for(
    effects: dict[str, Any], least: float, most: float
) -> None:
    arguments: dict[str, Any] = {"satiation_of": "artist", "encoding": "summary", **effects}
    env = MusicRecSessionVectorEnv(200, **arguments)
    greedy = session_returns(MyopicOracle(env), env, seed=0)
    planner = session_returns(Planner(env, levels=32, patiences=16), env, seed=0)
    assert least <= planner.mean() / greedy.mean() <= most


def test_planning_gain_by_hand() -> None:
    greedy, planner = np.array([1.0, 3, 2]), np.array([3.0, 5, 4])
    halfway = np.array([1.0, 5, 3])
    gain = planning_gain(halfway, greedy, planner, generator=np.random.default_rng(0))
    assert gain.gain == 0.5 and 0 <= gain.low <= 0.5 <= gain.high <= 1
    with pytest.raises(ValueError, match=r"got shapes \(2,\), \(3,\) and \(3,\)"):
        planning_gain(halfway[:2], greedy, planner, generator=np.random.default_rng(0))


def test_scalar_and_vector_policies_decide_alike() -> None:
    arguments: dict[str, Any] = {"encoding": "grid", "session_length": 8}
    scalar = gym.make("MusicRecSession-v0", **arguments)
    vector = gym.make_vec("MusicRecSession-v0", num_envs=1, **arguments)
    observation, _ = scalar.reset(seed=5)
    vector.reset(seed=5)
    small: dict[str, Any] = {"classes": 6, "levels": 16, "patiences": 8}
    pairs = [
        (MyopicOracle(scalar), MyopicOracle(vector)),
        (Planner(scalar, **small), Planner(vector, **small)),
    ]
    for step in range(8):
        for one, many in pairs:
            action, _ = one.predict(observation)
            assert action.shape == () and many.predict(observation)[0].tolist() == [int(action)]
        observation, _, terminated, _, _ = scalar.step(int(action))
        vector.step(np.array([action]))
        if terminated:
            assert step > 0
            break


def test_planners_need_the_environment() -> None:
    with pytest.raises(TypeError, match="a planner needs MusicRecSession-v0 or MusicRecSlate-v0"):
        MyopicOracle(gym.make("CartPole-v1"))
    assert isinstance(Planner(MusicRecSessionEnv(encoding="grid", preset="static")), Planner)
