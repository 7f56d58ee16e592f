"""Compares a .tflite file with the model that it was made from, on a task's texts.

    tinybert-tf verify --model runs/sst2/student --tflite sst2.tflite --task sst2 --data-dir glue

Fails if a metric of the file is lower than the model's by more than `--tolerance`. A table shows
how far the file's activations are from the model's after each layer.
"""

import dataclasses
import sys

from tinybert_tf.programs.run_record import RunRecord
from tinybert_tf.programs.settings import TaskSettings, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class VerifySettings(TaskSettings):
    """Settings of `verify`."""

    model: str = setting(help="model folder")
    tflite: str = setting(help="file made from it")
    split: str = setting("dev", "texts to compare on: train, dev or test; they need labels")
    tolerance: float = setting(0.01, "how much lower than the model's a metric may be")
    output: str | None = setting(None, "file for the result, ending in .json")
    overwrite: bool = setting(False, "replace a result of other settings")

    def check(self):
        super().check()
        if self.tolerance < 0:
            raise ValueError(f"--tolerance is {self.tolerance}, expected 0 or more.")


def run(settings):
    """Compares; returns agreement, both's metrics, and what differs: examples and layers."""
    record = RunRecord("verify", settings)  # Not looked at: the file may have changed since.

    import tinybert_tf as tb

    model = tb.load(settings.model, dtype="float32")
    task = settings.load_task()
    result = tb.export.verify(model, settings.tflite, task, settings.split)
    sys.stderr.write(format_layers(result["layers"]))
    try:
        check_metrics(result, settings.tolerance)
    except ValueError:
        record.finish(result, status="failed")
        raise
    return record.finish(result)


def format_layers(layers):
    """Writes what `tinybert_tf.export.layer_errors` returns as text, a line for each layer."""
    if not layers:
        return "The file does not name its layers; files from `tinybert-tf export` do.\n"
    width = max(len(layer["name"]) for layer in layers)
    lines = [f"{'after':{width}}  relative error    cosine"]
    line = f"{{name:{width}}}  {{relative_error:14.4f}}  {{cosine:8.5f}}"
    return "\n".join([*lines, *(line.format(**layer) for layer in layers)]) + "\n"


def check_metrics(result, tolerance):
    """Raises ValueError if a metric dropped by more than `tolerance`, or there is none to tell."""
    if not result["metrics"]:
        raise ValueError(f"The {result['split']} split has no labels; --split one that has.")
    dropped = [
        f"{name} is {values['file']:.4f}, the model's {values['model']:.4f}"
        for name, values in result["metrics"].items()
        if not values["drop"] <= tolerance
    ]
    if dropped:
        raise ValueError(
            f"{result['path']}: {'; '.join(dropped)}. That is more than --tolerance {tolerance}; "
            "export with another recipe."
        )


if __name__ == "__main__":
    from tinybert_tf.cli import run_as_program

    run_as_program("verify")
