"""Train with default hyperparameters for many listeners, and print what each run ends with.

    python -m bench.listeners [--agent dueling-dqn] [--listeners 10] [--seeds 1]

The listeners: the notebooks' (Deezer catalogue; all danceability, and 0.43 to 0.77), the embedded
catalogue's default listener, and for both catalogues listeners drawn by seed whose artist has
tracks in several genres. The Deezer catalogue is not part of the project: its rows are left out
where ``../shared/data`` is absent.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from scipy.stats import binomtest

from agents.training import Agent, DuelingDQNSettings, QLearningSettings, RunSettings, train_run
from music_env import Catalogue, Preference, default_preference
from music_env.tables import load_catalogue

DEEZER = Path(__file__).resolve().parents[2] / "shared" / "data" / "deezer_artists_top_tracks.csv"
TIDYTUESDAY = DEEZER.with_name("tidytuesday_spotify_songs.csv")
_NARROWEST = 0.1  # a range of danceability, so that some tracks lie within


@dataclass(frozen=True)
class Arguments:
    """Train for many listeners with default hyperparameters."""

    agent: Agent = "dueling-dqn"
    """The learner."""
    listeners: int = 10
    """Listeners drawn for each catalogue."""
    seeds: int = 1
    """Runs for each listener."""
    draw: int = 0
    """Seed of the draw of listeners."""


def drawn_listeners(catalogue: Catalogue, count: int, seed: int) -> list[Preference]:
    """Return listeners whose artist has tracks in several genres, which genre alone cannot serve.

    The artist is drawn uniformly among those, the genre among the artist's, the range of
    danceability from two of the catalogue's tracks at least 0.1 apart.
    """
    generator = np.random.default_rng(seed)
    artists, genres = catalogue.artists, catalogue.genres
    track_of_artist = np.repeat(np.arange(catalogue.n_tracks), artists.counts)
    several = []
    for artist in range(len(artists.vocabulary)):
        tracks = track_of_artist[artists.codes == artist]
        names = sorted({name for track in tracks for name in genres.of(track)})
        if len(names) > 1:
            several.append((artists.vocabulary[artist], names))
    listeners = []
    for choice in generator.choice(len(several), size=count, replace=False):
        artist_name, names = several[choice]
        low, high = 0.0, 0.0
        while high - low < _NARROWEST:
            low, high = np.sort(generator.choice(catalogue.danceability, size=2)).tolist()
        listeners.append(Preference(artist_name, str(generator.choice(names)), (low, high)))
    return listeners


def all_listeners(count: int, seed: int) -> Iterator[tuple[str, Path | None, Preference]]:
    """Yield the catalogue's name and path, and the listener."""
    if DEEZER.is_file():
        for ends in ((0.0, 1.0), (0.43, 0.77)):
            yield "Deezer", DEEZER, Preference("2Pac", "alternative", ends)
    embedded = load_catalogue(None)
    yield "embedded", None, default_preference(embedded)
    for preference in drawn_listeners(embedded, count, seed):
        yield "embedded", None, preference
    if DEEZER.is_file():
        for preference in drawn_listeners(load_catalogue(DEEZER), count, seed):
            yield "Deezer", DEEZER, preference


def main() -> None:
    """Parse the command line, train, print the table."""
    arguments = tyro.cli(Arguments, description=__doc__)
    settings = QLearningSettings() if arguments.agent == "q-learning" else DuelingDQNSettings()
    table = Table(
        title=f"{arguments.agent}, {settings.timesteps:,} tracks judged, default settings"
    )
    for heading in ("catalogue", "listener", "seed", "wrong", "mixed", "regret", "training [s]"):
        table.add_column(
            heading, justify="left" if heading in ("catalogue", "listener") else "right"
        )
    perfect = runs = 0
    console = Console(width=140)
    for name, path, preference in all_listeners(arguments.listeners, arguments.draw):
        for seed in range(arguments.seeds):
            with tempfile.TemporaryDirectory() as folder:
                metrics = train_run(
                    RunSettings(
                        agent=arguments.agent,
                        learner=settings,
                        out=Path(folder),
                        environment={
                            "catalogue": None if path is None else str(path),
                            "artist": preference.artist,
                            "genre": preference.genre,
                            "danceability": preference.danceability,
                        },
                        seed=seed,
                        progress_bar=False,
                    )
                )
            n_tracks = load_catalogue(path).n_tracks
            wrong = round((1 - metrics["decision_accuracy"]) * n_tracks)
            runs, perfect = runs + 1, perfect + (wrong == 0)
            table.add_row(
                name,
                escape(str(preference)),
                str(seed),
                str(wrong),
                str(metrics.get("mixed_state_tracks", "")),
                f"{metrics['relative_regret']:.3%}",
                f"{metrics['train_seconds']:.1f}",
            )
            console.print(f"{name}, {preference}, seed {seed}: {wrong} wrong", highlight=False)
    console.print(table)
    share = binomtest(perfect, runs).proportion_ci(0.95, method="exact")
    console.print(
        f"{perfect} of {runs} runs with every decision right (95 % interval of the share, "
        f"Clopper-Pearson: {share.low:.2f} to {share.high:.2f})"
    )


if __name__ == "__main__":
    main()
