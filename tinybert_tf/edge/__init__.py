"""Running a .tflite file where there is no TensorFlow: NumPy and a TFLite runtime are enough."""

from tinybert_tf.edge.interpreter import EdgeModel

__all__ = ["EdgeModel"]
