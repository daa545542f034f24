"""LinUCB and linear Thompson sampling, by mabwiser, behind Stable-Baselines3's interface."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from agents.bandits import ContextualBandit, checked_number


class LinearBandit(ContextualBandit):
    """Ridge regression of the reward for each action, by mabwiser, updated in batches.

    The features are those of `agents.bandit_features.CodesFeatures`: numbers, danceability bins,
    genres, artists. Each update inverts a matrix of n_features x n_features for each action, hence
    the batches, and `max_columns` for vocabularies of thousands. The first batch is judged at
    random.

    The defaults of `alpha` and `l2_lambda`: tuned by us, on a listener that no table quotes (the
    Deezer catalogue's default one, one seed, mean regret over 3,000 tracks; alpha 0.01, 0.1, 0.3, 1
    with l2_lambda 0.1 and 1). From alpha 0.1 on little depends on them; 0.3 and 0.1 were the best
    for LinUCB and within a fifteenth of the best for Thompson sampling.

    Args:
        env: see `ContextualBandit`.
        alpha: how much the uncertainty counts, at least 0.
        l2_lambda: of the ridge, above 0.
        batch_size: transitions from one update to the next.
        danceability_bins: see `ContextualBandit`. With 1,000 bins, which would meet any published
            danceability exactly, an update would take several times as long.
        max_columns: see `agents.bandit_features.CodesFeatures`.
        kwargs: further arguments of `ContextualBandit`.
    """

    _LIBRARIES: ClassVar[tuple[str, ...]] = ("mabwiser.mab",)
    hyperparameters: ClassVar[tuple[str, ...]] = (
        *ContextualBandit.hyperparameters,
        "alpha",
        "l2_lambda",
        "batch_size",
        "max_columns",
    )

    def __init__(
        self,
        env: Any = None,
        *,
        alpha: float = 0.3,
        l2_lambda: float = 0.1,
        batch_size: int = 64,
        danceability_bins: int | tuple[int, ...] | None = (20, 100),
        max_columns: int | None = 512,
        **kwargs: Any,
    ) -> None:
        self.alpha = checked_number("alpha", alpha, 0)
        self.l2_lambda = checked_number("l2_lambda", l2_lambda, 1e-12)
        self.batch_size = checked_number("batch_size", batch_size, 1)
        super().__init__(
            env, danceability_bins=danceability_bins, max_columns=max_columns, **kwargs
        )

    @abstractmethod
    def _learning_policy(self, policies: Any) -> Any:
        """Return the one of mabwiser's `LearningPolicy`."""

    @abstractmethod
    def _indices(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n, n_actions), of which the highest is chosen, once there is a fit."""

    def _reset_model(self, seed: int) -> None:
        from mabwiser.mab import MAB, LearningPolicy

        arms = list(range(self.n_actions))
        self._mab = MAB(arms, self._learning_policy(LearningPolicy), seed=seed)
        self._fitted = False
        self._pending: list[tuple[NDArray[Any], NDArray[np.int64], NDArray[Any]]] = []
        self._n_pending = 0

    @property
    def _regressions(self) -> list[Any]:
        # mabwiser has no public way to the regression's mean without its exploration.
        models = self._mab._imp.arm_to_model
        return [models[arm] for arm in self._mab.arms]

    def _estimates(self, observations: NDArray[np.float32]) -> NDArray[np.float64]:
        if not self._fitted:
            return np.zeros((len(observations), self.n_actions))
        weights = np.stack([regression.beta for regression in self._regressions], axis=1)
        estimates: NDArray[np.float64] = self.features.dense(observations) @ weights
        return estimates

    def _choose(self, observations: NDArray[np.float32]) -> tuple[NDArray[np.int64], Any]:
        if not self._fitted:
            return self._generator.integers(self.n_actions, size=len(observations)), None
        features = self.features.dense(observations)
        return self._indices(features).argmax(axis=1), features

    def _update(
        self,
        observations: NDArray[np.float32],
        actions: NDArray[np.int64],
        rewards: NDArray[np.floating[Any]],
        chosen: Any,
    ) -> None:
        features = self.features.dense(observations) if chosen is None else chosen
        self._pending.append((features, actions, rewards.astype(np.float64)))
        self._n_pending += len(actions)
        if self._n_pending < self.batch_size:
            return
        contexts, decisions, earned = (
            np.concatenate(part) for part in zip(*self._pending, strict=True)
        )
        self._pending, self._n_pending = [], 0
        self._mab.partial_fit(decisions, earned, contexts)
        self._fitted = True

    def update(
        self,
        observations: NDArray[np.float32],
        actions: NDArray[np.int64],
        rewards: NDArray[np.floating[Any]],
    ) -> None:
        """Learn from (n,) transitions that did not come from the learner's own environment."""
        self._update(observations, actions, rewards, None)

    # --- Files ------------------------------------------------------------------------------------

    def _get_tensors(self) -> dict[str, NDArray[Any]]:
        tensors: dict[str, NDArray[Any]] = {}
        if self._fitted:
            for name in ("A", "A_inv", "Xty", "beta"):
                values = [getattr(regression, name) for regression in self._regressions]
                tensors[name] = np.stack(values)
        if self._pending:
            parts = zip(*self._pending, strict=True)
            names = ("pending_features", "pending_actions", "pending_rewards")
            tensors.update({name: np.concatenate(p) for name, p in zip(names, parts, strict=True)})
        return tensors

    def _set_tensors(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        n_actions, d = self.n_actions, self.features.n_features
        if "A" in tensors:
            # mabwiser counts as fitted what has seen a batch: one that is empty of information.
            self._mab.fit([0], [0.0], np.zeros((1, d)))
            shapes = {"A": (d, d), "A_inv": (d, d), "Xty": (d,), "beta": (d,)}
            for name, shape in shapes.items():
                _check_array(name, tensors[name], (n_actions, *shape), "f")
                for regression, values in zip(self._regressions, tensors[name], strict=True):
                    setattr(regression, name, values.copy())
            self._fitted = True
        if "pending_actions" in tensors:
            n = len(tensors["pending_actions"])
            pending = []
            for name, shape, kind in (
                ("features", (n, d), "f"),
                ("actions", (n,), "i"),
                ("rewards", (n,), "f"),
            ):
                pending.append(tensors[f"pending_{name}"])
                _check_array(f"pending_{name}", pending[-1], shape, kind)
            self._pending, self._n_pending = [tuple(pending)], n  # type: ignore[list-item]


class LinUCB(LinearBandit):
    """LinUCB with disjoint linear models (Li, Chu, Langford & Schapire 2010, algorithm 1).

    The action of the highest upper confidence bound, ``x b + alpha sqrt(x A^-1 x)``. See
    `LinearBandit` for the arguments.
    """

    def _learning_policy(self, policies: Any) -> Any:
        return policies.LinUCB(alpha=self.alpha, l2_lambda=self.l2_lambda)

    def upper_bounds(self, observations: NDArray[np.float32], action: int) -> NDArray[np.float64]:
        """Return (n,) float64: an action's ``x b + alpha sqrt(x A^-1 x)`` in n observations.

        By these the action is chosen; here for all observations of a catalogue at once, to choose
        which track to show, and not only what to say of one. All 0 before the first batch.
        """
        if not self._fitted:
            return np.zeros(len(observations))
        features, regression = self.features.dense(observations), self._regressions[action]
        variance = np.einsum("nd,nd->n", features @ regression.A_inv, features)
        bounds = features @ regression.beta + self.alpha * np.sqrt(np.maximum(variance, 0))
        return np.asarray(bounds)

    def _indices(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        bounds = self._mab.predict_expectations(features)
        rows = [bounds] if isinstance(bounds, dict) else bounds  # of one row: no list
        return np.array([[row[arm] for arm in self._mab.arms] for row in rows])


class LinearThompson(LinearBandit):
    """Linear Thompson sampling (Agrawal & Goyal 2013, algorithm 1), disjoint models.

    For each track and action mabwiser draws weights from ``N(b, alpha^2 A^-1)`` and takes the
    action of the highest ``x w``. Here ``x w`` itself is drawn, from ``N(x b, alpha^2 x A^-1 x)``:
    the same distribution for each track's decision, without the decomposition of a matrix for each
    track and action. See `LinearBandit` for the
    arguments.
    """

    def _learning_policy(self, policies: Any) -> Any:
        return policies.LinTS(alpha=self.alpha, l2_lambda=self.l2_lambda)

    def _indices(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        draws = self._generator.standard_normal((len(features), self.n_actions))
        for arm, regression in enumerate(self._regressions):
            variance = np.einsum("nd,nd->n", features @ regression.A_inv, features)
            deviation = self.alpha * np.sqrt(np.maximum(variance, 0))
            draws[:, arm] = features @ regression.beta + deviation * draws[:, arm]
        return draws


def _check_array(name: str, array: NDArray[Any], shape: tuple[int, ...], kind: str) -> None:
    if array.shape != shape or array.dtype.kind != kind:
        raise ValueError(f"{name} must be of shape {shape}, got {array.dtype} of {array.shape}")
