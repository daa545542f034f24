"""Exact optima of small environments, from their transition table ``env.unwrapped.P``."""

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Model:
    """A finite Markov decision process.

    Attributes:
        transitions: (n_states, n_actions, n_states), probability to arrive and go on; a row lacks
            the probability of ending.
        rewards: (n_states, n_actions), expected.
        start: (n_states,), probability to start there.
    """

    transitions: NDArray[np.float64]
    rewards: NDArray[np.float64]
    start: NDArray[np.float64]

    @classmethod
    def of(cls, env: gym.Env[Any, Any]) -> "Model":
        """Return the model of a toy-text environment, time limit aside."""
        base: Any = env.unwrapped
        n_states, n_actions = int(base.observation_space.n), int(base.action_space.n)
        transitions = np.zeros((n_states, n_actions, n_states))
        rewards = np.zeros((n_states, n_actions))
        for state, by_action in base.P.items():
            for action, outcomes in by_action.items():
                for probability, next_state, reward, terminated in outcomes:
                    rewards[state, action] += probability * reward
                    transitions[state, action, next_state] += probability * (not terminated)
        start = np.asarray(base.initial_state_distrib, dtype=np.float64)
        return cls(transitions, rewards, start / start.sum())

    def action_values(self, values: NDArray[np.float64], gamma: float) -> NDArray[np.float64]:
        """Return the values of the actions, (n_states, n_actions), given those of the states."""
        return self.rewards + gamma * self.transitions @ values

    def optimal_values(self, gamma: float, tolerance: float = 1e-10) -> NDArray[np.float64]:
        """Return the best policy's values, (n_states,): value iteration, then exact evaluation."""
        values = np.zeros(len(self.start))
        while True:
            action_values = self.action_values(values, gamma)
            change = np.abs(action_values.max(axis=1) - values).max()
            values = action_values.max(axis=1)
            if change < tolerance:
                return self.policy_values(action_values.argmax(axis=1), gamma)

    def policy_values(self, actions: NDArray[np.int64], gamma: float) -> NDArray[np.float64]:
        """Return a deterministic policy's values, (n_states,), by solving its linear equations."""
        states = np.arange(len(self.start))
        chain = self.transitions[states, actions]
        equations = np.eye(len(states)) - gamma * chain
        return np.linalg.solve(equations, self.rewards[states, actions])
