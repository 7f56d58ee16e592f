import warnings

import numpy as np
import pytest
import tensorflow as tf
import tiny

from tinybert_tf.callbacks import DistillationMonitor


def with_model(monitor, model):
    monitor.set_model(model)
    return monitor


def test_a_teacher_at_chance_is_reported_once(task, stub):
    teacher = tiny.make_model(num_layers=1)
    teacher.classifier.bias.assign([0.0, 1e4])  # always "yes"
    share = np.mean([label == "yes" for label in task.examples("dev").labels])
    monitor = with_model(DistillationMonitor(task=task), stub(teacher=teacher))
    message = f"The teacher's dev accuracy is {share:.3f}, and guessing gives"
    with pytest.warns(UserWarning, match=message):
        monitor.on_train_begin()
    assert monitor.teacher_metrics == {"accuracy": pytest.approx(share)}
    assert monitor.teacher_weakness.startswith(message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monitor.on_train_begin()


def test_a_good_teacher_is_not_reported(task, monkeypatch):
    module = "tinybert_tf.callbacks.distillation_monitor.evaluate"
    monkeypatch.setattr(module, lambda teacher, task: {"accuracy": 0.9})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monitor = DistillationMonitor(task=task)
        assert monitor.measure_teacher(None) == {"accuracy": 0.9}
    assert monitor.teacher_weakness is None


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_training(stub, value):
    monitor = with_model(DistillationMonitor(), stub())
    monitor.on_train_batch_end(0, {"loss": 1.0, "hidden_loss": 1.0})
    assert not monitor.model.stop_training
    with pytest.warns(UserWarning, match="^hidden_loss is not a finite number at step 2"):
        monitor.on_train_batch_end(1, {"loss": 1.0, "hidden_loss": value})
    assert monitor.model.stop_training


def test_a_dev_metric_of_a_stage_without_a_head(stub):
    monitor = with_model(DistillationMonitor(), stub())
    with pytest.warns(UserWarning, match="intermediate stage trains no head"):
        monitor.on_epoch_end(0, {"hidden_loss": 1.0, "dev_accuracy": 0.5})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monitor.on_epoch_end(1, {"hidden_loss": 1.0, "dev_accuracy": 0.5})
        monitor.on_epoch_end(0, {"prediction_loss": 1.0, "dev_accuracy": 0.5})
        monitor.on_epoch_end(0, {"label_loss": 1.0, "dev_accuracy": 0.5})


def test_every_term_is_in_the_event_file(make_distiller, task, tmp_path):
    distiller = make_distiller()
    monitor = DistillationMonitor(tmp_path)
    batches = task.train(distiller.student, batch_size=32)
    history = distiller.fit(batches, epochs=2, callbacks=[monitor], verbose=0).history
    assert set(history) == {"loss", "attention_loss", "hidden_loss", "embedding_loss"}
    (path,) = tmp_path.iterdir()
    written = {name: {} for name in history}
    for event in tf.compat.v1.train.summary_iterator(str(path)):
        for value in event.summary.value:
            written[value.tag][event.step] = float(tf.make_ndarray(value.tensor))
    for name, values in history.items():
        assert written[name] == pytest.approx({1: values[0], 2: values[1]})
