"""Search hyperparameters of a learner with Optuna, over several listeners.

python tune.py --agent dueling-dqn --catalogues my_tracks.csv --trials 60
python tune.py --agent q-learning --out tuning/q-learning
python tune.py --agent dueling-dqn --engine ray --address auto

The study lies in a journal file: the same command goes on where it was stopped, and several
processes may work on one study at once (give each its own --worker). With --engine ray a process
tries as many points at once as a Ray cluster has processors (extra `ray`).

What is minimised is the area under the regret curve, on logarithmic axes: the mean, over the
listeners and over checks at geometrically spaced numbers of judged tracks, of log10 of the greedy
policy's relative regret, floored at 0.01 %. Being at 0.1 % instead of 1 % thus counts as much as
1 % instead of 10 %, and each doubling of the judged tracks counts the same. The regret needs the
listener's true scores. The study may know them, the learner does not.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch as th
import tyro
from rich.console import Console

import music_env
from agents.training import Agent
from bench.listeners import drawn_listeners
from cluster.connection import ClusterError, require_ray
from music_env.tables import load_catalogue

try:
    import optuna
    from optuna.storages.journal import JournalFileBackend
except ImportError:
    sys.exit('tune.py: Optuna is not installed: pip install "musicrec[tune]"')

from study.search import FIRST_CHECK, SPACES, checks_up_to, defaults_as_point, log_regret

STARTUP_TRIALS = 10
"""Trials drawn at random before the sampler models them, and before any is pruned."""
BUDGETS: dict[Agent, int] = {"dueling-dqn": 4_096, "q-learning": 32_768}
"""Tracks judged in a run of a study; the schedules still fall over the learner's timesteps."""
BEST = 10
"""Trials in the summary's table."""
OVER = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
"""States of the trials that count."""


@dataclass(frozen=True)
class Arguments:
    """Search hyperparameters of a learner; write the study and its summary to a folder."""

    agent: Agent
    """The learner."""
    catalogues: tuple[Path, ...] = ()
    """Further catalogues that listeners are drawn for, besides the embedded one."""
    listeners: int = 3
    """Listeners drawn for each catalogue."""
    trials: int = 60
    """Trials of the whole study, those of earlier and other processes included."""
    budget: int | None = None
    """Tracks judged for each listener of a trial; if not given: 4,096 for dueling-dqn, 32,768 for q-learning."""  # noqa: E501
    seed: int = 0
    """Seed of the listeners, the learners and the sampler."""
    worker: int = 0
    """Number of this process where several work on one study, so that each draws trials of its own."""  # noqa: E501
    engine: Literal["local", "ray"] = "local"
    """Where points are tried: in this process, or on a Ray cluster."""
    address: str | None = None
    """Of a running Ray cluster that this machine is part of: auto, or HOST:6379; if not given, a local Ray starts and stops by itself."""  # noqa: E501
    out: Path | None = None
    """The study's folder, gone on with if there is one in it; if not given: tuning/AGENT."""


def draw(arguments: Arguments) -> list[dict[str, Any]]:
    """Return the study's listeners as arguments of `gym.make`, the catalogues taking turns."""
    by_catalogue = [
        [
            {"catalogue": None if path is None else str(path), **asdict(preference)}
            for preference in drawn_listeners(
                load_catalogue(path), arguments.listeners, arguments.seed
            )
        ]
        for path in (None, *arguments.catalogues)
    ]
    return [listener for turn in zip(*by_catalogue, strict=True) for listener in turn]


def open_study(arguments: Arguments, out: Path, question: dict[str, Any]) -> optuna.Study:
    """Return the folder's study, a new one if there is none.

    Raises:
        ValueError: if the study in the folder asks another question.
    """
    journal = JournalFileBackend(str(out / "study.journal"))
    study = optuna.create_study(
        study_name=arguments.agent,
        storage=optuna.storages.JournalStorage(journal),
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS, n_warmup_steps=1),
    )
    # A sampler that goes on with a study must not repeat its first draws.
    entropy = [arguments.seed, arguments.worker, len(study.trials)]
    study.sampler = optuna.samplers.TPESampler(
        n_startup_trials=STARTUP_TRIALS,
        constant_liar=True,  # so that processes do not all try the same promising corner
        seed=int(np.random.SeedSequence(entropy).generate_state(1)[0]),
    )
    asked = study.user_attrs.setdefault("question", question)
    if asked != question:
        changed = [name for name in question if asked.get(name) != question[name]]
        raise ValueError(
            f"the study in {out} was begun with other {', '.join(changed)}: go on with the same, "
            "or choose another --out"
        )
    study.set_user_attr("question", question)
    _enqueue_defaults(study, arguments)
    return study


def _enqueue_defaults(study: optuna.Study, arguments: Arguments) -> None:
    """Have the defaults tried, unless they were, or are waiting to be."""
    point = defaults_as_point(arguments.agent)
    states = {trial.state for trial in study.get_trials(deepcopy=False) if _is_at(trial, point)}
    kept = {*OVER, optuna.trial.TrialState.WAITING}
    if arguments.worker:
        # Those that are running may be another worker's. The first takes them for what a killed
        # one left behind, which stays so for ever; to be tried twice does no harm.
        kept.add(optuna.trial.TrialState.RUNNING)
    if not states & kept:
        study.enqueue_trial(point)


def _is_at(trial: optuna.trial.FrozenTrial, point: Mapping[str, Any]) -> bool:
    """Whether a trial is of a point: was told to be, or has come there."""
    return bool(trial.system_attrs.get("fixed_params", trial.params) == point)


def objective(
    agent: Agent, listeners: Sequence[Mapping[str, Any]], checks: Sequence[int], seed: int
) -> Callable[[optuna.Trial], float]:
    """Return what the study minimises: the mean of `log_regret` over the listeners."""

    def mean_log_regret(trial: optuna.Trial) -> float:
        settings = SPACES[agent](trial)
        values: list[float] = []
        for turn, listener in enumerate(listeners):
            values.append(log_regret(settings, listener, checks, seed=seed + turn))
            trial.report(float(np.mean(values)), turn)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(values))

    return mean_log_regret


def search(
    study: optuna.Study,
    arguments: Arguments,
    listeners: Sequence[Mapping[str, Any]],
    checks: Sequence[int],
) -> None:
    """Try points until the study has its trials."""
    if len(study.get_trials(deepcopy=False, states=OVER)) >= arguments.trials:
        return
    if arguments.engine == "ray":
        from cluster.tuning import optimise

        optimise(
            study,
            SPACES[arguments.agent],
            listeners,
            checks,
            seed=arguments.seed,
            trials=arguments.trials,
            address=arguments.address,
        )
        return
    th.set_num_threads(1)
    study.optimize(
        objective(arguments.agent, listeners, checks, arguments.seed),
        callbacks=[optuna.study.MaxTrialsCallback(arguments.trials, states=OVER)],
    )


def summary(study: optuna.Study, agent: Agent) -> dict[str, Any]:
    """Return the study as plain values: what was asked, how many trials, the best of them.

    The defaults are among them where a trial of them is complete; else they are None.
    """
    states = optuna.trial.TrialState
    complete = sorted(
        study.get_trials(deepcopy=False, states=(states.COMPLETE,)),
        key=lambda trial: (trial.value, trial.number),
    )

    point = defaults_as_point(agent)
    defaults = [trial for trial in complete if _is_at(trial, point)]

    def described(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
        return {"trial": trial.number, "log10_regret": trial.value, "params": trial.params}

    return {
        "agent": agent,
        **study.user_attrs["question"],
        "complete": len(complete),
        "pruned": len(study.get_trials(deepcopy=False, states=(states.PRUNED,))),
        "settings": asdict(SPACES[agent](optuna.trial.FixedTrial(complete[0].params))),  # type: ignore[arg-type]
        "defaults": described(min(defaults, key=lambda trial: trial.number)) if defaults else None,
        "best": [described(trial) for trial in complete[:BEST]],
    }


def as_markdown(content: Mapping[str, Any]) -> str:
    """Return a summary as a page: the question, the best settings, a table of the best trials."""
    rows = [(row["trial"], row) for row in content["best"]]
    if content["defaults"] is not None:
        rows.insert(0, ("defaults then", content["defaults"]))
    names = list(content["best"][0]["params"])
    lines = [
        f"# Study of {content['agent']}",
        "",
        f"{content['complete']} trials complete, {content['pruned']} pruned; "
        f"{len(content['listeners'])} listeners, {content['budget']:,} tracks judged for each, "
        f"seed {content['seed']}. Lower is better: mean log10 of the relative regret.",
        "",
        "| trial | " + " | ".join(["log10 regret", *names]) + " |",
        "|---" * (len(names) + 2) + "|",
    ]
    for label, row in rows:
        values = [f"{row['log10_regret']:.3f}", *(_text(row["params"][name]) for name in names)]
        lines.append(f"| {label} | " + " | ".join(values) + " |")
    lines += ["", "Listeners:", ""]
    for listener in content["listeners"]:
        catalogue = listener["catalogue"]
        low, high = listener["danceability"]
        lines.append(
            f"- {'embedded' if catalogue is None else Path(catalogue).name}: "
            f"{listener['artist']}, {listener['genre']}, {low:g} to {high:g}"
        )
    return "\n".join([*lines, ""])


def _text(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> int:
    """Parse the command line, search, write and print the summary; return the exit status."""
    arguments = tyro.cli(Arguments, description=__doc__)
    agent = arguments.agent
    budget = BUDGETS[agent] if arguments.budget is None else arguments.budget
    out = arguments.out or Path("tuning") / agent
    try:
        for name, least in (("trials", 1), ("listeners", 1), ("worker", 0)):
            if getattr(arguments, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(arguments, name)}")
        if budget <= FIRST_CHECK:
            raise ValueError(f"budget must be over {FIRST_CHECK} tracks, got {budget}")
        if arguments.engine == "ray":
            require_ray()
        elif arguments.address is not None:
            raise ValueError(
                f"--address {arguments.address} is for --engine ray, which is not asked for"
            )
        listeners = draw(arguments)
        out.mkdir(parents=True, exist_ok=True)
        question = {"listeners": listeners, "budget": budget, "seed": arguments.seed}
        # Through JSON, as the study gives it back: a range is a list there.
        study = open_study(arguments, out, json.loads(json.dumps(question)))
    except (music_env.CatalogueError, ClusterError, ValueError, OSError) as error:
        print(f"tune.py: {error}", file=sys.stderr)
        return 2
    try:
        search(study, arguments, listeners, checks_up_to(budget))
    except ClusterError as error:
        print(f"tune.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tune.py: interrupted: what is done is kept", file=sys.stderr)
    if not study.get_trials(deepcopy=False, states=OVER[:1]):
        print("tune.py: no trial is complete: nothing to sum up", file=sys.stderr)
        return 130
    content = summary(study, agent)
    text = as_markdown(content)
    (out / "summary.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (out / "summary.md").write_text(text, encoding="utf-8")
    console = Console(highlight=False, markup=False)
    console.print(text)
    console.print("Best settings:")
    for name, value in content["settings"].items():
        console.print(f"  {name}: {value}")
    console.print(f"Study: {out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
