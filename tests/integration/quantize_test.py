"""task-distill --quantize: the student learns with the weights that its file will have."""

import json

import numpy as np
import pytest
import tiny
import yaml

import tinybert_tf as tb
from tinybert_tf.cli import parse_settings
from tinybert_tf.quantization import fake_quantize

FLAGS = ("--quantize", "dynamic_wi4_afp32", "--prediction-learning-rate", 1e-2)
EPOCHS = ("--prediction-epochs", 3)


@pytest.fixture(scope="module", name="undisturbed")
def run_undisturbed(distil, tmp_path_factory):
    """Folder and result of a run that nobody interrupts."""
    folder = tmp_path_factory.mktemp("undisturbed") / "student"
    return folder, tiny.done(*distil(folder, *FLAGS, *EPOCHS))


def kernels(folder):
    """A student's kernels as its file has them: the last layer's keys transposed."""
    student = tb.load(folder)
    transposed = student.encoder.encoder_layers[-1].attention.key.kernel
    return [
        variable.numpy().T if variable is transposed else variable.numpy()
        for variable in student.trainable_variables
        if variable.name == "kernel"
    ]


def test_the_students_weights_are_on_the_grid(undisturbed, small):
    folder, result = undisturbed
    assert json.loads((folder / "run.json").read_text())["settings"]["quantize"] == FLAGS[1]
    for kernel in kernels(folder):
        np.testing.assert_allclose(fake_quantize(kernel, 4, 0), kernel, atol=1e-6)
    assert any(np.abs(fake_quantize(x, 4, 0) - x).max() > 1e-3 for x in kernels(small))
    assert result["prediction_epochs"][-1]["loss"] < result["prediction_epochs"][0]["loss"]


def test_dev_metrics_are_those_of_the_written_student(undisturbed, distil, dev_file):
    folder, result = undisturbed
    metrics = tiny.done("evaluate", "--model", folder, "--dev", dev_file)
    assert metrics["accuracy"] == pytest.approx(result["dev"]["dev_accuracy"])


def test_an_interrupted_run_ends_in_the_same_weights(distil, undisturbed, tmp_path, monkeypatch):
    folder = tmp_path / "student"
    begin = tb.callbacks.Progress.on_epoch_begin

    def interrupt(self, epoch, logs=None):
        begin(self, epoch, logs)
        if self._name == "prediction stage 2/3":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tb.callbacks.Progress, "on_epoch_begin", interrupt)
        tiny.refused(130, *distil(folder, *FLAGS, *EPOCHS))
    result = tiny.done(*distil(folder, *FLAGS, *EPOCHS))
    assert result["dev"] == pytest.approx(undisturbed[1]["dev"], abs=1e-5)
    for ours, theirs in zip(kernels(folder), kernels(undisturbed[0]), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_both_stages(distil, undisturbed, tmp_path):
    result = tiny.done(*distil(tmp_path / "student", *FLAGS, *EPOCHS, "--quantize-stage", "both"))
    ours, theirs = (r["intermediate_epochs"][0]["loss"] for r in (result, undisturbed[1]))
    assert abs(ours - theirs) > 1e-3


def test_wrong_flags(distil, tmp_path):
    message = tiny.refused(2, *distil(tmp_path, "--quantize", "dynamic_wi8"))
    assert 'recipe "dynamic_wi8". Did you mean "dynamic_wi8_afp32"? Recipes to train' in message
    message = tiny.refused(2, *distil(tmp_path, "--quantize-stage", "first"))
    assert "--quantize-stage is first, expected prediction or both." in message
    message = tiny.refused(2, *distil(tmp_path, "--quantize-stage", "both"))
    assert "--quantize-stage both needs a recipe; give --quantize." in message
    message = tiny.refused(2, *distil(tmp_path, *FLAGS, "--cluster", 16))
    assert "--quantize and --cluster do not go together; choose one." in message


@pytest.mark.parametrize(
    ("text", "prune"), [("prune: 0.5", 0.5), ("prune: '2:4'", "2:4"), ("prune: null", None)]
)
def test_pruning_in_yaml(text, prune):
    values = {"teacher": "t", "student": "s", "output": "o", **yaml.safe_load(text)}
    assert parse_settings("task-distill", values).prune == prune


def test_an_unquoted_pattern_in_yaml(distil, tmp_path):
    (tmp_path / "x.yaml").write_text("prune: 2:4")
    message = tiny.refused(2, *distil(tmp_path / "out", "--config", tmp_path / "x.yaml"))
    assert "a pattern like 2:4, which YAML wants quoted: '2:4'." in message
