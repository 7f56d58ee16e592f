import sys
import types

import pytest

from tinybert_tf.edge import EdgeModel
from tinybert_tf.edge.word_pieces import WordPieces

pytest.importorskip("tokenizers")
TOKENS = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    *"aébcÉ!中.-'",
    "##a",
    "##b",
    "##s",
    "film",
    "ab",
    "İ",
)
SENTENCES = [
    *(
        "",
        " ",
        "film films",
        "FILM",
        "a-b.c!",
        "Éa É",
        "e\u0301a",
        "中文 a中b",
        "filmz",
        "a\u00a0b",
    ),
    *(
        "[CLS] a",
        "[SEP]",
        "a\tb\u2028c",
        "don't",
        "İ",
        "a" * 100,
        "ab" * 51,
        "\ufffda\u200db",
        "😀",
    ),
]


def model(lower_case, longest=32):
    text = "".join(f"{token}\n" for token in TOKENS)
    settings = {"lower_case": lower_case, "max_sequence_length": longest}
    return types.SimpleNamespace(path="x.tflite", vocabulary_text=text, settings=settings)


@pytest.mark.parametrize("lower_case", [True, False])
@pytest.mark.parametrize("longest", [32, 4])
def test_gives_the_ids_of_the_package(lower_case, longest):
    pytest.importorskip("tensorflow")
    from tinybert_tf.data import BertTokenizer
    from tinybert_tf.models import Vocabulary

    ours = BertTokenizer(Vocabulary(TOKENS, lower_case))
    expected, _ = ours.encode(SENTENCES, max_length=longest)
    word_pieces = WordPieces(model(lower_case, longest))
    assert [word_pieces.encode(sentence) for sentence in SENTENCES] == expected.to_list()


def test_reads_the_vocabulary_of_a_file(reading_file):
    assert WordPieces(EdgeModel(reading_file)).encode("A fine FILMS") == [2, 4, 5, 6, 7, 3]


def test_a_file_without_vocabulary(tiny_file):
    with pytest.raises(ValueError, match=r"tiny.tflite holds no vocabulary.*tinybert-tf export"):
        WordPieces(EdgeModel(tiny_file))


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ImportError, match="not installed: pip install tokenizers"):
        WordPieces(model(True))
