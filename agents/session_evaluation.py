"""How good policies are in MusicRecSession-v0 and MusicRecSlate-v0: returns, planning gain, plays.

Every policy plays the same sessions, so that what one earns more than another is not the luck of
the tracks drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from agents.planning import (
    Gain,
    MyopicOracle,
    NoPlanningGainError,
    Planner,
    Policy,
    planning_gain,
)
from agents.session_baselines import AlwaysLike, BestFresh, FirstCandidate, RandomPolicy
from music_env.affected_setup import AffectedSetup
from music_env.diversity import session_diversity
from music_env.metrics import bootstrap_interval
from music_env.slate_setup import SlateSetup

Floats = NDArray[np.float64]

EVALUATION_SEED = 2**32
"""Of the first session that policies are judged on: above the seeds that a run may have, so that
none was trained on."""

RESAMPLES = 2_000
"""Of each bootstrap over sessions."""

RANDOM, ALWAYS_LIKE, MYOPIC, PLANNER = "random", "always like", "myopic oracle", "planner"
FIRST, BEST_FRESH = "first candidate", "best fresh"


@dataclass(frozen=True, eq=False)
class Played:
    """What came of some sessions.

    Attributes:
        returns: (n_sessions,) float64.
        lengths: (n_sessions,) int64, in steps.
        tracks: of each session the catalogue indices of the tracks played, in their order.
    """

    returns: Floats
    lengths: NDArray[np.int64]
    tracks: list[NDArray[np.int64]]


def evaluation_env(setup: AffectedSetup, sessions: int, **changes: Any) -> Any:
    """Return a vector environment of the same listener, a session in each.

    Args:
        setup: of the environment that a learner was trained in.
        sessions: how many.
        changes: arguments in place of the set-up's.
    """
    arguments = {**setup.arguments, "catalogue": setup.catalogue, **changes}
    return gym.make_vec(
        setup.env_id,
        num_envs=sessions,
        vectorization_mode="vector_entry_point",
        autoreset_mode="NextStep",
        **arguments,
    )


def reference_env(setup: AffectedSetup, sessions: int) -> Any:
    """Return `evaluation_env` for policies that do not look at what is observed."""
    # The encoding that costs least.
    encoding = "summary" if isinstance(setup, SlateSetup) else "grid"
    return evaluation_env(
        setup, sessions, encoding=encoding, encoding_options=None, observe_state=True
    )


def reference_policies(env: Any, *, seed: int = 0) -> dict[str, Policy]:
    """Return what a learner is measured against, weakest first.

    Args:
        env: from `reference_env`.
        seed: of the random policy.

    Returns:
        Name -> policy: random actions; every track, or of a slate the first candidate and the one
        that is enjoyed most fresh; `MyopicOracle` and `Planner`.
    """
    simple: dict[str, Policy] = {ALWAYS_LIKE: AlwaysLike(env.num_envs)}
    if isinstance(env.unwrapped.tables, SlateSetup):
        simple = {FIRST: FirstCandidate(env), BEST_FRESH: BestFresh(env)}
    n_actions = int(env.single_action_space.n)
    return {
        RANDOM: RandomPolicy(env.num_envs, seed=seed, n_actions=n_actions),
        **simple,
        MYOPIC: MyopicOracle(env),
        PLANNER: Planner(env),
    }


def play_sessions(policy: Policy, env: Any, *, seed: int = 0) -> Played:
    """Play one session in each environment.

    Args:
        policy: made for ``env``, or a learner of its observations.
        env: from `evaluation_env`.
        seed: environment i shows the first session of ``EVALUATION_SEED + seed + i``.
    """
    observations, _ = env.reset(seed=EVALUATION_SEED + seed)
    running = np.ones(env.num_envs, dtype=np.bool_)
    returns, lengths = np.zeros(env.num_envs), np.zeros(env.num_envs, dtype=np.int64)
    sessions, tracks = [], []
    while running.any():
        actions, _ = policy.predict(observations, deterministic=True)
        observations, rewards, terminated, truncated, info = env.step(actions)
        returns += np.where(running, rewards, 0.0)
        lengths += running
        # Of a slate, track_index is -1 where a masked candidate was chosen, which plays nothing.
        shown = info["track_index"]
        played = np.flatnonzero(running & (np.asarray(actions) > 0) & (shown >= 0))
        sessions.append(played)
        tracks.append(shown[played])
        running &= ~(terminated | truncated)
    of_session, in_order = np.concatenate(sessions), np.concatenate(tracks).astype(np.int64)
    order = np.argsort(of_session, kind="stable")
    counts = np.bincount(of_session, minlength=env.num_envs)
    return Played(returns, lengths, np.split(in_order[order], counts.cumsum()[:-1]))


def gain_of(
    returns: Floats, myopic: Floats, planner: Floats, *, generator: np.random.Generator
) -> Gain | None:
    """Return the planning gain with its interval; None where there is none to be had.

    That is where the 95 % bootstrap interval of what the planner earns more than the myopic oracle
    reaches down to 0, or any of the resamples does: a ratio to it would mean nothing.

    Args:
        returns: (n,) of the policy, in the same n sessions as the others'.
        myopic: (n,) of the myopic oracle.
        planner: (n,) of the planner.
        generator: for the bootstrap over sessions.
    """
    low, _ = bootstrap_interval(planner - myopic, generator=generator, resamples=RESAMPLES)
    if low <= 0:
        return None
    try:
        return planning_gain(returns, myopic, planner, generator=generator, resamples=RESAMPLES)
    except NoPlanningGainError:
        return None


def return_figures(
    played: Played, myopic: Played, planner: Played, *, seed: int = 0
) -> dict[str, float]:
    """Return what a policy earns, and its planning gain.

    Args:
        played: of the policy, in the same sessions as the others.
        myopic: of the myopic oracle.
        planner: of the planner.
        seed: of the bootstrap.

    Returns:
        ``mean_return``, ``planning_gain`` and, with ``_low`` and ``_high``, the ends of their 95 %
        bootstrap intervals over sessions; the gain is ``nan`` where there is none to be had.
    """
    generator = np.random.default_rng(seed)
    low, high = bootstrap_interval(played.returns, generator=generator, resamples=RESAMPLES)
    gain = gain_of(played.returns, myopic.returns, planner.returns, generator=generator)
    none = float("nan")
    return {
        "mean_return": float(played.returns.mean()),
        "mean_return_low": low,
        "mean_return_high": high,
        "planning_gain": none if gain is None else gain.gain,
        "planning_gain_low": none if gain is None else gain.low,
        "planning_gain_high": none if gain is None else gain.high,
    }


def diversity_figures(played: Played, setup: AffectedSetup) -> dict[str, float]:
    """Return `music_env.diversity.Diversity` of what was played, by name, and plays a session.

    Coverage is of the pool, the tracks that the sessions show.
    """
    found = session_diversity(setup.catalogue, played.tracks, played.lengths, candidates=setup.pool)
    plays = float(np.mean([len(tracks) for tracks in played.tracks]))
    figures: Mapping[str, float] = asdict(found)
    return {**figures, "plays": plays}
