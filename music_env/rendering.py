"""Views of a step: text ("ansi") and a picture ("rgb_array")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import category

from music_env.catalogue import Catalogue
from music_env.session_tables import ListenerView, SessionTables

RENDER_MODES = ["ansi", "rgb_array"]

_MAX_TEXT = 200  # characters of a text that are looked at: a cell of a stranger's file has no limit
_MAX_LINE = 72  # characters of a value in "ansi", which with its label fills 86 columns
_JOINERS = "\u200c\u200d"  # format marks that some scripts and emoji need, and that are harmless


@dataclass(frozen=True)
class StateView:
    """The state of a listener whom what is played affects, behind the track judged.

    Attributes:
        levels: the satiation levels of genres (or artists) above 0, the highest first; None where
            nothing satiates the listener.
        patience: 0 to 1; None where the listener has no end of it.
        level_history: the highest level after each track judged.
        patience_history: the patience after each.
        top: the level to which the scale reaches, at least the highest of the history.
        verdict: what became of the track, in a word or two; "" where nothing is judged.
    """

    levels: tuple[tuple[str, float], ...] | None
    patience: float | None
    level_history: Sequence[float]
    patience_history: Sequence[float]
    top: float
    verdict: str


@dataclass(frozen=True)
class SlateView:
    """The candidates of which one was played, or none.

    Attributes:
        tracks: the catalogue index of each.
        available: whether each could be played; not where it had been played before.
    """

    tracks: Sequence[int]
    available: Sequence[bool]


@dataclass(frozen=True)
class StepView:
    """What a view shows.

    Attributes:
        tables: catalogue and listener; `SessionTables` give theirs with ``view()``.
        track: the catalogue index of the track judged, or shown where nothing is judged yet; None:
            none of the candidates was played.
        action: 0 dislike, 1 like; with candidates 0 none, or the number of one, counted from 1;
            None where nothing is judged yet.
        number: how many tracks of the session have been judged.
        episode_return: the return so far.
        reward: of the action; None: what the score says.
        env_id: the id of the environment, which a picture shows.
        state: of the listener, where what is played has consequences.
        slate: the candidates, where there are several.
    """

    tables: ListenerView | SessionTables
    track: int | None
    action: int | None
    number: int
    episode_return: float
    reward: float | None = None
    env_id: str = "MusicRec-v0"
    state: StateView | None = None
    slate: SlateView | None = None


def checked_render_mode(render_mode: str | None) -> str | None:
    """Return the render mode; ``ValueError`` for an unknown one."""
    if render_mode is not None and render_mode not in RENDER_MODES:
        raise ValueError(f"render_mode must be None or one of {RENDER_MODES}, got {render_mode!r}")
    return render_mode


def render(view: StepView, mode: str) -> Any:
    """Return the view as a string ("ansi") or as (height, width, 3) uint8 ("rgb_array").

    Neither shows the score or its terms before the track is judged.

    Raises:
        ValueError: for another mode.
        ImportError: for "rgb_array" without Pillow.
    """
    if mode not in RENDER_MODES:
        raise ValueError(f"mode must be one of {RENDER_MODES}, got {mode!r}")
    facts = _facts(view)
    if mode == "ansi":
        return _text(facts)
    from music_env.picture import draw  # which takes the facts from here

    return draw(facts)


# --- What both show -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Facts:
    """A view in words and numbers; texts are safe to print and not yet shortened to a line.

    Without a track (none of the candidates was played) there is no danceability, which is ``nan``,
    and the texts on the track are on the candidates.
    """

    title: str
    artists: str
    album: str
    genres: str
    danceability: float
    wanted: dict[str, str | None]  # what the listener prefers for each term, None where open
    listener: str
    liked: tuple[float, float] | None
    number: int
    session_length: int
    episode_return: str
    score: str
    terms: dict[str, float]
    action: str | None
    reward: float
    env_id: str
    state: StateView | None = None
    candidates: tuple[str, ...] = ()  # each in a line
    chosen: int = 0  # of them, counted from 1; 0 none
    has_track: bool = True

    @property
    def shows(self) -> str:
        """What a step of the session shows."""
        return "slate" if self.candidates else "track"

    @property
    def plays(self) -> bool:
        """Whether the action plays a track."""
        return self.action is not None and self.action not in ("dislike", "none")

    @property
    def verdict(self) -> str:
        """What to say of the action."""
        if self.state is not None:
            return self.state.verdict
        return "right" if self.reward > 0 else "wrong" if self.reward < 0 else "either is right"


def _facts(view: StepView) -> Facts:
    shown = view.tables if isinstance(view.tables, ListenerView) else view.tables.view()
    scores, track = shown.scores, view.track
    score = 0.0 if track is None else scores.total.item(track)
    wanted = {term: None if value is None else _safe(value) for term, value in shown.wanted.items()}
    reward = view.reward
    if reward is None:
        reward = score if view.action else -score
    terms = {} if view.action is not None else dict.fromkeys(scores.names, 0.0)
    if track is not None:
        values = scores.by_kind[:, scores.kinds[track]].tolist()
        terms = dict(zip(scores.names, values, strict=False))
    action = None if view.action is None else ("dislike", "like")[min(view.action, 1)]
    if view.slate is not None and action is not None:
        action = f"play {view.action}" if view.action else "none"
    return Facts(
        **_track_texts(view, shown.catalogue),
        wanted=wanted,
        listener=_safe(shown.listener_text or _listener(wanted)),
        liked=shown.liked,
        number=max(view.number, 1),
        session_length=shown.session_length,
        episode_return=signed(view.episode_return),
        score=signed(score),
        terms=terms,
        action=action,
        reward=reward,
        env_id=view.env_id,
        state=view.state,
        candidates=_candidate_lines(view.slate, shown.catalogue),
        chosen=(view.action or 0) if view.slate is not None else 0,
        has_track=track is not None,
    )


def _track_texts(view: StepView, catalogue: Catalogue) -> dict[str, Any]:
    """Return what a view says of the track, or of the candidates where none was played."""
    track = view.track
    if track is not None:
        return {
            "title": _safe(catalogue.title[track]) or "(untitled)",
            "artists": _safe(", ".join(catalogue.artists.of(track))),
            "album": _safe(catalogue.album[track]),
            "genres": _safe(", ".join(catalogue.genres.of(track))) or "no genre",
            "danceability": catalogue.danceability.item(track),
        }
    tracks = view.slate.tracks if view.slate is not None else ()
    titles = (_safe(catalogue.title[candidate]) or "(untitled)" for candidate in tracks)
    return {
        "title": "(nothing played yet)" if view.action is None else "(none played)",
        "artists": f"{len(tracks)} candidates",
        "album": "",
        "genres": " · ".join(titles),
        "danceability": float("nan"),
    }


def _candidate_lines(slate: SlateView | None, catalogue: Catalogue) -> tuple[str, ...]:
    if slate is None:
        return ()
    lines = []
    for track, available in zip(slate.tracks, slate.available, strict=True):
        title = _safe(catalogue.title[track]) or "(untitled)"
        artists = _safe(", ".join(catalogue.artists.of(track)))
        lines.append("(played before) " * (not available) + f"{title} · {artists}")
    return tuple(lines)


def _listener(wanted: dict[str, str | None]) -> str:
    """Return a preference in words."""
    return ", ".join(
        f"any {term}" if value is None else f"{term} {value}" for term, value in wanted.items()
    )


def _safe(text: str) -> str:
    r"""Return a text from a file as one line that does nothing to a terminal.

    White space of any kind becomes a space, format marks (such as those that turn the direction of
    writing) are left out, any other control becomes its Python escape, such as ``\x1b``.
    """
    shown = " ".join(text[:_MAX_TEXT].split())
    if not shown.isprintable():
        shown = "".join(map(_safe_character, shown))
    return shown + "…" * (len(text) > _MAX_TEXT)


def _safe_character(char: str) -> str:
    if char.isprintable() or char in _JOINERS:
        return char
    return "" if category(char) == "Cf" else char.encode("unicode_escape").decode()


def signed(value: float, digits: int = 6) -> str:
    """Return a number with its sign, 0 without."""
    return "0" if value == 0 else f"{value:+.{digits}g}"


# --- ansi -----------------------------------------------------------------------------------------


def _text(facts: Facts) -> str:
    place = f"{facts.number} of {facts.session_length}"
    lines = {facts.shows.capitalize(): place, "Title": facts.title}
    if facts.has_track:
        lines |= {
            "Artists": facts.artists,
            "Album": facts.album or "no album",
            "Genres": facts.genres,
            "Danceability": f"{facts.danceability:g}",
        }
    lines["Listener"] = facts.listener
    for number, candidate in enumerate(facts.candidates, start=1):
        lines[f"{'>' if number == facts.chosen else ' '} {number}"] = candidate
    if facts.action is not None:
        terms = (
            f"{term} {'open' if facts.wanted[term] is None else signed(value)}"
            for term, value in facts.terms.items()
        )
        if facts.has_track:
            lines["Score"] = f"{facts.score}: {', '.join(terms)}"
        lines["Action"] = f"{facts.action} ({facts.verdict})"
        lines["Reward"] = signed(facts.reward)
        lines["Return"] = facts.episode_return
    if facts.state is not None:
        lines |= _state_lines(facts.state)
    return "\n".join(
        f"{label:<12}  {value if len(value) <= _MAX_LINE else value[: _MAX_LINE - 1] + '…'}"
        for label, value in lines.items()
    )


_HEIGHTS = "▁▂▃▄▅▆▇█"
_STEPS_SHOWN = 50  # of the session, the latest


def _state_lines(state: StateView) -> dict[str, str]:
    """Return satiation and patience now, and over the session as a row of little bars."""
    lines = {}
    if state.levels is not None:
        lines["Satiation"] = satiation_text(state.levels)
        lines["  so far"] = _bars(state.level_history, state.top)
    if state.patience is not None:
        bars = _bars(state.patience_history, 1.0)
        lines["Patience"] = f"{state.patience:.2f}  {bars}".rstrip()
    return {label: value for label, value in lines.items() if value}


def satiation_text(levels: Sequence[tuple[str, float]], most: int = 3) -> str:
    """Return the highest levels with their names, or that there are none."""
    return ", ".join(f"{_safe(name)} {level:.1f}" for name, level in levels[:most]) or "none"


def _bars(history: Sequence[float], top: float) -> str:
    places = (int(value / top * len(_HEIGHTS)) for value in history[-_STEPS_SHOWN:])
    return "".join(_HEIGHTS[min(place, len(_HEIGHTS) - 1)] for place in places)
