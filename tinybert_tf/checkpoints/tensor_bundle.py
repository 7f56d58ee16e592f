"""TensorFlow's checkpoint files, read so that a damaged one is refused.

TensorFlow's own reader ends the process on an index whose checksums fit but whose content does not.

A checkpoint PREFIX is `PREFIX.index`, a sorted table of tensor name to `BundleEntryProto`, and
`PREFIX.data-0000i-of-0000n`, the tensors' bytes.

Reference: tensorflow/core/util/tensor_bundle and tensorflow/core/lib/io/format.h, which is
LevelDB's table_format.md.
"""

import collections
import dataclasses
import functools
import math
import pathlib
import re
import struct

import ml_dtypes
import numpy as np

_FOOTER_BYTES, _MAGIC = 48, 0xDB4775248B80FB57
_MOST_INDEX_BYTES, _MOST_NAME_BYTES, _MOST_SHARDS = 4 * 2**20, 512, 10000
_MOST_ENTRIES = 20000  # a BERT with its optimizer has two thousand
_POLYNOMIAL, _MASK_DELTA = 0x82F63B78, 0xA282EAD8  # CRC-32C, and what LevelDB adds to it
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
# Number in types.proto: what NumPy calls it.
_FLOATS = {1: np.float32, 2: np.float64, 14: ml_dtypes.bfloat16, 19: np.float16}
_STRING = 7
_OTHERS = ("model.safetensors*", "pytorch_model*.bin*", "*.weights.h5")


@dataclasses.dataclass(frozen=True)
class _Entry:
    """Where one tensor lies."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    is_partitioned: bool


class TensorBundle:
    """The tensors of a TensorFlow checkpoint.

    Args:
        prefix: str or path-like, the path without `.index`.

    Attributes:
        prefix: str.
        entries: dict of tensor name to what the index says of it: `dtype` (its number), `shape`.

    Raises:
        FileNotFoundError: If the index or a file of tensors is missing.
        ValueError: If the index is damaged, compressed, or names bytes that are not in its files.

    Example:
        TensorBundle("uncased_L-12_H-768_A-12/bert_model.ckpt").read("bert/pooler/dense/bias")
    """

    def __init__(self, prefix):
        self.prefix, self._shards = str(prefix), {}
        table = _read_table(pathlib.Path(f"{prefix}.index"))
        self._num_shards = self._read_header(table.pop(b"", b""))
        self.entries, self._sizes = {}, collections.Counter()
        for key, value in table.items():
            name = key.decode("utf-8", "replace")
            self.entries[name] = entry = self._read_entry(name, value)
            self._sizes[entry.shard] += entry.size

    @property
    def is_object_based(self):
        """Whether TensorFlow 2 wrote it: it tells what the variables are called."""
        return _OBJECT_GRAPH in self.entries

    def floats(self):
        """Names of the tensors of floating-point numbers."""
        return [name for name, entry in self.entries.items() if entry.dtype in _FLOATS]

    def read(self, name):
        """One tensor of floating-point numbers.

        Args:
            name: str, one of `floats()`.

        Returns:
            Read-only NumPy array on the file itself, in the shape and dtype of the index.

        Raises:
            FileNotFoundError: If the file that it lies in is missing.
            ValueError: If it holds something else, is split into parts, or its bytes are not all
                there.
        """
        entry = self.entries[name]
        if entry.dtype not in _FLOATS:
            raise ValueError(f"{self.prefix}.index: {name} holds no floating-point numbers.")
        dtype = np.dtype(_FLOATS[entry.dtype])
        if entry.is_partitioned:
            raise ValueError(f"{self.prefix}: {name} is split into parts, which is not supported.")
        if math.prod(entry.shape) * dtype.itemsize != entry.size:
            raise ValueError(
                f"{self.prefix}.index: {name} has {entry.size} bytes, but shape {entry.shape} of "
                f"{dtype}."
            )
        values = self._bytes(name).view(dtype)
        try:
            return values.reshape(entry.shape)
        except ValueError as error:  # too many dimensions, or too large ones beside an empty one
            raise ValueError(f"{self.prefix}.index: {name} has no shape ({error}).") from error

    def variable_names(self):
        """What TensorFlow 2 calls the variables of the checkpoint.

        Returns:
            Dict of a variable's full name, such as "pooler_transform/kernel", to its name here.

        Raises:
            ValueError: If it is damaged or not from TensorFlow 2.
        """
        from tensorflow.core.protobuf import trackable_object_graph_pb2 as graph_pb2

        graph = self._parse(graph_pb2.TrackableObjectGraph, self._object_graph(), "object graph")
        return {
            attribute.full_name: attribute.checkpoint_key
            for node in graph.nodes
            for attribute in node.attributes
            if attribute.checkpoint_key in self.entries
        }

    def _object_graph(self):
        """The bytes of the one string tensor: its length, four bytes of checksum, then itself."""
        if not self.is_object_based or self.entries[_OBJECT_GRAPH].dtype != _STRING:
            raise ValueError(f"{self.prefix}.index: names no objects of TensorFlow 2.")
        data = self._bytes(_OBJECT_GRAPH).tobytes()
        try:
            length, start = _read_varint(data, 0)
            if start + 4 + length != len(data):
                raise _Damaged("it has another length than it says")
        except (IndexError, _Damaged) as error:
            raise ValueError(
                f"{self.prefix}: the object graph is damaged ({error}). Copy it again."
            ) from error
        return data[start + 4 :]

    def _read_header(self, data):
        from tensorflow.core.protobuf import tensor_bundle_pb2

        header = self._parse(tensor_bundle_pb2.BundleHeaderProto, data, "header")
        if header.endianness != tensor_bundle_pb2.BundleHeaderProto.LITTLE:
            raise ValueError(f"{self.prefix}.index: holds big-endian numbers; not supported.")
        if not 1 <= header.num_shards <= _MOST_SHARDS:
            raise ValueError(f"{self.prefix}.index: names {header.num_shards} files of tensors.")
        return header.num_shards

    def _read_entry(self, name, data):
        from tensorflow.core.protobuf import tensor_bundle_pb2

        entry = self._parse(tensor_bundle_pb2.BundleEntryProto, data, name)
        shape = tuple(dim.size for dim in entry.shape.dim)
        if min((entry.offset, entry.size, entry.shard_id, *shape)) < 0:
            raise ValueError(f"{self.prefix}.index: {name} has a negative size or place.")
        return _Entry(
            dtype=entry.dtype,
            shape=shape,
            shard=entry.shard_id,
            offset=entry.offset,
            size=entry.size,
            is_partitioned=bool(entry.slices),
        )

    def _parse(self, message, data, what):
        from google.protobuf.message import DecodeError

        try:
            return message.FromString(data)
        except DecodeError as error:
            raise ValueError(f"{self.prefix}.index: {what} is damaged ({error}).") from error

    def _bytes(self, name):
        """The bytes of a tensor, a uint8 array."""
        entry = self.entries[name]
        if entry.shard >= self._num_shards:
            raise ValueError(f"{self.prefix}.index: {name} is in file {entry.shard}: no such file.")
        data = self._shard(entry.shard)
        if entry.offset + entry.size > len(data):
            raise ValueError(
                f"{self._shard_path(entry.shard)}: has {len(data)} bytes, but {name} ends at "
                f"{entry.offset + entry.size}. Copy it again."
            )
        if self._sizes[entry.shard] > len(data):  # a model of them would be larger than its file
            raise ValueError(
                f"{self._shard_path(entry.shard)}: has {len(data)} bytes, but the row of its "
                f"tensors ends at {self._sizes[entry.shard]}. Copy it again."
            )
        return data[entry.offset : entry.offset + entry.size]

    def _shard_path(self, number):
        return pathlib.Path(f"{self.prefix}.data-{number:05d}-of-{self._num_shards:05d}")

    def _shard(self, number):
        if number not in self._shards:
            path = self._shard_path(number)
            if not path.is_file():
                raise FileNotFoundError(f"{path}: no such file; it holds tensors of the model.")
            empty = not path.stat().st_size  # which cannot be mapped
            self._shards[number] = np.zeros(0, np.uint8) if empty else np.memmap(path, mode="r")
        return self._shards[number]


def find_prefix(path):
    """The checkpoint that a path means.

    Args:
        path: `pathlib.Path` of a checkpoint without `.index`, or of a folder of checkpoints.

    Returns:
        `pathlib.Path` without `.index`; of a folder's checkpoints the one of the highest number.
        `None` if there is none, or the folder holds weights of another format.
    """
    if pathlib.Path(f"{path}.index").is_file():
        return path
    if not path.is_dir() or any(file for glob in _OTHERS for file in path.glob(glob)):
        return None
    found = [entry.with_suffix("") for entry in path.glob("*.index")]
    return max(found, key=_number, default=None)


def _number(prefix):
    number = re.search(r"-(\d+)$", prefix.name)
    return int(number[1]) if number else -1, prefix.name


def _read_table(path):
    """The keys and values, bytes, of a table file that is not compressed."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected a checkpoint's index.")
    if path.stat().st_size > _MOST_INDEX_BYTES:
        raise ValueError(f"{path}: has {path.stat().st_size} bytes, too many for an index.")
    data = path.read_bytes()
    if len(data) < _FOOTER_BYTES or data[-8:] != _MAGIC.to_bytes(8, "little"):
        raise ValueError(f"{path}: not a whole index of a TensorFlow checkpoint. Copy it again.")
    try:
        position = len(data) - _FOOTER_BYTES
        for _ in range(2):  # a block of no meaning here, which comes first
            _, position = _read_varint(data, position)
        index = _read_block(data, *_read_handle(data, position))
        handles = [_read_handle(value, 0) for value in index.values()]
        if sum(size for _, size in handles) > len(data):
            raise _Damaged("its blocks are longer than the file")
        entries = {}
        for handle in handles:
            entries |= _read_block(data, *handle)
            _check_number(entries)
    except (IndexError, OverflowError, struct.error, _Damaged) as error:
        raise ValueError(f"{path}: damaged ({error}). Copy it again.") from error
    return entries


class _Damaged(Exception):
    """What is wrong with a table."""


def _read_block(data, start, size):
    """The keys and values of one block; each key but for the bytes it shares with the last."""
    content = data[start : start + size]
    kind, checksum = struct.unpack_from("<BI", data, start + size)
    if checksum != _checksum(content + bytes([kind])):
        raise _Damaged("a checksum does not fit")
    if kind:
        raise _Damaged("it is compressed, which checkpoints are not")
    num_restarts = struct.unpack_from("<I", content, size - 4)[0]
    end, position, key, entries = size - 4 - 4 * num_restarts, 0, b"", {}
    while position < end:
        shared, position = _read_varint(content, position)
        length, position = _read_varint(content, position)
        value_length, position = _read_varint(content, position)
        if shared > len(key) or position + length + value_length > end:
            raise _Damaged("an entry is longer than its block")
        if shared + length > _MOST_NAME_BYTES:
            raise _Damaged(f"a name has {shared + length} bytes")
        key = key[:shared] + content[position : position + length]
        position += length + value_length
        entries[key] = content[position - value_length : position]
        _check_number(entries)
    return entries


def _check_number(entries):
    if len(entries) > _MOST_ENTRIES:
        raise _Damaged(f"it has over {_MOST_ENTRIES} names")


def _read_handle(data, position):
    """Start and size of a block."""
    start, position = _read_varint(data, position)
    return start, _read_varint(data, position)[0]


def _read_varint(data, position):
    """A number of seven bits a byte, the lowest first; and the position after it."""
    value = 0
    for shift in range(0, 64, 7):
        value |= (data[position] & 127) << shift
        position += 1
        if data[position - 1] < 128:
            return value, position
    raise _Damaged("a number has no end")


def _checksum(data):
    """LevelDB's masked CRC-32C."""
    table, value = _crc_table(), 0xFFFFFFFF
    for byte in data:
        value = table[(value ^ byte) & 255] ^ (value >> 8)
    value ^= 0xFFFFFFFF
    return ((value >> 15 | value << 17) + _MASK_DELTA) & 0xFFFFFFFF


@functools.cache
def _crc_table():
    table = list(range(256))
    for _ in range(8):
        table = [value >> 1 ^ (_POLYNOMIAL if value & 1 else 0) for value in table]
    return table
