import json

import numpy as np
import pytest
import tiny

import tinybert_tf as tb
from tinybert_tf.callbacks import BestStudent, best_student


@pytest.fixture(name="student")
def make_student():
    return tiny.make_model(num_layers=1)


@pytest.fixture(name="best")
def make_best(student, stub, tmp_path):
    callback = BestStudent(tmp_path / "best")
    callback.set_model(stub(student))
    return callback


def end_epoch(best, epoch, accuracy):
    """Ends an epoch after which the student's classifier has the bias `epoch`."""
    best.model.student.classifier.bias.assign(np.full(2, epoch, np.float32))
    best.on_epoch_end(epoch, {"loss": 0.5, "dev_accuracy": accuracy})


def kept(folder):
    return int(tb.load(folder).classifier.bias.numpy()[0])


def test_keeps_the_first_of_the_best_epochs(best, tmp_path):
    for epoch, accuracy in enumerate([0.5, 0.7, 0.6, 0.7]):
        end_epoch(best, epoch, accuracy)
    assert kept(tmp_path / "best") == 1
    expected = {"epoch": 2, "loss": 0.5, "dev_accuracy": 0.7}
    assert best.metrics == expected
    assert json.loads((tmp_path / "best" / "metrics.json").read_text()) == expected


def test_goes_on_from_what_is_there(best, student, stub, tmp_path):
    end_epoch(best, 0, 0.7)
    again = BestStudent(tmp_path / "best")
    again.set_model(stub(student))
    end_epoch(again, 1, 0.6)
    assert kept(tmp_path / "best") == 0
    end_epoch(again, 2, 0.8)
    assert kept(tmp_path / "best") == 2


def test_a_replacement_that_was_killed_is_undone(best, tmp_path):
    end_epoch(best, 0, 0.7)
    before = tiny.snapshot(tmp_path)
    (tmp_path / "best").rename(tmp_path / ".best.old")
    (tmp_path / ".best.new").mkdir()
    (tmp_path / ".best.new" / "metrics.json").write_text('{"epo')
    assert BestStudent(tmp_path / "best").metrics == best.metrics
    assert tiny.snapshot(tmp_path) == before


def test_others_than_the_chief_keep_the_metrics_alone(best, student, stub, tmp_path):
    end_epoch(best, 0, 0.5)
    (tmp_path / ".best.new").mkdir()
    (tmp_path / ".best.new" / "config.json").write_text("being written by the chief")
    before = tiny.snapshot(tmp_path)
    worker = BestStudent(tmp_path / "best", writes=False)
    worker.set_model(stub(student))
    end_epoch(worker, 1, 0.7)
    end_epoch(worker, 2, 0.6)
    assert worker.metrics == {"epoch": 2, "loss": 0.5, "dev_accuracy": 0.7}
    assert tiny.snapshot(tmp_path) == before


def test_a_full_disk_leaves_the_best_and_its_metrics(best, tmp_path, monkeypatch):
    end_epoch(best, 0, 0.5)
    before, metrics = tiny.snapshot(tmp_path), best.metrics

    def fail(model, folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(best_student, "write_files", fail)
    with pytest.raises(OSError, match="No space"):
        end_epoch(best, 1, 0.9)
    assert (tiny.snapshot(tmp_path), best.metrics) == (before, metrics)


def test_needs_the_metric(best):
    with pytest.raises(KeyError, match='goes by "dev_accuracy", but an epoch has loss. Put Task'):
        best.on_epoch_end(0, {"loss": 1.0})


def test_an_interruption_leaves_the_old_folder_whole(best, tmp_path, monkeypatch):
    end_epoch(best, 0, 0.5)
    before = tiny.snapshot(tmp_path)

    def half(model, folder):
        (folder / "config.json").write_text("{")
        raise KeyboardInterrupt

    monkeypatch.setattr(best_student, "write_files", half)
    with pytest.raises(KeyboardInterrupt):
        end_epoch(best, 1, 0.9)
    assert tiny.snapshot(tmp_path) == before
