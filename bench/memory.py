"""Memory, as resident size of fresh processes: replayed transitions, many environments."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

from bench.report import Asked, Row, SkippedError
from bench.timing import Options, in_fresh_process

_NUM_ENVS = 500
_TRANSITIONS = {"one-hot": 20_000, "codes": 400_000}  # about 0.5 GB and 0.1 GB


def replay_memory(options: Options) -> Iterator[Row]:
    """What a transition takes in the learner's replay buffer."""
    _check()
    codes, one_hot = (
        [
            float(in_fresh_process(f"replay_bytes({encoding!r})", imports=_IMPORTS))
            for _ in range(options.pick(3, 1))
        ]
        for encoding in ("codes", "one-hot")
    )
    yield Row(
        "replay memory of a transition, codes, embedded catalogue",
        "the same, one-hot",
        "bytes",
        codes,
        one_hot,
        asked=Asked("at most", 1 / 50),
        note="resident size, DuelingDQN's buffer",
    )


def many_environments(options: Options) -> Iterator[Row]:
    """What a hundred environments take besides the first one."""
    _check()
    first, hundred = zip(
        *(
            in_fresh_process("environment_bytes(100)", imports=_IMPORTS)
            for _ in range(options.pick(3, 1))
        ),
        strict=True,
    )
    yield Row(
        "100 environments of one catalogue",
        "one environment",
        "MB",
        [value / 1e6 for value in hundred],
        [value / 1e6 for value in first],
        asked=Asked("at most", 1.2),
        note="growth of the resident size; each has played a session, one-hot",
    )


# --- Run in fresh processes -----------------------------------------------------------------------

_IMPORTS = "from bench.memory import replay_bytes, environment_bytes"


def resident_size() -> int:
    """Return the memory [bytes] that this process holds in RAM."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def replay_bytes(
    encoding: str, n_transitions: int | None = None, num_envs: int = _NUM_ENVS
) -> float:
    """Return by how much the process grows for each transition that a learner stores [bytes]."""
    from dataclasses import replace

    import gymnasium as gym
    import torch as th

    from agents.training import DuelingDQNSettings, make_learner
    from agents.vec_env import GymVecEnv

    th.set_num_threads(1)
    n_transitions = n_transitions or _TRANSITIONS[encoding]
    settings = replace(
        DuelingDQNSettings(),
        encoding=encoding,
        n_envs=num_envs,
        buffer_size=2 * n_transitions,
        learning_starts=2 * n_transitions,  # only stores
    )
    env = gym.make_vec(
        "MusicRec-v0",
        num_envs=num_envs,
        vectorization_mode="vector_entry_point",
        autoreset_mode="SameStep",
        encoding=encoding,
    )
    learner = make_learner(settings, GymVecEnv(env), seed=0)
    # Pages not yet written do not count. The first half also fills what grows only once.
    learner.learn(n_transitions, log_interval=None)
    before = resident_size()
    learner.learn(n_transitions, log_interval=None, reset_num_timesteps=False)
    return (resident_size() - before) / n_transitions


def environment_bytes(count: int) -> tuple[int, int]:
    """Return the growth of the process by one environment, and by ``count`` of them [bytes]."""
    import gymnasium as gym

    import music_env  # noqa: F401 - registers the id

    def play() -> gym.Env:
        env = gym.make("MusicRec-v0")
        env.reset(seed=0)
        over = False
        while not over:
            _, _, over, _, _ = env.step(1)
        return env

    empty = resident_size()
    envs = [play()]
    first = resident_size() - empty
    envs += [play() for _ in range(count - 1)]
    return first, resident_size() - empty


def _check() -> None:
    if not Path("/proc/self/statm").is_file():
        raise SkippedError("the resident size is read from /proc, which this system does not have")
