r"""MusicRec-v0 in rl-zoo3: its hyperparameters, and `DuelingDQN` among the zoo's algorithms.

The hyperparameters are `agents.training`'s defaults, for the zoo's ``--conf-file agents.zoo``, but
for two that it cannot say: the learning rate falls to 0 instead of to a twentieth, and the updates
after each step are as many throughout, their mean:

    python -m rl_zoo3.train --algo dqn --env MusicRec-v0 --gym-packages music_env \
        --conf-file agents.zoo --env-kwargs "encoding:'codes'" --num-threads 1
    python -m rl_zoo3.enjoy --algo dqn --env MusicRec-v0 --gym-packages music_env \
        -f logs --no-render

That is Stable-Baselines3's DQN with `DuelingDQNPolicy`. The same with
``python -m agents.zoo train`` (or ``enjoy``) and ``--algo dueling_dqn`` is the project's own
learner.

The zoo hands the ``env_kwargs`` of a hyperparameter file to the training environment alone; with
``--env-kwargs`` the evaluation sees the same observations.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from agents import dueling_dqn
from agents.extractors import CodesExtractor
from agents.training import DuelingDQNSettings

ALGORITHM = "dueling_dqn"
"""The zoo's name of the project's learner."""


def _hyperparameters(settings: DuelingDQNSettings) -> dict[str, Any]:
    """Return settings under the zoo's names."""
    return {
        "env_kwargs": {"encoding": settings.encoding},
        "n_timesteps": settings.timesteps,
        "n_envs": settings.n_envs,
        "policy": "agents.policies.DuelingDQNPolicy",
        "policy_kwargs": {
            "net_arch": list(settings.net_arch),
            "features_extractor_class": CodesExtractor,
            "features_extractor_kwargs": {"embedding_dim": settings.embedding_dim},
            "optimizer_kwargs": {"fused": True},
        },
        "learning_rate": f"lin_{settings.learning_rate}",  # the zoo's own schedule: down to 0
        "batch_size": settings.batch_size,
        "train_freq": 1,
        "gradient_steps": _mean_gradient_steps(settings),
        "buffer_size": settings.buffer_size,
        "learning_starts": settings.learning_starts,
        "gamma": settings.gamma,
        "target_update_interval": settings.target_update_interval,
        "exploration_initial_eps": settings.exploration_initial_eps,
        "exploration_final_eps": settings.exploration_final_eps,
        "exploration_fraction": settings.exploration_fraction,
    }


def _mean_gradient_steps(settings: DuelingDQNSettings) -> int:
    """Return the updates after each step of all sessions, one number: SB3's DQN takes no other."""
    first, last = settings.gradient_steps, settings.final_gradient_steps
    return round(last + settings.gradient_steps_fraction * (first - last) / 2)


hyperparams = {"MusicRec-v0": _hyperparameters(DuelingDQNSettings())}
"""What ``--conf-file agents.zoo`` reads; the zoo prescribes the name."""


class DuelingDQN(dueling_dqn.DuelingDQN):
    """`agents.DuelingDQN` saved under the name that the zoo looks for, which ends in ``.zip``.

    The file is that of `agents.DuelingDQN`, which loads it as well; the zoo's schedule must then be
    replaced: ``DuelingDQN.load(path, custom_objects={"learning_rate": 0.0})``.
    """

    def save(self, path: Any, exclude: Any = None, include: Any = None) -> None:
        """Save the learner; see `agents.DuelingDQN.save`."""
        path = Path(path)
        super().save(path if path.suffix else path.with_suffix(".zip"), exclude, include)


def main() -> None:
    """Run the zoo's ``train`` or ``enjoy``, named first, with `DuelingDQN` among its algorithms."""
    scripts = ("train", "enjoy")
    if len(sys.argv) < 2 or sys.argv[1] not in scripts:
        given = f"got {sys.argv[1]!r}" if len(sys.argv) > 1 else "got nothing"
        raise SystemExit(f"agents.zoo: expected {' or '.join(scripts)} first, {given}")
    try:
        # Not the zoo's own `cli`, which also loads its plots and their requirements.
        from rl_zoo3 import ALGOS, enjoy, train
    except ImportError as error:
        raise SystemExit(
            f'agents.zoo: rl-zoo3 cannot be imported ({error}): pip install "musicrec[zoo]"'
        ) from error
    ALGOS[ALGORITHM] = DuelingDQN
    script = {"train": train.train, "enjoy": enjoy.enjoy}[sys.argv.pop(1)]
    script()


if __name__ == "__main__":
    main()
