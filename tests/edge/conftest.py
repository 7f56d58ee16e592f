"""Tiny .tflite files whose answers a closed form gives."""

import numpy as np
import pytest


def answer(ids, mask, segment_ids):
    """What the files answer: softmax([sum of masked ids, of segment ids] / number of tokens)."""
    logits = np.array([np.sum(np.multiply(ids, mask)), np.sum(segment_ids)]) / np.sum(mask)
    return np.exp(logits) / np.exp(logits).sum()


@pytest.fixture(scope="session", name="expected")
def make_expected():
    """The function that the files compute, in NumPy."""
    return answer


def _convert(length):
    import tensorflow as tf

    specs = [tf.TensorSpec((1, length), tf.int32, name=n) for n in ("ids", "mask", "segment_ids")]

    @tf.function(input_signature=specs)
    def serve(ids, mask, segment_ids):
        ids, mask, segment_ids = (tf.cast(row, tf.float32) for row in (ids, mask, segment_ids))
        sums = [tf.reduce_sum(ids * mask, axis=1), tf.reduce_sum(segment_ids, axis=1)]
        logits = tf.stack(sums, axis=1) / tf.reduce_sum(mask, axis=1, keepdims=True)
        return {"probabilities": tf.nn.softmax(logits)}

    function = serve.get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module()).convert()


@pytest.fixture(scope="session", name="tiny_bytes")
def make_tiny_bytes():
    """Content of a file that takes any length."""
    return _convert(None)


@pytest.fixture(scope="session", name="tiny_file")
def make_tiny_file(tiny_bytes, tmp_path_factory):
    """A file that takes any length."""
    path = tmp_path_factory.mktemp("edge") / "tiny.tflite"
    path.write_bytes(tiny_bytes)
    return path


@pytest.fixture(scope="session", name="fixed_file")
def make_fixed_file(tmp_path_factory):
    """A file that takes 6 tokens."""
    path = tmp_path_factory.mktemp("edge") / "fixed.tflite"
    path.write_bytes(_convert(6))
    return path
