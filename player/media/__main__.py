"""Make the media of one track: ``python -m player.media 17 --out FOLDER``.

Writes cover.svg, clip.ogg, clip.wav and clip.mid, and prints what was composed and how much
processor time each took.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from music_env.catalogue import Catalogue
from player.media import TrackFeatures, artwork_svg, compose, render, to_midi, to_ogg, to_wav

_Made = TypeVar("_Made")


def _timed(what: str, make: Callable[[], _Made]) -> _Made:
    begin = time.process_time()
    made = make()
    print(f"  {what}: {1000 * (time.process_time() - begin):.0f} ms of processor time")
    return made


def main() -> None:
    """Read the arguments, make the files."""
    parser = argparse.ArgumentParser(prog="python -m player.media", description=__doc__)
    parser.add_argument("track", type=int, help="row of the track in the catalogue, from 0")
    parser.add_argument("--catalogue", help="CSV or Parquet file; the embedded one if not given")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder, made if not there")
    arguments = parser.parse_args()
    catalogue = Catalogue.read(arguments.catalogue) if arguments.catalogue else Catalogue.default()
    if not 0 <= arguments.track < catalogue.n_tracks:
        parser.error(f"track is {arguments.track}, expected 0 to {catalogue.n_tracks - 1}")
    features = TrackFeatures.of(catalogue, arguments.track)
    print(f"{features.title!r} by {', '.join(features.artists)} ({', '.join(features.genres)})")
    cover = _timed("cover", lambda: artwork_svg(features))
    piece = _timed("composition", lambda: compose(features))
    audio = _timed("sound, first clip of the process", lambda: render(piece))
    audio = _timed("sound, again", lambda: render(piece))
    ogg = _timed("OGG", lambda: to_ogg(audio, title=features.title))
    print(
        f"  {piece.tempo:g} BPM, {piece.mode}, {piece.bars} bars of {', '.join(piece.styles)}: "
        + ", ".join(f"{part.name} ({part.timbre}) {len(part.notes)}" for part in piece.parts)
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "cover.svg").write_text(cover, encoding="utf-8")
    (arguments.out / "clip.ogg").write_bytes(ogg)
    (arguments.out / "clip.wav").write_bytes(to_wav(audio))
    (arguments.out / "clip.mid").write_bytes(to_midi(piece))


if __name__ == "__main__":
    main()
