"""What is measured of .tflite files, by a process that does nothing else.

`tinybert_tf.edge.contained.run_contained` starts its `main`: it reads a job from standard input,
and writes a line of JSON for every file that it takes up and one for the result.
"""

import contextlib
import json
import pathlib
import sys
import time

import numpy as np

from tinybert_tf.edge.answers import open_answers
from tinybert_tf.edge.energy import find_sensor
from tinybert_tf.edge.interpreter import (
    EdgeModel,
    find_runtime,
    load_interpreter,
    named_tensors,
    wrong_inputs,
)
from tinybert_tf.edge.word_pieces import WordPieces

ENERGY_SECONDS = 1.0
# A round: runs for so long that are not timed, as another file has emptied the caches, and so many
# runs that are. Until a TinyBERT-4 takes as long as when it is alone, ten to twenty pass.
WARM_SECONDS, ROUND_RUNS = 0.05, 8
_WARMUP_TEXTS = 5
_FEWEST_TOKENS = 3  # every file takes them: [CLS], a token, [SEP]


def try_file(path, take_up):
    """Loads a file and, if `EdgeModel` can, runs it once, before anybody does who must not die.

    Args:
        path: str, the .tflite file.
        take_up: function that is told the path of a file before it is run.

    Returns:
        Dict with `signature` (its name, or `None`), `inputs` and `outputs` (shape, -1 for any size,
        and type of each tensor by its name, as "(1, -1) int32"), and `wrong_inputs`: "", or why
        `EdgeModel` cannot run it.
    """
    take_up(path)
    interpreter = load_interpreter(path)
    inputs, outputs = named_tensors(interpreter, path)
    found = {
        "signature": next(iter(interpreter.get_signature_list()), None),
        "inputs": _tensors(inputs),
        "outputs": _tensors(outputs),
        "wrong_inputs": wrong_inputs(inputs, path),
    }
    del interpreter
    if not found["wrong_inputs"]:
        EdgeModel(path).run(**_inputs(_FEWEST_TOKENS))
    return found


def measure_start(path, lengths, take_up):
    """Measures how a file begins.

    Args:
        path: str, the .tflite file.
        lengths: ints, tokens of the inputs.
        take_up: function that is told the path of a file before it is run.

    Returns:
        Dict with `load_ms`, `first_ms`, `peak_memory_bytes`, `memory_growth_bytes` as in
        `tinybert_tf.edge.benchmark.benchmark`.
    """
    find_runtime()
    before_bytes = _memory_bytes("VmRSS")
    take_up(path)
    load_ms, model = _time_ms(EdgeModel, path)
    first_ms, _ = _time_ms(model.run, **_inputs(max(lengths)))
    for length in lengths:
        model.run(**_inputs(length))
    peak_bytes = _memory_bytes("VmHWM")
    return {
        "load_ms": load_ms,
        "first_ms": first_ms,
        "peak_memory_bytes": peak_bytes,
        "memory_growth_bytes": None if peak_bytes is None else peak_bytes - before_bytes,
    }


def measure_latency(paths, lengths, threads, runs, warm_seconds, take_up):
    """Times files in turns, some runs each, so that all meet the same moods of the machine.

    The caches are warm: what a file takes hardly depends on the files beside it.

    Args:
        paths: list of str, the .tflite files.
        lengths, threads, runs, warm_seconds: as in `tinybert_tf.edge.benchmark.benchmark`.
        take_up: function that is told the path of a file before it is run.

    Returns:
        List of dicts with `length`, `threads`, `times_ms` (a list of `runs` times for each file)
        and `energy_mj` (of a run, for each file; `None` where nothing tells).
    """
    sensor, cases = find_sensor(), []
    for num_threads in threads:
        models = [_load(path, num_threads, take_up) for path in paths]
        for length in lengths:
            times_ms = _time_in_turns(models, _inputs(length), runs, warm_seconds, take_up)
            energy_mj = [_energy_mj(model, _inputs(length), sensor, take_up) for model in models]
            case = {"length": length, "threads": num_threads, "energy_mj": energy_mj}
            cases.append(case | {"times_ms": times_ms.T.tolist()})
    return cases


def time_warm(function, inputs, runs, warm_seconds=WARM_SECONDS):
    """Times a function after runs that fill the caches.

    Args:
        function: what to call.
        inputs: dict, its keyword arguments.
        runs: int, timed runs.
        warm_seconds: float, how long to call it before, not timed; 0 for not at all.

    Returns:
        List of `runs` floats, milliseconds.
    """
    end = time.perf_counter() + warm_seconds
    while time.perf_counter() < end:
        function(**inputs)
    return [_time_ms(function, **inputs)[0] for _ in range(runs)]


def measure_texts(path, sentences, threads, take_up):
    """Times a file on sentences, from text to answer, one after the other.

    Args:
        path: str, the .tflite file.
        sentences: list of str.
        threads: ints, CPU threads of the runtime.
        take_up: function that is told the path of a file before it is run.

    Returns:
        List of dicts, one for each number of threads, with `threads`, `sentences` and `tokens`
        (how many), `seconds` (all of it), `tokenize_seconds` (of those) and `energy_mj` (of a
        sentence; `None` where nothing tells).
    """
    sensor, cases = find_sensor(), []
    for num_threads in threads:
        model = _load(path, num_threads, take_up)
        word_pieces = WordPieces(model)
        for sentence in sentences[:_WARMUP_TEXTS]:
            _answer(model, word_pieces, sentence)
        with sensor or contextlib.nullcontext():
            counts = np.array([_answer(model, word_pieces, sentence) for sentence in sentences])
        tokens, tokenize_ms, run_ms = counts.sum(axis=0)
        cases.append(
            {
                "threads": num_threads,
                "sentences": len(sentences),
                "tokens": int(tokens),
                "seconds": (tokenize_ms + run_ms) / 1e3,
                "tokenize_seconds": tokenize_ms / 1e3,
                "energy_mj": sensor and sensor.joules * 1e3 / len(sentences),
            }
        )
    return cases


JOBS = {"try": try_file, "start": measure_start, "latency": measure_latency, "texts": measure_texts}


def main():
    """Does the job that standard input holds."""
    say = open_answers()
    job = json.load(sys.stdin)
    try:
        say(result=JOBS[job.pop("job")](**job, take_up=lambda path: say(path=str(path))))
    except (ValueError, ImportError) as error:
        say(error=str(error))


def _load(path, num_threads, take_up):
    take_up(path)
    return EdgeModel(path, num_threads)


def _tensors(named):
    return {
        name: f"{tuple(map(int, tensor['shape_signature']))} {tensor['dtype'].__name__}"
        for name, tensor in named.items()
    }


def _inputs(length):
    # Every id is in every vocabulary; what the tokens are does not change the time.
    return {"ids": np.ones(length), "mask": np.ones(length), "segment_ids": np.zeros(length)}


def _time_in_turns(models, inputs, runs, warm_seconds, take_up):
    """Returns a float array `(runs, models)` of milliseconds."""
    times_ms = np.empty((runs, len(models)))
    for start in range(0, runs, ROUND_RUNS):
        of_round = times_ms[start : start + ROUND_RUNS]
        for place, model in enumerate(models):
            take_up(model.path)
            of_round[:, place] = time_warm(model.run, inputs, len(of_round), warm_seconds)
    return times_ms


def _time_ms(function, *arguments, **inputs):
    start = time.perf_counter()
    result = function(*arguments, **inputs)
    return (time.perf_counter() - start) * 1e3, result


def _energy_mj(model, inputs, sensor, take_up):
    if sensor is None:
        return None
    take_up(model.path)
    count, end = 0, time.perf_counter() + ENERGY_SECONDS
    with sensor:
        while not count or time.perf_counter() < end:
            model.run(**inputs)
            count += 1
    return sensor.joules * 1e3 / count


def _answer(model, word_pieces, sentence):
    """Answers a sentence; returns its tokens and the milliseconds of tokenizer and model."""
    tokenize_ms, ids = _time_ms(word_pieces.encode, sentence)
    run_ms, _ = _time_ms(model.run, ids, np.ones(len(ids)), np.zeros(len(ids)))
    return len(ids), tokenize_ms, run_ms


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
