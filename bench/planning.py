"""What planning is worth: in MusicRecSession-v0 or a slate by preset, and in the one-genre model.

``python -m bench.planning --sessions 4000 --genre metal``: the means of the myopic oracle and the
planner over the same sessions, the ratio of the two with its 95 % bootstrap interval over sessions,
and an upper bound on any policy's mean return (the expected one: that of the sessions drawn may be
above it by chance, as its interval says); of MusicRecSlate-v0 with ``--slate-size 10``. Then the
exact optimum of the one-genre model and the myopic oracle's value there, and by how much halving
the cells of their grids moves each. Of the default listener's sessions the tables are written to
``bench/planning.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import numpy as np
import tyro

from agents.planning import MyopicOracle, Planner, session_returns, upper_bound
from agents.session_model import SessionModel, halving_error, myopic, optimum
from bench.report import ROOT, machine, markdown_table
from music_env import PRESETS, Effects

# The one-genre model: enjoyments of four classes of tracks, and their shares.
_FRESH, _SHARES, _LENGTH = np.array([-1.0, 1, 2, 3]), np.array([0.3, 0.3, 0.2, 0.2]), 50

# The myopic policy's values jump where the level makes a class worth nothing: on a finer grid.
_LEVELS, _MYOPIC_LEVELS, _PATIENCES = 256, 2048, 64

_HEADINGS = ("preset", "myopic oracle", "planner ± 95 %", "planner / myopic [95 %]", "upper bound")
_MODEL_HEADINGS = (
    "one-genre model", "myopic oracle", "its grid halved", "optimum", "its grid halved",
    "optimum / myopic",
)  # fmt: skip

Cells = tuple[str, ...]


def main(
    sessions: int = 4000,
    seed: int = 0,
    genre: str | None = None,
    slate_size: int | None = None,
    out: Path | None = None,
) -> None:
    """Print the tables, and write them.

    Args:
        sessions: how many of each preset.
        seed: session i is the first one of ``seed + i``.
        genre: of a listener who prefers it, any artist, and danceability 0.4 to 0.6; the default
            listener without.
        slate_size: of MusicRecSlate-v0; MusicRecSession-v0 without.
        out: Markdown file to write; without, bench/planning.md for the default listener's sessions
            (neither genre nor slate size), and none for others.
    """
    if out is None and genre is None and slate_size is None:
        out = ROOT / "bench" / "planning.md"
    rows = _shown(_HEADINGS, _environment(sessions, seed, genre, slate_size))
    print()
    model_rows = _shown(_MODEL_HEADINGS, _model())
    if out is None:
        return
    given = f" --genre {genre}" * (genre is not None)
    given += f" --slate-size {slate_size}" * (slate_size is not None)
    lines = [
        "# What planning is worth, by the planner and in the one-genre model",
        "",
        f"`python -m bench.planning{given} --sessions {sessions} --seed {seed}`: mean returns of "
        "the myopic oracle and the planner over the same sessions, and an upper bound on the "
        "expected return of any policy (`agents.planning.upper_bound` says how it is found).",
        "",
        *markdown_table(_HEADINGS, rows),
        "",
        "The one-genre model: enjoyments "
        + ", ".join(f"{fresh:g}" for fresh in _FRESH)
        + " with shares "
        + ", ".join(f"{share:g}" for share in _SHARES)
        + f", {_LENGTH} steps. Values by dynamic programming on a grid of {_LEVELS} levels "
        f"({_MYOPIC_LEVELS:,} for the myopic oracle) and {_PATIENCES} patiences; *its grid halved* "
        "is by how much the value moves when the cells are halved in both.",
        "",
        *markdown_table(_MODEL_HEADINGS, model_rows),
        "",
        *markdown_table(("", ""), machine()),
        "",
    ]
    out.write_text("\n".join(lines), encoding="utf-8")
    print(f"Written: {out}")


def _shown(headings: Cells, rows: Iterator[Cells]) -> list[Cells]:
    """Print a table row by row, as they take their time; return its rows."""
    kept = []
    for line in markdown_table(headings, []):
        print(line)
    for row in rows:
        kept.append(row)
        print(markdown_table(headings, [row])[-1], flush=True)
    return kept


def _environment(
    sessions: int, seed: int, genre: str | None, slate_size: int | None
) -> Iterator[Cells]:
    """Give what each preset's policies earn in the environment."""
    generator = np.random.default_rng(seed)
    arguments = {} if genre is None else {"genre": genre, "danceability": (0.4, 0.6)}
    env_id = "MusicRecSession-v0"
    if slate_size is not None:
        env_id = "MusicRecSlate-v0"
        arguments["slate_size"] = slate_size
    for preset in PRESETS:
        env = gym.make_vec(
            env_id, num_envs=sessions, preset=preset, encoding="summary", **arguments
        )
        greedy = session_returns(MyopicOracle(env), env, seed=seed)
        planner = session_returns(Planner(env), env, seed=seed)
        drawn = generator.integers(sessions, size=(2000, sessions))
        ratios = planner[drawn].mean(axis=1) / greedy[drawn].mean(axis=1)
        low, high = np.quantile(ratios, [0.025, 0.975])
        yield (
            preset,
            f"{greedy.mean():.2f}",
            f"{planner.mean():.2f} ± {_half_width(planner):.2f}",
            f"{planner.mean() / greedy.mean():.2f} [{low:.2f}, {high:.2f}]",
            f"{upper_bound(env):.2f}",
        )


def _half_width(returns: np.ndarray) -> float:
    """Return half the width of the mean's 95 % interval, by the normal distribution."""
    return float(1.96 * returns.std(ddof=1) / len(returns) ** 0.5)


def _model() -> Iterator[Cells]:
    """Give the values of the one-genre model, and the errors of their grids."""
    named = {"satiation 0.5, decay 0.95": Effects(0.5, 0.95)}
    named |= {"satiation 0.5, decay 0.8": Effects(0.5, 0.8), **PRESETS}
    for name, effects in named.items():
        model = SessionModel(_FRESH, _SHARES, effects, _LENGTH)
        found = []
        for solve, levels in ((myopic, _MYOPIC_LEVELS), (optimum, _LEVELS)):
            value = solve(model, levels=levels, patiences=_PATIENCES).value
            moved = halving_error(model, solve=solve, levels=levels, patiences=_PATIENCES)
            found.append((value, moved))
        (greedy, of_greedy), (best, of_best) = found
        yield (
            name, f"{greedy:.2f}", f"{of_greedy:.4f}", f"{best:.2f}", f"{of_best:.4f}",
            f"{best / greedy:.2f}",
        )  # fmt: skip


if __name__ == "__main__":
    tyro.cli(main)
