"""Tasks on environments that everybody knows: our DQN against SB3's, and its switches.

Both sides have the hyperparameters that rl-zoo3 has tuned for SB3's DQN, and take the same steps.
With prioritized replay the step size is a quarter of that, see `PRIORITIZED_RATE`. The optimiser is
SB3's Adam in its fused form for both: the same sums in one call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3 import DQN
from stable_baselines3.dqn.policies import DQNPolicy

from agents.dueling_dqn import DuelingDQN
from agents.replay import PrioritizedReplayBuffer
from study.checks import EpisodeWatch, greedy_returns
from study.learners import SWITCHES
from study.tasks import Task

POINTS = 10
"""Evaluations of a training run, the last one at its end."""


@dataclass(frozen=True)
class Control:
    """An environment, rl-zoo3's hyperparameters for it, and how a run is judged.

    Attributes:
        zoo_steps: the zoo's ``n_timesteps``, over which its exploration schedule is stretched.
        steps: of these, how many are run: the schedule stays the zoo's.
        hyperparameters: the zoo's, of SB3's DQN.
        episodes: at each evaluation.
        last_episodes: at the last one.
        solved: Gymnasium's ``reward_threshold``; a normalised score of 1.
    """

    zoo_steps: int
    steps: int
    hyperparameters: dict[str, Any]
    episodes: int
    last_episodes: int
    solved: float


# rl_zoo3 2.9.2, hyperparams/dqn.yml.
_LUNAR_LANDER: dict[str, Any] = {
    "learning_rate": 6.3e-4,
    "batch_size": 128,
    "buffer_size": 50_000,
    "learning_starts": 0,
    "gamma": 0.99,
    "target_update_interval": 250,
    "train_freq": 4,
    "gradient_steps": -1,
    "exploration_fraction": 0.12,
    "exploration_final_eps": 0.1,
}
_CART_POLE: dict[str, Any] = {
    "learning_rate": 2.3e-3,
    "batch_size": 64,
    "buffer_size": 100_000,
    "learning_starts": 1_000,
    "gamma": 0.99,
    "target_update_interval": 10,
    "train_freq": 256,
    "gradient_steps": 128,
    "exploration_fraction": 0.16,
    "exploration_final_eps": 0.04,
}
NET_ARCH = (256, 256)

CONTROL: dict[str, Control] = {
    "CartPole-v1": Control(50_000, 50_000, _CART_POLE, 20, 100, 475.0),
    "Acrobot-v1": Control(100_000, 25_000, _LUNAR_LANDER, 20, 100, -100.0),
    "LunarLander-v3": Control(100_000, 50_000, _LUNAR_LANDER, 20, 100, 200.0),
}
"""Acrobot and LunarLander have the same hyperparameters in the zoo, with an update for each step:
100,000 steps are 6 minutes. The study runs the first part of that training; `--budget 100000` runs
the whole."""

PRIORITIZED_ALPHA = 0.5
PRIORITIZED_RATE = 0.25
"""With priorities: alpha, and the step size as a share of the zoo's. Schaul et al. (2016) divide
the step size by 4, since what is replayed most has the largest gradients; alpha as in Rainbow
(Hessel et al. 2018), which has both. With the zoo's step size, one of two runs on LunarLander
diverged."""

OURS, STOCK, RANDOM = "dueling-double-prioritized", "stock-dqn", "random"

VARIANTS: dict[str, dict[str, Any]] = {
    OURS: {"dueling": True, "double": True, "prioritized": True, "n_steps": 1},
    **SWITCHES,
}


def control(task: Task) -> dict[str, Any]:
    """Train on an environment for ``task.budget`` steps; return the curve of greedy returns.

    ``random`` does not learn: its curve has one point.
    """
    setting = CONTROL[task.case]
    if task.learner == RANDOM:
        return {"curve": _random(task, setting)}
    watch = EpisodeWatch(
        task.case,
        task.budget,
        points=POINTS,
        episodes=setting.episodes,
        last_episodes=setting.last_episodes,
    )
    env = gym.make(task.case)
    learner = make_learner(task.learner, env, setting.hyperparameters, seed=task.seed)
    # The watch ends the run at the budget; the schedules are those of the zoo's whole run.
    learner.learn(max(task.budget, setting.zoo_steps), callback=watch, log_interval=10**9)
    env.close()
    return {"curve": watch.curve}


def make_learner(
    name: str, env: gym.Env[Any, Any], hyperparameters: dict[str, Any], *, seed: int
) -> DQN:
    """Return an untrained learner: SB3's DQN, or ours with a variant's switches."""
    common: dict[str, Any] = {
        **hyperparameters,
        "policy_kwargs": {"net_arch": list(NET_ARCH), "optimizer_kwargs": {"fused": True}},
        "seed": seed,
        "device": "cpu",
    }
    if name == STOCK:
        return DQN("MlpPolicy", env, **common)
    switches = VARIANTS[name]
    if switches["prioritized"]:
        if "learning_rate" in hyperparameters:
            common["learning_rate"] = PRIORITIZED_RATE * hyperparameters["learning_rate"]
        common["replay_buffer_class"] = PrioritizedReplayBuffer
        common["replay_buffer_kwargs"] = {"alpha": PRIORITIZED_ALPHA}
    return DuelingDQN(
        "MlpPolicy" if switches["dueling"] else DQNPolicy,
        env=env,
        double=switches["double"],
        n_steps=switches["n_steps"],
        **common,
    )


def _random(task: Task, setting: Control) -> dict[str, list[float]]:
    envs = [gym.make(task.case) for _ in range(setting.last_episodes)]
    space = envs[0].action_space
    assert isinstance(space, gym.spaces.Discrete)
    generator, n = np.random.default_rng(task.seed), int(space.n)
    returns = greedy_returns(
        lambda observations: generator.integers(n, size=len(observations)),
        envs,
        EpisodeWatch.FIRST_SEED,
    )
    for env in envs:
        env.close()
    return {"steps": [0], "seconds": [0.0], "return": [round(float(returns.mean()), 3)]}
