import itertools

import numpy as np
import pytest
import tensorflow as tf

from tinybert_tf.data import ExampleBatches, Examples
from tinybert_tf.data.span_rows import SpanRows
from tinybert_tf.data.tag_rows import TagRows
from tinybert_tf.models.vocabulary import Vocabulary

LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = Vocabulary(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS))
SIZES = np.random.default_rng(0).integers(0, 60, size=200)
TEXTS = [" ".join(itertools.islice(itertools.cycle(LETTERS), int(size))) for size in SIZES]
EXAMPLES = Examples(TEXTS, labels=list(range(200)))


def batches(examples=EXAMPLES, **settings):
    return ExampleBatches(examples, VOCABULARY, **{"max_length": 40, "batch_size": 8} | settings)


def delivered(dataset):
    """The labels of a dataset; EXAMPLES' labels are their indices."""
    return np.concatenate([labels.numpy() for _, labels in dataset])


def by_hand(text, length, max_length=40):
    ids = [VOCABULARY.tokens.index(letter) for letter in text.split()][: max_length - 2]
    ids = [2, *ids, 3]
    return ids + [0] * (length - len(ids))


@pytest.mark.parametrize(
    "settings", [{}, {"seed": 3}, {"pad_to": 40}, {"pad_to": (16, 24), "seed": 3}]
)
def test_rows_are_the_texts_tokenized_and_padded(settings):
    for inputs, labels in batches(**settings).epoch(0):
        length = inputs["token_ids"].shape[1]
        most = min(40, np.max(settings.get("pad_to", 40)))
        expected = [by_hand(TEXTS[label], length, most) for label in labels]
        np.testing.assert_array_equal(inputs["token_ids"], expected)
        np.testing.assert_array_equal(inputs["padding_mask"], np.not_equal(expected, 0))
        np.testing.assert_array_equal(inputs["segment_ids"], np.zeros_like(expected))


def test_every_example_comes_once_in_every_epoch():
    made = batches(seed=0)
    for epoch in range(2):
        assert sorted(delivered(made.epoch(epoch))) == list(range(200))


def test_order_says_what_is_delivered():
    for made in (batches(seed=5), batches(seed=None)):
        np.testing.assert_array_equal(delivered(made.epoch(3)), made.order(3))


def test_order_depends_on_seed_and_epoch_alone():
    one = batches(seed=1)
    np.testing.assert_array_equal(one.order(4), batches(seed=1).order(4))
    assert not np.array_equal(one.order(4), one.order(5))
    assert not np.array_equal(one.order(4), batches(seed=2).order(4))


def test_batches_mix_examples_anew():
    rows = [batches(seed=0, pad_to=40).order(epoch)[:8] for epoch in range(2)]
    assert set(rows[0]) != set(rows[1])
    assert not np.array_equal(np.sort(rows[0]), np.arange(8))


def test_batches_come_in_another_order():
    made = batches(seed=0)
    first, second = (
        [inputs["token_ids"].shape[1] for inputs, _ in made.epoch(epoch)] for epoch in range(2)
    )
    assert first != second and sorted(first) == sorted(second)


def test_without_seed_examples_keep_their_order():
    np.testing.assert_array_equal(batches(pad_to=40).order(0), np.arange(200))


def test_shapes_come_from_a_small_set():
    shapes = {tuple(inputs["token_ids"].shape) for inputs, _ in batches(seed=0).epoch(0)}
    assert {length for _, length in shapes} == {4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40}
    assert len(shapes) <= 2 * 12


def test_padding_is_less_than_the_step_between_lengths():
    steps = [0, *range(4, 16, 2), *range(16, 32, 4), 32, 40, 48, 56, 64]
    for inputs, _ in batches(max_length=512).epoch(0):
        shorter = steps[steps.index(inputs["token_ids"].shape[1]) - 1]
        assert inputs["padding_mask"].numpy().sum(axis=1).min() > shorter


def test_batch_tokens_bounds_the_tokens_of_a_batch():
    made = batches(batch_size=None, batch_tokens=100, seed=0)
    shapes = {tuple(inputs["token_ids"].shape) for inputs, _ in made.epoch(0)}
    assert max(rows * length for rows, length in shapes) <= 100
    assert {(5, 20), (4, 24), (3, 28), (3, 32), (2, 40)} <= shapes


def test_steps_per_epoch_counts_the_batches():
    made = batches(seed=0)
    assert [len(list(made.epoch(epoch))) for epoch in range(2)] == [made.steps_per_epoch] * 2
    assert made.epoch(0).cardinality() == made.steps_per_epoch


def test_an_epoch_can_begin_in_its_middle():
    made = batches(seed=0)
    rest = made.epoch(2, first_step=5)
    assert rest.cardinality() == made.steps_per_epoch - 5
    skipped = delivered(made.epoch(2).take(5))
    np.testing.assert_array_equal(np.concatenate([skipped, delivered(rest)]), made.order(2))


@pytest.mark.parametrize(("replicas", "workers"), [(1, 1), (2, 1), (4, 2), (16, 4)])
def test_shares_make_up_every_batch_in_order(replicas, workers):
    made = batches(seed=0)
    shares = [[] for _ in range(replicas)]
    for worker in range(workers):
        strategy = Worker(replicas, workers, worker)
        here = replicas // workers
        for number, element in enumerate(made.distribute(strategy, 1, first_step=3)):
            shares[worker * here + number % here].append(element)
    for step, (inputs, labels) in enumerate(made.epoch(1, first_step=3)):
        parts = [share[step] for share in shares]
        np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), labels)
        ids = np.concatenate([part[0]["token_ids"] for part in parts])
        np.testing.assert_array_equal(ids, inputs["token_ids"])
        sizes = [len(part[1]) for part in parts]
        assert max(sizes) - min(sizes) <= 1


class Worker:
    """Stands in for the strategy of one worker of several."""

    def __init__(self, replicas, workers, worker):
        self._context = tf.distribute.InputContext(workers, worker, replicas)

    def distribute_datasets_from_function(self, function):
        return function(self._context)


def test_without_labels_elements_are_inputs():
    assert set(batches(Examples(TEXTS)).epoch(0).element_spec) == {
        *("token_ids", "segment_ids", "padding_mask")
    }


def test_pairs():
    inputs = next(iter(batches(Examples(["a b"], ["c"]), pad_to=8).epoch(0)))
    assert inputs["token_ids"].numpy().tolist() == [[2, 4, 5, 3, 6, 3, 0, 0]]
    assert inputs["segment_ids"].numpy().tolist() == [[0, 0, 0, 0, 1, 1, 0, 0]]
    assert inputs["padding_mask"].numpy().tolist() == [[1, 1, 1, 1, 1, 1, 0, 0]]


@pytest.mark.parametrize(("labels", "dtype"), [([1, 0], tf.int32), ([1.0, 0.5], tf.float32)])
def test_dtypes(labels, dtype):
    inputs, spec = batches(Examples(["a", "b"], labels=labels)).epoch(0).element_spec
    assert spec == tf.TensorSpec([None], dtype)
    assert {entry.dtype for entry in inputs.values()} == {tf.int32}


def test_several_labels_at_once():
    held = [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    _, labels = next(iter(batches(Examples(["a", "b"], labels=held)).epoch(0)))
    assert labels.dtype == tf.float32
    np.testing.assert_array_equal(labels, held)
    whole = [[1, 0], [0, 1]]
    assert batches(Examples(["a", "b"], labels=whole)).element_spec[1].dtype == tf.float32


def test_a_tag_for_each_token_and_none_for_padding():
    examples = Examples(["a b c", "d", ""], labels=[(2, 0, 1), (1,), ()])
    inputs, labels = next(iter(batches(examples, rows=TagRows, pad_to=6).epoch(0)))
    assert labels.numpy().tolist() == [
        [-1, 2, 0, 1, -1, -1],
        [-1, 1, -1, -1, -1, -1],
        [-1] * 6,
    ]
    assert inputs["padding_mask"].numpy().sum(axis=1).tolist() == [5, 3, 2]


@pytest.mark.parametrize("seed", [None, 4])
def test_every_window_of_a_long_context_comes_once(seed):
    context = " ".join("abcdefghij" * 20)
    examples = Examples(["k"] * 3, [context, "a b", context], [(), (("b", 2),), (("a", 0),)])
    made = batches(examples, rows=SpanRows, max_length=40, seed=seed, batch_size=2)
    assert made.num_examples == made.rows.num_rows == made.sizes.sum() > 5
    ids, positions = [], []
    for inputs, labels in made.epoch(1):
        ids += [
            row[mask > 0].tolist()
            for row, mask in zip(
                inputs["token_ids"].numpy(), inputs["padding_mask"].numpy(), strict=True
            )
        ]
        positions += labels.numpy().tolist()
    order = made.order(1)
    assert sorted(order) == list(range(made.num_examples))
    expected = [made.rows.encode([row]) for row in order]
    assert ids == [row_ids.to_list()[0] for row_ids, _, _ in expected]
    assert positions == [labels.numpy().tolist()[0] for _, _, labels in expected]
    assert sorted(filter(any, positions)) == [[3, 3], [4, 4]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": None}, "received batch_size=None, batch_tokens=None"),
        ({"batch_tokens": 64}, "received batch_size=8, batch_tokens=64"),
        ({"batch_size": 0}, "`batch_size` is 0, expected 1 or more"),
        ({"batch_size": None, "batch_tokens": 39}, "39, less than one example of 40 tokens"),
        ({"max_length": 2}, "`max_length` is 2, expected 3 or more"),
        ({"pad_to": (16, 8)}, r"`pad_to` is \(16, 8\), expected increasing lengths"),
        ({"pad_to": 0}, "`pad_to` is 0, expected increasing lengths"),
        ({"examples": Examples([])}, "no examples"),
        ({"examples": Examples(["a"], labels=["good"])}, r"Labels are names \('good'\)"),
    ],
)
def test_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        batches(**settings)
