import numpy as np
import pytest
import tensorflow as tf
from random_models import random_inputs, randomized, tiny_config

from tinybert_tf.models import BertClassifier, BertSpanLabeler, BertTokenClassifier
from tinybert_tf.models.lean_bert import MASK_BIAS, LeanBert, transposed_kernels

LABELS = ("no", "yes", "là")
MODELS = {
    "classifier": lambda: BertClassifier(tiny_config(), LABELS),
    "tinybert_relu": lambda: BertClassifier(
        tiny_config(activation="relu"), LABELS, head="tinybert_relu"
    ),
    "relu_pooler": lambda: BertClassifier(
        tiny_config(pooler="relu", activation="gelu_tanh"), LABELS
    ),
    "regression": lambda: BertClassifier(tiny_config(), problem="regression"),
    "multilabel": lambda: BertClassifier(tiny_config(), LABELS, problem="multilabel"),
    "spans": lambda: BertSpanLabeler(tiny_config()),
    "tagging": lambda: BertTokenClassifier(tiny_config(num_layers=1), LABELS),
}


@pytest.fixture(params=MODELS, name="model")
def choose_model(request):
    return randomized(MODELS[request.param]())


@pytest.fixture(name="classifier")
def make_classifier():
    return randomized(MODELS["classifier"]())


def outputs(model, inputs=None, **settings):
    lean = LeanBert(model, **settings)
    return lean(lean.weights(), inputs or random_inputs())


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_logits_equal_those_of_keras(model):
    for inputs in (random_inputs(), random_inputs(1, 12, (9,)), random_inputs(2, 1, (1, 1))):
        close(outputs(model, inputs)["logits"], model(inputs)["logits"])


def test_with_all_tokens_states_and_attention_equal_those_of_keras(model):
    inputs = random_inputs()
    actual, expected = outputs(model, inputs, all_tokens=True), model(inputs)
    close(actual["logits"], expected["logits"])
    close(tf.stack(actual["hidden_states"]), tf.stack(expected["hidden_states"]))
    padding = 1 - inputs["padding_mask"][:, None, None, :]
    real = padding == 0
    for logits, keras_logits in zip(
        actual["attention_logits"], expected["attention_logits"], strict=True
    ):
        close(logits * real, keras_logits * real)
        # At padding the one bias stands for the other; -10000 leaves three digits of the rest.
        difference = (logits - MASK_BIAS) * padding - (keras_logits + 10000) * padding
        assert np.abs(difference).max() < 2e-3


def test_heads_on_the_first_token_compute_the_last_layer_for_it_alone(classifier):
    inputs = random_inputs()
    actual, expected = outputs(classifier, inputs), classifier(inputs)
    assert [state.shape[1] for state in actual["hidden_states"]] == [7, 7, 1]
    close(actual["hidden_states"][-1], expected["hidden_states"][-1][:, :1])
    # What the keys' bias adds, one number a head, is left out.
    logits, padding = actual["attention_logits"][-1], 1 - inputs["padding_mask"][:, None, None, :]
    assert logits.shape == (3, 2, 1, 7)
    expected = expected["attention_logits"][-1][:, :, :1] + padding * (10000 + MASK_BIAS)
    close(tf.nn.softmax(logits), tf.nn.softmax(expected))


def test_heads_on_every_token_compute_every_token():
    model = randomized(MODELS["spans"]())
    assert outputs(model)["hidden_states"][-1].shape == (3, 7, 16)


@pytest.mark.parametrize(("name", "batch"), [("classifier", None), ("spans", None), ("spans", 1)])
def test_batch_and_length_may_be_unknown(name, batch):
    model = randomized(MODELS[name]())
    lean = LeanBert(model)
    spec = {name: tf.TensorSpec((batch, None), tf.int32) for name in random_inputs()}
    logits = tf.function(
        lambda inputs: lean(lean.weights(), inputs)["logits"], input_signature=[spec]
    )
    for length in (4, 9):
        inputs = random_inputs(batch or 3, length, (length,) * (batch or 3))
        close(logits(inputs), model(inputs)["logits"])


def test_every_weight_has_a_gradient(model):
    lean = LeanBert(model)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(lean(lean.weights(), random_inputs())["logits"] ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(gradient is not None for gradient in gradients)


def test_gradients_equal_those_of_keras(classifier):
    inputs, lean = random_inputs(), LeanBert(classifier)
    variable = classifier.encoder.encoder_layers[0].attention.query.kernel
    with tf.GradientTape(persistent=True) as tape:
        losses = [
            tf.reduce_sum(logits**2)
            for logits in (lean(lean.weights(), inputs)["logits"], classifier(inputs)["logits"])
        ]
    close(*(tape.gradient(loss, variable.value) for loss in losses))


def test_weights_are_those_of_the_model_and_the_query_scale_is_in_them(classifier):
    weights = LeanBert(classifier).weights()
    attention = classifier.encoder.encoder_layers[1].attention
    joined = weights["layer_2/query_key_value/kernel"].numpy()
    close(joined[:, :16], attention.query.kernel.numpy() / np.sqrt(8))
    close(joined[:, 16:32], attention.key.kernel.numpy())
    close(joined[:, 32:], attention.value.kernel.numpy())
    assert sum(tf.size(weight) for weight in weights.values()) == classifier.count_params()


def test_channels_on_a_symmetric_grid_stay_on_one(classifier):
    query = classifier.encoder.encoder_layers[0].attention.query
    steps = np.random.default_rng(0).integers(-127, 128, (16, 16))
    steps[0] = 127
    scales = np.linspace(0.001, 0.02, 16)
    query.kernel.assign(steps * scales)
    folded = LeanBert(classifier).weights()["layer_1/query_key_value/kernel"].numpy()[:, :16]
    found = folded / (np.abs(folded).max(axis=0) / 127)
    np.testing.assert_allclose(found, steps, atol=1e-4)


def test_transposed_kernels_are_the_last_keys_of_heads_on_the_first_token(classifier):
    (kernel,) = transposed_kernels(classifier)
    assert kernel is classifier.encoder.encoder_layers[1].attention.key.kernel
    assert transposed_kernels(randomized(MODELS["spans"]())) == []
    assert transposed_kernels(classifier.encoder) == []


def test_every_activation_passes_the_hook_under_a_name_of_its_own(model):
    names, lean = [], LeanBert(model)

    def watch(name, value):
        names.append(name)
        return value

    close(lean(lean.weights(), random_inputs(), watch)["logits"], outputs(model)["logits"])
    assert len(set(names)) == len(names)
    assert {"embeddings", "layer_1/context", "layer_1/output_norm", "logits"} <= set(names)


def test_what_the_hook_gives_takes_the_place(classifier):
    lean = LeanBert(classifier)

    def watch(name, value):
        return tf.zeros_like(value) if name == "pooler/tanh" else value

    logits = lean(lean.weights(), random_inputs(), watch)["logits"]
    close(logits, np.tile(classifier.classifier.bias.numpy(), (3, 1)))


def test_other_weights_take_the_place(classifier):
    lean = LeanBert(classifier)
    weights = lean.weights() | {"classifier/bias": tf.constant([1.0, 2.0, 3.0])}
    moved = lean(weights, random_inputs())["logits"] - classifier(random_inputs())["logits"]
    close(moved, np.tile([1, 2, 3] - classifier.classifier.bias.numpy(), (3, 1)))


def test_watched_values_are_what_they_are_called(classifier):
    seen, lean = {}, LeanBert(classifier, all_tokens=True)

    def watch(name, value):
        seen[name] = value
        return value

    result = lean(lean.weights(), random_inputs(), watch)
    close(tf.reduce_sum(seen["layer_1/attention_probs"], -1), np.ones((3, 2, 7)))
    close(seen["layer_2/attention_logits"], result["attention_logits"][1])
    close(tf.reshape(seen["layer_1/output_norm"], (3, 7, 16)), result["hidden_states"][1])
    unit = seen["embeddings/scaled"] / classifier.encoder.embeddings.layer_norm.gamma
    close(tf.reduce_mean(unit, axis=1), np.zeros(21))
    close(tf.math.reduce_std(unit, axis=1), np.ones(21))
