"""The study of `tune.py`: what it minimises, what it searches, how it goes on."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("optuna", reason="needs Optuna: pip install '.[tune]'")

import optuna
from conftest import six_frame

import tune
from agents.training import DuelingDQNSettings, QLearningSettings
from study import search

TINY = ["--agent", "q-learning", "--listeners", "1", "--budget", "128"]


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["tune.py", *arguments])
    return tune.main()


def test_checks_are_spaced_geometrically_up_to_the_budget():
    assert search.checks_up_to(256) == [64, 91, 128, 181, 256]
    assert search.checks_up_to(300) == [64, 91, 128, 181, 300]


def test_what_is_minimised_is_the_mean_log_of_the_greedy_regret(monkeypatch, tmp_path):
    """Against a learner whose regret is known: all six tracks' table cells are set by hand."""
    path = tmp_path / "six.csv"
    six_frame().to_csv(path, index=False)
    listener = {
        "catalogue": str(path),
        "artist": "A",
        "genre": "rock",
        "danceability": (0.4, 0.6),
        "session_length": 6,
    }
    settings = QLearningSettings(n_envs=2)
    made = []

    def learner_that_never_likes(given, env, *, seed):
        learner = make_learner(given, env, seed=seed)
        learner.q_table[:, 0] = 1.0
        learner.lr_schedule = lambda _: 0.0  # it keeps its table
        made.append(learner)
        return learner

    make_learner = search.make_learner
    monkeypatch.setattr(search, "make_learner", learner_that_never_likes)
    # Scores 3 1 -1 -1 -3 1 (conftest): the oracle earns 10, always dislike 0: regret 1, log10 0.
    assert search.log_regret(settings, listener, [2, 4, 8], seed=0) == pytest.approx(0.0)
    assert made[0].num_timesteps == 8, "training goes on after the last check"

    def learner_that_knows(given, env, *, seed):
        learner = learner_that_never_likes(given, env, seed=seed)
        tables = env.env.unwrapped.tables
        states = tables.encoded.rows.take(np.arange(6))
        learner.q_table[states, 1] = 1.0 + tables.scores.total
        return learner

    monkeypatch.setattr(search, "make_learner", learner_that_knows)
    assert search.log_regret(settings, listener, [2], seed=0) == pytest.approx(
        np.log10(search.FLOOR)
    )


@pytest.mark.parametrize(
    ("agent", "settings"),
    [("dueling-dqn", DuelingDQNSettings()), ("q-learning", QLearningSettings())],
)
def test_the_defaults_are_a_point_of_the_search_space(agent, settings):
    trial = optuna.trial.FixedTrial(search.defaults_as_point(agent))
    found = search.SPACES[agent](trial)
    if isinstance(settings, QLearningSettings):
        assert found.final_learning_rate == pytest.approx(settings.final_learning_rate)
        found = replace(found, final_learning_rate=settings.final_learning_rate)
    assert found == settings


def test_a_study_goes_on_where_it_stopped_and_sums_up_its_trials(monkeypatch, tmp_path, capsys):
    out = ["--out", str(tmp_path / "study")]
    assert run(monkeypatch, *TINY, *out, "--trials", "2") == 0
    first = json.loads((tmp_path / "study" / "summary.json").read_text(encoding="utf-8"))
    assert first["complete"] == 2
    assert run(monkeypatch, *TINY, *out, "--trials", "3", "--worker", "1") == 0
    summary = json.loads((tmp_path / "study" / "summary.json").read_text(encoding="utf-8"))
    assert summary["complete"] + summary["pruned"] == 3
    assert summary["defaults"] == first["defaults"]
    assert summary["defaults"]["trial"] == 0
    assert summary["defaults"]["params"] == pytest.approx(search.defaults_as_point("q-learning"))
    values = [row["log10_regret"] for row in summary["best"]]
    assert values == sorted(values) and len({row["trial"] for row in summary["best"]}) == 3
    assert summary["settings"]["learning_rate"] == summary["best"][0]["params"]["learning_rate"]
    assert len({row["params"]["learning_rate"] for row in summary["best"]}) == 3
    page = (tmp_path / "study" / "summary.md").read_text(encoding="utf-8")
    assert page.count("\n| ") == 1 + 1 + 3  # heading, the defaults, three trials
    assert "| defaults then |" in page and "- embedded: " in page
    assert "Best settings:" in capsys.readouterr().out


def states_of_the_defaults(study):
    return [
        trial.state.name
        for trial in study.get_trials(deepcopy=False)
        if trial.system_attrs.get("fixed_params") == search.defaults_as_point("q-learning")
    ]


def test_the_defaults_are_tried_again_where_a_killed_process_had_them(monkeypatch, tmp_path):
    arguments = tune.Arguments(agent="q-learning", listeners=1, budget=128)
    question = json.loads(
        json.dumps({"listeners": tune.draw(arguments), "budget": 128, "seed": arguments.seed})
    )
    study = tune.open_study(arguments, tmp_path, question)
    search.q_learning_space(study.ask())  # and is killed
    tune.open_study(replace(arguments, worker=1), tmp_path, question)
    assert states_of_the_defaults(study) == ["RUNNING"], "another worker's, for all one can tell"
    for _ in range(2):  # once, though
        tune.open_study(arguments, tmp_path, question)
        assert states_of_the_defaults(study) == ["RUNNING", "WAITING"]
    assert run(monkeypatch, *TINY, "--out", str(tmp_path), "--trials", "1") == 0
    assert states_of_the_defaults(study) == ["RUNNING", "COMPLETE"]
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert (summary["complete"], summary["defaults"]["trial"]) == (1, 1)
    assert summary["defaults"]["log10_regret"] == summary["best"][0]["log10_regret"]


def test_without_the_defaults_the_summary_has_no_row_of_them():
    study = optuna.create_study()
    study.set_user_attr("question", {"listeners": [], "budget": 128, "seed": 0})
    point = search.defaults_as_point("q-learning")
    study.enqueue_trial({**point, "learning_rate": 0.5 * point["learning_rate"]})
    trial = study.ask()
    search.q_learning_space(trial)
    study.tell(trial, -1.0)
    content = tune.summary(study, "q-learning")
    assert content["defaults"] is None
    page = tune.as_markdown(content)
    assert "defaults then" not in page and "| 0 | -1.000 |" in page


def test_a_study_of_another_question_is_refused(monkeypatch, tmp_path, capsys):
    out = ["--out", str(tmp_path)]
    assert run(monkeypatch, *TINY, *out, "--trials", "1") == 0
    assert run(monkeypatch, *TINY, *out, "--trials", "1", "--seed", "1") == 2
    assert "begun with other listeners, seed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--trials", "0"), "trials must be at least 1, got 0"),
        (("--budget", "64"), "budget must be over 64 tracks, got 64"),
        (("--catalogues", "missing.csv"), "missing.csv"),
    ],
)
def test_errors_say_what_was_wrong(monkeypatch, tmp_path, capsys, arguments, message):
    assert run(monkeypatch, *TINY, "--out", str(tmp_path), *arguments) == 2
    assert message in capsys.readouterr().err


def test_the_same_seed_gives_the_same_value():
    listener = tune.draw(tune.Arguments(agent="dueling-dqn", listeners=1))[0]
    values = [
        search.log_regret(DuelingDQNSettings(), listener, [64, 96], seed=s) for s in (0, 0, 1)
    ]
    assert values[0] == values[1] != values[2]


def test_listeners_of_several_catalogues_take_turns(tmp_path):
    path = tmp_path / "six.csv"
    frame = six_frame()
    frame["artists"] = ["A", "A", "A", "B", "B", "B"]
    frame.to_csv(path, index=False)
    arguments = tune.Arguments(agent="q-learning", catalogues=(path,), listeners=2)
    catalogues = [listener["catalogue"] for listener in tune.draw(arguments)]
    assert catalogues == [None, str(path), None, str(path)]


def test_the_summary_ranks_complete_trials_by_value():
    study = optuna.create_study()
    study.set_user_attr("question", {"listeners": [], "budget": 128, "seed": 0})
    point = search.defaults_as_point("q-learning")
    for value, share in ((-2.5, 0.5), (-1.0, 1.0), (-3.0, 0.9), (-2.0, 0.8)):
        study.enqueue_trial({**point, "learning_rate": share * point["learning_rate"]})
        trial = study.ask()
        search.q_learning_space(trial)
        study.tell(trial, value)
    trial = study.ask()
    search.q_learning_space(trial)
    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    content = tune.summary(study, "q-learning")
    assert [row["log10_regret"] for row in content["best"]] == [-3.0, -2.5, -2.0, -1.0]
    assert content["defaults"]["log10_regret"] == -1.0
    assert content["defaults"]["trial"] == 1, "not merely the first that is complete"
    assert (content["complete"], content["pruned"]) == (4, 1)
    assert content["settings"]["learning_rate"] == 0.9 * point["learning_rate"]
