"""Metrics of classification."""

import numpy as np


def accuracy(labels, predictions):
    """Share of predictions that are right.

    Args:
        labels: int array `(examples,)`, the true classes.
        predictions: int array `(examples,)`, the predicted ones.

    Returns:
        float, 0 to 1.

    Raises:
        ValueError: If the arrays are empty or differ in shape.

    Example:
        accuracy([0, 1, 1], [0, 1, 0])  # 0.667
    """
    labels, predictions = _alike(labels, predictions)
    return float(np.mean(labels == predictions))


def f1(labels, predictions):
    """Harmonic mean of precision and recall of class 1, of two classes.

    Args:
        labels: int array `(examples,)`, the true classes, 0 or 1.
        predictions: int array `(examples,)`, the predicted ones.

    Returns:
        float, 0 to 1; 0 where class 1 is neither true nor predicted anywhere.

    Raises:
        ValueError: If the arrays are empty, differ in shape or hold other classes.

    Example:
        f1([0, 1, 1], [0, 1, 0])  # 0.667
    """
    from sklearn.metrics import f1_score

    labels, predictions = _alike(labels, predictions)
    _check_binary(labels, predictions)
    return float(f1_score(labels, predictions, zero_division=0))


def matthews(labels, predictions):
    """Matthews' correlation coefficient, of two or more classes.

    Args:
        labels: int array `(examples,)`, the true classes.
        predictions: int array `(examples,)`, the predicted ones.

    Returns:
        float, -1 to 1; 0 where either side has one class only.

    Raises:
        ValueError: If the arrays are empty or differ in shape.

    Example:
        matthews([0, 0, 1, 1], [0, 1, 1, 1])  # 0.577
    """
    from sklearn.metrics import matthews_corrcoef

    labels, predictions = _alike(labels, predictions)
    if np.ptp(labels) == 0 or np.ptp(predictions) == 0:
        return 0.0
    return float(matthews_corrcoef(labels, predictions))


def micro_f1(labels, predictions):
    """F1 over all pairs of an example and a label, where an example has any number of labels.

    Args:
        labels: 0/1 array `(examples, labels)`, 1 where the example has the label.
        predictions: 0/1 array of the same shape.

    Returns:
        float, 0 to 1; 0 where no example has a label on either side.

    Raises:
        ValueError: If the arrays are empty, differ in shape or hold other values.

    Example:
        micro_f1([[1, 0], [1, 1]], [[1, 0], [0, 1]])  # 0.8
    """
    labels, predictions = _alike(labels, predictions)
    return f1(labels.ravel(), predictions.ravel())


def subset_accuracy(labels, predictions):
    """Share of examples all of whose labels are right, where an example has any number of them.

    Args:
        labels: 0/1 array `(examples, labels)`, 1 where the example has the label.
        predictions: 0/1 array of the same shape.

    Returns:
        float, 0 to 1.

    Raises:
        ValueError: If the arrays are empty or differ in shape.

    Example:
        subset_accuracy([[1, 0], [1, 1]], [[1, 0], [0, 1]])  # 0.5
    """
    labels, predictions = _alike(labels, predictions)
    return float(np.mean(np.all(labels == predictions, axis=1)))


def _alike(labels, predictions):
    """Returns both as arrays, having checked their shapes."""
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape or not labels.size:
        raise ValueError(
            f"`labels` have shape {labels.shape}, `predictions` {predictions.shape}; "
            "expected two alike, not empty."
        )
    return labels, predictions


def _check_binary(*arrays):
    for name, array in zip(("labels", "predictions"), arrays, strict=True):
        others = np.setdiff1d(array, [0, 1])
        if others.size:
            raise ValueError(f"`{name}` hold {others[0]}, expected 0 and 1 only.")
