"""Callbacks of a training whose epochs are fitted one by one."""

import keras


class EpochCallbacks(keras.callbacks.CallbackList):
    """Makes several `fit` calls look like one training to the callbacks.

    An epoch that begins in its middle, or whose steps are no multiple of `steps_per_execution`,
    needs a `fit` of its own. Arguments are those of `keras.callbacks.CallbackList`.

    Attributes:
        first_step: int, the step of the epoch with which the next `fit` begins.
    """

    first_step = 0

    def begin_training(self):
        """Tells the callbacks that the training begins."""
        super().on_train_begin()

    def end_training(self):
        """Tells the callbacks that the training has ended."""
        super().on_train_end()

    def on_train_begin(self, logs=None):
        """Does nothing: only an epoch begins."""

    def on_train_end(self, logs=None):
        """Does nothing: only an epoch has ended."""

    def on_train_batch_begin(self, batch, logs=None):
        super().on_train_batch_begin(self.first_step + batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(self.first_step + batch, logs)
