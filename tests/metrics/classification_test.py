import warnings

import numpy as np
import pytest
import sklearn.metrics

from tinybert_tf.metrics import METRICS, accuracy, f1, matthews, micro_f1, subset_accuracy

BINARY = np.random.default_rng(0).integers(0, 2, size=(2, 50))
CLASSES = np.random.default_rng(0).integers(0, 3, size=(2, 50))
MULTILABEL = np.random.default_rng(0).integers(0, 2, size=(2, 50, 3))


def test_accuracy_equals_scikit_learn():
    assert accuracy(*CLASSES) == sklearn.metrics.accuracy_score(*CLASSES)


def test_accuracy_by_hand():
    assert METRICS["accuracy"]([0, 1, 2, 2], [0, 1, 2, 1]) == 0.75


def test_f1_by_hand():
    # One right of two predicted, one of three found: precision 1/2, recall 1/3.
    assert METRICS["f1"]([1, 1, 1, 0, 0], [1, 0, 0, 1, 0]) == pytest.approx(2 / 5)


def test_f1_is_of_class_1():
    labels, predictions = BINARY
    assert f1(labels, predictions) != f1(1 - labels, 1 - predictions)


def test_f1_where_class_1_is_nowhere():
    assert f1([0, 0], [0, 0]) == 0.0


@pytest.mark.parametrize(("labels", "predictions"), [([0, 2], [0, 1]), ([0, 1], [0, 2])])
def test_f1_of_other_classes(labels, predictions):
    with pytest.raises(ValueError, match="hold 2, expected 0 and 1 only"):
        f1(labels, predictions)


@pytest.mark.parametrize("classes", [BINARY, CLASSES])
def test_matthews_is_the_correlation_of_indicators(classes):
    labels, predictions = (np.eye(3)[side] for side in classes)
    centered = labels - labels.mean(axis=0), predictions - predictions.mean(axis=0)
    covariance = [[np.sum(a * b) for b in centered] for a in centered]
    expected = covariance[0][1] / np.sqrt(covariance[0][0] * covariance[1][1])
    assert METRICS["matthews"](*classes) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "predictions"), [([0, 1], [1, 1]), ([0, 0], [0, 1]), ([1, 1], [1, 1])]
)
def test_matthews_of_one_class_has_no_credit(labels, predictions):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert matthews(labels, predictions) == 0.0


def test_micro_f1_by_hand():
    labels, predictions = MULTILABEL
    right = np.sum(labels & predictions)
    expected = 2 * right / (labels.sum() + predictions.sum())
    assert METRICS["micro_f1"](labels, predictions) == pytest.approx(expected)


def test_micro_f1_equals_scikit_learn():
    expected = sklearn.metrics.f1_score(*MULTILABEL, average="micro")
    assert micro_f1(*MULTILABEL) == pytest.approx(expected)


def test_subset_accuracy_equals_scikit_learn():
    expected = sklearn.metrics.accuracy_score(*MULTILABEL)
    assert 0 < subset_accuracy(*MULTILABEL) == METRICS["subset_accuracy"](*MULTILABEL) == expected


@pytest.mark.parametrize("metric", [accuracy, f1, matthews, micro_f1, subset_accuracy])
@pytest.mark.parametrize("predictions", [[1], [[1, 0]], []])
def test_other_shapes(metric, predictions):
    labels = [1, 0] if predictions else []
    with pytest.raises(ValueError, match="expected two alike, not empty"):
        metric(labels, predictions)
