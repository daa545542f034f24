"""Train a learner on MusicRec-v0 and write the run's folder.

python train.py --agent dueling-dqn

python train.py --agent q-learning --catalogue tracks.csv --artist "2Pac" --genre alternative
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agents.runs import CONFIG, LEARNING_CURVE, RunError
from agents.training import Agent, DuelingDQNSettings, QLearningSettings, RunSettings, train_run
from music_env import CatalogueError


@dataclass(frozen=True)
class Arguments:
    """Train a learner on MusicRec-v0; write configuration, model, logs and figures to a folder."""

    agent: Agent
    """The learner."""
    catalogue: Path | None = None
    """Tracks as CSV (also gzip) or Parquet; the embedded catalogue if not given."""
    artist: str | None = None
    """The listener's preferred artist; with artist, genre and danceability all left out, the listener is the catalogue's default."""  # noqa: E501
    genre: str | None = None
    """The listener's preferred genre."""
    danceability: tuple[float, float] | None = None
    """The listener's range of danceability, lowest and highest, within 0 to 1."""
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Weights of the reward's terms: artist, genre, danceability."""
    session_length: int = 100
    """Tracks in a session."""
    encoding: Literal["one-hot", "codes", "hash", "profile"] | None = None
    """What the learner observes; if not given: codes for dueling-dqn, profile for q-learning."""
    timesteps: int | None = None
    """Tracks to judge, rounded up to whole steps of all sessions; if not given, the learner's default."""  # noqa: E501
    seed: int = 0
    """Seed of everything random: sessions, exploration, network, replay."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """The run's folder; if not given: runs/AGENT-DATE-TIME."""
    overwrite: bool = False
    """Replace the run in --out if there is one."""
    progress_bar: bool = True
    """Show progress, reward and regret on standard error."""
    q_learning: QLearningSettings = field(default_factory=QLearningSettings)
    dueling_dqn: DuelingDQNSettings = field(default_factory=DuelingDQNSettings)

    def run_settings(self) -> RunSettings:
        """Return the settings of the run.

        Raises:
            ValueError: if hyperparameters of the other learner are given.
        """
        learners = {"q-learning": self.q_learning, "dueling-dqn": self.dueling_dqn}
        learner = learners.pop(self.agent)
        for agent, other in learners.items():
            if other != type(other)():
                raise ValueError(
                    f"--{agent}.* are hyperparameters of {agent}, but --agent is {self.agent}: "
                    f"leave them out, or train with --agent {agent}"
                )
        if self.encoding is not None:
            learner = replace(learner, encoding=self.encoding)
        environment = {
            "catalogue": None if self.catalogue is None else str(self.catalogue),
            "artist": self.artist,
            "genre": self.genre,
            "danceability": self.danceability,
            "weights": self.weights,
            "session_length": self.session_length,
        }
        return RunSettings(
            agent=self.agent,
            learner=learner,
            out=self.out or Path("runs") / f"{self.agent}-{time.strftime('%Y%m%d-%H%M%S')}",
            environment=environment,
            timesteps=self.timesteps,
            seed=self.seed,
            overwrite=self.overwrite,
            progress_bar=self.progress_bar,
        )


def main() -> int:
    """Parse the command line, train, print the table; return the exit status."""
    arguments = tyro.cli(Arguments, description=__doc__)
    try:
        settings = arguments.run_settings()
        metrics = train_run(settings)
    except KeyboardInterrupt:
        print("train.py: interrupted before training began: nothing is saved", file=sys.stderr)
        return 130
    except (CatalogueError, RunError, ValueError, OSError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    config = json.loads((settings.out / CONFIG).read_text(encoding="utf-8"))
    table = Table(
        title=f"{settings.agent} after {metrics['timesteps']:,} tracks", title_justify="left"
    )
    table.add_column("on every track of the catalogue")
    table.add_column("", justify="right")
    n_tracks = config["catalogue"]["n_tracks"]
    right = round(metrics["decision_accuracy"] * n_tracks)
    table.add_row(
        "decisions right", f"{right:,} of {n_tracks:,} ({metrics['decision_accuracy']:.2%})"
    )
    table.add_row("balanced accuracy", f"{metrics['balanced_accuracy']:.2%}")
    length = config["environment"]["session_length"]
    earned, oracle = (length * metrics[name] for name in ("mean_reward", "oracle_mean_reward"))
    table.add_row(f"return per {length} tracks, of the oracle's", f"{earned:.2f} of {oracle:.2f}")
    table.add_row("relative regret", f"{metrics['relative_regret']:.2%}")
    if "mixed_state_tracks" in metrics:
        table.add_row(
            "tracks whose state has both signs",
            f"{metrics['mixed_state_tracks']:,} of {n_tracks:,}",
        )
        table.add_row("least regret of any such table", f"{metrics['best_table_regret']:.2%}")
    table.add_row("training time", f"{metrics['train_seconds']:.1f} s")
    console = Console()
    console.print(escape(f"Listener: {config['preference']}"), highlight=False)
    console.print(table)
    if metrics["interrupted"]:
        console.print("Interrupted: what was learnt so far is saved.")
    where = f"Run: {settings.out}, figure: {settings.out / LEARNING_CURVE}"
    console.print(escape(where), highlight=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
