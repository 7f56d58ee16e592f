"""Batches of pairs from a corpus, packed anew in every epoch."""

import math

import numpy as np
import tensorflow as tf

from tinybert_tf.corpus.masking import mask_tokens
from tinybert_tf.corpus.packing import pack
from tinybert_tf.data.shares import cut_into_shares

_BLOCK = 8  # shards whose pairs are in memory at once, and are shuffled together
_MEASURED = 4  # shards that are packed, at most, to find out how many pairs a token makes
_SHORTEST = 8  # tokens of a sequence that leave room for both segments

# What chance is drawn for.
_SHARD_ORDER, _PACKING, _BLOCK_ORDER, _MASKING = range(4)


class CorpusBatches:
    """Batches of pairs of segments, for general distillation and for masked language models.

    Every epoch pairs the corpus anew, see `pack`, and takes its shards in another order; a batch
    has pairs of several shards. All is a function of `seed`, the epoch's index and the step, so
    that a training goes on anywhere with the same batches, after packing a few shards at most. An
    epoch takes the same number of pairs from a shard as any other: chance makes some more, which
    are left out, or packs a few twice.

    Args:
        corpus: `CorpusShards`.
        max_length: int, the tokens to which all pairs are padded; 8 or more.
        batch_size: int, pairs in a batch.
        steps_per_epoch: int, after how many batches to end an epoch, or `None`: with the corpus.
            The next epoch begins with other shards.
        seed: int, 0 or more.
        masked_lm_prob: float from 0 to below 1, the share of a pair's tokens that are masked;
            see `mask_tokens`. 0 masks none.
        masked_lm_labels: bool, whether batches tell which tokens are masked.
        prefetch: int, batches made ahead of the training; `None` lets tf.data decide.

    Attributes:
        num_examples: int, the number of pairs that the corpus makes in an epoch.
        steps_per_epoch: int, number of batches in an epoch; a last part of a batch is left out.
        tokens_per_step: int, tokens in a batch, padding included.

    Raises:
        ValueError: If the corpus is too small for a batch, an argument is out of its range, or
            tokens shall be masked and the vocabulary has no [MASK].

    Example:
        batches = CorpusBatches(CorpusShards("corpus"), max_length=128, batch_size=256)
        inputs = next(iter(batches.epoch(0)))
    """

    def __init__(
        self,
        corpus,
        *,
        max_length=128,
        batch_size=256,
        steps_per_epoch=None,
        seed=0,
        masked_lm_prob=0.0,
        masked_lm_labels=False,
        prefetch=None,
    ):
        _check_sizes(
            max_length=(max_length, _SHORTEST),
            batch_size=(batch_size, 1),
            steps_per_epoch=(1 if steps_per_epoch is None else steps_per_epoch, 1),
            seed=(seed, 0),
        )
        _check_masking(corpus.vocabulary, masked_lm_prob, masked_lm_labels)
        self._corpus, self._max_length, self._batch_size = corpus, max_length, batch_size
        self._seed, self._prefetch = seed, tf.data.AUTOTUNE if prefetch is None else prefetch
        self._masked_lm_prob, self._has_labels = masked_lm_prob, masked_lm_labels
        self._counts = self._count()
        self.num_examples = int(self._counts.sum())
        if self.num_examples < batch_size:
            raise ValueError(
                f"The corpus of {corpus.num_tokens} tokens makes {self.num_examples} pairs of "
                f"{max_length} tokens, less than one batch of {batch_size}. Lower `batch_size` or "
                "prepare more text."
            )
        steps = self.num_examples // batch_size
        self.steps_per_epoch = steps if steps_per_epoch is None else min(steps, steps_per_epoch)
        self.tokens_per_step = batch_size * max_length

    @property
    def element_spec(self):
        """`tf.TensorSpec` of what a batch holds, as in `epoch`."""
        whole = tf.TensorSpec([self._batch_size, self._max_length], tf.int32)
        inputs = dict.fromkeys(("token_ids", "segment_ids", "padding_mask"), whole)
        if not self._has_labels:
            return inputs
        masked = math.ceil(self._masked_lm_prob * self._max_length)
        few = tf.TensorSpec([self._batch_size, masked], tf.int32)
        return inputs | {"masked_positions": few}, few

    def epoch(self, index, first_step=0):
        """Returns the batches of one epoch.

        Args:
            index: int, which epoch, from 0.
            first_step: int, how many batches to leave out at its beginning.

        Returns:
            `tf.data.Dataset` of `inputs`, or `(inputs, labels)` with `masked_lm_labels`. `inputs`
            maps `token_ids`, `segment_ids` and `padding_mask` to int32 tensors `(batch_size,
            max_length)`; with labels also `masked_positions` to one `(batch_size, masked)`, padded
            with 0. `labels` is int32 of the same shape: the tokens that stood there, or -1.
        """
        return self._dataset(index, first_step).prefetch(self._prefetch)

    def distribute(self, strategy, index, first_step=0):
        """Returns the batches of one epoch, each cut evenly among a strategy's replicas.

        Every worker makes whole batches and keeps what its own replicas get. The parts of a batch
        differ by one pair at most.

        Args:
            strategy: `tf.distribute.Strategy`.
            index: int, which epoch, from 0.
            first_step: int, how many batches to leave out at its beginning.

        Returns:
            `tf.distribute.DistributedDataset` with elements as those of `epoch`.
        """

        def make_share(context):
            shares = cut_into_shares(self._dataset(index, first_step), context)
            return shares.prefetch(self._prefetch)

        return strategy.distribute_datasets_from_function(make_share)

    def _dataset(self, epoch, first_step):
        dataset = tf.data.Dataset.from_generator(
            lambda: self._batches(epoch, first_step), output_signature=self.element_spec
        )
        count = self.steps_per_epoch - first_step
        return dataset.take(count).apply(tf.data.experimental.assert_cardinality(count))

    def _random(self, epoch, purpose, index=0):
        return np.random.default_rng([self._seed, epoch, purpose, index])

    def _count(self):
        """Returns int64 array `(shards,)`, the number of pairs to take from each."""
        sizes = np.array([size.tokens for size in self._corpus.sizes], np.int64)
        measured = np.arange(len(sizes))[:: len(sizes) // _MEASURED + 1]
        found = sum(len(self._pack(0, shard, at_least=1)[1]) for shard in measured)
        return sizes * found // sizes[measured].sum()

    def _pack(self, epoch, index, at_least):
        """Returns a shard's ids, and its pairs of as many packings as that takes."""
        shard, random = self._corpus.read(index), self._random(epoch, _PACKING, index)
        pairs = pack(shard, self._max_length, random)
        while len(pairs) < at_least:
            pairs = np.concatenate([pairs, pack(shard, self._max_length, random)])
        return shard.ids, pairs

    def _batches(self, epoch, first_step):
        """Yields the batches of an epoch as NumPy arrays."""
        parts, missing, step = [], self._batch_size, first_step
        for ids, pairs in self._blocks(epoch, first_step * self._batch_size):
            for part in np.split(pairs, range(missing, len(pairs), self._batch_size)):
                parts.append(self._join(ids, part))
                missing -= len(part)
                if not missing:
                    yield self._batch(parts, self._random(epoch, _MASKING, step))
                    parts, missing, step = [], self._batch_size, step + 1

    def _blocks(self, epoch, skipped):
        """Yields the ids of some shards and their shuffled pairs, after `skipped` pairs."""
        order = self._random(epoch, _SHARD_ORDER).permutation(self._corpus.num_shards)
        for first in range(0, len(order), _BLOCK):
            shards = order[first : first + _BLOCK]
            count = int(self._counts[shards].sum())
            if skipped < count:
                ids, pairs = self._block(epoch, shards)
                yield ids, self._random(epoch, _BLOCK_ORDER, first).permutation(pairs)[skipped:]
            skipped = max(skipped - count, 0)

    def _block(self, epoch, shards):
        """Returns the ids of all `shards` in one array, and the pairs in it."""
        all_ids, all_pairs, start = [], [], 0
        for shard in shards:
            ids, pairs = self._pack(epoch, shard, self._counts[shard])
            all_ids.append(ids)
            all_pairs.append(pairs[: self._counts[shard]] + [start, 0, start, 0])
            start += len(ids)
        return np.concatenate(all_ids), np.concatenate(all_pairs)

    def _join(self, ids, pairs):
        """Returns ids, segments and mask of `[CLS] A [SEP] B [SEP]`, int32 `(pairs, length)`."""
        start_a, length_a, start_b, length_b = np.split(pairs, 4, axis=1)
        vocabulary, place = self._corpus.vocabulary, np.arange(self._max_length)
        first_sep, last_sep = length_a + 1, length_a + length_b + 2
        is_second, is_real = place > first_sep, place <= last_sep
        source = place + np.where(is_second, start_b - first_sep - 1, start_a - 1)
        is_sep = (place == first_sep) | (place == last_sep)
        token_ids = np.select(
            [place == 0, is_sep, is_real],
            [vocabulary.cls_id, vocabulary.sep_id, ids.take(source, mode="clip").astype(np.int32)],
            vocabulary.pad_id,
        )
        return np.array([token_ids, is_second & is_real, is_real], np.int32)

    def _batch(self, parts, random):
        """Puts a batch's parts together, and masks tokens."""
        token_ids, segment_ids, padding_mask = np.concatenate(parts, axis=1)
        inputs = {"segment_ids": segment_ids, "padding_mask": padding_mask}
        if not self._masked_lm_prob:
            return inputs | {"token_ids": token_ids}
        token_ids, positions, labels = mask_tokens(
            token_ids, self._corpus.vocabulary, self._masked_lm_prob, random
        )
        inputs["token_ids"] = token_ids
        return (inputs | {"masked_positions": positions}, labels) if self._has_labels else inputs


def _check_sizes(**sizes):
    for name, (value, least) in sizes.items():
        if value < least:
            raise ValueError(f"`{name}` is {value}, expected {least} or more.")


def _check_masking(vocabulary, masked_lm_prob, masked_lm_labels):
    if not 0 <= masked_lm_prob < 1:
        raise ValueError(f"`masked_lm_prob` is {masked_lm_prob}, expected 0 or more, less than 1.")
    if masked_lm_labels and not masked_lm_prob:
        raise ValueError(
            "`masked_lm_labels` asks for what was masked, but `masked_lm_prob` 0 masks nothing. "
            "Raise it, to 0.15 as BERT's for example."
        )
    if masked_lm_prob and "[MASK]" not in vocabulary.tokens:
        raise ValueError(
            f"`masked_lm_prob` is {masked_lm_prob}, but the vocabulary has no [MASK]. "
            "Set it to 0 or take another vocabulary."
        )
