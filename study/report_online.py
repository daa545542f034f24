"""The results of online use: how much of what is recommended to a newcomer is liked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.report import markdown_table
from study import statistics
from study.intervals import Statistics
from study.metrics import Floats
from study.online import FIRST
from study.online_rivals import FROZEN, MEET, ORACLE, OURS
from study.statistics import Estimate
from study.tasks import Row
from study.wording import listed, percent, sign

METHOD = (
    "A person is recommended tracks one by one, none twice, and says of each whether it is liked. "
    "The liked share of the first recommendations is the mean over persons and seeds, with 95 % "
    "intervals by a bootstrap over them. *policy-online* is `agents.OnlineRecommender`, "
    "*policy-frozen* the same without learning from presses; their policy for every listener is "
    "trained anew for each seed, on listeners whose preferred artists are not those of the "
    "newcomers. *q-learning* (`profile` states) and *linucb* learn from nothing. *oracle* knows "
    "what is liked: many newcomers like fewer tracks than are recommended. *linucb* is slow, and "
    "met the first newcomers of each seed only; differences are over the newcomers that both met. "
    "The real listener's judgements are played back: any song that was judged may be recommended, "
    "each once, and the recorded answer is given. The persons of that table are one and the same, "
    "with other draws among equal songs and differently trained policies: the interval says "
    "nothing of others. How a track is chosen was also looked at on this person in the making. "
    "A press is to choose a track and to learn from the answer, in processor time, median."
)


def online_section(rows: Sequence[Row], how: Statistics) -> list[str]:
    """Return the section on online use."""
    lines: list[str] = []
    for case in dict.fromkeys(row["case"] for row in rows):
        own = [row for row in rows if row["case"] == case]
        present = {row["learner"] for row in own}
        names = [name for name in MEET if name in present]
        table = []
        for name in names:
            mine = _of(own, name)
            shares = [_shares(mine, count) for count in FIRST]
            cells = [percent(_mean(values, how), 1) for values in shares]
            milliseconds = float(np.median([row["press_ms"] for row in mine]))
            table.append((name, str(len(shares[0])), *cells, f"{milliseconds:.1f}"))
        heads = (f"liked of the first {count}" if count > 1 else "first liked" for count in FIRST)
        lines += [f"### {case[:1].upper()}{case[1:]}", ""]
        lines += markdown_table(("recommender", "persons", *heads, "a press [ms]"), table)
        lines += ["", *_compared(own, names, how)]
    lines += _agreement(rows)
    return lines


def _compared(rows: Sequence[Row], names: Sequence[str], how: Statistics) -> list[str]:
    """Say against whom ours is tellably better, or worse."""
    if OURS not in names:
        return []
    lines = []
    for count in FIRST:
        better: dict[int, list[str]] = {1: [], 0: [], -1: []}
        for name in names:
            if name not in (OURS, ORACLE):
                found = _difference(rows, name, count, how)
                shown = f"{name} ({100 * found.value:+.1f} [{_ends(found)}])"
                better[sign(found)].append(shown)
        words = {1: "better than", 0: "not told apart from", -1: "worse than"}
        parts = [f"{words[s]} {listed(found)}" for s, found in better.items() if found]
        if parts:
            lines += [
                f"{_of_first(count)}, {OURS} is {'; '.join(parts)} (percentage points).",
                "",
            ]
    return lines


def _of_first(count: int) -> str:
    return f"Of the first {count}" if count > 1 else "With the first one"


def _difference(rows: Sequence[Row], other: str, count: int, how: Statistics) -> Estimate:
    """Return ours less another's liked share, over the persons that both met."""
    theirs = {row["seed"]: row[f"first_{count}"] for row in _of(rows, other)}
    pairs = [
        np.array(row[f"first_{count}"])[: len(theirs[row["seed"]])] - theirs[row["seed"]]
        for row in _of(rows, OURS)
        if row["seed"] in theirs
    ]
    return _mean(np.concatenate(pairs) if pairs else np.zeros(0), how)


def _agreement(rows: Sequence[Row]) -> list[str]:
    found = [row["agreement"] for row in rows if row["learner"] in (OURS, FROZEN)]
    if not found:
        return []
    return [
        "The belief adds up what the policy says of single terms. For random tracks and listeners "
        f"of the test split that decides as the policy itself does in {100 * min(found):.1f} to "
        f"{100 * max(found):.1f} % of the pairs.",
        "",
    ]


def _of(rows: Sequence[Row], learner: str) -> list[Row]:
    return sorted(
        (row for row in rows if row["learner"] == learner and row["status"] == "done"),
        key=lambda row: int(row["seed"]),
    )


def _shares(rows: Sequence[Row], count: int) -> Floats:
    return np.concatenate([np.asarray(row[f"first_{count}"], dtype=np.float64) for row in rows])


def _mean(values: Floats, how: Statistics) -> Estimate:
    return statistics.estimate(statistics.mean, [values], **how.arguments())


def _ends(found: Estimate) -> str:
    return f"{100 * found.low:+.1f}, {100 * found.high:+.1f}"
