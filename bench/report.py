"""Rows of the benchmark: what was measured, against what, and whether it is what was asked for."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    "numpy",
    "pandas",
    "pyarrow",
    "gymnasium",
    "torch",
    "stable-baselines3",
    "sardine-rec",
    "vowpalwabbit",
)


class SkippedError(Exception):
    """A row cannot be measured here; the message says why."""


@dataclass(frozen=True)
class Asked:
    """The least or the greatest ratio that was asked for."""

    kind: Literal["at least", "at most"]
    value: float

    def met_by(self, ratio: float) -> bool:
        """Say whether a ratio is what was asked for."""
        return ratio >= self.value if self.kind == "at least" else ratio <= self.value

    def __str__(self) -> str:
        return f"{self.kind} {number(self.value)}"


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        name: what was measured.
        peer: what it is compared with.
        unit: of `ours` and `theirs`.
        ours: one figure a round.
        theirs: one figure a round, measured in turn with ours.
        inverted: the ratio is theirs / ours (times: how many times faster); else ours / theirs.
        asked: the ratio asked for, None: for information.
        unfinished: the peer was stopped before it was done; the ratio is a lower bound.
        failed: ours was not done, or something besides the ratio is not as asked; says what.
        note: how it was measured.
        skipped: why nothing was measured, "" where something was.
    """

    name: str
    peer: str = ""
    unit: str = ""
    ours: Sequence[float] = ()
    theirs: Sequence[float] = ()
    inverted: bool = False
    asked: Asked | None = None
    unfinished: bool = False
    failed: str = ""
    note: str = ""
    skipped: str = ""

    @property
    def ratios(self) -> list[float]:
        """The ratio of each round."""
        pairs = list(zip(self.ours, self.theirs, strict=True))
        return [b / a if self.inverted else a / b for a, b in pairs]

    @property
    def ratio(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.ratios)

    @property
    def verdict(self) -> str:
        """``met``, ``NOT MET``, ``skipped``, or nothing where nothing was asked for."""
        if self.skipped:
            return "skipped"
        if self.failed:
            return "NOT MET"
        if self.asked is None:
            return ""
        return "met" if self.asked.met_by(self.ratio) else "NOT MET"

    @property
    def figures(self) -> dict[str, str]:
        """What a table shows: ratio, spread, ours, theirs; empty where nothing was measured."""
        if self.skipped:
            return dict.fromkeys(("ratio", "spread", "ours", "theirs"), "")
        bound = "> " if self.unfinished else ""
        return {
            "ratio": bound + number(self.ratio),
            "spread": f"{number(min(self.ratios))} to {number(max(self.ratios))}",
            "ours": number(statistics.median(self.ours)),
            "theirs": bound + number(statistics.median(self.theirs)),
        }

    @property
    def remark(self) -> str:
        """What is said below the table."""
        return "; ".join(filter(None, (self.skipped, self.failed, self.note)))


def number(value: float) -> str:
    """Write a number with three digits that count."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 1000 else f"{rounded:.3g}"


def print_table(rows: Sequence[Row]) -> None:
    """Print the rows to the terminal, and the remarks below them."""
    table = Table("ratio\n(range)", "asked", "", "what\n(ours : theirs)", show_lines=True)
    remarks = _remarks(rows)
    for row in rows:
        style = {"met": "green", "NOT MET": "bold red", "skipped": "dim"}.get(row.verdict)
        mark = f" [{remarks[row.remark]}]" if row.remark else ""
        figures = row.figures
        what, ratio = row.name + mark, ""
        if not row.skipped:
            ratio = f"{figures['ratio']}\n({figures['spread']})"
            what += f"\nagainst {row.peer}\n({figures['ours']} : {figures['theirs']} {row.unit})"
        cells = (ratio, str(row.asked or ""), row.verdict, what)
        table.add_row(*map(escape, cells), style=style)
    console = Console()
    console.print(table)
    for remark, place in remarks.items():
        console.print(escape(f"[{place}] {remark}"), highlight=False)


def write_markdown(rows: Sequence[Row], path: Path, *, command: str) -> None:
    """Write the rows, the remarks and the machine to a Markdown file."""
    cells, remarks = [], _remarks(rows)
    for row in rows:
        mark = f" ({remarks[row.remark]})" if row.remark else ""
        figures = row.figures
        ratio = f"**{figures['ratio']}**" if figures["ratio"] else ""
        asked, what = str(row.asked or ""), row.name + mark
        start = (ratio, figures["spread"], asked, row.verdict, what, row.peer)
        cells.append((*start, figures["ours"], figures["theirs"], row.unit))
    headings = ("ratio", "range", "asked", "", "what", "against", "ours", "theirs", "unit")
    lines = [
        "# Benchmark",
        "",
        f"Written by `{command}`. The two sides of a ratio are measured in turn, in one run; it is "
        "the median over the rounds, beside its range. `>`: the peer was stopped before it was "
        "done. Ratios say more than the figures, which depend on the machine.",
        "",
        *markdown_table(headings, cells),
        "",
        *(f"{place}. {remark}" for remark, place in remarks.items()),
        "",
        "## Machine",
        "",
        *markdown_table(("", ""), machine()),
        "",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")


def _remarks(rows: Sequence[Row]) -> dict[str, int]:
    """Return the number of each remark."""
    different = dict.fromkeys(row.remark for row in rows if row.remark)
    return {remark: place for place, remark in enumerate(different, start=1)}


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return [line(headings), "|" + "---|" * len(headings), *map(line, rows)]


def machine() -> list[tuple[str, str]]:
    """Return what the figures depend on: processor, memory, versions, time, commit."""
    facts = [
        ("processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("memory", _memory()),
        ("system", f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"),
        ("torch threads", "1"),
    ]
    for package in PACKAGES:
        try:
            facts.append((package, version(package)))
        except PackageNotFoundError:
            facts.append((package, "not installed"))
    facts.append(("commit", _commit()))
    facts.append(("time", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")))
    if hasattr(os, "getloadavg"):
        facts.append(("load average, 15 minutes", f"{os.getloadavg()[2]:.2f} (this run included)"))
    return facts


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory() -> str:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    total = next(line for line in lines if line.startswith("MemTotal"))
    return f"{int(total.split()[1]) / 2**20:.0f} GiB"


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + (
            " with changes" if git("status", "--porcelain", "--", "*.py") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
