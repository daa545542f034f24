"""Sound and pictures made here: ``API.md``, *Sound and pictures*."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Path, Request, Response

from player.access import session_of, shelf_of
from player.errors import PlayerError

if TYPE_CHECKING:  # what makes sound is not needed before the first page
    from player.clips import Clip
    from player.media import TrackFeatures

router = APIRouter(prefix="/media")

Key = Annotated[str, Path(pattern=r"^g?[0-9]{1,9}$")]

KEPT = "private, max-age=86400"
"""Of the catalogue's tracks, whose pictures and clips are always the same; what was made for one
listener is not kept by the browser."""

SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""Of a picture that is opened by itself: it runs and loads nothing."""


@router.get("/{key}/artwork.svg")
def artwork(request: Request, key: Key) -> Response:
    """Return the picture of a track."""
    features, _ = _features(request, key)
    picture = shelf_of(request).media.artwork(features)
    headers = {**_kept(key), "Content-Security-Policy": SVG_POLICY}
    return Response(picture, media_type="image/svg+xml", headers=headers)


@router.get("/{key}/clip.ogg")
def clip_ogg(request: Request, key: Key) -> Response:
    """Return the clip of a track, or a part of it: who seeks asks for the rest alone."""
    features, clip = _features(request, key)
    shelf = shelf_of(request)
    if clip is not None and shelf.music_model is not None:
        sound = shelf.modelled(clip, "ogg")
    else:
        sound = shelf.media.clip(features)
    return part_of(request, sound, "audio/ogg", _kept(key))


@router.get("/{key}/clip.wav")
def clip_wav(request: Request, key: Key) -> Response:
    """Return the clip as a download."""
    from player.media import compose, render, to_wav

    features, clip = _features(request, key)
    shelf = shelf_of(request)
    if clip is not None and shelf.music_model is not None:
        sound = shelf.modelled(clip, "wav")
    else:
        sound = to_wav(render(compose(features)))
    return _download(sound, "audio/wav", f"musicrec-{key}.wav")


@router.get("/{key}/clip.mid")
def clip_midi(request: Request, key: Key) -> Response:
    """Return the clip's notes as a download."""
    from player.media import compose, to_midi

    features, clip = _features(request, key)
    if clip is not None and shelf_of(request).music_model is not None:
        raise PlayerError(404, "not-found", "this clip was made by a model, which writes no notes")
    return _download(to_midi(compose(features)), "audio/midi", f"musicrec-{key}.mid")


def part_of(request: Request, content: bytes, kind: str, headers: dict[str, str]) -> Response:
    """Return a content, or the range of bytes that is asked for (RFC 9110, section 14).

    Several ranges at once, and what is no range, are answered with the whole.
    """
    headers = {**headers, "Accept-Ranges": "bytes"}
    asked = re.fullmatch(r"bytes=(\d{0,12})-(\d{0,12})", request.headers.get("range", ""))
    if asked is None or asked.groups() == ("", ""):
        return Response(content, media_type=kind, headers=headers)
    first, last = asked.groups()
    if first:
        start, end = int(first), min(int(last) if last else len(content), len(content) - 1)
    else:  # the last bytes
        start, end = max(0, len(content) - int(last)), len(content) - 1
    if start > end:
        headers["Content-Range"] = f"bytes */{len(content)}"
        return Response(status_code=416, headers=headers)
    headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
    return Response(content[start : end + 1], 206, headers=headers, media_type=kind)


def _features(request: Request, key: str) -> tuple[TrackFeatures, Clip | None]:
    """Return what a track's media are made from; of a composed clip also the clip.

    Raises:
        PlayerError: 404: there is no such track, or it is another listener's clip.
    """
    from player.media import TrackFeatures

    catalogue = shelf_of(request).catalogue
    if key.startswith("g"):
        with session_of(request) as session:
            clip = session.clips.get(int(key[1:]))
        if clip is not None:
            return clip.features, clip
    elif int(key) < catalogue.n_tracks:
        return TrackFeatures.of(catalogue, int(key)), None
    raise PlayerError(404, "unknown-track", f"there is no track {key!r}", field="key")


def _kept(key: str) -> dict[str, str]:
    return {} if key.startswith("g") else {"Cache-Control": KEPT}


def _download(content: bytes, kind: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=kind, headers=headers)
