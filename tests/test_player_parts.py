"""The player's parts against naive answers: search, nearest preferences, table, rankings, clips."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from player_server import Player, by_rule, press, started, tracks_frame

from music_env import Catalogue, Preference, score_tracks
from player import shortlist as shortlist_module
from player.clips import Clip, made_for
from player.dueling_learner import WINDOW, DuelingLearner, window_start
from player.exports import harmless, one_line
from player.learners import Judgement, SharedTable, TabularLearner
from player.nearest import nearest_preferences
from player.search import NameSearch, folded
from player.tracks import reward_terms, spotify_links
from player.wishes import tracks_that_fit

NAMES = (
    "Björk",
    "Beyoncé",
    "bob",
    "The B-52's",
    "Motörhead",
    "Sigur Rós",
    "ABBA",
    "MØ",
    "Bo Burnham",
)


@pytest.fixture(scope="module")
def drawn() -> Catalogue:
    return Catalogue.from_frame(tracks_frame(300, seed=1))


# --- Search ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("bjork", ["Björk"]),
        ("BJÖ", ["Björk"]),
        ("mo", ["MØ", "Motörhead"]),
        ("ros", ["Sigur Rós"]),
        ("b", ["bob", "Björk", "Beyoncé", "Bo Burnham", "The B-52's", "ABBA"]),
        ("  bo   bur", ["Bo Burnham"]),
        ("head", ["Motörhead"]),
        ("zz", []),
    ],
)
def test_search_by_prefix_then_word_then_inside(typed: str, expected: list[str]) -> None:
    weights = np.array([5, 4, 9, 8, 1, 1, 7, 3, 2])
    found, more = NameSearch(NAMES, weights).find(typed, 10)
    assert [NAMES[place] for place in found] == expected
    assert not more


def test_search_tells_of_more_and_of_all() -> None:
    search = NameSearch(NAMES, np.arange(len(NAMES)))
    assert search.find("b", 2) == ([8, 2], True)
    assert search.find("", 3) == ([8, 7, 6], True)
    assert search.find("b", 6)[1] is False


def test_search_over_many_names_equals_a_naive_one() -> None:
    generator = np.random.default_rng(0)
    letters = np.array(list("abcdeé -"))
    names = ["".join(generator.choice(letters, generator.integers(1, 9))) for _ in range(2_000)]
    weights = generator.integers(0, 50, len(names))
    search = NameSearch(names, weights)

    def rank(place: int, typed: str) -> int | None:
        name = folded(names[place])
        if name.startswith(typed):
            return 0
        return None if typed not in name else 1 if f" {typed}" in name else 2

    for typed in ("a", "ab", "e", "ee", "-", "c d"):
        ranks = {place: r for place in range(len(names)) if (r := rank(place, typed)) is not None}
        order = sorted(ranks, key=lambda p: (ranks[p], -weights[p], folded(names[p]), p))
        assert search.find(typed, 25) == (order[:25], len(order) > 25), typed


# --- Preferences ----------------------------------------------------------------------------------

WISHES = (
    Preference(),
    Preference("Ada"),
    Preference(genre="jazz"),
    Preference("Bo", "pop"),
    Preference("Bo", "pop", (0.2, 0.4)),
    Preference(danceability=(0.5, 0.5)),
    Preference("Cleo", danceability=(0.25, 0.75)),
)


@pytest.mark.parametrize("wish", WISHES)
def test_tracks_that_fit_are_those_of_the_full_score(drawn: Catalogue, wish: Preference) -> None:
    stated = sum(part is not None for part in (wish.artist, wish.genre, wish.danceability))
    scores = score_tracks(drawn, wish)
    assert tracks_that_fit(drawn, wish).tolist() == np.flatnonzero(scores.total == stated).tolist()
    for track in (0, 17, 299):
        terms = reward_terms(drawn, track, wish)
        assert [term["reward"] for term in terms] == scores.terms[:, track].tolist()


@pytest.mark.parametrize("wish", WISHES[1:])
def test_nearest_preferences_have_what_they_say(drawn: Catalogue, wish: Preference) -> None:
    is_judged = np.zeros(drawn.n_tracks, dtype=np.bool_)
    is_judged[tracks_that_fit(drawn, wish)] = True
    is_judged[::7] = True
    found = nearest_preferences(drawn, wish, is_judged)
    assert found, "something is always left here"
    assert len({near.preference for near in found}) == len(found)
    for near in found:
        assert near.preference != wish
        left = np.flatnonzero(~is_judged[tracks_that_fit(drawn, near.preference)])
        assert near.remaining == len(left) > 0
        if near.change == "danceability":
            assert wish.danceability is not None and near.preference.danceability is not None
            assert near.preference.danceability[0] <= wish.danceability[0]
            assert near.preference.danceability[1] >= wish.danceability[1]
    if wish.danceability is not None:
        assert found[0].change == "danceability", "the smallest change goes first"


def test_nearest_preferences_by_hand(six: Catalogue) -> None:
    """Of artist B, genre rock, danceability 0.61 exactly: track t2 alone, which is judged."""
    is_judged = np.array([False, False, True, False, False, False])
    found = nearest_preferences(six, Preference("B", "rock", (0.61, 0.61)), is_judged)
    by_text = {near.text: near.remaining for near in found}
    # B has t1 (pop, 0.6), t3 (pop, 0.5) besides; rock has t0 (0.4) and t5 (1.0) besides.
    assert by_text["any track of B"] == 2
    assert by_text["any track of the genre rock"] == 2
    assert by_text["any track"] == 5
    assert "any genre" not in by_text, "nothing of B lies in the range"
    assert "any danceability" not in by_text, "nothing else of B is rock"


def test_nothing_is_near_when_all_is_judged(six: Catalogue) -> None:
    assert nearest_preferences(six, Preference("A"), np.ones(6, dtype=np.bool_)) == []


# --- Learners -------------------------------------------------------------------------------------


def test_the_table_against_a_dictionary(drawn: Catalogue) -> None:
    shared = SharedTable(drawn)
    table, q = TabularLearner(shared), dict[int, float]()
    generator = np.random.default_rng(0)
    tracks = np.arange(drawn.n_tracks)
    for step in range(200):  # more than the first rows of the table
        track, liked = int(generator.integers(drawn.n_tracks)), bool(generator.random() < 0.5)
        state = int(shared.states[track])
        before = table.like_probabilities(tracks)
        table.absorb(Judgement(track, liked))
        if step % 3 == 0:
            table.undo()
            assert (table.like_probabilities(tracks) == before).all(), step
            continue
        old = q.get(state, 0.0)
        q[state] = old + shared.learning_rate * ((1.0 if liked else -1.0) - old)
    expected = [(1 + q.get(int(state), 0.0)) / 2 for state in shared.states]
    np.testing.assert_allclose(table.like_probabilities(tracks), expected, rtol=0, atol=1e-15)


def test_the_window_of_presses() -> None:
    kept = [count - window_start(count) for count in range(1, 6 * WINDOW)]
    assert kept[: 2 * WINDOW - 1] == list(range(1, 2 * WINDOW))
    assert min(kept[WINDOW:]) >= WINDOW and max(kept) < 2 * WINDOW


def test_over_the_windows_edge_and_back(drawn: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is learnt is that of the presses alone, whichever way they came about."""
    monkeypatch.setattr("player.dueling_learner.WINDOW", 4)
    recommender = by_rule(drawn, None, None, None)  # type: ignore[arg-type]
    judgements = [Judgement(track, track % 3 == 0, track % 4 == 1) for track in range(14)]
    tracks = np.arange(drawn.n_tracks)
    growing = DuelingLearner(recommender, Preference(), [], 1)
    seen = [growing.like_probabilities(tracks)]
    for count, judgement in enumerate(judgements, 1):
        growing.absorb(judgement)
        seen.append(growing.like_probabilities(tracks))
        anew = DuelingLearner(recommender, Preference(), judgements[:count], 1)
        np.testing.assert_array_equal(anew.like_probabilities(tracks), seen[-1], str(count))
    for count in reversed(range(len(judgements))):
        growing.undo()
        np.testing.assert_array_equal(growing.like_probabilities(tracks), seen[count], str(count))


@pytest.mark.parametrize("at_start", [0, 3, 5, 7, 11])
def test_back_and_forth_over_the_windows_edges(
    drawn: Catalogue, monkeypatch: pytest.MonkeyPatch, at_start: int
) -> None:
    """Also after a restart in the middle of a window, whose heir has some catching up to do."""
    monkeypatch.setattr("player.dueling_learner.WINDOW", 4)
    recommender = by_rule(drawn, None, None, None)  # type: ignore[arg-type]
    generator = np.random.default_rng(at_start)
    tracks = np.arange(0, drawn.n_tracks, 5)
    judgements = [Judgement(track, track % 3 == 0) for track in range(at_start)]
    learner = DuelingLearner(recommender, Preference(), judgements, 1)
    for step in range(60):
        # Forth, back, or back over many presses at once: an edge is passed both ways.
        if judgements and generator.random() < (0.6 if step % 20 > 12 else 0.35):
            judgements.pop()
            learner.undo()
        else:
            judged = {judgement.track for judgement in judgements}
            track = int(generator.choice([t for t in range(40) if t not in judged]))
            judgements.append(Judgement(track, bool(generator.random() < 0.5)))
            learner.absorb(judgements[-1])
        anew = DuelingLearner(recommender, Preference(), judgements, 1)
        np.testing.assert_array_equal(
            learner.like_probabilities(tracks), anew.like_probabilities(tracks), f"step {step}"
        )


def test_no_press_costs_a_whole_window(drawn: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("player.dueling_learner.WINDOW", 10)
    told: list[int] = []
    monkeypatch.setattr("player.dueling_learner._tell", lambda _, j: told.append(j.track))
    recommender = by_rule(drawn, None, None, None)  # type: ignore[arg-type]
    learner = DuelingLearner(recommender, Preference(), [], 1)
    for track in range(45):
        told.clear()
        learner.absorb(Judgement(track, True))
        assert set(told) == {track} and len(told) <= 2, "once for this window, once for the next"
    told.clear()
    for _ in range(3):
        learner.undo()
    assert told == []


# --- A catalogue too large to rank at a press -----------------------------------------------------


@pytest.fixture
def crowded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Player]:
    monkeypatch.setattr(shortlist_module, "MAX_SHORTLIST", 20)
    monkeypatch.setattr(shortlist_module, "CHUNK", 64)
    path = tmp_path / "tracks.csv"
    tracks_frame(300).to_csv(path, index=False)
    with started(path, tmp_path / "data") as player:
        yield player


def shortlist_of(player: Player) -> Any:
    (session,) = player.engine.shelf().sessions._sessions.values()
    return session


def settled(session: Any) -> None:
    """Wait until the ranking in the background is through."""
    for _ in range(600):
        with session._shortlist._refresher._lock:
            is_waiting = bool(session._shortlist._refresher._waiting)
        if not is_waiting and session._shortlist.best is not None:
            return
        threading.Event().wait(0.05)
    raise AssertionError("no ranking came")


def test_the_next_track_is_from_the_top_of_the_last_ranking(crowded: Player) -> None:
    browser = crowded.browser()
    press(browser, True)
    session = shortlist_of(crowded)
    settled(session)
    for _ in session._shortlist.ranking():
        pass  # once more, by what is known now
    with session.lock:
        left = session.candidates.left(session.is_judged)
        likely = session.dueling.like_probabilities(left)
        best = set(left[np.argsort(-likely, kind="stable")[:20]].tolist())
        floor = np.sort(likely)[-20]
        found = session.dueling.like_probabilities(session._shortlist.best)
        assert len(session._shortlist.best) == 20
        assert (found >= floor - 1e-6).all() and len(
            best & set(session._shortlist.best.tolist())
        ) > 10
        shortlist = set(session._shortlist.best.tolist())
    shown = int(press(browser, False)["track"]["key"])
    assert shown in shortlist
    assert shown not in {
        int(p["track"]["key"]) for p in browser.get("/api/history").json()["presses"]
    }


def test_a_ranking_that_is_overtaken_is_dropped(crowded: Player) -> None:
    browser = crowded.browser()
    session = shortlist_of(crowded)
    settled(session)
    ranking = session._shortlist.ranking()
    next(ranking)
    state = browser.put("/api/preference", json={"artist": "Ada"}).json()
    for _ in ranking:
        pass
    shown = []
    while len(shown) < 25 and state["track"] is not None:
        assert state["track"]["artists"] == ["Ada"]
        shown.append(state["track"]["key"])
        state = press(browser, False)
    assert len(set(shown)) == len(shown)


def test_a_ranking_of_the_taste_before_a_reset_is_dropped(
    crowded: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The candidates and the learner are the same as before: all tracks, and the default."""
    browser = crowded.browser()
    press(browser, True)
    session = shortlist_of(crowded)
    settled(session)
    monkeypatch.setattr(session._shortlist._refresher, "ask", lambda _: None)
    for parts_before in (1, 5):  # in the middle of it, and when only the taking is left
        ranking = session._shortlist.ranking()
        for _ in range(parts_before):
            next(ranking)
        assert browser.post("/api/reset").status_code == 200
        for _ in ranking:
            pass
        assert session._shortlist.best is None, f"after {parts_before} parts"


# --- Clips and words ------------------------------------------------------------------------------


def test_a_clip_blends_what_was_liked(drawn: Catalogue) -> None:
    nothing = np.zeros(drawn.n_tracks, dtype=np.bool_)
    rock = [t for t in range(300) if drawn.genres.of(t) == ("rock",)][:12]
    clip = made_for(drawn, rock, 3, nothing, seed=1)
    assert clip == made_for(drawn, rock, 3, nothing, seed=1)
    assert clip != made_for(drawn, rock, 3, nothing, seed=2)
    assert clip.features.title == "Made for you 3"
    assert clip.features.genres == ("rock",)
    assert drawn.genres.of(clip.stand_in) == ("rock",)
    assert Clip.of_json(clip.to_json()) == clip
    judged = nothing.copy()
    judged[clip.stand_in] = True
    assert made_for(drawn, rock, 3, judged, seed=1).stand_in != clip.stand_in
    assert made_for(drawn, [clip], 4, nothing, seed=1).features.genres == ("rock",)
    assert made_for(drawn, [], 1, np.ones(300, dtype=np.bool_), seed=1).features.genres


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@x", "\tx", "\rx", "\uff1d1"])
def test_cells_that_begin_like_formulas(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"
    assert harmless(f"a{cell}") == f"a{cell}"


def test_one_line() -> None:
    assert one_line("a\r\nb\x00c\u2028d  e") == "a b c d e"


def test_spotify_ids() -> None:
    assert spotify_links("6AHJ7TA1BN7ePfChCwqph3") is not None
    assert spotify_links("derived:0011223344556677") is None
    assert spotify_links("6AHJ7TA1BN7ePfChCwqp/3") is None


def test_nothing_heavy_is_loaded_for_the_first_page() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from player.app import create_app; from player.command import main; "
        "from player.settings import PlayerSettings; create_app(PlayerSettings()); "
        "print([name for name in ('torch', 'pandas', 'scipy', 'agents') if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    assert found.stdout.strip() == "[]", found.stdout + found.stderr


def test_the_simulated_listener_through_the_api(tmp_path: Path) -> None:
    from rich.console import Console

    from player.settings import PlayerSettings
    from player.simulate import Taste, meet, report, running

    path = tmp_path / "tracks.csv"
    tracks_frame(300).to_csv(path, index=False)
    settings = PlayerSettings(catalogue=path, data=tmp_path / "data", port=0)
    taste = Taste("Ada", "rock", (0.3, 0.7))
    with running(settings, by_rule) as (address, engine):
        engine.wait(600)
        outcomes = meet(address, [taste, taste], 25)
    for outcome in outcomes:
        assert outcome.faults == []
        assert len(outcome.liked) == 25
        # By chance 22 % are liked: two terms of three, of one in 5, one in 3 and two in 5.
        assert sum(outcome.liked) > 10, "it learns"
    with (tmp_path / "report.txt").open("w", encoding="utf-8") as file:
        report(outcomes, Console(file=file, width=100), seconds=1.0)
    text = (tmp_path / "report.txt").read_text(encoding="utf-8")
    assert "nothing lost or mixed up" in text
    assert "Guesses of dueling-dqn that were right" in text


def test_a_taste_is_the_rewards_sign(drawn: Catalogue) -> None:
    from player.simulate import Taste

    wish = Preference("Bo", "pop", (0.2, 0.6))
    taste = Taste(wish.artist, wish.genre, wish.danceability)
    scores = score_tracks(drawn, wish).total
    for track in range(drawn.n_tracks):
        shown = {
            "artists": list(drawn.artists.of(track)),
            "genres": list(drawn.genres.of(track)),
            "features": {"danceability": float(drawn.danceability[track])},
        }
        assert taste.likes(shown) == (scores[track] > 0)


@pytest.mark.slow
def test_the_policy_is_trained_on_the_first_start_and_loaded_on_the_next(tmp_path: Path) -> None:
    from player.policy import recommender_for

    path = tmp_path / "tracks.csv"
    tracks_frame(200).to_csv(path, index=False)
    catalogue = Catalogue.read(path)
    settings: Any = SimpleNamespace(run=None, catalogue=path, timesteps=6_400)
    told: list[tuple[float, str]] = []
    first = recommender_for(catalogue, settings, tmp_path, lambda *what: told.append(what))
    assert told[0][0] == 0.0 and "6,400 tracks" in told[0][1]
    assert (tmp_path / "policy" / "metrics.json").is_file()
    told.clear()
    second = recommender_for(catalogue, settings, tmp_path, lambda *what: told.append(what))
    assert [text for _, text in told] == ["loading the policy for every listener"]
    tracks = np.arange(catalogue.n_tracks)
    np.testing.assert_array_equal(
        first.newcomer(seed=1).like_probabilities(tracks),
        second.newcomer(seed=1).like_probabilities(tracks),
    )
