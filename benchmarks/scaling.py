"""What it costs to distribute the intermediate step.

    python -m benchmarks.scaling --output runs/scaling.jsonl

The same global batch on one, two and four logical processors of one process (MirroredStrategy), and
on two processes that talk over the loopback (MultiWorkerMirroredStrategy). All of them share this
machine's cores, so this shows the overhead of distributing, not a speed-up: what one replica would
gain, another loses. Each case is a process of its own (or two), in turns with the others.
"""

import argparse
import json
import os
import pathlib
import socket
import statistics
import string
import subprocess
import sys
import time

import numpy as np

from benchmarks import environment

# processes, replicas in each
CASES = {
    "one replica": (1, 1),
    "two replicas": (1, 2),
    "four replicas": (1, 4),
    "two processes": (2, 1),
}
WARM_UP_STEPS = 3
NOTE = "All replicas share the cores of one machine: this is overhead, not speed-up."
ROOT = pathlib.Path(__file__).parents[1]


def launch(case, arguments):
    """Runs a case in processes of its own.

    Args:
        case: str, a key of `CASES`.
        arguments: of the command line.

    Returns:
        Float, examples a second.

    Raises:
        RuntimeError: If a process fails or does not come to an end.
    """
    processes, replicas = CASES[case]
    program = [sys.executable, "-m", "benchmarks.scaling", "--measure", str(replicas)]
    for name in ("teacher", "student", "batch_size", "length", "steps"):
        program += [f"--{name.replace('_', '-')}", str(getattr(arguments, name))]
    workers = [
        subprocess.Popen(
            program,
            cwd=ROOT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **cluster},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for cluster in cluster_settings(processes)
    ]
    try:
        outputs = [worker.communicate(timeout=arguments.timeout) for worker in workers]
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{case}: still running after {arguments.timeout} s.") from error
    finally:
        for worker in workers:
            worker.kill()
    for worker, (_, errors) in zip(workers, outputs, strict=True):
        if worker.returncode:
            raise RuntimeError(f"{case}: exit status {worker.returncode}.\n{errors[-2000:]}")
    return json.loads(outputs[0][0].splitlines()[-1])


def cluster_settings(processes):
    """The environment variables of each process: who the others are, where there are any."""
    if processes == 1:
        return [{}]
    sockets = [socket.socket() for _ in range(processes)]
    for each in sockets:
        each.bind(("localhost", 0))
    addresses = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    cluster = {"worker": addresses}
    return [
        {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})}
        for index in range(processes)
    ]


def make_strategy(replicas):
    """The strategy of this process; to be called before TensorFlow does anything else."""
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    (processor,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        processor, [tf.config.LogicalDeviceConfiguration()] * replicas
    )
    if "TF_CONFIG" in os.environ:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if replicas == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(replicas)])


def make_batches(student, arguments):
    """Batches of random letters, all examples `--length` tokens long."""
    import tinybert_tf as tb

    count = (WARM_UP_STEPS + arguments.steps) * arguments.batch_size
    letters = np.random.default_rng(0).choice(
        list(string.ascii_lowercase), (count, arguments.length - 2)
    )
    return tb.data.ExampleBatches(
        tb.data.Examples([" ".join(row) for row in letters], labels=[0] * count),
        student.vocabulary,
        batch_size=arguments.batch_size,
        pad_to=arguments.length,
        max_length=arguments.length,
        seed=0,
    )


def measure(replicas, arguments):
    """Trains; returns examples a second after the first steps."""
    strategy = make_strategy(replicas)

    import keras

    import tinybert_tf as tb

    tokens = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *string.ascii_lowercase)
    # The presets' own embeddings, larger than this vocabulary, so that gradients have their size.
    models = {"labels": ("a", "b"), "vocabulary": tb.Vocabulary(tokens)}
    with strategy.scope():
        teacher, student = (
            tb.BertClassifier(tb.PRESETS[name], **models)
            for name in (arguments.teacher, arguments.student)
        )
        distiller = tb.Distiller(teacher, student)
        distiller.compile(tb.IntermediateObjective(), tb.adamw(5e-5))
    ends = []
    note_time = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter())
    )
    distiller.fit(make_batches(student, arguments), callbacks=[note_time], verbose=0)
    return examples_per_second(ends, arguments.batch_size)


def examples_per_second(ends, batch_size):
    """From the times at which steps ended, without the first `WARM_UP_STEPS`."""
    counted = ends[WARM_UP_STEPS - 1 :]
    return (len(counted) - 1) * batch_size / (counted[-1] - counted[0])


def make_record(case, speeds, baseline):
    """What was found of a case.

    Args:
        case: str, a key of `CASES`.
        speeds: list of float, examples a second in each round.
        baseline: the same of one replica.

    Returns:
        Dict that JSON can hold.
    """
    processes, replicas = CASES[case]
    ratios = [speed / base for speed, base in zip(speeds, baseline, strict=True)]
    return {
        "case": case,
        "processes": processes,
        "replicas": processes * replicas,
        "examples_per_second": statistics.median(speeds),
        "times_one_replica": statistics.median(ratios),
        "rounds": {"examples_per_second": speeds, "times_one_replica": ratios},
        "note": NOTE,
    }


def run(arguments):
    """Measures all cases in turns; prints and returns the records."""
    speeds = {case: [] for case in CASES}
    for _ in range(arguments.rounds):
        for case in CASES:
            speeds[case].append(launch(case, arguments))
    settings = ("teacher", "student", "batch_size", "length", "steps")
    common = {name: getattr(arguments, name) for name in settings} | environment.describe()
    records = []
    for case in CASES:
        records.append(make_record(case, speeds[case], speeds["one replica"]) | common)
        print(
            f"{case:14} {records[-1]['examples_per_second']:8.1f} examples/s "
            f"{records[-1]['times_one_replica']:6.2f}x"
        )
    print(f"{NOTE} ({os.cpu_count()} cores)")
    return records


def main():
    """Measures what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", default="tinybert_4l_312d", help="preset")
    parser.add_argument("--student", default="bert_tiny", help="preset")
    parser.add_argument("--batch-size", type=int, default=64, help="examples in a global batch")
    parser.add_argument("--length", type=int, default=32, help="tokens of each")
    parser.add_argument("--steps", type=int, default=30, help=f"after {WARM_UP_STEPS} not timed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timeout", type=int, default=600, help="seconds a process may take")
    parser.add_argument("--output", type=pathlib.Path, help="file for the records, JSON lines")
    parser.add_argument("--measure", type=int, metavar="REPLICAS", help="in this process alone")
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments)))
        return
    records = run(arguments)
    if arguments.output:
        environment.write_lines(records, arguments.output)


if __name__ == "__main__":
    main()
