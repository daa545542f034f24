"""The scalar environment MusicRecSession-v0. The class docstring is its specification."""

from __future__ import annotations

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
from music_env.rendering import StepView
from music_env.session_observation import StateEncoded
from music_env.session_setup import SessionSetup


class _Session(NamedTuple):
    """What a session shows, see `DrawnSessions`."""

    tracks: list[int]
    kinds: list[int]
    chances: list[float]


class MusicRecSessionEnv(AffectedEnv):
    """A listener whom what is played affects: planning pays, and how much is known.

    ## Description
    A session shows tracks one by one. *Like* plays the track and earns what the listener enjoys of
    it, *dislike* passes over it and earns nothing. What is played has consequences, which a policy
    that maximises the next reward ignores:

    - **satiation**: each genre (or artist) has a level, 0 at first. A play adds 1 to the levels of
      the track's genres; in every step, played or not, all levels are multiplied by ``decay``. A
      track is enjoyed less by ``satiation`` times the mean level of its genres. This is the linear
      model of Leqi et al. (2021).
    - **patience**: 1 at first. A play that is enjoyed 1 more than expected gives back ``patience``
      of it, one enjoyed 1 less takes as much, and so in proportion; passing over a track takes a
      tenth of that, so that runs of passes tell. The listener expects an enjoyment of 1
      (`music_env.effects.EXPECTED`): what is lukewarm costs patience too. It stays within 0 and 1.
      After each step the listener leaves with probability (1 - patience) to the fourth power.

    Both can be switched off, by themselves or together: ``preset``. A discount of 1 is right: a
    session ends, and a policy is judged by its whole return.

    ## Action Space
    ``Discrete(2)``: `Action.DISLIKE` = 0, pass over the track; `Action.LIKE` = 1, play it.

    ## Observation Space
    The track, in an encoding of `MusicRecEnv`, and the state of the listener:

    | column                   | min | max | unit                                               |
    |--------------------------|-----|-----|----------------------------------------------------|
    | satiation <genre>, each  | 0   | 1   | level, of the greatest that a session can reach    |
    | satiation                | 0   | 1   | the same for the track shown: mean of its genres'  |
    | satiation pool           | 0   | 1   | the same, mean of all tracks that sessions show    |
    | patience                 | 0   | 1   |                                                    |
    | left                     | 0   | 1   | share of the session's tracks that are to be shown |

    The greatest level is that of playing every track, ``env.unwrapped.encoded.top``. With more than
    64 genres (or artists) there are no columns for each: the levels of what is not shown are then
    hidden. ``env.unwrapped.encoded.columns`` names all columns.

    | encoding              | space                   | content                                    |
    |-----------------------|-------------------------|--------------------------------------------|
    | ``one-hot`` (default) | ``Box(0, 1, (n,))``     | the track's columns, then the state        |
    | ``codes``             | ``Box((n,))``           | the track's numbers, the state, codes      |
    | ``summary``           | ``Box((n,))``           | the fresh track's enjoyment, the state     |
    | ``grid``              | ``Discrete(n)``         | bins of the track's effect and the state   |

    ``summary`` says how much the track would be enjoyed, in the unit of the rewards, and ``grid``
    in bins: with them there is no preference to learn, only to plan. ``grid`` bins what a play
    would earn now (below 0, and between quantiles of the fresh tracks that are enjoyed), what it
    adds to the pool's satiation (at quantiles of the same tracks), the square root of the pool's
    satiation, patience, and left in equal widths; ``encoding_options`` sets how many bins each has
    at most: ``{"enjoyment": 12, "satiates": 4, "satiation": 20, "patience": 5, "left": 8}``. What
    an effect of strength 0 would need has one bin, unless they say otherwise. Equal quantiles are
    one: for the default listener, whose pool is of one genre for the most part, there are 2 bins of
    what a play adds, and 19,200 states in all. ``grid`` does not say the level of each genre.

    ``observe_state=False`` hides the state (a partially observed task); all encodings of
    `MusicRecEnv` then do.

    ## Rewards
    For *like*: fresh enjoyment - ``satiation`` * mean level of the track's genres. For *dislike*:
    0. The fresh enjoyment is a graded score, in the unit of MusicRec-v0's: artist and genre, +1 or
    -1 each as there; danceability from +1 in the middle of the preferred range through 0 at its
    ends towards -1; and a *taste* for the sound, of standard deviation 0.5, drawn by ``taste_seed``
    (`music_env.graded.GradedPreference` has the formulas). MusicRec-v0's own score would not do:
    for most listeners nearly all that they like scores +1, and among equals there is little to save
    oneself for. The grading needs no information that is not observed of a track.

    ## Starting State
    No satiation, full patience, and the first track of a session. A session shows
    ``session_length`` different tracks of a pool, as after a retrieval stage: the tracks that would
    be enjoyed fresh, and as many of those nearest to it (``enjoyed_share=0.5``). So half of what is
    shown is enjoyed fresh, and the other half is near misses. A listener who enjoys more than half
    of all tracks is shown all the others, and as many of those enjoyed, evenly spread from the most
    enjoyed to the least. The order depends on the seed and on
    the number of sessions begun since (`music_env.order`), and so does, with each step's own
    number, whether the listener leaves. The same seed gives the same sessions, in any process, here
    and in the vector environment.

    ## Episode End
    - Termination: the listener leaves, or the last track was shown. The terminal observation shows
      the track that would have been next (the last one, where there is none) and the state.
    - Truncation: never by itself; ``max_episode_steps`` of `gymnasium.make` truncates.

    ## Info
    `reset` gives ``track_index`` of the track shown. `step` gives, for the track *judged*:
    ``track_index``, ``track_id``, ``score`` (its fresh enjoyment), ``enjoyment`` (what playing it
    earns or would have earned), ``reward_terms`` (``fresh`` and ``satiation``, which add up to the
    reward), ``patience`` after the step; with the last step ``episode_return``, ``plays`` (how many
    tracks were played) and ``has_left``. An agent that learns from ``info`` cheats. There is no
    regret: `agents.planning` has the myopic oracle, a planner, and the planning gain.

    ## Arguments
    ```python
    gymnasium.make("MusicRecSession-v0", preset="satiation", genre="metal")
    ```

    - ``preset``: the strengths of the effects; ``satiation``, ``decay`` and ``patience``, where
      given, take the place of the preset's.

      | preset             | satiation | decay | patience |
      |--------------------|-----------|-------|----------|
      | ``static``         | 0         | 0.98  | 0        |
      | ``satiation``      | 0.75      | 0.98  | 0        |
      | ``patience``       | 0         | 0.98  | 0.2      |
      | ``both`` (default) | 0.75      | 0.98  | 0.2      |

      The strengths are chosen by us, so that planning pays for a listener one can believe in; we
      know of no measurement on real listeners to take them from. Satiation 0.75: three plays of a
      genre on end cost about as much as a genre that does not match instead of one that does (2).
      Decay 0.98: it halves in 34 tracks that are shown, played or not; two hours, were all played.
      So a listener is soon sated by one genre: of 50 tracks the planner plays some 5 with
      ``satiation``, and playing all of them would earn far below 0. Patience
      0.2: five plays without any enjoyment, or fifty passes, end any session, and a listener who is
      down to half of it leaves after each step with probability 1/16. With these the planner earns
      at least 1.3 times what the myopic oracle earns for the default listener, in each preset but
      ``static`` (``python -m bench.planning``). Satiation by itself pays
      less for listeners without a preferred artist, whose pool has several genres to alternate
      between: 1.25 times with ``--genre hip-hop``. By artist (``satiation_of="artist"``) it pays
      nothing at this strength, 1.00 times for the default listener, and 1.03 times at 2.0: of
      the 790 artists of the pool hardly one comes again soon. What planning is then worth with
      ``both`` is patience's.
    - ``satiation_of``: ``"genre"`` (default) or ``"artist"``: what has a level. Where none of the
      tracks has any, and ``satiation`` is not 0, it is an error.
    - ``enjoyed_share``: of the pool, above 0; None: all tracks are in it. The pool holds at least
      ``session_length`` tracks, whatever the share: where too few are enjoyed to make so many, it
      has more near misses, and the share is smaller; where too few are not enjoyed, it has more
      that are, and the share is greater.
    - ``catalogue``, ``artist``, ``genre``, ``danceability``, ``weights``: see `MusicRecEnv`;
      ``taste``, ``taste_seed``: of the graded score.
    - ``listener``: a model in place of all these (`music_env.listener_models`): its score is the
      fresh enjoyment. One that presses the wrong button is refused.
    - ``encoding``, ``encoding_options``, ``observe_state``: see above.
    - ``tracks``: indices into the catalogue; the pool is chosen from these.
    - ``session_length``: the most tracks that a session shows, default 50.
    - ``render_mode``: ``"ansi"`` or ``"rgb_array"``; both show satiation and patience so far,
      where their strength is not 0.

    Raises ``ValueError`` and `CatalogueError` as `MusicRecEnv` does, and ``ValueError`` for an
    unknown preset or strength out of range.

    ## Version History
    - v0: first version.

    ## References
    - Leqi, Kilinc-Karzan, Lipton and Montgomery, "Rebounding Bandits for Modeling Satiation
      Effects", NeurIPS 2021: satiation.
    - Ie et al., "RecSim: A Configurable Simulation Platform for Recommender Systems", 2019: a
      budget of the user's, which good recommendations replenish, and whose end is the session's.
    """

    _id = SessionSetup.env_id
    _tables: SessionSetup

    def __init__(
        self,
        *,
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
        encoding: str = "one-hot",
        encoding_options: Mapping[str, int] | None = None,
        observe_state: bool = True,
        tracks: Sequence[int] | NDArray[np.int64] | None = None,
        session_length: int = 50,
        render_mode: str | None = None,
    ) -> None:
        setup = SessionSetup.build(
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
        self._set_up(setup, setup.encoded.space, render_mode)

    @property
    def encoded(self) -> StateEncoded:
        """What is observed: the space, and the names of the columns."""
        return self._tables.encoded

    # --- Gymnasium's interface ------------------------------------------------------------------

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play the track shown, or pass over it.

        Args:
            action: 0 (dislike: pass) or 1 (like: play).

        Returns:
            The next observation, the reward (float), terminated, truncated (False), info.

        Raises:
            gymnasium.error.ResetNeeded: before the first `reset` and after a session's end.
            gymnasium.error.InvalidAction: for an action other than 0 and 1.
        """
        self._check_running()
        if action != 0 and action != 1:
            raise gym.error.InvalidAction(
                f"the action must be 0 (dislike) or 1 (like), got {action!r}"
            )
        order, track, played = self._order, self._order[self._position], bool(action)
        fresh, cost = self._felt(track)
        enjoyment = fresh - cost
        self._action = action
        terminated = self._live_through(track, played, enjoyment)
        info = {
            "track_index": track,
            "track_id": self._track_id[track],
            "score": fresh,
            "reward_terms": {
                "fresh": fresh if played else 0.0,
                "satiation": 0.0 - cost if played else 0.0,
            },
            "enjoyment": enjoyment,
            "patience": self._patience,
        }
        if terminated:
            info["episode_return"] = self._return
            info["plays"] = self._plays
            info["has_left"] = self._has_left
        shown = order[min(self._position, len(order) - 1)]
        return self._observe(shown), self._reward, terminated, False, info

    # --- Parts ------------------------------------------------------------------------------------

    def _bind(self) -> None:
        super()._bind()
        self._observe = self._observed

    def _observed(self, track: int) -> Any:
        shown = np.array([track])
        observed = self._tables.encoded.observe(shown, self._state_of(shown))
        return observed[0] if observed.ndim > 1 else observed.item()

    def _offered(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        shown = self._order[min(self._position, len(self._order) - 1)]
        return np.array([[shown]]), np.ones((1, 1), dtype=np.bool_)

    def _sessions_from(self, first: int, count: int) -> list[_Session]:
        numbers = np.arange(first, first + count, dtype=np.uint64)
        drawn = self._tables.draw(np.full(count, self._key, dtype=np.uint64), numbers)
        parts = (drawn.tracks, drawn.kinds, drawn.chances)
        return list(map(_Session, *(part.tolist() for part in parts)))

    def _view(self) -> StepView:
        judged = self._position - 1
        played = None if judged < 0 else bool(self._action)
        return StepView(
            tables=self._shown_tables(),
            track=self._order[max(judged, 0)],
            action=None if played is None else int(played),
            number=self._position,
            episode_return=self._return,
            reward=self._reward,
            env_id=self._id,
            state=self._state_view(played),
        )
