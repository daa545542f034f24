"""The results of online use: how much of what is recommended to a newcomer is liked."""

from __future__ import annotations

import math
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
    "A person is recommended tracks one by one, no song twice (also where the catalogue has it "
    "under several ids), and says of each whether it is liked. The liked share of the first "
    "recommendations is the mean over persons and seeds. Of the very first it is exact, not of "
    "what was drawn: the expectation over the tracks of which any may come first, as they are "
    "equal to the recommender. For who starts from nothing (*random*, *q-learning*, *linucb*) "
    "these are all tracks, so that all three have the liked share of the catalogue. Persons of a "
    "seed are served by the same trained policy, so the 95 % intervals are by a bootstrap that "
    "draws seeds, and persons of each; fewer than three seeds have none. Where all of the first "
    "recommendations are liked, or none, a bootstrap has no width, and the interval is Clopper and "
    "Pearson's over persons. *policy-online* is `agents.OnlineRecommender`, *policy-frozen* the "
    "same without learning from presses; their policy for every listener is trained anew for each "
    "seed, on listeners whose preferred artists are not those of the newcomers. *q-learning* "
    "(`profile` states) and *linucb* learn from nothing. *oracle* knows what is liked: many "
    "newcomers like fewer tracks than are recommended. *linucb* is slow, and served the first "
    "newcomers of each seed only after the first recommendation; differences are over the "
    "newcomers that both served. The real listener's judgements are played back: any song that was "
    "judged may be recommended, each once, of the versions of a song one, and the recorded answer "
    "is given. *popularity* is not in that table, as the file of the judgements says nothing of "
    "how popular a song is. The persons of that table are one and the same, with other draws among "
    "equal songs and differently trained policies: the interval says nothing of others, and that "
    "of the first recommendation is over the trained policies alone. How a track is chosen was "
    "decided with a look at this very person, so for *policy-online* that table is not a test on "
    "somebody unseen. A press is to choose a track and to learn from the answer, in processor "
    "time, median."
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
            cells = [percent(_share(values, name, how), 1) for values in shares]
            milliseconds = float(np.median([row["press_ms"] for row in mine]))
            table.append((name, _persons(shares), *cells, f"{milliseconds:.1f}"))
        heads = (f"liked of the first {count}" if count > 1 else "first liked" for count in FIRST)
        lines += [f"### {case[:1].upper()}{case[1:]}", ""]
        lines += markdown_table(("recommender", "persons", *heads, "a press [ms]"), table)
        lines += ["", *_compared(own, names, how)]
    lines += _agreement(rows)
    return lines


def _compared(rows: Sequence[Row], names: Sequence[str], how: Statistics) -> list[str]:
    """Say against whom ours is tellably better, or worse, and who is exactly like it."""
    if OURS not in names:
        return []
    lines = []
    for count in FIRST:
        better: dict[int, list[str]] = {1: [], 0: [], -1: []}
        untold, alike = [], []
        for name in names:
            if name not in (OURS, ORACLE):
                differences = _differences(rows, name, count)
                if not differences:
                    continue
                if not any(each.any() for each in differences):
                    alike.append(name)
                    continue
                found = statistics.mean_of_clusters(differences, **how.arguments())
                if math.isnan(found.low):
                    untold.append(f"{name} ({100 * found.value:+.1f})")
                    continue
                shown = f"{name} ({100 * found.value:+.1f} [{_ends(found)}])"
                better[sign(found)].append(shown)
        words = {1: "better than", 0: "not told apart from", -1: "worse than"}
        parts = [f"{words[s]} {listed(found)}" for s, found in better.items() if found]
        if alike:
            parts.append(f"for each person exactly like {listed(alike)}")
        if untold:
            parts.append(f"of too few seeds for an interval: {listed(untold)}")
        if parts:
            lines += [
                f"{_of_first(count)}, {OURS} is {'; '.join(parts)} (percentage points).",
                "",
            ]
    return lines


def _of_first(count: int) -> str:
    return f"Of the first {count}" if count > 1 else "With the first one"


def _differences(rows: Sequence[Row], other: str, count: int) -> list[Floats]:
    """Return for each seed ours less another's liked share, for each person that both served."""
    theirs = {row["seed"]: row[f"first_{count}"] for row in _of(rows, other)}
    return [
        np.array(row[f"first_{count}"])[: len(theirs[row["seed"]])] - theirs[row["seed"]]
        for row in _of(rows, OURS)
        if row["seed"] in theirs
    ]


def _persons(shares: Sequence[Sequence[Floats]]) -> str:
    """Say how many persons the shares are of: at the first recommendation, and after it."""
    first, after = (sum(map(len, of_seeds)) for of_seeds in (shares[0], shares[-1]))
    return str(first) if first == after else f"{first}, then {after}"


def _agreement(rows: Sequence[Row]) -> list[str]:
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["status"] == "done" and row["learner"] in (OURS, FROZEN):
            found.setdefault(row["case"], []).append(row["agreement"])
    if not found:
        return []
    shares = [
        f"- {case}: {100 * min(values):.1f} to {100 * max(values):.1f} %"
        for case, values in found.items()
    ]
    return [
        "The belief adds up what the policy says of single terms. So often that decides as the "
        "policy itself does, for random tracks of the case's catalogue and listeners of its test "
        "split (least to greatest of the seeds):",
        "",
        *shares,
        "",
    ]


def _of(rows: Sequence[Row], learner: str) -> list[Row]:
    return sorted(
        (row for row in rows if row["learner"] == learner and row["status"] == "done"),
        key=lambda row: int(row["seed"]),
    )


def _shares(rows: Sequence[Row], count: int) -> list[Floats]:
    """Return for each seed the liked share of each of its persons."""
    return [np.asarray(row[f"first_{count}"], dtype=np.float64) for row in rows]


def _share(shares: Sequence[Floats], name: str, how: Statistics) -> Estimate:
    """Return the mean share; of a bootstrap without width, an exact interval in its place."""
    values = np.concatenate(shares)
    if name != ORACLE and values.min() == values.max() and values[0] in (0, 1):
        return statistics.exact_share(int(values.sum()), len(values))
    return statistics.mean_of_clusters(shares, **how.arguments())


def _ends(found: Estimate) -> str:
    return f"{100 * found.low:+.1f}, {100 * found.high:+.1f}"
