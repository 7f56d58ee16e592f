import numpy as np
import pytest
import tensorflow as tf
import yaml

from tinybert_tf.callbacks import Pruning
from tinybert_tf.callbacks.kernel_rule import compressed_bytes
from tinybert_tf.callbacks.pruning import parse_sparsity
from tinybert_tf.quantization import QuantizedStudent

EVERY_STEP = {"ramp_steps": 4, "every_steps": 1}


@pytest.fixture(name="train")
def get_train(make_distiller, task):
    """Function that trains a new student for some epochs with a callback; returns its Distiller."""
    pytest.importorskip("tensorflow_model_optimization")

    def train(callback, epochs=1, distiller=None, first=0):
        distiller = distiller or make_distiller()
        batches = task.train(distiller.student, batch_size=8, seed=0)
        distiller.fit(batches, epochs=epochs, initial_epoch=first, callbacks=[callback], verbose=0)
        return distiller

    return train


def kernels(distiller):
    variables = distiller.student.trainable_variables
    return [variable.numpy() for variable in variables if variable.name == "kernel"]


def shares(distiller):
    return [np.mean(kernel == 0) for kernel in kernels(distiller)]


def test_the_share_is_reached_and_kept(train):
    distiller = train(Pruning(0.5, **EVERY_STEP))
    assert shares(distiller) == pytest.approx([0.5] * len(shares(distiller)), abs=0.01)
    logs = distiller.history.history
    assert logs["sparsity"] == pytest.approx([0.5], abs=0.01)
    assert logs["compressed_bytes"] == [compressed_bytes(distiller.student)]
    zeros = [kernel == 0 for kernel in kernels(distiller)]
    train(Pruning(0.5, **EVERY_STEP), 2, distiller, first=1)
    for before, kernel in zip(zeros, kernels(distiller), strict=True):
        assert not kernel[before].any()
    assert shares(distiller) == pytest.approx([0.5] * len(zeros), abs=0.01)


def test_the_share_rises_as_a_cube(train):
    found = []

    class Spy(Pruning):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            found.append(np.mean(self.kernels[0].numpy() == 0))

    train(Spy(0.5, **EVERY_STEP))
    expected = [0.5 * (1 - (1 - step / 4) ** 3) for step in (1, 2, 3, 4)]
    assert found[:4] == pytest.approx(expected, abs=0.01)


def test_the_least_weights_go(make_distiller, train):
    start = [np.abs(kernel) for kernel in kernels(make_distiller())]
    for before, kernel in zip(start, kernels(train(Pruning(0.3, 1, 1))), strict=True):
        assert before[kernel == 0].mean() < 0.5 * before[kernel != 0].mean()


def test_two_of_every_four_inputs(train):
    distiller = train(Pruning("2:4"))
    for kernel in kernels(distiller):
        whole = kernel[: len(kernel) // 4 * 4].reshape(-1, 4, kernel.shape[1])
        assert ((whole == 0).sum(axis=1) == 2).all()


def test_a_quantized_student_keeps_its_zeros(make_distiller, train):
    distiller = make_distiller()
    distiller.student = QuantizedStudent(distiller.student, "dynamic_wi8_afp32")
    train(Pruning(0.5, **EVERY_STEP), distiller=distiller)
    distiller.student.bake()
    assert min(shares(distiller)) >= 0.49


def test_zeros_compress(train):
    sizes = [compressed_bytes(train(Pruning(share, 1, 1)).student) for share in (0.1, 0.9)]
    assert sizes[1] < 0.8 * sizes[0]


@pytest.mark.parametrize(
    ("text", "expected"), [("0.25", (0.25, None)), ("2:4", (0.5, (2, 4))), (0.7, (0.7, None))]
)
def test_sparsities(text, expected):
    assert parse_sparsity(text) == expected


@pytest.mark.parametrize(
    "text", ["0", "1", "half", "4:4", "2:0", ":", "1.5", "nan", "2:4:8", "-2:-4", "0:4", "6:4"]
)
def test_no_sparsities(text):
    with pytest.raises(ValueError, match=f"Sparsity is '{text}', expected a share of zeros like"):
        parse_sparsity(text)


def test_yaml_reads_a_bare_pattern_as_a_number():
    with pytest.raises(ValueError, match="Sparsity is 124.0, .* YAML wants quoted: '2:4'"):
        parse_sparsity(float(yaml.safe_load("2:4")))


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorflow_model_optimization", None)
    with pytest.raises(ImportError, match=r'pip install "tinybert-tf\[pruning\]"'):
        Pruning(0.5)


def test_the_size_is_that_of_gzip(make_distiller):
    model = tf.keras.Sequential([tf.keras.layers.Dense(50, kernel_initializer="zeros")])
    model.build((None, 50))
    assert compressed_bytes(model) < 200
    assert compressed_bytes(make_distiller().student) > 1000
