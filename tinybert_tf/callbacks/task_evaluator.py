"""The task's own metrics after every epoch."""

import keras

from tinybert_tf.evaluation import Evaluator


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
        self._evaluate = Evaluator(self.model.student, self._task)

    def on_epoch_end(self, epoch, logs=None):
        logs.update({f"dev_{name}": value for name, value in self._evaluate().items()})
