"""Who judges a run on MusicRecSession-v0 or MusicRecSlate-v0: sessions that it never met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from agents import plotting
from agents.planning import MyopicOracle, Planner, Policy
from agents.progress import SESSION_TAGS
from agents.session_evaluation import (
    MYOPIC,
    PLANNER,
    evaluation_env,
    play_sessions,
    reference_env,
    return_figures,
)
from music_env.affected_setup import AffectedSetup

PROGRESS_SESSIONS = 200
"""Sessions of each log point: a few hundredths of the training's time."""

METRICS_SESSIONS = 2_000
"""Sessions of ``metrics.json``; ``evaluate.py`` takes as many as it is told."""


class SessionJudge:
    """Judges a learner by its sessions' returns, beside the myopic oracle's and the planner's.

    See `agents.judges.Judge`. The learner is given the observations alone.

    Args:
        setup: of the environment trained in.
    """

    tags: Mapping[str, str] = SESSION_TAGS

    def __init__(self, setup: AffectedSetup) -> None:
        self.title = str(setup.listener)
        self._setup = setup
        env = reference_env(setup, METRICS_SESSIONS)
        self._myopic = play_sessions(MyopicOracle(env), env)
        self._planner = play_sessions(Planner(env), env)
        few = slice(PROGRESS_SESSIONS)
        planned, myopic = self._planner.returns[few], self._myopic.returns[few]
        self._levels = {PLANNER: float(planned.mean()), MYOPIC: float(myopic.mean())}
        self._env = evaluation_env(setup, min(PROGRESS_SESSIONS, METRICS_SESSIONS))
        found = return_figures(self._planner, self._myopic, self._planner)
        self._has_gain = bool(np.isfinite(found["planning_gain"]))

    def progress(self, learner: Policy) -> dict[str, float]:
        """Return ``mean_return`` and ``planning_gain`` over `PROGRESS_SESSIONS`."""
        earned = float(play_sessions(learner, self._env).returns.mean())
        planner, myopic = self._levels[PLANNER], self._levels[MYOPIC]
        gain = (earned - myopic) / (planner - myopic) if self._has_gain else float("nan")
        return {"mean_return": earned, "planning_gain": gain}

    def in_short(self, figures: Mapping[str, float]) -> dict[str, str]:
        """Return the return, and the gain where there is one to be had."""
        shown = {"return": f"{figures['mean_return']:.2f}"}
        return shown | ({"gain": f"{figures['planning_gain']:.2f}"} if self._has_gain else {})

    def metrics(self, learner: Policy) -> dict[str, Any]:
        """Return `return_figures` over `METRICS_SESSIONS`, and the others' mean returns."""
        played = play_sessions(learner, evaluation_env(self._setup, METRICS_SESSIONS))
        return {
            **return_figures(played, self._myopic, self._planner),
            "myopic_mean_return": float(self._myopic.returns.mean()),
            "planner_mean_return": float(self._planner.returns.mean()),
            "sessions": METRICS_SESSIONS,
            "session_steps": float(played.lengths.mean()),
            "session_plays": float(np.mean([len(tracks) for tracks in played.tracks])),
        }

    def learning_curve(self, title: str, progress: Mapping[str, Sequence[float]]) -> Figure:
        """Return `agents.plotting.session_learning_curve`."""
        return plotting.session_learning_curve(
            title, progress, levels=self._levels, sessions=PROGRESS_SESSIONS
        )
