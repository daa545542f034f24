"""n-step returns: what a learner's `n_steps` asks of its replay buffer."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Mapping
from typing import Any

from gymnasium import spaces
from stable_baselines3.common.buffers import DictReplayBuffer, NStepReplayBuffer, ReplayBuffer


def replay_buffer_arguments(
    buffer_class: type[ReplayBuffer] | None,
    given: Mapping[str, Any],
    *,
    observation_space: spaces.Space[Any],
    n_steps: int,
    gamma: float,
) -> dict[str, Any]:
    """Return a replay buffer's arguments, with the learner's `n_steps` and `gamma` where it sums.

    SB3 hands them over only to the buffer that it chooses by itself.

    Args:
        buffer_class: None leaves the choice to SB3.
        given: the user's arguments of the buffer.
        observation_space: the learner's.
        n_steps: the learner's.
        gamma: the learner's.

    Raises:
        TypeError: if `n_steps` is no integer.
        ValueError: if such a buffer cannot sum `n_steps` rewards or hold such observations, if
            `given` contradicts the learner, or if `n_steps` is below 1.
    """
    try:
        operator.index(n_steps)
    except TypeError:
        raise TypeError(f"n_steps must be an integer, got {n_steps!r}") from None
    if n_steps < 1:
        raise ValueError(f"n_steps must be at least 1, got {n_steps}")
    sums = n_steps > 1
    if buffer_class is not None:
        sums = issubclass(buffer_class, NStepReplayBuffer) or (
            "n_steps" in inspect.signature(buffer_class).parameters
        )
    for name, own in {"n_steps": n_steps, "gamma": gamma}.items():
        if (sums or name == "n_steps") and given.get(name, own) != own:
            raise ValueError(
                f"{name}={own} contradicts replay_buffer_kwargs with {name}={given[name]}: give it "
                "to the learner, which hands it on"
            )
    if n_steps > 1 and isinstance(observation_space, spaces.Dict):
        raise ValueError(
            f"n_steps={n_steps} needs a replay buffer that sums rewards, which Stable-Baselines3 "
            f"has for plain observations only, not for {observation_space}: take n_steps=1, or "
            "wrap the environment in gymnasium.wrappers.FlattenObservation"
        )
    if buffer_class is None:
        return dict(given)
    holds_dicts = issubclass(buffer_class, DictReplayBuffer)
    if isinstance(observation_space, spaces.Dict) and not holds_dicts:
        raise ValueError(
            f"{buffer_class.__name__} stores observations as one array, not {observation_space}: "
            "take replay_buffer_class=None, or wrap the environment in "
            "gymnasium.wrappers.FlattenObservation"
        )
    if sums:
        return {"n_steps": n_steps, "gamma": gamma, **given}
    if n_steps > 1:
        raise ValueError(
            f"n_steps={n_steps} would be ignored by {buffer_class.__name__}, which takes no "
            "`n_steps`: use agents.replay.PrioritizedReplayBuffer, a subclass of "
            "Stable-Baselines3's NStepReplayBuffer, or replay_buffer_class=None"
        )
    return dict(given)


def end_trajectories(buffer: ReplayBuffer) -> None:
    """Mark the newest transitions as truncated where they ended no episode.

    To be called before the environments are reset in the middle of their episodes: an n-step return
    would otherwise go on with the rewards of another episode. One-step targets stay as they are.
    """
    if not isinstance(buffer, NStepReplayBuffer) or not buffer.size():
        return
    newest = (buffer.pos - 1) % buffer.buffer_size
    cut = buffer.dones[newest] == 0
    buffer.dones[newest, cut] = 1
    buffer.timeouts[newest, cut] = 1
