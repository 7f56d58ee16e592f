import numpy as np
import pytest
import tiny

from tinybert_tf.data.examples import Examples
from tinybert_tf.data.tag_rows import TagRows
from tinybert_tf.evaluation.tags import decode_tags
from tinybert_tf.models.vocabulary import Vocabulary

TEXTS = ["ab c \u00ad d", "", "efgh i"]
TAGS = ("B-X", "O", "I-X")


def make_rows(max_length=20):
    return TagRows(Examples(TEXTS), Vocabulary(tiny.TOKENS), max_length)


def make_logits(*tags_of_tokens, length=8):
    """Logits that are greatest at one tag for each token of each row."""
    logits = np.random.default_rng(0).uniform(0, 1, (len(tags_of_tokens), length, len(TAGS)))
    for row, tags in enumerate(tags_of_tokens):
        for position, tag in enumerate(tags):
            logits[row, position, tag] = 2.0
    return logits


def test_each_word_has_the_tag_of_its_first_word_piece():
    # [CLS] a ##b c d [SEP]; [CLS] [SEP]; [CLS] e ##f ##g ##h i [SEP]
    logits = make_logits([0, 0, 1, 2, 0, 1], [2, 2], [1, 2, 0, 0, 0, 2, 1])
    assert decode_tags(make_rows(), logits, TAGS) == [
        ("B-X", "I-X", "O", "B-X"),
        (),
        ("I-X", "I-X"),
    ]


@pytest.mark.parametrize(("names", "outside"), [(TAGS, "O"), (("P", "Q", "R"), "P")])
def test_words_cut_off(names, outside):
    logits = make_logits([2, 2, 2, 2], [2, 2], [2, 2, 2, 2], length=4)
    assert decode_tags(make_rows(max_length=4), logits, names) == [
        (names[2], outside, outside, outside),
        (),
        (names[2], outside),
    ]


@pytest.mark.parametrize("shape", [(2, 7, 3), (3, 6, 3), (3, 7, 2), (3, 7)])
def test_other_shapes(shape):
    with pytest.raises(ValueError, match=r"expected \(3, 7 or more, 3\)"):
        decode_tags(make_rows(), np.zeros(shape), TAGS)
