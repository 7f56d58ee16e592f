import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tinybert_tf.corpus import CorpusShards, Shard, ShardSize, write_corpus, write_shard
from tinybert_tf.corpus.batches import CorpusBatches
from tinybert_tf.corpus.packing import pack
from tinybert_tf.models.vocabulary import Vocabulary
from tinybert_tf.programs.strategies import make_strategy

WORDS = tuple(f"word{i}" for i in range(2000))
VOCABULARY = Vocabulary(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS))
FIRST_WORD = 5


@dataclasses.dataclass
class Corpus:
    """Stands in for `CorpusShards`; notes which shards are read."""

    shards: list
    vocabulary: Vocabulary = VOCABULARY
    reads: list = dataclasses.field(default_factory=list)

    @property
    def sizes(self):
        return [ShardSize(0, 0, len(shard.ids), 0) for shard in self.shards]

    @property
    def num_shards(self):
        return len(self.shards)

    @property
    def num_tokens(self):
        return sum(size.tokens for size in self.sizes)

    def read(self, index):
        self.reads.append(index)
        return self.shards[index]


def make_shard(first_id=FIRST_WORD, seed=0, documents=8, longest=9):
    """A shard whose every token has an id of its own."""
    random = np.random.default_rng(seed)
    sizes = random.integers(1, 6, documents, np.int32)
    lengths = random.integers(1, longest + 1, sizes.sum(), np.int32)
    return Shard(np.arange(first_id, first_id + lengths.sum()).astype(np.uint16), lengths, sizes)


def make_corpus(num_shards=20, **settings):
    shards, first_id = [], FIRST_WORD
    for seed in range(num_shards):
        shards.append(make_shard(first_id, seed, **settings))
        first_id += len(shards[-1].ids)
    words = tuple(f"word{i}" for i in range(first_id))
    return Corpus(shards, Vocabulary((*VOCABULARY.tokens[:FIRST_WORD], *words)))


CORPUS = make_corpus()
LABELLED = {"masked_lm_prob": 0.15, "masked_lm_labels": True}


def batches(corpus=CORPUS, **settings):
    return CorpusBatches(corpus, **{"max_length": 24, "batch_size": 7} | settings)


def flat(dataset):
    """The elements as lists of arrays."""
    return [[part.numpy() for part in tf.nest.flatten(element)] for element in dataset]


def assert_equal(one, other):
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        for a, b in zip(left, right, strict=True):
            np.testing.assert_array_equal(a, b)


def token_ids(dataset):
    return np.concatenate([inputs["token_ids"] for inputs in dataset])


def segments(row):
    """The two segments of `[CLS] A [SEP] B [SEP] [PAD] ...` by reading it."""
    first, second = np.flatnonzero(row == 3)
    assert row[0] == 2 and not row[second + 1 :].any()
    return row[1:first].tolist(), row[first + 1 : second].tolist()


@pytest.mark.parametrize("batch_size", [1, 7, 200])
@pytest.mark.parametrize("settings", [{}, {"masked_lm_prob": 0.2}, LABELLED])
def test_batches_are_as_their_spec_says(batch_size, settings):
    made = batches(batch_size=batch_size, **settings)
    dataset = made.epoch(0)
    assert dataset.element_spec == made.element_spec
    assert dataset.cardinality() == made.steps_per_epoch
    element = next(iter(dataset))
    inputs = element[0] if "masked_lm_labels" in settings else element
    for name in ("token_ids", "segment_ids", "padding_mask"):
        assert inputs[name].shape == (batch_size, 24) and inputs[name].dtype == tf.int32
    if "masked_lm_labels" in settings:
        assert inputs["masked_positions"].shape == element[1].shape == (batch_size, 4)


def test_inputs_are_two_segments_between_special_tokens():
    for inputs in batches().epoch(0):
        ids = inputs["token_ids"].numpy()
        assert ids.min() == 0 and not np.any(ids == 4)
        np.testing.assert_array_equal(inputs["padding_mask"], ids > 0)
        for row, segment_ids in zip(ids, inputs["segment_ids"].numpy(), strict=True):
            a, b = segments(row)
            assert a and b and len(a) + len(b) <= 21
            expected = [0] * (len(a) + 2) + [1] * (len(b) + 1) + [0] * (21 - len(a) - len(b))
            assert segment_ids.tolist() == expected


def test_segments_are_runs_of_the_text_of_one_shard():
    ends = np.cumsum([size.tokens for size in CORPUS.sizes]) + FIRST_WORD
    for row in token_ids(batches().epoch(0)):
        runs = segments(row)
        shards = {int(np.searchsorted(ends, token, side="right")) for run in runs for token in run}
        assert len(shards) == 1
        for run in runs:
            assert run == list(range(run[0], run[0] + len(run)))


def test_a_shard_gives_the_pairs_that_pack_makes_of_it():
    shard = make_shard(documents=200, longest=5)
    made = batches(Corpus([shard]), batch_size=1, seed=3)
    random = np.random.default_rng([3, 0, 1, 0])  # seed, epoch, packing, shard
    expected = {
        (tuple(shard.ids[a : a + length_a]), tuple(shard.ids[b : b + length_b]))
        for a, length_a, b, length_b in pack(shard, 24, random)
    }
    found = {tuple(map(tuple, segments(row))) for row in token_ids(made.epoch(0))}
    assert len(expected) > 50 and found == expected


def test_every_word_comes_about_once_in_an_epoch():
    counts = np.bincount(token_ids(batches(batch_size=1).epoch(0)).ravel())[FIRST_WORD:]
    random_half = 1.5  # the segments from elsewhere come in addition
    assert 1 < counts.mean() < random_half + 0.2
    assert np.mean(counts == 0) < 0.25


def test_a_batch_mixes_shards():
    made = batches(batch_size=40)
    ends = np.cumsum([size.tokens for size in CORPUS.sizes]) + FIRST_WORD
    for inputs in made.epoch(0):
        shards = np.searchsorted(ends, inputs["token_ids"].numpy()[:, 1], side="right")
        assert len(set(shards)) >= 3


def test_steps_are_the_same_in_every_epoch():
    made = batches()
    assert [len(list(made.epoch(epoch))) for epoch in range(3)] == [made.steps_per_epoch] * 3
    assert made.steps_per_epoch == made.num_examples // 7 > 30


def test_an_epoch_can_end_early():
    made, whole = batches(steps_per_epoch=3), batches()
    assert made.steps_per_epoch == 3 and made.num_examples == whole.num_examples
    for epoch in range(2):
        assert_equal(flat(made.epoch(epoch)), flat(whole.epoch(epoch).take(3)))
    assert_equal(flat(made.epoch(1, 2)), flat(whole.epoch(1).skip(2).take(1)))
    assert batches(steps_per_epoch=10_000).steps_per_epoch == whole.steps_per_epoch


def test_tokens_per_step():
    made = batches()
    assert made.tokens_per_step == next(iter(made.epoch(0)))["token_ids"].numpy().size


def test_epochs_and_seeds_differ():
    one, same, next_epoch, other = (
        flat(batches(seed=seed).epoch(epoch)) for seed, epoch in ((1, 0), (1, 0), (1, 1), (2, 0))
    )
    assert_equal(one, same)
    pairs = [{tuple(row) for batch in epoch for row in batch[2]} for epoch in (one, next_epoch)]
    assert len(pairs[0] & pairs[1]) < 0.5 * len(pairs[0])
    assert not np.array_equal(one[0][2], other[0][2])


@pytest.mark.parametrize("settings", [{}, LABELLED])
def test_an_epoch_can_begin_at_any_step(settings):
    made = batches(batch_size=24, **settings)
    whole = flat(made.epoch(1))
    for step in range(made.steps_per_epoch):
        rest = batches(batch_size=24, **settings).epoch(1, step)
        assert rest.cardinality() == made.steps_per_epoch - step
        assert_equal(flat(rest), whole[step:])


def test_what_lies_before_the_first_step_is_not_read():
    corpus = make_corpus()
    made = batches(corpus)
    corpus.reads.clear()
    list(made.epoch(0))
    order = list(corpus.reads)
    assert sorted(order) == list(range(20))
    corpus.reads.clear()
    list(made.epoch(0, made.steps_per_epoch - 1))
    assert corpus.reads == order[16:]


def test_making_them_reads_a_few_shards():
    corpus = make_corpus()
    batches(corpus)
    assert 1 <= len(corpus.reads) <= 4


def test_shards_take_turns_anew():
    corpus = make_corpus()
    made, orders = batches(corpus), []
    for epoch in range(2):
        corpus.reads.clear()
        list(made.epoch(epoch))
        orders.append(list(corpus.reads))
    assert orders[0] != orders[1]


def test_a_shard_that_runs_short_is_packed_again():
    """Long documents are measured; those of one word make far more pairs, and these far fewer."""
    words = np.ones(100, np.int32)
    many = Shard(np.arange(5, 105).astype(np.uint16), words, words)
    few = Shard(np.arange(105, 205).astype(np.uint16), words, np.array([100], np.int32))
    made = batches(Corpus([many, few]), batch_size=2)
    found = [segments(row)[0][0] >= 105 for row in token_ids(made.epoch(1))]
    assert abs(np.mean(found) - 0.5) < 0.02
    assert len(found) == made.num_examples // 2 * 2


def test_a_corpus_on_disk(tmp_path):
    shards = [make_shard(seed=seed) for seed in range(3)]
    sizes = {}
    for index, shard in enumerate(shards):
        path = tmp_path / f"shard_{index:05d}.tfrecord"
        sentences = np.split(shard.ids, np.cumsum(shard.sentence_lengths)[:-1])
        ends = np.cumsum(shard.document_sizes)
        documents = [
            sentences[end - size : end]
            for size, end in zip(shard.document_sizes, ends, strict=True)
        ]
        write_shard(path, documents, np.dtype("<u2"))
        counts = map(len, (shard.document_sizes, shard.sentence_lengths, shard.ids))
        sizes[path.name] = ShardSize(*counts, path.stat().st_size)
    write_corpus(tmp_path, VOCABULARY, sizes)
    on_disk = batches(CorpusShards(tmp_path)).epoch(1)
    assert_equal(flat(on_disk), flat(batches(Corpus(shards)).epoch(1)))


def test_masking_hides_tokens_and_nothing_else():
    for bare, masked in zip(batches().epoch(0), batches(masked_lm_prob=0.3).epoch(0), strict=True):
        np.testing.assert_array_equal(bare["segment_ids"], masked["segment_ids"])
        np.testing.assert_array_equal(bare["padding_mask"], masked["padding_mask"])
        assert set(masked) == set(bare)
        assert np.all(bare["token_ids"].numpy()[masked["token_ids"].numpy() == 4] >= FIRST_WORD)


def test_labels_are_the_tokens_under_the_masks():
    hidden = 0
    for bare, (inputs, labels) in zip(
        batches().epoch(0), batches(**LABELLED).epoch(0), strict=True
    ):
        labels, own = labels.numpy(), bare["token_ids"].numpy()
        at = np.take_along_axis(own, inputs["masked_positions"].numpy(), axis=1)
        np.testing.assert_array_equal(labels[labels >= 0], at[labels >= 0])
        changed = (inputs["token_ids"].numpy() != own).sum(axis=1)
        assert np.all(changed <= (labels >= 0).sum(axis=1))
        hidden += np.mean(inputs["token_ids"].numpy() == 4) / np.mean(own > 0)
    assert hidden / batches().steps_per_epoch == pytest.approx(0.8 * 0.15, abs=0.015)


def test_masks_differ_from_step_to_step():
    made = batches(Corpus([make_shard(documents=200)]), **LABELLED)
    positions = [tuple(inputs["masked_positions"].numpy().ravel()) for inputs, _ in made.epoch(0)]
    assert len(set(positions)) == len(positions) > 3


class Worker:
    """Stands in for the strategy of one worker of several."""

    def __init__(self, replicas, workers, worker):
        self._context = tf.distribute.InputContext(workers, worker, replicas)

    def distribute_datasets_from_function(self, function):
        return function(self._context)


@pytest.mark.parametrize(("replicas", "workers"), [(1, 1), (2, 1), (4, 2), (16, 4)])
@pytest.mark.parametrize("settings", [{}, LABELLED])
def test_shares_make_up_every_batch_in_order(replicas, workers, settings):
    made, shares = batches(**settings), [[] for _ in range(replicas)]
    here = replicas // workers
    for worker in range(workers):
        dataset = made.distribute(Worker(replicas, workers, worker), 1, first_step=3)
        assert dataset.cardinality() == (made.steps_per_epoch - 3) * here
        for number, element in enumerate(flat(dataset)):
            shares[worker * here + number % here].append(element)
    together = [
        [np.concatenate(parts) for parts in zip(*step, strict=True)]
        for step in zip(*shares, strict=True)
    ]
    assert_equal(together, flat(made.epoch(1, first_step=3)))
    sizes = [len(share[0][0]) for share in shares]
    assert max(sizes) - min(sizes) <= 1


def test_two_replicas_of_a_strategy_get_every_batch_between_them():
    strategy, made = make_strategy("mirrored"), batches(**LABELLED)
    for (inputs, _), (expected, _) in zip(
        made.distribute(strategy, 0, first_step=30), made.epoch(0, first_step=30), strict=True
    ):
        parts = strategy.experimental_local_results(inputs["token_ids"])
        np.testing.assert_array_equal(np.concatenate(parts), expected["token_ids"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_length": 7}, "`max_length` is 7, expected 8 or more"),
        ({"batch_size": 0}, "`batch_size` is 0, expected 1 or more"),
        ({"steps_per_epoch": 0}, "`steps_per_epoch` is 0, expected 1 or more"),
        ({"seed": -1}, "`seed` is -1, expected 0 or more"),
        ({"masked_lm_prob": 1.0}, "`masked_lm_prob` is 1.0, expected 0 or more, less than 1"),
        ({"masked_lm_prob": -0.1}, "`masked_lm_prob` is -0.1, expected"),
        ({"masked_lm_labels": True}, "`masked_lm_prob` 0 masks nothing"),
        ({"corpus": Corpus([])}, "corpus of 0 tokens makes 0 pairs"),
        (
            {"corpus": Corpus([make_shard(documents=2)]), "batch_size": 300},
            r"makes \d+ pairs of 24 tokens, less than one batch of 300. Lower `batch_size`",
        ),
        (
            {"corpus": Corpus([], Vocabulary(VOCABULARY.tokens[:4])), "masked_lm_prob": 0.15},
            r"`masked_lm_prob` is 0.15, but the vocabulary has no \[MASK\]",
        ),
    ],
)
def test_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        batches(**settings)
