"""How fast, how large and how hungry a .tflite file is on this machine.

    python -m tinybert_tf.edge.benchmark FILE [FILE ...] [--lengths 16 32] [--threads 1 2]
        [--texts sentences.txt] [--csv table.csv] [--json]

Of several files it also gives each one's time as a multiple of the first one's.
"""

import argparse
import json
import os
import pathlib
import platform
import sys

import numpy as np

from tinybert_tf.edge.benchmark_table import format_table, make_folder_of, rows, write_csv
from tinybert_tf.edge.contained import run_contained
from tinybert_tf.edge.energy import find_sensor
from tinybert_tf.edge.interpreter import check_file, runtime_version
from tinybert_tf.edge.measurement import WARM_SECONDS

LENGTHS = (16, 32, 64, 128)
THREADS = (1, 2)
RUNS = 100
_PERCENTILES = (50, 90, 99)


def benchmark(
    path, lengths=LENGTHS, threads=THREADS, runs=RUNS, warm_seconds=WARM_SECONDS, texts=None
):
    """Measures one file.

    All of it happens in other processes: a file that kills its runtime is an error here. Latencies
    are those of warm caches, as of a file that runs again and again.

    Args:
        path: str or path-like, the .tflite file.
        lengths: ints, tokens of the inputs.
        threads: ints, CPU threads of the runtime.
        runs: int, timed runs at each length and number of threads.
        warm_seconds: float, how long it runs before those, not timed, in each round of
            `tinybert_tf.edge.measurement.ROUND_RUNS`.
        texts: str or path-like, a file of sentences, one a line, UTF-8; `None` for none.

    Returns:
        Dict with `path`, `runtime` (name and version), `machine`, `energy_sensor`, `size_bytes`;
        measured in a fresh process on one thread: `load_ms` (the runtime's package imported
        already), `first_ms` (the first run, at the greatest length), `peak_memory_bytes` (of the
        whole process after one run at every length) and `memory_growth_bytes` (that less what the
        process held before it loaded the file); `latency`, a list of dicts with `length`,
        `threads`, `p50_ms`, `p90_ms`, `p99_ms`, `energy_mj`; and `texts`, a list of dicts with
        `threads`, `sentences`, `mean_tokens`, `sentences_per_second`, `tokens_per_second`,
        `tokenize_ms`, `energy_mj`, the tokenizer's time included. Energy is that of one sentence.
        Memory, energy and its sensor are `None` where the system does not tell.

    Raises:
        ValueError: If a file is missing or broken, the runtime refuses it or dies of it, an
            argument is not positive, or there are texts and the file holds no vocabulary.
        ImportError: If there is no TFLite runtime.

    Example:
        benchmark("sst2.tflite", lengths=(32,), threads=(1,))["latency"][0]["p50_ms"]
    """
    return benchmark_many([path], lengths, threads, runs, warm_seconds, texts)["files"][0]


def benchmark_many(
    paths, lengths=LENGTHS, threads=THREADS, runs=RUNS, warm_seconds=WARM_SECONDS, texts=None
):
    """Measures several files in turns, so that all meet the same moods of the machine.

    A turn is a round of runs, the first of which are not timed: they fill the caches that another
    file has emptied.

    Args:
        paths: sequence of str or path-like, the .tflite files.
        lengths, threads, runs, warm_seconds, texts: as in `benchmark`.

    Returns:
        Dict with `files` (for each what `benchmark` returns) and `ratios`: a list of dicts with
        `path`, `length`, `threads`, `ratio`, for every file but the first: the median over the
        runs of its time divided by that of the first file's run in the same round.

    Raises:
        ValueError, ImportError: As `benchmark`.
    """
    check_positive(lengths=lengths, threads=threads, runs=[runs])
    sentences = [] if texts is None else read_sentences(texts)
    paths, lengths, threads = [str(path) for path in paths], list(lengths), list(threads)
    files = [_describe(path) for path in paths]
    for path in paths:  # what cannot read is refused before the rest is measured
        _measure_texts(path, sentences[:1], threads[:1])
    for file, path in zip(files, paths, strict=True):
        file |= run_contained("start", path=path, lengths=lengths)
    cases = run_contained(
        "latency",
        paths=paths,
        lengths=lengths,
        threads=threads,
        runs=runs,
        warm_seconds=warm_seconds,
    )
    for index, file in enumerate(files):
        file["latency"] = [_latency(case, index) for case in cases]
        file["texts"] = _measure_texts(file["path"], sentences, threads)
    return {"files": files, "ratios": _ratios(paths, cases)}


def read_sentences(path):
    """Reads a file of sentences.

    Args:
        path: str or path-like, one sentence a line, UTF-8; empty lines are left out.

    Returns:
        List of str.

    Raises:
        ValueError: If there is no such file, it is not UTF-8, or it holds no sentence.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(f"No file {path}. Expected sentences, one a line.")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 at byte {error.start}. Save it as UTF-8.") from error
    return split_sentences(text, path)


def split_sentences(text, path):
    """Splits the content of a file of sentences, as `read_sentences` gives them.

    Args:
        text: str, one sentence a line; other separators than line feeds belong to a sentence.
        path: str or path-like, the file.

    Returns:
        List of str.

    Raises:
        ValueError: If it holds no sentence.
    """
    if sentences := [line.strip() for line in text.split("\n") if line.strip()]:
        return sentences
    raise ValueError(f"{path} holds no sentence. Expected one a line.")


def check_positive(**settings):
    """Raises ValueError for a setting without values, or with one that is less than 1.

    Args:
        **settings: sequence of int for each name.
    """
    for name, values in settings.items():
        if not len(values) or min(values) < 1:
            raise ValueError(f"`{name}` is {list(values)}; expected whole numbers from 1 up.")


def main(arguments=None):
    """Runs the command above; `arguments` as in `argparse`, `None` for those of the process."""
    parser = argparse.ArgumentParser(
        prog="python -m tinybert_tf.edge.benchmark", description="Measures .tflite files."
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="of several, ratios to the first")
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, help="tokens")
    parser.add_argument("--threads", type=int, nargs="+", default=THREADS, help="CPU threads")
    parser.add_argument("--runs", type=int, default=RUNS, help="timed runs of each case")
    parser.add_argument("--texts", help="also time the sentences of this file, one a line")
    parser.add_argument("--csv", help="file for a table, a row a case")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args(arguments)
    try:
        if given.csv:
            make_folder_of(given.csv)
        result = benchmark_many(
            given.files, given.lengths, given.threads, given.runs, texts=given.texts
        )
        sys.stdout.write(json.dumps(result) + "\n" if given.json else format_table(result))
        if given.csv:
            write_csv(given.csv, rows(result))
    except (ValueError, ImportError, OSError) as error:
        parser.exit(1, f"{error}\n")


def _describe(path):
    check_file(path)
    sensor = find_sensor()
    return {
        "path": path,
        "runtime": runtime_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "energy_sensor": sensor and sensor.name,
        "size_bytes": pathlib.Path(path).stat().st_size,
    }


def _latency(case, index):
    shares = np.percentile(case["times_ms"][index], _PERCENTILES).tolist()
    return {
        "length": case["length"],
        "threads": case["threads"],
        **{f"p{share}_ms": ms for share, ms in zip(_PERCENTILES, shares, strict=True)},
        "energy_mj": case["energy_mj"][index],
    }


def _measure_texts(path, sentences, threads):
    if not sentences:
        return []
    cases = run_contained("texts", path=path, sentences=sentences, threads=threads)
    return [_throughput(case) for case in cases]


def _throughput(case):
    count, seconds = case["sentences"], case["seconds"]
    return {
        "threads": case["threads"],
        "sentences": count,
        "mean_tokens": case["tokens"] / count,
        "sentences_per_second": count / seconds,
        "tokens_per_second": case["tokens"] / seconds,
        "tokenize_ms": case["tokenize_seconds"] * 1e3 / count,
        "energy_mj": case["energy_mj"],
    }


def _ratios(paths, cases):
    return [
        {
            "path": path,
            "length": case["length"],
            "threads": case["threads"],
            "ratio": float(np.median(np.divide(times_ms, case["times_ms"][0]))),
        }
        for case in cases
        for path, times_ms in zip(paths[1:], case["times_ms"][1:], strict=True)
    ]


if __name__ == "__main__":
    main()
