"""What may stand in the place of each word of some texts: found once, kept in a file."""

import dataclasses
import functools
import hashlib
import itertools
import json
import pathlib
import time

import keras
import numpy as np

from tinybert_tf.atomic import atomic_file, remove, settle
from tinybert_tf.augmentation.masked_lm_candidates import (
    MaskedWords,
    compute_top_tokens,
    is_word,
)
from tinybert_tf.augmentation.packed_strings import pack_strings, unpack_strings
from tinybert_tf.augmentation.text_words import find_words, read_stop_words, stands_alone
from tinybert_tf.checkpoints.weight_files import read_safetensors, write_safetensors
from tinybert_tf.short_errors import shortened

COMPATS = ("paper", "reference")
_FORMAT = 2  # of 1, batches had rows of several lengths
_SECONDS_BETWEEN_SAVES = 60


@dataclasses.dataclass(frozen=True)
class Candidates:
    """The words of distinct texts that may be replaced, and by what.

    Args:
        texts: list of str.
        num_words: int32 array `(texts,)`, the words in each, replaceable or not.
        word_splits: int64 array `(texts + 1,)`: those of text t are the replaceable words
            `word_splits[t]` to `word_splits[t + 1] - 1`.
        starts: int32 array `(words,)`, the first character of each word in its text.
        ends: int32 array `(words,)`, the character after its last.
        word_ids: int32 array `(words,)`, the word itself, as an index into `strings`.
        option_splits: int64 array `(words + 1,)`, as `word_splits`; a word has an option or more.
        options: int32 array `(options,)`, indices into `strings`.
        strings: list of str, distinct.
        key: str, hash of all that they were made of.
    """

    texts: list[str]
    num_words: np.ndarray
    word_splits: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    word_ids: np.ndarray
    option_splits: np.ndarray
    options: np.ndarray
    strings: list[str]
    key: str = ""

    def index_of(self, texts):
        """Returns where each text stands in `texts`, int64 array.

        Raises:
            ValueError: If one does not.
        """
        missing = next((text for text in texts if text not in self._places), None)
        if missing is not None:
            raise ValueError(
                shortened(f"There are no candidates for the text {missing!r}; make them of it.")
            )
        return np.array([self._places[text] for text in texts], np.int64)

    @functools.cached_property
    def _places(self):
        return {text: place for place, text in enumerate(self.texts)}

    def words_of(self, index):
        """Yields each replaceable word of a text: its index, start, end and options' indices."""
        for word in range(*self.word_splits[index : index + 2]):
            options = self.options[slice(*self.option_splits[word : word + 2])].tolist()
            yield word, int(self.starts[word]), int(self.ends[word]), options

    def save(self, path):
        """Writes them as one safetensors file; whole or not at all."""
        tensors = {}
        for name in _names():
            value = getattr(self, name)
            if isinstance(value, np.ndarray):
                tensors[name] = value
            else:
                tensors |= pack_strings(name, [value] if name == "key" else value)
        _write(path, tensors)

    @classmethod
    def load(cls, path):
        """Reads what `save` wrote.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is damaged or holds something else.
        """
        tensors = _read(path)
        try:
            columns = {name: unpack_strings(name, tensors) for name in ("texts", "strings", "key")}
            columns["key"] = "".join(columns["key"])
            arrays = {name: tensors[name] for name in _names() if name not in columns}
            made = cls(**columns, **arrays)
            made._check()
        except (KeyError, ValueError, IndexError) as error:
            raise ValueError(f"{path} holds no candidates of augmentation: {error}.") from error
        return made

    def _check(self):
        """Raises ValueError if an index leads nowhere."""
        words, strings = len(self.starts), len(self.strings)
        sizes = np.array([*map(len, self.texts)])
        parts = _are_splits(self.word_splits, len(self.texts), words)
        parts &= _are_splits(self.option_splits, words, len(self.options))
        if not parts or not (len(self.ends) == len(self.word_ids) == words):
            raise ValueError("its parts do not fit together")
        ids = np.r_[self.options, self.word_ids, 0]
        text_sizes = np.repeat(sizes, np.diff(self.word_splits))
        inside = (self.starts >= 0) & (self.starts < self.ends) & (self.ends <= text_sizes)
        if not inside.all() or ids.min() < 0 or ids.max() >= max(strings, 1):
            raise ValueError("an index leads outside")
        if (np.diff(self.option_splits) < 1).any() or len(self.num_words) != len(self.texts):
            raise ValueError("a word or text has nothing")


def make_candidates(
    texts,
    masked_lm,
    glove=None,
    *,
    path=None,
    overwrite=False,
    stop_words=None,
    count=15,
    compat="paper",
    max_length=None,
    on_progress=None,
):
    """Finds what may stand in the place of each word of some texts.

    A word of one word-piece gets the masked LM's most likely tokens in its place, a word of several
    the nearest words by their vectors; where there are none, the word itself is its only option. A
    word like "Film" gets options like "Movie". A word that touches another, as ideographs do, gets
    only options that remain a word there.

    Args:
        texts: iterable of str; each distinct one is worked on once.
        masked_lm: `BertMaskedLM` with a vocabulary that holds [MASK].
        glove: `GloveVectors`, or `None`: words of several word-pieces stay as they are.
        path: str or path-like, a file to keep the candidates in, or `None`. If it was made of the
            same they are read from it; while they are found, what is known stands beside it every
            minute, so that a run that was stopped goes on.
        overwrite: bool, whether a file that was made of something else is replaced.
        stop_words: collection of str in lower case that are never replaced; `None` for English's.
        count: int, the most candidates of a word.
        compat: "paper", or "reference": only words of a to z, and special tokens may be candidates,
            as in the released program.
        max_length: int, the most tokens of an input; by default what the model takes.
        on_progress: function of two ints, called after each batch: how many are done, and how many
            there are.

    Returns:
        `Candidates`.

    Raises:
        FileExistsError: If the file, or what stands beside it, was made of something else and shall
            not be overwritten.
        ValueError: If the model is no masked LM or its vocabulary lacks [MASK], if the vectors know
            none of the words that they are asked for, or if `count`, `compat` or `max_length`
            cannot be.

    Note:
        The paper's algorithm 1 masks the word without the original sentence beside it, and anew for
        each sentence; the released program, whose results the paper reports, does what is done
        here.
    """
    max_length = _checked_length(masked_lm, max_length, count, compat)
    stop_words = read_stop_words() if stop_words is None else stop_words
    texts, vocabulary = list(dict.fromkeys(texts)), masked_lm.vocabulary
    settings = [_FORMAT, count, compat, max_length, sorted(stop_words)]
    key = _key(texts, masked_lm, glove, settings)
    kept = path and _kept(pathlib.Path(path), key, overwrite)
    if kept:
        return kept
    words = find_words(texts, vocabulary, stop_words, compat)
    asked = np.flatnonzero(words.replaceable & (words.num_pieces == 1))
    rows = MaskedWords(words, asked, vocabulary, max_length)
    partial = path and _partial(path)
    top = _TopTokens(key, len(asked), min(count, len(vocabulary)), partial, overwrite)
    options = _Options(words, vocabulary, keep_special=compat == "reference")
    options.add_neighbors(glove, count)  # first: vectors of another language are found out at once
    top.fill(masked_lm, rows, on_progress or (lambda done, count: None))
    options.add_tokens(asked, top.tokens)
    found = options.collected(texts, key)
    if path:
        found.save(path)
        remove(partial)
    return found


class _TopTokens:
    """The most likely tokens of each word asked for, kept on disk while they are found.

    Args:
        key: str, hash of all that decides them.
        num_rows: int.
        count: int, tokens of a row.
        path: `pathlib.Path` or `None`.
        overwrite: bool, whether a file of another key is replaced.
    """

    def __init__(self, key, num_rows, count, path, overwrite):
        self.tokens, self._done = np.zeros((num_rows, count), np.int32), 0
        self._key, self._path = key, path
        if path and path.is_file():
            self._continue(_read(path), overwrite)

    def _continue(self, tensors, overwrite):
        found = unpack_strings("key", tensors) if "key" in tensors else []
        if _is_of_key(self._path, found, [self._key], overwrite):
            self.tokens, self._done = tensors["tokens"].copy(), int(tensors["done"][0])

    def fill(self, masked_lm, rows, on_progress):
        """Computes the batches that are missing."""
        saved, count = time.monotonic(), self.tokens.shape[1]
        for numbers, top in compute_top_tokens(masked_lm, rows, count, self._done):
            self.tokens[numbers], self._done = top, self._done + 1
            if self._path and time.monotonic() - saved >= _SECONDS_BETWEEN_SAVES:
                self._save()
                saved = time.monotonic()
            on_progress(self._done, rows.num_batches)

    def _save(self):
        done = np.array([self._done])
        _write(self._path, {"tokens": self.tokens, "done": done} | pack_strings("key", [self._key]))


class _Options:
    """Collects the options of words.

    Args:
        words: `TextWords`.
        vocabulary: `Vocabulary`.
        keep_special: bool, whether special tokens count.
    """

    def __init__(self, words, vocabulary, keep_special):
        self._words, self._tokens = words, vocabulary.tokens
        self._allowed = is_word(vocabulary, keep_special)
        self._ids, self._of_word = {}, {}
        self._titles = [word.istitle() for word in words.words]

    def add_tokens(self, asked, top):
        """Adds a masked LM's tokens, sorted, so that the order of near-equal ones is no matter."""
        for word, tokens in zip(asked, np.sort(top, axis=1), strict=True):
            self._add(word, [self._tokens[token] for token in tokens[self._allowed[tokens]]])

    def add_neighbors(self, glove, count):
        """Adds the nearest words of those of several word-pieces."""
        asked = np.flatnonzero(self._words.replaceable & (self._words.num_pieces > 1))
        distinct = list(dict.fromkeys(self._words.words[word] for word in asked))
        found = [[] for _ in distinct] if glove is None else glove.neighbors(distinct, count)
        if glove is not None and distinct and not any(found):
            raise ValueError(
                f"The word vectors know none of the {len(distinct)} words of several word-pieces, "
                f'such as "{distinct[0]}". Give vectors of the language of the texts, or none.'
            )
        neighbors = dict(zip(distinct, found, strict=True))
        for word in asked:
            self._add(word, neighbors[self._words.words[word]])

    def _add(self, word, options):
        if self._words.touching[word]:
            options = [option for option in options if stands_alone(option)]
        if self._titles[word]:
            options = [option[:1].upper() + option[1:] for option in options]
        own = self._words.words[word]
        self._of_word[word] = [self._id(option) for option in options] or [self._id(own)]

    def _id(self, string):
        return self._ids.setdefault(string, len(self._ids))

    def collected(self, texts, key):
        """Returns the `Candidates` of the texts, which the words are of."""
        words = self._words
        order = np.array(sorted(self._of_word), np.int64)
        options = [self._of_word[word] for word in order]
        per_text = np.bincount(words.text[order], minlength=len(texts))
        return Candidates(
            texts=texts,
            num_words=np.bincount(words.text, minlength=len(texts)).astype(np.int32),
            word_splits=_splits(per_text),
            starts=words.starts[order],
            ends=words.ends[order],
            word_ids=np.array([self._id(words.words[word]) for word in order], np.int32),
            option_splits=_splits([*map(len, options)]),
            options=np.array([*itertools.chain.from_iterable(options)], np.int32),
            strings=list(self._ids),
            key=key,
        )


def _checked_length(masked_lm, max_length, count, compat):
    """The most tokens of an input; raises ValueError for what cannot work."""
    if getattr(masked_lm, "problem", None) != "masked_lm":
        raise ValueError(
            f"The model is a {type(masked_lm).__name__} without a masked-LM head, so it cannot "
            "guess words. Take a pre-trained BERT that has kept its head, or adapt one with "
            "adapt-mlm."
        )
    if masked_lm.vocabulary is None or "[MASK]" not in masked_lm.vocabulary.tokens:
        raise ValueError("The masked LM has no vocabulary with the token [MASK].")
    if count < 1:
        raise ValueError(f"`count` is {count}, expected 1 candidate or more.")
    if compat not in COMPATS:
        raise ValueError(f'`compat` is "{compat}", expected {" or ".join(COMPATS)}.')
    longest = masked_lm.config.max_sequence_length
    if not 5 <= (max_length or longest) <= longest:
        raise ValueError(f"`max_length` is {max_length}, expected 5 to the model's {longest}.")
    return max_length or longest


def _kept(path, key, overwrite):
    """The candidates in a file, or `None`; what a kill has left beside the file is cleared away."""
    settle(path)
    settle(_partial(path))
    found = Candidates.load(path) if path.is_file() else None
    if found is None or not _is_of_key(path, found.key, key, overwrite):
        return None
    remove(_partial(path))
    return found


def _partial(path):
    return pathlib.Path(f"{path}.partial")


def _is_of_key(path, found, key, overwrite):
    """Whether a file is of a key; raises FileExistsError if it is not and shall stay."""
    if found != key and not overwrite:
        raise FileExistsError(
            f"{path} holds candidates of other texts, models or settings. Choose another file, or "
            "replace it with --overwrite (in Python `overwrite=True`)."
        )
    return found == key


def _key(texts, masked_lm, glove, settings):
    """Hash of everything that decides the candidates."""
    policy = keras.dtype_policies.serialize(masked_lm.dtype_policy)
    parts = [settings, texts, masked_lm.vocabulary.tokens, masked_lm.vocabulary.lower_case]
    parts += [dataclasses.asdict(masked_lm.config), policy, glove and glove.words]
    digest = hashlib.blake2b(json.dumps(parts).encode(), digest_size=16)
    arrays = [weight.numpy() for weight in masked_lm.weights]
    for array in [*arrays, glove.vectors] if glove else arrays:
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return digest.hexdigest()


def _names():
    return [field.name for field in dataclasses.fields(Candidates)]


def _splits(counts):
    return np.r_[0, np.cumsum(np.asarray(counts, np.int64))].astype(np.int64)


def _are_splits(splits, count, end):
    return (
        splits.shape == (count + 1,)
        and splits[0] == 0
        and splits[-1] == end
        and (np.diff(splits) >= 0).all()
    )


def _write(path, tensors):
    with atomic_file(path) as temporary:
        write_safetensors(tensors, temporary, {})


def _read(path):
    try:
        return read_safetensors(pathlib.Path(path))
    except FileNotFoundError:
        raise FileNotFoundError(f"No file {path}.") from None
