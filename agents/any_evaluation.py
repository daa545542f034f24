"""How good a policy for every listener is for listeners whose preferred artists it never met.

For each listener it decides on, and ranks, every track of the catalogue once; figures are averaged
over listeners, each counting the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.evaluation import TOP_K
from agents.values import Learner, pair_values
from music_env.any_tables import AnyTables
from music_env.listeners import OPEN, Listeners, pair_kinds
from music_env.metrics import bootstrap_interval, decision_figures, ranking_figures, top_k

Floats = NDArray[np.float64]

FIGURES = (
    "relative_regret",
    "decision_accuracy",
    "balanced_accuracy",
    f"precision_at_{TOP_K}",
    f"ndcg_at_{TOP_K}",
    "mean_reward",
    "oracle_mean_reward",
)
"""Of each listener, over all tracks; see `music_env.metrics`."""

GROUPS: Mapping[str, int | None] = {
    "all": None,
    "nothing open": 0,
    "one term open": 1,
    "two terms open": 2,
}
"""Group of listeners -> how many of the three terms they leave open."""

RESAMPLES = 2_000
"""Of the bootstrap over listeners, for each of some hundred intervals."""


@dataclass(frozen=True)
class PairPolicy:
    """A policy as one value for each track, for any listener.

    Attributes:
        name: shown in tables.
        values: one listener -> (n_tracks,) float64: the higher, the sooner recommended; liked are
            those above 0.
    """

    name: str
    values: Callable[[Listeners], Floats]


@dataclass(frozen=True)
class Judged:
    """What a policy came to for each of some listeners.

    Attributes:
        n_open: (n_listeners,) how many terms each leaves open.
        figures: name -> (n_listeners,); nan where a listener has no tracks to count.
        milliseconds: the median wall time of ranking all tracks for a listener.
    """

    n_open: NDArray[np.int64]
    figures: Mapping[str, Floats]
    milliseconds: float

    def group(self, name: str) -> dict[str, Floats]:
        """Return the figures of a group's listeners."""
        n_open = GROUPS[name]
        members = np.full(len(self.n_open), True) if n_open is None else self.n_open == n_open
        return {figure: values[members] for figure, values in self.figures.items()}

    def means(self, name: str) -> dict[str, float]:
        """Return the means over a group's listeners, nan where there are none."""
        return {
            figure: float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
            for figure, values in self.group(name).items()
        }


def held_out_tables(trained_on: AnyTables) -> AnyTables:
    """Return the same environment's tables with the listeners of the test split.

    Raises:
        ValueError: if its own listeners are not those of the split ``"train"``: then nobody was
            held out from them.
    """
    split = trained_on.arguments["split"]
    if split != "train":
        raise ValueError(
            f"no listeners are held out from an environment of split {split!r}, so none of them "
            "can say how a policy serves those it never met: train with split='train'"
        )
    return AnyTables.build(**{**trained_on.arguments, "split": "test"})


def drawn_listeners(tables: AnyTables, count: int, *, seed: int) -> Listeners:
    """Return listeners of a population, none of them twice, all of them if it has no more.

    Two of them may prefer the same, as in the population; see `different_listeners`.

    Args:
        tables: with the population.
        count: how many.
        seed: draws them.
    """
    order = np.random.default_rng(seed).permutation(len(tables.population))
    return tables.population.listeners.take(order[:count])


def different_listeners(tables: AnyTables, naming_artist: int, *, seed: int) -> Listeners:
    """Return listeners of a population of whom no two prefer the same.

    They are drawn one after another, without those whose preference was drawn before, until so many
    name an artist; those drawn on the way who leave the artist open are among them.

    Args:
        tables: with the population.
        naming_artist: how many are to name an artist.
        seed: draws them.

    Raises:
        ValueError: the population has fewer different preferences that name an artist.
    """
    drawn = drawn_listeners(tables, len(tables.population), seed=seed)
    preferences = np.column_stack(list(drawn.arrays().values()))
    first = np.sort(np.unique(preferences, axis=0, return_index=True)[1])
    named = np.cumsum(drawn.artist[first] != OPEN)
    if naming_artist > named[-1]:
        raise ValueError(
            f"{naming_artist} different listeners who name an artist were asked for, the "
            f"population has {named[-1]}: ask for fewer, or take a larger population"
        )
    return drawn.take(first[: int(np.searchsorted(named, naming_artist)) + 1])


def scores_of(tables: AnyTables, listener: Listeners) -> Floats:
    """Return (n_tracks,) float64: the reward for *like* of every track, for one listener."""
    tracks = np.arange(tables.catalogue.n_tracks)[None]
    scores: Floats = tables.outcomes.scores(pair_kinds(tables.catalogue, tracks, listener))[0]
    return scores


def pair_policy(name: str, learner: Learner, tables: AnyTables) -> PairPolicy:
    """Return a learner's greedy policy: like where Q(like) > Q(dislike)."""
    every = np.arange(tables.catalogue.n_tracks)
    return PairPolicy(name, lambda listener: pair_values(learner, tables.encoded, listener, every))


def pair_baselines(tables: AnyTables, *, seed: int = 0) -> list[PairPolicy]:
    """Return what a learner has to beat, weakest first, the oracle last.

    - ``random``: a fair coin for each track, which also ranks.
    - ``always dislike``: tracks in random order.
    - ``genre only``: likes the preferred genre; nothing where that is left open.
    - ``oracle``: knows every score.
    """
    n_tracks = tables.catalogue.n_tracks
    generator = np.random.default_rng(seed)
    genres = tables.catalogue.genres
    every = np.arange(n_tracks)

    def genre_matches(listener: Listeners) -> Floats:
        return genres.held(every, listener.genre).astype(np.float64)

    return [
        PairPolicy("random", lambda _: generator.random(n_tracks) - 0.5),
        PairPolicy("always dislike", lambda _: np.zeros(n_tracks)),
        PairPolicy("genre only", genre_matches),
        PairPolicy("oracle", lambda listener: scores_of(tables, listener)),
    ]


def judge_policy(
    policy: PairPolicy, tables: AnyTables, listeners: Listeners, *, seed: int = 0
) -> Judged:
    """Judge a policy on every track of the catalogue, for each listener.

    Args:
        policy: to be judged.
        tables: with the catalogue.
        listeners: (n_listeners,).
        seed: draws the order of tracks of equal value.
    """
    generator = np.random.default_rng(seed)
    rows, seconds = [], []
    for i in range(len(listeners)):
        listener = listeners.take(slice(i, i + 1))
        started = time.perf_counter()
        values = policy.values(listener)
        top_k(values, TOP_K)
        seconds.append(time.perf_counter() - started)
        rows.append(pair_figures(scores_of(tables, listener), values, generator))
    return Judged(
        listeners.n_open,
        {name: np.array([row[name] for row in rows]) for name in FIGURES},
        1000 * float(np.median(seconds)),
    )


def pair_figures(
    scores: Floats, values: Floats, generator: np.random.Generator
) -> dict[str, float]:
    """Return `FIGURES` and more of one listener's tracks, see `music_env.metrics`."""
    ranking = top_k(values, TOP_K, generator=generator)
    return {**decision_figures(scores, values > 0), **ranking_figures(scores, ranking, TOP_K)}


def summary(judged: Judged, *, seed: int = 0) -> dict[str, dict[str, Any]]:
    """Return the mean of each figure over each group of listeners, with its interval.

    Args:
        judged: the figures of each listener.
        seed: of the bootstrap.

    Returns:
        Group -> ``listeners``, their number, and figure -> ``[mean, low, high]`` (nan where there
        are no listeners), ends of the 95 % bootstrap interval of the mean over listeners.
    """
    generator = np.random.default_rng(seed)
    found: dict[str, dict[str, Any]] = {}
    for group in GROUPS:
        figures = judged.group(group)
        found[group] = {"listeners": len(figures[FIGURES[0]])}
        for name, values in figures.items():
            known = values[np.isfinite(values)]
            if not len(known):
                found[group][name] = [float("nan")] * 3
                continue
            interval = bootstrap_interval(known, generator=generator, resamples=RESAMPLES)
            found[group][name] = [float(known.mean()), *interval]
    return found
