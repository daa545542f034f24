"""The online recommender against Bayes' rule by enumeration, and as a page uses it."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest

from agents.belief import MAX_ARTISTS, Belief
from agents.mixture import POLICY_WEIGHT, SWITCHING
from agents.newcomers import NewcomerPrior
from agents.online import OnlineRecommender
from agents.online_listener import UNDO_AT_ONCE, OnlineListener
from agents.personal_model import MAX_JUDGED, KernelWeights, PersonalModel, TrackKernel
from agents.policy_terms import MATCH, MISS, NEUTRAL
from agents.recommender import OnlineRecommender as FromRecommender
from agents.recommender import recommend
from music_env import Catalogue, Preference
from music_env.listeners import Listeners, pair_kinds, pair_outcomes
from music_env.pairs import PairEncoded, encode_pairs
from music_env.population import Split, draw_population
from music_env.tables import shared_scores

ALL = ("artist", "genre", "danceability")


class Rule:
    """A policy that values a like as the rewards do: it reads the observation by column names."""

    def __init__(self, encoded: PairEncoded) -> None:
        names, n = encoded.columns, encoded.n_track_columns
        self.slots = {
            kind: [i for i in range(n) if names[i].startswith(f"{kind} ")]
            for kind in ("genre", "artist")
        }
        self.danceability, self.listener = names.index("danceability"), n
        self.n_asked = 0

    def q_values(self, observations: np.ndarray) -> np.ndarray:
        self.n_asked += len(observations)
        low, high, anything, genre, artist = observations[:, self.listener :].T
        value = observations[:, self.danceability]
        score = np.where(anything > 0, 0, np.where((value >= low) & (value <= high), 1, -1))
        for kind, wanted in (("genre", genre), ("artist", artist)):
            held = (observations[:, self.slots[kind]] == wanted[:, None]).any(axis=1)
            score = score + np.where(wanted == 0, 0, np.where(held, 1, -1))
        return np.stack([-score, score], axis=1).astype(np.float32)


def listeners_of(catalogue: Catalogue, **preference: Any) -> Listeners:
    return Listeners.of(catalogue, [preference])


def made(catalogue: Catalogue, population: Listeners) -> OnlineRecommender:
    encoded = encode_pairs(catalogue, "codes")
    return OnlineRecommender(Rule(encoded), catalogue, encoded, population)


@pytest.fixture(scope="module")
def small(six: Catalogue) -> OnlineRecommender:
    preferences: list[dict[str, Any]] = [
        {"artist": "A", "genre": "rock", "danceability": (0.4, 0.6)},
        {"artist": "B"},
        {"genre": "pop", "danceability": (0.0, 0.5)},
        {"artist": "C", "genre": "rock"},
        {"danceability": (0.6, 1.0)},
    ]
    return made(six, Listeners.of(six, preferences))


@pytest.fixture(scope="module")
def large(embedded: Catalogue) -> OnlineRecommender:
    return made(embedded, draw_population(embedded, split=Split("train")).listeners)


def newcomer_likes(catalogue: Catalogue, preference: Preference) -> np.ndarray:
    return shared_scores(catalogue, preference, (1.0, 1.0, 1.0)).total > 0


# --- What the policy says of terms ----------------------------------------------------------------


def test_the_terms_are_those_of_the_rule(small: OnlineRecommender, six: Catalogue) -> None:
    terms = small.prior.terms
    assert terms.levels.tolist() == [[2, -2, 0], [2, -2, 0], [2, -2, 0]]
    assert small.prior.like_above == 1  # between a score of 0 and the least above it, 1
    for track in range(6):
        met = {
            six.genres.vocabulary[g]
            for g in np.flatnonzero(terms.genre_met[terms.genres_of[track]])
        }
        assert met == set(six.genres.of(track))
        for low, high, inside in zip(
            terms.low, terms.high, terms.range_met[terms.bin_of[track]], strict=True
        ):
            assert inside == (low <= six.danceability[track] <= high)


def test_terms_add_up_to_the_policy_but_at_the_ends_of_ranges(large: OnlineRecommender) -> None:
    catalogue, generator = large.catalogue, np.random.default_rng(0)
    people = draw_population(catalogue, split=Split("test")).listeners
    chosen = people.take(generator.integers(len(people), size=3_000))
    tracks = generator.integers(catalogue.n_tracks, size=3_000)
    kinds = pair_kinds(catalogue, tracks[:, None], chosen)[:, 0]
    scores = pair_outcomes()[-1][kinds]
    added = large.prior.terms.values(catalogue, chosen, tracks)
    assert ((added > 1) == (scores > 0)).mean() > 0.98


def test_a_policy_that_knows_no_terms_is_refused(six: Catalogue) -> None:
    class Nothing:
        def q_values(self, observations: np.ndarray) -> np.ndarray:
            return np.zeros((len(observations), 2))

    people = Listeners.of(six, [{"artist": "A", "danceability": (0.4, 0.6)}])
    with pytest.raises(ValueError, match="does not tell tracks that meet a preferred artist"):
        OnlineRecommender(Nothing(), six, encode_pairs(six, "codes"), people)


# --- The belief -----------------------------------------------------------------------------------


def by_enumeration(
    prior: NewcomerPrior, presses: list[tuple[int, bool]], given: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Bayes' rule over every preference, one by one: P(like) of the tracks, expected terms."""
    catalogue, terms = prior.catalogue, prior.terms
    n_genres, n_ranges = len(catalogue.genres.vocabulary), len(terms.low)
    like, expected, total = np.zeros(catalogue.n_tracks), np.zeros((3, catalogue.n_tracks)), 0.0
    artists = [*range(len(catalogue.artists.vocabulary)), None]
    for artist, genre, ends in itertools.product(
        artists, [*range(n_genres), None], [*range(n_ranges), None]
    ):
        if (artist, genre, ends) == (None, None, None):
            continue
        p = (
            prior.open_share[0]
            if artist is None
            else (1 - prior.open_share[0]) * prior.artist[artist]
        )
        of_genre = prior.genre if artist is None else prior.genre_of_artist[artist]
        if "genre" in given:
            # The stated genre weighs the artists, and is certain.
            if genre != given["genre"]:
                continue
            if artist is not None:
                weights = prior.artist * prior.genre_of_artist[:, genre]
                p = (1 - prior.open_share[0]) * weights[artist] / weights.sum()
        else:
            p *= (
                prior.open_share[1]
                if genre is None
                else (1 - prior.open_share[1]) * of_genre[genre]
            )
        p *= prior.open_share[2] if ends is None else (1 - prior.open_share[2]) / n_ranges
        kinds = np.full((3, catalogue.n_tracks), NEUTRAL)
        for track in range(catalogue.n_tracks):
            if artist is not None:
                held = catalogue.artists.vocabulary[artist] in catalogue.artists.of(track)
                kinds[0, track] = MATCH if held else MISS
            if genre is not None:
                held = catalogue.genres.vocabulary[genre] in catalogue.genres.of(track)
                kinds[1, track] = MATCH if held else MISS
            if ends is not None:
                inside = terms.low[ends] <= catalogue.danceability[track] <= terms.high[ends]
                kinds[2, track] = MATCH if inside else MISS
        likes = prior.likelihood[tuple(kinds)]
        for track, liked in presses:
            p *= likes[track] if liked else 1 - likes[track]
        like += p * likes
        expected += p * np.choose(kinds, [1, -1, 0])
        total += p
    return like / total, expected / total


@pytest.mark.parametrize(
    "presses",
    [[], [(0, True)], [(0, True), (2, False), (4, False)], [(5, False), (1, True), (3, True)]],
)
@pytest.mark.parametrize("stated", [{}, {"genre": "pop"}], ids=["nothing", "genre"])
def test_the_belief_is_bayes_rule(
    small: OnlineRecommender,
    six: Catalogue,
    presses: list[tuple[int, bool]],
    stated: dict[str, str],
) -> None:
    unknown = [term for term in ALL if term not in stated]
    belief = Belief(small.prior, listeners_of(six, **stated), unknown)
    for track, liked in presses:
        belief.absorb(track, liked)
    given = {"genre": six.genres.code("pop")} if stated else {}
    like, expected = by_enumeration(small.prior, presses, given)
    tracks = np.array([3, 0, 5, 1, 4, 2])
    np.testing.assert_allclose(belief.like_probabilities(tracks), like[tracks], rtol=1e-10)
    for track in range(6):
        np.testing.assert_allclose(belief.expected_terms(track), expected[:, track], atol=1e-10)


def test_one_wrong_press_does_not_end_a_belief(large: OnlineRecommender) -> None:
    metal = np.flatnonzero(large.catalogue.genres.has("metal"))
    belief = Belief(large.prior, listeners_of(large.catalogue), ["genre"])
    for track in metal[:3].tolist():
        belief.absorb(track, True)
    before = belief.like_probabilities(metal).mean()
    belief.absorb(int(metal[3]), False)
    once = belief.like_probabilities(metal).mean()
    for track in metal[4:7].tolist():
        belief.absorb(track, True)
    assert 0.5 < once < before < 0.96
    assert belief.like_probabilities(metal).mean() > before - 0.02


def test_a_long_history_does_not_vanish(small: OnlineRecommender, six: Catalogue) -> None:
    belief = Belief(small.prior, listeners_of(six), ALL)
    for _ in range(2_000):
        for track in range(6):
            belief.absorb(track, track == 0)
    found = belief.like_probabilities(np.arange(6))
    assert np.isfinite(found).all()
    assert found.argmax() == 0


# --- The personal model ---------------------------------------------------------------------------


def test_the_personal_model_is_gaussian_process_regression(embedded: Catalogue) -> None:
    kernel = TrackKernel(embedded)
    model, tracks = PersonalModel(kernel), np.arange(0, 300, 7)
    presses = [(5, True), (14, False), (3000, True), (70, False)]
    mean, variance = model.expected(tracks)
    assert (mean == 0).all()  # nothing is known
    for track, liked in presses:
        model.absorb(track, liked)
    judged = np.array([track for track, _ in presses])
    own = kernel.covariance(judged, judged).astype(np.float64)
    np.testing.assert_allclose(own.diagonal(), kernel.variance(judged), rtol=1e-5)
    own += KernelWeights().noise * np.eye(4)
    between = kernel.covariance(judged, tracks).astype(np.float64)
    wanted = between.T @ np.linalg.solve(own, [1, -1, 1, -1])
    less = np.einsum("jn,jn->n", between, np.linalg.solve(own, between))
    mean, found = model.expected(tracks)
    np.testing.assert_allclose(mean, wanted, atol=1e-5)
    np.testing.assert_allclose(found, variance - less, atol=1e-5)


def test_covariances_by_hand(six: Catalogue) -> None:
    weights = KernelWeights(bias=0.0, sound=1e-30, artist=0.6, genre=0.4)
    found = TrackKernel(six, weights).covariance(np.array([0, 4]), np.arange(6))
    # Track 0: artist A, genre rock. Track 4: artist C, no genre.
    half = 2**-0.5
    artist = [[1, half, 0, 0, 0, half], [0, 0, 0, 0, 1, half]]
    genre = [[1, 0, half, 0, 0, 1], [0, 0, 0, 0, 0, 0]]
    np.testing.assert_allclose(found, 0.6 * np.array(artist) + 0.4 * np.array(genre), atol=1e-6)


def test_the_personal_model_forgets_the_oldest(embedded: Catalogue) -> None:
    kernel = TrackKernel(embedded)
    long, short = PersonalModel(kernel), PersonalModel(kernel)
    for track in range(MAX_JUDGED + 20):
        long.absorb(track, track % 3 == 0)
        if track >= 20:
            short.absorb(track, track % 3 == 0)
    tracks = np.arange(1000, 1100)
    assert (long.like_probabilities(tracks) == short.like_probabilities(tracks)).all()


# --- One listener ---------------------------------------------------------------------------------


def test_it_stands_where_the_issue_asks_for_it() -> None:
    assert FromRecommender is OnlineRecommender


def test_a_preference_stated_whole_is_the_policy_itself(large: OnlineRecommender) -> None:
    catalogue = large.catalogue
    preference = Preference("Linkin Park", "metal", (0.4, 0.6))
    newcomer = large.newcomer(preference)
    assert newcomer.unknown == ()
    scores = shared_scores(catalogue, preference, (1.0, 1.0, 1.0)).total
    found = newcomer.like_probabilities(np.arange(catalogue.n_tracks))
    for low, high in itertools.pairwise(np.unique(scores)):
        if high > 0:  # below, dislikes that are all as sure
            assert found[scores == low].max() < found[scores == high].min()
    track = newcomer.next_track()
    assert track is not None and scores[track] == scores.max()


def test_what_is_left_out_is_unknown_or_open(large: OnlineRecommender) -> None:
    catalogue = large.catalogue
    metal = catalogue.genres.has("metal")
    certain = large.newcomer({"genre": "metal"}, unknown=())
    guessed = large.newcomer({"genre": "metal"})
    assert guessed.unknown == ("artist", "danceability")
    tracks = np.arange(catalogue.n_tracks)
    assert (certain.like_probabilities(tracks)[metal] > 0.8).all()
    assert len(np.unique(certain.like_probabilities(tracks)[metal].round(6))) == 1
    spread = guessed.like_probabilities(tracks)[metal]
    assert spread.max() - spread.min() > 0.1
    assert guessed.expectation(int(np.flatnonzero(metal)[0])).terms["genre"] == pytest.approx(1)
    with pytest.raises(ValueError, match="unknown must be of artist, genre, danceability and not"):
        large.newcomer({"genre": "metal"}, unknown=["genre"])
    with pytest.raises(ValueError, match=r"no track has the label 'Metal'.*'metal'"):
        large.newcomer({"genre": "Metal"})
    with pytest.raises(ValueError, match="prefers nothing"):
        large.newcomer(unknown=())


def test_next_track_shows_none_twice_and_keeps_to_candidates(small: OnlineRecommender) -> None:
    newcomer = small.newcomer(seed=1)
    assert newcomer.next_track(np.array([4])) == 4
    assert newcomer.next_track(np.array([4])) is None
    newcomer.feedback(2, True)  # not shown by it
    shown = [newcomer.next_track() for _ in range(5)]
    assert sorted(shown[:4]) == [0, 1, 3, 5]  # type: ignore[type-var]
    assert shown[4] is None
    assert newcomer.shown == (4, 2, *shown[:4])
    with pytest.raises(ValueError, match="candidates must be indices from 0 to 5, got 0 to 6"):
        newcomer.next_track(np.array([0, 6]))
    with pytest.raises(ValueError, match="track must be an index from 0 to 5, got -1"):
        newcomer.feedback(-1, True)


def test_the_next_track_is_any_of_the_best_ones(large: OnlineRecommender) -> None:
    newcomer = large.newcomer({"danceability": (0.4, 0.8)})
    best = newcomer.best_tracks()
    likely = newcomer.like_probabilities(np.arange(large.catalogue.n_tracks))
    assert best.tolist() == np.flatnonzero(likely >= likely.max() - 1e-9).tolist()
    assert len(best) > 1 and newcomer.shown == ()
    shown = {large.newcomer({"danceability": (0.4, 0.8)}, seed=s).next_track() for s in range(8)}
    assert shown <= set(best.tolist()) and len(shown) > 1
    track = newcomer.next_track()
    assert newcomer.best_tracks(np.array([track])).size == 0


def test_undo_and_restore_are_exact(large: OnlineRecommender) -> None:
    tracks = np.arange(large.catalogue.n_tracks)
    newcomer = large.newcomer({"genre": "rock"}, seed=3)
    for i in range(6):
        track = newcomer.next_track()
        assert track is not None
        newcomer.feedback(track, i % 2 == 0)
    before, weight = newcomer.like_probabilities(tracks), newcomer.policy_weight
    text = json.dumps(newcomer.snapshot())
    extra = newcomer.next_track()
    assert extra is not None
    newcomer.feedback(extra, True)
    assert (newcomer.like_probabilities(tracks) != before).any()
    assert newcomer.undo() == (extra, True)
    assert (newcomer.like_probabilities(tracks) == before).all()
    assert newcomer.policy_weight == weight
    assert extra in newcomer.shown

    again = large.restore(json.loads(text))
    assert (again.like_probabilities(tracks) == before).all()
    assert again.judged == newcomer.judged
    assert again.next_track() == extra  # the same draw among equals
    again.feedback(extra, True)
    newcomer.feedback(extra, True)
    assert again.snapshot() == newcomer.snapshot()
    assert (again.like_probabilities(tracks) == newcomer.like_probabilities(tracks)).all()
    assert len(text) < 1_500


def test_undo_of_nothing_and_a_changed_mind(small: OnlineRecommender) -> None:
    newcomer, other = small.newcomer(), small.newcomer()
    assert newcomer.undo() is None
    newcomer.feedback(0, False)
    newcomer.feedback(3, True)
    newcomer.feedback(0, True)
    other.feedback(3, True)
    other.feedback(0, True)
    assert newcomer.judged == {3: True, 0: True}
    both = [one._learnt.belief.like_probabilities(np.arange(6)) for one in (newcomer, other)]
    assert (both[0] == both[1]).all()


def test_undo_of_a_changed_mind_gives_the_first_judgement_back(small: OnlineRecommender) -> None:
    newcomer, other = small.newcomer(), small.newcomer()
    for track, liked in ((0, True), (2, False), (0, False)):
        newcomer.feedback(track, liked)
    restored = small.restore(json.loads(json.dumps(newcomer.snapshot())))
    for one in (newcomer, restored):
        assert one.judged == {2: False, 0: False}
        assert one.undo() == (0, False)
        assert one.judged == {0: True, 2: False}
    for track, liked in ((0, True), (2, False)):
        other.feedback(track, liked)
    tracks = np.arange(6)
    assert (newcomer.like_probabilities(tracks) == other.like_probabilities(tracks)).all()
    assert newcomer.policy_weight == restored.policy_weight == other.policy_weight


# --- Songs ----------------------------------------------------------------------------------------


def test_no_song_is_recommended_twice_under_another_id(large: OnlineRecommender) -> None:
    song_of = large.song_of
    several = np.flatnonzero(np.bincount(song_of) > 1)
    versions = np.flatnonzero(song_of == several[0])
    newcomer = large.newcomer()
    track = newcomer.next_track(versions)
    assert track in versions
    assert newcomer.next_track(versions) is None
    newcomer.feedback(track, True)  # type: ignore[arg-type]
    judged = np.flatnonzero(song_of == several[1])
    newcomer.feedback(int(judged[0]), True)
    assert newcomer.next_track(judged) is None
    newcomer.undo()
    assert newcomer.next_track(judged) is None  # it was shown all the same
    listed = newcomer.shortlist()
    assert len(listed) == len(np.unique(song_of)) - 2
    assert len(np.unique(song_of[listed])) == len(listed)
    assert not np.isin(song_of[listed], several[:2]).any()
    again = large.restore(json.loads(json.dumps(newcomer.snapshot())))
    assert again.next_track(versions) is None


def test_the_shortlist_has_of_each_song_the_likeliest_track(large: OnlineRecommender) -> None:
    newcomer = large.newcomer({"danceability": (0.5, 0.6)}, unknown=())
    likely = newcomer.like_probabilities(np.arange(large.catalogue.n_tracks))
    best = np.full(len(likely), -1.0)
    np.maximum.at(best, large.song_of, likely)
    listed = newcomer.shortlist()
    np.testing.assert_allclose(likely[listed], best[large.song_of[listed]], rtol=1e-5)


# --- Costs ----------------------------------------------------------------------------------------


def many_presses(newcomer: OnlineListener, count: int) -> None:
    for track in range(0, 19 * count, 19):
        newcomer.feedback(track, track % 3 == 0)


def test_undo_and_restore_foretell_no_press_again(
    large: OnlineRecommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    newcomer, count = large.newcomer(), 12
    many_presses(newcomer, count)
    made = []
    original = Belief._made_posterior
    monkeypatch.setattr(Belief, "_made_posterior", lambda b: made.append(b) or original(b))
    absorbed = []
    absorb = Belief.absorb
    monkeypatch.setattr(
        Belief, "absorb", lambda b, *press: absorbed.append(press) or absorb(b, *press)
    )
    restored = large.restore(json.loads(json.dumps(newcomer.snapshot())))
    assert len(absorbed) == count and not made
    absorbed.clear()
    for _ in range(UNDO_AT_ONCE):
        newcomer.undo()
    assert not absorbed and not made
    newcomer.undo()  # one more than is kept
    assert len(absorbed) == count - UNDO_AT_ONCE - 1 and not made
    for _ in range(UNDO_AT_ONCE + 1):
        restored.undo()
    tracks = np.arange(200)
    assert (restored.like_probabilities(tracks) == newcomer.like_probabilities(tracks)).all()
    assert restored.snapshot() == newcomer.snapshot()


def test_a_changed_mind_foretells_what_came_after_alone(
    large: OnlineRecommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    newcomer, other = large.newcomer(), large.newcomer()
    many_presses(newcomer, 10)
    for track in [*range(0, 19 * 7, 19), 19 * 8, 19 * 9]:
        other.feedback(track, track % 3 == 0)
    other.feedback(19 * 7, True)
    made = []
    original = Belief._made_posterior
    monkeypatch.setattr(Belief, "_made_posterior", lambda b: made.append(b) or original(b))
    newcomer.feedback(19 * 7, True)
    assert len(made) == 3
    assert newcomer.policy_weight == other.policy_weight
    tracks = np.arange(200)
    assert (newcomer.like_probabilities(tracks) == other.like_probabilities(tracks)).all()
    undone = newcomer.undo()
    assert undone == (19 * 7, True) and newcomer.judged[19 * 7] is (19 * 7 % 3 == 0)


def test_so_many_artists_are_kept_apart(
    large: OnlineRecommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = large.catalogue
    eligible = large.prior.artist[catalogue.artists.first] > 0
    first = np.unique(np.where(eligible, catalogue.artists.first, -1), return_index=True)[1][1:]
    tracks = first[: MAX_ARTISTS + 30].tolist()  # each of another artist
    assert len(tracks) == MAX_ARTISTS + 30
    beliefs = []
    for most in (MAX_ARTISTS, 10_000):
        monkeypatch.setattr("agents.belief.MAX_ARTISTS", most)
        belief = Belief(large.prior, listeners_of(catalogue), ALL)
        for place, track in enumerate(tracks):
            belief.absorb(track, place == 0)
        beliefs.append(belief)
    assert len(beliefs[0]._seen) == MAX_ARTISTS
    likely, exact = (belief.like_probabilities(np.arange(5849)) for belief in beliefs)
    liked = catalogue.artists.first[tracks[0]]
    assert liked in beliefs[0]._seen  # the first of all, but liked
    np.testing.assert_allclose(likely, exact, atol=0.01)
    assert beliefs[0].copy()._standing == beliefs[0]._standing


# --- Snapshots and wrong input --------------------------------------------------------------------


def test_a_press_on_a_sound_says_nothing_of_the_preference(small: OnlineRecommender) -> None:
    newcomer = small.newcomer()
    before = newcomer.expectation(3)
    newcomer.feedback_on_sound(3, True)
    after = newcomer.expectation(3)
    assert after.terms == before.terms
    assert after.policy_probability == before.policy_probability
    assert after.personal_probability > before.personal_probability
    assert newcomer.judged == {} and newcomer.shown == ()
    again = small.restore(json.loads(json.dumps(newcomer.snapshot())))
    assert again.expectation(3) == after
    assert newcomer.undo() == (3, True)
    assert newcomer.expectation(3) == before


def pressed(small: OnlineRecommender) -> dict[str, Any]:
    newcomer = small.newcomer({"danceability": (0.2, 0.5)})
    for track, liked in ((5, True), (2, False)):
        newcomer.feedback(track, liked)
    return dict(json.loads(json.dumps(newcomer.snapshot())))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("presses", [[5, "no"]], r"presses\[0\] must be \[track, true or false\].*got \[5, 'no'\]"),
        ("presses", [[5, 1]], r"presses\[0\] must be"),
        ("presses", [[5]], r"presses\[0\] must be"),
        ("presses", [[5, True, False]], r"presses\[0\] must be"),
        ("presses", ["yes"], r"presses\[0\] must be"),
        (
            "presses",
            [[5, True], [6, True]],
            r"presses\[1\]\[0\] must be a track from 0 to 5, got 6",
        ),
        ("presses", [[2.0, True]], r"presses\[0\]\[0\] must be a track from 0 to 5, got 2.0"),
        ("presses", {"5": True}, "presses must be a list"),
        ("shown", [], r"presses\[0\] is of track 5, which is not in shown"),
        ("shown", [5, 2, -3], r"shown\[2\] must be a track from 0 to 5, got -3"),
        ("shown", [5, 2, 10**7], r"shown\[2\] must be a track from 0 to 5, got 10000000"),
        ("shown", [5, 2, True], r"shown\[2\] must be a track"),
        ("shown", [5, 2, 5], "shown holds a track twice"),
        ("shown", "abc", "shown must be a list, got 'abc'"),
        ("seed", None, "seed must be a whole number of at least 0, got None"),
        ("seed", "x", "seed must be a whole number"),
        ("seed", -1, "seed must be a whole number"),
        ("unknown", "genre", "unknown must be a list"),
        ("unknown", ["tempo"], r"unknown\[0\] must be of artist, genre, danceability, got 'tempo'"),
        ("stated", "metal", "stated must be a mapping"),
        ("stated", {"danceability": "x"}, "stated: "),
        ("policy_weights", [0.75], "policy_weights must have 2 entries, got 1"),
        ("policy_weights", [0.75, 1.5], r"policy_weights\[1\] must be a number between 0 and 1"),
        ("policy_weights", [0.75, None], r"policy_weights\[1\] must be"),
        ("policy_weights", None, "policy_weights must be a list"),
    ],
)
def test_damage_in_a_snapshot_is_named(
    small: OnlineRecommender, name: str, value: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=f"not a whole snapshot of a listener: {message}"):
        small.restore({**pressed(small), name: value})


def test_a_snapshot_must_be_a_mapping(small: OnlineRecommender) -> None:
    with pytest.raises(ValueError, match=r"expected a mapping .* got str"):
        small.restore("x")  # type: ignore[arg-type]


def test_a_snapshot_of_version_1_is_read(small: OnlineRecommender) -> None:
    snapshot = pressed(small)
    new = small.restore(snapshot)
    del snapshot["policy_weights"]
    old = small.restore({**snapshot, "version": 1})
    assert old.snapshot() == new.snapshot()
    tracks = np.arange(6)
    assert (old.like_probabilities(tracks) == new.like_probabilities(tracks)).all()


@pytest.mark.parametrize("track", [3.7, "3", True, None, 6, -1])
def test_what_is_no_track_is_refused(small: OnlineRecommender, track: Any) -> None:
    newcomer = small.newcomer()
    message = f"track must be an index from 0 to 5, got {track!r}"
    for call in (lambda: newcomer.feedback(track, True), lambda: newcomer.expectation(track)):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(ValueError, match="tracks must be indices"):
        newcomer.like_probabilities(np.array([track]))
    assert newcomer.judged == {} and newcomer.shown == ()


@pytest.mark.parametrize("k", [-1, 0, 2.5, True])
def test_a_shortlist_is_of_some_tracks(small: OnlineRecommender, k: Any) -> None:
    with pytest.raises(ValueError, match=f"k must be a whole number of at least 1, got {k!r}"):
        small.newcomer().shortlist(k)


def test_a_seed_is_a_number(small: OnlineRecommender) -> None:
    with pytest.raises(ValueError, match="seed must be a whole number of at least 0, got None"):
        small.newcomer(seed=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "missing", ["stated", "presses", "shown", "seed", "unknown", "policy_weights"]
)
def test_a_damaged_snapshot(small: OnlineRecommender, missing: str) -> None:
    snapshot = small.newcomer().snapshot()
    del snapshot[missing]
    with pytest.raises(ValueError, match="not a whole snapshot of a listener"):
        small.restore(snapshot)


def test_neither_like_nor_dislike(small: OnlineRecommender) -> None:
    newcomer = small.newcomer()
    with pytest.raises(ValueError, match="liked must be True or False, got 'no'"):
        newcomer.feedback(3, "no")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="candidates must be indices of tracks, got bool"):
        newcomer.next_track(np.ones(6, dtype=np.bool_))
    assert newcomer.judged == {} and newcomer.shown == ()


def test_the_ranking_of_one_listener_refuses_pairs(small: OnlineRecommender) -> None:
    with pytest.raises(TypeError, match="pairs of a track and a listener, whose preference"):
        recommend(small.policy, small.encoded)  # type: ignore[arg-type]


def test_listeners_do_not_mix(large: OnlineRecommender) -> None:
    alone, one, other = (large.newcomer(seed=5) for _ in range(3))
    for i in range(4):
        track = alone.next_track()
        assert track is not None
        alone.feedback(track, i == 1)
    for i in range(4):
        track = one.next_track()
        assert track is not None
        one.feedback(track, i == 1)
        other.next_track()
        other.feedback(100 + i, True)
    assert one.snapshot() == alone.snapshot()


def test_a_stated_range_is_met_exactly(large: OnlineRecommender) -> None:
    newcomer = large.newcomer({"danceability": (0.3, 0.7)}, unknown=["genre"])
    danceability = large.catalogue.danceability
    at_ends = np.flatnonzero(np.isin((danceability * 100).astype(int), (30, 70)))
    assert len(np.unique(danceability[at_ends] > 0.7)) == 2  # bins with tracks in and out
    asked = np.concatenate([np.arange(0, 5849, 50), at_ends])
    terms = [newcomer.expectation(track).terms["danceability"] for track in asked.tolist()]
    wanted = np.where((danceability[asked] >= 0.3) & (danceability[asked] <= 0.7), 1, -1)
    np.testing.assert_allclose(terms, wanted)


def test_of_a_stated_range_few_tracks_are_asked_about(large: OnlineRecommender) -> None:
    policy = large.policy
    assert isinstance(policy, Rule)
    before = policy.n_asked
    large.newcomer({"danceability": (0.3, 0.7)})
    assert policy.n_asked - before < large.catalogue.n_tracks / 4


def test_a_snapshot_of_something_else_is_refused(
    small: OnlineRecommender, large: OnlineRecommender
) -> None:
    snapshot = small.newcomer().snapshot()
    with pytest.raises(ValueError, match="of another catalogue"):
        large.restore(snapshot)
    with pytest.raises(ValueError, match="must be of version 2, or 1, got 7"):
        small.restore({**snapshot, "version": 7})


def test_the_mixture_follows_who_foretells_better(small: OnlineRecommender) -> None:
    newcomer = small.newcomer()
    assert newcomer.policy_weight == POLICY_WEIGHT
    expected = newcomer.expectation(0)
    assert expected.personal_probability == 0.5  # it knows nothing yet
    mixed = POLICY_WEIGHT * expected.policy_probability + (1 - POLICY_WEIGHT) * 0.5
    assert expected.like_probability == pytest.approx(mixed)
    newcomer.feedback(0, False)
    ours = POLICY_WEIGHT * (1 - expected.policy_probability)
    weight = ours / (ours + (1 - POLICY_WEIGHT) * 0.5)
    wanted = (1 - SWITCHING) * weight + SWITCHING * POLICY_WEIGHT
    assert newcomer.policy_weight == pytest.approx(wanted)


def test_presses_beat_the_same_policy_without_them(large: OnlineRecommender) -> None:
    catalogue = large.catalogue
    likes = newcomer_likes(catalogue, Preference(None, "metal", (0.4, 0.6)))
    liked = {}
    for learns in (True, False):
        newcomer = large.newcomer(seed=2)
        liked[learns] = 0
        for _ in range(30):
            track = newcomer.next_track()
            assert track is not None
            liked[learns] += int(likes[track])
            if learns:
                newcomer.feedback(track, bool(likes[track]))
    assert liked[True] >= 15
    assert liked[True] > 2 * liked[False]


def test_a_press_does_not_ask_the_policy(large: OnlineRecommender) -> None:
    policy = large.policy
    assert isinstance(policy, Rule)
    newcomer, before = large.newcomer(), policy.n_asked
    track = newcomer.next_track()
    assert track is not None
    newcomer.feedback(track, True)
    assert policy.n_asked == before


def test_of_a_larger_catalogue_it_takes_a_shortlist(
    large: OnlineRecommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("online_listener", "mixture"):
        monkeypatch.setattr(f"agents.{module}.MAX_CANDIDATES", 50)
    valued = []
    newcomer = large.newcomer(seed=4)
    monkeypatch.setattr(
        newcomer, "like_probabilities", lambda tracks: valued.append(tracks) or np.ones(len(tracks))
    )
    assert newcomer.next_track() in valued[0]
    assert len(valued[0]) == 50
    stated = large.newcomer(Preference("Linkin Park", "metal", (0.4, 0.6)))
    policy = large.policy
    assert isinstance(policy, Rule)
    before = policy.n_asked
    stated.next_track()
    assert policy.n_asked - before <= 50


def test_the_shortlist_is_the_best_of_the_whole_catalogue(
    large: OnlineRecommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    newcomer = large.newcomer(seed=6)
    for _ in range(3):
        track = newcomer.next_track()
        assert track is not None
        newcomer.feedback(track, True)
    monkeypatch.setattr("agents.online_listener.CHUNK", 1_000)
    likely = newcomer.like_probabilities(np.arange(large.catalogue.n_tracks))
    order = np.argsort(-likely, kind="stable")
    first = np.unique(large.song_of[order], return_index=True)[1]  # a song's best track alone
    again = np.setdiff1d(np.arange(len(order)), first)
    likely[order[again]] = likely[np.isin(large.song_of, large.song_of[list(newcomer.shown)])] = -1
    best = newcomer.shortlist(40)
    assert not set(best.tolist()) & set(newcomer.shown)
    # Sums of a matrix product may differ by rounding with the number of its rows.
    np.testing.assert_allclose(likely[best], np.sort(likely)[::-1][:40], rtol=1e-5)


def test_a_catalogue_without_genres_can_be_served() -> None:
    import pandas as pd

    rows = [(f"t{i}", f"T{i}", "ABC"[i % 3], (i * 37 % 100) / 100) for i in range(60)]
    columns = ["track_id", "title", "artists", "danceability"]
    catalogue = Catalogue.from_frame(pd.DataFrame(rows, columns=columns))
    people = Listeners.of(
        catalogue, [{"artist": "A", "danceability": (0.2, 0.6)}, {"danceability": (0.5, 0.9)}]
    )
    newcomer = made(catalogue, people).newcomer()
    track = newcomer.next_track()
    assert track is not None
    newcomer.feedback(track, True)
    assert np.isfinite(newcomer.like_probabilities(np.arange(60))).all()
    assert newcomer.expectation(0).terms["genre"] == 0
