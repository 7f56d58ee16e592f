"""Texts, or pairs of texts, as rows of token ids."""

import numpy as np
import tensorflow as tf

from tinybert_tf.data.tokenizer import BertTokenizer

_TOKENIZED_AT_ONCE = 16384


class TextRows:
    """One row for each example: `[CLS] text [SEP]` or `[CLS] text [SEP] pair [SEP]`.

    Args:
        examples: `Examples`; its labels, if any, are int (classes), float (scores) or sequences of
            0 and 1 (several labels at once).
        vocabulary: the `Vocabulary` of the model.
        max_length: int, the most tokens of a row; longer ones are cut.

    Attributes:
        num_rows: int.
        lengths: int64 array `(num_rows,)`, the number of tokens in each row.

    Raises:
        ValueError: If `max_length` is too small or labels are names.
    """

    def __init__(self, examples, vocabulary, max_length):
        self.examples, self.vocabulary, self.max_length = examples, vocabulary, max_length
        self.num_rows = len(examples)
        self._tokenizer = BertTokenizer(vocabulary)
        pairs = examples.text_pairs
        with tf.device("CPU"):
            self._texts = tf.constant(examples.texts, tf.string)
            self._text_pairs = None if pairs is None else tf.constant(pairs, tf.string)
            self._labels = None if examples.labels is None else _label_tensor(examples.labels)
            self.lengths = self._count_tokens()

    def encode(self, rows):
        """Tokenizes some rows; may run inside `tf.data`.

        Args:
            rows: int tensor `(batch,)`, which.

        Returns:
            Token ids and segment ids, int32 `tf.RaggedTensor` `(batch, tokens)`, and the labels:
            int32 or float32 tensor `(batch,)`, float32 tensor `(batch, num_labels)` or `None`.
        """
        columns = (self._texts, self._text_pairs, self._labels)
        texts, pairs, labels = (None if c is None else tf.gather(c, rows) for c in columns)
        return *self._tokenizer.encode(texts, pairs, max_length=self.max_length), labels

    def _count_tokens(self):
        starts = range(0, self.num_rows, _TOKENIZED_AT_ONCE)
        parts = [range(s, min(s + _TOKENIZED_AT_ONCE, self.num_rows)) for s in starts]
        return np.concatenate([self.encode(part)[0].row_lengths().numpy() for part in parts])


def _label_tensor(labels):
    values = np.asarray(labels)
    if values.dtype.kind not in "if":
        raise ValueError(f"Labels are names ({labels[0]!r}), expected class indices or scores.")
    is_class = values.dtype.kind == "i" and values.ndim == 1
    return tf.constant(values, tf.int32 if is_class else tf.float32)
