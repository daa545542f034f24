"""Logistic regression on the tracks judged so far, behind Stable-Baselines3's interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from agents.bandits import ContextualBandit, checked_number
from agents.extractors import DANCEABILITY_BINS

_GROWTH = 1.1
"""Fitted anew whenever the data have grown by a tenth: all fits together cost some ten of the
last one, and no decision rests on much fewer tracks than were judged."""

_MAX_ITERATIONS = 1_000
"""Of L-BFGS; some dozens are used."""


class OnlineLogisticRegression(ContextualBandit):
    """For each action a logistic regression of whether its reward is above 0; epsilon-greedy.

    Transitions of an action are weighted with ``|reward|``, so that with the fitted probability p
    the reward's estimate is ``(2 p - 1) mean(|reward|)``: a reward of +3 outweighs two of -1. An
    action's model sees that action's transitions only. Each is fitted to convergence
    (scikit-learn's `LogisticRegression`, L-BFGS) whenever a tenth more transitions are there: the
    same number of judged tracks teaches it more than stochastic steps would. The first
    `first_fit` tracks are judged at random.

    The features are those of `agents.bandit_features.CodesFeatures`, with danceability in the bins
    that the dueling DQN sees.

    Args:
        env: see `ContextualBandit`.
        inverse_l2: scikit-learn's ``C``, above 0. Default: tuned by us like `LinearBandit`'s, among
            1, 10 and 100.
        epsilon: probability of a random action, in [0, 1]; always.
        first_fit: transitions before the first fit.
        danceability_bins: see `ContextualBandit`.
        kwargs: further arguments of `ContextualBandit`.
    """

    _LIBRARIES: ClassVar[tuple[str, ...]] = ("sklearn.linear_model",)
    hyperparameters: ClassVar[tuple[str, ...]] = (
        *ContextualBandit.hyperparameters,
        "inverse_l2",
        "epsilon",
        "first_fit",
    )

    def __init__(
        self,
        env: Any = None,
        *,
        inverse_l2: float = 10.0,
        epsilon: float = 0.1,
        first_fit: int = 32,
        danceability_bins: int | tuple[int, ...] | None = DANCEABILITY_BINS,
        **kwargs: Any,
    ) -> None:
        self.inverse_l2 = checked_number("inverse_l2", inverse_l2, 1e-12)
        self.epsilon = checked_number("epsilon", epsilon, 0, 1)
        self.first_fit = checked_number("first_fit", first_fit, 1)
        super().__init__(env, danceability_bins=danceability_bins, **kwargs)

    def _reset_model(self, seed: int) -> None:
        width = self.features.n_features
        self._weights = np.zeros((self.n_actions, width))
        self._intercepts = np.zeros(self.n_actions)
        self._scales = np.zeros(self.n_actions)  # mean |reward|
        self._seen: list[tuple[NDArray[Any], NDArray[np.int64], NDArray[Any]]] = []
        self._n_seen, self._next_fit = 0, self.first_fit

    def _estimates(self, observations: NDArray[np.float32]) -> NDArray[np.float64]:
        logits = self.features.sparse(observations) @ self._weights.T + self._intercepts
        estimates: NDArray[np.float64] = np.tanh(logits / 2) * self._scales  # 2 p - 1
        return estimates

    def _choose(self, observations: NDArray[np.float32]) -> tuple[NDArray[np.int64], Any]:
        epsilon = self.epsilon if self._n_seen >= self.first_fit else 1.0
        return self._epsilon_greedy(self._estimates(observations), epsilon), None

    def _update(
        self,
        observations: NDArray[np.float32],
        actions: NDArray[np.int64],
        rewards: NDArray[np.floating[Any]],
        chosen: Any,
    ) -> None:
        self._seen.append((observations, actions, rewards.astype(np.float64)))
        self._n_seen += len(actions)
        if self._n_seen >= self._next_fit:
            self._fit()
            self._next_fit = max(self._n_seen + 1, int(self._n_seen * _GROWTH))

    def _fit(self) -> None:
        observations, actions, rewards = self._joined()
        for action in range(self.n_actions):
            own = (actions == action) & (rewards != 0)
            if own.any():
                self._fit_action(action, observations[own], rewards[own])

    def _fit_action(
        self, action: int, observations: NDArray[np.float32], rewards: NDArray[np.float64]
    ) -> None:
        from sklearn.linear_model import LogisticRegression

        self._scales[action] = np.abs(rewards).mean()
        if (rewards > 0).all() or (rewards < 0).all():
            # No two classes to tell apart: log-odds of Laplace's rule of succession.
            self._weights[action] = 0
            self._intercepts[action] = np.sign(rewards[0]) * np.log(len(rewards) + 1)
            return
        model = LogisticRegression(C=self.inverse_l2, max_iter=_MAX_ITERATIONS, warm_start=True)
        # Where the last fit ended: it takes fewer iterations from there.
        model.coef_, model.intercept_ = self._weights[[action]], self._intercepts[[action]]
        model.fit(self.features.sparse(observations), rewards > 0, np.abs(rewards))
        self._weights[action], self._intercepts[action] = model.coef_[0], model.intercept_[0]

    def _joined(self) -> tuple[NDArray[Any], ...]:
        """Return all transitions: observations, actions from 0, rewards."""
        if len(self._seen) > 1:
            joined = tuple(np.concatenate(part) for part in zip(*self._seen, strict=True))
            self._seen = [joined]  # type: ignore[list-item]
        return self._seen[0]

    # --- Files ------------------------------------------------------------------------------------

    def _get_tensors(self) -> dict[str, NDArray[Any]]:
        tensors: dict[str, NDArray[Any]] = {
            "weights": self._weights,
            "intercepts": self._intercepts,
            "scales": self._scales,
            "next_fit": np.array(self._next_fit),
        }
        if self._seen:
            names = ("observations", "actions", "rewards")
            tensors.update(zip(names, self._joined(), strict=True))
        return tensors

    def _set_tensors(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        for name in ("weights", "intercepts", "scales"):
            own: NDArray[Any] = getattr(self, f"_{name}")
            if tensors[name].shape != own.shape:
                raise ValueError(f"{name} must be of shape {own.shape}, got {tensors[name].shape}")
            own[...] = tensors[name]
        self._next_fit = int(tensors["next_fit"])
        if "actions" in tensors:
            seen = tuple(tensors[name] for name in ("observations", "actions", "rewards"))
            if not len(seen[0]) == len(seen[1]) == len(seen[2]):
                raise ValueError(f"{[len(part) for part in seen]} observations, actions, rewards")
            self._seen, self._n_seen = [seen], len(seen[1])  # type: ignore[list-item]
