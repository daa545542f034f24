"""How numbers are worded, and what follows from them: a conclusion is a function of estimates."""

from __future__ import annotations

import math
from collections.abc import Sequence

from study.statistics import FULL_RUNS, Estimate


def number(value: float, digits: int = 3) -> str:
    """Write a number with so many digits that count; above 100 all of the whole number."""
    if abs(value) >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def bounded(found: Estimate, budget: float | None = None, unit: str = "") -> str:
    """Write an estimate and its interval; what is censored as more than the budget.

    Args:
        found: the estimate.
        budget: what ``inf`` is more than; None: nothing is known of it ("not reached").
        unit: after the value.
    """

    def text(value: float) -> str:
        if math.isinf(value):
            return "not reached" if budget is None else f"> {budget:,.0f}"
        return number(value)

    return text(found.value) + unit + _interval(text(found.low), text(found.high))


def percent(found: Estimate, digits: int = 2) -> str:
    """Write a share with its interval in per cent."""
    value, low, high = (f"{x * 100:.{digits}f}" for x in (found.value, found.low, found.high))
    return f"{value} %" + _interval(low, high)


def share(found: Estimate, digits: int = 2) -> str:
    """Write a probability or another share with its interval."""
    value, low, high = (f"{x:.{digits}f}" for x in (found.value, found.low, found.high))
    return value + _interval(low, high)


def _interval(low: str, high: str) -> str:
    return "" if low == "nan" else f" [{low}, {high}]"  # none where there are too few runs


def told_apart(probability: Estimate, words: tuple[str, str, str]) -> str:
    """Return the word that a probability of improvement supports.

    Args:
        probability: that the first is better, with its interval.
        words: if the interval lies above one half, if below, and if it holds one half or there is
            none.
    """
    if probability.low > 0.5:
        return words[0]
    return words[1] if probability.high < 0.5 else words[2]


def caution(found: Estimate) -> str:
    """Return a remark on a conclusion from few runs, to be put behind its sentence."""
    if found.fewest >= FULL_RUNS:
        return ""
    return f" (Of {found.fewest} runs only: intervals of so few are too narrow.)"


def sign(found: Estimate) -> int:
    """Return 1 or -1 where the interval of a difference lies above or below 0, else 0."""
    return 1 if found.low > 0 else -1 if found.high < 0 else 0


def listed(names: Sequence[str]) -> str:
    """Write names as a list in a sentence."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def counted(counts: Sequence[int], noun: str) -> str:
    """Write how many there are: a number, or from the least to the most."""
    low, high = min(counts), max(counts)
    number_ = f"{low}" if low == high else f"{low} to {high}"
    return f"{number_} {noun}" + ("" if high == 1 else "s")
