import numpy as np
import pytest

from tinybert_tf.corpus.masking import mask_tokens
from tinybert_tf.models.vocabulary import Vocabulary

VOCABULARY = Vocabulary(
    ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{i}" for i in range(995)))
)
MASK = 4


def make_ids(lengths, width, seed=0):
    """Rows of `[CLS] word ... [SEP] word [SEP]`, padded."""
    ids = np.random.default_rng(seed).integers(5, 1000, (len(lengths), width), np.int32)
    for row, length in zip(ids, lengths, strict=True):
        row[0], row[[length - 3, length - 1]], row[length:] = 2, 3, 0
    return ids


LENGTHS = np.random.default_rng(1).integers(8, 41, 500)
IDS = make_ids(LENGTHS, 40)


def masked(ids=IDS, probability=0.15, seed=0):
    return mask_tokens(ids, VOCABULARY, probability, np.random.default_rng(seed))


def test_shapes_and_dtypes():
    results = masked()
    assert [result.shape for result in results] == [(500, 40), (500, 6), (500, 6)]
    assert {result.dtype for result in results} == {np.dtype(np.int32)}


@pytest.mark.parametrize("probability", [0.01, 0.15, 0.5])
def test_so_many_tokens_of_each_row(probability):
    _, _, labels = masked(probability=probability)
    expected = [max(1, round(probability * int(length))) for length in LENGTHS]
    assert np.sum(labels >= 0, axis=1).tolist() == expected


def test_labels_are_the_tokens_that_stood_at_the_positions():
    _, positions, labels = masked()
    for ids, row, row_labels in zip(IDS, positions, labels, strict=True):
        count = np.sum(row_labels >= 0)
        assert row_labels[:count].tolist() == ids[row[:count]].tolist()
        assert len(set(row[:count])) == count
        assert not row[count:].any() and set(row_labels[count:]) <= {-1}


def test_special_tokens_are_never_chosen():
    ids, positions, labels = masked(probability=0.9)
    assert labels[labels >= 0].min() >= 5
    special = np.isin(IDS, (0, 2, 3))
    np.testing.assert_array_equal(ids[special], IDS[special])


def test_no_more_than_there_are():
    _, _, labels = masked(make_ids([5], 10), probability=0.9)
    assert np.sum(labels >= 0) == 2


def test_only_chosen_tokens_change():
    ids, positions, labels = masked()
    chosen = np.zeros(IDS.shape, bool)
    rows, columns = np.nonzero(labels >= 0)
    chosen[rows, positions[rows, columns]] = True
    np.testing.assert_array_equal(ids[~chosen], IDS[~chosen])


def test_eight_of_ten_are_masked_one_is_random_one_stays():
    ids = make_ids([400] * 100, 400)
    shown, positions, labels = masked(ids)
    chosen = np.take_along_axis(shown, positions, axis=1)[labels >= 0]
    own = labels[labels >= 0]
    assert len(chosen) == 6000
    assert np.mean(chosen == MASK) == pytest.approx(0.8, abs=0.025)
    assert np.mean(chosen == own) == pytest.approx(0.1, abs=0.02)
    other = chosen[(chosen != MASK) & (chosen != own)]
    assert len(np.unique(other)) > 300 and abs(other.mean() - 500) < 50


def test_every_place_is_as_likely():
    _, positions, labels = masked(make_ids([40] * 4000, 40), probability=0.2)
    counts = np.bincount(positions[labels >= 0], minlength=40)
    words = np.delete(counts, [0, 37, 39])
    assert counts[[0, 37, 39]].tolist() == [0, 0, 0]
    assert words.min() > 0.85 * words.mean() and words.max() < 1.15 * words.mean()


def test_what_came_in_is_left_alone():
    before = IDS.copy()
    masked()
    np.testing.assert_array_equal(IDS, before)


def test_chance_alone_decides():
    for one, same in zip(masked(seed=3), masked(seed=3), strict=True):
        np.testing.assert_array_equal(one, same)
    assert not np.array_equal(masked(seed=3)[1], masked(seed=4)[1])
