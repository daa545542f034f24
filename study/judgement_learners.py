"""What is cross-validated on recorded judgements: our DQN, scikit-learn's models, trivial ones.

`CHOICE` says how the hyperparameters were chosen: without the folds that are reported, and
without ever scoring half of the songs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.utils import LinearSchedule

from agents.dueling_dqn import DuelingDQN
from agents.number_features import NumbersExtractor, quantile_edges
from agents.vec_env import GymVecEnv, make_native
from music_env.judgements import Judgements

Floats = NDArray[np.float64]

CHOICE = (
    "Hyperparameters were chosen by ten-fold cross-validation with folds of another seed (1000, "
    "for scikit-learn's models 1001 as well), and by the AUC on a random half of the songs alone; "
    "the labels of the other half were trained on and never scored: *untouched* are they, but for "
    "songs that are kept together with one of the first half. The DQN's "
    "network was compared in eight settings fitted by plain supervised regression on the same "
    "targets, gradient boosting in three; the other models were taken as they were first written "
    "down. The scripts of these comparisons were not kept, so the choice cannot be repeated from "
    "here; what is reported can."
)
# Of the eight only two differed by more than the noise (a few thousandths of AUC): equal-sized bins
# as ones were clearly worse than piecewise-linear numbers, and a dropout of 0.4 better than 0.2,
# with which the AUC fell again after some 200 updates. No gain: 32 bins, a second layer, an artist
# that is never hidden or has 16 numbers, a step size of 0.004.

UNTOUCHED_SEED = 12345


def untouched(judgements: Judgements) -> NDArray[np.bool_]:
    """Return (n,) which judgements no hyperparameter was chosen by: of nearly half of the songs.

    A group that is kept together now is untouched if nothing in it was chosen by. The half was
    drawn once, of songs told apart by title and artists in lower case; it stays the one that was
    drawn, however songs are told apart since.
    """
    catalogue, songs = judgements.catalogue, dict[tuple[str, ...], int]()
    names = (
        (title.strip().casefold(), *sorted(map(str.casefold, catalogue.artists.of(track))))
        for track, title in enumerate(catalogue.title.tolist())
    )
    song = np.array([songs.setdefault(name, len(songs)) for name in names])
    chosen_by = np.random.default_rng(UNTOUCHED_SEED).random(len(songs)) < 0.5
    groups = judgements.groups
    touched: NDArray[np.bool_] = np.bincount(groups, weights=chosen_by[song]) > 0
    return ~touched[groups]


@dataclass(frozen=True)
class Fold:
    """What a learner is given: judgements to learn from, and observations of all.

    Attributes:
        rows: (n, n_columns) ``codes`` observations of all judgements.
        liked: (n,) of which only those of `train` may be looked at.
        train: indices.
        test: indices.
        setting: arguments of MusicRecLogged-v0.
        seed: of everything random.
        budget: judged tracks, for who learns by judging.
    """

    rows: NDArray[np.float32]
    liked: NDArray[np.bool_]
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    setting: Mapping[str, Any]
    seed: int
    budget: int


Score = Callable[[Fold], Floats]
"""From a fold to (n_members, n_test) scores, above 0 where liked; their mean is the learner's. All
but an ensemble have one member."""


# --- The dueling DQN ------------------------------------------------------------------------------


@dataclass(frozen=True)
class JudgedDQNSettings:
    """Hyperparameters of the dueling DQN for a few thousand noisy judgements; see `CHOICE`.

    The number of members and of sessions were not compared.
    """

    members: int = 5
    """Learners that differ by the seed; Q(like) - Q(dislike) is averaged over them
    (Lakshminarayanan et al. 2017)."""
    n_envs: int = 64
    """Sessions at a time."""
    learning_rate: float = 1e-2
    """First step size of Adam; it falls linearly to a twentieth."""
    batch_size: int = 128
    """Transitions in an update; there is one after each step of all sessions."""
    bins: int = 16
    """Of each number, about as many judgements in each."""
    embedding_dim: int = 4
    """Of the artist."""
    label_dropout: float = 0.3
    """How often the artist is hidden."""
    hidden: tuple[int, ...] = (64,)
    """Layers."""
    dropout: float = 0.4
    """After each layer."""


JUDGED_TRACKS = 19_200
"""Of each member: about ten passes over a training fold, after which the replay buffer holds both
actions of nearly every track. What decides is the number of updates, one for 64 tracks: a network
that is trained for longer learns these judgements by heart."""

DEFAULT_SETTINGS = JudgedDQNSettings()


def dueling_dqn(fold: Fold, settings: JudgedDQNSettings = DEFAULT_SETTINGS) -> Floats:
    """Return Q(like) - Q(dislike) of learners that have judged the tracks of a training fold."""
    children = np.random.SeedSequence(fold.seed).generate_state(settings.members).tolist()
    rows = fold.rows[fold.test]
    scores = []
    for seed in children:
        learner = trained_dqn(fold, settings, seed)
        values = learner.q_values(rows)
        scores.append(values[:, 1].astype(np.float64) - values[:, 0])
    return np.stack(scores)


def trained_dqn(fold: Fold, settings: JudgedDQNSettings, seed: int) -> DuelingDQN:
    """Return a learner that has judged tracks of a training fold, and met no other.

    Its actions are random throughout, as the rewards of both have to be learnt and none of the
    training counts.
    """
    env = make_native(
        "MusicRecLogged-v0",
        settings.n_envs,
        encoding="codes",
        tracks=fold.train,
        **fold.setting,
    )
    high = env.single_observation_space.high
    edges = quantile_edges(fold.rows[fold.train][:, high == 1], settings.bins)
    rate = settings.learning_rate
    learner = DuelingDQN(
        "MlpPolicy",
        env=GymVecEnv(env),
        learning_rate=LinearSchedule(rate, rate / 20, 1.0),
        batch_size=settings.batch_size,
        gradient_steps=1,
        train_freq=1,
        buffer_size=max(fold.budget, settings.n_envs),
        learning_starts=settings.n_envs,
        gamma=0.0,
        exploration_initial_eps=1.0,
        exploration_final_eps=1.0,
        policy_kwargs={
            "net_arch": [],
            "features_extractor_class": NumbersExtractor,
            "features_extractor_kwargs": {
                "edges": edges,
                "embedding_dim": settings.embedding_dim,
                "label_dropout": settings.label_dropout,
                "hidden": list(settings.hidden),
                "dropout": settings.dropout,
            },
            "optimizer_kwargs": {"fused": True},
        },
        seed=seed,
        device="cpu",
    )
    learner.learn(fold.budget, log_interval=10**9)
    env.close()
    return learner


# --- scikit-learn ---------------------------------------------------------------------------------


def fitted(fold: Fold, *, make: Callable[[int], Any], splines: bool = False) -> Floats:
    """Return a classifier's probability of a like minus one half.

    It sees the numbers, and the artist as the share of likes among the artist's training rows,
    shrunk towards that of all rows and cross-fitted, so that no row's own label is in it
    (scikit-learn's `TargetEncoder`). For the linear model numbers are standardised, or made
    splines of their ranks.
    """
    from sklearn.compose import make_column_transformer
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import (
        QuantileTransformer,
        SplineTransformer,
        StandardScaler,
        TargetEncoder,
    )

    last = fold.rows.shape[1] - 1
    inner = StratifiedKFold(5, shuffle=True, random_state=fold.seed)
    numbers = (
        make_pipeline(QuantileTransformer(n_quantiles=100), SplineTransformer(6))
        if splines
        else StandardScaler()
    )
    columns = make_column_transformer(
        (numbers, list(range(last))), (TargetEncoder(cv=inner, target_type="binary"), [last])
    )
    model = make_pipeline(columns, make(fold.seed))
    model.fit(fold.rows[fold.train].astype(np.float64), fold.liked[fold.train])
    found = model.predict_proba(fold.rows[fold.test].astype(np.float64))[:, 1] - 0.5
    return np.asarray(found, dtype=np.float64)[None]


def _logistic_regression(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=3_000, C=0.5)


def _hist_gradient_boosting(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(learning_rate=0.06, random_state=seed)


def _gradient_boosting(seed: int) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(
        n_estimators=200,
        max_depth=4,
        subsample=0.5,
        learning_rate=0.05,
        max_features=0.5,
        random_state=seed,
    )


def _random_forest(seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(300, random_state=seed)


# --- Trivial ones ---------------------------------------------------------------------------------


def always_dislike(fold: Fold) -> Floats:
    """Return one score for all."""
    return np.full((1, len(fold.test)), -1.0)


_PRIOR_JUDGEMENTS = 1.0


def artist_like_rate(fold: Fold) -> Floats:
    """Return the share of likes among an artist's training rows, and one that all are like, less ½.

    To the artist's judgements one is added that has the share of all training rows, so an artist
    that was not met has that share.
    """
    artist = fold.rows[:, -1].astype(np.int64)
    train = fold.train
    total = np.bincount(artist[train], minlength=artist.max() + 1)
    likes = np.bincount(artist[train], weights=fold.liked[train], minlength=len(total))
    share = fold.liked[train].mean()
    rate = (likes + _PRIOR_JUDGEMENTS * share) / (total + _PRIOR_JUDGEMENTS)
    return np.asarray(rate[artist[fold.test]] - 0.5)[None]


OURS = "dueling-dqn"
BOOSTING = ("gradient-boosting", "hist-gradient-boosting")

LEARNERS: dict[str, Score] = {
    OURS: dueling_dqn,
    "gradient-boosting": partial(fitted, make=_gradient_boosting),
    "hist-gradient-boosting": partial(fitted, make=_hist_gradient_boosting),
    "random-forest": partial(fitted, make=_random_forest),
    "logistic-regression-splines": partial(fitted, make=_logistic_regression, splines=True),
    "logistic-regression": partial(fitted, make=_logistic_regression),
    "artist-like-rate": artist_like_rate,
    "always-dislike": always_dislike,
}
"""Name -> its scores of a fold."""
