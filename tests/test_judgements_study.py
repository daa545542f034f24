"""The study of recorded judgements: folds, intervals, learners that see no test label, report."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import scipy.stats
import torch as th
from conftest import shared_file

from agents.dueling_dqn import DuelingDQN
from agents.number_features import NumbersExtractor, quantile_edges
from music_env import Judgements
from study import judgements
from study.__main__ import main
from study.cross_validation import FOLDS, corrected_mean, folds
from study.judgement_learners import (
    LEARNERS,
    OURS,
    UNTOUCHED_SEED,
    Fold,
    JudgedDQNSettings,
    artist_like_rate,
    dueling_dqn,
    trained_dqn,
    untouched,
)
from study.report_judgements import judgements_section, paired
from study.suites import run_task, tasks_of
from study.tasks import Task

SMALL = JudgedDQNSettings(members=1, n_envs=16, bins=4, hidden=(16,))


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = th.get_num_threads()
    th.set_num_threads(1)
    yield
    th.set_num_threads(before)


# --- The extractor --------------------------------------------------------------------------------


def codes_space(*high):
    return gym.spaces.Box(np.zeros(len(high), np.float32), np.array(high, np.float32))


def test_edges_hold_as_many_rows_each_and_repeated_values_share_one():
    column = np.array([0, 0, 0, 0, 0.1, 0.2, 0.3, 0.4])
    constant = np.full(8, 0.5)
    assert quantile_edges(np.stack([column, constant], axis=1), 4) == [
        pytest.approx([0, 0.05, 0.225, 0.4]),
        [0.5, 1.5],
    ]
    with pytest.raises(ValueError, match="edges need rows and bins, got 0 rows and 4 bins"):
        quantile_edges(np.empty((0, 2)), 4)


def test_piecewise_linear_numbers_and_labels_by_hand():
    edges = [[0.0, 0.2, 0.6], [0.5, 1.0]]
    extractor = NumbersExtractor(codes_space(1, 1, 9, 9), edges=edges, hidden=(), embedding_dim=2)
    with th.no_grad():
        extractor.labels[0].weight[3] = th.tensor([1.0, 2.0])
        extractor.labels[0].weight[4] = th.tensor([10.0, 20.0])
    rows = th.tensor([[0.3, 0.5, 3, 4], [0.1, 0.75, 5, 0], [1.0, 1.0, 0, 0], [0.0, 0.0, 4, 0]])
    expected = [
        [1, 0.25, 0, 11, 22],
        [0.5, 0, 0.5, 0, 0],  # a label that was never met is as none
        [1, 1, 1, 0, 0],
        [0, 0, 0, 10, 20],
    ]
    shift = th.tensor([0.5, 0.5, 0.5, 0, 0])
    found = extractor.eval()(rows) + shift
    np.testing.assert_allclose(found.detach(), expected, atol=1e-6)
    assert extractor.features_dim == 5


def test_labels_are_hidden_while_training_only():
    extractor = NumbersExtractor(
        codes_space(1, 9), edges=[[0, 1]], hidden=(), embedding_dim=1, label_dropout=0.25
    )
    with th.no_grad():
        extractor.labels[0].weight[1] = 1.0
    rows = th.tensor([[0.5, 1.0]]).expand(4_000, 2)
    assert (extractor.eval()(rows)[:, 1] == 1).all()
    th.manual_seed(0)
    shown = extractor.train()(rows)[:, 1]
    assert set(shown.tolist()) == {0.0, 1.0}
    assert shown.mean().item() == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize(
    ("space", "arguments", "message"),
    [
        (gym.spaces.Discrete(3), {"edges": []}, "needs the observation space of encoding 'codes'"),
        (codes_space(1, 9, 1), {"edges": [[0, 1]]}, "numbers must stand before codes"),
        (codes_space(1, 1, 9), {"edges": [[0, 1]]}, "needed for 2 numbers, got 1 lists"),
        (codes_space(1, 9), {"edges": [[0, 0]]}, "edges of number 0 must be two or more and rise"),
        (codes_space(1, 9), {"edges": [[0, 1]], "dropout": 1.0}, r"must be in \[0, 1\), got"),
    ],
)
def test_what_the_extractor_refuses(space, arguments, message):
    with pytest.raises(ValueError, match=message):
        NumbersExtractor(space, **arguments)


# --- Folds and intervals --------------------------------------------------------------------------


def test_no_song_is_on_both_sides_and_each_judgement_is_tested_once():
    generator = np.random.default_rng(0)
    groups = generator.integers(60, size=200)
    liked = generator.random(200) < 0.4
    tested = []
    for train, test in folds(liked, groups, seed=3):
        assert not set(groups[train]) & set(groups[test])
        assert sorted([*train, *test]) == list(range(200))
        tested.extend(test.tolist())
    assert sorted(tested) == list(range(200))
    again = [test.tolist() for _, test in folds(liked, groups, seed=3)]
    other = [test.tolist() for _, test in folds(liked, groups, seed=4)]
    assert [i for fold in again for i in fold] == tested and len(again) == FOLDS
    assert again != other


def test_the_corrected_interval_by_hand():
    values = np.random.default_rng(1).normal(0.9, 0.02, size=(3, 10))
    found = corrected_mean(values)
    # Nadeau and Bengio (2003): (1 / J + n2 / n1) times the sample variance.
    error = np.sqrt((1 / 30 + 1 / 9) * values.var(ddof=1))
    low, high = scipy.stats.t.interval(0.95, 29, loc=values.mean(), scale=error)
    assert (found.value, found.low, found.high) == pytest.approx((values.mean(), low, high))
    assert found.n_runs == 30
    assert np.isnan(corrected_mean(np.array([[0.5]])).low)


def test_untouched_songs_are_those_of_the_half_that_was_drawn(tmp_path):
    names = [f"{song}{version}" for song in range(500) for version in ("", " - Remix", "")]
    lines = "".join(f"{name},A,0.5,1\n" for name in names)
    (tmp_path / "likes.csv").write_text("title,artist,danceability,target\n" + lines)
    judged = Judgements.read(tmp_path / "likes.csv", like="target")
    kept = untouched(judged).reshape(-1, 3)
    # Drawn when a remix was a song of its own: untouched where neither was chosen by.
    drawn = (np.random.default_rng(UNTOUCHED_SEED).random(1_000) < 0.5).reshape(-1, 2)
    np.testing.assert_array_equal(kept, np.repeat(~drawn.any(axis=1)[:, None], 3, axis=1))
    assert 0.2 < kept.mean() < 0.3


def test_auc_is_the_share_of_pairs_in_order():
    scores, liked = np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, True, False, True])
    pairs = [(a > b) + (a == b) / 2 for a in scores[liked] for b in scores[~liked]]
    assert judgements.auc(scores, liked) == pytest.approx(np.mean(pairs))
    with pytest.raises(ValueError, match="both liked and disliked"):
        judgements.auc(scores, liked | True)


# --- Learners -------------------------------------------------------------------------------------


def write(path, frame_seed, flipped=()):
    """A listener who likes high energy, and of two artists everything."""
    generator = np.random.default_rng(frame_seed)
    lines = ["song_title,artist,danceability,energy,tempo,target"]
    for i in range(160):
        artist, energy = i % 20, generator.random()
        like = int(artist < 2 or energy > 0.6) ^ (i in flipped)
        numbers = f"{generator.random():.3f},{energy:.3f},{generator.uniform(60, 200):.1f}"
        lines.append(f"Song {i},Artist {artist},{numbers},{like}")
    path.write_text("\n".join(lines) + "\n")
    return judgements.setting(path)


@pytest.fixture(scope="module")
def small_fold(tmp_path_factory) -> Fold:
    setting = write(tmp_path_factory.mktemp("judged") / "likes.csv", 0)
    return judgements.folds_of(setting, 0, 1_600)[0]


@pytest.mark.parametrize("name", LEARNERS)
def test_no_label_of_the_test_fold_is_looked_at(name, small_fold, tmp_path):
    liked = small_fold.liked.copy()
    liked[small_fold.test] ^= True
    setting = write(tmp_path / "flipped.csv", 0, flipped=set(small_fold.test.tolist()))
    flipped = replace(small_fold, liked=liked, setting=setting)
    learner = LEARNERS[name]
    arguments = {"settings": SMALL} if name == OURS else {}
    first, second = (learner(fold, **arguments) for fold in (small_fold, flipped))
    assert first.shape == (1, len(small_fold.test))
    np.testing.assert_array_equal(first, second)
    if name != "always-dislike":  # the labels of the training fold are
        assert len(np.unique(first)) > 1


def test_the_dqn_learns_what_there_is_to_learn(small_fold):
    settings = replace(SMALL, members=2)
    scores = dueling_dqn(replace(small_fold, budget=4_800), settings)
    assert scores.shape == (2, len(small_fold.test))
    assert (scores[0] != scores[1]).any()
    assert judgements.auc(scores.mean(axis=0), small_fold.liked[small_fold.test]) > 0.9


def test_the_dqn_meets_tracks_of_its_fold_only_and_both_actions(small_fold):
    learner = trained_dqn(small_fold, SMALL, seed=1)
    buffer = learner.replay_buffer
    met = buffer.observations[: buffer.size()].reshape(-1, small_fold.rows.shape[1])
    known = {row.tobytes() for row in small_fold.rows[small_fold.train]}
    assert {row.tobytes() for row in met} == known
    assert 0.4 < buffer.actions[: buffer.size()].mean() < 0.6


def test_a_saved_model_names_the_extractor(small_fold, tmp_path):
    learner = trained_dqn(replace(small_fold, budget=160), SMALL, seed=1)
    learner.save(tmp_path / "model")
    loaded = DuelingDQN.load(tmp_path / "model")
    assert type(loaded.q_net.features_extractor) is NumbersExtractor
    np.testing.assert_array_equal(
        loaded.q_values(small_fold.rows), learner.q_values(small_fold.rows)
    )


def test_the_like_rate_of_an_artist_by_hand():
    rows = np.array([[0.5, 1], [0.5, 1], [0.5, 2], [0.5, 2], [0.5, 3], [0.5, 1]], np.float32)
    liked = np.array([True, True, False, True, False, False])
    train, test = np.arange(4), np.array([4, 5])
    fold = Fold(rows, liked, train, test, {}, 0, 0)
    # 3 of 4 liked; artist 3 was not met; artist 1: (2 + 0.75) / 3.
    np.testing.assert_allclose(artist_like_rate(fold), [[0.25, 2.75 / 3 - 0.5]])


# --- Tasks and the report -------------------------------------------------------------------------


def test_a_task_holds_a_figure_for_each_fold(tmp_path):
    setting = write(tmp_path / "likes.csv", 0)
    task = Task("judgements", "always-dislike", judgements.CASE, 0, 0, setting)
    row = run_task(task)
    assert row["auc"] == [0.5] * FOLDS
    liked = judgements.folds_of(setting, 0, 0)[0].liked
    assert np.mean(row["accuracy"]) == pytest.approx(1 - liked.mean(), abs=0.01)


def test_the_suite_is_left_out_where_the_file_is_not(tmp_path, capsys):
    arguments = ["run", "--dry", "--suites", "judgements", "--tables", str(tmp_path)]
    assert main([*arguments, "--judged", str(tmp_path / "absent.csv")]) == 2
    assert "absent.csv is not there: the suite of recorded judgements is left out" in (
        capsys.readouterr().err
    )
    names = {task.learner for task in tasks_of("judgements", seeds=2)}
    assert names == set(LEARNERS)


def made_up(learner, shift, seeds=(0, 1)):
    noise = {seed: np.random.default_rng(seed).normal(0, 0.02, FOLDS) for seed in seeds}
    own = np.random.default_rng(len(learner)).normal(0, 0.001, FOLDS)
    own -= own.mean()
    return [
        {
            "suite": "judgements", "learner": learner, "case": "c", "seed": seed, "budget": 0,
            "status": "done", "total_seconds": 2.0,
            **{name: (0.9 + shift + noise[seed] + own).tolist()
               for name in ("auc", "accuracy", "untouched_auc")},
        }
        for seed in seeds
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("shift", "verdict", "aim"),
    [
        (0.02, "ours is better", "reached."),
        (-0.02, "ours is worse", "not reached."),
        (-5e-4, "not told apart", "not reached, by a difference that these folds do not tell"),
    ],
)
def test_the_verdict_follows_from_the_rows(shift, verdict, aim):
    rows = made_up(OURS, shift) + made_up("gradient-boosting", 0.0)
    text = "\n".join(judgements_section(rows))
    assert f"({verdict})" in text
    assert f"(the better one, gradient-boosting): {aim}" in text
    assert paired(rows, OURS, "gradient-boosting", "auc").value == pytest.approx(shift)


def test_folds_are_paired_by_seed():
    rows = made_up(OURS, 0.0, seeds=(0,)) + made_up("random-forest", 0.0, seeds=(1,))
    with pytest.raises(ValueError, match="no folds in common"):
        paired(rows, OURS, "random-forest", "auc")


def test_on_the_real_judgements_one_network_of_one_fold_is_far_from_chance():
    path = shared_file("geomack_song_attributes_likes.csv")
    fold = judgements.folds_of(judgements.setting(path), 0, 8_000)[0]
    scores = dueling_dqn(fold, JudgedDQNSettings(members=1))
    assert len(fold.liked) == 2_017
    assert judgements.auc(scores[0], fold.liked[fold.test]) > 0.8
