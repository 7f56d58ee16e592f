"""The answers of a .tflite file to texts."""

import numpy as np

from tinybert_tf.data import BertTokenizer
from tinybert_tf.models import Vocabulary

_EXAMPLES_AT_ONCE = 4096


def predict_file(edge_model, examples, max_length=None):
    """Runs a .tflite file over examples, each at its true length, without padding.

    Args:
        edge_model: `tinybert_tf.edge.EdgeModel` of a file that holds its vocabulary.
        examples: `Examples`; labels are not looked at.
        max_length: int, the most tokens of an example; `None`, or more than the model takes, means
            all that the model takes.

    Returns:
        float32 array `(examples, columns)`: probabilities of the classes in the order of
        `edge_model.labels`, or scores `(examples, 1)`.

    Raises:
        ValueError: If the file holds no vocabulary, or there are no examples.

    Example:
        predict_file(EdgeModel("sst2.tflite"), Examples(["a fine film"]))
    """
    if edge_model.vocabulary_text is None:
        raise ValueError(
            f"{edge_model.path} holds no vocabulary, so it cannot read text. "
            "Export it with `tinybert-tf export`."
        )
    if not len(examples):
        raise ValueError("There are no examples to predict.")
    tokens = tuple(edge_model.vocabulary_text.removesuffix("\n").split("\n"))
    tokenizer = BertTokenizer(Vocabulary(tokens, edge_model.settings["lower_case"]))
    longest = edge_model.settings["max_sequence_length"]
    rows = _encode(tokenizer, examples, min(max_length or longest, longest))
    return np.concatenate([_answer(edge_model, ids, segment_ids) for ids, segment_ids in rows])


def _encode(tokenizer, examples, max_length):
    """Yields token ids and segment ids, int32 arrays `(length,)`, of one example after another."""
    for start in range(0, len(examples), _EXAMPLES_AT_ONCE):
        part = slice(start, start + _EXAMPLES_AT_ONCE)
        pairs = None if examples.text_pairs is None else examples.text_pairs[part]
        encoded = tokenizer.encode(examples.texts[part], pairs, max_length=max_length)
        yield from zip(*map(_rows, encoded), strict=True)


def _rows(ragged):
    return np.split(ragged.flat_values.numpy(), ragged.row_splits.numpy()[1:-1])


def _answer(edge_model, ids, segment_ids):
    (answer,) = edge_model.run(ids, np.ones_like(ids), segment_ids).values()
    return answer
