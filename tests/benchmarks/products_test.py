"""The products that the benchmark lists are those of the step."""

import collections
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny

import tinybert_tf as tb
from benchmarks import products
from benchmarks.products import Product

TEACHER = tiny.make_model(hidden_dim=20, num_layers=4)
STUDENT = tiny.make_model(hidden_dim=12, num_layers=2)
BATCH_SIZE, LENGTH = 3, 5


def parts(batch_size=BATCH_SIZE, length=LENGTH):
    return products.step_products(
        TEACHER.config, STUDENT.config, batch_size, length, "bfloat16", "float32"
    )


def encoder_matrices(config):
    """Number of weights in the matrices of the encoder's layers."""
    width = config.hidden_dim
    return config.num_layers * (4 * width**2 + 2 * width * config.intermediate_dim)


def attention_flop(config, batch_size, length):
    return config.num_layers * 2 * 2 * batch_size * length**2 * config.hidden_dim


def flop(counter):
    return sum(product.flop * count for product, count in counter.items())


def operations_that_count(concrete):
    """The operations that the outputs and the effects of a function depend on."""
    waiting = [tensor.op for tensor in concrete.outputs] + concrete.graph.control_outputs
    found = set()
    while waiting:
        operation = waiting.pop()
        if operation not in found:
            found.add(operation)
            waiting += [tensor.op for tensor in operation.inputs] + operation.control_inputs
    return found


def as_product(operation):
    """The `Product` of an operation of a graph, or None if it is none."""
    names = {"MatMul": "transpose", "BatchMatMulV2": "adj"}
    if operation.type not in names:
        return None
    a, b = ("a", "b") if operation.type == "MatMul" else ("x", "y")
    left, right = (operation.get_attr(f"{names[operation.type]}_{side}") for side in (a, b))
    *stack, first, second = operation.inputs[0].shape
    rows, inner = (second, first) if left else (first, second)
    columns = operation.outputs[0].shape[-1]
    return Product(tuple(stack), rows, inner, columns, operation.inputs[0].dtype.name, left, right)


@pytest.mark.parametrize("batch_size", [3, 8])
def test_teacher_takes_two_flop_a_weight_and_token(batch_size):
    expected = 2 * encoder_matrices(TEACHER.config) * batch_size * LENGTH
    expected += attention_flop(TEACHER.config, batch_size, LENGTH)
    assert flop(parts(batch_size)["teacher"]) == expected


def test_training_takes_three_times_as_much():
    config = STUDENT.config
    forward = 2 * encoder_matrices(config) * BATCH_SIZE * LENGTH
    forward += attention_flop(config, BATCH_SIZE, LENGTH)
    assert flop(parts()["student"]) == 3 * forward
    projections = (config.num_layers + 1) * 2 * BATCH_SIZE * LENGTH * 12 * 20
    assert flop(parts()["projection"]) == 3 * projections


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_product_of_the_step_is_listed(dtype):
    """Held against the graph: the same shapes, transpositions and dtypes, each as often."""
    teacher = tiny.make_model(hidden_dim=20, num_layers=4, dtype=dtype)
    student = tiny.make_model(hidden_dim=12, num_layers=2, dtype=products.TRAINED[dtype])
    distiller = tb.Distiller(teacher, student)
    distiller.compile(tb.IntermediateObjective(), tb.adamw(1e-3))
    batch = products.make_batch(student.config, BATCH_SIZE, LENGTH)
    distiller.prepare(batch[0])
    concrete = tf.function(distiller.train_step).get_concrete_function(batch)
    found = collections.Counter(map(as_product, operations_that_count(concrete)))
    del found[None]
    listed = products.step_products(
        teacher.config, student.config, BATCH_SIZE, LENGTH, dtype, dtype
    )
    assert found == sum(listed.values(), collections.Counter())


@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True)])
def test_products_are_those_of_their_operands(transposed):
    product = Product((2,), 3, 4, 5, "float32", *transposed)
    results = products.product_function(product)()
    assert [tuple(result.shape) for result in results] == [(2, 3, 5)] * products.COPIES
    assert len({float(tf.reduce_sum(result)) for result in results}) == products.COPIES


def test_gradients_are_products_of_the_operands():
    product = Product((), 3, 4, 5, "float32")
    left, right = product.backward
    assert (left.left_shape, left.right_shape) == ((3, 5), (4, 5))  # dy, w -> dx
    assert (right.left_shape, right.right_shape) == ((3, 4), (3, 5))  # x, dy -> dw


def test_summary():
    small, large = Product((), 1, 1, 1, "float32"), Product((), 10, 1, 1, "float32")
    listed = {
        "teacher": collections.Counter({small: 3}),
        "student": collections.Counter({large: 1}),
        "projection": collections.Counter({small: 1}),
    }
    alone = {small: [1.0, 2.0, 1.0], large: [4.0, 4.0, 6.0]}
    spans = {"step": [10.0, 12.0, 20.0], "teacher": [3.0] * 3, "student": [5.0, 12.0, 7.0]}
    summary = products.summarize(listed, alone, spans)
    assert summary["step"] == {
        "flop": 2 * (4 + 10),
        "milliseconds": 12e3,
        "products_milliseconds": 10e3,  # of 8, 12, 10 seconds
        "products_share": 0.8,  # of 8/10, 12/12, 10/20
        "flop_per_second": pytest.approx(28 / 12),
    }
    assert summary["teacher"]["products_share"] == 1
    assert summary["student"]["products_share"] == 1  # of 5/5, 6/12, 7/7


def test_functions_are_run_in_turns():
    calls = []
    functions = {name: lambda name=name: calls.append(name) for name in "ab"}
    seconds = products.measure(functions, rounds=2)
    assert calls == list("ababab")
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2}


def test_student_on_given_outputs_takes_the_step(monkeypatch):
    """The parts that are timed do what the step does: the same loss, from a fresh start."""
    presets = {"teacher": TEACHER.config, "student": STUDENT.config}
    monkeypatch.setattr(tb.models.bert_config, "PRESETS", presets)
    arguments = types.SimpleNamespace(
        teacher="teacher", student="student", student_dtype="float32", batch_size=2
    )
    losses = []
    for name in ("step", "student"):
        keras.utils.set_random_seed(0)
        functions = products.step_functions(arguments, 4, "float32")
        losses.append(float(functions[name]()["loss"]))
    np.testing.assert_allclose(*losses, rtol=1e-5)
