"""From a trained model to a .tflite file, and whether that file still answers as the model does."""

from tinybert_tf.export.converter import RECIPES, to_tflite
from tinybert_tf.export.predictor import predict_file
from tinybert_tf.export.verifier import verify

__all__ = ["RECIPES", "predict_file", "to_tflite", "verify"]
