"""Which runs of a suite its table does not hold, so that a report of a part says what it is."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report import markdown_table
from study.tasks import Row

Wanted = tuple[str, str, int, int]
"""Learner, case, budget and number of seeds."""


def missing_section(wanted: Sequence[Wanted], rows: Sequence[Row], *, of: str = "") -> list[str]:
    """Return a section on runs that are missing, shorter than planned, or failed; [] where none is.

    Args:
        wanted: what a whole study holds.
        rows: of the table, failed ones included.
        of: what the runs are on, where a page has more than one such section.
    """
    runs = f"Runs on {of}" if of else "Runs"
    done = [row for row in rows if row["status"] == "done"]
    table = []
    for learner, case, budget, seeds in wanted:
        own = [row for row in done if row["learner"] == learner and row["case"] == case]
        least = min((row["budget"] for row in own), default=budget)
        if len(own) < seeds or least < budget:
            steps = f"{least:,} of {budget:,}" if least < budget else ""
            table.append((learner, case, f"{len(own)} of {seeds}", steps))
    failed = [row for row in rows if row["status"] == "failed"]
    lines: list[str] = []
    if table:
        lines += [f"## {runs} that are missing", ""]
        lines += markdown_table(("policy", "case", "runs done", "steps"), table)
        lines += [""]
    if failed:
        keys = ("learner", "case", "seed", "error")
        lines += [f"## {runs} that failed", ""]
        lines += markdown_table(keys, [[str(row[key]) for key in keys] for row in failed])
        lines += [""]
    return lines
