"""The results on CartPole, Acrobot and LunarLander: against SB3's DQN, and the switches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bench.report import markdown_table
from study import metrics, plots, statistics
from study.control import CONTENDERS, CONTROL, FALLING, OURS_N_STEP, RANDOM, STOCK
from study.intervals import Statistics
from study.metrics import Group, grouped
from study.statistics import Estimate
from study.tasks import Row
from study.wording import bounded, caution, listed, share, sign

METHOD = (
    "Both sides have rl-zoo3's hyperparameters for SB3's DQN, tuned for it and not for ours, "
    "and take the same steps; with prioritized replay the step size is a quarter (Schaul et "
    "al. 2016) and alpha 0.5 (Hessel et al. 2018), chosen after a run on LunarLander with the"
    f" whole step size had diverged. *{OURS_N_STEP}* adds three-step returns, and its step "
    f"size is the zoo's, falling to 0 in the last {100 * FALLING:.0f} % of the steps that are "
    "run here, while SB3's DQN keeps the zoo's constant one. It was made after the ten runs "
    "without were known, which were no better than SB3's at the end of training. Of some "
    "seven settings it was chosen by one to four runs each on LunarLander and CartPole with "
    "other seeds (from 100 on), when five runs with the study's seeds 0 and 1 were known of a"
    " form whose step size falls all along (`study/control.py` has them all). SB3's DQN could"
    " have both as well, and was left as the zoo tuned it. Greedy policy, evaluated at ten "
    "points of the training on the same 20 episodes, at the end on 100. *Area*: the mean of "
    "the ten evaluations. *Normalised*: 0 for a random policy (measured), 1 for Gymnasium's "
    "`reward_threshold`. *Better* and *worse* are by the interval of the difference of the "
    "IQMs."
)


def _final(row: Row) -> float:
    return float(row["curve"]["return"][-1])


def _area(row: Row) -> float:
    return metrics.area_under(row["curve"]["steps"], row["curve"]["return"])


MEASURES: dict[str, Callable[[Row], float]] = {"final return": _final, "area": _area}


def control_section(rows: Sequence[Row], how: Statistics) -> list[str]:
    """Return the section on ours against SB3's DQN."""
    done = [row for row in rows if row["status"] == "done"]
    environments = [name for name in CONTROL if any(row["case"] == name for row in done)]
    table, verdicts = [], dict[str, dict[str, Verdict]]()
    for environment in environments:
        own = [row for row in done if row["case"] == environment]
        steps = max(row["budget"] for row in own)
        for name in (*CONTENDERS, STOCK, RANDOM):
            mine = [row for row in own if row["learner"] == name]
            if not mine:
                continue
            cells = [bounded(how.of(statistics.iqm, _group(mine, _final)))]
            cells.append(
                "" if name == RANDOM else bounded(how.of(statistics.iqm, _group(mine, _area)))
            )
            where = f"{environment}, {steps:,} steps"
            table.append((where, name, str(len(mine)), *cells, seconds(mine)))
        for name in CONTENDERS:
            verdicts.setdefault(name, {})[environment] = _verdict(own, name, how)
    headings = ("environment", "learner", "runs", "final return", "area", "processor time [s]")
    lines = [
        "IQM [95 % interval] over the runs:",
        "",
        *markdown_table(headings, table),
        "",
        *stopped_short(done),
    ]
    for name, by_environment in verdicts.items():
        for environment, found in by_environment.items():
            lines += [_said(name, environment, measure, found[measure]) for measure in found]
        lines += ["", *_summary(name, by_environment)]
    return lines + _normalised(done, environments, how)


def _said(name: str, environment: str, measure: str, found: tuple[Estimate, Estimate]) -> str:
    higher, chance = found
    word = ("not told apart by these runs from", "better than", "worse than")[sign(higher)]
    return (
        f"- {environment}, {measure}: {name} is {word} {STOCK}; IQMs differ by {bounded(higher)}, "
        f"higher in a run with probability {share(chance)}." + caution(higher)
    )


Verdict = dict[str, tuple[Estimate, Estimate]]
"""Measure -> how much higher the IQM is than that of SB3's, and the probability that a run is."""


def _verdict(rows: Sequence[Row], name: str, how: Statistics) -> Verdict:
    found = {}
    for measure, function in MEASURES.items():
        groups = [of_learner(rows, learner, function) for learner in (name, STOCK)]
        if all(groups):
            ours, theirs = groups
            found[measure] = (gap(ours, theirs, how), how.larger(ours, theirs))
    return found


def gap(first: Group, second: Group, how: Statistics) -> Estimate:
    """Return how much higher the first's IQM is, for the same cases."""
    return statistics.difference(
        statistics.iqm,
        [first[case] for case in first],
        [second[case] for case in first],
        **how.arguments(),
    )


def _summary(learner: str, verdicts: dict[str, Verdict]) -> list[str]:
    lines = []
    for measure in MEASURES:
        gaps = {name: found[measure][0] for name, found in verdicts.items() if measure in found}
        if not gaps:
            continue
        no_lower = [name for name, by in gaps.items() if by.value >= 0]
        surely = {way: [n for n, by in gaps.items() if sign(by) == way] for way in (1, -1)}
        lines.append(
            f"IQM of the {measure}: {learner} is no lower than {STOCK} on "
            f"{listed(no_lower) or 'none'}, of "
            f"{len(gaps)} environments; the interval of the difference lies above 0 on "
            f"{listed(surely[1]) or 'none'}, below 0 on {listed(surely[-1]) or 'none'}."
        )
    return [part for line in lines for part in (line, "")]


def _normalised(rows: Sequence[Row], environments: Sequence[str], how: Statistics) -> list[str]:
    """Return the IQM over all environments of the normalised final return."""
    random = {
        name: float(
            np.mean([_final(r) for r in rows if r["learner"] == RANDOM and r["case"] == name])
        )
        for name in environments
        if any(r["learner"] == RANDOM and r["case"] == name for r in rows)
    }
    if not random:
        return []
    groups = {}
    for name in (*CONTENDERS, STOCK):
        mine = [row for row in rows if row["learner"] == name and row["case"] in random]
        if not mine:
            continue
        groups[name] = _group(
            mine,
            lambda row: metrics.normalised(
                _final(row), random=random[row["case"]], solved=CONTROL[row["case"]].solved
            ),
        )
    scores = [f"{name} {bounded(how.of(statistics.iqm, own))}" for name, own in groups.items()]
    chances = [
        f"{share(how.larger(groups[name], groups[STOCK]))} by {name}"
        for name in CONTENDERS
        if {name, STOCK} <= set(groups)
    ]
    over = f"; probability of improvement over {STOCK}: {listed(chances)}" if chances else ""
    return [
        f"All environments together, normalised final return, IQM: {listed(scores)}{over}.",
        "",
    ]


def stopped_short(rows: Sequence[Row]) -> list[str]:
    """Return a paragraph on the environments whose runs are shorter than the zoo's, if any."""
    short = []
    for name in dict.fromkeys(row["case"] for row in rows):
        steps = max(row["budget"] for row in rows if row["case"] == name)
        if steps < CONTROL[name].zoo_steps:
            short.append(f"{name} after {steps:,} of {CONTROL[name].zoo_steps:,} steps")
    if not short:
        return []
    return [
        f"Stopped short of the zoo's training, whose exploration schedule they follow: "
        f"{listed(short)}.",
        "",
    ]


def control_figure(rows: Sequence[Row], how: Statistics) -> Figure:
    """Return the curves of greedy returns, a panel for each environment."""
    panels: dict[str, dict[str, statistics.Curve]] = {}
    for row in rows:
        panels.setdefault(row["case"], {})
    for environment, curves in panels.items():
        own = [
            row
            for row in rows
            if row["case"] == environment and row["status"] == "done" and row["learner"] != RANDOM
        ]
        steps = max(row["budget"] for row in own)
        n_points = min(len(row["curve"]["steps"]) for row in own)
        grid = np.linspace(steps / n_points, steps, n_points)
        found = grouped(own, partial(_last_points, n_points))
        for name, group in found.items():
            curves[name] = statistics.efficiency_curve(
                list(group.values()), grid, **how.arguments()
            )
    return plots.return_curves(panels, {name: setting.solved for name, setting in CONTROL.items()})


def _last_points(n_points: int, row: Row) -> Any:
    return np.array(row["curve"]["return"][-n_points:])


def of_learner(rows: Sequence[Row], learner: str, measure: Callable[[Row], float]) -> Group:
    """Return case -> (n_runs,) a measure of one learner's runs."""
    return grouped(rows, measure).get(learner, {})


def _group(rows: Sequence[Row], function: Callable[[Row], float]) -> Group:
    found = grouped(rows, function)
    return next(iter(found.values()), {})


def seconds(rows: Sequence[Row]) -> str:
    """Return the median processor time of training, [s], or nothing where nothing was trained."""
    middle = float(np.median([row["curve"]["seconds"][-1] for row in rows]))
    return f"{middle:.0f}" if middle else ""
