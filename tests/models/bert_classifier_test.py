import numpy as np
import pytest
from random_models import as_arrays, random_inputs, randomized, tiny_config, tiny_vocabulary

from tinybert_tf.models import BertClassifier, BertEncoder

BEFORE_HEAD = {"bert": lambda pooled: pooled, "tinybert_relu": lambda pooled: np.maximum(pooled, 0)}


@pytest.mark.parametrize("head", BEFORE_HEAD)
def test_logits_equal_the_formula(head):
    model = randomized(BertClassifier(tiny_config(), "abc", head=head, dtype="float64"))
    outputs = as_arrays(model(random_inputs()))
    kernel, bias = (variable.numpy() for variable in model.classifier.variables)
    expected = BEFORE_HEAD[head](outputs["pooled_output"]) @ kernel + bias
    np.testing.assert_allclose(outputs["logits"], expected, rtol=0, atol=1e-12)


def test_outputs_are_those_of_the_encoder_and_logits():
    model = randomized(BertClassifier(tiny_config(), ("no", "yes", "so so")))
    outputs, of_encoder = model(random_inputs()), model.encoder(random_inputs())
    assert set(outputs) == set(of_encoder) | {"logits"}
    assert tuple(outputs["logits"].shape) == (3, 3)
    np.testing.assert_array_equal(outputs["sequence_output"], of_encoder["sequence_output"])


@pytest.mark.parametrize(("head", "is_noisy"), [("bert", True), ("tinybert_relu", False)])
def test_only_bert_head_drops_out(head, is_noisy):
    config = tiny_config(dropout=0.5, attention_dropout=0.0)
    model = randomized(BertClassifier(config, "ab", head=head))
    outputs = model(random_inputs(), training=True)
    pooled = BEFORE_HEAD[head](outputs["pooled_output"].numpy())
    assert np.allclose(outputs["logits"], model.classifier(pooled), atol=1e-5) != is_noisy


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": ()}, r"`labels` are \(\), expected different names, at least one"),
        ({"labels": ("a", "a")}, r"`labels` are \('a', 'a'\), expected different names"),
        ({"labels": ("a", "b\nc")}, r"`labels` hold 'b\\nc', expected names of one line each"),
        ({"labels": ("a", "b\r")}, r"`labels` hold 'b\\r', expected names of one line each"),
        ({"labels": ("", "a")}, "`labels` hold '', expected names of one line each"),
        ({"problem": "ranking"}, "`problem` is 'ranking', expected one of classification, regress"),
        ({"head": "relu"}, "`head` is 'relu', expected one of bert, tinybert_relu"),
        ({"labels": "ab", "problem": "regression"}, r"\('a', 'b'\), but regression has one output"),
    ],
)
def test_arguments_without_sense(arguments, message):
    with pytest.raises(ValueError, match=message):
        BertClassifier(tiny_config(), **arguments)


@pytest.mark.parametrize("kind", ["encoder", "classifier"])
def test_from_encoder_takes_the_body_and_leaves_the_head(kind):
    classifier = randomized(BertClassifier(tiny_config(), "ab", vocabulary=tiny_vocabulary()))
    source = classifier.encoder if kind == "encoder" else classifier
    model = BertClassifier.from_encoder(source, "xyz", head="tinybert_relu")
    assert (model.labels, model.head, model.vocabulary) == (
        ("x", "y", "z"),
        "tinybert_relu",
        tiny_vocabulary(),
    )
    for ours, theirs in zip(model.encoder.weights, classifier.encoder.weights, strict=True):
        assert ours is not theirs
        np.testing.assert_array_equal(ours, theirs)


def test_from_encoder_keeps_the_dtype_unless_told():
    encoder = BertEncoder(tiny_config(), dtype="mixed_bfloat16")
    assert BertClassifier.from_encoder(encoder, "ab").dtype_policy.name == "mixed_bfloat16"
    assert BertClassifier.from_encoder(encoder, "ab", dtype="float32").compute_dtype == "float32"


def test_preset():
    model = BertClassifier.from_preset("bert_tiny", ("no", "yes"), tiny_vocabulary())
    assert (model.config.vocabulary_size, model.config.hidden_dim) == (32, 128)
    assert (model.labels, model.problem) == (("no", "yes"), "classification")
