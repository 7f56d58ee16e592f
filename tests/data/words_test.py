import json
import pathlib
import random

import numpy as np
import pytest

from tinybert_tf.data.tokenizer import BertTokenizer
from tinybert_tf.data.words import split_words, tokenize_words
from tinybert_tf.models.vocabulary import Vocabulary

DATA = pathlib.Path(__file__).parents[3] / "shared" / "data"
TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "##a", "##b", ".", "=", "'", "good", "film")
VOCABULARIES = [Vocabulary(TOKENS, lower_case) for lower_case in (True, False)]
PIECES = (
    *("a", "AB", "ba", ".", "...", "'", "a.b", "=", "a≠b", "≮", "\u1fef", "\u037e", "a=\u0338b"),
    *(
        "日本",
        "\ufa11",
        "\U00020000",
        "한국",
        "e\u0301",
        "\u0301",
        "İ",
        "Σ",
        "ß",
        "😀",
        "$",
        "—",
        "。",
    ),
    *(
        "\x00",
        "\x0b",
        "\u00ad",
        "\u200b",
        "\ufeff",
        "\ufffd",
        "\ue000",
        "[CLS]",
        "a" * 101,
        "a\x07b",
    ),
    *(" ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u2003", "\u2028", "\u3000", "\x85", "\x1c"),
)


def assert_tokenized_alike(texts, vocabulary):
    expected = BertTokenizer(vocabulary).tokenize(texts).to_list()
    words = [split_words(text)[0] for text in texts]
    pieces, counts = tokenize_words([word for text in words for word in text], vocabulary)
    text_ends = np.cumsum([0, *counts])[np.cumsum([len(text) for text in words])]
    actual = [part.tolist() for part in np.split(pieces, text_ends)[:-1]]
    wrong = [text for text, a, b in zip(texts, actual, expected, strict=True) if a != b]
    assert not wrong, f"{len(wrong)} of {len(texts)} differ: {wrong[:3]!r}"


def nasty_texts(count):
    chance = random.Random(0)
    return ["".join(chance.choices(PIECES, k=chance.randint(0, 12))) for _ in range(count)]


def test_by_hand():
    words, starts, ends = split_words(" It's 5\u00a0o'clock in 日本… ")
    assert words == ["It", "'", "s", "5", "o", "'", "clock", "in", "日", "本", "…"]
    assert starts.tolist() == [1, 3, 4, 6, 8, 9, 10, 16, 19, 20, 21]
    assert ends.tolist() == [3, 4, 5, 7, 9, 10, 15, 18, 20, 21, 22]
    assert starts.dtype == ends.dtype == np.int32


@pytest.mark.parametrize("text", ["", " \n\u3000"])
def test_no_words(text):
    words, starts, ends = split_words(text)
    assert words == [] and starts.shape == ends.shape == (0,)


def test_words_stand_where_they_are_said_to():
    for text in nasty_texts(300):
        words, starts, ends = split_words(text)
        assert [text[a:b] for a, b in zip(starts, ends, strict=True)] == words
        bounds = [0, *np.stack([starts, ends], axis=1).ravel(), len(text)]
        assert bounds == sorted(bounds)
        between = "".join(text[a:b] for a, b in zip(bounds[::2], bounds[1::2], strict=True))
        assert not between.strip()


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_nasty_texts_give_the_word_pieces_of_the_tokenizer(vocabulary):
    assert_tokenized_alike(nasty_texts(2_000), vocabulary)


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_every_character_is_cut_as_the_tokenizer_cuts_it(vocabulary):
    codes = [code for code in range(0x20100) if not 0xD800 <= code < 0xE000]
    words = [f"good{chr(code)}film" for code in codes]
    assert_tokenized_alike(
        [" ".join(words[i : i + 64]) for i in range(0, len(words), 64)], vocabulary
    )


@pytest.mark.parametrize("lower_case", [True, False])
def test_contexts_of_squad_give_the_word_pieces_of_the_tokenizer(lower_case):
    file, vocabulary = DATA / "SQuAD/dev-v1.1.json", DATA / "vocab/bert-base-uncased-vocab.txt"
    if not file.exists() or not vocabulary.exists():
        pytest.skip(f"needs {file} and {vocabulary}")
    articles = json.loads(file.read_text("utf-8"))["data"]
    contexts = [paragraph["context"] for article in articles for paragraph in article["paragraphs"]]
    assert len(contexts) > 2_000
    assert_tokenized_alike(contexts, Vocabulary.from_file(vocabulary, lower_case))


def test_words_without_pieces():
    pieces, counts = tokenize_words(["ab", "\u00ad", "x", "ab", "\u0301"], VOCABULARIES[0])
    assert pieces.tolist() == [4, 7, 1, 4, 7]
    assert counts.tolist() == [2, 0, 1, 2, 0]


def test_no_words_have_no_pieces():
    pieces, counts = tokenize_words([], VOCABULARIES[0])
    assert pieces.shape == counts.shape == (0,)
    assert pieces.dtype == np.int32
