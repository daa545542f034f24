"""A track as the API gives it."""

from __future__ import annotations

import math
import re
from typing import Any
from urllib.parse import urlsplit

from music_env.catalogue import Catalogue
from music_env.listener import TERMS, Preference
from player.clips import Clip
from player.media import SECONDS
from player.security import SPOTIFY

_SPOTIFY_ID = re.compile(r"[0-9A-Za-z]{22}")

_OWN_ENTRIES = ("duration", "explicit", "popularity", "rank", "release_year", "gain")
"""Features that are no sound: left out of ``features``; the first two have entries of their own."""


def spotify_links(track_id: str) -> dict[str, str] | None:
    """Return the addresses of a Spotify id; None where it is none."""
    if not _SPOTIFY_ID.fullmatch(track_id):
        return None
    return {
        "embed": f"{SPOTIFY}/embed/track/{track_id}",
        "page": f"{SPOTIFY}/track/{track_id}",
    }


def safe_link(link: str) -> str | None:
    """Return an http or https link with a host; None for anything else."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return None
    return link if parts.scheme in ("http", "https") and parts.netloc else None


def track_json(catalogue: Catalogue, index: int, settings: dict[str, bool]) -> dict[str, Any]:
    """Return a track of the catalogue, see ``API.md``.

    Args:
        catalogue: the tracks.
        index: which one.
        settings: of the listener: links to other hosts are given only where they want them.
    """
    features = {
        name: float(values[index])
        for name, values in catalogue.features.items()
        if math.isfinite(values[index])
    }
    remote = settings["remote_media"]
    explicit = features.get("explicit")
    return {
        "key": str(index),
        "kind": "catalogue",
        "title": str(catalogue.title[index]),
        "artists": list(catalogue.artists.of(index)),
        "album": str(catalogue.album[index]),
        "genres": list(catalogue.genres.of(index)),
        "duration": features.get("duration"),
        "explicit": None if explicit is None else explicit > 0,
        "features": {k: v for k, v in features.items() if k not in _OWN_ENTRIES},
        **media_json(str(index)),
        "artwork": {
            "made": f"/media/{index}/artwork.svg",
            "catalogue": safe_link(str(catalogue.artwork_url[index])) if remote else None,
        },
        "preview": {
            "made": f"/media/{index}/clip.ogg",
            "catalogue": safe_link(str(catalogue.preview_url[index])) if remote else None,
        },
        "spotify": spotify_links(str(catalogue.track_id[index])) if settings["spotify"] else None,
    }


def media_json(key: str) -> dict[str, Any]:
    """Return the entries of what is made here for a track."""
    return {
        "artwork": {"made": f"/media/{key}/artwork.svg", "catalogue": None},
        "preview": {"made": f"/media/{key}/clip.ogg", "catalogue": None},
        "downloads": None,
        "spotify": None,
    }


def reward_terms(catalogue: Catalogue, index: int, preference: Preference) -> list[dict[str, Any]]:
    """Return the terms of the reward of *like* on a track under the stated preference.

    As `music_env.score_tracks` with unit weights, of one track.
    """
    return _terms(
        preference,
        catalogue.artists.of(index),
        catalogue.genres.of(index),
        float(catalogue.danceability[index]),
    )


def _terms(
    preference: Preference, artists: tuple[str, ...], genres: tuple[str, ...], danceability: float
) -> list[dict[str, Any]]:
    ends = preference.danceability
    met = {
        "artist": preference.artist in artists,
        "genre": preference.genre in genres,
        "danceability": ends is not None and ends[0] <= danceability <= ends[1],
    }
    terms: list[dict[str, Any]] = []
    for term in TERMS:
        wanted = getattr(preference, term)
        if wanted is None:
            terms.append({"term": term, "wanted": None, "met": None, "reward": 0.0})
        else:
            shown = list(wanted) if term == "danceability" else wanted
            reward = 1.0 if met[term] else -1.0
            terms.append({"term": term, "wanted": shown, "met": met[term], "reward": reward})
    return terms


def clip_json(key: str, clip: Clip, *, has_notes: bool = True) -> dict[str, Any]:
    """Return a composed clip as a track, see ``API.md``.

    Args:
        key: of the clip.
        clip: it.
        has_notes: whether there is a MIDI file; a model that makes sound writes none.
    """
    made = clip.features
    midi = f"/media/{key}/clip.mid" if has_notes else None
    return {
        "key": key,
        "kind": "generated",
        "title": made.title,
        "artists": list(made.artists),
        "album": "",
        "genres": list(made.genres),
        "duration": SECONDS,
        "explicit": False,
        "features": {
            "danceability": made.danceability,
            "energy": made.energy,
            "valence": made.valence,
            "acousticness": made.acousticness,
            "tempo": made.tempo,
            "mode": float(made.mode == "major"),
            "key": made.key,
        },
        **media_json(key),
        "downloads": {"wav": f"/media/{key}/clip.wav", "midi": midi},
    }


def clip_reward_terms(clip: Clip, preference: Preference) -> list[dict[str, Any]]:
    """Return the same as `reward_terms` of a composed clip."""
    return _terms(
        preference, clip.features.artists, clip.features.genres, clip.features.danceability
    )
