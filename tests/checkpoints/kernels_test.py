import numpy as np
import pytest

from tinybert_tf.checkpoints.kernels import from_kernel, tensor_names, to_kernel

QUERY, JOINED = "encoder.layer.0.attention.self.query", "encoder.layer.0.attention.output.dense"


def test_names_of_parts_and_layers():
    names = tensor_names(
        {"pooler.dense": "pooler"},
        {"output.LayerNorm": "norm"},
        "layer_{}".format,
        2,
        ("kernel", "bias"),
        ("gamma", "beta"),
    )
    assert names["pooler.dense.weight"] == "pooler/kernel"
    assert names["encoder.layer.1.output.LayerNorm.bias"] == "layer_1/norm/beta"
    assert len(names) == 6


def test_a_query_that_is_split_by_heads():
    kernel = np.arange(24).reshape(4, 2, 3)  # in, heads, head size
    matrix = from_kernel(f"{QUERY}.weight", kernel)
    assert matrix.shape == (6, 4)
    assert matrix[4, 1] == kernel[1, 1, 1]


def test_an_output_that_joins_heads():
    kernel = np.arange(24).reshape(2, 3, 4)  # heads, head size, out
    matrix = from_kernel(f"{JOINED}.weight", kernel)
    assert matrix.shape == (4, 6)
    assert matrix[1, 4] == kernel[1, 1, 1]


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        (f"{QUERY}.weight", (4, 2, 3)),
        (f"{QUERY}.bias", (2, 3)),
        (f"{JOINED}.weight", (2, 3, 4)),
        (f"{JOINED}.bias", (4,)),
        ("pooler.dense.weight", (4, 4)),
        ("embeddings.LayerNorm.weight", (4,)),
        ("embeddings.word_embeddings.weight", (5, 4)),
    ],
)
def test_there_and_back(name, shape):
    kernel = np.random.default_rng(0).normal(size=shape)
    ours = from_kernel(name, kernel)
    turned = ours.T if ours.ndim == 2 and "embeddings" not in name else ours
    np.testing.assert_array_equal(to_kernel(name, turned, 2), kernel)


@pytest.mark.parametrize("shape", [(), (3,), (0, 4)])
def test_what_cannot_be_a_matrix_is_left_alone(shape):
    assert from_kernel(f"{QUERY}.weight", np.zeros(shape)).shape == shape
