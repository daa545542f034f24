"""Dueling DQN: Stable-Baselines3's DQN with dueling networks and, if wanted, double targets."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, ClassVar, Self

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import maybe_make_env
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import (
    DictReplayBufferSamples,
    MaybeCallback,
    ReplayBufferSamples,
    Schedule,
    TrainFreq,
)
from stable_baselines3.common.utils import check_for_correct_spaces, get_system_info
from stable_baselines3.dqn import DQN
from stable_baselines3.dqn.policies import DQNPolicy
from torch.nn import functional as F

from agents.model_file import (
    ModelFileError,
    read_model,
    space_from_json,
    space_to_json,
    write_model,
)
from agents.policies import (
    DuelingCnnPolicy,
    DuelingDQNPolicy,
    DuelingMultiInputPolicy,
    argument_from_json,
    argument_to_json,
)

Observations = NDArray[Any] | dict[str, NDArray[Any]]
Samples = ReplayBufferSamples | DictReplayBufferSamples

CHUNK = 16_384
"""Observations valued in one forward pass: many enough to hide its overhead, few enough for the
activations to stay in the cache."""

# Saved under these names, and arguments of the constructor. Left out on purpose: `tensorboard_log`
# and `verbose`, since a stranger's file has no say in where this machine writes.
_HYPERPARAMETERS = (
    "policy",
    "learning_rate",
    "buffer_size",
    "learning_starts",
    "batch_size",
    "tau",
    "gamma",
    "train_freq",
    "gradient_steps",
    "replay_buffer_class",
    "replay_buffer_kwargs",
    "optimize_memory_usage",
    "n_steps",
    "double",
    "target_update_interval",
    "exploration_fraction",
    "exploration_initial_eps",
    "exploration_final_eps",
    "max_grad_norm",
    "stats_window_size",
    "policy_kwargs",
)
_COUNTERS = {  # name in the state -> attribute
    "num_timesteps": "num_timesteps",
    "episodes": "_episode_num",
    "n_updates": "_n_updates",
    "n_calls": "_n_calls",
}


class DuelingDQN(DQN):
    """DQN with dueling networks (Wang et al. 2016) and, if wanted, double targets.

    `DQN` of Stable-Baselines3 in everything but this:

    - The policies are dueling (`agents.policies`). `DQNPolicy` as ``policy`` switches that off.
    - ``double=True`` is double Q-learning (van Hasselt et al. 2016): the online network picks the
      next action, the target network values it.
    - Whether to explore is tossed for each environment by itself, and these coins and the random
      actions are drawn from a generator that the learner owns. (The initial weights and the replay
      batches come from the global generators of torch and numpy as in SB3, which ``seed`` seeds.)
    - With ``gamma=0``, a contextual bandit, no target is computed from the next observations.
    - A saved model is a safetensors file without pickle. `save_replay_buffer` does pickle: load a
      replay buffer only from where you trust.

    With `DQNPolicy` and ``double=False``, `train` gives the same weights as SB3's, bit for bit.

    Logged every `log_interval` episodes, as by SB3: ``rollout/ep_rew_mean``,
    ``rollout/ep_len_mean``, ``rollout/exploration_rate``, ``time/fps``, ``train/loss`` (mean Huber
    loss of the last call of `train`), ``train/learning_rate``.

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
        gradient_steps: updates in a training; -1: as many as steps were taken.
        replay_buffer_class: by default chosen by the observations and ``n_steps``.
        replay_buffer_kwargs: further arguments of it.
        optimize_memory_usage: see SB3's `ReplayBuffer`.
        n_steps: rewards summed before bootstrapping.
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
        seed: of the owned generator, of the environment, and of the global generators of Python,
            numpy and torch. If None, the owned one is seeded by the operating system.
        device: of the networks.

    Raises:
        ValueError: if the actions do not count from 0, or no environment is given.
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
        gradient_steps: int = 1,
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
        # SB3 sets its choice in place of None, and adds to the arguments.
        self._given = {
            "replay_buffer_class": replay_buffer_class,
            "replay_buffer_kwargs": replay_buffer_kwargs,
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
            gradient_steps=gradient_steps,
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
        super()._setup_model()

    def set_random_seed(self, seed: int | None = None) -> None:
        """Seed the owned generator, the environment and, as SB3 does, the global generators."""
        super().set_random_seed(seed)
        # A child: the environment of the same seed draws from the sequence itself, and the coins
        # must not repeat its draws.
        self._generator = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])

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
        n = _n_rows(observations) if is_batch else 1
        values = np.empty((n, int(self.action_space.n)), dtype=np.float32)
        with th.inference_mode():
            for start in range(0, n, CHUNK):
                part = slice(start, start + CHUNK)
                rows = _take(observations, part) if n > CHUNK else observations
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
        n = _n_rows(observation) if is_batch else 1
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

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Update the online network from replayed transitions.

        Args:
            gradient_steps: how many updates.
            batch_size: transitions in each.
        """
        assert self.replay_buffer is not None
        self.policy.set_training_mode(True)
        optimizer = self.policy.optimizer
        self._update_learning_rate(optimizer)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        losses = []
        for _ in range(gradient_steps):
            samples = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)
            targets = self._targets(samples)
            values = self.q_net(samples.observations).gather(1, samples.actions.long())
            loss = self._loss(values, targets, samples)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            th.nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
            optimizer.step()
            losses.append(loss.detach())
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        # Read at the end, as reading a number from a device waits for all its work.
        self.logger.record("train/loss", np.mean(th.stack(losses).tolist()))

    def _targets(self, samples: Samples) -> th.Tensor:
        """Return the (batch, 1) values which the network should give for the actions taken."""
        discounts: Any = self.gamma if samples.discounts is None else samples.discounts
        if not (discounts.any() if isinstance(discounts, th.Tensor) else discounts):
            return samples.rewards
        with th.no_grad():
            next_values = self.q_net_target(samples.next_observations)
            if self.double:
                picks = self.q_net(samples.next_observations).argmax(dim=1, keepdim=True)
                next_values = next_values.gather(1, picks)
            else:
                next_values = next_values.max(dim=1, keepdim=True).values
            targets: th.Tensor = samples.rewards + (1 - samples.dones) * discounts * next_values
        return targets

    def _loss(self, values: th.Tensor, targets: th.Tensor, samples: Samples) -> th.Tensor:
        """Return the mean Huber loss of (batch, 1) values; `samples` are what they belong to."""
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
            next_obs = _with_terminal_observations(new_obs, ended, infos)
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

    # --- State and files --------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Return what learning has changed but for the replay buffer, as copies.

        Returns:
            Counters and the generator's state, which JSON can say, and ``tensors``: the weights
            (``policy.*``), the optimiser's moments (``optimizer.<parameter>.*``) and the present
            observations (``last_obs``, or ``last_obs.<key>``), as arrays by name.
        """
        tensors = {f"policy.{name}": t for name, t in self.policy.state_dict().items()}
        for index, moments in self.policy.optimizer.state_dict()["state"].items():
            for name, moment in moments.items():
                if moment is not None:
                    tensors[f"optimizer.{index}.{name}"] = th.as_tensor(moment)
        arrays = {name: t.detach().cpu().numpy().copy() for name, t in tensors.items()}
        if isinstance(self._last_obs, dict):
            arrays |= {f"last_obs.{key}": obs.copy() for key, obs in self._last_obs.items()}
        elif self._last_obs is not None:
            arrays["last_obs"] = self._last_obs.copy()
        return {
            **{name: getattr(self, attribute) for name, attribute in _COUNTERS.items()},
            "progress_remaining": self._current_progress_remaining,
            "exploration_rate": self.exploration_rate,
            "generator": self._generator.bit_generator.state,
            "tensors": arrays,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `get_state` returned.

        Raises:
            ValueError: if the arrays do not fit the networks, or something is missing or malformed.
        """
        try:
            counters = {a: int(state[name]) for name, a in _COUNTERS.items()}
            progress, rate = float(state["progress_remaining"]), float(state["exploration_rate"])
            tensors = state["tensors"]
            parameters = _parameters(tensors, self.policy.optimizer)
            super().set_parameters(parameters, device=self.device)  # type: ignore[arg-type]
            self._generator.bit_generator.state = state["generator"]
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"not the state of this learner: {error}") from error
        for attribute, count in counters.items():
            setattr(self, attribute, count)
        self._current_progress_remaining, self.exploration_rate = progress, rate
        keyed = {key: tensors[f"last_obs.{key}"].copy() for key in _keys(tensors, "last_obs.")}
        last_obs = tensors.get("last_obs")
        self._last_obs = keyed or (None if last_obs is None else last_obs.copy())
        if self._vec_normalize_env is not None and self._last_obs is not None:
            self._last_original_obs = self._vec_normalize_env.get_original_obs()

    def save(self, path: Any, exclude: Any = None, include: Any = None) -> None:
        """Save the learner as one safetensors file (`agents.model_file`), without pickle.

        Hyperparameters, spaces, weights, the optimiser's moments, counters and the generator's
        state are kept; the replay buffer, the environment, ``tensorboard_log`` and ``verbose`` are
        not. Schedules of SB3 and classes that the project, SB3 or torch have are kept by numbers
        and names; of other objects only the name is, for `load` to ask for.

        Args:
            path: where to; ``.safetensors`` is added where there is no suffix. Callbacks that name
                the file themselves may ask for ``.zip``: the content is the same.
            exclude: as for `include`, must be None: the file holds what `load` needs.
            include: see `exclude`.
        """
        if exclude is not None or include is not None:
            raise ValueError("DuelingDQN.save takes neither `exclude` nor `include`")
        state = self.get_state()
        tensors = state.pop("tensors")
        config = {
            "hyperparameters": {n: argument_to_json(self._argument(n)) for n in _HYPERPARAMETERS},
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "n_envs": self.n_envs,
            "seed": self.seed,
            "state": state,
        }
        write_model(path, algorithm=type(self).__name__, config=config, tensors=tensors)

    def _argument(self, name: str) -> Any:
        """Return an argument of the constructor as it was given."""
        if name in self._given:
            return self._given[name]
        if name == "policy":
            aliases = {policy: alias for alias, policy in self.policy_aliases.items()}
            return aliases.get(self.policy_class, self.policy_class)
        if name == "train_freq" and isinstance(self.train_freq, TrainFreq):
            return self.train_freq.frequency, self.train_freq.unit.value
        return getattr(self, "_stats_window_size" if name == "stats_window_size" else name)

    @classmethod
    def load(
        cls,
        path: Any,
        env: Any = None,
        device: th.device | str = "auto",
        custom_objects: dict[str, Any] | None = None,
        print_system_info: bool = False,
        force_reset: bool = True,
        **kwargs: Any,
    ) -> Self:
        """Load a learner; nothing in the file is executed.

        Its random generator goes on where it stood. The replay buffer is empty. The environment is
        neither seeded nor reset, nor are global generators seeded, unless ``seed`` is given.

        Args:
            path: as given to `save`.
            env: to go on learning in; may have another number of environments. None for
                predicting; then ``buffer_size=1`` saves the memory of the replay buffer.
            device: of the networks.
            custom_objects: objects for the names in the file which are not of the project, SB3 or
                torch: ``{"package.module.Class": Class}``. As in SB3, names of arguments too.
            print_system_info: print the present versions.
            force_reset: reset the environment before learning goes on. False if it stands where
                it stood when the learner was saved.
            kwargs: arguments of the constructor that replace the saved ones.

        Raises:
            FileNotFoundError: if there is no such file.
            ModelFileError: if the file is not a learner of this class, or uses a class that must
                be given in `custom_objects`.
            ValueError: if the spaces of `env` are not those of the learner.
        """
        if print_system_info:
            get_system_info()
        custom_objects = custom_objects or {}
        given = {n: custom_objects[n] for n in _HYPERPARAMETERS if n in custom_objects} | kwargs
        # Not for the constructor: it would send the environment back to its first episodes.
        new_seed = given.pop("seed", None)
        file = read_model(path, algorithm=cls.__name__)
        try:
            saved = file.config["hyperparameters"]
            arguments = {
                name: argument_from_json(saved[name], custom_objects)
                for name in _HYPERPARAMETERS
                if name not in given
            }
            observation_space = space_from_json(file.config["observation_space"])
            action_space = space_from_json(file.config["action_space"])
            n_envs, seed = file.config["n_envs"], file.config["seed"]
            state = {**file.config["state"], "tensors": file.tensors}
        except (KeyError, TypeError, RecursionError) as error:
            raise ModelFileError(f"{path} is not a whole {cls.__name__}: {error!r}") from error
        if env is not None:
            env = cls._wrap_env(maybe_make_env(env, 0))
            check_for_correct_spaces(env, observation_space, action_space)
        model = cls(env=env, device=device, _init_setup_model=False, **arguments, **given)
        if env is None:
            model.observation_space, model.action_space = observation_space, action_space  # type: ignore[assignment]
            model.n_envs = n_envs
        model._setup_model()
        try:
            model.set_state(state)
        except ValueError as error:
            raise ModelFileError(f"{path} is not a whole {cls.__name__}: {error}") from error
        model.seed = seed if new_seed is None else new_seed
        if new_seed is not None:
            model.set_random_seed(new_seed)
        if force_reset:
            model._last_obs = None
        return model

    def set_parameters(
        self,
        load_path_or_dict: Any,
        exact_match: bool = True,
        device: th.device | str = "auto",
    ) -> None:
        """Take over weights and moments from a saved learner, or from what `get_parameters` gave.

        Args:
            load_path_or_dict: path, or ``{"policy": state_dict, "policy.optimizer": state_dict}``.
            exact_match: see Stable-Baselines3.
            device: see Stable-Baselines3.
        """
        if not isinstance(load_path_or_dict, dict):
            tensors = read_model(load_path_or_dict, algorithm=type(self).__name__).tensors
            load_path_or_dict = _parameters(tensors, self.policy.optimizer)
        super().set_parameters(load_path_or_dict, exact_match, device)


def _n_rows(observations: Observations) -> int:
    array = next(iter(observations.values())) if isinstance(observations, dict) else observations
    return len(array)


def _take(observations: Observations, rows: slice) -> Observations:
    if isinstance(observations, dict):
        return {key: array[rows] for key, array in observations.items()}
    return observations[rows]


def _with_terminal_observations(
    observations: Observations, ended: NDArray[np.intp], infos: list[dict[str, Any]]
) -> Observations:
    """Return a copy with the last observations of the episodes that ended, not the next first."""
    result = deepcopy(observations)
    for i in ended:
        terminal = infos[i].get("terminal_observation")
        if terminal is None:
            continue
        if isinstance(result, dict):
            for key, array in result.items():
                array[i] = terminal[key]
        else:
            result[i] = terminal
    return result


def _keys(tensors: Mapping[str, Any], prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in tensors if name.startswith(prefix)]


def _parameters(
    tensors: Mapping[str, NDArray[Any]], optimizer: th.optim.Optimizer
) -> dict[str, dict[str, Any]]:
    """Return SB3's nested dictionary of state dicts from the arrays of `get_state`."""
    # Copies, as an optimiser goes on writing into the moments that it is given.
    weights = {name: th.tensor(tensors[f"policy.{name}"]) for name in _keys(tensors, "policy.")}
    moments: dict[int, dict[str, th.Tensor]] = {}
    for name in _keys(tensors, "optimizer."):
        index, _, moment = name.partition(".")
        moments.setdefault(int(index), {})[moment] = th.tensor(tensors[f"optimizer.{name}"])
    # Groups hold hyperparameters, which this optimiser has from its own constructor.
    groups = optimizer.state_dict()["param_groups"]
    return {"policy": weights, "policy.optimizer": {"state": moments, "param_groups": groups}}
