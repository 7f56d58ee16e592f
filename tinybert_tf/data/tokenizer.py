"""Text to token ids in TensorFlow ops, so that it runs inside tf.data."""

import tensorflow as tf
import tensorflow_text

# Hugging Face's character classes, as RE2 writes them. U+166D, U+1734, U+1885 and U+1886 changed
# their class since the version of Unicode that Hugging Face follows.
SPACE = r"[\t\n\r\p{Z}]"
_REMOVED = r"[\p{C}\x{FFFD}]"
IDEOGRAPH = (
    r"[\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}\x{20000}-\x{2A6DF}"
    r"\x{2A700}-\x{2B81F}\x{2B920}-\x{2CEAF}\x{2F800}-\x{2FA1F}]"
)
_ACCENT = r"[^\P{Mn}\x{1885}\x{1886}]|\x{1734}"
PUNCTUATION = r"[!-/:-@\[-`{-~\p{P}\x{166D}]"
_MAX_WORD_CHARACTERS = 100


class BertTokenizer:
    """Splits text into the word-pieces of a BERT.

    Gives the tokens of Hugging Face's BERT tokenizer, except that a special token written out in
    the text, such as "[CLS]", is text like any other. A word of more than 100 characters is [UNK].

    Args:
        vocabulary: a `Vocabulary`; its `lower_case` decides whether case and accents are removed.

    Example:
        tokenizer = BertTokenizer(Vocabulary.from_file("bert-base-uncased/vocab.txt"))
        tokenizer.tokenize(["a fine film"])  # <tf.RaggedTensor [[1037, 2986, 2143]]>

    Reference:
        `BertNormalizer`, `BertPreTokenizer` and `WordPiece` of huggingface/tokenizers.

    Note:
        Equal for every character of Unicode 3.2 and for emoji. Of the letters, marks and signs of
        rare scripts added since, some are split or removed here and kept there, or the other way
        round.
    """

    def __init__(self, vocabulary):
        self.vocabulary = vocabulary
        self._word_pieces = tensorflow_text.FastWordpieceTokenizer(
            list(vocabulary.tokens),
            token_out_type=tf.int32,
            unknown_token="[UNK]",
            no_pretokenization=True,
            max_bytes_per_word=4 * _MAX_WORD_CHARACTERS,
        )

    def tokenize(self, texts):
        """Turns each text into ids, without special tokens.

        Args:
            texts: string tensor `(examples,)`, or a list of str. UTF-8.

        Returns:
            int32 `tf.RaggedTensor` `(examples, tokens)`.
        """
        words = tf.strings.split(self._spaced(tf.convert_to_tensor(texts, tf.string)))
        words = words.with_flat_values(_without_long_words(words.flat_values))
        return self._word_pieces.tokenize(words).merge_dims(1, 2)

    def encode(self, texts, text_pairs=None, *, max_length):
        """Turns each text into [CLS] text [SEP], or each pair into [CLS] text [SEP] pair [SEP].

        Tokens too many for `max_length` are cut from the end of the text, or of the longer one of
        a pair.

        Args:
            texts: string tensor `(examples,)`, or a list of str.
            text_pairs: the same, or `None`.
            max_length: int, the most tokens of an example, special tokens included.

        Returns:
            Two int32 `tf.RaggedTensor` `(examples, tokens)`: token ids, and segment ids (0 up to
            the first [SEP], 1 after it).

        Raises:
            ValueError: If `max_length` leaves no room for the special tokens and one token of each
                text.
        """
        least = 3 if text_pairs is None else 5
        if max_length < least:
            raise ValueError(f"`max_length` is {max_length}, expected {least} or more.")
        first = self.tokenize(texts)
        if text_pairs is None:
            ids = self._joined(first[:, : max_length - 2])
            return ids, tf.zeros_like(ids)
        first, second = _trimmed(first, self.tokenize(text_pairs), max_length - 3)
        first, second = self._joined(first), self._joined(second)[:, 1:]
        segments = tf.concat([tf.zeros_like(first), tf.ones_like(second)], axis=1)
        return tf.concat([first, second], axis=1), segments

    def _spaced(self, texts):
        """Normalises texts and puts a space on each side of whatever is a word of its own."""
        texts = tf.strings.regex_replace(texts, SPACE, " ")
        texts = tf.strings.regex_replace(texts, _REMOVED, "")
        texts = tf.strings.regex_replace(texts, IDEOGRAPH, r" \0 ")
        if self.vocabulary.lower_case:
            texts = tf.strings.regex_replace(
                tensorflow_text.normalize_utf8(texts, "NFD"), _ACCENT, ""
            )
            texts = _lower(texts)
        return tf.strings.regex_replace(texts, PUNCTUATION, r" \0 ")

    def _joined(self, ids):
        """Puts [CLS] before and [SEP] after each row."""
        column = tf.ones_like(ids.row_lengths(), tf.int32)[:, tf.newaxis]
        return tf.concat(
            [column * self.vocabulary.cls_id, ids, column * self.vocabulary.sep_id], axis=1
        )


def _lower(texts):
    # The op follows the language of the machine (a Turkish one has another small letter for I) and
    # the place in the word (a sigma at the end has a form of its own); BERT does neither.
    texts = tf.strings.regex_replace(tf.strings.regex_replace(texts, "I", "i"), "Σ", "σ")
    return tf.strings.lower(texts, encoding="utf-8")


def _without_long_words(words):
    too_long = tf.strings.length(words, unit="UTF8_CHAR") > _MAX_WORD_CHARACTERS
    return tf.where(too_long, "[UNK]", words)


def _trimmed(first, second, budget):
    """Cuts pairs to `budget` tokens: the longer to what the shorter leaves, or both to half."""
    first_length, second_length = first.row_lengths(), second.row_lengths()
    # Of an odd budget the longer text gets the token more; of two equally long, the second.
    half = tf.where(first_length > second_length, budget - budget // 2, budget // 2)
    half = tf.cast(half, tf.int64)
    first = _head(first, tf.maximum(half, budget - second_length))
    return first, _head(second, tf.maximum(budget - half, budget - first_length))


def _head(ids, lengths):
    """Keeps at most the first `lengths[i]` values of row i."""
    starts = ids.row_starts()
    positions = tf.ragged.range(starts, starts + tf.minimum(lengths, ids.row_lengths()))
    return positions.with_flat_values(tf.gather(ids.flat_values, positions.flat_values))
