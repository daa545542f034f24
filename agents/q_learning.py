"""Tabular Q-learning and its relatives on the same table, with Stable-Baselines3's interface."""

from __future__ import annotations

import sys
from typing import Any, ClassVar, get_args

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.utils import FloatSchedule, LinearSchedule, safe_mean

from agents.bootstrap import (
    Bootstrap,
    ExpectedValue,
    GreatestValue,
    OtherTable,
    TakenAction,
    Target,
)
from agents.tabular import TabularPolicy, q_learning_update
from agents.tabular_algorithm import TabularAlgorithm
from music_env.naming import nearest

_GREATEST_VALUE = GreatestValue()


class QLearning(TabularAlgorithm):
    """Tabular Q-learning (Watkins & Dayan 1992; Sutton & Barto 2018, section 6.5).

    For any environment whose observations and actions are both ``Discrete``. After each step of
    the environments, the transitions update the table one after another, in the environments'
    order (`q_learning_update`). The step bootstraps unless the episode `terminated`; a time limit
    does not count as an end. With probability `exploration_rate`, tossed for each environment by
    itself, the action is uniformly random; otherwise it is greedy, ties broken at random.

    Q-learning bootstraps from the greatest value of the next state. Other values of `target` put
    in its place:

    - ``"sarsa"`` (Rummery & Niranjan 1994; Sutton & Barto 2018, section 6.4): the value of the
      action that is taken next. It is chosen before the update, at the exploration rate of the
      step just taken, and taken in the next step of the environments. Where a time limit ended
      the episode, it is an action that the learner would choose in the episode's last state.
    - ``"expected-sarsa"`` (van Seijen et al. 2009; section 6.6): the expectation under the
      epsilon-greedy policy of the table, at the exploration rate of the step just taken. The
      count bonus has no part in it.
    - ``"double"`` (van Hasselt 2010; section 6.7): of two tables, a fair coin for each transition
      decides which one learns; it picks the next state's best action, the other one gives its
      value. A value that is large by chance is then not preferred and believed at once, which is
      what biases Q-learning upwards. The learner acts on the mean of both.

    With ``gamma=0`` nothing is bootstrapped: all four learn and draw the same, bit for bit.

    Two deviations from Stable-Baselines3's DQN: a callback sees the learner *after* the update by
    the step's transitions, so what it saves has learnt from all of ``num_timesteps``; and no global
    random generator is seeded or drawn from.

    Logged, every `log_interval` episodes: ``rollout/ep_rew_mean``, ``rollout/ep_len_mean``,
    ``rollout/success_rate`` (if the environment tells), ``rollout/exploration_rate``,
    ``time/episodes``, ``time/fps``, ``time/time_elapsed`` [s], ``time/total_timesteps``,
    ``train/learning_rate``, ``train/n_updates`` (transitions learnt from) and ``train/td_error``
    (mean absolute temporal-difference error since the last time).

    Args:
        policy: ``"TabularPolicy"`` or a subclass of `TabularPolicy`.
        env: an environment, a `VecEnv`, or the id of a registered environment.
        learning_rate: step size, in [0, 1]; or a function of the progress remaining (1 to 0).
            1 is right where nothing is random. Where rewards or transitions are, one that falls
            to 0, such as ``LinearSchedule(0.1, 0.0, 1.0)``, averages the noise out.
        gamma: discount, in [0, 1].
        exploration_fraction: share of the training, in (0, 1], over which the exploration rate
            falls linearly.
        exploration_initial_eps: exploration rate at the start, in [0, 1].
        exploration_final_eps: exploration rate after that share, in [0, 1].
        exploration_rate_schedule: if given, the exploration rate, as a number or as a function of
            the progress remaining (1 to 0), in place of the three above.
        initial_value: of the whole table. One above the attainable return is optimistic: it makes
            the greedy policy try every action (Sutton & Barto 2018, section 2.6).
        target: what to bootstrap from: ``"q-learning"``, ``"sarsa"``, ``"expected-sarsa"`` or
            ``"double"``.
        count_bonus: if above 0, the greedy choice while learning is by ``Q[s, a] + count_bonus /
            sqrt(visits[s, a])``, and an action never tried comes first. It is the bonus of MBIE-EB
            (Strehl & Littman 2008), in units of a return, used as UCB1 (Auer et al. 2002) uses
            its own: in the choice alone. The table stays an estimate of returns, by which
            deterministic predictions are made; so the bonus does not draw to rare states further
            on, as an optimistic `initial_value` does.
        stats_window_size: episodes over which the rollout figures are averaged.
        tensorboard_log: folder for TensorBoard's files, none if None.
        verbose: 0 for no output, 1 for info messages, 2 for debug messages.
        seed: of the learner's random generator, and of the environment. If None, drawn from the
            operating system.
        device: accepted for the interface; the table lies in main memory.

    Raises:
        ValueError: if the spaces are not ``Discrete``, or a hyperparameter is out of its range.

    Attributes:
        visits: (n_states, n_actions) int64, how often each cell was updated; of two tables, how
            often either one was.
        exploration_rate: the present one.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"TabularPolicy": TabularPolicy}
    hyperparameters = (
        "learning_rate",
        "gamma",
        "exploration_fraction",
        "exploration_initial_eps",
        "exploration_final_eps",
        "exploration_rate_schedule",
        "initial_value",
        "target",
        "count_bonus",
        "stats_window_size",
    )
    later_hyperparameters: ClassVar[dict[str, Any]] = {"target": "q-learning", "count_bonus": 0.0}

    def __init__(
        self,
        policy: str | type[TabularPolicy] = "TabularPolicy",
        env: Any = None,
        *,
        learning_rate: float | Schedule = 0.1,
        gamma: float = 0.99,
        exploration_fraction: float = 0.1,
        exploration_initial_eps: float = 1.0,
        exploration_final_eps: float = 0.05,
        exploration_rate_schedule: float | Schedule | None = None,
        initial_value: float = 0.0,
        target: Target = "q-learning",
        count_bonus: float = 0.0,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: th.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        if not (policy in self.policy_aliases or _is_tabular(policy)):
            raise ValueError(
                f"unknown policy {policy!r}: expected 'TabularPolicy'. The environment is the "
                "second argument: QLearning(env=...)"
            )
        if env is None and _init_setup_model:
            raise ValueError("an environment is missing: QLearning(env=...)")
        super().__init__(
            policy,
            env,
            learning_rate,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            device="cpu",
            support_multi_env=True,
            seed=seed,
        )
        shares = {
            "gamma": gamma,
            "exploration_fraction": exploration_fraction,
            "exploration_initial_eps": exploration_initial_eps,
            "exploration_final_eps": exploration_final_eps,
        }
        if not callable(learning_rate):
            shares["learning_rate"] = learning_rate
        for name, value in shares.items():
            _check(name, value, 0.0, 1.0)
        _check("exploration_fraction", exploration_fraction, sys.float_info.min, 1.0)
        _check("initial_value", initial_value, -sys.float_info.max, sys.float_info.max)
        _check("count_bonus", count_bonus, 0.0, sys.float_info.max)
        if target not in get_args(Target):
            raise ValueError(
                f"target must be one of {', '.join(get_args(Target))}, not {target!r}."
                + nearest(str(target), get_args(Target))
            )
        self.gamma = gamma
        self.exploration_fraction = exploration_fraction
        self.exploration_initial_eps = exploration_initial_eps
        self.exploration_final_eps = exploration_final_eps
        self.exploration_rate_schedule = exploration_rate_schedule
        self.initial_value = initial_value
        self.target = target
        self.count_bonus = count_bonus
        self.stats_window_size = stats_window_size
        self._td_error_sum, self._td_error_count = 0.0, 0
        if _init_setup_model:
            self._setup_model()

    # --- Set-up -----------------------------------------------------------------------------------

    def _setup_model(self) -> None:
        for kind, space in (
            ("observations", self.observation_space),
            ("actions", self.action_space),
        ):
            if not isinstance(space, spaces.Discrete):
                raise ValueError(
                    f"QLearning keeps a table and needs Discrete {kind}, not {space} "
                    "(MusicRec-v0 has Discrete observations with encoding='hash' or 'profile')"
                )
        self._setup_lr_schedule()
        schedule = self.exploration_rate_schedule
        if schedule is None:
            schedule = LinearSchedule(
                self.exploration_initial_eps, self.exploration_final_eps, self.exploration_fraction
            )
        self.exploration_schedule = FloatSchedule(schedule)
        self._update_progress(self._current_progress_remaining)
        self.policy = self.policy_class(  # type: ignore[assignment]
            self.observation_space,
            self.action_space,
            self.lr_schedule,
            initial_value=self.initial_value,
            n_tables=2 if self.target == "double" else 1,
        )
        self.visits = np.zeros(self.q_table.shape, dtype=np.int64)
        self.set_random_seed(self.seed)

    def _update_progress(self, remaining: float) -> None:
        self._current_progress_remaining = remaining
        self.exploration_rate = self.exploration_schedule(remaining)

    # --- Actions ----------------------------------------------------------------------------------

    def predict(
        self,
        observation: NDArray[Any] | dict[str, NDArray[Any]] | int,
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], tuple[NDArray[Any], ...] | None]:
        """Return the actions for some observations.

        Args:
            observation: (n,) integers, or one.
            state: handed back.
            episode_start: not used.
            deterministic: if True, the greedy actions, the first one where several are best; if
                False, those which the learner would choose now, exploration included: this draws
                from its generator.

        Returns:
            The actions, int64 of the observations' shape, and `state`.

        Raises:
            ValueError: if an observation is none of the space.
        """
        states = self._states(observation)
        rows = np.atleast_1d(states)
        values = self.policy.action_values(rows)
        if self.count_bonus and not deterministic:
            values += self._bonus(rows)
        actions = (
            values.argmax(axis=1)
            if deterministic
            else self._epsilon_greedy(values, self.exploration_rate)
        )
        return (actions + int(self.action_space.start)).reshape(states.shape), state

    def _bonus(self, states: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what draws the choice to rarely tried actions, (n, n_actions)."""
        visits = self.visits[states]
        bonus = np.full(visits.shape, np.inf)
        np.divide(self.count_bonus, np.sqrt(visits), out=bonus, where=visits > 0)
        return bonus

    # --- Learning ---------------------------------------------------------------------------------

    def _act(self, observations: NDArray[Any]) -> tuple[NDArray[np.int64], Any]:
        actions, self._next_actions = self._next_actions, None
        return (self.predict(observations)[0] if actions is None else actions), None

    def _learn_from(
        self,
        observations: NDArray[Any],
        actions: NDArray[np.int64],
        chosen: Any,
        rewards: NDArray[np.floating[Any]],
        new_obs: NDArray[Any],
        dones: NDArray[np.bool_],
        infos: list[dict[str, Any]],
    ) -> None:
        start = int(self.observation_space.start)
        terminated, arrived_at = dones, new_obs
        truncated: list[int] = []
        if self.gamma and dones.any():
            terminated, arrived_at = dones.copy(), new_obs.copy()
            for i in np.flatnonzero(dones):
                if infos[i].get("TimeLimit.truncated", False):
                    truncated.append(int(i))
                    terminated[i] = False
                    # `new_obs` is the first observation of the next episode.
                    arrived_at[i] = infos[i]["terminal_observation"]
        states = observations.astype(np.int64) - start
        indices = actions - int(self.action_space.start)
        tables = self.policy.q_tables
        bootstrap: Bootstrap = _GREATEST_VALUE
        if self.gamma and self.target != "q-learning":
            bootstrap = self._bootstrap(new_obs, arrived_at, truncated)
        errors = q_learning_update(
            tables if self.gamma and self.target == "double" else tables[0],
            self.visits,
            states,
            indices,
            rewards,
            arrived_at.astype(np.int64) - start,
            terminated,
            learning_rate=self.lr_schedule(self._current_progress_remaining),
            gamma=self.gamma,
            bootstrap=bootstrap,
        )
        if len(tables) == 2 and not self.gamma:
            # Where nothing is bootstrapped there is no bias to part them for: both learn it all.
            tables[1, states, indices] = tables[0, states, indices]
        self._n_updates += len(errors)
        self._td_error_sum += float(np.abs(errors).sum())
        self._td_error_count += len(errors)

    def _bootstrap(
        self, new_obs: NDArray[Any], arrived_at: NDArray[Any], truncated: list[int]
    ) -> Bootstrap:
        """Return what the update bootstraps from; for SARSA, choose the next actions.

        Args:
            new_obs: (n_envs,), from which the next step is taken.
            arrived_at: (n_envs,), the same but for the environments in `truncated`: there the last
                observation of the episode that a time limit ended.
            truncated: those environments' indices.
        """
        if self.target == "sarsa":
            self._next_actions, _ = self.predict(new_obs)
            following = self._next_actions.copy()
            if truncated:
                following[truncated], _ = self.predict(arrived_at[truncated])
            return TakenAction(following - int(self.action_space.start))
        if self.target == "double":
            return OtherTable(self._generator.integers(2, size=len(new_obs)))
        return ExpectedValue(self.exploration_rate)

    def _record_more(self) -> None:
        assert self.ep_success_buffer is not None
        record = self.logger.record
        if self.ep_success_buffer:
            record("rollout/success_rate", safe_mean(self.ep_success_buffer))
        record("rollout/exploration_rate", self.exploration_rate)
        record("train/learning_rate", self.lr_schedule(self._current_progress_remaining))
        if self._td_error_count:
            record("train/td_error", self._td_error_sum / self._td_error_count)
        self._td_error_sum, self._td_error_count = 0.0, 0


def _is_tabular(policy: Any) -> bool:
    return isinstance(policy, type) and issubclass(policy, TabularPolicy)


def _check(name: str, value: Any, low: float, high: float) -> None:
    if not (isinstance(value, int | float | np.number) and low <= value <= high):
        raise ValueError(f"{name} must be from {low:g} to {high:g}, not {value!r}")
