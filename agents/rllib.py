"""RLlib's DQN with our networks: its configuration, its module, and its weights in a `DuelingDQN`.

Needs Ray (the extra ``ray``). A run that RLlib trained needs it no more: its weights are put into
an `agents.DuelingDQN` of the same layers, which is saved and loaded as any other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch as th
from numpy.typing import NDArray
from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.algorithms.dqn.torch.default_dqn_torch_rl_module import DefaultDQNTorchRLModule
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.core.models.base import ENCODER_OUT
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.utils.schedules.scheduler import Scheduler
from stable_baselines3.common.preprocessing import preprocess_obs
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import nn

from agents.callbacks import RECENT_SESSIONS
from agents.dueling_dqn import DuelingDQN
from agents.policies import DuelingQNetwork, argument_from_json, argument_to_json
from agents.settings import DuelingDQNSettings, RunSettings

Weights = Mapping[str, NDArray[Any]]

MAX_GRAD_NORM = 10.0
"""To which the norm of the gradient is clipped, as by `DuelingDQN`."""

SESSIONS = ("session_return", "session_length", "session_best_return")
"""Names of metrics of the sessions that ended, a value each: what was earned, steps, and what the
better actions would have earned (nan where nobody knows that)."""

# RLlib's name of a part of a module -> Stable-Baselines3's of the same part of a Q-network.
_DUELING = {
    "encoder.extractor.": "features_extractor.",
    "encoder.shared.": "shared_net.",
    "vf.": "value_net.",
    "af.": "advantage_net.",
}
_PLAIN = {"encoder.extractor.": "features_extractor.", "af.": "q_net."}


class FeaturesEncoder(nn.Module):
    """What stands below a Q-network's heads: its features extractor, and the shared layers.

    Args:
        q_net: the Q-network, whose layers it takes.
    """

    def __init__(self, q_net: QNetwork) -> None:
        super().__init__()
        self.observation_space = q_net.observation_space
        self.extractor = q_net.features_extractor
        self.shared = q_net.shared_net if isinstance(q_net, DuelingQNetwork) else nn.Identity()

    def forward(self, batch: Mapping[str, Any]) -> dict[str, th.Tensor]:
        """Return the (batch, n) float32 features of a batch of observations, as RLlib hands it."""
        observations = preprocess_obs(batch[Columns.OBS], self.observation_space)
        return {ENCODER_OUT: self.shared(self.extractor(observations))}


class QNetworkModule(DefaultDQNTorchRLModule):  # type: ignore[misc]  # Ray is not read by mypy
    """RLlib's DQN module over the layers of one of our policies, see `agents.policies`.

    Only `setup` is ours: forward passes, target networks and exploration are RLlib's.
    """

    def setup(self) -> None:
        """Build the layers that `module_spec` described."""
        config = self.model_config
        self.uses_dueling, self.uses_double_q = config["dueling"], config["double_q"]
        self.num_atoms = config["num_atoms"]
        self.epsilon_schedule = Scheduler(
            fixed_value_or_schedule=config["epsilon"], framework=self.framework
        )
        policy_class = argument_from_json(config["policy"], {})
        arguments = argument_from_json(config["policy_kwargs"], {})
        policy: DQNPolicy = policy_class(
            self.observation_space, self.action_space, lambda _: 0.0, **arguments
        )
        q_net = policy.q_net
        self.encoder = FeaturesEncoder(q_net)
        if isinstance(q_net, DuelingQNetwork):
            self.vf, self.af = q_net.value_net, q_net.advantage_net
        else:
            self.af = q_net.q_net


def module_spec(learner: DuelingDQN) -> RLModuleSpec:
    """Return the description of a module with the layers of a learner; of its weights, nothing."""
    return RLModuleSpec(
        module_class=QNetworkModule,
        model_config={
            "policy": argument_to_json(learner.policy_class),
            "policy_kwargs": argument_to_json(learner.policy_kwargs),
        },
    )


def take_weights(learner: DuelingDQN, weights: Weights) -> None:
    """Put the weights of a `QNetworkModule` into a learner with the same layers.

    Args:
        learner: its online and its target network are changed.
        weights: by RLlib's names; those of RLlib's target networks are left out.

    Raises:
        ValueError: if they are not of the same layers.
    """
    q_net = learner.q_net
    names = _DUELING if isinstance(q_net, DuelingQNetwork) else _PLAIN
    state: dict[str, th.Tensor] = {}
    for theirs, ours in names.items():
        for name, value in weights.items():
            if name.startswith(theirs):
                state[ours + name.removeprefix(theirs)] = th.as_tensor(np.array(value))
    try:
        q_net.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"the weights are not of the layers of this learner: {error}") from error
    learner.q_net_target.load_state_dict(q_net.state_dict())


def trained_weights(algorithm: Any) -> Weights:
    """Return the present weights of RLlib's learner, as arrays by RLlib's names."""
    weights: Weights = algorithm.get_weights()[DEFAULT_MODULE_ID]
    return weights


class SessionCallback(RLlibCallback):  # type: ignore[misc]  # likewise
    """Give each environment runner sessions of its own, and report the sessions that ended.

    It reads ``info``, as `agents.callbacks.RunLogger` does; the learner does not.
    """

    def on_environment_created(
        self, *, env_runner: Any, metrics_logger: Any, env: Any, env_context: Any, **others: Any
    ) -> None:
        """Seed the environments of all runners one after another.

        RLlib seeds runner w with the seed + w, and its environment i with i more: neighbouring
        runners would show the same sessions.
        """
        seed, worker = env_runner.config.seed, env_runner.worker_index or 0
        if seed is not None:
            env_runner._seed = seed + max(worker - 1, 0) * env.num_envs

    def on_episode_end(
        self,
        *,
        episode: Any,
        prev_episode_chunks: Sequence[Any] = (),
        metrics_logger: Any,
        **others: Any,
    ) -> None:
        """Report one session under the names of `SESSIONS`."""
        chunks = [*prev_episode_chunks, episode]
        earned = float(sum(chunk.get_return() for chunk in chunks))
        regret = float(episode.get_infos(-1).get("episode_regret", math.nan))
        values = (earned, float(sum(len(chunk) for chunk in chunks)), earned + regret)
        for name, value in zip(SESSIONS, values, strict=True):
            metrics_logger.log_value(name, value, reduce="item_series")


def check_settings(settings: DuelingDQNSettings, env_runners: int) -> None:
    """Raise ``ValueError`` for settings that RLlib's DQN cannot be given."""
    if env_runners < 0:
        raise ValueError(f"env_runners must be 0 (none beside the learner) or more: {env_runners}")
    if settings.n_envs % max(env_runners, 1):
        raise ValueError(
            f"n_envs, the sessions at a time, must be a multiple of the env_runners that share "
            f"them, got {settings.n_envs} and {env_runners}"
        )
    if settings.final_gradient_steps != settings.gradient_steps:
        raise ValueError(
            "RLlib makes as many updates at the end as at the start: final_gradient_steps must be "
            f"gradient_steps, got {settings.final_gradient_steps} and {settings.gradient_steps}"
        )


def dqn_config(
    settings: RunSettings, learner: DuelingDQN, *, env_runners: int, learning_starts: int
) -> DQNConfig:
    """Return the configuration of RLlib's DQN for a run.

    The sessions at a time are spread evenly over the environment runners, each of which steps a
    native vector environment; after each step of all of them come ``gradient_steps`` updates.
    Schedules are those of the local engine: linear in the steps.

    Args:
        settings: of the run.
        learner: with the networks that are to be trained.
        env_runners: processes that step environments; 0: the learner's own process does.
        learning_starts: steps before the first update.

    Raises:
        ValueError: see `check_settings`.
    """
    own = settings.learner
    assert isinstance(own, DuelingDQNSettings)
    check_settings(own, env_runners)
    total, envs_each = settings.total_timesteps, own.n_envs // max(env_runners, 1)
    fragment = own.n_steps  # RLlib wants at least as many steps at a time
    # RLlib derives the updates of a round from replayed over sampled steps, and counts a runner
    # more than there are (`ray.rllib.algorithms.dqn.dqn.calculate_rr_weights`).
    counted = fragment * envs_each * (env_runners + 1)
    replay = "PrioritizedEpisodeReplayBuffer" if own.prioritized else "EpisodeReplayBuffer"
    buffer: dict[str, Any] = {"type": replay, "capacity": own.buffer_size}
    if own.prioritized:
        buffer |= {"alpha": 0.6, "beta": 0.4}  # Schaul et al. (2016), table 3
    config = (
        DQNConfig()
        .environment(
            f"music_env:{settings.env_id}",
            env_config={**settings.environment, "encoding": own.encoding},
        )
        .env_runners(
            num_env_runners=env_runners,
            num_envs_per_env_runner=envs_each,
            rollout_fragment_length=fragment,
            gym_env_vectorize_mode="vector_entry_point",
        )
        .training(
            lr=_falling(own.learning_rate, own.learning_rate / 20, total),
            gamma=own.gamma,
            train_batch_size_per_learner=own.batch_size,
            training_intensity=own.gradient_steps * fragment * own.batch_size / counted,
            num_steps_sampled_before_learning_starts=learning_starts,
            target_network_update_freq=own.target_update_interval,
            epsilon=_falling(
                own.exploration_initial_eps,
                own.exploration_final_eps,
                own.exploration_fraction * total,
            ),
            replay_buffer_config=buffer,
            dueling=own.dueling,
            double_q=own.double,
            n_step=own.n_steps,
            grad_clip=MAX_GRAD_NORM,
            grad_clip_by="global_norm",
        )
        .rl_module(rl_module_spec=module_spec(learner))
        .callbacks(SessionCallback)
        .reporting(
            min_time_s_per_iteration=None,
            metrics_num_episodes_for_smoothing=RECENT_SESSIONS,
        )
        .debugging(seed=settings.seed, log_level="ERROR")
    )
    return config


def _falling(first: float, last: float, steps: float) -> float | list[list[float]]:
    """Return RLlib's schedule of a number that falls linearly over some steps, and then stays."""
    return first if first == last else [[0, first], [max(1, round(steps)), last]]


@dataclass(frozen=True)
class Report:
    """What RLlib says of an iteration.

    Attributes:
        timesteps: steps of the environments so far.
        updates: of the networks so far.
        sessions: (n, 3) float64, the sessions that ended in it, see `SESSIONS`.
        learning: tag -> value, of its updates; empty if there was none.
    """

    timesteps: int
    updates: int
    sessions: NDArray[np.float64]
    learning: Mapping[str, float]


def read_report(result: Mapping[str, Any], batch_size: int) -> Report:
    """Return what is needed of the result of RLlib's ``train``.

    Args:
        result: of one iteration.
        batch_size: transitions in an update.
    """
    runners = result["env_runners"]
    learners = result.get("learners", {}).get(DEFAULT_MODULE_ID, {})
    # RLlib hands a series of no value as nan.
    sessions = [np.atleast_1d(np.asarray(runners.get(n, ()), dtype=np.float64)) for n in SESSIONS]
    ended = np.stack(sessions, axis=1)
    learning = {
        tag: float(learners.get(name, math.nan))
        for tag, name in (
            ("train/loss", "qf_loss"),
            ("train/td_error", "td_error_mean"),
            ("train/learning_rate", "default_optimizer_learning_rate"),
        )
    }
    return Report(
        timesteps=int(runners["num_env_steps_sampled_lifetime"]),
        updates=round(learners.get("num_module_steps_trained_lifetime", 0) / batch_size),
        sessions=ended[np.isfinite(ended[:, 0])],
        learning={tag: value for tag, value in learning.items() if math.isfinite(value)},
    )
