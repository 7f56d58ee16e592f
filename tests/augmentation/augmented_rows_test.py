import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf
from tiny_augmentation import TOKENS

from tinybert_tf.augmentation import AugmentedRows, Variants
from tinybert_tf.augmentation.augmented_examples import Tally, augment_examples
from tinybert_tf.data import ExampleBatches, Examples, TextRows
from tinybert_tf.models import Vocabulary

VOCABULARY = Vocabulary(TOKENS, lower_case=False)


@pytest.fixture(name="pairs")
def make_pairs(candidates):
    texts = candidates.texts
    return Examples(
        [texts[0], texts[1], texts[2]], [texts[2], texts[0], texts[3]], labels=[1, 0, 1]
    )


def make_rows(examples, candidates, max_length=24, variants=4, **settings):
    return AugmentedRows(examples, VOCABULARY, max_length, candidates, variants, **settings)


def written_rows(examples, candidates, count, **settings):
    """The examples of a file, without labels."""
    columns = [examples.texts, *([examples.text_pairs] if examples.text_pairs else [])]
    variants = Variants(candidates, **settings)
    return [*itertools.chain(*augment_examples(columns, variants, count, Tally()))]


def token_rows(examples, max_length=24):
    rows = TextRows(examples, VOCABULARY, max_length)
    return [part.to_list() for part in rows.encode(tf.range(rows.num_rows))[:2]]


def test_rows_are_those_of_the_file(pairs, candidates):
    rows = make_rows(pairs, candidates, seed=3)
    assert rows.num_rows == 3 * (1 + 2 * 4)
    ids, segments, _ = rows.encode(tf.range(rows.num_rows))
    found = [*zip(ids.to_list(), segments.to_list(), strict=True)]
    texts = written_rows(pairs, candidates, 4, seed=3)
    columns = [[*column] for column in zip(*texts, strict=True)]
    expected = [*zip(*token_rows(Examples(*columns)), strict=True)]
    assert [*_without_doubles(found, 9)] == expected


def _without_doubles(rows, each):
    """Rows as a file has them: of an example none twice. (Texts differ here where tokens do.)"""
    for start in range(0, len(rows), each):
        seen = []
        for row in rows[start : start + each]:
            if row not in seen:
                seen.append(row)
                yield row


def test_originals_come_first(pairs, candidates):
    rows = make_rows(pairs, candidates)
    assert rows.encode([0, 9, 18])[0].to_list() == token_rows(pairs)[0]


def test_what_other_examples_there_are_does_not_matter(pairs, candidates):
    found = make_rows(pairs, candidates).encode(tf.range(18, 27))[0].to_list()
    alone = Examples(pairs.texts[2:], pairs.text_pairs[2:])
    assert make_rows(alone, candidates).encode(tf.range(9))[0].to_list() == found


def test_one_side_is_varied_at_a_time(pairs, candidates):
    rows = make_rows(pairs, candidates, probability=1.0)
    ids, segments, _ = rows.encode(tf.range(9))
    first = [tuple(np.array(i)[np.array(s) == 0]) for i, s in zip(ids, segments, strict=True)]
    second = [tuple(np.array(i)[np.array(s) == 1]) for i, s in zip(ids, segments, strict=True)]
    assert set(second[:5]) == {second[0]} and set(first[5:]) == {first[0]}
    assert first[0] not in first[1:5] and second[0] not in second[5:]


def test_lengths_are_exact(pairs, candidates):
    for max_length in (7, 12, 24):
        rows = make_rows(pairs, candidates, max_length, probability=0.7)
        ids = rows.encode(tf.range(rows.num_rows))[0]
        assert rows.lengths.tolist() == ids.row_lengths().numpy().tolist()
    assert len(set(rows.lengths)) > 1


def test_labels_are_copied(pairs, candidates):
    rows = make_rows(pairs, candidates)
    assert rows.encode([0, 8, 9, 10, 26])[2].numpy().tolist() == [1, 1, 0, 0, 1]
    unlabeled = make_rows(Examples(pairs.texts), candidates)
    assert unlabeled.num_rows == 15
    assert unlabeled.encode([0])[2] is None


def test_without_variants_rows_are_text_rows(pairs, candidates):
    rows = make_rows(pairs, candidates, variants=0)
    assert rows.encode(tf.range(3))[0].to_list() == token_rows(pairs)[0]
    assert rows.lengths.tolist() == TextRows(pairs, VOCABULARY, 24).lengths.tolist()


def delivered(examples, candidates, batch_size, seed):
    """The rows of an epoch, each with its label, sorted."""
    rows = functools.partial(AugmentedRows, candidates=candidates, variants=4)
    settings = {"rows": rows, "max_length": 24, "batch_size": batch_size, "seed": seed}
    batches = ExampleBatches(examples, VOCABULARY, **settings).epoch(0)
    found = []
    for inputs, labels in batches:
        lengths = inputs["padding_mask"].numpy().sum(axis=1)
        for ids, length, label in zip(inputs["token_ids"].numpy(), lengths, labels, strict=True):
            found.append(([*ids[:length]], int(label)))
    return found


def test_batches_deliver_the_same_whatever_their_size_and_order(pairs, candidates):
    one = delivered(pairs, candidates, 1, seed=0)
    other = delivered(pairs, candidates, 5, seed=8)
    assert one != other
    assert sorted(one) == sorted(other)
    assert len(one) == 27


def test_errors(pairs, candidates):
    with pytest.raises(ValueError, match="`variants` is -1"):
        make_rows(pairs, candidates, variants=-1)
    with pytest.raises(ValueError, match="no candidates for the text 'other'"):
        make_rows(Examples(["other"]), candidates)
    with pytest.raises(ValueError, match="Labels are names"):
        make_rows(Examples(pairs.texts, labels=["a", "b", "c"]), candidates)
