"""Clips and covers on disk, so that each is made once."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from player.media.artwork import artwork_svg
from player.media.composing import compose
from player.media.export import to_ogg
from player.media.features import TrackFeatures
from player.media.synthesis import render

__all__ = ["COMPOSER_VERSION", "MediaCache"]

COMPOSER_VERSION = 1
"""Raised with every change that is heard or seen: files made by another version are not used."""

_SUFFIX = ".media"
_PARTIAL = ".partial"
_MAGIC = b"MusicRec media 1\n"
_STALE = 3600.0  # [s] a partial file so old is one whose writer was killed
_SLACK = 0.9  # an eviction leaves this share of the bound, so that the next write needs none
_LOCKS = 64


class MediaCache:
    """Files by kind and key in a folder, made when first asked for. Threads and processes share it.

    A file holds a checksum of its content and is written under another name first, so that what is
    read is whole: a file that is not, whatever cut it, is made again. The least recently used
    files go when the folder grows over its bound.
    """

    def __init__(self, folder: str | os.PathLike[str], *, max_bytes: int = 512 * 2**20) -> None:
        """Use a folder, which is made when first needed.

        Args:
            folder: nothing but the cache's own files are read, replaced or removed in it.
            max_bytes: bound on the sum of the files' sizes; exceeded by at most one file (and by
                one for every other process that is writing).

        Raises:
            ValueError: the bound is not above 0.
        """
        if max_bytes <= 0:
            raise ValueError(f"max_bytes is {max_bytes!r}, expected a number of bytes above 0")
        self.folder = Path(folder)
        self.max_bytes = max_bytes
        self._making = [threading.Lock() for _ in range(_LOCKS)]
        self._counting = threading.Lock()
        self._bytes: int | None = None  # as counted last, and written since

    def artwork(self, features: TrackFeatures, size: int = 512) -> bytes:
        """The cover of a track as an SVG document in UTF-8."""

        def make() -> bytes:
            return artwork_svg(features, size).encode("utf-8")

        return self.get("artwork", f"{features.checksum} {size}", make)

    def clip(self, features: TrackFeatures) -> bytes:
        """The clip of a track as OGG Vorbis."""

        def make() -> bytes:
            return to_ogg(render(compose(features)), title=features.title)

        return self.get("clip", features.checksum, make)

    def get(self, kind: str, key: str, make: Callable[[], bytes]) -> bytes:
        """The content of that kind and key; of several threads that ask at once, one makes it.

        A disk that cannot be read or written is no error: the content is made, and not kept.

        Args:
            kind: what it is: lower-case letters.
            key: any text that tells it from others of the kind; `COMPOSER_VERSION` is added.
            make: gives the content; what it raises is passed on.

        Raises:
            ValueError: the kind is not lower-case letters.
        """
        if not re.fullmatch("[a-z]+", kind):
            raise ValueError(f"kind is {kind!r}, expected lower-case letters a to z")
        text = f"{COMPOSER_VERSION}\x1f{kind}\x1f{key}".encode("utf-8", "surrogatepass")
        name = hashlib.blake2b(text, digest_size=16).hexdigest()
        path = self.folder / kind / name[:2] / f"{name}{_SUFFIX}"
        content = _read(path)
        if content is None:
            with self._making[int(name[:8], 16) % _LOCKS]:
                content = _read(path)  # another thread may have been quicker
                if content is None:
                    content = make()
                    self._write(path, content)
        return content

    def _write(self, path: Path, content: bytes) -> None:
        partial = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, partial = tempfile.mkstemp(suffix=_PARTIAL, dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(_MAGIC + _checksum(content) + content)
            os.replace(partial, path)
        except OSError:
            # Full, read-only or gone: a cache that cannot keep is slow, not wrong.
            if partial is not None:
                _remove(Path(partial))
            return
        with self._counting:
            if self._bytes is not None:
                self._bytes += len(content) + len(_MAGIC) + 16
            if self._bytes is None or self._bytes > self.max_bytes:
                self._bytes = self._evict()

    def _evict(self) -> int:
        """Remove the least recently used files if there are too many; bytes left."""
        found = []
        now = time.time()
        for path in self.folder.glob("*/??/*"):
            try:
                status = path.stat()
            except OSError:  # another process removed it
                continue
            if path.suffix == _SUFFIX:
                found.append((status.st_mtime_ns, status.st_size, path))
            elif path.suffix == _PARTIAL and now - status.st_mtime > _STALE:
                _remove(path)
        total = sum(size for _, size, _ in found)
        if total <= self.max_bytes:
            return total
        for _, size, path in sorted(found, key=lambda entry: entry[0])[:-1]:  # never the newest
            _remove(path)
            total -= size
            if total <= _SLACK * self.max_bytes:
                break
        return total


def _checksum(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _read(path: Path) -> bytes | None:
    """The content of a whole file, marked as used now; None if there is none."""
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    start = len(_MAGIC) + 16
    content = raw[start:]
    if raw[:start] != _MAGIC + _checksum(content):
        return None
    try:
        os.utime(path)
    except OSError:  # evicted meanwhile, or not ours to mark: still good
        return content
    return content


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:  # another process did
        return
