"""What all native vector environments share: many sessions at a time, in numpy.

`SessionVectorEnv` is equal to `gymnasium.vector.SyncVectorEnv` of as many `SessionEnv`, bit for
bit: observations, rewards, both flags and the numbers in ``info`` with their masks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from music_env.order import draw_key
from music_env.outcomes import BEST, LUCK, REWARD
from music_env.rendering import RENDER_MODES, StepView, checked_render_mode, render
from music_env.scalar import Action
from music_env.session_tables import Drawn, OverSessions, SessionTables, checked_options

Bools = NDArray[np.bool_]
Info = dict[str, Any]


def check_counts(num_envs: int, max_episode_steps: int | None) -> None:
    """Raise ``ValueError`` where one of them is below 1."""
    for name, value in (("num_envs", num_envs), ("max_episode_steps", max_episode_steps)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")


class SessionVectorEnv(OverSessions, VectorEnv[Any, Any, Any]):
    """Many sessions; a subclass says what they show and what is observed of a track.

    It calls `_set_up` with its tables and overrides `_observe`, perhaps `_draw`, `_shown_info`,
    `_check_options`, `_shown_tables` and `_set_drawn`. The environments may be in different places
    of their sessions, after a masked reset; while all are in the same place, as after a common
    reset, tracks and kinds are read a row at a time.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - declared an instance variable by Gymnasium
        "render_modes": RENDER_MODES,
        "render_fps": 2,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }
    _id: str
    """The environment's id, for messages."""
    # The arrays that make up the state, see `get_state`.
    _state: tuple[str, ...] = (
        "keys",
        "sessions",
        "position",
        "returns",
        "best_returns",
        "actions",
        "ended",
    )

    def _set_up(
        self,
        tables: SessionTables,
        space: gym.Space[Any],
        *,
        num_envs: int,
        max_episode_steps: int | None,
        autoreset_mode: AutoresetMode | str,
        render_mode: str | None,
        n_actions: int = len(Action),
    ) -> None:
        self._tables = tables
        self.num_envs = num_envs
        self.max_episode_steps = max_episode_steps
        self._mode = AutoresetMode(autoreset_mode)
        self.metadata = {**type(self).metadata, "autoreset_mode": self._mode}
        self.render_mode = checked_render_mode(render_mode)
        self.single_observation_space = space
        self.single_action_space = gym.spaces.Discrete(n_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

        self._envs = np.arange(num_envs)
        outcomes = tables.outcomes
        self._terms_and_score, self._earnings = outcomes.by_action()
        self._action_bits = outcomes.action_bits
        self._may_slip = outcomes.wrong_button > 0
        # The state, (num_envs,) each: the stream of sessions, the place in the session, its sums.
        self._keys = np.zeros(num_envs, dtype=np.uint64)
        self._sessions = np.full(num_envs, -1)
        self._position = np.zeros(num_envs, dtype=np.int64)
        self._returns = np.zeros(num_envs)
        self._best_returns = np.zeros(num_envs)
        self._actions = np.zeros(num_envs, dtype=np.int64)
        self._ended = np.zeros(num_envs, dtype=np.bool_)  # a reset is due
        if self._may_slip:
            self._state = (*self._state, "luck")
            self._luck = np.zeros(num_envs)  # what slips of the finger have added to the return
        self._resets_on_step = False  # for some, in mode NEXT_STEP
        # Derived from it: tracks and kinds of each session, and those shown now.
        self._order = np.zeros((self.session_length, num_envs), dtype=np.int32)
        self._kinds = np.zeros((self.session_length, num_envs), dtype=np.int32)
        self._track = np.zeros(num_envs, dtype=np.int64)
        self._kind = np.zeros(num_envs, dtype=np.int64)
        # The position that all environments are in, None where they differ.
        self._common_position: int | None = None

    @property
    def oracle_return(self) -> NDArray[np.float64]:
        """(num_envs,) float64: the return of the better actions over each present session.

        As if no button were pressed by mistake.
        """
        totals: NDArray[np.float64] = np.abs(self._tables.outcomes.scores(self._kinds)).sum(axis=0)
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
            TypeError: for options that are no mapping, or a mask that is not an array of bool.
        """
        options = checked_options(self._id, options, self._reset_options)
        mask = self._reset_mask(options.get("reset_mask"))
        chosen = self._chosen(options)
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
        self._begin(mask, chosen)
        return self._observe(self._track), with_masks(self._shown_info(), mask)

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
        rewards, judged = self._judge(actions)
        self._actions = actions
        self._returns += rewards
        self._position += 1
        if self._common_position is not None:
            self._common_position += 1
        info = self._judged_info(judged, resetting)
        if resetting is not None:
            rewards[resetting] = 0.0
            self._begin(resetting)
            _overwrite(info, self._shown_info(), resetting)
        terminated, truncated, any_ended = self._ends(resetting)
        self._show()
        if any_ended:
            info = self._end_sessions(info, terminated, truncated)
        return self._observe(self._track), rewards, terminated, truncated, info

    def render(self) -> tuple[Any, ...] | None:
        """Return each environment's view, see `MusicRecEnv.render`."""
        if self.render_mode is None:
            gym.logger.warn("render() was called without a render mode, see make_vec's render_mode")
            return None
        if (self._sessions < 0).any():
            raise gym.error.ResetNeeded("no track is shown yet: call reset() before render()")
        views = []
        for i in range(self.num_envs):
            views.append(render(self._view(i), self.render_mode))
        return tuple(views)

    def get_state(self) -> dict[str, NDArray[Any]]:
        """Return the state of all sessions as plain arrays; `set_state` goes on exactly."""
        return {name: getattr(self, f"_{name}").copy() for name in self._state}

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what `get_state` returned, in an environment made with the same arguments."""
        for name in self._state:
            own = getattr(self, f"_{name}")
            if np.shape(state[name]) != own.shape:
                raise ValueError(
                    f"the state's {name} must have shape {own.shape}, got {np.shape(state[name])}"
                )
            setattr(self, f"_{name}", np.array(state[name], dtype=own.dtype))
        begun = self._sessions >= 0
        if begun.any():
            self._show_sessions(begun, self._drawn_again(begun))
        self._resets_on_step = self._mode is AutoresetMode.NEXT_STEP and bool(self._ended.any())
        self._note_common_position()
        self._show()

    # --- What a subclass says ---------------------------------------------------------------------

    def _observe(self, tracks: NDArray[np.int64], envs: Bools | None = None) -> NDArray[Any]:
        """Return fresh observations of a track in each environment, or in each in the mask."""
        raise NotImplementedError

    _reset_options: tuple[str, ...] = ("reset_mask",)

    def _chosen(self, options: Mapping[str, Any]) -> Any:
        """Return what `_draw` needs of the options of a reset."""
        return None

    def _draw(self, mask: Bools, chosen: Any) -> Drawn:
        """Return what the present sessions of the environments in the mask show."""
        return self._tables.draw(self._keys[mask], self._sessions[mask].astype(np.uint64))

    def _drawn_again(self, mask: Bools) -> Drawn:
        """Return the same from the state alone."""
        return self._draw(mask, None)

    def _shown_info(self) -> Info:
        """Return fresh arrays, or dictionaries of them: what ``info`` says of what is shown."""
        return {"track_index": self._track.copy()}

    def _shown_tables(self, env: int) -> Any:
        """Return what the view of an environment needs, see `StepView`."""
        return self._tables.view()

    def _view(self, env: int) -> StepView:
        """Return the view of the track that an environment judged last, or of the first one."""
        judged = int(self._position[env]) - 1
        place = max(judged, 0), env
        row = int(self._kinds[place]) + (int(self._actions[env]) << self._action_bits)
        return StepView(
            tables=self._shown_tables(env),
            track=int(self._order[place]),
            action=None if judged < 0 else int(self._actions[env]),
            number=judged + 1,
            episode_return=float(self._returns[env]),
            reward=None if judged < 0 else float(self._earnings[row, REWARD]),
            env_id=self._id,
        )

    # --- Parts ------------------------------------------------------------------------------------

    def _judge(self, actions: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the rewards, a fresh array, and (n_terms + 1, num_envs): the terms and the score.

        Where a reset is due it does not matter what is returned: `step` begins a session there.
        """
        # The row of an action and a kind of track; then a row a column of it.
        rows = self._kind + (actions << self._action_bits)
        judged = self._terms_and_score.take(rows, axis=0).T
        earned = self._earnings.take(rows, axis=0).T
        self._best_returns += earned[BEST]
        if self._may_slip:
            self._luck += earned[LUCK]
        return earned[REWARD].copy(), judged

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
            for name, values in self._final_info().items():
                ended = np.where(terminated, values, values.dtype.type(0))
                put(info, name, ended, terminated.copy())
        self._ended = terminated | truncated
        self._resets_on_step = self._mode is AutoresetMode.NEXT_STEP
        if self._mode is AutoresetMode.SAME_STEP:
            info = self._reset_at_once(info)
        return info

    def _final_info(self) -> dict[str, NDArray[Any]]:
        """Return what ``info`` says at the end of a session, (num_envs,) each."""
        returns = self._returns - self._luck if self._may_slip else self._returns
        return {"episode_return": self._returns, "episode_regret": self._best_returns - returns}

    def _checked_actions(self, actions: Any) -> NDArray[np.int64]:
        array = np.asarray(actions)
        if array.shape != (self.num_envs,) or array.dtype.kind not in "iub":
            raise gym.error.InvalidAction(
                f"actions must be {self.num_envs} whole numbers, got shape {array.shape} and "
                f"dtype {array.dtype}"
            )
        array = array.astype(np.int64)  # a copy: kept for render()
        self._check_range(array)
        if self._common_position is None and (self._sessions < 0).any():
            raise gym.error.ResetNeeded("no track is shown: call reset() to begin a session")
        if self._mode is AutoresetMode.DISABLED and self._ended.any():
            raise gym.error.ResetNeeded(
                f"environments {np.flatnonzero(self._ended).tolist()} have ended and autoreset is "
                'disabled: call reset(options={"reset_mask": mask}) first'
            )
        return array

    def _check_range(self, actions: NDArray[np.int64]) -> None:
        """Raise ``InvalidAction`` where one of the whole numbers is no action."""
        # The bits of all together: 0 or 1 exactly where each is.
        if not 0 <= np.bitwise_or.reduce(actions) <= 1:
            wrong = actions[(actions < 0) | (actions > 1)][0]
            raise gym.error.InvalidAction(f"actions must be 0 (dislike) or 1 (like), got {wrong}")

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

    def _begin(self, mask: Bools, chosen: Any = None) -> None:
        """Begin the next session of the environments in the mask."""
        self._sessions[mask] += 1
        self._show_sessions(mask, self._draw(mask, chosen))
        self._position[mask] = 0
        self._returns[mask] = 0.0
        self._best_returns[mask] = 0.0
        if self._may_slip:
            self._luck[mask] = 0.0
        self._ended = self._ended & ~mask
        self._resets_on_step &= bool(self._ended.any())
        self._note_common_position()
        self._show()

    def _show_sessions(self, mask: Bools, drawn: Drawn) -> None:
        """Keep what the environments in the mask will show, (session_length, num_envs) each."""
        if mask.all():
            self._order = np.ascontiguousarray(drawn.tracks.swapaxes(0, 1))
            self._kinds = np.ascontiguousarray(drawn.kinds.T)
        else:
            self._order[:, mask] = drawn.tracks.swapaxes(0, 1)
            if self._kinds.dtype != drawn.kinds.dtype:
                self._kinds = self._kinds.astype(drawn.kinds.dtype)
            self._kinds[:, mask] = drawn.kinds.T

    def _note_common_position(self) -> None:
        first = int(self._position[0])
        begun = (self._sessions >= 0).all()
        self._common_position = first if begun and (self._position == first).all() else None

    def _show(self) -> None:
        """Note the track that each environment shows; the last one where the session is over."""
        last = self.session_length - 1
        place: Any
        if self._common_position is not None:
            place = min(self._common_position, last)
        else:
            place = np.minimum(self._position, last), self._envs
        self._track = self._order[place].astype(np.int64)
        self._kind = self._kinds[place].astype(np.int64)

    def _judged_info(self, judged: NDArray[np.float64], resetting: Bools | None) -> Info:
        """Return ``info`` of a step; the environments that are resetting have judged nothing.

        ``judged``: (n_terms + 1, num_envs) float64, the terms and the score.
        """
        names = self._tables.outcomes.names
        info = with_masks(self._shown_info())
        if resetting is None:
            masks = np.ones((len(names) + 2, self.num_envs), dtype=np.bool_)
        elif resetting.all():
            return info
        else:
            masks = np.repeat(~resetting[None], len(names) + 2, axis=0)
            judged = np.where(resetting, 0.0, judged)
        *terms, score = judged
        put(info, "score", score, masks[0])
        named: Info = {}
        for name, term, mask in zip(names, terms, masks[2:], strict=True):
            put(named, name, term, mask)
        put(info, "reward_terms", named, masks[1])
        return info

    def _reset_at_once(self, info: Info) -> Info:
        """Reset what has ended, and move its info and observation to their ``final_`` keys."""
        ended = self._ended.copy()
        final_rows = self._observe(self._track[ended], ended)
        final_obs = np.full(self.num_envs, None, dtype=object)
        # A state as a plain int, as the scalar environment observes it.
        rows = final_rows.tolist() if final_rows.ndim == 1 else final_rows
        for i, row in zip(np.flatnonzero(ended).tolist(), rows, strict=True):
            final_obs[i] = row
        final_info = _masked(info, ended)
        reset_info = _masked(info, ~ended)
        self._begin(ended)
        # Of the environments that go on, what is shown is what was judged.
        shown = with_masks(self._shown_info())
        judged = {name: values for name, values in info.items() if name in shown}
        _overwrite(judged, shown, ended)
        reset_info.update(judged)
        put(reset_info, "final_obs", final_obs, ended)
        put(reset_info, "final_info", final_info, ended.copy())
        return reset_info


def with_masks(values: Mapping[str, Any], mask: Bools | None = None) -> Info:
    """Return arrays, or dictionaries of them, with masks as `VectorEnv._add_info` does.

    Args:
        values: name -> (num_envs, ...) array, handed on where the mask is None, or a dictionary.
        mask: (num_envs,) bool: who has the values, None for all; the others get zeros.
    """
    info: Info = {}
    for name, value in values.items():
        if isinstance(value, dict):
            info[name] = with_masks(value, mask)
            size = len(next(iter(value.values())))
        else:
            info[name] = value if mask is None else _kept(value, mask)
            size = len(value)
        info[f"_{name}"] = _all(size) if mask is None else mask.copy()
    return info


def _kept(values: NDArray[Any], mask: Bools) -> NDArray[Any]:
    """Return (num_envs, ...) values in the mask, zeros elsewhere: a fresh array."""
    mask = mask.reshape(-1, *(1,) * (values.ndim - 1))
    return np.where(mask, values, values.dtype.type(0))


def _all(size: int) -> Bools:
    """Return (size,) bool, all True: `numpy.ones` at a third of its price."""
    mask = np.empty(size, dtype=np.bool_)
    mask.fill(True)
    return mask


def _overwrite(info: Info, values: Mapping[str, Any], mask: Bools) -> None:
    """Set the values in the mask in arrays that are there."""
    for name, value in values.items():
        if isinstance(value, dict):
            _overwrite(info[name], value, mask)
        else:
            info[name][mask] = value[mask]


def put(info: Info, name: str, values: Any, mask: Bools) -> None:
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
            if isinstance(values, dict):
                inner: Any = _masked(values, mask)
            else:
                inner = _kept(values, both)
            put(part, name, inner, both)
    return part
