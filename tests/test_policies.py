"""The dueling network against its formula, its policies in SB3's own DQN, arguments as JSON."""

import importlib
import sys
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3 import DQN
from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.utils import ConstantSchedule, FloatSchedule, LinearSchedule
from torch import nn

from agents.extractors import CodesExtractor
from agents.model_file import ModelFileError
from agents.policies import (
    DuelingCnnPolicy,
    DuelingDQNPolicy,
    DuelingMultiInputPolicy,
    DuelingQNetwork,
    argument_from_json,
    argument_to_json,
)
from agents.replay import PrioritizedReplayBuffer

N_ACTIONS = 3
OBSERVATION_SPACE = spaces.Box(-1.0, 1.0, (4,))
ACTION_SPACE = spaces.Discrete(N_ACTIONS)


def make_policy(policy_class=DuelingDQNPolicy, space=OBSERVATION_SPACE, **kwargs):
    th.manual_seed(0)
    return policy_class(space, ACTION_SPACE, lambda _: 1e-3, **kwargs)


def observations(n=5):
    return th.tensor(np.random.default_rng(0).uniform(-1, 1, (n, 4)), dtype=th.float32)


class Pairs(gym.Env):
    """Two parts of an observation; the reward is 1 for the action that the first one shows."""

    observation_space = spaces.Dict(
        {"shown": spaces.Discrete(N_ACTIONS), "noise": spaces.Box(0, 1, (2,))}
    )
    action_space = ACTION_SPACE

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._shown = int(self.np_random.integers(N_ACTIONS))
        return self._observation(), {}

    def step(self, action):
        reward = float(action == self._shown)
        self._shown = int(self.np_random.integers(N_ACTIONS))
        return self._observation(), reward, False, False, {}

    def _observation(self):
        return {"shown": self._shown, "noise": self.np_random.random(2, dtype=np.float32)}


# --- The network ----------------------------------------------------------------------------------


def test_action_values_by_hand():
    network = make_policy(net_arch=[]).q_net
    with th.no_grad():
        network.value_net[0].weight[:] = th.tensor([[1.0, 0.0, 0.0, 2.0]])
        network.value_net[0].bias[:] = 0.5
        network.advantage_net[0].weight[:] = th.tensor(
            [[3.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 6.0]]
        )
        network.advantage_net[0].bias[:] = th.tensor([0.0, 3.0, 0.0])
        q = network(th.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]))
    # V = 1.5, A = (3, 3, 0), mean 2; V = 2.5, A = (0, 3, 6), mean 3
    np.testing.assert_allclose(q, [[2.5, 2.5, -0.5], [-0.5, 2.5, 5.5]])


def test_a_constant_added_to_every_advantage_changes_nothing():
    network = make_policy().q_net
    before = network(observations()).detach()
    with th.no_grad():
        network.advantage_net[-1].bias += 7.0
    np.testing.assert_allclose(network(observations()).detach(), before, atol=2e-6)
    with th.no_grad():
        network.value_net[-1].bias += 7.0
    np.testing.assert_allclose(network(observations()).detach(), before + 7.0, atol=2e-6)


def test_the_mean_over_actions_is_the_value():
    network = make_policy(net_arch={"shared": [8], "value": [5], "advantage": [6]}).q_net
    value = network.value_net(network.shared_net(observations()))
    np.testing.assert_allclose(
        network(observations()).mean(dim=1, keepdim=True).detach(), value.detach(), atol=1e-6
    )


def test_gradients_of_both_streams():
    network = make_policy().q_net
    for action in range(N_ACTIONS):
        network.zero_grad()
        network(observations(1))[0, action].backward()
        np.testing.assert_array_equal(network.value_net[-1].bias.grad, [1.0])
        # A(a) - mean A: the action taken gains what the others lose.
        expected = np.eye(N_ACTIONS)[action] - 1 / N_ACTIONS
        np.testing.assert_allclose(network.advantage_net[-1].bias.grad, expected, atol=1e-6)


def test_gradient_rescaling_touches_the_shared_layers_only():
    arch = {"shared": [8], "value": [5], "advantage": [6]}
    plain, rescaled = (
        make_policy(net_arch=arch, rescale_gradients=on).q_net for on in (False, True)
    )
    for network in (plain, rescaled):
        network(observations()).square().sum().backward()
    assert th.equal(plain(observations()), rescaled(observations()))
    for (name, a), (_, b) in zip(
        plain.named_parameters(), rescaled.named_parameters(), strict=True
    ):
        scale = 2**-0.5 if name.startswith("shared_net") else 1.0
        np.testing.assert_allclose(b.grad, a.grad * scale, rtol=1e-6, err_msg=name)


def test_gradient_rescaling_reaches_the_features_extractor():
    space = spaces.Box(0, np.array([1, 3, 3], np.float32), dtype=np.float32)
    gradients = []
    for on in (False, True):
        policy = make_policy(
            space=space,
            net_arch=[],
            features_extractor_class=CodesExtractor,
            features_extractor_kwargs={"embedding_dim": 4},
            rescale_gradients=on,
        )
        policy.q_net(th.tensor([[0.5, 1.0, 2.0]])).sum().backward()
        gradients.append(policy.q_net.features_extractor.labels[0].weight.grad)
    assert gradients[0].abs().max() > 0
    np.testing.assert_allclose(gradients[1], gradients[0] * 2**-0.5, rtol=1e-6)


@pytest.mark.parametrize(
    ("net_arch", "sizes"),
    [
        (None, ([(4, 64), (64, 64)], [(64, 1)], [(64, 3)])),
        ([8], ([(4, 8)], [(8, 1)], [(8, 3)])),
        ([], ([], [(4, 1)], [(4, 3)])),
        ({"value": [5]}, ([], [(4, 5), (5, 1)], [(4, 3)])),
        (
            {"shared": [8], "value": [5, 6], "advantage": [7]},
            ([(4, 8)], [(8, 5), (5, 6), (6, 1)], [(8, 7), (7, 3)]),
        ),
    ],
)
def test_layers(net_arch, sizes):
    network = make_policy(net_arch=net_arch, activation_fn=nn.Tanh).q_net
    for net, expected in zip(
        (network.shared_net, network.value_net, network.advantage_net), sizes, strict=True
    ):
        linear = [layer for layer in net if isinstance(layer, nn.Linear)]
        assert [(layer.in_features, layer.out_features) for layer in linear] == expected
        assert {type(layer) for layer in net} <= {nn.Linear, nn.Tanh}
    assert not hasattr(network, "q_net")


def test_unknown_names_of_layers():
    with pytest.raises(ValueError, match=r"names 'shared', 'pi'; expected a list .* 'advantage'"):
        make_policy(net_arch={"shared": [8], "pi": [8]})


# --- The policies ---------------------------------------------------------------------------------


def test_target_network_starts_as_a_copy_of_its_own():
    policy = make_policy()
    assert isinstance(policy.q_net_target, DuelingQNetwork)
    online, target = policy.q_net.state_dict(), policy.q_net_target.state_dict()
    assert online.keys() == target.keys()
    for name in online:
        assert th.equal(online[name], target[name])
        assert online[name].data_ptr() != target[name].data_ptr()


@pytest.mark.parametrize("kwargs", [{}, {"net_arch": {"value": [5]}, "rescale_gradients": True}])
def test_sb3_saves_and_loads_the_policy(tmp_path, kwargs):
    policy = make_policy(**kwargs)
    policy.save(str(tmp_path / "policy.pt"))
    loaded = DuelingDQNPolicy.load(str(tmp_path / "policy.pt"), device="cpu")
    assert loaded.net_arch == policy.net_arch
    assert loaded.q_net.rescale_gradients is policy.rescale_gradients
    assert th.equal(loaded.q_net(observations()), policy.q_net(observations()))


def test_the_policy_works_in_the_dqn_of_sb3(tmp_path):
    kwargs = {"learning_starts": 20, "train_freq": 2, "buffer_size": 500, "device": "cpu"}
    model = DQN(
        DuelingDQNPolicy,
        "CartPole-v1",
        policy_kwargs={"net_arch": [16], "rescale_gradients": True},
        seed=0,
        **kwargs,
    )
    before = model.policy.state_dict()["q_net.value_net.0.weight"].clone()
    model.learn(100)
    assert not th.equal(before, model.policy.state_dict()["q_net.value_net.0.weight"])
    model.save(tmp_path / "model.zip")
    loaded = DQN.load(tmp_path / "model.zip", device="cpu")
    obs = model.get_env().reset()
    np.testing.assert_array_equal(
        loaded.predict(obs, deterministic=True)[0], model.predict(obs, deterministic=True)[0]
    )


def test_the_policy_is_found_by_its_dotted_path():
    module, _, name = "agents.policies.DuelingDQNPolicy".rpartition(".")  # as rl-zoo3 does
    assert getattr(importlib.import_module(module), name) is DuelingDQNPolicy


def test_dict_observations_in_the_dqn_of_sb3():
    model = DQN(
        DuelingMultiInputPolicy,
        Pairs(),
        policy_kwargs={"net_arch": [16]},
        learning_rate=1e-2,
        gamma=0.0,
        learning_starts=50,
        train_freq=1,
        buffer_size=1000,
        exploration_fraction=0.5,
        seed=0,
        device="cpu",
    )
    model.learn(600)
    shown = {"shown": np.arange(N_ACTIONS), "noise": np.full((N_ACTIONS, 2), 0.5, np.float32)}
    np.testing.assert_array_equal(model.predict(shown, deterministic=True)[0], range(N_ACTIONS))


def test_images():
    policy = make_policy(DuelingCnnPolicy, spaces.Box(0, 255, (3, 36, 36), np.uint8))
    assert policy.net_arch == []
    assert policy.predict(np.zeros((2, 3, 36, 36), np.uint8))[0].shape == (2,)


def test_training_mode_is_switched_only_where_it_changes(monkeypatch):
    policy = make_policy(net_arch=[8])
    walks = []
    monkeypatch.setattr(DuelingQNetwork, "train", lambda self, mode=True: walks.append(mode))
    for network in (policy.q_net, policy):
        network.training = False
    policy.predict(observations(1).numpy())
    assert walks == []
    policy.set_training_mode(True)
    assert walks == [True]
    monkeypatch.undo()
    for changed in (policy, policy.q_net):  # by hand, past set_training_mode
        changed.train()
        policy.predict(observations(1).numpy())
        assert not any(module.training for module in policy.q_net.modules())


# --- Arguments as JSON ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        0.5,
        float("inf"),
        "text",
        [1, [2, None]],
        (1, (2.5, "x")),
        {"net_arch": {"shared": [64], "value": (32,)}, "empty": {}},
        nn.ReLU,
        th.optim.Adam,
        FlattenExtractor,
        {"features_extractor_class": CodesExtractor, "activation_fn": nn.Tanh},
        DuelingDQNPolicy,
    ],
)
def test_arguments_come_back(value):
    returned = argument_from_json(argument_to_json(value), {})
    assert returned == value
    assert type(returned) is type(value)


def test_names_are_public_ones():
    assert argument_to_json(nn.ReLU) == {"$name": "torch.nn.ReLU"}
    assert argument_to_json(th.optim.Adam) == {"$name": "torch.optim.Adam"}
    assert argument_to_json(NStepReplayBuffer) == {
        "$name": "stable_baselines3.common.buffers.NStepReplayBuffer"
    }
    for buffer in (PrioritizedReplayBuffer, NStepReplayBuffer):
        assert argument_from_json(argument_to_json(buffer), {}) is buffer
    assert argument_to_json(CodesExtractor) == {"$name": "agents.extractors.CodesExtractor"}


def test_numpy_numbers_become_plain_ones():
    assert argument_to_json([np.int64(3), np.float32(0.5), np.bool_(True)]) == [3, 0.5, True]


def test_schedules_come_back_by_their_numbers():
    assert argument_to_json(ConstantSchedule(0.5)) == 0.5
    linear = argument_from_json(argument_to_json(FloatSchedule(LinearSchedule(1.0, 0.1, 0.5))), {})
    assert isinstance(linear, LinearSchedule)
    for remaining, expected in ((1.0, 1.0), (0.75, 0.55), (0.2, 0.1)):
        assert linear(remaining) == pytest.approx(expected)


def own_schedule(remaining):
    return remaining


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (own_schedule, f"{__name__}.own_schedule"),
        (partial(own_schedule), "functools.partial"),
        (Pairs, f"{__name__}.Pairs"),
        (th.zeros(2), "torch.Tensor"),
        ({1: 2}, "builtins.dict"),
        ({"$name": "os.system"}, "builtins.dict"),
    ],
)
def test_what_json_cannot_say_is_asked_for_by_name(value, name):
    data = argument_to_json({"argument": [value]})
    with pytest.raises(ModelFileError, match=rf"uses '{name}', .* custom_objects=\{{'{name}': "):
        argument_from_json(data, {})
    assert argument_from_json(data, {name: "mine"}) == {"argument": ["mine"]}


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "torch.load",
        "torch.nn.functional",  # a module
        "torch.nn.Parameter",  # a class, but no network
        "torch.optim.Optimizer.__init__",
        "agents.policies.argument_from_json",
        "torch.nn.os",
        "ReLU",
        "",
    ],
)
def test_a_file_cannot_name_anything_else(name):
    with pytest.raises(ModelFileError, match=f"the model uses '{name}', which is not loaded by"):
        argument_from_json({"$name": name}, {})


def test_a_file_cannot_have_a_module_imported():
    sys.modules.pop("antigravity", None)
    with pytest.raises(ModelFileError):
        argument_from_json({"$name": "antigravity.webbrowser"}, {})
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize("data", [{"$name": 3}, {"$linear": [1, 2]}, {"$tuple": 1}, {"$x": 1}])
def test_malformed_descriptions(data):
    with pytest.raises(ModelFileError, match=r"not the description of an argument: \{'\$"):
        argument_from_json(data, {})
