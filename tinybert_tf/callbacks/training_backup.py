"""Goes on after an interruption from the last saved step."""

import json
import math
import pathlib
import shutil

import keras
import numpy as np
import safetensors

from tinybert_tf.atomic import atomic_file
from tinybert_tf.checkpoints.model_folder import write_safetensors


class TrainingBackup(keras.callbacks.Callback):
    """Saves the whole training state every few steps, so that the same run can be continued.

    The state is the student, the projection, the optimizer with its step, the random generators,
    the position in the data, the metrics of the epoch so far and the logs of the epochs before. It
    is one file, which each new state replaces whole. States with numbers that are not finite are
    not saved. Put it after all other callbacks.

    Args:
        path: str or path-like, a .safetensors file.
        every_steps: int, steps between two states; there is one after each epoch too.
        writes: whether to write; False on all but the chief worker of a distributed job, which
            read the file that the chief writes.
        on_save: function without arguments that is called after each state, or `None`.

    Attributes:
        epoch_logs: list of dicts, the logs of the finished epochs.
        stop_requested: set it to True, from a signal handler too, and the state is saved after the
            step that is running; then `TrainingStopped` is raised.

    Example:
        backup = TrainingBackup("run/state.safetensors")
        distiller.prepare(batches)
        epoch, step = backup.restore(distiller)
        distiller.fit(batches, epochs=3, initial_epoch=epoch, initial_step=step, callbacks=[backup])
    """

    def __init__(self, path, every_steps=500, writes=True, on_save=None):
        super().__init__()
        self._path = pathlib.Path(path)
        self._every_steps, self._writes, self._on_save = every_steps, writes, on_save
        self._metrics, self._last_step = None, 0
        self.epoch_logs = []
        self.stop_requested = False

    def restore(self, distiller):
        """Sets a prepared Distiller to the saved state, if there is one.

        Args:
            distiller: `Distiller`, compiled and prepared as it was when the state was saved.

        Returns:
            Two ints: the number of finished epochs, and of steps in the next one: `initial_epoch`
            and `initial_step` for `Distiller.fit`.

        Raises:
            ValueError: If the file is no state of such a Distiller.
        """
        if not self._path.is_file():
            return 0, 0
        values, position = _read(self._path)
        variables = _variables(distiller)
        metrics = _metric_variables(distiller)
        shapes = [tuple(variable.shape) for variable in variables + metrics]
        if [value.shape for value in values] != shapes:
            raise ValueError(
                f"{self._path} is the state of another training. Choose another folder, or remove "
                "the file to begin anew."
            )
        _assign(variables, values[: len(variables)])
        self._last_step, self.epoch_logs = position["step"], position["epoch_logs"]
        self._metrics = values[len(variables) :] if self._last_step else None
        return len(self.epoch_logs), self._last_step

    def on_train_begin(self, logs=None):
        variables = _variables(self.model) + _metric_variables(self.model)
        needed = sum(math.prod(v.shape) * np.dtype(v.dtype).itemsize for v in variables)
        folder = next(parent for parent in self._path.absolute().parents if parent.is_dir())
        free = shutil.disk_usage(folder).free
        if self._writes and free < needed:
            raise OSError(
                f"{folder}: a training state takes {needed / 1e6:.0f} MB, but the disk has "
                f"{free / 1e6:.0f} MB left. Make room, or choose another folder."
            )

    def on_epoch_begin(self, epoch, logs=None):
        if self._metrics is not None:  # Keras has just reset them
            _assign(_metric_variables(self.model), self._metrics)
            self._metrics = None

    def on_train_batch_end(self, batch, logs=None):
        step, steps = batch + 1, self.params["steps"]
        if self.model.stop_training or (steps is not None and step >= steps):
            return  # something went wrong, or the epoch's end will save
        if self.stop_requested or step - self._last_step >= self._every_steps:
            self._save(step)
            self._stop_if_requested()

    def on_epoch_end(self, epoch, logs=None):
        if self.model.stop_training:
            return  # something went wrong: the last state is the better one
        self.epoch_logs.append({name: float(value) for name, value in logs.items()})
        self._save(0)
        self._stop_if_requested()

    def _save(self, step):
        self._last_step = step
        # Every worker of a distributed job takes part in reading what is spread over them.
        variables = _variables(self.model) + _metric_variables(self.model)
        values = [keras.ops.convert_to_numpy(variable) for variable in variables]
        if not self._writes or not all(np.isfinite(value).all() for value in values):
            return
        position = json.dumps({"epoch_logs": self.epoch_logs, "step": step})
        names = {f"{number:05}": value for number, value in enumerate(values)}
        with atomic_file(self._path) as temporary:
            write_safetensors(names, temporary, {"position": position})
        if self._on_save is not None:
            self._on_save()

    def _stop_if_requested(self):
        if self.stop_requested:
            raise TrainingStopped(
                "Stopped; the state is saved. The training goes on with the same command."
            )


class TrainingStopped(KeyboardInterrupt):
    """A training that was asked to stop has saved its state."""


def _read(path):
    """The arrays of a state in their order, and its position."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            position = json.loads((file.metadata() or {})["position"])
            return [file.get_tensor(name) for name in sorted(file.keys())], position
    except (safetensors.SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path} is no whole training state ({error}). Remove it to begin anew."
        ) from error


def _variables(distiller):
    parts = [distiller.student, distiller.projection, distiller.optimizer]
    return [variable for part in parts if part is not None for variable in part.variables]


def _metric_variables(distiller):
    return [variable for metric in distiller.metrics for variable in metric.variables]


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
