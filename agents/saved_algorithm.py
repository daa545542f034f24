"""Learners saved as one safetensors file (`agents.model_file`), and loaded, without pickle."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch as th
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm, maybe_make_env
from stable_baselines3.common.utils import check_for_correct_spaces, get_system_info

from agents.model_file import (
    ModelFileError,
    read_model,
    space_from_json,
    space_to_json,
    write_model,
)
from agents.policies import argument_from_json, argument_to_json


class SavedAlgorithm(BaseAlgorithm):
    """`save` and `load` in place of Stable-Baselines3's, which pickle.

    Attributes:
        hyperparameters: names of the constructor's arguments that a file keeps. Not among them:
            ``tensorboard_log`` and ``verbose``, since a stranger's file has no say in where this
            machine writes.
        later_hyperparameters: values of those that files of the present format may lack, since
            they came later.
    """

    hyperparameters: ClassVar[tuple[str, ...]]
    later_hyperparameters: ClassVar[Mapping[str, Any]] = {}

    @abstractmethod
    def _state_to_file(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what learning has changed: what JSON can say, and arrays."""

    @abstractmethod
    def _state_from_file(
        self,
        state: Mapping[str, Any],
        tensors: Mapping[str, NDArray[Any]],
        *,
        keep_observations: bool,
    ) -> None:
        """Take over what `_state_to_file` returned.

        Args:
            state: the part that JSON can say.
            tensors: the arrays.
            keep_observations: False where the environment is going to be reset, and may have
                another number of environments.

        Raises:
            KeyError, TypeError, ValueError: if it is not that, or does not fit.
        """

    def _argument(self, name: str) -> Any:
        """Return an argument of the constructor as it was given."""
        return getattr(self, name)

    def _seeded_by_file(self) -> None:
        """Seed what has a generator of its own and no state in the file."""

    def save(self, path: Any, exclude: Any = None, include: Any = None) -> None:
        """Save the learner as one safetensors file (`agents.model_file`), without pickle.

        Hyperparameters, spaces, what was learnt (of a network the optimiser's moments too),
        counters and the generator's state are kept; the environment, a replay buffer,
        ``tensorboard_log`` and ``verbose`` are not. Schedules of Stable-Baselines3 and classes
        that the project, Stable-Baselines3 or torch have are kept by numbers and names; of other
        objects only the name is, for `load` to ask for.

        Args:
            path: where to; ``.safetensors`` is added where there is no suffix. Callbacks that name
                the file themselves may ask for ``.zip``: the content is the same.
            exclude: as for `include`, must be None: the file holds what `load` needs.
            include: see `exclude`.
        """
        if exclude is not None or include is not None:
            raise ValueError(f"{type(self).__name__}.save takes neither `exclude` nor `include`")
        state, tensors = self._state_to_file()
        config = {
            "hyperparameters": {
                n: argument_to_json(self._argument(n)) for n in self.hyperparameters
            },
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "n_envs": self.n_envs,
            "seed": self.seed,
            "state": state,
        }
        write_model(path, algorithm=type(self).__name__, config=config, tensors=tensors)

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

        Its random generator goes on where it stood. A replay buffer is empty, and seeded by that
        generator's state if it is prioritized. The environment is neither seeded nor reset, nor
        are global generators seeded, unless ``seed`` is given.

        Args:
            path: as given to `save`.
            env: to go on learning in; may have another number of environments. None for
                predicting; a DQN's ``buffer_size=1`` then saves the memory of the replay buffer.
            device: of the networks, where there are any.
            custom_objects: objects for the names in the file which are not of the project, SB3 or
                torch: ``{"package.module.Class": Class}``. As in SB3, names of arguments too.
            print_system_info: print the present versions.
            force_reset: reset the environment before learning goes on. False if it stands where
                it stood when the learner was saved.
            kwargs: arguments of the constructor that replace the saved ones.

        Raises:
            FileNotFoundError: if there is no such file.
            ModelFileError: if the file is not a learner of this class, or uses something that must
                be given in `custom_objects`.
            ValueError: if the spaces of `env` are not those of the learner.
        """
        if print_system_info:
            get_system_info()
        custom_objects = custom_objects or {}
        given = {n: custom_objects[n] for n in cls.hyperparameters if n in custom_objects} | kwargs
        # Not for the constructor: it would send the environment back to its first episodes.
        new_seed = given.pop("seed", None)
        file = read_model(path, algorithm=cls.__name__)
        try:
            saved = {**cls.later_hyperparameters, **file.config["hyperparameters"]}
            arguments = {
                name: argument_from_json(saved[name], custom_objects)
                for name in cls.hyperparameters
                if name not in given
            }
            observation_space = space_from_json(file.config["observation_space"])
            action_space = space_from_json(file.config["action_space"])
            n_envs, seed = file.config["n_envs"], file.config["seed"]
            state = file.config["state"]
        except (KeyError, TypeError, RecursionError) as error:
            raise ModelFileError(f"{path} is not a whole {cls.__name__}: {error!r}") from error
        if env is not None:
            env = cls._wrap_env(maybe_make_env(env, 0))
            check_for_correct_spaces(env, observation_space, action_space)
        model = cls(env=env, device=device, _init_setup_model=False, **arguments, **given)  # type: ignore[call-arg]
        if env is None:
            model.observation_space, model.action_space = observation_space, action_space
            model.n_envs = n_envs
        try:
            model._setup_model()
            model._state_from_file(state, file.tensors, keep_observations=not force_reset)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"{path} is not a whole {cls.__name__}: {error}") from error
        model.seed = seed if new_seed is None else new_seed
        if new_seed is not None:
            model.set_random_seed(new_seed)
        else:
            model._seeded_by_file()
        return model
