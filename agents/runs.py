"""A run's folder: configuration, model and figures, saved and loaded without pickle.

config.json          everything needed to repeat the run
model.safetensors    the learner (`agents.model_file`)
metrics.json         figures of the trained learner, see `agents.judges`
progress.csv         what was logged, a row a log point
events.out.tfevents  the same for TensorBoard; one more file each time the run was resumed
learning_curve.png
snapshot/            where killed training goes on (`agents.snapshots`); deleted at its end
rllib/               the same where RLlib trains (`cluster.checkpoints`); with pickles, which only
                     ``--resume`` reads

``metrics.json`` is written last: a run that has it has ended, by itself or interrupted.
"""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from agents.dueling_dqn import DuelingDQN
from agents.model_file import ModelFileError
from agents.q_learning import QLearning
from music_env.catalogue import Catalogue, CatalogueError
from music_env.encoding import ENCODINGS
from music_env.naming import nearest
from music_env.population import Population
from music_env.population_file import read_population
from music_env.session_observation import SESSION_ENCODINGS
from music_env.slate_observation import SLATE_ENCODINGS
from music_env.tables import load_catalogue

LEARNERS: Mapping[str, type[QLearning] | type[DuelingDQN]] = {
    "q-learning": QLearning,
    "dueling-dqn": DuelingDQN,
}
"""The learners, by the name that ``--agent`` and a run's configuration give them."""

Listener = Literal["one", "any"]
"""Whom a run's learner serves: one listener, or every one."""

MUSICREC, ANY_LISTENER, SESSION, SLATE = (
    "MusicRec-v0",
    "MusicRecAnyListener-v0",
    "MusicRecSession-v0",
    "MusicRecSlate-v0",
)
"""The environments that a run can be trained in."""

AFFECTED = (SESSION, SLATE)
"""Of these, those in which what is played has consequences."""

_ENCODINGS: Mapping[str, tuple[str, ...]] = {
    SESSION: (*ENCODINGS, *SESSION_ENCODINGS),
    SLATE: SLATE_ENCODINGS,
}
"""Environment -> its encodings, where they are not those of every other."""

ENVIRONMENTS: Mapping[str, str] = {"one": MUSICREC, "any": ANY_LISTENER}
"""Listener -> the environment that a run is trained in, unless its configuration names another."""

ENGINES = ("local", "ray")
"""What can train a run: the process at hand, or RLlib on a Ray cluster."""

CONFIG, MODEL, METRICS, PROGRESS = (
    "config.json",
    "model.safetensors",
    "metrics.json",
    "progress.csv",
)
LEARNING_CURVE = "learning_curve.png"
RLLIB_FOLDER = "rllib"

_PACKAGES = ("gymnasium", "numpy", "pandas", "stable-baselines3", "torch")


class RunError(ValueError):
    """A folder that holds no usable run, or a run that does not fit the catalogue at hand."""


@dataclass(frozen=True)
class Run:
    """A trained learner with the configuration that it was trained with.

    Attributes:
        folder: where it lies.
        config: the content of ``config.json``.
        learner: ready for `predict` and ``q_values``.
        catalogue: what it was trained on, checked against the checksum in the configuration.
        population: the listeners it was trained on and those held out, likewise, where they are
            from a file.
    """

    folder: Path
    config: Mapping[str, Any]
    learner: QLearning | DuelingDQN
    catalogue: Catalogue
    population: Population | None = None

    @property
    def name(self) -> str:
        """The agent's name, with the folder's where that says more."""
        agent, folder = self.config["agent"], self.folder.resolve().name
        return str(agent) if folder == agent else f"{agent} ({folder})"

    @property
    def listener(self) -> str:
        """Whom the learner serves: "one" or "any" listener."""
        return listener_of(self.config)

    @property
    def env_id(self) -> str:
        """The environment that the learner was trained in."""
        return env_id_of(self.config)

    def environment_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of ``gymnasium.make`` for the environment trained on."""
        files: dict[str, Any] = {"catalogue": self.catalogue}
        if self.population is not None:
            files["population"] = self.population
        return {**self.config["environment"], **files}

    def make_env(self, **changes: Any) -> gym.Env[Any, Any]:
        """Return the scalar environment that the learner was trained on, with some changes."""
        arguments = {**self.environment_arguments(), **changes}
        return gym.make(f"music_env:{self.env_id}", **arguments)

    def predict(
        self, observation: NDArray[Any] | int, *, deterministic: bool = True
    ) -> tuple[NDArray[Any], Any]:
        """Return the learner's actions for one observation or a batch of rows, see SB3's."""
        return self.learner.predict(np.asarray(observation), deterministic=deterministic)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a run's result."""
    found = {"python": platform.python_version()}
    try:
        found["musicrec"] = version("musicrec")
    except ModuleNotFoundError:  # used from a source tree that is not installed
        found["musicrec"] = "unknown"
    return found | {name: version(name) for name in _PACKAGES}


def finite(value: Any) -> Any:
    """Return a copy in which numbers that do not exist (nan, infinity) are None: JSON has none."""
    if isinstance(value, Mapping):
        return {name: finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def unfinished_json(path: Path) -> Path:
    """Return where `write_json` writes a file: what is left of it if the process is killed."""
    return path.with_name(path.name + ".part")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    part = unfinished_json(path)
    text = json.dumps(finite(content), indent=2, ensure_ascii=False, allow_nan=False)
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; `RunError` says what is wrong with a file that holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise RunError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise RunError(f"{path} must hold a JSON object, found {type(content).__name__}")
    return content


def read_config(folder: Path) -> dict[str, Any]:
    """Read a run's ``config.json``.

    Raises:
        RunError: if the folder holds no run, or the configuration is damaged.
    """
    if not (folder / CONFIG).is_file():
        raise RunError(
            f"{folder} holds no run: it has no {CONFIG}. Train one with "
            f"`python train.py --agent dueling-dqn --out {folder}`"
        )
    config = read_json(folder / CONFIG)
    missing = {"agent", "environment", "catalogue"} - config.keys()
    if missing:
        raise RunError(f"{folder / CONFIG} lacks {', '.join(sorted(missing))}")
    agent = config["agent"]
    for name, part, keys in (
        ("catalogue", config["catalogue"], {"path", "checksum", "n_tracks"}),
        ("environment", config["environment"], {"encoding"}),
    ):
        if not isinstance(part, dict) or keys - part.keys():
            raise RunError(
                f"{folder / CONFIG}: {name} must be an object with {sorted(keys)}, got {part!r}"
            )
    catalogue = config["catalogue"]
    if not isinstance(catalogue["path"], str | None) or not isinstance(catalogue["checksum"], str):
        raise RunError(
            f"{folder / CONFIG}: the catalogue's path must be text or null and its checksum text, "
            f"got {catalogue!r}"
        )
    population = config.get("population", {"path": "", "checksum": ""})
    if not isinstance(population, dict) or not all(
        isinstance(population.get(name), str) for name in ("path", "checksum")
    ):
        raise RunError(
            f"{folder / CONFIG}: population must be an object whose path and checksum are text, "
            f"got {population!r}"
        )
    if not isinstance(agent, str) or agent not in LEARNERS:
        known = ", ".join(LEARNERS)
        raise RunError(f"{folder / CONFIG}: agent must be one of {known}, got {agent!r}")
    if listener_of(config) not in ENVIRONMENTS:
        raise RunError(
            f"{folder / CONFIG}: listener must be one of {', '.join(ENVIRONMENTS)}, got "
            f"{config['listener']!r}"
        )
    if engine_of(config) not in ENGINES:
        raise RunError(
            f"{folder / CONFIG}: engine must be one of {', '.join(ENGINES)}, got "
            f"{config['engine']!r}"
        )
    env_id, known_ids = env_id_of(config), (MUSICREC, ANY_LISTENER, SESSION, SLATE)
    if env_id not in known_ids:
        raise RunError(
            f"{folder / CONFIG}: env_id must be one of {', '.join(known_ids)}, got {env_id!r}"
        )
    return config


def listener_of(config: Mapping[str, Any]) -> str:
    """Return whom a run's learner serves; runs of earlier versions, which do not say: one."""
    return str(config.get("listener", "one"))


def engine_of(config: Mapping[str, Any]) -> str:
    """Return what trains a run; what says nothing of it: this process, without Ray."""
    return str(config.get("engine", ENGINES[0]))


def env_id_of(config: Mapping[str, Any]) -> str:
    """Return the environment of a run; earlier versions say the listener alone."""
    return str(config.get("env_id", ENVIRONMENTS[listener_of(config)]))


def load_trained_catalogue(
    folder: Path, config: Mapping[str, Any], catalogue: Catalogue | str | Path | None = None
) -> Catalogue:
    """Load a run's catalogue, by default from where its configuration says, and check it.

    Raises:
        RunError: if it is not the one that the run was trained on, or is not where it was.
        CatalogueError: if `catalogue` cannot be read.
    """
    trained_on = config["catalogue"]
    path = trained_on["path"]
    try:
        loaded = load_catalogue(catalogue if catalogue is not None else path)
    except CatalogueError as error:
        if catalogue is not None or path is None:
            raise
        raise RunError(
            f"{folder} was trained on {path}, which cannot be read: {error} If that catalogue lies "
            "elsewhere now, name it: load_run(folder, catalogue=...), evaluate.py --catalogue"
        ) from error
    if loaded.checksum != trained_on["checksum"]:
        raise RunError(
            f"{folder} was trained on another catalogue: {trained_on['n_tracks']} tracks with "
            f"checksum {trained_on['checksum'][:12]}, found {loaded.n_tracks} tracks with "
            f"{loaded.checksum[:12]}. Its observations would mean other tracks: name the catalogue "
            "that it was trained on, or train again"
        )
    return loaded


def load_trained_population(
    folder: Path,
    config: Mapping[str, Any],
    catalogue: Catalogue,
    population: str | Path | None = None,
) -> Population | None:
    """Load the file of a run's listeners, by default from where its configuration says, and check.

    Returns:
        All listeners of the file; None where the run's are drawn from its catalogue.

    Raises:
        RunError: if they are not those that the run was trained on, or not where they were, or the
            run has none from a file.
        CatalogueError: if `population` cannot be read.
    """
    trained_on = config.get("population")
    if trained_on is None:
        if population is not None:
            raise RunError(
                f"{folder} was not trained on listeners from a file, but {population} is given: "
                "leave it out"
            )
        return None
    try:
        loaded = read_population(str(population or trained_on["path"]), catalogue)
    except CatalogueError as error:
        if population is not None:
            raise
        raise RunError(
            f"{folder} was trained on the listeners in {trained_on['path']}, which cannot be read: "
            f"{error} If that file lies elsewhere now, name it: load_run(folder, population=...), "
            "evaluate.py --population"
        ) from error
    if loaded.checksum != trained_on["checksum"]:
        raise RunError(
            f"{folder} was trained on other listeners than {loaded}: theirs have the checksum "
            f"{trained_on['checksum'][:12]}, these {loaded.checksum[:12]}. Name the file that it "
            "was trained on, or train again"
        )
    return loaded


def load_run(
    folder: str | Path,
    *,
    catalogue: Catalogue | str | Path | None = None,
    population: str | Path | None = None,
) -> Run:
    """Load a run that ``train.py`` wrote; nothing in it is executed.

    Args:
        folder: the run's folder.
        catalogue: the catalogue to use it on; default: the one named in its configuration.
        population: where the file of its listeners lies now; default: likewise.

    Raises:
        RunError: if the folder holds no run, or the catalogue, the listeners or the encoding are
            not what the run was trained with; the message says what differs.
        CatalogueError: if the catalogue or the listeners cannot be read.
    """
    folder = Path(folder)
    config = read_config(folder)
    agent, environment = config["agent"], config["environment"]
    loaded = load_trained_catalogue(folder, config, catalogue)
    listeners = load_trained_population(folder, config, loaded, population)
    encoding = str(environment["encoding"])
    known = _ENCODINGS.get(env_id_of(config), tuple(ENCODINGS))
    if encoding not in known:
        raise RunError(
            f"{folder / CONFIG}: unknown encoding {encoding!r}.{nearest(encoding, known)}"
        )
    try:
        learner = LEARNERS[agent].load(folder / MODEL)
    except FileNotFoundError as error:
        raise RunError(
            f"{folder} has no {MODEL}: its training did not end. Go on with "
            f"`python train.py --resume {folder}`, or train again with --overwrite"
        ) from error
    except ModelFileError as error:
        raise RunError(f"{folder}: {error}") from error
    run = Run(folder, config, learner, loaded, listeners)
    try:
        space = run.make_env().observation_space
    except (TypeError, ValueError) as error:
        raise RunError(f"{folder / CONFIG}: environment: {error}") from error
    if learner.observation_space != space:
        raise RunError(
            f"{folder / MODEL} observes {learner.observation_space}, but encoding {encoding!r} of "
            f"this catalogue gives {space}: model and configuration do not belong together, or an "
            "earlier version trained it, whose encoding was another: train again"
        )
    return run
