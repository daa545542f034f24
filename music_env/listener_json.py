"""A listener model as plain data: a mapping, or a JSON file that holds one.

Every description has ``"model"``, the kind, and what that kind is made of::

    {"model": "preference", "artist": "Korn", "danceability": [0.4, 0.6], "weights": [1, 1, 1]}
    {"model": "weighted", "artists": {"Korn": 1, "Skrillex": -2}, "genres": {"metal": 1},
     "targets": [{"feature": "tempo", "low": 120, "high": 140, "tolerance": 10, "weight": 2}],
     "bias": -1}
    {"model": "taste", "liked": "liked.csv", "disliked": null, "columns": {"title": "Song"},
     "prior_strength": 10, "bias": 0}
    {"model": "noisy", "wrong_button": 0.1, "listener": {"model": ...}}
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from music_env.listener import Preference
from music_env.listener_models import (
    FeatureTarget,
    ListenerModel,
    NoisyListener,
    ThreeWay,
    WeightedPreference,
)
from music_env.naming import nearest
from music_env.taste_profile import TasteProfile


def load_listener(
    description: ListenerModel | Preference | str | PathLike[str] | Mapping[str, Any],
) -> ListenerModel:
    """Return the listener model that is described.

    Args:
        description: a model as it is; a `Preference`; a mapping as at the head of this file; or a
            path of a JSON file that holds one. Paths in a file are relative to its folder.

    Raises:
        ValueError: it has no or an unknown ``model``, an unknown or missing key, or a wrong value,
            with the file's name; or the file is no JSON.
        OSError: the file cannot be read.
        TypeError: it is none of these.
    """
    if isinstance(description, Preference):
        return ThreeWay(description)
    if isinstance(description, Mapping):
        return _made(description, Path())
    if isinstance(description, str | PathLike):
        return _read(Path(os.fspath(description)))
    if isinstance(description, ListenerModel):
        return description
    raise TypeError(
        "listener must be a model (an object with scores(catalogue)), a mapping or the path of a "
        f"JSON file, got {description!r}"
    )


def _read(path: Path) -> ListenerModel:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # of decoding and of JSON
        raise ValueError(f"{path}: no JSON ({error}); expected a listener model") from error
    if not isinstance(found, Mapping):
        raise ValueError(f'{path}: expected an object such as {{"model": "weighted", ...}}')
    try:
        return _made(found, path.parent)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error


def _made(description: Mapping[str, Any], folder: Path) -> ListenerModel:
    values = dict(description)
    kind = values.pop("model", None)
    if kind not in _KINDS:
        raise ValueError(
            f"a listener model needs 'model', one of {', '.join(map(repr, _KINDS))}, got {kind!r}."
            + nearest(str(kind), _KINDS)
        )
    make, keys, needed = _KINDS[kind]
    for name in values:
        if name not in keys:
            raise ValueError(
                f"a listener model {kind!r} has {', '.join(keys)}, got {name!r}."
                + nearest(str(name), keys)
            )
    for name in needed:
        if name not in values:
            raise ValueError(f"a listener model {kind!r} needs {name!r}")
    return make(values, folder)


def _preference(values: dict[str, Any], folder: Path) -> ListenerModel:
    weights = values.pop("weights", (1.0, 1.0, 1.0))
    return ThreeWay(Preference(**values), weights)


_TARGET = '{"feature": "tempo", "low": 120, "high": 140}'


def _weighted(values: dict[str, Any], folder: Path) -> ListenerModel:
    described, targets = values.pop("targets", ()), []
    if isinstance(described, str) or not isinstance(described, Sequence):
        raise ValueError(f"targets must be a list such as [{_TARGET}], got {described!r}")
    known = FeatureTarget.__dataclass_fields__
    for target in described:
        if not isinstance(target, Mapping):
            raise ValueError(f"a target must be an object such as {_TARGET}, got {target!r}")
        for name in target:
            if name not in known:
                raise ValueError(
                    f"a target has {', '.join(known)}, got {name!r}." + nearest(str(name), known)
                )
        for name in ("feature", "low", "high"):
            if name not in target:
                raise ValueError(f"a target needs {name!r}, got {target!r}")
        targets.append(FeatureTarget(**target))
    return WeightedPreference(targets=tuple(targets), **values)


def _taste(values: dict[str, Any], folder: Path) -> ListenerModel:
    for name in ("liked", "disliked"):
        if isinstance(values.get(name), str):
            values[name] = str(folder / values[name])
    return TasteProfile(**values)


def _noisy(values: dict[str, Any], folder: Path) -> ListenerModel:
    inside = values["listener"]
    if isinstance(inside, Mapping):
        model = _made(inside, folder)
    elif isinstance(inside, str | PathLike):
        model = load_listener(folder / inside)
    else:
        model = load_listener(inside)
    return NoisyListener(model, values["wrong_button"])


_Make = Callable[[dict[str, Any], Path], ListenerModel]
# Kind -> how it is made, its keys, and those of them that it needs.
_KINDS: Mapping[str, tuple[_Make, Sequence[str], Sequence[str]]] = {
    "preference": (_preference, ("artist", "genre", "danceability", "weights"), ()),
    "weighted": (_weighted, ("artists", "genres", "targets", "bias"), ()),
    "taste": (_taste, ("liked", "disliked", "columns", "prior_strength", "bias"), ("liked",)),
    "noisy": (_noisy, ("listener", "wrong_button"), ("listener", "wrong_button")),
}
