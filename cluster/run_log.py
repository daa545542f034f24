"""What a run that RLlib trains logs: the same as any other, under the same names."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import LinearSchedule
from tqdm import tqdm

from agents.callbacks import RECENT_SESSIONS
from agents.judges import Judge
from agents.settings import DuelingDQNSettings, RunSettings

if TYPE_CHECKING:
    from agents.rllib import Report  # which imports Ray: not before it is known to be there


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        timesteps: steps of the environments.
        updates: of the networks.
        sessions: that ended.
        seconds: wall time of training, of all parts of a run that was resumed.
    """

    timesteps: int = 0
    updates: int = 0
    sessions: int = 0
    seconds: float = 0.0


class RunLog:
    """Writes the log points of a run, under the tags of `agents.callbacks.RunLogger`.

    Args:
        settings: of the run.
        judge: of the greedy policy.
        logger: to write to.
        progress: how far the run has come, kept up by whoever trains.
    """

    def __init__(
        self, settings: RunSettings, judge: Judge, logger: Logger, progress: Progress
    ) -> None:
        own = settings.learner
        assert isinstance(own, DuelingDQNSettings)
        self._judge, self._logger, self._progress = judge, logger, progress
        self._recent: deque[NDArray[np.float64]] = deque(maxlen=RECENT_SESSIONS)
        self._begun = replace(progress)
        self._exploration = LinearSchedule(
            own.exploration_initial_eps, own.exploration_final_eps, own.exploration_fraction
        )
        self._total = settings.total_timesteps
        self._bar = tqdm(
            initial=progress.timesteps,
            total=self._total,
            unit="step",
            disable=None if settings.progress_bar else True,
            dynamic_ncols=True,
        )

    def write(self, figures: Mapping[str, float], report: Report) -> None:
        """Write a log point: the judge's figures, and what RLlib reports."""
        progress, begun, record = self._progress, self._begun, self._logger.record
        self._recent.extend(report.sessions)
        for tag, name in self._judge.tags.items():
            if math.isfinite(figures[name]):
                record(tag, figures[name])
        if self._recent:
            earned, steps, best = np.mean(self._recent, axis=0).tolist()
            record("rollout/ep_rew_mean", earned)
            record("rollout/ep_len_mean", steps)
            if math.isfinite(best):
                record("rollout/regret", 1 - earned / best if best else 0.0)
        remaining = max(0.0, 1 - progress.timesteps / self._total)
        record("rollout/exploration_rate", self._exploration(remaining))
        for tag, value in report.learning.items():
            record(tag, value)
        record("train/n_updates", progress.updates, exclude="tensorboard")
        record("time/episodes", progress.sessions, exclude="tensorboard")
        seconds = max(progress.seconds - begun.seconds, 1e-9)
        record("time/fps", int((progress.timesteps - begun.timesteps) / seconds))
        record("time/time_elapsed", int(seconds), exclude="tensorboard")
        record("time/total_timesteps", progress.timesteps, exclude="tensorboard")
        self._bar.update(progress.timesteps - self._bar.n)
        self._bar.set_postfix(self._judge.in_short(figures))
        self._logger.dump(progress.timesteps)

    def close(self) -> None:
        """End the progress bar."""
        self._bar.close()
