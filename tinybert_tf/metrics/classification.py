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
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape or not labels.size:
        raise ValueError(
            f"`labels` have shape {labels.shape}, `predictions` {predictions.shape}; "
            "expected two alike, not empty."
        )
    return float(np.mean(labels == predictions))
