"""Matrices as Keras and TensorFlow hold them, `(in, out)`, one of the sizes perhaps split by heads.

Attention layers of TensorFlow have `(in, heads, head size)` for query, key and value, `(heads, head
size, out)` for what joins the heads again, and `(heads, head size)` for biases.
"""

import numpy as np

from tinybert_tf.checkpoints.hugging_face import is_transposed

_JOINS_HEADS, _SPLITS_HEADS = "attention.output.dense.", "attention.self."


def tensor_names(parts, layer_parts, layer, num_layers, dense, norm):
    """Hugging Face's name of every tensor of the encoder's dense layers and norms, and another's.

    Args:
        parts: dict of Hugging Face's name of a part to the other's.
        layer_parts: the same, of what every Transformer layer has.
        layer: function of a layer's number, from 0, that gives the other's name of it.
        num_layers: int.
        dense: tuple of str, what the other calls a dense layer's matrix and its bias.
        norm: the same of a norm's scale and offset.

    Returns:
        Dict of Hugging Face's name to the other's.
    """
    parts = dict(parts)
    for number in range(num_layers):
        for ours, theirs in layer_parts.items():
            parts[f"encoder.layer.{number}.{ours}"] = f"{layer(number)}/{theirs}"
    names = {}
    for ours, theirs in parts.items():
        weight, bias = norm if ours.endswith("LayerNorm") else dense
        names |= {f"{ours}.weight": f"{theirs}/{weight}", f"{ours}.bias": f"{theirs}/{bias}"}
    return names


def from_kernel(name, value):
    """A tensor as Hugging Face has it.

    Args:
        name: str, Hugging Face's name.
        value: NumPy array as TensorFlow has it.

    Returns:
        NumPy array, a matrix as `(out, in)`; what cannot be one is left for others to refuse.
    """
    if not is_transposed(name):
        return value.reshape(-1) if _SPLITS_HEADS in name else value
    if value.ndim < 2 or not value.size:
        return value
    rows = -1 if _JOINS_HEADS in name else value.shape[0]
    columns = value.shape[-1] if _JOINS_HEADS in name else -1
    return value.reshape(rows, columns).T


def to_kernel(name, value, num_heads):
    """A variable of our models as an attention layer of TensorFlow has it.

    Args:
        name: str, Hugging Face's name.
        value: NumPy array, a matrix as `(in, out)`.
        num_heads: int.

    Returns:
        NumPy array.
    """
    if _SPLITS_HEADS in name:
        return value.reshape(*value.shape[:-1], num_heads, -1)
    if _JOINS_HEADS in name and value.ndim == 2:
        return value.reshape(num_heads, -1, value.shape[-1])
    return np.asarray(value)
