"""Policies that know the listener of a session: a planner, and the myopic oracle.

They are for MusicRecSession-v0 and for MusicRecSlate-v0, of which it is the case of one candidate.
Both read the simulator's state, which learners must not; they are what learners are measured
against (`planning_gain`). numpy only.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from agents.pool_models import label_shares, main_model, own_model
from agents.session_bounds import session_bound
from agents.session_model import LEVELS, PATIENCES, Solution, optimum
from music_env.affected import AffectedEnv
from music_env.affected_setup import AffectedSetup, Offers
from music_env.affected_vector import AffectedVectorEnv

Floats = NDArray[np.float64]
SessionEnvs = AffectedEnv | AffectedVectorEnv

_FEW = 0.01
"""Genres with less than this share of the tracks are planned for as if they never came again."""


class Policy(Protocol):
    """What chooses actions, with the interface of Stable-Baselines3's models."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], Any]:
        """Return actions for a batch of observations, and the policy's state."""


class KnowingPolicy:
    """A policy that reads the state of the environment that it was made for."""

    def __init__(self, env: Any) -> None:
        """Make a policy for an environment.

        Args:
            env: MusicRecSession-v0 or MusicRecSlate-v0, scalar or vector, wrapped or not.

        Raises:
            TypeError: for another environment.
        """
        self._env: SessionEnvs = _session_env(env)
        self._tables: AffectedSetup = self._env.tables

    def predict(
        self,
        observation: Any = None,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = True,
    ) -> tuple[NDArray[Any], None]:
        """Return the actions for what the environment shows now; the arguments are not looked at.

        Returns:
            0 for passing, or the number of the track to play, from 1: (num_envs,) int64, or () for
            a scalar environment; and None.

        Raises:
            gymnasium.error.ResetNeeded: before the first ``reset`` of the environment.
        """
        offers = self._env.offers()
        worths = np.where(offers.available, self._worths(offers), -np.inf)
        best = worths.argmax(axis=1)
        actions = np.where(worths[np.arange(len(best)), best] > 0, best + 1, 0)
        return actions.reshape(()) if isinstance(self._env, gym.Env) else actions, None

    def _worths(self, offers: Offers) -> Floats:
        """Return (n, n_offered) float64: what playing each track is worth more than passing."""
        raise NotImplementedError


class MyopicOracle(KnowingPolicy):
    """Knows the listener perfectly, and maximises the next reward only.

    It plays what would be enjoyed most now, satiation included, if that is above 0: the greedy
    policy to which a bandit that has learnt all there is to learn comes in the end.
    """

    def _worths(self, offers: Offers) -> Floats:
        return offers.state.enjoyment


class Planner(KnowingPolicy):
    """Plans by dynamic programming on a reduced state: its return is a lower bound on the optimum.

    The state is the satiation of the most frequent genre, and the patience. The tracks to come are
    taken to be drawn from the pool with replacement, in classes of equal size; those of other
    genres to be fresh. What playing one of them costs its own genre later is added, from a model of
    that genre without patience. So the plan is exact, but for classes, grid and replacement, in two
    cases: there is one genre; or there is no patience, and every track has one genre (genres then
    do not affect each other). Otherwise it is an approximation. Genres with less than 1 % of the
    tracks are planned for as if they never came again. Of a slate it plays the candidate that is
    worth most more than none; the model of a genre then leaves out that others want to be played in
    the same steps, and that what was played is masked.

    What it earns in the environment is a lower bound on the optimum, whatever the approximation;
    `upper_bound` has an upper one.

    Args:
        env: MusicRecSession-v0 or MusicRecSlate-v0, scalar or vector, wrapped or not.
        classes: of enjoyment, for each genre, at most.
        levels: cells of the grid of satiation.
        patiences: cells of the grid of patience.

    Raises:
        TypeError: for another environment.
    """

    def __init__(
        self,
        env: Any,
        *,
        classes: int = 24,
        levels: int = LEVELS // 2,
        patiences: int = PATIENCES // 2,
    ) -> None:
        super().__init__(env)
        setup = self._tables
        solve = functools.partial(optimum, levels=levels, patiences=patiences)
        shares = label_shares(setup)
        main = int(np.argmax(shares)) if len(shares) else -1
        self._main = main
        self._plan = solve(main_model(setup, main, classes))
        others = np.flatnonzero(shares >= _FEW).tolist() if setup.effects.satiation else []
        self._others: dict[int, Solution] = {
            label: solve(own_model(setup, label, classes)) for label in others if label != main
        }

    def _worths(self, offers: Offers) -> Floats:
        setup, effects, state = self._tables, self._tables.effects, offers.state
        has_main = (setup.slots[offers.tracks] == self._main).any(axis=2)
        level = np.zeros(len(offers.steps))
        if self._main >= 0:
            level = state.levels[:, self._main]
        worths = np.empty(offers.tracks.shape)
        for step in np.unique(offers.steps).tolist():
            now = np.flatnonzero(offers.steps == step)
            enjoyed, patience = state.enjoyment[now], state.patience[now]
            after_play = effects.patience_after_play(patience[:, None], enjoyed)
            after_pass = effects.patience_after_pass(patience)
            raised = effects.recovered(level[now, None] + has_main[now])
            fallen = effects.recovered(level[now])
            passed = self._stays(after_pass) * self._plan.at(step + 1, fallen, after_pass)
            played = self._stays(after_play) * self._plan.at(step + 1, raised, after_play)
            worths[now] = enjoyed + played - passed[:, None]
            for label, own in self._others.items():
                has = (setup.slots[offers.tracks[now]] == label).any(axis=2)
                rows, places = np.nonzero(has)
                levels = state.levels[now[rows], label]
                worths[now[rows], places] += own.at(step + 1, effects.recovered(levels + 1.0))
                worths[now[rows], places] -= own.at(step + 1, effects.recovered(levels))
        return worths

    def _stays(self, patience: Floats) -> Floats:
        effects = self._tables.effects
        return 1.0 - effects.leaves(patience) if effects.patience else np.ones(patience.shape)


def upper_bound(env: Any, *, classes: int = 500, levels: int = LEVELS // 2) -> float:
    """Return an upper bound on the mean return of any policy, by relaxation.

    The smaller one of two: a listener who never leaves (whom one can pass over to the end of the
    session, so that leaving never helps), and one whom nothing satiates. Both are solved by
    dynamic programming; tracks are grouped by the greatest enjoyment in a class, and neither grid's
    values are below those between its points, so that neither spoils the bound.

    MusicRecSession-v0 shows no track twice: who remembers what was shown knows something of what is
    to come. An upper bound on what that is worth is added (`agents.session_bounds`): a mean over
    drawn orders of the tracks, taken three standard errors too high. In MusicRecSlate-v0 every
    genre may play a track in the same step, and those played may be played again: both can only
    raise it.

    Args:
        env: MusicRecSession-v0 or MusicRecSlate-v0, scalar or vector, wrapped or not.
        classes: of enjoyment, for each genre, at most.
        levels: cells of the grid of satiation.

    Raises:
        TypeError: for another environment.
    """
    return session_bound(_session_env(env).tables, classes=classes, levels=levels)


@dataclass(frozen=True)
class Gain:
    """What a policy makes of what planning is worth.

    Attributes:
        gain: (J - J_myopic) / (J_planner - J_myopic), over the means of paired sessions.
        low: lower end of its 95 % bootstrap interval.
        high: upper end.
    """

    gain: float
    low: float
    high: float


class NoPlanningGainError(ValueError):
    """The planner earns no more than the myopic oracle that the sessions could show."""


def planning_gain(
    returns: Floats,
    myopic: Floats,
    planner: Floats,
    *,
    generator: np.random.Generator,
    resamples: int = 2000,
) -> Gain:
    """Return the planning gain: 0 for the myopic oracle, 1 for the planner.

    Args:
        returns: (n,) of the policy, in the same n sessions as the others'.
        myopic: (n,) of the myopic oracle.
        planner: (n,) of the planner.
        generator: for the bootstrap over sessions.
        resamples: of the bootstrap.

    Raises:
        ValueError: the arrays differ in shape.
        NoPlanningGainError: the planner earns no more than the myopic oracle, or does not in one of
            the resamples: a ratio to what it earns more would mean nothing.
    """
    if not returns.shape == myopic.shape == planner.shape or returns.ndim != 1:
        raise ValueError(
            "the returns must be of the same sessions, got shapes "
            f"{returns.shape}, {myopic.shape} and {planner.shape}"
        )
    stacked = np.stack([returns - myopic, planner - myopic])
    above, span = stacked.mean(axis=1)
    if span <= 0:
        raise NoPlanningGainError(
            f"the planner earns {span:g} more than the myopic oracle: there is no planning gain"
        )
    drawn = generator.integers(len(returns), size=(resamples, len(returns)))
    tops, spans = stacked[:, drawn].mean(axis=2)
    if spans.min() <= 0:
        raise NoPlanningGainError(
            f"the planner earns {span:g} more than the myopic oracle, which may be the luck of "
            f"{len(returns)} sessions: there is no planning gain to be told; take more sessions"
        )
    low, high = np.quantile(tops / spans, [0.025, 0.975])
    return Gain(float(above / span), float(low), float(high))


def session_returns(policy: Policy, env: Any, *, seed: int) -> Floats:
    """Return what a policy earns in one session of each environment, (num_envs,) float64.

    Args:
        policy: a planner made for ``env``, or a learner.
        env: a vector environment, with autoreset ``NEXT_STEP`` or ``SAME_STEP``.
        seed: environment i shows the first session of ``seed + i``.
    """
    observations, _ = env.reset(seed=seed)
    running, returns = np.ones(env.num_envs, dtype=np.bool_), np.zeros(env.num_envs)
    while running.any():
        actions, _ = policy.predict(observations, deterministic=True)
        observations, rewards, terminated, truncated, _ = env.step(actions)
        returns += np.where(running, rewards, 0.0)
        running &= ~(terminated | truncated)
    return returns


def _session_env(env: Any) -> SessionEnvs:
    inside = getattr(env, "unwrapped", env)
    if not isinstance(inside, AffectedEnv | AffectedVectorEnv):
        raise TypeError(
            f"a planner needs MusicRecSession-v0 or MusicRecSlate-v0, scalar or vector, got {env!r}"
        )
    return inside
