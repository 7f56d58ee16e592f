import numpy as np
import pytest
import sklearn.metrics

from tinybert_tf.metrics import METRICS, accuracy


def test_accuracy_equals_scikit_learn():
    labels, predictions = np.random.default_rng(0).integers(0, 3, size=(2, 50))
    assert accuracy(labels, predictions) == sklearn.metrics.accuracy_score(labels, predictions)


def test_accuracy_by_hand():
    assert METRICS["accuracy"]([0, 1, 2, 2], [0, 1, 2, 1]) == 0.75


@pytest.mark.parametrize("predictions", [[1], [[1, 0]], []])
def test_other_shapes(predictions):
    labels = [1, 0] if predictions else []
    with pytest.raises(ValueError, match="expected two alike, not empty"):
        accuracy(labels, predictions)
