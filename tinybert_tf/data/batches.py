"""Batches of examples of about the same length, in an order that a seed decides."""

import copy
import functools

import numpy as np
import tensorflow as tf

from tinybert_tf.data.shares import cut_into_shares
from tinybert_tf.data.text_rows import TextRows

_NO_LABEL = -1  # of padding, where every token has a label


class ExampleBatches:
    """Tokenized, padded batches of examples, each padded only to the length of its group.

    Examples are grouped by length, so that a batch holds little padding and the lengths of all
    batches come from a small set (multiples of 2 up to 16, of 4 up to 32, of 8 up to 64, of 16 up
    to 128, of 32 above). The order of an epoch depends on nothing but `seed` and the epoch's index;
    every epoch has the same number of steps and holds every example once, or as many as
    `steps_per_epoch` lets it.

    Args:
        examples: `Examples` with labels as the rows take them, or without.
        vocabulary: the `Vocabulary` of the model.
        rows: class that turns examples into rows of tokens: `TextRows`, `SpanRows` or `TagRows`.
        max_length: int, the most tokens of an example; longer ones are cut.
        batch_size: int, examples in a batch. Exactly one of `batch_size` and `batch_tokens` is
            given.
        batch_tokens: int, tokens in a batch, padding included: short examples come in larger
            batches.
        pad_to: int or sequence of int, the lengths to pad to instead; the last is the most tokens
            of an example.
        seed: int, or `None` to keep the order of `examples` inside each group.
        prefetch: int, batches made ahead of the training; `None` lets tf.data decide.
        steps_per_epoch: int, batches after which an epoch ends, although examples are left; `None`
            takes them all.

    Attributes:
        rows: the rows that the batches are made of.
        num_examples: int, the number of rows: one an example, or one a window of its text.
        sizes: int64 array `(batches,)`, the number of examples in each batch, unshuffled.
        padded_lengths: int64 array `(batches,)`, the length of each, unshuffled.
        steps_per_epoch: int, the number of batches in an epoch.

    Raises:
        ValueError: If there are no examples, if both or neither of `batch_size` and `batch_tokens`
            are given, if either is too small for one example, if `max_length` is too small or if
            labels are names.

    Example:
        batches = ExampleBatches(examples, vocabulary, batch_tokens=4096, seed=0)
        inputs, labels = next(iter(batches.epoch(0)))
    """

    def __init__(
        self,
        examples,
        vocabulary,
        *,
        rows=TextRows,
        max_length=128,
        batch_size=None,
        batch_tokens=None,
        pad_to=None,
        seed=None,
        prefetch=None,
        steps_per_epoch=None,
    ):
        if not len(examples):
            raise ValueError("There are no examples to make batches of.")
        self._seed = seed
        self._prefetch = tf.data.AUTOTUNE if prefetch is None else prefetch
        self._teacher_cache = None
        padded_lengths = np.array(_padded_lengths(max_length, pad_to))
        self.rows = rows(examples, vocabulary, min(max_length, int(padded_lengths[-1])))
        self.num_examples = self.rows.num_rows
        group = np.searchsorted(padded_lengths, self.rows.lengths)
        with tf.device("CPU"):
            self._group = tf.constant(group, tf.int64)
        sizes = _batch_sizes(padded_lengths, padded_lengths[group.max()], batch_size, batch_tokens)
        counts = np.bincount(group, minlength=len(padded_lengths))
        self._starts, self.sizes, self.padded_lengths = _cut(counts, padded_lengths, sizes)
        self.steps_per_epoch = min(steps_per_epoch or len(self._starts), len(self._starts))

    @functools.cached_property
    def element_spec(self):
        """`tf.TensorSpec` of what a batch holds, as in `epoch`."""
        return self.epoch(0).element_spec

    def epoch(self, index, first_step=0):
        """Returns the batches of one epoch.

        Args:
            index: int, which epoch, from 0.
            first_step: int, how many batches to leave out at its beginning.

        Returns:
            `tf.data.Dataset` of `inputs`, or `(inputs, labels)` where there are labels. `inputs`
            maps `token_ids`, `segment_ids` and `padding_mask` to int32 tensors `(batch, length)`;
            `labels` is what the rows give: an int32 or float32 tensor `(batch,)`, or `(batch,
            num_labels)` of 0 and 1; `(batch, 2)`, start and end of a span; `(batch, length)`, a tag
            for each token, or -1.
        """
        return self._dataset(self._plan(index, first_step))

    def distribute(self, strategy, index, first_step=0):
        """Returns the batches of one epoch, each cut evenly among a strategy's replicas.

        A worker makes only what its own replicas get. All parts of a batch are padded alike and
        differ by one example at most; where a batch has fewer examples than there are replicas,
        some parts are empty.

        Args:
            strategy: `tf.distribute.Strategy`.
            index: int, which epoch, from 0.
            first_step: int, how many batches to leave out at its beginning.

        Returns:
            `tf.distribute.DistributedDataset` with elements as those of `epoch`.
        """

        def make_share(context):
            return self._dataset(cut_into_shares(self._plan(index, first_step), context))

        return strategy.distribute_datasets_from_function(make_share)

    def unshuffled(self):
        """Returns all of the batches in the examples' own order, without a teacher."""
        return self._copy(_seed=None, _teacher_cache=None, steps_per_epoch=len(self._starts))

    def with_teacher(self, cache):
        """Returns these batches with a teacher's outputs in `inputs["teacher"]`.

        Args:
            cache: `TeacherCache` of these batches, complete.
        """
        return self._copy(_teacher_cache=cache)

    def _copy(self, **changes):
        batches = copy.copy(self)
        vars(batches).update(changes)
        vars(batches).pop("element_spec", None)
        return batches

    def order(self, epoch):
        """Returns which example each row of an epoch is.

        Args:
            epoch: int, which epoch, from 0.

        Returns:
            int32 array `(num_examples,)`: indices into the examples, in the order in which `epoch`
            delivers them.
        """
        with tf.device("CPU"):
            rows, batches = (part.numpy() for part in self._shuffled(tf.constant(epoch, tf.int64)))
        return np.concatenate(
            [rows[self._starts[b] : self._starts[b] + self.sizes[b]] for b in batches]
        )

    def _dataset(self, plan):
        parallel = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}
        return plan.map(self._batch, **parallel).prefetch(self._prefetch)

    def _shuffled(self, epoch):
        """Returns the examples group after group, and the batches in the order of delivery."""
        if self._seed is None:
            return tf.argsort(self._group, stable=True), tf.range(len(self._starts))
        # One sort shuffles inside every group: the group is the high half of the key, chance the
        # low half.
        keys = self._group * 2**32 + self._chance(2 * epoch, self.num_examples)
        batch_keys = self._chance(2 * epoch + 1, len(self._starts))
        return tf.argsort(keys, stable=True), tf.argsort(batch_keys, stable=True)

    def _chance(self, stream, count):
        """Returns `count` int64 below 2**32, a pure function of the seed and `stream`."""
        seed = tf.stack([tf.constant(self._seed, tf.int64), stream])
        bits = tf.random.stateless_uniform([count], seed, None, None, tf.uint32, alg="philox")
        return tf.cast(bits, tf.int64)

    def _plan(self, epoch, first_step):
        """Returns a dataset of an epoch's batches: the examples in each, the length to pad to."""
        with tf.device("CPU"):
            rows, order = self._shuffled(tf.constant(epoch, tf.int64))
            columns = (self._starts, self.sizes, self.padded_lengths)
            columns = tuple(
                tf.gather(column, order[first_step : self.steps_per_epoch]) for column in columns
            )
        batches = tf.data.Dataset.from_tensor_slices(columns)
        return batches.map(lambda start, size, length: (rows[start : start + size], length))

    def _batch(self, rows, length):
        """Tokenizes and pads one batch."""
        ids, segments, labels = self.rows.encode(rows)
        shape = tf.stack([-1, length])
        inputs = {
            "token_ids": ids.to_tensor(self.rows.vocabulary.pad_id, shape=shape),
            "segment_ids": segments.to_tensor(0, shape=shape),
            "padding_mask": tf.ones_like(ids).to_tensor(0, shape=shape),
        }
        if isinstance(labels, tf.RaggedTensor):
            labels = labels.to_tensor(_NO_LABEL, shape=shape)
        if self._teacher_cache is not None:
            inputs["teacher"] = self._teacher_cache.features(rows, length)
        return inputs if labels is None else (inputs, labels)


def _padded_lengths(max_length, pad_to):
    """Returns the lengths to which batches are padded, increasing."""
    if pad_to is None:
        steps = [*range(4, 16, 2), *range(16, 32, 4), *range(32, 64, 8), *range(64, 128, 16)]
        steps += range(128, max_length, 32)
        return [length for length in steps if length < max_length] + [max_length]
    lengths = [pad_to] if isinstance(pad_to, int) else list(pad_to)
    if sorted(set(lengths)) != lengths or lengths[0] < 2:
        raise ValueError(f"`pad_to` is {pad_to}, expected increasing lengths of 2 or more.")
    return lengths


def _batch_sizes(padded_lengths, longest, batch_size, batch_tokens):
    """Returns the number of examples in a batch of each padded length."""
    if (batch_size is None) == (batch_tokens is None):
        raise ValueError(
            "Give exactly one of `batch_size` and `batch_tokens`; "
            f"received batch_size={batch_size}, batch_tokens={batch_tokens}."
        )
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"`batch_size` is {batch_size}, expected 1 or more.")
    if batch_tokens is not None and batch_tokens < longest:
        raise ValueError(
            f"`batch_tokens` is {batch_tokens}, less than one example of {longest} tokens; "
            "raise it or lower `max_length`."
        )
    return [batch_size or max(1, batch_tokens // length) for length in padded_lengths]


def _cut(counts, padded_lengths, batch_sizes):
    """Cuts groups that follow one another into batches.

    Args:
        counts: int array `(groups,)`, the number of examples in each.
        padded_lengths: int array `(groups,)`.
        batch_sizes: list of int, of the same length.

    Returns:
        Three int64 arrays `(batches,)`: where each batch starts, its number of examples, its
        padded length.
    """
    batches = []
    for start, count, length, size in zip(
        np.cumsum(counts) - counts, counts, padded_lengths, batch_sizes, strict=True
    ):
        batches += [
            (start + done, min(size, count - done), length) for done in range(0, count, size)
        ]
    return tuple(np.array(column, np.int64) for column in zip(*batches, strict=True))
