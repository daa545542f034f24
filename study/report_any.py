"""The results of one policy for every listener, on listeners whose artists were held out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from agents.any_evaluation import GROUPS
from bench.report import markdown_table
from study import statistics
from study.any_listener import LEARNER
from study.intervals import Statistics
from study.metrics import grouped
from study.regrets import by_catalogue
from study.statistics import Estimate
from study.tasks import Row
from study.wording import number, percent, share

METHOD = (
    "One network for every listener, trained on listeners of four fifths of the artists, judged on "
    "listeners who prefer one of the others (or leave the artist open, and were not trained on "
    "either), each on every track of the catalogue. No two of a run's listeners have the same "
    "preference. Seeds differ in the listeners, in which artists are held out, and in training. "
    "The learner's settings were tuned on the artists that seed 0 holds out "
    "(`AnyListenerSettings`), so they are unseen by training alone there, and by the choice of "
    "settings in the other seeds. Means over runs of the mean over a run's listeners [95 % "
    "interval over the runs]. Precision and nDCG are of the listeners who like any track, as many "
    "as the table says: others have no ranking to judge."
)

NOTES = {
    "TidyTuesday": (
        "(Its file has 28,356 tracks; five rows, of four of them, name no artist and are dropped.)"
    )
}
"""Catalogue -> what has to be said of it."""

# Figure -> whether it is to be at most (-1) or at least (1) so much.
WANTED: dict[str, tuple[int, float]] = {
    "relative_regret": (-1, 0.005),
    "balanced_accuracy": (1, 0.99),
    "precision_at_10": (1, 0.99),
    "ndcg_at_10": (1, 0.99),
}
WANTED_SECONDS = 60

_HEADINGS = (
    "learner",
    "listeners",
    "runs",
    "held-out listeners",
    "who like any track",
    "regret",
    "right",
    "balanced",
    "precision@10",
    "nDCG@10",
)


def any_listener_section(rows: Sequence[Row], how: Statistics) -> list[str]:
    """Return the section on every listener."""
    lines: list[str] = []
    for catalogue, own in by_catalogue(rows).items():
        n_tracks = own[0]["n_tracks"]
        table = [
            cells
            for name in dict.fromkeys(row["learner"] for row in own)
            for cells in _table_rows(name, [r for r in own if r["learner"] == name], own, how)
        ]
        lines += [f"The {catalogue} catalogue, {n_tracks:,} tracks:", ""]
        if catalogue in NOTES:
            lines += [NOTES[catalogue], ""]
        named = [row["naming_artist"] for row in own if "naming_artist" in row]
        if named:
            lines += [f"Of the listeners of a run {_least_to_most(named)} prefer an artist.", ""]
        lines += [*markdown_table(_HEADINGS, table), ""]
        mine = [row for row in own if row["learner"] == LEARNER]
        if mine:
            lines += [_conclusion(mine), ""]
    return lines


def _table_rows(
    name: str, rows: Sequence[Row], everybody: Sequence[Row], how: Statistics
) -> list[tuple[str, ...]]:
    of = partial(_measure, rows, how)
    found: list[tuple[str, ...]] = []
    for group in GROUPS:
        counts = [row["groups"][group]["listeners"] for row in rows]
        if min(counts) == 0:
            continue
        found.append(
            (
                name,
                group,
                str(len(rows)),
                _least_to_most(counts),
                _least_to_most(_ranked(rows, everybody, group)),
                percent(of(group, "relative_regret")),
                percent(of(group, "decision_accuracy")),
                percent(of(group, "balanced_accuracy")),
                share(of(group, "precision_at_10"), 3),
                share(of(group, "ndcg_at_10"), 3),
            )
        )
    return found


def _least_to_most(counts: Sequence[int]) -> str:
    return "-".join(str(c) for c in dict.fromkeys((min(counts), max(counts)))) if counts else ""


def _ranked(rows: Sequence[Row], everybody: Sequence[Row], group: str) -> list[int]:
    """Return how many of a group's listeners like any track, for each run; empty if not counted.

    A seed's listeners are the same for every learner, and rows of before it was counted lack it.
    """
    of_seed = {
        row["seed"]: row["groups"][group]["ranked"]
        for row in everybody
        if "ranked" in row["groups"][group]
    }
    seeds = [row["seed"] for row in rows]
    return [of_seed[seed] for seed in seeds] if all(seed in of_seed for seed in seeds) else []


def _measure(rows: Sequence[Row], how: Statistics, group: str, figure: str) -> Estimate:
    def value(row: Row) -> float:
        mean = row["groups"][group][figure]
        return float("nan") if mean is None else float(mean)

    (runs,) = grouped(rows, value).values()
    return how.of(statistics.mean, runs)


def _missed(rows: Sequence[Row], group: str, figure: str, sign: int, bound: float) -> str:
    """Say in how many runs a group's figure is not what was asked for; nothing if in none."""
    values = [row["groups"][group][figure] for row in rows]
    known = [value for value in values if value is not None]  # none where there are no listeners
    short = [value for value in known if sign * value < sign * bound]
    if not short:
        return ""
    worst = min(short, key=lambda value: sign * value)
    name = figure.replace("_", " ")
    return f"{name} of {group} in {len(short)} of {len(known)} runs (worst {number(worst, 4)})"


def _conclusion(rows: Sequence[Row]) -> str:
    """Say whether each run, and each group in it, met what was asked for, and what it cost."""
    missed = [
        found
        for group in GROUPS
        for figure, (sign, bound) in WANTED.items()
        if (found := _missed(rows, group, figure, sign, bound))
    ]
    reached = (
        "In every run, regret is at most 0.5 %, and balanced accuracy, precision@10 and nDCG@10 "
        "are at least 0.99, in every group"
        if not missed
        else "Not reached (regret 0.5 %, the others 0.99): " + ", ".join(missed)
    )
    seconds = [row["train_seconds"] for row in rows]
    wall = max(row["train_wall_seconds"] for row in rows)
    milliseconds = sorted(row["milliseconds"] for row in rows)
    within = "within" if max(seconds) <= WANTED_SECONDS else "not within"
    return (
        f"{reached}. Training took {number(min(seconds))} to {number(max(seconds))} s of one core "
        f"({number(wall)} s by the clock at most, beside the study's other runs), {within} "
        f"{WANTED_SECONDS} s. A new listener costs no training, and {number(milliseconds[0])} to "
        f"{number(milliseconds[-1])} ms by the clock for a ranking of all tracks (medians of runs)."
    )
