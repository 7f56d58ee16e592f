"""The encoder against the formulas, written once more in NumPy."""

import math

import numpy as np
import pytest
import scipy.special
from random_models import as_arrays, random_inputs, randomized, tiny_config, tiny_vocabulary

from tinybert_tf.models import BertEncoder

ACTIVATIONS = {
    "gelu": lambda x: x * scipy.special.ndtr(x),
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "relu": lambda x: np.maximum(x, 0),
}


def dense(layer, x):
    return x @ layer.kernel.numpy() + layer.bias.numpy()


def norm(layer, x):
    centred = x - x.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-12)
    return scaled * layer.gamma.numpy() + layer.beta.numpy()


def attend(layer, x, mask, num_heads):
    """One head at a time; returns the context and the logits."""
    query, key, value = (dense(part, x) for part in (layer.query, layer.key, layer.value))
    contexts, all_logits = [], []
    for units in np.split(np.arange(x.shape[-1]), num_heads):
        logits = np.einsum("bfh,bth->bft", query[..., units], key[..., units])
        logits = logits / math.sqrt(len(units)) - 10000 * (1 - mask[:, None, :])
        contexts.append(scipy.special.softmax(logits, axis=-1) @ value[..., units])
        all_logits.append(logits)
    return dense(layer.output_dense, np.concatenate(contexts, axis=-1)), np.stack(all_logits, 1)


def encode(encoder, inputs):
    """What an encoder computes, by the formulas of Devlin et al."""
    table, config = encoder.embeddings, encoder.config
    hidden = table.token_embedding.embeddings.numpy()[inputs["token_ids"]]
    hidden = hidden + table.segment_embedding.embeddings.numpy()[inputs["segment_ids"]]
    hidden = hidden + table.position_embedding.numpy()[: hidden.shape[1]]
    hidden = norm(table.layer_norm, hidden)
    states, maps = [hidden], []
    for layer in encoder.encoder_layers:
        context, logits = attend(layer.attention, hidden, inputs["padding_mask"], config.num_heads)
        hidden = norm(layer.attention_norm, hidden + context)
        inner = ACTIVATIONS[config.activation](dense(layer.intermediate_dense, hidden))
        hidden = norm(layer.output_norm, hidden + dense(layer.output_dense, inner))
        states.append(hidden)
        maps.append(logits)
    return {
        "hidden_states": states,
        "attention_logits": maps,
        "sequence_output": hidden,
        "pooled_output": np.tanh(dense(encoder.pooler, hidden[:, 0])),
    }


@pytest.fixture(scope="module", name="encoder")
def make_encoder():
    return randomized(BertEncoder(tiny_config()))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_encoder_equals_the_formulas(activation):
    encoder = randomized(BertEncoder(tiny_config(activation=activation), dtype="float64"))
    expected = encode(encoder, random_inputs())
    for name, actual in as_arrays(encoder(random_inputs())).items():
        np.testing.assert_allclose(actual, np.stack(expected.pop(name)), rtol=0, atol=1e-9)
    assert not expected


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis -1")
@pytest.mark.parametrize(("batch", "length"), [(1, 1), (2, 5), (5, 12)])
def test_shapes(encoder, batch, length):
    outputs = encoder(random_inputs(batch, length, [length] * batch))
    assert [tuple(state.shape) for state in outputs["hidden_states"]] == [(batch, length, 16)] * 3
    assert [tuple(m.shape) for m in outputs["attention_logits"]] == [(batch, 2, length, length)] * 2
    assert tuple(outputs["pooled_output"].shape) == (batch, 16)


def test_padding_does_not_change_what_real_tokens_get(encoder):
    whole, other = random_inputs(), random_inputs(seed=1)
    padding = whole["padding_mask"] == 0
    for name in ("token_ids", "segment_ids"):
        other[name] = np.where(padding, other[name], whole[name])
    assert not np.array_equal(other["token_ids"], whole["token_ids"])
    first, second = (as_arrays(encoder(inputs)) for inputs in (whole, other))
    np.testing.assert_array_equal(
        first["hidden_states"][:, ~padding], second["hidden_states"][:, ~padding]
    )


def test_padded_row_equals_the_row_alone(encoder):
    inputs = random_inputs()
    padded = as_arrays(encoder(inputs))
    for row, length in enumerate((7, 4, 2)):
        alone = {name: value[row : row + 1, :length] for name, value in inputs.items()}
        states = as_arrays(encoder(alone))["hidden_states"][:, 0]
        np.testing.assert_allclose(padded["hidden_states"][:, row, :length], states, atol=1e-5)


def test_dropout_acts_in_training_alone(encoder):
    quiet, again = (encoder(random_inputs())["pooled_output"] for _ in range(2))
    noisy = encoder(random_inputs(), training=True)["pooled_output"]
    np.testing.assert_array_equal(quiet, again)
    assert np.abs(noisy - quiet).max() > 1e-3


def test_initial_weights():
    encoder = BertEncoder(tiny_config(hidden_dim=64))
    for variable in encoder.trainable_variables:
        if variable.name in ("gamma", "beta", "bias"):
            np.testing.assert_array_equal(variable, float(variable.name == "gamma"))
        elif np.prod(variable.shape) > 1000:
            assert np.std(variable) == pytest.approx(0.02, rel=0.15)


def test_text_longer_than_the_positions(encoder):
    with pytest.raises(ValueError, match="`token_ids` are 13 long, but the model has 12 positions"):
        encoder(random_inputs(1, 13, [13]))


def test_vocabulary_larger_than_the_table():
    with pytest.raises(ValueError, match="vocabulary has 32 tokens, but `vocabulary_size` is 31"):
        BertEncoder(tiny_config(vocabulary_size=31), tiny_vocabulary())


def test_preset():
    encoder = BertEncoder.from_preset("bert_tiny", tiny_vocabulary(), dtype="mixed_bfloat16")
    assert encoder.embeddings.token_embedding.embeddings.shape == (32, 128)
    assert encoder.dtype_policy.name == "mixed_bfloat16"
