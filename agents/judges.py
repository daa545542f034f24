"""Who judges a training run: one listener by every track, held-out listeners, or sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from gymnasium.utils import seeding
from matplotlib.figure import Figure

from agents import plotting
from agents.any_evaluation import (
    FIGURES,
    drawn_listeners,
    held_out_tables,
    judge_policy,
    pair_figures,
    pair_policy,
)
from agents.evaluation import catalogue_figures, learner_policy
from agents.progress import EVAL_TAGS
from agents.recommender import Learner
from agents.session_judge import SessionJudge
from music_env.affected_setup import AffectedSetup
from music_env.any_tables import AnyTables
from music_env.order import draw_key
from music_env.tables import Tables

PROGRESS_LISTENERS = 50
"""Held-out listeners of each log point, a session each: a hundredth of the training's time."""

METRICS_LISTENERS = 100
"""Held-out listeners of ``metrics.json``, every track for each; ``evaluate.py`` takes more."""

METRICS_PAIRS = 5_000_000
"""Pairs of a track and a listener that are judged for it at most: with more than 50,000 tracks the
listeners are fewer, so that a run on a million does not end in many minutes of this."""


class Judge(Protocol):
    """What judges the greedy policy of a learner in training.

    Attributes:
        title: whose likes the learner learns, for people to read.
        tags: what is logged: tag -> figure of `progress`.
    """

    title: str
    tags: Mapping[str, str]

    def progress(self, learner: Any) -> dict[str, float]:
        """Return the figures of a log point, quickly; ``nan`` where there is none."""

    def in_short(self, figures: Mapping[str, float]) -> dict[str, str]:
        """Return what a progress bar shows of the figures."""

    def metrics(self, learner: Any) -> dict[str, Any]:
        """Return the figures of ``metrics.json``."""

    def learning_curve(self, title: str, progress: Mapping[str, Sequence[float]]) -> Figure:
        """Return a run's figure, from the columns of ``progress.csv``."""


class _DecisionJudge:
    """What the judges of decisions on single tracks share.

    Attributes:
        title: see `Judge`.
        judged_on: what the figures are of, for the legend of a figure.
        session_length: tracks in a session.
        oracle_mean_reward: per track, the most that can be earned.
    """

    tags: Mapping[str, str] = EVAL_TAGS
    title: str
    judged_on: str
    session_length: int
    oracle_mean_reward: float

    def in_short(self, figures: Mapping[str, float]) -> dict[str, str]:
        """Return the return of a session, and the regret."""
        earned = figures["mean_reward"] * self.session_length
        return {"return": f"{earned:.1f}", "regret": f"{figures['relative_regret']:.2%}"}

    def learning_curve(self, title: str, progress: Mapping[str, Sequence[float]]) -> Figure:
        """Return `agents.plotting.learning_curve`."""
        return plotting.learning_curve(
            title,
            progress,
            oracle_mean_reward=self.oracle_mean_reward,
            random_mean_reward=0.0,  # a fair coin earns a score as often as it pays it
            session_length=self.session_length,
            judged_on=self.judged_on,
        )


class TrackJudge(_DecisionJudge):
    """One listener judges every track of the catalogue; see `Judge`.

    Args:
        tables: of the environment trained on.
    """

    judged_on = "every track"

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.title = str(tables.preference)
        self.session_length = tables.session_length
        self.oracle_mean_reward = float(np.abs(tables.scores.total).mean())

    def progress(self, learner: Learner) -> dict[str, float]:
        """Return `agents.evaluation.catalogue_figures`."""
        return catalogue_figures(learner_policy("learner", learner, self.tables), self.tables)

    def metrics(self, learner: Learner) -> dict[str, Any]:
        """Return the same."""
        return self.progress(learner)


class HeldOutJudge(_DecisionJudge):
    """Listeners of the test split, whose preferred artists nobody in training prefers; see `Judge`.

    Args:
        tables: of the environment trained on.
    """

    judged_on = "held-out listeners"

    def __init__(self, tables: AnyTables) -> None:
        self.title = str(tables.population)
        self.session_length = tables.session_length
        self.held_out = held_out_tables(tables)
        # The sessions with numbers 0, 1, ... of the environment of these listeners, seed 0.
        sessions = np.arange(PROGRESS_LISTENERS, dtype=np.uint64)
        keys = np.full(len(sessions), draw_key(seeding.np_random(0)[0]), dtype=np.uint64)
        drawn = self.held_out.draw(keys, sessions)
        encoded, population = self.held_out.encoded, self.held_out.population
        rows = encoded.listeners(
            population.listeners.take(self.held_out.drawn_listeners(keys, sessions))
        )
        self._scores = self.held_out.outcomes.scores(drawn.kinds)  # (n_listeners, session_length)
        self._observations = encoded.pairs(
            drawn.tracks.reshape(-1).astype(np.int64), np.repeat(rows, self.session_length, axis=0)
        )
        self.oracle_mean_reward = float(np.abs(self._scores).mean())

    def progress(self, learner: Learner) -> dict[str, float]:
        """Return means over `PROGRESS_LISTENERS` sessions of a held-out listener each."""
        q = learner.q_values(self._observations)
        values = np.subtract(q[:, 1], q[:, 0], dtype=np.float64).reshape(self._scores.shape)
        generator = np.random.default_rng(0)
        each = [
            pair_figures(scores, own, generator)
            for scores, own in zip(self._scores, values, strict=True)
        ]
        return {name: float(np.nanmean([row[name] for row in each])) for name in FIGURES}

    def metrics(self, learner: Learner) -> dict[str, Any]:
        """Return means over every track, for held-out listeners, see `METRICS_PAIRS`."""
        count = max(1, min(METRICS_LISTENERS, METRICS_PAIRS // self.held_out.catalogue.n_tracks))
        listeners = drawn_listeners(self.held_out, count, seed=0)
        policy = pair_policy("learner", learner, self.held_out)
        judged = judge_policy(policy, self.held_out, listeners)
        return {
            **judged.means("all"),
            "held_out_listeners": len(listeners),
            "milliseconds_per_listener": judged.milliseconds,
        }


def judge_of(tables: Tables | AnyTables | AffectedSetup) -> Judge:
    """Return who judges a learner that is trained on these tables."""
    if isinstance(tables, AffectedSetup):
        return SessionJudge(tables)
    return HeldOutJudge(tables) if isinstance(tables, AnyTables) else TrackJudge(tables)
