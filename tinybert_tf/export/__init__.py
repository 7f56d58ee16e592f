"""From a trained model to a .tflite file, and whether that file still answers as the model does."""

from tinybert_tf.export.calibration import Calibration
from tinybert_tf.export.converter import to_tflite
from tinybert_tf.export.predictor import predict_file
from tinybert_tf.export.verifier import verify
from tinybert_tf.export.vocabulary_trimming import trim_positions, trim_vocabulary
from tinybert_tf.recipes import RECIPES

__all__ = [
    "RECIPES",
    "Calibration",
    "predict_file",
    "to_tflite",
    "trim_positions",
    "trim_vocabulary",
    "verify",
]
