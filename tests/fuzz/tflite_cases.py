"""Damaged .tflite files, and what `inspect` and `benchmark` may make of them."""

import contextlib
import functools
import io
import json
import math
import os
import pathlib
import re
import struct
import tempfile
import zipfile

import numpy as np
import tiny
from ai_edge_litert import schema_py_generated as schema
from fuzz.forked import forked
from fuzz.mutations import NUMBERS, damage_bytes, damage_json

from tinybert_tf.data import Examples
from tinybert_tf.edge.benchmark import benchmark_many
from tinybert_tf.export import to_tflite
from tinybert_tf.export.flatbuffer_edits import read_model, write_model
from tinybert_tf.export.metadata_format import IDENTIFIER
from tinybert_tf.programs.inspection import inspect_tflite

RECIPES = ("float32", "dynamic_wi8_afp32", "dynamic_wi8_afp32_emb4", "static_wi8_ai8")
TEXTS = ("a b c", "d", "e f g h i j k", "z z z z", "b a", "q r s t u v w x y")
_FILE = "model.tflite"
_ZIP = b"PK\x03\x04"
# Numbers that fields of a graph may have, or nearly.
_FIELDS = (0, 1, -1, 2, 3, 4, 5, 8, 9, 16, 17, 23, 32, 64, 100, 127, 128, 255, *NUMBERS, -(2**31))
_FLOATS = (0.0, math.nan, math.inf, -1.0, 1e30, 1e-40)
_LARGE = 64  # bytes of a buffer that holds weights


@functools.cache
def model():
    """The model that the files are made of."""
    return tiny.make_model(num_layers=1)


@functools.cache
def seeds():
    """The undamaged files: recipe to bytes."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for recipe in RECIPES:
            path = pathlib.Path(folder, _FILE)
            to_tflite(model(), path, recipe, examples=Examples(TEXTS))
            found[recipe] = path.read_bytes()
    return found


def make_case(folder, random, canary):
    """Writes a damaged file into a folder.

    Args:
        folder: `pathlib.Path`, which is there and empty.
        random: `random.Random`.
        canary: not used; the files are not programs.

    Returns:
        A str that tells the recipe and what was damaged.
    """
    recipe = random.choice(RECIPES)
    content, damaged = seeds()[recipe], []
    for _ in range(random.choice((0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3))):
        damage = random.choices(list(_DAMAGES), list(_DAMAGES.values()))[0]
        content = damage(content, random, seeds()[random.choice(RECIPES)])
        damaged.append(damage.__name__.strip("_"))
    (folder / _FILE).write_bytes(content)
    if random.random() < 0.005:
        os.truncate(folder / _FILE, random.choice((2**28, 5 * 2**28)))
        damaged.append("huge")
    return f"{recipe}: {', '.join(damaged) or 'as it is'}"


def _parts(content):
    """The model and the zip behind it."""
    start = content.find(_ZIP)
    return (content, b"") if start < 0 else (content[:start], content[start:])


def _damage_tables(content, random, other):
    """Overwrites bytes of the flatbuffer that are no weights."""
    changed = bytearray(content)
    places = _structure(bytes(_parts(content)[0]))
    for _ in range(random.choice((1, 1, 1, 2, 4)) if places else 0):
        place = random.choice(places)
        if random.random() < 0.5:
            changed[place] ^= 1 << random.randrange(8)
        else:
            number = random.choice((*_FIELDS, len(content), -len(content), place, -place))
            changed[place : place + 4] = struct.pack("<I", number % 2**32)
    return bytes(changed)


@functools.lru_cache(maxsize=8)
def _structure(content):
    """Places that are no weights; those of half a file would mostly be weights."""
    is_weight = np.zeros(len(content), bool)
    with contextlib.suppress(Exception):  # what cannot be read is all structure
        for buffer in read_model(content).buffers:
            data = b"" if buffer.data is None else bytes(buffer.data)
            if len(data) >= _LARGE and IDENTIFIER not in data[:8]:
                start = content.find(data)
                is_weight[start : start + len(data)] = True
    return np.flatnonzero(~is_weight).tolist()


def _damage_graph(content, random, other):
    """Gives fields of tensors, operators, signatures and so on other values."""
    try:
        graph = read_model(content)
        places = {}
        for holder, key, name in _fields(graph, ""):
            places.setdefault(name, []).append((holder, key))
        for _ in range(random.choice((1, 1, 2))):
            _change_field(*random.choice(places[random.choice(sorted(places))]), random)
        return write_model(graph) + _parts(content)[1]
    except Exception:  # what cannot be written as a model, or was none
        return damage_bytes(content, random, other)


def _fields(holder, name):
    """Yields (object or list, key, name) of every number and text of a model, but for weights."""
    if isinstance(holder, schema.BufferT):
        return
    items = enumerate(holder) if isinstance(holder, list | np.ndarray) else vars(holder).items()
    for key, value in items:
        place = f"{type(holder).__name__}.{key}" if isinstance(key, str) else name
        if isinstance(value, int | float | bytes | np.number):
            yield holder, key, place
        elif isinstance(value, list | np.ndarray) or hasattr(value, "__dict__"):
            yield from _fields(value, place)


def _change_field(holder, key, random):
    old = holder[key] if isinstance(key, int) else getattr(holder, key)
    if isinstance(old, bytes):
        new = random.choice((b"", b"ids", b"mask", b"x" * 3000, b"\xff\n", old + b"a"))
    elif isinstance(old, float | np.floating):
        new = random.choice(_FLOATS)
    else:
        old = int(old)
        new = random.choice((*_FIELDS, old + 1, old + 1, old - 1, old - 1, -old, 2 * old))
    if isinstance(key, int):
        holder[key] = new
    else:
        setattr(holder, key, new)


def _swap_buffers(content, random, other):
    """Gives a tensor the numbers of another, more or fewer of them."""
    try:
        graph = read_model(content)
        first, second = random.choices(graph.buffers, k=2)
        first.data = second.data if random.random() < 0.7 else (first.data or b"")[:-1]
        return write_model(graph) + _parts(content)[1]
    except Exception:
        return damage_bytes(content, random, other)


def _damage_metadata(content, random, other):
    """Damages the block that tells other programs what the model is, in its place."""
    mark = content.find(IDENTIFIER)
    if mark < 8:
        return damage_bytes(content, random, other)
    start = mark - 4
    size = min(int.from_bytes(content[start - 4 : start], "little"), len(content) - start)
    block = content[start : start + size]
    if random.random() < 0.5:
        block = damage_bytes(block, random, block)
    else:
        block = bytearray(block)
        for _ in range(random.choice((1, 2, 4)) if len(block) >= 4 else 0):
            place = random.randrange(0, len(block) - 3)
            block[place : place + 4] = struct.pack("<I", random.choice(NUMBERS) % 2**32)
    return content[:start] + bytes(block[:size]).ljust(size, b"\0") + content[start + size :]


def _damage_zip(content, random, other):
    """Damages the zip's own records."""
    front, back = _parts(content)
    return front + damage_bytes(back, random, _parts(other)[1])


def _damage_attached(content, random, other):
    """Puts other settings, labels or tokens into a zip that is whole."""
    front, back = _parts(content)
    try:
        with zipfile.ZipFile(io.BytesIO(back)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
    except Exception:  # damaged before
        return damage_bytes(content, random, other)
    name = random.choice(("tinybert_tf.json", "tinybert_tf.json", *sorted(files)))
    change = random.randrange(8)
    if change == 0:
        files.pop(name, None)
    elif change == 1:
        files[name] = random.choice(sorted(files.values()))
    elif change == 2 and name == "tinybert_tf.json":
        files[name] = _other_settings(files.get(name, b"{}"), random)
    else:
        damage = damage_json if name.endswith(".json") and random.random() < 0.8 else damage_bytes
        files[name] = damage(files.get(name, b""), random, back)
    return front + _zipped(files, random)


def _other_settings(content, random):
    values = {
        "max_sequence_length": (0, 1, 2, 3, 10**30, -5, 2.5, "16", True),
        "problem": ("spans", "tagging", "regression", "multilabel", "", None, []),
        "temperature": (0, -1, 1e-300, "1", math.nan, math.inf, 2.0),
        "out_of_scope_threshold": (math.nan, 2, -1, "0.5", [], 0.5),
        "out_of_scope_label": ("", None, 3, "\ud800", "x" * 5000),
        "lower_case": (0, "yes", None, False),
        "damage": ("nothing", None),
        "path": (None, "/etc/passwd"),
        "recipe": (None, 3, "dynamic", {}),
    }
    name = random.choice(sorted(values))
    with contextlib.suppress(ValueError, TypeError):
        return json.dumps(json.loads(content) | {name: random.choice(values[name])}).encode()
    return content


def _zipped(files, random):
    packed, result = random.random() < 0.1, io.BytesIO()
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(result, "w") as archive:
        for name, content in files.items():
            bomb = packed and random.random() < 0.1
            archive.writestr(zipfile.ZipInfo(name), bytes(2**27) if bomb else content, method)
    return result.getvalue()


def _take_others_zip(content, random, other):
    return _parts(content)[0] + _parts(other)[1]


def _append(content, random, other):
    return content + random.choice((b"\0", b"x" * 70000, random.randbytes(100), other))


# Damage: how often
_DAMAGES = {
    damage_bytes: 2,
    _damage_tables: 6,
    _damage_graph: 6,
    _swap_buffers: 1,
    _damage_metadata: 2,
    _damage_zip: 2,
    _damage_attached: 5,
    _take_others_zip: 1,
    _append: 1,
}


class Reader:
    """Tells what a file is and measures it, as `inspect` and `benchmark` do, in forks of this
    process; a file in fifty, and each that killed its runtime, in processes as fresh as theirs."""

    def __call__(self, folder, name, random):
        """Inspects and measures.

        Returns:
            What became of the file, where it killed its runtime.

        Raises:
            ValueError: If the file is refused.
            AssertionError: If what is told of it is wrong.
        """
        path = folder / _FILE
        with forked() if random.random() > 0.02 else contextlib.nullcontext():
            told = inspect_tflite(path)
            check_told(told, path)
            death = contained(lambda: _measure(path, folder, told, random))
        return death and (contained(lambda: _benchmark(path)) or death)


def check_told(told, path):
    """Raises AssertionError where `inspect` tells what cannot be."""
    json.dumps(told, ensure_ascii=False).encode()
    if told["path"] != str(path) or told["format"] != "tflite":
        raise AssertionError("The file tells what only the reader knows.")
    if told["damage"] is None:
        found = [
            told[name] for name in ("size_bytes", "operators", "tensors", "inputs", "warnings")
        ]
        if not all(found[:-1]) or found[0] != path.stat().st_size:
            raise AssertionError("What is told is not whole.")
    elif str(path) not in told["damage"] or "Traceback" in told["damage"]:
        raise AssertionError(f"No clear error: {told['damage']}")


def contained(deed):
    """Does something; returns of which signal the runtime died, if it did and that was told."""
    try:
        deed()
    except ValueError as error:
        if "Traceback" in str(error):
            raise AssertionError(f"No clear error: {error}") from error
        if found := re.search(
            r"/model\.tflite does not run: the runtime died of (\w+)", str(error)
        ):
            return f"contained {found[1]}"
        raise
    return None


def _benchmark(path, texts=None):
    return benchmark_many([path], (3, 5), (1,), runs=1, warm_seconds=0, texts=texts)


def _measure(path, folder, told, random):
    texts = None
    if random.random() < 0.3:
        texts = folder / "texts.txt"
        texts.write_text("a b\nc\n")
    result = _benchmark(path, texts)
    (file,) = result["files"]
    json.dumps(result, allow_nan=False)
    if told["damage"] is not None and ": its metadata are " not in told["damage"]:
        raise AssertionError(f"It runs, but inspect says: {told['damage']}")
    if [case["length"] for case in file["latency"]] != [3, 5] or not file["load_ms"] > 0:
        raise AssertionError("What was measured is not whole.")
