"""The released program and this package compute the same states, maps, losses, gradients."""

import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import tinybert_tf as tb
from tinybert_tf.checkpoints import hugging_face

NUMBERS = pathlib.Path(__file__).parents[2] / "../shared/reference/tinybert_reference_losses.npz"
pytestmark = pytest.mark.skipif(not NUMBERS.is_file(), reason="reference numbers are not here")

RELATIVE_ERROR = {"float64": 1e-9, "float32": 1e-4}
SIZES = {"teacher": (4, 32, 64, 4), "student": (2, 24, 48, 4)}


def close(actual, expected, dtype):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=RELATIVE_ERROR[dtype] * scale)


def make_model(numbers, who, dtype):
    num_layers, hidden_dim, intermediate_dim, num_heads = SIZES[who]
    config = tb.BertConfig(
        vocabulary_size=50,
        num_layers=num_layers,
        hidden_dim=hidden_dim,
        num_heads=num_heads,
        intermediate_dim=intermediate_dim,
        max_sequence_length=40,
        dropout=0.0,
        attention_dropout=0.0,
    )
    model = tb.BertClassifier(config, ("a", "b", "c"), head="tinybert_relu", dtype=dtype)
    for name, variable in hugging_face.model_variables(model).items():
        value = numbers[f"{who}/{name}"]
        variable.assign(value.T if hugging_face.is_transposed(name) else value)
    return model


@pytest.fixture(scope="module", params=["float64", "float32"])
def setting(request):
    dtype = request.param
    numbers = dict(np.load(NUMBERS))
    inputs = {
        "token_ids": numbers["input_ids"],
        "segment_ids": numbers["segment_ids"],
        "padding_mask": numbers["input_mask"],
    }
    teacher, student = (make_model(numbers, who, dtype) for who in ("teacher", "student"))
    distiller = tb.Distiller(teacher, student)
    distiller.compile(tb.IntermediateObjective(compat="reference"), optimizer=tb.adamw(1e-3))
    distiller.prepare(inputs)
    distiller.projection.set_affine(
        numbers["student/fit_dense.weight"].T, numbers["student/fit_dense.bias"]
    )
    return numbers, distiller, inputs, dtype


def test_setting_is_the_one_described():
    meta = json.loads(str(np.load(NUMBERS)["meta_json"]))
    assert "temperature" in json.dumps(meta)


@pytest.mark.parametrize("who", ["teacher", "student"])
def test_outputs_equal(setting, who):
    numbers, distiller, inputs, dtype = setting
    outputs = getattr(distiller, who)(inputs, training=False)
    states = outputs["hidden_states"]
    if who == "student":
        states = distiller.projection(states)
    close(outputs["logits"], numbers[f"{who}_out/logits"], dtype)
    for layer, state in enumerate(states):
        close(state, numbers[f"{who}_out/hidden_states/{layer}"], dtype)
    for layer, logits in enumerate(outputs["attention_logits"]):
        expected = numbers[f"{who}_out/attention_logits/{layer}"]
        real = expected > -5000
        close(np.asarray(logits)[real], expected[real], dtype)
        close(logits, expected, dtype)


OBJECTIVES = {
    "intermediate": tb.IntermediateObjective(compat="reference"),
    "prediction": tb.PredictionObjective(compat="reference"),
}


def terms_and_gradients(distiller, inputs, objective):
    """The mean of the loss and of each term, and the gradients by Hugging Face's names."""
    distiller.compile(objective, optimizer=tb.adamw(1e-3))
    names = dict(hugging_face.model_variables(distiller.student))
    dense = distiller.projection.dense_layers[0]
    names |= {"fit_dense.weight": dense.kernel, "fit_dense.bias": dense.bias}
    count = len(inputs["token_ids"])
    gradients, sums = distiller._gradients(list(names.values()), inputs, None, None, count)
    means = {name: total / count for name, total in sums.items()}
    return means, dict(zip(names, gradients, strict=True))


def test_losses_equal(setting):
    numbers, distiller, inputs, dtype = setting
    means, _ = terms_and_gradients(distiller, inputs, OBJECTIVES["intermediate"])
    close(means["attention_loss"], numbers["loss/attention"].sum(), dtype)
    close(means["embedding_loss"], numbers["loss/hidden"][0], dtype)
    close(means["hidden_loss"], numbers["loss/hidden"][1:].sum(), dtype)
    means, _ = terms_and_gradients(distiller, inputs, OBJECTIVES["prediction"])
    close(means["loss"], numbers["loss/prediction"], dtype)


@pytest.mark.parametrize("stage", list(OBJECTIVES))
def test_gradients_equal(setting, stage):
    numbers, distiller, inputs, dtype = setting
    _, gradients = terms_and_gradients(distiller, inputs, OBJECTIVES[stage])
    expected = {k.split("/", 1)[1]: v for k, v in numbers.items() if k.startswith(f"grad_{stage}/")}
    assert expected
    for name, value in expected.items():
        gradient = np.asarray(tf.convert_to_tensor(gradients[name]))
        gradient = gradient.T if hugging_face.is_transposed(name) else gradient
        if name == "bert.embeddings.word_embeddings.weight":
            gradient, value = gradient[1:], value[1:]  # the program gives padding no gradient
        close(gradient, value, dtype)


def test_stages_leave_out_what_they_should(setting):
    _, distiller, inputs, _ = setting
    _, gradients = terms_and_gradients(distiller, inputs, OBJECTIVES["intermediate"])
    untouched = {name for name, gradient in gradients.items() if gradient is None}
    heads = {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    assert untouched == heads | {"classifier.weight", "classifier.bias"}
    _, gradients = terms_and_gradients(distiller, inputs, OBJECTIVES["prediction"])
    untouched = {name for name, gradient in gradients.items() if gradient is None}
    assert untouched == {"fit_dense.weight", "fit_dense.bias"}


def test_losses_are_float32_or_wider():
    logits = keras.ops.ones((2, 3), "bfloat16")
    assert tb.losses.soft_cross_entropy(logits, logits).dtype == "float32"
