"""Damaged checkpoints of every format, and what a reader may make of them."""

import functools
import gc
import io
import itertools
import json
import pathlib
import re
import struct
import zipfile

import h5py
import keras
import numpy as np
from fuzz.malicious import malicious_file
from fuzz.mutations import NUMBERS, damage_bytes, damage_json, json_value
from fuzz.tables import read_table, write_table
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import tensor_bundle_pb2

from tinybert_tf.checkpoints import build_model, read_checkpoint

GOLDENS = pathlib.Path(__file__).parents[1] / "goldens"
FORMATS = ("transformers_models", "google_tf1", "keras_hub", "model_garden")
# Values that YAML's reader makes something else of, or makes large.
YAML_VALUES = (
    *("!!int ''", "!!int x", "!!float ''", "!!bool x", "!!timestamp x", "!!binary x", "!!set [a]"),
    *("2020-01-01", "2020-13-45", "1:1:1", "0x", "0b", "~", "*a", "&a [*a]", "{? [a] : b}", "!x y"),
    *("!!python/object/apply:os.system ['touch @canary@']", "!!python/name:os.system", "<<: 1"),
    *("|", ">", "%YAML 1.9", "---", "- 1", "[" * 2000, "{a: " * 400, "&a {<<: *a}", "@", "`"),
    "\na: &a {x: 1}"  # merged again and again
    + "".join(
        f"\n{key}: &{key} {{<<: [{f'*{last}, ' * 9}]}}"
        for last, key in itertools.pairwise("abcdefgh")
    ),
)


@functools.cache
def seeds():
    """The undamaged checkpoints: name to a dict of path in the folder to bytes."""
    folders = sorted(path for kind in FORMATS for path in (GOLDENS / kind).iterdir())
    found = {
        f"{path.parent.name}/{path.name}": {
            str(file.relative_to(path)): file.read_bytes()
            for file in sorted(path.rglob("*"))
            if file.is_file() and file.name != "outputs.npz"
        }
        for path in folders
        if path.is_dir()
    }
    vocabulary = found["google_tf1/pretrained"]["vocab.txt"]
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 12}
    for name in ("encoder", "multilabel", "tinybert"):
        found[f"transformers_models/{name}"] |= {
            "vocab.txt": vocabulary,
            "tokenizer_config.json": json.dumps(settings).encode(),
        }
    found["keras_hub/classifier"]["labels.txt"] = b"no\nyes\nm\xc3\xa4h\n"
    return found


def make_case(folder, random, canary):
    """Writes a damaged checkpoint into a folder.

    Args:
        folder: `pathlib.Path`, which is there and empty.
        random: `random.Random`.
        canary: `pathlib.Path`, a file that malicious content would make.

    Returns:
        A str that tells the checkpoint and what was damaged.
    """
    name = random.choice(sorted(seeds()))
    files, damaged = dict(seeds()[name]), []
    for _ in range(random.choice((0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4))):
        if files:
            damaged.append(_damage_one(files, random, canary))
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            (folder / path).mkdir(exist_ok=True)
        else:
            (folder / path).write_bytes(content)
    return f"{name}: {', '.join(damaged) or 'as it is'}"


def _damage_one(files, random, canary):
    """Damages one of a dict of files, in place; tells which."""
    path = random.choice([path for path, content in files.items() if content is not None] or [""])
    if not path:
        return ""
    if random.random() < 0.06:
        return _damage_folder(files, path, random)
    others = [
        content
        for seed in seeds().values()
        for name, content in seed.items()
        if pathlib.PurePath(name).suffix == pathlib.PurePath(path).suffix
    ]
    damage = _damage_of(path) if random.random() < 0.7 else damage_bytes
    if damage is _damage_torch and random.random() < 0.4:
        files[path] = malicious_file(canary, random)
        return f"{path} (malicious)"
    if damage is _damage_yaml:
        files[path] = damage(files[path], random).replace(b"@canary@", str(canary).encode())
    else:
        files[path] = damage(files[path], random, random.choice(others))
    return path


def _damage_folder(files, path, random):
    """Removes a file, makes a folder of it, or gives it the name or content of another."""
    other, change = random.choice(sorted(files)), random.randrange(4)
    if change == 0:
        del files[path]
    elif change == 1:
        files[path] = None
    elif change == 2:
        files[other] = files.pop(path)
    else:
        files[path] = random.choice(sorted(random.choice(sorted(seeds().items()))[1].items()))[1]
    return f"{path} (folder)"


def _damage_of(path):
    """The damage that knows the format of a file, by its name."""
    kinds = {
        ".json": damage_json,
        ".safetensors": _damage_safetensors,
        ".bin": _damage_torch,
        ".index": _damage_index,
        ".h5": _damage_h5,
        ".yaml": _damage_yaml,
    }
    return kinds.get(pathlib.PurePath(path).suffix, damage_bytes)


def _damage_safetensors(content, random, other):
    """Damages the header, which keeps or loses its true length."""
    if len(content) < 8:
        return damage_bytes(content, random, other)
    size = int.from_bytes(content[:8], "little")
    header, rest = content[8 : 8 + size], content[8 + size :]
    change = random.randrange(5)
    if change == 0:
        wrong = random.choice((*NUMBERS, size - 1, size + 1, len(content), len(content) - 8))
        return struct.pack("<Q", wrong % 2**64) + header + rest
    if change == 1:
        kinds = (b"F64", b"F16", b"BF16", b"I8", b"I64", b"BOOL", b"F8_E4M3", b"F4", b"C64", b"U16")
        header = header.replace(b'"F32"', b'"' + random.choice(kinds) + b'"', random.randint(1, 60))
    elif change == 2:
        header = _empty_a_tensor(header, random)
    else:
        header = damage_json(header, random)
    return struct.pack("<Q", len(header)) + header + rest


def _empty_a_tensor(header, random):
    """Gives a tensor no numbers and, in its other dimensions, a size of any magnitude."""
    try:
        values = json.loads(header)
        entry = values[random.choice(sorted(set(values) - {"__metadata__"}))]
        start = entry["data_offsets"][0]
        entry["shape"] = random.choice(([0, 10**12], [10**12, 0], [0] * 70, [0], [2**63, 0]))
        entry["data_offsets"] = [start, start]
        return json.dumps(values).encode()
    except (ValueError, RecursionError, LookupError, TypeError):
        return header


def _damage_torch(content, random, other):
    """Damages one entry of a zip file, whose checksums then fit, or how it is packed."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [(entry, archive.read(entry)) for entry in archive.infolist()]
    except (ValueError, OSError, RuntimeError, zipfile.BadZipFile, struct.error):
        return damage_bytes(content, random, other)
    chosen = random.randrange(len(entries))
    if random.random() < 0.6:
        chosen = next((i for i, (entry, _) in enumerate(entries) if "pkl" in entry.filename), 0)
    result = io.BytesIO()
    deflated = random.random() < 0.05
    with zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED if deflated else 0) as archive:
        for number, (entry, data) in enumerate(entries):
            name = entry.filename
            if number == chosen and random.random() < 0.15:
                name = random.choice(("archive/data/0", "/etc/x", "../x", "data.pkl", name + "0"))
            elif number == chosen:
                data = damage_bytes(data, random, entries[0][1])
            archive.writestr(name, bytes(2**28) if deflated and number == chosen else data)
    return result.getvalue()


def _damage_index(content, random, other):
    """Damages the entries of an index, whose checksums then fit."""
    try:
        table = read_table(content)
    except (ValueError, IndexError, struct.error):
        return damage_bytes(content, random, other)
    key = random.choice(sorted(table))
    change = random.randrange(6)
    if change == 0:
        del table[key]
    elif change == 1:
        table[damage_bytes(key, random, b"bert/")] = table.pop(key)
    elif change == 2:
        table[key] = damage_bytes(table[key], random, table[random.choice(sorted(table))])
    elif change == 3:
        table[key] = table[random.choice(sorted(table))]
    else:
        table[key] = _damage_entry(table[key], random)
    return write_table(table)


def _damage_entry(value, random):
    """Damages what an index says of a tensor."""
    try:
        entry = tensor_bundle_pb2.BundleEntryProto.FromString(value)
    except DecodeError:
        return b""
    number = random.choice((-1, 1, *NUMBERS))
    for _ in range(random.choice((1, 1, 2))):
        change = random.randrange(6)
        if change == 0:
            entry.dtype = random.choice((0, 1, 2, 3, 7, 9, 14, 19, 20, 99))
        elif change == 1:
            entry.offset = min(number, 2**63 - 1)
        elif change == 2:
            entry.size = min(number, 2**63 - 1)
        elif change == 3:
            entry.shard_id = min(number, 2**31 - 1)
        elif change == 4:
            entry.slices.add()
        else:
            _damage_shape(entry, random)
    return entry.SerializeToString()


def _damage_shape(entry, random):
    """Gives a tensor as many numbers in another shape, or none, or any."""
    count = entry.size // 4
    del entry.shape.dim[:]
    shapes = [[], [count], [1] * 70 + [count], [0, 2**62], [2**62, 0], [0] * 40, [count, 1], [-1]]
    shape = random.choice(shapes)
    for size in shape:
        entry.shape.dim.add().size = size
    if not all(shape):
        entry.size = 0
    elif not shape and random.random() < 0.7:
        entry.size = 4


def _damage_h5(content, random, other):
    """Replaces, removes or links an array through the library that wrote it, or damages a node."""
    places = [found.start() for found in re.finditer(rb"TREE|HEAP|SNOD|FRHP|OHDR|OCHK", content)]
    if places and random.random() < 0.5:
        start = random.choice(places) + random.choice((0, 4, 64, -256))
        end = min(start + 256, len(content))
        return content[:start] + damage_bytes(content[start:end], random) + content[end:]
    file = io.BytesIO(content)
    try:
        with h5py.File(file, "r+") as root:
            names = []
            root.visit(names.append)
            name = random.choice(sorted(names))
            kept = root[name]
            kept = kept[()] if isinstance(kept, h5py.Dataset) else np.zeros(4, np.float32)
            del root[name]
            _put_array(root, name, kept, random)
    except (OSError, RuntimeError, ValueError, KeyError, IndexError, TypeError):
        return damage_bytes(content, random, other)
    return file.getvalue()


def _put_array(root, name, kept, random):
    """Puts something in the place of an array."""
    change = random.randrange(9)
    if change == 0:
        root[name] = h5py.ExternalLink("/etc/passwd", "/x")
    elif change == 1:
        root[name] = h5py.SoftLink("/" if random.random() < 0.5 else f"/{name}")
    elif change == 2:
        root[name] = kept.astype(random.choice(("f2", "f8", "i8", "c8", "S4", ">f4", "g", "?")))
    elif change == 3:
        root[name] = kept.reshape(random.choice(((-1,), (1, 1, -1), (-1, 1))))
    elif change == 4:
        shape = random.choice(((2**40,), (10**6, 10**6), (0, 2**62), (0,), (2**20, 2**8)))
        chunks = tuple(min(size, 64) or 1 for size in shape)
        root.create_dataset(name, shape, "f4", chunks=chunks, maxshape=(None,) * len(shape))
    elif change == 5:
        root.create_dataset(name, data=kept, compression="gzip") if kept.ndim else None
    elif change == 6:
        root[name] = random.choice((np.float32(1), "text", np.array([b"a"]), h5py.Empty("f4")))
    elif change == 7:
        root.create_dataset(name, (4,), "f4", external=[("/etc/passwd", 0, 16)])
    else:
        root.create_group(name)


def _damage_yaml(content, random):
    """Puts another value behind a key."""
    lines = content.split(b"\n")
    lines += [b""] * (random.random() < 0.3)
    number = random.choice((random.randrange(len(lines)), len(lines) - 1))
    value = random.choice(YAML_VALUES) if random.random() < 0.7 else json_value(random)
    key = lines[number].partition(b":")[0]
    lines[number] = random.choice((key + b": ", key + b": ", b"")) + value.encode()
    return b"\n".join(lines)


class Reader:
    """Reads checkpoints and builds their models; one that differs from a model that could be built
    in nothing but its numbers is not built again, for that takes a tenth of a second."""

    def __init__(self):
        self._built = set()

    def __call__(self, folder, name, random):
        """Reads and builds.

        Raises:
            ValueError: If the file is refused.
            OSError: If a file is missing.
            AssertionError: If the model could not be used.
        """
        checkpoint = read_checkpoint(folder)
        form = _form(checkpoint)
        if form in self._built:
            return
        _check_model(build_model(checkpoint))
        self._built.add(form)
        if len(self._built) % 100 == 0:
            keras.backend.clear_session()
            gc.collect()


def _form(checkpoint):
    """All that a checkpoint holds but for its numbers."""
    shapes = sorted((name, str(a.dtype), a.shape) for name, a in checkpoint.tensors.items())
    try:
        return hash((repr(checkpoint.values), repr(shapes), checkpoint.vocabulary))
    except RecursionError:
        return None


def _check_model(model):
    """Holds a model to what can be used: its texts can be written, its tokens have a row each."""
    config, vocabulary = model.config, model.vocabulary
    texts = [*(getattr(model, "labels", None) or ()), *(vocabulary.tokens if vocabulary else ())]
    if any(text != text.encode("utf-8", "replace").decode("utf-8") for text in texts):
        raise AssertionError("A label or token cannot be written as UTF-8.")
    if vocabulary and len(vocabulary) > config.vocabulary_size:
        raise AssertionError("There are more tokens than rows.")
    if model.count_params() > 10**6:
        raise AssertionError("The model is larger than its file.")
