"""The losses every few steps, as a table on disk."""

import csv
import pathlib

import keras

from tinybert_tf.atomic import atomic_file


class LossCurve(keras.callbacks.Callback):
    """Writes the losses every few steps and at the end of each epoch to a .csv file.

    A row holds `epoch` (from 1), `step` in that epoch, and the mean of each loss since the epoch
    began. A training that goes on after an interruption drops the rows past its saved state and
    writes them anew. Put it before `TrainingBackup`.

    Args:
        path: str or path-like, the file.
        every_steps: int, steps between two rows.
        writes: whether to write; False on all but the chief worker of a distributed job.
    """

    def __init__(self, path, every_steps=50, writes=True):
        super().__init__()
        self._path, self._every_steps, self._writes = pathlib.Path(path), every_steps, writes
        self._rows, self._epoch = None, 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch, logs=None):
        # One call may stand for several steps, and for more than the epoch has.
        step, steps = min(batch + 1, self.params["steps"]), self.params["steps"]
        if self._rows is None:
            here = (self._epoch, step)
            self._rows = [row for row in _read(self._path) if (row["epoch"], row["step"]) < here]
        last = self._rows[-1] if self._rows else {}
        before = last["step"] if last.get("epoch") == self._epoch else 0
        if step - before >= self._every_steps or step == steps:
            self._add(step, logs)

    def _add(self, step, logs):
        means = {name: float(value) for name, value in logs.items() if "loss" in name}
        self._rows.append({"epoch": self._epoch, "step": step, **means})
        if self._writes:
            with atomic_file(self._path) as temporary, temporary.open("w", newline="") as file:
                writer = csv.DictWriter(file, self._rows[0])
                writer.writeheader()
                writer.writerows(self._rows)


def read_curve(path):
    """The losses of each stretch between two rows of a file that `LossCurve` wrote.

    Args:
        path: `pathlib.Path`.

    Returns:
        List of dicts: `step`, counted through all epochs, at which the stretch ends, and the mean
        of each loss over the stretch.
    """
    stretches, before, done = [], None, 0
    for row in _read(path):
        if before is not None and row["epoch"] > before["epoch"]:
            done, before = done + before["step"], None
        start = before or dict.fromkeys(row, 0)
        steps = row["step"] - start["step"]
        losses = {
            name: (row[name] * row["step"] - start[name] * start["step"]) / steps
            for name in row
            if "loss" in name
        }
        stretches.append({"step": done + row["step"], **losses})
        before = row
    return stretches


def _read(path):
    """The rows of a file, or none where there is no file; their numbers as int and float."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [
            {name: (float if "loss" in name else int)(value) for name, value in row.items()}
            for row in csv.DictReader(file)
        ]
