"""TFLite model metadata, a flatbuffer of its own, as nested dicts and back.

Reference: mediapipe/tasks/metadata/metadata_schema.fbs.
"""

import struct

import flatbuffers
from flatbuffers import number_types

IDENTIFIER = b"M001"
_UNITS = {2: "ScoreCalibrationOptions", 3: "ScoreThresholdingOptions", 4: "BertTokenizerOptions"}
# Each table's fields in the schema's order: name and kind; `None` stands for a field that nobody
# here reads or writes. A kind is the layout of a number, `str`, `bytes`, a table, a vector of one
# of these, or a union: tables by the number in the field before.
_TABLES = {
    "ModelMetadata": (
        ("name", str),
        ("description", str),
        ("version", str),
        ("subgraph_metadata", ["SubGraphMetadata"]),
        ("author", str),
        ("license", str),
        ("associated_files", ["AssociatedFile"]),
        ("min_parser_version", str),
    ),
    "SubGraphMetadata": (
        ("name", str),
        ("description", str),
        ("input_tensor_metadata", ["TensorMetadata"]),
        ("output_tensor_metadata", ["TensorMetadata"]),
        ("associated_files", ["AssociatedFile"]),
        ("input_process_units", ["ProcessUnit"]),
        ("output_process_units", ["ProcessUnit"]),
    ),
    "TensorMetadata": (
        ("name", str),
        ("description", str),
        ("dimension_names", [str]),
        None,
        ("process_units", ["ProcessUnit"]),
        None,
        ("associated_files", ["AssociatedFile"]),
    ),
    "AssociatedFile": (
        ("name", str),
        ("description", str),
        ("type", "<b"),
        ("locale", str),
        ("version", str),
    ),
    "ProcessUnit": (("options_type", "<b"), ("options", _UNITS)),
    "ScoreCalibrationOptions": (("score_transformation", "<b"), ("default_score", "<f")),
    "ScoreThresholdingOptions": (("global_score_threshold", "<f"),),
    "BertTokenizerOptions": (("vocab_file", ["AssociatedFile"]),),
    # The way from a .tflite file to the metadata in it.
    "Model": (None, None, None, None, ("buffers", ["Buffer"]), None, ("metadata", ["Metadata"])),
    "Metadata": (("name", str), ("buffer", "<I")),
    "Buffer": (("data", bytes), ("offset", "<Q"), ("size", "<Q")),
}
_FLAGS = {"<b": number_types.Int8Flags, "<f": number_types.Float32Flags}
# No field is stored so often that the parts read together are this many times the whole.
_MOST_READ = 64


def encode(metadata):
    """Writes metadata.

    Args:
        metadata: dict of a `ModelMetadata`: numbers, str, dicts of further tables, lists of these,
            under the schema's names. What is left out or `None` is not written.

    Returns:
        bytes.
    """
    builder = flatbuffers.Builder()
    builder.Finish(_write(builder, "ModelMetadata", metadata), IDENTIFIER)
    return bytes(builder.Output())


def decode(data, table="ModelMetadata"):
    """Reads a flatbuffer, trusting none of its offsets.

    Args:
        data: bytes, the whole flatbuffer.
        table: str, what its root is: "ModelMetadata", or "Model" for a .tflite file.

    Returns:
        Dict as `encode` takes it, without the fields that are not there; raw bytes as `memoryview`.

    Raises:
        ValueError: If anything points outside `data`, text is not UTF-8, or parts are used over and
            over.
    """
    try:
        return _Reader(data).read(table, 0)
    except (struct.error, UnicodeDecodeError) as error:
        raise ValueError(f"a broken flatbuffer: {error}") from error


def _is_number(kind):
    return isinstance(kind, str) and kind.startswith("<")


def _write(builder, kind, value):
    """Writes what has a place of its own; returns its offset."""
    if kind is str:
        return builder.CreateString(value)
    if not isinstance(kind, list):
        return _write_table(builder, _TABLES[kind], value)
    offsets = [_write(builder, kind[0], element) for element in value]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def _write_table(builder, fields, values):
    slots = []
    for slot, (name, kind) in enumerate(field or (None, None) for field in fields):
        if (value := values.get(name)) is None:
            continue
        if isinstance(kind, dict):
            kind = kind[values[fields[slot - 1][0]]]
        slots.append((slot, kind, value if _is_number(kind) else _write(builder, kind, value)))
    builder.StartObject(len(fields))
    for slot, kind, value in slots:
        if _is_number(kind):
            builder.PrependSlot(_FLAGS[kind], slot, value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, value, 0)
    return builder.EndObject()


class _Reader:
    def __init__(self, data):
        self._data = memoryview(data)
        self._left = _MOST_READ * len(data)

    def read(self, kind, position):
        """Returns what the offset at `position` points to."""
        start = position + self._number("<I", position)
        if not isinstance(kind, list) and kind in _TABLES:
            return self._table(start, _TABLES[kind])
        length = self._number("<I", start)
        if isinstance(kind, list):
            elements = self._span(start + 4, 4 * length)
            return [self.read(kind[0], start + 4 + at) for at in range(0, len(elements), 4)]
        found = self._span(start + 4, length)
        return str(found, "utf-8") if kind is str else found

    def _table(self, start, fields):
        vtable = start - self._number("<i", start)
        num_slots = max(self._number("<H", vtable) - 4, 0) // 2
        values = {}
        for slot, (name, kind) in enumerate(field or (None, None) for field in fields[:num_slots]):
            distance = self._number("<H", vtable + 4 + 2 * slot)
            if isinstance(kind, dict):
                kind = kind.get(values.get(fields[slot - 1][0]))
            if distance and kind:
                read = self._number if _is_number(kind) else self.read
                values[name] = read(kind, start + distance)
        return values

    def _number(self, layout, position):
        return struct.unpack(layout, self._span(position, struct.calcsize(layout)))[0]

    def _span(self, start, size):
        self._left -= size
        if start < 0 or start + size > len(self._data) or self._left < 0:
            raise struct.error(f"bytes {start} to {start + size} of {len(self._data)}")
        return self._data[start : start + size]
