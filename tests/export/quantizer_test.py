import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from float_models import dense_model

from tinybert_tf.export.flatbuffer_edits import operator_name, read_model
from tinybert_tf.export.quantizer import quantize, weights_on_grid
from tinybert_tf.recipes import RECIPES

MADE_HERE = [name for name, recipe in RECIPES.items() if recipe.tool == "quantizer"]


def inputs(length, seed=0):
    random = np.random.default_rng(seed)
    mask = np.arange(length) < max(1, length - length // 4)
    rows = {"ids": random.integers(4, 30, length), "mask": mask, "segment_ids": 0 * mask}
    return {name: values[None].astype(np.int32) for name, values in rows.items()}


def calibration():
    return (inputs(length, seed=length) for length in range(3, 17))


def answer(content, row):
    runner = Interpreter(model_content=content).get_signature_runner("serving_default")
    (values,) = runner(**row).values()
    return values


@pytest.fixture(scope="module", name="content")
def make_content(files):
    with open(files["float32"], "rb") as file:
        return file.read()


@pytest.fixture(scope="module", name="quantized")
def make_quantized(content):
    return {recipe: quantize(content, recipe, calibration()) for recipe in MADE_HERE}


@pytest.mark.parametrize(
    ("recipe", "difference"),
    [
        ("dynamic_wi8_afp32_emb4", 0.15),
        ("dynamic_wi4_afp32", 0.3),
        ("weight_only_wi8_afp32", 0.02),
        ("static_wi8_ai8", 0.15),
        ("static_wi8_ai16", 0.03),
    ],
)
def test_answers_are_close_at_any_length(quantized, content, recipe, difference):
    for length in (5, 16, 9):
        row = inputs(length, seed=100 + length)
        expected = answer(content, row)
        assert np.abs(answer(quantized[recipe], row) - expected).max() < difference


@pytest.mark.parametrize("recipe", MADE_HERE)
def test_inputs_and_outputs_are_the_same(quantized, content, recipe):
    before, after = Interpreter(model_content=content), Interpreter(model_content=quantized[recipe])
    assert before.get_signature_list() == after.get_signature_list()
    for details in zip(
        before.get_input_details() + before.get_output_details(),
        after.get_input_details() + after.get_output_details(),
        strict=True,
    ):
        names, types = ([detail[key] for detail in details] for key in ("name", "dtype"))
        assert len(set(names)) == len(set(types)) == 1


@pytest.mark.parametrize("recipe", MADE_HERE)
def test_no_large_weights_stay_float(quantized, recipe):
    """Only tables below the least size, norms, biases and the two rows of segments are left."""
    model = read_model(quantized[recipe])
    (graph,) = model.subgraphs
    left = [
        tensor.shape
        for tensor in graph.tensors
        if tensor.type == 0 and model.buffers[tensor.buffer].data is not None
    ]
    assert max((int(np.prod(shape)) for shape in left), default=0) <= 16 * 64


def test_sizes(quantized):
    sizes = {recipe: len(content) for recipe, content in quantized.items()}
    assert sizes["dynamic_wi4_afp32"] < sizes["dynamic_wi8_afp32_emb4"]
    assert sizes["dynamic_wi8_afp32_emb4"] < sizes["weight_only_wi8_afp32"]


def test_nothing_is_printed(content, capfd):
    quantize(content, "static_wi8_ai8", calibration())
    captured = capfd.readouterr()
    assert "it/s" not in captured.out + captured.err


@pytest.mark.parametrize("recipe", ["static_wi8_ai8", "static_wi8_ai16"])
@pytest.mark.parametrize("nothing", [None, (), iter(())])
def test_static_recipes_ask_for_examples(content, recipe, nothing):
    with pytest.raises(ValueError, match=f'"{recipe}".*no `examples`. Pass some hundred'):
        quantize(content, recipe, nothing)


@pytest.mark.parametrize("recipe", ["float32", "legacy_dynamic_wi8"])
def test_the_converters_recipes_are_refused(content, recipe):
    with pytest.raises(ValueError, match="while a model is converted.*From a file: dynamic_wi8"):
        quantize(content, recipe)


def test_unknown_recipe(content):
    with pytest.raises(ValueError, match='Unknown recipe "static". Did you mean'):
        quantize(content, "static")


def grid(shape, steps, seed):
    """Weights on a symmetric grid for each row, the greatest at the grid's end."""
    random = np.random.default_rng(seed)
    multiples = random.integers(-steps, steps + 1, shape)
    multiples[:, 0] = steps
    return (multiples * random.uniform(0.01, 0.2, (shape[0], 1))).astype(np.float32)


@pytest.mark.parametrize(
    ("recipe", "dense_steps", "table_steps"),
    [("dynamic_wi4_afp32", 7, 7), ("dynamic_wi8_afp32_emb4", 127, 7)],
)
def test_weights_on_the_grid_stay_where_they_are(recipe, dense_steps, table_steps):
    kernel, table = grid((16, 64), dense_steps, 0).T, grid((64, 64), table_steps, 1)
    content = quantize(dense_model(kernel, table), recipe)
    stored = dict(stored_weights(content))
    np.testing.assert_allclose(stored["FULLY_CONNECTED"], kernel.T, atol=2e-6)
    np.testing.assert_allclose(stored["EMBEDDING_LOOKUP"], table, atol=2e-6)


def test_the_converters_int8_keeps_to_the_grid_too():
    kernel = grid((16, 64), 127, 0).T
    content = dense_model(kernel, grid((64, 64), 7, 1), optimize=True)
    stored = dict(stored_weights(content))
    np.testing.assert_allclose(stored["FULLY_CONNECTED"], kernel.T, atol=2e-6)


def stored_weights(content):
    """Yields operators and the weights that a file holds for them, multiplied out."""
    model = read_model(content)
    (graph,) = model.subgraphs
    for operator in graph.operators:
        name = operator_name(model, operator)
        if name in ("FULLY_CONNECTED", "EMBEDDING_LOOKUP"):
            tensor = graph.tensors[operator.inputs[1]]
            codes = np.frombuffer(model.buffers[tensor.buffer].data, np.int8)
            if codes.size < np.prod(tensor.shape):  # Two in a byte, the lower half first.
                codes = np.stack([codes << 4 >> 4, codes >> 4], axis=-1)
            scale = np.array(tensor.quantization.scale)[:, None]
            yield name, codes.reshape(tensor.shape) * scale


def test_which_weights_lie_on_a_grid():
    kernel, table = grid((16, 64), 7, 0).T, grid((64, 64), 7, 1)
    content = dense_model(kernel, table)
    assert len(weights_on_grid(content, "FULLY_CONNECTED", 4)) == 1
    assert not weights_on_grid(content, "FULLY_CONNECTED", 8)  # 7 steps are not among the 127.
    moved = kernel + 0.1 * np.random.default_rng(2).normal(size=kernel.shape)
    assert not weights_on_grid(dense_model(moved, table), "FULLY_CONNECTED", 4)


def test_channels_of_nothing_but_zeros_are_on_any_grid():
    kernel = grid((16, 64), 7, 0).T
    kernel[:, 3] = 0
    content = dense_model(kernel, grid((64, 64), 7, 1))
    assert len(weights_on_grid(content, "FULLY_CONNECTED", 4)) == 1
