from tinybert_tf.callbacks import Progress, progress


def run_epoch(callback):
    with callback:
        callback.on_train_begin()
        callback.on_epoch_begin(0)
        for step in range(2):
            callback.on_train_batch_end(step, {"loss": 0.5 + step})
        callback.on_epoch_end(0, {"loss": 1.0, "dev_accuracy": 0.25})


def test_says_a_line_an_epoch_on_stderr_only(capsys):
    run_epoch(Progress("fine-tuning", epochs=3, steps_per_epoch=2))
    captured = capsys.readouterr()
    assert not captured.out
    assert "fine-tuning 1/3: loss 1  dev_accuracy 0.25\n" in captured.err


def test_says_more_where_an_epoch_takes_long(capsys, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_A_LINE", -1)
    run_epoch(Progress("fine-tuning", epochs=3, steps_per_epoch=2))
    captured = capsys.readouterr()
    assert "fine-tuning 1/3: step 2 of 2: loss 1.5\n" in captured.err
    assert not captured.out
