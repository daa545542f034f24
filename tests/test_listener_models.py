"""Listener models against numbers computed by hand, and in the environments."""

from __future__ import annotations

import json
import math
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import SIX_LISTENER, SIX_SCORES, SIX_TERMS, six_frame
from gymnasium.utils.env_checker import check_env as check_env_gymnasium
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.env_checker import check_env as check_env_sb3
from test_vector_env import _assert_same_step

from music_env import (
    Catalogue,
    CatalogueError,
    FeatureTarget,
    MusicRecEnv,
    MusicRecVectorEnv,
    NoisyListener,
    Preference,
    TasteProfile,
    ThreeWay,
    WeightedPreference,
    load_listener,
)
from music_env.track_list import read_track_list


@pytest.fixture(scope="module")
def rich() -> Catalogue:
    """The six tracks with a tempo (one missing) and a key."""
    frame = six_frame().assign(tempo=[100, 120, 140, 130, 0, 110], key=[0, 11, 1, 6, -1, 10])
    return Catalogue.from_frame(frame)


# --- Models by hand -------------------------------------------------------------------------------


def test_three_way_is_the_match_of_musicrec(six: Catalogue) -> None:
    model = ThreeWay(Preference(**SIX_LISTENER))
    assert model.scores(six).tolist() == SIX_SCORES
    assert {name: term.tolist() for name, term in model.terms(six).items()} == SIX_TERMS


def test_weighted_preference_by_hand(rich: Catalogue) -> None:
    model = WeightedPreference(
        artists={"A": 2.0, "B": -0.5},
        genres={"pop": 1.0},
        targets=(FeatureTarget("tempo", 115, 125),),
        bias=0.25,
    )
    terms = model.terms(rich)
    assert list(terms) == ["artist", "genre", "tempo", "bias"]
    assert terms["artist"].tolist() == [2, 1.5, -0.5, -0.5, 0, 2]
    assert terms["genre"].tolist() == [0, 1, 1, 1, 0, 0]
    assert terms["tempo"].tolist() == [-1, 1, -1, -1, 0, -1]  # the missing one counts nothing
    assert model.scores(rich).tolist() == [1.25, 3.75, -0.25, -0.25, 0.25, 1.25]
    # A preferred artist alone, as the head of the class says.
    alone = WeightedPreference(artists={"A": 2}, bias=-1)
    assert alone.scores(rich).tolist() == SIX_TERMS["artist"]


def test_soft_targets_by_hand(rich: Catalogue) -> None:
    soft = FeatureTarget("tempo", 120, 130, tolerance=10, weight=3).term(rich)
    one, two = 3 * (2 * math.exp(-0.5) - 1), 3 * (2 * math.exp(-2) - 1)
    np.testing.assert_allclose(soft, [two, 3, one, 3, 0, one], rtol=1e-12)
    zero = FeatureTarget("danceability", 0.5, 0.5, tolerance=0.1 / math.sqrt(2 * math.log(2)))
    np.testing.assert_allclose(zero.term(rich)[[0, 1, 3]], [0, 0, 1], atol=1e-12)
    # Ends of a wall count, as in MusicRec-v0.
    wall = FeatureTarget("danceability", 0.4, 0.6).term(rich)
    assert wall.tolist() == SIX_TERMS["danceability"]
    # The key is a circle: 11 and 1 are one semitone from 0, 10 two, 6 six.
    key = FeatureTarget("key", 0, 0, tolerance=1).term(rich)
    expected = [1, *(2 * math.exp(-(d**2) / 2) - 1 for d in (1, 1, 6)), 0, 2 * math.exp(-2) - 1]
    np.testing.assert_allclose(key, expected, rtol=1e-12)


def test_a_range_of_keys_may_go_on_at_zero(rich: Catalogue) -> None:
    # The keys are 0, 11, 1, 6, none and 10.
    wall = FeatureTarget("key", 11, 0).term(rich)
    assert wall.tolist() == [1, 1, -1, -1, 0, -1]
    soft = FeatureTarget("key", 10, 1, tolerance=1).term(rich)
    np.testing.assert_allclose(soft, [1, 1, 1, 2 * math.exp(-8) - 1, 0, 1], rtol=1e-12)
    for feature, low, high in (("tempo", 10, 1), ("key", 12, 1), ("key", 10, -1)):
        with pytest.raises(ValueError, match=r"low must be at most high.*only the key is a circle"):
            FeatureTarget(feature, low, high)


def test_taste_profile_by_hand(six: Catalogue) -> None:
    # Liked: t0 (artist A, rock, 0.4) and t1 (A and B, pop, 0.6); strength 2 for each of 3 artists.
    model = TasteProfile(["t0", "t1", "t0"], prior_strength=2.0)
    terms = model.terms(six)
    # Artist labels of the catalogue: A 3, B 3, C 2 of 8; liked: A 2, B 1 of 3.
    theta = {"A": (2 + 6 * 3 / 8) / 9, "B": (1 + 6 * 3 / 8) / 9, "C": (6 * 2 / 8) / 9}
    ratio = {a: math.log(theta[a] / q) for a, q in (("A", 3 / 8), ("B", 3 / 8), ("C", 2 / 8))}
    by_hand = [
        ratio["A"],
        (ratio["A"] + ratio["B"]) / 2,
        ratio["B"],
        ratio["B"],
        ratio["C"],
        (ratio["C"] + ratio["A"]) / 2,
    ]
    np.testing.assert_allclose(terms["artist"], by_hand, rtol=1e-12)
    # Genre labels: pop 3, rock 3 of 6; liked: one of each of 2. Nothing learnt.
    np.testing.assert_allclose(terms["genre"], 0, atol=1e-12)
    # Danceability: six different values in ten bins, so that each has a bin of its own.
    in_bin = math.log((1 + 12 / 6) / 14 / (1 / 6))
    out = math.log(12 / 6 / 14 / (1 / 6))
    np.testing.assert_allclose(
        terms["danceability"], [in_bin, in_bin, out, out, out, out], rtol=1e-12
    )
    total = sum(terms.values())
    np.testing.assert_array_equal(model.scores(six), total)


def test_taste_profile_with_disliked_tracks_by_hand(six: Catalogue) -> None:
    model = TasteProfile(["t0"], disliked=["t4"], prior_strength=1.0, bias=-0.5)
    terms = model.terms(six)
    liked = {"A": (1 + 3 * 3 / 8) / 4, "C": (3 * 2 / 8) / 4}
    disliked = {"A": (3 * 3 / 8) / 4, "C": (1 + 3 * 2 / 8) / 4}
    assert terms["artist"][0] == pytest.approx(math.log(liked["A"] / disliked["A"]))
    assert terms["artist"][4] == pytest.approx(math.log(liked["C"] / disliked["C"]))
    assert terms["genre"][4] == 0  # t4 has none
    assert terms["bias"].tolist() == [-0.5] * 6


def test_a_taste_profile_of_nothing_is_an_error(six: Catalogue) -> None:
    with pytest.raises(CatalogueError, match="0 of 0 rows matched"):
        TasteProfile([]).scores(six)
    # Without the kind (t4 has no genre) its shares are the catalogue's.
    assert not TasteProfile(["t4"]).terms(six)["genre"].any()


def test_nobody_disliked_is_as_nothing_known(six: Catalogue, tmp_path: Path) -> None:
    expected = TasteProfile(["t0"]).scores(six)
    empty = tmp_path / "disliked.txt"
    empty.write_text("# none yet\n")
    for disliked in ([], np.array([], dtype=np.int64), empty):
        profile = TasteProfile(["t0"], disliked=disliked)  # type: ignore[arg-type]
        np.testing.assert_array_equal(profile.scores(six), expected)
    with pytest.raises(CatalogueError, match="0 of 1 rows matched"):
        TasteProfile(["t0"], disliked=["Zera"]).scores(six)
    for wrong in (None, 5, b"x", {"t0": 1}):
        with pytest.raises(TypeError, match="liked must be a path, or a list of tracks"):
            TasteProfile(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"disliked must be a path, or a list of tracks.*got 5"):
        TasteProfile(["t0"], disliked=5)  # type: ignore[arg-type]


def test_a_taste_profile_of_a_table_with_names_of_its_own(six: Catalogue, tmp_path: Path) -> None:
    path = tmp_path / "liked.csv"
    path.write_text('Song;"Performer"\nZero;A\nFour;C\n')
    (found,) = TasteProfile(path).matched(six)
    assert found.tracks.tolist() == [0, 4]
    assert found.unmatched[0].reason.endswith(
        "If it is the header of a table, columns={'title': ..., 'artists': ...} says which of its "
        "columns these are: 'Song', 'Performer'."
    )
    columns = {"title": "Song", "artists": "Performer"}
    profile = TasteProfile(path, disliked=["t1"], columns=columns)
    expected = TasteProfile(["t0", "t4"], disliked=["t1"]).scores(six)
    np.testing.assert_array_equal(profile.scores(six), expected)
    described = tmp_path / "listener.json"
    described.write_text(
        json.dumps({"model": "taste", "liked": "liked.csv", "disliked": ["t1"], "columns": columns})
    )
    np.testing.assert_array_equal(load_listener(described).scores(six), expected)
    # Lines without a delimiter are no table.
    path.write_text("Zera\nFuor\n")
    with pytest.raises(CatalogueError, match=r"title and artist$"):
        TasteProfile(path).scores(six)


def test_a_small_sample_stays_near_the_catalogue(embedded: Catalogue) -> None:
    metal = np.flatnonzero(embedded.genres.has("metal") & (embedded.genres.counts == 1))
    sizes = (1, 5, 50, 500)
    found = []
    for n in sizes:
        terms = TasteProfile([int(i) for i in metal[:n]]).terms(embedded)
        found.append(float(terms["genre"][metal[0]]))
    assert found == sorted(found)
    share = 998 / embedded.genres.frequency.sum()
    by_hand = [math.log((n + 6 * share) / (n + 6) / share) for n in sizes[:2]]
    np.testing.assert_allclose(found[:2], by_hand, rtol=1e-3)
    scores = TasteProfile([int(i) for i in metal[:500]]).scores(embedded)
    held_out = metal[500:]
    others = np.flatnonzero(~embedded.genres.has("metal"))
    assert (scores[held_out] > 0).mean() > 0.8 > 0.2 > (scores[others] > 0).mean()


# --- Track lists ----------------------------------------------------------------------------------


def test_a_text_file_of_tracks(six: Catalogue, tmp_path: Path) -> None:
    path = tmp_path / "liked.txt"
    path.write_text(
        "# mine\n\nt3\nB - one\nZERO by A\nFive (Live at X)\nOne - C\nFour - 2011 Remaster\nThre\n"
    )
    found = read_track_list(path, six)
    assert found.tracks.tolist() == [3, 1, 0, 5, 4]
    assert found.rows.tolist() == [3, 4, 5, 6, 8]
    assert [(miss.row, miss.text) for miss in found.unmatched] == [(7, "One - C"), (9, "Thre")]
    assert found.unmatched[0].reason.startswith("no track of this title is by this artist.")
    assert "Nearest: 'Three'" in found.unmatched[1].reason
    assert str(found).splitlines()[0] == f"{path}: 5 of 7 rows matched"
    assert "row 9: 'Thre': no track has this title. Nearest: 'Three'." in str(found)


def test_a_csv_file_of_tracks(six: Catalogue, tmp_path: Path) -> None:
    path = tmp_path / "liked.csv"
    path.write_text('title,artist,plays\nzero,a,3\nOne,"A, B",1\nOne,C,1\nTwo,,9\n,A,1\n')
    found = read_track_list(path, six)
    assert found.tracks.tolist() == [0, 1, 2] and found.rows.tolist() == [1, 2, 4]
    assert [(m.row, m.reason.split(".")[0]) for m in found.unmatched] == [
        (3, "no track of this title is by this artist"),
        (5, "there is nothing"),
    ]
    path.write_text("name;who\nZero;A\n")
    mapped = read_track_list(path, six, columns={"title": "name", "artists": "who"})
    assert mapped.tracks.tolist() == [0]


@pytest.mark.parametrize(
    "text",
    [
        "Zero,A\nOne,B\n",  # no header, and no line is lost
        '"Zero","A"\n"One","B"\n',
        '"A";"x;y";"Zero"\nB;;One\n',  # artist, album, title
        "A\tAlbum\tZero\t2020-01-01 10:00\nB\tAlbum\tOne\t\n",
        "Zero, A & Z\nOne by B, Y\n",
        "1. A - Zero\n2) One\n",
        "https://open.spotify.com/track/t0?si=1a2b\nspotify:track:t1\n",
        "t0,2020\nhttps://open.spotify.com/intl-de/track/t1,2021\n",
        "Track URI,Track Name,Artist URI(s),Artist Name(s)\nspotify:track:x,Zero,y,A\nz,one,,B\n",
        "track_id\nspotify:track:t0\nhttps://open.spotify.com/track/t1\n",
        "Zero - A feat. B\nOne (Live) - X ft. B\n",
    ],
)
def test_tracks_as_people_list_them(six: Catalogue, tmp_path: Path, text: str) -> None:
    path = tmp_path / "liked.csv"
    path.write_text(text)
    found = read_track_list(path, six)
    assert (found.tracks.tolist(), found.unmatched) == ([0, 1], ())


def test_spelling_and_commas_do_not_count() -> None:
    frame = six_frame()
    frame.loc[0, "title"], frame.loc[0, "artists"] = "10,000 Hour\u2019s", "Beyonc\u00e9"
    frame.loc[1, "title"], frame.loc[1, "artists"] = "Yonkers", "Tyler, The Creator"
    catalogue = Catalogue.from_frame(frame)
    lines = [
        "10,000 hour's, Beyonce\u0301",
        '"10,000 Hour`s","BEYONC\u00c9"',
        "Tyler, The Creator, Yonkers",
        "Yonkers,Tyler, The Creator",
        '"Yonkers"',
    ]
    assert read_track_list(lines, catalogue).tracks.tolist() == [0, 0, 1, 1, 1]


def test_a_first_line_that_is_a_track_is_no_header(six: Catalogue, tmp_path: Path) -> None:
    path = tmp_path / "liked.csv"
    path.write_text("# mine\nZero,A\nWho,Knows\n")
    (miss,) = read_track_list(path, six).unmatched
    assert miss.row == 3 and "header" not in miss.reason
    path.write_text("Who,Knows\nWhat,Else\n")
    with pytest.raises(CatalogueError, match=r"title and artist$"):
        read_track_list(path, six)


def test_an_ambiguous_title_wants_the_artist() -> None:
    frame = six_frame()
    frame.loc[3, "title"] = "Zero"
    catalogue = Catalogue.from_frame(frame)
    found = read_track_list(["Zero", "Zero - B"], catalogue)
    assert found.tracks.tolist() == [3]
    assert "2 tracks have this title, by 'A', 'B': add the artist" in found.unmatched[0].reason


def test_track_list_errors(six: Catalogue, tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"0 of 1 rows matched\n  row 1: 'x'.*\nexpected at"):
        read_track_list(["x"], six)
    with pytest.raises(ValueError, match=r"entry 2 .*from 0 to 5, got 6"):
        read_track_list([0, 6], six)
    with pytest.raises(CatalogueError, match=r"likd\.csv: no such file"):
        read_track_list(tmp_path / "likd.csv", six)
    path = tmp_path / "liked.csv"
    path.write_text("artist,x\nA,1\n")
    with pytest.raises(CatalogueError, match="neither a column of track ids nor one of titles"):
        read_track_list(path, six)
    with pytest.raises(CatalogueError, match=r"maps 'title' to 'titel'"):
        read_track_list(path, six, columns={"title": "titel"})


# --- JSON -----------------------------------------------------------------------------------------


def test_descriptions_make_the_models(six: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "liked.txt").write_text("t0\n")
    description = {
        "model": "noisy",
        "wrong_button": 0.25,
        "listener": {"model": "taste", "liked": "liked.txt", "prior_strength": 2},
    }
    path = tmp_path / "listener.json"
    path.write_text(json.dumps(description))
    model = load_listener(path)
    assert isinstance(model, NoisyListener) and model.wrong_button == 0.25
    expected = TasteProfile(["t0"], prior_strength=2).scores(six)
    np.testing.assert_array_equal(model.scores(six), expected)
    weighted = load_listener(
        {
            "model": "weighted",
            "genres": {"rock": -1},
            "targets": [{"feature": "danceability", "low": 0.4, "high": 0.6, "tolerance": 0.1}],
        }
    )
    assert weighted == WeightedPreference(
        genres={"rock": -1}, targets=(FeatureTarget("danceability", 0.4, 0.6, 0.1),)
    )
    assert load_listener(Preference("A")) == ThreeWay(Preference("A"))
    assert load_listener({"model": "preference", "artist": "A", "weights": [2, 1, 1]}) == ThreeWay(
        Preference("A"), (2.0, 1.0, 1.0)
    )
    assert load_listener(weighted) is weighted


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"artists": {}}, "needs 'model', one of 'preference'"),
        ({"model": "wieghted"}, "got 'wieghted'. Nearest: 'weighted'"),
        ({"model": "weighted", "artist": {}}, "got 'artist'. Nearest: 'artists'"),
        ({"model": "weighted", "artists": {"A": "much"}}, "weight of artist 'A' must be a number"),
        ({"model": "weighted"}, "needs artists, genres, targets or a bias"),
        ({"model": "weighted", "targets": [{"feature": "tempo"}]}, "a target needs 'low'"),
        (
            {"model": "weighted", "targets": [{"feature": "temp", "low": 1, "high": 2}]},
            "got 'temp'. Nearest: 'tempo'",
        ),
        ({"model": "taste"}, "needs 'liked'"),
        ({"model": "taste", "liked": ["t0"], "prior_strength": 0}, "prior_strength must be above"),
        (
            {"model": "noisy", "wrong_button": 1, "listener": {"model": "weighted", "bias": 1}},
            "below 1",
        ),
        (
            {"model": "weighted", "genres": ["metal"]},
            r"genres must be weights by name such as \{'genre': 1\}, got \['metal'\]",
        ),
        ({"model": "weighted", "artists": None}, "artists must be weights by name"),
        (
            {"model": "weighted", "targets": {"feature": "tempo"}},
            r"targets must be a list such as \[\{.*\}\], got \{",
        ),
        ({"model": "weighted", "targets": "tempo"}, "targets must be a list"),
        (
            {"model": "weighted", "targets": ["tempo"]},
            "a target must be an object such as .*got 't",
        ),
        (
            {"model": "weighted", "targets": [{"feature": ["key"], "low": 1, "high": 2}]},
            "feature must be one of",
        ),
        (
            {"model": "taste", "liked": ["t0"], "prior_strength": "a"},
            "prior_strength must be a number, got 'a'",
        ),
        ({"model": "taste", "liked": ["t0"], "bias": "a"}, "bias must be a number, got 'a'"),
        ({"model": "taste", "liked": ["t0"], "columns": ["a"]}, "columns must be a mapping such"),
    ],
)
def test_description_errors(description: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        load_listener(description)
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(description))
    with pytest.raises(ValueError, match=r"bad\.json: .*" + message):
        load_listener(path)


def test_other_errors(six: Catalogue, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"artists must be weights by name .*got \['A'\]"):
        WeightedPreference(artists=["A"])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"a sequence of FeatureTarget, got \('tempo',\)"):
        WeightedPreference(targets=("tempo",))  # type: ignore[arg-type]
    path = tmp_path / "bad.json"
    path.write_text("{")
    with pytest.raises(ValueError, match=r"bad\.json: no JSON"):
        load_listener(path)
    with pytest.raises(TypeError, match="must be a model"):
        load_listener(7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="leave out artist"):
        MusicRecEnv(catalogue=six, artist="A", listener={"model": "weighted", "bias": 1})
    with pytest.raises(ValueError, match="leave out weights"):
        MusicRecEnv(weights=(1, 1, 2), listener={"model": "weighted", "bias": 1})
    with pytest.raises(ValueError, match="no track has the label 'AA'"):
        MusicRecEnv(catalogue=six, listener=WeightedPreference(artists={"AA": 1}))
    with pytest.raises(ValueError, match="the catalogue has no tempo"):
        MusicRecEnv(
            catalogue=six, listener=WeightedPreference(targets=(FeatureTarget("tempo", 1, 2),))
        )

    class Odd:
        def scores(self, catalogue: Catalogue) -> NDArray[np.float64]:
            return np.array([1.0, np.nan])

    with pytest.raises(ValueError, match=r"scores must be 6 finite numbers.*1 not finite"):
        MusicRecEnv(catalogue=six, session_length=6, listener=Odd())


class Own:
    """A model of somebody else's, with terms and noise as given."""

    def __init__(self, terms: Any, wrong_button: Any = 0.0) -> None:
        self._terms, self.wrong_button = terms, wrong_button

    def scores(self, catalogue: Catalogue) -> NDArray[np.float64]:
        return catalogue.danceability - 0.5

    def terms(self, catalogue: Catalogue) -> Any:
        return self._terms


@pytest.mark.parametrize(
    ("terms", "wrong_button", "message"),
    [
        ({}, 0, r"must be arrays by name, at least one, got \{\}"),
        ([1.0], 0, r"must be arrays by name, at least one, got \[1.0\]"),
        ({"one": [1.0]}, 0, "term 'one' must be 6 finite numbers"),
        ({"one": [1e308] * 6, "two": [1e308] * 6}, 0, "must add up to its scores"),
        ({"one": [0.1] * 6, "two": [0.2] * 6}, 0, r"\(one, two\) must add up to its scores; for"),
        (None, 2, "wrong_button must be a probability below 1, got 2"),
        (None, "x", "wrong_button must be a number, got 'x'"),
        (None, float("nan"), "wrong_button must be a finite number"),
    ],
)
@pytest.mark.parametrize("make", [MusicRecEnv, partial(MusicRecVectorEnv, 2)])
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_model_of_somebody_elses_is_checked(
    six: Catalogue, make: Any, terms: Any, wrong_button: Any, message: str
) -> None:
    danceability = six.danceability - 0.5
    model = Own({"all": danceability} if terms is None else terms, wrong_button)
    with pytest.raises(ValueError, match=message):
        make(catalogue=six, session_length=6, listener=model)


def test_terms_may_be_added_up_in_float32(six: Catalogue) -> None:
    danceability = six.danceability - 0.5
    halves = (0.5 * danceability).astype(np.float32)
    env = MusicRecEnv(
        catalogue=six, session_length=6, listener=Own({"one": halves, "two": halves}, 0.25)
    )
    np.testing.assert_allclose(env.scores, danceability, atol=1e-7)
    assert env.tables.outcomes.wrong_button == 0.25


def test_weights_are_kept_as_a_tuple_of_finite_sum(six: Catalogue) -> None:
    model = ThreeWay(Preference("A"), [1, 2, 1])
    assert model.weights == (1.0, 2.0, 1.0) and hash(model) == hash(
        ThreeWay(Preference("A"), (1.0, 2.0, 1.0))
    )
    env = MusicRecEnv(catalogue=six, session_length=6, listener=model)
    np.testing.assert_array_equal(env.scores, model.scores(six))
    with pytest.raises(ValueError, match="three finite numbers >= 0"):
        ThreeWay(Preference("A"), (1, 2))
    huge = (1e308,) * 3
    with pytest.raises(ValueError, match=r"sum of the weights must be finite, got \(1e\+308,"):
        ThreeWay(Preference("A"), huge)
    with pytest.raises(ValueError, match="sum of the weights must be finite"):
        MusicRecEnv(catalogue=six, session_length=6, weights=huge)
    with pytest.raises(ValueError, match="sum of all weights and the bias must be finite"):
        WeightedPreference(artists={"A": 1e308, "B": -1e308}, bias=1)


def test_paths_inside_a_noisy_listener_are_relative_to_its_file(
    six: Catalogue, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "liked.txt").write_text("t0\n")
    (folder / "taste.json").write_text('{"model": "taste", "liked": "liked.txt"}')
    noisy = {"model": "noisy", "wrong_button": 0.1, "listener": "taste.json"}
    (folder / "noisy.json").write_text(json.dumps(noisy))
    expected = TasteProfile(["t0"]).scores(six)
    np.testing.assert_array_equal(load_listener(folder / "noisy.json").scores(six), expected)
    model = load_listener({**noisy, "listener": str(folder / "taste.json")})
    np.testing.assert_array_equal(model.scores(six), expected)


# --- In the environments --------------------------------------------------------------------------


class Linear:
    """A model of somebody else's, without terms."""

    def scores(self, catalogue: Catalogue) -> NDArray[np.float64]:
        return catalogue.danceability - 0.5


def test_scores_rewards_and_terms_of_a_model(six: Catalogue) -> None:
    model = WeightedPreference(
        {"A": 2.0}, {"pop": -0.3}, (FeatureTarget("danceability", 0.4, 0.6, 0.1),), bias=0.1
    )
    env = MusicRecEnv(catalogue=six, listener=model, session_length=6, encoding="codes")
    scores, terms = model.scores(six), model.terms(six)
    np.testing.assert_array_equal(env.scores, scores)
    assert env.listener is model
    env.reset(seed=0)
    total = best = 0.0
    for step in range(6):
        _, reward, done, _, info = env.step(step % 2)
        track = info["track_index"]
        assert info["score"] == scores[track]
        assert info["reward_terms"] == {name: term[track] for name, term in terms.items()}
        assert reward == (scores[track] if step % 2 else -scores[track])
        total, best = total + reward, best + abs(scores[track])
    assert done and info["episode_return"] == total and info["episode_regret"] == best - total
    plain = MusicRecEnv(catalogue=six, listener=Linear(), session_length=6)
    plain.reset(seed=0)
    info = plain.step(1)[4]
    assert info["reward_terms"] == {"listener": info["score"]}


def test_a_wrapped_preference_is_musicrec_bit_for_bit(six: Catalogue) -> None:
    ours = MusicRecEnv(
        catalogue=six, session_length=6, listener={"model": "preference", **SIX_LISTENER}
    )
    plain = MusicRecEnv(catalogue=six, session_length=6, **SIX_LISTENER)
    ours.reset(seed=0), plain.reset(seed=0)
    for step in range(6):
        assert ours.step(step % 2)[1:] == plain.step(step % 2)[1:]
    assert ours.preference == plain.preference


def test_noise_has_its_probability_and_leaves_scores_alone() -> None:
    clean = MusicRecVectorEnv(200, genre="rock", danceability=(0.4, 0.6))
    noisy = MusicRecVectorEnv(
        200,
        listener=NoisyListener(ThreeWay(Preference(None, "rock", (0.4, 0.6))), 0.2),
    )
    np.testing.assert_array_equal(clean.reset(seed=0)[0], noisy.reset(seed=0)[0])
    flips, actions = [], np.ones(200, dtype=int)
    for step in range(100):
        one, two = clean.step(actions), noisy.step(actions)
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[4]["score"], two[4]["score"])
        np.testing.assert_array_equal(abs(one[1]), abs(two[1]))
        told = one[1] != 0
        flips.append((one[1] != two[1])[told])
        if step == 0:
            assert flips[0].any() and not flips[0].all()
    share = np.concatenate(flips).mean()
    assert abs(share - 0.2) < 5 * math.sqrt(0.16 / len(np.concatenate(flips)))
    # Regret is that of the decisions; the return is what was earned.
    np.testing.assert_array_equal(two[4]["episode_regret"], one[4]["episode_regret"])
    assert (two[4]["episode_return"] != one[4]["episode_return"]).any()
    np.testing.assert_array_equal(clean.oracle_return, noisy.oracle_return)


MODELS: dict[str, Any] = {
    "weighted": WeightedPreference(
        {"ILLENIUM": 1.5}, {"rock": -0.7}, (FeatureTarget("tempo", 100, 120, 9),), bias=0.05
    ),
    "no terms": Linear(),
    "noisy": NoisyListener(Linear(), 0.3),
    "noisy match": {
        "model": "noisy",
        "wrong_button": 0.3,
        "listener": {"model": "preference", "genre": "rock"},
    },
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_equal_to_sync(mode: AutoresetMode, name: str) -> None:
    arguments = {"listener": MODELS[name], "encoding": "codes", "session_length": 6}
    native = gym.make_vec("MusicRec-v0", num_envs=4, autoreset_mode=mode.value, **arguments)
    sync = gym.make_vec(
        "MusicRec-v0",
        num_envs=4,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        **arguments,
    )
    assert isinstance(sync, SyncVectorEnv)
    _assert_same_step(native.reset(seed=2), sync.reset(seed=2), "reset")
    generator = np.random.default_rng(0)
    for step in range(30):
        actions = generator.integers(2, size=4)
        mine, theirs = native.step(actions), sync.step(actions)
        _assert_same_step(mine, theirs, f"step {step}")
        if mode is AutoresetMode.DISABLED:
            mask = mine[2] | (generator.random(4) < 0.2)
            if mask.any():
                _assert_same_step(
                    native.reset(options={"reset_mask": mask}),
                    sync.reset(options={"reset_mask": mask}),
                    f"masked reset after step {step}",
                )


@pytest.mark.parametrize("name", MODELS)
def test_both_checkers_and_states(name: str) -> None:
    env = gym.make("MusicRec-v0", listener=MODELS[name], session_length=20).unwrapped
    check_env_gymnasium(env)
    check_env_sb3(env)
    env.reset(seed=1)
    for step in range(7):
        env.step(step % 2)
    other = MusicRecEnv(listener=MODELS[name], session_length=20)
    other.set_state(json.loads(json.dumps(env.get_state())))
    copies = [other, pickle.loads(pickle.dumps(env))]
    vector = MusicRecVectorEnv(3, listener=MODELS[name], session_length=9)
    vector.reset(seed=1), vector.step([0, 1, 1])
    restored = MusicRecVectorEnv(3, listener=MODELS[name], session_length=9)
    restored.set_state(vector.get_state())
    for step in range(13):
        expected = env.step(step % 2)
        assert all(copy.step(step % 2)[1:] == expected[1:] for copy in copies)
        _assert_same_step(restored.step([1, 0, 1]), vector.step([1, 0, 1]), f"step {step}")
    assert expected[2]


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_render(mode: str) -> None:
    env = MusicRecEnv(listener=NoisyListener(MODELS["weighted"], 0.3), render_mode=mode)
    env.reset(seed=1)
    for _ in range(10):
        reward = env.step(1)[1]
        view = env.render()
        if mode == "ansi":
            assert "Listener      ILLENIUM +1.5, rock -0.7, tempo 100 to 120 ± 9, presses" in view
            assert f"Reward        {reward:+.6g}" in view
        else:
            assert view.shape == (448, 800, 3)


def test_a_mapping_serialises_with_the_spec() -> None:
    env = gym.make("MusicRec-v0", listener=MODELS["noisy match"], session_length=5)
    assert env.spec is not None
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    env.reset(seed=3), again.reset(seed=3)
    for step in range(5):
        assert env.step(step % 2)[1:] == again.step(step % 2)[1:]


def test_environments_of_one_listener_or_the_same_tracks_share_memory(six: Catalogue) -> None:
    listener = WeightedPreference(genres={"rock": 1})
    common = {"catalogue": six, "session_length": 2, "tracks": [4, 1, 2]}
    first, second = (
        gym.make("MusicRec-v0", listener=listener, **common).unwrapped for _ in range(2)
    )
    assert first.scores is second.scores and first.tracks is second.tracks
    three_way = gym.make("MusicRec-v0", listener=ThreeWay(Preference(genre="rock")), **common)
    plain = gym.make("MusicRec-v0", genre="rock", **common)
    assert three_way.unwrapped.scores is plain.unwrapped.scores

    class Changing:
        value = 1.0

        def scores(self, catalogue: Catalogue) -> np.ndarray:
            return np.full(catalogue.n_tracks, self.value)

    changing = Changing()
    before = gym.make("MusicRec-v0", listener=changing, **common).unwrapped.scores
    changing.value = -1.0
    after = gym.make("MusicRec-v0", listener=changing, **common).unwrapped.scores
    assert before[0] == 1 and after[0] == -1
