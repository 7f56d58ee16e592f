"""What a model predicts, and how well."""

from tinybert_tf.evaluation.predictions import (
    Evaluator,
    Predictor,
    evaluate,
    predict,
    split_parts,
    task_metrics,
    to_answers,
    to_outputs,
)
from tinybert_tf.evaluation.spans import decode_spans
from tinybert_tf.evaluation.tags import decode_tags
from tinybert_tf.evaluation.weakness import chance_metrics, weakness

__all__ = [
    "Evaluator",
    "Predictor",
    "chance_metrics",
    "decode_spans",
    "decode_tags",
    "evaluate",
    "predict",
    "split_parts",
    "task_metrics",
    "to_answers",
    "to_outputs",
    "weakness",
]
