"""When a learner gets down to a small regret; the clock stands still while that is checked.

The clock is this process's processor time, unless another is given: with one thread that is the
time on an idle machine, and other work beside the benchmark does not change it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch as th
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback

from agents.bandits import ContextualBandit
from bench.report import SkippedError
from bench.timing import Options
from music_env.tables import OverTables

CHECK_EVERY = 250
"""Judged tracks from one check to the next."""

REGRETS = (0.01, 0.001)
"""Relative, over the whole catalogue; a learner stops at the last."""

LISTENER = "Deezer catalogue; 2Pac, alternative, 0.43 to 0.77"


def notebooks_listener(options: Options) -> dict[str, Any]:
    """Return the arguments of `gym.make` for the listener of the notebooks, with a range.

    Raises:
        SkippedError: where the catalogue is absent.
    """
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
    """When a learner was first seen at each of `REGRETS`.

    Attributes:
        seconds: regret -> seconds of learning; the checks themselves are not counted.
        tracks: regret -> judged tracks.
        total: seconds until it stopped.
        lowest: the lowest regret seen.
    """

    seconds: dict[float, float] = field(default_factory=dict)
    tracks: dict[float, int] = field(default_factory=dict)
    total: float = 0.0
    lowest: float = float("inf")

    @property
    def done(self) -> bool:
        """Whether it got down to the last of `REGRETS`."""
        return REGRETS[-1] in self.seconds

    def note(self, regret: float, seconds: float, tracks: int) -> None:
        """Note a check."""
        self.total, self.lowest = seconds, min(self.lowest, regret)
        for asked in REGRETS:
            if regret <= asked and asked not in self.seconds:
                self.seconds[asked], self.tracks[asked] = seconds, tracks

    def spent(self, regret: float, unit: str) -> float:
        """Return what a regret took in "s" or "tracks"; all seconds where it was not reached."""
        if unit == "tracks":
            return float(self.tracks.get(regret, float("nan")))
        return self.seconds.get(regret, self.total)

    def __str__(self) -> str:
        parts = [
            f"{regret:.1%} after {self.tracks[regret]:,} tracks, {self.seconds[regret]:.2f} s"
            for regret in self.seconds
        ]
        if not self.done:
            parts.append(f"stopped at {self.total:.0f} s, lowest {self.lowest:.2%}")
        return ", ".join(parts)


def relative_regret(scores: NDArray[np.float64], likes: NDArray[np.bool_]) -> float:
    """Return 1 - return / best return over all tracks."""
    return float(1 - np.where(likes, scores, -scores).sum() / np.abs(scores).sum())


class RegretClock(BaseCallback):
    """Checks the greedy policy on every track; stops once the regret is small enough.

    The learner is a DQN or a `ContextualBandit`.

    Args:
        env: holds the tracks and their scores.
        cap: seconds of learning after which it stops all the same.
        every: judged tracks from one check to the next.
        clock: returns seconds.
    """

    def __init__(
        self,
        env: OverTables,
        *,
        cap: float,
        every: int = CHECK_EVERY,
        clock: Callable[[], float] = time.process_time,
    ) -> None:
        super().__init__()
        self._clock = clock
        self.reached = Reached()
        self._scores = env.scores
        self._rows = th.as_tensor(env.encoded.rows.take(np.arange(len(env.scores))))
        self._cap, self._every, self._next = cap, every, every

    def _on_training_start(self) -> None:
        self._start, self._checking = self._clock(), 0.0

    def _on_step(self) -> bool:
        if self.num_timesteps < self._next:
            return True
        start = self._clock()
        learning = start - self._start - self._checking
        self._next = self.num_timesteps + self._every
        if isinstance(self.model, ContextualBandit):
            values = self.model.q_values(self._rows.numpy())
        else:  # SB3's own has no `q_values`
            with th.inference_mode():
                values = self.model.q_net(self._rows).numpy()  # type: ignore[attr-defined]
        likes = values[:, 1] > values[:, 0]
        self.reached.note(relative_regret(self._scores, likes), learning, self.num_timesteps)
        self._checking += self._clock() - start
        return not self.reached.done and learning < self._cap
