"""What the tabular learner's states cost: the bins of ``profile``, the collisions of ``hash``.

    python -m bench.encodings [--seeds 3]

For each encoding: how many tracks share a state with tracks of the other sign, the least regret
that any table over these states can reach, and what Q-learning with default settings reaches.
Always pressing dislike and the rule "like the genre" stand beside them. Rows of the Deezer
catalogue are left out where ``../shared/data`` is absent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from agents.baselines import baselines
from agents.evaluation import catalogue_figures, learner_policy
from agents.training import QLearningSettings, make_learner, mixed_states
from agents.vec_env import GymVecEnv
from bench.listeners import DEEZER

ENCODINGS: list[tuple[str, dict[str, int]]] = [
    *[("profile", {"danceability_bins": bins}) for bins in (10, 20, 50, 100, 1000)],
    *[("hash", {"n_states": states}) for states in (10_000, 100_000, 1_000_000)],
]
LISTENERS: dict[str, dict[str, Any]] = {
    "embedded catalogue, default listener": {},
    "Deezer catalogue, 2Pac, alternative, 0.43 to 0.77": {
        "catalogue": str(DEEZER),
        "artist": "2Pac",
        "genre": "alternative",
        "danceability": (0.43, 0.77),
    },
}
_COLUMNS = ("decision_accuracy", "balanced_accuracy", "relative_regret")


@dataclass(frozen=True)
class Arguments:
    """Compare encodings of the tabular learner."""

    seeds: int = 3
    """Runs for each encoding; the table shows their mean."""


def main() -> None:
    """Parse the command line, train, print a table for each listener."""
    arguments = tyro.cli(Arguments, description=__doc__)
    settings = QLearningSettings()
    console = Console(width=120)
    for name, environment in LISTENERS.items():
        if "catalogue" in environment and not DEEZER.is_file():
            console.print(f"{name}: skipped, {DEEZER.name} is not here")
            continue
        table = Table(title=f"{name}; {settings.timesteps:,} tracks judged")
        table.add_column("")
        for heading in ("states", "mixed tracks", "least regret", "right", "balanced", "regret"):
            table.add_column(heading, justify="right")
        for encoding, options in ENCODINGS:
            figures = []
            for seed in range(arguments.seeds):
                env = gym.make_vec(
                    "MusicRec-v0",
                    num_envs=settings.n_envs,
                    autoreset_mode="SameStep",
                    encoding=encoding,
                    encoding_options=options,
                    **environment,
                )
                tables = env.unwrapped.tables  # type: ignore[attr-defined]
                learner = make_learner(settings, GymVecEnv(env), seed=seed)
                learner.learn(settings.timesteps, log_interval=None)
                judged = catalogue_figures(learner_policy("", learner, tables), tables)
                figures.append([judged[column] for column in _COLUMNS])
            costs = mixed_states(tables)
            (option,) = options.items()
            table.add_row(
                f"{encoding}, {option[0]} {option[1]:,}",
                f"{tables.encoded.space.n:,}",
                f"{costs['mixed_state_tracks']:,}",
                f"{costs['best_table_regret']:.2%}",
                *[f"{value:.2%}" for value in np.mean(figures, axis=0)],
            )
        for policy in baselines(tables):
            if policy.name in ("always dislike", "genre only"):
                judged = catalogue_figures(policy, tables)
                cells = [f"{judged[column]:.2%}" for column in _COLUMNS]
                table.add_row(policy.name, "", "", "", *cells)
        console.print(table)


if __name__ == "__main__":
    main()
