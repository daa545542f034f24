"""A saved model: one safetensors file whose metadata holds the configuration as JSON.

Unlike a Stable-Baselines3 zip archive, such a file carries no pickle: reading a model from a
stranger runs no code of theirs. The file's layout is that of https://github.com/huggingface/safetensors,
with three entries of metadata:

==============  ============================================================
``format``      ``"musicrec-model-1"``; the number rises when a reader of the old one would go wrong
``algorithm``   the class that wrote the file, for instance ``"QLearning"``
``config``      a JSON object: hyperparameters, spaces, counters
==============  ============================================================

The JSON is Python's: infinite numbers are written ``Infinity`` and ``-Infinity``, tuples come back
as lists.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

FORMAT = "musicrec-model-1"
SUFFIX = ".safetensors"
# What both numpy and safetensors know; bfloat16 and the 8-bit floats are torch's alone.
_DTYPES = frozenset({"bool", "float16", "float32", "float64"}).union(
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
)
_FOREIGN = {
    b"PK\x03\x04": "a zip archive, such as Stable-Baselines3 or torch.save write; its pickles can "
    "run code and are not read here",
    b"\x80": "perhaps a pickle, which can run code and is not read here",
}


class ModelFileError(ValueError):
    """The file is no saved model, or not of the kind that was asked for."""


@dataclass(frozen=True, eq=False)
class ModelFile:
    """What a file held.

    Attributes:
        algorithm: Name of the class that wrote it.
        config: The JSON object.
        tensors: Arrays by name, each with its own memory.
    """

    algorithm: str
    config: dict[str, Any]
    tensors: dict[str, np.ndarray]


def write_model(
    path: str | os.PathLike[str],
    *,
    algorithm: str,
    config: Mapping[str, Any],
    tensors: Mapping[str, np.ndarray],
    sync: bool = False,
) -> Path:
    """Write a model; a reader sees the old file or the new one, never half of it.

    Args:
        path: Where to write; ``.safetensors`` is added where there is no suffix, missing folders
            are made.
        algorithm: Name of the class that writes.
        config: What JSON can say, with names as keys.
        tensors: Arrays of numbers or bools, of any shape.
        sync: Return once the file would outlast a power failure, which may take long; without it
            the file outlasts the end of this process, however it ends.

    Returns:
        The path written, suffix included.

    Raises:
        TypeError: If `path` is no path, `config` holds what JSON cannot say, or a tensor has a
            dtype that the format does not know.
    """
    target = _with_suffix(path)
    try:
        text = json.dumps(dict(config))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"the configuration of {algorithm} cannot be written as JSON: {error}"
        ) from error
    arrays = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    for name, array in arrays.items():
        if array.dtype.name not in _DTYPES:
            raise TypeError(
                f"tensor {name!r} has dtype {array.dtype}; expected one of {sorted(_DTYPES)}"
            )
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, as a rename is atomic only within one file system.
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        unfinished.touch()
        mode = unfinished.stat().st_mode  # what others may do with a new file here
        save_file(arrays, unfinished, {"format": FORMAT, "algorithm": algorithm, "config": text})
        unfinished.chmod(mode)  # safetensors keeps its files to their owner
        _sort_header(unfinished)
        if sync:
            sync_to_disk(unfinished)
        unfinished.replace(target)
        if sync:
            sync_to_disk(target.parent)  # the name
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def sync_to_disk(path: Path) -> None:
    """Return once the content of a file, or the names in a folder, would outlast a power failure.

    On systems that cannot open a folder, its names are left to the file system.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    except PermissionError:
        if path.is_dir():  # Windows
            return
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_model(path: str | os.PathLike[str], *, algorithm: str | None = None) -> ModelFile:
    """Read a model. Nothing in the file is executed, whatever it holds.

    Args:
        path: As given to :func:`write_model`, with or without the suffix it added.
        algorithm: If given, the class that must have written the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelFileError: If the file is not a whole model file, or was written by another algorithm.
        TypeError: If `path` is no path.
    """
    source = _with_suffix(path)
    if not source.is_file():
        raise FileNotFoundError(f"no model file {source}")
    try:
        with safe_open(source, framework="numpy") as file:
            metadata = file.metadata() or {}
            config = _parse_config(source, metadata)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, TypeError, AttributeError) as error:
        raise ModelFileError(
            f"{source} is not a model file: {_diagnosis(source, error)}"
        ) from error
    written_by = metadata.get("algorithm", "")
    if algorithm is not None and written_by != algorithm:
        raise ModelFileError(
            f"{source} holds a model of {written_by!r}, not of {algorithm!r}; "
            f"load it with {written_by}.load"
        )
    return ModelFile(written_by, config, tensors)


def space_to_json(space: spaces.Space[Any]) -> dict[str, Any]:
    """Describe a space as what JSON can say; the inverse of :func:`space_from_json`.

    Args:
        space: ``Box``, ``Discrete``, ``MultiDiscrete``, ``MultiBinary``, or a ``Dict`` of these. A
            bound that is the same everywhere is kept as one number.

    Raises:
        TypeError: If `space` is of another kind.
    """
    match space:
        case spaces.Box():
            return {
                "type": "Box",
                "low": _bound_to_json(space.low),
                "high": _bound_to_json(space.high),
                "shape": list(space.shape),
                "dtype": space.dtype.name,
            }
        case spaces.Discrete():
            return {
                "type": "Discrete",
                "n": int(space.n),
                "start": int(space.start),
                "dtype": space.dtype.name,
            }
        case spaces.MultiDiscrete():
            return {
                "type": "MultiDiscrete",
                "nvec": space.nvec.tolist(),
                "start": space.start.tolist(),
                "dtype": space.dtype.name,
            }
        case spaces.MultiBinary():
            return {"type": "MultiBinary", "n": space.n}
        case spaces.Dict():
            # Pairs, as the order of the keys is part of the space.
            pairs = [[key, space_to_json(inner)] for key, inner in space.spaces.items()]
            return {"type": "Dict", "spaces": pairs}
    raise TypeError(
        f"cannot describe the space {space}; expected Box, Discrete, MultiDiscrete, MultiBinary "
        "or a Dict of these"
    )


def space_from_json(data: Any) -> spaces.Space[Any]:
    """Build the space that :func:`space_to_json` described.

    Raises:
        ModelFileError: If `data` describes no space.
    """
    try:
        match data["type"]:
            case "Box":
                dtype, shape = np.dtype(data["dtype"]), tuple(data["shape"])
                low, high = (
                    np.broadcast_to(np.asarray(data[side], dtype), shape)
                    for side in ("low", "high")
                )
                return spaces.Box(low, high, shape, dtype.type)
            case "Discrete":
                # Gymnasium 1.1 knows int64 alone and has no such argument.
                width = {} if data["dtype"] == "int64" else {"dtype": np.dtype(data["dtype"]).type}
                return spaces.Discrete(data["n"], start=data["start"], **width)
            case "MultiDiscrete":
                dtype = np.dtype(data["dtype"])
                start = np.asarray(data["start"], dtype)
                return spaces.MultiDiscrete(
                    np.asarray(data["nvec"], dtype), dtype.type, start=start
                )
            case "MultiBinary":
                return spaces.MultiBinary(data["n"])
            case "Dict":
                return spaces.Dict([(key, space_from_json(inner)) for key, inner in data["spaces"]])
    except ModelFileError:
        raise
    except (
        AssertionError,
        KeyError,
        TypeError,
        ValueError,
        OverflowError,
        RecursionError,
    ) as error:
        raise ModelFileError(f"not the description of a space: {data!r:.200} ({error})") from error
    raise ModelFileError(f"unknown kind of space {data['type']!r:.200}")


def _with_suffix(path: str | os.PathLike[str]) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"expected the path of a model file, not {path!r}")
    result = Path(path)
    return result if result.suffix else result.with_name(result.name + SUFFIX)


def _sort_header(path: Path) -> None:
    """Sort the header's names: safetensors writes metadata in another order in every process."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        text = json.dumps(header, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        in_order = text.encode().ljust(length)
        if len(in_order) == length:  # written as compactly: what follows stays in its place
            file.seek(8)
            file.write(in_order)


def _parse_config(source: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    if metadata.get("format") != FORMAT or not {"algorithm", "config"} <= metadata.keys():
        raise ModelFileError(
            f"{source} is a safetensors file but not a model of this project: expected metadata "
            f"'format' = {FORMAT!r}, 'algorithm' and 'config', found {dict(metadata)!r:.200}"
        )
    try:
        config = json.loads(metadata["config"])
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"the configuration in {source} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise ModelFileError(
            f"the configuration in {source} must be a JSON object, not {config!r:.200}"
        )
    return config


def _diagnosis(source: Path, error: Exception) -> str:
    with source.open("rb") as file:
        start = file.read(4)
    # Only once the file has proved not to be safetensors: one may well begin with these bytes.
    foreign = (kind for magic, kind in _FOREIGN.items() if start.startswith(magic))
    return next(foreign, f"{error or type(error).__name__}")


def _bound_to_json(bound: np.ndarray) -> Any:
    first = bound.flat[0] if bound.size else bound.dtype.type(0)
    return first.item() if np.all(bound == first) else bound.tolist()
