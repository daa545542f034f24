"""Covers: well-formed, harmless, and different for different tracks."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from player.media import TrackFeatures, artwork_svg
from player.media import artwork as artwork_module
from player.media.covers import FAMILIES
from player.media.palette import oklch
from player.media.styles import STYLES

TRACK = TrackFeatures(
    title="One",
    artists=("A",),
    genres=("house",),
    danceability=0.7,
    energy=0.6,
    valence=0.5,
    acousticness=0.1,
    seed="t1",
)
ATTACKS = (
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "]]>",
    "<![CDATA[",
    "a & b &lt; &#x3c;",
    '" onload="alert(1)',
    "' /><image href='http://example.com/x'/>",
    "nul \x00 bell \x07 escape \x1b",
    "\u202egnp.exe\u2066\u200f",
    "\ud800 lone \udfff",
    "\ufffe\uffff",
    "x" * 100_000,
    "",
)
ALLOWED = {
    "svg": {"width", "height", "viewBox", "role"},
    "title": set(),
    "defs": set(),
    "linearGradient": {"id", "x1", "y1", "x2", "y2"},
    "radialGradient": {"id", "cx", "cy", "r"},
    "stop": {"offset", "stop-color", "stop-opacity"},
    "rect": {"x", "y", "width", "height", "rx"},
    "circle": {"cx", "cy", "r"},
    "ellipse": {"cx", "cy", "rx", "ry"},
    "line": {"x1", "y1", "x2", "y2"},
    "polygon": {"points"},
    "path": {"d"},
}
PAINT = {"fill", "fill-rule", "fill-opacity", "opacity", "transform"} | {
    f"stroke{rest}" for rest in ("", "-width", "-opacity", "-linecap", "-dasharray")
}


def checked(document: str) -> ElementTree.Element:
    """Parse a cover, and see that it only holds what a picture needs."""
    root = ElementTree.fromstring(document)
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    for element in root.iter():
        namespace, name = element.tag[1:].split("}")
        assert namespace == "http://www.w3.org/2000/svg"
        assert name in ALLOWED, name
        for key, value in element.attrib.items():
            assert key in ALLOWED[name] | PAINT, (name, key)
            assert "nan" not in value and "inf" not in value, (name, key, value)
            for target in re.findall(r"url\(([^)]*)\)", value):
                assert target[0] == "#" and target[1:] in ids, target
            if key in ("fill", "stroke"):
                assert re.fullmatch(r"none|#[0-9a-f]{6}|url\(#\w+\)", value), value
    return root


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
def test_titles_and_artists_cannot_leave_the_title(attack: str) -> None:
    document = artwork_svg(
        replace(TRACK, title=attack, artists=(attack, attack), genres=(attack,), seed=attack)
    )
    document.encode("utf-8")  # no surrogates left
    root = checked(document)
    title = root[0].text or ""
    assert len(title) <= 200
    assert not re.search("[\x00-\x1f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]", title)


def test_the_title_names_the_track() -> None:
    root = checked(artwork_svg(replace(TRACK, title="Tom & <Jerry>", artists=("B", "C"))))
    assert root[0].text == "Cover drawn by MusicRec for Tom & <Jerry> by B, C"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("tempo", [50.0, 220.0])
def test_every_family_draws_every_track(
    family: str, share: float, tempo: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artwork_module, "FAMILIES", {name: FAMILIES[family] for name in FAMILIES})
    features = replace(
        TRACK, tempo=tempo, danceability=share, energy=share, valence=share, acousticness=share
    )
    document = artwork_svg(features)
    assert len(checked(document)) > 6
    assert len(document) < 60_000


def test_every_family_is_somebodys_and_all_are_known() -> None:
    used = {name for style in STYLES for name in style.covers}
    assert used == set(FAMILIES)


def test_tracks_and_genres_look_different() -> None:
    covers = [artwork_svg(replace(TRACK, seed=str(i))) for i in range(20)]
    assert len(set(covers)) == 20
    assert artwork_svg(TRACK) == artwork_svg(replace(TRACK))
    shapes = set()
    for style in STYLES:
        root = checked(artwork_svg(replace(TRACK, genres=(style.words[0],))))
        shapes.add(tuple(element.tag for element in root))
    assert len(shapes) >= 12


def test_ids_of_two_covers_do_not_meet() -> None:
    one, two = (
        set(re.findall(r'id="([^"]+)"', artwork_svg(replace(TRACK, seed=seed)))) for seed in "ab"
    )
    assert one and two and not one & two


def test_the_size_is_only_asked_for() -> None:
    small, large = artwork_svg(TRACK, 64), artwork_svg(TRACK, 300)
    assert small.replace('width="64" height="64"', 'width="300" height="300"', 1) == large
    with pytest.raises(ValueError, match="size is 0"):
        artwork_svg(TRACK, 0)


def test_cheerful_tracks_are_lighter() -> None:
    def light(valence: float, mode: str) -> float:
        total = 0.0
        for seed in range(40):
            track = replace(TRACK, valence=valence, mode=mode, seed=str(seed))  # type: ignore[arg-type]
            colour = re.findall(r'stop-color="#(\w{6})"', artwork_svg(track))[0]
            total += sum(bytes.fromhex(colour)) / (3 * 255)
        return total / 40

    assert light(0.9, "major") > light(0.1, "minor") + 0.15


def test_colours_are_those_of_the_reference() -> None:
    # Ottosson's OKLab: sRGB red is L 0.62796, C 0.25768, h 29.2339; grey has no chroma.
    assert oklch(0.62796, 0.25768, 29.2339) == "#ff0000"
    assert oklch(1, 0, 0) == "#ffffff" and oklch(0, 0, 0) == "#000000"
    assert re.fullmatch("#[0-9a-f]{6}", oklch(0.9, 0.4, 280))  # out of what a screen shows
