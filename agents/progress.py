"""``progress.csv``: what a run logs, a row a log point, written and read."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from stable_baselines3.common.logger import KVWriter

from agents.evaluation import TOP_K

EVAL_TAGS = {
    "eval/mean_reward": "mean_reward",
    "eval/regret": "relative_regret",
    "eval/decision_accuracy": "decision_accuracy",
    "eval/balanced_accuracy": "balanced_accuracy",
    f"eval/precision_at_{TOP_K}": f"precision_at_{TOP_K}",
}
"""Tag -> figure of `agents.evaluation.catalogue_figures`."""

SESSION_TAGS = {"eval/mean_return": "mean_return", "eval/planning_gain": "planning_gain"}
"""Tag -> figure of `agents.session_judge.SessionJudge`."""

COLUMNS = (
    "time/total_timesteps",
    "time/episodes",
    "time/time_elapsed",
    "time/fps",
    *EVAL_TAGS,
    "rollout/regret",
    "rollout/ep_rew_mean",
    "rollout/ep_len_mean",
    "rollout/exploration_rate",
    "train/learning_rate",
    "train/n_updates",
    "train/loss",
    "train/td_error",
    *SESSION_TAGS,
)
"""The columns, the same for every run; a tag that was not logged at a point is left empty."""


class ProgressFile(KVWriter):
    """Write the scalars of `COLUMNS` as CSV.

    SB3's own CSV output orders its columns by a set of strings, differently in every process.

    Args:
        path: of the file.
        mode: ``"begin"`` a file anew, or ``"continue"`` the one that is there.
    """

    def __init__(self, path: Path, *, mode: Literal["begin", "continue"] = "begin") -> None:
        columns: Sequence[str] = COLUMNS
        if mode == "continue":  # what an earlier version began may have fewer
            with path.open(newline="", encoding="utf-8") as file:
                columns = next(csv.reader(file), COLUMNS)
        self._file = path.open("w" if mode == "begin" else "a", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, columns, extrasaction="ignore")
        if mode == "begin":
            self._writer.writeheader()
            self._file.flush()

    def write(
        self,
        key_values: dict[str, Any],
        key_excluded: dict[str, tuple[str, ...]],
        step: int = 0,
    ) -> None:
        """Write a row, unless there is no step to write it for (see `KVWriter.write`)."""
        if "time/total_timesteps" in key_values:
            self._writer.writerow({name: key_values.get(name, "") for name in COLUMNS})
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_progress(path: Path) -> Mapping[str, list[float]]:
    """Read ``progress.csv``: tag -> one value a log point, nan where a tag was not logged."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row.get(name) or "nan") for row in rows] for name in COLUMNS}
