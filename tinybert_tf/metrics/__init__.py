"""Metrics by name: functions of labels and predictions."""

from tinybert_tf.metrics.answers import answer_f1, exact_match
from tinybert_tf.metrics.classification import accuracy, f1, matthews, micro_f1, subset_accuracy
from tinybert_tf.metrics.correlation import pearson, spearman
from tinybert_tf.metrics.entities import entity_f1, is_entity_tag, tag_accuracy

METRICS = {
    metric.__name__: metric
    for metric in (
        accuracy,
        answer_f1,
        entity_f1,
        exact_match,
        f1,
        matthews,
        micro_f1,
        pearson,
        spearman,
        subset_accuracy,
        tag_accuracy,
    )
}

__all__ = [
    "METRICS",
    "accuracy",
    "answer_f1",
    "entity_f1",
    "exact_match",
    "f1",
    "is_entity_tag",
    "matthews",
    "micro_f1",
    "pearson",
    "spearman",
    "subset_accuracy",
    "tag_accuracy",
]
