import numpy as np
import pytest
import scipy.special
import tensorflow as tf
from random_models import as_arrays, random_inputs, randomized, tiny_config, tiny_vocabulary

from tinybert_tf.losses import tag_label_loss
from tinybert_tf.models import BertClassifier, BertEncoder, BertMaskedLM

POSITIONS = np.array([[1, 6], [3, 0], [0, 0]], np.int32)


@pytest.fixture(name="model")
def make_model():
    return randomized(BertMaskedLM(tiny_config(), dtype="float64"))


def table_of(model):
    return model.encoder.embeddings.token_embedding.embeddings


def gelu(x):
    return x * (1 + scipy.special.erf(x / np.sqrt(2))) / 2


@pytest.mark.parametrize(
    ("activation", "function"), [("gelu", gelu), ("relu", lambda x: np.maximum(x, 0))]
)
def test_logits_equal_the_formula(activation, function):
    config = tiny_config(activation=activation, layer_norm_epsilon=0.1)
    model = randomized(BertMaskedLM(config, dtype="float64"))
    outputs = as_arrays(model(random_inputs()))
    kernel, bias, gamma, beta = (
        variable.numpy() for variable in model.transform.variables + model.transform_norm.variables
    )
    x = function(outputs["sequence_output"] @ kernel + bias)
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 0.1) * gamma + beta
    expected = x @ table_of(model).numpy().T + model.output_bias.numpy()
    np.testing.assert_allclose(outputs["logits"], expected, rtol=0, atol=1e-10)
    assert outputs["logits"].shape == (3, 7, 40)


def test_other_outputs_are_the_encoders(model):
    outputs, expected = as_arrays(model(random_inputs())), as_arrays(model.encoder(random_inputs()))
    assert set(outputs) == {"logits", *expected}
    for name, value in expected.items():
        np.testing.assert_array_equal(outputs[name], value)


def test_masked_positions_are_those_of_all_logits(model):
    inputs = random_inputs()
    expected = np.take_along_axis(model(inputs)["logits"].numpy(), POSITIONS[..., None], axis=1)
    actual = model(inputs | {"masked_positions": POSITIONS})
    np.testing.assert_allclose(actual["logits"], expected, rtol=0, atol=1e-12)
    assert actual["sequence_output"].shape == (3, 7, 16)


def test_masked_positions_of_unknown_number(model):
    inputs = random_inputs() | {"masked_positions": POSITIONS}
    spec = {name: tf.TensorSpec((None, None), tf.int32) for name in inputs}
    compiled = tf.function(lambda inputs: model(inputs)["logits"], input_signature=[spec])
    np.testing.assert_allclose(compiled(inputs), model(inputs)["logits"], atol=1e-12)


def test_decode_is_the_head_alone(model):
    outputs = model(random_inputs())
    np.testing.assert_array_equal(model.decode(outputs["sequence_output"]), outputs["logits"])


def test_decoder_is_the_embedding_table(model):
    inputs, table = random_inputs(), table_of(model)
    before = model(inputs)["logits"].numpy()
    unused = np.setdiff1d(np.arange(40), inputs["token_ids"])[0]
    values = table.numpy()
    values[unused] += 1
    table.assign(values)
    changed = np.abs(model(inputs)["logits"] - before).max(axis=(0, 1)) > 1e-9
    assert np.flatnonzero(changed).tolist() == [unused]


@pytest.mark.parametrize("positions", [{}, {"masked_positions": POSITIONS}])
def test_gradient_reaches_the_embeddings_as_input_and_as_output(model, positions):
    inputs, table = random_inputs(), table_of(model)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(inputs | positions)["logits"][..., 5] ** 2)
    gradient = tf.convert_to_tensor(tape.gradient(loss, table.value)).numpy()
    reached = np.flatnonzero(np.abs(gradient).max(axis=1) > 1e-9)
    read = inputs["token_ids"][inputs["padding_mask"] > 0]
    assert set(reached) >= {5, *read}
    hidden = model(inputs)["sequence_output"]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model.decode(hidden)[..., 5] ** 2)
    gradient = tf.convert_to_tensor(tape.gradient(loss, table.value)).numpy()
    assert np.flatnonzero(np.abs(gradient).max(axis=1)).tolist() == [5]


def test_gradient_equals_a_finite_difference(model):
    inputs, table, step = random_inputs() | {"masked_positions": POSITIONS}, table_of(model), 1e-5
    token = inputs["token_ids"][0, 1]

    def compute():
        return tf.reduce_sum(tf.sin(model(inputs)["logits"][..., token]))

    with tf.GradientTape() as tape:
        loss = compute()
    actual = tf.convert_to_tensor(tape.gradient(loss, table.value))[token, 3]
    start, losses = table.numpy(), []
    for shift in (step, -step):
        values = start.copy()
        values[token, 3] += shift
        table.assign(values)
        losses.append(float(compute()))
    np.testing.assert_allclose(actual, (losses[0] - losses[1]) / (2 * step), rtol=1e-6)


@pytest.mark.parametrize("pooler", ["tanh", "none"])
def test_the_pooler_stays_as_it_is(pooler):
    encoder = randomized(BertEncoder(tiny_config(pooler=pooler), tiny_vocabulary()))
    model = BertMaskedLM.from_encoder(encoder)
    assert (model.problem, model.config) == ("masked_lm", encoder.config)
    assert model.vocabulary == tiny_vocabulary()
    back = BertClassifier.from_encoder(model, "ab").encoder
    actual, expected = as_arrays(model(random_inputs())), as_arrays(encoder(random_inputs()))
    assert ("pooled_output" in actual) == (pooler == "tanh")
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value)
        np.testing.assert_array_equal(as_arrays(back(random_inputs()))[name], value)


def test_preset():
    model = BertMaskedLM.from_preset("bert_tiny", vocabulary=tiny_vocabulary())
    inputs = {name: values % 32 for name, values in random_inputs().items()}
    assert model(inputs)["logits"].shape == (3, 7, 32)


def test_it_learns_what_is_masked():
    model = randomized(BertMaskedLM(tiny_config(dropout=0.0, attention_dropout=0.0)))
    inputs = random_inputs() | {"masked_positions": POSITIONS}
    labels = np.array([[7, 8], [9, -1], [-1, -1]])

    def compute():
        return tf.reduce_mean(tag_label_loss(labels, model(inputs)["logits"]))

    before = float(compute())
    for _ in range(5):
        with tf.GradientTape() as tape:
            loss = compute()
        for variable, gradient in zip(
            model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True
        ):
            if gradient is not None:
                variable.assign_sub(0.1 * tf.convert_to_tensor(gradient))
    assert float(compute()) < 0.7 * before
