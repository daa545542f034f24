"""The results of the ablations: each switch of the dueling DQN alone, and all together."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report import markdown_table
from study import statistics
from study.control import PRIORITIZED_RATE
from study.intervals import Statistics
from study.learners import BASELINES, SAME_AT_DISCOUNT_0, in_order
from study.metrics import REGRETS
from study.regrets import FEWER, MEDIAN_HEADINGS, REGRET_NAMES, Regrets
from study.report_control import MEASURES, gap, of_learner, seconds, stopped_short
from study.tasks import Row
from study.wording import bounded, caution, listed, percent, share, sign, told_apart


def ablation_section(rows: Sequence[Row], how: Statistics) -> list[str]:
    """Return the section on the switches at discount 0."""
    found = Regrets(rows, how)
    table = []
    for name in found.learners:
        medians = [found.shown(name, found.median(name, regret)) for regret in REGRETS]
        chance = ""
        if name != "none":
            chance = share(how.sooner(found.times(name, 0.01), found.times("none", 0.01)))
        table.append((name, str(found.reached(name, 0.0)[1]), *medians, chance))
    table += [
        (name, "", *[f"as {same}, by construction"] * len(REGRETS), "")
        for name, same in SAME_AT_DISCOUNT_0.items()
    ]
    table += [
        (
            name,
            "",
            *[f"stays at {percent(how.of(statistics.iqm, found.last(name)))}"] * len(REGRETS),
            "",
        )
        for name in BASELINES
        if any(row["learner"] == name for row in found.rows)
    ]
    cases = {row["case"] for row in found.rows}
    lines = [
        f"{len(cases)} listeners ({'; '.join(sorted(cases))}). Judged tracks to a regret, median "
        "[95 % interval]; probability that a run is at 1 % before one without switches.",
        "",
        *markdown_table((*MEDIAN_HEADINGS, "1 % before none"), table),
        "",
        f"At discount 0, {listed(list(SAME_AT_DISCOUNT_0))} change nothing, to the bit (a test "
        "shows it), and are not run: there is no next value to pick or to bootstrap from, and of n "
        "rewards only the first counts. 'all' is therefore dueling and prioritized here.",
        "",
    ]
    if {"none", "dueling"} <= set(found.learners):
        lines += [_dueling_sentence(found, regret) for regret in (0.01, 0.0)] + [""]
    return lines


def _dueling_sentence(found: Regrets, regret: float) -> str:
    with_it, without = found.times("dueling", regret), found.times("none", regret)
    chance = found.how.sooner(with_it, without)
    medians = [found.shown(name, found.median(name, regret)) for name in ("dueling", "none")]
    return (
        f"- The dueling architecture needs {told_apart(chance, FEWER)} judged tracks to "
        f"{REGRET_NAMES[regret]} than the same network without it: median {medians[0]} against "
        f"{medians[1]}; fewer with probability {share(chance)}.{caution(chance)}"
    )


def control_ablation_section(rows: Sequence[Row], how: Statistics) -> list[str]:
    """Return the section on the switches."""
    done = [row for row in rows if row["status"] == "done"]
    names = in_order(row["learner"] for row in done)
    table, lines = [], []
    for name in names:
        cells = []
        for function in MEASURES.values():
            group, none = (of_learner(done, who, function) for who in (name, "none"))
            cells.append(bounded(how.of(statistics.iqm, group)))
            cells.append(share(how.larger(group, none)) if name != "none" and none else "")
        mine = [row for row in done if row["learner"] == name]
        table.append((name, str(len(mine)), *cells, seconds(mine)))
    headings: tuple[str, ...] = ("switches", "runs")
    for measure in MEASURES:
        headings += (measure, "above none")
    lines += [
        f"{listed(sorted({row['case'] for row in done}))}, IQM [95 % interval], and the "
        "probability that a run is above one without switches:",
        "",
        *markdown_table((*headings, "processor time [s]"), table),
        "",
    ]
    lines += [
        f"With priorities the step size is {PRIORITIZED_RATE} of that without, so *prioritized* "
        "and *all* differ from *none* in that as well; it falls in none of them.",
        "",
        *stopped_short(done),
    ]
    if {"none", "dueling"} <= set(names):
        for measure, function in MEASURES.items():
            with_it, without = (of_learner(done, who, function) for who in ("dueling", "none"))
            chance = how.larger(with_it, without)
            higher = gap(with_it, without, how)
            word = ("not told apart from none", "better", "worse")[sign(higher)]
            lines.append(
                f"- The dueling architecture against the same network without it, {measure}: "
                f"{word}; IQMs differ by {bounded(higher)}, higher in a run "
                f"with probability {share(chance)}.{caution(higher)}"
            )
        lines.append("")
    return lines
