"""Tiny .tflite files whose answers a closed form gives."""

import json
import os
import pathlib
import zipfile

import numpy as np
import pytest

# A folder that holds them already, for where there is no TensorFlow to make them.
READY = os.environ.get("TINYBERT_TF_EDGE_FILES")
TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "fine", "film", "##s", "é", "É", "!")


def answer(ids, mask, segment_ids):
    """What the files answer: softmax([sum of masked ids, of segment ids] / number of tokens)."""
    logits = np.array([np.sum(np.multiply(ids, mask)), np.sum(segment_ids)]) / np.sum(mask)
    return np.exp(logits) / np.exp(logits).sum()


@pytest.fixture(scope="session", name="expected")
def make_expected():
    """The function that the files compute, in NumPy."""
    return answer


def _content(length):
    if READY:
        return pathlib.Path(READY, f"{length}.tflite").read_bytes()
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
    return _content(None)


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
    path.write_bytes(_content(6))
    return path


@pytest.fixture(scope="session", name="reading_file")
def make_reading_file(tiny_bytes, tmp_path_factory):
    """A file that holds a vocabulary and takes up to 8 tokens."""
    path = tmp_path_factory.mktemp("edge") / "reading.tflite"
    path.write_bytes(tiny_bytes)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("vocab.txt", "".join(f"{token}\n" for token in TOKENS))
        archive.writestr("labels.txt", "no\nyes\n")
        settings = {"lower_case": True, "max_sequence_length": 8, "problem": "classification"}
        archive.writestr("tinybert_tf.json", json.dumps(settings))
    return path
