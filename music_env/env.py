"""The scalar environment, MusicRec-v0. The class docstring is its specification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.listener import Preference
from music_env.listener_models import ListenerModel
from music_env.scalar import Action, SessionEnv
from music_env.tables import OverTables, Tables

__all__ = ["Action", "MusicRecEnv"]


class MusicRecEnv(OverTables, SessionEnv):
    """A listener is shown tracks one by one; the agent says *like* or *dislike* for each.

    ## Description
    Each step shows one track of a catalogue. The agent sees its encoded features and guesses
    whether the listener likes it. The listener has a preference (an artist, a genre, a range of
    danceability), which the agent does not see and has to learn from the rewards.

    The next track does not depend on the action: **MusicRec-v0 is a contextual bandit**, and a
    discount of 0 is right for it. It comes as a Gymnasium environment because the same agents,
    wrappers and tools then work on it; it does not reward planning.

    ## Action Space
    ``Discrete(2)``: `Action.DISLIKE` = 0, `Action.LIKE` = 1.

    ## Observation Space
    Chosen by ``encoding``; `music_env.encoding.encode` has the details.

    | encoding              | space                        | content                               |
    |-----------------------|------------------------------|---------------------------------------|
    | ``one-hot`` (default) | ``Box(0, 1, (n,), float32)`` | numbers, multi-hot genres and artists |
    | ``codes``             | ``Box((n <= 32,), float32)`` | numbers, then genre and artist codes  |
    | ``hash``              | ``Discrete(10000)``          | a stable hash of genre, artist, track |
    | ``profile``           | ``Discrete``                 | genre x artist x danceability bin     |

    ``env.unwrapped.encoded.columns`` names the columns. The numbers are those that the catalogue
    has, scaled to 0..1 between two fixed ends and clipped, in this order:

    | number                                                | from      | to        | unit        |
    |-------------------------------------------------------|-----------|-----------|-------------|
    | danceability                                          | 0         | 1         |             |
    | popularity                                            | 0         | 100       |             |
    | rank                                                  | 0         | 1,000,000 | Deezer rank |
    | duration                                              | 0         | 600       | s           |
    | explicit                                              | 0         | 1         |             |
    | energy                                                | 0         | 1         |             |
    | key                                                   | 0         | 11        | pitch class |
    | loudness                                              | -20       | 0         | dB          |
    | mode                                                  | 0 (minor) | 1 (major) |             |
    | speechiness, acousticness, instrumentalness, liveness | 0         | 1         |             |
    | valence                                               | 0         | 1         |             |
    | tempo                                                 | 50        | 220       | BPM         |
    | time_signature                                        | 0         | 5         | beats       |
    | gain                                                  | -20       | 0         | dB          |
    | release_year                                          | 1950      | 2030      | year        |

    ## Rewards
    For *like*, the sum of three terms, each +1 on a match and -1 otherwise:

    - ``artist``: one of the track's artists is the preferred one;
    - ``genre``: one of its genres is;
    - ``danceability``: it lies within the preferred range, ends included.

    For *dislike*, the negative of that sum. So the reward is in {-3, -1, +1, +3}. A preference left
    open contributes 0; where the sum is 0 both actions are right. ``weights`` scale the terms. The
    reward of one action reveals the other's: it is its negative.

    ## Starting State
    The first track of a session. A session shows ``session_length`` different tracks in an order
    that depends on the seed and on the number of sessions begun since (`music_env.order`), uniform
    as far as its tests can tell. The same seed gives the same sessions, in any process, here and
    in the vector environment.

    ## Episode End
    - Termination: after the last track of the session. The terminal observation repeats it.
    - Truncation: never by itself; ``max_episode_steps`` of `gymnasium.make` truncates.

    ## Info
    `reset` gives ``track_index`` of the track shown. `step` gives, for the track *judged*:
    ``track_index``, ``track_id``, ``score`` (the reward of *like*), ``reward_terms`` (``artist``,
    ``genre``, ``danceability``, summing to the score), and with the last track ``episode_return``
    and ``episode_regret`` (the return of always choosing the better action, minus the return). An
    agent that learns from ``info`` cheats: it is there for metrics and plots.

    ## Arguments
    ```python
    gymnasium.make("MusicRec-v0", artist="Linkin Park", genre="metal", danceability=(0.4, 0.6))
    ```

    - ``catalogue``: a path (see `Catalogue.read`) or a `Catalogue`; default: the embedded one. A
      path is read once per process, and again if the file has changed. A str serialises to JSON
      with the spec; a `pathlib.Path` and a `Catalogue` do not.
    - ``artist``, ``genre``, ``danceability=(lo, hi)``: the preference; a part not given is left
      open. With none of the three given the listener is the catalogue's best-represented artist's:
      that artist, that artist's most frequent genre, and the middle half of that artist's
      danceability (`default_preference`).
    - ``weights``: of the three terms, default ``(1, 1, 1)``.
    - ``encoding``: see above; ``encoding_options``: ``{"n_states": 10000}`` for ``hash``,
      ``{"danceability_bins": 20}`` for ``profile``.
    - ``tracks``: indices into the catalogue; only these are shown (held-out splits). Default: all.
    - ``session_length``: tracks in a session, default 100, at most the number of tracks.
    - ``listener``: a model in place of the preference (`music_env.listener_models`): an object with
      ``scores(catalogue)``, a mapping, or the path of a JSON file (`music_env.listener_json`); a
      mapping and a str serialise to JSON with the spec, an object does not. The score is then the
      model's, ``reward_terms`` its own named terms, which add up to it (one ``listener`` where it
      names none), and rewards are any numbers. Where the model presses the wrong button now and
      then (`NoisyListener`), the reward is that of the other button with the stated probability,
      drawn from the session's key; ``score``, ``reward_terms`` and `oracle_return` are free of
      noise, ``episode_return`` adds up the rewards as they were, and ``episode_regret`` is that of
      the decisions, free of noise.
    - ``render_mode``: ``"ansi"`` or ``"rgb_array"``.

    Raises ``ValueError`` for an unknown artist or genre (with the nearest names), a range that is
    none, an unknown encoding, indices that are out of range or repeated, and a session longer than
    the tracks there are; `CatalogueError` for a catalogue that cannot be read.

    ## Version History
    - v0: first version.

    ## References
    The task grew from two public notebooks that let Q-learning and a dueling DQN guess a listener's
    likes in a Deezer catalogue; the README says what became of their faults.
    """

    _id = "MusicRec-v0"
    _tables: Tables

    def __init__(
        self,
        *,
        catalogue: Catalogue | str | PathLike[str] | None = None,
        artist: str | None = None,
        genre: str | None = None,
        danceability: tuple[float, float] | None = None,
        weights: Sequence[float] = (1, 1, 1),
        encoding: str = "one-hot",
        encoding_options: Mapping[str, int] | None = None,
        tracks: Sequence[int] | NDArray[np.int64] | None = None,
        session_length: int = 100,
        listener: ListenerModel
        | Preference
        | str
        | PathLike[str]
        | Mapping[str, Any]
        | None = None,
        render_mode: str | None = None,
    ) -> None:
        tables = Tables.build(
            catalogue=catalogue,
            artist=artist,
            genre=genre,
            danceability=danceability,
            weights=weights,
            encoding=encoding,
            encoding_options=encoding_options,
            tracks=tracks,
            session_length=session_length,
            listener=listener,
        )
        self._set_up(tables, tables.encoded.space, render_mode)

    def _bind(self) -> None:
        super()._bind()
        self._observe = self._tables.encoded.rows.row
