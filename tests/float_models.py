"""Small .tflite models made in place, with weights that a test chooses."""

import tensorflow as tf


def dense_model(kernel, table, optimize=False):
    """A file that looks three ids up in a table and multiplies the rows, summed, by a kernel.

    Args:
        kernel: float array `(inputs, outputs)`.
        table: float array `(rows, inputs)`.
        optimize: bool, whether the converter stores weights as int8.

    Returns:
        bytes of a file with int32 inputs `ids`, `mask`, `segment_ids` `(1, length)` and output
        `score`, float32 `(1, outputs)`.
    """
    module = tf.Module()
    kernel, table = tf.constant(kernel, tf.float32), tf.constant(table, tf.float32)
    specs = [tf.TensorSpec((1, None), tf.int32, name=n) for n in ("ids", "mask", "segment_ids")]

    @tf.function(input_signature=specs, autograph=False)
    def serve(ids, mask, segment_ids):
        rows = tf.gather(table, tf.reshape(ids, [-1]))
        weights = tf.cast(tf.reshape(mask + segment_ids, (-1, 1)), tf.float32)
        hidden = tf.reduce_sum(rows * weights, axis=0, keepdims=True)
        return {"score": tf.nn.relu(tf.matmul(hidden, kernel)) * 2.0}

    module.serve = serve
    function = serve.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    converter.optimizations = [tf.lite.Optimize.DEFAULT] if optimize else []
    return converter.convert()
