"""The first k tracks for many listeners: candidates by their terms, ranked by a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch as th
from numpy.typing import NDArray
from torch import nn

from cluster.candidates import Candidates, TermIndex
from music_env.catalogue import Catalogue
from music_env.listeners import Listeners, pair_kinds, pair_outcomes
from music_env.metrics import top_k
from music_env.pairs import PairEncoded, encode_pairs

Integers = NDArray[np.int64]
Values = NDArray[np.float32]

ROWS = 2_048
"""Observations in a forward pass: what the layers compute then stays in the processor's cache."""

PAIRS = 2**17
"""Pairs in memory at a time, unless one listener has more."""


@dataclass(frozen=True, eq=False)
class Ranked:
    """The first tracks of some listeners.

    Attributes:
        tracks: (n_listeners, k) int64 indices into the catalogue, best first.
        values: (n_listeners, k) float32: Q(like) - Q(dislike) of each.
        n_valued: how many pairs the network has valued for them.
    """

    tracks: Integers
    values: Values
    n_valued: int


class Ranker:
    """Ranks tracks for listeners of a catalogue.

    Args:
        network: (n, n_columns) observations -> (n, 2) action values, dislike and like.
        catalogue: the tracks.
        encoding: of the pairs that the network was trained on.
        k: how many tracks to recommend; all where the catalogue has fewer.
        breadth: candidates of each kind, see `cluster.candidates`.
        whole: take all of each kind.
    """

    def __init__(
        self,
        network: nn.Module,
        catalogue: Catalogue,
        encoding: str,
        *,
        k: int,
        breadth: int,
        whole: bool = False,
    ) -> None:
        self.network = network.eval()
        self.encoded: PairEncoded = encode_pairs(catalogue, encoding)
        self.index = TermIndex(catalogue)
        self.k = min(k, catalogue.n_tracks)
        self.breadth = breadth
        self.whole = whole

    def rank(self, listeners: Listeners) -> Ranked:
        """Return the first k candidates of each listener; of equal values the earlier track.

        Listeners who prefer the same are ranked once.
        """
        different, which = _different(listeners)
        tracks = np.empty((len(different), self.k), dtype=np.int64)
        values = np.empty((len(different), self.k), dtype=np.float32)
        n_valued = 0
        for part in self.parts(different):
            some = different.take(part)
            found = self.index.find(some, self.breadth, whole=self.whole)
            valued = self.values(some, found)
            order = _first_of_each(found, valued, self.k)
            tracks[part], values[part] = found.tracks[order], valued[order]
            n_valued += len(valued)
        return Ranked(tracks[which], values[which], n_valued)

    def rank_every(self, listeners: Listeners) -> Ranked:
        """Return the first k of all tracks: what `rank` should come to, for much more work."""
        n_tracks = self.index.n_tracks
        tracks = np.empty((len(listeners), self.k), dtype=np.int64)
        values = np.empty((len(listeners), self.k), dtype=np.float32)
        every = Candidates(np.array([0, n_tracks]), np.arange(n_tracks))
        for i in range(len(listeners)):
            valued = self.values(listeners.take(slice(i, i + 1)), every)
            tracks[i] = top_k(valued, self.k)
            values[i] = valued[tracks[i]]
        return Ranked(tracks, values, n_tracks * len(listeners))

    def parts(self, listeners: Listeners) -> Iterator[slice]:
        """Yield slices of listeners whose candidates are at most `PAIRS`, or one listener."""
        ends = np.cumsum(self.index.at_most(listeners, self.breadth, whole=self.whole))
        first = 0
        while first < len(ends):
            before = ends[first - 1] if first else 0
            last = max(first + 1, int(np.searchsorted(ends, before + PAIRS, side="right")))
            yield slice(first, last)
            first = last

    def observations(self, listeners: Listeners, found: Candidates) -> Iterator[th.Tensor]:
        """Yield the observations of pairs, `ROWS` at a time."""
        rows, owner = self.encoded.listeners(listeners), found.owner
        for first in range(0, len(owner), ROWS):
            part = slice(first, first + ROWS)
            yield th.from_numpy(self.encoded.pairs(found.tracks[part], rows[owner[part]]))

    def values(self, listeners: Listeners, found: Candidates) -> Values:
        """Return (n_pairs,) float32: Q(like) - Q(dislike) of each pair."""
        valued = np.empty(len(found.tracks), dtype=np.float32)
        first = 0
        with th.inference_mode():
            for observations in self.observations(listeners, found):
                q = self.network(observations).numpy()
                np.subtract(q[:, 1], q[:, 0], out=valued[first : first + len(q)])
                first += len(q)
        return valued


def _different(listeners: Listeners) -> tuple[Listeners, NDArray[np.intp]]:
    """Return the listeners who prefer different things, and which of them each listener is."""
    table = np.column_stack(list(listeners.arrays().values()))  # all are exact as float64
    _, first, which = np.unique(table, axis=0, return_index=True, return_inverse=True)
    return listeners.take(first), which.reshape(-1)


def _first_of_each(found: Candidates, values: Values, k: int) -> NDArray[np.intp]:
    """Return (n_listeners, k) places of the greatest values of each listener, greatest first."""
    order = np.lexsort((-values, found.owner))  # stable: of equal values the earlier track
    first: NDArray[np.intp] = order[found.start[:-1, None] + np.arange(k)]
    return first


@dataclass(frozen=True)
class Agreement:
    """How far two rankings agree, place by place.

    Attributes:
        equal_score: the share of places with tracks of equal score.
        same_track: the share of places with the same track.
    """

    equal_score: float
    same_track: float


def agreement(
    catalogue: Catalogue, listeners: Listeners, one: Integers, other: Integers
) -> Agreement:
    """Compare two rankings, (n_listeners, k) tracks each, by the listeners' own scores."""
    scores = pair_outcomes()[-1]
    first, second = (scores[pair_kinds(catalogue, tracks, listeners)] for tracks in (one, other))
    return Agreement(float(np.mean(first == second)), float(np.mean(one == other)))
