"""Damage to bytes, lines and JSON: functions of the content and a `random.Random`."""

import copy
import json
import re
import struct

MOST_BYTES = 4 * 2**20
# What readers trip over, put between other bytes.
SNIPPETS = (
    *(b"\0", b"\0" * 64, b"\xff\xfe", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc3", b"\x80"),
    *(
        b"\xef\xbb\xbf",
        b"\xe2\x80\xa8",
        b"\xc2\x85",
        b"\r",
        b"\r\n",
        b"\n\n\n",
        b"\t",
        b" ",
        b"\x1a",
    ),
    *(b'"', b'""', b"'", b",", b";", b"\\", b"#", b"-1", b"NaN", b"inf", b"1e999", b"%s", b"../.."),
    *(b"9" * 30, b"9" * 5000, b"x" * 200_000, b"[" * 100_000, b"(" * 5000, b"a\t" * 50_000),
)
NUMBERS = (0, 1, 127, 255, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**64 - 1)
# Values in JSON's own spelling: Python could not write some of them.
JSON_VALUES = (
    *("0", "1", "-1", "2", "3.0", "0.5", "-0.0", "1e-400", "1e999", "NaN", "-Infinity", "true"),
    *("false", "null", '""', '"x"', '"0"', "[]", "{}", "[null]", '{"": null}', '"[PAD]"', '"##a"'),
    *(str(number) for number in (2**31, 2**32, 10**9, 2**63, 2**64, 10**30)),
    *("9" * 4000, "9" * 5000, '"' + "y" * 100_000 + '"', '"\\ud800"', '"\\u0000"', '"\\n"'),
    *('"../../etc/passwd"', '"/dev/zero"', '"config.json"', '"BertForTokenClassification"'),
    *('"bert"', '"distilbert"', '"relu"', '"none"', '"keras_hub>BertBackbone"', '"WordPiece"'),
)
_MARK = "@mark@"
_NEST = re.compile(rb"\[{20}|(\{\"a\":){20}")


def damage_bytes(content, random, other=b""):
    """Damages bytes in one of many ways.

    Args:
        content: bytes.
        random: `random.Random`.
        other: bytes of another file, whose end may be taken.
    """
    if random.random() < 0.1:
        cut = random.randint(0, len(content))
        return content[:cut] + other[random.randint(0, len(other)) :]
    return random.choice(_BYTES)(content, random)[:MOST_BYTES]


def _span(content, random):
    """The start and end of a random part, mostly a small one."""
    start = random.randint(0, len(content))
    return start, min(len(content), start + int(2 ** (random.random() * 14)))


def _flip_bits(content, random):
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 8, 64)) if content else 0):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _flip_a_bit_of_an_end(content, random):
    """Headers stand at the beginning of a file, directories at its end."""
    head, tail = content[:512], content[-512:]
    if random.random() < 0.5:
        return _flip_bits(head, random) + content[len(head) :]
    return content[: len(content) - len(tail)] + _flip_bits(tail, random)


def _truncate(content, random):
    return content[: random.randint(0, len(content))]


def _drop_the_beginning(content, random):
    return content[random.randint(0, len(content)) :]


def _cut_out(content, random):
    start, end = _span(content, random)
    return content[:start] + content[end:]


def _repeat(content, random):
    start, end = _span(content, random)
    return content[:end] + content[start:end] * random.choice((1, 2, 50)) + content[end:]


def _insert(content, random):
    start, _ = _span(content, random)
    return content[:start] + random.choice(SNIPPETS) + content[start:]


def _overwrite_a_number(content, random):
    code = random.choice(("<H", "<I", "<Q", ">I"))
    number = random.choice(NUMBERS) % 2 ** (8 * struct.calcsize(code))
    start, _ = _span(content, random)
    return content[:start] + struct.pack(code, number) + content[start + struct.calcsize(code) :]


def _blank(content, random):
    start, end = _span(content, random)
    return content[:start] + random.choice((b"\0", b"\xff", b" ")) * (end - start) + content[end:]


def _scramble(content, random):
    start, end = _span(content, random)
    return content[:start] + random.randbytes(end - start) + content[end:]


def _empty(content, random):
    return b""


def _damage_lines(content, random):
    """Drops, doubles, swaps or empties lines."""
    lines = content.split(b"\n")
    first, second = random.randrange(len(lines)), random.randrange(len(lines))
    change = random.randrange(5)
    if change == 0:
        del lines[first]
    elif change == 1:
        lines.insert(second, lines[first])
    elif change == 2:
        lines[first], lines[second] = lines[second], lines[first]
    else:
        lines[first] = random.choice((b"", b"\r", lines[first].strip(), *SNIPPETS))
    return b"\n".join(lines)


_BYTES = (
    *(
        _flip_bits,
        _flip_a_bit_of_an_end,
        _truncate,
        _drop_the_beginning,
        _cut_out,
        _repeat,
        _insert,
    ),
    *(_insert, _overwrite_a_number, _blank, _scramble, _empty, _damage_lines, _damage_lines),
)


def damage_json(content, random, other=b""):
    """Damages a JSON document in its values and keys; what is none, in its bytes."""
    try:
        values = json.loads("" if _NEST.search(content) else content)
    except ValueError:
        return damage_bytes(content, random, other)
    places = list(_places(values))
    if not places:
        return json_value(random).encode()
    container, key = random.choice(places)
    mark = json_value(random)
    change = random.randrange(8)
    if change == 0:
        del container[key]
    elif change == 1 and isinstance(container, dict):
        container[_MARK], mark = container[key], json.dumps(key)  # the key a second time
    elif change == 2 and isinstance(container, dict):
        container[random.choice(("x", "id", key.upper()))] = container.pop(key)
    elif change == 3:
        container[key] = copy.deepcopy(random.choice([holder[name] for holder, name in places]))
    elif change == 4:
        container[key] = random.choice(([container[key]], {"x": container[key]}, str(values)[:99]))
    else:
        container[key] = _MARK
    text = json.dumps(values, ensure_ascii=random.random() < 0.5)
    return text.replace(json.dumps(_MARK), mark).encode("utf-8", "surrogatepass")


def json_value(random):
    """A value in JSON's spelling, one of `JSON_VALUES` or a nest of random depth."""
    if random.random() < 0.85:
        return random.choice(JSON_VALUES)
    # Python gives up at about a thousand levels: somewhat less can be read, but not always printed.
    depth = random.choice((3, 300, random.randint(850, 1000), 100_000))
    opening, closing = random.choice((("[", "]"), ('{"a":', "}")))
    return opening * depth + "1" + closing * depth


def _places(values):
    """Every (container, key or index) of a JSON document."""
    if not isinstance(values, dict | list):
        return
    keys = values if isinstance(values, dict) else range(len(values))
    for key in keys:
        yield values, key
        yield from _places(values[key])
