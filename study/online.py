"""Tasks of online use: tracks recommended one by one to newcomers, who like or dislike each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from agents.dueling_dqn import DuelingDQN
from agents.online import OnlineRecommender
from agents.runs import ENVIRONMENTS
from agents.training import AnyListenerSettings, make_learner
from agents.values import pair_values
from agents.vec_env import GymVecEnv, make_native
from music_env import Catalogue
from music_env.judgements import load_judgements
from music_env.listeners import Listeners
from music_env.population import Split, load_population
from music_env.tables import load_catalogue, shared_scores
from study.learners import SEED_STEP
from study.online_rivals import MEET, ORACLE, POLICIES, Newcomer, Recommending
from study.tasks import Task

PRESSES = 50
"""Recommendations to each newcomer."""

FIRST = (1, 5, 20, 50)
"""Of how many recommendations the liked share is reported; 20 and 50 are what is asked for."""

NEWCOMERS = 40
"""Simulated newcomers a seed."""

SLOW_NEWCOMERS = {"linucb": 10}
"""Learner -> the first ones, whom alone it serves on after the first recommendation, where each
costs some ten seconds: it inverts a matrix of hundreds of rows at each press, and bounds every
track of the catalogue."""

ORDERS = 5
"""Times that the real listener is met a seed, each time another draw among equal tracks."""

WRONG_BUTTON = 0.1

NOTHING, STATED = "nothing stated", "preference stated"
NOISY = "one press in ten wrong, nothing stated"
SIMULATED = "newcomers, embedded catalogue: "
REAL = "a real listener, 2,017 judgements: nothing stated"

_SLIPS = 1  # beside a newcomer's seed: the draw of the wrong presses is one of its own


def setting(case: str, judged: Path) -> dict[str, Any]:
    """Return what `serve` needs for a case."""
    return {"judged": str(judged)} if case == REAL else {}


def serve(task: Task) -> dict[str, Any]:
    """Recommend to the newcomers of a seed; return the liked shares of each, and what it cost.

    The share of the first recommendation, ``first_1``, is exact: the expectation over the tracks of
    which any may come first, since they are equal to the recommender. One draw of them a newcomer
    would say little. A learner that knows nothing yet has the liked share of all tracks there.

    For the learners that start from it, the policy for every listener is trained first, on
    listeners of the training split, with the task's seed; newcomers are of the test split, whose
    preferred artists nobody of the training split prefers. For the real listener it is trained on
    the catalogue of the recorded songs and the population that is drawn from it: a policy belongs
    to a catalogue's artists and genres, and these songs have artists of their own and no genres.
    Nothing that was judged is used for it.
    """
    recommender, measured = None, {}
    if task.learner in POLICIES:
        recommender = recommender_of(
            task.setting.get("judged"), task.seed, AnyListenerSettings().timesteps
        )
        measured["agreement"] = round(agreement(recommender), 4)
    shares: dict[str, list[float]] = {f"first_{count}": [] for count in (1, *FIRST)}
    milliseconds: list[float] = []
    served = SLOW_NEWCOMERS.get(task.learner, NEWCOMERS)
    for place, newcomer in enumerate(_newcomers(task)):
        recommending = MEET[task.learner](newcomer, recommender)
        expected = newcomer.liked[recommending.best_tracks()].mean()
        shares["first_1"].append(round(float(expected), 4))
        if place < served:
            liked = _recommended(task, newcomer, recommending, milliseconds)
            for count in FIRST:
                if count > 1:
                    shares[f"first_{count}"].append(round(float(np.mean(liked[:count])), 4))
    return {**shares, "press_ms": round(float(np.median(milliseconds)), 2), **measured}


def _recommended(
    task: Task, newcomer: Newcomer, recommending: Recommending, milliseconds: list[float]
) -> list[bool]:
    """Recommend one by one; return what was liked, and note what each press cost."""
    slip_share = WRONG_BUTTON if task.case.endswith(NOISY) else 0.0
    generator = np.random.default_rng([newcomer.seed, _SLIPS])
    wrong = generator.random(task.budget) < slip_share
    liked = []
    for slip in wrong.tolist():
        started = time.process_time()
        track = recommending.next_track()
        assert track is not None
        found = bool(newcomer.liked[track])
        recommending.feedback(track, found != slip)
        milliseconds.append(1e3 * (time.process_time() - started))
        liked.append(found)
    return liked


def cases(judged: Path | None) -> dict[str, tuple[str, ...]]:
    """Return case -> the learners that are compared in it.

    Only the policy for every listener can be told a preference. The file of the real listener says
    nothing of popularity.
    """
    everybody = tuple(MEET)
    found = {
        SIMULATED + NOTHING: everybody,
        SIMULATED + STATED: (*POLICIES, ORACLE),
        SIMULATED + NOISY: everybody,
    }
    if judged is not None:
        found[REAL] = tuple(name for name in everybody if name != "popularity")
    return found


def _newcomers(task: Task) -> Iterator[Newcomer]:
    if task.case == REAL:
        catalogue, liked = _songs(task.setting["judged"], task.seed)
        for order in range(ORDERS):
            yield Newcomer(catalogue, liked, {}, task.seed * ORDERS + order)
        return
    catalogue = load_catalogue(None)
    listeners = load_population(catalogue, None, Split("test"), None).listeners
    # Others for each seed, the same for each learner.
    first = task.seed * NEWCOMERS
    for index in range(first, first + NEWCOMERS):
        preference = listeners.preference(index % len(listeners), catalogue)
        liked = shared_scores(catalogue, preference, (1.0, 1.0, 1.0)).total > 0
        stated = {"stated": preference, "unknown": ()} if task.case.endswith(STATED) else {}
        yield Newcomer(catalogue, liked, stated, index)


@lru_cache(maxsize=2)
def _songs(path: str, seed: int) -> tuple[Catalogue, NDArray[np.bool_]]:
    """Return the songs of recorded judgements, each once, and whether each was liked.

    Of a song that was judged twice, or in two versions (`music_env.songs.related_songs`), one
    judgement is drawn: the other would show its answer beforehand, and a few contradict each other.
    """
    columns = {"title": "song_title"}
    judgements = load_judgements(path, columns, "target")
    drawn = np.random.default_rng(seed).permutation(len(judgements))
    rows = np.sort(drawn[np.unique(judgements.groups[drawn], return_index=True)[1]])
    catalogue = Catalogue.from_frame(pd.read_csv(path).iloc[rows], columns=columns)
    assert catalogue.n_tracks == len(rows)
    return catalogue, judgements.liked[rows]


@lru_cache(maxsize=2)
def recommender_of(judged: str | None, seed: int, timesteps: int) -> OnlineRecommender:
    """Return a recommender whose policy was trained with a seed; the same for the same arguments.

    Args:
        judged: the file whose songs are the catalogue; None: the embedded one.
        seed: of the training.
        timesteps: tracks judged in it.
    """
    catalogue = load_catalogue(None) if judged is None else _songs(judged, seed)[0]
    policy, env = trained(catalogue, seed, timesteps)
    return OnlineRecommender.of_env(policy, env)


def trained(catalogue: Catalogue, seed: int, timesteps: int) -> tuple[DuelingDQN, Any]:
    """Return a policy for every listener of a catalogue, and its environment.

    Trained as ``train.py --listener any`` does by default.
    """
    settings = AnyListenerSettings()
    env = make_native(
        ENVIRONMENTS["any"],
        settings.n_envs,
        catalogue=catalogue,
        split="train",
        encoding=settings.encoding,
    )
    learner = make_learner(settings, GymVecEnv(env), seed=seed * SEED_STEP)
    assert isinstance(learner, DuelingDQN)
    return learner.learn(timesteps, log_interval=None), env


_ASKED = 4_096


def agreement(recommender: OnlineRecommender) -> float:
    """Return how often the sum of terms decides as the policy itself does, see `PolicyTerms`.

    For random tracks and listeners of the test split: whether the track is liked.
    """
    catalogue, prior = recommender.catalogue, recommender.prior
    population = load_population(catalogue, None, Split("test"), None).listeners
    generator = np.random.default_rng(0)
    listeners: Listeners = population.take(generator.integers(len(population), size=_ASKED))
    tracks: NDArray[np.int64] = generator.integers(catalogue.n_tracks, size=_ASKED)
    asked = pair_values(recommender.policy, recommender.encoded, listeners, tracks)
    added = prior.terms.values(catalogue, listeners, tracks)
    return float(((asked > prior.like_above) == (added > prior.like_above)).mean())
