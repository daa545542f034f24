"""The planner and the myopic oracle of slates, against the reduced model's optimum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from agents.planning import MyopicOracle, Planner, session_returns, upper_bound
from agents.session_model import SessionModel, myopic, optimum
from music_env import PRESETS, Catalogue, MusicRecSlateVectorEnv

CLASSES, SHARES = [-1.0, 1.0, 2.0, 3.0], [0.3, 0.3, 0.2, 0.2]
SMALL: dict[str, Any] = {"classes": 12, "levels": 32, "patiences": 8}


@dataclass(frozen=True)
class OneGenre:
    """A listener of four classes of tracks."""

    def scores(self, catalogue: Catalogue) -> NDArray[np.float64]:
        """Return three tenths of -1, three of 1, two of 2 and two of 3."""
        return np.repeat(CLASSES, [round(share * catalogue.n_tracks) for share in SHARES])


@pytest.mark.parametrize("preset", ["satiation", "both"])
def test_the_environment_agrees_with_the_reduced_model(preset: str) -> None:
    rows = [(f"t{i}", f"Track {i}", "Somebody", "rock", 0.5) for i in range(10_000)]
    columns = ["track_id", "title", "artists", "genres", "danceability"]
    n = 600
    env = MusicRecSlateVectorEnv(
        n,
        catalogue=Catalogue.from_frame(pd.DataFrame(rows, columns=columns)),
        listener=OneGenre(),
        enjoyed_share=None,
        preset=preset,
        slate_size=3,
        session_length=20,
        encoding="summary",
    )
    model = SessionModel(CLASSES, SHARES, PRESETS[preset], 20, slate_size=3, pool_size=10_000)
    best = optimum(model, levels=128, patiences=64).value
    greedy = myopic(model, levels=512, patiences=64).value
    for policy, value in ((Planner(env, levels=64), best), (MyopicOracle(env), greedy)):
        returns = session_returns(policy, env, seed=0)
        error = 4 * returns.std() / n**0.5 + 0.01 * value
        assert returns.mean() == pytest.approx(value, abs=error), type(policy).__name__
    assert upper_bound(env, levels=128) >= best - 1e-9


@pytest.mark.parametrize(
    ("preset", "slate_size", "least", "most"),
    [
        ("static", 10, 1.0, 1.0),
        ("satiation", 10, 1.3, 2.5),
        ("patience", 2, 1.3, 2.5),
        ("patience", 10, 0.999, 1.02),  # one of ten is nearly always enjoyed: nobody leaves
        ("both", 10, 1.3, 2.5),
    ],
)
def test_what_planning_is_worth_for_the_default_listener(
    preset: str, slate_size: int, least: float, most: float
) -> None:
    env = MusicRecSlateVectorEnv(150, preset=preset, slate_size=slate_size, encoding="summary")
    greedy = session_returns(MyopicOracle(env), env, seed=0)
    planner = session_returns(Planner(env, **SMALL), env, seed=0)
    assert least <= planner.mean() / greedy.mean() <= most
    bound = upper_bound(env, classes=100, levels=64)
    assert planner.mean() <= bound + 4 * planner.std() / 150**0.5
    if preset == "static":
        np.testing.assert_array_equal(planner, greedy)


def test_what_is_masked_is_not_chosen_and_scalar_and_vector_decide_alike() -> None:
    arguments: dict[str, Any] = {
        "preset": "static",
        "tracks": list(range(0, 5849, 1950)),
        "slate_size": 3,
        "session_length": 3,
        "enjoyed_share": None,
        "artist": None,
        "danceability": (0.0, 1.0),  # which all are within
    }
    scalar = gym.make("MusicRecSlate-v0", **arguments)
    vector = gym.make_vec("MusicRecSlate-v0", num_envs=1, **arguments)
    pairs = [
        (MyopicOracle(scalar), MyopicOracle(vector)),
        (Planner(scalar, **SMALL), Planner(vector, **SMALL)),
    ]
    plays = 0
    for seed in range(5):
        observation, info = scalar.reset(seed=seed)
        vector.reset(seed=seed)
        terminated = False
        while not terminated:
            for one, many in pairs:
                action, _ = one.predict(observation)
                assert action.shape == () and many.predict(observation)[0].tolist() == [int(action)]
                assert info["action_mask"][int(action)] == 1
            observation, _, terminated, _, info = scalar.step(int(action))
            vector.step(np.array([action]))
        plays += info["plays"]
        assert info["masked_choices"] == 0
        vector.reset(seed=seed)
    assert plays > 5


def test_the_myopic_oracle_takes_the_best_by_hand() -> None:
    env = MusicRecSlateVectorEnv(50, preset="both", encoding="summary", slate_size=4)
    env.reset(seed=0)
    for _ in range(6):
        offers = env.offers()
        best = np.where(offers.available, offers.state.enjoyment, -9).max(axis=1)
        actions, _ = MyopicOracle(env).predict()
        enjoyed = np.take_along_axis(
            offers.state.enjoyment, np.maximum(actions - 1, 0)[:, None], axis=1
        )[:, 0]
        np.testing.assert_array_equal(np.where(actions > 0, enjoyed, 0), np.maximum(best, 0))
        env.step(actions)
