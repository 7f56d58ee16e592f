"""Tagged words as rows of token ids."""

import itertools
import warnings

import numpy as np
import tensorflow as tf

from tinybert_tf.data.words import tokenize_words

_NO_TAG = -1


class TagRows:
    """One row for each example: `[CLS] words [SEP]`, a tag at each word's first word-piece.

    Args:
        examples: `Examples` whose `texts` are words joined by single spaces; labels, if any, are
            tuples of int, the index of each word's tag.
        vocabulary: the `Vocabulary` of the model.
        max_length: int, the most tokens of a row; longer ones are cut.

    Attributes:
        num_rows: int.
        lengths: int64 array `(num_rows,)`, the number of tokens in each row.

    Raises:
        ValueError: If `max_length` is too small, or if labels are names or not one a word.

    Example:
        rows = TagRows(Examples(["Paris is big"], labels=[(1, 0, 0)]), vocabulary, 128)
        ids, segments, labels = rows.encode([0])
    """

    def __init__(self, examples, vocabulary, max_length):
        if max_length < 3:
            raise ValueError(f"`max_length` is {max_length}, expected 3 or more.")
        self.examples, self.vocabulary, self.max_length = examples, vocabulary, max_length
        self.num_rows = len(examples)
        words = [text.split(" ") if text else [] for text in examples.texts]
        pieces, counts = tokenize_words([*itertools.chain(*words)], vocabulary)
        self._word_bounds = np.cumsum([0, *map(len, words)])
        first_pieces = np.cumsum([0, *counts])
        piece_bounds = first_pieces[self._word_bounds]
        with tf.device("CPU"):
            self._ids = self._join(tf.RaggedTensor.from_row_splits(pieces, piece_bounds))
            self.lengths = self._ids.row_lengths().numpy()
            row_of = np.repeat(np.arange(self.num_rows), np.diff(self._word_bounds))
            positions = first_pieces[:-1] - piece_bounds[row_of] + 1
            is_cut = (counts > 0) & (positions > self.lengths[row_of] - 2)
            is_missing = (counts == 0) | is_cut
            self._positions = np.where(is_missing, -1, positions)
            self._labels = self._place_tags(row_of, ~is_missing)
        if is_cut.any():
            warnings.warn(
                f"{is_cut.sum()} of {len(is_cut)} words lie beyond {max_length} word-pieces: they "
                "teach nothing and are taken for O. Raise `max_length` or cut the texts.",
                stacklevel=2,
            )

    def encode(self, rows):
        """Puts some rows together; may run inside `tf.data`.

        Args:
            rows: int tensor `(batch,)`, which.

        Returns:
            Three int32 `tf.RaggedTensor` `(batch, tokens)`: token ids, segment ids, and labels:
            the tag of a word at its first word-piece, -1 elsewhere; `None` without labels.
        """
        ids = tf.gather(self._ids, rows)
        labels = None if self._labels is None else tf.gather(self._labels, rows)
        return ids, tf.zeros_like(ids), labels

    def word_positions(self, row):
        """Returns where in a row its words begin.

        Args:
            row: int.

        Returns:
            int64 array `(words,)`: position of each word's first word-piece; -1 where the word was
            cut off or has no word-piece.
        """
        return self._positions[self._word_bounds[row] : self._word_bounds[row + 1]]

    def _join(self, pieces):
        column = tf.ones([self.num_rows, 1], tf.int32)
        pieces = pieces[:, : self.max_length - 2]
        return tf.concat(
            [column * self.vocabulary.cls_id, pieces, column * self.vocabulary.sep_id], axis=1
        )

    def _place_tags(self, row_of, is_placed):
        """Returns the labels of all rows, int32 `tf.RaggedTensor` `(num_rows, tokens)`, or `None`.

        Args:
            row_of: int64 array `(words,)`, the row of each word.
            is_placed: bool array `(words,)`, whether the word has a position.
        """
        if self.examples.labels is None:
            return None
        _check_labels(self.examples.labels, np.diff(self._word_bounds))
        tags = np.array([*itertools.chain(*self.examples.labels)], np.int32)
        labels = np.full(self.lengths.sum(), _NO_TAG, np.int32)
        row_begins = np.cumsum(self.lengths) - self.lengths
        labels[(row_begins[row_of] + self._positions)[is_placed]] = tags[is_placed]
        return self._ids.with_flat_values(tf.constant(labels))


def _check_labels(labels, num_words):
    for index, (tags, count) in enumerate(zip(labels, num_words, strict=True)):
        if len(tags) != count:
            raise ValueError(f"Example {index} has {len(tags)} tags for {count} words.")
        if any(isinstance(tag, str) for tag in tags):
            raise ValueError(f"Tags are names ({tags[0]!r}), expected their indices.")
