"""Diversity of what was played, against figures computed by hand on six tracks."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from conftest import six_frame

from music_env import Catalogue
from music_env.diversity import Diversity, session_diversity

# Artists A, A;B, B, B, C, C;A; genres rock, pop, pop;rock, pop, none, rock (conftest).
PLAYED = [np.array([0, 1, 2]), np.array([4, 3, 5, 0]), np.array([], dtype=int), np.array([3])]
LENGTHS = np.array([3, 6, 2, 6])


def test_figures_by_hand(six: Catalogue) -> None:
    found = session_diversity(six, PLAYED, LENGTHS)
    # Tracks 0 to 5 were all played.
    assert found.coverage == 1
    # {rock} {pop} {pop, rock}: 1, 1/2, 1/2; {pop} {rock} {rock}, track 4 left out: 1, 1, 0.
    assert found.intra_list_diversity == pytest.approx((2 / 3 + 2 / 3) / 2)
    # A, A;B again, B again; C, B, C;A again, A again; B.
    assert found.repeat_rate == 4 / 8
    assert found.session_length == 17 / 4
    # No popularity in this catalogue: tracks 0 and 3 in two of four sessions, the others in one.
    assert found.novelty == pytest.approx((4 * 0.5 + 4 * 0.75) / 8)


def test_novelty_is_the_complement_of_the_popularity_where_it_is_known() -> None:
    frame = six_frame()
    frame["popularity"] = [100, 0, 50, None, 20, 30]
    catalogue = Catalogue.from_frame(frame)
    novelty = session_diversity(catalogue, [np.array([0, 2, 3]), np.array([0])], LENGTHS[:2])
    assert novelty.novelty == pytest.approx((0 + 0.5 + 0) / 3)


def test_coverage_of_the_candidates(six: Catalogue) -> None:
    pool = np.array([1, 2, 3, 5])
    assert session_diversity(six, [np.array([5])], LENGTHS[:1], candidates=pool).coverage == 1 / 4
    with pytest.raises(ValueError, match="played holds 0, which is none of the 4 tracks"):
        session_diversity(six, [np.array([0])], LENGTHS[:1], candidates=pool)


def test_nothing_played_is_nothing_to_count(six: Catalogue) -> None:
    found = session_diversity(six, [np.array([], dtype=int)], np.array([9]))
    assert found.coverage == 0 and found.session_length == 9
    assert all(map(math.isnan, (found.intra_list_diversity, found.novelty, found.repeat_rate)))


def test_alternating_genres_is_more_diverse_than_one_of_them() -> None:
    rows = [(f"t{i}", str(i), f"artist {i}", ("rock", "pop")[i % 2], 0.5) for i in range(8)]
    columns = ["track_id", "title", "artists", "genres", "danceability"]
    catalogue = Catalogue.from_frame(pd.DataFrame(rows, columns=columns))

    def spread(*tracks: int) -> Diversity:
        return session_diversity(catalogue, [np.array(tracks)], np.array([8]))

    assert spread(0, 2, 4, 6).intra_list_diversity == 0
    assert spread(0, 1, 2, 3).intra_list_diversity == pytest.approx(4 / 6)
    assert spread(0, 1, 2, 3).repeat_rate == 0


@pytest.mark.parametrize(
    ("played", "lengths", "message"),
    [
        ([], [], "at least one, got shape"),
        ([[0], [1]], [3], r"got shape \(1,\) for 2 sessions"),
        ([[0, 1]], [1], "session 0 has 1 steps, fewer than the 2 tracks"),
        ([[6]], [1], "played holds 6, which is none of the 6 tracks"),
        ([[-1]], [1], "played holds -1"),
    ],
)
def test_errors_say_what_was_wrong(
    six: Catalogue, played: list[list[int]], lengths: list[int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        session_diversity(six, [np.array(tracks) for tracks in played], np.array(lengths))
