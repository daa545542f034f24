"""The features of a track beside a listener: by hand, and that comparing names generalises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest
import torch as th
from conftest import SIX_LISTENER, six_frame
from safetensors import safe_open

from agents import DuelingDQN, GymVecEnv
from agents.any_evaluation import held_out_tables, pair_policy, scores_of
from agents.training import AnyListenerSettings, make_learner
from agents.two_tower import DISTANCE_SCALES, PairColumns, TwoTowerExtractor, sign_vectors
from music_env import Catalogue, MusicRecAnyListenerEnv
from music_env.listeners import OPEN
from music_env.metrics import decision_figures

DIM = 8


def six_env(catalogue: Catalogue) -> MusicRecAnyListenerEnv:
    return MusicRecAnyListenerEnv(catalogue=catalogue, population=[SIX_LISTENER], session_length=6)


def parts(
    env: MusicRecAnyListenerEnv, listener: dict[str, Any]
) -> tuple[TwoTowerExtractor, dict[str, np.ndarray]]:
    """Return an extractor, and its features of the six tracks by name."""
    extractor = TwoTowerExtractor(env.observation_space, embedding_dim=DIM)
    features = extractor(th.from_numpy(env.observations(listener))).numpy()
    assert features.shape == (6, extractor.features_dim)
    sizes = {"danceability": 1, "wanted": 3, "distances": 2 * len(DISTANCE_SCALES), "named": 2}
    for name in ("genre", "artist"):
        sizes |= {f"{name} cosine": 1}
        sizes |= {f"{name} {what}": DIM for what in ("product", "track", "listener")}
    ends = np.cumsum(list(sizes.values()))
    assert ends[-1] == extractor.features_dim
    return extractor, dict(zip(sizes, np.split(features, ends[:-1], axis=1), strict=True))


def test_the_columns_are_read_off_the_bounds(six: Catalogue) -> None:
    columns = PairColumns.of(six_env(six).observation_space)
    # danceability, genre 1 and 2, artist 1 and 2, three numbers, genre, artist
    assert (columns.n_numbers, columns.first_listener) == (1, 5)
    assert columns.vocabularies == ((2, slice(1, 3), 8), (3, slice(3, 5), 9))


def test_features_by_hand(six: Catalogue) -> None:
    extractor, found = parts(six_env(six), SIX_LISTENER)  # artist A (1), genre rock (2), 0.4 to 0.6
    np.testing.assert_array_equal(
        found["danceability"][:, 0], np.float32([0.4, 0.6, 0.61, 0.5, 0, 1])
    )
    np.testing.assert_array_equal(found["wanted"], np.float32([[0.4, 0.6, 0]] * 6))
    np.testing.assert_array_equal(found["named"], [[1, 1]] * 6)
    # A track matches where one of its slots does, whichever; elsewhere there is a lesser cosine.
    for name, matches in (("artist", [1, 1, 0, 0, 0, 1]), ("genre", [1, 0, 1, 0, 0, 1])):
        np.testing.assert_array_equal(found[f"{name} cosine"][:, 0] > 0.999, matches, name)
        assert np.abs(found[f"{name} cosine"]).max() < 1.001
    assert found["genre cosine"][4] == 0  # no genre at all
    # One embedding for a name, the track's and the listener's.
    artists, genres = extractor.embedding_1.numpy(), extractor.embedding_0.numpy()
    np.testing.assert_allclose(found["artist listener"], [artists[1]] * 6)
    np.testing.assert_allclose(found["artist track"][1], artists[1] + artists[2])  # A and B
    np.testing.assert_allclose(found["artist track"][2], artists[2])
    np.testing.assert_allclose(found["genre track"][4], np.zeros(DIM))
    for name in ("artist", "genre"):
        product = found[f"{name} track"] * found[f"{name} listener"]
        np.testing.assert_allclose(found[f"{name} product"], product)
    np.testing.assert_allclose(found["genre listener"][0], genres[2])


def one_hot_env(catalogue: Catalogue) -> MusicRecAnyListenerEnv:
    return MusicRecAnyListenerEnv(
        catalogue=catalogue, population=[SIX_LISTENER], session_length=6, encoding="one-hot"
    )


def test_one_hot_observations_have_the_features_of_codes() -> None:
    frame = six_frame()
    frame["tempo"] = [120, 100, None, 90, 80, 70]  # more numbers than danceability
    frame.loc[1, "artists"] = "A;B;D"  # nobody else fills the slots
    catalogue = Catalogue.from_frame(frame)
    codes, one_hot = six_env(catalogue), one_hot_env(catalogue)
    extractors = (
        TwoTowerExtractor(codes.observation_space),
        TwoTowerExtractor(one_hot.observation_space, vocabulary_sizes=[2, 4]),
    )
    for listener in (SIX_LISTENER, {"artist": "C"}, {"genre": "pop"}, {"danceability": (0.1, 0.5)}):
        expected, found = (
            extractor(th.from_numpy(env.observations(listener))).numpy()
            for extractor, env in zip(extractors, (codes, one_hot), strict=True)
        )
        # Tracks that fill the slots of the codes have no slot with a cosine of 0.
        cosines = [4 + 2 * len(DISTANCE_SCALES) + 2 + offset for offset in (0, 1 + 3 * 64)]
        expected[:, cosines] = np.maximum(expected[:, cosines], 0)
        np.testing.assert_array_equal(found, expected, err_msg=str(listener))


def test_the_columns_of_one_hot_are_placed_by_the_sizes(six: Catalogue) -> None:
    space = one_hot_env(six).observation_space
    columns = PairColumns.of_one_hot(space, [2, 3])
    # danceability, two genres, three artists, three numbers, two genres, three artists
    assert (columns.n_numbers, columns.first_listener) == (1, 6)
    assert columns.vocabularies == (
        (2, slice(1, 3), slice(9, 11)),
        (3, slice(3, 6), slice(11, 14)),
    )
    for wrong in ([3, 3], [-1, 2]):
        with pytest.raises(ValueError, match="with encoding 'one-hot', a Box"):
            TwoTowerExtractor(space, vocabulary_sizes=wrong)
    with pytest.raises(ValueError, match=r"with encoding 'one-hot'.*vocabulary_sizes \[1, 1\]"):
        TwoTowerExtractor(six_env(six).observation_space, vocabulary_sizes=[1, 1])


def test_what_is_left_open_is_compared_with_nothing(six: Catalogue) -> None:
    _, found = parts(six_env(six), {"danceability": (0.4, 0.6)})
    assert not found["named"].any()
    for name in ("artist", "genre"):
        for what in ("cosine", "product", "listener"):
            assert not found[f"{name} {what}"].any(), (name, what)
    _, found = parts(six_env(six), {"artist": "C"})
    np.testing.assert_array_equal(found["wanted"], [[0, 1, 1]] * 6)
    np.testing.assert_array_equal(found["named"], [[0, 1]] * 6)


@pytest.mark.parametrize("end", [0.047, 0.388, 0.5, 0.999])
def test_the_ends_of_a_range_are_met_exactly(end: float) -> None:
    """The finest feature steps in full between an end and what is published next to it."""
    frame = six_frame()
    step = 1e-4 if end < 0.1 else 1e-3
    frame["danceability"] = [end - step, end, end + step, 0.0, 1.0, end]
    env = six_env(Catalogue.from_frame(frame))
    places = {"low": len(DISTANCE_SCALES) - 1, "high": 2 * len(DISTANCE_SCALES) - 1}
    for which, wanted, inside in (
        ("low", (end, 1.0), [-1, 1, 1, -1, 1, 1]),
        ("high", (0.0, end), [1, 1, -1, 1, -1, 1]),
    ):
        _, found = parts(env, {"danceability": wanted})
        finest = found["distances"][:, places[which]]
        np.testing.assert_allclose(finest, inside, atol=0.01, err_msg=which)
        # Coarser features say the same less sharply.
        assert (np.abs(found["distances"]) <= 1).all()


def test_the_embeddings_are_fixed_vectors_of_signs() -> None:
    vectors = sign_vectors(5_000, 64, np.random.SeedSequence(0))
    assert not vectors[0].any()  # none
    np.testing.assert_array_equal(np.abs(vectors[1:]), np.float32(1 / 8))
    cosines = vectors[1:] @ vectors[1:].T
    np.fill_diagonal(cosines, 0)
    assert np.abs(cosines).max() < 0.75 and abs(cosines.mean()) < 0.001
    assert cosines.std() == pytest.approx(1 / 8, rel=0.01)
    # A prefix, whatever the number of codes; the stream is that of the raw bits.
    np.testing.assert_array_equal(sign_vectors(7, 64, np.random.SeedSequence(0)), vectors[:8])
    word = int(np.random.PCG64(np.random.SeedSequence(0)).random_raw())
    signs = [(word >> (8 * (i // 8) + 7 - i % 8)) & 1 for i in range(64)]
    np.testing.assert_array_equal(vectors[1] > 0, signs)
    assert sign_vectors(3, 100, np.random.SeedSequence(1)).shape == (4, 100)


def test_a_catalogue_without_genres() -> None:
    frame = six_frame().drop(columns="genres")
    env = six_env_without = MusicRecAnyListenerEnv(
        catalogue=Catalogue.from_frame(frame), population=[{"artist": "A"}], session_length=6
    )
    extractor = TwoTowerExtractor(env.observation_space, embedding_dim=DIM)
    features = extractor(th.from_numpy(six_env_without.observations({"artist": "A"})))
    assert features.shape == (6, extractor.features_dim)
    assert len(extractor.both) == 1


@pytest.mark.parametrize(
    "space",
    [
        gym.spaces.Discrete(5),
        gym.spaces.Box(-1, 1, (4,)),
        gym.spaces.Box(0, 1, (9,)),
        gym.spaces.Box(np.zeros(4, "f4"), np.array([1, 3, 3, 5], "f4")),  # of MusicRec-v0
        gym.spaces.Box(np.zeros(6, "f4"), np.array([1, 3, 1, 1, 1, 4], "f4")),
    ],
)
def test_other_spaces_are_refused(space: gym.Space[Any]) -> None:
    with pytest.raises(ValueError, match="needs the observation space of MusicRecAnyListener-v0"):
        TwoTowerExtractor(space)


@pytest.mark.parametrize("arguments", [{"embedding_dim": 0}, {"distance_scales": [1, 0]}])
def test_sizes_that_no_features_have(six: Catalogue, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="embedding_dim must be at least 1 and distance_scales"):
        TwoTowerExtractor(six_env(six).observation_space, **arguments)


def native(**arguments: Any) -> Any:
    return gym.make_vec(
        "MusicRecAnyListener-v0",
        num_envs=64,
        vectorization_mode="vector_entry_point",
        autoreset_mode="SameStep",
        **arguments,
    )


def test_saved_by_name_and_without_the_fixed_embeddings(six: Catalogue, tmp_path: Path) -> None:
    env = six_env(six)
    vec = native(catalogue=six, population=[SIX_LISTENER], session_length=6)
    learner = make_learner(AnyListenerSettings(buffer_size=640), GymVecEnv(vec), seed=0)
    learner.learn(640, log_interval=None)
    learner.save(tmp_path / "model")
    with safe_open(tmp_path / "model.safetensors", framework="np") as file:
        assert not any("embedding" in name for name in file.keys())  # noqa: SIM118
    loaded = DuelingDQN.load(tmp_path / "model")
    assert isinstance(loaded.q_net.features_extractor, TwoTowerExtractor)
    rows = env.observations(SIX_LISTENER)
    np.testing.assert_array_equal(loaded.q_values(rows), learner.q_values(rows))


def test_artists_that_nobody_preferred_in_training_are_served() -> None:
    """An artist's name must be compared, not learnt: here only the artist decides."""
    assert min(held_out_accuracies(native(split="train"), AnyListenerSettings())) > 0.99


def test_they_are_served_by_one_hot_observations_too() -> None:
    generator = np.random.default_rng(0)
    n_artists, n_tracks = 60, 5
    artist = np.repeat(np.arange(n_artists), n_tracks)
    frame = pd.DataFrame(
        {
            "title": [f"title {track}" for track in range(len(artist))],
            "artists": [f"artist {number}" for number in artist],
            "genres": [f"genre {number % 4}" for number in artist],
            "danceability": generator.uniform(size=len(artist)).round(3),
        }
    )
    vec = native(split="train", catalogue=Catalogue.from_frame(frame), encoding="one-hot")
    settings = AnyListenerSettings(encoding="one-hot", buffer_size=6_400)
    assert np.mean(held_out_accuracies(vec, settings)) > 0.95


def held_out_accuracies(vec: Any, settings: AnyListenerSettings) -> list[float]:
    """Train a little; return the balanced accuracy for held-out listeners of an artist only."""
    learner = make_learner(settings, GymVecEnv(vec), seed=0)
    learner.learn(6_400, log_interval=None)
    tables = held_out_tables(vec.unwrapped.tables)
    listeners = tables.population.listeners
    only_artist = (listeners.n_open == 2) & (listeners.artist != OPEN)
    trained_on = vec.unwrapped.tables.population.listeners.artist
    chosen = np.flatnonzero(only_artist)[:30]
    assert not set(listeners.artist[chosen]) & set(trained_on)
    policy = pair_policy("learner", learner, tables)
    accuracies = []
    for i in chosen:
        listener = listeners.take(slice(i, i + 1))
        figures = decision_figures(scores_of(tables, listener), policy.values(listener) > 0)
        accuracies.append(figures["balanced_accuracy"])
    return accuracies
