"""Weights rounded to the grid that a quantized file keeps them on, so that training can see it."""

import numpy as np
import tensorflow as tf

# Shares of the largest weight at which a grid may end, from all of it downwards.
_RATIOS = np.linspace(1.0, 0.3, 36)


def fake_quantize(weights, bits, axis=None, ratio=1.0):
    """Rounds weights to a symmetric grid; the gradient passes as if they were not rounded.

    The grid has the whole numbers from -L to L, L = 2^(bits - 1) - 1, times a scale. It ends where
    the largest weight lies or, with a smaller ratio, before it: weights beyond its end are moved
    there and get no gradient. So a weight lies on the end, and a quantizer that looks for the
    largest one finds the same grid again.

    Args:
        weights: float32 tensor `(rows, columns)`.
        bits: int, 8 or 4.
        axis: int, the axis whose weights share a scale: 0 for one scale a column, 1 for one a row;
            `None` for one in all.
        ratio: float32 tensor that broadcasts to the scales, or float, in (0, 1]: the grid's end as
            a share of the largest weight. It gets a gradient too.

    Returns:
        Float32 tensor like `weights`.

    Reference:
        Straight-through estimator: Bengio et al. 2013. Gradient of the scale: Esser et al. 2020
        ("Learned step size quantization"), section 2.1.
    """
    levels = _levels(bits)
    largest = tf.reduce_max(tf.abs(weights), axis=axis, keepdims=True)
    # Where all weights are 0, any scale keeps them.
    scale = ratio * tf.stop_gradient(tf.maximum(largest, np.finfo(np.float32).tiny * 256)) / levels
    steps = tf.clip_by_value(weights / scale, -levels, levels)
    return (steps + tf.stop_gradient(tf.round(steps) - steps)) * scale


def best_ratio(weights, bits, axis=None):
    """Where the grids of `fake_quantize` may end so that the squared error is least.

    Args:
        weights: float32 array `(rows, columns)`.
        bits: int, 8 or 4.
        axis: as for `fake_quantize`.

    Returns:
        Float32 array of the scales' shape, such as `(1, columns)` for axis 0.
    """
    errors = [_squared_error(weights, bits, axis, ratio) for ratio in _RATIOS]
    return _RATIOS[np.argmin(errors, axis=0)].astype(np.float32)


def _squared_error(weights, bits, axis, ratio):
    error = fake_quantize(weights, bits, axis, ratio) - weights
    return tf.reduce_sum(tf.square(error), axis=axis, keepdims=True).numpy()


def _levels(bits):
    if bits not in (8, 4):
        raise ValueError(f"`bits` is {bits!r}, expected 8 or 4.")
    return float(2 ** (bits - 1) - 1)
