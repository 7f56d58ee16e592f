"""Measures latency, load time, memory and size of .tflite files, here or on an Android phone.

    tinybert-tf benchmark --model sst2.tflite --against float32.tflite --lengths 32 128
    tinybert-tf benchmark --model sst2.tflite --adb --benchmark-binary benchmark_model --cores 7

Latencies are those of warm caches. With `--against`, both files run in turns and the result holds
the ratios of the first to the second. On a machine without TensorFlow: `python -m
tinybert_tf.edge.benchmark sst2.tflite`. With `--adb` a phone runs them, with the `benchmark_model`
of TensorFlow Lite that you built or fetched.
"""

import dataclasses
import sys

from tinybert_tf.atomic import atomic_file
from tinybert_tf.programs.run_record import RunRecord
from tinybert_tf.programs.settings import Settings, exists, setting

_OF_PHONES = ("benchmark_binary", "serial", "cores", "delegates", "cool_below", "cool_seconds")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchmarkSettings(Settings):
    """Settings of `benchmark`."""

    model: str = setting(help="file to measure")
    against: str | None = setting(None, "another file, measured in turns with it")
    lengths: tuple[int, ...] = setting((16, 32, 64, 128), "tokens of the inputs")
    threads: tuple[int, ...] = setting((1, 2), "CPU threads")
    runs: int = setting(100, "timed runs of each case")
    texts: str | None = setting(None, "file of sentences, one a line, to time from text to answer")
    adb: bool = setting(False, "measure on the Android phone that adb sees")
    benchmark_binary: str | None = setting(None, "TensorFlow Lite's benchmark_model, for --adb")
    serial: str | None = setting(None, "which of several phones")
    cores: str | None = setting(None, "the phone's cores to use: 7, 4-7, 0,2 or a mask, 0xf0")
    delegates: tuple[str, ...] = setting(
        ("cpu", "xnnpack"), "what computes on the phone: cpu, xnnpack, gpu, nnapi"
    )
    cool_below: float = setting(38.0, "degrees Celsius a phone cools to before each case")
    cool_seconds: float = setting(900.0, "most seconds to wait for that in all")
    csv: str | None = setting(None, "file for a table, a row a case", compared=False)
    figure: str | None = setting(
        None, "file for latency over length, ending in .svg", compared=False
    )
    output: str | None = setting(None, "file for the result, ending in .json")
    overwrite: bool = setting(False, "replace a result of other settings")

    def check(self):
        super().check()
        self.check_at_least(1, "runs")
        if self.texts is not None and not exists(self.texts):
            raise FileNotFoundError(f"{self.texts}: no such file, for --texts.")
        if self.figure is not None and not self.figure.endswith(".svg"):
            raise ValueError(f"--figure is {self.figure}, expected a name ending in .svg.")
        if self.adb:
            self._check_phone()
        else:
            self._check_no_phone()

    def _check_no_phone(self):
        for field in dataclasses.fields(self):
            if field.name in _OF_PHONES and getattr(self, field.name) != field.default:
                flag = f"--{field.name.replace('_', '-')}"
                raise ValueError(f"Got {flag} without --adb; it is for phones only.")

    def _check_phone(self):
        from tinybert_tf.edge.android import check_settings

        if self.benchmark_binary is None:
            raise ValueError(
                "--adb needs --benchmark-binary: TensorFlow Lite's benchmark_model for Android, "
                "which no package holds."
            )
        if self.texts:
            raise ValueError("Got --texts with --adb; a phone is timed at --lengths only.")
        check_settings(self.benchmark_binary, self.cores, self.delegates)


def run(settings):
    """Measures; returns what was measured of each file, and the ratios."""
    from tinybert_tf.edge.benchmark_table import make_folder_of, write_csv

    record = RunRecord("benchmark", settings)  # Not looked at: every measurement is a new one.
    measure = _measure_on_phone if settings.adb else _measure_here
    for path in filter(None, (settings.csv, settings.figure)):
        make_folder_of(path)
    paths = [path for path in (settings.against, settings.model) if path is not None]
    result, table, text = measure(settings, paths)
    sys.stderr.write(text)
    if settings.csv:
        write_csv(settings.csv, table)
    if settings.figure:
        _write_figure(settings.figure, table)
    return record.finish(result)


def _measure_here(settings, paths):
    from tinybert_tf.edge.benchmark import benchmark_many
    from tinybert_tf.edge.benchmark_table import format_table, rows

    result = benchmark_many(
        paths, settings.lengths, settings.threads, settings.runs, texts=settings.texts
    )
    return result, rows(result), format_table(result)


def _measure_on_phone(settings, paths):
    from tinybert_tf.edge.android import benchmark_on_phone, format_phone_table, phone_rows

    result = benchmark_on_phone(
        paths,
        settings.benchmark_binary,
        serial=settings.serial,
        cores=settings.cores,
        lengths=settings.lengths,
        threads=settings.threads,
        delegates=settings.delegates,
        runs=settings.runs,
        cool_below_c=settings.cool_below,
        cool_seconds=settings.cool_seconds,
    )
    return result, phone_rows(result), format_phone_table(result)


def _write_figure(path, table):
    """Draws a line for each file, delegate and number of threads; what failed is left out."""
    from tinybert_tf.report.figures import latency_lines

    name, what = ("mean_ms", "mean ms") if "delegate" in table[0] else ("p50_ms", "median ms")
    lines = {}
    for row in table:
        if row.get(name) is not None:
            who = [row["path"], row.get("delegate"), f"{row['threads']} threads"]
            points = lines.setdefault(", ".join(filter(None, who)), [])
            points.append((row["length"], row[name]))
    with atomic_file(path) as temporary:
        temporary.write_text(latency_lines(lines, what) + "\n", encoding="utf-8")


if __name__ == "__main__":
    from tinybert_tf.cli import run_as_program

    run_as_program("benchmark")
