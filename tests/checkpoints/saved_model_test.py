import json

import numpy as np
import pytest
import random_models
import tensorflow as tf
import tiny

import tinybert_tf as tb
from tinybert_tf.checkpoints.saved_model import save_saved_model

TEXTS = ["a b", "c d e", "", "Ä q? " * 20]
PAIRS = ["f", "", "g h", "i " * 30]


@pytest.fixture(scope="module", name="model")
def make_model():
    return random_models.randomized(tiny.make_model(labels=("no", "yes", "häufig")))


@pytest.fixture(scope="module", name="folder")
def write_folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "1"
    save_saved_model(model, folder)
    return folder


def call(folder, signature, **inputs):
    """What a signature of a written folder answers, as arrays."""
    served = tf.saved_model.load(str(folder)).signatures[signature]
    outputs = served(**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in outputs.items()}


def served_ids(folder):
    """Inputs and what is answered to them."""
    inputs = random_models.random_inputs()
    names = {"ids": "token_ids", "mask": "padding_mask", "segment_ids": "segment_ids"}
    named = {name: inputs[ours] for name, ours in names.items()}
    return inputs, call(folder, "serving_default", **named)


def softmax(logits):
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def test_ids_are_answered_as_the_model_does(model, folder):
    inputs, outputs = served_ids(folder)
    expected = softmax(model(inputs)["logits"].numpy())
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-6)


def probabilities(model, texts, pairs):
    """The model's own, of one text at a time, without padding."""
    rows, tokenizer = [], tb.data.BertTokenizer(model.vocabulary)
    for number, text in enumerate(texts):
        pair = None if pairs is None else [pairs[number]]
        ids, segments = tokenizer.encode([text], pair, max_length=16)
        inputs = {"token_ids": ids.to_tensor(), "segment_ids": segments.to_tensor()}
        inputs["padding_mask"] = tf.ones_like(inputs["token_ids"])
        rows.append(softmax(model(inputs)["logits"].numpy()))
    return np.concatenate(rows)


def test_texts_are_answered_as_the_model_does(model, folder):
    outputs = call(folder, "text", text=TEXTS)
    expected = probabilities(model, TEXTS, None)
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-5)


def test_pairs_are_answered_as_the_model_does(model, folder):
    outputs = call(folder, "text_pair", text=TEXTS, text_pair=PAIRS)
    expected = probabilities(model, TEXTS, PAIRS)
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-5)


def test_labels_vocabulary_and_settings_lie_beside(model, folder):
    extra = folder / "assets.extra"
    assert (extra / "labels.txt").read_text("utf-8") == "no\nyes\nhäufig\n"
    assert tb.Vocabulary.from_file(extra / "vocab.txt") == model.vocabulary
    assert json.loads((extra / "tinybert_tf.json").read_text())["problem"] == "classification"


def make_head(problem):
    """A tiny model for a problem, and its outputs from its logits."""
    config = random_models.tiny_config()
    if problem == "spans":
        return tb.models.BertSpanLabeler(config), lambda x: {
            "start_logits": x[..., 0],
            "end_logits": x[..., 1],
        }
    if problem == "tagging":
        return tb.models.BertTokenClassifier(config, ("O", "B", "I")), lambda x: {"tag_logits": x}
    if problem == "regression":
        return tb.BertClassifier(config, problem=problem), lambda x: {"score": x}
    model = tb.BertClassifier(config, ("a", "b"), problem="multilabel")
    return model, lambda x: {"probabilities": 1 / (1 + np.exp(-x))}


@pytest.mark.parametrize("problem", ["spans", "tagging", "regression", "multilabel"])
def test_outputs_of_every_problem(tmp_path, problem):
    model, outputs_of = make_head(problem)
    save_saved_model(random_models.randomized(model), tmp_path / "saved")
    inputs, outputs = served_ids(tmp_path / "saved")
    expected = outputs_of(model(inputs)["logits"].numpy())
    assert outputs.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(outputs[name], value, atol=1e-5)


def test_without_a_vocabulary_there_is_no_text(tmp_path):
    model, _ = make_head("regression")
    save_saved_model(model, tmp_path / "saved")
    assert list(tf.saved_model.load(str(tmp_path / "saved")).signatures) == ["serving_default"]


def test_an_encoder_and_a_masked_lm_are_refused(tmp_path, model):
    for headless in (model.encoder, tb.BertMaskedLM.from_encoder(model)):
        with pytest.raises(ValueError, match="The model has no head for a task"):
            save_saved_model(headless, tmp_path / "saved")


def test_another_dtype_is_refused(tmp_path):
    model = tiny.make_model(dtype="mixed_bfloat16")
    with pytest.raises(ValueError, match="computes in bfloat16"):
        save_saved_model(model, tmp_path / "saved")
