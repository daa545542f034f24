"""The results on MusicRec-v0: regret while learning, the ablation, held-out tracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bench.report import markdown_table
from study import metrics, plots, statistics
from study.checks import ZERO_CHECKS, check_grid
from study.learners import BASELINES, SAME_AT_DISCOUNT_0, VOWPAL_WABBITS
from study.metrics import REGRETS, Group, grouped, time_to
from study.statistics import Estimate, improvement
from study.tasks import Row
from study.wording import bounded, listed, number, percent, runs_of, share, told_apart

Floats = NDArray[np.float64]

OURS = "dueling-dqn"
SOUGHT = ("stock-dqn", "linucb")
"""Whom the dueling DQN is to need fewer judged tracks than."""

_NAMES = {0.01: "1 %", 0.001: "0.1 %", 0.0: "0"}
_MEDIAN_HEADINGS = ["learner", "runs", *(f"to {_NAMES[regret]}" for regret in REGRETS)]


@dataclass(frozen=True)
class Statistics:
    """How intervals are drawn: the same resamples for the same report.

    Attributes:
        resamples: of each bootstrap.
    """

    resamples: int

    def arguments(self) -> dict[str, object]:
        """Return the arguments of the functions of `study.statistics`."""
        return {"generator": np.random.default_rng(0), "resamples": self.resamples}

    def of(self, statistic: statistics.Statistic, group: Group) -> Estimate:
        """Return a statistic of a group's runs."""
        found = statistics.estimate(statistic, list(group.values()), **self.arguments())  # type: ignore[arg-type]
        return found

    def sooner(self, first: Group, second: Group) -> Estimate:
        """Return the probability that a run of the first is smaller than one of the second."""
        return self.larger(_negative(first), _negative(second))

    def larger(self, first: Group, second: Group) -> Estimate:
        """Return the probability that a run of the first is larger than one of the second."""
        cases = [case for case in first if case in second]
        return improvement(
            [first[case] for case in cases],
            [second[case] for case in cases],
            **self.arguments(),  # type: ignore[arg-type]
        )


def _negative(group: Group) -> Group:
    return {case: -values for case, values in group.items()}


def catalogue_of(row: Row) -> str:
    """Return the catalogue's name, with which a case's name begins."""
    return str(row["case"]).partition(": ")[0]


def by_catalogue(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of each catalogue."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(catalogue_of(row), []).append(row)
    return found


# --- Regret while learning ------------------------------------------------------------------------


class Regrets:
    """What the rows of one catalogue say about each learner.

    Args:
        rows: of suite ``musicrec`` or ``ablation``, one catalogue.
        how: the intervals.
    """

    def __init__(self, rows: Sequence[Row], how: Statistics) -> None:
        self.rows = [row for row in rows if row["status"] == "done"]
        self.how = how
        self.budget = max(row["budget"] for row in self.rows)
        self.n_tracks = max(row["n_tracks"] for row in self.rows)
        self._times = {
            (regret, unit): grouped(
                self.rows, lambda row, r=regret, u=unit: time_to(row["curve"], r, u)
            )
            for regret in REGRETS
            for unit in ("tracks", "seconds")
        }
        self.learners = [name for name in self._times[0.0, "tracks"] if name not in BASELINES]

    def times(self, learner: str, regret: float, unit: str = "tracks") -> Group:
        """Return case -> (n_runs,) times to a regret, ``inf`` where it was not reached."""
        return self._times[regret, unit][learner]

    def last(self, learner: str) -> Group:
        """Return case -> (n_runs,) regret at the last check."""
        return grouped(self.rows, lambda row: row["curve"]["regret"][-1])[learner]

    def median(self, learner: str, regret: float, unit: str = "tracks") -> Estimate:
        """Return the median time over all runs."""
        return self.how.of(statistics.median, self.times(learner, regret, unit))

    def reached(self, learner: str, regret: float, within: float = np.inf) -> tuple[int, int]:
        """Return how many runs got to a regret (within so many tracks), and how many there are."""
        pooled = np.concatenate(list(self.times(learner, regret).values()))
        return int((np.isfinite(pooled) & (pooled <= within)).sum()), len(pooled)

    def best_vowpal_wabbit(self) -> str | None:
        """Return the Vowpal Wabbit that needs the fewest tracks to 1 %, chosen in hindsight."""
        there = [name for name in VOWPAL_WABBITS if name in self.learners]

        def key(name: str) -> tuple[float, float]:
            pooled = np.concatenate(list(self.times(name, 0.01).values()))
            return float(np.median(pooled)), float(np.isinf(pooled).mean())

        return min(there, key=key, default=None)

    def sooner(self, other: str, regret: float, unit: str = "tracks") -> Estimate:
        """Return the probability that a run of ours is at a regret before one of the other."""
        return self.how.sooner(self.times(OURS, regret, unit), self.times(other, regret, unit))


def regret_section(rows: Sequence[Row], how: Statistics) -> list[str]:
    """Return the section on regret while learning, all catalogues."""
    lines: list[str] = []
    for catalogue, own in by_catalogue(rows).items():
        found = Regrets(own, how)
        cases = sorted({row["case"].partition(": ")[2] for row in found.rows})
        seeds = runs_of([len(g) for g in found.times(found.learners[0], 0.0).values()])
        lines += [
            f"### {catalogue} catalogue",
            "",
            f"{found.n_tracks:,} tracks; {len(cases)} listeners ({'; '.join(cases)}), {seeds} seeds "
            f"each, {found.budget:,} judged tracks at most.",
            "",
            *_tables(found),
            *_conclusions(catalogue, found),
        ]
    return lines


def _tables(found: Regrets) -> list[str]:
    lines: list[str] = []
    for unit, title, budget in (
        ("tracks", "Judged tracks to a relative regret", found.budget),
        ("seconds", "Processor seconds to a relative regret", None),
    ):
        table = []
        for name in found.learners:
            cells = []
            for regret in REGRETS:
                got, total = found.reached(name, regret)
                median = found.median(name, regret, unit)
                cells.append(f"{bounded(median, budget)}, {got}/{total}")
            table.append((name, str(total), *cells))
        lines += [
            f"{title}: median over all runs [95 % interval], runs that got there.",
            "",
            *markdown_table(_MEDIAN_HEADINGS, table),
            "",
        ]
    final = []
    for name in (*found.learners, *(b for b in BASELINES if _has(found, b))):
        regret = found.how.of(statistics.iqm, found.last(name))
        one_pass = (
            "{}/{}".format(*found.reached(name, 0.0, within=found.n_tracks))
            if name in found.learners
            else ""
        )
        final.append((name, percent(regret, 3), one_pass))
    lines += [
        "Relative regret at the end (IQM [95 % interval]; the baselines have one figure a "
        "listener), and runs at regret 0 within one pass over the catalogue "
        f"({found.n_tracks:,} judged tracks):",
        "",
        *markdown_table(("learner", "regret at the end", "0 in one pass"), final),
        "",
    ]
    others = [name for name in found.learners if name != OURS]
    if OURS in found.learners and others:
        chances = [
            (
                name,
                *(share(found.sooner(name, regret)) for regret in REGRETS),
                *(share(found.sooner(name, regret, "seconds")) for regret in (0.01, 0.0)),
            )
            for name in others
        ]
        headings = (
            f"{OURS} before",
            *(f"tracks to {_NAMES[regret]}" for regret in REGRETS),
            "seconds to 1 %",
            "seconds to 0",
        )
        lines += [
            f"Probability that a run of {OURS} gets there before one of another learner, on the "
            "same listener [95 % interval]; two that do not get there tie:",
            "",
            *markdown_table(headings, chances),
            "",
        ]
    by_listener = [
        (case.partition(": ")[2], *(_middle(found, name, case) for name in found.learners))
        for case in found.times(found.learners[0], 0.01)
    ]
    lines += [
        "Judged tracks to 1 %, median of each listener's runs:",
        "",
        *markdown_table(("listener", *found.learners), by_listener),
        "",
    ]
    return lines


def _has(found: Regrets, name: str) -> bool:
    return any(row["learner"] == name for row in found.rows)


def _middle(found: Regrets, learner: str, case: str) -> str:
    values = found.times(learner, 0.01).get(case)
    if values is None:
        return ""
    middle = float(np.median(values))
    return number(middle) if np.isfinite(middle) else f"> {found.budget:,}"


_FEWER = ("fewer", "more", "neither tellably fewer nor more")


def _conclusions(catalogue: str, found: Regrets) -> list[str]:
    if OURS not in found.learners:
        return []
    best = found.best_vowpal_wabbit()
    lines = []
    for other in (*SOUGHT, *([best] if best else [])):
        if other not in found.learners:
            continue
        chance = found.sooner(other, 0.01)
        ours, theirs = found.median(OURS, 0.01), found.median(other, 0.01)
        what = other + (", Vowpal Wabbit at its best here," if other == best else "")
        lines.append(
            f"- To 1 % regret {OURS} needs {told_apart(chance, _FEWER)} judged tracks than {what}: "
            f"median {bounded(ours, found.budget)} against {bounded(theirs, found.budget)}; "
            f"a run of ours needs fewer with probability {share(chance)}."
        )
    got, total = found.reached(OURS, 0.0, within=found.n_tracks)
    ever, _ = found.reached(OURS, 0.0)
    lines.append(
        f"- {OURS} gets to regret 0 within one pass over the catalogue in {got} of {total} runs, "
        f"within its budget in {ever}."
    )
    if best:
        lines.append(_advice(catalogue, found, best))
    return [*lines, ""]


def _advice(catalogue: str, found: Regrets, best: str) -> str:
    """Say where Vowpal Wabbit at its best does better, and when to take it."""
    better, worse = [], []
    for regret in REGRETS:
        for unit in ("tracks", "seconds"):
            words = (
                f"{'judged tracks' if unit == 'tracks' else 'processor time'} to {_NAMES[regret]}"
            )
            verdict = told_apart(found.sooner(best, regret, unit), ("ours", "theirs", ""))
            if verdict:
                (better if verdict == "theirs" else worse).append(words)
    ours, _ = found.reached(OURS, 0.0)
    theirs, total = found.reached(best, 0.0)
    if not better:
        text = f"In nothing measured here is {best} tellably better than {OURS}"
    else:
        text = f"**{best} is better in {listed(better)}: take it where that counts most**" + (
            f"; {OURS} is better in {listed(worse)}" if worse else ""
        )
    return (
        f"- {text}. Regret 0 within the budget: {best} in {theirs} of {total} runs, {OURS} in "
        f"{ours}. Which bins are best for Vowpal Wabbit was chosen in hindsight, by its own result "
        f"on the {catalogue} catalogue."
    )


def regret_figures(rows: Sequence[Row], how: Statistics) -> dict[str, object]:
    """Return file name -> figure."""
    panels: dict[str, dict[str, statistics.Curve]] = {}
    levels: dict[str, dict[str, float]] = {}
    dots: dict[str, dict[str, Estimate]] = {}
    budgets = {}
    for catalogue, own in by_catalogue(rows).items():
        found = Regrets(own, how)
        panels[catalogue] = regret_curves(found)
        levels[catalogue] = {
            name: how.of(statistics.iqm, found.last(name)).value
            for name in BASELINES
            if _has(found, name)
        }
        dots[catalogue] = {name: found.median(name, 0.01) for name in found.learners}
        budgets[catalogue] = float(found.budget)
    return {
        "results_regret.png": plots.regret_curves(panels, levels),
        "results_tracks.png": plots.intervals(
            dots,
            label="judged tracks to 1 % regret\n(median; arrow: more than the budget)",
            logarithmic=True,
            censored=budgets,
        ),
    }


def regret_curves(found: Regrets) -> dict[str, statistics.Curve]:
    """Return learner -> its sample-efficiency curve over all listeners of the catalogue."""
    grid = np.array(check_grid(found.budget), dtype=np.float64)
    on_grid = grouped(
        found.rows,
        lambda row: metrics.on_grid(row["curve"]["tracks"], row["curve"]["regret"], grid),
    )
    return {
        name: statistics.efficiency_curve(
            list(on_grid[name].values()), grid, **found.how.arguments()
        )  # type: ignore[arg-type]
        for name in found.learners
    }


REGRET_METHOD = (
    "Regret is over every track of the catalogue, by the greedy policy, checked while learning (the "
    "clock stands still) every 32 judged tracks up to 2,048 and then a tenth apart, so a time is "
    "late by at most that. A regret that is not reached within the budget is censored: it counts as "
    "later than all that was reached, and is shown as more than the budget; a median is one where "
    "half of the runs or more do not get there. After "
    f"{ZERO_CHECKS} checks in a row at regret 0 a run is over (only the study looks at that; the "
    "learner does not know), and is taken to stay there. Learners have the same budget and the "
    "default settings that they come with; SB3's DQN those of `bench/stock_dqn.md`, a search over "
    "thirteen settings."
)


# --- Ablation -------------------------------------------------------------------------------------


def ablation_section(rows: Sequence[Row], how: Statistics) -> list[str]:
    """Return the section on the switches at discount 0."""
    found = Regrets(rows, how)
    table = []
    for name in found.learners:
        medians = [bounded(found.median(name, regret), found.budget) for regret in REGRETS]
        chance = ""
        if name != "none":
            chance = share(how.sooner(found.times(name, 0.01), found.times("none", 0.01)))
        table.append((name, str(found.reached(name, 0.0)[1]), *medians, chance))
    table += [
        (name, "", *[f"as {same}, by construction"] * len(REGRETS), "")
        for name, same in SAME_AT_DISCOUNT_0.items()
    ]
    cases = {row["case"] for row in found.rows}
    lines = [
        f"{len(cases)} listeners ({'; '.join(sorted(cases))}). Judged tracks to a regret, median "
        "[95 % interval]; probability that a run is at 1 % before one without switches.",
        "",
        *markdown_table((*_MEDIAN_HEADINGS, "1 % before none"), table),
        "",
        f"At discount 0, {listed(list(SAME_AT_DISCOUNT_0))} change nothing, to the bit (a test shows "
        "it), and are not run: there is no next value to pick or to bootstrap from, and of n rewards "
        "only the first counts. 'all' is therefore dueling and prioritized here.",
        "",
    ]
    if {"none", "dueling"} <= set(found.learners):
        lines += [_dueling_sentence(found, regret) for regret in (0.01, 0.0)] + [""]
    return lines


def _dueling_sentence(found: Regrets, regret: float) -> str:
    with_it, without = found.times("dueling", regret), found.times("none", regret)
    chance = found.how.sooner(with_it, without)
    medians = [bounded(found.median(name, regret), found.budget) for name in ("dueling", "none")]
    return (
        f"- The dueling architecture needs {told_apart(chance, _FEWER)} judged tracks to "
        f"{_NAMES[regret]} than the same network without it: median {medians[0]} against "
        f"{medians[1]}; fewer with probability {share(chance)}."
    )


# --- Generalisation -------------------------------------------------------------------------------

_WANTED = 0.99


def generalisation_section(rows: Sequence[Row], how: Statistics) -> list[str]:
    """Return the section on held-out tracks."""
    lines: list[str] = []
    for catalogue, own in by_catalogue(rows).items():
        of = partial(_measure, own, how)
        names = list(dict.fromkeys(row["learner"] for row in own if row["status"] == "done"))
        table = []
        for name in names:
            mine = [row for row in own if row["learner"] == name and row["status"] == "done"]
            cells = [
                percent(of(name, lambda row, f=figure: row[f]))
                for figure in ("decision_accuracy", "balanced_accuracy", "relative_regret")
            ]
            table.append((name, str(len(mine)), *cells, *_seen(mine)))
        headings = (
            "learner",
            "runs",
            "right",
            "balanced",
            "regret",
            "held-out tracks with a state seen in training",
            "right of these",
            "right of the others",
        )
        cases = {row["case"].partition(": ")[2] for row in own}
        lines += [
            f"{catalogue} catalogue; {'; '.join(sorted(cases))}:",
            "",
            *markdown_table(headings, table),
            "",
        ]
        if OURS in names:
            right = of(OURS, lambda row: row["decision_accuracy"])
            met = "at least" if right.value >= _WANTED else "less than"
            sure = "" if right.low < _WANTED <= right.high else ", as is its whole interval"
            lines += [
                f"{OURS} is right on {met} {_WANTED:.0%} of the held-out tracks: "
                f"{percent(right)}{sure}.",
                "",
            ]
    lines += [
        "The `hash` table cannot generalise: a held-out track's state is one that it was trained on "
        "only where the hash collides with another track's, and elsewhere it holds the initial "
        "value, for which the decision is dislike.",
        "",
    ]
    return lines


def _measure(rows: Sequence[Row], how: Statistics, name: str, measure: object) -> Estimate:
    return how.of(statistics.iqm, grouped(rows, measure)[name])  # type: ignore[arg-type]


def _seen(rows: Sequence[Mapping[str, int]]) -> tuple[str, str, str]:
    """Return the share of held-out tracks whose state was seen, and the shares right, pooled."""
    if "seen" not in rows[0]:
        return "", "", ""
    total, seen, right_seen, right_unseen = (
        sum(row[name] for row in rows)
        for name in ("held_out", "seen", "right_seen", "right_unseen")
    )
    return (
        f"{seen / total:.2%}",
        f"{right_seen / seen:.2%}" if seen else "",
        f"{right_unseen / (total - seen):.2%}" if seen < total else "",
    )
