"""Titles and names as people write them: what of their spelling says nothing."""

from __future__ import annotations

import functools
import re
import unicodedata

# Before NFKC, which makes of some of them a space and an accent. By code point: they look alike.
_PLAIN = {
    **dict.fromkeys(map(ord, "\u2018\u2019\u201b\u02bc\u00b4\u0060\u2032"), "'"),
    **dict.fromkeys(map(ord, "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb"), '"'),
    **dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"), "-"),
}
# Brackets, a dash between spaces, or guests: what follows is of the version.
_VERSION = re.compile(r"\s*(?:[(\[]|\s-\s|\b(?:feat|ft|featuring)\b).*$")


@functools.lru_cache(maxsize=65_536)
def folded(text: str) -> str:
    """Return a text without what tells no titles or names apart, to be compared with another.

    That is case, spaces (several, at the ends), kinds of apostrophes, quotation marks and dashes,
    and how Unicode composes a letter (NFKC: letter and accent, full width, ligatures, "…").
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_PLAIN))
        text = unicodedata.normalize("NFKC", text.casefold())
    return " ".join(text.casefold().replace("`", "'").split())


def bare(title: str) -> str:
    """Return the letters and digits of a title without what follows it, to be compared.

    Left out is all from the first bracket, dash between spaces or ``feat.`` on: ``Song (Live)``,
    ``Song - 2015 Remaster`` and ``song`` are the same. A title with nothing before that is kept
    whole, and one without letters and digits as it is.
    """
    text = folded(title)
    for candidate in (_VERSION.sub("", text), text):
        letters = re.sub(r"[\W_]+", "", candidate)
        if letters:
            return letters
    return text
