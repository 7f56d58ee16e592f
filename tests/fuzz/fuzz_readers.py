"""Feeds damaged files to every reader: each must be refused by a clear error or read right.

    python tests/fuzz/fuzz_readers.py --count 10000 --seed 0

makes that many damaged checkpoints and that many damaged files of examples, and reads each in a
process of its own that is watched. A finding is a case that

- raises anything but a ValueError or an OSError, or one that does not name the file or tells it at
  too great a length,
- ends the process, takes more than five seconds of processor time, or a minute,
- takes more than a gigabyte of memory above the idle process (what it starts counts in both),
- runs what a file tells it to run, or
- is read, but not to what it can be.

Case i depends on the seed and i only, so `--first i --count 1` makes it again.
"""

import argparse
import collections
import contextlib
import dataclasses
import importlib
import multiprocessing
import os
import pathlib
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

KINDS = {
    "checkpoints": "fuzz.checkpoint_cases",
    "data": "fuzz.data_cases",
    "tflite": "fuzz.tflite_cases",
    "verify": "fuzz.verify_cases",
}
MOST_CPU_SECONDS, MOST_SECONDS = 5, 60
MOST_BYTES = 2**30
MOST_MESSAGE = 2000  # characters, without the names of files
START_SECONDS = 600


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of a case.

    Args:
        name: str, what was damaged.
        outcome: str, "read", the type of the error, or what the reader says of it.
        message: str, what the error says.
        problem: str, what is wrong with that; empty if nothing is.
        seconds: float, of processor time, with that of the processes that it started.
        num_bytes: int, resident memory above what there was before the case.
    """

    name: str
    outcome: str
    message: str = ""
    problem: str = ""
    seconds: float = 0.0
    num_bytes: int = 0


class Fuzzer:
    """Makes and reads the cases of a kind.

    Args:
        module: str, a module with `make_case` and `Reader`, one of the values of `KINDS`.
        seed: int.
        folder: `pathlib.Path` of a folder for the files.
    """

    def __init__(self, module, seed, folder):
        self._name, self._seed, self._folder = module, seed, pathlib.Path(folder)
        module = importlib.import_module(module)
        self._make_case, self._read = module.make_case, module.Reader()
        self.canary = self._folder / "canary"

    def run(self, number):
        """Makes and reads a case; returns its `Result`."""
        source = random.Random(f"{self._seed} {self._name} {number}")
        folder = self._folder / f"case{number}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        name = self._make_case(folder, source, self.canary)
        try:
            return self._judged(name, folder, source)
        finally:
            shutil.rmtree(folder)

    def _judged(self, name, folder, source):
        before, started = _resident_bytes(), _cpu_seconds()
        peak = _peak_bytes()
        outcome, message, problem = self._outcome(name, folder, source)
        seconds = _cpu_seconds() - started
        grown = max(0, _peak_bytes() - before) if _peak_bytes() > peak else 0
        if self.canary.exists():
            self.canary.unlink()
            problem = "ran what the file told it to"
        elif seconds > MOST_CPU_SECONDS:
            problem = problem or f"took {seconds:.1f} s"
        elif grown > MOST_BYTES:
            problem = problem or f"took {grown / 2**20:.0f} MiB"
        return Result(name, outcome, message, problem, seconds, grown)

    def _outcome(self, name, folder, source):
        try:
            return self._read(folder, name, source) or "read", "", ""
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of an extension in Rust is no Exception
            problem = _what_is_wrong(error, folder)
            message = "".join(traceback.format_exception(error)) if problem else str(error)
            return type(error).__name__, message, problem


def _what_is_wrong(error, folder):
    """Says why an error is not what a user should see; empty if it is."""
    if type(error) is not ValueError and not isinstance(error, OSError):
        return f"{type(error).__name__} instead of ValueError or OSError"
    if str(folder) not in str(error):
        return "does not name the file"
    length = len(str(error).replace(str(folder), ""))
    return f"a message of {length} characters" if length > MOST_MESSAGE else ""


def _resident_bytes():
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _usages():
    """Of this process, and of those that it started and that have ended."""
    return map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _cpu_seconds():
    return sum(usage.ru_utime + usage.ru_stime for usage in _usages())


def _peak_bytes():
    """Of the largest process so far; one that is started counts from the memory of this one."""
    return max(usage.ru_maxrss for usage in _usages()) * 1024


def _limit_memory():
    """Lets this process map a gigabyte more than it has, and a half for what is never touched."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MOST_BYTES * 3 // 2
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def work(pipe, module, seed, folder):
    """Runs in the process that is watched: answers numbers of cases with results."""
    os.setsid()  # so that it can be ended with all that it starts
    fuzzer = Fuzzer(module, seed, folder)
    pipe.send("ready")
    while (number := pipe.recv()) is not None:
        _limit_memory()
        pipe.send(fuzzer.run(number))


class Watched:
    """A process that runs cases, started again when one ends it.

    Args:
        module, seed, folder: as for `Fuzzer`.
    """

    def __init__(self, *arguments):
        self._arguments, self._process, self._pipe = arguments, None, None

    def run(self, number):
        """The `Result` of a case, also where the process died or took too long."""
        if self._process is None:
            self._start()
        self._pipe.send(number)
        try:
            if self._pipe.poll(MOST_SECONDS):
                return self._pipe.recv()
            problem = f"took more than {MOST_SECONDS} s"
        except (EOFError, ConnectionError):
            self._process.join()
            problem = f"ended the process, status {self._process.exitcode}"
        self.close()
        return Result(f"case {number}", "dead", problem=problem)

    def _start(self):
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=work, args=(other, *self._arguments), daemon=True)
        self._process.start()
        other.close()
        if not self._pipe.poll(START_SECONDS):
            raise TimeoutError("The process that reads did not start.")
        self._pipe.recv()

    def close(self):
        """Ends the process and all that it started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            self._process.join()
            self._process = None


class Summary:
    """Counts results and keeps the findings."""

    def __init__(self, kind, seed):
        self.kind, self.seed = kind, seed
        self.counts, self.findings = collections.Counter(), {}
        self.slowest, self.largest = (0.0, "", 0), (0, "", 0)

    def add(self, number, result):
        """Takes in the result of a case."""
        self.counts[result.outcome] += 1
        self.slowest = max(self.slowest, (result.seconds, result.name, number))
        self.largest = max(self.largest, (result.num_bytes, result.name, number))
        if result.problem:
            self.findings[number] = result

    def lines(self):
        """The summary, a list of str."""
        counted = ", ".join(f"{count} {name}" for name, count in self.counts.most_common())
        seconds, slowest, slowest_number = self.slowest
        num_bytes, largest, largest_number = self.largest
        return [
            f"{self.kind}: {self.counts.total()} cases: {counted}",
            f"  slowest: {seconds:.2f} s, case {slowest_number} ({slowest})",
            f"  most memory: {num_bytes / 2**20:.0f} MiB, case {largest_number} ({largest})",
            f"  findings: {len(self.findings)}",
            *(self._finding(*item) for item in self.findings.items()),
        ]

    def _finding(self, number, result):
        again = f"--kind {self.kind} --seed {self.seed} --first {number} --count 1"
        message = result.message[-MOST_MESSAGE:]
        return f"\n{result.problem}\n  {result.name}\n  again: {again}\n{message}"


def parse_arguments(arguments):
    """The settings of a run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=10000, help="cases of each kind")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, action="append", help="default: every kind")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Runs the cases and prints what came of them; returns the exit status."""
    settings = parse_arguments(arguments)
    num_findings = 0
    for kind in settings.kind or KINDS:
        summary = Summary(kind, settings.seed)
        with (
            tempfile.TemporaryDirectory() as folder,
            contextlib.closing(Watched(KINDS[kind], settings.seed, folder)) as watched,
        ):
            for number in range(settings.first, settings.first + settings.count):
                summary.add(number, watched.run(number))
        print("\n".join(summary.lines()), flush=True)
        num_findings += len(summary.findings)
    return 1 if num_findings else 0


if __name__ == "__main__":
    sys.exit(main())
