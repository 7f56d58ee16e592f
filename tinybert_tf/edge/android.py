"""Times .tflite files on an Android phone with TensorFlow Lite's own `benchmark_model`.

Reference: tensorflow/lite/tools/benchmark/benchmark_model.cc for what it prints.
"""

import pathlib
import re
import subprocess
import time

from tinybert_tf.edge.adb import Phone
from tinybert_tf.edge.benchmark import check_positive
from tinybert_tf.edge.benchmark_table import ratios_by_file
from tinybert_tf.edge.interpreter import check_file

DELEGATES = {
    "cpu": ("--use_xnnpack=false",),  # the runtime's own kernels
    "xnnpack": ("--use_xnnpack=true",),
    "gpu": ("--use_gpu=true",),
    "nnapi": ("--use_nnapi=true",),
}
_APART = ("gpu", "nnapi")  # where these cannot be had, the binary goes on without them
COOL_BELOW_C = 38.0
COOL_SECONDS = 900.0
_SECONDS_BETWEEN_LOOKS = 5.0
_CASE_SECONDS = 600.0
_MEBIBYTE = 2**20
_CASE = ("delegate", "threads", "length")
_PROPERTIES = {
    "model": "ro.product.model",
    "android": "ro.build.version.release",
    "sdk": "ro.build.version.sdk",
    "chip": "ro.soc.model",
    "abis": "ro.product.cpu.abilist",
}


def benchmark_on_phone(
    paths,
    binary,
    *,
    serial=None,
    cores=None,
    lengths=(16, 32, 64, 128),
    threads=(1, 2),
    delegates=("cpu", "xnnpack"),
    runs=100,
    cool_below_c=COOL_BELOW_C,
    cool_seconds=COOL_SECONDS,
):
    """Measures files on a phone: every delegate, number of threads and length, the files in turns.

    What is pushed to the phone is removed again. A case that fails says why, and the others go on.

    Args:
        paths: sequence of str or path-like, the .tflite files.
        binary: str or path-like, `benchmark_model` for the phone's processor.
        serial: str, which of several phones.
        cores: str, the cores it may use: "7", "4-7", "0,2" or a mask, "0xf0"; `None` for all.
        lengths: ints, tokens of the inputs.
        threads: ints, CPU threads of the runtime.
        delegates: names out of `DELEGATES`.
        runs: int, least timed runs of each case.
        cool_below_c: float, degrees Celsius above which the phone is left to cool before a case.
        cool_seconds: float, the most seconds that all cases together wait for that.

    Returns:
        Dict with `phone` (its `serial`, `model`, `android`, `sdk`, `chip`, `abis` and the `cores`),
        `ratios` and `files`: for each a dict with `path`, `size_bytes` and `latency`, a list of
        dicts with `delegate`, `threads`, `length`, `temperature_c` (before it), and `init_ms`,
        `first_ms`, `mean_ms`, `min_ms`, `p50_ms`, `p95_ms`, `max_ms`, `runs`,
        `memory_growth_bytes`, `delegated` (as the binary says it), or else `error`. `None` is what
        the phone or the binary does not tell. `ratios` is a list of dicts with `path`, `delegate`,
        `threads`, `length`, `ratio`, for every file but the first: its `mean_ms` divided by the
        first file's in the same case; `None` where one of the two failed.

    Raises:
        ValueError: If there is no phone to use, the binary is not for it, a file is missing or
            broken, a setting is wrong, the phone goes away, or every case fails.

    Example:
        benchmark_on_phone(["sst2.tflite"], "benchmark_model", cores="7", threads=(1,))
    """
    check_settings(binary, cores, delegates)
    check_positive(lengths=lengths, threads=threads, runs=[runs])
    for path in paths:
        check_file(path)
    pin = ["taskset", core_mask(cores)] if cores else []
    phone, cooling = Phone(serial), _Cooling(cool_below_c, cool_seconds)
    phone.check_program(binary)
    described = _describe(phone, cores)
    files = [
        {"path": str(path), "size_bytes": pathlib.Path(path).stat().st_size, "latency": []}
        for path in paths
    ]
    with phone:
        program = phone.push(binary, "benchmark_model", executable=True)
        graphs = [phone.push(path, f"{index}.tflite") for index, path in enumerate(paths)]
        for case in _cases(delegates, threads, lengths):
            for file, graph in zip(files, graphs, strict=True):
                temperature = {"temperature_c": cooling.wait(phone)}
                words = [*pin, program, *_flags(graph, runs, **case)]
                found = _measure(phone, words, case["delegate"])
                file["latency"].append(case | temperature | found)
    _check_something_worked(files)
    return {"phone": described, "files": files, "ratios": _ratios(files)}


def check_settings(binary, cores, delegates):
    """Raises ValueError for settings that no phone can make work.

    Args:
        binary, cores, delegates: as in `benchmark_on_phone`.
    """
    if not pathlib.Path(binary).is_file():
        raise ValueError(f"No file {binary}. Expected benchmark_model, built for Android.")
    core_mask(cores or "0")
    if not delegates:
        raise ValueError(f"No delegates are given. Delegates: {', '.join(DELEGATES)}.")
    for name in delegates:
        if name not in DELEGATES:
            raise ValueError(f'Unknown delegate "{name}". Delegates: {", ".join(DELEGATES)}.')


def core_mask(cores):
    """Turns names of cores into what Android's `taskset` takes.

    Args:
        cores: str, "7", "4-7", "0,2" or a mask, "0xf0".

    Returns:
        str, hexadecimal digits.

    Raises:
        ValueError: If it is none of those.
    """
    if re.fullmatch(r"0x[0-9a-fA-F]+", cores) and int(cores, 16):
        return f"{int(cores, 16):x}"
    mask = 0
    for part in cores.split(","):
        span = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", part)
        if not span or int(span[2] or span[1]) < int(span[1]):
            raise ValueError(f'Cores are "{cores}"; expected 7, 4-7, 0,2 or a mask such as 0xf0.')
        for core in range(int(span[1]), int(span[2] or span[1]) + 1):
            mask |= 1 << core
    return f"{mask:x}"


def parse_output(text, delegate="cpu"):
    """Reads what `benchmark_model` prints.

    Args:
        text: str, all of its output.
        delegate: str, a key of `DELEGATES`, the one that was asked for.

    Returns:
        Dict with the measured values as in `benchmark_on_phone`, `None` for those that it does not
        print; or with `error` if it did not come to its end, or the delegate took nothing.
    """
    number = r"([\d.]+(?:e[+-]?\d+)?)"
    timings = re.search(
        rf"Inference timings in us: Init: {number}, First inference: {number}, "
        rf"Warmup \(avg\): {number}, Inference \(avg\): {number}",
        text,
    )
    if not timings:
        return {"error": _complaint(text)}
    if unused := re.search(r"Though .* will not be executed by the delegate", text):
        return {"error": f"{unused[0]}."}
    if delegate in _APART and not re.search(r"[Aa]pplied \S+ delegate", text):
        return {"error": f"The binary went on without the delegate {delegate}."}
    init_us, first_us, _, mean_us = map(float, timings.groups())
    counts = re.findall(r"\bcount=\d+ .*", text)
    last = dict(re.findall(rf"(\w+)={number}", counts[-1])) if counts else {}
    memory = re.search(rf"\(MB\): init={number} overall={number}", text)
    delegated = re.search(r"the model graph will be (completely|partially) executed", text)
    return {
        "init_ms": init_us / 1e3,
        "first_ms": first_us / 1e3,
        "mean_ms": mean_us / 1e3,
        "min_ms": _milliseconds(last, "min"),
        "p50_ms": _milliseconds(last, "median"),
        "p95_ms": _milliseconds(last, "p95"),
        "max_ms": _milliseconds(last, "max"),
        "runs": int(last["count"]) if last else None,
        "memory_growth_bytes": int(float(memory[2]) * _MEBIBYTE) if memory else None,
        "delegated": delegated and delegated[1],
    }


def format_phone_table(result):
    """Writes what `benchmark_on_phone` returns as text.

    Args:
        result: dict, from `benchmark_on_phone`.

    Returns:
        str, some lines for each file.
    """
    lines = ["{model}, Android {android}, cores {cores}".format(**result["phone"])]
    for file in result["files"]:
        lines.append(f"{file['path']}: {file['size_bytes'] / 1e6:.2f} MB")
        lines.append("  delegate threads tokens   mean ms    p50 ms    p95 ms    MB    °C")
        lines += map(_line, file["latency"])
    lines += [
        "{path}: {ratio:.3f} times on {delegate}, {threads} threads, {length} tokens".format(**case)
        for case in result["ratios"]
        if case["ratio"] is not None
    ]
    return "\n".join(lines) + "\n"


def phone_rows(result):
    """Lays out what `benchmark_on_phone` returns as a table.

    Args:
        result: dict, from `benchmark_on_phone`.

    Returns:
        List of dicts, one for each file and case.
    """
    return [
        result["phone"]
        | {"path": file["path"], "size_bytes": file["size_bytes"]}
        | case
        | {"ratio": ratio}
        for file, ratios in zip(result["files"], ratios_by_file(result), strict=True)
        for case, ratio in zip(file["latency"], ratios, strict=False)
    ]


class _Cooling:
    """Waits until a phone is cool, as long as there is patience left."""

    def __init__(self, below_c, seconds):
        self._below_c, self._seconds_left = below_c, seconds

    def wait(self, phone):
        """Returns the phone's temperature after waiting, `None` if it does not tell."""
        while (now_c := phone.temperature_c()) is not None and now_c > self._below_c:
            if self._seconds_left <= 0:
                break
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            self._seconds_left -= _SECONDS_BETWEEN_LOOKS
        return now_c


def _cases(delegates, threads, lengths):
    return [
        {"delegate": delegate, "threads": num_threads, "length": length}
        for delegate in delegates
        for num_threads in threads
        for length in lengths
    ]


def _flags(graph, runs, delegate, threads, length):
    # Names, shapes and values in the order of the file's inputs.
    return [
        f"--graph={graph}",
        f"--num_threads={threads}",
        f"--num_runs={runs}",
        "--input_layer=ids,mask,segment_ids",
        f"--input_layer_shape=1,{length}:1,{length}:1,{length}",
        "--input_layer_value_range=ids,1,1:mask,1,1:segment_ids,0,0",
        *DELEGATES[delegate],
    ]


def _measure(phone, words, delegate):
    try:
        found = parse_output(phone.shell(*words, timeout=_CASE_SECONDS).stdout, delegate)
    except subprocess.TimeoutExpired:
        found = {"error": f"no answer after {_CASE_SECONDS:.0f} seconds"}
    if "error" in found and not phone.is_there():
        raise ValueError(f"Phone {phone.serial} went away. Plug it in again.")
    return found


def _complaint(text):
    """Returns the line that says best why there are no timings."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it printed nothing"])[-1]


def _milliseconds(values, name):
    return float(values[name]) / 1e3 if name in values else None


def _check_something_worked(files):
    cases = [case for file in files for case in file["latency"]]
    if all("error" in case for case in cases):
        raise ValueError(f"Every case failed on the phone, the first with: {cases[0]['error']}")


def _ratios(files):
    first, *others = (file["latency"] for file in files)
    paths = [file["path"] for file in files[1:]]
    return [
        {"path": path, **{name: case[name] for name in _CASE}, "ratio": _ratio(case, base)}
        for base, *cases in zip(first, *others, strict=True)
        for path, case in zip(paths, cases, strict=True)
    ]


def _ratio(case, base):
    return None if "error" in case or "error" in base else case["mean_ms"] / base["mean_ms"]


def _describe(phone, cores):
    told = phone.properties()
    values = {name: told.get(key) for name, key in _PROPERTIES.items()}
    return {"serial": phone.serial, **values, "cores": cores or "all"}


def _line(case):
    start = "  {delegate:>8} {threads:7d} {length:6d}".format(**case)
    if "error" in case:
        return f"{start}   {case['error']}"
    times = " ".join(_cell(case[name], 9, 3) for name in ("mean_ms", "p50_ms", "p95_ms"))
    growth = case["memory_growth_bytes"]
    memory = _cell(growth and growth / 1e6, 5, 1)
    return f"{start} {times} {memory} {_cell(case['temperature_c'], 5, 1)}"


def _cell(value, width, digits):
    return f"{'-':>{width}}" if value is None else f"{value:{width}.{digits}f}"
