"""What learning is worth: the liked share over a newcomer's first presses, with it and without.

python -m player.learning_plot --out docs/player_learning.png

Simulated newcomers with random preferences, who state none, press through the API of the player;
then the same ones at a player that learns nothing from presses (``--no-learning``). Intervals are
percentiles of a bootstrap over the listeners.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from player.client import ApiError
from player.settings import DATA, PlayerSettings
from player.simulate import FIRST, Outcome, simulated

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ARMS = {"learning": True, "learning switched off": False}

RESAMPLES = 10_000

AT_ONCE = 4
"""Listeners: the figure is not about how many the player stands."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shares:
    """A mean over listeners with its 95 % interval, a value a press, or one.

    Attributes:
        mean: (n,) float64, 0 to 1.
        low: likewise, the lower end.
        high: likewise, the upper end.
    """

    mean: Floats
    low: Floats
    high: Floats

    @classmethod
    def of(cls, values: Floats, *, seed: int = 0) -> Shares:
        """Return those of (n_listeners, n) values; listeners are drawn whole."""
        generator = np.random.default_rng(seed)
        drawn = generator.integers(len(values), size=(RESAMPLES, len(values)))
        means = np.stack([values[rows].mean(axis=0) for rows in drawn])
        low, high = np.quantile(means, (0.025, 0.975), axis=0)
        return cls(values.mean(axis=0), low, high)

    def text(self, place: int) -> str:
        """Return one of them for reading."""
        return f"{self.mean[place]:.1%} [{self.low[place]:.1%}, {self.high[place]:.1%}]"


def liked_of(outcomes: Sequence[Outcome], presses: int) -> Floats:
    """Return (n_listeners, presses) float64: 1 where a track was liked.

    Raises:
        RuntimeError: something went wrong, or there were too few tracks.
    """
    for outcome in outcomes:
        if outcome.faults:
            raise RuntimeError(f"a listener met a fault: {outcome.faults[0]}")
        if len(outcome.liked) < presses:
            raise RuntimeError(
                f"a listener was shown {len(outcome.liked)} tracks, expected {presses}: take a "
                "larger catalogue or fewer presses"
            )
    return np.array([outcome.liked[:presses] for outcome in outcomes], dtype=np.float64)


def table(liked: Mapping[str, Floats]) -> list[str]:
    """Return the shares of each arm, and what follows from them, as lines.

    Args:
        liked: arm -> (n_listeners, presses), the same listeners in the same order.
    """
    names = list(liked)
    presses = next(iter(liked.values())).shape[1]
    lines = [" | ".join(("press", *names))]
    shares = {name: Shares.of(values) for name, values in liked.items()}
    lines += [
        " | ".join((f"{place + 1:5}", *(shares[name].text(place) for name in names)))
        for place in range(presses)
    ]
    half = presses // 2
    for name, values in liked.items():
        whole = Shares.of(values.mean(axis=1, keepdims=True))
        lines.append(f"{name}: {whole.text(0)} of the first {presses} liked")
        if half:
            grown = values[:, half:].mean(axis=1) - values[:, :half].mean(axis=1)
            lines.append(f"{name}: second half less first half {Shares.of(grown[:, None]).text(0)}")
    first, *others = names
    for other in others:
        gained = (liked[first] - liked[other]).mean(axis=1, keepdims=True)
        lines.append(f"{first} less {other}: {Shares.of(gained).text(0)}")
    return lines


def figure_of(liked: Mapping[str, Floats]) -> Figure:
    """Return the curves of liked shares, see `table`."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    from agents.plotting import BLUE, GREY

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for (name, values), colour, style in zip(liked.items(), (BLUE, GREY), "-:", strict=False):
        shares, at = Shares.of(values), np.arange(1, values.shape[1] + 1)
        axes.plot(at, 100 * shares.mean, label=name, color=colour, ls=style, marker=".")
        axes.fill_between(at, 100 * shares.low, 100 * shares.high, color=colour, alpha=0.15, lw=0)
    count = len(next(iter(liked.values())))
    axes.set_title(f"{count} simulated newcomers who state no preference", fontsize="medium")
    axes.set_xlabel("press")
    axes.set_ylabel("tracks liked [%], mean and 95 % interval")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def main() -> int:
    """Run both arms, print the table, write the figure; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--listeners", type=int, default=100, help="newcomers (default: %(default)s)")
    add("--presses", type=int, default=FIRST, help="of each (default: %(default)s)")
    add("--catalogue", type=Path, help="tracks; the embedded catalogue if not given")
    add("--data", type=Path, default=DATA, help="folder of the policy (default: %(default)s)")
    add("--seed", type=int, default=0, help="which listeners (default: %(default)s)")
    add("--out", type=Path, default=Path("docs/player_learning.png"), help="the figure")
    arguments = parser.parse_args()
    if arguments.listeners < 1 or arguments.presses < 1:
        parser.error("--listeners and --presses must be at least 1")
    from rich.console import Console

    settings = PlayerSettings(catalogue=arguments.catalogue, data=arguments.data)
    liked: dict[str, Floats] = {}
    try:
        for name, learning in ARMS.items():
            outcomes = simulated(
                dataclasses.replace(settings, learning=learning),
                arguments.presses,
                listeners=arguments.listeners,
                seed=arguments.seed,
                at_once=AT_ONCE,
                console=Console(stderr=True),
            )
            liked[name] = liked_of(outcomes, arguments.presses)
    except (ApiError, OSError, RuntimeError, ValueError) as error:
        print(f"learning_plot: {error}", file=sys.stderr)
        return 2
    print("\n".join(table(liked)))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    figure_of(liked).savefig(arguments.out, dpi=120)
    return 0


if __name__ == "__main__":
    sys.exit(main())
