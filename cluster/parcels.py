"""What tasks read, catalogues and small files, sent to each node once through the object store."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from music_env.session_tables import provide_catalogue
from music_env.tables import load_catalogue

FILES = ("judged", "judgements")
"""Arguments that name a file other than a catalogue, small enough to be sent as it is."""


@dataclass(frozen=True)
class Parcel:
    """References to what a task reads; the objects stay in the store until they are asked for.

    Attributes:
        catalogues: path as the task names it (None: the embedded one) -> the `Catalogue`.
        files: path as the task names it -> the file's bytes.
    """

    catalogues: Mapping[str | None, ray.ObjectRef]
    files: Mapping[str, ray.ObjectRef]


class Sender:
    """Puts each catalogue and file into the object store once; for the driver."""

    def __init__(self) -> None:
        self._catalogues: dict[str | None, ray.ObjectRef] = {}
        self._files: dict[str, ray.ObjectRef] = {}

    def parcel(self, setting: Mapping[str, Any]) -> Parcel:
        """Return what is read by a task with these arguments of `gym.make`.

        Raises:
            CatalogueError: if the catalogue cannot be read.
            OSError: if another file cannot.
        """
        path = setting.get("catalogue")
        if path not in self._catalogues:
            self._catalogues[path] = ray.put(load_catalogue(path))
        named = [setting[name] for name in FILES if setting.get(name) is not None]
        for file in named:
            if file not in self._files:
                self._files[file] = ray.put(Path(file).read_bytes())
        return Parcel({path: self._catalogues[path]}, {file: self._files[file] for file in named})


# In a worker's process: what it has taken out of the store, by the reference's id.
_provided: dict[str | None, str] = {}
_unpacked: dict[str, str] = {}
_folders: list[tempfile.TemporaryDirectory[str]] = []  # removed when the process ends


def unpack(parcel: Parcel, setting: Mapping[str, Any]) -> dict[str, Any]:
    """Make what a parcel holds readable in this process; for workers.

    A process takes a catalogue out of the store once, so that what is derived from it is kept from
    task to task.

    Returns:
        The arguments with the files' paths on this machine.
    """
    for path, reference in parcel.catalogues.items():
        if _provided.get(path) != reference.hex():
            provide_catalogue(path, ray.get(reference))
            _provided[path] = reference.hex()
    here = {path: _file(path, reference) for path, reference in parcel.files.items()}
    return {
        name: here[value] if name in FILES and value is not None else value
        for name, value in setting.items()
    }


def _file(path: str, reference: ray.ObjectRef) -> str:
    if reference.hex() not in _unpacked:
        _folders.append(tempfile.TemporaryDirectory(prefix="musicrec-"))
        copy = Path(_folders[-1].name) / os.path.basename(path)
        copy.write_bytes(ray.get(reference))
        _unpacked[reference.hex()] = str(copy)
    return _unpacked[reference.hex()]
