"""What a training run logs: the same tags for every learner, a progress bar, a clean stop.

Only this callback and the evaluation read ``info`` and the listener's scores; the learner does not,
and nothing here stops a run early but the person who runs it.
"""

from __future__ import annotations

import math
import signal
from collections import deque
from collections.abc import Mapping
from types import FrameType
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from tqdm import tqdm

from agents.judges import Judge

RECENT_SESSIONS = 100
"""Sessions over which ``rollout/`` figures are averaged, as SB3's ``stats_window_size``."""


class RunLogger(BaseCallback):
    """Log a run at evenly spread steps, and show its progress.

    At each log point: what the judge says of the greedy policy (its ``tags``), ``rollout/regret``
    (1 - return / oracle's return, summed over the recent sessions of the exploring policy, where
    the environment has an oracle), and what the learner itself logs (``learn(log_interval=None)``
    leaves the points in time to this callback).

    Args:
        judge: of the greedy policy.
        total_timesteps: as given to ``learn``.
        log_points: how many times to log.
        progress_bar: show one on standard error.
    """

    def __init__(
        self,
        judge: Judge,
        total_timesteps: int,
        *,
        log_points: int = 40,
        progress_bar: bool = True,
    ) -> None:
        super().__init__()
        self.judge = judge
        self.interval = max(1, total_timesteps // log_points)
        self.recent: deque[tuple[float, float]] = deque(maxlen=RECENT_SESSIONS)
        self.total_timesteps = total_timesteps
        self.progress_bar = progress_bar
        self._next_log = self._last_log = 0

    def get_state(self) -> dict[str, Any]:
        """Return where it stands between two log points: an array and numbers."""
        return {
            "recent": np.array(self.recent, dtype=np.float64).reshape(-1, 2),
            "next_log": self._next_log,
            "last_log": self._last_log,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `get_state` returned; after training has started."""
        self.recent.clear()
        self.recent.extend((earned, oracle) for earned, oracle in state["recent"].tolist())
        self._next_log, self._last_log = state["next_log"], state["last_log"]

    def _on_training_start(self) -> None:
        self._next_log = self.num_timesteps + self.interval
        self.progress = tqdm(
            initial=self.num_timesteps,
            total=self.total_timesteps,
            unit="step",
            # None: shown on a terminal only, so that a log file holds no thousand bars.
            disable=None if self.progress_bar else True,
            dynamic_ncols=True,
        )

    def _on_step(self) -> bool:
        infos, dones = self.locals["infos"], self.locals["dones"]
        for i in np.flatnonzero(dones):
            if "episode_regret" in infos[i]:
                earned, regret = infos[i]["episode_return"], infos[i]["episode_regret"]
                self.recent.append((float(earned), float(earned + regret)))
        return True

    def _on_rollout_start(self) -> None:
        # Not in `_on_step`, where SB3 has not yet stored nor learnt from the step it reports.
        if self.num_timesteps >= self._next_log:
            behind = (self.num_timesteps - self._next_log) // self.interval
            self._next_log += self.interval * (1 + behind)
            self._log()

    def _on_training_end(self) -> None:
        if self.num_timesteps > self._last_log:
            self._log()
        self.progress.close()

    def _log(self) -> None:
        self._last_log = self.num_timesteps
        figures = self.judge.progress(self.model)
        for tag, name in self.judge.tags.items():
            if math.isfinite(figures[name]):
                self.logger.record(tag, figures[name])
        if self.recent:
            earned, oracle = np.sum(self.recent, axis=0)
            self.logger.record("rollout/regret", 1 - earned / oracle if oracle else 0.0)
        self.progress.update(self.num_timesteps - self.progress.n)
        self.progress.set_postfix(self.judge.in_short(figures))
        self.model.dump_logs()


class StopOnInterrupt(BaseCallback):
    """Turn the first Ctrl-C into a stop between two steps, so that what is learnt can be saved.

    A second Ctrl-C interrupts at once. ``interrupted`` says afterwards whether it happened.

    The step at which a callback stops the training is lost to SB3's learners, which store and
    learn from it afterwards. So the stop waits for the next rollout: ``stopping`` is True from its
    start, where a snapshot loses nothing, and its first step is the one that is given up.
    """

    interrupted = False
    stopping = False
    _previous: Any = None

    def _on_training_start(self) -> None:
        self._previous = signal.signal(signal.SIGINT, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.interrupted = True
        signal.signal(signal.SIGINT, self._previous)

    def _on_rollout_start(self) -> None:
        self.stopping = self.interrupted

    def _on_step(self) -> bool:
        return not self.stopping

    def _on_training_end(self) -> None:
        signal.signal(signal.SIGINT, self._previous)
