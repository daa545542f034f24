"""The results on MusicRec-v0: judged tracks and seconds to a regret."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.report import markdown_table
from study import plots, statistics
from study.checks import EVERY, EVERY_UNTIL, ZERO_CHECKS
from study.intervals import Statistics
from study.learners import BASELINES, VOWPAL_WABBITS
from study.metrics import REGRETS
from study.regrets import FEWER, MEDIAN_HEADINGS, OURS, REGRET_NAMES, Regrets, by_catalogue
from study.statistics import Estimate
from study.tasks import Row
from study.wording import bounded, caution, counted, listed, number, percent, share, told_apart

_UNITS = {"tracks": "judged tracks", "seconds": "processor time"}
FINAL_HEADINGS = ("learner", "regret at the end", "0 in one pass", "0 for good", "since")

SOUGHT = ("stock-dqn", "linucb")
"""Whom the dueling DQN is to need fewer judged tracks than."""


def regret_section(rows: Sequence[Row], how: Statistics, *, one_pass: bool = False) -> list[str]:
    """Return the section on regret while learning, all catalogues.

    Args:
        rows: of one suite.
        how: the intervals.
        one_pass: whether a session shows each track once, see `study.musicrec.one_pass`.
    """
    lines: list[str] = []
    for catalogue, own in by_catalogue(rows).items():
        found = Regrets(own, how)
        cases = sorted({row["case"].partition(": ")[2] for row in found.rows})
        seeds = counted([len(g) for g in found.times(found.learners[0], 0.0).values()], "seed")
        lines += [
            f"### The {catalogue} catalogue",
            "",
            f"{found.n_tracks:,} tracks; {counted([len(cases)], 'listener')} ({'; '.join(cases)}), "
            f"{seeds} each, {found.budget:,} judged tracks at most"
            + (f" ({listed(other)})" if (other := found.other_budgets()) else "")
            + (", each track once." if one_pass else ", in sessions of 100."),
            "",
            *_tables(found),
            *_conclusions(found, one_pass=one_pass),
        ]
    return lines


def _tables(found: Regrets) -> list[str]:
    lines: list[str] = []
    for unit, title, shown in (
        ("tracks", "Judged tracks to a relative regret", found.shown),
        ("seconds", "Processor seconds to a relative regret", _seconds),
    ):
        table = []
        for name in found.learners:
            cells = []
            for regret in REGRETS:
                got, total = found.reached(name, regret)
                median = found.median(name, regret, unit)
                cells.append(f"{shown(name, median)}, {got}/{total}")
            table.append((name, str(total), *cells))
        lines += [
            f"{title}: median over all runs [95 % interval], runs that got there.",
            "",
            *markdown_table(MEDIAN_HEADINGS, table),
            "",
        ]
    final = []
    for name in (*found.learners, *(b for b in BASELINES if _has(found, b))):
        at_end = found.how.of(statistics.iqm, found.last(name))
        cells = ["", "", ""]
        if name in found.learners:
            got, total = found.reached(name, 0.0, within=found.n_tracks)
            settled = found.settled(name)
            for_good = int(np.isfinite(np.concatenate(list(settled.values()))).sum())
            since = found.shown(name, found.how.of(statistics.median, settled))
            cells = [f"{got}/{total}", f"{for_good}/{total}", since]
        final.append((name, percent(at_end, 3), *cells))
    lines += [
        "Relative regret at the end (IQM [95 % interval]; the baselines have one figure a "
        "listener); runs seen at regret 0 within as many judged tracks as the catalogue has "
        f"({found.n_tracks:,}); runs that stayed at 0, and since when (median):",
        "",
        *markdown_table(FINAL_HEADINGS, final),
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
            *(f"tracks to {REGRET_NAMES[regret]}" for regret in REGRETS),
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


def _seconds(_: str, median: Estimate) -> str:
    return bounded(median)


def _has(found: Regrets, name: str) -> bool:
    return any(row["learner"] == name for row in found.rows)


def _middle(found: Regrets, learner: str, case: str) -> str:
    values = found.times(learner, 0.01).get(case)
    if values is None:
        return ""
    middle = float(np.median(values))
    return number(middle) if np.isfinite(middle) else f"> {found.budgets[learner]:,}"


def _conclusions(found: Regrets, *, one_pass: bool) -> list[str]:
    if OURS not in found.learners:
        return []
    best = found.best_vowpal_wabbit()
    lines = []
    for other in (*SOUGHT, *([best] if best else [])):
        if other not in found.learners:
            continue
        chance = found.sooner(other, 0.01)
        ours, theirs = found.median(OURS, 0.01), found.median(other, 0.01)
        what = other + (" (Vowpal Wabbit at its best here)" if other == best else "")
        lines.append(
            f"- To 1 % regret {OURS} needs {told_apart(chance, FEWER)} judged tracks than {what}: "
            f"median {found.shown(OURS, ours)} against {found.shown(other, theirs)}; "
            f"a run of ours needs fewer with probability {share(chance)}.{caution(chance)} "
            + _listener_by_listener(found, other)
        )
    lines += _at_zero(found, one_pass=one_pass)
    if best:
        lines.append(_advice(found))
    return [*lines, ""]


def _listener_by_listener(found: Regrets, other: str) -> str:
    lower, higher = found.by_listener(other)
    text = f"Listener by listener, its median is lower on {len(lower)} and higher on {len(higher)}"
    return text + (f" ({'; '.join(higher)})." if higher else ".")


def _at_zero(found: Regrets, *, one_pass: bool) -> list[str]:
    """Say how many runs of ours got to regret 0, and what is known of the others."""
    got, total = found.reached(OURS, 0.0, within=found.n_tracks)
    if one_pass:
        return [
            f"- {OURS} gets to regret 0 in one pass, each track shown once, in {got} of {total}."
        ]
    ever, _ = found.reached(OURS, 0.0)
    lines = [
        f"- {OURS} gets to regret 0 within as many judged tracks as the catalogue has in {got} of "
        f"{total} runs, within its budget in {ever}. Those many tracks are no pass: in eight "
        f"sessions at a time, each with an order of its own, some {FIRST_PASS_SHARE:.0%} of the "
        "catalogue are among them, and a track that was never shown can be guessed by what it has "
        "in common with others only."
    ]
    if never := found.never_at_zero(OURS):
        runs = [
            f"{who}, seed {seed}: {regret * 100:.3g} % at the end" for who, seed, regret in never
        ]
        lines.append(f"- Never at regret 0: {'; '.join(runs)}.")
    return lines


FIRST_PASS_SHARE = 1 - np.exp(-1)
"""Share of a catalogue that is among as many judged tracks as it has, drawn independently; it is a
little more in sessions of 100, which show no track twice."""


def _advice(found: Regrets) -> str:
    """Say in what Vowpal Wabbit, with the bins that are best for it, does better."""
    better: list[str] = []
    worse: list[str] = []
    sooner: list[Estimate] = []
    for regret in REGRETS:
        for unit, words in _UNITS.items():
            name = found.best_vowpal_wabbit(regret, unit)
            assert name is not None
            what = f"{words} to {REGRET_NAMES[regret]} ({name})"
            sooner.append(found.sooner(name, regret, unit))
            verdict = told_apart(sooner[-1], ("ours", "theirs", ""))
            if verdict:
                (better if verdict == "theirs" else worse).append(what)
    if better:
        text = f"**Vowpal Wabbit is better in {listed(better)}: take it where that counts most.** "
    else:
        text = f"In nothing measured here is Vowpal Wabbit tellably better than {OURS}. "
    if worse:
        text += f"{OURS} is better in {listed(worse)}. "
    fewest = min(sooner, key=lambda chance: chance.fewest)
    if np.isnan(fewest.low):  # without intervals there are no verdicts
        text = f"In nothing measured here are {OURS} and Vowpal Wabbit told apart. "
    if remark := caution(fewest).strip():
        text += f"{remark} "
    there = [name for name in (OURS, *VOWPAL_WABBITS) if name in found.learners]
    reached = ["{} in {} of {} runs".format(name, *found.reached(name, 0.0)) for name in there]
    return (
        f"- {text}Regret 0 within the budget: {listed(reached)}. For each figure the bins are "
        "those that are best for Vowpal Wabbit, known only in hindsight."
    )


def regret_figures(rows: Sequence[Row], how: Statistics) -> dict[str, Any]:
    """Return file name -> figure."""
    panels: dict[str, dict[str, statistics.Curve]] = {}
    levels: dict[str, dict[str, float]] = {}
    dots: dict[str, dict[str, Estimate]] = {}
    budgets = {}
    for catalogue, own in by_catalogue(rows).items():
        found = Regrets(own, how)
        panels[catalogue] = found.curves()
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


REGRET_METHOD = (
    "Regret is over every track of the catalogue, by the greedy policy, checked while learning "
    f"(the clock stands still) every {EVERY} judged tracks up to {EVERY_UNTIL} and then an eighth "
    "apart, so a time is late by at most that. A regret that is not reached within the budget is "
    "censored: it counts as later than all that was reached, and is shown as more than the "
    "budget; a median is one where half of the runs or more do not get there. After "
    f"{ZERO_CHECKS} checks in a row at regret 0 a run is over (only the study looks at that; the "
    "learner does not know), and is taken to stay there. Learners have the "
    "default settings that they come with; SB3's DQN the best of `bench/stock_dqn.md`, of twelve "
    "settings that with the shortest time to 0.1 % regret (another one got to 1 % after half as "
    "many tracks there; none of the twelve makes more than one update for four tracks, ours up to "
    "two a track: with more of them SB3's DQN may need fewer). LinUCB and "
    "Thompson sampling are updated every 64 tracks, so from their first update on their times are "
    "multiples of 64; they see at most 512 hashed columns of each "
    "vocabulary and danceability in 20 and 100 bins, which bounds how low their regret gets. "
    "*Sooner* is within the smaller of two budgets. The dueling DQN's defaults had their last "
    "changes on these ten listeners (`docs/tuning.md`), Vowpal Wabbit's bins are chosen in "
    "hindsight; the next section is on listeners whom nobody had looked at."
)

ONE_PASS_METHOD = (
    "Five listeners of each catalogue, drawn after all settings had been fixed; one session shows "
    "every track once, in an order drawn by the seed. The dueling DQN is updated as in its "
    "defaults, after every eight tracks, and its schedules fall as over 24,000 tracks, of which "
    "the run is the first quarter. Otherwise as above."
)
