import numpy as np
import pytest

from tinybert_tf.distillation import Projection


def states(count=3, width=4):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(2, 5, width)).astype("float32") for _ in range(count)]


@pytest.mark.parametrize(
    ("mode", "layers", "serves"),
    [
        ("embedding_and_shared", 2, [0, 1, 1]),
        ("shared", 1, [0, 0, 0]),
        ("per_layer", 3, [0, 1, 2]),
    ],
)
def test_which_dense_serves_which_state(mode, layers, serves):
    projection = Projection(mode, 3, student_dim=4, teacher_dim=6)
    assert len(projection.dense_layers) == layers
    for index, state, output in zip(serves, states(), projection(states()), strict=True):
        kernel, bias = projection.dense_layers[index].get_weights()
        np.testing.assert_allclose(output, state @ kernel + bias, atol=1e-6)


def test_identity_returns_what_it_gets():
    projection = Projection("identity", 3, student_dim=4, teacher_dim=4)
    assert not projection.weights
    for state, output in zip(states(), projection(states()), strict=True):
        np.testing.assert_array_equal(state, output)


def test_identity_needs_equal_widths():
    with pytest.raises(ValueError, match="4 wide and the teacher's 6"):
        Projection("identity", 3, student_dim=4, teacher_dim=6)


def test_unknown_mode():
    with pytest.raises(ValueError, match='Unknown `projection` "linear".*per_layer'):
        Projection("linear", 3, student_dim=4, teacher_dim=6)


def test_affine_start():
    projection = Projection("per_layer", 3, student_dim=4, teacher_dim=6)
    kernel, bias = np.ones((4, 6), "float32"), np.arange(6, dtype="float32")
    projection.set_affine(kernel, bias)
    for state, output in zip(states(), projection(states()), strict=True):
        np.testing.assert_allclose(output, state @ kernel + bias, atol=1e-5)
