"""Names as somebody types them: without regard to case and accents, over hundreds of thousands."""

from __future__ import annotations

import bisect
import heapq
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_NO_DECOMPOSITION = str.maketrans(
    {"ø": "o", "đ": "d", "ł": "l", "ħ": "h", "\u0131": "i", "æ": "ae", "œ": "oe"}
)
"""Letters with a stroke and ligatures: Unicode has no decomposition of them."""


def folded(text: str) -> str:
    """Return a text without case, accents and superfluous spaces."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return " ".join(plain.casefold().translate(_NO_DECOMPOSITION).split())


class NameSearch:
    """Finds names that begin with, or contain, what was typed.

    Args:
        names: what is searched.
        weights: (n,) of names that are found alike, those of greater weight go first.
    """

    def __init__(self, names: Sequence[str], weights: NDArray[np.integer]) -> None:
        self._weights = weights
        pairs = sorted((folded(name), place) for place, name in enumerate(names))
        self._folded = [text for text, _ in pairs]
        self._places = [place for _, place in pairs]

    def find(self, typed: str, count: int) -> tuple[list[int], bool]:
        """Return the places in ``names`` of the best hits, and whether there are more.

        Names that begin with it go first, then those of which a word does, then those that contain
        it.

        Args:
            typed: what to look for; all names where there is nothing in it.
            count: how many at most.
        """
        typed = folded(typed)
        low = bisect.bisect_left(self._folded, typed)
        # No letter sorts behind the last code point, which no name holds.
        high = bisect.bisect_right(self._folded, typed + "\U0010ffff")
        first = self._best(range(low, high), count + 1)
        if len(first) > count or not typed:
            return first[:count], len(first) > count
        word, inside = f" {typed}", ([], [])  # type: ignore[var-annotated]
        for place, name in enumerate(self._folded):
            if typed in name and not low <= place < high:
                inside[word not in name].append(place)
        found = first + [hit for group in inside for hit in self._best(group, count + 1)]
        return found[:count], len(found) > count

    def _best(self, sorted_places: Sequence[int], count: int) -> list[int]:
        best = heapq.nsmallest(
            count,
            sorted_places,
            key=lambda place: (-int(self._weights[self._places[place]]), place),
        )
        return [self._places[place] for place in best]
