"""What callbacks that hold dense kernels to a rule have in common."""

import gzip

import keras

from tinybert_tf.quantization import on_grid


class KernelRule(keras.callbacks.Callback):
    """Holds the kernels of the student's dense layers to a rule after every step.

    Adds `compressed_bytes`, what gzip makes of the student's weights, to the last epoch's logs. Put
    it before callbacks that write the student or the training's state.
    """

    @property
    def kernels(self):
        """The student's kernels, Keras variables `(inputs, outputs)`."""
        return [v for v in self.model.student.trainable_variables if v.name == "kernel"]

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.params["epochs"]:
            logs["compressed_bytes"] = compressed_bytes(self.model.student)


def compressed_bytes(model):
    """The size of a model's weights after gzip, as a download has them; int, bytes.

    Args:
        model: a Keras model; of a `QuantizedStudent` the rounded weights count.
    """
    with on_grid(model) as model:
        return sum(len(gzip.compress(variable.numpy().tobytes(), 6)) for variable in model.weights)


def import_optimization():
    """TensorFlow Model Optimization; raises an ImportError that tells how to install it."""
    try:
        import tensorflow_model_optimization
    except ImportError as error:
        raise ImportError(
            f"Pruning and clustering need tensorflow-model-optimization ({error}). It cannot stand "
            "beside all of this package's pins, so make a new environment for it: pip install "
            '"tinybert-tf[pruning]"'
        ) from error
    return tensorflow_model_optimization
