import dataclasses
import json

import numpy as np
import pytest
import scipy.special
from deadly_runtime import write_deadly_runtime
from random_models import randomized, tiny_config

from tinybert_tf.data import Examples, Task
from tinybert_tf.evaluation import evaluate, predict
from tinybert_tf.export import to_tflite, trim_vocabulary, verifier, verify
from tinybert_tf.models import BertClassifier, BertSpanLabeler, BertTokenClassifier, Vocabulary

PIECES = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "ab",
    "cd",
    "ba",
    *"abcd",
    *(f"##{c}" for c in "abcd"),
)
TEXTS = ["ab cd ab", "cd ba", "a ba ba"]
# problem -> (class of model, its settings, metric, examples)
READ_IN_PIECES = {
    "classification": (
        BertClassifier,
        {"labels": ("no", "yes")},
        "accuracy",
        Examples(TEXTS, labels=["no", "yes", "no"]),
    ),
    "spans": (
        BertSpanLabeler,
        {},
        "answer_f1",
        Examples(["ab", "a", "b"], TEXTS, [(("cd", 3),), (("ba", 3),), (("ba", 2),)]),
    ),
    "tagging": (
        BertTokenClassifier,
        {"labels": ("O", "B-X", "I-X")},
        "entity_f1",
        Examples(TEXTS, labels=[("O", "B-X", "O"), ("B-X", "O"), ("O", "B-X", "I-X")]),
    ),
}


@pytest.fixture(scope="module", name="other")
def make_other(make_model):
    """A model that answers differently."""
    return make_model(5)


@pytest.fixture(scope="module", name="result")
def make_result(other, files, task):
    """Of the file of one model compared with another model."""
    return verify(other, files["float32"], task)


@pytest.fixture(scope="module", name="logits")
def make_logits(other, model, task):
    """Logits of both Keras models."""
    return [predict(each, task.dev(each)) for each in (other, model)]


def test_the_exact_file_agrees(model, files, task):
    result = verify(model, files["float32"], task)
    assert result["num_examples"] == 6
    assert result["agreement"] == 1
    assert result["largest_logit_difference"] < 1e-4
    metrics = result["metrics"]["accuracy"]
    assert metrics["model"] == metrics["file"] and metrics["drop"] == 0
    assert max(layer["relative_error"] for layer in result["layers"]) < 1e-5


def test_agreement_and_metrics(result, logits, task):
    answers = [values.argmax(axis=1) for values in logits]
    truth = [task.labels.index(label) for label in task.examples("dev").labels]
    assert 0 < result["agreement"] < 1
    assert result["agreement"] == np.mean(answers[0] == answers[1])
    before, after = (np.mean(values == truth) for values in answers)
    assert result["metrics"] == {
        "accuracy": {"model": before, "file": after, "drop": before - after}
    }


def test_differences_and_worst_examples(result, logits, task):
    centred = [values - values.mean(axis=1, keepdims=True) for values in logits]
    differences = np.abs(centred[0] - centred[1]).max(axis=1)
    order = np.argsort(-differences)[:5]
    assert result["largest_logit_difference"] == pytest.approx(differences.max(), abs=1e-3)
    texts = task.examples("dev").texts
    assert [worst["text"] for worst in result["worst_examples"]] == [texts[i] for i in order]
    worst, index = result["worst_examples"][0], order[0]
    assert worst["text_pair"] is None
    assert worst["model_label"] == task.labels[logits[0][index].argmax()]
    assert worst["file_label"] == task.labels[logits[1][index].argmax()]
    for name, values in zip(("model", "file"), logits, strict=True):
        expected = scipy.special.softmax(values[index])
        np.testing.assert_allclose(worst[f"{name}_outputs"], expected, atol=1e-5)


def test_result_is_json(result):
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_without_labels_there_are_no_metrics(model, files, task):
    unlabelled = dataclasses.replace(task, read=lambda split: Examples(["a b", "c"]))
    result = verify(model, files["float32"], unlabelled, "test")
    assert (result["metrics"], result["agreement"], result["split"]) == ({}, 1, "test")


def test_scores(make_model, tmp_path):
    model = make_model(1, labels=("score",), problem="regression")
    path = to_tflite(model, tmp_path / "score.tflite", "dynamic_wi8_afp32")["path"]
    examples = Examples(["a b", "c", "d e f"], ["f", "g h", "i"], [0.5, 1.5, 3.0])
    task = Task("stars", ("score",), "regression", ("pearson",), 12, lambda split: examples)
    result = verify(model, path, task)
    assert result["agreement"] is None
    scores = predict(model, task.dev(model))[:, 0]
    expected = np.corrcoef(scores, examples.labels)[0, 1]
    assert result["metrics"]["pearson"]["model"] == pytest.approx(expected, abs=1e-6)
    assert 0 < result["largest_logit_difference"] < 0.5
    worst = result["worst_examples"][0]
    assert (worst["model_label"], worst["file_label"]) == (None, None)
    position = examples.texts.index(worst["text"])
    assert worst["text_pair"] == examples.text_pairs[position]
    assert worst["model_outputs"] == pytest.approx([scores[position]], abs=1e-5)


def test_other_labels_are_refused(make_model, files, task):
    other = make_model(0, labels=("good", "so so", "bad"))
    with pytest.raises(ValueError, match="labels bad, so so, good, the model has good, so so, bad"):
        verify(other, files["float32"], task)


def test_answers_that_are_no_numbers_are_refused(model, files, task, monkeypatch):
    def predict_rows(*arguments):
        outputs = np.full((6, 3), 1 / 3, np.float32)
        outputs[[1, 4]] = np.nan
        return outputs

    monkeypatch.setattr(verifier, "predict_rows", predict_rows)
    with pytest.raises(ValueError, match="answers 2 of 6 examples .* first 'd'"):
        verify(model, files["float32"], task)


def test_a_broken_file_is_refused(model, task, tmp_path):
    path = tmp_path / "broken.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL3")
    with pytest.raises(ValueError, match="broken.tflite is broken"):
        verify(model, path, task)


def model_in_pieces(problem):
    """A model with a vocabulary that can be trimmed, and its task."""
    kind, settings, metric, examples = READ_IN_PIECES[problem]
    config = tiny_config(vocabulary_size=len(PIECES))
    model = randomized(kind(config, vocabulary=Vocabulary(PIECES), **settings))
    return model, Task(problem, model.labels, problem, (metric,), 12, lambda split: examples)


@pytest.mark.parametrize("problem", READ_IN_PIECES)
def test_a_trimmed_file_is_compared_by_its_answers(problem, tmp_path):
    model, task = model_in_pieces(problem)
    trimmed, _ = trim_vocabulary(model, ["ab cd"])
    assert "ba" not in trimmed.vocabulary.tokens
    path = to_tflite(trimmed, tmp_path / "trimmed.tflite", "float32")["path"]
    result = verify(model, path, task)
    (metric,) = task.metrics
    assert result["metrics"][metric]["model"] == pytest.approx(evaluate(model, task)[metric])
    assert result["metrics"][metric]["file"] == pytest.approx(evaluate(trimmed, task)[metric])
    worst = result["worst_examples"]
    same = [example["model_label"] == example["file_label"] for example in worst]
    assert result["agreement"] == np.mean(same)
    assert max(layer["relative_error"] for layer in result["layers"]) < 1e-5
    if problem != "classification":
        assert result["largest_logit_difference"] is None
        assert {example["difference"] for example in worst} == {None}
        assert same == sorted(same)  # what differs comes first
    assert json.dumps(result, allow_nan=False)


def test_what_is_certain_on_both_sides_does_not_differ(make_model, tmp_path):
    model = make_model(0, problem="multilabel")
    model.classifier.bias.assign([18.0, -30.0, 0.0])
    examples = Examples(["a", "b c"], labels=[("bad",), ("bad", "good")])
    task = Task("t", model.labels, "multilabel", ("micro_f1",), 12, lambda split: examples)
    path = to_tflite(model, tmp_path / "certain.tflite", "float32")["path"]
    assert verify(model, path, task)["largest_logit_difference"] < 1e-4


@pytest.mark.parametrize("problem", READ_IN_PIECES)
def test_a_file_of_fixed_length_agrees(problem, tmp_path):
    model, task = model_in_pieces(problem)
    path = to_tflite(model, tmp_path / "static.tflite", "float32", static_length=9)["path"]
    result = verify(model, path, task)
    assert result["agreement"] == 1
    assert result["largest_logit_difference"] < 1e-4
    assert [layer["name"] for layer in result["layers"]][-1] == "layer_2/output_norm"


def test_a_file_that_kills_its_runtime_is_refused(model, files, task, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", write_deadly_runtime(tmp_path))
    with pytest.raises(ValueError, match=r"float32.tflite does not run: .* died of SIGSEGV"):
        verify(model, files["float32"], task)
