"""The native vector environment: `num_envs` sessions of MusicRec-v0 at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from music_env.catalogue import Catalogue
from music_env.env import Action
from music_env.listener import TERMS, Scores
from music_env.order import draw_key
from music_env.rendering import RENDER_MODES, StepView, checked_render_mode, render
from music_env.tables import OverTables, Tables

Bools = NDArray[np.bool_]
Info = dict[str, Any]


class MusicRecVectorEnv(OverTables, VectorEnv[Any, Any, Any]):
    """Many sessions of `MusicRecEnv` at once, over the same tables; made by `gymnasium.make_vec`.

    Equal to `gymnasium.vector.SyncVectorEnv` of as many `MusicRecEnv`, bit for bit: observations,
    rewards, both flags and the numbers in ``info`` with their masks. ``info`` holds numbers only
    (no ``track_id``), the reward's terms as three arrays. The environments may be in different
    places of their sessions, after a masked reset; while all are in the same place, as after a
    common reset, the order of tracks is read a row at a time.

    Args:
        num_envs: how many environments.
        max_episode_steps: truncate after so many steps; None: never.
        autoreset_mode: ``NEXT_STEP`` (default), ``SAME_STEP`` or ``DISABLED`` (with
            ``reset(options={"reset_mask": mask})``): an `AutoresetMode` or its value, e.g.
            ``"SameStep"``.
        catalogue, artist, genre, danceability, weights, encoding, encoding_options, tracks,
            session_length, render_mode: see `MusicRecEnv`.

    Raises:
        ValueError: see `MusicRecEnv`; and for ``num_envs`` or ``max_episode_steps`` below 1.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - declared an instance variable by Gymnasium
        "render_modes": RENDER_MODES,
        "render_fps": 2,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        *,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
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
        for name, value in (("num_envs", num_envs), ("max_episode_steps", max_episode_steps)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
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
        self.num_envs = num_envs
        self.max_episode_steps = max_episode_steps
        self._mode = AutoresetMode(autoreset_mode)
        self.metadata = {**type(self).metadata, "autoreset_mode": self._mode}
        self.render_mode = checked_render_mode(render_mode)
        self.single_observation_space = self._tables.encoded.space
        self.single_action_space = gym.spaces.Discrete(len(Action))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

        self._envs = np.arange(num_envs)
        self._terms_and_score, self._rewards = _outcomes(self._tables.scores)
        # The state, (num_envs,) each: the stream of sessions, the place in the session, its sums.
        self._keys = np.zeros(num_envs, dtype=np.uint64)
        self._sessions = np.full(num_envs, -1)
        self._position = np.zeros(num_envs, dtype=np.int64)
        self._returns = np.zeros(num_envs)
        self._best_returns = np.zeros(num_envs)
        self._actions = np.zeros(num_envs, dtype=np.int64)
        self._ended = np.zeros(num_envs, dtype=np.bool_)  # a reset is due
        self._resets_on_step = False  # for some, in mode NEXT_STEP
        # Derived from it: the tracks of each session, and those shown now.
        self._order = np.zeros((session_length, num_envs), dtype=np.int32)
        self._track = np.zeros(num_envs, dtype=np.int64)
        # The position that all environments are in, None where they differ.
        self._common_position: int | None = None

    @property
    def oracle_return(self) -> NDArray[np.float64]:
        """(num_envs,) float64: the return of the better actions over each present session."""
        totals: NDArray[np.float64] = np.abs(self.scores)[self._order].sum(axis=0)
        return totals

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[NDArray[Any], Info]:
        """Begin the next session of every environment, or of those in ``reset_mask``.

        Args:
            seed: an int seeds environment ``i`` with ``seed + i``; a list gives each its own (None:
                go on with the present stream of sessions).
            options: ``{"reset_mask": mask}``, (num_envs,) bool, resets only some environments.

        Returns:
            The observations of all environments, and ``info`` with ``track_index`` of those reset.

        Raises:
            ValueError: for a wrong number of seeds, a wrong mask, or other options.
            TypeError: for a mask that is not an array of bool.
        """
        options = dict(options or {})
        mask = self._reset_mask(options.pop("reset_mask", None))
        if options:
            raise ValueError(f"MusicRec-v0 has no reset options, got {sorted(options)}")
        if seed is None:
            seeds: Sequence[int | None] = [None] * self.num_envs
        elif isinstance(seed, int | np.integer):
            super().reset(seed=int(seed))
            seeds = [int(seed) + i for i in range(self.num_envs)]
        else:
            seeds = seed
        if len(seeds) != self.num_envs:
            raise ValueError(
                f"seed must be a number or a list of num_envs = {self.num_envs} seeds, "
                f"got {len(seeds)} seeds"
            )
        for i in np.flatnonzero(mask).tolist():
            if seeds[i] is not None or self._sessions[i] < 0:
                self._keys[i] = draw_key(seeding.np_random(seeds[i])[0])
                self._sessions[i] = -1
        self._begin(mask)
        info: Info = {}
        _put(info, "track_index", np.where(mask, self._track, 0), mask.copy())
        return self._tables.encoded.rows.take(self._track), info

    def step(self, actions: Any) -> tuple[NDArray[Any], NDArray[np.float64], Bools, Bools, Info]:
        """Judge the track that each environment shows.

        Args:
            actions: (num_envs,) whole numbers, 0 (dislike) or 1 (like).

        Returns:
            Observations, rewards (float64), terminations, truncations, ``info``: fresh arrays.

        Raises:
            gymnasium.error.ResetNeeded: before the first `reset`, and where an environment has
                ended and autoreset is disabled.
            gymnasium.error.InvalidAction: for other actions.
        """
        actions = self._checked_actions(actions)
        resetting = self._ended if self._resets_on_step else None
        judged = self._track
        kinds = self._tables.scores.kinds.take(judged) + (actions << _KIND_BITS)
        terms_and_score = self._terms_and_score.take(kinds, axis=0).T
        earned, best = self._rewards.take(kinds, axis=0).T
        rewards = earned.copy()
        self._actions = actions
        self._returns += rewards
        self._best_returns += best
        self._position += 1
        if self._common_position is not None:
            self._common_position += 1
        info = self._judged_info(judged, terms_and_score, resetting)
        if resetting is not None:
            rewards[resetting] = 0.0
            self._begin(resetting)
            info["track_index"][resetting] = self._track[resetting]
        terminated, truncated, any_ended = self._ends(resetting)
        self._track = self._shown()
        if any_ended:
            info = self._end_sessions(info, terminated, truncated)
        observations = self._tables.encoded.rows.take(self._track)
        return observations, rewards, terminated, truncated, info

    def render(self) -> tuple[Any, ...] | None:
        """Return each environment's view, see `MusicRecEnv.render`."""
        if self.render_mode is None:
            gym.logger.warn("render() was called without a render mode, see make_vec's render_mode")
            return None
        if (self._sessions < 0).any():
            raise gym.error.ResetNeeded("no track is shown yet: call reset() before render()")
        views = []
        for i in range(self.num_envs):
            judged = int(self._position[i]) - 1
            view = StepView(
                tables=self._tables,
                track=int(self._order[max(judged, 0), i]),
                action=None if judged < 0 else int(self._actions[i]),
                number=judged + 1,
                episode_return=float(self._returns[i]),
            )
            views.append(render(view, self.render_mode))
        return tuple(views)

    def get_state(self) -> dict[str, NDArray[Any]]:
        """Return the state of all sessions as plain arrays; `set_state` goes on exactly."""
        return {name: getattr(self, f"_{name}").copy() for name in _STATE}

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what `get_state` returned, in an environment made with the same arguments."""
        for name in _STATE:
            own = getattr(self, f"_{name}")
            if np.shape(state[name]) != own.shape:
                raise ValueError(
                    f"the state's {name} must have shape {own.shape}, got {np.shape(state[name])}"
                )
            setattr(self, f"_{name}", np.array(state[name], dtype=own.dtype))
        begun = self._sessions >= 0
        self._order[:, begun] = self._orders(begun)
        self._resets_on_step = self._mode is AutoresetMode.NEXT_STEP and bool(self._ended.any())
        self._note_common_position()
        self._track = self._shown()

    # --- Parts ------------------------------------------------------------------------------------

    def _ends(self, resetting: Bools | None) -> tuple[Bools, Bools, bool]:
        """Return which sessions terminated, which were truncated, and whether any has ended."""
        if self._common_position is not None and self.max_episode_steps is None:
            # All are in the same place: known without looking at each.
            over = self._common_position == self.session_length
            terminated = np.full(self.num_envs, over)
            return terminated, np.zeros(self.num_envs, dtype=np.bool_), over
        terminated = self._position == self.session_length
        truncated = np.zeros(self.num_envs, dtype=np.bool_)
        if self.max_episode_steps is not None:
            # A position is also the number of steps since the reset.
            truncated |= self._position >= self.max_episode_steps
            if resetting is not None:
                truncated &= ~resetting
        return terminated, truncated, bool(terminated.any() or truncated.any())

    def _end_sessions(self, info: Info, terminated: Bools, truncated: Bools) -> Info:
        """Complete ``info`` where sessions have ended, and reset them or note that it is due."""
        if terminated.any():
            regrets = self._best_returns - self._returns
            for name, values in (("episode_return", self._returns), ("episode_regret", regrets)):
                _put(info, name, np.where(terminated, values, 0.0), terminated.copy())
        self._ended = terminated | truncated
        self._resets_on_step = self._mode is AutoresetMode.NEXT_STEP
        if self._mode is AutoresetMode.SAME_STEP:
            info = self._reset_at_once(info)
        return info

    def _checked_actions(self, actions: Any) -> NDArray[np.int64]:
        array = np.asarray(actions)
        if array.shape != (self.num_envs,) or array.dtype.kind not in "iub":
            raise gym.error.InvalidAction(
                f"actions must be {self.num_envs} whole numbers, got shape {array.shape} and "
                f"dtype {array.dtype}"
            )
        array = array.astype(np.int64)  # a copy: kept for render()
        # The bits of all together: 0 or 1 exactly where each is.
        if not 0 <= np.bitwise_or.reduce(array) <= 1:
            wrong = array[(array < 0) | (array > 1)][0]
            raise gym.error.InvalidAction(f"actions must be 0 (dislike) or 1 (like), got {wrong}")
        if self._common_position is None and (self._sessions < 0).any():
            raise gym.error.ResetNeeded("no track is shown: call reset() to begin a session")
        if self._mode is AutoresetMode.DISABLED and self._ended.any():
            raise gym.error.ResetNeeded(
                f"environments {np.flatnonzero(self._ended).tolist()} have ended and autoreset is "
                'disabled: call reset(options={"reset_mask": mask}) first'
            )
        return array

    def _reset_mask(self, mask: Any) -> Bools:
        if mask is None:
            return np.ones(self.num_envs, dtype=np.bool_)
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
            raise TypeError(f"reset_mask must be a numpy array of bool, got {mask!r}")
        if mask.shape != (self.num_envs,) or not mask.any():
            raise ValueError(
                f"reset_mask must have shape ({self.num_envs},) and at least one True, got shape "
                f"{mask.shape} with {np.count_nonzero(mask)} True"
            )
        return mask

    def _begin(self, mask: Bools) -> None:
        """Begin the next session of the environments in the mask."""
        self._sessions[mask] += 1
        if mask.all():
            self._order = self._orders(mask)
        else:
            self._order[:, mask] = self._orders(mask)
        self._position[mask] = 0
        self._returns[mask] = 0.0
        self._best_returns[mask] = 0.0
        self._ended = self._ended & ~mask
        self._resets_on_step &= bool(self._ended.any())
        self._note_common_position()
        self._track = self._shown()

    def _orders(self, mask: Bools) -> NDArray[np.int32]:
        """Return the tracks of the sessions in the mask: (session_length, n), C order."""
        orders = self._tables.orders(self._keys[mask], self._sessions[mask].astype(np.uint64))
        return np.ascontiguousarray(orders.T)

    def _note_common_position(self) -> None:
        first = int(self._position[0])
        begun = (self._sessions >= 0).all()
        self._common_position = first if begun and (self._position == first).all() else None

    def _shown(self) -> NDArray[np.int64]:
        """Return the track that each environment shows; the last one where the session is over."""
        last = self.session_length - 1
        if self._common_position is not None:
            shown = self._order[min(self._common_position, last)]
        else:
            shown = self._order[np.minimum(self._position, last), self._envs]
        tracks: NDArray[np.int64] = shown.astype(np.int64)
        return tracks

    def _judged_info(
        self, judged: NDArray[np.int64], outcomes: NDArray[np.float64], resetting: Bools | None
    ) -> Info:
        """Return ``info`` of a step; the environments that are resetting have judged nothing.

        ``outcomes``: (4, num_envs) float64, the terms and the score of the tracks judged.
        """
        info: Info = {}
        _put(info, "track_index", judged, np.ones(self.num_envs, dtype=np.bool_))
        if resetting is None:
            masks = np.ones((len(TERMS) + 2, self.num_envs), dtype=np.bool_)
        elif resetting.all():
            return info
        else:
            masks = np.repeat(~resetting[None], len(TERMS) + 2, axis=0)
            outcomes = np.where(resetting, 0.0, outcomes)
        *terms, score = outcomes
        _put(info, "score", score, masks[0])
        named: Info = {}
        for name, term, mask in zip(TERMS, terms, masks[2:], strict=True):
            _put(named, name, term, mask)
        _put(info, "reward_terms", named, masks[1])
        return info

    def _reset_at_once(self, info: Info) -> Info:
        """Reset what has ended, and move its info and observation to their ``final_`` keys."""
        ended = self._ended.copy()
        final_rows = self._tables.encoded.rows.take(self._track[ended])
        final_obs = np.full(self.num_envs, None, dtype=object)
        for i, row in zip(np.flatnonzero(ended), final_rows, strict=True):
            final_obs[i] = row
        final_info = _masked(info, ended)
        reset_info = _masked(info, ~ended)
        self._begin(ended)
        reset_info.setdefault("track_index", np.zeros(self.num_envs, dtype=np.int64))
        reset_info["track_index"][ended] = self._track[ended]
        reset_info["_track_index"] = np.ones(self.num_envs, dtype=np.bool_)
        _put(reset_info, "final_obs", final_obs, ended)
        _put(reset_info, "final_info", final_info, ended.copy())
        return reset_info


_KIND_BITS = len(TERMS)  # see `music_env.listener.Scores`


def _outcomes(scores: Scores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what an action on a kind of track gives, a row for each pair, dislikes first.

    A gather of short rows takes the place of one for each number. Two tables, as numpy gathers rows
    of 16 or 32 bytes twice as fast as others.

    Returns:
        (2 * 8, 4) float64: the three terms and the score; (2 * 8, 2) float64: the reward, and the
        better action's reward.
    """
    score = scores.by_kind[-1]
    both = np.tile(scores.by_kind.T, (2, 1))
    rewards = np.concatenate([0.0 - score, score])  # not -score, which would make -0.0 of 0.0
    return np.ascontiguousarray(both), np.stack([rewards, np.abs(both[:, -1])], axis=1)


# The arrays that make up the state, see `MusicRecVectorEnv.get_state`.
_STATE = ("keys", "sessions", "position", "returns", "best_returns", "actions", "ended")


def _put(info: Info, name: str, values: Any, mask: Bools) -> None:
    """Set values and their mask as `VectorEnv._add_info` does."""
    info[name] = values
    info[f"_{name}"] = mask


def _masked(info: Info, mask: Bools) -> Info:
    """Return the part of ``info`` in the mask: zeros elsewhere, without the keys nobody has."""
    part: Info = {}
    for name, values in info.items():
        own_mask = info.get(f"_{name}")
        if name.startswith("_") or own_mask is None:
            continue
        both = own_mask & mask
        if both.any():
            inner = _masked(values, mask) if isinstance(values, dict) else np.where(both, values, 0)
            _put(part, name, inner, both)
    return part
