"""The suites: which tasks there are, and which function runs one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch as th

from agents.training import AnyListenerSettings, QLearningSettings
from bench.listeners import DEEZER, TIDYTUESDAY, drawn_listeners
from music_env import Preference, default_preference
from music_env.tables import load_catalogue
from study import (
    any_listener,
    control,
    judgement_learners,
    judgements,
    musicrec,
    online,
    planning,
    slates,
)
from study.control import CONTENDERS, CONTROL, RANDOM, STOCK
from study.learners import BASELINES, LEARNERS, SAME_AT_DISCOUNT_0, SWITCHES
from study.tasks import Row, Task

BUDGET = 24_000
"""Judged tracks on MusicRec-v0, the dueling DQN's default; for all but those of `LINEAR_BUDGET`."""

LINEAR_BUDGET = dict.fromkeys(("linucb", "linear-thompson"), 6_000)
"""Learner -> judged tracks, one pass over a catalogue: they invert matrices of hundreds of rows
as they go, and 24,000 would take nearly half of the suite's time."""

SEEDS = 10
_DIFFERENT_BY_SEED = ("generalisation", "any-listener")
"""Suites in which a baseline's tracks or listeners depend on the seed."""

DRAW, OTHER_DRAW = 0, 20261126
"""Seeds of the listeners that are drawn: the first ones, and those of suite ``one-pass``, which no
setting was chosen on."""

LISTENERS = 5
"""For each catalogue."""

ABLATION_LISTENERS = {"embedded": 2, "Deezer": 1}
"""The first ones of each catalogue."""

ABLATION_STEPS = 25_000
"""Of the 50,000 of the zoo's training on CartPole, in the ablation: six variants."""

_RUN: dict[str, Callable[[Task], dict[str, Any]]] = {
    "musicrec": musicrec.regret_while_learning,
    "one-pass": musicrec.one_pass,
    "ablation": musicrec.regret_while_learning,
    "generalisation": musicrec.generalisation,
    "any-listener": any_listener.held_out_listeners,
    "control": control.control,
    "control-ablation": control.control,
    "judgements": judgements.cross_validation,
    "online": online.serve,
    "planning": planning.planning_worth,
    "slates": slates.slates_worth,
}
SUITES = tuple(_RUN)


def run_task(task: Task) -> Row:
    """Return what a task measures; the same for the same task, seconds aside.

    It needs nothing of the engine that calls it, nor of earlier calls.
    """
    # Small networks lose to thread hand-over; one thread also gives the same sums everywhere.
    th.set_num_threads(1)
    started = time.process_time()
    measured = _RUN[task.suite](task)
    # With the checks and the set-up; what a run costs, not what its learner does.
    return {**measured, "total_seconds": round(time.process_time() - started, 1)}


@dataclass(frozen=True)
class Listener:
    """A listener of a catalogue.

    Attributes:
        catalogue: its name.
        preference: the listener's.
        setting: arguments of `gym.make`.
    """

    catalogue: str
    preference: Preference
    setting: dict[str, Any]

    @classmethod
    def of(cls, catalogue: str, preference: Preference, path: Path | None) -> Listener:
        """Return the listener with a preference, of the catalogue in a file (None: embedded)."""
        setting = {
            "catalogue": None if path is None else str(path),
            "artist": preference.artist,
            "genre": preference.genre,
            "danceability": preference.danceability,
        }
        return cls(catalogue, preference, setting)

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.catalogue}: {self.preference}"


def listeners(deezer: Path | None = DEEZER) -> list[Listener]:
    """Return five listeners of each catalogue, those of the Deezer file only where it is there.

    The embedded catalogue's default listener, the notebooks' of the Deezer catalogue with two
    ranges, of which one has its ends on the edges of 20 bins, and drawn ones (`drawn_listeners`).
    """
    embedded = load_catalogue(None)
    named = {"embedded": [default_preference(embedded)]}
    loaded = {"embedded": embedded}
    if deezer is not None and deezer.is_file():
        loaded["Deezer"] = load_catalogue(deezer)
        named["Deezer"] = [
            Preference("2Pac", "alternative", ends) for ends in ((0.43, 0.77), (0.4, 0.8))
        ]
    found = []
    for catalogue, first in named.items():
        drawn = drawn_listeners(loaded[catalogue], LISTENERS - len(first), DRAW)
        path = deezer if catalogue == "Deezer" else None
        found += [Listener.of(catalogue, preference, path) for preference in first + drawn]
    return found


def tasks_of(
    suite: str,
    *,
    deezer: Path | None = DEEZER,
    tidytuesday: Path | None = TIDYTUESDAY,
    judged: Path = judgements.JUDGEMENTS,
    seeds: int = SEEDS,
    budget: int | None = None,
) -> list[Task]:
    """Return a suite's tasks, seed by seed, so that a part of them is a whole study of fewer seeds.

    Args:
        suite: one of `SUITES`.
        deezer: the Deezer catalogue's file.
        tidytuesday: the TidyTuesday catalogue's file.
        judged: the file of recorded judgements.
        seeds: how many, from 0.
        budget: overrides the judged tracks or steps of every learner.
    """
    planned: dict[str, Callable[[Path | None], Planned]] = {
        "musicrec": _musicrec,
        "one-pass": _one_pass,
        "ablation": _ablation,
        "generalisation": _generalisation,
        "any-listener": _any_listener,
        "control": _control,
        "control-ablation": _control_ablation,
        "judgements": lambda _: _judgements(judged),
        "online": lambda _: _online(judged),
        "planning": lambda _: planning.planned(),
        "slates": lambda _: slates.planned(),
    }
    tasks = planned[suite](tidytuesday if suite == "any-listener" else deezer)
    made = []
    for seed in range(seeds):
        for learner, case, own_budget, setting in tasks:
            if learner in BASELINES and suite not in _DIFFERENT_BY_SEED and seed > 0:
                continue  # nothing random is left in it
            if suite == "planning" and seed >= planning.seeds_of(learner, case, seeds):
                continue
            size = own_budget if budget is None else budget
            made.append(Task(suite, learner, case, seed, size, setting))
    return made


Planned = list[tuple[str, str, int, dict[str, Any]]]
"""Learner, case, budget, setting."""


def _musicrec(deezer: Path | None) -> Planned:
    return [
        (learner, listener.name, LINEAR_BUDGET.get(learner, BUDGET), listener.setting)
        for listener in listeners(deezer)
        for learner in (*LEARNERS, *BASELINES)
    ]


ONE_PASS = (
    "dueling-dqn",
    "vowpal-wabbit-20-bins",
    "vowpal-wabbit-all-bins",
    "linucb",
    "linear-thompson",
)
"""Learners that are shown each track once: ours and those that come near it."""


def _one_pass(deezer: Path | None) -> Planned:
    catalogues: dict[str, Path | None] = {"embedded": None}
    if deezer is not None and deezer.is_file():
        catalogues["Deezer"] = deezer
    return [
        (learner, listener.name, load_catalogue(path).n_tracks, listener.setting)
        for name, path in catalogues.items()
        for preference in drawn_listeners(load_catalogue(path), LISTENERS, OTHER_DRAW)
        for listener in [Listener.of(name, preference, path)]
        for learner in (*ONE_PASS, *BASELINES)
    ]


def _ablation(deezer: Path | None) -> Planned:
    found = listeners(deezer)
    chosen = [
        listener
        for catalogue, count in ABLATION_LISTENERS.items()
        for listener in [x for x in found if x.catalogue == catalogue][:count]
    ]
    return [
        (variant, listener.name, BUDGET, listener.setting)
        for listener in chosen
        for variant in (*SWITCHES, *BASELINES)
        if variant not in SAME_AT_DISCOUNT_0
    ]


GENERALISING = (
    "dueling-dqn",
    "q-learning-profile",
    "q-learning-hash",
    "vowpal-wabbit-all-bins",
)
"""What is trained on a part of the tracks."""


def _generalisation(deezer: Path | None) -> Planned:
    found = listeners(deezer)
    first = {listener.catalogue: listener for listener in reversed(found)}
    # A table is given its own default budget: here it is to have met every state that it can.
    own = {name: QLearningSettings().timesteps for name in GENERALISING if "q-learning" in name}
    return [
        (learner, listener.name, own.get(learner, BUDGET), listener.setting)
        for listener in reversed(first.values())
        for learner in (*GENERALISING, *BASELINES)
    ]


def _any_listener(tidytuesday: Path | None) -> Planned:
    catalogues: dict[str, str | None] = {"embedded": None}
    if tidytuesday is not None and tidytuesday.is_file():
        catalogues["TidyTuesday"] = str(tidytuesday)
    budget = AnyListenerSettings().timesteps
    return [
        (learner, f"{name}: held-out listeners", budget, {"catalogue": path})
        for name, path in catalogues.items()
        for learner in (any_listener.LEARNER, *any_listener.BASELINES)
    ]


def _control(_: Path | None) -> Planned:
    return [
        (learner, env_id, setting.steps, {})
        for env_id, setting in CONTROL.items()
        for learner in (*CONTENDERS, STOCK, RANDOM)
    ]


def _control_ablation(_: Path | None) -> Planned:
    return [(variant, "CartPole-v1", ABLATION_STEPS, {}) for variant in SWITCHES]


def _judgements(judged: Path) -> Planned:
    setting = judgements.setting(judged)
    return [
        # Only ours learns by judging; the others are fitted to the training fold at once.
        (
            name,
            judgements.CASE,
            judgement_learners.JUDGED_TRACKS if name == judgement_learners.OURS else 0,
            setting,
        )
        for name in judgement_learners.LEARNERS
    ]


def _online(judged: Path) -> Planned:
    return [
        (learner, case, online.PRESSES, online.setting(case, judged))
        for case, learners_ in online.cases(judged if judged.is_file() else None).items()
        for learner in learners_
    ]
