"""Learning: time to a small regret against stock DQN and Vowpal Wabbit, tabular updates per second."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
import torch as th
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback

from agents.q_learning import QLearning
from agents.training import DuelingDQNSettings, make_learner
from agents.vec_env import GymVecEnv
from bench.report import Asked, Row, SkippedError
from bench.timing import Options, in_turn
from music_env.tables import OverTables

CHECK_EVERY = 250  # judged tracks
REGRETS = (0.01, 0.001)  # relative, over the whole catalogue


def notebooks_listener(options: Options) -> dict[str, Any]:
    """Return the arguments of `gym.make` for the listener of the notebooks, with a range."""
    path = options.data / "deezer_artists_top_tracks.csv"
    if not path.is_file():
        raise SkippedError(f"there is no {path.name} in ../shared/data")
    return {
        "catalogue": str(path),
        "artist": "2Pac",
        "genre": "alternative",
        "danceability": (0.43, 0.77),
    }


@dataclass
class Reached:
    """When a learner first got down to each of `REGRETS`, checked every so many judged tracks.

    Attributes:
        seconds: regret -> seconds of learning; the checks themselves are not counted.
        tracks: regret -> judged tracks.
        total: seconds until it stopped.
        lowest: the lowest regret seen.
    """

    seconds: dict[float, float] = field(default_factory=dict)
    tracks: dict[float, int] = field(default_factory=dict)
    total: float = 0.0
    lowest: float = 1.0

    @property
    def done(self) -> bool:
        """Whether it got down to the smallest."""
        return min(REGRETS) in self.seconds

    def note(self, regret: float, seconds: float, tracks: int) -> None:
        """Note a check."""
        self.total, self.lowest = seconds, min(self.lowest, regret)
        for asked in REGRETS:
            if regret <= asked and asked not in self.seconds:
                self.seconds[asked], self.tracks[asked] = seconds, tracks

    def __str__(self) -> str:
        parts = [
            f"{regret:.1%} after {self.tracks[regret]:,} tracks, {self.seconds[regret]:.2f} s"
            for regret in self.seconds
        ]
        return "; ".join(parts or [f"lowest regret {self.lowest:.2%} in {self.total:.0f} s"])


def relative_regret(scores: NDArray[np.float64], likes: NDArray[np.bool_]) -> float:
    """Return 1 - return / best return over all tracks."""
    return float(1 - np.where(likes, scores, -scores).sum() / np.abs(scores).sum())


class RegretClock(BaseCallback):
    """Checks the greedy policy on every track, and stops once the regret is small enough.

    Args:
        env: holds the tracks and their scores.
        cap: seconds of learning after which it stops all the same.
        every: judged tracks from one check to the next.
    """

    def __init__(self, env: OverTables, *, cap: float, every: int = CHECK_EVERY) -> None:
        super().__init__()
        self.reached = Reached()
        self._scores = env.scores
        self._rows = th.as_tensor(env.encoded.rows.take(np.arange(len(env.scores))))
        self._cap, self._every, self._next = cap, every, every

    def _on_training_start(self) -> None:
        self._start, self._checking = time.perf_counter(), 0.0

    def _on_step(self) -> bool:
        if self.num_timesteps < self._next:
            return True
        start = time.perf_counter()
        learning = start - self._start - self._checking
        self._next = self.num_timesteps + self._every
        with th.inference_mode():
            values = self.model.q_net(self._rows)  # type: ignore[attr-defined]
        likes = (values[:, 1] > values[:, 0]).numpy()
        self.reached.note(relative_regret(self._scores, likes), learning, self.num_timesteps)
        self._checking += time.perf_counter() - start
        return not self.reached.done and learning < self._cap


def train_ours(listener: dict[str, Any], *, seed: int, cap: float) -> Reached:
    """Train `DuelingDQN` with its default settings until the regret is small."""
    settings = DuelingDQNSettings()
    env = gym.make_vec(
        "MusicRec-v0",
        num_envs=settings.n_envs,
        vectorization_mode="vector_entry_point",
        autoreset_mode="SameStep",
        encoding=settings.encoding,
        **listener,
    )
    learner = make_learner(settings, GymVecEnv(env), seed=seed)
    clock = RegretClock(env.unwrapped, cap=cap)  # type: ignore[arg-type]
    learner.learn(settings.timesteps, callback=clock, log_interval=None)
    return clock.reached


def dqn_against_stock(options: Options) -> Iterator[Row]:
    """Time to relative regret 0.1 % against SB3's DQN, the best of twelve settings."""
    from bench.stock_dqn import BEST, FULL_CAP, USUAL_CAP, train_stock

    listener = notebooks_listener(options)
    cap = FULL_CAP if options.full else options.pick(USUAL_CAP, 15)
    ours, theirs = [], []
    for seed in range(options.pick(3, 1)):
        ours.append(_ours(options, seed))
        theirs.append(train_stock(BEST, listener, seed=seed, cap=cap))
    done = all(reached.done for reached in theirs)
    yield Row(
        "DuelingDQN, default settings: time to relative regret 0.1 %",
        f"SB3's DQN, {BEST}" + ("" if done else f"; stopped after {cap:.0f} s"),
        "s",
        [reached.seconds.get(0.001, reached.total) for reached in ours],
        [reached.seconds.get(0.001, reached.total) for reached in theirs],
        inverted=True,
        asked=Asked("at least", 3),
        unfinished=not done,
        failed="" if all(r.done for r in ours) else "ours did not get there in its own time",
        note=f"{_LISTENER}; ours: {_all(ours)}; stock: {_all(theirs)}",
    )


def dqn_against_vowpal_wabbit(options: Options) -> Iterator[Row]:
    """Time to relative regret 1 % and 0.1 % against Vowpal Wabbit's contextual bandit."""
    listener = notebooks_listener(options)
    seeds = range(options.pick(3, 1))
    theirs = [train_vowpal_wabbit(listener, seed=seed, cap=30) for seed in seeds]
    ours = [_ours(options, seed) for seed in seeds]
    for regret in REGRETS:
        yield Row(
            f"DuelingDQN, default settings: time to relative regret {regret:.1%}",
            f"Vowpal Wabbit, {VOWPAL_WABBIT}, {_BINS} danceability bins",
            "s",
            [reached.seconds.get(regret, reached.total) for reached in ours],
            [reached.seconds.get(regret, reached.total) for reached in theirs],
            inverted=True,
            unfinished=not all(regret in reached.seconds for reached in theirs),
            note=f"{_LISTENER}; Vowpal Wabbit: {_all(theirs)}",
        )


def tabular_updates(options: Options) -> Iterator[Row]:
    """Tabular Q-learning in the vector environment against a plain loop in one environment."""
    n_steps = options.pick(200_000, 20_000)
    for n_envs in (16, 1024):
        env = gym.make_vec(
            "MusicRec-v0",
            num_envs=n_envs,
            vectorization_mode="vector_entry_point",
            autoreset_mode="SameStep",
            encoding="profile",
        )
        learner = QLearning(env=GymVecEnv(env), learning_rate=0.1, gamma=0.0, seed=0)
        ours, theirs = in_turn(
            _rate(functools.partial(learner.learn, log_interval=None), n_steps * n_envs // 16),
            _rate(_PlainLoop().learn, n_steps // 4),
            options.pick(7, 2),
        )
        yield Row(
            f"tabular Q-learning, {n_envs:,} environments at a time",
            "a plain loop over one environment",
            "updates/s",
            ours,
            theirs,
            asked=Asked("at least", 8),
            note="profile encoding, environment included on both sides",
        )


# --- Peers and parts ------------------------------------------------------------------------------

_LISTENER = "Deezer catalogue, 2Pac, alternative, 0.43 to 0.77"


@functools.cache
def _ours(options: Options, seed: int) -> Reached:
    th.set_num_threads(1)
    return train_ours(notebooks_listener(options), seed=seed, cap=600)


def _all(reached: list[Reached]) -> str:
    return " / ".join(map(str, reached))


def _rate(learn: Callable[[int], object], n_steps: int) -> Callable[[], float]:
    def measure() -> float:
        start = time.perf_counter()
        learn(n_steps)
        return n_steps / (time.perf_counter() - start)

    return measure


class _PlainLoop:
    """Q-learning as in Gymnasium's tutorial "Training an Agent", over a table of numpy."""

    def __init__(self) -> None:
        self.env = gym.make("MusicRec-v0", encoding="profile")
        self.env.reset(seed=0)
        n_states = int(self.env.observation_space.n)  # type: ignore[attr-defined]
        self.q_values = np.zeros((n_states, 2))
        self.generator = np.random.default_rng(0)

    def learn(self, n_steps: int, *, learning_rate: float = 0.1, gamma: float = 0.0) -> None:
        env, q_values, random = self.env, self.q_values, self.generator.random
        state, _ = env.reset()
        for step in range(n_steps):
            rate = max(0.05, 1 - step / (0.1 * n_steps))
            if random() < rate:
                action = int(self.generator.integers(2))
            else:
                action = int(np.argmax(q_values[state]))
            next_state, reward, terminated, truncated, _ = env.step(action)
            future = 0.0 if terminated else gamma * np.max(q_values[next_state])
            q_values[state, action] += learning_rate * (
                float(reward) + future - q_values[state, action]
            )
            state = env.reset()[0] if terminated or truncated else next_state


VOWPAL_WABBIT = "--cb_explore 2 --epsilon 0.1 --interactions ::"
# So that the ends of this listener's range lie between two bins; without that it stalls.
_BINS = 100


def train_vowpal_wabbit(
    listener: dict[str, Any], *, seed: int, cap: float, passes: int = 10
) -> Reached:
    """Let Vowpal Wabbit's contextual bandit judge the tracks in a random order, pass by pass.

    Counted is what it takes to choose and to learn; writing the tracks as text is not.
    """
    try:
        from vowpalwabbit import Workspace
    except ImportError:
        raise SkippedError(
            "vowpalwabbit is not installed (pip install 'musicrec[bench]')"
        ) from None
    env = gym.make("MusicRec-v0", encoding="codes", **listener).unwrapped
    assert isinstance(env, OverTables)
    texts, scores = _texts(env), env.scores
    workspace = Workspace(f"{VOWPAL_WABBIT} --quiet --random_seed {seed}")
    generator = np.random.default_rng(seed)
    reached, seconds, judged = Reached(), 0.0, 0
    order = np.concatenate([generator.permutation(len(texts)) for _ in range(passes)]).tolist()
    while judged < len(order) and not reached.done and seconds < cap:
        start = time.perf_counter()
        for track in order[judged : judged + CHECK_EVERY]:
            probabilities = workspace.predict(texts[track])
            like = generator.random() < probabilities[1]
            cost = -scores[track] if like else scores[track]
            workspace.learn(f"{1 + like}:{cost}:{probabilities[int(like)]} {texts[track]}")
        seconds += time.perf_counter() - start
        judged += CHECK_EVERY
        pairs = [workspace.predict(text) for text in texts]
        likes = np.array([like > dislike for dislike, like in pairs])
        reached.note(relative_regret(scores, likes), seconds, judged)
    workspace.finish()
    return reached


def _texts(env: OverTables) -> list[str]:
    """Return each track in Vowpal Wabbit's format: artists, genres, danceability bin."""
    catalogue = env.catalogue
    # The small addition keeps 0.43 * 100 from falling into the bin below 43.
    bins = np.minimum((catalogue.danceability * _BINS + 1e-6).astype(int), _BINS - 1).tolist()

    def codes(labels: Any, track: int) -> str:
        return " ".join(map(str, labels.codes[labels.indptr[track] : labels.indptr[track + 1]]))

    return [
        f"|artist {codes(catalogue.artists, track)} |genre {codes(catalogue.genres, track)} "
        f"|danceability {bins[track]}"
        for track in range(catalogue.n_tracks)
    ]
