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


def test_tells_how_fast_tokens_are_trained_on(monkeypatch):
    moments = iter([0.0, 10.0, 10.5])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(moments, 10.5))
    callback, logs = Progress("general", epochs=1, steps_per_epoch=2, tokens_per_step=100), {}
    with callback:
        callback.on_train_begin()
        callback.on_epoch_begin(0)
        callback.on_train_batch_end(0, {"loss": 1.0})
        callback.on_train_batch_end(1, {"loss": 1.0})
        callback.on_epoch_end(0, logs)
    assert logs["tokens_per_second"] == 200.0  # the second step took half a second
