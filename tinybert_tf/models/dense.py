"""The dense layer that every part of a BERT is made of."""

import keras


def bert_dense(config, input_dim, output_dim, **kwargs):
    """A dense layer with BERT's initial weights, made at once.

    Args:
        config: `BertConfig`, for `initializer_range`.
        input_dim: int, size of the input's last axis.
        output_dim: int, size of the output's last axis.
        **kwargs: further arguments of `keras.layers.Dense`: `dtype`, `name`, `activation`.
    """
    initializer = keras.initializers.RandomNormal(stddev=config.initializer_range)
    layer = keras.layers.Dense(output_dim, kernel_initializer=initializer, **kwargs)
    layer.build((None, input_dim))
    return layer
