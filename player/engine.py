"""What all listeners share, made ready in the background while the page is served already."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from player.errors import starting
from player.search import NameSearch
from player.security import origins_of
from player.settings import PlayerSettings

if TYPE_CHECKING:  # importing these takes longer than a first page may
    from agents.online import OnlineRecommender
    from music_env.catalogue import Catalogue
    from player.clips import Clip
    from player.learners import SharedTable
    from player.media import MediaCache, TextToMusic
    from player.sessions import Sessions

_LOG = logging.getLogger(__name__)

MakeRecommender = Callable[["Catalogue", PlayerSettings, "Path", "Report"], "OnlineRecommender"]
"""(catalogue, settings, the catalogue's folder, progress) -> the recommender of the policy."""

Report = Callable[[float, str], None]
"""Told a share of 0..1 and a sentence."""


@dataclass(frozen=True, eq=False)
class Shelf:
    """A catalogue, and what is found in it.

    Attributes:
        catalogue: the tracks.
        name: of the catalogue, for people.
        folder: where its policy and listeners are kept.
        table: what tabular learners share.
        sessions: the listeners.
        media: the pictures and clips made so far.
        music_model: makes clips in place of the composer, where the user has one.
        music_model_name: its name or folder.
    """

    catalogue: Catalogue
    name: str
    folder: Path
    table: SharedTable
    sessions: Sessions
    media: MediaCache
    music_model: TextToMusic | None = None
    music_model_name: str | None = None

    def modelled(self, clip: Clip, kind: Literal["ogg", "wav"]) -> bytes:
        """Return the sound that the model makes of a clip, made once."""
        from player.media import generate_clip, to_wav, wav_to_ogg

        def make() -> bytes:
            made = generate_clip(clip.features, clip.seed, self.music_model)
            return to_wav(made.audio, made.sample_rate)

        # Another model makes another sound of the same clip.
        key = f"{clip.features.checksum} {clip.seed} {self.music_model_name}"
        sound = self.media.get("modelwav", key, make)
        if kind == "wav":
            return sound
        title = clip.features.title
        return self.media.get("modelogg", key, lambda: wav_to_ogg(sound, title=title))

    @functools.cached_property
    def artists(self) -> NameSearch:
        """The artists' names."""
        labels = self.catalogue.artists
        return NameSearch(labels.vocabulary, labels.frequency)

    @functools.cached_property
    def picture_origins(self) -> tuple[str, ...]:
        """The hosts of the catalogue's pictures."""
        return origins_of(filter(None, self.catalogue.artwork_url.tolist()))

    @functools.cached_property
    def preview_origins(self) -> tuple[str, ...]:
        """The hosts of the catalogue's previews."""
        return origins_of(filter(None, self.catalogue.preview_url.tolist()))

    @functools.cached_property
    def remote_media(self) -> dict[str, int]:
        """How many tracks have a picture, a preview, a Spotify id."""
        from player.tracks import spotify_links

        catalogue = self.catalogue
        return {
            "artwork": int(np.count_nonzero(catalogue.artwork_url != "")),
            "preview": int(np.count_nonzero(catalogue.preview_url != "")),
            "spotify": sum(spotify_links(str(key)) is not None for key in catalogue.track_id),
        }


class Engine:
    """Reads the catalogue, then trains or loads the policy, in a thread of its own.

    Args:
        settings: of the player.
        make_recommender: in place of `player.policy.recommender_for`, for tests.
    """

    def __init__(
        self, settings: PlayerSettings, make_recommender: MakeRecommender | None = None
    ) -> None:
        self.settings = settings
        self._make_recommender = make_recommender
        self._lock = threading.Lock()
        self._phase, self._progress, self._message = "loading", 0.0, "reading the catalogue"
        self._shelf: Shelf | None = None
        self.stopping = threading.Event()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="player-engine", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End what runs in the background, and close the store."""
        self.stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        if self._shelf is not None:
            self._shelf.sessions.close()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until nothing is left to be made ready."""
        self._done.wait(timeout)

    def shelf(self) -> Shelf:
        """Return what there is once the catalogue is read.

        Raises:
            PlayerError: 503 before that.
        """
        if self._shelf is None:
            raise starting()
        return self._shelf

    def status(self) -> dict[str, Any]:
        """Return what ``GET /api/status`` answers."""
        with self._lock:
            phase, progress, message = self._phase, self._progress, self._message
        shelf = self._shelf
        return {
            "phase": phase,
            "progress": round(progress, 4),
            "message": message,
            "learners": {
                "tabular": shelf is not None,
                "dueling-dqn": shelf is not None and shelf.sessions.recommender is not None,
            },
            "catalogue": None
            if shelf is None
            else {
                "name": shelf.name,
                "tracks": shelf.catalogue.n_tracks,
                "artists": len(shelf.catalogue.artists.vocabulary),
                "genres": len(shelf.catalogue.genres.vocabulary),
            },
            "remote_media": {"artwork": 0, "preview": 0, "spotify": 0}
            if shelf is None
            else shelf.remote_media,
            "version": _version(),
        }

    def _tell(self, phase: str, progress: float, message: str) -> None:
        with self._lock:
            self._phase, self._progress, self._message = phase, progress, message

    def _report(self, share: float, text: str) -> None:
        """Tell how far the policy is; who tells it ends with the player."""
        if self.stopping.is_set():
            raise InterruptedError("the player is stopping")
        self._tell("training", share, text)

    def _run(self) -> None:
        try:
            self._make_ready()
        finally:
            self._done.set()

    def _make_ready(self) -> None:
        try:
            shelf = self._read()
        except Exception as error:
            _LOG.exception("the player cannot start")
            self._tell("failed", 0.0, str(error))
            return
        try:
            self._tell("training", 0.0, "loading the policy for every listener")
            make = self._make_recommender
            if make is None:
                from player.policy import recommender_for

                make = recommender_for
            recommender = make(shelf.catalogue, self.settings, shelf.folder, self._report)
            shelf.sessions.recommender = recommender
            self._tell("ready", 1.0, "ready")
        except Exception as error:
            if not self.stopping.is_set():
                _LOG.exception("there is no policy")
                self._tell("failed", 0.0, f"no dueling DQN: {error}")

    def _read(self) -> Shelf:
        from music_env.tables import load_catalogue
        from player.learners import SharedTable
        from player.media import MediaCache
        from player.sessions import Sessions
        from player.store import Store

        model = self._music_model()
        path = self.settings.catalogue
        catalogue = load_catalogue(path)
        self._tell("loading", 0.5, "making the table")
        folder = self.settings.data / catalogue.checksum[:12]
        table = SharedTable(catalogue)
        store = Store(self.settings.listeners or folder / "listeners.sqlite3")
        sessions = Sessions(
            store,
            catalogue,
            table,
            learning=self.settings.learning,
            clips_have_notes=model is None,
        )
        name = "embedded catalogue" if path is None else path.name
        media = MediaCache(self.settings.data / "media")
        shelf = Shelf(
            catalogue,
            name,
            folder,
            table,
            sessions,
            media,
            model,
            self.settings.music_model,
        )
        _ = shelf.artists, shelf.remote_media  # asked for by the first page
        self._shelf = shelf
        return shelf

    def _music_model(self) -> TextToMusic | None:
        """Return the model that was asked for.

        Raises:
            MusicGenMissing: it is not on this machine; the message says how to get it.
        """
        if self.settings.music_model is None:
            return None
        from player.media.musicgen import MusicGen

        self._tell("loading", 0.0, f"loading the model {self.settings.music_model}")
        model = MusicGen(self.settings.music_model)
        self._tell("loading", 0.25, "reading the catalogue")
        return model


def _version() -> str:
    try:
        return version("musicrec")
    except PackageNotFoundError:
        return "unknown"
