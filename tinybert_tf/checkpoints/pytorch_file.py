"""Tensors from a file of torch.save, without torch and without unpickling.

Such a file is a pickle of a dict of tensors and, beside it, the numbers. A pickle is a program: it
may call any function. So it is not run. `pickletools` splits it into instructions, and the few that
a dict of tensors needs are carried out here, on lists, dicts, numbers and text; the functions that
they name are words that stand for what is done here, and any other word is refused.
"""

import dataclasses
import io
import math
import mmap
import pickletools
import struct
import zipfile

import ml_dtypes
import numpy as np

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
# A BERT takes ten thousand. The limit bounds time and memory whatever the pickle says.
MAX_INSTRUCTIONS = 1_000_000
MAX_RANK = 8
MAX_SIZE = 2**40
MAX_TEXT = 1000
# How many tensors may show the same numbers, on average: a BERT has a table that two show.
MAX_SHARING = 4

DTYPES = {
    "torch FloatStorage": np.dtype("<f4"),
    "torch DoubleStorage": np.dtype("<f8"),
    "torch HalfStorage": np.dtype("<f2"),
    "torch BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "torch LongStorage": np.dtype("<i8"),
    "torch IntStorage": np.dtype("<i4"),
    "torch ShortStorage": np.dtype("<i2"),
    "torch CharStorage": np.dtype("i1"),
    "torch ByteStorage": np.dtype("u1"),
    "torch BoolStorage": np.dtype("?"),
}


def read_pytorch_file(path):
    """The tensors of a dict that torch.save wrote, in its zip format or in the one before 1.6.

    Args:
        path: `pathlib.Path`, the file of a `state_dict`.

    Returns:
        Dict of name to NumPy array; those of half precision as float32. What is no tensor is left
        out. Arrays are read-only, and those that shared memory do so again.

    Raises:
        FileNotFoundError: If it is missing.
        ValueError: If it is damaged, or is or does anything else than to hold tensors.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected the model's weights.")
    with path.open("rb") as file:
        read = _read_zip if file.read(4) == b"PK\x03\x04" else _read_legacy
        file.seek(0)
        try:
            return _tensors_of(read(file, path.stat().st_size))
        except _FileError as error:
            raise ValueError(f"{path}: {error}") from error


def _is_size(number):
    return type(number) is int and 0 <= number <= MAX_SIZE


class _FileError(ValueError):
    """What is wrong with the file, to which its name is added."""


@dataclasses.dataclass(frozen=True)
class _Global:
    """A function or class that the pickle names; never the thing itself."""

    name: str


@dataclasses.dataclass(eq=False)
class _Storage:
    """Numbers that tensors look into; `values` come once the pickle has been read."""

    key: str
    dtype: np.dtype
    size: int
    values: np.ndarray | None = None

    @property
    def num_bytes(self):
        return self.size * self.dtype.itemsize

    def fill(self, content):
        """Takes `num_bytes` of bytes as its numbers, those of half precision as float32."""
        values = np.frombuffer(content, self.dtype)
        self.values = values.astype(np.float32) if values.dtype in _HALF else values


_HALF = (np.dtype("<f2"), np.dtype(ml_dtypes.bfloat16))


@dataclasses.dataclass(frozen=True, eq=False)
class _Tensor:
    """A view of a storage, in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self):
        numbers = (self.offset, *self.shape, *self.strides)
        if len(self.shape) != len(self.strides) or len(self.shape) > MAX_RANK:
            raise _FileError("A tensor's shape and strides do not go together.")
        if any(not _is_size(number) for number in numbers):
            raise _FileError("A tensor's shape, strides or offset are no sizes.")
        last = sum((size - 1) * step for size, step in zip(self.shape, self.strides, strict=True))
        size = math.prod(self.shape)
        if size > self.storage.size or (size and self.offset + last >= self.storage.size):
            raise _FileError(
                f"A tensor of shape {self.shape} reaches beyond its storage of "
                f"{self.storage.size} numbers."
            )

    def to_array(self):
        """The view as a NumPy array."""
        values = self.storage.values[self.offset :]
        steps = [step * values.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(values, self.shape, steps, writeable=False)


def _tensors_of(content):
    if type(content) is not dict:
        raise _FileError(
            f"Holds a {type(content).__name__.strip('_')}, expected a dict of tensors."
        )
    tensors = {name: item for name, item in content.items() if type(item) is _Tensor}
    if not tensors:
        raise _FileError("Holds no tensors at the top of its dict.")
    num_shown = sum(math.prod(tensor.shape) for tensor in tensors.values())
    num_stored = sum(storage.size for storage in {tensor.storage for tensor in tensors.values()})
    if num_shown > MAX_SHARING * num_stored:
        raise _FileError(f"Its tensors have {num_shown} numbers, but it holds {num_stored}.")
    return {name: tensor.to_array() for name, tensor in tensors.items()}


# What Python's reader raises over damaged zip files, beside its own exception.
_ZIP_ERRORS = (zipfile.BadZipFile, ValueError, RuntimeError, EOFError, OverflowError, OSError)
_ZIP_ERRORS += (struct.error,)


def _read_zip(file, file_size):
    """The pickled object of a zip file, its storages filled."""
    try:
        with zipfile.ZipFile(file) as archive:
            return _read_archive(_Archive(archive, file_size))
    except _FileError:
        raise
    except _ZIP_ERRORS as error:
        raise _FileError(f"Not a whole PyTorch file ({error}).") from error


def _read_archive(archive):
    if archive.has("byteorder") and archive.read("byteorder") != b"little":
        raise _FileError("Was written on a big-endian machine.")
    pickle = _Pickle()
    content = pickle.run(io.BytesIO(archive.read("data.pkl")))
    for storage in pickle.storages.values():
        storage.fill(archive.read(f"data/{storage.key}", storage.num_bytes))
    return content


class _Archive:
    """The entries of a zip file below its one folder, which lie in it as they are."""

    def __init__(self, archive, file_size):
        entries = archive.infolist()
        roots = [entry.filename for entry in entries if entry.filename.count("/") == 1]
        roots = [name.removesuffix("data.pkl") for name in roots if name.endswith("/data.pkl")]
        if len(roots) != 1:
            raise _FileError("Not a PyTorch file: a zip file without one data.pkl.")
        if any(entry.file_size != entry.compress_size for entry in entries) or any(
            entry.compress_type != zipfile.ZIP_STORED for entry in entries
        ):
            raise _FileError("Its entries are compressed, which PyTorch never does.")
        if sum(entry.file_size for entry in entries) > file_size:
            raise _FileError("Its entries are larger together than the file.")
        self._archive = archive
        self._entries = {entry.filename.removeprefix(roots[0]): entry for entry in entries}

    def has(self, name):
        """Whether there is such an entry."""
        return name in self._entries

    def read(self, name, num_bytes=None):
        """The bytes of an entry, which has to have `num_bytes` of them, if that is known."""
        if name not in self._entries:
            raise _FileError(f"Lacks the entry {name}.")
        actual = self._entries[name].file_size
        if num_bytes not in (None, actual):
            raise _FileError(f"The entry {name} has {actual} bytes, expected {num_bytes}.")
        return self._archive.read(self._entries[name])


def _read_legacy(file, file_size):
    """The pickled object of a file of five pickles and, behind them, the storages."""
    if not file_size:
        raise _FileError("Not a PyTorch file but an empty one.")
    # A map reads what there is, where a file would first make room for what a pickle asks for.
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return _read_legacy_parts(content)


def _read_legacy_parts(file):
    if _Pickle().run(file, "Not a PyTorch file") != MAGIC_NUMBER:
        raise _FileError("Not a PyTorch file.")
    if _Pickle().run(file) != PROTOCOL_VERSION:
        raise _FileError("Of another PyTorch format than version 1001.")
    system = _Pickle().run(file)
    if type(system) is not dict or system.get("little_endian") is not True:
        raise _FileError("Was written on a big-endian machine.")
    pickle = _Pickle()
    content = pickle.run(file)
    keys = _Pickle().run(file)
    if type(keys) is not list or any(type(key) is not str for key in keys):
        raise _FileError("Its list of storages is damaged.")
    if sorted(keys) != sorted(pickle.storages):
        raise _FileError("Its list of storages is not of those that its tensors use.")
    for key in keys:
        _read_storage(file, pickle.storages[key])
    return content


def _read_storage(file, storage):
    """Reads the count of numbers, eight bytes, and the numbers."""
    count = int.from_bytes(file.read(8), "little")
    left = len(file) - file.tell()
    if count != storage.size or storage.num_bytes > left:
        raise _FileError(
            f"Storage {storage.key[:40]} has to hold {storage.size} numbers; the file says {count} "
            f"and has {left} bytes left."
        )
    storage.fill(file.read(storage.num_bytes))


class _Pickle:
    """Carries out the instructions of a pickle that a dict of tensors needs."""

    def __init__(self):
        self.storages = {}
        self._stack, self._outer, self._memo = [], [], {}

    def run(self, file, complaint="Its pickle is damaged"):
        """What the pickle at the file's place holds; the file is left behind it.

        Args:
            file: binary file that makes no room for more bytes than it has.
            complaint: str, the beginning of the message where it is not a pickle.
        """
        try:
            for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
                if opcode.name not in _INSTRUCTIONS:
                    raise _FileError(
                        f"Its pickle has the instruction {opcode.name}, which no dict of tensors "
                        "needs."
                    )
                if number == MAX_INSTRUCTIONS:
                    raise _FileError(f"Its pickle has over {MAX_INSTRUCTIONS} instructions.")
                _INSTRUCTIONS[opcode.name](self, argument)
            return self._stack.pop()
        except _FileError:
            raise
        except (ValueError, IndexError, KeyError, TypeError, OverflowError, struct.error) as error:
            raise _FileError(f"{complaint} ({type(error).__name__}).") from error

    def skip(self, argument):
        """PROTO, STOP: nothing to do."""

    def push(self, value):
        """Puts a value on the stack."""
        self._stack.append(value)

    def push_text(self, text):
        """A name, never long: to look a long one up again and again would take for ever."""
        if len(text) > MAX_TEXT:
            raise _FileError(f"Its pickle has a text of {len(text)} characters.")
        self.push(text)

    def mark(self, argument):
        """Begins a group of values."""
        self._outer.append(self._stack)
        self._stack = []

    def _pop_group(self):
        group, self._stack = self._stack, self._outer.pop()
        return group

    def make_tuple(self, size):
        """Of the last `size` values, or of the group."""
        if size is None:
            self.push(tuple(self._pop_group()))
        else:
            self.push(tuple(self._pop() for _ in range(size))[::-1])

    def _pop(self, kind=object):
        value = self._stack.pop()
        if kind is not object and type(value) is not kind:
            raise _FileError(f"Its pickle has a {type(value).__name__.strip('_')} out of place.")
        return value

    def append(self, values):
        """Adds to the list below."""
        self._top(list).extend(values)

    def set_items(self, pairs):
        """Adds keys and values, by turns, to the dict below; keys are text."""
        if len(pairs) % 2 or any(type(key) is not str for key in pairs[::2]):
            raise _FileError("Its pickle has a dict with keys that are no text.")
        self._top(dict).update(zip(pairs[::2], pairs[1::2], strict=True))

    def _top(self, kind):
        self.push(self._pop(kind))
        return self._stack[-1]

    def remember(self, place):
        """Keeps the last value for `recall`."""
        self._memo[place] = self._stack[-1]

    def recall(self, place):
        """Pushes a kept value."""
        self.push(self._memo[place])

    def name(self, name):
        """Pushes a word for a function or class, if it is one of the few."""
        if name not in DTYPES and name not in _FUNCTIONS:
            raise _FileError(
                f"Its pickle asks for {name[:80].replace(' ', '.')!r}, which no dict of tensors "
                "needs. It is not run; do not trust this file."
            )
        self.push(_Global(name))

    def build(self, argument):
        """Forgets an object's attributes: a `state_dict` has the versions of its modules there."""
        self._pop(dict)
        self._top(dict)

    def call(self, argument):
        """Does what a function of the table would do."""
        arguments, function = self._pop(tuple), self._pop(_Global).name
        if function not in _FUNCTIONS:
            raise _FileError(f"Its pickle calls {function}.")
        self.push(_FUNCTIONS[function](*arguments))

    def find_storage(self, argument):
        """Pushes the storage that a tuple ("storage", type, key, device, size) is of."""
        word, kind, key, _, size, *view = self._pop(tuple)
        is_storage = type(word) is str and word == "storage" and type(kind) is _Global
        if not is_storage or kind.name not in DTYPES or view not in ([], [None]):
            raise _FileError("Its pickle refers to something else than a storage.")
        if type(key) is not str or not _is_size(size):
            raise _FileError("Its pickle has a storage without a name or size.")
        storage = self.storages.setdefault(key, _Storage(key, DTYPES[kind.name], size))
        if (storage.dtype, storage.size) != (DTYPES[kind.name], size):
            raise _FileError(f"Storage {key[:40]} has two types or sizes.")
        self.push(storage)


def _make_dict():
    return {}


def _make_tensor(storage, offset, shape, strides, *training):
    if type(storage) is not _Storage or type(shape) is not tuple or type(strides) is not tuple:
        raise _FileError("A tensor is not made of a storage, a shape and strides.")
    return _Tensor(storage, offset, shape, strides)


def _make_parameter(tensor, *training):
    return tensor


# Name in the pickle: what is done in its place
_FUNCTIONS = {
    "collections OrderedDict": _make_dict,
    "torch._utils _rebuild_tensor": _make_tensor,
    "torch._utils _rebuild_tensor_v2": _make_tensor,
    "torch._utils _rebuild_parameter": _make_parameter,
}
# Instruction of a pickle of protocol 2: what it does with its argument
_INSTRUCTIONS = {
    **dict.fromkeys(("PROTO", "STOP"), _Pickle.skip),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"), _Pickle.push),
    **dict.fromkeys(("BINUNICODE", "BINSTRING", "SHORT_BINSTRING"), _Pickle.push_text),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _Pickle.remember),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _Pickle.recall),
    "NONE": lambda pickle, _: pickle.push(None),
    "NEWTRUE": lambda pickle, _: pickle.push(True),
    "NEWFALSE": lambda pickle, _: pickle.push(False),
    "EMPTY_DICT": lambda pickle, _: pickle.push({}),
    "EMPTY_LIST": lambda pickle, _: pickle.push([]),
    "MARK": _Pickle.mark,
    "TUPLE": _Pickle.make_tuple,
    "EMPTY_TUPLE": lambda pickle, _: pickle.make_tuple(0),
    "TUPLE1": lambda pickle, _: pickle.make_tuple(1),
    "TUPLE2": lambda pickle, _: pickle.make_tuple(2),
    "TUPLE3": lambda pickle, _: pickle.make_tuple(3),
    "APPEND": lambda pickle, _: pickle.append([pickle._pop()]),
    "APPENDS": lambda pickle, _: pickle.append(pickle._pop_group()),
    "SETITEM": lambda pickle, _: pickle.set_items([pickle._pop(), pickle._pop()][::-1]),
    "SETITEMS": lambda pickle, _: pickle.set_items(pickle._pop_group()),
    "GLOBAL": _Pickle.name,
    "REDUCE": _Pickle.call,
    "BUILD": _Pickle.build,
    "BINPERSID": _Pickle.find_storage,
}
