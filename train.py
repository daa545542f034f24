"""Train a learner on MusicRec-v0, or another of its environments, and write the run's folder.

python train.py --agent dueling-dqn

python train.py --agent dueling-dqn --listener any

python train.py --agent q-learning --catalogue tracks.csv --artist "2Pac" --genre alternative

python train.py --agent dueling-dqn --env MusicRecSession-v0 --preset satiation

python train.py --agent dueling-dqn --env MusicRecSlate-v0 --preset satiation

python train.py --agent dueling-dqn --engine ray --env-runners 4

python train.py --resume runs/dueling-dqn
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from agents.resume import RunFinishedError, resume_run
from agents.run_summary import print_summary
from agents.runs import (
    AFFECTED,
    ANY_LISTENER,
    CONFIG,
    MUSICREC,
    SESSION,
    SLATE,
    Listener,
    RunError,
    engine_of,
    read_config,
)
from agents.settings import (
    Agent,
    AnyListenerSettings,
    DuelingDQNSettings,
    Engine,
    QLearningSettings,
    RLlibAnyListenerSettings,
    RLlibSessionSettings,
    RLlibSettings,
    RunSettings,
    SessionDQNSettings,
    SessionQLearningSettings,
    SlateDQNSettings,
)
from agents.snapshots import SNAPSHOTS
from agents.training import train_run
from cluster.connection import ClusterError
from music_env import CatalogueError


@dataclass(frozen=True)
class Arguments:
    """Train a learner; write configuration, model, logs and figures to a folder."""

    agent: Agent | None = None
    """The learner; needed unless --resume is given, or --listener any, which only dueling-dqn serves."""  # noqa: E501
    resume: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None
    """Go on with a run that was killed or interrupted, from its last snapshot to its end; all settings are the run's own."""  # noqa: E501
    env: Literal["MusicRec-v0", "MusicRecSession-v0", "MusicRecSlate-v0"] = "MusicRec-v0"
    """The environment; in the other two what is played has consequences, and in MusicRecSlate-v0 each step offers several candidates (dueling-dqn only). (--listener any has one of its own, MusicRecAnyListener-v0.)"""  # noqa: E501
    preset: Literal["static", "satiation", "patience", "both"] | None = None
    """Where what is played has consequences: which effects it has; if not given: both."""
    satiation: float | None = None
    """Likewise: strength of satiation, in place of the preset's."""
    decay: float | None = None
    """Likewise: what is left of satiation after a step, in place of the preset's."""
    patience: float | None = None
    """Likewise: what disappointing plays cost in patience, in place of the preset's."""
    slate_size: int | None = None
    """With --env MusicRecSlate-v0: how many candidates a step offers; if not given: 10."""
    catalogue: Path | None = None
    """Tracks as CSV (also gzip) or Parquet; the embedded catalogue if not given."""
    listener: Listener = "one"
    """Whom the learner is to serve: the one listener that artist, genre and danceability describe, or any, also those it never met: it is then trained on many and sees what each prefers (dueling-dqn only)."""  # noqa: E501
    population: Path | None = None
    """With --listener any: the listeners, a CSV or Parquet file with the columns artist, genre, danceability_low and danceability_high (empty: open); if not given, drawn from the catalogue."""  # noqa: E501
    test_share: float = 0.2
    """With --listener any: the share of the artists whose listeners are held out from training."""
    artist: str | None = None
    """The listener's preferred artist; with artist, genre and danceability all left out, the listener is the catalogue's default."""  # noqa: E501
    genre: str | None = None
    """The listener's preferred genre."""
    danceability: tuple[float, float] | None = None
    """The listener's range of danceability, lowest and highest, within 0 to 1."""
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Weights of the reward's terms: artist, genre, danceability."""
    session_length: int | None = None
    """Tracks in a session; if not given: 100; in the other two at most 50, tracks or slates."""
    encoding: Literal["one-hot", "codes", "hash", "profile", "summary", "grid"] | None = None
    """What the learner observes; if not given: codes for dueling-dqn, profile for q-learning; in MusicRecSession-v0 summary and grid, in MusicRecSlate-v0 summary."""  # noqa: E501
    timesteps: int | None = None
    """Tracks to judge, rounded up to whole steps of all sessions; if not given, the learner's default."""  # noqa: E501
    seed: int = 0
    """Seed of everything random: sessions, exploration, network, replay."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """The run's folder; if not given: runs/AGENT-DATE-TIME."""
    snapshots: int = SNAPSHOTS
    """Snapshots for --resume, evenly spread, besides one at the start; 0: none at all."""
    overwrite: bool = False
    """Replace the run in --out if there is one."""
    progress_bar: bool = True
    """Show progress, reward and regret on standard error."""
    engine: Engine = "local"
    """What trains: this process, or RLlib on a Ray cluster (dueling-dqn only, the extra ray)."""
    address: str | None = None
    """With --engine ray: the cluster, for instance auto or HOST:6379; if not given, a local Ray starts and stops by itself."""  # noqa: E501
    env_runners: int = 1
    """With --engine ray: processes that step the environments and share their sessions; 0: the one that learns does."""  # noqa: E501
    q_learning: QLearningSettings = field(default_factory=QLearningSettings)
    dueling_dqn: DuelingDQNSettings = field(default_factory=DuelingDQNSettings)
    any_listener: AnyListenerSettings = field(default_factory=AnyListenerSettings)
    """Of dueling-dqn with --listener any."""
    session_dqn: SessionDQNSettings = field(default_factory=SessionDQNSettings)
    """Of dueling-dqn with --env MusicRecSession-v0."""
    session_q_learning: SessionQLearningSettings = field(default_factory=SessionQLearningSettings)
    """Of q-learning with --env MusicRecSession-v0."""
    slate_dqn: SlateDQNSettings = field(default_factory=SlateDQNSettings)
    """Of dueling-dqn with --env MusicRecSlate-v0."""
    rllib: RLlibSettings = field(default_factory=RLlibSettings)
    """Of dueling-dqn with --engine ray."""
    rllib_any_listener: RLlibAnyListenerSettings = field(default_factory=RLlibAnyListenerSettings)
    """Of dueling-dqn with --engine ray --listener any."""
    rllib_session: RLlibSessionSettings = field(default_factory=RLlibSessionSettings)
    """Of dueling-dqn with --engine ray --env MusicRecSession-v0."""

    def run_settings(self) -> RunSettings:
        """Return the settings of the run.

        Raises:
            ValueError: if no agent is given, hyperparameters of another learner are, or the agent,
                the preference or the effects do not go with listener and environment.
        """
        learner = self._learner()
        if self.encoding is not None:
            learner = replace(learner, encoding=self.encoding)
        environment: dict[str, Any] = {
            "catalogue": None if self.catalogue is None else str(self.catalogue),
            "weights": self.weights,
            "session_length": self.session_length or _SESSION_LENGTH[self.env],
            **self._effects(),
        }
        preference = {n: getattr(self, n) for n in ("artist", "genre", "danceability")}
        if self.listener == "one":
            if self.population is not None or self.test_share != Arguments.test_share:
                raise ValueError("--population and --test-share go with --listener any only")
            environment |= preference
        else:
            given = [f"--{name}" for name, value in preference.items() if value is not None]
            if given:
                raise ValueError(
                    f"--listener any trains for all listeners: leave out {', '.join(given)}, or "
                    "leave out --listener"
                )
            environment |= {"split": "train", "test_share": self.test_share}
            if self.population is not None:
                environment["population"] = str(self.population)
        agent = self._agent()
        name = agent if self.listener == "one" else f"{agent}-any"
        if self.env in AFFECTED:
            name = f"{agent}-{environment['preset']}" + "-slate" * (self.env == SLATE)
        if self.engine == "ray":
            name = f"{name}-rllib"
        return RunSettings(
            agent=agent,
            learner=learner,
            out=self.out or Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}",
            environment=environment,
            timesteps=self.timesteps,
            seed=self.seed,
            snapshots=self.snapshots,
            overwrite=self.overwrite,
            progress_bar=self.progress_bar,
            env_runners=self.env_runners,
        )

    def _effects(self) -> dict[str, Any]:
        """Return how strong the effects are and the slate's size, where there are any."""
        given = {n: getattr(self, n) for n in (*_EFFECTS, "slate_size")}
        given = {name: value for name, value in given.items() if value is not None}
        for allowed, names in ((AFFECTED, _EFFECTS), ((SLATE,), ("slate_size",))):
            options = [f"--{name.replace('_', '-')}" for name in names if name in given]
            if options and self.env not in allowed:
                raise ValueError(
                    f"{', '.join(options)}: only with --env {' or '.join(allowed)}, got --env "
                    f"{self.env}"
                )
        return {"preset": "both", **given} if self.env in AFFECTED else {}

    def _agent(self) -> Agent:
        """Return the learner's name; for any listener there is only one."""
        if self.listener == "any":
            if self.env != MUSICREC:
                raise ValueError(
                    f"--listener any has an environment of its own, {ANY_LISTENER}: leave out "
                    f"--env {self.env}"
                )
            if self.agent not in (None, "dueling-dqn"):
                raise ValueError(
                    f"--listener any goes with --agent dueling-dqn only, got {self.agent}: a table "
                    "has no state for a listener that it never met"
                )
            return "dueling-dqn"
        if self.agent is None:
            raise ValueError(
                "--agent is missing: expected q-learning or dueling-dqn (or --resume RUN)"
            )
        if self.env == SLATE and self.agent == "q-learning":
            raise ValueError(
                f"--env {SLATE} goes with --agent dueling-dqn only: a table would need a state for "
                "each slate of candidates. With q-learning, use "
                f"--env {SESSION}, where a step shows one track"
            )
        return self.agent

    def _learner(self) -> QLearningSettings | DuelingDQNSettings:
        """Return the hyperparameters of the learner that is asked for; those of no other given."""
        agent = self._agent()
        self._check_engine(agent)
        where = "any" if self.listener == "any" else self.env
        chosen = _CHOSEN[self.engine, agent, where]
        for name, how in _TRAINED_BY.items():
            other = getattr(self, name)
            if name != chosen and other != type(other)():
                raise ValueError(
                    f"--{name.replace('_', '-')}.* are hyperparameters of {how}, but this is "
                    f"{_TRAINED_BY[chosen]}: leave them out, or train with the other"
                )
        learner: QLearningSettings | DuelingDQNSettings = getattr(self, chosen)
        return learner

    def _check_engine(self, agent: Agent) -> None:
        """Raise ``ValueError`` if what is asked for does not go with the engine."""
        if self.engine == "ray":
            if agent != "dueling-dqn":
                raise ValueError(f"--engine ray goes with --agent dueling-dqn only, got {agent}")
            if self.env == SLATE:
                raise ValueError(f"--engine ray goes with other environments than {SLATE}")
        elif self.address is not None or self.env_runners != Arguments.env_runners:
            raise ValueError("--address and --env-runners go with --engine ray only")


_CHOSEN = {
    ("local", "q-learning", MUSICREC): "q_learning",
    ("local", "dueling-dqn", MUSICREC): "dueling_dqn",
    ("local", "dueling-dqn", "any"): "any_listener",
    ("local", "dueling-dqn", SESSION): "session_dqn",
    ("local", "q-learning", SESSION): "session_q_learning",
    ("local", "dueling-dqn", SLATE): "slate_dqn",
    ("ray", "dueling-dqn", MUSICREC): "rllib",
    ("ray", "dueling-dqn", "any"): "rllib_any_listener",
    ("ray", "dueling-dqn", SESSION): "rllib_session",
}
"""Engine, learner, environment (or any listener) -> the argument with its hyperparameters."""

_TRAINED_BY = {
    "q_learning": "--agent q-learning",
    "dueling_dqn": "--agent dueling-dqn",
    "any_listener": "--agent dueling-dqn --listener any",
    "session_dqn": f"--agent dueling-dqn --env {SESSION}",
    "session_q_learning": f"--agent q-learning --env {SESSION}",
    "slate_dqn": f"--agent dueling-dqn --env {SLATE}",
    "rllib": "--agent dueling-dqn --engine ray",
    "rllib_any_listener": "--agent dueling-dqn --engine ray --listener any",
    "rllib_session": f"--agent dueling-dqn --engine ray --env {SESSION}",
}
_SESSION_LENGTH = {MUSICREC: 100, SESSION: 50, SLATE: 50}
_EFFECTS = ("preset", "satiation", "decay", "patience")


_WITH_RESUME = ("--resume", "--progress-bar", "--no-progress-bar", "--address")


def check_alone_with_resume(given: Sequence[str]) -> None:
    """Raise ``ValueError`` if command-line arguments say what a resumed run knows itself."""
    names = [text.split("=")[0].replace("_", "-") for text in given if text.startswith("--")]
    others = [name for name in names if name not in _WITH_RESUME]
    if others:
        raise ValueError(
            f"--resume takes all settings from the run's {CONFIG}: leave out {', '.join(others)}"
        )


def train_or_resume(arguments: Arguments, given: Sequence[str]) -> tuple[Path, dict[str, Any]]:
    """Return a run's folder and its metrics, at the end of its training."""
    folder, address = arguments.resume, arguments.address
    if folder is not None:
        check_alone_with_resume(given)
        shown = {"progress_bar": arguments.progress_bar}
        if engine_of(read_config(folder)) == "ray":
            from cluster import training  # which Ray alone needs

            return folder, training.resume_run(folder, address=address, **shown)
        if address is not None:
            raise ValueError(f"--address: {folder} is not trained on a cluster, leave it out")
        return folder, resume_run(folder, **shown)
    settings = arguments.run_settings()
    if settings.engine == "ray":
        from cluster import training

        return settings.out, training.train_run(settings, address=address)
    return settings.out, train_run(settings)


def main() -> int:
    """Parse the command line, train, print the table; return the exit status."""
    arguments = tyro.cli(Arguments, description=__doc__)
    try:
        out, metrics = train_or_resume(arguments, sys.argv[1:])
    except KeyboardInterrupt:
        print(
            "train.py: interrupted at once: no model is saved. If training had begun, "
            "`python train.py --resume RUN` goes on from its last snapshot",
            file=sys.stderr,
        )
        return 130
    except RunFinishedError as reason:
        print(reason)
        return 0
    except (CatalogueError, RunError, ClusterError, ValueError, OSError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    print_summary(out, metrics)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
