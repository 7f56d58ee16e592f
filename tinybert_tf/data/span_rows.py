"""Questions and windows of their contexts as rows of token ids."""

import dataclasses
import itertools

import numpy as np
import tensorflow as tf

from tinybert_tf.data.tokenizer import BertTokenizer
from tinybert_tf.data.words import split_words, tokenize_words


@dataclasses.dataclass(frozen=True)
class Window:
    """The part of a context that is in one row.

    Args:
        first_token: int, position in the row of the window's first word-piece; the others follow.
        starts: int32 array `(pieces,)`, the first character in the context of the word that each
            word-piece belongs to.
        ends: int32 array `(pieces,)`, the character after that word's last.
        has_most_context: bool array `(pieces,)`, whether no other window of the question has more
            on both sides of the word-piece: true in one window for every word-piece.
    """

    first_token: int
    starts: np.ndarray
    ends: np.ndarray
    has_most_context: np.ndarray


class SpanRows:
    """One row or more for each question: `[CLS] question [SEP] window of the context [SEP]`.

    A context too long for a row is cut into windows that overlap.

    Args:
        examples: `Examples` with questions as `texts`, contexts as `text_pairs`; labels, if any,
            are tuples of `(answer text, first character)` pairs.
        vocabulary: the `Vocabulary` of the model.
        max_length: int, the most tokens of a row.
        stride: int, how many word-pieces after one window the next begins.
        max_question_length: int, the most word-pieces of a question, and never more than half of a
            row; longer ones are cut.

    Attributes:
        num_rows: int.
        lengths: int64 array `(num_rows,)`, the number of tokens in each row.
        example_of: int64 array `(num_rows,)`, the index of each row's example, never decreasing.

    Raises:
        ValueError: If there are no contexts, if `max_length` is below 5, which is 3 special tokens
            and 1 word-piece on each side, or if `stride` or `max_question_length` is below 1.

    Example:
        rows = SpanRows(read_squad("dev-v1.1.json"), vocabulary)
        ids, segments, labels = rows.encode([0, 1])

    Reference:
        Devlin et al. 2018, the program run_squad.
    """

    def __init__(self, examples, vocabulary, max_length=384, stride=128, max_question_length=64):
        _check(examples, max_length, stride, max_question_length)
        self.examples, self.vocabulary, self.max_length = examples, vocabulary, max_length
        self._contexts = _Contexts(examples.text_pairs, vocabulary)
        with tf.device("CPU"):
            questions = BertTokenizer(vocabulary).tokenize(examples.texts)
            self._questions = questions[:, : min(max_question_length, (max_length - 3) // 2)]
        question_lengths = self._questions.row_lengths().numpy()
        self._cut_windows(max_length - 3 - question_lengths, stride)
        self._first_tokens = question_lengths[self.example_of] + 2
        self.lengths = self._first_tokens + self._sizes + 1
        with tf.device("CPU"):
            self._pieces = tf.constant(self._contexts.pieces)
            self._columns = tuple(map(tf.constant, (self.example_of, self._begins, self._sizes)))
            self._labels = None if examples.labels is None else tf.constant(self._positions())

    @property
    def num_rows(self):
        """Number of rows."""
        return len(self.example_of)

    def encode(self, rows):
        """Puts some rows together; may run inside `tf.data`.

        Args:
            rows: int tensor `(batch,)`, which.

        Returns:
            Token ids and segment ids, int32 `tf.RaggedTensor` `(batch, tokens)`, and int32 tensor
            `(batch, 2)`: positions in the row of the first answer's first and last word-piece,
            both 0 where there is none or not the whole of it in the window; `None` without labels.
        """
        examples, begins, sizes = (tf.gather(column, rows) for column in self._columns)
        question = tf.gather(self._questions, examples)
        window = tf.gather(self._pieces, tf.ragged.range(begins, begins + sizes))
        column = tf.ones_like(examples, tf.int32)[:, tf.newaxis]
        separator = column * self.vocabulary.sep_id
        first = tf.concat([column * self.vocabulary.cls_id, question, separator], axis=1)
        second = tf.concat([window, separator], axis=1)
        segments = tf.concat([tf.zeros_like(first), tf.ones_like(second)], axis=1)
        labels = None if self._labels is None else tf.gather(self._labels, rows)
        return tf.concat([first, second], axis=1), segments, labels

    def window(self, row):
        """Returns the `Window` that a row, an int, holds."""
        begin, size = self._begins[row], self._sizes[row]
        part = slice(begin, begin + size)
        first, last = np.searchsorted(self.example_of, self.example_of[row] + np.arange(2))
        begins, sizes = self._begins[first:last, np.newaxis], self._sizes[first:last, np.newaxis]
        pieces = np.arange(begin, begin + size)
        margin = np.minimum(pieces - begins, begins + sizes - 1 - pieces)  # (windows, pieces)
        score = np.where(margin < 0, -np.inf, margin + 0.01 * sizes)
        return Window(
            first_token=int(self._first_tokens[row]),
            starts=self._contexts.starts[part],
            ends=self._contexts.ends[part],
            has_most_context=score.argmax(axis=0) == row - first,
        )

    def _cut_windows(self, room, stride):
        """Sets which example each row is of, and where in the contexts its window begins.

        Args:
            room: int64 array `(examples,)`, the most word-pieces in a window of each.
            stride: int.
        """
        bounds, context_of = self._contexts.bounds, self._contexts.of_example
        totals = np.diff(bounds)[context_of]
        steps = np.minimum(stride, room)  # Nothing is left out between windows.
        counts = 1 + np.maximum(0, -(-(totals - room) // steps))
        self.example_of = np.repeat(np.arange(len(counts)), counts)
        index = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        begins = index * steps[self.example_of]
        self._sizes = np.minimum(room[self.example_of], totals[self.example_of] - begins)
        self._begins = bounds[context_of[self.example_of]] + begins

    def _positions(self):
        """Returns the labels of all rows, int32 array `(num_rows, 2)`."""
        answers = [label[0] if label else ("", 0) for label in self.examples.labels]
        pieces = [self._contexts.find(example, *a) for example, a in enumerate(answers)]
        positions = np.array(pieces)[self.example_of] - self._begins[:, np.newaxis]
        is_inside = (positions[:, 0] >= 0) & (positions[:, 1] < self._sizes)
        positions += self._first_tokens[:, np.newaxis]
        return np.where(is_inside[:, np.newaxis], positions, 0).astype(np.int32)


class _Contexts:
    """The word-pieces of all contexts, each distinct one once.

    Args:
        contexts: list of str, one for each example.
        vocabulary: `Vocabulary`.

    Attributes:
        of_example: int64 array `(examples,)`, which of the distinct contexts each example has.
        bounds: int64 array `(distinct + 1,)`, where in the other arrays each context begins, and
            the last ends.
        pieces: int32 array `(pieces,)`, ids.
        starts: int32 array `(pieces,)`, first character of the word of each piece.
        ends: int32 array `(pieces,)`, the one after its last.
    """

    def __init__(self, contexts, vocabulary):
        index = {}
        self.of_example = np.array([index.setdefault(text, len(index)) for text in contexts])
        words, starts, ends = zip(*map(split_words, index), strict=True)
        self.pieces, counts = tokenize_words([*itertools.chain(*words)], vocabulary)
        self.starts, self.ends = (np.repeat(np.concatenate(c), counts) for c in (starts, ends))
        word_bounds = np.cumsum([0, *map(len, words)])
        self.bounds = np.concatenate([[0], np.cumsum(counts)])[word_bounds]

    def find(self, example, text, start):
        """Returns the first and the last piece of the words that a part of a context touches.

        Args:
            example: int.
            text: str, the part; "" for none.
            start: int, its first character in the context.

        Returns:
            Two int, positions in `pieces`; a first of -1 where no word is touched.
        """
        begin, end = self.bounds[self.of_example[example] + np.arange(2)]
        first = begin + np.searchsorted(self.ends[begin:end], start, side="right")
        last = begin + np.searchsorted(self.starts[begin:end], start + len(text)) - 1
        return (first, last) if text and first <= last else (-1, -1)


def _check(examples, max_length, stride, max_question_length):
    if examples.text_pairs is None:
        raise ValueError("The examples have no `text_pairs`, expected a context for each question.")
    for name, value, least in (
        ("max_length", max_length, 5),
        ("stride", stride, 1),
        ("max_question_length", max_question_length, 1),
    ):
        if value < least:
            raise ValueError(f"`{name}` is {value}, expected {least} or more.")
