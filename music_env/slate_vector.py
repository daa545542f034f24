"""The native vector environment: `num_envs` sessions of MusicRecSlate-v0 at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from music_env.affected_vector import AffectedVectorEnv
from music_env.catalogue import Catalogue
from music_env.listener import Preference
from music_env.listener_models import ListenerModel
from music_env.rendering import StepView
from music_env.slate import slate_view
from music_env.slate_observation import SlateEncoded
from music_env.slate_setup import SlateSetup
from music_env.vector import Bools, Info, check_counts


class MusicRecSlateVectorEnv(AffectedVectorEnv):
    """Many sessions of `MusicRecSlateEnv` at once; made by `gymnasium.make_vec`.

    Equal to `gymnasium.vector.SyncVectorEnv` of as many `MusicRecSlateEnv`, bit for bit; ``info``
    holds numbers only (no ``track_id``): ``candidates`` is (num_envs, slate_size), ``action_mask``
    (num_envs, slate_size + 1).

    Args:
        num_envs: how many environments.
        max_episode_steps: truncate after so many steps; None: never.
        autoreset_mode: ``NEXT_STEP`` (default), ``SAME_STEP`` or ``DISABLED`` (with
            ``reset(options={"reset_mask": mask})``): an `AutoresetMode` or its value.
        slate_size, catalogue, artist, genre, danceability, weights, taste, taste_seed, listener,
            preset, satiation, decay, patience, satiation_of, enjoyed_share, encoding,
            encoding_options, observe_state, tracks, session_length, render_mode: see
            `MusicRecSlateEnv`.

    Raises:
        ValueError: see `MusicRecSlateEnv`; and for ``num_envs`` or ``max_episode_steps`` below 1.
    """

    _id = SlateSetup.env_id
    _tables: SlateSetup
    _shows = "slate"
    _state = (*AffectedVectorEnv._state, "history", "masked_choices")

    def __init__(
        self,
        num_envs: int = 1,
        *,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
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
        check_counts(num_envs, max_episode_steps)
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
        self._set_up(
            setup,
            setup.encoded.space,
            num_envs=num_envs,
            max_episode_steps=max_episode_steps,
            autoreset_mode=autoreset_mode,
            render_mode=render_mode,
            n_actions=setup.slate_size + 1,
        )
        # A slate in the place of a track.
        self._order = np.zeros((setup.session_length, num_envs, setup.slate_size), dtype=np.int32)
        self._track = np.zeros((num_envs, setup.slate_size), dtype=np.int64)
        # The track played in each step, -1 for none.
        self._history = np.full((num_envs, setup.session_length), -1)
        self._masked_choices = np.zeros(num_envs, dtype=np.int64)
        # Derived from it: which candidates were not played before, and the last step for info.
        self._available = np.ones((num_envs, setup.slate_size), dtype=np.bool_)
        self._masked = np.zeros(num_envs, dtype=np.bool_)
        self._played_track = np.full(num_envs, -1)

    @property
    def encoded(self) -> SlateEncoded:
        """What is observed: the space, what stands where in it, and the names of the columns."""
        return self._tables.encoded

    @property
    def slate_size(self) -> int:
        """How many candidates a step offers."""
        return self._tables.slate_size

    def action_masks(self) -> Bools:
        """Return (num_envs, slate_size + 1) bool: which actions are not masked now.

        Raises:
            gymnasium.error.ResetNeeded: before the first `reset`.
        """
        self._check_begun()
        return self._action_mask().astype(np.bool_)

    # --- Parts ------------------------------------------------------------------------------------

    def _observe(self, tracks: NDArray[np.int64], envs: Bools | None = None) -> NDArray[Any]:
        rows = slice(None) if envs is None else envs
        state = self._state_of(tracks, rows)
        return self._tables.encoded.observe(tracks, self._available[rows], state)

    def _offered(self) -> tuple[NDArray[np.int64], Bools]:
        return self._track.copy(), self._available.copy()

    def _action_mask(self) -> NDArray[np.int8]:
        mask = np.ones((self.num_envs, self.slate_size + 1), dtype=np.int8)
        mask[:, 1:] = self._available
        return mask

    def _shown_info(self) -> Info:
        return {"candidates": self._track.copy(), "action_mask": self._action_mask()}

    def _check_range(self, actions: NDArray[np.int64]) -> None:
        wrong = actions[(actions < 0) | (actions > self.slate_size)]
        if wrong.size:
            raise gym.error.InvalidAction(
                f"actions must be 0 (none) or the number of a candidate, 1 to {self.slate_size}, "
                f"got {wrong[0]}"
            )

    def _judge(self, actions: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        place = self._envs, np.maximum(actions - 1, 0)
        tracks, chosen = self._track[place], actions > 0
        played = chosen & self._available[place]
        self._masked = chosen & ~played
        self._masked_choices += self._masked
        self._played_track = np.where(played, tracks, -1)
        # Where a reset is due there may be no step left; what is noted there is wiped by it.
        step = np.minimum(self._position, self.session_length - 1)
        self._history[self._envs, step] = self._played_track
        rewards, judged = self._live_through(tracks, played)
        judged[-1] = np.where(played, judged[-1], 0.0)
        self._enjoyment = rewards.copy()
        return rewards, judged

    def _judged_info(self, judged: NDArray[np.float64], resetting: Bools | None) -> Info:
        self._show()  # info tells of what is shown next, too
        return super()._judged_info(judged, resetting)

    def _lived_info(self) -> dict[str, NDArray[Any]]:
        return {
            **super()._lived_info(),
            "track_index": self._played_track,
            "masked": self._masked,
        }

    def _final_info(self) -> dict[str, NDArray[Any]]:
        return {**super()._final_info(), "masked_choices": self._masked_choices}

    def _begin(self, mask: Bools, chosen: Any = None) -> None:
        self._history[mask] = -1
        self._masked_choices[mask] = 0
        super()._begin(mask, chosen)

    def _show(self) -> None:
        super()._show()
        played = self._history[:, None, : int(self._position.max())]
        self._available = ~(self._track[:, :, None] == played).any(axis=2)

    def _view(self, env: int) -> StepView:
        number = int(self._position[env])
        last = max(number - 1, 0)
        track = int(self._history[env, last])
        played = None if number == 0 else track >= 0
        return StepView(
            tables=self._shown_tables(env),
            track=track if played else None,
            action=None if played is None else int(self._actions[env]) * played,
            number=number,
            episode_return=float(self._returns[env]),
            reward=float(self._rewards[env]),
            env_id=self._id,
            state=self._state_view(env, played),
            slate=slate_view(self._order[last, env].tolist(), self._history[env, :last].tolist()),
        )
