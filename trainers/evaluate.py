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

    from tinybert_tf.evaluation import task_metrics
    from tinybert_tf.programs.answers import answers

    task = settings.load_task()
    examples = task.examples(settings.split)
    outputs, labels = answers(settings.model, examples, task.max_length)
    return record.finish(
        {
            "model": settings.model,
            "split": settings.split,
            "num_examples": len(examples),
            **task_metrics(task, examples.labels, outputs, labels),
        }
    )


if __name__ == "__main__":
    from tinybert_tf.cli import run_as_program

    run_as_program("evaluate")
