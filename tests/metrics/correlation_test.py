import numpy as np
import pytest
import scipy.stats

from tinybert_tf.metrics import METRICS, pearson, spearman

SCORES = np.random.default_rng(0).normal(size=(2, 50)).astype(np.float32)


def test_pearson_equals_scipy():
    expected = scipy.stats.pearsonr(*SCORES.astype(float)).statistic
    assert METRICS["pearson"](*SCORES) == pytest.approx(expected, abs=1e-12)


def test_spearman_is_pearson_of_ranks():
    labels, predictions = np.round(SCORES, 1)  # with ties
    ranks = [scipy.stats.rankdata(side) for side in (labels, predictions)]
    expected = np.corrcoef(*ranks)[0, 1]
    assert METRICS["spearman"](labels, predictions) == pytest.approx(expected, abs=1e-12)


def test_spearman_sees_order_only():
    assert spearman([0, 1, 2, 3], [-5, 0, 1e9, 1e10]) == pytest.approx(1.0)


@pytest.mark.parametrize("metric", [pearson, spearman])
@pytest.mark.parametrize(("labels", "predictions"), [([1, 2, 3], [5, 5, 5]), ([2, 2], [1, 2])])
def test_constant_side_has_no_credit(metric, labels, predictions):
    assert metric(labels, predictions) == 0.0


@pytest.mark.parametrize("metric", [pearson, spearman])
@pytest.mark.parametrize("predictions", [[1.0], [[1.0, 2.0]]])
def test_other_shapes(metric, predictions):
    with pytest.raises(ValueError, match="expected two alike, of two or more"):
        metric([1.0, 2.0], predictions)
    with pytest.raises(ValueError, match="expected two alike, of two or more"):
        metric([1.0], [1.0])
