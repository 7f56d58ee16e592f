"""The function that a .tflite file holds: from what a caller feeds to named answers."""

import tensorflow as tf
import tensorflow_text

from tinybert_tf.edge.interpreter import INPUT_NAMES
from tinybert_tf.models.lean_bert import LeanBert
from tinybert_tf.models.served_outputs import SERVED_OUTPUTS


def ids_function(model, static_length=None):
    """A function of token ids.

    Args:
        model: a model with a head, computing in float32.
        static_length: int, the only length that is taken, or `None` for any.

    Returns:
        `tf.function` of int32 tensors `ids`, `mask`, `segment_ids`, each `(1, length)`, to the dict
        of `SERVED_OUTPUTS`. Texts beyond the model's greatest length lose the tokens before the
        last; numbers out of range count as the nearest in it.
    """
    config, answer = model.config, _answerer(model)
    specs = [tf.TensorSpec((1, static_length), tf.int32, name=name) for name in INPUT_NAMES]

    @tf.function(input_signature=specs, autograph=False)
    def serve(ids, mask, segment_ids):
        # MediaPipe feeds overlong texts whole, benchmark tools feed random integers.
        return answer(
            _fit(ids, config, config.vocabulary_size),
            _fit(mask, config, 2),
            _fit(segment_ids, config, config.num_segments),
        )

    return serve


def text_function(model):
    """A function of text, which tokenizes it itself; see `to_tflite`.

    Args:
        model: as for `ids_function`.

    Returns:
        `tf.function` of a string tensor `text` `(1,)`, UTF-8, to the dict of `SERVED_OUTPUTS`.
    """
    vocabulary, answer = model.vocabulary, _answerer(model)
    tokenizer = tensorflow_text.FastBertTokenizer(
        list(vocabulary.tokens),
        token_out_type=tf.int32,
        lower_case_nfd_strip_accents=vocabulary.lower_case,
    )
    room = model.config.max_sequence_length - 2

    @tf.function(input_signature=[tf.TensorSpec((1,), tf.string, name="text")], autograph=False)
    def serve(text):
        pieces = tokenizer.tokenize(text).flat_values[:room]
        ids = tf.concat([[vocabulary.cls_id], pieces, [vocabulary.sep_id]], axis=0)
        ids = tf.reshape(ids, (1, -1))
        return answer(ids, tf.ones_like(ids), tf.zeros_like(ids))

    return serve


def _answerer(model):
    """Function from ids, mask and segment ids to answers; its weights are constants."""
    lean, outputs = LeanBert(model), SERVED_OUTPUTS[model.problem]
    weights = {name: tf.constant(value.numpy()) for name, value in lean.weights().items()}

    def answer(ids, mask, segment_ids):
        inputs = {"token_ids": ids, "padding_mask": mask, "segment_ids": segment_ids}
        return outputs(lean(weights, inputs)["logits"])

    return answer


def _fit(values, config, count):
    """Values in [0, count), at most the model's length of them; the last one, [SEP], stays."""
    if values.shape[1] is None:
        kept = tf.minimum(tf.shape(values)[1], config.max_sequence_length)
        values = tf.concat([values[:, : kept - 1], values[:, -1:]], axis=1)
    return tf.clip_by_value(values, 0, count - 1)
