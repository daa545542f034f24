"""The study of online use: who is met, what is counted, and what the report says of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from music_env import Catalogue
from music_env.population import Split, draw_population
from music_env.songs import same_songs
from study import online, online_rivals, report_online
from study.intervals import Statistics
from study.online import NOISY, NOTHING, REAL, SIMULATED, STATED, cases, serve
from study.online_rivals import MEET, ORACLE, OURS, POLICIES, Fixed, Newcomer, Tabular, UpperBounds
from study.tasks import Task

HOW = Statistics(200)


def task(learner: str, case: str = SIMULATED + NOTHING, seed: int = 0, presses: int = 6) -> Task:
    return Task("online", learner, case, seed, presses, {})


def test_only_policies_are_told_a_preference_and_no_file_no_real_listener(tmp_path: Any) -> None:
    found = cases(None)
    assert set(found) == {SIMULATED + NOTHING, SIMULATED + STATED, SIMULATED + NOISY}
    assert found[SIMULATED + STATED] == (*POLICIES, ORACLE)
    assert set(found[SIMULATED + NOTHING]) == set(MEET)
    assert "popularity" not in cases(tmp_path)[REAL]


def test_newcomers_are_of_the_test_split_and_the_same_for_all(embedded: Catalogue) -> None:
    people = draw_population(embedded, split=Split("test")).listeners
    first = list(online._newcomers(task("random", seed=1)))
    assert len(first) == online.NEWCOMERS
    for ours, theirs in zip(first, online._newcomers(task("linucb", seed=1)), strict=True):
        assert ours.seed == theirs.seed
        assert (ours.liked == theirs.liked).all()
    assert {one.seed for one in first}.isdisjoint(
        one.seed for one in online._newcomers(task("random", seed=2))
    )
    stated = next(online._newcomers(task(OURS, SIMULATED + STATED, seed=1)))
    assert stated.stated["stated"] == people.preference(online.NEWCOMERS, embedded)
    assert stated.stated["unknown"] == ()


def test_the_oracle_gets_all_there_is(embedded: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(online, "NEWCOMERS", 4)
    monkeypatch.setattr(online, "FIRST", (2, 6))
    found = serve(task(ORACLE))
    songs = same_songs(embedded)
    for count in (2, 6):
        wanted = [
            round(min(count, len(np.unique(songs[one.liked]))) / count, 4)
            for one in online._newcomers(task(ORACLE))
        ]
        assert found[f"first_{count}"] == wanted
    assert "agreement" not in found


def test_the_first_recommendation_is_exact_over_equal_tracks(
    embedded: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online, "NEWCOMERS", 4)
    monkeypatch.setattr(online, "SLOW_NEWCOMERS", {"linucb": 1})
    people = [one.liked for one in online._newcomers(task("random"))]
    shares = [round(float(liked.mean()), 4) for liked in people]
    assert 0 < min(shares) < max(shares) < 1
    for name in ("random", "q-learning", "linucb"):  # they know nothing yet
        assert serve(task(name, presses=1))["first_1"] == shares
    slow = serve(task("linucb", presses=2))
    assert (len(slow["first_1"]), len(slow["first_5"])) == (4, 1)
    popular = embedded.features["popularity"]
    wanted = [round(float(liked[popular == popular.max()].mean()), 4) for liked in people]
    assert serve(task("popularity", presses=1))["first_1"] == wanted


def test_a_wrong_press_is_heard_but_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(online, "NEWCOMERS", 3)
    monkeypatch.setattr(online, "WRONG_BUTTON", 1.0)  # each press is the wrong one
    monkeypatch.setattr(online, "FIRST", (6,))
    heard = []

    class Listening(Fixed):
        def feedback(self, track: int, liked: bool) -> None:
            heard.append(liked)

    def meet(newcomer: Newcomer, _: Any) -> Fixed:
        return Listening(newcomer.liked.astype(float), newcomer.catalogue, newcomer.seed)

    monkeypatch.setitem(MEET, "listening", meet)
    shares = serve(task("listening", SIMULATED + NOISY))["first_6"]
    assert 1 - np.mean(heard) == pytest.approx(np.mean(shares), abs=1e-4)  # shares are rounded


def test_q_learning_prefers_liked_states_and_shows_none_twice(six: Catalogue) -> None:
    learner = Tabular(six, seed=0)
    shown = []
    for _ in range(6):
        shown.append(learner.next_track())
        learner.feedback(shown[-1], False)
    assert sorted(shown) == list(range(6))
    alike = Tabular(Catalogue.default(), seed=0)
    states = alike._states
    twins = np.flatnonzero(states == np.bincount(states).argmax())
    alike.feedback(int(twins[0]), True)
    alike._shown._is_new[twins[0]] = False
    assert alike.next_track() in twins


def test_no_rival_shows_a_song_twice_under_another_id(embedded: Catalogue) -> None:
    songs = same_songs(embedded)
    repeated = np.flatnonzero(np.bincount(songs)[songs] > 1)
    values = np.zeros(embedded.n_tracks)
    values[repeated] = 1.0  # those come first
    rival = Fixed(values, embedded, seed=0)
    shown = [rival.next_track() for _ in range(60)]
    assert set(shown) <= set(repeated.tolist())
    assert len(np.unique(songs[shown])) == 60


def test_upper_bounds_are_those_by_which_linucb_chooses(six: Catalogue) -> None:
    learner = UpperBounds(six, seed=0)
    for track in range(4):
        learner.feedback(track, track % 2 == 0)
    inner, observations = learner._learner, learner._observations
    bounds = inner.upper_bounds(observations, 1)
    wanted = inner._indices(inner.features.dense(observations))
    # mabwiser says nothing of an action that was never taken: only "like" was.
    np.testing.assert_allclose(bounds, wanted[:, 1], rtol=1e-9)
    assert learner.next_track() == int(wanted[:, 1].argmax())


def rows_of(shares: dict[str, list[float]], seeds: int = 5) -> list[dict[str, Any]]:
    rows = []
    for learner, own in shares.items():
        for seed in range(seeds):
            rows.append(
                {
                    "suite": "online",
                    "learner": learner,
                    "case": SIMULATED + NOTHING,
                    "seed": seed,
                    "budget": 50,
                    "status": "done",
                    **{f"first_{count}": own for count in online.FIRST},
                    "press_ms": 3.0,
                    **({"agreement": 0.99 + seed / 800} if learner == OURS else {}),
                }
            )
    return rows


def test_the_report_says_whom_ours_is_better_than() -> None:
    rows = rows_of(
        {
            OURS: [0.5, 0.6, 0.7, 0.8],
            "q-learning": [0.1, 0.3, 0.2, 0.4],
            "linucb": [0.9, 0.9],  # met the first two only
            "random": [0.6, 0.7, 0.6, 0.7],
            ORACLE: [1.0, 1.0, 1.0, 1.0],
        }
    )
    text = "\n".join(report_online.online_section(rows, HOW))
    assert "| policy-online | 20 | 65.0 % [" in text
    assert "| linucb | 10 | 90.0 % [" in text
    assert "exactly like" not in text
    assert "Of the first 20, policy-online is better than q-learning (+40.0 [" in text
    assert "not told apart from random (+0.0 [" in text
    assert "worse than linucb (-35.0 [" in text
    assert f"- {SIMULATED + NOTHING}: 99.0 to 99.5 %" in text
    # Of two seeds nothing is told apart.
    text = "\n".join(report_online.online_section(rows_of({OURS: [0.5], "random": [0.1]}, 2), HOW))
    assert "| policy-online | 2 | 50.0 % |" in text
    assert "Of the first 20, policy-online is of too few seeds for an interval: random (+40.0)" in (
        text
    )


def test_the_report_says_who_is_exactly_like_ours_and_whom_the_slow_one_served() -> None:
    rows = rows_of({OURS: [0.5, 0.6], online_rivals.FROZEN: [0.5, 0.6], "linucb": [0.2, 0.1]})
    for row in rows:
        if row["learner"] == "linucb":
            row["first_1"] = [0.25, 0.35]
            row.update({f"first_{count}": [0.1] for count in (5, 20, 50)})
        if row["learner"] == online_rivals.FROZEN:
            row["agreement"] = 0.99
            row["first_20"] = [0.5, 0.55 if row["seed"] == 0 else 0.6]
    text = "\n".join(report_online.online_section(rows, HOW))
    assert (
        "With the first one, policy-online is better than linucb (+25.0 [+25.0, +25.0]); "
        "for each person exactly like policy-frozen (percentage points)."
    ) in text
    assert "Of the first 20, policy-online is better than linucb" in text
    assert "not told apart from policy-frozen (+0.5 [" in text
    assert "| linucb | 10, then 5 | 30.0 % [" in text


def test_agreement_is_given_for_each_case() -> None:
    rows = rows_of({OURS: [0.5]})
    real = [{**row, "case": REAL, "agreement": 0.9} for row in rows]
    text = "\n".join(report_online.online_section([*rows, *real], HOW))
    assert f"- {SIMULATED + NOTHING}: 99.0 to 99.5 %" in text
    assert f"- {REAL}: 90.0 to 90.0 %" in text


def test_a_share_of_none_has_an_interval_and_the_oracle_is_exact() -> None:
    rows = rows_of({"linucb": [0.0] * 20, ORACLE: [1.0] * 20})
    text = "\n".join(report_online.online_section(rows, HOW))
    # 1 - 0.025 ** (1 / 100), as for no event in 100 trials
    assert f"| linucb | 100 | 0.0 % [0.0, {100 * (1 - 0.025 ** (1 / 100)):.1f}] |" in text
    assert "| oracle | 100 | 100.0 % [100.0, 100.0] |" in text


def test_all_recommenders_have_a_place_in_the_report() -> None:
    assert set(MEET) >= {*POLICIES, ORACLE}
    assert online_rivals.FROZEN in POLICIES
