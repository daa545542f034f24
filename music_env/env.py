"""The scalar environment, MusicRec-v0. The class docstring is its specification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from os import PathLike
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.order import draw_key
from music_env.rendering import RENDER_MODES, StepView, checked_render_mode, render
from music_env.tables import OverTables, Tables

# Sessions whose orders are computed in one call: a call costs about as much for 16 as for one.
_SESSIONS_AHEAD = 16
_MAX_ORDERS_AHEAD = 8192


class Action(IntEnum):
    """The two actions."""

    DISLIKE = 0
    LIKE = 1


class MusicRecEnv(OverTables, gym.Env[Any, Any]):
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
    that depends on the seed and on the number of sessions begun since (`music_env.order`); every
    order is equally likely. The same seed gives the same sessions, in any process, here and in the
    vector environment.

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
      path is read once per process. A str serialises to JSON with the spec; a `pathlib.Path` and
      a `Catalogue` do not.
    - ``artist``, ``genre``, ``danceability=(lo, hi)``: the preference; a part not given is left
      open. With none of the three given the listener is the catalogue's best-represented artist's:
      that artist, that artist's most frequent genre, and the middle half of that artist's
      danceability (`default_preference`).
    - ``weights``: of the three terms, default ``(1, 1, 1)``.
    - ``encoding``: see above; ``encoding_options``: ``{"n_states": 10000}`` for ``hash``,
      ``{"danceability_bins": 20}`` for ``profile``.
    - ``tracks``: indices into the catalogue; only these are shown (held-out splits). Default: all.
    - ``session_length``: tracks in a session, default 100, at most the number of tracks.
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

    # Declared an instance variable by Gymnasium, which reads it from the class.
    metadata: dict[str, Any] = {"render_modes": RENDER_MODES, "render_fps": 2}  # noqa: RUF012

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
        render_mode: str | None = None,
    ) -> None:
        self._tables = Tables.build(
            catalogue=catalogue,
            artist=artist,
            genre=genre,
            danceability=danceability,
            weights=weights,
            encoding=encoding,
            encoding_options=encoding_options,
            tracks=tracks,
            session_length=session_length,
        )
        self.render_mode = checked_render_mode(render_mode)
        self.observation_space = self._tables.encoded.space
        self.action_space = gym.spaces.Discrete(len(Action))
        # The state: the stream of sessions, the place in the present one, its sums.
        self._key: int | None = None
        self._session = -1
        self._position = 0
        self._action: Any = None
        self._return = self._best_return = 0.0
        # Derived from it: the tracks of the present session.
        self._order: list[int] = []
        self._bind()

    @property
    def oracle_return(self) -> float:
        """The return of always choosing the better action, over the whole present session."""
        return float(sum(abs(self.scores.item(track)) for track in self._order))

    # --- Gymnasium's interface ------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin the next session; with a seed, the first session of that seed.

        Args:
            seed: see `gymnasium.Env.reset`.
            options: none are known.

        Returns:
            The observation of the session's first track, and ``info`` with its ``track_index``.

        Raises:
            ValueError: for options.
        """
        super().reset(seed=seed)
        if options:
            raise ValueError(f"MusicRec-v0 has no reset options, got {sorted(options)}")
        if seed is not None or self._key is None:
            self._key, self._session = draw_key(self.np_random), -1
            self._ahead.clear()
        self._session += 1
        self._begin(self._order_of(self._session))
        return self._row(self._order[0]), {"track_index": self._order[0]}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Judge the track shown.

        Args:
            action: 0 (dislike) or 1 (like).

        Returns:
            The next track's observation, the reward (float), terminated, truncated (False), info.

        Raises:
            gymnasium.error.ResetNeeded: before the first `reset` and after a session's end.
            gymnasium.error.InvalidAction: for an action other than 0 and 1.
        """
        position = self._position
        if position >= len(self._order):
            raise gym.error.ResetNeeded(
                "no track is shown: call reset() "
                + ("to begin a session" if not self._order else "for the next session")
            )
        track = self._order[position]
        artist, genre, danceability, score = self._of_kind[self._kind(track)]
        if action == 1:
            reward = score
        elif action == 0:
            reward = 0.0 - score  # not -score, which would make -0.0 of 0.0
        else:
            raise gym.error.InvalidAction(
                f"the action must be 0 (dislike) or 1 (like), got {action!r}"
            )
        self._action = action
        self._return += reward
        self._best_return += abs(score)
        self._position = position = position + 1
        info = {
            "track_index": track,
            "track_id": self._track_id[track],
            "score": score,
            "reward_terms": {
                "artist": artist,
                "genre": genre,
                "danceability": danceability,
            },
        }
        if position < len(self._order):
            return self._row(self._order[position]), reward, False, False, info
        info["episode_return"] = self._return
        info["episode_regret"] = self._best_return - self._return
        return self._row(track), reward, True, False, info

    def render(self) -> Any:
        """Return the view of the track judged last, or of the first one after a reset.

        Returns:
            A string for ``"ansi"``, (height, width, 3) uint8 for ``"rgb_array"``, None otherwise.

        Raises:
            gymnasium.error.ResetNeeded: before the first `reset`.
        """
        if self.render_mode is None:
            gym.logger.warn(
                "render() was called without a render mode: pass one at initialisation, e.g. "
                'gym.make("MusicRec-v0", render_mode="rgb_array")'
            )
            return None
        if not self._order:
            raise gym.error.ResetNeeded("no track is shown yet: call reset() before render()")
        judged = self._position - 1
        view = StepView(
            tables=self._tables,
            track=self._order[max(judged, 0)],
            action=None if judged < 0 else int(self._action),
            number=self._position,
            episode_return=self._return,
        )
        return render(view, self.render_mode)

    # --- State: saved, restored, pickled --------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Return the session's state as plain numbers; `set_state` goes on from it exactly.

        The state of ``np_random`` is not part of it: nothing is drawn from it after the key.
        """
        return {
            "key": self._key,
            "session": self._session,
            "position": self._position,
            "action": None if self._action is None else int(self._action),
            "episode_return": self._return,
            "best_return": self._best_return,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned, in an environment made with the same arguments."""
        self._key, self._session = state["key"], state["session"]
        self._ahead.clear()
        self._begin([] if self._session < 0 else self._order_of(self._session))
        self._position, self._action = state["position"], state["action"]
        self._return, self._best_return = state["episode_return"], state["best_return"]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _BOUND}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._bind()

    # --- Parts ------------------------------------------------------------------------------------

    def _bind(self) -> None:
        """Keep what each step looks up as attributes; they are rebuilt, not pickled."""
        self._row = self._tables.encoded.rows.row
        scores = self._tables.scores
        self._kind = scores.kinds.item
        self._of_kind = [tuple(values) for values in scores.by_kind.T.tolist()]
        self._track_id = self._tables.catalogue.track_id
        self._ahead: dict[int, list[int]] = {}

    def _begin(self, order: list[int]) -> None:
        self._order = order
        self._position = 0
        self._action = None
        self._return = self._best_return = 0.0

    def _order_of(self, session: int) -> list[int]:
        """Return the tracks of a session; computes those of some later ones with it."""
        if session not in self._ahead:
            count = max(1, min(_SESSIONS_AHEAD, _MAX_ORDERS_AHEAD // self.session_length))
            sessions = np.arange(session, session + count, dtype=np.uint64)
            keys = np.full(count, self._key, dtype=np.uint64)
            orders = self._tables.orders(keys, sessions).tolist()
            self._ahead = dict(zip(range(session, session + count), orders, strict=True))
        return self._ahead.pop(session)


_BOUND = frozenset({"_row", "_kind", "_of_kind", "_track_id", "_ahead"})
