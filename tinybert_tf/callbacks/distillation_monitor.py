"""Writes the course of a distillation, and says in words when it goes wrong."""

import math
import warnings

import keras
import tensorflow as tf

from tinybert_tf.evaluation import evaluate, weakness


class DistillationMonitor(keras.callbacks.Callback):
    """Writes each loss term to TensorBoard and warns about what makes a run worthless.

    It warns when the teacher is no better on the dev split than guessing; when a loss is not a
    number, and then stops training; and when a dev metric appears while the objective trains no
    head, where it says nothing about the student.

    Args:
        log_dir: str or path-like for TensorBoard, or `None`.
        task: `Task` to measure the teacher on before training starts, or `None` to trust it.

    Attributes:
        teacher_metrics: dict of the teacher's dev metrics, or `None`.
        teacher_weakness: str, why the student should not learn from it, or `None`.
    """

    def __init__(self, log_dir=None, task=None):
        super().__init__()
        self._writer = None if log_dir is None else tf.summary.create_file_writer(str(log_dir))
        self._task = task
        self.teacher_metrics = self.teacher_weakness = None
        self._warned = set()

    def measure_teacher(self, teacher):
        """Returns a teacher's dev metrics, measured once; warns if they are at chance."""
        if self.teacher_metrics is None:
            self.teacher_metrics = evaluate(teacher, self._task)
            self.teacher_weakness = weakness(self._task, self.teacher_metrics)
            if self.teacher_weakness:
                self._warn(self.teacher_weakness)
        return self.teacher_metrics

    def on_train_begin(self, logs=None):
        if self._task is not None and self.model.teacher is not None:
            self.measure_teacher(self.model.teacher)

    def on_train_batch_end(self, batch, logs=None):
        bad = [name for name, value in logs.items() if not math.isfinite(value)]
        if bad:
            self._warn(
                f"{', '.join(bad)} is not a finite number at step {batch + 1}; training stops. "
                "Lower the learning rate, or train the student in float32."
            )
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        no_head = "prediction_loss" not in logs and "label_loss" not in logs
        if no_head and any(name.startswith("dev_") for name in logs):
            self._warn(
                "The intermediate stage trains no head, so the student's dev metric is at chance "
                "and says nothing about it. Read it after the prediction stage."
            )
        if self._writer is None:
            return
        with self._writer.as_default(step=epoch + 1):
            for name, value in logs.items():
                tf.summary.scalar(name, value)
        self._writer.flush()

    def _warn(self, message):
        if message not in self._warned:
            self._warned.add(message)
            warnings.warn(message, stacklevel=2)
