"""What stands where in a ``codes`` observation, see `music_env.encoding.encode`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import gymnasium as gym
import numpy as np


@dataclass(frozen=True)
class CodesColumns:
    """The columns of a ``codes`` observation: numbers, then slots of codes.

    Attributes:
        n_numbers: numbers come first; danceability is the first of them.
        slots: the columns of each vocabulary.
        n_codes: of each vocabulary, its codes, without 0 for none.
    """

    n_numbers: int
    slots: tuple[slice, ...]
    n_codes: tuple[int, ...]

    @classmethod
    def of(cls, space: gym.Space[Any], *, reader: str) -> CodesColumns:
        """Read the columns off the bounds: 1 means a number, a greater one a code in 0..bound.

        Neighbouring columns of one bound are slots of one vocabulary.

        Args:
            space: the observations.
            reader: who needs them, for the error.

        Raises:
            ValueError: if the space is of another encoding.
        """
        if (
            not isinstance(space, gym.spaces.Box)
            or len(space.shape) != 1
            or not (space.low == 0).all()
            or not space.high[0] == 1
        ):
            raise ValueError(
                f"{reader} needs the observation space of encoding 'codes', a one-dimensional "
                f"Box with lower bounds 0 and a number first, got {space}: make the environment "
                "with encoding='codes'"
            )
        high = space.high.astype(np.int64).tolist()
        n_numbers = high.count(1)
        if max(high[:n_numbers]) > 1:
            raise ValueError(f"numbers must stand before codes, got upper bounds {high}")
        starts = [
            i for i in range(n_numbers, len(high)) if i == n_numbers or high[i] != high[i - 1]
        ]
        return cls(
            n_numbers,
            tuple(slice(start, end) for start, end in pairwise([*starts, len(high)])),
            tuple(high[start] for start in starts),
        )
