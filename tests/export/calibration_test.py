"""Logits of the model under test are set by hand: a text is one letter, which decides them."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from tinybert_tf.data import Examples, Task
from tinybert_tf.edge import EdgeModel
from tinybert_tf.edge.attached import read_attached
from tinybert_tf.evaluation import predict
from tinybert_tf.export import Calibration, predict_file, to_tflite

LABELS = ("bad", "so so", "good")
LETTERS = [*"abcdefghijklmnopqrstuvwxyz"]


def make_task(labels, problem="classification", outside=None, names=LABELS):
    return Task(
        "letters",
        names,
        problem,
        ("accuracy",),
        12,
        lambda split: {"dev": Examples(LETTERS, labels=labels)}[split],
        out_of_scope_label=outside and "oos",
        read_out_of_scope=outside and (lambda split: Examples(outside)),
    )


def logits_of(model, task, texts=LETTERS):
    examples = Examples(texts, labels=None)
    plain = Task("t", model.labels, model.problem, (), 12, lambda split: examples)
    return predict(model, plain.dev(model)).astype(np.float64)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module", name="labels")
def choose_labels(model):
    """What the model says of each letter, wrong of every fourth."""
    places = logits_of(model, None).argmax(axis=1)
    return [LABELS[(place + (number % 4 == 0)) % 3] for number, place in enumerate(places)]


@pytest.fixture(scope="module", name="file")
def make_file(model, labels, tmp_path_factory):
    """The calibrated model in 4 bits, which moves its answers."""
    path = tmp_path_factory.mktemp("calibrated") / "letters.tflite"
    to_tflite(Calibration(model, make_task(labels)).model, path, "dynamic_wi4_afp32")
    return path


def file_answers(file, labels, texts=LETTERS):
    """The file's highest probabilities, and whether its answers are right."""
    outputs = predict_file(EdgeModel(file), Examples(texts))
    places = [LABELS.index(name) for name in labels]
    return outputs.max(axis=1), outputs.argmax(axis=1) == places if texts is LETTERS else None


def measure(model, task, file, *share):
    calibration = Calibration(model, task, *share)
    return calibration.file_settings(file), calibration.report


def test_the_logits_are_divided_and_the_model_stays(model, labels):
    before = model.get_weights()
    calibration = Calibration(model, make_task(labels))
    calibrated = calibration.model
    expected = logits_of(model, None) / calibration.report["temperature"]
    np.testing.assert_allclose(logits_of(calibrated, None), expected, rtol=1e-4, atol=1e-5)
    assert (calibrated.labels, calibrated.vocabulary) == (model.labels, model.vocabulary)
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_no_other_temperature_has_a_lower_cross_entropy(model, labels):
    calibrated = Calibration(model, make_task(labels)).model
    places = [LABELS.index(name) for name in labels]
    losses = [
        log_loss(places, softmax(logits_of(calibrated, None) / other), labels=range(3))
        for other in (0.95, 1, 1.05)
    ]
    assert np.argmin(losses) == 1


def test_the_errors_are_those_of_the_model_and_of_the_file(model, labels, file):
    _, report = measure(model, make_task(labels), file)
    places = np.array([LABELS.index(name) for name in labels])
    probabilities = softmax(logits_of(model, None))
    before = probabilities.max(axis=1), probabilities.argmax(axis=1) == places
    for name, answers in (("before", before), ("after", file_answers(file, labels))):
        gaps = np.zeros(15)
        for confidence, is_right in zip(*answers, strict=True):
            gaps[int(confidence * 15)] += confidence - is_right
        expected = np.abs(gaps).sum() / len(places)
        assert report[f"calibration_error_{name}"] == pytest.approx(expected, abs=1e-5)


def test_without_other_texts_as_many_are_rejected_as_may_be(model, labels, file):
    settings, report = measure(model, make_task(labels), file, 0.2)
    confidences = np.sort(file_answers(file, labels)[0])
    assert settings["out_of_scope_threshold"] == confidences[5]
    assert settings["out_of_scope_label"] == "out_of_scope"
    assert report["in_scope_rejected"] == 5 / 26
    assert settings.items() <= report.items()
    assert "out_of_scope_recall" not in report


def test_other_texts_set_the_threshold(model, labels, file):
    outside = ["a b c d", "z y x w"]
    settings, report = measure(model, make_task(labels, outside=outside), file, 0.9)
    confidences, right = file_answers(file, labels)
    others, _ = file_answers(file, labels, outside)

    def balance(threshold):
        return np.mean(right & (confidences >= threshold)) + np.mean(others < threshold)

    best = max(balance(threshold) for threshold in [0, 1.1, *confidences, *others + 1e-6])
    assert balance(settings["out_of_scope_threshold"]) == pytest.approx(best)
    assert settings["out_of_scope_label"] == "oos"
    recall = np.mean(others < settings["out_of_scope_threshold"])
    assert report["out_of_scope_recall"] == recall


def test_other_texts_do_not_make_it_reject_too_many(model, labels, file):
    confident = LETTERS[int(file_answers(file, labels)[0].argmax())]
    _, report = measure(model, make_task(labels, outside=[confident]), file, 0.1)
    assert report["in_scope_rejected"] <= 0.1


def test_no_threshold_where_nothing_may_be_rejected(model, labels, file):
    settings, report = measure(model, make_task(labels), file, 0)
    assert list(settings) == ["temperature"]
    errors = {"calibration_error_before", "calibration_error_after"}
    assert set(report) == {"temperature", *errors}


def test_a_file_that_takes_text_is_measured_too(model, labels, tmp_path):
    calibration, path = Calibration(model, make_task(labels), 0.2), tmp_path / "text.tflite"
    measures = {"file_settings": calibration.file_settings}
    to_tflite(calibration.model, path, "float32", tokenizer_in_graph=True, **measures)
    confidences = np.sort(softmax(logits_of(calibration.model, None)).max(axis=1))
    found = read_attached(path).settings["out_of_scope_threshold"]
    assert found == pytest.approx(confidences[5], rel=1e-4)


def test_several_labels_have_one_temperature_and_no_threshold(make_model, tmp_path):
    model = make_model(3, problem="multilabel")
    logits = logits_of(model, None)
    held = logits > 0
    held[::3] ^= True
    labels = [tuple(np.array(LABELS)[row]) for row in held]
    calibration, path = Calibration(model, make_task(labels, "multilabel")), tmp_path / "x.tflite"
    calibrated, report = calibration.model, calibration.report
    to_tflite(calibrated, path, "float32", file_settings=calibration.file_settings)
    settings = read_attached(path).settings
    assert "out_of_scope_threshold" not in settings
    expected = logits / settings["temperature"]
    np.testing.assert_allclose(logits_of(calibrated, None), expected, rtol=1e-4, atol=1e-4)
    odds = 1 / (1 + np.exp(-expected))
    gaps = np.bincount((odds * 15).astype(int).ravel(), (odds - held).ravel(), 15)
    error = np.abs(gaps).sum() / odds.size
    assert report["calibration_error_after"] == pytest.approx(error, abs=1e-3)


def test_a_score_is_refused(make_model):
    model = make_model(1, labels=("score",), problem="regression")
    with pytest.raises(ValueError, match="is for regression; only one for classification or"):
        Calibration(model, make_task([1.0] * 26, "regression"))


def test_a_class_of_the_same_name_is_refused(make_model):
    names = ("bad", "oos", "good")
    with pytest.raises(ValueError, match='"oos" is a class of the model.*--out-of-scope-label'):
        Calibration(
            make_model(1, labels=names), make_task(["bad"] * 26, outside=["a"], names=names)
        )


@pytest.mark.parametrize(("problem", "share"), [("classification", 0), ("multilabel", 0.05)])
def test_without_a_threshold_no_class_is_in_the_way(make_model, problem, share):
    names = ("bad", "out_of_scope", "good")
    model = make_model(1, labels=names, problem=problem)
    labels = ["bad"] * 26 if problem == "classification" else [("bad",)] * 26
    Calibration(model, make_task(labels, problem, names=names), share)


@pytest.mark.parametrize("share", [-0.1, 1])
def test_shares_have_limits(model, labels, share):
    with pytest.raises(ValueError, match=f"`most_rejected` is {share}, expected 0 <= share < 1"):
        Calibration(model, make_task(labels), share)
