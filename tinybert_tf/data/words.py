"""Words of a text, where they stand in it, and their word-pieces."""

import functools
import re
import sys

import numpy as np
import tensorflow as tf

from tinybert_tf.data.tokenizer import IDEOGRAPH, PUNCTUATION, SPACE, BertTokenizer

_TOKENIZED_AT_ONCE = 16384


def split_words(text):
    """Cuts a text where a BERT's tokenizer does before it looks for word-pieces.

    That is at white space and on both sides of every punctuation mark and CJK ideograph, so the
    word-pieces of the words, one after another, are those of the text.

    Args:
        text: str.

    Returns:
        The words, list of str, and two int32 arrays `(words,)`: the first character of each in
        `text`, and the one after its last.

    Example:
        split_words("It's 5 o'clock.")[0]  # ["It", "'", "s", "5", "o", "'", "clock", "."]
    """
    matches = [*_word_pattern().finditer(text)]
    spans = np.array([match.span() for match in matches], np.int32).reshape(-1, 2)
    return [match.group() for match in matches], spans[:, 0], spans[:, 1]


def tokenize_words(words, vocabulary):
    """Turns words into word-pieces; looks each distinct word up once.

    Args:
        words: list of str.
        vocabulary: `Vocabulary`.

    Returns:
        int32 array `(pieces,)`: ids of the pieces of all words, one after another; and int64 array
        `(words,)`: the number of pieces of each, 0 where a word holds but invisible characters.
    """
    index = {}
    numbers = np.array([index.setdefault(word, len(index)) for word in words], np.int64)
    distinct, tokenizer = list(index), BertTokenizer(vocabulary)
    with tf.device("CPU"):
        parts = [
            tokenizer.tokenize(distinct[start : start + _TOKENIZED_AT_ONCE])
            for start in range(0, max(len(distinct), 1), _TOKENIZED_AT_ONCE)
        ]
        pieces = tf.gather(tf.concat(parts, axis=0), numbers)
        return pieces.flat_values.numpy(), pieces.row_lengths().numpy()


@functools.cache
def _word_pattern():
    """Returns the compiled expression that matches a word: one character alone, or many."""
    # RE2 is asked what each character is, because Python may know another version of Unicode.
    surrogates = range(0xD800, 0xE000)
    codes = np.array([code for code in range(sys.maxunicode + 1) if code not in surrogates])
    with tf.device("CPU"):
        characters = tf.constant([*map(chr, codes)])
        space, alone = (
            _character_ranges(codes[tf.strings.regex_full_match(characters, kind).numpy()])
            for kind in (SPACE, f"{IDEOGRAPH}|{PUNCTUATION}")
        )
    return re.compile(f"[{alone}]|[^{alone}{space}]+")


def _character_ranges(codes):
    """Returns increasing character codes as the inside of a character class."""
    runs = np.split(codes, np.flatnonzero(np.diff(codes) > 1) + 1)
    return "".join(rf"\U{run[0]:08x}-\U{run[-1]:08x}" for run in runs)
