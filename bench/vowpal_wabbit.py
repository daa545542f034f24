"""Vowpal Wabbit's contextual bandit on MusicRec-v0's tracks."""

from __future__ import annotations

import time
from typing import Any

import gymnasium as gym
import numpy as np

from bench.regret import CHECK_EVERY, Reached, relative_regret
from bench.report import SkippedError
from music_env.tables import OverTables

ARGUMENTS = "--cb_explore 2 --epsilon 0.1 --interactions ::"
# So that the ends of the listener's range, 0.43 and 0.77, lie between bins: with 20 bins it stalls.
DANCEABILITY_BINS = 100


def train_vowpal_wabbit(
    listener: dict[str, Any], *, seed: int, cap: float, passes: int = 10
) -> Reached:
    """Let Vowpal Wabbit judge the tracks in a random order, pass by pass.

    Only choosing and learning are timed; writing the tracks as text is not.

    Args:
        listener: arguments of `gym.make`.
        seed: of the order and of the choices.
        cap: seconds of learning after which it stops.
        passes: over all tracks, at most.
    """
    try:
        from vowpalwabbit import Workspace  # type: ignore[import-untyped]
    except ImportError:
        raise SkippedError(
            "vowpalwabbit is not installed (pip install 'musicrec[bench]')"
        ) from None
    env = gym.make("MusicRec-v0", encoding="codes", **listener).unwrapped
    assert isinstance(env, OverTables)
    texts, scores = _texts(env), env.scores
    workspace = Workspace(f"{ARGUMENTS} --quiet --random_seed {seed}")
    generator = np.random.default_rng(seed)
    reached, seconds, judged = Reached(), 0.0, 0
    order = np.concatenate([generator.permutation(len(texts)) for _ in range(passes)]).tolist()
    while judged < len(order) and not reached.done and seconds < cap:
        part = order[judged : judged + CHECK_EVERY]
        coins = generator.random(len(part)).tolist()
        start = time.process_time()
        for track, coin in zip(part, coins, strict=True):
            probabilities = workspace.predict(texts[track])
            like = coin < probabilities[1]
            cost = -scores[track] if like else scores[track]
            workspace.learn(f"{1 + like}:{cost}:{probabilities[like]} {texts[track]}")
        seconds += time.process_time() - start
        judged += len(part)
        likes = np.array([like > dislike for dislike, like in map(workspace.predict, texts)])
        reached.note(relative_regret(scores, likes), seconds, judged)
    workspace.finish()
    return reached


def _texts(env: OverTables) -> list[str]:
    """Return each track in Vowpal Wabbit's format: artists, genres, danceability bin."""
    catalogue = env.catalogue
    # The small addition keeps 0.43 * 100 from falling into the bin below 43.
    bins = (catalogue.danceability * DANCEABILITY_BINS + 1e-6).astype(int).tolist()

    def codes(labels: Any, track: int) -> str:
        # A letter in front: names that are numbers are not hashed and would collide.
        own = labels.codes[labels.indptr[track] : labels.indptr[track + 1]]
        return " ".join(f"c{code}" for code in own)

    return [
        f"|artist {codes(catalogue.artists, track)} |genre {codes(catalogue.genres, track)} "
        f"|danceability b{bins[track]}"
        for track in range(catalogue.n_tracks)
    ]
