"""Populations and the balanced draw: distributions, splits, files, and subsets by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import shared_file

from music_env import Catalogue, CatalogueError, Listeners, MusicRecAnyListenerEnv, Preference
from music_env.balance import SHARES, Sources, checked_balance, draw_mixture
from music_env.listeners import OPEN, pair_kinds, pair_outcomes
from music_env.order import session_orders
from music_env.population import (
    Population,
    PopulationOptions,
    Split,
    draw_population,
    given_population,
    load_population,
)
from music_env.population_file import read_population

N = 20_000


@pytest.fixture(scope="module")
def drawn(embedded: Catalogue) -> Population:
    return draw_population(embedded, PopulationOptions(n_listeners=N))


def _near(share: float, expected: float, n: int = N) -> bool:
    """Within five standard deviations of a share of n."""
    return abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / n)


def test_terms_are_left_open_as_often_as_stated(drawn: Population) -> None:
    listeners = drawn.listeners
    assert len(drawn) == N and listeners.n_open.max() == 2
    # Independent, given that not all three are open: 0.2 * (1 - 0.04) / (1 - 0.008).
    for is_open in (listeners.artist == OPEN, listeners.genre == OPEN, listeners.any_danceability):
        assert _near(is_open.mean(), 0.2 * 0.96 / 0.992)
    assert _near((listeners.n_open == 0).mean(), 0.512 / 0.992)
    assert (listeners.low[listeners.any_danceability] == 0).all()
    assert (listeners.high[listeners.any_danceability] == 1).all()


def test_artists_are_uniform_over_those_with_five_tracks(
    embedded: Catalogue, drawn: Population
) -> None:
    artist = drawn.listeners.artist[drawn.listeners.artist != OPEN]
    eligible = np.flatnonzero(embedded.artists.frequency >= 5)
    assert set(artist.tolist()) == set(eligible.tolist())
    counts = np.bincount(artist)[eligible]
    expected = len(artist) / len(eligible)
    statistic = ((counts - expected) ** 2 / expected).sum()  # chi-square
    assert abs(statistic - len(eligible)) < 5 * np.sqrt(2 * len(eligible))


def test_genres_are_mostly_the_artists_own(embedded: Catalogue, drawn: Population) -> None:
    listeners = drawn.listeners
    both = listeners.take((listeners.artist != OPEN) & (listeners.genre != OPEN))
    own = 0.0
    for artist, genre in zip(both.artist.tolist(), both.genre.tolist(), strict=True):
        tracks = embedded.artists.has(embedded.artists.vocabulary[artist])
        own += embedded.genres.has(embedded.genres.vocabulary[genre])[tracks].any()
    # 0.8, and of the other fifth those that hit one of the artist's own by chance (1/6 and more).
    assert 0.8 + 0.2 / 6 - 0.02 < own / len(both) < 0.8 + 0.2 / 2


def test_ranges_have_the_stated_widths_around_tracks(
    embedded: Catalogue, drawn: Population
) -> None:
    listeners = drawn.listeners.take(~drawn.listeners.any_danceability)
    inside = listeners.take((listeners.low > 0) & (listeners.high < 1))
    width = inside.high - inside.low
    assert width.min() >= 0.099 and width.max() <= 0.501
    assert 0.28 < width.mean() < 0.3  # the widest are cut off most often
    np.testing.assert_array_equal(np.round(listeners.low, 3), listeners.low)
    values = embedded.danceability
    matched = [
        ((values >= a) & (values <= b)).any()
        for a, b in zip(listeners.low, listeners.high, strict=True)
    ]
    assert np.mean(matched) > 0.999


def test_same_arguments_same_listeners_other_seed_others(embedded: Catalogue) -> None:
    options = PopulationOptions(n_listeners=50)
    one, two = draw_population(embedded, options), draw_population(embedded, options)
    np.testing.assert_equal(one.listeners.arrays(), two.listeners.arrays())
    other = draw_population(embedded, options, Split(seed=1))
    assert (other.listeners.artist != one.listeners.artist).any()


def test_train_and_test_listeners_are_disjoint(embedded: Catalogue) -> None:
    options = PopulationOptions(n_listeners=3000)
    sides = {
        name: draw_population(embedded, options, Split(name)).listeners
        for name in ("train", "test")
    }
    artists = {name: set(side.artist.tolist()) - {OPEN} for name, side in sides.items()}
    assert not artists["train"] & artists["test"]
    n_eligible = int((embedded.artists.frequency >= 5).sum())
    assert len(artists["train"] | artists["test"]) == n_eligible
    assert _near(len(artists["test"]) / n_eligible, 0.2, n_eligible)
    everyone = {
        name: {side.preference(i, embedded) for i in range(len(side))}
        for name, side in sides.items()
    }
    assert not everyone["train"] & everyone["test"]  # those without an artist neither
    assert (sides["test"].artist == OPEN).any()
    # Another seed splits otherwise, another share more.
    again = draw_population(embedded, options, Split("test", seed=3)).listeners
    assert set(again.artist.tolist()) - {OPEN} != artists["test"]
    half = draw_population(embedded, options, Split("test", test_share=0.5)).listeners
    assert artists["test"] <= set(half.artist.tolist())


def test_an_artist_is_on_the_same_side_in_any_population(embedded: Catalogue) -> None:
    names = [embedded.artists.vocabulary[code] for code in range(0, 2000, 50)]
    given = [Preference(artist=name) for name in names]
    test = given_population(embedded, given, Split("test"))
    drawn = draw_population(embedded, None, Split("train"))
    assert 0 < len(test) < len(names)
    assert not set(test.listeners.artist.tolist()) & (set(drawn.listeners.artist.tolist()) - {OPEN})
    with pytest.raises(ValueError, match="none of the 40 listeners is in the test split"):
        given_population(embedded, given, Split("test", test_share=0))


# --- Files ----------------------------------------------------------------------------------------

HEADER = "artist,genre,danceability_low,danceability_high,remark\n"


def test_a_file_of_listeners(six: Catalogue, tmp_path: Path) -> None:
    path = tmp_path / "listeners.csv"
    path.write_text(HEADER + "A,rock,0.4,0.6,all\nB,,,,\n,pop,,0.5,\n,,0.25,,\n")
    population = read_population(str(path), six)
    expected = [
        Preference("A", "rock", (0.4, 0.6)),
        Preference("B"),
        Preference(None, "pop", (0.0, 0.5)),
        Preference(None, None, (0.25, 1.0)),
    ]
    assert [population.listeners.preference(i, six) for i in range(4)] == expected
    assert str(population) == f"4 listeners from {path}"
    env = MusicRecAnyListenerEnv(catalogue=six, population=str(path), session_length=6)
    assert len(env.population) == 4
    semicolons = tmp_path / "semicolons.csv"
    semicolons.write_text(HEADER.replace(",", ";") + "A;rock;0,4;0,6;\n")
    assert read_population(str(semicolons), six).listeners.preference(0, six) == expected[0]


def test_a_parquet_file_of_listeners(six: Catalogue, tmp_path: Path) -> None:
    import pandas as pd

    path = tmp_path / "listeners.parquet"
    pd.DataFrame(
        {
            "artist": ["A", None],
            "genre": [None, "pop"],
            "danceability_low": [0.1, float("nan")],
            "danceability_high": [0.2, float("nan")],
        }
    ).to_parquet(path)
    found = read_population(str(path), six).listeners
    assert found.preference(0, six) == Preference("A", None, (0.1, 0.2))
    assert found.preference(1, six) == Preference(None, "pop")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("A,,,,\nab,,,,\n", r"row 2, column 'artist': 'ab' is no artist.*its 3 artists"),
        ("A,Rokc,,,\n", r"row 1, column 'genre': 'Rokc' is no genre.*Nearest: 'rock'"),
        (
            "A,,0.1,0.2,\nA,,1.2,,\n",
            r"row 2, column 'danceability_low': '1.2', expected a number within 0..1",
        ),
        ("A,,0.4,high,\n", r"row 1, column 'danceability_high': 'high', expected a number"),
        ("A,,0.6,0.4,\n", r"row 1, columns .*0.6 is more than 0.4"),
        ("A,,,,\n,,,,x\n", r"row 2 leaves everything open"),
        ("A,,,,x,y\n", r"row 1 has more fields than the header"),
        ("", r"there are no rows"),
    ],
)
def test_errors_name_file_row_column_and_value(
    six: Catalogue, tmp_path: Path, rows: str, message: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(HEADER + rows)
    with pytest.raises(CatalogueError, match=r"bad\.csv: .*" + message):
        read_population(str(path), six)


def test_a_missing_column_is_named(six: Catalogue, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("artists,genre,danceability_low,danceability_high\nA,,,\n")
    with pytest.raises(CatalogueError, match=r"column 'artist' is there 0 times.*'artists'"):
        read_population(str(path), six)


# --- Kinds and balance ----------------------------------------------------------------------------


def test_kinds_of_pairs_equal_the_definition(embedded: Catalogue, drawn: Population) -> None:
    listeners = drawn.listeners.take(slice(200))
    generator = np.random.default_rng(0)
    tracks = generator.integers(embedded.n_tracks, size=(200, 60))
    start, of_artist = embedded.artists.tracks_of
    for i in range(100):  # and tracks that match, some of them with several artists
        artist = listeners.artist[i]
        if artist != OPEN:
            own = of_artist[start[artist] : start[artist + 1]][:30]
            tracks[i, : len(own)] = own
    found = pair_outcomes()[:, pair_kinds(embedded, tracks, listeners)]
    for i in range(200):
        preference = listeners.preference(i, embedded)
        for j, track in enumerate(tracks[i].tolist()):
            terms = [0, 0, 0]
            if preference.artist is not None:
                terms[0] = 1 if preference.artist in embedded.artists.of(track) else -1
            if preference.genre is not None:
                terms[1] = 1 if preference.genre in embedded.genres.of(track) else -1
            if preference.danceability is not None:
                low, high = preference.danceability
                terms[2] = 1 if low <= embedded.danceability[track] <= high else -1
            assert found[:, i, j].tolist() == [*terms, sum(terms)], (i, track)


def test_held_with_many_labels_a_track() -> None:
    import pandas as pd

    rows = [";".join(f"x{k:02}" for k in range(n + 1)) for n in range(9)]
    frame = pd.DataFrame({"title": [f"t{i}" for i in range(9)], "artists": rows})
    catalogue = Catalogue.from_frame(frame.assign(danceability=0.5))
    tracks, codes = np.meshgrid(np.arange(9), np.arange(-1, 9))
    np.testing.assert_array_equal(
        catalogue.artists.held(tracks, codes), (codes <= tracks) & (codes >= 0)
    )


def _draw(catalogue: Catalogue, preference: Preference, n: int, **arguments: Any) -> np.ndarray:
    listeners = Listeners.of(catalogue, [preference] * n)
    sources = Sources.of(catalogue, arguments.pop("tracks", None))
    shares = checked_balance(arguments.pop("balance", "balanced"))
    keys = np.full(n, 17, dtype=np.uint64)
    return draw_mixture(
        sources, listeners, shares, arguments["length"], keys, np.arange(n, dtype=np.uint64)
    )


def test_sources_have_their_shares(embedded: Catalogue) -> None:
    preference = Preference("ILLENIUM", "metal", (0.3, 0.35))
    tracks = _draw(embedded, preference, 400, length=100)
    assert tracks.shape == (400, 100) and tracks.dtype == np.int32
    assert all(len(set(row)) == 100 for row in tracks.tolist())
    has_artist = embedded.artists.has("ILLENIUM")
    is_metal = embedded.genres.has("metal")
    share = has_artist[tracks].mean(axis=1)
    assert share.min() >= SHARES["artist"]
    n_rest = 0.35 + 0.1 + 0.3  # of which about as many match as of all tracks
    assert abs(share.mean() - SHARES["artist"] - n_rest * has_artist.mean()) < 0.01
    assert is_metal[tracks].mean(axis=1).min() >= SHARES["genre"]
    # Every place is as likely to hold a track of the artist.
    by_place = has_artist[tracks].mean(axis=0)
    assert by_place.min() > share.mean() - 5 * 0.022 and by_place.max() < share.mean() + 5 * 0.022


def test_every_subset_of_a_source_is_as_likely(embedded: Catalogue) -> None:
    artist = "ILLENIUM"
    own = np.flatnonzero(embedded.artists.has(artist))
    tracks = _draw(
        embedded, Preference(artist), 4000, length=10, balance={"artist": 1.0, "genre": 0}
    )
    counts = np.bincount(tracks.ravel(), minlength=embedded.n_tracks)
    assert counts.sum() == counts[own].sum() == 40_000  # all of them the artist's
    expected = 40_000 / len(own)
    statistic = ((counts[own] - expected) ** 2 / expected).sum()
    assert abs(statistic - len(own)) < 5 * np.sqrt(2 * len(own))


def test_an_artist_with_few_tracks_is_shown_whole_and_the_rest_is_uniform(
    embedded: Catalogue,
) -> None:
    artist = embedded.artists.vocabulary[int(np.flatnonzero(embedded.artists.frequency == 5)[0])]
    own = np.flatnonzero(embedded.artists.has(artist))
    tracks = _draw(embedded, Preference(artist), 300, length=100)
    for row in tracks.tolist():
        assert set(own.tolist()) <= set(row) and len(set(row)) == 100
    others = np.bincount(tracks.ravel(), minlength=embedded.n_tracks)
    others = np.delete(others, own)
    expected = 300 * 95 / len(others)
    statistic = ((others - expected) ** 2 / expected).sum()
    assert abs(statistic - len(others)) < 5 * np.sqrt(2 * len(others))


def test_short_sessions_have_the_shares_on_average(embedded: Catalogue) -> None:
    tracks = _draw(embedded, Preference("ILLENIUM"), 8000, length=1)
    assert _near(embedded.artists.has("ILLENIUM")[tracks].mean(), 0.25 + 0.75 * 124 / 5849, 8000)


def test_uniform_is_the_order_of_musicrec(embedded: Catalogue) -> None:
    tracks = _draw(embedded, Preference("ILLENIUM"), 5, length=100, balance="uniform")
    expected = session_orders(
        5849, 100, np.full(5, 17, dtype=np.uint64), np.arange(5, dtype=np.uint64)
    )
    np.testing.assert_array_equal(tracks, expected)


def test_a_session_of_the_whole_catalogue_shows_each_track_once(six: Catalogue) -> None:
    for preference in (Preference("A", "rock", (0.4, 0.6)), Preference(genre="pop"), Preference()):
        tracks = _draw(six, preference, 50, length=6)
        np.testing.assert_array_equal(np.sort(tracks, axis=1), np.tile(np.arange(6), (50, 1)))
        some = _draw(six, preference, 50, length=3, tracks=np.array([5, 1, 3]))
        np.testing.assert_array_equal(np.sort(some, axis=1), np.tile([1, 3, 5], (50, 1)))


def test_a_population_of_another_catalogue_is_refused(
    six: Catalogue, embedded: Catalogue, drawn: Population, tmp_path: Path
) -> None:
    path = tmp_path / "listeners.csv"
    path.write_text("artist,genre,danceability_low,danceability_high\nA,rock,0.4,0.6\n")
    for population in (
        given_population(six, [{"artist": "A"}]),
        read_population(path, six),
    ):
        assert load_population(six, population, Split(), None) is population
        message = f"checksum {six.checksum}, not of this one, {embedded.checksum}"
        with pytest.raises(ValueError, match=message):
            load_population(embedded, population, Split(), None)
    test = draw_population(embedded, split=Split("test"))
    with pytest.raises(ValueError, match="draw or read one for this catalogue"):
        MusicRecAnyListenerEnv(catalogue=six, population=test, session_length=6)
    part = load_population(embedded, drawn, Split("test"), None)
    assert part.catalogue == embedded.checksum


def test_on_tidytuesday() -> None:
    catalogue = Catalogue.read(shared_file("tidytuesday_spotify_songs.csv"))
    population = draw_population(catalogue, PopulationOptions(n_listeners=500), Split("test"))
    tracks = draw_mixture(
        Sources.of(catalogue, None),
        population.listeners,
        SHARES,
        100,
        np.arange(500, dtype=np.uint64),
        np.zeros(500, dtype=np.uint64),
    )
    kinds = pair_kinds(catalogue, tracks, population.listeners)
    prefers = population.listeners.artist != OPEN
    assert 0.08 < (kinds[prefers] & 4 > 0).mean() < 0.15
