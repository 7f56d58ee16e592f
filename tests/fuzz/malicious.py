"""Pickles that run a command when they are unpickled, in the formats of torch.save."""

import io
import os
import pickle
import struct
import subprocess
import zipfile

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001


def malicious_file(canary, random):
    """The bytes of a pytorch_model.bin that would make the file `canary`.

    Args:
        canary: `pathlib.Path`.
        random: `random.Random`.
    """
    payload = random.choice((_by_pickle, _by_hand, _by_hand))(canary, random)
    return random.choice((_in_zip, _in_zip, _in_legacy, _in_legacy, lambda body, _: body))(
        payload, random
    )


class _Reduced:
    """An object that is unpickled by a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def _by_pickle(canary, random):
    """A pickle as Python writes it, of any protocol, the call at any depth."""
    command, code = f"touch {canary}", f"open({str(canary)!r}, 'w').close()"
    call = random.choice(
        (
            _Reduced(os.system, command),
            _Reduced(eval, code),
            _Reduced(exec, code),
            _Reduced(subprocess.Popen, ["touch", str(canary)]),
            _Reduced(open, str(canary), "w"),
            _Reduced(pickle.loads, pickle.dumps(_Reduced(os.system, command))),
            _Reduced(getattr, _Reduced(__import__, "os"), "system"),
        )
    )
    nested = random.choice((call, {"a": call}, {"a": [({"b": call},)]}, [call], (call, {})))
    return pickle.dumps(nested, protocol=random.randrange(6))


def _by_hand(canary, random):
    """A pickle of protocol 2 by instructions that pickle itself would not write."""
    command = _text(f"touch {canary}")
    system, call = b"cposix\nsystem\n", b"cposix\nsystem\n" + command + b"\x85R"
    harmless = b"ccollections\nOrderedDict\n"
    line = f"S'touch {canary}'\n".encode()
    body = random.choice(
        (
            call,
            system + b"q\x00" + harmless + b"0h\x00" + command + b"\x85R",  # remembered
            harmless + b"q\x00" + b"0" + system + b"q\x00" + b"h\x00" + command + b"\x85R",
            b"(" + line + b"iposix\nsystem\n",
            b"(" + system + line + b"o",
            system + command + b"\x85\x81",
            system + command + b"\x85}\x92",
            _text("posix") + _text("system") + b"\x93" + command + b"\x85R",
            harmless + b"(" + call + b"tR",
            b"}(" + _text("a") + call + b"u",
            b"}" + call + b"Ns",  # as a key
            harmless + b")R" + call + b"b",  # as attributes
            b"(" + _text("storage") + system + _text("0") + _text("cpu") + b"K\x01tQ",
            b"(" + _text("storage") + call + _text("0") + _text("cpu") + b"K\x01tQ",
            b"ctorch._utils\n_rebuild_tensor_v2\n(" + call + b"K\x00))\x89NtR",
            b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n" + command + b"\x85R",
            b"cbuiltins\neval\n" + _text(f"open({str(canary)!r}, 'w')") + b"\x85R",
            b"cbuiltins\ngetattr\n(cbuiltins\n__import__\n" + _text("os") + b"\x85R",
            b"\x82\x01",
            b"c__main__\ncanary\n",
        )
    )
    return b"\x80\x02" + body + b"."


def _text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def _in_zip(body, random):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", body)
        archive.writestr("archive/data/0", bytes(24))
        if random.random() < 0.3:
            archive.writestr("archive/code/__torch__.py", "import os")
    return file.getvalue()


def _in_legacy(body, random):
    """The payload in place of one of the five pickles."""
    system = {"protocol_version": VERSION, "little_endian": True}
    parts = [pickle.dumps(part, protocol=2) for part in (MAGIC, VERSION, system, {}, [])]
    parts[random.randrange(5)] = body
    return b"".join(parts)
