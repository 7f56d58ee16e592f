import numpy as np
import pytest

from tinybert_tf.augmentation.text_words import (
    find_words,
    read_stop_words,
    released_text,
    stands_alone,
)
from tinybert_tf.models.vocabulary import Vocabulary

VOCABULARY = Vocabulary(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "film", "##s", "日"))


def replaceable(text, compat="paper"):
    words = find_words([text], VOCABULARY, read_stop_words(), compat)
    return [word for word, yes in zip(words.words, words.replaceable, strict=True) if yes]


def test_letters_that_are_no_stop_words():
    assert replaceable("The GOOD films, it's 3d café!") == ["GOOD", "films", "café"]
    assert replaceable("the good Films, it's 3d café!", "reference") == ["good"]


def test_where_words_stand():
    words = find_words(["Good films.", "", "日film"], VOCABULARY, ())
    assert words.text.tolist() == [0, 0, 0, 2, 2]
    assert words.starts.tolist() == [0, 5, 10, 0, 1]
    assert words.ends.tolist() == [4, 10, 11, 1, 5]
    assert words.num_pieces.tolist() == [1, 2, 1, 1, 1]
    assert words.pieces.tolist() == [5, 6, 7, 1, 8, 6]


def test_words_that_touch():
    words = find_words(["good-film", "日good film", "日"], VOCABULARY, ())
    assert words.touching.tolist() == [False, False, False, True, True, False, False]


def test_no_texts():
    words = find_words([""], VOCABULARY, ())
    assert len(words.touching) == len(words.replaceable) == 0


def test_stop_words_of_english():
    words = read_stop_words()
    assert {"the", "don't", "'s", "'re", "wouldn"} <= words
    assert len(words) == 181
    assert "film" not in words


def test_own_stop_words(tmp_path):
    (tmp_path / "words.txt").write_text("Der\n die \n\nund\r\n")
    assert read_stop_words(tmp_path / "words.txt") == {"der", "die", "und"}
    with pytest.raises(FileNotFoundError, match="No file"):
        read_stop_words(tmp_path / "none.txt")


def test_released_text():
    assert released_text(" Café's  A-B日 ") == "cafe ' s a - b 日"


def test_stands_alone():
    assert [stands_alone(word) for word in ("日", ",", "a", "ab", "..")] == [
        *(True, True, False, False, False)
    ]
    assert np.all([stands_alone("、")])
