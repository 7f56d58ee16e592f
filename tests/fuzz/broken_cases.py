"""A reader with every fault, each in the case of its place in `FAULTS`."""

import os
import pathlib
import signal
import subprocess
import sys
import time

from fuzz.fuzz_readers import MOST_BYTES, MOST_MESSAGE


def _raise(error):
    raise error


def _start(code, folder):
    """Runs Python and waits for it; its number is left beside the folder."""
    process = subprocess.Popen([sys.executable, "-c", code])
    folder.with_name("started").write_text(str(process.pid))
    process.wait()


def _fork(deed):
    process = os.fork()
    if not process:
        try:
            deed()
        finally:
            os._exit(0)
    os.waitpid(process, 0)


FAULTS = {
    "reads": lambda folder, canary: None,
    "refuses": lambda folder, canary: _raise(ValueError(f"{folder}/x: damaged")),
    "misses": lambda folder, canary: pathlib.Path(folder, "missing").read_bytes(),
    "wrong error": lambda folder, canary: _raise(KeyError(f"{folder}")),
    "raw decoding": lambda folder, canary: b"\xff".decode(),
    "names no file": lambda folder, canary: _raise(ValueError("damaged")),
    "long": lambda folder, canary: _raise(ValueError(f"{folder}" + "x" * (MOST_MESSAGE + 1))),
    "runs": lambda folder, canary: canary.touch(),
    "memory": lambda folder, canary: len(bytes(2 * MOST_BYTES)),
    "dies": lambda folder, canary: os.kill(os.getpid(), signal.SIGKILL),
    "hangs": lambda folder, canary: time.sleep(600),
    "starts what hangs": lambda folder, canary: _start("import time; time.sleep(600)", folder),
    "starts what works": lambda folder, canary: _start("sum(range(10**7))", folder),
    "forks what grows": lambda folder, canary: _fork(lambda: len(b"x" * (MOST_BYTES * 9 // 8))),
}


def make_case(folder, random, canary):
    """Writes the canary's name; returns the name of the fault whose number the folder has."""
    number = int(folder.name.removeprefix("case"))
    (folder / "canary").write_text(str(canary))
    return list(FAULTS)[number]


class Reader:
    """Does what the name of the case says."""

    def __call__(self, folder, name, random):
        FAULTS[name](folder, pathlib.Path((folder / "canary").read_text()))
