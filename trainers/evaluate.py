"""Measures a model folder or a .tflite file on a task.

tinybert-tf evaluate --model sst2.tflite --task sst2 --data-dir glue --split dev

The task's metrics are of the most probable labels. Of a calibrated file it also says how far its
probabilities can be trusted, and what its threshold does to texts of the classes and, with
`--out-of-scope-label`, to others.
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
        measured |= measure_scope(model, task, split, found, examples.labels)
        metrics |= {f"{prefix}{name}": value for name, value in measured.items()}
    return record.finish({"model": settings.model, "split": settings.split, **metrics})


def measure_scope(model, task, split, found, labels):
    """Metrics of the threshold of a calibrated file, a dict; empty for others."""
    if found.out_of_scope_threshold is None:
        return {}

    from tinybert_tf.evaluation.confidence import calibration_error, scope_metrics
    from tinybert_tf.models.label_names import match_labels

    places = dict(zip(task.labels, match_labels(task.labels, found.labels), strict=True))
    right = found.outputs.argmax(axis=1) == [places[name] for name in labels]
    others = task.out_of_scope_examples(split)
    outside = others and model.ask(others, task.max_length).confidences
    return {
        "calibration_error": calibration_error(found.confidences, right),
        **scope_metrics(found.confidences, right, outside, found.out_of_scope_threshold),
    }


if __name__ == "__main__":
    from tinybert_tf.cli import run_as_program

    run_as_program("evaluate")
