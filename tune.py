"""Search hyperparameters of a learner with Optuna, over several listeners.

python tune.py --agent dueling-dqn --catalogues my_tracks.csv --trials 60
python tune.py --agent q-learning --out tuning/q-learning

The study lies in a journal file: the same command goes on where it was stopped, and several
processes may work on one study at once (give each its own --worker).

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
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch as th
import tyro
from rich.console import Console
from stable_baselines3.common.callbacks import BaseCallback

import music_env
from agents.evaluation import learner_policy
from agents.training import Agent, DuelingDQNSettings, QLearningSettings, make_learner
from agents.vec_env import GymVecEnv
from bench.listeners import drawn_listeners
from bench.regret import relative_regret
from music_env.tables import Tables, load_catalogue

try:
    import optuna
    from optuna.storages.journal import JournalFileBackend
except ImportError:
    sys.exit('tune.py: Optuna is not installed: pip install "musicrec[tune]"')

Settings = QLearningSettings | DuelingDQNSettings

FLOOR = 1e-4
"""Relative regret below which a run is as good as right: under one wrong track of a catalogue."""
FIRST_CHECK = 64
"""Judged tracks at the first check; every further one has the square root of two times as many."""
STARTUP_TRIALS = 10
"""Trials drawn at random before the sampler models them, and before any is pruned."""
BUDGETS: dict[Agent, int] = {"dueling-dqn": 4_096, "q-learning": 32_768}
"""Tracks judged in a run of a study; the schedules still fall over the learner's timesteps."""
BEST = 10
"""Trials in the summary's table."""


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
    out: Path | None = None
    """The study's folder, gone on with if there is one in it; if not given: tuning/AGENT."""


def dueling_dqn_space(trial: optuna.Trial) -> DuelingDQNSettings:
    """Return the settings of a trial: what is searched for the dueling DQN.

    Updates are searched as numbers for every sixteen tracks, whatever the number of sessions: at
    first, and later on, up to what a training of some ten seconds has time for.
    """
    n_envs = trial.suggest_categorical("n_envs", [8, 16, 32])
    first = trial.suggest_int("first_updates_per_16_tracks", 4, 32, step=4)
    later = trial.suggest_int("updates_per_16_tracks", 2, 4, step=2)
    return replace(
        DuelingDQNSettings(),
        n_envs=n_envs,
        gradient_steps=first * n_envs // 16,
        final_gradient_steps=later * n_envs // 16,
        gradient_steps_fraction=trial.suggest_float("gradient_steps_fraction", 0.02, 0.3, log=True),
        learning_rate=trial.suggest_float("learning_rate", 1e-3, 5e-2, log=True),
        batch_size=trial.suggest_categorical("batch_size", [64, 128, 256]),
        learning_starts=trial.suggest_categorical("learning_starts", [32, 64, 128, 256]),
        exploration_fraction=trial.suggest_float("exploration_fraction", 0.01, 0.5, log=True),
        exploration_final_eps=trial.suggest_float("exploration_final_eps", 0.01, 0.1, log=True),
        net_arch=(trial.suggest_categorical("hidden", [32, 64, 128]),),
        embedding_dim=trial.suggest_categorical("embedding_dim", [8, 16, 32]),
    )


def q_learning_space(trial: optuna.Trial) -> QLearningSettings:
    """Return the settings of a trial: what is searched for the tabular Q-learner."""
    rate = trial.suggest_float("learning_rate", 0.1, 1.0, log=True)
    return replace(
        QLearningSettings(),
        learning_rate=rate,
        final_learning_rate=rate * trial.suggest_float("final_share", 0.01, 1.0, log=True),
        exploration_fraction=trial.suggest_float("exploration_fraction", 0.01, 1.0, log=True),
        exploration_final_eps=trial.suggest_float("exploration_final_eps", 0.01, 0.2, log=True),
    )


SPACES: dict[Agent, Callable[[optuna.Trial], Settings]] = {
    "dueling-dqn": dueling_dqn_space,
    "q-learning": q_learning_space,
}


def defaults_as_point(agent: Agent) -> dict[str, Any]:
    """Return `train.py`'s defaults as a point of the search space: a new study's first trial."""
    settings = DuelingDQNSettings() if agent == "dueling-dqn" else QLearningSettings()
    point = asdict(settings)
    if isinstance(settings, DuelingDQNSettings):
        point["first_updates_per_16_tracks"] = 16 * settings.gradient_steps // settings.n_envs
        point["updates_per_16_tracks"] = 16 * settings.final_gradient_steps // settings.n_envs
        (point["hidden"],) = settings.net_arch
    else:
        point["final_share"] = settings.final_learning_rate / settings.learning_rate
    trial = optuna.trial.FixedTrial(point)
    SPACES[agent](trial)  # type: ignore[arg-type]
    return trial.params  # those of the point that the space asks for


class RegretCurve(BaseCallback):
    """Notes the greedy policy's relative regret at `checks`, and stops after the last.

    Args:
        tables: the tracks and their scores.
        checks: rising numbers of judged tracks; each is met at the first step at or after it.

    Attributes:
        regrets: (n_checks,) once training is over.
    """

    def __init__(self, tables: Tables, checks: Sequence[int]) -> None:
        super().__init__()
        self.regrets: list[float] = []
        self._tables, self._checks = tables, checks

    def _on_step(self) -> bool:
        while self.num_timesteps >= self._checks[len(self.regrets)]:
            likes = learner_policy("learner", self.model, self._tables).likes  # type: ignore[arg-type]
            assert likes is not None
            self.regrets.append(relative_regret(self._tables.scores.total, likes))
            if len(self.regrets) == len(self._checks):
                return False
        return True


def checks_up_to(budget: int) -> list[int]:
    """Return the numbers of judged tracks at which a run is checked; the last is the budget."""
    n_factors = int(2 * np.log2(budget / FIRST_CHECK))
    return [round(FIRST_CHECK * 2 ** (i / 2)) for i in range(n_factors)] + [budget]


def log_regret(
    settings: Settings, listener: Mapping[str, Any], checks: Sequence[int], *, seed: int
) -> float:
    """Train for one listener; return the mean log10 of the relative regret at the checks.

    Args:
        settings: the learner's hyperparameters; the schedules fall over their ``timesteps``.
        listener: arguments of `gym.make`.
        checks: see `RegretCurve`.
        seed: the learner's and the environment's.
    """
    native = gym.make_vec(
        "MusicRec-v0",
        num_envs=settings.n_envs,
        vectorization_mode="vector_entry_point",
        autoreset_mode="SameStep",
        encoding=settings.encoding,
        **listener,
    )
    learner = make_learner(settings, GymVecEnv(native), seed=seed)
    curve = RegretCurve(native.unwrapped.tables, checks)  # type: ignore[attr-defined]
    timesteps = max(settings.timesteps, checks[-1] + settings.n_envs)
    learner.learn(timesteps, callback=curve, log_interval=None)
    native.close()
    return float(np.log10(np.maximum(curve.regrets, FLOOR)).mean())


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
    if not study.trials:
        study.enqueue_trial(defaults_as_point(arguments.agent))
    return study


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


def summary(study: optuna.Study, agent: Agent) -> dict[str, Any]:
    """Return the study as plain values: what was asked, how many trials, the best of them."""
    states = optuna.trial.TrialState
    complete = sorted(
        study.get_trials(deepcopy=False, states=(states.COMPLETE,)),
        key=lambda trial: (trial.value, trial.number),
    )

    def described(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
        return {"trial": trial.number, "log10_regret": trial.value, "params": trial.params}

    return {
        "agent": agent,
        **study.user_attrs["question"],
        "complete": len(complete),
        "pruned": len(study.get_trials(deepcopy=False, states=(states.PRUNED,))),
        "settings": asdict(SPACES[agent](optuna.trial.FixedTrial(complete[0].params))),  # type: ignore[arg-type]
        "first": described(min(complete, key=lambda trial: trial.number)),
        "best": [described(trial) for trial in complete[:BEST]],
    }


def as_markdown(content: Mapping[str, Any]) -> str:
    """Return a summary as a page: the question, the best settings, a table of the best trials."""
    rows = [("defaults then", content["first"]), *((row["trial"], row) for row in content["best"])]
    names = list(content["first"]["params"])
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
        listeners = draw(arguments)
        out.mkdir(parents=True, exist_ok=True)
        question = {"listeners": listeners, "budget": budget, "seed": arguments.seed}
        # Through JSON, as the study gives it back: a range is a list there.
        study = open_study(arguments, out, json.loads(json.dumps(question)))
    except (music_env.CatalogueError, ValueError, OSError) as error:
        print(f"tune.py: {error}", file=sys.stderr)
        return 2
    th.set_num_threads(1)
    states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    if len(study.get_trials(deepcopy=False, states=states)) < arguments.trials:
        try:
            study.optimize(
                objective(agent, listeners, checks_up_to(budget), arguments.seed),
                callbacks=[optuna.study.MaxTrialsCallback(arguments.trials, states=states)],
            )
        except KeyboardInterrupt:
            print("tune.py: interrupted: what is done is kept", file=sys.stderr)
    if not study.get_trials(deepcopy=False, states=states[:1]):
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
