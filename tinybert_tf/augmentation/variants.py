"""Draws variants of texts: the same ones in tf.data and for a file."""

import hashlib

import numpy as np
import tensorflow as tf

from tinybert_tf.augmentation.draws import choose, random_bits

# Another number where other variants are drawn of the same: what was computed of them is void.
DRAWS_VERSION = 2


def example_keys(columns):
    """Numbers that stand for examples where chance is drawn: hashes of their texts.

    So a variant does not depend on where its example stands, or which others there are. Examples of
    the same texts get the same variants; a text beside different ones gets different variants.

    Args:
        columns: list of one or two sequences of str, the texts and the second texts.

    Returns:
        int64 array `(examples,)`, 0 or more.
    """
    return np.array([_hash("\0".join(texts)) for texts in zip(*columns, strict=True)], np.int64)


class Variants:
    """The variants of texts, in TensorFlow ops.

    A word is replaced with a probability, by any of its candidates alike. What is drawn for a word
    depends on the seed, the key of the example, the side, the number of the variant and the word's
    place in the text; on nothing else.

    Args:
        candidates: `Candidates`.
        probability: float, of a word to be replaced.
        seed: int of 0 or more.

    Raises:
        ValueError: If `probability` is not from 0 to 1 or `seed` is negative.
    """

    def __init__(self, candidates, probability=0.4, seed=0):
        if not 0 <= probability <= 1 or seed < 0:
            raise ValueError(
                f"`probability` is {probability} and `seed` {seed}; expected 0 to 1, and 0 or more."
            )
        self.candidates, self._probability, self._seed = candidates, probability, seed
        with tf.device("CPU"):
            self._texts = tf.constant(candidates.texts, tf.string, [len(candidates.texts)])
            self._strings = tf.constant(candidates.strings, tf.string, [len(candidates.strings)])
            self._splits = tf.constant(candidates.word_splits)
            self._starts, self._ends = tf.constant(candidates.starts), tf.constant(candidates.ends)
            self._options = tf.constant(candidates.options)
            self._first_options = tf.constant(candidates.option_splits)

    def replacements(self, texts, examples, side, variants):
        """Draws which words are replaced, and by what.

        Args:
            texts: int64 tensor `(rows,)`, indices into the candidates' texts.
            examples: int64 tensor `(rows,)`, the key of each example; see `example_keys`.
            side: int, 0 for the first text of a pair, 1 for the second.
            variants: int64 tensor `(rows,)`, from 1; of 0 no word is replaced.

        Returns:
            Two `tf.RaggedTensor` `(rows, replaced words)`: int64 indices into the candidates'
            replaceable words, and int32 indices into their strings.
        """
        words = tf.ragged.range(tf.gather(self._splits, texts), tf.gather(self._splits, texts + 1))
        word, row = words.flat_values, words.value_rowids()
        counters = (tf.gather(examples, row), side, tf.gather(variants, row))
        bits = random_bits(self._seed, *counters, tf.gather(self._starts, word))
        first = tf.gather(self._first_options, word)
        option = choose(bits, self._probability, tf.gather(self._first_options, word + 1) - first)
        is_replaced = (option >= 0) & (tf.gather(variants, row) > 0)
        replaced = tf.ragged.boolean_mask(words, words.with_flat_values(is_replaced))
        chosen = tf.gather(self._options, tf.boolean_mask(first + option, is_replaced))
        return replaced, replaced.with_flat_values(chosen)

    def texts(self, texts, examples, side, variants):
        """Draws texts; arguments as for `replacements`.

        Returns:
            string tensor `(rows,)`.
        """
        return self.join(texts, *self.replacements(texts, examples, side, variants))

    def join(self, texts, words, strings):
        """Puts replacements into texts and leaves all else as it is.

        Args:
            texts: int64 tensor `(rows,)`, indices into the candidates' texts.
            words: as `replacements` returns, as are `strings`.

        Returns:
            string tensor `(rows,)`.
        """
        whole, row = tf.gather(self._texts, texts), words.value_rowids()
        starts, ends = (tf.gather(place, words.flat_values) for place in (self._starts, self._ends))
        is_first = tf.gather(words.row_starts(), row) == tf.range(tf.size(row, tf.int64))
        between_starts = tf.where(is_first, 0, tf.roll(ends, 1, 0))
        between = _part(tf.gather(whole, row), between_starts, starts)
        parts = between + tf.gather(self._strings, strings.flat_values)
        last = tf.maximum(tf.reduce_max(words.with_flat_values(ends), axis=1), 0)
        tail = _part(whole, last, tf.strings.length(whole, unit="UTF8_CHAR"))
        return tf.strings.reduce_join(words.with_flat_values(parts), axis=1) + tail

    def count_pieces(self, texts, examples, side, variants, text_pieces, string_pieces):
        """Counts the word-pieces of what `texts` draws, without making it.

        Args:
            texts: as for `replacements`, as are `examples`, `side` and `variants`.
            text_pieces: int64 array, the number of word-pieces of each of the candidates' texts.
            string_pieces: int64 array, the same of their strings.

        Returns:
            int64 array `(rows,)`.
        """
        words, strings = self.replacements(texts, examples, side, variants)
        old = self.candidates.word_ids[words.flat_values.numpy()]
        more = string_pieces[strings.flat_values.numpy()] - string_pieces[old]
        sums = np.r_[0, np.cumsum(more)][words.row_splits.numpy()]
        return text_pieces[texts] + np.diff(sums)


def _hash(text):
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1  # 63 bits: no sign


def _part(texts, starts, ends):
    """The characters from `starts` to before `ends` of each text."""
    return tf.strings.substr(texts, starts, ends - starts, unit="UTF8_CHAR")
