"""What an action on a track leads to: named terms, score and reward, a row for each kind of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Columns of the second table of `Outcomes.by_action`.
REWARD, BEST, LUCK = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The outcomes of both actions, for each kind of track.

    Tracks (or pairs of track and listener) of one kind have the same terms. Looking up a small
    number for a track, and a short row for that number, is faster than looking up all the terms of
    a track, which for a million tracks do not fit the processor's cache.

    Where the listener presses the wrong button now and then, each kind stands there twice: kind
    ``k + 2**bits`` is kind ``k`` judged by a slip of the finger.

    Attributes:
        names: of the reward's terms.
        by_kind: (n_terms + 1, n_kinds) float64: the terms of each kind and their sum, the score.
        wrong_button: the probability that the listener presses the other button.
    """

    names: tuple[str, ...]
    by_kind: NDArray[np.float64]
    wrong_button: float = 0.0

    @property
    def bits(self) -> int:
        """How many bits a kind takes, without the one for a slip."""
        return max(1, int(self.by_kind.shape[1] - 1).bit_length())

    @property
    def action_bits(self) -> int:
        """How many bits a kind takes with the one for a slip: by how many an action is shifted."""
        return self.bits + (self.wrong_button > 0)

    def scores(self, kinds: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the score of each kind (any shape), whichever button was pressed."""
        plain = kinds & ((1 << self.bits) - 1) if self.wrong_button else kinds
        scores: NDArray[np.float64] = self.by_kind[-1].take(plain)
        return scores

    def of(self, kind: int) -> tuple[float, float, dict[str, float]]:
        """Return score, reward of *like* and named terms of a kind, as plain numbers."""
        slipped, plain = divmod(kind, 1 << self.bits)
        *terms, score = self.by_kind[:, plain].tolist()
        # Not -score, which would make -0.0 of 0.0.
        reward = 0.0 - score if slipped else score
        return score, reward, dict(zip(self.names, terms, strict=True))

    def by_action(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return a row for each action and kind: that of ``kind + (action << action_bits)``.

        One gather of these few short rows takes the place of one for each number. Two tables, as
        numpy gathers rows of 16 or 32 bytes twice as fast as others: those of three terms and a
        listener who presses no wrong button.

        Returns:
            (2 * 2**action_bits, n_terms + 1) float64: the terms and the score; and
            (2 * 2**action_bits, 2 or 3) float64: the reward, the better action's reward, and with a
            wrong button what a slip has added to the reward.
        """
        n_terms = len(self.names)
        padded = np.zeros((n_terms + 1, 1 << self.bits))
        padded[:, : self.by_kind.shape[1]] = self.by_kind
        score = padded[-1]
        judged, earnings = [], []
        for earned in (0.0 - score, score):  # dislike, like
            for slipped in (False, True)[: 1 + (self.wrong_button > 0)]:
                reward = 0.0 - earned if slipped else earned
                columns = [reward, np.abs(score)]
                if self.wrong_button:
                    columns.append(reward - earned)
                judged.append(padded.T)
                earnings.append(np.stack(columns, axis=1))
        return np.concatenate(judged), np.concatenate(earnings)


class OutcomeOf(dict[int, tuple[float, float, dict[str, float]]]):
    """`Outcomes.of` by kind, made when first asked for: there may be a kind for each track."""

    def __init__(self, outcomes: Outcomes) -> None:
        super().__init__()
        self._outcomes = outcomes

    def __missing__(self, kind: int) -> tuple[float, float, dict[str, float]]:
        found = self[kind] = self._outcomes.of(kind)
        return found
