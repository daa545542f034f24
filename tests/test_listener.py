"""Scores against the hand-computed table of six tracks."""

import numpy as np
import pytest
from conftest import SIX_LISTENER, SIX_SCORES, SIX_TERMS

from music_env import Catalogue, Preference, default_preference, score_tracks


def test_scores_and_terms_by_hand(six: Catalogue) -> None:
    scores = score_tracks(six, Preference(**SIX_LISTENER))
    assert scores.total.tolist() == SIX_SCORES
    for row, name in enumerate(["artist", "genre", "danceability"]):
        assert scores.terms[row].tolist() == SIX_TERMS[name], name
    for array in (scores.total, scores.kinds, scores.by_kind):
        assert not array.flags.writeable


@pytest.mark.parametrize("open_term", ["artist", "genre", "danceability"])
def test_an_open_preference_contributes_nothing(six: Catalogue, open_term: str) -> None:
    scores = score_tracks(six, Preference(**{**SIX_LISTENER, open_term: None}))
    expected = np.array(SIX_SCORES) - np.array(SIX_TERMS[open_term])
    assert scores.total.tolist() == expected.tolist()


def test_weights_scale_the_terms(six: Catalogue) -> None:
    scores = score_tracks(six, Preference(**SIX_LISTENER), (2, 0.5, 0))
    expected = 2 * np.array(SIX_TERMS["artist"]) + 0.5 * np.array(SIX_TERMS["genre"])
    assert scores.total.tolist() == expected.tolist()


def test_default_listener_is_the_best_represented_artist(six: Catalogue) -> None:
    # A and B have three tracks each: the first name wins. Of A's, two are rock.
    preference = default_preference(six)
    assert (preference.artist, preference.genre) == ("A", "rock")
    assert preference.danceability == (0.5, 0.8)  # quartiles of 0.4, 0.6, 1.0


def test_default_listener_of_the_embedded_catalogue(embedded: Catalogue) -> None:
    preference = default_preference(embedded)
    assert preference.artist == "ILLENIUM"
    always_dislike = (score_tracks(embedded, preference).total < 0).mean()
    assert always_dislike == pytest.approx(0.914, abs=5e-4)


def test_errors(six: Catalogue) -> None:
    with pytest.raises(ValueError, match=r"Nearest: 'rock'"):
        score_tracks(six, Preference(genre="Rok"))
    with pytest.raises(ValueError, match=r"0 <= lowest <= highest <= 1, got \(0.6, 0.4\)"):
        Preference(danceability=(0.6, 0.4))
    with pytest.raises(ValueError, match=r"got \(0.0, nan\)"):
        Preference(danceability=(0.0, float("nan")))
    with pytest.raises(ValueError, match="three finite numbers"):
        score_tracks(six, Preference(genre="rock"), (1, 1))
    for weights in ((1, -1, 1), 2, None, "abc"):
        with pytest.raises(ValueError, match="three finite numbers"):
            score_tracks(six, Preference(genre="rock"), weights)  # type: ignore[arg-type]
    for wrong in (("a", "b"), (None, 0.5), "01", 0.5, (0.1, 0.2, 0.3)):
        with pytest.raises(ValueError, match="danceability must be"):
            Preference(danceability=wrong)  # type: ignore[arg-type]
    assert Preference(danceability=np.array([0.25, 0.5])).danceability == (0.25, 0.5)  # type: ignore[arg-type]
    for wrong in (["A"], 5):
        with pytest.raises(ValueError, match="no track has the artist"):
            score_tracks(six, Preference(artist=wrong))  # type: ignore[arg-type]
