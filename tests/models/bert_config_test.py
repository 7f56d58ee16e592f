import dataclasses

import pytest
from random_models import tiny_config

from tinybert_tf.models import PRESETS, BertConfig, BertEncoder
from tinybert_tf.models.bert_config import preset_config

# The first three are the paper's; the others those of their published checkpoints.
PARAMETERS = {
    "bert_base_uncased": 109_482_240,
    "tinybert_4l_312d": 14_350_248,
    "tinybert_6l_768d": 66_955_008,
    "minilm_6l_384d": 22_713_216,
    "bert_tiny": 4_385_920,
}


def count_parameters(config):
    """Weights of the body and the pooler, counted from the shapes."""
    width, inner = config.hidden_dim, config.intermediate_dim
    rows = config.vocabulary_size + config.max_sequence_length + config.num_segments
    attention = 4 * (width * width + width) + 2 * width
    feed_forward = width * inner + inner + inner * width + width + 2 * width
    embeddings = rows * width + 2 * width
    return embeddings + config.num_layers * (attention + feed_forward) + width * width + width


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_published_number_of_parameters(name):
    assert count_parameters(PRESETS[name]) == PARAMETERS[name]


@pytest.mark.parametrize("change", [{}, {"num_layers": 3}, {"hidden_dim": 6, "num_segments": 4}])
def test_encoder_has_the_weights_that_were_counted(change):
    config = tiny_config(**change)
    assert BertEncoder(config).count_params() == count_parameters(config)


def test_presets_have_twelve_heads_and_the_erf_gelu_but_for_bert_tiny():
    for name, config in PRESETS.items():
        assert config.num_heads == (2 if name == "bert_tiny" else 12)
        assert (config.activation, config.layer_norm_epsilon) == ("gelu", 1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_layers": 0}, "`num_layers` is 0, expected a positive integer"),
        ({"hidden_dim": 16.0}, "`hidden_dim` is 16.0, expected a positive integer"),
        ({"num_heads": True}, "`num_heads` is True, expected a positive integer"),
        ({"num_heads": 3}, "`hidden_dim` 16 is not a multiple of `num_heads` 3"),
        ({"dropout": 1.0}, "`dropout` is 1.0, expected 0 <= rate < 1"),
        ({"attention_dropout": -0.1}, "`attention_dropout` is -0.1, expected 0 <= rate < 1"),
        ({"dropout": float("nan")}, "`dropout` is nan"),
        ({"layer_norm_epsilon": -1e-12}, "`layer_norm_epsilon` is -1e-12, expected 0 < value < 1"),
        ({"initializer_range": float("inf")}, "`initializer_range` is inf, expected 0 < value < 1"),
        ({"activation": "swish"}, "`activation` is 'swish', expected one of gelu, gelu_tanh, relu"),
    ],
)
def test_values_without_sense(change, message):
    with pytest.raises(ValueError, match=message):
        tiny_config(**change)


def test_preset_takes_the_size_of_a_vocabulary():
    config = preset_config("bert_tiny", range(77))
    assert config == dataclasses.replace(PRESETS["bert_tiny"], vocabulary_size=77)
    assert preset_config("bert_base_uncased") == BertConfig()


def test_unknown_preset():
    with pytest.raises(ValueError, match='Unknown preset "bert_huge". Presets: bert_base_uncased'):
        preset_config("bert_huge")
