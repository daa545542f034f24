"""Tasks on environments that everybody knows: our DQN against SB3's, and its switches.

Both sides have the hyperparameters that rl-zoo3 has tuned for SB3's DQN, and take the same steps.
With prioritized replay the step size is a quarter of that, see `PRIORITIZED_RATE`; with n-step
returns as well it is whole, and falls at the end, see `FALLING`. The optimiser is
SB3's Adam in its fused form for both: the same sums in one call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3 import DQN
from stable_baselines3.common.type_aliases import Schedule
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

OURS, OURS_N_STEP = "dueling-double-prioritized", "dueling-double-prioritized-n-step"
STOCK, RANDOM = "stock-dqn", "random"
CONTENDERS = (OURS_N_STEP, OURS)
"""Ours, each compared with SB3's."""

FALLING = 0.4
"""The step size of `OURS_N_STEP` is the zoo's, and falls linearly to 0 in this last part of a run,
so that the policy comes to rest. Chosen on runs with seeds from 100 on, which are not the study's.
Final returns on LunarLander with one step, falling all along from a half: -82, -20, -228; with
three steps from a quarter: 38; from a half: 100, -34, 156; from the whole: 102, 157, -23; a half
that does not fall: 208, 207; the whole that falls at last: 241, 164. On CartPole with one step,
falling all along from a half: 500, 275, 500, 500; with three: 500, 499, 500, 500. When the last of
these was chosen, five runs of the study's own seeds 0 and 1 were known with the whole falling all
along: 500, 500 on CartPole, -84, -90 on Acrobot, -6 on LunarLander; they were run anew."""

VARIANTS: dict[str, dict[str, Any]] = {
    OURS: {"dueling": True, "double": True, "prioritized": True, "n_steps": 1},
    OURS_N_STEP: SWITCHES["all"],
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
    # The watch ends the run at the budget; the zoo's schedules are those of its whole run.
    whole = max(task.budget, setting.zoo_steps)
    learner = make_learner(
        task.learner,
        env,
        setting.hyperparameters,
        seed=task.seed,
        part=task.budget / whole,
    )
    learner.learn(whole, callback=watch, log_interval=10**9)
    env.close()
    return {"curve": watch.curve}


def make_learner(
    name: str,
    env: gym.Env[Any, Any],
    hyperparameters: dict[str, Any],
    *,
    seed: int,
    part: float = 1.0,
) -> DQN:
    """Return an untrained learner: SB3's DQN, or ours with a variant's switches.

    Args:
        name: `STOCK` or one of `VARIANTS`.
        env: what it learns from.
        hyperparameters: of SB3's DQN.
        seed: the learner's.
        part: of the steps given to ``learn``, how many will be taken; a falling step size is 0
            from there on.
    """
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
        if rate := hyperparameters.get("learning_rate"):
            common["learning_rate"] = (
                _falling(rate, part) if name == OURS_N_STEP else PRIORITIZED_RATE * rate
            )
        common["replay_buffer_class"] = PrioritizedReplayBuffer
        common["replay_buffer_kwargs"] = {"alpha": PRIORITIZED_ALPHA}
    return DuelingDQN(
        "MlpPolicy" if switches["dueling"] else DQNPolicy,
        env=env,
        double=switches["double"],
        n_steps=switches["n_steps"],
        **common,
    )


def _falling(rate: float, part: float) -> Schedule:
    """Return a step size that falls to 0 in the last `FALLING` of a part of the steps."""

    def step_size(remaining: float) -> float:
        still = (part - (1 - remaining)) / (FALLING * part)
        return rate * min(max(still, 0.0), 1.0)

    return step_size


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
