import numpy as np
import pytest
import tensorflow as tf
import tiny

from tinybert_tf.data.examples import Examples
from tinybert_tf.data.tag_rows import TagRows
from tinybert_tf.models.vocabulary import Vocabulary

VOCABULARY = Vocabulary(tiny.TOKENS)
TEXTS = ["ab c \u00ad d.e", "", "f", "ghi jk l"]
TAGS = [(3, 0, 1, 2), (), (5,), (4, 6, 7)]


def make_rows(max_length=20, labels=TAGS):
    return TagRows(Examples(TEXTS, labels=labels), VOCABULARY, max_length)


def tokens_and_labels(rows, which):
    ids, segments, labels = rows.encode(which)
    assert ids.dtype == segments.dtype == labels.dtype == tf.int32
    assert segments.to_list() == [[0] * len(row) for row in ids.to_list()]
    return [
        [(tiny.TOKENS[token], label) for token, label in zip(*row, strict=True)]
        for row in zip(ids.to_list(), labels.to_list(), strict=True)
    ]


def test_tags_stand_at_first_word_pieces():
    assert tokens_and_labels(make_rows(), [0, 1, 2, 3]) == [
        [
            *(("[CLS]", -1), ("a", 3), ("##b", -1), ("c", 0)),
            *(("d", 2), ("[UNK]", -1), ("e", -1), ("[SEP]", -1)),
        ],
        [("[CLS]", -1), ("[SEP]", -1)],
        [("[CLS]", -1), ("f", 5), ("[SEP]", -1)],
        [
            *(("[CLS]", -1), ("g", 4), ("##h", -1), ("##i", -1)),
            *(("j", 6), ("##k", -1), ("l", 7), ("[SEP]", -1)),
        ],
    ]


def test_rows_too_long_are_cut():
    assert tokens_and_labels(make_rows(max_length=6), [3, 0]) == [
        [("[CLS]", -1), ("g", 4), ("##h", -1), ("##i", -1), ("j", 6), ("[SEP]", -1)],
        [("[CLS]", -1), ("a", 3), ("##b", -1), ("c", 0), ("d", 2), ("[SEP]", -1)],
    ]


@pytest.mark.parametrize(
    ("max_length", "expected"),
    [
        (20, [[1, 3, -1, 4], [], [1], [1, 4, 6]]),
        (6, [[1, 3, -1, 4], [], [1], [1, 4, -1]]),
        (5, [[1, 3, -1, -1], [], [1], [1, -1, -1]]),
        (3, [[1, -1, -1, -1], [], [1], [1, -1, -1]]),
    ],
)
def test_word_positions(max_length, expected):
    rows = make_rows(max_length)
    assert [rows.word_positions(row).tolist() for row in range(rows.num_rows)] == expected


def test_lengths():
    rows = make_rows(max_length=7)
    assert rows.num_rows == 4
    assert rows.lengths.tolist() == [7, 2, 3, 7]
    assert rows.lengths.dtype == np.int64


def test_runs_inside_tf_data():
    rows = make_rows()
    dataset = tf.data.Dataset.from_tensors([2, 0]).map(rows.encode)
    ids, segments, labels = dataset.get_single_element()
    expected = rows.encode([2, 0])
    for part, other in zip((ids, segments, labels), expected, strict=True):
        assert part.to_list() == other.to_list()


def test_examples_without_labels():
    assert make_rows(labels=None).encode([0])[2] is None


def test_examples_without_words():
    rows = TagRows(Examples(["", ""], labels=[(), ()]), VOCABULARY, 9)
    assert tokens_and_labels(rows, [1]) == [[("[CLS]", -1), ("[SEP]", -1)]]


def test_too_small_max_length():
    with pytest.raises(ValueError, match="`max_length` is 2, expected 3 or more"):
        make_rows(max_length=2)


def test_other_number_of_tags():
    with pytest.raises(ValueError, match="Example 3 has 2 tags for 3 words"):
        make_rows(labels=[*TAGS[:3], (4, 6)])


def test_names_for_tags():
    with pytest.raises(ValueError, match="Tags are names \\('O'\\), expected their indices"):
        make_rows(labels=[*TAGS[:2], ("O",), TAGS[3]])


def test_words_that_are_cut_off_are_counted():
    with pytest.warns(UserWarning, match="4 of 8 words lie beyond 4 word-pieces"):
        make_rows(max_length=4)
