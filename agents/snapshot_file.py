"""The file of a snapshot: a nested state of arrays and plain values, without pickle.

It is a model file (`agents.model_file`) of the algorithm ``"Snapshot"``: arrays as tensors,
everything else as JSON, and a checksum over both. It replaces the one before it by a rename, so a
reader finds the old snapshot or the new one, never half of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.model_file import ModelFileError, read_model, write_model

ALGORITHM = "Snapshot"

# What stands in the JSON for that which JSON cannot say: an object with this one key.
_ARRAY, _SCALAR, _TUPLE = "$array", "$scalar", "$tuple"
_PLAIN = frozenset({type(None), bool, int, float, str})  # not their subclasses, as numpy's float64


class SnapshotError(ValueError):
    """A snapshot that is missing, damaged, or does not belong to the run."""


def write_state(path: Path, state: Mapping[str, Any], *, sync: bool = False) -> None:
    """Write a state; a reader sees the old file or the new one.

    Args:
        path: where to.
        state: nested dictionaries (with strings as keys), lists and tuples of arrays, numpy's
            scalars, numbers, strings, bools and None. `read_state` gives the same types back; the
            arrays in native byte order.
        sync: see `agents.model_file.write_model`.

    Raises:
        TypeError: for anything else, naming its place.
    """
    arrays: dict[str, NDArray[Any]] = {}
    # As one text within the JSON, so that the checksum is that of the very characters.
    text = json.dumps(_pack(state, "state", arrays))
    config = {"state": text, "sha256": _checksum(text, arrays)}
    write_model(path, algorithm=ALGORITHM, config=config, tensors=arrays, sync=sync)


def read_state(path: Path) -> dict[str, Any]:
    """Read what `write_state` wrote. Nothing in the file is executed, whatever it holds.

    Raises:
        SnapshotError: if there is no such file, or it is damaged; the message names the file.
    """
    try:
        file = read_model(path, algorithm=ALGORITHM)
        text, arrays = file.config["state"], file.tensors
        if file.config["sha256"] != _checksum(text, arrays):
            raise SnapshotError(f"{path} is damaged: its checksum is wrong")
        state = _unpack(json.loads(text), arrays)
    except FileNotFoundError as error:
        raise SnapshotError(f"{path} is missing") from error
    except (AttributeError, ModelFileError, KeyError, TypeError, RecursionError) as error:
        raise SnapshotError(f"{path} is damaged: {error}") from error
    if not isinstance(state, dict):
        raise SnapshotError(f"{path} is damaged: it holds {type(state).__name__}, not a state")
    return state


def _pack(value: Any, place: str, arrays: dict[str, NDArray[Any]]) -> Any:
    """Return what JSON can say of a value, having moved its arrays into `arrays` by place."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is list:
        return [_pack(inner, f"{place}/{i}", arrays) for i, inner in enumerate(value)]
    if kind is tuple:
        return {_TUPLE: _pack(list(value), place, arrays)}
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str) or key in (_ARRAY, _SCALAR, _TUPLE):
                raise TypeError(f"{place} has the key {key!r}: expected another string")
        return {key: _pack(inner, f"{place}/{key}", arrays) for key, inner in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind not in "biuf":
            raise TypeError(f"{place} is an array of {value.dtype}: expected numbers or bools")
        arrays[place] = np.asarray(value)
        return {_ARRAY if isinstance(value, np.ndarray) else _SCALAR: place}
    raise TypeError(
        f"{place} is a {kind.__name__}: a state holds arrays of numpy, numbers, strings, bools, "
        "None, and lists, tuples and dictionaries of these"
    )


def _unpack(plain: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    match plain:
        case {"$array": str(place)}:
            return arrays[place]
        case {"$scalar": str(place)}:
            return arrays[place][()]
        case {"$tuple": list(values)}:
            return tuple(_unpack(value, arrays) for value in values)
        case dict():
            return {key: _unpack(value, arrays) for key, value in plain.items()}
        case list():
            return [_unpack(value, arrays) for value in plain]
    return plain


def _checksum(text: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256(text.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.name} {array.shape}".encode())
        native = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
        digest.update(native.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
