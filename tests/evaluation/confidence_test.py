import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss, precision_score, recall_score, roc_curve

from tinybert_tf.evaluation.confidence import (
    balanced_threshold,
    calibration_error,
    fit_temperature,
    rejection_threshold,
    scope_metrics,
)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def sample(seed, count=200):
    """Confidences of examples that are right with that probability, and of others, a bit lower."""
    random = np.random.default_rng(seed)
    confidences = random.uniform(0.2, 1, count)
    return confidences, random.random(count) < confidences, random.uniform(0, 0.7, count // 4)


@pytest.mark.parametrize(("margin", "wrong"), [(2.0, 1), (0.5, 1), (-3.0, 7), (9.0, 2)])
def test_two_classes_have_a_closed_form(margin, wrong):
    labels = [1] * wrong + [0] * (8 - wrong)  # sigmoid(margin / T) = the share of zeros
    expected = margin / np.log((8 - wrong) / wrong)
    assert fit_temperature([[margin, 0.0]] * 8, labels) == pytest.approx(expected, rel=1e-4)


def test_labels_have_a_closed_form():
    logits = np.tile([4.0, -4.0], (5, 1))
    labels = np.array([[1, 0], [1, 0], [1, 0], [0, 0], [1, 1]])  # 4 of 5 right on either side
    expected = 4 / np.log(4)
    assert fit_temperature(logits, labels, "multilabel") == pytest.approx(expected, rel=1e-4)


def test_no_other_temperature_has_a_lower_cross_entropy():
    random = np.random.default_rng(0)
    labels = random.integers(0, 5, 300)
    logits = random.normal(0, 3, (300, 5)) + 2 * np.eye(5)[labels]
    temperature = fit_temperature(logits, labels)
    losses = [
        log_loss(labels, softmax(logits / other), labels=range(5))
        for other in temperature * np.array([0.9, 0.99, 1, 1.01, 1.1])
    ]
    assert np.argmin(losses) == 2


@pytest.mark.parametrize("scale", [0.25, 4])
def test_scaled_logits_have_the_scaled_temperature(scale):
    random = np.random.default_rng(1)
    logits, labels = random.normal(0, 2, (100, 3)), random.integers(0, 3, 100)
    logits[:60] += 3 * np.eye(3)[labels[:60]]
    before, after = fit_temperature(logits, labels), fit_temperature(scale * logits, labels)
    assert after == pytest.approx(scale * before, rel=1e-4)


@pytest.mark.parametrize(
    ("logits", "labels", "problem"),
    [([[1.0, 0.0], [2.0, 3.0]], [0, 1], "classification"), ([[1, -2]], [[1, 0]], "multilabel")],
)
def test_what_is_all_right_stays_as_it_is(logits, labels, problem):
    with pytest.warns(UserWarning, match=f"None of the answers to {len(labels)} examples is wrong"):
        assert fit_temperature(logits, labels, problem) == 1


def test_what_has_no_temperature():
    with pytest.raises(ValueError, match="probabilities; the problem is regression"):
        fit_temperature([[1.0]], [1.0], "regression")
    with pytest.raises(ValueError, match="no examples to fit"):
        fit_temperature(np.zeros((0, 2)), [])


@pytest.mark.parametrize("num_bins", [5, 15])
def test_calibration_error_against_scikit_learn(num_bins):
    confidences, right, _ = sample(3)
    confidences, right = confidences**2, right.astype(int)
    shares, means = calibration_curve(right, confidences, n_bins=num_bins)
    counts = np.histogram(confidences, num_bins, (0, 1))[0]
    expected = np.sum(np.abs(shares - means) * counts[counts > 0]) / len(right)
    assert calibration_error(confidences, right, num_bins) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("confidence", "right", "error"), [(1.0, 1, 0), (0.0, 1, 1), (0.75, 0, 0.75)]
)
def test_calibration_error_of_one_example(confidence, right, error):
    assert calibration_error([confidence], [right]) == error


@pytest.mark.parametrize("seed", range(4))
def test_no_other_threshold_is_more_balanced(seed):
    confidences, right, outside = sample(seed)

    def balance(threshold):
        accepted = [r and c >= threshold for c, r in zip(confidences, right, strict=True)]
        return np.mean(accepted) + np.mean([score < threshold for score in outside])

    best = max(balance(threshold) for threshold in [0, 1.1, *confidences, *outside])
    assert balance(balanced_threshold(confidences, right, outside)) == pytest.approx(best)


def test_where_all_is_right_it_is_youdens():
    confidences, _, outside = sample(7)
    is_inside = [1] * len(confidences) + [0] * len(outside)
    false, true, _ = roc_curve(is_inside, [*confidences, *outside])
    threshold = balanced_threshold(confidences, np.ones(len(confidences), bool), outside)
    balance = np.mean(confidences >= threshold) + np.mean(outside < threshold) - 1
    assert balance == pytest.approx(np.max(true - false))


def test_what_is_told_apart_well_is_cut_between():
    assert balanced_threshold([0.9, 0.8], np.array([True, False]), [0.1, 0.3]) == 0.55
    assert balanced_threshold([0.5], np.array([False]), [0.25]) == 0.375


@pytest.mark.parametrize(("share", "expected"), [(0, 0.1), (0.2, 0.2), (0.39, 0.2), (0.8, 0.5)])
def test_no_more_than_a_share_is_rejected(share, expected):
    confidences = np.array([0.3, 0.1, 0.5, 0.2, 0.4])
    threshold = rejection_threshold(confidences, share)
    assert threshold == expected
    assert np.mean(confidences < threshold) <= share


def test_scope_metrics_against_scikit_learn():
    confidences, right, outside = sample(5)
    metrics = scope_metrics(confidences, right, outside, 0.5)
    is_outside = [0] * len(confidences) + [1] * len(outside)
    rejected = np.concatenate([confidences, outside]) < 0.5
    assert metrics["out_of_scope_recall"] == pytest.approx(recall_score(is_outside, rejected))
    expected = precision_score(is_outside, rejected)
    assert metrics["out_of_scope_precision"] == pytest.approx(expected)
    assert metrics["in_scope_accuracy"] == np.mean([c >= 0.5 for c in confidences] & right)
    assert metrics["in_scope_rejected"] == np.mean([c < 0.5 for c in confidences])


def test_without_others_nothing_is_said_of_them():
    metrics = scope_metrics([0.2, 0.9], [True, True], None, 0.5)
    assert metrics == {"in_scope_accuracy": 0.5, "in_scope_rejected": 0.5}


def test_what_cannot_be_chosen_by():
    with pytest.raises(ValueError, match="both of the classes and of none"):
        balanced_threshold([0.5], np.array([True]), [])
    with pytest.raises(ValueError, match="`share` is 1, expected 0 <= share < 1"):
        rejection_threshold([0.5], 1)
    with pytest.raises(ValueError, match="no examples to choose"):
        rejection_threshold([], 0.1)
    with pytest.raises(ValueError, match="no examples to measure"):
        calibration_error([], [])
