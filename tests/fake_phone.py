"""A recording `adb`: a program that logs what it is asked and answers like a phone."""

import dataclasses
import json
import os
import pathlib
import struct
import sys

ADB = """#!{python} -ISs
import json, pathlib, sys
state = json.loads(pathlib.Path({answers!r}).read_text())
with open({log!r}, "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
words = sys.argv[3:] if sys.argv[1] == "-s" else sys.argv[1:]
asked = " ".join(words)
for key, (status, *texts) in state.items():
    if key in asked:
        seen = pathlib.Path({log!r}).read_text().count(key) - 1
        sys.stdout.write(texts[min(max(seen, 0), len(texts) - 1)])
        sys.exit(status)
"""
PROPERTIES = """[ro.build.version.release]: [14]
[ro.build.version.sdk]: [34]
[ro.product.cpu.abilist]: [arm64-v8a,armeabi-v7a]
[ro.product.model]: [Pixel 8]
[ro.soc.model]: [Tensor G3]
"""
HEAD = """INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Initialized session in 6.418ms.
"""
TIMINGS = """INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds.
INFO: count=1 curr=1041765
INFO: Running benchmark for at least 50 iterations and at least 1 seconds.
INFO: count=50 first=977738 curr=964908 min=911877 max=1112273 avg=971535 std=39112{shares}
INFO: Inference timings in us: Init: 6418, First inference: 1041765, Warmup (avg): 1.04176e+06, \
Inference (avg): 971535
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only \
APPROXIMATE.
INFO: Memory footprint delta from the start of the tool (MB): init=6.14844 overall=109.5
"""
SHARES = " p5=912000 median=970000 p95=1.1e+06"
GPU = """INFO: Explicitly applied GPU delegate, and the model graph will be {how} executed \
by the delegate"""
UNUSED = """INFO: Though NNAPI delegate is explicitly applied, the model graph will not be \
executed by the delegate.
"""
COOL = "Current Battery Service state:\n  AC powered: false\n  level: 90\n  temperature: {tenths}\n"


@dataclasses.dataclass
class FakePhone:
    """What the fake `adb` answers, and what it was asked.

    Attributes:
        folder: path of the folder that holds `adb`.
        answers: dict from a part of a command line to (exit status, text, text at the second time,
            ...); the first that fits answers.
    """

    folder: pathlib.Path
    answers: dict

    def install(self):
        """Writes the program."""
        (self.folder / "answers.json").write_text(json.dumps(self.answers))
        paths = {name: str(self.folder / f"{name}.json") for name in ("answers", "log")}
        program = self.folder / "adb"
        program.write_text(ADB.format(python=os.path.realpath(sys.executable), **paths))
        program.chmod(0o755)

    def asked(self):
        """Returns the argument lists of all calls."""
        return [json.loads(line) for line in (self.folder / "log.json").read_text().splitlines()]


def answers(**others):
    """What a cool Pixel answers; `others` as in `FakePhone`, with "__" for a blank, come first."""
    usual = {
        "devices": (0, "List of devices attached\nP8\tdevice\n\n"),
        "get-state": (0, "device\n"),
        "getprop": (0, PROPERTIES),
        "dumpsys battery": (0, COOL.format(tenths=312)),
        "--use_gpu": (
            0,
            f"{HEAD}{GPU} w/ 2 kernels.\n{TIMINGS}".format(how="partially", shares=SHARES),
        ),
        "--use_nnapi": (1, HEAD + "ERROR: Failed to apply NNAPI delegate.\n"),
        "--graph": (0, HEAD + TIMINGS.format(shares="")),
    }
    given = {key.replace("__", " "): value for key, value in others.items()}
    return given | {key: value for key, value in usual.items() if key not in given}


def elf(machine=183):
    """The first bytes of a program for a machine; 183 is 64-bit Arm."""
    return b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HH", 3, machine)
