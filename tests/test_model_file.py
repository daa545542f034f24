"""A saved model's file: what goes in comes out, and nothing else is read, let alone run."""

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

from agents.model_file import (
    FORMAT,
    ModelFileError,
    read_model,
    space_from_json,
    space_to_json,
    write_model,
)

METADATA = {"format": FORMAT, "algorithm": "Learner", "config": "{}"}


def raw(header: object, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def a_tensor(dtype: str, n_bytes: int) -> bytes:
    header = {"__metadata__": METADATA, "x": tensor_entry(dtype, n_bytes)}
    return raw(header, bytes(n_bytes))


def tensor_entry(dtype: str, n_bytes: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": [1], "data_offsets": [0, n_bytes]}


def with_config(text: str) -> bytes:
    return raw({"__metadata__": {**METADATA, "config": text}})


class Bomb:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


def test_round_trip(tmp_path: Path) -> None:
    tensors = {
        "table": np.arange(6.0).reshape(2, 3),
        "transposed": np.arange(6, dtype=np.int32).reshape(2, 3).T,
        "big_endian": np.arange(3, dtype=">i8"),
        "scalar": np.float32(2.5),
        "flags": np.array([True, False]),
        "empty": np.zeros((0, 4), dtype=np.uint8),
    }
    config = {"rate": 0.1, "unbounded": float("inf"), "names": ["a", "é"], "none": None}
    path = write_model(
        tmp_path / "a" / "model", algorithm="Learner", config=config, tensors=tensors
    )
    assert path == tmp_path / "a" / "model.safetensors"
    for name in ("model", "model.safetensors"):
        model = read_model(tmp_path / "a" / name, algorithm="Learner")
        assert (model.algorithm, model.config) == ("Learner", config)
        assert model.tensors.keys() == tensors.keys()
        for key, expected in tensors.items():
            found = model.tensors[key]
            np.testing.assert_array_equal(found, expected, err_msg=key)
            assert found.dtype == expected.dtype.newbyteorder("="), key
            assert found.shape == expected.shape, key
            assert found.flags.writeable, key
    assert [file.name for file in path.parent.iterdir()] == ["model.safetensors"]


def test_a_suffix_is_kept_and_an_old_file_replaced(tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    for number in (1, 2):
        assert write_model(path, algorithm="L", config={"n": number}, tensors={}) == path
    assert read_model(path).config == {"n": 2}


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_model(tmp_path / "model", algorithm="L", config={"n": 1}, tensors={})

    def full(_tensors: object, file: Path, _metadata: object) -> None:
        file.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr("agents.model_file.save_file", full)
    with pytest.raises(OSError, match="no space left"):
        write_model(path, algorithm="L", config={"n": 2}, tensors={})
    assert read_model(path).config == {"n": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"configuration of L cannot be .* JSON: .*set"):
        write_model(tmp_path / "m", algorithm="L", config={"a": {1}}, tensors={})
    with pytest.raises(TypeError, match="tensor 'x' has dtype object; expected one of"):
        write_model(tmp_path / "m", algorithm="L", config={}, tensors={"x": np.array([None])})
    with pytest.raises(TypeError, match=r"expected the path of a model file, not <_io\.BytesIO"):
        write_model(io.BytesIO(), algorithm="L", config={}, tensors={})  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no model file .*model\.safetensors"):
        read_model(tmp_path / "model")
    with pytest.raises(FileNotFoundError, match="no model file"):
        read_model(tmp_path)


def test_another_algorithm(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m", algorithm="QLearning", config={}, tensors={})
    with pytest.raises(
        ModelFileError, match=r"of 'QLearning', not of 'DuelingDQN'; load it with Q"
    ):
        read_model(path, algorithm="DuelingDQN")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_refused_and_not_run(tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "marker"
    payload = pickle.dumps(Bomb(marker), protocol)
    path = tmp_path / "model.safetensors"
    path.write_bytes(payload)
    with pytest.raises(ModelFileError, match="is not a model file"):
        read_model(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", payload)
        archive.writestr("policy.pth", payload)
    with pytest.raises(ModelFileError, match=r"a zip archive.*pickles can run code"):
        read_model(path)
    assert not marker.exists()
    pickle.loads(payload)
    assert marker.exists(), "the payload is harmless, so this test shows nothing"


def test_a_pickle_inside_a_model_file_stays_bytes(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    payload = np.frombuffer(pickle.dumps(Bomb(marker)), dtype=np.uint8)
    path = write_model(tmp_path / "m", algorithm="L", config={}, tensors={"policy": payload})
    np.testing.assert_array_equal(read_model(path).tensors["policy"], payload)
    assert not marker.exists()


GOOD = a_tensor("F64", 8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a model file"),
        (b"abc", "is not a model file"),
        (b"\x80\x04N.", "perhaps a pickle"),
        (struct.pack("<Q", 1 << 40) + b"{}", "header too large"),
        (struct.pack("<Q", 100) + b"{}", "is not a model file"),
        (struct.pack("<Q", 2) + b"[]", "invalid JSON in header"),
        (GOOD[:-1], "is not a model file"),
        (GOOD + b"\0", "is not a model file"),
        (a_tensor("BF16", 2), "is not a model file"),
        (a_tensor("F8_E4M3", 1), "is not a model file"),
        (raw({}), r"not a model of this project: expected .*'format' = 'musicrec-model-1'.* \{\}"),
        (raw({"__metadata__": {"format": "pt"}}), r"found \{'format': 'pt'\}"),
        (raw({"__metadata__": {"format": FORMAT}}), "'algorithm' and 'config'"),
        (raw({"__metadata__": {**METADATA, "config": {}}}), "is not a model file"),
        (with_config("{"), r"configuration in .* is not JSON"),
        (with_config("[" * 100_000), r"configuration in .* is not JSON"),
        (with_config("[1]"), r"must be a JSON object, not \[1\]"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(GOOD)
    assert read_model(path).tensors["x"] == 0.0
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=message) as caught:
        read_model(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(0, 1, (3, 2)),
        spaces.Box(-np.inf, np.inf, ()),
        spaces.Box(np.array([0.1, -np.inf]), np.array([1.0, 1.0]), dtype=np.float64),
        spaces.Box(0, 255, (2, 2, 3), np.uint8),
        spaces.Box(0, 1, (0,)),
        spaces.Discrete(3),
        spaces.Discrete(3, start=-1),
        spaces.MultiDiscrete([2, 3]),
        spaces.MultiDiscrete([[2], [3]], start=[[1], [-2]]),
        spaces.MultiBinary(3),
        spaces.MultiBinary((2, 3)),
        spaces.Dict([("b", spaces.Discrete(2)), ("a", spaces.Dict(c=spaces.Box(0, 1)))]),
    ],
    ids=str,
)
def test_spaces_round_trip(space: spaces.Space[object]) -> None:
    found = space_from_json(json.loads(json.dumps(space_to_json(space))))
    assert found == space
    assert found.dtype == space.dtype
    if isinstance(space, spaces.Dict):
        assert isinstance(found, spaces.Dict)
        assert list(found) == list(space)


def test_a_constant_bound_is_one_number() -> None:
    assert space_to_json(spaces.Box(0, 1, (20_000,))) == {
        "type": "Box",
        "low": 0.0,
        "high": 1.0,
        "shape": [20_000],
        "dtype": "float32",
    }


def test_unknown_spaces_are_refused() -> None:
    with pytest.raises(
        TypeError, match=r"cannot describe the space Text\(.*expected Box, Discrete"
    ):
        space_to_json(spaces.Text(3))
    for data in (None, [], {}, {"type": "Box"}, {"type": "Discrete", "n": "3", "start": 0}):
        with pytest.raises(ModelFileError, match="not the description of a space"):
            space_from_json(data)
    with pytest.raises(ModelFileError, match="unknown kind of space 'Text'"):
        space_from_json({"type": "Text"})
