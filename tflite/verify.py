"""Compares a .tflite file with the model that it was made from, on a task's texts.

    tinybert-tf verify --model runs/sst2/student --tflite sst2.tflite --task sst2 --data-dir glue

Fails if a metric of the file is lower than the model's by more than `--tolerance`.
"""

import dataclasses

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
    """Compares; returns agreement, both's metrics, the largest difference, the worst examples."""
    record = RunRecord("verify", settings)  # Not looked at: the file may have changed since.

    import tinybert_tf as tb

    model = tb.load(settings.model, dtype="float32")
    task = settings.load_task()
    result = tb.export.verify(model, settings.tflite, task, settings.split)
    try:
        check_metrics(result, settings.tolerance)
    except ValueError:
        record.finish(result, status="failed")
        raise
    return record.finish(result)


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
