import numpy as np
import pytest

from tinybert_tf.callbacks import WeightClustering


@pytest.fixture(name="train")
def get_train(make_distiller, task):
    """Function that trains a student with a callback; returns its kernels."""
    pytest.importorskip("tensorflow_model_optimization")

    def train(callback, distiller):
        batches = task.train(distiller.student, batch_size=8, seed=0)
        distiller.fit(batches, epochs=1, callbacks=[callback], verbose=0)
        return [kernel.numpy() for kernel in callback.kernels]

    return train


def test_kernels_have_few_values_which_move(make_distiller, train):
    distiller, callback = make_distiller(), WeightClustering(4)
    first = train(callback, distiller)
    assert all(np.unique(kernel).size <= 4 for kernel in first)
    assert "compressed_bytes" in distiller.history.history
    second = train(WeightClustering(4), distiller)
    assert np.abs(second[0] - first[0]).max() > 1e-4
    for before, kernel in zip(first, second, strict=True):
        assert np.unique(kernel).size <= 4
        # The clusters are the same.
        pairs = np.stack([before.ravel(), kernel.ravel()])
        assert np.unique(pairs, axis=1).shape[1] <= 4


def test_values_are_near_the_weights(make_distiller, train):
    start = [v.numpy() for v in make_distiller().student.trainable_variables if v.name == "kernel"]
    few, many = (
        np.mean(
            [
                np.square(kernel - before).mean()
                for before, kernel in zip(
                    start, train(WeightClustering(count), make_distiller()), strict=True
                )
            ]
        )
        for count in (2, 32)
    )
    assert many < few / 4


def test_one_cluster_is_refused():
    with pytest.raises(ValueError, match="`num_clusters` is 1, expected 2 or more."):
        WeightClustering(1)


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorflow_model_optimization", None)
    with pytest.raises(ImportError, match=r'pip install "tinybert-tf\[pruning\]"'):
        WeightClustering(16)
