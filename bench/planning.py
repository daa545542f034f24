"""What planning is worth in MusicRecSession-v0: the myopic oracle and the planner, by preset.

``python -m bench.planning --sessions 1000``: the means over the same sessions, the ratio of the two
with its 95 % bootstrap interval over sessions, and an upper bound on any policy's mean return.
"""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import tyro

from agents.planning import MyopicOracle, Planner, session_returns, upper_bound
from music_env import PRESETS


def main(sessions: int = 1000, seed: int = 0) -> None:
    """Print the table.

    Args:
        sessions: how many of each preset.
        seed: session i is the first one of ``seed + i``.
    """
    generator = np.random.default_rng(seed)
    print("| preset | myopic oracle | planner | planner / myopic [95 %] | upper bound |")
    print("|---|---|---|---|---|")
    for preset in PRESETS:
        env = gym.make_vec(
            "MusicRecSession-v0", num_envs=sessions, preset=preset, encoding="summary"
        )
        myopic = session_returns(MyopicOracle(env), env, seed=seed)
        planner = session_returns(Planner(env), env, seed=seed)
        drawn = generator.integers(sessions, size=(2000, sessions))
        ratios = planner[drawn].mean(axis=1) / myopic[drawn].mean(axis=1)
        low, high = np.quantile(ratios, [0.025, 0.975])
        print(
            f"| {preset} | {myopic.mean():.2f} | {planner.mean():.2f} "
            f"| {planner.mean() / myopic.mean():.2f} [{low:.2f}, {high:.2f}] "
            f"| {upper_bound(env):.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    tyro.cli(main)
