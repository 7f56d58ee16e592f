"""A training that is interrupted goes on, and ends where an undisturbed one ends."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import safetensors
import tiny

import tinybert_tf as tb

EPOCHS = ("--intermediate-epochs", 3, "--prediction-epochs", 12)
# A process that was started in the background ignores SIGINT unless told otherwise.
PROGRAM = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from tinybert_tf.cli import main; main()"
)
PATIENCE_SECONDS = 200


@pytest.fixture(scope="module", name="undisturbed")
def run_undisturbed(distil, tmp_path_factory):
    """Folder and result of a run that nobody interrupts."""
    folder = tmp_path_factory.mktemp("undisturbed") / "student"
    return folder, tiny.done(*distil(folder, *EPOCHS))


def check_same(folder, result, undisturbed):
    """Holds a run's logs and weights to those of the undisturbed run."""
    for stage, epochs in (("intermediate_epochs", 3), ("prediction_epochs", 12)):
        assert len(result[stage]) == epochs
        for ours, theirs in zip(result[stage], undisturbed[1][stage], strict=True):
            assert ours == pytest.approx(theirs, abs=1e-5)
    assert result["dev"] == pytest.approx(undisturbed[1]["dev"], abs=1e-5)
    for ours, theirs in zip(weights(folder), weights(undisturbed[0]), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert set(tiny.snapshot(folder)) - logs(folder) == set(tiny.snapshot(undisturbed[0])) - logs(
        undisturbed[0]
    )


def weights(folder):
    return [variable.numpy() for variable in tb.load(folder).trainable_variables]


def logs(folder):
    return {str(path.relative_to(folder)) for path in (folder / "logs").rglob("*")}


def test_in_the_middle_of_an_intermediate_epoch(distil, undisturbed, tmp_path, monkeypatch):
    folder = tmp_path / "student"
    update = tb.callbacks.Progress.on_train_batch_end

    def interrupt(self, batch, logs=None):
        update(self, batch, logs)
        if self._name == "intermediate stage 2/3" and batch == 0:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tb.callbacks.Progress, "on_train_batch_end", interrupt)
        message = tiny.refused(130, *distil(folder, *EPOCHS))
    assert "Interrupted." in message
    position = saved_position(folder / "state" / "intermediate_stage.safetensors")
    assert position == {"epoch_logs": undisturbed[1]["intermediate_epochs"][:1], "step": 0}
    assert json.loads((folder / "run.json").read_text())["status"] == "running"
    assert "other settings" in tiny.refused(1, *distil(folder, *EPOCHS, "--seed", 8))
    check_same(folder, tiny.done(*distil(folder, *EPOCHS)), undisturbed)


def test_sigterm_saves_the_step_that_is_running(distil, tmp_path, monkeypatch):
    folder = tmp_path / "student"
    begin = tb.callbacks.Progress.on_epoch_begin

    def terminate(self, epoch, logs=None):
        begin(self, epoch, logs)
        if self._name == "prediction stage 5/12":
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(tb.callbacks.Progress, "on_epoch_begin", terminate)
        message = tiny.refused(143, *distil(folder, *EPOCHS, "--batch-size", 8))
    assert "Stopped; the state is saved." in message
    position = saved_position(folder / "state" / "prediction_stage.safetensors")
    assert (len(position["epoch_logs"]), position["step"]) == (4, 1)
    again = tiny.done(*distil(folder, *EPOCHS, "--batch-size", 8))
    assert len(again["prediction_epochs"]) == 12


@pytest.mark.slow
def test_control_c_in_the_prediction_stage(distil, undisturbed, tmp_path):
    folder = tmp_path / "student"
    state = folder / "state" / "prediction_stage.safetensors"
    command = [str(argument) for argument in distil(folder, *EPOCHS)]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(state, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert err.splitlines()[-1].startswith("tinybert-tf: Interrupted.")
    assert "Traceback" not in err and not out
    assert 1 <= len(saved_position(state)["epoch_logs"]) < 12
    check_same(folder, tiny.done(*distil(folder, *EPOCHS)), undisturbed)


def saved_position(path):
    with safetensors.safe_open(path, framework="numpy") as file:
        return json.loads(file.metadata()["position"])


def wait_for(path, process):
    stop = time.monotonic() + PATIENCE_SECONDS
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < stop, "the first epoch takes too long"
        time.sleep(0.02)
