"""The table files of TensorFlow's checkpoints, as LevelDB has them, read and written."""

import functools
import struct

MAGIC = 0xDB4775248B80FB57


def read_table(content):
    """The keys and values, bytes, of a table.

    Raises:
        ValueError: If it is none.
        IndexError: If it is damaged; or `struct.error`.
    """
    if content[-8:] != struct.pack("<Q", MAGIC):
        raise ValueError("No table.")
    numbers, position = [], len(content) - 48
    for _ in range(4):
        number, position = _read_number(content, position)
        numbers.append(number)
    table = {}
    for handle in _read_block(content, *numbers[2:]).values():
        start, position = _read_number(handle, 0)
        table |= _read_block(content, start, _read_number(handle, position)[0])
    if not table:
        raise ValueError("An empty table.")
    return table


def write_table(table):
    """A table of one block, whose keys share nothing."""
    block = _block(sorted(table.items()))
    meta = _block([])
    handle = _number(0) + _number(len(block) - 5)
    index = _block([(max(table, default=b""), handle)])
    footer = _number(len(block)) + _number(len(meta) - 5)
    footer += _number(len(block) + len(meta)) + _number(len(index) - 5)
    return block + meta + index + footer.ljust(40, b"\0") + struct.pack("<Q", MAGIC)


def _block(entries):
    body = b"".join(
        b"\0" + _number(len(key)) + _number(len(value)) + key + value for key, value in entries
    )
    body += struct.pack("<II", 0, 1)
    return body + b"\0" + struct.pack("<I", masked_checksum(body + b"\0"))


def _read_block(content, start, size):
    end = start + size - 4 - 4 * struct.unpack_from("<I", content, start + size - 4)[0]
    position, key, entries = start, b"", {}
    while position < end:
        shared, position = _read_number(content, position)
        length, position = _read_number(content, position)
        value_length, position = _read_number(content, position)
        key = key[:shared] + content[position : position + length]
        position += length + value_length
        entries[key] = content[position - value_length : position]
    return entries


def _number(value):
    """A number of seven bits a byte."""
    parts = []
    while value >= 128:
        parts.append(value % 128 + 128)
        value //= 128
    return bytes((*parts, value))


def _read_number(content, position):
    value = shift = 0
    while content[position] >= 128:
        value += (content[position] - 128) << shift
        position, shift = position + 1, shift + 7
    return value + (content[position] << shift), position + 1


def masked_checksum(content):
    """CRC-32C, and LevelDB's change to it."""
    table, value = _checksums(), 0xFFFFFFFF
    for byte in content:
        value = value >> 8 ^ table[(value ^ byte) % 256]
    value ^= 0xFFFFFFFF
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


@functools.cache
def _checksums():
    """What each byte does to a checksum, found bit by bit."""
    values = list(range(256))
    for _ in range(8):
        values = [value >> 1 ^ 0x82F63B78 * (value & 1) for value in values]
    return values
