"""What planning is worth: in MusicRecSession-v0 or a slate by preset, and in the one-genre model.

``python -m bench.planning --sessions 4000 --genre metal``: the means of the myopic oracle and the
planner over the same sessions, the ratio of the two with its 95 % bootstrap interval over sessions,
and an upper bound on any policy's mean return (the expected one: that of the sessions drawn may be
above it by chance, as its interval says); of MusicRecSlate-v0 with ``--slate-size 10``. Then the
exact optimum of the one-genre model, and by how much halving the cells of its grid moves it.
"""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import tyro

from agents.planning import MyopicOracle, Planner, session_returns, upper_bound
from agents.session_model import SessionModel, halving_error, myopic, optimum
from music_env import PRESETS, Effects

# The one-genre model: enjoyments of four classes of tracks, and their shares.
_FRESH, _SHARES, _LENGTH = np.array([-1.0, 1, 2, 3]), np.array([0.3, 0.3, 0.2, 0.2]), 50
_LEVELS, _MYOPIC_LEVELS, _PATIENCES = 256, 2048, 64


def main(
    sessions: int = 4000, seed: int = 0, genre: str | None = None, slate_size: int | None = None
) -> None:
    """Print the tables.

    Args:
        sessions: how many of each preset.
        seed: session i is the first one of ``seed + i``.
        genre: of a listener who prefers it, any artist, and danceability 0.4 to 0.6; the default
            listener without.
        slate_size: of MusicRecSlate-v0; MusicRecSession-v0 without.
    """
    _environment(sessions, seed, genre, slate_size)
    print()
    _model()


def _environment(sessions: int, seed: int, genre: str | None, slate_size: int | None) -> None:
    generator = np.random.default_rng(seed)
    arguments = {} if genre is None else {"genre": genre, "danceability": (0.4, 0.6)}
    env_id = "MusicRecSession-v0"
    if slate_size is not None:
        env_id = "MusicRecSlate-v0"
        arguments["slate_size"] = slate_size
    print("| preset | myopic oracle | planner ± 95 % | planner / myopic [95 %] | upper bound |")
    print("|---|---|---|---|---|")
    for preset in PRESETS:
        env = gym.make_vec(
            env_id, num_envs=sessions, preset=preset, encoding="summary", **arguments
        )
        greedy = session_returns(MyopicOracle(env), env, seed=seed)
        planner = session_returns(Planner(env), env, seed=seed)
        drawn = generator.integers(sessions, size=(2000, sessions))
        ratios = planner[drawn].mean(axis=1) / greedy[drawn].mean(axis=1)
        low, high = np.quantile(ratios, [0.025, 0.975])
        print(
            f"| {preset} | {greedy.mean():.2f} | {planner.mean():.2f} ± {_half_width(planner):.2f} "
            f"| {planner.mean() / greedy.mean():.2f} [{low:.2f}, {high:.2f}] "
            f"| {upper_bound(env):.2f} |",
            flush=True,
        )


def _half_width(returns: np.ndarray) -> float:
    """Return half the width of the mean's 95 % interval, by the normal distribution."""
    return float(1.96 * returns.std(ddof=1) / len(returns) ** 0.5)


def _model() -> None:
    named = {"satiation 0.5, decay 0.95": Effects(0.5, 0.95)}
    named |= {"satiation 0.5, decay 0.8": Effects(0.5, 0.8), **PRESETS}
    print("| one-genre model | myopic oracle | optimum | optimum / myopic | halving the grid |")
    print("|---|---|---|---|---|")
    for name, effects in named.items():
        model = SessionModel(_FRESH, _SHARES, effects, _LENGTH)
        best = optimum(model, levels=_LEVELS, patiences=_PATIENCES).value
        # The myopic policy's values jump in the level: where they can, on a finer grid.
        fine = _LEVELS if effects.patience else _MYOPIC_LEVELS
        greedy = myopic(model, levels=fine, patiences=_PATIENCES).value
        moved = halving_error(model, levels=_LEVELS, patiences=_PATIENCES)
        print(
            f"| {name} | {greedy:.2f} | {best:.2f} | {best / greedy:.2f} | {moved:.4f} |",
            flush=True,
        )


if __name__ == "__main__":
    tyro.cli(main)
