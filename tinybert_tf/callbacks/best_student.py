"""Keeps the best student."""

import json
import pathlib

import keras

from tinybert_tf.atomic import atomic_folder, settle
from tinybert_tf.checkpoints.model_folder import write_files


class BestStudent(keras.callbacks.Callback):
    """Writes the student's folder after each epoch that is better than all before.

    `metrics.json` in the folder holds the epoch and its metrics, so that a continued run knows
    what it has to beat. The folder is replaced whole, never half; a replacement that a killed
    process has begun is undone here.

    Args:
        folder: str or path-like.
        monitor: str, the metric to go by; larger is better. `TaskEvaluator` adds `dev_accuracy`.
        writes: bool, False for all processes of a distributed job but the chief: they keep
            `metrics` and write nothing.

    Attributes:
        metrics: dict of the best epoch's number and logs, or `None` before there is one.

    Raises:
        KeyError: At the end of an epoch, if the logs lack the metric.
    """

    def __init__(self, folder, monitor="dev_accuracy", writes=True):
        super().__init__()
        self._folder, self._monitor, self._writes = pathlib.Path(folder), monitor, writes
        if writes:
            settle(self._folder)
        written = self._folder / "metrics.json"
        self.metrics = json.loads(written.read_text()) if written.is_file() else None

    def on_epoch_end(self, epoch, logs=None):
        if self._monitor not in logs:
            raise KeyError(
                f'BestStudent goes by "{self._monitor}", but an epoch has {", ".join(logs)}. Put '
                "TaskEvaluator before it, or pass `monitor`."
            )
        if self.model.stop_training:
            return  # something went wrong
        if self.metrics is not None and not logs[self._monitor] > self.metrics[self._monitor]:
            return
        metrics = {"epoch": epoch + 1, **{name: float(value) for name, value in logs.items()}}
        if self._writes:
            with atomic_folder(self._folder) as temporary:
                write_files(self.model.student, temporary)
                (temporary / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
        self.metrics = metrics
