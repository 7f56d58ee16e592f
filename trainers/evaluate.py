"""Measures a model folder or a .tflite file on a task.

tinybert-tf evaluate --model sst2.tflite --task sst2 --data-dir glue --split dev
"""

import dataclasses

from tinybert_tf.programs.run_record import RunRecord
from tinybert_tf.programs.settings import TaskSettings, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateSettings(TaskSettings):
    """Settings of `evaluate`."""

    model: str = setting(help="model folder or .tflite file")
    split: str = setting("dev", "train, dev or test")
    output: str | None = setting(None, ".json file to write the result to")
    overwrite: bool = setting(False, "replace the result that is there")


def run(settings):
    """Measures; returns the task's metrics."""
    record = RunRecord("evaluate", settings)

    from tinybert_tf.evaluation import split_parts, task_metrics
    from tinybert_tf.programs.answers import Answerer

    task, model, metrics = settings.load_task(), Answerer(settings.model), {}
    model.check(task)
    for prefix, split in split_parts(task, settings.split).items():
        examples = task.examples(split)
        found = model.ask(examples, task.max_length)
        measured = task_metrics(task, examples.labels, found.outputs, found.labels, found.rows)
        metrics |= {f"{prefix}num_examples": len(examples)}
        metrics |= {f"{prefix}{name}": value for name, value in measured.items()}
    return record.finish({"model": settings.model, "split": settings.split, **metrics})


if __name__ == "__main__":
    from tinybert_tf.cli import run_as_program

    run_as_program("evaluate")
