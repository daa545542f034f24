"""The ``infos`` of a batch of environments, as dictionaries of single environments."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

Info = dict[str, Any]


class SharedInfo(Info):
    """The info of every environment where nothing ended: empty for good, and read-only."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(
            "this info is shared by all environments whose episode goes on, and cannot be written "
            "to: copy it, or use GymVecEnv(env, step_infos=True)"
        )

    # What only takes away (pop, clear, ...) finds nothing to take.
    __setitem__ = __ior__ = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[Info], tuple[()]]:  # copy, deepcopy and pickle
        return dict, ()


NOTHING_ENDED = SharedInfo()


def without_final(batch: Info) -> Info:
    """Return an info without what `AutoresetMode.SAME_STEP` adds where an episode ended."""
    final = ("final_obs", "_final_obs", "final_info", "_final_info")
    return {key: value for key, value in batch.items() if key not in final}


def split(batch: Any, envs: NDArray[np.intp]) -> list[Any]:
    """Return the value of each of ``envs`` in a batch: of arrays (num_envs, ...), or a dict of."""
    if isinstance(batch, Mapping):
        return split_dict(batch, envs)
    values = np.asarray(batch)[envs]
    if values.dtype == object:
        # An array's own copy is six times as fast as deepcopy.
        return [v.copy() if isinstance(v, np.ndarray) else deepcopy(v) for v in values]
    return values.tolist() if values.ndim == 1 else list(values)


def split_dict(batch: Mapping[str, Any], envs: NDArray[np.intp]) -> list[Info]:
    """Return the dictionary of each of ``envs``; a key's mask, ``_key``, says who has the key."""
    parts: list[Info] = [{} for _ in range(len(envs))]
    for key, values in batch.items():
        if key.startswith("_") and key[1:] in batch:
            continue
        mask = batch.get(f"_{key}")
        having = np.arange(len(envs)) if mask is None else np.flatnonzero(mask[envs])
        for i, value in zip(having.tolist(), split(values, envs[having]), strict=True):
            parts[i][key] = value
    return parts
