"""The scalar environment MusicRecAnyListener-v0. The class docstring is its specification."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from music_env.any_tables import GIVEN, AnyTables, OverAny
from music_env.catalogue import Catalogue
from music_env.listener import Preference
from music_env.listeners import Listeners, Wanted
from music_env.population import Population
from music_env.scalar import SessionEnv
from music_env.session_tables import checked_options


@dataclass(frozen=True)
class _Session:
    """A session and whom it belongs to."""

    tracks: list[int]
    kinds: list[int]
    index: int
    listener: Listeners  # of one


class MusicRecAnyListenerEnv(OverAny, SessionEnv):
    """Each session belongs to another listener, whose preference is part of the observation.

    ## Description
    As in MusicRec-v0 a listener is shown tracks one by one, and the agent says *like* or *dislike*
    for each. But each session belongs to another listener, drawn from a population, and the agent
    sees what this listener prefers: an artist, a genre, a range of danceability, any of which may
    be left open. One policy so serves every listener, also those it has never met; train and test
    populations are kept apart by their preferred artists.

    The next track does not depend on the action: this is a contextual bandit, like MusicRec-v0,
    and a discount of 0 is right for it.

    ## Action Space
    ``Discrete(2)``: `Action.DISLIKE` = 0, `Action.LIKE` = 1.

    ## Observation Space
    Chosen by ``encoding``: the track's columns as in `MusicRecEnv`, then the listener's.
    ``env.unwrapped.encoded.columns`` names all of them; those of the listener begin with
    ``listener``, and ``encoded.n_track_columns`` is the index of the first.

    ``codes`` (default): ``Box`` float32 of at most 32 + 5 numbers.

    | columns, in this order        | min | max                  | content                   |
    |-------------------------------|-----|----------------------|---------------------------|
    | the track's numbers           | 0   | 1                    | see `MusicRecEnv`         |
    | ``genre 1`` ... (at most 4)   | 0   | number of genres     | 1 + code, 0: none         |
    | ``artist 1`` ... (at most 6)  | 0   | number of artists    | 1 + code, 0: none         |
    | ``listener danceability low`` | 0   | 1                    | 0 where left open         |
    | ``listener danceability high``| 0   | 1                    | 1 where left open         |
    | ``listener any danceability`` | 0   | 1                    | 1: the range is left open |
    | ``listener genre``            | 0   | as of ``genre 1``    | 1 + code, 0: left open    |
    | ``listener artist``           | 0   | as of ``artist 1``   | 1 + code, 0: left open    |

    The upper bounds alone say what is what: 1 is a number; a greater one a code, and columns of the
    same bound share a vocabulary (genres and artists never have the same); the listener's part
    begins at the first number behind the track's codes. (A catalogue without genres has no genre
    slots, but the listener's column.)

    ``one-hot``: ``Box(0, 1)`` float32: the track's numbers and multi-hot genres and artists, then
    the same three numbers of the listener, and the listener's genre and artist one-hot, all zero
    where left open. More than 20,000 columns are an error that recommends ``codes``.

    ``hash`` and ``profile`` have no place for a listener: an error says why.

    ## Rewards
    For *like*, the sum of three terms, each +1 on a match and -1 otherwise, 0 where the listener
    leaves it open:

    - ``artist``: one of the track's artists is the preferred one;
    - ``genre``: one of its genres is;
    - ``danceability``: it lies within the preferred range, ends included.

    For *dislike*, the negative of that sum. Where the sum is 0 both actions are right. ``weights``
    scale the terms. The reward of one action reveals the other's: it is its negative.

    ## Starting State
    The first track of a session. Key and number of a session (`music_env.order`) give its listener,
    each of the population equally likely, and its ``session_length`` different tracks. The same
    seed gives the same sessions, in any process, here and in the vector environment.

    A uniform draw would show the preferred artist in one of 472 steps (embedded catalogue, default
    population, listeners who prefer an artist). So by default
    (``balance="balanced"``) a quarter of the session are tracks of the preferred artist, 30 % of
    the preferred genre, 10 % within the preferred range, the rest uniform, in random order; where
    an artist has fewer tracks all of them are shown, and where a term is open or two sources draw
    the same track, uniform ones take the place. `music_env.balance` has the details. Measured over
    the sessions 0 to 19,999 of key 0, embedded catalogue, default population, in per cent of the
    tracks (only of listeners who leave nothing open; a kind is artist, genre, danceability, + match
    and - no match):

    | kind           | ---  | --+  | -+-  | -++  | +--  | +-+  | ++-  | +++  |
    |----------------|------|------|------|------|------|------|------|------|
    | ``"balanced"`` | 23.9 | 25.4 | 18.8 | 21.2 |  0.8 |  1.2 |  3.3 |  5.5 |
    | ``"uniform"``  | 47.6 | 35.2 |  8.4 |  8.5 |  0.0 |  0.0 |  0.1 |  0.1 |

    So for these listeners the artist matches in 10.8 % of the steps (0.2 % when uniform: half of
    the preferred artists have fewer than nine tracks), the genre in 48.7 % (17.1 %), danceability
    in 53.3 % (43.9 %). Figures of balanced sessions are not those of the catalogue: evaluate with
    ``balance="uniform"``, or on all tracks (`observations`, `scores_of`).

    ## Episode End
    - Termination: after the last track of the session. The terminal observation repeats it.
    - Truncation: never by itself; ``max_episode_steps`` of `gymnasium.make` truncates.

    ## Info
    As in `MusicRecEnv`, and ``listener`` in that of `reset` and `step`: a dictionary of numbers,
    ``index`` (in the population, -1 where set by a preference), ``artist`` and ``genre`` (positions
    in the catalogue's vocabularies, -1 where left open), ``low``, ``high`` and
    ``any_danceability``, as in `Listeners`. `preference` has the names.

    ## Arguments
    ```python
    gymnasium.make("MusicRecAnyListener-v0", split="train")
    ```

    - ``catalogue``: a path (see `Catalogue.read`) or a `Catalogue`; default: the embedded one.
    - ``population``: a path of a CSV or Parquet file with the columns ``artist``, ``genre``,
      ``danceability_low``, ``danceability_high`` (an empty cell leaves the term open); a sequence
      of preferences or mappings; a `Population`; or None (default): drawn from the catalogue, as
      `music_env.population.draw_population` says. Nobody in it may leave all three terms open.
    - ``split``: ``"train"``, ``"test"`` or ``"all"`` (default) of the population: no preferred
      artist of one is preferred in the other. ``test_share=0.2``: the share of the artists that are
      for testing, ``population_seed=0``: another one gives other listeners and another split.
    - ``population_options``: of a population drawn from the catalogue, a mapping with
      ``n_listeners`` (10,000), ``min_artist_tracks`` (5), ``open_share`` (0.2), ``other_share``
      (0.2), ``min_width`` (0.1), ``max_width`` (0.5); see `PopulationOptions`.
    - ``balance``: ``"balanced"`` (default), ``"uniform"``, or a mapping with the shares of the
      sources ``artist``, ``genre`` and ``danceability``; what they leave is uniform.
    - ``weights``: of the three terms, default ``(1, 1, 1)``.
    - ``encoding``: ``"codes"`` (default) or ``"one-hot"``.
    - ``tracks``: indices into the catalogue; only these are shown (held-out splits). Default: all.
      The population does not depend on it.
    - ``session_length``: tracks in a session, default 100, at most the number of tracks.
    - ``render_mode``: ``"ansi"`` or ``"rgb_array"``.

    `reset` takes ``options={"listener": ...}``: a `Preference`, a mapping or an index into the
    population, for this session. Unlike a listener of a population it may leave all three terms
    open (``{}``): every score is then 0, and what is seen is how an agent treats somebody of whom
    nothing is known. Arguments of str, numbers, lists and dictionaries serialise to
    JSON with the spec; a `Catalogue`, a `Population` and a `Preference` do not.

    Raises ``ValueError`` for whatever of these is not as said, with the nearest names;
    `CatalogueError` for a file that cannot be read.

    ## Version History
    - v0: first version.

    ## References
    - R. Floyd's sampling without replacement: J. Bentley, "Programming Pearls: a sample of
      brilliance", Communications of the ACM 30(9), 1987.
    """

    _id = "MusicRecAnyListener-v0"
    _tables: AnyTables

    def __init__(
        self,
        *,
        catalogue: Catalogue | str | PathLike[str] | None = None,
        population: Population | str | PathLike[str] | Iterable[Wanted] | None = None,
        split: str = "all",
        test_share: float = 0.2,
        population_seed: int = 0,
        population_options: Mapping[str, Any] | None = None,
        balance: str | Mapping[str, float] = "balanced",
        weights: Sequence[float] = (1, 1, 1),
        encoding: str = "codes",
        tracks: Sequence[int] | NDArray[np.int64] | None = None,
        session_length: int = 100,
        render_mode: str | None = None,
    ) -> None:
        tables = AnyTables.build(
            catalogue=catalogue,
            population=population,
            split=split,
            test_share=test_share,
            population_seed=population_seed,
            population_options=population_options,
            balance=balance,
            weights=weights,
            encoding=encoding,
            tracks=tracks,
            session_length=session_length,
        )
        self._index = GIVEN
        self._listener: Listeners | None = None
        self._set_up(tables, tables.encoded.space, render_mode)

    @property
    def preference(self) -> Preference:
        """The preference of the present session's listener.

        Raises:
            gymnasium.error.ResetNeeded: before the first `reset`.
        """
        return self._present().preference(0, self.catalogue)

    @property
    def scores(self) -> NDArray[np.float64]:
        """(n_tracks,) float64, read-only: the reward for *like* of every track, present listener.

        Raises:
            gymnasium.error.ResetNeeded: before the first `reset`.
        """
        return self._tables.scores_of(self.preference).total

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin the next session; with a seed, the first session of that seed.

        Args:
            seed: see `gymnasium.Env.reset`.
            options: ``{"listener": ...}`` sets the listener of this session: a `Preference`, a
                mapping such as ``{"artist": "...", "danceability": (0.4, 0.6)}``, or an index into
                the population. The session after it belongs to a drawn listener again.

        Returns:
            The observation of the session's first track, and ``info`` with its ``track_index`` and
            the ``listener``.

        Raises:
            ValueError: for other options, or a listener that the catalogue cannot have.
            TypeError: for options that are no mapping, or what is no listener.
        """
        wanted = checked_options(self._id, options, ("listener",)).get("listener")
        chosen = None if wanted is None else self._tables.resolve(wanted)
        self._next_session(seed)
        if chosen is None:
            session = self._session_of(self._session)
        else:
            self._ahead.pop(self._session, None)
            session = self._session_with(*chosen)
        self._begin(session)
        info = {"track_index": self._order[0], "listener": self._listener_info.copy()}
        return self._observe(self._order[0]), info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Judge the track shown, see `SessionEnv.step`; ``info`` also has the ``listener``."""
        result = super().step(action)
        result[-1]["listener"] = self._listener_info.copy()
        return result

    def get_state(self) -> dict[str, Any]:
        """Return the session's state as plain numbers; `set_state` goes on from it exactly."""
        listener = None if self._listener is None else dict(self._listener_info)
        return {**super().get_state(), "listener": listener}

    # --- Parts ------------------------------------------------------------------------------------

    def _bind(self) -> None:
        super()._bind()
        self._observe = self._pair
        if self._listener is not None:
            self._note_listener()

    def _pair(self, track: int) -> NDArray[np.float32]:
        row = self._tables.encoded.track.rows.row(track)
        pair: NDArray[np.float32] = np.concatenate((row, self._listener_row))
        return pair

    def _sessions_from(self, first: int, count: int) -> list[Any]:
        numbers = np.arange(first, first + count, dtype=np.uint64)
        keys = np.full(count, self._key, dtype=np.uint64)
        drawn = self._tables.draw(keys, numbers)
        indices = self._tables.drawn_listeners(keys, numbers)
        listeners = self._tables.population.listeners.take(indices)
        return [
            _Session(tracks, kinds, index, listeners.take(slice(i, i + 1)))
            for i, (tracks, kinds, index) in enumerate(
                zip(drawn.tracks.tolist(), drawn.kinds.tolist(), indices.tolist(), strict=True)
            )
        ]

    def _session_with(self, index: int, listener: Listeners) -> _Session:
        """Return the session of the present number, for this listener."""
        key, number = (np.array([value], dtype=np.uint64) for value in (self._key, self._session))
        drawn = self._tables.draw_for(listener, key, number)
        return _Session(drawn.tracks[0].tolist(), drawn.kinds[0].tolist(), index, listener)

    def _session_again(self, state: Mapping[str, Any]) -> _Session:
        values = dict(state["listener"])
        index = int(values.pop("index"))
        listener = Listeners.of_arrays({name: [value] for name, value in values.items()})
        return self._session_with(index, listener)

    def _begin(self, session: Any) -> None:
        super()._begin(session)
        self._index, self._listener = session.index, session.listener
        self._note_listener()

    def _note_listener(self) -> None:
        """Keep what each step shows of the present listener."""
        listener = self._present()
        self._listener_row = self._tables.encoded.listeners(listener)[0]
        values = {name: array.item() for name, array in listener.arrays().items()}
        self._listener_info = {"index": self._index, **values}

    def _present(self) -> Listeners:
        if self._listener is None:
            raise gym.error.ResetNeeded("there is no listener yet: call reset() first")
        return self._listener

    def _shown_tables(self) -> Any:
        return self._tables.view_of(self._present(), 0)
