"""The dense layer that every part of a BERT is made of."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("tinybert_tf")
class TokenDense(keras.layers.Dense):
    """A dense layer that sees every token as a row of one matrix.

    As `keras.layers.Dense`, which multiplies each example of a batch for itself: one product of all
    rows is faster, and TensorFlow fuses it with bias and activation.
    """

    def call(self, inputs, training=None):
        if len(inputs.shape) == 2:
            return super().call(inputs, training=training)
        rows = super().call(ops.reshape(inputs, (-1, inputs.shape[-1])), training=training)
        return ops.reshape(rows, (-1, *ops.shape(inputs)[1:-1], self.units))


def bert_dense(config, input_dim, output_dim, **kwargs):
    """A dense layer with BERT's initial weights, made at once.

    Args:
        config: `BertConfig`, for `initializer_range`.
        input_dim: int, size of the input's last axis.
        output_dim: int, size of the output's last axis.
        **kwargs: further arguments of `keras.layers.Dense`: `dtype`, `name`, `activation`.
    """
    initializer = keras.initializers.RandomNormal(stddev=config.initializer_range)
    layer = TokenDense(output_dim, kernel_initializer=initializer, **kwargs)
    layer.build((None, input_dim))
    return layer
