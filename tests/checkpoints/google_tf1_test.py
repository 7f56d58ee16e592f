import json
import re
import shutil

import numpy as np
import pytest
import random_models
import tensorflow as tf
from golden_checkpoints import FOLDER, largest_differences

import tinybert_tf as tb
from tinybert_tf.checkpoints import hugging_face
from tinybert_tf.checkpoints.google_tf1 import hugging_face_name, is_google_tf1, read_google_tf1
from tinybert_tf.checkpoints.tensor_bundle import TensorBundle

GOLDEN = FOLDER / "google_tf1"


@pytest.fixture(name="finetuned")
def copy_finetuned(tmp_path):
    return shutil.copytree(GOLDEN / "finetuned", tmp_path / "finetuned")


def test_pretrained_computes_what_the_model_garden_does():
    model = tb.load(GOLDEN / "pretrained")
    assert isinstance(model, tb.BertEncoder)
    differences = largest_differences(model, "google_tf1", "sequence_output", "pooled_output")
    assert max(differences.values()) <= 1e-4


def test_finetuned_is_a_classifier_without_names():
    model = tb.load(GOLDEN / "finetuned")
    assert (model.problem, model.labels) == ("classification", ("LABEL_0", "LABEL_1"))
    assert largest_differences(model, "google_tf1", "logits")["logits"] <= 1e-4


def test_the_last_step_is_taken_and_a_prefix_is_taken_at_its_word():
    last = read_google_tf1(GOLDEN / "finetuned")
    assert last.weights_source.endswith("model.ckpt-20.index")
    first = read_google_tf1(GOLDEN / "finetuned" / "model.ckpt-9")
    assert not any(value.any() for value in first.tensors.values())


def test_only_the_model_is_read():
    names = read_google_tf1(GOLDEN / "finetuned").tensors
    assert len(names) == 5 + 2 * 16 + 2 + 3
    assert not any("adam" in name for name in names)


def test_a_masked_lm_is_read_with_its_pooler(tmp_path):
    model = random_models.randomized(tb.BertMaskedLM(random_models.tiny_config()))
    write_released(model, tmp_path)
    (tmp_path / "vocab.txt").write_bytes((GOLDEN / "pretrained" / "vocab.txt").read_bytes())
    loaded = tb.load(tmp_path)
    assert (loaded.problem, loaded.config) == ("masked_lm", model.config)
    for expected, actual in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(actual, expected)


def write_released(model, folder):
    """Writes a masked LM as the released programs do, whose matrices are `(in, out)` as here."""
    names = {"cls/seq_relationship/output_bias": np.zeros(2, np.float32)}
    for name, variable in hugging_face.model_variables(model).items():
        name = re.sub(r"layer\.(\d+)", r"layer_\1", name).replace(".", "/")
        name = re.sub(r"LayerNorm/weight$", "LayerNorm/gamma", name)
        name = re.sub(r"LayerNorm/bias$", "LayerNorm/beta", name)
        name = re.sub(r"_embeddings/weight$", "_embeddings", name)
        name = name.replace("predictions/bias", "predictions/output_bias")
        names[re.sub(r"/weight$", "/kernel", name)] = variable.numpy()
    tf.raw_ops.SaveV2(
        prefix=str(folder / "bert_model.ckpt"),
        tensor_names=list(names),
        shape_and_slices=[""] * len(names),
        tensors=list(names.values()),
    )
    values = hugging_face.write_config(model)
    (folder / "bert_config.json").write_text(json.dumps(values))


def test_gelu_is_exact_and_the_vocabulary_lower_case():
    model = tb.load(GOLDEN / "pretrained")
    assert model.config.activation == "gelu"
    assert model.vocabulary.lower_case
    assert model.vocabulary.tokens[5:7] == ("a", "b")


def test_a_capital_in_the_vocabulary_tells_that_it_is_cased(finetuned):
    with open(finetuned / "vocab.txt", "a") as file:
        file.write("Zug\n")
    assert not tb.load(finetuned).vocabulary.lower_case


def test_a_span_head_is_one():
    model = tb.load(GOLDEN / "spans")
    assert (model.problem, model.labels) == ("spans", ("start", "end"))
    assert largest_differences(model, "google_tf1", logits="span_logits")["logits"] <= 1e-4


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("bert/embeddings/word_embeddings", "embeddings.word_embeddings.weight"),
        ("bert/embeddings/LayerNorm/gamma", "embeddings.LayerNorm.weight"),
        ("bert/encoder/layer_10/output/dense/bias", "encoder.layer.10.output.dense.bias"),
        ("bert/pooler/dense/kernel", "pooler.dense.weight"),
    ],
)
def test_names(theirs, ours):
    assert hugging_face_name(theirs) == ours


def test_matrices_are_turned():
    kernel = read_google_tf1(GOLDEN / "pretrained").tensors[
        "encoder.layer.0.intermediate.dense.weight"
    ]
    assert kernel.shape == (24, 16)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_other_floats_become_float32(monkeypatch, dtype):
    read = TensorBundle.read
    expected = tb.load(GOLDEN / "pretrained").get_weights()
    monkeypatch.setattr(TensorBundle, "read", lambda self, name: read(self, name).astype(dtype))
    model = tb.load(GOLDEN / "pretrained", "float32")
    for value, old in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(value, old, rtol=1e-2)


def test_a_missing_config_is_told_with_where_it_comes_from(finetuned):
    (finetuned / "bert_config.json").unlink()
    with pytest.raises(FileNotFoundError, match="bert_config.json: no such file. Copy it from"):
        tb.load(finetuned)


def test_a_missing_file_of_tensors_is_named(finetuned):
    (finetuned / "model.ckpt-20.data-00000-of-00001").unlink()
    with pytest.raises(FileNotFoundError, match="model.ckpt-20.data-00000-of-00001"):
        tb.load(finetuned)


def test_a_config_of_another_model_is_refused(finetuned):
    path = finetuned / "bert_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"vocab_size": 61}))
    with pytest.raises(ValueError, match=r"word_embeddings.weight has shape \(60, 16\)"):
        tb.load(finetuned)


def test_other_folders_are_not_taken_for_it(tmp_path, finetuned):
    assert not is_google_tf1(tmp_path)
    assert not is_google_tf1(FOLDER / "model_garden" / "encoder")
    (finetuned / "model.safetensors").write_bytes(b"")
    assert not is_google_tf1(finetuned)


def test_a_model_written_and_read_again_is_the_same(tmp_path):
    model = tb.load(GOLDEN / "finetuned")
    tb.save(model, tmp_path / "copy")
    for ours, again in zip(model.weights, tb.load(tmp_path / "copy").weights, strict=True):
        np.testing.assert_array_equal(ours, again)
