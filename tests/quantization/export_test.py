"""The weights that a student was trained with are those of its quantized file."""

import numpy as np
import pytest
import tiny
from ai_edge_litert.interpreter import Interpreter

import tinybert_tf as tb
from tinybert_tf.data import Examples
from tinybert_tf.quantization import QuantizedStudent

RECIPES = ["dynamic_wi8_afp32", "dynamic_wi8_afp32_emb4", "dynamic_wi4_afp32"]
TOLERANCE = 2e-6
SMALLEST = 1024  # numbers in a tensor that the converter quantizes


def matrices(path):
    """The constant matrices of a file, those of whole numbers multiplied by their scales."""
    interpreter, found = Interpreter(str(path)), []
    for detail in interpreter.get_tensor_details():
        if len(detail["shape"]) == 2 and np.prod(detail["shape"]) >= SMALLEST:
            try:
                value = interpreter.get_tensor(detail["index"])
            except ValueError:
                continue  # an activation
            found.append((detail["dtype"], value * _scales(detail) if _is_int(detail) else value))
    return found


def constants(path):
    """The int8 constants of a file that have one scale, flat, multiplied out."""
    interpreter, found = Interpreter(str(path)), []
    for detail in interpreter.get_tensor_details():
        scale, zero = detail["quantization"]
        if _is_int(detail) and scale:
            try:
                value = interpreter.get_tensor(detail["index"])
            except ValueError:
                continue  # an activation
            found.append((value.astype(np.float32).ravel() - zero) * scale)
    return found


def _is_int(detail):
    return detail["dtype"] == np.int8


def _scales(detail):
    parameters = detail["quantization_parameters"]
    shape = [1, 1]
    shape[parameters["quantized_dimension"]] = -1
    return parameters["scales"].reshape(shape)


def largest_error(student, folder, recipe):
    """How far the numbers of a quantized file are from those of the float file; and how many."""
    for name in ("float32", recipe):
        tb.export.to_tflite(student, folder / f"{name}.tflite", name)
    exact = [value for _, value in matrices(folder / "float32.tflite")]
    rounded = [value for dtype, value in matrices(folder / f"{recipe}.tflite") if dtype == np.int8]
    errors = [
        min(np.abs(value - other).max() for other in exact if other.shape == value.shape)
        for value in rounded
    ]
    return max(errors), len(errors)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("is_trained", [True, False])
def test_the_file_has_the_weights_of_training(tmp_path, is_trained, recipe):
    student = QuantizedStudent(tiny.make_model(num_layers=2, hidden_dim=48), recipe)
    error, count = largest_error(
        student.bake() if is_trained else student.student, tmp_path, recipe
    )
    assert count >= 9  # query, key and value may be one matrix
    assert error < TOLERANCE if is_trained else error > 100 * TOLERANCE


@pytest.mark.parametrize("is_trained", [True, False])
def test_a_file_of_int8_activations_too(tmp_path, is_trained):
    student = QuantizedStudent(tiny.make_model(num_layers=1, hidden_dim=48), "static_wi8_ai8")
    for variable in student.student.trainable_variables:
        if variable.name in ("gamma", "beta"):
            variable.assign(variable + np.linspace(-0.31, 0.7, 48))
    if is_trained:
        student.bake()
    path = tmp_path / "student.tflite"
    texts = Examples(["a b", "b c a"])
    tb.export.to_tflite(student.student, path, "static_wi8_ai8", examples=texts)
    rounded = constants(path)
    for variable in student.student.trainable_variables:
        if variable.name in ("embeddings", "position_embedding", "gamma", "beta"):
            value = variable.numpy().ravel()
            error = min(
                np.abs(value - other).max() for other in rounded if other.size == value.size
            )
            assert error < TOLERANCE if is_trained else error > 100 * TOLERANCE
