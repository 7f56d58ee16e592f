"""Metrics of regression."""

import numpy as np


def pearson(labels, predictions):
    """Pearson's correlation between true and predicted scores.

    Args:
        labels: float array `(examples,)`.
        predictions: float array `(examples,)`.

    Returns:
        float, -1 to 1; 0 where either side is constant, so that a model that learned nothing has
        no credit.

    Raises:
        ValueError: If the shapes differ or there are fewer than two examples.

    Example:
        pearson([0.0, 1.0, 2.0], [1.0, 3.0, 5.0])  # 1.0
    """
    labels, predictions = _alike(labels, predictions)
    if np.ptp(labels) == 0 or np.ptp(predictions) == 0:
        return 0.0
    return float(np.corrcoef(labels, predictions)[0, 1])


def spearman(labels, predictions):
    """Spearman's correlation: Pearson's between the ranks of true and predicted scores.

    Args:
        labels: float array `(examples,)`.
        predictions: float array `(examples,)`.

    Returns:
        float, -1 to 1; 0 where either side is constant.

    Raises:
        ValueError: If the shapes differ or there are fewer than two examples.

    Example:
        spearman([0.0, 1.0, 2.0], [1.0, 3.0, 100.0])  # 1.0
    """
    from scipy.stats import spearmanr

    labels, predictions = _alike(labels, predictions)
    if np.ptp(labels) == 0 or np.ptp(predictions) == 0:
        return 0.0
    return float(spearmanr(labels, predictions).statistic)


def _alike(labels, predictions):
    """Returns both as float64 arrays, having checked their shapes."""
    labels, predictions = np.asarray(labels, np.float64), np.asarray(predictions, np.float64)
    if labels.shape != predictions.shape or labels.size < 2:
        raise ValueError(
            f"`labels` have shape {labels.shape}, `predictions` {predictions.shape}; "
            "expected two alike, of two or more."
        )
    return labels, predictions
