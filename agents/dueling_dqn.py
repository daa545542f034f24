"""Dueling DQN: Stable-Baselines3's DQN, dueling, and if wanted double, prioritized and n-step."""

from __future__ import annotations

import operator
from typing import Any, ClassVar, Self

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import (
    DictReplayBufferSamples,
    MaybeCallback,
    ReplayBufferSamples,
    Schedule,
)
from stable_baselines3.dqn.policies import DQNPolicy
from torch.nn import functional as F

from agents.n_step import end_trajectories, replay_buffer_arguments
from agents.observations import Observations, n_rows, take, with_terminal_observations
from agents.policies import DuelingCnnPolicy, DuelingDQNPolicy, DuelingMultiInputPolicy
from agents.replay import PrioritizedReplayBuffer, PrioritizedSamples
from agents.saved_dqn import SavedDQN

Samples = ReplayBufferSamples | DictReplayBufferSamples | PrioritizedSamples

CHUNK = 16_384
"""Observations valued in one forward pass: many enough to hide its overhead, few enough for the
activations to stay in the cache."""


class DuelingDQN(SavedDQN):
    """DQN with dueling networks (Wang et al. 2016) and, if wanted, three other improvements.

    Four switches that do not know each other, all of whose mixtures work on ``Box`` observations:

    - Dueling is the network, ``policy``: the named ones are dueling (`agents.policies`), SB3's
      `DQNPolicy` is not.
    - Double is the target, ``double=True`` (van Hasselt et al. 2016): the online network picks the
      next action, the target network values it.
    - Prioritized is the buffer, ``replay_buffer_class=agents.PrioritizedReplayBuffer`` (Schaul et
      al. 2016, proportional): the loss is then weighed by its importance weights, and its beta
      moves with the progress of `learn`.
    - ``n_steps`` rewards are summed before bootstrapping, in SB3's `NStepReplayBuffer`, the
      prioritized one, or another that takes ``n_steps`` (SB3 ignores them there). Returns are not
      corrected for exploration, as in Rainbow (Hessel et al. 2018).

    With `DQNPolicy`, and whatever ``n_steps``, `train` gives the same weights as SB3's, bit for
    bit, when neither double nor prioritized.

    `DQN` of Stable-Baselines3 in everything else but this:

    - Whether to explore is tossed for each environment by itself, and these coins and the random
      actions are drawn from a generator that the learner owns, as are prioritized batches. (The
      initial weights and uniform batches come from the global generators of torch and numpy as in
      SB3, which ``seed`` seeds.)
    - With ``gamma=0``, a contextual bandit, no target is computed from the next observations.
    - With n-step returns, an episode that `learn` breaks off by a reset counts as truncated.
    - A saved model is a safetensors file without pickle. `save_replay_buffer` does pickle: load a
      replay buffer only from where you trust.

    Deviations from the papers:

    1. Wang et al. multiply the gradient that enters the shared layers by 1/sqrt(2): here if
       ``policy_kwargs=dict(rescale_gradients=True)``. Their clipping of the gradient's norm to 10
       is the default.
    2. All of them clip TD errors to [-1, 1] and use RMSProp; here the loss is Huber's, which has
       the same gradient, and the optimiser Adam, as in SB3.
    3. Schaul et al. clip the TD errors of priorities as well; here they are not clipped.
    4. Schaul et al. divide the step size by 4 with priorities; here ``learning_rate`` is as given.
    5. Schaul et al. combine priorities with double Q-learning; here ``double`` decides.

    Logged every `log_interval` episodes, as by SB3: ``rollout/ep_rew_mean``,
    ``rollout/ep_len_mean``, ``rollout/exploration_rate``, ``time/fps``, ``train/loss`` (mean Huber
    loss of the last call of `train`, importance weights included), ``train/learning_rate``.

    Args:
        policy: ``"MlpPolicy"``, ``"CnnPolicy"``, ``"MultiInputPolicy"`` (for ``Dict``
            observations), or a subclass of `DQNPolicy`.
        env: an environment, a `VecEnv`, or the id of a registered environment.
        learning_rate: of the optimiser; or a function of the progress remaining (1 to 0).
        buffer_size: transitions kept for replay.
        learning_starts: steps taken at random before the first update.
        batch_size: transitions in an update.
        tau: share of the online weights in a target update; 1 copies them.
        gamma: discount, in [0, 1].
        train_freq: steps of the environments from one training to the next, or
            ``(n, "step" or "episode")``.
        gradient_steps: updates in a training; -1: as many as steps were taken. Or a function of the
            progress remaining (1 to 0), rounded: replaying much while there is little data, less
            later on, costs little and needs fewer steps of the environment.
        replay_buffer_class: by default chosen by the observations and ``n_steps``;
            `agents.PrioritizedReplayBuffer` for prioritized replay.
        replay_buffer_kwargs: further arguments of it, for instance ``dict(alpha=0.5)``.
        optimize_memory_usage: see SB3's `ReplayBuffer`.
        n_steps: rewards summed before bootstrapping; 1 for ``Dict`` observations.
        double: double Q-learning targets.
        target_update_interval: steps from one target update to the next.
        exploration_fraction: share of the training over which the exploration rate falls linearly.
        exploration_initial_eps: exploration rate at the start.
        exploration_final_eps: exploration rate after that share.
        max_grad_norm: to which the norm of the gradient is clipped; 10 as in Wang et al. (2016).
        stats_window_size: episodes over which the rollout figures are averaged.
        tensorboard_log: folder for TensorBoard's files, none if None.
        policy_kwargs: arguments of the policy, see `agents.policies.DuelingDQNPolicy`.
        verbose: 0 for no output, 1 for info messages, 2 for debug messages.
        seed: of the owned generators (one explores, one draws prioritized batches), of the
            environment, and of the global generators of Python, numpy and torch. If None, the owned
            ones are seeded by the operating system.
        device: of the networks.

    Raises:
        TypeError: if `n_steps` or `gradient_steps` is no integer.
        ValueError: if the actions do not count from 0, no environment is given, `gamma` is not in
            [0, 1], or the replay buffer does not suit `n_steps`, the observations or
            `optimize_memory_usage`.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": DuelingDQNPolicy,
        "CnnPolicy": DuelingCnnPolicy,
        "MultiInputPolicy": DuelingMultiInputPolicy,
    }
    action_space: spaces.Discrete[Any]

    def __init__(
        self,
        policy: str | type[DQNPolicy] = "MlpPolicy",
        env: Any = None,
        *,
        learning_rate: float | Schedule = 1e-4,
        buffer_size: int = 1_000_000,
        learning_starts: int = 100,
        batch_size: int = 32,
        tau: float = 1.0,
        gamma: float = 0.99,
        train_freq: int | tuple[int, str] = 4,
        gradient_steps: int | Schedule = 1,
        replay_buffer_class: type[ReplayBuffer] | None = None,
        replay_buffer_kwargs: dict[str, Any] | None = None,
        optimize_memory_usage: bool = False,
        n_steps: int = 1,
        double: bool = False,
        target_update_interval: int = 10_000,
        exploration_fraction: float = 0.1,
        exploration_initial_eps: float = 1.0,
        exploration_final_eps: float = 0.05,
        max_grad_norm: float = 10,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: th.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        if env is None and _init_setup_model:
            raise ValueError("an environment is missing: DuelingDQN(env=...)")
        if not callable(gradient_steps):
            # Also numpy's, which could not be saved as JSON; a fraction is a TypeError.
            gradient_steps = operator.index(gradient_steps)
        # SB3 sets its choice in place of None, and adds to the arguments.
        self._given = {
            "replay_buffer_class": replay_buffer_class,
            "replay_buffer_kwargs": replay_buffer_kwargs,
            "gradient_steps": gradient_steps,
        }
        self.double = double
        super().__init__(
            policy,
            env,
            learning_rate=learning_rate,
            buffer_size=buffer_size,
            learning_starts=learning_starts,
            batch_size=batch_size,
            tau=tau,
            gamma=gamma,
            train_freq=train_freq,
            gradient_steps=_at(gradient_steps, 1.0),
            replay_buffer_class=replay_buffer_class,
            replay_buffer_kwargs=dict(replay_buffer_kwargs or {}),
            optimize_memory_usage=optimize_memory_usage,
            n_steps=n_steps,
            target_update_interval=target_update_interval,
            exploration_fraction=exploration_fraction,
            exploration_initial_eps=exploration_initial_eps,
            exploration_final_eps=exploration_final_eps,
            max_grad_norm=max_grad_norm,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=_init_setup_model,
        )

    def _setup_model(self) -> None:
        if int(self.action_space.start) != 0:
            raise ValueError(
                f"the actions are columns of the network and count from 0, but the environment "
                f"has {self.action_space}: shift them with gymnasium.wrappers.TransformAction"
            )
        if not 0 <= self.gamma <= 1:
            raise ValueError(f"gamma must be in [0, 1], got {self.gamma}")
        n_steps = self.n_steps
        self.replay_buffer_kwargs = replay_buffer_arguments(
            self.replay_buffer_class,
            self.replay_buffer_kwargs,
            observation_space=self.observation_space,
            n_steps=n_steps,
            gamma=self.gamma,
        )
        if self.replay_buffer_class is not None:
            self.n_steps = 1  # or SB3 warns that n_steps is ignored, which it is no longer
        super()._setup_model()
        self.n_steps = n_steps
        self._seed_replay_buffer(self._replay_seed)

    def set_random_seed(self, seed: int | None = None) -> None:
        """Seed the owned generators, the environment and, as SB3 does, the global generators."""
        super().set_random_seed(seed)
        # Children: the environment of the same seed draws from the sequence itself, and the coins
        # must not repeat its draws.
        own, self._replay_seed = np.random.SeedSequence(seed).spawn(2)
        self._generator = np.random.default_rng(own)
        self._seed_replay_buffer(self._replay_seed)

    # --- Values and actions -----------------------------------------------------------------------

    def q_values(self, observations: Observations | int) -> NDArray[np.float32]:
        """Return the action values of some observations, however many.

        They are valued `CHUNK` at a time, so that a million observations need no more memory than
        their values.

        Args:
            observations: whatever `predict` accepts: a batch of n, or one (then n is 1).

        Returns:
            (n, n_actions) float32.
        """
        self.policy.set_training_mode(False)
        if not isinstance(observations, dict):
            observations = np.asarray(observations)
        is_batch = self.policy.is_vectorized_observation(observations)
        n = n_rows(observations) if is_batch else 1
        values = np.empty((n, int(self.action_space.n)), dtype=np.float32)
        with th.inference_mode():
            for start in range(0, n, CHUNK):
                part = slice(start, start + CHUNK)
                rows = take(observations, part) if n > CHUNK else observations
                tensor, _ = self.policy.obs_to_tensor(rows)
                values[part] = self.q_net(tensor).cpu().numpy()
        return values

    def predict(
        self,
        observation: Observations,
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], tuple[NDArray[Any], ...] | None]:
        """Return the actions for some observations.

        Args:
            observation: a batch of n observations, or one.
            state: handed back.
            episode_start: not used.
            deterministic: if True, the greedy actions; if False, those which the learner would
                take now, exploration included: this draws from its generator.

        Returns:
            (n,) int64 actions, () for one observation, and `state`.
        """
        if deterministic or self.exploration_rate <= 0:
            return self.policy.predict(observation, state, episode_start, deterministic)
        is_batch = self.policy.is_vectorized_observation(observation)
        n = n_rows(observation) if is_batch else 1
        explores = self._generator.random(n) < self.exploration_rate
        actions = self._random_actions(n)
        if not explores.all():
            greedy, state = self.policy.predict(observation, state, episode_start, deterministic)
            actions = np.where(explores, actions, greedy)
        return actions if is_batch else actions.reshape(()), state

    def _random_actions(self, n: int) -> NDArray[np.int64]:
        return self._generator.integers(int(self.action_space.n), size=n)

    def _sample_action(
        self,
        learning_starts: int,
        action_noise: ActionNoise | None = None,
        n_envs: int = 1,
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return (n_envs,) actions to take, and the same to store."""
        if self.num_timesteps < learning_starts:
            actions: NDArray[Any] = self._random_actions(n_envs)
        else:
            assert self._last_obs is not None
            actions, _ = self.predict(self._last_obs)
        return actions, actions

    # --- Learning ---------------------------------------------------------------------------------

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int | None = 4,
        tb_log_name: str = "DuelingDQN",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Learn from steps of the environment.

        Args:
            total_timesteps: steps to take, counted over all environments; the last training may
                overshoot.
            callback: called after each step of the environments; training stops when one returns
                False.
            log_interval: episodes from one logging to the next; None leaves it to the callbacks,
                which call `dump_logs`.
            tb_log_name: name of the run for TensorBoard.
            reset_num_timesteps: if False, go on counting, and do not reset the environment.
            progress_bar: show one.

        Returns:
            The learner itself.
        """
        return super().learn(
            total_timesteps,
            callback,
            log_interval,  # type: ignore[arg-type]
            tb_log_name,
            reset_num_timesteps,
            progress_bar,
        )

    def _setup_learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        reset_num_timesteps: bool = True,
        tb_log_name: str = "run",
        progress_bar: bool = False,
    ) -> tuple[int, BaseCallback]:
        """Prepare `learn`; it resets the environment where the first condition holds."""
        if (reset_num_timesteps or self._last_obs is None) and self.replay_buffer is not None:
            end_trajectories(self.replay_buffer)
        return super()._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )

    def _update_current_progress_remaining(self, num_timesteps: int, total_timesteps: int) -> None:
        super()._update_current_progress_remaining(num_timesteps, total_timesteps)
        # SB3 reads the number after the steps from which this is called, before the training.
        self.gradient_steps = _at(self._given["gradient_steps"], self._current_progress_remaining)

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Update the online network from replayed transitions.

        Args:
            gradient_steps: how many updates.
            batch_size: transitions in each.
        """
        buffer = self.replay_buffer
        assert buffer is not None
        if isinstance(buffer, PrioritizedReplayBuffer):
            buffer.set_progress(1 - self._current_progress_remaining)
        self.policy.set_training_mode(True)
        optimizer = self.policy.optimizer
        self._update_learning_rate(optimizer)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        losses = []
        for _ in range(gradient_steps):
            samples: Samples = buffer.sample(batch_size, env=self._vec_normalize_env)
            targets = self._targets(samples)
            values = self._values_taken(samples)
            loss = self._loss(values, targets, samples)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            th.nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
            optimizer.step()
            if isinstance(buffer, PrioritizedReplayBuffer):
                assert isinstance(samples, PrioritizedSamples)
                errors = (targets - values.detach()).squeeze(1).cpu().numpy()
                buffer.update_priorities(samples.indices, errors)
            losses.append(loss.detach())
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        # Read at the end, as reading a number from a device waits for all its work.
        self.logger.record("train/loss", np.mean(th.stack(losses).tolist()))

    def _values_taken(self, samples: Samples) -> th.Tensor:
        """Return the (batch, 1) values of the actions taken.

        A network that can value them without all others (``values_taken``) is asked for no more.
        """
        actions = samples.actions.long()
        of_taken = getattr(self.q_net, "values_taken", None)
        values: th.Tensor
        if of_taken is None:
            values = self.q_net(samples.observations).gather(1, actions)
        else:
            values = of_taken(samples.observations, actions)
        return values

    def _targets(self, samples: Samples) -> th.Tensor:
        """Return the (batch, 1) values which the network should give for the actions taken."""
        discounts: Any = self.gamma if samples.discounts is None else samples.discounts
        if not (discounts.any() if isinstance(discounts, th.Tensor) else discounts):
            return samples.rewards
        with th.no_grad():
            next_values = self.q_net_target(samples.next_observations)
            if self.double:
                next_values = next_values.gather(1, self._picks(samples.next_observations))
            else:
                next_values = next_values.max(dim=1, keepdim=True).values
            targets: th.Tensor = samples.rewards + (1 - samples.dones) * discounts * next_values
        return targets

    def _picks(self, observations: Any) -> th.Tensor:
        """Return the online network's greedy (batch, 1) actions, those which `predict` takes.

        That is without dropout or a batch's own statistics, as the target network's values are.
        """
        training = self.q_net.training
        self.q_net.set_training_mode(False)
        picks: th.Tensor = self.q_net(observations).argmax(dim=1, keepdim=True)
        self.q_net.set_training_mode(training)
        return picks

    def _loss(self, values: th.Tensor, targets: th.Tensor, samples: Samples) -> th.Tensor:
        """Return the mean Huber loss of (batch, 1) values; `samples` are what they belong to."""
        if isinstance(samples, PrioritizedSamples):
            losses = F.smooth_l1_loss(values, targets, reduction="none")  # (batch, 1)
            return (samples.weights * losses).mean()
        loss: th.Tensor = F.smooth_l1_loss(values, targets)
        return loss

    def _store_transition(
        self,
        replay_buffer: ReplayBuffer,
        buffer_action: NDArray[Any],
        new_obs: Observations,
        reward: NDArray[Any],
        dones: NDArray[np.bool_],
        infos: list[dict[str, Any]],
    ) -> None:
        """Store a step of the environments as SB3 does, looking only at those which ended."""
        if self._vec_normalize_env is not None:
            super()._store_transition(replay_buffer, buffer_action, new_obs, reward, dones, infos)
            return
        ended = np.flatnonzero(dones)
        if len(ended):
            next_obs = with_terminal_observations(new_obs, ended, infos)
        else:
            # The buffer copies arrays, but may replace the entries of a dictionary.
            next_obs = dict(new_obs) if isinstance(new_obs, dict) else new_obs
        assert self._last_obs is not None
        replay_buffer.add(self._last_obs, next_obs, buffer_action, reward, dones, infos)  # type: ignore[arg-type]
        self._last_obs = new_obs

    def _update_info_buffer(
        self, infos: list[dict[str, Any]], dones: NDArray[np.bool_] | None = None
    ) -> None:
        """Note the statistics of the episodes that ended, which no other info holds."""
        if dones is not None:
            ended = np.flatnonzero(dones)
            infos, dones = [infos[i] for i in ended], dones[ended]
        super()._update_info_buffer(infos, dones)


def _at(gradient_steps: int | Schedule, progress_remaining: float) -> int:
    """Return the updates in a training at some point of `learn`."""
    if callable(gradient_steps):
        return max(0, round(gradient_steps(progress_remaining)))
    return gradient_steps
