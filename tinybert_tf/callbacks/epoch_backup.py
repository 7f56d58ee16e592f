"""Goes on after an interruption from the last finished epoch."""

import json
import pathlib

import keras
import tensorflow as tf

from tinybert_tf.atomic import atomic_folder


class EpochBackup(keras.callbacks.Callback):
    """Saves the whole training state after each epoch, so that the same run can be continued.

    The state is the student, the projection, the optimizer with its step, the random generators
    and the logs of the epochs so far. It is written beside the old state and takes its place whole.

    Args:
        folder: str or path-like.

    Example:
        backup = EpochBackup("run/state")
        distiller.prepare(spec)
        distiller.fit(batches, epochs=3, initial_epoch=backup.restore(distiller),
        callbacks=[backup])
    """

    def __init__(self, folder):
        super().__init__()
        self._folder = pathlib.Path(folder)
        self.epoch_logs = []

    def restore(self, distiller):
        """Sets a prepared Distiller to the saved state, if there is one.

        Args:
            distiller: `Distiller`, compiled and prepared as it was when the state was saved.

        Returns:
            int, the number of finished epochs: the `initial_epoch` for `fit`.
        """
        written = self._folder / "epochs.json"
        if not written.is_file():
            return 0
        self.epoch_logs = json.loads(written.read_text())
        checkpoint = tf.train.Checkpoint(variables=_variables(distiller))
        checkpoint.read(str(self._folder / "state")).assert_consumed()
        return len(self.epoch_logs)

    def on_epoch_end(self, epoch, logs=None):
        if self.model.stop_training:
            return  # something went wrong: the last state is the better one
        self.epoch_logs.append({name: float(value) for name, value in logs.items()})
        with atomic_folder(self._folder) as temporary:
            checkpoint = tf.train.Checkpoint(variables=_variables(self.model))
            checkpoint.write(str(temporary / "state"))
            (temporary / "epochs.json").write_text(json.dumps(self.epoch_logs))


def _variables(distiller):
    parts = [distiller.student, distiller.projection, distiller.optimizer]
    variables = [v for part in parts if part is not None for v in part.variables]
    return [variable.value for variable in variables]
