import json
import os
import resource
import struct

import numpy as np
import pytest
import tensorflow as tf

from tinybert_tf.atomic import leftovers
from tinybert_tf.corpus import CorpusShards, ShardSize, write_corpus, write_shard
from tinybert_tf.corpus.shards import describe_corpus, id_dtype, written_file
from tinybert_tf.models import Vocabulary

DOCUMENTS = [[[5, 6, 7], [4]], [[9] * 512], [[1, 2], [3], [8, 8]]]
VOCABULARY = Vocabulary(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdef"))


def as_arrays(documents):
    return [[np.array(sentence) for sentence in document] for document in documents]


def write(folder, shards, vocabulary=VOCABULARY):
    """Writes a corpus; returns its folder."""
    sizes = {}
    for index, documents in enumerate(shards):
        path = folder / f"shard_{index:05d}.tfrecord"
        write_shard(path, as_arrays(documents), id_dtype(len(vocabulary)))
        sentences = [sentence for document in documents for sentence in document]
        sizes[path.name] = ShardSize(
            len(documents), len(sentences), sum(map(len, sentences)), path.stat().st_size
        )
    write_corpus(folder, vocabulary, sizes)
    return folder


def documents_of(shard):
    """A shard as lists, told without NumPy's cumulative sums."""
    ids, lengths = iter(shard.ids.tolist()), iter(shard.sentence_lengths.tolist())
    return [
        [[next(ids) for _ in range(next(lengths))] for _ in range(size)]
        for size in shard.document_sizes.tolist()
    ]


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_what_is_written_is_read(tmp_path):
    corpus = CorpusShards(write(tmp_path, [DOCUMENTS, DOCUMENTS[:1]]))
    assert documents_of(corpus.read(0)) == DOCUMENTS
    assert documents_of(corpus.read(1)) == DOCUMENTS[:1]


def test_types_of_a_shard(tmp_path):
    shard = CorpusShards(write(tmp_path, [DOCUMENTS])).read(0)
    assert (shard.ids.dtype, shard.sentence_lengths.dtype) == (np.uint16, np.int32)
    assert shard.document_sizes.dtype == np.int32


def test_sizes(tmp_path):
    corpus = CorpusShards(write(tmp_path, [DOCUMENTS, DOCUMENTS[:1]]))
    assert (corpus.num_shards, corpus.num_documents) == (2, 4)
    assert (corpus.num_sentences, corpus.num_tokens) == (8, 525)
    assert corpus.sizes[1].bytes == (tmp_path / "shard_00001.tfrecord").stat().st_size


def test_the_vocabulary_comes_along(tmp_path):
    vocabulary = Vocabulary(VOCABULARY.tokens, lower_case=False)
    assert CorpusShards(write(tmp_path, [DOCUMENTS], vocabulary)).vocabulary == vocabulary


def test_bytes_of_a_record(tmp_path):
    write_shard(tmp_path / "a.tfrecord", as_arrays([[[5, 6, 7], [65535]]]), np.dtype("<u2"))
    (record,) = tf.data.TFRecordDataset(str(tmp_path / "a.tfrecord")).as_numpy_iterator()
    assert record == struct.pack("<IHHHHHH", 2, 3, 1, 5, 6, 7, 65535)


def test_a_large_vocabulary_takes_four_bytes(tmp_path):
    assert (id_dtype(2**16), id_dtype(2**16 + 1)) == (np.dtype("<u2"), np.dtype("<u4"))
    tokens = (*VOCABULARY.tokens, *map(str, range(2**16)))
    corpus = CorpusShards(write(tmp_path, [[[[65540]], [[1]]]], Vocabulary(tokens)))
    assert documents_of(corpus.read(0)) == [[[65540]], [[1]]]


def test_a_shard_that_fails_is_not_there(tmp_path):
    def failing():
        yield from as_arrays(DOCUMENTS)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_shard(tmp_path / "a.tfrecord", failing(), np.dtype("<u2"))
    assert not list(tmp_path.iterdir())


@pytest.fixture(name="full_disk")
def limit_files():
    """No file grows beyond 100,000 bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_told_and_leaves_no_shard(tmp_path, full_disk):
    documents = (as_arrays(DOCUMENTS)[1] for _ in range(1000))
    with pytest.raises(OSError, match="a.tfrecord cannot be written: .*what is whole is kept"):
        write_shard(tmp_path / "a.tfrecord", documents, np.dtype("<u2"))
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_and_leaves_no_text(tmp_path, full_disk):
    with (
        pytest.raises(OSError, match="what is whole is kept.*a.txt"),
        written_file(tmp_path / "a.txt") as temporary,
    ):
        temporary.write_text("x" * 200_000)
    assert not list(tmp_path.iterdir())


def test_an_error_of_what_is_read_stays(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match="nothing"),
        written_file(tmp_path / "a.txt"),
    ):
        (tmp_path / "nothing").read_text()


def test_two_processes_may_write_the_same_file(tmp_path, monkeypatch):
    with written_file(tmp_path / "a.txt") as last:
        last.write_text("last")
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: 1)
            with written_file(tmp_path / "a.txt") as first:
                first.write_text("first")
                assert leftovers(tmp_path) == sorted([first, last])
        assert (tmp_path / "a.txt").read_text() == "first"
    assert (tmp_path / "a.txt").read_text() == "last"
    assert len(list(tmp_path.iterdir())) == 1


def test_an_unfinished_corpus_is_told(tmp_path):
    write_shard(tmp_path / "shard_00000.tfrecord", as_arrays(DOCUMENTS), np.dtype("<u2"))
    with pytest.raises(FileNotFoundError, match="no corpus.json.*prepare-corpus"):
        CorpusShards(tmp_path)


@pytest.mark.parametrize(
    "values",
    [
        {"format": 2},
        {"lower_case": 1},
        {"shards": {}},
        {"shards": []},
        {"shards": {"../a.tfrecord": {"documents": 1, "sentences": 1, "tokens": 1, "bytes": 1}}},
        {"shards": {"a.tfrecord": {"documents": 1, "sentences": 1, "tokens": 1, "bytes": -1}}},
        {"shards": {"a.tfrecord": {"documents": 1, "sentences": 1, "tokens": 1, "bytes": 1.5}}},
        {"shards": {"a.tfrecord": {"documents": 1}}},
        {"shards": {"a.tfrecord": None}},
    ],
)
def test_a_wrong_description_is_told(tmp_path, values):
    change(write(tmp_path, [DOCUMENTS]) / "corpus.json", **values)
    with pytest.raises(ValueError, match="corpus.json is not what prepare-corpus writes"):
        CorpusShards(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[1]", b"{}", b"\xff", b"{"])
def test_a_damaged_description_is_told(tmp_path, content):
    (write(tmp_path, [DOCUMENTS]) / "corpus.json").write_bytes(content)
    with pytest.raises(ValueError, match="corpus.json is not what prepare-corpus writes"):
        CorpusShards(tmp_path)


@pytest.mark.parametrize("place", [0, 9, 20, 60, -1])
def test_a_changed_byte_is_found(tmp_path, place):
    path = write(tmp_path, [DOCUMENTS]) / "shard_00000.tfrecord"
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="shard_00000.tfrecord is damaged.*--overwrite"):
        CorpusShards(tmp_path).read(0)


def test_a_shard_of_another_size_is_told(tmp_path):
    path = write(tmp_path, [DOCUMENTS]) / "shard_00000.tfrecord"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"has \d+ bytes, expected \d+.* makes it again"):
        CorpusShards(tmp_path).read(0)


def test_a_shard_that_is_not_there_is_told(tmp_path):
    (write(tmp_path, [DOCUMENTS]) / "shard_00000.tfrecord").unlink()
    with pytest.raises(FileNotFoundError, match="00.tfrecord is missing. .* makes it again"):
        CorpusShards(tmp_path).read(0)


def test_ids_outside_the_vocabulary_are_told(tmp_path):
    with pytest.raises(ValueError, match="ids below 10.*--overwrite"):
        CorpusShards(write(tmp_path, [[[[10]], [[1]]]])).read(0)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (b"\1\0", "2 bytes, expected 4 or more"),
        (struct.pack("<I", 0), "0 sentences in 4 bytes"),
        (struct.pack("<IH", 2**32 - 1, 1), "4294967295 sentences in 6 bytes"),
        (struct.pack("<IHH", 1, 2, 5), "2 bytes of ids for 2 tokens"),
        (struct.pack("<IHHH", 2, 0, 1, 5), "2 bytes of ids for 1 tokens"),
    ],
)
def test_a_record_that_is_no_document_is_told(tmp_path, record, message):
    path = write(tmp_path, [DOCUMENTS]) / "shard_00000.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(record)
    size = {"documents": 1, "sentences": 1, "tokens": 1, "bytes": path.stat().st_size}
    change(tmp_path / "corpus.json", shards={path.name: size})
    with pytest.raises(ValueError, match=f"document 1: {message}"):
        CorpusShards(tmp_path).read(0)


def test_a_description_tells_how_much_there_is(tmp_path):
    found = describe_corpus(write(tmp_path, [DOCUMENTS, DOCUMENTS[:1]]))
    num_bytes = sum(path.stat().st_size for path in tmp_path.glob("shard_*"))
    assert (found["documents"], found["sentences"], found["tokens"]) == (4, 8, 525)
    assert (found["bytes"], found["bytes_per_sequence"]) == (num_bytes, num_bytes / (525 / 125))
    assert (found["tokens_per_document"], found["damage"]) == (525 / 4, None)


def test_a_description_names_all_that_is_wrong(tmp_path):
    write(tmp_path, [DOCUMENTS] * 3)
    (tmp_path / "shard_00000.tfrecord").unlink()
    (tmp_path / "shard_00002.tfrecord").write_bytes(b"")
    damage = describe_corpus(tmp_path)["damage"]
    assert "shard_00000.tfrecord is missing" in damage
    assert "shard_00002.tfrecord has 0 bytes" in damage
    assert "shard_00001" not in damage
