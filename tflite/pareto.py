"""Exports students by every recipe, and tells which of the files are worth having.

    tinybert-tf pareto --models runs/sst2/student runs/small/student --task sst2 --data-dir glue \\
        --output runs/sst2/pareto

Of each file: size, latency (all in turns) and the task's first metric on dev. A file is dominated
if another is at least as good at all three and better at one. The output folder holds the files,
`pareto.csv` and `pareto.svg`; files that are there already are not exported again.
"""

import csv
import dataclasses
import itertools
import pathlib
import sys

from tinybert_tf.tflite import export
from tinybert_tf.trainers import evaluate

from tinybert_tf.atomic import atomic_file
from tinybert_tf.programs.run_record import RunRecord, finished_result
from tinybert_tf.programs.settings import TaskSettings, exists, setting
from tinybert_tf.recipes import RECIPES, check_recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParetoSettings(TaskSettings):
    """Settings of `pareto`."""

    models: tuple[str, ...] = setting(help="model folders")
    output: str = setting(help="folder to write")
    recipes: tuple[str, ...] = setting(tuple(RECIPES), "recipes of export to compare")
    lengths: tuple[int, ...] = setting((32, 128), "tokens to time; the last one's latency counts")
    threads: int = setting(1, "CPU threads")
    runs: int = setting(50, "timed runs of each file and length")
    overwrite: bool = setting(False, "replace a comparison of other settings")

    def check(self):
        super().check()
        for recipe in self.recipes:
            check_recipe(recipe)
        for model in self.models:
            if not exists(model):
                raise FileNotFoundError(f"{model}: no such folder, for --models.")
        self.check_at_least(1, "threads", "runs")
        if len(set(names_of(self.models))) < len(self.models):
            raise ValueError(
                f"--models {' '.join(self.models)}: their folders bear the same names, which name "
                "the files. Give each model once, and under a name of its own."
            )


def run(settings):
    """Exports and measures; returns a row for each file and the name of the metric."""
    record = RunRecord("pareto", settings)
    if record.result is not None:
        return record.result

    from tinybert_tf.report.figures import pareto_plot
    from tinybert_tf.report.pareto import mark_dominated

    folder, metric = pathlib.Path(settings.output), settings.load_task().metrics[0]
    record.start()
    rows = list(make_files(settings))
    add_latencies(settings, rows)
    rows = mark_dominated([row | {"metric": row["dev"][metric]} for row in rows])
    write_table(folder / "pareto.csv", rows)
    with atomic_file(folder / "pareto.svg") as temporary:
        temporary.write_text(pareto_plot(rows, metric), encoding="utf-8")
    sys.stderr.write(format_table(rows, metric))
    return record.finish({"metric": metric, "files": rows})


def names_of(models):
    """What each model is called: its folder's name, or that of the folder around a `student`."""
    paths = [pathlib.Path(model).resolve() for model in models]
    return [path.parent.name if path.name == "student" else path.name for path in paths]


def make_files(settings):
    """Exports and evaluates each student by each recipe, unless it has been; yields a row each."""
    from tinybert_tf.callbacks.progress import counting

    models = dict(zip(names_of(settings.models), settings.models, strict=True))
    pairs = list(itertools.product(models, settings.recipes))
    with counting("files", len(pairs)) as show:
        for done, (student, recipe) in enumerate(pairs, 1):
            exported, measured = make_file(settings, models[student], f"{student}.{recipe}", recipe)
            yield {"name": f"{student} {recipe}", "student": student, **exported, "dev": measured}
            show(done)


def make_file(settings, model, name, recipe):
    """What `export` and `evaluate` say of one file."""
    path = pathlib.Path(settings.output) / f"{name}.tflite"
    task = {field.name: getattr(settings, field.name) for field in dataclasses.fields(TaskSettings)}
    given = {**task, "max_length": None, "model": model, "recipe": recipe, "overwrite": True}
    wanted = export.ExportSettings(**given, output=str(path))
    tested = evaluate.EvaluateSettings(
        **task, model=str(path), output=f"{path}.dev.json", overwrite=True
    )
    exported = finished_result("export", wanted)
    measured = exported and finished_result("evaluate", tested)
    if measured is None:
        exported, measured = export.run(wanted), evaluate.run(tested)
    return exported, measured


def add_latencies(settings, rows):
    """Times all files in turns; adds `p50_ms` by length, and `latency_ms`, to their rows."""
    from tinybert_tf.edge.benchmark import benchmark_many

    paths = [row["path"] for row in rows]
    timed = benchmark_many(paths, settings.lengths, (settings.threads,), settings.runs)["files"]
    for row, file in zip(rows, timed, strict=True):
        row["p50_ms"] = {str(case["length"]): case["p50_ms"] for case in file["latency"]}
        row["latency_ms"] = file["latency"][-1]["p50_ms"]
        row["runtime"] = file["runtime"]


def format_table(rows, metric):
    """The rows as lines of text."""
    width = max(len(row["name"]) for row in rows)
    lines = [f"{'file':{width}}       MB        ms  {metric}"]
    for row in rows:
        note = f"  worse than {row['dominated_by']}" if row["dominated_by"] else ""
        figures = f"{row['size_bytes'] / 1e6:8.2f} {row['latency_ms']:9.2f}  {row['metric']:.4f}"
        lines.append(f"{row['name']:{width}} {figures}{note}")
    return "\n".join(lines) + "\n"


def write_table(path, rows):
    """Writes the rows as a .csv file."""
    rows = [
        {name: value for name, value in row.items() if name not in ("p50_ms", "dev")}
        | {f"p50_ms_{length}": value for length, value in row["p50_ms"].items()}
        for row in rows
    ]
    with atomic_file(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    from tinybert_tf.cli import run_as_program

    run_as_program("pareto")
