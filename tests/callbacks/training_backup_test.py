import json
import shutil

import keras
import numpy as np
import pytest
import safetensors
import tensorflow as tf
import tiny

import tinybert_tf as tb
from tinybert_tf.callbacks import TrainingBackup, TrainingStopped, training_backup

EVERY = 2


class StopAfter(keras.callbacks.Callback):
    """Asks a backup to stop after some steps, as a signal would."""

    def __init__(self, backup, steps):
        super().__init__()
        self._backup, self._steps = backup, steps

    def on_train_batch_end(self, batch, logs=None):
        self._steps -= 1
        self._backup.stop_requested = self._steps <= 0


def fit(distiller, batches, backup, epochs, callbacks=(), **settings):
    """Trains what is left of `epochs`; returns where it began."""
    distiller.prepare(batches.epoch(0).element_spec[0])
    epoch, step = backup.restore(distiller)
    distiller.fit(
        batches,
        epochs=epochs,
        initial_epoch=epoch,
        initial_step=step,
        callbacks=[*callbacks, backup],
        verbose=0,
        **settings,
    )
    return epoch, step


def state(distiller):
    parts = (distiller.student, distiller.projection, distiller.optimizer)
    return [variable.numpy() for part in parts for variable in part.variables]


def assert_same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(name="path")
def name_path(tmp_path):
    return tmp_path / "state.safetensors"


@pytest.fixture(name="trained")
def train_one_epoch(make_distiller, task, path):
    """A Distiller after one epoch, its batches and its backup."""
    distiller = make_distiller()
    batches, backup = task.train(distiller.student, batch_size=4), TrainingBackup(path, EVERY)
    assert fit(distiller, batches, backup, epochs=1) == (0, 0)
    return distiller, batches, backup


def test_restores_everything_exactly(trained, make_distiller, path):
    distiller, batches, backup = trained
    other = make_distiller(seed=9)
    other.prepare(batches.epoch(0).element_spec[0])
    differing = [np.any(a != b) for a, b in zip(state(other), state(distiller), strict=True)]
    assert any(differing)
    again = TrainingBackup(path)
    assert again.restore(other) == (1, 0)
    assert_same(state(other), state(distiller))
    assert int(other.optimizer.iterations) == batches.steps_per_epoch
    assert again.epoch_logs == backup.epoch_logs


@pytest.mark.parametrize("stop_after", [1, 3, 4])
def test_goes_on_in_the_middle_of_an_epoch_as_if_nothing_had_happened(
    trained, make_distiller, path, stop_after
):
    undisturbed, batches, undisturbed_backup = trained
    fit(undisturbed, batches, undisturbed_backup, epochs=2)
    path.unlink()
    first, backup = make_distiller(), TrainingBackup(path, EVERY)
    with pytest.raises(TrainingStopped):
        fit(first, batches, backup, epochs=2, callbacks=[StopAfter(backup, stop_after)])
    second, again = make_distiller(seed=9), TrainingBackup(path, EVERY)
    assert fit(second, batches, again, epochs=2) == (0, stop_after)
    assert_same(state(second), state(undisturbed))
    assert again.epoch_logs == undisturbed_backup.epoch_logs


def test_saves_every_few_steps(make_distiller, task, path, monkeypatch):
    steps = []
    monkeypatch.setattr(
        TrainingBackup,
        "_save",
        lambda self, step: steps.append(step) or setattr(self, "_last_step", step),
    )
    distiller = make_distiller()
    batches = task.train(distiller.student, batch_size=4)
    fit(distiller, batches, TrainingBackup(path, 3), epochs=2)
    every = [*range(3, batches.steps_per_epoch, 3), 0]
    assert steps == 2 * every


def test_every_state_is_told(make_distiller, task, path):
    told = []
    distiller = make_distiller()
    backup = TrainingBackup(path, 10**6, on_save=lambda: told.append(path.is_file()))
    fit(distiller, task.train(distiller.student), backup, epochs=2)
    assert told == [True, True]


def test_without_a_state_it_starts_at_the_beginning(make_distiller, path):
    assert TrainingBackup(path).restore(make_distiller()) == (0, 0)


def test_another_worker_than_the_chief_writes_nothing(make_distiller, task, path):
    distiller = make_distiller()
    fit(distiller, task.train(distiller.student), TrainingBackup(path, 1, writes=False), epochs=1)
    assert not list(path.parent.iterdir())


@pytest.fixture(name="saved")
def save_one_epoch(make_distiller, path):
    """A backup that holds one epoch of a Distiller that was never trained."""
    distiller = make_distiller(objective=tb.PredictionObjective())
    backup = TrainingBackup(path)
    backup.set_model(distiller)
    backup.on_epoch_end(0, {"loss": 1.0})
    return backup


def test_a_half_written_state_is_not_chosen(saved, tmp_path, monkeypatch):
    before = tiny.snapshot(tmp_path)

    def cut(tensors, path, metadata):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(training_backup, "write_safetensors", cut)
    with pytest.raises(KeyboardInterrupt):
        saved.on_epoch_end(1, {"loss": 1.0})
    assert tiny.snapshot(tmp_path) == before


def test_an_epoch_that_went_wrong_is_not_saved(saved, tmp_path):
    before = tiny.snapshot(tmp_path)
    saved.model.stop_training = True
    saved.on_epoch_end(1, {"loss": float("nan")})
    assert tiny.snapshot(tmp_path) == before
    assert len(saved.epoch_logs) == 1


def test_weights_that_are_not_numbers_are_not_saved(saved, tmp_path):
    before = tiny.snapshot(tmp_path)
    bias = saved.model.student.classifier.bias
    bias.assign(bias * float("nan"))
    saved.on_epoch_end(1, {"loss": 1.0})
    assert tiny.snapshot(tmp_path) == before


@pytest.mark.parametrize("content", [b"", b"half", None])
def test_a_broken_state_is_refused(saved, path, content):
    path.write_bytes(path.read_bytes()[:-4] if content is None else content)
    with pytest.raises(ValueError, match="no whole training state .*Remove it to begin anew"):
        TrainingBackup(path).restore(saved.model)


def test_the_state_of_another_training_is_refused(saved, path, make_distiller):
    other = make_distiller()
    other.prepare({name: tf.TensorSpec([None, None], tf.int32) for name in _INPUTS})
    with pytest.raises(ValueError, match="state of another training"):
        TrainingBackup(path).restore(other)


_INPUTS = ("token_ids", "segment_ids", "padding_mask")


def test_the_position_is_json(saved, path):
    with safetensors.safe_open(path, framework="numpy") as file:
        assert json.loads(file.metadata()["position"]) == {"epoch_logs": [{"loss": 1.0}], "step": 0}


def test_a_disk_without_room_is_told_before_training(make_distiller, task, path, monkeypatch):
    usage = shutil.disk_usage(path.parent)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    distiller = make_distiller()
    with pytest.raises(OSError, match="a training state takes .* MB, but the disk has 0 MB left"):
        fit(distiller, task.train(distiller.student), TrainingBackup(path), epochs=1)
    assert int(distiller.optimizer.iterations) == 0
