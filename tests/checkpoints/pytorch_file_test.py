"""Files of torch.save, made by hand: what is a tensor is read, and nothing is ever run."""

import os
import pickle
import struct
import zipfile

import numpy as np
import pytest

from tinybert_tf.checkpoints import pytorch_file
from tinybert_tf.checkpoints.pytorch_file import read_pytorch_file

NUMBERS = np.arange(6, dtype="<f4")
PROTOCOL = b"\x80\x02"


def text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value):
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    content = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


def group(*items):
    return b"(" + b"".join(items) + b"t"


def named(module, name):
    return f"c{module}\n{name}\n".encode()


def sizes(values):
    return values if isinstance(values, bytes) else group(*map(number, values))


def storage(key="0", kind="FloatStorage", count=6):
    name = named("torch", kind)
    return group(text("storage"), name, text(key), text("cpu"), number(count)) + b"Q"


def tensor(shape=(2, 3), strides=(3, 1), offset=0, of=None):
    rebuild = named("torch._utils", "_rebuild_tensor_v2")
    parts = (of or storage(), number(offset), sizes(shape), sizes(strides))
    return rebuild + group(*parts, b"\x89", b"N") + b"R"


def dict_of(**items):
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def write_zip(path, body, storages=None, compression=zipfile.ZIP_STORED, **entries):
    storages = {"0": NUMBERS.tobytes()} if storages is None else storages
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("model/data.pkl", PROTOCOL + body + b".")
        for name, content in entries.items():
            archive.writestr(f"model/{name}", content)
        for key, content in storages.items():
            archive.writestr(f"model/data/{key}", content)


def write_legacy(path, body, storages=None, little_endian=b"\x88", keys=None):
    storages = {"0": NUMBERS.tobytes()} if storages is None else storages
    head = [number(pytorch_file.MAGIC_NUMBER), number(pytorch_file.PROTOCOL_VERSION)]
    head += [dict_of(little_endian=little_endian), body]
    head += [b"](" + b"".join(map(text, storages)) + b"e" if keys is None else keys]
    with path.open("wb") as file:
        file.write(b"".join(PROTOCOL + part + b"." for part in head))
        for content in storages.values():
            file.write(struct.pack("<q", len(content) // 4) + content)


WRITERS = {"zip": write_zip, "legacy": write_legacy}


@pytest.fixture(name="path")
def name_path(tmp_path):
    return tmp_path / "pytorch_model.bin"


@pytest.fixture(name="write", params=WRITERS)
def choose_format(request, path):
    """Writes a file in either format."""
    return lambda *arguments, **settings: WRITERS[request.param](path, *arguments, **settings)


def refused(path, message):
    with pytest.raises(ValueError, match=rf"pytorch_model\.bin: .*{message}"):
        read_pytorch_file(path)


def test_values(path, write):
    write(dict_of(a=tensor()))
    np.testing.assert_array_equal(read_pytorch_file(path)["a"], [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "expected"),
    [
        ((3, 2), (1, 3), 0, [[0, 3], [1, 4], [2, 5]]),
        ((2,), (2,), 1, [1, 3]),
        ((), (), 5, 5),
        ((0, 3), (3, 1), 6, np.zeros((0, 3))),
        ((1, 6), (0, 1), 0, [[0, 1, 2, 3, 4, 5]]),
        ((2, 2), (0, 1), 4, [[4, 5], [4, 5]]),
    ],
)
def test_views(path, write, shape, strides, offset, expected):
    write(dict_of(a=tensor(shape, strides, offset)))
    value = read_pytorch_file(path)["a"]
    assert value.shape == np.shape(expected)
    np.testing.assert_array_equal(value, expected)


def test_shared_numbers_stay_shared_and_other_things_are_left_out(path, write):
    write(dict_of(a=tensor(), epoch=number(3), b=tensor((6,), (1,))))
    tensors = read_pytorch_file(path)
    assert list(tensors) == ["a", "b"]
    assert np.shares_memory(tensors["a"], tensors["b"])
    assert not tensors["a"].flags.writeable


def test_ordered_dict_with_attributes_and_parameters(path, write):
    parameter = named("torch._utils", "_rebuild_parameter") + group(tensor(), b"\x88", b"N") + b"R"
    empty = named("collections", "OrderedDict") + b")R"
    write(empty + b"(" + text("a") + parameter + b"u" + dict_of(_metadata=empty) + b"b")
    assert read_pytorch_file(path)["a"].shape == (2, 3)


@pytest.mark.parametrize(
    ("kind", "dtype", "expected_dtype"),
    [
        ("DoubleStorage", "<f8", "float64"),
        ("HalfStorage", "<f2", "float32"),
        ("BFloat16Storage", "bfloat16", "float32"),
        ("LongStorage", "<i8", "int64"),
        ("BoolStorage", "?", "bool"),
        ("ByteStorage", "u1", "uint8"),
    ],
)
def test_dtypes(path, kind, dtype, expected_dtype):
    values = np.array([0, 1, 1.5, 3]).astype(dtype)
    body = dict_of(a=tensor((4,), (1,), of=storage(kind=kind, count=4)))
    write_zip(path, body, {"0": values.tobytes()})
    actual = read_pytorch_file(path)["a"]
    assert actual.dtype == expected_dtype
    np.testing.assert_array_equal(actual, values.astype(expected_dtype))


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def program(canary, function):
    """The pickle, without its frame, of a call that would leave a file behind."""
    command = {os.system: f"touch {canary}"}.get(function, f"open({str(canary)!r}, 'w')")
    return pickle.dumps(Call(function, command), 2)[2:-1]


@pytest.mark.parametrize("place", ["top", "value", "deep", "ignored"])
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, r"(posix|nt)\.system"),
        (eval, r"__builtin__\.eval"),
        (exec, r"__builtin__\.exec"),
    ],
)
def test_calls_are_named_and_not_made(path, write, tmp_path, place, function, name):
    call = program(tmp_path / "canary", function)
    bodies = {
        "top": call,
        "value": dict_of(a=tensor(), b=call),
        "deep": dict_of(a=group(dict_of(b=group(call))), b=tensor()),
        "ignored": call + b"0" + dict_of(a=tensor()),
    }
    write(bodies[place])
    refused(path, f"asks for '{name}', which no dict of tensors needs. It is not run")
    assert not (tmp_path / "canary").exists()


def test_plain_pickles_are_not_run_either(path, tmp_path):
    path.write_bytes(PROTOCOL + program(tmp_path / "canary", os.system) + b".")
    refused(path, r"asks for '(posix|nt)\.system'")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (named("os", "system"), "asks for 'os.system'"),
        (named("builtins", "eval"), "asks for 'builtins.eval'"),
        (named("torch", "load"), "asks for 'torch.load'"),
        (named("torch._utils", "_rebuild_tensor_v3"), "asks for 'torch._utils._rebuild_tensor_v3'"),
        (named("torch._utils _rebuild_tensor_v2.__globals__", "x"), "asks for"),
        (named("x" * 500, "y"), "asks for 'x{80}',"),
        (b"ios\nsystem\n(", "instruction INST"),
        (b"(" + text("a") + b"o", "instruction OBJ"),
        (b")\x81", "instruction NEWOBJ"),
        (b"\x8c\x02os\x8c\x06system\x93", "instruction SHORT_BINUNICODE"),
        (b"\x82\x01", "instruction EXT1"),
        (b"P0\n", "instruction PERSID"),
        (b"I1\n", "instruction INT"),
        (b"\x8b" + struct.pack("<i", 100) + b"\1" * 100, "instruction LONG4"),
        (b"\x8b" + struct.pack("<i", 2**31 - 1), r"pickle is damaged \(ValueError\)"),
        (b"\xff", r"damaged \(ValueError\)"),
        (b"X\xff\xff\xff\xff", r"damaged \(ValueError\)"),
        (text("x" * 1001), "a text of 1001 characters"),
    ],
)
def test_instructions_of_other_pickles(path, body, message):
    write_zip(path, body)
    refused(path, message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "damaged"),
        (b"t", "damaged"),
        (b"u", "damaged"),
        (b"\x85", "damaged"),
        (b"h\x05", "damaged"),
        (b"q\x05", "damaged"),
        (b"R", "damaged"),
        (b"}(NNu", "keys that are no text"),
        (b"}(" + text("a") + b"u", "keys that are no text"),
        (b"]" + text("a") + b"Ns", "a list out of place"),
        (b"}Na", "a dict out of place"),
        (b"NNb", "a NoneType out of place"),
        (b"N)R", "a NoneType out of place"),
        (named("torch", "FloatStorage") + b")R", "calls torch FloatStorage"),
        (named("collections", "OrderedDict") + group(b"N") + b"R", "damaged"),
        (named("torch._utils", "_rebuild_tensor_v2") + b")R", "damaged"),
        (named("torch._utils", "_rebuild_tensor_v2") + b"(NNNNtR", "not made of a storage"),
        (b"N", "Holds a NoneType, expected a dict of tensors"),
        (b"]", "Holds a list, expected a dict"),
        (named("torch", "FloatStorage"), "Holds a Global, expected"),
        (dict_of(a=number(1)), "Holds no tensors"),
    ],
)
def test_pickles_that_make_no_sense(path, body, message):
    write_zip(path, body)
    refused(path, message)


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        (text("storage"), "a str out of place"),
        (number(7), "an? int out of place"),
        (group(text("storage")), "damaged"),
        (group(text("module"), named("torch", "FloatStorage"), text("0"), b"N", b"K\6"), "else"),
        (group(text("storage"), text("FloatStorage"), text("0"), b"N", b"K\6"), "something else"),
        (
            group(text("storage"), named("collections", "OrderedDict"), text("0"), b"N", b"K\6"),
            "something else",
        ),
        (group(text("storage"), named("torch", "FloatStorage"), b"K\0", b"N", b"K\6"), "name or"),
        (group(text("storage"), named("torch", "FloatStorage"), b"]", b"N", b"K\6"), "name or"),
        (group(text("storage"), named("torch", "FloatStorage"), text("0"), b"N", b"N"), "name or"),
        (
            group(text("storage"), named("torch", "FloatStorage"), text("0"), b"N", number(-6)),
            "name or size",
        ),
        (
            group(text("storage"), named("torch", "FloatStorage"), text("0"), b"N", b"K\6", b"]"),
            "something else",
        ),
    ],
)
def test_references_to_nonsense(path, identity, message):
    write_zip(path, dict_of(a=tensor(of=identity + b"Q")))
    refused(path, message)


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "message"),
    [
        ((2, 3), (3, 1), 1, r"shape \(2, 3\) reaches beyond its storage of 6 numbers"),
        ((7,), (1,), 0, "beyond its storage"),
        ((10**12,), (0,), 0, "beyond its storage"),
        ((2**40,) * 8, (0,) * 8, 0, "beyond its storage"),
        ((2,), (6,), 0, "beyond its storage"),
        ((), (), 6, "beyond its storage"),
        ((-1,), (1,), 0, "are no sizes"),
        ((2,), (-1,), 1, "are no sizes"),
        ((2,), (1,), -1, "are no sizes"),
        ((2**300,), (1,), 0, "are no sizes"),
        ((1,), (2**62,), 0, "are no sizes"),
        (group(b"\x88"), (1,), 0, "are no sizes"),
        (group(b"G" + struct.pack(">d", 2)), (1,), 0, "are no sizes"),
        ((2, 3), (1,), 0, "do not go together"),
        ((1,) * 9, (1,) * 9, 0, "do not go together"),
        (b"]", (), 0, "not made of a storage, a shape and strides"),
    ],
)
def test_views_beyond_the_numbers(path, write, shape, strides, offset, message):
    write(dict_of(a=tensor(shape, strides, offset)))
    refused(path, message)


def test_storage_of_two_kinds(path, write):
    other = tensor((6,), (1,), of=storage(kind="IntStorage"))
    write(dict_of(a=tensor(), b=other))
    refused(path, "Storage 0 has two types or sizes")


@pytest.mark.parametrize("count", [5, 7, 10**12])
def test_storage_of_another_size(path, count):
    body = dict_of(a=tensor((1,), (1,), of=storage(count=count)))
    write_zip(path, body)
    refused(path, f"entry data/0 has 24 bytes, expected {4 * count}")
    write_legacy(path, body)
    refused(path, f"has to hold {count} numbers; the file says 6")


def test_storage_that_is_longer_than_the_rest_of_the_file(path):
    body = dict_of(a=tensor((1,), (1,), of=storage(count=10**12)))
    write_legacy(path, body)
    content = path.read_bytes()
    path.write_bytes(content[:-32] + struct.pack("<q", 10**12) + content[-24:])
    refused(path, "the file says 1000000000000 and has 24 bytes left")


def test_storages_that_are_not_there(path):
    write_zip(path, dict_of(a=tensor()), {})
    refused(path, "Lacks the entry data/0")
    write_zip(path, dict_of(a=tensor(of=storage("../data.pkl"))))
    refused(path, r"Lacks the entry data/\.\./data\.pkl")
    write_legacy(path, dict_of(a=tensor()), {})
    refused(path, "list of storages is not of those that its tensors use")
    for keys in (b"N", b"](Ne", b"]" + text("0") + b"a" + text("0") + b"a"):
        write_legacy(path, dict_of(a=tensor()), keys=keys)
        refused(path, "list of storages is")


def test_storage_of_nothing(path, write):
    write(dict_of(a=tensor((0,), (1,), of=storage(count=0))), {"0": b""})
    assert read_pytorch_file(path)["a"].shape == (0,)


def test_compressed_entries(path):
    write_zip(path, dict_of(a=tensor()), compression=zipfile.ZIP_DEFLATED)
    refused(path, "entries are compressed")
    write_zip(path, dict_of(a=tensor()), {"0": bytes(10**6)}, zipfile.ZIP_LZMA)
    refused(path, "entries are compressed")


def test_entries_on_top_of_each_other(path):
    """A file of one block of numbers that its list of contents names many times."""
    write_zip(path, dict_of(a=tensor()), {"0": bytes(10**5)})
    content = path.read_bytes()
    start, last, end = content.index(b"PK\1\2"), content.rindex(b"PK\1\2"), content.index(b"PK\5\6")
    listed = content[start:last] + content[last:end] * 20
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 21, 21, len(listed), start, 0)
    path.write_bytes(content[:start] + listed + tail)
    refused(path, "entries are larger together than the file")


@pytest.mark.parametrize(
    "names", [[], ["data.pkl"], ["a/b/data.pkl"], ["a/data.pkl", "b/data.pkl"]]
)
def test_other_zip_files(path, names):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme", "")
        for name in names:
            archive.writestr(name, b"")
    refused(path, "a zip file without one data.pkl")


def test_big_endian(path):
    write_zip(path, dict_of(a=tensor()), byteorder="little")
    assert read_pytorch_file(path)
    write_zip(path, dict_of(a=tensor()), byteorder="big")
    refused(path, "big-endian")
    write_legacy(path, dict_of(a=tensor()), little_endian=b"\x89")
    refused(path, "big-endian")


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"version https://git-lfs.github.com/spec/v1", bytes(100)]
)
def test_other_files(path, content):
    path.write_bytes(content)
    refused(path, "Not a (whole )?PyTorch file")


def test_missing_file(path):
    with pytest.raises(FileNotFoundError, match=r"pytorch_model\.bin: no such file"):
        read_pytorch_file(path)


def test_deep_and_circular_structures(path, write):
    write(dict_of(a=b"N" + b"\x85" * 100_000, b=b"]q\1h\1a", c=tensor()))
    assert list(read_pytorch_file(path)) == ["c"]


def test_pickle_without_end(path, write, monkeypatch):
    monkeypatch.setattr(pytorch_file, "MAX_INSTRUCTIONS", 1000)
    write(b"(" * 1000 + dict_of(a=tensor()))
    refused(path, "over 1000 instructions")


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.999])
def test_truncated(path, write, share):
    write(dict_of(a=tensor()))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(path, "")


def test_damaged_anywhere(path, write):
    """Whatever byte is changed, the file is refused or read as what it says."""
    write(dict_of(a=tensor(), b=tensor((3,), (2,))))
    content, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(400):
        damaged = bytearray(content)
        damaged[random.integers(len(content))] = random.integers(256)
        path.write_bytes(damaged)
        try:
            tensors = read_pytorch_file(path)
        except ValueError as error:
            assert "pytorch_model.bin: " in str(error)
        else:
            assert all(value.size <= len(content) for value in tensors.values())
