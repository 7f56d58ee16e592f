"""What a model predicts, and how well."""

from tinybert_tf.evaluation.predictions import Predictor, evaluate, predict, task_metrics

__all__ = ["Predictor", "evaluate", "predict", "task_metrics"]
