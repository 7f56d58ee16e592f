import dataclasses
import json

import numpy as np
import pytest
import scipy.special

from tinybert_tf.data import Examples, Task
from tinybert_tf.evaluation import predict
from tinybert_tf.export import to_tflite, verifier, verify


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
