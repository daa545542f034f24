"""Vowpal Wabbit's contextual bandit behind the interface of Stable-Baselines3."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from agents.bandits import ContextualBandit, checked_number
from agents.extractors import DANCEABILITY_BINS

ARGUMENTS = "--cb_adf --cb_type mtr --interactions :: --noconstant"
"""The model behind ``--cb_explore 2 --interactions ::``, which version 9 rewrites to this kind (its
saved models say so); in this form it also tells the cost that it predicts for each action."""

_VOCABULARIES = "ab"
"""Namespaces are told apart by their first letter; ``codes`` has two vocabularies at most."""

_MAX_KNOWN = 50_000
"""Observations whose texts are kept [some 300 bytes each]: writing takes as long as learning."""


class VowpalWabbit(ContextualBandit):
    """Vowpal Wabbit's contextual bandit: online regression of the cost, epsilon-greedy.

    Multi-task regression (Bietti, Agarwal & Langford 2021, "A contextual bandit bake-off") on an
    action's artists, genres, danceability, and all products of two of these features; adaptive
    normalised steps, one example at a time. With several environments, all choose before the first
    is learnt from. Of the numbers of an observation only danceability is used. The cost is the
    negative of the reward.

    Saved models hold Vowpal Wabbit's own format; `load` refuses one whose command line is not ours.

    Args:
        env: see `ContextualBandit`.
        epsilon: probability of a random action, in [0, 1]; always.
        danceability_bins: see `ContextualBandit`; None gives the plain number, which cannot say
            that a middle range is preferred. Default: the bins that the dueling DQN sees, coarse
            ones to learn from few tracks, fine ones to meet the range's ends. With 100 alone the
            tracks exactly at an upper end share a bin with those just above it.
        kwargs: further arguments of `ContextualBandit`.
    """

    _LIBRARIES: ClassVar[tuple[str, ...]] = ("vowpalwabbit",)
    hyperparameters: ClassVar[tuple[str, ...]] = (*ContextualBandit.hyperparameters, "epsilon")

    def __init__(
        self,
        env: Any = None,
        *,
        epsilon: float = 0.1,
        danceability_bins: int | tuple[int, ...] | None = DANCEABILITY_BINS,
        **kwargs: Any,
    ) -> None:
        self.epsilon = checked_number("epsilon", epsilon, 0, 1)
        super().__init__(env, danceability_bins=danceability_bins, **kwargs)

    def _reset_model(self, seed: int) -> None:
        self._vw_seed = seed
        self._workspace = self._new_workspace()
        self._known_texts: dict[bytes, list[str]] = {}

    def _new_workspace(self, *more: str) -> Any:
        from vowpalwabbit import Workspace

        return Workspace(
            arg_list=[*ARGUMENTS.split(), "--quiet", "--random_seed", str(self._vw_seed), *more]
        )

    # --- Examples ---------------------------------------------------------------------------------

    def _texts(self, observations: NDArray[np.float32]) -> list[list[str]]:
        """Return each observation in Vowpal Wabbit's format, a line for each action."""
        known = self._known_texts
        keys = [row.tobytes() for row in observations]
        new = [i for i, key in enumerate(keys) if key not in known]
        if new:
            if len(known) + len(new) > _MAX_KNOWN:
                known = self._known_texts = {}
                new = list(range(len(keys)))
            texts = self._new_texts(observations[new])
            known.update(zip((keys[i] for i in new), texts, strict=True))
        return [known[key] for key in keys]

    def _new_texts(self, observations: NDArray[np.float32]) -> list[list[str]]:
        """Write the observations; every feature's name begins with its action.

        So the actions share no weight.
        """
        features = self.features
        if len(features.bins):
            bins = features.danceability_bins(observations).tolist()
            # Each kind of bins has a letter: A3 is not B3.
            danceability = [
                [f"{chr(65 + kind)}{place}" for kind, place in enumerate(row)] for row in bins
            ]
        else:
            danceability = [[f"x:{value}"] for value in observations[:, 0].tolist()]
        texts = []
        for seen, vocabularies in zip(danceability, features.labels(observations), strict=True):
            parts = [("k", [""]), ("d", seen)]
            for name, codes in zip(
                _VOCABULARIES, vocabularies, strict=False
            ):  # there may be one only
                parts.append((name, [f"c{code}" for code in codes]))
            texts.append([self._line(action, parts) for action in range(self.n_actions)])
        return texts

    @staticmethod
    def _line(action: int, parts: list[tuple[str, list[str]]]) -> str:
        # A letter in front: names that are numbers are not hashed and would collide.
        return " ".join(
            f"|{name} " + " ".join([f"a{action}{word}" for word in words]) for name, words in parts
        )

    # --- Acting and learning ----------------------------------------------------------------------

    def _estimates(self, observations: NDArray[np.float32]) -> NDArray[np.float64]:
        predict = self._workspace.predict
        costs = [predict(lines) for lines in self._texts(observations)]
        return -np.array(costs, dtype=np.float64).reshape(len(observations), self.n_actions)

    def _choose(self, observations: NDArray[np.float32]) -> tuple[NDArray[np.int64], Any]:
        workspace, n_actions, chosen = self._workspace, self.n_actions, []
        actions = np.empty(len(observations), dtype=np.int64)
        coins = self._generator.random(len(observations)).tolist()
        for i, (lines, coin) in enumerate(zip(self._texts(observations), coins, strict=True)):
            examples = workspace.parse(lines)
            costs = workspace.predict(examples)
            least = min(costs)
            share = (1 - self.epsilon) / costs.count(least)  # of each best action
            probabilities = [
                self.epsilon / n_actions + (share if cost == least else 0.0) for cost in costs
            ]
            action = 0
            while action < n_actions - 1 and coin >= probabilities[action]:
                coin -= probabilities[action]
                action += 1
            actions[i] = action
            chosen.append((examples, probabilities[action]))
        return actions, chosen

    def _update(
        self,
        observations: NDArray[np.float32],
        actions: NDArray[np.int64],
        rewards: NDArray[np.floating[Any]],
        chosen: Any,
    ) -> None:
        workspace = self._workspace
        for (examples, probability), action, reward in zip(
            chosen, actions.tolist(), rewards.tolist(), strict=True
        ):
            examples[action].set_label_string(f"{action}:{-reward}:{probability}")
            workspace.learn(examples)
            workspace.finish_example(examples)

    def _forget(self, chosen: Any) -> None:
        for examples, _ in chosen:
            self._workspace.finish_example(examples)

    # --- Files ------------------------------------------------------------------------------------

    def _get_tensors(self) -> dict[str, NDArray[Any]]:
        with tempfile.TemporaryDirectory() as folder:
            content = _saved(self._workspace, Path(folder))
        return {
            "vowpal_wabbit": np.frombuffer(content, dtype=np.uint8),
            "vowpal_wabbit_seed": np.array(self._vw_seed),
        }

    def _set_tensors(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        content = tensors["vowpal_wabbit"].astype(np.uint8).tobytes()
        self._vw_seed = int(tensors["vowpal_wabbit_seed"])
        with tempfile.TemporaryDirectory() as folder:
            # A model's header holds command-line arguments, which may name files to write. Those
            # of a stranger must be ours, and the version too: it decides how the rest is read.
            own = _saved(self._new_workspace(), Path(folder))
            if _header(content) != _header(own):
                raise ValueError(
                    "its Vowpal Wabbit model is of another version or has other arguments: "
                    f"{_header(content)!r:.300}, expected {_header(own)!r:.300}"
                )
            path = Path(folder) / "given.vw"
            path.write_bytes(content)
            try:
                self._workspace = self._new_workspace("--initial_regressor", str(path))
            except RuntimeError as error:
                raise ValueError(f"Vowpal Wabbit cannot read its model: {error}") from error


def _saved(workspace: Any, folder: Path) -> bytes:
    path = folder / "model.vw"
    workspace.save(str(path))
    return path.read_bytes()


def _header(content: bytes) -> tuple[bytes, bytes]:
    """Return the version, and what lies between the labels' range and the end of the arguments."""
    length = int.from_bytes(content[:4], "little")
    version = content[4 : 4 + length]
    # Then 4 bytes and an empty name with its end, the letter m, two floats (the labels' range).
    labels = 4 + length + 4 + 1 + 1
    rest = content[labels + 8 :]
    end = rest.find(b"\0", rest.find(b" --")) + 1
    return version + content[4 + length : labels], rest[:end]
