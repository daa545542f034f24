"""Tasks on MusicRecSession-v0: what planning is worth, and how much of it learners learn.

`study.slates` has those on MusicRecSlate-v0, which are measured by the same function.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from agents.planning import MyopicOracle, Planner, Policy, upper_bound
from agents.runs import SESSION
from agents.session_evaluation import (
    MYOPIC,
    PLANNER,
    Played,
    diversity_figures,
    evaluation_env,
    play_sessions,
    reference_env,
    reference_policies,
    return_figures,
)
from agents.settings import SessionDQNSettings, SessionQLearningSettings
from agents.training import make_learner
from agents.vec_env import GymVecEnv, make_native
from music_env import PRESETS
from study.learners import SEED_STEP
from study.tasks import Task

SESSIONS = 2_000
"""That a policy is judged on; others for each seed, the same for all policies of a seed."""

GAMMAS = (0.0, 0.5, 0.8, 0.9, 0.97, 1.0)
"""Discounts of the dueling DQN."""

STRENGTHS: Mapping[str, tuple[float, ...]] = {
    "satiation": (0.25, 0.5, 1.0, 1.5),
    "patience": (0.05, 0.1, 0.3, 0.5),
}
"""Effect -> its strengths, besides 0 and that of the preset of the same name."""

SWEEP_SEEDS = 3
"""Seeds of the runs with other strengths than a preset's."""

REFERENCES = ("random", "always-like", "myopic-oracle", "planner")
"""Do not learn; `agents.session_evaluation.reference_policies` makes them."""


def at_gamma(gamma: float) -> str:
    """Return what the tables call the dueling DQN at a discount."""
    return f"dueling-dqn-gamma-{gamma:g}"


LEARNERS: Mapping[str, SessionDQNSettings | SessionQLearningSettings] = {
    **{at_gamma(gamma): SessionDQNSettings(gamma=gamma) for gamma in GAMMAS},
    "dueling-dqn-codes": SessionDQNSettings(encoding="codes"),
    "q-learning-grid": SessionQLearningSettings(),
}
"""Name -> settings. With ``codes`` the preference is to be learnt too; the others observe how much
a fresh track would be enjoyed."""


@dataclass(frozen=True)
class Case:
    """A session's effects.

    Attributes:
        name: what tables call them.
        effect: which one is varied; "" for those of a preset with none or two.
        strength: of that effect.
        setting: arguments of `gym.make`.
    """

    name: str
    effect: str
    strength: float
    setting: Mapping[str, Any]

    @property
    def is_preset(self) -> bool:
        """Whether it is a preset as it stands."""
        return self.name in PRESETS


def cases() -> dict[str, Case]:
    """Return the presets, and each effect at other strengths, by name."""
    found = []
    for name, effects in PRESETS.items():
        effect = name if name in STRENGTHS else ""
        strength = getattr(effects, effect) if effect else 0.0
        found.append(Case(name, effect, strength, {"preset": name}))
    for effect, strengths in STRENGTHS.items():
        for strength in strengths:
            setting = {"preset": effect, effect: strength}
            found.append(Case(f"{effect} {strength:g}", effect, strength, setting))
    return {case.name: case for case in found}


def planned() -> list[tuple[str, str, int, dict[str, Any]]]:
    """Return the learner, case, budget and setting of each run of one seed."""
    found = []
    for case in cases().values():
        names = [*REFERENCES, at_gamma(GAMMAS[-1])]
        if case.name == "static":  # nothing to plan for: that all earn alike is soon shown
            names += [at_gamma(GAMMAS[0]), "q-learning-grid"]
        elif case.is_preset:
            names += [name for name in LEARNERS if name not in names]
        for name in names:
            budget = LEARNERS[name].timesteps if name in LEARNERS else 0
            found.append((name, case.name, budget, dict(case.setting)))
    return found


def seeds_of(learner: str, case: str, seeds: int) -> int:
    """Return how many seeds of a run are wanted, where a study has so many."""
    is_sweep = learner in LEARNERS and case not in PRESETS
    return min(seeds, SWEEP_SEEDS) if is_sweep else seeds


def planning_worth(task: Task) -> dict[str, Any]:
    """Train on a session's effects, or take a policy that knows them; return what it earns.

    Returns:
        `agents.session_evaluation.return_figures` over `SESSIONS`, the gain None where there is
        none to be had; ``myopic_mean_return`` and ``planner_mean_return`` in the same sessions;
        `diversity_figures`; for a learner ``train_seconds`` (processor time),
        ``train_wall_seconds`` and ``updates``; for the planner ``upper_bound``.
    """
    return worth(task, SESSION, LEARNERS)


def worth(
    task: Task, env_id: str, learners: Mapping[str, SessionDQNSettings | SessionQLearningSettings]
) -> dict[str, Any]:
    """Measure what `planning_worth` says, on one of the two ids whose plays have consequences.

    Args:
        task: of a learner or a reference policy.
        env_id: `SESSION` or `SLATE`.
        learners: name -> settings; another name is a reference policy's, with "-" for " ".
    """
    # The encoding does not matter to who looks at the simulator's state.
    setup = make_native(env_id, 1, **task.setting).unwrapped.tables
    env, seed = reference_env(setup, SESSIONS), task.seed * SESSIONS
    own, is_learner = task.learner.replace("-", " "), task.learner in learners
    by_name = {
        name: play_sessions(policy, env, seed=seed)
        for name, policy in _references(own, not is_learner, env, task.seed).items()
    }
    measured: dict[str, Any] = {}
    if is_learner:
        played, measured = _trained(task, env_id, learners[task.learner])
    else:
        played = by_name[own]
    figures = return_figures(played, by_name[MYOPIC], by_name[PLANNER], seed=task.seed)
    figures |= {
        "myopic_mean_return": float(by_name[MYOPIC].returns.mean()),
        "planner_mean_return": float(by_name[PLANNER].returns.mean()),
        **diversity_figures(played, setup),
    }
    if task.learner == PLANNER:
        figures["upper_bound"] = upper_bound(env)
    return {
        **measured,
        **{name: None if math.isnan(x) else round(x, 6) for name, x in figures.items()},
    }


def _references(name: str, is_reference: bool, env: Any, seed: int) -> dict[str, Policy]:
    """Return the two that every row is measured against, and the task's own, if it is another."""
    if is_reference and name not in (MYOPIC, PLANNER):
        return reference_policies(env, seed=seed)
    return {MYOPIC: MyopicOracle(env), PLANNER: Planner(env)}


def _trained(
    task: Task, env_id: str, settings: SessionDQNSettings | SessionQLearningSettings
) -> tuple[Played, dict[str, Any]]:
    settings = replace(settings, timesteps=task.budget)
    env = make_native(env_id, settings.n_envs, **task.setting, encoding=settings.encoding)
    learner = make_learner(settings, GymVecEnv(env), seed=task.seed * SEED_STEP)
    process, wall = time.process_time(), time.perf_counter()
    learner.learn(task.budget, log_interval=None)
    measured = {
        "train_seconds": round(time.process_time() - process, 2),
        "train_wall_seconds": round(time.perf_counter() - wall, 2),
        "updates": learner._n_updates,
    }
    judged = evaluation_env(env.unwrapped.tables, SESSIONS)
    return play_sessions(learner, judged, seed=task.seed * SESSIONS), measured
