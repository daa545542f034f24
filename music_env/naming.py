"""Near-miss suggestions for a name that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], count: int = 5) -> str:
    """Return a sentence with the known names nearest to ``name``, "" where none is near.

    Case does not count: ``"2pac"`` finds ``"2Pac"``. The sentence begins with a space, to be put
    behind an error message.
    """
    by_folded: dict[str, list[str]] = {}
    for candidate in known:
        by_folded.setdefault(candidate.casefold(), []).append(candidate)
    folded = name.casefold()
    near = difflib.get_close_matches(folded, by_folded, n=count, cutoff=0.6)
    near += [other for other in by_folded if folded and folded in other and other not in near]
    names = [original for key in near[:count] for original in by_folded[key]]
    return f" Nearest: {', '.join(map(repr, names))}." if names else ""
