"""A model that has only the word-pieces and the positions that its texts need."""

import pathlib
import unicodedata

import numpy as np
import tensorflow as tf

from tinybert_tf.data import BertTokenizer
from tinybert_tf.data.text_files import read_text
from tinybert_tf.models.vocabulary import SPECIAL_TOKENS

_ALWAYS_KEPT = {*SPECIAL_TOKENS, "[MASK]"}
_TOKENIZED_AT_ONCE = 16384


def trim_vocabulary(model, texts, min_count=1, dev_texts=None):
    """Makes a model without the word-pieces, and without their embeddings, that texts do not need.

    Kept are the special tokens; the pieces that the texts are made of; and, so that other words
    can still be spelled out, single characters, with and without ##: those of ASCII, punctuation
    marks, currency signs, and every character of the scripts that the texts are written in. They
    keep their order. A text whose pieces are all kept is split as before, unless it holds a word
    that the old vocabulary has no pieces for and the new one happens to have.

    Args:
        model: `BertEncoder` or any model on one, with a vocabulary; it stays as it is.
        texts: sequence of str, what the model will read, such as its training texts.
        min_count: int, how often a piece must occur in `texts` to be kept.
        dev_texts: sequence of str, other texts to tell the loss by, or `None`.

    Returns:
        A model of the same class, and a dict: `num_pieces` before, `num_kept`, `saved_weights`
        (numbers in the rows that went; of int8 each is a byte) and, with `dev_texts`, `dev`: see
        `compare_vocabularies`.

    Raises:
        ValueError: If the model has no vocabulary, there are no texts, or `min_count` is below 1.

    Example:
        small, report = trim_vocabulary(student, task("sst2").examples("train").texts)
    """
    _check(model, texts, min_count)
    before = model.vocabulary
    kept = _needed(before, texts, min_count)
    trimmed = _keep_rows(model, kept, _vocabulary_settings(before, kept))
    num_rows = model.config.vocabulary_size - len(kept)
    report = {
        "num_pieces": len(before),
        "num_kept": len(kept),
        "saved_weights": num_rows * model.config.hidden_dim,
    }
    if dev_texts is not None:
        report["dev"] = compare_vocabularies(before, trimmed.vocabulary, dev_texts)
    return trimmed, report


def trim_positions(model, max_length):
    """Makes a model for shorter texts, without the embeddings of positions that they never reach.

    Args:
        model: `BertEncoder` or any model on one; it stays as it is.
        max_length: int, the most tokens of a text, [CLS] and [SEP] included.

    Returns:
        A model of the same class that gives the same for texts of that length.

    Raises:
        ValueError: If the model has fewer positions, or a text would have no room.

    Example:
        trim_positions(student, 128)  # from 512: 384 rows less, which a file keeps in float32
    """
    positions = model.config.max_sequence_length
    if not 3 <= max_length <= positions:
        raise ValueError(f"`max_length` is {max_length}, expected 3 to the model's {positions}.")
    changes = {"config": {"max_sequence_length": max_length}}
    return _keep_rows(model, np.arange(max_length), changes)


def compare_vocabularies(before, after, texts):
    """How differently texts are split by a vocabulary and by a trimmed one.

    Args:
        before: `Vocabulary`.
        after: `Vocabulary` of some of its tokens.
        texts: sequence of str.

    Returns:
        Dict of floats from 0 to 1: `same_texts`, the share of texts that are split the same;
        `lost_pieces`, the share of the pieces of the texts that the trimmed vocabulary lacks;
        `unknown_before` and `unknown_after`, the shares of pieces that are [UNK].
    """
    old, new = _tokenize(before, texts), _tokenize(after, texts)
    places = {token: place for place, token in enumerate(before.tokens)}
    old_ids = np.array([places[token] for token in after.tokens])
    same = [
        np.array_equal(one, old_ids[other])
        for one, other in zip(_rows(old), _rows(new), strict=True)
    ]
    pieces, new_pieces = (parts.flat_values.numpy() for parts in (old, new))
    return {
        "same_texts": _share(same),
        "lost_pieces": _share(~np.isin(pieces, old_ids)),
        "unknown_before": _share(pieces == before.unknown_id),
        "unknown_after": _share(new_pieces == after.unknown_id),
    }


def corpus_texts(source, task=None):
    """The texts that a vocabulary is to be trimmed to.

    Args:
        source: str or path-like, a UTF-8 file with one text a line, which may be compressed (.gz);
            or "task", the training texts of `task`.
        task: `Task`, needed for "task" only.

    Returns:
        List of str.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line is not UTF-8, or there is no task.
    """
    if source != "task":
        return [line for line in read_text(pathlib.Path(source)).splitlines() if line.strip()]
    if task is None:
        raise ValueError('The texts of "task" are asked for, but no task is given.')
    return examples_texts(task.examples("train"))


def examples_texts(examples):
    """The texts of `Examples`, the second texts of pairs behind them; list of str."""
    return [*examples.texts, *(examples.text_pairs or ())]


def _check(model, texts, min_count):
    if model.vocabulary is None:
        raise ValueError("The model has no vocabulary to trim. Put vocab.txt into its folder.")
    if not len(texts):
        raise ValueError("There are no texts to trim the vocabulary to; expected one or more.")
    if min_count < 1:
        raise ValueError(f"`min_count` is {min_count}, expected 1 or more.")


def _needed(vocabulary, texts, min_count):
    """Ids to keep, in their order: int array."""
    counts = np.bincount(_tokenize(vocabulary, texts).flat_values, minlength=len(vocabulary))
    families = {_family(character) for character in set().union(*texts)}
    is_kept = [
        count >= min_count or token in _ALWAYS_KEPT or _is_spelling(token, families)
        for token, count in zip(vocabulary.tokens, counts, strict=True)
    ]
    return np.flatnonzero(is_kept)


def _is_spelling(token, families):
    """Whether a token is one character that words of these families may have to be spelled with."""
    character = token[2:] if token.startswith("##") and len(token) == 3 else token
    if len(character) != 1:
        return False
    kind = unicodedata.category(character)
    return character.isascii() or kind[0] == "P" or kind == "Sc" or _family(character) in families


def _family(character):
    """The first word of a character's name in Unicode: its script, if it is a letter."""
    return unicodedata.name(character, character).split(" ")[0]


def _vocabulary_settings(vocabulary, kept):
    tokens = [vocabulary.tokens[index] for index in kept]
    return {"config": {"vocabulary_size": len(kept)}, "vocabulary": {"tokens": tokens}}


def _keep_rows(model, kept, changes):
    """A model of the same class with some rows of the weights that `changes` make shorter."""
    settings = model.get_config()
    for name, values in changes.items():
        settings[name] |= values
    trimmed = type(model).from_config(settings)
    for old, new in zip(model.weights, trimmed.weights, strict=True):
        value = old.numpy()
        new.assign(value if old.shape == new.shape else value[kept])
    return trimmed


def _tokenize(vocabulary, texts):
    tokenizer = BertTokenizer(vocabulary)
    starts = range(0, len(texts), _TOKENIZED_AT_ONCE)
    with tf.device("CPU"):
        parts = [tokenizer.tokenize(texts[start : start + _TOKENIZED_AT_ONCE]) for start in starts]
        return tf.concat(parts, axis=0)


def _rows(ragged):
    return np.split(ragged.flat_values.numpy(), ragged.row_splits.numpy()[1:-1])


def _share(held):
    return float(np.mean(held)) if len(held) else 0.0
