"""Measures latency, load time, memory and size of a .tflite file on this machine.

    tinybert-tf benchmark --model sst2.tflite --against float32.tflite --lengths 32 128

With `--against`, both files run in turns and the result holds the ratios of the first to the
second. On a machine without TensorFlow: `python -m tinybert_tf.edge.benchmark sst2.tflite`.
"""

import dataclasses
import sys

from tinybert_tf.programs.run_record import RunRecord
from tinybert_tf.programs.settings import Settings, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchmarkSettings(Settings):
    """Settings of `benchmark`."""

    model: str = setting(help="file to measure")
    against: str | None = setting(None, "another file, measured in turns with it")
    lengths: tuple[int, ...] = setting((16, 32, 64, 128), "tokens of the inputs")
    threads: tuple[int, ...] = setting((1, 2), "CPU threads")
    runs: int = setting(100, "timed runs of each case")
    output: str | None = setting(None, "file for the result, ending in .json")
    overwrite: bool = setting(False, "replace a result of other settings")


def run(settings):
    """Measures; returns what was measured of each file, and the ratios."""
    record = RunRecord("benchmark", settings)  # Not looked at: every measurement is a new one.

    from tinybert_tf.edge.benchmark import benchmark_many, format_table

    paths = [path for path in (settings.against, settings.model) if path is not None]
    result = benchmark_many(paths, settings.lengths, settings.threads, settings.runs)
    sys.stderr.write(format_table(result))
    return record.finish(result)


if __name__ == "__main__":
    from tinybert_tf.cli import run_as_program

    run_as_program("benchmark")
