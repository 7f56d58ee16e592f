import random
import struct

import numpy as np
import pytest
import tensorflow as tf
from golden_checkpoints import FOLDER
from tensorflow.core.protobuf import tensor_bundle_pb2

from tinybert_tf.checkpoints import tensor_bundle
from tinybert_tf.checkpoints.tensor_bundle import TensorBundle, find_prefix

ARRAYS = {
    "half": np.float16([[1.5, -2.0]]),
    "double": np.float64([0.1]),
    "scalar": np.float32(7),
    "step": np.int64(3),
    "empty": np.zeros((0, 4), np.float32),
}


def write(path, arrays):
    """Writes arrays with TensorFlow; bfloat16 through a cast."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, array in arrays.items():
            tf.compat.v1.get_variable(name, initializer=array)
        tf.compat.v1.get_variable("brain", initializer=tf.cast([1.0, 3.0], tf.bfloat16))
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(path), write_meta_graph=False)
    return path


@pytest.fixture(scope="module", name="prefix")
def write_prefix(tmp_path_factory):
    return write(tmp_path_factory.mktemp("bundle") / "model.ckpt", ARRAYS)


@pytest.mark.parametrize("name", ["half", "double", "scalar", "empty"])
def test_reads_what_tensorflow_wrote(prefix, name):
    value = TensorBundle(prefix).read(name)
    np.testing.assert_array_equal(value, ARRAYS[name])
    assert value.dtype == ARRAYS[name].dtype


def test_reads_bfloat16(prefix):
    np.testing.assert_array_equal(TensorBundle(prefix).read("brain").astype(np.float32), [1, 3])


def test_only_floating_point_numbers_are_offered(prefix):
    assert set(TensorBundle(prefix).floats()) == {*ARRAYS, "brain"} - {"step"}


def test_reads_every_tensor_of_a_checkpoint_as_tensorflow_does():
    path = FOLDER / "model_garden" / "classifier" / "ckpt-7"
    bundle, reader = TensorBundle(path), tf.train.load_checkpoint(str(path))
    floats = bundle.floats()
    assert len(floats) > 100  # the optimizer's too
    for name in floats:
        np.testing.assert_array_equal(bundle.read(name), reader.get_tensor(name))


def test_the_variables_names_are_those_in_the_object_graph():
    bundle = TensorBundle(FOLDER / "model_garden" / "encoder" / "bert_model.ckpt")
    key = bundle.variable_names()["bert_encoder_v2/pooler_transform/bias"]
    assert key == "encoder/_pooler_layer/bias/.ATTRIBUTES/VARIABLE_VALUE"
    assert bundle.is_object_based


def test_a_checkpoint_of_tensorflow_1_names_no_objects(prefix):
    bundle = TensorBundle(prefix)
    assert not bundle.is_object_based
    with pytest.raises(ValueError, match="names no objects"):
        bundle.variable_names()


def test_other_numbers_are_refused(prefix):
    with pytest.raises(ValueError, match="step holds no floating-point numbers"):
        TensorBundle(prefix).read("step")


def test_a_partitioned_variable_is_refused(tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        partitioner = tf.compat.v1.fixed_size_partitioner(2)
        tf.compat.v1.get_variable("split", (4, 2), partitioner=partitioner)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(tmp_path / "x"), write_meta_graph=False)
    with pytest.raises(ValueError, match="split is split into parts"):
        TensorBundle(tmp_path / "x").read("split")


def with_index(folder, content):
    """A copy of a checkpoint with another index."""
    folder.mkdir(exist_ok=True)
    source = FOLDER / "google_tf1" / "pretrained" / "bert_model.ckpt.data-00000-of-00001"
    (folder / source.name).write_bytes(source.read_bytes())
    (folder / "bert_model.ckpt.index").write_bytes(content)
    return folder / "bert_model.ckpt"


def golden_index():
    return (FOLDER / "google_tf1" / "pretrained" / "bert_model.ckpt.index").read_bytes()


def checked(content):
    """The index with checksums that fit: its only block of entries begins the file."""
    content = bytearray(content)
    handles, position = [], len(content) - 48
    for _ in range(4):
        value, position = tensor_bundle._read_varint(content, position)
        handles.append(value)
    index = tensor_bundle._read_block(bytes(content), *handles[2:])
    blocks = [handles[:2], *(tensor_bundle._read_handle(value, 0) for value in index.values())]
    for start, size in blocks:
        checksum = tensor_bundle._checksum(bytes(content[start : start + size + 1]))
        struct.pack_into("<I", content, start + size + 1, checksum)
    return bytes(content)


def test_the_checksum_is_leveldbs():
    assert checked(golden_index()) == golden_index()


def read_all(prefix):
    bundle = TensorBundle(prefix)
    return [bundle.read(name) for name in bundle.floats()]


def test_a_damaged_index_is_refused_or_read_but_nothing_else(tmp_path):
    """TensorFlow's own reader ends the process on one in four of these."""
    generator, refused = random.Random(0), 0
    for _ in range(200):
        content = bytearray(golden_index())
        content[generator.randrange(len(content) // 2)] = generator.choice((0, 127, 255))
        try:
            read_all(with_index(tmp_path, checked(content)))
        except (ValueError, FileNotFoundError):
            refused += 1
    assert refused > 50


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a whole index"),
        (golden_index()[:-1], "not a whole index"),
        (golden_index()[:300] + b"\0" + golden_index()[301:], "a checksum does not fit"),
        (bytes(5 * 2**20), "too many for an index"),
    ],
)
def test_a_broken_index_is_told(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        TensorBundle(with_index(tmp_path, content))


def varint(value):
    head = [value >> shift & 127 | 128 for shift in range(0, 63, 7) if value >> shift + 7]
    return bytes([*head, value >> 7 * len(head)])


def block(entries, kind=0):
    """A block without shared prefixes, with what stands behind it."""
    content = b"".join(
        b"\0" + varint(len(key)) + varint(len(value)) + key + value for key, value in entries
    )
    content += struct.pack("<II", 0, 1) + bytes([kind])
    return content + struct.pack("<I", tensor_bundle._checksum(content))


def table(entries, kind=0, handle=None):
    """An index of these entries in one block."""
    data = block(entries, kind)
    handle = handle or varint(0) + varint(len(data) - 5)
    index = block([(b"z", handle)])
    footer = varint(0) + varint(0) + varint(len(data)) + varint(len(index) - 5)
    magic = tensor_bundle._MAGIC.to_bytes(8, "little")
    return data + index + footer.ljust(40, b"\0") + magic


HEADER = (b"", tensor_bundle_pb2.BundleHeaderProto(num_shards=1).SerializeToString())


def entry(name, **fields):
    """A tensor's entry: float32, without a dimension, at the file's start."""
    fields = {"dtype": 1, "size": 4} | fields
    return name.encode(), tensor_bundle_pb2.BundleEntryProto(**fields).SerializeToString()


def test_a_table_made_here_is_read(tmp_path):
    assert read_all(with_index(tmp_path, table([HEADER, entry("x")])))[0].shape == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (table([HEADER], kind=1), "it is compressed"),
        (table([HEADER, entry("x" * 513)]), "a name has 513 bytes"),
        (table([HEADER], handle=varint(0) + varint(10**6)), "blocks are longer than the file"),
        (table([HEADER], handle=b"\xff" * 12), "a number has no end"),
        (table([]), "names 0 files of tensors"),
        (table([(b"", b"\x10\x01\x08\x01")]), "big-endian"),
        (table([(b"", b"\xff")]), "header is damaged"),
        (table([HEADER, (b"x", b"\xff")]), "x is damaged"),
        (table([HEADER, entry("x", offset=-4)]), "x has a negative size or place"),
        (table([HEADER, entry("x", size=8)]), "x has 8 bytes, but shape"),
        (table([HEADER, entry("x", shard_id=1)]), "x is in file 1: no such file"),
        (table([HEADER, entry("x", offset=10**12)]), "x ends at 1000000000004"),
    ],
)
def test_what_an_index_cannot_say_is_told(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_all(with_index(tmp_path, content))


@pytest.mark.parametrize("size", [0, 3, 9, 12])
def test_a_damaged_object_graph_is_told(tmp_path, size):
    graph = entry("_CHECKPOINTABLE_OBJECT_GRAPH", dtype=7, size=size)
    prefix = with_index(tmp_path, table([HEADER, graph]))
    for first in (b"", b"\xff" * 9):
        path = tmp_path / "bert_model.ckpt.data-00000-of-00001"
        path.write_bytes(first + path.read_bytes()[len(first) :])
        with pytest.raises(ValueError, match="the object graph is damaged"):
            TensorBundle(prefix).variable_names()


def test_a_short_file_of_tensors_is_told(tmp_path):
    prefix = with_index(tmp_path, golden_index())
    path = tmp_path / "bert_model.ckpt.data-00000-of-00001"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="ends at .* Copy it again"):
        read_all(prefix)


def test_an_empty_file_of_tensors_is_told(tmp_path):
    prefix = with_index(tmp_path, golden_index())
    (tmp_path / "bert_model.ckpt.data-00000-of-00001").write_bytes(b"")
    with pytest.raises(ValueError, match="has 0 bytes"):
        read_all(prefix)


def test_a_missing_index_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a checkpoint's index"):
        TensorBundle(tmp_path / "model.ckpt")


def test_of_several_checkpoints_the_last_is_found(tmp_path):
    for name in ("model.ckpt-9", "model.ckpt-10", "bert_model.ckpt"):
        (tmp_path / f"{name}.index").write_bytes(b"")
    assert find_prefix(tmp_path).name == "model.ckpt-10"
    assert find_prefix(tmp_path / "model.ckpt-9").name == "model.ckpt-9"
    assert find_prefix(tmp_path / "model.ckpt-8") is None
