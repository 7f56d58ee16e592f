import json
import shutil
import types

import numpy as np
import pytest
from golden_checkpoints import FOLDER, largest_differences

import tinybert_tf as tb
from tinybert_tf.checkpoints.model_garden import (
    from_model_garden,
    is_model_garden,
    read_model_garden,
)
from tinybert_tf.checkpoints.tensor_bundle import TensorBundle

GOLDEN = FOLDER / "model_garden"
CONFIG = {"output_dropout": 0.3, "attention_dropout": 0.2, "norm_first": False}


@pytest.fixture(name="encoder_folder")
def copy_encoder(tmp_path):
    return shutil.copytree(GOLDEN / "encoder", tmp_path / "encoder")


def test_an_encoder_computes_what_it_did_there():
    model = tb.load(GOLDEN / "encoder")
    assert isinstance(model, tb.BertEncoder)
    differences = largest_differences(model, "model_garden", "sequence_output", "pooled_output")
    assert max(differences.values()) <= 1e-4


def test_a_classifier_is_found_beside_its_optimizer():
    model = tb.load(GOLDEN / "classifier" / "ckpt-7")
    assert model.labels == ("LABEL_0", "LABEL_1", "LABEL_2")
    assert largest_differences(model, "model_garden", "logits")["logits"] <= 1e-4


def test_sizes_are_the_tensors_and_the_rest_is_from_params_yaml():
    config = tb.load(GOLDEN / "encoder").config
    assert (config.num_heads, config.intermediate_dim, config.dropout) == (2, 24, 0.2)
    assert config.activation == "gelu_tanh"
    assert tb.load(GOLDEN / "classifier").config.activation == "relu"


def test_without_settings_the_activation_is_the_approximation(encoder_folder):
    (encoder_folder / "params.yaml").unlink()
    assert tb.load(encoder_folder).config.activation == "gelu_tanh"


def test_bert_config_json_counts_too(encoder_folder):
    values = {"hidden_act": "relu", "hidden_dropout_prob": 0.4}
    (encoder_folder / "bert_config.json").write_text(json.dumps(values))
    config = tb.load(encoder_folder).config
    assert (config.activation, config.dropout) == ("relu", 0.4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task: [", "not YAML"),
        ("task: {model: {encoder: {type: bert}}}", "lacks the settings"),
        ("encoder: {bert: {norm_first: true}}", "`norm_first` is true"),
        ("bert: {hidden_activation: swish}", "`hidden_act` is 'swish'"),
    ],
)
def test_wrong_settings_are_told(encoder_folder, text, message):
    (encoder_folder / "params.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        tb.load(encoder_folder)


def test_a_checkpoint_of_something_else_is_told(encoder_folder, monkeypatch):
    monkeypatch.setattr(TensorBundle, "variable_names", lambda _: {"dense/kernel": "x"})
    with pytest.raises(ValueError, match="holds no BERT encoder of the Model Garden"):
        tb.load(encoder_folder)


def test_only_its_own_checkpoints_are_taken_for_it(tmp_path):
    assert is_model_garden(GOLDEN / "encoder")
    assert not is_model_garden(FOLDER / "google_tf1" / "pretrained")
    assert not is_model_garden(tmp_path)


class Variable(types.SimpleNamespace):
    """A variable that knows its name and value."""

    def numpy(self):
        return self.value


def stand_in(activation, prefix="bert_encoder_v2/"):
    """What `from_model_garden` sees of the encoder of the goldens."""
    bundle = TensorBundle(GOLDEN / "encoder" / "bert_model.ckpt")
    variables = [
        Variable(name=f"{prefix}{name.removeprefix('bert_encoder_v2/')}:0", value=bundle.read(key))
        for name, key in bundle.variable_names().items()
        if name != "save_counter"
    ]
    layer = types.SimpleNamespace(_intermediate_activation_layer=activation)
    return types.SimpleNamespace(
        name="bert_encoder_v2",
        variables=variables,
        transformer_layers=[layer],
        get_config=lambda: CONFIG,
    )


@pytest.mark.parametrize("prefix", ["bert_encoder_v2/", ""])
def test_an_object_computes_what_it_did_there(prefix):
    import tensorflow as tf

    encoder = stand_in(lambda x: tf.nn.gelu(x, approximate=True), prefix)
    model = from_model_garden(encoder)
    differences = largest_differences(model, "model_garden", "sequence_output", "pooled_output")
    assert max(differences.values()) <= 1e-4
    assert (model.config.dropout, model.config.attention_dropout) == (0.3, 0.2)


def test_flavours_of_gelu_are_told_apart():
    import tensorflow as tf

    for activation, name in (
        (lambda x: tf.nn.gelu(x, approximate=True), "gelu_tanh"),
        (lambda x: tf.nn.gelu(x, approximate=False), "gelu"),
        (tf.nn.relu, "relu"),
    ):
        assert from_model_garden(stand_in(activation)).config.activation == name
    with pytest.raises(ValueError, match="its activation is not one of gelu, gelu_new, relu"):
        from_model_garden(stand_in(np.tanh))


def test_a_head_with_its_own_pooler_is_left_out(monkeypatch):
    names = TensorBundle.variable_names

    def with_pooler(bundle):
        found = names(bundle)
        found["sentence_prediction/pooler_dense/kernel"] = found["pooler_transform/kernel"]
        return found

    monkeypatch.setattr(TensorBundle, "variable_names", with_pooler)
    assert "classifier.weight" not in read_model_garden(GOLDEN / "classifier").tensors
