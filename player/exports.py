"""The liked tracks as CSV and as an M3U playlist; what a catalogue says is text, and stays text."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from music_env.catalogue import Catalogue
from player.media import SECONDS
from player.tracks import safe_link, spotify_links

COLUMNS = (
    "title",
    "artists",
    "album",
    "genres",
    "duration_s",
    "danceability",
    "liked_at",
    "track_id",
    "link",
)

_OF_LINKS = ":/?#[]@!$&'()*+,;=%~"
"""What may stand in a link as it is, beside letters and digits (RFC 3986, 2.2 and 2.1)."""

_FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\n",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
)  # and in full width


def as_csv(catalogue: Catalogue, presses: Sequence[dict[str, Any]]) -> str:
    """Return liked tracks as CSV (RFC 4180, UTF-8 with a mark for spreadsheets).

    A cell that begins like a formula gets an apostrophe in front of it, so that no spreadsheet
    calculates what a catalogue calls a title (OWASP, "CSV Injection"); every cell is quoted, so
    that none begins at a semicolon where these separate cells.

    Args:
        catalogue: the tracks.
        presses: as ``GET /api/liked`` returns them.
    """
    file = io.StringIO()
    file.write("\ufeff")
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for press in presses:
        track = press["track"]
        duration, is_made = track["duration"], track["kind"] == "generated"
        row = (
            track["title"],
            "; ".join(track["artists"]),
            track["album"],
            "; ".join(track["genres"]),
            "" if duration is None else f"{duration:g}",
            f"{track['features']['danceability']:g}",
            press["at"],
            "" if is_made else str(catalogue.track_id[int(track["key"])]),
            "" if is_made else _link(catalogue, int(track["key"])) or "",
        )
        writer.writerow([harmless(cell) for cell in row])
    return file.getvalue()


def as_m3u(catalogue: Catalogue, presses: Sequence[dict[str, Any]], here: str) -> str:
    """Return liked tracks as an extended M3U playlist in UTF-8, for players that know no cookies.

    A track's address is its preview in the catalogue, or else that of the clip that this server
    makes of it, which plays while the server runs. A generated clip is its listener's alone: a
    comment says where the listener's own browser gets it.

    Args:
        catalogue: the tracks.
        presses: as ``GET /api/liked`` returns them.
        here: the address of this server, without a slash at the end.
    """
    lines = ["#EXTM3U"]
    for press in presses:
        track = press["track"]
        artists = ", ".join(track["artists"]) or "MusicRec"
        name = one_line(f"{artists} - {track['title']}")
        if track["kind"] == "generated":
            link = track["downloads"]["wav"]
            lines.append(f"# Left out: {name}; the browser in which it was made gets {here}{link}")
            continue
        preview = safe_link(str(catalogue.preview_url[int(track["key"])]))
        if preview is None:
            seconds, link = round(SECONDS), here + track["preview"]["made"]
        else:
            seconds, link = -1, preview  # how long a preview is no catalogue says
        lines += [f"#EXTINF:{seconds},{name}", _address(link)]
    return "\n".join(lines) + "\n"


def harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def one_line(text: str) -> str:
    """Return a text without line ends and other control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _address(link: str) -> str:
    """Return a link in ASCII, percent-encoded; what is encoded already stays."""
    return quote(one_line(link), safe=_OF_LINKS, errors="backslashreplace")


def _link(catalogue: Catalogue, index: int) -> str | None:
    preview = safe_link(str(catalogue.preview_url[index]))
    if preview is not None:
        return preview
    links = spotify_links(str(catalogue.track_id[index]))
    return None if links is None else links["page"]
