"""The column layouts that a catalogue is read from, and the units of its numbers.

Our own layout names its columns as `TEXTS` and `FEATURES` do. Any other layout is a table of what
it calls differently; a column that it does not name is taken under our own name as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from music_env.naming import nearest


class CatalogueError(ValueError):
    """A file or a frame that no catalogue can be made of; the message says what to do."""


EXPECTED = "expected CSV (plain or gzip) or Parquet"


@dataclass(frozen=True)
class Feature:
    """What a number of a track means."""

    unit: str
    meaning: str
    unknown: float | None = None
    """The number which the sources write for "not known"; read as missing (NaN)."""


# Spotify's are defined in its Web API reference ("Get Track's Audio Features"), Deezer's in its
# API reference ("Track"). "Unknown" is what these two write: no track has a tempo of 0 BPM.
FEATURES: dict[str, Feature] = {
    "popularity": Feature("0..100", "popularity at Spotify when the data were collected"),
    "rank": Feature("0..1,000,000", "rank at Deezer, greater for more popular tracks"),
    "duration": Feature("s", "length of the track"),
    "explicit": Feature("0 or 1", "1 = explicit lyrics"),
    "danceability": Feature("0..1", "how well one can dance to it, 1 = best"),
    "energy": Feature("0..1", "perceived intensity, 1 = fast, loud and noisy"),
    "key": Feature("pitch class 0..11", "key of the track, 0 = C, 1 = C sharp", unknown=-1.0),
    "loudness": Feature("dB", "mean loudness, mostly within -60..0"),
    "mode": Feature("0 or 1", "1 = major, 0 = minor"),
    "speechiness": Feature("0..1", "share of spoken words, 1 = speech only"),
    "acousticness": Feature("0..1", "confidence that the track is acoustic"),
    "instrumentalness": Feature("0..1", "confidence that nobody sings"),
    "liveness": Feature("0..1", "confidence that an audience is present"),
    "valence": Feature("0..1", "1 = cheerful, 0 = sad or angry"),
    "tempo": Feature("BPM", "beats per minute", unknown=0.0),
    "time_signature": Feature("beats per bar", "4 = a 4/4 bar", unknown=0.0),
    "gain": Feature("dB", "Deezer's correction to even loudness"),
    "release_year": Feature("year", "year in which the album was released", unknown=0.0),
}

TEXTS: dict[str, str] = {
    "track_id": "id of the track; rows of the same id are one track",
    "title": "title of the track",
    "artists": "names of the artists",
    "genres": "names of the genres",
    "album": "title of the album",
    "preview_url": "http or https link to a sound clip",
    "artwork_url": "http or https link to a picture",
}

CONVERTED: dict[str, str] = {"duration_ms": "duration", "release_date": "release_year"}
"""Columns in another unit than the feature they give: [ms]; a date that begins with the year."""

SYNONYMS: dict[str, str] = {"artist": "artists", "genre": "genres"}

FIELDS: tuple[str, ...] = (*TEXTS, *FEATURES, *CONVERTED)
"""Every canonical name, as in our own layout and as the keys of a mapping."""


@dataclass(frozen=True)
class Layout:
    """How a source names the columns of a track: canonical name -> column."""

    name: str
    columns: Mapping[str, str]
    separator: str | None
    """What stands between several artists or genres in one cell; None: a cell is one name."""
    no_text: str = ""
    """The word for missing text, where title, artists and album all hold it: it may be a title."""


LAYOUTS: tuple[Layout, ...] = (
    Layout("MusicRec", {name: name for name in TEXTS}, separator=";"),
    Layout(
        "Spotify Tracks",
        {
            "track_id": "track_id",
            "title": "track_name",
            "artists": "artists",
            "genres": "track_genre",
            "album": "album_name",
        },
        separator=";",
    ),
    Layout(
        "TidyTuesday spotify_songs",
        {
            "track_id": "track_id",
            "title": "track_name",
            "artists": "track_artist",
            "genres": "playlist_genre",
            "album": "track_album_name",
            "popularity": "track_popularity",
            "release_date": "track_album_release_date",
        },
        separator=None,
        no_text="NA",  # written by R
    ),
    Layout(
        "Deezer",
        {
            "track_id": "TrackID",
            "title": "Title",
            "artists": "ArtistName",
            "genres": "track_genre",
            "preview_url": "Preview",
            "artwork_url": "ImageLink",
            "rank": "Rank",
            "duration": "Duration",
            "explicit": "ExplicitLyrics",
            "tempo": "BPM",
            "gain": "Gain",
        },
        separator=None,
    ),
)

NEEDED: tuple[str, ...] = ("track_id", "title", "artists", "danceability")
"""What a row needs to be a track; of id and title one suffices."""

NO_NUMBER: frozenset[str] = frozenset(
    {"", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-nan", "NULL", "Null", "null", "None"}
)
"""Words that stand for a missing number. In a column of text they are text: there are songs
called "None", and artists."""

KNOWN_COLUMNS: frozenset[str] = frozenset(
    {*FIELDS, *SYNONYMS}.union(*(layout.columns.values() for layout in LAYOUTS))
)


@dataclass(frozen=True)
class Match:
    """The layout of a file: which of its columns are taken, and as what."""

    layout: Layout
    columns: Mapping[str, str]
    """Canonical name -> column of the file."""
    unused: tuple[str, ...]
    lacking: tuple[str, ...] = field(default=(), repr=False)
    """Canonical names that every catalogue needs and that no column gives."""

    @property
    def score(self) -> int:
        """Number of the layout's own columns that the file has."""
        return sum(name in self.layout.columns.values() for name in self.columns.values())


@dataclass(frozen=True)
class Columns:
    """Which columns of a file are wanted: how to find them, and which of them hold numbers.

    Attributes:
        find: (the file's columns, what they belong to, for messages) -> those that are taken.
        known: names by which the delimiter is guessed.
        numbers: canonical names of columns of numbers; the others are text.
        decimal: the canonical name of the column that shows the decimal mark.
    """

    find: Callable[[Sequence[str], str], Match]
    known: frozenset[str]
    numbers: frozenset[str]
    decimal: str


def catalogue_columns(
    mapping: Mapping[str, str] | None, extra: Mapping[str, str] | None = None
) -> Columns:
    """Return the columns that a catalogue takes.

    Args:
        mapping: canonical name -> column of the file, see `match`.
        extra: name of the caller's -> column of the file, which is taken as text besides.
    """

    def find(names: Sequence[str], source: str) -> Match:
        found = match(names, mapping, source=source)
        for name, column in (extra or {}).items():
            if list(names).count(column) != 1:
                raise CatalogueError(
                    f"{source}: the column {column!r} ({name}) is there "
                    f"{list(names).count(column)} times, expected once; its columns are "
                    f"{_listed(names)}." + nearest(column, names)
                )
        return replace(found, columns={**found.columns, **(extra or {})})

    known = KNOWN_COLUMNS.union((mapping or {}).values(), (extra or {}).values())
    return Columns(find, known, frozenset({*FEATURES, "duration_ms"}), "danceability")


def match(names: Sequence[str], mapping: Mapping[str, str] | None, *, source: str) -> Match:
    """Recognise the layout of a file from the names of its columns.

    Args:
        names: the file's columns in order.
        mapping: canonical name -> column of the file; goes before what the layout says.
        source: what the columns belong to, for messages.

    Returns:
        The layout of which the most columns are there, among those that give what every
        catalogue needs: artists, danceability, and a title or an id.

    Raises:
        CatalogueError: no layout fits, the mapping names an unknown canonical name or a column
            that is not there, or a column that is taken stands there twice.
    """
    given = _checked(mapping or {}, names, source)
    matches = [_fit(layout, names, given) for layout in LAYOUTS]
    best = max(matches, key=lambda found: (-len(found.lacking), found.score))
    if best.lacking:  # perhaps our own layout, in capitals
        folded = {SYNONYMS.get(name.casefold(), name.casefold()): name for name in names}
        ours = {name: column for name, column in folded.items() if name in FIELDS}
        again = [_fit(layout, names, ours | given) for layout in LAYOUTS]
        best = min(again, key=lambda found: len(found.lacking))
    if best.lacking:
        best = max(matches, key=lambda found: (-len(found.lacking), found.score))
        raise CatalogueError(_no_layout(best, names, source))
    for name, column in best.columns.items():
        if list(names).count(column) > 1:
            raise CatalogueError(
                f"{source}: column {column!r} ({name}) is there {list(names).count(column)} times, "
                "expected once; rename or remove the others"
            )
    return best


def _checked(mapping: Mapping[str, str], names: Sequence[str], source: str) -> dict[str, str]:
    if not isinstance(mapping, Mapping):
        raise TypeError(
            'columns must be a dictionary such as {"artist": "performer"}, canonical name -> '
            f"column of the file, got {mapping!r}"
        )
    given: dict[str, str] = {}
    for key, column in mapping.items():
        name = SYNONYMS.get(key, key)
        if name not in FIELDS:
            raise CatalogueError(
                f"{source}: columns= has {key!r}, which is no canonical name; expected one of "
                f"{', '.join(FIELDS)}." + nearest(str(key), (*FIELDS, *SYNONYMS))
            )
        if name in given:
            raise CatalogueError(
                f"{source}: columns= has {name!r} in both spellings; keep one of them"
            )
        if column not in names:
            raise CatalogueError(
                f"{source}: columns= takes {key!r} from column {column!r}, which is not there; "
                f"its columns are {_listed(names)}." + nearest(str(column), names)
            )
        given[name] = column
    return given


def _fit(layout: Layout, names: Sequence[str], given: Mapping[str, str]) -> Match:
    available = set(names)
    plural = {name: synonym for synonym, name in SYNONYMS.items()}
    columns: dict[str, str] = {}
    for name in FIELDS:
        candidates = (given.get(name), layout.columns.get(name), name, plural.get(name))
        column = next((c for c in candidates if c in available), None)
        if column is not None:
            columns[name] = column
    for converted, feature in CONVERTED.items():
        if feature in columns and converted in columns:
            del columns[feature if converted in given and feature not in given else converted]
    lacking = [name for name in NEEDED[1:] if name not in columns]
    if "track_id" in columns and "title" in lacking:
        lacking.remove("title")
    taken = set(columns.values())
    unused = tuple(name for name in names if name not in taken)
    return Match(layout, columns, unused, tuple(lacking))


def _no_layout(best: Match, names: Sequence[str], source: str) -> str:
    def own(name: str) -> str:
        return best.layout.columns.get(name, name)

    needed = f"{own('artists')}, danceability, and {own('title')} or {own('track_id')}"
    others = [own(name) for name in FIELDS if name not in NEEDED and name not in CONVERTED]
    example = ", ".join(f'"{name}": "<its column>"' for name in best.lacking)
    return (
        f"{source}: its columns fit none of the known layouts "
        f"({', '.join(layout.name for layout in LAYOUTS)}).\n"
        f"  Columns found: {_listed(names)}\n"
        f"  Nearest layout: {best.layout.name}, which needs {needed}; "
        f"it takes besides {', '.join(others)}\n"
        f"  Missing: {', '.join(map(own, best.lacking))}\n"
        "  If they are there under other names, say so: "
        f"Catalogue.read(path, columns={{{example}}}), canonical name -> column of the file"
    )


def _listed(names: Sequence[str], limit: int = 40) -> str:
    shown = ", ".join(repr(name[:60]) for name in names[:limit])
    return shown + (f" and {len(names) - limit} more" if len(names) > limit else "")
