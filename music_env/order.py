"""The order in which a session shows its tracks: a keyed pseudo-random permutation.

A seed gives a key; key and session number give the order. Any part of any order is computed
directly, so a session of 100 tracks from a million costs 100 evaluations, and the orders of
thousands of sessions cost one vectorised call. The scalar and the vector environment call the same
function, hence show the same tracks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Words: TypeAlias = NDArray[Any]
"""uint16 or uint32."""

# A Feistel network over a rectangle of cells, as in format-preserving encryption (Black and
# Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002), with cycle-walking for the few
# cells beyond n. The rectangle is about as wide as high, and its width a power of two, which saves
# operations. The rounds are the fewest that pass the chi-square tests of tests/test_order.py, two
# more where the rectangle is small; rectangles of a few cells would not pass, whatever the rounds,
# so those few tracks are sorted by a hash each.
_ROUNDS, _MORE_ROUNDS = 6, 8
_SMALL_COLUMN_BITS = 5
_FEW_TRACKS = 256
# Computed in one go: temporary arrays of this size [bytes] stay in the cache. Tuned by us.
_BLOCK_BYTES = 131_072
_MAX_TRACKS = 2**31 - 1  # of an int32; rows and columns stay within 16 bits
_MAX_NARROW_SIDE = 256  # rows and columns of a rectangle that 16-bit numbers do for


@dataclass(frozen=True)
class _Hash:
    """The hash of a round: multiply, shift and multiply, in whole numbers of so many bits."""

    word: type[np.uint16] | type[np.uint32]
    bits: int
    multiply_1: int
    shift: int
    multiply_2: int

    def __call__(self, half: Words, key: Words) -> Words:
        hashed = half + key
        hashed *= self.word(self.multiply_1)
        hashed ^= hashed >> self.word(self.shift)
        hashed *= self.word(self.multiply_2)
        return hashed


# "hash16_xm2", "lowbias32" (C. Wellons, hash-prospector, 2018). Half the bits take half the time.
_NARROW = _Hash(np.uint16, 16, 0x88B5, 7, 0xDB2D)
_WIDE = _Hash(np.uint32, 32, 0x7FEB352D, 15, 0x846CA68B)

# SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_SPLITMIX_1, _SPLITMIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)

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
    column_bits = n_tracks.bit_length() // 2
    rows = -(-n_tracks // 2**column_bits)
    hashed = _NARROW if max(rows, 2**column_bits) <= _MAX_NARROW_SIDE else _WIDE
    network = _Network(hashed, rows, column_bits)
    # Places along the first axis: the vector environment reads one place of all sessions at a time.
    orders = np.empty((length, len(keys)), dtype=hashed.word)
    round_keys = network.round_keys(keys, sessions)
    places = np.arange(length, dtype=hashed.word)[:, None]
    block = max(1, _BLOCK_BYTES // (max(length, 1) * orders.itemsize))
    for start in range(0, len(keys), block):
        part = slice(start, start + block)
        orders[:, part] = network.permute(places, round_keys[:, None, part])
    # Cycle-walking: what falls beyond the last track is permuted again until it falls within.
    flat = orders.reshape(-1)
    beyond = np.flatnonzero(flat >= n_tracks)
    while beyond.size:
        walked = network.permute(flat[beyond], round_keys[:, beyond % len(keys)])
        flat[beyond] = walked
        beyond = beyond[walked >= n_tracks]
    return orders.T.astype(np.int32)


@dataclass(frozen=True)
class _Network:
    """The Feistel network over a rectangle; cell ``c`` is row ``c // columns``, the rest column."""

    hash: _Hash
    rows: int
    column_bits: int

    def round_keys(self, keys: UInt64, sessions: UInt64) -> Words:
        """Return (rounds, n_sessions) keys."""
        rounds = _MORE_ROUNDS if self.column_bits <= _SMALL_COLUMN_BITS else _ROUNDS
        hashes = _hashes(keys, sessions, rounds).T >> np.uint64(64 - self.hash.bits)
        return hashes.astype(self.hash.word)

    def permute(self, cells: Words, round_keys: Words) -> Words:
        """Apply the network; each of ``round_keys`` has a shape that broadcasts to the cells'."""
        word, half_bits = self.hash.word, self.hash.word(self.hash.bits // 2)
        row, column = np.divmod(cells, word(2**self.column_bits))
        for number, key in enumerate(round_keys):
            # A keyed hash of one half moves the other, which can be undone whatever the hash.
            if number % 2:
                hashed = self.hash(row, key)
                hashed >>= word(self.hash.bits - self.column_bits)
                hashed ^= column
                column = hashed
            else:
                hashed = self.hash(column, key)
                hashed >>= half_bits
                hashed *= word(self.rows)
                hashed >>= half_bits  # now in range(rows), near enough uniformly
                hashed += row
                # The sum is below 2 * rows: subtracting wraps around to a huge number exactly where
                # it is not needed.
                row = np.minimum(hashed, hashed - word(self.rows), out=hashed)
        row <<= word(self.column_bits)
        row += column
        permuted: Words = row
        return permuted


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
