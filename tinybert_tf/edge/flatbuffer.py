"""Whether a .tflite file is whole. Most runtimes crash on one that is cut short instead of refusing
it."""

import itertools
import mmap
import struct

_BYTES, _INTS, _LONGS = 1, 4, 8  # vectors, by the bytes of an element
# Every field of a table that points elsewhere, by its number in the schema: a vector of numbers
# (the bytes of an element), a table (its name) or a vector of tables. Options stand for every kind
# of operator options. Reference: tensorflow/compiler/mlir/lite/schema/schema.fbs, version 3c.
_TABLES = {
    "Model": {
        1: ("OperatorCode",),
        2: ("SubGraph",),
        3: _BYTES,
        4: ("Buffer",),
        5: _INTS,
        6: ("Metadata",),
        7: ("SignatureDef",),
    },
    "OperatorCode": {1: _BYTES},
    "SubGraph": {0: ("Tensor",), 1: _INTS, 2: _INTS, 3: ("Operator",), 4: _BYTES},
    "Tensor": {0: _INTS, 3: _BYTES, 4: "QuantizationParameters", 6: "Options", 7: _INTS},
    "QuantizationParameters": {0: _INTS, 1: _INTS, 2: _INTS, 3: _LONGS, 5: "Options"},
    "Operator": {1: _INTS, 2: _INTS, 4: "Options", 5: _BYTES, 7: _BYTES, 8: _INTS, 12: "Options"},
    "Options": {},
    "Buffer": {0: _BYTES},
    "Metadata": {0: _BYTES},
    "SignatureDef": {0: ("TensorMap",), 1: ("TensorMap",), 2: _BYTES},
    "TensorMap": {0: _BYTES},
}
_MOST_FIELDS = 1 + max(field for fields in _TABLES.values() for field in fields)
# As many as the runtime's own verifier visits (`max_tables` of flatbuffers::Verifier).
_MOST_TABLES = 1_000_000


def map_file(path):
    """Makes a file's bytes readable where they stand, as it may be larger than the memory.

    Args:
        path: str or path-like, a file that is not empty.

    Returns:
        `mmap.mmap`.
    """
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def is_whole(data):
    """Whether the tables of a TFLite model and what they point to lie inside its file.

    The vectors in options of operators and of quantization, in `sparsity` and in `variant_tensors`
    are left to the runtime.

    Args:
        data: bytes or `mmap.mmap`, the whole file.

    Returns:
        bool. False too if `data` lacks TFLite's identifier, "TFL3" at byte 4, or if one table is
        pointed to so often that to follow it would take for ever.
    """
    if data[4:8] != b"TFL3":
        return False
    # Every pointer to a table takes four bytes, unless whole vectors of them are pointed to again.
    most = min(_MOST_TABLES, len(data) // 4)
    try:
        tables = [("Model", *_read("<I", data, 0))]
        for name, table in tables:
            tables += itertools.islice(_tables_below(data, name, table), most)
            if len(tables) > most:
                return False
    except struct.error:
        return False
    return True


def _tables_below(data, name, table):
    """Checks a table; yields the name and the position of each that it points to."""
    vtable = table - _read("<i", data, table)[0]
    vtable_size, table_size = _read("<HH", data, vtable)
    _check_span(data, vtable, vtable_size, least=4)
    _check_span(data, table, table_size, least=4)
    num_fields = min(vtable_size // 2 - 2, _MOST_FIELDS)
    fields = _read(f"<{num_fields}H", data, vtable + 4)
    if max(fields, default=0) >= table_size:
        raise struct.error(f"a field at byte {max(fields)} of {table_size}")
    fields += (0,) * (_MOST_FIELDS - num_fields)  # those that are not there
    for field, target in _TABLES[name].items():
        if fields[field]:
            position = table + fields[field]
            yield from _tables_at(data, target, position + _read("<I", data, position)[0])
    if name == "Buffer" and fields[1] and fields[2]:
        # Weights of large models lie behind the flatbuffer, at an offset from the file's start.
        offset, size = (_read("<Q", data, table + field)[0] for field in fields[1:3])
        _check_span(data, offset, size)


def _tables_at(data, target, position):
    if isinstance(target, str):
        yield target, position
        return
    length = _read("<I", data, position)[0]
    if isinstance(target, int):
        _check_span(data, position + 4, length * target)
        return
    for element in range(position + 4, position + 4 + 4 * length, 4):
        yield target[0], element + _read("<I", data, element)[0]


def _check_span(data, start, size, least=0):
    if start < 0 or size < least or start + size > len(data):
        raise struct.error(f"bytes {start} to {start + size} of {len(data)}")


def _read(layout, data, position):
    _check_span(data, position, struct.calcsize(layout))
    return struct.unpack_from(layout, data, position)
