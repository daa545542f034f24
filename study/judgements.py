"""Tasks on MusicRecLogged-v0: ten-fold cross-validation on a real person's judgements."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from bench.report import ROOT
from music_env.logged_tables import OverLogged
from study.cross_validation import folds
from study.judgement_learners import LEARNERS, Fold, untouched
from study.tasks import Task

JUDGEMENTS = ROOT.parent / "shared" / "data" / "geomack_song_attributes_likes.csv"
"""One person's likes and dislikes of 2,017 songs, which are not part of the project."""

CASE = "2,017 judgements of one listener"

MEASURES = ("auc", "accuracy", "untouched_auc", "single_auc")
"""What a row holds of each fold: AUC and accuracy; the AUC on songs that no hyperparameter was
chosen by; and, of an ensemble, the mean AUC of its members."""


def setting(path: Path) -> dict[str, Any]:
    """Return the arguments of MusicRecLogged-v0 for that file."""
    return {"judgements": str(path), "columns": {"title": "song_title"}, "like": "target"}


def cross_validation(task: Task) -> dict[str, Any]:
    """Return figures of each of ten folds; the task's seed shuffles them, for every learner alike.

    The score is Q(like) - Q(dislike), or a probability less one half; a song is liked above 0.
    """
    found: dict[str, list[float]] = {name: [] for name in MEASURES}
    is_untouched = untouched(_tables(task.setting).judgements)
    for fold in folds_of(task.setting, task.seed, task.budget):
        scores = LEARNERS[task.learner](fold)
        mean = scores.mean(axis=0)
        liked = fold.liked[fold.test]
        found["auc"].append(auc(mean, liked))
        found["accuracy"].append(float(((mean > 0) == liked).mean()))
        kept = is_untouched[fold.test]
        found["untouched_auc"].append(auc(mean[kept], liked[kept]))
        if len(scores) > 1:
            found["single_auc"].append(float(np.mean([auc(one, liked) for one in scores])))
    return {name: [round(x, 5) for x in values] for name, values in found.items() if values}


def folds_of(arguments: Mapping[str, Any], seed: int, budget: int) -> list[Fold]:
    """Return ten folds of the judgements that the arguments of MusicRecLogged-v0 name."""
    env = _tables(arguments)
    liked, rows = env.judgements.liked, env.encoded.rows.take(np.arange(len(env.scores)))
    return [
        Fold(rows, liked, train, test, arguments, 100 * seed + number, budget)
        for number, (train, test) in enumerate(folds(liked, env.groups, seed))
    ]


def auc(scores: NDArray[np.float64], liked: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve: how often a liked song scores above one that is not.

    Raises:
        ValueError: where all or none are liked.
    """
    from sklearn.metrics import roc_auc_score

    if liked.all() or not liked.any():
        raise ValueError("the AUC needs both liked and disliked songs in every fold")
    return float(roc_auc_score(liked, scores))


def _tables(arguments: Mapping[str, Any]) -> OverLogged:
    env = gym.make("MusicRecLogged-v0", encoding="codes", **arguments).unwrapped
    assert isinstance(env, OverLogged)
    return env
