"""Exports students by every recipe, and tells which of the files are worth having.

    tinybert-tf pareto --models runs/sst2/student runs/small/student --task sst2 --data-dir glue \\
        --output runs/sst2/pareto

Of each file: size, latency (all in turns) and the task's first metric on dev. A file is dominated
if another is at least as good at all three and better at one. The output folder holds the files,
`pareto.csv` and `pareto.svg`. Files that are there already are exported again only if their student
has changed; `--lengths`, `--threads` and `--runs` are measured anew whenever they change.
"""

import csv
import dataclasses
import datetime
import itertools
import pathlib
import sys

from tinybert_tf.tflite import export
from tinybert_tf.trainers import evaluate

from tinybert_tf.atomic import atomic_file
from tinybert_tf.programs.run_record import RunRecord, finished_result, started
from tinybert_tf.programs.settings import TaskSettings, exists, setting
from tinybert_tf.recipes import RECIPES, check_recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParetoSettings(TaskSettings):
    """Settings of `pareto`."""

    models: tuple[str, ...] = setting(help="model folders")
    output: str = setting(help="folder to write")
    recipes: tuple[str, ...] = setting(tuple(RECIPES), "recipes of export to compare")
    lengths: tuple[int, ...] = setting(
        (32, 128), "tokens to time; the last one's latency counts", compared=False
    )
    threads: int = setting(1, "CPU threads", compared=False)
    runs: int = setting(50, "timed runs of each file and length", compared=False)
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
        self._check_splits()
        self._check_lengths()

    def is_current(self):
        """Whether the files are of the students as they are now, and timed as wanted."""
        result = finished_result("pareto", self) or {}
        return result.get("timing") == self.timing and all(
            find_made(*settings) for *_, settings in self.files()
        )

    @property
    def timing(self):
        """What decides the latencies, as JSON holds it."""
        return {"lengths": list(self.lengths), "threads": self.threads, "runs": self.runs}

    def files(self):
        """Of each file the name of its student, and the settings of its export and evaluation."""
        models = zip(names_of(self.models), self.models, strict=True)
        return [
            (student, recipe, self._file_settings(model, f"{student}.{recipe}.tflite", recipe))
            for (student, model), recipe in itertools.product(models, self.recipes)
        ]

    def _file_settings(self, model, name, recipe):
        path = str(pathlib.Path(self.output) / name)
        task = {field.name: getattr(self, field.name) for field in dataclasses.fields(TaskSettings)}
        given = {**task, "max_length": None, "model": model, "recipe": recipe, "overwrite": True}
        return export.ExportSettings(**given, output=path), evaluate.EvaluateSettings(
            **task, model=path, output=f"{path}.dev.json", overwrite=True
        )

    def _check_splits(self):
        static = [recipe for recipe in self.recipes if RECIPES[recipe].needs_examples]
        if not self.task and not self.dev:
            raise ValueError("Files are compared on a dev split: give --dev too.")
        if static and not self.task and not self.train:
            raise ValueError(
                f"{', '.join(static)} measure activations on a train split: give --train too, or "
                "--recipes without them."
            )

    def _check_lengths(self):
        from tinybert_tf.edge.benchmark import check_positive

        check_positive(lengths=self.lengths)
        limits = [("--models", model, positions_of(model)) for model in self.models]
        limits += [("--recipes", name, RECIPES[name].static_length) for name in self.recipes]
        for flag, name, most in limits:
            if most is not None and most < max(self.lengths):
                raise ValueError(
                    f"--lengths is {' '.join(map(str, self.lengths))}, but {name} takes {most} "
                    f"tokens at most. Give --lengths up to {most}, or leave {name} out of {flag}."
                )


def run(settings):
    """Exports and measures; returns a row for each file and the name of the metric."""
    record = RunRecord("pareto", settings)
    if record.result is not None and settings.is_current():
        return record.result

    from tinybert_tf.report.figures import pareto_plot
    from tinybert_tf.report.pareto import mark_dominated

    folder, task = pathlib.Path(settings.output), settings.load_task()
    metric = task.metrics[0]
    task.examples("dev")  # if it cannot be read, better now than after the first export
    record.start()
    rows = list(make_files(settings))
    add_latencies(settings, rows)
    rows = mark_dominated([row | {"metric": row["dev"][metric]} for row in rows])
    write_table(folder / "pareto.csv", rows)
    with atomic_file(folder / "pareto.svg") as temporary:
        temporary.write_text(pareto_plot(rows, metric), encoding="utf-8")
    sys.stderr.write(format_table(rows, metric))
    return record.finish({"metric": metric, "timing": settings.timing, "files": rows})


def names_of(models):
    """What each model is called: its folder's name, or that of the folder around a `student`."""
    paths = [pathlib.Path(model).resolve() for model in models]
    return [path.parent.name if path.name == "student" else path.name for path in paths]


def positions_of(model):
    """How many tokens a model takes by its config.json; `None` if there is none that tells."""
    from tinybert_tf.checkpoints.json_file import read_json

    config = pathlib.Path(model) / "config.json"
    positions = read_json(config).get("max_position_embeddings") if config.is_file() else None
    return positions if isinstance(positions, int) else None


def make_files(settings):
    """Exports and evaluates each student by each recipe, unless it has been; yields a row each."""
    from tinybert_tf.callbacks.progress import counting

    files = settings.files()
    with counting("files", len(files)) as show:
        for done, (student, recipe, (wanted, tested)) in enumerate(files, 1):
            made = find_made(wanted, tested)
            exported, measured = made or (export.run(wanted), evaluate.run(tested))
            yield {"name": f"{student} {recipe}", "student": student, **exported, "dev": measured}
            show(done)


def find_made(wanted, tested):
    """What `export` and `evaluate` said of a file, or `None`.

    `None` too if they said it of another student, or of the file of another student.
    """
    exported, measured = finished_result("export", wanted), finished_result("evaluate", tested)
    is_current = changed(wanted.model) < started(wanted) <= started(tested)
    return (exported, measured) if exported and measured and is_current else None


def changed(model):
    """When a model folder or one of its files was last written or put there, in ISO 8601."""
    folder = pathlib.Path(model)
    paths = [folder, *(path for path in folder.glob("*") if path.is_file())]
    seconds = max((path.stat().st_ctime for path in paths if path.exists()), default=0.0)
    when = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return when.isoformat(timespec="microseconds")


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
