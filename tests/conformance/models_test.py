"""What every model does, whatever it is."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from random_models import as_arrays, random_inputs, randomized, tiny_config, tiny_vocabulary

from tinybert_tf.models import (
    BertClassifier,
    BertEncoder,
    BertMaskedLM,
    BertSpanLabeler,
    BertTokenClassifier,
)

CONFIG = tiny_config()
MODELS = {
    "encoder": lambda **settings: BertEncoder(CONFIG, **settings),
    "classifier": lambda **settings: BertClassifier(CONFIG, ("no", "yes", "là"), **settings),
    "tinybert_relu": lambda **settings: BertClassifier(
        tiny_config(activation="relu"), "ab", head="tinybert_relu", **settings
    ),
    "regression": lambda **settings: BertClassifier(CONFIG, problem="regression", **settings),
    "multilabel": lambda **settings: BertClassifier(
        CONFIG, ("a", "b"), problem="multilabel", **settings
    ),
    "relu_pooler": lambda **settings: BertClassifier(tiny_config(pooler="relu"), "ab", **settings),
    "spans": lambda **settings: BertSpanLabeler(CONFIG, **settings),
    "tagging": lambda **settings: BertTokenClassifier(CONFIG, ("O", "B", "I"), **settings),
    "masked_lm": lambda **settings: BertMaskedLM(CONFIG, **settings),
}
# Weights beside the tables' and the layers': dense layers have two, so do norms.
NUM_OTHERS = {
    BertEncoder: 2,
    BertClassifier: 4,
    BertSpanLabeler: 2,
    BertTokenClassifier: 2,
    BertMaskedLM: 7,
}
ATTRIBUTES = ("config", "vocabulary", "labels", "head", "problem", "name", "dtype_policy")
RELATIVE_ERROR = {"float16": 0.02, "bfloat16": 0.15}


@pytest.fixture(params=MODELS, name="make")
def choose_model(request):
    def make(**settings):
        return randomized(MODELS[request.param](vocabulary=tiny_vocabulary(), **settings))

    return make


def attributes(model):
    return {name: getattr(model, name, None) for name in ATTRIBUTES}


def assert_close(actual, expected, **tolerance):
    actual, expected = as_arrays(actual), as_arrays(expected)
    assert set(actual) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, err_msg=name, **tolerance)


def test_saved_in_keras_format_equals_loaded(make, tmp_path):
    model = make(name="mine")
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert attributes(loaded) == attributes(model)
    assert_close(loaded(random_inputs()), model(random_inputs()), rtol=0, atol=0)


def test_weights_file_equals(make, tmp_path):
    model, other = make(), make()
    randomized(other, seed=1)
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    assert_close(other(random_inputs()), model(random_inputs()), rtol=0, atol=0)


def test_config_survives_json(make):
    model = make(dtype="mixed_bfloat16")
    config = json.loads(json.dumps(model.get_config()))
    assert attributes(type(model).from_config(config)) == attributes(model)


@pytest.mark.parametrize("dtype", RELATIVE_ERROR)
def test_mixed_precision_is_finite_and_near_float32(make, dtype):
    inputs, model = random_inputs(), make(dtype=f"mixed_{dtype}")
    expected, actual = make()(inputs), model(inputs)
    assert {part.dtype.name for part in tf.nest.flatten(actual)} == {dtype}
    of_empty_row = model(inputs | {"padding_mask": 0 * inputs["padding_mask"]})
    assert all(np.isfinite(part).all() for part in as_arrays(of_empty_row).values())
    assert_close(actual, expected, rtol=RELATIVE_ERROR[dtype], atol=2 * RELATIVE_ERROR[dtype])


def test_compiled_for_any_shape_equals_eager(make):
    model = make()
    spec = {name: tf.TensorSpec((None, None), tf.int32) for name in random_inputs()}
    compiled = tf.function(lambda inputs: model(inputs), input_signature=[spec])
    for inputs in (random_inputs(), random_inputs(2, 12, (12, 1))):
        assert_close(compiled(inputs), model(inputs), rtol=1e-4, atol=1e-4)


def test_every_weight_has_a_gradient(make):
    model = make()
    with tf.GradientTape() as tape:
        outputs = model(random_inputs(), training=True)
        last = [outputs[name] for name in ("logits", "pooled_output") if name in outputs]
        loss = sum(tf.reduce_sum(output**2) for output in last)
        loss += tf.reduce_sum(outputs["sequence_output"] ** 3)
    gradients = tape.gradient(loss, model.trainable_variables)
    assert [
        v.path for v, g in zip(model.trainable_variables, gradients, strict=True) if g is None
    ] == []


def test_weights_exist_and_are_all_seen(make):
    model = make()
    count = 5 + 2 * 16 + NUM_OTHERS[type(model)]
    assert (model.built, len(model.trainable_variables)) == (True, count)
    assert len({id(variable) for variable in model.trainable_variables}) == count
