"""The task's own metrics after every epoch."""

import keras

from tinybert_tf.evaluation import Predictor, task_metrics


class TaskEvaluator(keras.callbacks.Callback):
    """Adds the student's dev metrics to the logs of each epoch, as `dev_accuracy` and so on.

    Put it before callbacks that read them, such as `BestStudent`.

    Args:
        task: `Task` with a dev split.
    """

    def __init__(self, task):
        super().__init__()
        self._task = task

    def on_train_begin(self, logs=None):
        student = self.model.student
        self._predictor = Predictor(student)
        self._batches = self._task.dev(student)
        self._labels = self._task.examples("dev").labels

    def on_epoch_end(self, epoch, logs=None):
        student = self.model.student
        logits = self._predictor(self._batches)
        metrics = task_metrics(self._task, self._labels, logits, student.labels)
        logs.update({f"dev_{name}": value for name, value in metrics.items()})
