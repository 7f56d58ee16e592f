"""Whether a .tflite file is whole. Most runtimes crash on one that is cut short instead of refusing
it."""

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
    """Whether everything that a TFLite model points to lies inside its file.

    Args:
        data: bytes or `mmap.mmap`, the whole file.

    Returns:
        bool. False too if `data` lacks TFLite's identifier, "TFL3" at byte 4.
    """
    if data[4:8] != b"TFL3":
        return False
    try:
        _check_table(data, "Model", *_read("<I", data, 0))
    except struct.error:
        return False
    return True


def _check_table(data, name, table):
    vtable = table - _read("<i", data, table)[0]
    vtable_size, table_size = _read("<HH", data, vtable)
    _check_span(data, vtable, vtable_size, least=4)
    _check_span(data, table, table_size, least=4)

    def field_at(field):
        entry = 4 + 2 * field
        return table + _read("<H", data, vtable + entry)[0] if entry < vtable_size else table

    for field, target in _TABLES[name].items():
        if (position := field_at(field)) != table:
            _check_target(data, target, position + _read("<I", data, position)[0])
    if name == "Buffer" and table not in (offset := field_at(1), size := field_at(2)):
        # Weights of large models lie behind the flatbuffer, at an offset from the file's start.
        _check_span(data, _read("<Q", data, offset)[0], _read("<Q", data, size)[0])


def _check_target(data, target, position):
    if isinstance(target, str):
        return _check_table(data, target, position)
    length = _read("<I", data, position)[0]
    if isinstance(target, int):
        return _check_span(data, position + 4, length * target)
    for element in range(position + 4, position + 4 + 4 * length, 4):
        _check_table(data, target[0], element + _read("<I", data, element)[0])


def _check_span(data, start, size, least=0):
    if start < 0 or size < least or start + size > len(data):
        raise struct.error(f"bytes {start} to {start + size} of {len(data)}")


def _read(layout, data, position):
    _check_span(data, position, struct.calcsize(layout))
    return struct.unpack_from(layout, data, position)
