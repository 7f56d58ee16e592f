"""The words of texts, and which of them augmentation may replace."""

import dataclasses
import functools
import pathlib
import re
import unicodedata

import numpy as np

from tinybert_tf.data.text_files import read_text
from tinybert_tf.data.words import split_words, tokenize_words

_STOP_WORDS = pathlib.Path(__file__).with_name("stop_words.txt")


@dataclasses.dataclass(frozen=True)
class TextWords:
    """The words of all texts, one text after another.

    Args:
        words: list of str.
        text: int32 array `(words,)`, the text of each word.
        starts: int32 array `(words,)`, its first character in the text.
        ends: int32 array `(words,)`, the character after its last.
        pieces: int32 array, the ids of the word-pieces of all words.
        num_pieces: int64 array `(words,)`.
        replaceable: bool array `(words,)`.
    """

    words: list[str]
    text: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    pieces: np.ndarray
    num_pieces: np.ndarray
    replaceable: np.ndarray

    @functools.cached_property
    def touching(self):
        """bool array `(words,)`: whether a letter or digit stands right beside the word."""
        solid = np.array([any(map(str.isalnum, word)) for word in self.words], bool)
        meets = (self.text[1:] == self.text[:-1]) & (self.ends[:-1] == self.starts[1:])
        meets &= solid[1:] & solid[:-1]
        return np.r_[meets, False] | np.r_[False, meets] if len(solid) else solid


def find_words(texts, vocabulary, stop_words, compat="paper"):
    """Cuts texts into words and marks those that may be replaced.

    That is a word of letters alone which is no stop word, whatever its case. With
    `compat="reference"` only the letters a to z count.

    Args:
        texts: list of str.
        vocabulary: `Vocabulary`.
        stop_words: collection of str, in lower case.
        compat: "paper" or "reference".

    Returns:
        `TextWords`.
    """
    found = [split_words(text) for text in texts]
    words = [word for part, _, _ in found for word in part]
    counts = [len(part) for part, _, _ in found]
    pieces, num_pieces = tokenize_words(words, vocabulary)
    is_word = re.compile("[a-z]+").fullmatch if compat == "reference" else str.isalpha
    allowed = {word: is_word(word) and word.lower() not in stop_words for word in {*words}}
    return TextWords(
        words=words,
        text=np.repeat(np.arange(len(texts), dtype=np.int32), counts),
        starts=np.concatenate([np.zeros(0, np.int32), *(starts for _, starts, _ in found)]),
        ends=np.concatenate([np.zeros(0, np.int32), *(ends for _, _, ends in found)]),
        pieces=pieces,
        num_pieces=num_pieces,
        replaceable=np.array([bool(allowed[word]) for word in words], bool) & (num_pieces > 0),
    )


def released_text(text):
    """A text as the released program varies it: in lower case, no accents, spaces between words."""
    decomposed = unicodedata.normalize("NFD", text.lower())
    kept = "".join(letter for letter in decomposed if unicodedata.category(letter) != "Mn")
    return " ".join(split_words(kept)[0])


def stands_alone(word):
    """Whether a word remains one among letters, as an ideograph or a punctuation mark does."""
    return split_words(f"x{word}x")[0][1:-1] == [word]


def read_stop_words(path=None):
    """Reads words that are never replaced, one a line.

    Args:
        path: str or path-like, or `None` for the function words of English, of this package.

    Returns:
        frozenset of str, in lower case.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not UTF-8.
    """
    words = read_text(pathlib.Path(path or _STOP_WORDS)).lower().split("\n")
    return frozenset(word.strip() for word in words) - {""}
