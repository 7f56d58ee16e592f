"""How far a classifier's probabilities can be trusted, and when it had better not answer."""

import warnings

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax

# The search has to end somewhere.
_COLDEST, _HOTTEST = 0.05, 20.0


def fit_temperature(logits, labels, problem="classification"):
    """The temperature by which to divide logits so that probabilities are as they say.

    It minimises the cross-entropy and changes no answer. Several labels at once share it. Where no
    answer is wrong, the least cross-entropy would make every one certain: the logits stay, and a
    warning tells it.

    Args:
        logits: float array `(examples, labels)`.
        labels: int array `(examples,)`, the true classes; or, where several labels may hold, 0/1
            array `(examples, labels)`.
        problem: "classification" or "multilabel".

    Returns:
        float, 0.05 to 20; 1 where no answer is wrong, over 1 where the model is too sure of itself.

    Raises:
        ValueError: If there are no examples, or the problem is another.

    Example:
        fit_temperature([[2.0, 0.0]] * 4, [0, 0, 0, 1])  # 2 / log 3

    Reference:
        Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2.
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    if problem not in _CROSS_ENTROPY:
        raise ValueError(f"Only classes and labels have probabilities; the problem is {problem}.")
    if not len(labels):
        raise ValueError("There are no examples to fit a temperature to.")
    if np.all(_answers(logits, problem) == labels):
        warnings.warn(
            f"None of the answers to {len(labels)} examples is wrong, so nothing tells how sure to "
            "be: probabilities stay as they are. Calibrate on more or harder examples.",
            stacklevel=2,
        )
        return 1.0
    cross_entropy = _CROSS_ENTROPY[problem]
    found = minimize_scalar(
        lambda log_temperature: cross_entropy(logits / np.exp(log_temperature), labels),
        bounds=np.log([_COLDEST, _HOTTEST]),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def _answers(logits, problem):
    return logits > 0 if problem == "multilabel" else logits.argmax(axis=1)


def _of_classes(logits, labels):
    return -np.mean(log_softmax(logits, axis=1)[np.arange(len(labels)), labels])


def _of_labels(logits, labels):
    return -np.mean(log_expit(np.where(labels, logits, -logits)))


_CROSS_ENTROPY = {"classification": _of_classes, "multilabel": _of_labels}


def calibration_error(confidences, outcomes, num_bins=15):
    """Expected calibration error: how far probabilities are from what they say, on average.

    Args:
        confidences: float array `(examples,)`, the probability of each answer, 0 to 1.
        outcomes: bool array `(examples,)`, whether it was right.
        num_bins: int, in how many equal parts of 0 to 1 the two are compared.

    Returns:
        float, 0 to 1: the mean over examples of how far apart their part's mean confidence and
        share of right answers are.

    Raises:
        ValueError: If there are no examples.

    Reference:
        Guo et al. 2017, equation 3, with their 15 parts.
    """
    confidences, outcomes = np.asarray(confidences, np.float64), np.asarray(outcomes, np.float64)
    if not len(confidences):
        raise ValueError("There are no examples to measure calibration on.")
    bins = np.minimum((confidences * num_bins).astype(int), num_bins - 1)
    gaps = np.bincount(bins, confidences - outcomes, num_bins)
    return float(np.abs(gaps).sum() / len(confidences))


def balanced_threshold(confidences, right, outside):
    """The threshold that tells texts of the classes from others best, by examples of both.

    Best is the highest mean of two shares: of the texts of the classes, those answered, and
    answered right; of the others, those rejected.

    Args:
        confidences: float array `(examples,)`, the highest probability of each text of a class.
        right: bool array `(examples,)`, whether the answer to it was right.
        outside: float array `(others,)`, the highest probability of each text of none.

    Returns:
        float: what falls below is rejected. The lowest of those that are equally good.

    Raises:
        ValueError: If there are no examples of one kind.
    """
    confidences, right, outside = map(np.asarray, (confidences, right, outside))
    if not len(confidences) or not len(outside):
        raise ValueError("Expected examples both of the classes and of none of them.")
    scores = np.unique(np.concatenate([confidences, outside]))
    thresholds = np.concatenate([[0.0], (scores[1:] + scores[:-1]) / 2])
    answered_right = np.sort(confidences[right])
    accuracies = 1 - np.searchsorted(answered_right, thresholds) / max(len(answered_right), 1)
    rejected = np.searchsorted(np.sort(outside), thresholds) / len(outside)
    return float(thresholds[np.argmax(accuracies * np.mean(right) + rejected)])


def rejection_threshold(confidences, share):
    """The highest threshold that rejects no more than a share of texts that should be answered.

    Args:
        confidences: float array `(examples,)`, the highest probability of each text of a class.
        share: float, 0 up to 1.

    Returns:
        float: what falls below is rejected.

    Raises:
        ValueError: If there are no examples, or the share is outside of its range.
    """
    if not 0 <= share < 1:
        raise ValueError(f"`share` is {share}, expected 0 <= share < 1.")
    if not len(confidences):
        raise ValueError("There are no examples to choose a threshold by.")
    return float(np.sort(confidences)[int(share * len(confidences))])


def scope_metrics(confidences, right, outside, threshold):
    """What a threshold does to texts of the classes and to others.

    Args:
        confidences: float array `(examples,)`, the highest probability of each text of a class.
        right: bool array `(examples,)`, whether the answer to it was right.
        outside: float array `(others,)`, the same of texts of none, or `None`.
        threshold: float: what falls below is rejected.

    Returns:
        Dict of float: `in_scope_accuracy`, the share of the texts of the classes that are answered,
        and answered right; `in_scope_rejected`, the share that is not answered; and, with others,
        `out_of_scope_recall`, the share of them that is rejected, and `out_of_scope_precision`, the
        share of them among all that is rejected (0 where nothing is).
    """
    answered = np.asarray(confidences) >= threshold
    metrics = {
        "in_scope_accuracy": float(np.mean(answered & np.asarray(right))),
        "in_scope_rejected": float(np.mean(~answered)),
    }
    if outside is None:
        return metrics
    rejected = np.asarray(outside) < threshold
    all_rejected = rejected.sum() + (~answered).sum()
    return metrics | {
        "out_of_scope_recall": float(np.mean(rejected)),
        "out_of_scope_precision": float(rejected.sum() / max(all_rejected, 1)),
    }
