"""GloVe's word vectors, and the words that lie nearest to one another."""

import collections
import gzip
import itertools
import pathlib
import zlib

import numpy as np

from tinybert_tf.short_errors import short_errors

_MAX_ROWS = 100_000
_LONGEST_LINE = 2**20
_LINES_FOR_WIDTH = 100
_WORDS_AT_ONCE = 128


class GloveVectors:
    """Words and their vectors, made of unit length.

    Args:
        words: list of str. Of a word that comes twice the first counts.
        vectors: float array `(words, width)`.

    Raises:
        ValueError: If there are no words, or a number is not finite.

    Example:
        glove = GloveVectors.from_file("glove.6B.300d.txt")
        glove.neighbors(["film"], 2)  # [["movie", "films"]], in the order of the file

    Reference:
        Pennington et al. 2014.
    """

    def __init__(self, words, vectors):
        if not words or not np.isfinite(vectors).all():
            raise ValueError("Expected one word or more, each with a vector of finite numbers.")
        self.words = list(words)
        self._rows = {word: row for row, word in reversed([*enumerate(self.words)])}
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        self.vectors = (vectors / np.maximum(norms, 1e-12)).astype(np.float32)

    @classmethod
    @short_errors()
    def from_file(cls, path, max_rows=_MAX_ROWS):
        """Reads the first rows of a text file of GloVe: a word and its vector a line.

        Args:
            path: str or path-like, also compressed (`.gz`). A word may hold spaces: the vector is
                what comes last.
            max_rows: int, the most rows to read; the files have frequent words first.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is no such file or not whole; the line is named.
        """
        path = pathlib.Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"No file {path}.")
        words, vectors = [], []
        for word, vector in _rows(path, max_rows):
            words.append(word)
            vectors.append(vector)
        if not words:
            raise ValueError(f"{path} is empty, expected a word and its vector on each line.")
        return cls(words, np.stack(vectors))

    def neighbors(self, words, count):
        """Returns the words of the nearest vectors by cosine, without the word itself.

        Args:
            words: list of str; where one is not known as it is written, it is looked for in lower
                case.
            count: int, the most neighbours of a word.

        Returns:
            List of list of str, in the order of the file; none for a word that is not known.
        """
        rows = [self._rows.get(word, self._rows.get(word.lower(), -1)) for word in words]
        known = np.unique([row for row in rows if row >= 0]).astype(np.int64)
        parts = range(0, len(known), _WORDS_AT_ONCE)
        nearest = [self._nearest(known[s : s + _WORDS_AT_ONCE], count) for s in parts]
        found = dict(zip(known.tolist(), itertools.chain.from_iterable(nearest), strict=True))
        return [[self.words[near] for near in found.get(row, ())] for row in rows]

    def _nearest(self, rows, count):
        """Rows of the nearest vectors, int64 array `(rows, count)`, increasing."""
        count = min(count, len(self.words) - 1)
        cosines = self.vectors[rows] @ self.vectors.T
        cosines[np.arange(len(rows)), rows] = -np.inf
        if not count:
            return np.zeros((len(rows), 0), np.int64)
        return np.sort(np.argpartition(-cosines, count - 1, axis=1)[:, :count], axis=1)


def _rows(path, max_rows):
    """Yields the word and the vector of each line."""
    lines = enumerate(itertools.islice(_lines(path), max_rows), 1)
    head = [*itertools.islice(lines, _LINES_FOR_WIDTH)]
    # Most words hold no space, so that the first lines tell how long the vectors are.
    counts = collections.Counter(line.count(b" ") for _, line in head)
    width = counts.most_common(1)[0][0] if counts else 0
    for number, line in itertools.chain(head, lines):
        try:
            yield _row(line, width)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from error


def _lines(path):
    open_file = gzip.open if path.suffix == ".gz" else open
    try:
        with open_file(path, "rb") as file:
            while line := file.readline(_LONGEST_LINE):
                yield line.rstrip(b"\r\n ")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is not a whole gzip file: {error}.") from error


def _row(line, width):
    word, *numbers = line.rsplit(b" ", width) if width else [line]
    if len(numbers) < max(width, 1):
        raise ValueError(f"{len(numbers)} numbers, expected a word and {max(width, 1)}.")
    # "at name@domain.com" is a word, "the 0.418 0.25" is a longer vector.
    extra = word.split(b" ")[1:]
    if any(map(_is_number, extra)):
        raise ValueError(f"{width + len(extra)} numbers, expected {width} as in the other lines.")
    try:
        vector = np.array([*map(float, numbers)], np.float32)
    except ValueError:
        raise ValueError(f"expected a word and {width} numbers.") from None
    if not np.isfinite(vector).all():
        raise ValueError("a number is not finite.")
    return _decoded(word), vector


def _decoded(word):
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte 0x{word[error.start]:02x} is not UTF-8.") from error


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True
