"""Metrics by name: functions of labels and predictions, in NumPy."""

from tinybert_tf.metrics.classification import accuracy
from tinybert_tf.metrics.correlation import pearson

METRICS = {"accuracy": accuracy, "pearson": pearson}

__all__ = ["METRICS", "accuracy", "pearson"]
