"""Examples and their variants as rows of token ids, drawn when they are asked for."""

import numpy as np
import tensorflow as tf

from tinybert_tf.augmentation.variants import DRAWS_VERSION, Variants, example_keys
from tinybert_tf.data.text_rows import TextRows
from tinybert_tf.data.tokenizer import BertTokenizer
from tinybert_tf.data.words import tokenize_words

_AT_ONCE = 16384


class AugmentedRows(TextRows):
    """A row for each example as it is, and one for each of its variants.

    The rows of an example stand together: the example, the variants of its text, then of a pair
    the variants of the second text, each beside the other text as it is. They are the texts that
    `tinybert-tf augment` writes for the same seed, whichever examples either of them leaves out; a
    variant that is drawn twice stays twice.

    Args:
        examples: `Examples`, as for `TextRows`.
        vocabulary: the `Vocabulary` of the model.
        max_length: int, the most tokens of a row.
        candidates: `Candidates` of all texts of the examples.
        variants: int, how many of each text.
        probability: float, of a word to be replaced.
        seed: int, decides what is drawn.

    Attributes:
        num_rows: int.
        lengths: int64 array `(num_rows,)`.
        drawn: tuple, all that decides what is drawn.

    Raises:
        ValueError: If the candidates are of other texts, or `variants`, `probability` or `seed` are
            out of range, or as `TextRows` raises.

    Example:
        rows = functools.partial(AugmentedRows, candidates=candidates, variants=20)
        batches = ExampleBatches(examples, vocabulary, rows=rows, batch_size=32)
    """

    def __init__(
        self, examples, vocabulary, max_length, candidates, variants, probability=0.4, seed=0
    ):
        if variants < 0:
            raise ValueError(f"`variants` is {variants}, expected 0 or more.")
        self._variants = Variants(candidates, probability, seed)
        columns = [examples.texts, examples.text_pairs][: 1 + (examples.text_pairs is not None)]
        with tf.device("CPU"):
            self._places = [tf.constant(candidates.index_of(column)) for column in columns]
            self._keys = tf.constant(example_keys(columns))
        self._num_variants, self._num_originals = variants, len(examples)
        self.drawn = (DRAWS_VERSION, candidates.key, variants, probability, seed)
        super().__init__(examples, vocabulary, max_length)
        self.num_rows = len(examples) * self._rows_each

    @property
    def _rows_each(self):
        return 1 + self._num_variants * len(self._places)

    def encode(self, rows):
        """Draws and tokenizes some rows; may run inside `tf.data`. See `TextRows.encode`."""
        rows = tf.cast(rows, tf.int64)
        texts = [self._variants.texts(*drawn) for drawn in self._drawn(rows)]
        labels = None if self._labels is None else tf.gather(self._labels, self._example(rows))
        return *self._tokenizer.encode(*texts, max_length=self.max_length), labels

    def _example(self, rows):
        return rows // self._rows_each

    def _drawn(self, rows):
        """For each side what `Variants` asks for: text, example, side and variant of each row."""
        example, number = self._example(rows), rows % self._rows_each - 1
        for side, places in enumerate(self._places):
            variant = number - side * self._num_variants + 1
            is_varied = (variant >= 1) & (variant <= self._num_variants)
            variant = tf.where(is_varied, variant, tf.zeros_like(variant))
            yield tf.gather(places, example), tf.gather(self._keys, example), side, variant

    def _count_tokens(self):
        """The exact lengths: the word-pieces of a text are those of its words."""
        candidates = self._variants.candidates
        _, string_pieces = tokenize_words(candidates.strings, self.vocabulary)
        text_pieces = _count_pieces(candidates.texts, self.vocabulary)
        special, lengths = 1 + len(self._places), []
        count = self._num_originals * self._rows_each
        for start in range(0, count, _AT_ONCE):
            rows = tf.range(start, min(start + _AT_ONCE, count), dtype=tf.int64)
            sides = [
                self._variants.count_pieces(*drawn, text_pieces, string_pieces)
                for drawn in self._drawn(rows)
            ]
            lengths.append(sum(sides) + special)
        return np.minimum(np.concatenate(lengths), self.max_length)


def _count_pieces(texts, vocabulary):
    tokenizer, starts = BertTokenizer(vocabulary), range(0, len(texts), _AT_ONCE)
    parts = [tokenizer.tokenize(texts[s : s + _AT_ONCE]).row_lengths() for s in starts]
    return np.concatenate([part.numpy() for part in parts])
