"""What a model predicts, and how well."""

from tinybert_tf.evaluation.predictions import (
    Predictor,
    evaluate,
    predict,
    task_metrics,
    to_outputs,
)

__all__ = ["Predictor", "evaluate", "predict", "task_metrics", "to_outputs"]
