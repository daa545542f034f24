"""The results on tracks that were held out from training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

from bench.report import markdown_table
from study import statistics
from study.intervals import Statistics
from study.learners import in_order
from study.metrics import grouped
from study.regrets import OURS, by_catalogue
from study.statistics import Estimate
from study.tasks import Row
from study.wording import percent

_WANTED = 0.99


def generalisation_section(rows: Sequence[Row], how: Statistics) -> list[str]:
    """Return the section on held-out tracks."""
    lines: list[str] = []
    for catalogue, own in by_catalogue(rows).items():
        of = partial(_measure, own, how)
        names = in_order(row["learner"] for row in own if row["status"] == "done")
        table = []
        for name in names:
            mine = [row for row in own if row["learner"] == name and row["status"] == "done"]
            cells = [
                percent(of(name, itemgetter(figure)))
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
            f"The {catalogue} catalogue; {'; '.join(sorted(cases))}:",
            "",
            *markdown_table(headings, table),
            "",
        ]
        if OURS in names:
            right = of(OURS, itemgetter("decision_accuracy"))
            met = "at least" if right.value >= _WANTED else "less than"
            one_side = right.low >= _WANTED or right.high < _WANTED
            sure = ", as is its whole interval" if one_side else ""
            lines += [
                f"{OURS} is right on {met} {_WANTED * 100:.0f} % of the held-out tracks: "
                f"{percent(right)}{sure}.",
                "",
            ]
    lines += [
        "The `hash` table cannot generalise: a held-out track's state is one that it was trained "
        "on only where the hash collides with another track's, and elsewhere it holds the initial "
        "value, for which the decision is dislike.",
        "",
    ]
    return lines


def _measure(
    rows: Sequence[Row], how: Statistics, name: str, measure: Callable[[Row], Any]
) -> Estimate:
    return how.of(statistics.iqm, grouped(rows, measure)[name])


def _seen(rows: Sequence[Row]) -> tuple[str, str, str]:
    """Return the share of held-out tracks whose state was seen, and the shares right, pooled."""
    if "seen" not in rows[0]:
        return "", "", ""
    total, seen, right_seen, right_unseen = (
        sum(row[name] for row in rows)
        for name in ("held_out", "seen", "right_seen", "right_unseen")
    )
    return (
        f"{100 * seen / total:.2f} %",
        f"{100 * right_seen / seen:.2f} %" if seen else "",
        f"{100 * right_unseen / (total - seen):.2f} %" if seen < total else "",
    )
