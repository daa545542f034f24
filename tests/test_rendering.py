"""The two views of a step, against six tracks whose terms are known by hand."""

import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import SIX_LISTENER, SIX_TERMS, six_frame
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import RecordVideo

from music_env import Catalogue
from music_env import picture as picture_module
from music_env.rendering import RENDER_MODES, StepView, checked_render_mode, render
from music_env.tables import Tables

ENV_ID = "MusicRec-v0"
WIDTH, HEIGHT = 800, 448
BLUE, ORANGE, SOFT, TEXT = (86, 180, 233), (230, 159, 0), (160, 170, 186), (240, 243, 248)
CHIPS = {"artist": 154, "genre": 399, "danceability": 645}  # a column in the middle of each
CHIPS_TOP = 278
# Columns of danceability 0 and 1, and the row in the middle of their bar.
ZERO, ONE, BAR = 60, 740, 243

LIKE_5 = """\
Track         2 of 6
Title         Five
Artists       C, A
Album         no album
Genres        rock
Danceability  1
Listener      artist A, genre rock, danceability 0.4 to 0.6
Score         +1: artist +1, genre +1, danceability -1
Action        like (right)
Reward        +1
Return        +4"""


def tables_of(catalogue: Catalogue, **arguments: Any) -> Tables:
    defaults: dict[str, Any] = {
        "artist": None,
        "genre": None,
        "danceability": None,
        "weights": (1, 1, 1),
        "encoding": "codes",
        "encoding_options": None,
        "tracks": None,
        "session_length": catalogue.n_tracks,
    }
    return Tables.build(catalogue=catalogue, **{**defaults, **arguments})


@pytest.fixture
def tables(six: Catalogue) -> Tables:
    return tables_of(six, **SIX_LISTENER)


def of_text(title: str = "T", artist: str = "A", album: str = "") -> StepView:
    """A judged view of a track with these texts."""
    frame = six_frame().assign(album=album)
    frame.loc[0, "title"], frame.loc[0, "artists"] = title, artist
    return StepView(tables_of(Catalogue.from_frame(frame), genre="rock"), 0, 1, 1, 1.0)


def changed(one: np.ndarray, other: np.ndarray) -> tuple[int, int, int, int]:
    """The first and last column and row in which two pictures differ."""
    rows, columns = np.nonzero((one != other).any(axis=2))
    return columns.min(), columns.max(), rows.min(), rows.max()


# --- ansi -----------------------------------------------------------------------------------------


def test_ansi_by_hand(tables: Tables) -> None:
    assert render(StepView(tables, 5, 1, 2, 4.0), "ansi") == LIKE_5
    disliked = render(StepView(tables, 5, 0, 2, 2.0), "ansi").splitlines()
    assert disliked[:8] == LIKE_5.splitlines()[:8]
    assert disliked[8:] == ["Action        dislike (wrong)", "Reward        -1", "Return        +2"]


def test_ansi_before_anything_is_judged(tables: Tables) -> None:
    lines = LIKE_5.splitlines()[:7]
    lines[0] = "Track         1 of 6"
    assert render(StepView(tables, 5, None, 0, 0.0), "ansi") == "\n".join(lines)


def test_ansi_open_preferences_weights_and_a_score_of_zero(six: Catalogue) -> None:
    opened = tables_of(six, artist="A", genre="rock", weights=(0.5, 0.5, 7))
    text = render(StepView(opened, 1, 0, 1, 0.0), "ansi")
    assert "Listener      artist A, genre rock, any danceability" in text
    assert "Score         0: artist +0.5, genre -0.5, danceability open" in text
    assert "Action        dislike (either is right)" in text
    assert "Reward        0\nReturn        0" in text


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("bell\a, back\b, delete\x7f", r"bell\x07, back\x08, delete\x7f"),
        ("C1 \x9b2J", r"C1 \x9b2J"),
        ("two\r\nlines\u2028three\x0bfour\tfive", "two lines three four five"),
        ("turned \u202egnp.exe\u2066", "turned gnp.exe"),
        ("soft\u00adhyphen\ufeff", "softhyphen"),
        ("\ue000 private", r"\ue000 private"),
        ("क्\u200dष", "क्\u200dष"),  # the joiner belongs to the script
        ("x" * 60_000, "x" * 71 + "…"),
    ],
)
def test_ansi_of_a_strangers_text(title: str, shown: str) -> None:
    lines = render(of_text(title, artist="A\x1b]0;A", album=title), "ansi").split("\n")
    assert len(lines) == 11
    assert lines[1] == f"Title         {shown}"
    assert lines[2] == r"Artists       A\x1b]0, A"  # ";" separates artists
    assert lines[3] == f"Album         {shown}"
    assert all((line.replace("\u200d", "").isprintable() and len(line) <= 86) for line in lines)


# --- rgb_array ------------------------------------------------------------------------------------


def test_picture_has_an_even_size_and_is_fresh_and_deterministic(tables: Tables) -> None:
    view = StepView(tables, 5, 1, 2, 4.0)
    first, second = render(view, "rgb_array"), render(view, "rgb_array")
    assert first.shape == (HEIGHT, WIDTH, 3) and first.dtype == np.uint8
    assert HEIGHT % 2 == WIDTH % 2 == 0
    np.testing.assert_array_equal(first, second)
    first[:] = 0
    for cached in (
        picture_module._backdrop,
        picture_module._box_mask,
        picture_module._text_mask,
        picture_module._font,
    ):
        cached.cache_clear()
    np.testing.assert_array_equal(second, render(view, "rgb_array"))


def test_picture_changes_where_it_should(tables: Tables) -> None:
    liked = render(StepView(tables, 5, 1, 2, 4.0), "rgb_array")
    disliked = render(StepView(tables, 5, 0, 2, 4.0), "rgb_array")
    left, right, top, bottom = changed(liked, disliked)
    assert top > 365 and left < 160 and right < 565, "action, verdict and reward, not the return"
    assert changed(liked, render(StepView(tables, 5, 1, 2, 5.0), "rgb_array"))[0] > 650
    _, _, top, bottom = changed(liked, render(StepView(tables, 5, 1, 3, 4.0), "rgb_array"))
    assert top > 30 and bottom < 70, "the place in the session alone"
    titled = of_text("Another")
    _, _, top, bottom = changed(render(of_text("Other"), "rgb_array"), render(titled, "rgb_array"))
    assert top > 70 and bottom < 130, "the title alone"


@pytest.mark.parametrize(("action", "number", "done"), [(None, 0, 0), (1, 1, 120), (0, 6, 720)])
def test_progress_is_the_share_judged(
    tables: Tables, action: int | None, number: int, done: int
) -> None:
    bar = render(StepView(tables, 5, action, number, 0.0), "rgb_array")[64, 40:760]
    assert (bar == SOFT).all(axis=1).sum() == pytest.approx(done, abs=2)  # the ends are round


@pytest.mark.parametrize("track", range(6))
def test_chips_have_the_colours_of_the_terms(tables: Tables, track: int) -> None:
    picture = render(StepView(tables, track, 0, 1, 0.0), "rgb_array")
    for term, column in CHIPS.items():
        expected = BLUE if SIX_TERMS[term][track] > 0 else ORANGE
        assert tuple(picture[CHIPS_TOP, column]) == expected, term


def test_chips_of_open_and_weightless_terms_are_grey(six: Catalogue) -> None:
    tables = tables_of(six, artist="A", genre="rock", weights=(1, 0, 1))
    pictures = [render(StepView(tables, track, 1, 1, 0.0), "rgb_array") for track in (0, 1)]
    for picture in pictures:
        colours = [tuple(picture[CHIPS_TOP, column]) for column in CHIPS.values()]
        assert colours == [BLUE, SOFT, SOFT]


def test_nothing_is_given_away_before_it_is_judged(six: Catalogue) -> None:
    tables = tables_of(six, artist="A", genre="rock")
    both = [render(StepView(tables, track, None, 0, 0.0), "rgb_array") for track in (0, 4)]
    np.testing.assert_array_equal(both[0][CHIPS_TOP:], both[1][CHIPS_TOP:])


def test_long_numbers_do_not_meet(tables: Tables) -> None:
    returns = (0.0, -1.23456789e-300)
    pictures = [render(StepView(tables, 4, 0, 1, value), "rgb_array") for value in returns]
    assert changed(*pictures)[0] > 565, "the return runs into the reward"


@pytest.mark.parametrize("track", range(6))
def test_danceability_is_a_dot_on_a_bar_with_the_range(tables: Tables, track: int) -> None:
    picture = render(StepView(tables, track, 0, 1, 0.0), "rgb_array")
    value = [0.4, 0.6, 0.61, 0.5, 0.0, 1.0][track]
    bar = picture[BAR, ZERO - 12 : ONE + 13]
    dot = np.flatnonzero((bar == TEXT).all(axis=1)) + ZERO - 12
    assert (dot[0] + dot[-1]) / 2 == pytest.approx(ZERO + (ONE - ZERO) * value, abs=2)
    liked = np.flatnonzero((picture[BAR, ZERO : ONE + 1] == BLUE).all(axis=1))
    assert liked[[0, -1]].tolist() == [272 - 1, 408 + 1]  # 680 times 0.4 and 0.6; ends 3 wide


def test_an_open_danceability_has_no_range(six: Catalogue) -> None:
    picture = render(StepView(tables_of(six, artist="A"), 0, 1, 1, 0.0), "rgb_array")
    assert not (picture[BAR, ZERO:ONE] == BLUE).all(axis=1).any()


@pytest.mark.parametrize(
    "text",
    [
        "紅(イントロ)",
        "हिन्दी गाना",
        "مرحبا بالعالم",
        "한국어",
        "🎵 emoji 👩\u200d🎤",
        "a\u0301\u0302" * 50,
        "\u202e",  # nothing is left of it
        "\x00\x1b",
        "W" * 60_000,
        "i" * 199,
        "\n",
    ],
)
@pytest.mark.parametrize("fallback", [True, False])
def test_picture_of_any_text(text: str, fallback: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not fallback:
        monkeypatch.setattr(picture_module.importlib.util, "find_spec", lambda name: None)
    picture_module._font.cache_clear()
    picture_module._text_mask.cache_clear()
    picture = render(of_text(text, artist=f"{text} A", album=text), "rgb_array")
    picture_module._font.cache_clear()
    picture_module._text_mask.cache_clear()
    plain = render(of_text("T", artist="A"), "rgb_array")
    np.testing.assert_array_equal(picture[:, 761:], plain[:, 761:], "text leaves the card")
    np.testing.assert_array_equal(picture[195:], plain[195:], "text runs into what is below")


def test_accents_and_cyrillic_are_drawn() -> None:
    drawn = {picture_module._text_mask(char, 24, "ls", 100)[0].tobytes() for char in "éèñøИя"}
    assert len(drawn) == 6


def test_long_text_ends_with_an_ellipsis_and_fills_the_width() -> None:
    font = picture_module._font(24, True)
    shown = picture_module._shortened("one two three " * 9, font, 300)
    assert shown.endswith("…") and ("one two three " * 9).startswith(shown[:-1])
    assert 300 - 2 * font.getlength("w") < font.getlength(shown) <= 300
    assert picture_module._shortened("one", font, 300) == "one"


def test_text_can_be_read() -> None:
    def luminance(colour: tuple[int, int, int]) -> float:  # WCAG 2.2, relative luminance
        unit = np.array(colour) / 255
        linear = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    pairs = [
        *product((TEXT, SOFT, BLUE, ORANGE), [picture_module._CARD]),
        *product((TEXT, BLUE), [picture_module._BLUE_DEEP]),
        *product((TEXT, ORANGE), [picture_module._ORANGE_DEEP]),
        *product((TEXT, SOFT), [picture_module._GREY_DEEP]),
        (picture_module._BACKGROUND, TEXT),
    ]
    for pair in pairs:
        dark, light = sorted(map(luminance, pair))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, pair


def test_a_missing_pillow_is_named(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)  # type: ignore[arg-type]  # "not to be found"
    picture_module._backdrop.cache_clear()
    with pytest.raises(ImportError, match=r"needs Pillow 10\.1 or later.*pip install 'pillow>="):
        render(StepView(tables, 0, 1, 1, 0.0), "rgb_array")
    assert render(StepView(tables, 5, 1, 2, 4.0), "ansi") == LIKE_5


def test_importing_music_env_loads_neither_pillow_nor_matplotlib() -> None:
    code = "import sys, music_env; print({'PIL', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_unknown_modes(tables: Tables) -> None:
    with pytest.raises(ValueError, match=r"one of .*'ansi', 'rgb_array'.*got 'human'"):
        render(StepView(tables, 0, 1, 1, 0.0), "human")
    with pytest.raises(ValueError, match="got 'human'"):
        checked_render_mode("human")


# --- In the environments --------------------------------------------------------------------------


@pytest.mark.parametrize("mode", RENDER_MODES)
def test_render_before_reset(mode: str, six: Catalogue) -> None:
    env = gym.make(ENV_ID, catalogue=six, session_length=6, render_mode=mode)
    with pytest.raises(gym.error.ResetNeeded):
        env.render()
    with pytest.raises(gym.error.ResetNeeded, match=r"call reset\(\) before render"):
        env.unwrapped.render()


def test_environment_shows_the_track_judged(six: Catalogue) -> None:
    env = gym.make(ENV_ID, catalogue=six, session_length=6, render_mode="ansi", **SIX_LISTENER)
    _, info = env.reset(seed=0)
    titles, total = ["Zero", "One", "Two", "Three", "Four", "Five"], 0.0
    text: Any = env.render()
    assert "Track         1 of 6" in text and "Action" not in text
    assert f"Title         {titles[info['track_index']]}\n" in text
    for step in range(6):
        _, reward, _, _, info = env.step(step % 2)
        total += float(reward)
        text = env.render()
        assert f"Track         {step + 1} of 6\n" in text
        assert f"Title         {titles[info['track_index']]}\n" in text
        assert f"Action        {('dislike', 'like')[step % 2]} (" in text
        assert f"Reward        {reward:+g}\nReturn        " in text
        assert text.endswith(f"{total:+g}" if total else "        0")


def test_vector_environment_renders_each(six: Catalogue) -> None:
    scalars = [
        gym.make(ENV_ID, catalogue=six, session_length=6, render_mode="rgb_array", **SIX_LISTENER)
        for _ in range(2)
    ]
    vector = gym.make_vec(
        ENV_ID,
        num_envs=2,
        catalogue=six,
        session_length=6,
        render_mode="rgb_array",
        **SIX_LISTENER,
    )
    vector.reset(seed=[1, 2])
    for i, env in enumerate(scalars):
        env.reset(seed=i + 1)
    for step, actions in enumerate([None, [0, 1], [1, 1]]):
        if actions is not None:
            vector.step(np.array(actions))
            for env, action in zip(scalars, actions, strict=True):
                env.step(action)
        frames: Any = vector.render()
        assert len(frames) == 2
        for frame, env in zip(frames, scalars, strict=True):
            np.testing.assert_array_equal(frame, env.render(), f"step {step}")


@pytest.mark.parametrize("mode", RENDER_MODES)
def test_gymnasium_checks_rendering(mode: str) -> None:
    check_env(gym.make(ENV_ID, render_mode=mode).unwrapped)


def test_record_video(six: Catalogue, tmp_path: Path) -> None:
    moviepy = pytest.importorskip("moviepy")
    made = gym.make(ENV_ID, catalogue=six, session_length=6, render_mode="rgb_array")
    env = RecordVideo(made, str(tmp_path / "videos"), episode_trigger=lambda episode: True)
    env.reset(seed=0)
    while not env.step(1)[2]:
        pass
    env.close()
    (video,) = (tmp_path / "videos").glob("*.mp4")
    with moviepy.VideoFileClip(str(video)) as clip:
        assert clip.size == [WIDTH, HEIGHT]
        assert clip.duration == pytest.approx(7 / 2)  # seven frames at two a second
