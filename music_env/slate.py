"""The scalar environment MusicRecSlate-v0. The class docstring is its specification."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from music_env.affected import AffectedEnv
from music_env.catalogue import Catalogue
from music_env.listener import Preference
from music_env.listener_models import ListenerModel
from music_env.rendering import SlateView, StepView
from music_env.slate_observation import SlateEncoded
from music_env.slate_setup import SlateSetup

NONE = 0
"""The action that plays none of the candidates."""


class _Slates(NamedTuple):
    """What a session offers, see `DrawnSessions`."""

    tracks: list[NDArray[np.int64]]
    kinds: list[int]
    chances: list[float]


class MusicRecSlateEnv(AffectedEnv):
    """A playlist in the making: of several candidates one is played next, or none.

    ## Description
    The listener, satiation, patience and presets of MusicRecSession-v0, whose specification is
    `music_env.session.MusicRecSessionEnv`; but each step offers a slate of candidates, and the
    action is which one to play. So a policy chooses not only when to play, but what: among tracks
    that are enjoyed now it can take turns between genres.

    Candidates come from the pool of MusicRecSession-v0, as from a retrieval stage: the tracks that
    would be enjoyed fresh, and as many of those nearest to it. The pool has at least ``slate_size``
    tracks: a slate that is larger than it would be makes it larger, with tracks that are enjoyed
    less, so that less than half is enjoyed fresh. Each step draws its ``slate_size``
    different candidates anew, uniformly from the whole pool, whatever was played: a candidate that
    was not chosen may come again, and so may a track that was played. No track is played twice in a
    session: one that was played before is *masked*. Choosing it is no error, for the sake of agents
    without masks, but plays nothing: all is as if none had been chosen, and ``info`` counts it.

    ## Action Space
    ``Discrete(slate_size + 1)``: 0 plays none (the listener passes over all candidates); k from 1
    plays the k-th candidate. None is 0 for every ``slate_size``. With ``slate_size=1`` these are
    the actions of MusicRecSession-v0.

    Which actions are not masked is in ``info`` (``action_mask``), in the observation (``played``),
    and returned by ``env.unwrapped.action_masks()``, as sb3-contrib's ``MaskablePPO`` asks for it.

    ## Observation Space
    One ``Box`` (float32): the state of the listener, then a row a candidate.

    | column                   | min | max | unit                                                 |
    |--------------------------|-----|-----|------------------------------------------------------|
    | satiation <genre>, each  | 0   | 1   | level, of the greatest that a session can reach      |
    | satiation pool           | 0   | 1   | the same, mean of all tracks that sessions offer     |
    | patience                 | 0   | 1   |                                                      |
    | left                     | 0   | 1   | share of the session's steps that are to come        |
    | *for each candidate:*    |     |     |                                                      |
    | the track's numbers      |     |     | in an encoding of `MusicRecEnv`                      |
    | satiation                | 0   | 1   | level, mean of the candidate's genres                |
    | played                   | 0   | 1   | 1: played before, masked                             |
    | the track's codes        |     |     | with ``codes``                                       |

    | encoding            | a candidate's columns                                                  |
    |---------------------|------------------------------------------------------------------------|
    | ``codes`` (default) | at most 32 numbers and codes                                           |
    | ``one-hot``         | all columns; where the slate has over 20,000 of them, it is an error   |
    | ``summary``         | ``fresh``, the fresh track's enjoyment, in the unit of the rewards,    |
    |                     | and ``satiates``, 0 to 1: what playing it adds to the pool's mean      |
    |                     | level, much for a genre that is often offered; only planning is left   |
    |                     | to learn, and no column but the levels of genres is the catalogue's    |

    It is a Box and no Dict, since a Dict is refused by n-step returns and prioritized replay, and a
    replay buffer keeps one array of it. ``env.unwrapped.encoded.layout`` (a `SlateLayout`, plain
    numbers) says what stands where: ``observations[:, layout.rows]`` is (n, slate_size, row_size),
    each candidate with the state beside it, which one network can score candidate by candidate,
    whatever ``slate_size`` is. ``env.unwrapped.encoded.columns`` names all columns. With more than
    64 genres (or artists) there are no columns for each.

    ``observe_state=False`` hides the state (a partially observed task), each candidate's satiation
    included; ``played`` stays, as it belongs to the action.

    ## Rewards
    For a play: what the listener enjoys of it, fresh enjoyment - ``satiation`` * mean level of the
    track's genres, as in MusicRecSession-v0. For none, and for a masked choice: 0.

    ## Starting State
    No satiation, full patience, nothing played, and the first slate of a session. What is offered
    depends on the seed, the number of sessions begun since, and the step's own number; not on what
    was played. The same seed gives the same slates, in any process, here and in the vector
    environment.

    ## Episode End
    - Termination: the listener leaves, or after ``session_length`` steps. The terminal observation
      shows the slate that would have been next (the last one, where there is none) and the state.
    - Truncation: never by itself; ``max_episode_steps`` of `gymnasium.make` truncates.

    ## Info
    `reset` and `step` give, for the slate *shown*: ``candidates``, (slate_size,) int64 catalogue
    indices, and ``action_mask``, (slate_size + 1,) int8, 1 where an action is not masked; 0 (none)
    never is. `step` gives besides, for the track *played*: ``track_index`` (-1: none was),
    ``track_id`` (""), ``score`` (its fresh enjoyment), ``enjoyment`` and ``reward_terms``
    (``fresh`` and ``satiation``, which add up to the reward), all 0 for none; ``masked``, whether
    the choice was masked; ``patience`` after the step; with the last step ``episode_return``,
    ``plays``, ``masked_choices`` (how many of each), and ``has_left``. An agent that learns from
    ``info``, but for the mask, cheats. `agents.planning` has the myopic oracle and a planner.

    ## Arguments
    ```python
    gymnasium.make("MusicRecSlate-v0", slate_size=5, preset="satiation", genre="metal")
    ```

    - ``slate_size``: how many candidates a step offers, default 10; at most the number of tracks
      that can be offered.
    - ``encoding``, ``observe_state``: see above; ``encoding_options``: none are known.
    - ``session_length``: the most steps of a session, default 50.
    - all others: see `MusicRecSessionEnv`. Of the presets, ``satiation`` and ``both`` reward
      planning by as much or more than there. ``patience`` by itself rewards none with ten
      candidates, of which one is nearly always enjoyed; it does with two or three
      (``python -m bench.planning --slate-size 10``, with the default listener).

    Raises ``ValueError`` and `CatalogueError` as `MusicRecSessionEnv` does, and ``ValueError`` for
    a ``slate_size`` out of range.

    ## Version History
    - v0: first version.

    ## References
    - Tomasi, Cauteruccio, Kanoria, Ciosek, Rinaldi and Dai, "Automatic Music Playlist Generation
      via Simulation-based Reinforcement Learning", KDD 2023: a playlist made by choosing one of
      several candidates at a time, by a network that scores each beside the state.
    - those of MusicRecSession-v0.
    """

    _id = SlateSetup.env_id
    _tables: SlateSetup
    _shows = "slate"
    _order: list[Any]  # of (slate_size,) int64: the candidates of each step

    def __init__(
        self,
        *,
        slate_size: int = 10,
        catalogue: Catalogue | str | PathLike[str] | None = None,
        artist: str | None = None,
        genre: str | None = None,
        danceability: tuple[float, float] | None = None,
        weights: Sequence[float] = (1, 1, 1),
        taste: float = 0.5,
        taste_seed: int = 0,
        listener: ListenerModel
        | Preference
        | str
        | PathLike[str]
        | Mapping[str, Any]
        | None = None,
        preset: str = "both",
        satiation: float | None = None,
        decay: float | None = None,
        patience: float | None = None,
        satiation_of: str = "genre",
        enjoyed_share: float | None = 0.5,
        encoding: str = "codes",
        encoding_options: Mapping[str, int] | None = None,
        observe_state: bool = True,
        tracks: Sequence[int] | NDArray[np.int64] | None = None,
        session_length: int = 50,
        render_mode: str | None = None,
    ) -> None:
        setup = SlateSetup.build(
            slate_size=slate_size,
            catalogue=catalogue,
            artist=artist,
            genre=genre,
            danceability=danceability,
            weights=weights,
            taste=taste,
            taste_seed=taste_seed,
            listener=listener,
            preset=preset,
            satiation=satiation,
            decay=decay,
            patience=patience,
            satiation_of=satiation_of,
            enjoyed_share=enjoyed_share,
            encoding=encoding,
            encoding_options=encoding_options,
            observe_state=observe_state,
            tracks=tracks,
            session_length=session_length,
        )
        self._history: list[int] = []  # the track played in each step, -1 for none
        self._masked_choices = 0
        self._set_up(setup, setup.encoded.space, render_mode, n_actions=setup.slate_size + 1)

    @property
    def encoded(self) -> SlateEncoded:
        """What is observed: the space, what stands where in it, and the names of the columns."""
        return self._tables.encoded

    @property
    def slate_size(self) -> int:
        """How many candidates a step offers."""
        return self._tables.slate_size

    def action_masks(self) -> NDArray[np.bool_]:
        """Return (slate_size + 1,) bool: which actions are not masked now.

        Raises:
            gymnasium.error.ResetNeeded: before the first `reset`.
        """
        self._check_begun()
        return self._action_mask().astype(np.bool_)

    # --- Gymnasium's interface ------------------------------------------------------------------

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play one of the candidates, or none.

        Args:
            action: 0 for none, or the number of a candidate, from 1.

        Returns:
            The next observation, the reward (float), terminated, truncated (False), info.

        Raises:
            gymnasium.error.ResetNeeded: before the first `reset` and after a session's end.
            gymnasium.error.InvalidAction: for an action that is not in the action space.
        """
        self._check_running()
        chosen = self._checked_action(action)
        track = self._order[self._position].item(max(chosen - 1, 0))
        masked = chosen != NONE and track in self._history
        played = chosen != NONE and not masked
        fresh, cost = self._felt(track) if played else (0.0, 0.0)
        enjoyment = fresh - cost
        self._action = chosen
        self._masked_choices += masked
        self._history.append(track if played else -1)
        terminated = self._live_through(track, played, enjoyment)
        info = {
            "track_index": track if played else -1,
            "track_id": self._track_id[track] if played else "",
            "score": fresh,
            "reward_terms": {"fresh": fresh, "satiation": 0.0 - cost},
            "enjoyment": enjoyment,
            "masked": masked,
            "patience": self._patience,
            **self._reset_info(),
        }
        if terminated:
            info["episode_return"] = self._return
            info["plays"] = self._plays
            info["masked_choices"] = self._masked_choices
            info["has_left"] = self._has_left
        return self._observe(self._shown()), self._reward, terminated, False, info

    # --- State ------------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Return the session's state as plain numbers and lists; `set_state` goes on from it."""
        return {
            **super().get_state(),
            "history": list(self._history),
            "masked_choices": self._masked_choices,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned, in an environment made with the same arguments."""
        super().set_state(state)
        self._history = list(state["history"])
        self._masked_choices = state["masked_choices"]

    # --- Parts ------------------------------------------------------------------------------------

    def _bind(self) -> None:
        super()._bind()
        self._observe = self._observed

    def _checked_action(self, action: Any) -> int:
        try:
            number = operator.index(action)
        except TypeError:
            number = -1
        if not 0 <= number <= self.slate_size:
            raise gym.error.InvalidAction(
                f"the action must be 0 (none) or the number of a candidate, 1 to "
                f"{self.slate_size}, got {action!r}"
            )
        return number

    def _shown(self) -> NDArray[np.int64]:
        """Return the candidates that are shown, (slate_size,) int64."""
        shown: NDArray[np.int64] = self._order[min(self._position, len(self._order) - 1)]
        return shown

    def _available(self) -> NDArray[np.bool_]:
        played = set(self._history)
        return np.array([track not in played for track in self._shown().tolist()])

    def _action_mask(self) -> NDArray[np.int8]:
        return np.concatenate([[1], self._available()]).astype(np.int8)

    def _reset_info(self) -> dict[str, Any]:
        return {"candidates": self._shown().copy(), "action_mask": self._action_mask()}

    def _observed(self, candidates: Any) -> Any:
        tracks, available = self._offered()
        return self._tables.encoded.observe(tracks, available, self._state_of(tracks))[0]

    def _offered(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        return self._shown()[None].copy(), self._available()[None]

    def _sessions_from(self, first: int, count: int) -> list[_Slates]:
        numbers = np.arange(first, first + count, dtype=np.uint64)
        drawn = self._tables.draw(np.full(count, self._key, dtype=np.uint64), numbers)
        slates = map(list, drawn.tracks.astype(np.int64))
        return list(map(_Slates, slates, drawn.kinds.tolist(), drawn.chances.tolist()))

    def _begin(self, session: Any) -> None:
        super()._begin(session)
        self._history, self._masked_choices = [], 0

    def _view(self) -> StepView:
        last = max(self._position - 1, 0)
        track = self._history[last] if self._history else -1
        played = None if not self._history else track >= 0
        return StepView(
            tables=self._shown_tables(),
            track=track if played else None,
            action=None if played is None else int(self._action) * played,
            number=self._position,
            episode_return=self._return,
            reward=self._reward,
            env_id=self._id,
            state=self._state_view(played),
            slate=slate_view(self._order[last].tolist(), self._history[:last]),
        )


def slate_view(candidates: list[int], history: list[int]) -> SlateView:
    """Return the view of a slate, given the tracks played before (-1 for none)."""
    return SlateView(candidates, [track not in history for track in candidates])
