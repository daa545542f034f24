"""Which rows of a folder of listeners repeat the id of an earlier row; in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pandas.util import hash_array

from cluster.blocks import Block, Input
from cluster.listener_rows import LISTENER_ID, as_bytes, cell

HASHES = 2**23
"""Hashes in memory at a time, 8 bytes each: with more rows than that, the ids are read several
times, and each time only a part of the hashes is looked at."""

Repeated = dict[int, dict[int, str]]
"""Number of a block -> row in it -> what is wrong with it."""


def repeated_ids(listeners: Input) -> Repeated:
    """Find the rows whose id stands in an earlier row, in the order of files and rows.

    Ids of equal hash are the first step (that of `pandas.util.hash_array`, 64 bits); among these
    the ids themselves are compared. What is kept grows with the rows that are repeated, not with
    the listeners.
    """
    passes = -(-listeners.n_rows // HASHES)
    found = []
    for which in range(passes):
        parts = [
            hashes[hashes % np.uint64(passes) == which] if passes > 1 else hashes
            for _, _, hashes in _hashed(listeners)
        ]
        hashes = np.sort(np.concatenate(parts))
        found.append(np.unique(hashes[1:][hashes[1:] == hashes[:-1]]))
    suspected = np.concatenate(found) if found else np.empty(0, dtype=np.uint64)
    return _among(listeners, suspected) if len(suspected) else {}


def _among(listeners: Input, suspected: NDArray[np.uint64]) -> Repeated:
    """Return the repeated rows among those whose ids have one of these hashes."""
    first: dict[Any, str] = {}
    repeated: Repeated = {}
    for block, ids, hashes in _hashed(listeners):
        for row in np.flatnonzero(np.isin(hashes, suspected)).tolist():
            name = cell(ids, row)
            if name is None:
                continue  # which is wrong for another reason
            if name in first:
                rows = repeated.setdefault(block.number, {})
                rows[row] = f"{LISTENER_ID} {name!r} is that of {first[name]} already"
            else:
                first[name] = f"row {block.first_row + row + 1} of {block.file}"
    return repeated


def _hashed(listeners: Input) -> Iterator[tuple[Block, pa.Array, NDArray[np.uint64]]]:
    """Yield the blocks with their ids and the ids' hashes."""
    for block, table in listeners.scan([LISTENER_ID]):
        ids = table[LISTENER_ID].combine_chunks()
        if pa.types.is_integer(ids.type):
            plain = ids.fill_null(0).to_numpy()  # with nulls they would become floats
        else:
            plain = as_bytes(ids).to_numpy(zero_copy_only=False)  # the hash is of UTF-8 anyway
        yield block, ids, hash_array(plain, categorize=False)
