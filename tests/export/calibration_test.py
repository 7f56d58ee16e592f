"""Logits of the model under test are set by hand: a text is one letter, which decides them."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from tinybert_tf.data import Examples, Task
from tinybert_tf.evaluation import predict
from tinybert_tf.export.calibration import calibrate

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


def test_the_logits_are_divided_and_the_model_stays(model, labels):
    before = model.get_weights()
    calibrated, settings, _ = calibrate(model, make_task(labels))
    expected = logits_of(model, None) / settings["temperature"]
    np.testing.assert_allclose(logits_of(calibrated, None), expected, rtol=1e-4, atol=1e-5)
    assert (calibrated.labels, calibrated.vocabulary) == (model.labels, model.vocabulary)
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_no_other_temperature_has_a_lower_cross_entropy(model, labels):
    calibrated, settings, _ = calibrate(model, make_task(labels))
    places = [LABELS.index(name) for name in labels]
    losses = [
        log_loss(places, softmax(logits_of(calibrated, None) / other), labels=range(3))
        for other in (0.95, 1, 1.05)
    ]
    assert np.argmin(losses) == 1


def test_the_errors_are_those_of_both_models(model, labels):
    calibrated, _, report = calibrate(model, make_task(labels))
    places = np.array([LABELS.index(name) for name in labels])
    for name, one in (("before", model), ("after", calibrated)):
        probabilities = softmax(logits_of(one, None))
        gaps = np.zeros(15)
        for row, place in zip(probabilities, places, strict=True):
            gaps[int(row.max() * 15)] += row.max() - (row.argmax() == place)
        expected = np.abs(gaps).sum() / len(places)
        assert report[f"calibration_error_{name}"] == pytest.approx(expected, abs=1e-5)


def test_without_other_texts_as_many_are_rejected_as_may_be(model, labels):
    calibrated, settings, report = calibrate(model, make_task(labels), most_rejected=0.2)
    confidences = np.sort(softmax(logits_of(calibrated, None)).max(axis=1))
    assert settings["out_of_scope_threshold"] == pytest.approx(confidences[5], rel=1e-4)
    assert settings["out_of_scope_label"] == "out_of_scope"
    assert report["in_scope_rejected"] == 5 / 26
    assert "out_of_scope_recall" not in report


def test_other_texts_set_the_threshold(model, labels):
    outside = ["a b c d", "z y x w"]
    calibrated, settings, report = calibrate(model, make_task(labels, outside=outside), 0.9)
    confidences, right = softmax(logits_of(calibrated, None)), [LABELS.index(n) for n in labels]
    right, confidences = confidences.argmax(axis=1) == right, confidences.max(axis=1)
    others = softmax(logits_of(calibrated, None, outside)).max(axis=1)

    def balance(threshold):
        return np.mean(right & (confidences >= threshold)) + np.mean(others < threshold)

    best = max(balance(threshold) for threshold in [0, 1.1, *confidences, *others + 1e-6])
    assert balance(settings["out_of_scope_threshold"]) == pytest.approx(best)
    assert settings["out_of_scope_label"] == "oos"
    recall = np.mean(others < settings["out_of_scope_threshold"])
    assert report["out_of_scope_recall"] == recall


def test_other_texts_do_not_make_it_reject_too_many(model, labels):
    confident = LETTERS[int(logits_of(model, None).max(axis=1).argmax())]
    task = make_task(labels, outside=[confident])
    _, _, report = calibrate(model, task, most_rejected=0.1)
    assert report["in_scope_rejected"] <= 0.1


def test_no_threshold_where_nothing_may_be_rejected(model, labels):
    _, settings, report = calibrate(model, make_task(labels), most_rejected=0)
    assert list(settings) == ["temperature"]
    assert set(report) == {"calibration_error_before", "calibration_error_after"}


def test_several_labels_have_one_temperature_and_no_threshold(make_model):
    model = make_model(3, problem="multilabel")
    logits = logits_of(model, None)
    held = logits > 0
    held[::3] ^= True
    labels = [tuple(np.array(LABELS)[row]) for row in held]
    calibrated, settings, report = calibrate(model, make_task(labels, "multilabel"))
    assert list(settings) == ["temperature"]
    expected = logits / settings["temperature"]
    np.testing.assert_allclose(logits_of(calibrated, None), expected, rtol=1e-4, atol=1e-4)
    odds = 1 / (1 + np.exp(-expected))
    gaps = np.bincount((odds * 15).astype(int).ravel(), (odds - held).ravel(), 15)
    error = np.abs(gaps).sum() / odds.size
    assert report["calibration_error_after"] == pytest.approx(error, abs=1e-3)


def test_a_score_is_refused(make_model):
    model = make_model(1, labels=("score",), problem="regression")
    with pytest.raises(ValueError, match="is for regression; only one for classification or"):
        calibrate(model, make_task([1.0] * 26, "regression"))


def test_a_class_of_the_same_name_is_refused(make_model):
    names = ("bad", "oos", "good")
    with pytest.raises(ValueError, match='"oos" is a class of the model.*--out-of-scope-label'):
        calibrate(make_model(1, labels=names), make_task(["bad"] * 26, outside=["a"], names=names))


@pytest.mark.parametrize("share", [-0.1, 1])
def test_shares_have_limits(model, labels, share):
    with pytest.raises(ValueError, match=f"`most_rejected` is {share}, expected 0 <= share < 1"):
        calibrate(model, make_task(labels), share)
