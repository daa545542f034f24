"""Batches of observations, as one array or as a dictionary of arrays."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

Observations = NDArray[Any] | dict[str, NDArray[Any]]


def n_rows(observations: Observations) -> int:
    """Return the number of observations in a batch."""
    array = next(iter(observations.values())) if isinstance(observations, dict) else observations
    return len(array)


def take(observations: Observations, rows: slice) -> Observations:
    """Return some observations of a batch."""
    if isinstance(observations, dict):
        return {key: array[rows] for key, array in observations.items()}
    return observations[rows]


def with_terminal_observations(
    observations: Observations, ended: NDArray[np.intp], infos: list[dict[str, Any]]
) -> Observations:
    """Return a copy with the last observations of the episodes that ended, not the next first."""
    result = deepcopy(observations)
    for i in ended:
        terminal = infos[i].get("terminal_observation")
        if terminal is None:
            continue
        if isinstance(result, dict):
            for key, array in result.items():
                array[i] = terminal[key]
        else:
            result[i] = terminal
    return result
