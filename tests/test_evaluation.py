"""Figures computed from one decision a track equal those of stepping through the environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import SIX_LISTENER, SIX_SCORES

from agents.baselines import baselines
from agents.evaluation import TrackPolicy, catalogue_figures, learner_policy, session_figures
from agents.recommender import recommend, track_values
from music_env import Catalogue


class _ByDanceability:
    """A "learner": Q(like) - Q(dislike) is the distance of danceability above 0.55."""

    calls = 0

    def q_values(self, observations: np.ndarray) -> np.ndarray:
        self.calls += 1
        value = observations[:, 0].astype(np.float64) - 0.55
        return np.stack([-value / 2, value / 2], axis=1)

    def predict(self, observation: np.ndarray) -> int:
        return int(np.float64(observation[0]) - 0.55 > 0)


def _tables(catalogue: Catalogue, **arguments: Any) -> Any:
    env = gym.make("MusicRec-v0", catalogue=catalogue, encoding="codes", **arguments)
    return env.unwrapped.tables, env


def test_sessions_equal_stepping_through_the_environment(embedded: Catalogue) -> None:
    tables, env = _tables(embedded, session_length=30)
    learner = _ByDanceability()
    figures = session_figures(learner_policy("x", learner, tables), tables, sessions=8, seed=12)
    returns, regrets, right = [], [], []
    for session in range(8):
        observation, _ = env.reset(seed=12 if session == 0 else None)
        done = False
        while not done:
            observation, reward, done, _, info = env.step(learner.predict(observation))
            right.append(reward >= 0)
        returns.append(info["episode_return"])
        regrets.append(info["episode_regret"])
    assert figures["mean_return"] == pytest.approx(np.mean(returns))
    assert figures["mean_regret"] == pytest.approx(np.mean(regrets))
    assert figures["decision_accuracy"] == pytest.approx(np.mean(right))
    assert figures["mean_return_low"] <= figures["mean_return"] <= figures["mean_return_high"]


def test_baselines_by_hand(six: Catalogue) -> None:
    tables, _ = _tables(six, session_length=6, **SIX_LISTENER)
    figures = {p.name: catalogue_figures(p, tables) for p in baselines(tables)}
    assert list(figures) == ["random", "always like", "always dislike", "genre only", "oracle"]
    assert figures["always like"]["mean_reward"] == np.mean(SIX_SCORES)
    assert figures["always dislike"]["decision_accuracy"] == 0.5
    # Genre only likes tracks 0, 2 and 5: right on 0, 3, 4 and 5.
    assert figures["genre only"]["decision_accuracy"] == pytest.approx(4 / 6)
    assert figures["oracle"]["relative_regret"] == 0
    assert figures["oracle"]["precision_at_10"] == figures["oracle"]["ndcg_at_10"] == 1


def test_popularity_likes_the_more_popular_half(embedded: Catalogue) -> None:
    tables, _ = _tables(embedded)
    policy = next(p for p in baselines(tables) if p.name == "popularity")
    assert policy.likes is not None
    popularity = embedded.features["popularity"]
    assert popularity[policy.likes].min() > popularity[~policy.likes].max() - 1e-9


def test_random_decides_afresh_for_every_track_shown(six: Catalogue) -> None:
    tables, _ = _tables(six, session_length=6, **SIX_LISTENER)
    figures = session_figures(baselines(tables)[0], tables, sessions=2000)
    assert figures["decision_accuracy"] == pytest.approx(0.5, abs=0.02)


def test_equal_values_are_ranked_at_random_not_in_file_order(six: Catalogue) -> None:
    tables, _ = _tables(six, session_length=6, **SIX_LISTENER)
    constant = TrackPolicy("same", lambda: np.zeros(6), np.zeros(6, dtype=bool))
    first = {catalogue_figures(constant, tables, seed=seed)["mrr"] for seed in range(30)}
    assert len(first) > 1


def test_recommend_and_values_in_chunks(
    embedded: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, _ = _tables(embedded)
    whole = track_values(_ByDanceability(), tables.encoded)
    monkeypatch.setattr("agents.values.CHUNK", 1000)
    learner = _ByDanceability()
    np.testing.assert_array_equal(track_values(learner, tables.encoded), whole)
    assert learner.calls == 6
    expected = np.argsort(-whole, kind="stable")[:10]
    np.testing.assert_array_equal(recommend(learner, tables.encoded, 10), expected)
    among = np.array([5, 900, 17, 3000])
    best = recommend(learner, tables.encoded, 2, tracks=among)
    np.testing.assert_array_equal(best, among[np.argsort(-whole[among])[:2]])
