import numpy as np
import pytest
import scipy.stats

from tinybert_tf.metrics import METRICS, pearson


def test_pearson_equals_scipy():
    labels, predictions = np.random.default_rng(0).normal(size=(2, 50)).astype(np.float32)
    expected = scipy.stats.pearsonr(labels.astype(float), predictions.astype(float)).statistic
    assert METRICS["pearson"](labels, predictions) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("labels", "predictions"), [([1, 2, 3], [5, 5, 5]), ([2, 2], [1, 2])])
def test_constant_side_has_no_credit(labels, predictions):
    assert pearson(labels, predictions) == 0.0


@pytest.mark.parametrize("predictions", [[1.0], [[1.0, 2.0]]])
def test_other_shapes(predictions):
    with pytest.raises(ValueError, match="expected two alike, of two or more"):
        pearson([1.0, 2.0], predictions)
    with pytest.raises(ValueError, match="expected two alike, of two or more"):
        pearson([1.0], [1.0])
