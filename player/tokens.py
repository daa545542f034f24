"""Listeners' secrets: a token names and proves a listener; the store has its hash alone."""

from __future__ import annotations

import hashlib


def hashed(token: str) -> bytes:
    """Return the hash of a token: SHA-256, as 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
