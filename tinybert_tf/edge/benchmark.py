"""How fast, how large and how hungry a .tflite file is on this machine.

    python -m tinybert_tf.edge.benchmark FILE [FILE ...] [--lengths 16 32] [--threads 1 2] [--json]

Of several files it also gives each one's time as a multiple of the first one's.
"""

import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

import numpy as np

from tinybert_tf.edge.interpreter import EdgeModel, check_file, find_runtime, runtime_version

LENGTHS = (16, 32, 64, 128)
THREADS = (1, 2)
RUNS = 100
WARMUP = 5
_PERCENTILES = (50, 90, 99)


def benchmark(path, lengths=LENGTHS, threads=THREADS, runs=RUNS, warmup=WARMUP):
    """Measures one file.

    Args:
        path: str or path-like, the .tflite file.
        lengths: ints, tokens of the inputs.
        threads: ints, CPU threads of the runtime.
        runs: int, timed runs at each length and number of threads.
        warmup: int, runs before those, not timed.

    Returns:
        Dict with `path`, `runtime` (name and version), `machine`, `size_bytes`; measured in a fresh
        process on one thread: `load_ms` (the runtime's package imported already), `first_ms` (the
        first run, at the greatest length), `peak_memory_bytes` (of the whole process after one run
        at every length) and `memory_growth_bytes` (that less what the process held before it loaded
        the file); and `latency`, a list of dicts with `length`, `threads`, `p50_ms`, `p90_ms`,
        `p99_ms`. Memory is `None` where the system does not tell.

    Raises:
        ValueError: If the file is missing, broken or refused by the runtime, or an argument is not
            positive.

    Example:
        benchmark("sst2.tflite", lengths=(32,), threads=(1,))["latency"][0]["p50_ms"]
    """
    return benchmark_many([path], lengths, threads, runs, warmup)["files"][0]


def benchmark_many(paths, lengths=LENGTHS, threads=THREADS, runs=RUNS, warmup=WARMUP):
    """Measures several files in turns, a run each, so that all meet the same moods of the machine.

    Args:
        paths: sequence of str or path-like, the .tflite files.
        lengths, threads, runs, warmup: as in `benchmark`.

    Returns:
        Dict with `files` (for each what `benchmark` returns) and `ratios`: a list of dicts with
        `path`, `length`, `threads`, `ratio`, for every file but the first: the median over the
        rounds of its time divided by the first file's.

    Raises:
        ValueError: As `benchmark`.
    """
    _check_positive(lengths=lengths, threads=threads, runs=[runs], warmup=[warmup + 1])
    files = [_describe(path) | _measure_fresh(path, lengths) | {"latency": []} for path in paths]
    ratios = []
    for num_threads in threads:
        models = [EdgeModel(path, num_threads) for path in paths]
        for length in lengths:
            case = {"length": length, "threads": num_threads}
            times_ms = _time_in_turns(models, length, runs, warmup)
            for file, file_ms in zip(files, times_ms, strict=True):
                file["latency"].append(case | _percentiles(file_ms))
            for file, file_ms in zip(files[1:], times_ms[1:], strict=True):
                ratio = float(np.median(file_ms / times_ms[0]))
                ratios.append({"path": file["path"], **case, "ratio": ratio})
    return {"files": files, "ratios": ratios}


def main(arguments=None):
    """Runs the command above; `arguments` as in `argparse`, `None` for those of the process."""
    parser = argparse.ArgumentParser(
        prog="python -m tinybert_tf.edge.benchmark", description="Measures .tflite files."
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="of several, ratios to the first")
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, help="tokens")
    parser.add_argument("--threads", type=int, nargs="+", default=THREADS, help="CPU threads")
    parser.add_argument("--runs", type=int, default=RUNS, help="timed runs of each case")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--only-start", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        if options.only_start:
            result = _measure_start(options.files[0], options.lengths)
        else:
            result = benchmark_many(options.files, options.lengths, options.threads, options.runs)
    except (ValueError, ImportError) as error:
        parser.exit(1, f"{error}\n")
    sys.stdout.write(json.dumps(result) + "\n" if options.json else format_table(result))


def format_table(result):
    """Writes what `benchmark_many` returns as text.

    Args:
        result: dict, from `benchmark_many`.

    Returns:
        str, some lines for each file.
    """
    lines = []
    for file in result["files"]:
        growth = file["memory_growth_bytes"]
        memory = "" if growth is None else f", {growth / 1e6:.1f} MB of memory"
        lines.append(f"{file['path']}: {file['size_bytes'] / 1e6:.2f} MB, {file['runtime']}")
        start = f"load {file['load_ms']:.1f} ms, first run {file['first_ms']:.1f} ms"
        lines.append(f"  {start}{memory}")
        lines.append("  tokens threads    p50 ms    p90 ms    p99 ms")
        lines += [
            "  {length:6d} {threads:7d} {p50_ms:9.3f} {p90_ms:9.3f} {p99_ms:9.3f}".format(**case)
            for case in file["latency"]
        ]
    lines += [
        "{path}: {ratio:.3f} times at {length} tokens, {threads} threads".format(**case)
        for case in result["ratios"]
    ]
    return "\n".join(lines) + "\n"


def _check_positive(**settings):
    for name, values in settings.items():
        if not len(values) or min(values) < 1:
            raise ValueError(f"`{name}` is {list(values)}; expected whole numbers from 1 up.")


def _describe(path):
    check_file(path)
    return {
        "path": str(path),
        "runtime": runtime_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "size_bytes": pathlib.Path(path).stat().st_size,
    }


def _inputs(length):
    # Every id is in every vocabulary; what the tokens are does not change the time.
    return {"ids": np.ones(length), "mask": np.ones(length), "segment_ids": np.zeros(length)}


def _time_in_turns(models, length, runs, warmup):
    """Returns a float array `(models, runs)` of milliseconds."""
    inputs = _inputs(length)
    times_ms = [[_time_ms(model, inputs) for model in models] for _ in range(warmup + runs)]
    return np.array(times_ms)[warmup:].T


def _time_ms(model, inputs):
    start = time.perf_counter()
    model.run(**inputs)
    return (time.perf_counter() - start) * 1e3


def _percentiles(times_ms):
    return {f"p{share}_ms": float(np.percentile(times_ms, share)) for share in _PERCENTILES}


def _measure_fresh(path, lengths):
    """Measures the start in a process of its own, where nothing is loaded yet."""
    package_root = str(pathlib.Path(__file__).parents[2])
    search_path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    command = [
        sys.executable,
        "-m",
        "tinybert_tf.edge.benchmark",
        str(path),
        "--only-start",
        "--json",
    ]
    child = subprocess.run(
        [*command, "--lengths", *map(str, lengths)],
        env=os.environ | {"PYTHONPATH": search_path},
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        raise ValueError(f"{path} does not run (exit status {child.returncode}): {child.stderr}")
    return json.loads(child.stdout.splitlines()[-1])


def _measure_start(path, lengths):
    find_runtime()
    before_bytes = _memory_bytes("VmRSS")
    start = time.perf_counter()
    model = EdgeModel(path)
    load_ms = (time.perf_counter() - start) * 1e3
    first_ms = _time_ms(model, _inputs(max(lengths)))
    for length in lengths:
        model.run(**_inputs(length))
    peak_bytes = _memory_bytes("VmHWM")
    return {
        "load_ms": load_ms,
        "first_ms": first_ms,
        "peak_memory_bytes": peak_bytes,
        "memory_growth_bytes": None if peak_bytes is None else peak_bytes - before_bytes,
    }


def _memory_bytes(field):
    """Returns VmRSS (now) or VmHWM (the peak) of this process, `None` where there is no /proc.

    Note: `resource.getrusage` would count the parent's memory too: its peak survives the start of a
        program.
    """
    status = pathlib.Path("/proc/self/status")
    if not status.exists():
        return None
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines[field].split()[0]) * 1024


if __name__ == "__main__":
    main()
