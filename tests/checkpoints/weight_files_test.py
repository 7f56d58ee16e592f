"""Where a folder keeps its tensors, whole or in shards."""

import json
import shutil

import numpy as np
import pytest
import safetensors.numpy

from tinybert_tf.checkpoints.weight_files import find_weights, read_weights

INDEX = "model.safetensors.index.json"


@pytest.fixture(name="folder")
def write_shards(tmp_path):
    """A folder of two shards of safetensors."""
    for name, value in (("a", 1.0), ("b", 2.0)):
        tensors = {name: np.full((2,), value, np.float32), "common": np.zeros(1, np.float32)}
        safetensors.numpy.save_file(tensors, tmp_path / f"{name}.safetensors")
    write_index(tmp_path, a="a.safetensors", b="b.safetensors")
    return tmp_path


def write_index(folder, **weight_map):
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))


def test_shards_are_read_as_the_index_says(folder):
    tensors = read_weights(find_weights(folder))
    assert {name: value.tolist() for name, value in tensors.items()} == {"a": [1, 1], "b": [2, 2]}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_becomes_float32(tmp_path, dtype):
    values = np.array([1.5, -2]).astype(dtype)
    safetensors.numpy.save_file({"a": values}, tmp_path / "model.safetensors")
    tensor = read_weights(tmp_path / "model.safetensors")["a"]
    assert (tensor.dtype, tensor.tolist()) == (np.float32, [1.5, -2])


def test_order_of_files(folder):
    assert find_weights(folder).name == INDEX
    (folder / "pytorch_model.bin").touch()
    assert find_weights(folder).name == INDEX
    (folder / INDEX).unlink()
    (folder / "pytorch_model.bin.index.json").touch()
    assert find_weights(folder).name == "pytorch_model.bin"
    shutil.copy(folder / "a.safetensors", folder / "model.safetensors")
    assert find_weights(folder).name == "model.safetensors"


def test_no_weights(tmp_path):
    message = r"model\.safetensors: no such file; .* pytorch_model\.bin, or the \.index\.json of"
    with pytest.raises(FileNotFoundError, match=message):
        find_weights(tmp_path)


@pytest.mark.parametrize(
    "shard",
    [
        "../a.safetensors",
        "/etc/passwd",
        "x/a.safetensors",
        "..",
        ".",
        "",
        "x\\a",
        "C:a",
        "a\0",
        "a" * 256,
        "é" * 128,
        3,
        None,
    ],
)
def test_shards_outside_the_folder(folder, shard):
    write_index(folder, a=shard)
    with pytest.raises(ValueError, match=r"`weight_map` sends a to .*, expected the name of a fil"):
        read_weights(folder / INDEX)


@pytest.mark.parametrize("content", ["{}", '{"weight_map": {}}', '{"weight_map": ["a"]}'])
def test_index_without_a_map(folder, content):
    (folder / INDEX).write_text(content)
    with pytest.raises(ValueError, match=rf"{INDEX}: lacks `weight_map`"):
        read_weights(folder / INDEX)


def test_tensor_and_shard_that_are_not_there(folder):
    write_index(folder, a="a.safetensors", c="b.safetensors")
    with pytest.raises(ValueError, match=rf"b\.safetensors: lacks c, which .*{INDEX} puts there"):
        read_weights(folder / INDEX)
    write_index(folder, a="c.safetensors")
    with pytest.raises(FileNotFoundError, match=r"c\.safetensors: no such file"):
        read_weights(folder / INDEX)
