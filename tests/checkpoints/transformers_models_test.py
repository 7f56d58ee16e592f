"""What transformers saves is read, and computes here what it computes there (tests/goldens)."""

import json
import pathlib
import shutil

import numpy as np
import pytest
import safetensors.numpy

from tinybert_tf import checkpoints
from tinybert_tf.data.tokenizer import BertTokenizer
from tinybert_tf.models import (
    BertClassifier,
    BertEncoder,
    BertMaskedLM,
    BertSpanLabeler,
    BertTokenClassifier,
)

GOLDENS = pathlib.Path(__file__).parents[1] / "goldens" / "transformers_models"
TEXTS = ["Hé, Der Café in ZÜRICH!", "中文 der HÉ [x] 7", "die Straße"]
TOLERANCE = 1e-4
TOPICS = ("sport", "politics", "Häuser")
UNNAMED = ("LABEL_0", "LABEL_1")
# Folder: (class, pooler, problem, labels)
KINDS = {
    "encoder": (BertEncoder, "tanh", None, None),
    "masked_lm": (BertMaskedLM, "none", "masked_lm", None),
    "pretraining": (BertMaskedLM, "tanh", "masked_lm", None),
    "distilbert_masked_lm": (BertMaskedLM, "none", "masked_lm", None),
    "multilabel": (BertClassifier, "tanh", "multilabel", TOPICS),
    "cased": (BertClassifier, "tanh", "classification", UNNAMED),
    "tinybert": (BertClassifier, "tanh", "classification", UNNAMED),
    "spans": (BertSpanLabeler, "none", "spans", ("start", "end")),
    "tags": (BertTokenClassifier, "none", "tagging", ("O", "B-PER", "I-PER", "B-LOC")),
    "distilbert": (BertEncoder, "none", None, None),
    "distilbert_classifier": (BertClassifier, "relu", "classification", TOPICS),
    "distilbert_spans": (BertSpanLabeler, "none", "spans", ("start", "end")),
    "distilbert_tags": (BertTokenClassifier, "none", "tagging", UNNAMED),
}
INPUTS = ("token_ids", "segment_ids", "padding_mask")


@pytest.fixture(scope="module", name="models")
def load_models():
    return {name: checkpoints.load(GOLDENS / name) for name in KINDS}


def read_outputs(name):
    with np.load(GOLDENS / name / "outputs.npz") as file:
        return dict(file)


def largest_differences(model, goldens):
    """Largest absolute difference of each output, by name."""
    outputs = model({name: goldens[name] for name in INPUTS})
    names = {"hidden_states", "logits", "pooled_output"} & set(goldens)
    actual = {name: np.stack([np.asarray(part) for part in outputs[name]]) for name in names}
    assert {name: actual[name].shape for name in names} == {
        name: goldens[name].shape for name in names
    }
    return {name: float(np.abs(actual[name] - goldens[name]).max()) for name in names}


@pytest.mark.parametrize("name", KINDS)
def test_outputs_equal_those_of_transformers(models, name):
    differences = largest_differences(models[name], read_outputs(name))
    assert max(differences.values()) <= TOLERANCE  # NaN fails


@pytest.mark.parametrize("name", KINDS)
def test_model_is_of_the_right_kind(models, name):
    model = models[name]
    found = (type(model), model.config.pooler, getattr(model, "problem", None))
    assert (*found, getattr(model, "labels", None)) == KINDS[name]


def test_released_tinybert_has_its_own_head(models):
    heads = {name: getattr(model, "head", "bert") for name, model in models.items()}
    assert [name for name, head in heads.items() if head != "bert"] == ["tinybert"]


def test_both_segments_of_a_distilbert_mean_nothing(models):
    model, inputs = (
        models["distilbert"],
        {name: read_outputs("distilbert")[name] for name in INPUTS},
    )
    turned = inputs | {"segment_ids": 1 - inputs["segment_ids"]}
    expected, actual = (model(values)["sequence_output"] for values in (inputs, turned))
    np.testing.assert_array_equal(actual, expected)


def test_vocabulary_of_tokenizer_json(models):
    vocabulary, goldens = models["cased"].vocabulary, read_outputs("cased")
    assert not vocabulary.lower_case
    ids, _ = BertTokenizer(vocabulary).encode(TEXTS, max_length=64)
    assert ids.flat_values.numpy().tolist() == goldens["text_ids"].tolist()


@pytest.mark.parametrize("name", KINDS)
def test_saved_again_it_is_the_same(models, name, tmp_path):
    checkpoints.save(models[name], tmp_path / name)
    loaded = checkpoints.load(tmp_path / name)
    assert (type(loaded), loaded.config) == (type(models[name]), models[name].config)
    assert max(largest_differences(loaded, read_outputs(name)).values()) <= TOLERANCE


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("encoder", {"architectures": ["BertModel"]}),
        (
            "multilabel",
            {
                "architectures": ["BertForSequenceClassification"],
                "problem_type": "multi_label_classification",
                "id2label": {"0": "sport", "1": "politics", "2": "Häuser"},
                "label2id": {"sport": 0, "politics": 1, "Häuser": 2},
            },
        ),
        ("spans", {"architectures": ["BertForQuestionAnswering"], "pooler": "none"}),
        ("masked_lm", {"architectures": ["BertForMaskedLM"], "pooler": "none"}),
        ("pretraining", {"architectures": ["BertForMaskedLM"]}),
        (
            "tags",
            {
                "architectures": ["BertForTokenClassification"],
                "id2label": {"0": "O", "1": "B-PER", "2": "I-PER", "3": "B-LOC"},
            },
        ),
        (
            "distilbert_classifier",
            {"pooler": "relu", "problem_type": "single_label_classification"},
        ),
    ],
)
def test_config_says_what_transformers_needs(models, tmp_path, name, expected):
    checkpoints.save(models[name], tmp_path / name)
    values = json.loads((tmp_path / name / "config.json").read_text("utf-8"))
    assert values | expected == values
    assert values["model_type"] == "bert"
    assert ("pooler" in values) == (models[name].config.pooler != "tanh")
    assert ("id2label" in values) == (name in ("multilabel", "tags", "distilbert_classifier"))


def edited(name, tmp_path, **changes):
    """A copy of a folder with another config; `...` removes a key."""
    folder = shutil.copytree(GOLDENS / name, tmp_path / name)
    values = json.loads((folder / "config.json").read_text("utf-8")) | changes
    kept = {key: value for key, value in values.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(kept), "utf-8")
    return folder


def test_classifier_of_texts_without_a_pooler(tmp_path):
    folder = edited("tags", tmp_path, architectures=...)
    message = r"lacks the tensor pooler\.dense\.weight, which a BertForSequenceClassification has"
    with pytest.raises(ValueError, match=message):
        checkpoints.load(folder)


def test_head_that_is_not_there(tmp_path):
    folder = edited("encoder", tmp_path, architectures=["BertForQuestionAnswering"])
    with pytest.raises(ValueError, match=r"lacks the tensor qa_outputs\.weight, which a BertForQ"):
        checkpoints.load(folder)


@pytest.mark.parametrize("architectures", [..., None, "BertModel", [], ["BertForPreTraining"]])
def test_encoder_and_masked_lm_under_any_name(tmp_path, architectures):
    for name, kind in (("encoder", BertEncoder), ("masked_lm", BertMaskedLM)):
        model = checkpoints.load(edited(name, tmp_path, architectures=architectures))
        assert type(model) is kind


@pytest.mark.parametrize("architecture", ["BertForSomethingElse", 3])
def test_of_a_head_that_is_not_known_the_encoder_is_read(tmp_path, architecture):
    folder = edited("masked_lm", tmp_path, architectures=[architecture])
    assert type(checkpoints.load(folder)) is BertEncoder


def edit_masked_lm(tmp_path, **changes):
    """The masked LM with a pooler and other tensors of its head; `None` removes one."""
    folder = shutil.copytree(GOLDENS / "pretraining", tmp_path / "pretraining")
    path = folder / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    tensors |= {f"cls.predictions.{name}": value for name, value in changes.items()}
    tensors = {name: value for name, value in tensors.items() if value is not None}
    safetensors.numpy.save_file(tensors, path)
    return folder


def embeddings():
    tensors = safetensors.numpy.load_file(GOLDENS / "pretraining" / "model.safetensors")
    return tensors["bert.embeddings.word_embeddings.weight"]


@pytest.mark.parametrize(
    "part", ["bias", "transform.dense.weight", "transform.dense.bias", "transform.LayerNorm.bias"]
)
def test_masked_lm_without_a_part_of_its_head_is_an_encoder(tmp_path, part):
    model = checkpoints.load(edit_masked_lm(tmp_path, **{part: None}))
    assert type(model) is BertEncoder
    assert largest_differences(model, read_encoder_outputs())["pooled_output"] <= TOLERANCE


def read_encoder_outputs():
    outputs = read_outputs("pretraining")
    return {name: value for name, value in outputs.items() if name != "logits"}


def test_masked_lm_with_its_decoder_and_that_ones_bias(tmp_path):
    bias = np.arange(60, dtype=np.float32)
    changes = {"decoder.weight": embeddings(), "decoder.bias": bias, "bias": None}
    model = checkpoints.load(edit_masked_lm(tmp_path, **changes))
    np.testing.assert_array_equal(model.output_bias, bias)


@pytest.mark.parametrize("change", [lambda table: table + 1e-3, lambda table: table[1:]])
def test_decoder_of_its_own_is_left_out(tmp_path, change):
    folder = edit_masked_lm(tmp_path, **{"decoder.weight": change(embeddings())})
    with pytest.warns(UserWarning, match=r"cls\.predictions\.decoder\.weight differs from embedd"):
        model = checkpoints.load(folder)
    assert type(model) is BertEncoder
    assert largest_differences(model, read_encoder_outputs())["pooled_output"] <= TOLERANCE


def test_masked_lm_of_another_shape_is_refused(tmp_path):
    folder = edit_masked_lm(tmp_path, bias=np.zeros(61, np.float32))
    with pytest.raises(ValueError, match=r"cls\.predictions\.bias has shape \(61,\)"):
        checkpoints.load(folder)


def test_masked_lm_is_written_under_the_names_of_transformers(models, tmp_path):
    checkpoints.save(models["pretraining"], tmp_path / "model")
    names = set(safetensors.numpy.load_file(tmp_path / "model" / "model.safetensors"))
    expected = safetensors.numpy.load_file(GOLDENS / "pretraining" / "model.safetensors")
    assert names == {name for name in expected if "seq_relationship" not in name}


def test_pooler_of_a_masked_lm_goes_into_a_classifier(models):
    classifier = BertClassifier.from_encoder(models["pretraining"], UNNAMED)
    assert largest_differences(classifier, read_encoder_outputs())["pooled_output"] <= TOLERANCE


def test_distilbert_without_a_size(tmp_path):
    folder = edited("distilbert", tmp_path, dim=..., n_heads=...)
    with pytest.raises(ValueError, match=r"config\.json: lacks n_heads, dim; is it a DistilBERT"):
        checkpoints.load(folder)


@pytest.mark.parametrize("changes", [{"model_type": "bert"}, {"head": "bert"}])
def test_head_of_released_tinybert_only_where_nothing_else_is_said(tmp_path, changes):
    assert checkpoints.load(edited("tinybert", tmp_path, **changes)).head == "bert"
