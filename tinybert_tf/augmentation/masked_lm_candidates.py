"""What a masked LM would write in the place of words, many of them at a time."""

import keras
import numpy as np
import tensorflow as tf

from tinybert_tf.models.vocabulary import SPECIAL_TOKENS

# Of every length so many rows that a call has about as many tokens.
_TOKENS_AT_ONCE = 4096
# A graph has to stay below 2 GB, its constants with it.
_MOST_CONSTANT_BYTES = 2**30


class MaskedWords:
    """The inputs that ask a masked LM for one word each.

    A row is `[CLS] masked sentence [SEP] original sentence [SEP]`. Of a text too long for two
    copies there are the word-pieces around the word, as many as fit, in both.

    Args:
        text_words: `TextWords`.
        asked: int array `(rows,)`, which words; each is one word-piece.
        vocabulary: `Vocabulary` with [MASK].
        max_length: int, the most tokens of a row.

    Attributes:
        num_batches: int.

    Note:
        The released program cuts what is too long at the end, also when the word was there.
    """

    def __init__(self, text_words, asked, vocabulary, max_length):
        self._pieces, self._vocabulary = text_words.pieces, vocabulary
        self._mask_id = vocabulary.tokens.index("[MASK]")
        ends = np.cumsum(text_words.num_pieces)
        # W window: the pieces of the text that a row has twice
        word_starts = (ends - text_words.num_pieces)[asked]
        text_sizes = np.bincount(text_words.text, weights=text_words.num_pieces).astype(np.int64)
        text_ends = np.cumsum(text_sizes)[text_words.text[asked]]
        text_starts = text_ends - text_sizes[text_words.text[asked]]
        room = (max_length - 3) // 2
        self._sizes = np.minimum(text_ends - text_starts, room)
        self._starts = np.clip(word_starts - room // 2, text_starts, text_ends - self._sizes)
        self._places = 1 + word_starts - self._starts
        self._batches = _batches(self._sizes)
        self.num_batches = len(self._batches)

    def batch(self, number):
        """Makes one batch, of rows of one length.

        Returns:
            int array `(batch,)`, which rows; the inputs, dict of int32 arrays `(batch, length)` and
            `masked_positions` `(batch, 1)`.
        """
        rows = self._batches[number]
        size, place = self._sizes[rows[0]], self._places[rows, np.newaxis]
        pieces = self._pieces[self._starts[rows, np.newaxis] + np.arange(size)]
        column = np.arange(2 * size + 3)
        ids = np.full((len(rows), len(column)), self._vocabulary.sep_id)
        ids[:, 0] = self._vocabulary.cls_id
        ids[:, 1 : size + 1] = ids[:, size + 2 : -1] = pieces
        np.put_along_axis(ids, place, self._mask_id, axis=1)
        inputs = {
            "token_ids": ids,
            "segment_ids": np.broadcast_to(column > size + 1, ids.shape),
            "padding_mask": np.ones_like(ids),
            "masked_positions": place,
        }
        return rows, {name: value.astype(np.int32) for name, value in inputs.items()}


def compute_top_tokens(masked_lm, words, count, first_batch=0):
    """Asks for the most likely tokens.

    Args:
        masked_lm: `BertMaskedLM`.
        words: `MaskedWords`.
        count: int, how many tokens.
        first_batch: int, how many batches to leave out at the beginning.

    Yields:
        For each batch int array `(rows,)`, which rows, and int32 array `(rows, count)`, the token
        ids, the likeliest first.
    """
    size = len(masked_lm.vocabulary)
    weights = [(variable, variable.numpy()) for variable in masked_lm.variables]
    if sum(value.nbytes for _, value in weights) > _MOST_CONSTANT_BYTES:
        weights = []

    @tf.function(reduce_retracing=True, autograph=False)
    def top(inputs):
        # Weights that cannot change are laid out once as a processor multiplies them fastest.
        constants = [(variable, tf.constant(value)) for variable, value in weights]
        with keras.StatelessScope(state_mapping=constants):
            logits = masked_lm.predict_masked(inputs)[:, 0, :size]
        return tf.math.top_k(tf.cast(logits, tf.float32), min(count, size)).indices

    waiting = None
    for number in range(first_batch, words.num_batches):
        rows, inputs = words.batch(number)
        shapes = {name: tf.TensorSpec([None, None], tf.int32) for name in inputs}
        run = top.get_concrete_function(shapes)
        started = rows, run(tf.nest.map_structure(tf.constant, inputs))
        if waiting:  # an accelerator computes this batch while the one before is taken from it
            yield waiting[0], waiting[1].numpy()
        waiting = started
    if waiting:
        yield waiting[0], waiting[1].numpy()


def is_word(vocabulary, keep_special=False):
    """Which tokens can stand for a word.

    Args:
        vocabulary: `Vocabulary`.
        keep_special: bool, whether special tokens such as [UNK] and [unused0] can, as in the
            released program.

    Returns:
        bool array `(tokens,)`: not those that continue a word.
    """
    return np.array([_is_word(token, keep_special) for token in vocabulary.tokens])


def _is_word(token, keep_special):
    is_special = token in SPECIAL_TOKENS or (len(token) > 2 and token[0] + token[-1] == "[]")
    return not token.startswith("##") and bool(token) and (keep_special or not is_special)


def _batches(sizes):
    """List of rows of the same size, as many as a call takes."""
    batches = []
    for size in np.unique(sizes):
        rows, count = np.flatnonzero(sizes == size), max(1, _TOKENS_AT_ONCE // (2 * size + 3))
        batches += [rows[start : start + count] for start in range(0, len(rows), count)]
    return batches
