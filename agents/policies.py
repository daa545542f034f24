"""The dueling network of Wang et al. (2016) and its policies, for `DuelingDQN` and for SB3's `DQN`.

Also the classes and schedules which a saved model may name, and how they are written as JSON.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.torch_layers import (
    BaseFeaturesExtractor,
    CombinedExtractor,
    NatureCNN,
    create_mlp,
)
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.common.utils import ConstantSchedule, FloatSchedule, LinearSchedule
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import nn

from agents.model_file import ModelFileError

NetArch = list[int] | dict[str, list[int]]

_STREAMS = ("shared", "value", "advantage")
# Wang et al. (2016), section 4.2: two streams send their gradients into the shared layers.
_JOINT_GRADIENT_SCALE = 2**-0.5


class DuelingQNetwork(QNetwork):
    """A Q-network of two streams, Wang et al. (2016), equation 9.

    With features ``h`` of the shared layers, value ``V`` and advantages ``A``::

        Q(s, a) = V(h) + A(h, a) - mean over a' of A(h, a')

    Args:
        observation_space: the observations.
        action_space: the actions.
        features_extractor: turns observations into (batch, features_dim) features.
        features_dim: their number.
        net_arch: sizes of the hidden layers. A list: of the shared layers; both streams are then
            one linear layer each. ``dict(shared=[...], value=[...], advantage=[...])``: hidden
            layers of the streams as well, none where a name is left out. Default: ``[64, 64]``.
        activation_fn: after each hidden layer.
        normalize_images: divide images by 255.
        rescale_gradients: multiply the gradient that enters the shared layers by 1/sqrt(2), as
            Wang et al. (2016), section 4.2, do. (They also clip the gradient's norm to 10: that is
            ``max_grad_norm`` of the learner.)

    Raises:
        ValueError: if ``net_arch`` has other names.

    Attributes:
        shared_net: (batch, features_dim) -> (batch, n) features of both streams.
        value_net: -> (batch, 1).
        advantage_net: -> (batch, n_actions).
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Discrete[Any],
        features_extractor: BaseFeaturesExtractor,
        features_dim: int,
        net_arch: NetArch | None = None,
        activation_fn: type[nn.Module] = nn.ReLU,
        normalize_images: bool = True,
        *,
        rescale_gradients: bool = False,
    ) -> None:
        # Not QNetwork's constructor, which would build the network of one stream.
        super(QNetwork, self).__init__(
            observation_space,
            action_space,
            features_extractor=features_extractor,
            normalize_images=normalize_images,
        )
        net_arch = [64, 64] if net_arch is None else net_arch
        sizes = net_arch if isinstance(net_arch, dict) else {"shared": net_arch}
        if not sizes.keys() <= set(_STREAMS):
            raise ValueError(
                f"net_arch has the names {', '.join(map(repr, sizes))}; expected a list of sizes, "
                f"or a dictionary with some of {', '.join(map(repr, _STREAMS))}"
            )
        self.net_arch = net_arch  # type: ignore[assignment]
        self.activation_fn = activation_fn
        self.features_dim = features_dim
        self.rescale_gradients = rescale_gradients
        shared, value, advantage = (list(sizes.get(name, [])) for name in _STREAMS)
        n_shared = shared[-1] if shared else features_dim
        n_actions = int(action_space.n)
        self.shared_net = nn.Sequential(*create_mlp(features_dim, 0, shared, activation_fn))
        self.value_net = nn.Sequential(*create_mlp(n_shared, 1, value, activation_fn))
        self.advantage_net = nn.Sequential(
            *create_mlp(n_shared, n_actions, advantage, activation_fn)
        )

    def forward(self, obs: PyTorchObs) -> th.Tensor:
        """Return the (batch, n_actions) float32 action values of a batch of observations."""
        features = self.shared_net(self.extract_features(obs, self.features_extractor))
        if self.rescale_gradients and features.requires_grad:
            features.register_hook(_rescale)
        values: th.Tensor = self.value_net(features)
        advantages: th.Tensor = self.advantage_net(features)
        return values + (advantages - advantages.mean(dim=1, keepdim=True))

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            **super()._get_constructor_parameters(),
            "rescale_gradients": self.rescale_gradients,
        }


def _rescale(gradient: th.Tensor) -> th.Tensor:
    return gradient * _JOINT_GRADIENT_SCALE


class DuelingDQNPolicy(DQNPolicy):
    """SB3's `DQNPolicy` with a `DuelingQNetwork` as online and target network.

    It works in SB3's own ``DQN(DuelingDQNPolicy, env)``, and in rl-zoo3 as
    ``policy: agents.policies.DuelingDQNPolicy``.

    Args:
        observation_space: the observations.
        action_space: the actions.
        lr_schedule: learning rate by the progress remaining; ``lr_schedule(1)`` is the first one.
        net_arch: see `DuelingQNetwork`; by default ``[64, 64]``, or ``[]`` behind a `NatureCNN`.
        rescale_gradients: see `DuelingQNetwork`.
        kwargs: the remaining arguments of `DQNPolicy`: ``activation_fn``,
            ``features_extractor_class``, ``features_extractor_kwargs``, ``normalize_images``,
            ``optimizer_class``, ``optimizer_kwargs``.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Discrete[Any],
        lr_schedule: Schedule,
        net_arch: NetArch | None = None,
        *,
        rescale_gradients: bool = False,
        **kwargs: Any,
    ) -> None:
        # Before the parent's constructor, which builds the networks.
        self.rescale_gradients = rescale_gradients
        super().__init__(observation_space, action_space, lr_schedule, net_arch, **kwargs)  # type: ignore[arg-type]

    def make_q_net(self) -> DuelingQNetwork:
        """Return a new network with a features extractor of its own."""
        arguments = self._update_features_extractor(self.net_args, features_extractor=None)
        return DuelingQNetwork(**arguments, rescale_gradients=self.rescale_gradients).to(
            self.device
        )

    def set_training_mode(self, mode: bool) -> None:
        """Switch the online network to training (True) or evaluation (False).

        Unlike SB3's, walk through all modules only where the mode changes: `predict` asks for it
        in each call.
        """
        if self.training != mode or self.q_net.training != mode:
            super().set_training_mode(mode)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            **super()._get_constructor_parameters(),
            "rescale_gradients": self.rescale_gradients,
        }


class DuelingCnnPolicy(DuelingDQNPolicy):
    """`DuelingDQNPolicy` for images; see there for the arguments."""

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Discrete[Any],
        lr_schedule: Schedule,
        net_arch: NetArch | None = None,
        *,
        features_extractor_class: type[BaseFeaturesExtractor] = NatureCNN,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch,
            features_extractor_class=features_extractor_class,
            **kwargs,
        )


class DuelingMultiInputPolicy(DuelingDQNPolicy):
    """`DuelingDQNPolicy` for ``Dict`` observations; see there for the arguments."""

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.Discrete[Any],
        lr_schedule: Schedule,
        net_arch: NetArch | None = None,
        *,
        features_extractor_class: type[BaseFeaturesExtractor] = CombinedExtractor,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch,
            features_extractor_class=features_extractor_class,
            **kwargs,
        )


# --- Arguments as JSON ----------------------------------------------------------------------------

# Module -> what its classes must inherit from for a saved model to name them. Only these modules
# are ever imported for a file's sake.
_NAMEABLE: dict[str, type] = {
    "agents.policies": DQNPolicy,
    "agents.extractors": BaseFeaturesExtractor,
    "agents.number_features": BaseFeaturesExtractor,
    "agents.session_extractor": BaseFeaturesExtractor,
    "agents.two_tower": BaseFeaturesExtractor,
    "agents.replay": ReplayBuffer,
    "agents.slate_policy": DQNPolicy,
    "stable_baselines3.dqn.policies": DQNPolicy,
    "stable_baselines3.common.torch_layers": BaseFeaturesExtractor,
    "stable_baselines3.common.buffers": ReplayBuffer,
    "torch.nn": nn.Module,
    "torch.optim": th.optim.Optimizer,
}


def argument_to_json(value: Any) -> Any:
    """Describe a learner's argument as what JSON can say; `argument_from_json` is the inverse.

    Numbers, strings, None, and lists, tuples and dictionaries of such are kept as they are,
    schedules of Stable-Baselines3 as their numbers, and classes as their names. Of everything else
    only the name is kept, under which `argument_from_json` will ask for it.
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case np.generic():
            return value.item()
        case list():
            return [argument_to_json(item) for item in value]
        case tuple():
            return {"$tuple": [argument_to_json(item) for item in value]}
        case dict() if all(isinstance(key, str) and key[:1] != "$" for key in value):
            return {key: argument_to_json(item) for key, item in value.items()}
        case FloatSchedule():
            return argument_to_json(value.value_schedule)
        case ConstantSchedule():
            return value.val
        case LinearSchedule():
            return {"$linear": [value.start, value.end, value.end_fraction]}
    return {"$name": _name(value)}


def argument_from_json(data: Any, custom_objects: Mapping[str, Any]) -> Any:
    """Build the argument that `argument_to_json` described.

    Args:
        data: the description.
        custom_objects: objects by name, for names which are not those of the project's own
            policies, extractors and replay buffers, or of classes of torch or Stable-Baselines3.

    Raises:
        ModelFileError: if a name is needed which is not in `custom_objects`, or the description
            is malformed.
    """
    match data:
        case {"$name": str(name)}:
            return custom_objects[name] if name in custom_objects else _nameable(name)
        case {"$tuple": list(items)}:
            return tuple(argument_from_json(item, custom_objects) for item in items)
        case {"$linear": [float() | int(), float() | int(), float() | int()]}:
            return LinearSchedule(*data["$linear"])
        case dict() if any(key.startswith("$") for key in data):
            raise ModelFileError(f"not the description of an argument: {data!r:.200}")
        case dict():
            return {key: argument_from_json(item, custom_objects) for key, item in data.items()}
        case list():
            return [argument_from_json(item, custom_objects) for item in data]
    return data


def _name(value: Any) -> str:
    qualname = getattr(value, "__qualname__", None)
    if qualname is None:
        return _name(type(value))
    for module in _NAMEABLE:
        if value.__module__.startswith(module) and _find(module, qualname) is value:
            return f"{module}.{qualname}"  # torch.nn.ReLU, not torch.nn.modules.activation.ReLU
    return f"{value.__module__}.{qualname}"


def _nameable(name: str) -> type:
    module, _, attribute = name.rpartition(".")
    found = _find(module, attribute) if module in _NAMEABLE else None
    if found is None:
        raise ModelFileError(
            f"the model uses {name!r}, which is not loaded by its name alone: hand it over with "
            f"load(path, custom_objects={{{name!r}: ...}})"
        )
    return found


def _find(module: str, attribute: str) -> type | None:
    found = getattr(importlib.import_module(module), attribute, None)
    return found if isinstance(found, type) and issubclass(found, _NAMEABLE[module]) else None
