"""The order in which a session shows its tracks: a keyed pseudo-random permutation.

A seed gives a key; key and session number give the order. Any part of any order is computed
directly, so a session of 100 tracks from a million costs 100 evaluations, and the orders of
thousands of sessions cost one vectorised call. The scalar and the vector environment call the same
function, hence show the same tracks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

# A Feistel network over a rectangle of cells, as in format-preserving encryption (Black and
# Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002), with cycle-walking for the few
# cells beyond n. The rectangle is about as wide as high, and its width a power of two, which saves
# operations. Six rounds pass the chi-square tests of tests/test_order.py; rectangles of a few cells
# would not, whatever the rounds, so those few tracks are sorted by a hash each.
_ROUNDS = 6
_FEW_TRACKS = 256
# Computed in one go: temporary arrays of this size [cells] stay in the cache. Tuned by us.
_BLOCK_CELLS = 32_768
_MAX_TRACKS = 2**31 - 1  # of an int32; rows and columns stay within 16 bits

# Multipliers of the "lowbias32" integer hash (C. Wellons, hash-prospector, 2018).
_MULTIPLY_1, _MULTIPLY_2 = np.uint32(0x7FEB352D), np.uint32(0x846CA68B)
# SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_SPLITMIX_1, _SPLITMIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)

UInt32 = NDArray[np.uint32]
UInt64 = NDArray[np.uint64]


def draw_key(generator: np.random.Generator) -> int:
    """Return the key of a stream of sessions: 64 bits from the environment's generator."""
    return int(generator.integers(2**64, dtype=np.uint64))


def session_orders(
    n_tracks: int, length: int, keys: ArrayLike, sessions: ArrayLike
) -> NDArray[np.int32]:
    """Return the first ``length`` positions of the permutation of each session.

    Args:
        n_tracks: the number of tracks permuted, 1 to about 2 billion.
        length: how many different tracks a session shows, at most ``n_tracks``.
        keys: (n_sessions,) unsigned 64-bit keys, see `draw_key`.
        sessions: (n_sessions,) session numbers, counted from 0.

    Returns:
        (n_sessions, length) int32 in ``range(n_tracks)``; the numbers in a row are all different.

    Raises:
        ValueError: if ``length`` or ``n_tracks`` is out of range.
    """
    if not 1 <= n_tracks <= _MAX_TRACKS:
        raise ValueError(f"n_tracks must be 1 to {_MAX_TRACKS}, got {n_tracks}")
    if not 0 <= length <= n_tracks:
        raise ValueError(f"length must be 0 to n_tracks = {n_tracks}, got {length}")
    keys, sessions = np.asarray(keys, dtype=np.uint64), np.asarray(sessions, dtype=np.uint64)
    if n_tracks <= _FEW_TRACKS:
        hashes = _hashes(keys, sessions, n_tracks)
        return np.argsort(hashes, axis=1, kind="stable")[:, :length].astype(np.int32)
    # (rounds, n_sessions) uint32
    round_keys = (_hashes(keys, sessions, _ROUNDS).T >> np.uint64(32)).astype(np.uint32)
    column_bits = (n_tracks.bit_length() - 1) // 2
    rows = -(-n_tracks // 2**column_bits)
    # Places along the first axis: the vector environment reads one place of all sessions at a time.
    orders = np.empty((length, len(keys)), dtype=np.uint32)
    places = np.arange(length, dtype=np.uint32)[:, None]
    block = max(1, _BLOCK_CELLS // max(length, 1))
    for start in range(0, len(keys), block):
        part = slice(start, start + block)
        orders[:, part] = _permute(places, round_keys[:, None, part], rows, column_bits)
    # Cycle-walking: what falls beyond the last track is permuted again until it falls within.
    flat = orders.reshape(-1)
    beyond = np.flatnonzero(flat >= n_tracks)
    while beyond.size:
        walked = _permute(flat[beyond], round_keys[:, beyond % len(keys)], rows, column_bits)
        flat[beyond] = walked
        beyond = beyond[walked >= n_tracks]
    return orders.T.view(np.int32)


def session_hashes(stream: int, count: int, keys: ArrayLike, sessions: ArrayLike) -> UInt64:
    """Return pseudo-random numbers that belong to sessions, for all that is drawn but their order.

    Args:
        stream: a number above 0 for each purpose, so that its draws are independent of others'.
        count: how many for each session; asking for more does not change the first ones.
        keys: (n_sessions,) unsigned 64-bit keys, see `draw_key`.
        sessions: (n_sessions,) session numbers, counted from 0.

    Returns:
        (n_sessions, count) uint64, uniform over all 64 bits.
    """
    keys, sessions = np.asarray(keys, dtype=np.uint64), np.asarray(sessions, dtype=np.uint64)
    return _hashes(keys ^ _splitmix(np.array([stream], dtype=np.uint64)), sessions, count)


def session_hashes32(
    stream: int, count: int, keys: ArrayLike, sessions: ArrayLike
) -> NDArray[np.uint32]:
    """Return `session_hashes` in halves, (n_sessions, count) uint32: half the work."""
    whole = session_hashes(stream, (count + 1) // 2, keys, sessions)
    halves = np.empty((len(whole), 2 * whole.shape[1]), dtype=np.uint32)
    halves[:, 0::2] = whole >> np.uint64(32)
    halves[:, 1::2] = whole  # its lower half: what does not fit is cut off
    return halves[:, :count]


def uniform(hashes: UInt64) -> NDArray[np.float64]:
    """Return the hashes as float64 numbers in [0, 1), from their upper 53 bits."""
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _hashes(keys: UInt64, sessions: UInt64, count: int) -> UInt64:
    """Return (n_sessions, count) uint64: a SplitMix64 stream for each key and session."""
    seeds = _splitmix(keys + _GOLDEN * (sessions + np.uint64(1)))[:, None]
    return _splitmix(seeds + _GOLDEN * np.arange(1, count + 1, dtype=np.uint64))


def _splitmix(x: UInt64) -> UInt64:
    mixed = x >> np.uint64(30)
    mixed ^= x
    mixed *= _SPLITMIX_1
    shifted = mixed >> np.uint64(27)
    mixed ^= shifted
    mixed *= _SPLITMIX_2
    np.right_shift(mixed, np.uint64(31), out=shifted)
    mixed ^= shifted
    return mixed


def _permute(cells: UInt32, round_keys: UInt32, rows: int, column_bits: int) -> UInt32:
    """Apply the network to cells; each of ``round_keys`` has a shape that broadcasts to theirs."""
    row, column = np.divmod(cells, np.uint32(2**column_bits))
    for number, key in enumerate(round_keys):
        # A keyed hash of one half moves the other, which can be undone whatever the hash.
        if number % 2:
            hashed = _hash(row, key)
            hashed >>= np.uint32(32 - column_bits)
            hashed ^= column
            column = hashed
        else:
            hashed = _hash(column, key)
            hashed >>= np.uint32(16)
            hashed *= np.uint32(rows)
            hashed >>= np.uint32(16)  # now uniform in range(rows)
            hashed += row
            # The sum is below 2 * rows: subtracting wraps around to a huge number exactly where
            # it is not needed.
            row = np.minimum(hashed, hashed - np.uint32(rows), out=hashed)
    row <<= np.uint32(column_bits)
    row += column
    permuted: UInt32 = row
    return permuted


def _hash(half: UInt32, key: UInt32) -> UInt32:
    hashed = half + key
    hashed *= _MULTIPLY_1
    hashed ^= hashed >> np.uint32(15)
    hashed *= _MULTIPLY_2
    return hashed
