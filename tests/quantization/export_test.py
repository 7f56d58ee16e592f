"""The weights that a student was trained with are those of its quantized file."""

import numpy as np
import pytest
import tiny
from ai_edge_litert.interpreter import Interpreter

import tinybert_tf as tb
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
    student = QuantizedStudent(tiny.make_model(num_layers=1, hidden_dim=48), recipe)
    error, count = largest_error(
        student.bake() if is_trained else student.student, tmp_path, recipe
    )
    assert count >= 5  # query, key and value may be one matrix
    assert error < TOLERANCE if is_trained else error > 100 * TOLERANCE
