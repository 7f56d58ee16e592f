"""A prepared corpus: documents as token ids, in shards of TFRecords.

A corpus is a folder of `corpus.json`, `vocab.txt` and one `shard_*.tfrecord` or more; what lies in
`shard_notes` tells what each was made from, and is not needed to read them. A record is a document:
the number of its sentences as uint32, the number of tokens of each, then the ids of all, without
special tokens, little-endian. Sizes and ids are uint16 where the vocabulary has no more than
65,536 tokens, else uint32.
"""

import collections
import contextlib
import dataclasses
import json
import os
import pathlib
import socket

import numpy as np
import tensorflow as tf

from tinybert_tf.atomic import atomic_file
from tinybert_tf.models import Vocabulary

MAX_SENTENCE_TOKENS = 512  # a longer sentence is cut there

_FORMAT = 1  # another layout of the shards, another number
_NUM_SENTENCES = np.dtype("<u4")
_RECORDS_AT_ONCE = 1024
_TOKENS_PER_SEQUENCE = 125  # of 128, beside [CLS] and twice [SEP]
_MAKE_AGAIN = "Make the corpus again: the same prepare-corpus command with --overwrite."


@dataclasses.dataclass(frozen=True)
class Shard:
    """The documents of a shard, one after the other.

    Args:
        ids: uint16 or uint32 array `(tokens,)`.
        sentence_lengths: int32 array `(sentences,)`, in tokens; none is 0.
        document_sizes: int32 array `(documents,)`, in sentences; none is 0.
    """

    ids: np.ndarray
    sentence_lengths: np.ndarray
    document_sizes: np.ndarray


@dataclasses.dataclass(frozen=True)
class ShardSize:
    """How much a shard holds.

    Args:
        documents: int.
        sentences: int.
        tokens: int.
        bytes: int, of the file.
    """

    documents: int
    sentences: int
    tokens: int
    bytes: int


class CorpusShards:
    """A corpus that `prepare-corpus` has made.

    Args:
        folder: str or path-like.

    Attributes:
        vocabulary: `Vocabulary` of the ids.
        dtype: NumPy dtype of the ids on disk.
        paths: list of `pathlib.Path`, the shards.
        sizes: list of `ShardSize`, one a shard.

    Raises:
        FileNotFoundError: If the folder holds no finished corpus.
        ValueError: If `corpus.json` or `vocab.txt` is not what `write_corpus` writes.

    Example:
        corpus = CorpusShards("corpus")
        shard = corpus.read(0)
        first_sentence = shard.ids[: shard.sentence_lengths[0]]
    """

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        values = _read_description(folder / "corpus.json")
        self.vocabulary = Vocabulary.from_file(folder / "vocab.txt", values["lower_case"])
        self.dtype = id_dtype(len(self.vocabulary))
        self.paths = [folder / name for name in values["shards"]]
        self.sizes = [ShardSize(**size) for size in values["shards"].values()]

    @property
    def num_shards(self):
        """Number of shards."""
        return len(self.sizes)

    @property
    def num_documents(self):
        """Number of documents in all shards."""
        return sum(size.documents for size in self.sizes)

    @property
    def num_sentences(self):
        """Number of sentences in all shards."""
        return sum(size.sentences for size in self.sizes)

    @property
    def num_tokens(self):
        """Number of tokens in all shards."""
        return sum(size.tokens for size in self.sizes)

    def read(self, index):
        """Reads a shard.

        Args:
            index: int, which, from 0.

        Returns:
            A `Shard`.

        Raises:
            FileNotFoundError: If the shard is not there.
            ValueError: If it is not the one that `corpus.json` tells of, or damaged.
        """
        path, size = self.paths[index], self.sizes[index]
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is missing. The same prepare-corpus command makes it again."
            )
        if path.stat().st_size != size.bytes:
            raise ValueError(
                f"{path} has {path.stat().st_size} bytes, expected {size.bytes} as corpus.json "
                "tells. The same prepare-corpus command makes it again."
            )
        shard = _read_shard(path, self.dtype)
        found = size_of(shard, size.bytes)
        if found != size or shard.ids.max(initial=0) >= len(self.vocabulary):
            raise ValueError(
                f"{path} does not fit corpus.json and vocab.txt: it holds {found}, expected {size} "
                f"and ids below {len(self.vocabulary)}. {_MAKE_AGAIN}"
            )
        return shard


def describe_corpus(folder):
    """Looks at a corpus, every record of it.

    Args:
        folder: str or path-like.

    Returns:
        Dict: `format`; how much the corpus holds, `bytes_per_sequence` (of 128 tokens, three of
        them special), its vocabulary's `vocabulary_tokens` and `lower_case`; `files`, bytes by
        name; and `damage`, what is wrong with its shards, or `None`.

    Raises:
        FileNotFoundError, ValueError: As `CorpusShards`.
    """
    corpus = CorpusShards(folder)
    num_bytes = sum(size.bytes for size in corpus.sizes)
    return {
        "path": str(folder),
        "format": "corpus",
        "shards": corpus.num_shards,
        "documents": corpus.num_documents,
        "sentences": corpus.num_sentences,
        "tokens": corpus.num_tokens,
        "tokens_per_document": corpus.num_tokens / corpus.num_documents,
        "bytes": num_bytes,
        "bytes_per_sequence": num_bytes / (corpus.num_tokens / _TOKENS_PER_SEQUENCE),
        "id_dtype": corpus.dtype.name,
        "vocabulary_tokens": len(corpus.vocabulary),
        "lower_case": corpus.vocabulary.lower_case,
        "files": {path.name: path.stat().st_size for path in corpus.paths if path.is_file()},
        "damage": " ".join(_damages(corpus)) or None,
    }


def _damages(corpus):
    for index in range(corpus.num_shards):
        try:
            corpus.read(index)
        except (OSError, ValueError) as error:
            yield str(error)


def id_dtype(vocabulary_size):
    """The little-endian NumPy dtype that holds the ids of so many tokens."""
    return np.dtype("<u2" if vocabulary_size <= 2**16 else "<u4")


def shard_name(index):
    """The file name of a shard."""
    return f"shard_{index:05d}.tfrecord"


def write_shard(path, documents, dtype):
    """Writes documents as a shard, whole or not at all.

    Args:
        path: path-like, the file to write.
        documents: iterable of documents, each a list of int arrays `(tokens,)`, one a sentence; at
            least one sentence a document and one token a sentence.
        dtype: NumPy dtype of the ids, see `id_dtype`.

    Raises:
        OSError: If the disk is full, or the file cannot be written for another reason.
    """
    with written_file(path) as temporary, tf.io.TFRecordWriter(str(temporary)) as writer:
        for document in documents:
            writer.write(_record(document, dtype))


@contextlib.contextmanager
def written_file(path):
    """As `atomic_file`, for several processes that may write the same file at the same time.

    Each writes under a name of its own, which `tinybert_tf.atomic.leftovers` finds if it is killed.
    An `OSError` names the file and says that whole ones are kept.
    """
    path = pathlib.Path(path).resolve()
    own = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}.new")
    advice = "; what is whole is kept, and the same command goes on when there is room"
    try:
        with atomic_file(own) as temporary:
            yield temporary
        os.replace(own, path)
    except tf.errors.OpError as error:
        raise OSError(f"{path} cannot be written: {error.message}{advice}.") from error
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, f"{error.strerror}{advice}", str(path)) from error


def size_of(shard, num_bytes):
    """The `ShardSize` of a `Shard` whose file has so many bytes."""
    counts = (shard.document_sizes, shard.sentence_lengths, shard.ids)
    return ShardSize(*map(len, counts), num_bytes)


def write_corpus(folder, vocabulary, sizes):
    """Writes what makes a folder of shards a corpus: `vocab.txt`, and `corpus.json` last.

    Args:
        folder: path-like, where the shards lie.
        vocabulary: `Vocabulary` of their ids.
        sizes: mapping of a shard's file name to its `ShardSize`.
    """
    folder = pathlib.Path(folder)
    with written_file(folder / "vocab.txt") as temporary:
        temporary.write_text(vocabulary.to_text(), encoding="utf-8", newline="\n")
    values = {
        "format": _FORMAT,
        "id_dtype": id_dtype(len(vocabulary)).name,
        "lower_case": vocabulary.lower_case,
        "max_sentence_tokens": MAX_SENTENCE_TOKENS,
        "shards": {name: dataclasses.asdict(size) for name, size in sizes.items()},
    }
    with written_file(folder / "corpus.json") as temporary:
        temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def _record(sentences, dtype):
    lengths = np.array([len(sentence) for sentence in sentences], dtype)
    ids = np.concatenate(sentences).astype(dtype, copy=False)
    return np.array(len(sentences), _NUM_SENTENCES).tobytes() + lengths.tobytes() + ids.tobytes()


def _read_shard(path, dtype):
    columns = collections.defaultdict(list)
    for number, record in enumerate(_records(path), 1):
        try:
            lengths, ids = _parse(record, dtype)
        except ValueError as error:
            raise ValueError(f"{path}, document {number}: {error}") from error
        columns["sizes"].append(len(lengths))
        columns["lengths"].append(lengths)
        columns["ids"].append(ids)
    empty = [np.empty(0, dtype)]
    return Shard(
        np.concatenate(columns["ids"] or empty),
        np.concatenate(columns["lengths"] or empty).astype(np.int32),
        np.array(columns["sizes"], np.int32),
    )


def _records(path):
    """Yields the content of each record of a file; TensorFlow compares their checksums."""
    with tf.device("CPU"):
        try:
            for batch in tf.data.TFRecordDataset(str(path)).batch(_RECORDS_AT_ONCE):
                yield from batch.numpy()
        except tf.errors.DataLossError as error:
            raise ValueError(f"{path} is damaged: {error.message}. {_MAKE_AGAIN}") from error


def _parse(record, dtype):
    """The sentence lengths and the ids of a document; raises ValueError if they do not fit."""
    start = _NUM_SENTENCES.itemsize
    if len(record) < start:
        raise ValueError(f"{len(record)} bytes, expected {start} or more.")
    num_sentences = int(np.frombuffer(record, _NUM_SENTENCES, 1)[0])
    end = start + num_sentences * dtype.itemsize
    if not 0 < num_sentences <= (len(record) - start) // dtype.itemsize:
        raise ValueError(f"{num_sentences} sentences in {len(record)} bytes.")
    lengths = np.frombuffer(record, dtype, num_sentences, start)
    num_tokens = int(lengths.sum(dtype=np.int64))
    if len(record) - end != num_tokens * dtype.itemsize or not lengths.all():
        raise ValueError(f"{len(record) - end} bytes of ids for {num_tokens} tokens.")
    return lengths, np.frombuffer(record, dtype, num_tokens, end)


def _read_description(path):
    """What `corpus.json` holds, checked."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path.parent} holds no corpus.json, so it is no corpus or not a finished one. Make "
            "one, or let it go on, with prepare-corpus."
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        _check_description(values)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} is not what prepare-corpus writes: {error!r}.") from error
    return values


def _check_description(values):
    if values["format"] != _FORMAT:
        raise ValueError(f"format {values['format']!r}, expected {_FORMAT}")
    if not isinstance(values["lower_case"], bool):
        raise TypeError(f"lower_case {values['lower_case']!r}")
    if not values["shards"]:
        raise ValueError("no shards")
    for index, (name, size) in enumerate(values["shards"].items()):
        counts = dataclasses.astuple(ShardSize(**size))
        if pathlib.PurePath(name).name != name or not name.endswith(".tfrecord"):
            raise ValueError(f"shard {index} is called {name!r}")
        if not all(type(count) is int and count > 0 for count in counts):
            raise ValueError(f"{name} has sizes {counts}")
