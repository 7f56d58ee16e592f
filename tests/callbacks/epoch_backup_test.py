import numpy as np
import pytest
import tiny

import tinybert_tf as tb
from tinybert_tf.callbacks import EpochBackup, epoch_backup


def fit(distiller, batches, backup, epochs):
    """Trains what is left of `epochs`; returns the epoch that it began with."""
    distiller.prepare(batches.epoch(0).element_spec[0])
    first = backup.restore(distiller)
    distiller.fit(batches, epochs=epochs, initial_epoch=first, callbacks=[backup], verbose=0)
    return first


def state(distiller):
    parts = (distiller.student, distiller.projection, distiller.optimizer)
    return [variable.numpy() for part in parts for variable in part.variables]


def assert_same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(name="trained")
def train_one_epoch(make_distiller, task, tmp_path):
    """A Distiller after one epoch, its batches and its backup."""
    distiller = make_distiller()
    batches, backup = task.train(distiller.student), EpochBackup(tmp_path / "state")
    assert fit(distiller, batches, backup, epochs=1) == 0
    return distiller, batches, backup


def test_restores_everything_exactly(trained, make_distiller, tmp_path):
    distiller, batches, backup = trained
    other = make_distiller(seed=9)
    other.prepare(batches.epoch(0).element_spec[0])
    differing = [np.any(a != b) for a, b in zip(state(other), state(distiller), strict=True)]
    assert any(differing)
    again = EpochBackup(tmp_path / "state")
    assert again.restore(other) == 1
    assert_same(state(other), state(distiller))
    assert int(other.optimizer.iterations) == batches.steps_per_epoch
    assert again.epoch_logs == backup.epoch_logs


def test_goes_on_as_if_nothing_had_happened(trained, make_distiller, tmp_path):
    distiller, batches, backup = trained
    other, again = make_distiller(seed=9), EpochBackup(tmp_path / "state")
    fit(distiller, batches, EpochBackup(tmp_path / "elsewhere"), epochs=1)
    assert fit(other, batches, again, epochs=2) == 1
    assert len(again.epoch_logs) == 2
    assert again.epoch_logs[0] == backup.epoch_logs[0]
    np.testing.assert_allclose(
        other.student.classifier.kernel.numpy(), distiller.student.classifier.kernel.numpy()
    )


def test_without_a_state_it_starts_at_the_beginning(make_distiller, tmp_path):
    assert EpochBackup(tmp_path / "state").restore(make_distiller()) == 0


@pytest.fixture(name="saved")
def save_one_epoch(make_distiller, tmp_path):
    """A backup that holds one epoch of a Distiller that was never trained."""
    distiller = make_distiller(objective=tb.PredictionObjective())
    backup = EpochBackup(tmp_path / "state")
    backup.set_model(distiller)
    backup.on_epoch_end(0, {"loss": 1.0})
    return backup


def test_a_half_written_state_is_not_chosen(saved, tmp_path, monkeypatch):
    before = tiny.snapshot(tmp_path)

    def cut(value):
        raise KeyboardInterrupt

    monkeypatch.setattr(epoch_backup.json, "dumps", cut)
    with pytest.raises(KeyboardInterrupt):
        saved.on_epoch_end(1, {"loss": 1.0})
    assert tiny.snapshot(tmp_path) == before


def test_an_epoch_that_went_wrong_is_not_saved(saved, tmp_path):
    before = tiny.snapshot(tmp_path)
    saved.model.stop_training = True
    saved.on_epoch_end(1, {"loss": float("nan")})
    assert tiny.snapshot(tmp_path) == before
    assert len(saved.epoch_logs) == 1
