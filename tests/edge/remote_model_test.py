import os
import sys

import numpy as np
import pytest
from source_tree import ROOT

from tinybert_tf.edge import EdgeModel
from tinybert_tf.edge.interpreter import runtime_version
from tinybert_tf.edge.remote_model import RemoteModel

INPUTS = {"ids": [1, 0, 2], "mask": [1, 1, 0], "segment_ids": [0, 1, 1]}
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


def remote(path, *command):
    return RemoteModel(path, [sys.executable, *command], ENVIRONMENT)


def test_it_answers_as_the_file_does(tiny_file, expected):
    with remote(tiny_file) as model:
        first, second = model.run(**INPUTS), model.run([1], [1], [0])
    np.testing.assert_allclose(first["probabilities"], [expected(**INPUTS)], rtol=1e-6)
    assert second["probabilities"].dtype == np.float32
    np.testing.assert_array_equal(
        second["probabilities"], EdgeModel(tiny_file).run([1], [1], [0])["probabilities"]
    )


def test_it_tells_what_runs_there(tiny_file):
    with remote(tiny_file) as model:
        assert (model.runtime, model.machine) == (runtime_version(), os.uname().machine)


def test_arrays_are_inputs_too(tiny_file, expected):
    with remote(tiny_file) as model:
        found = model.run(**{name: np.array(values) for name, values in INPUTS.items()})
    np.testing.assert_allclose(found["probabilities"], [expected(**INPUTS)], rtol=1e-6)


def test_refused_inputs_and_good_ones_after_them(tiny_file, expected):
    with remote(tiny_file) as model:
        with pytest.raises(ValueError, match=r"Received shapes .* expected one \(length,\)"):
            model.run([1, 2], [1], [0, 0])
        found = model.run(**INPUTS)
    np.testing.assert_allclose(found["probabilities"], [expected(**INPUTS)], rtol=1e-6)


def test_a_missing_file(tmp_path):
    with pytest.raises(ValueError, match=r"No file .*missing\.tflite"):
        remote(tmp_path / "missing.tflite")


def test_what_is_said_before_it_ends(tiny_file):
    with pytest.raises(
        ValueError, match=r"tiny\.tflite does not run there: exit status 3\. too old$"
    ):
        remote(tiny_file, "-c", "import sys; print('too old', file=sys.stderr); sys.exit(3)")


def test_a_death_before_an_answer(tiny_file):
    hello = """print('{"runtime": "r 1", "machine": "m"}', flush=True)"""
    die = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    with (
        remote(tiny_file, "-c", f"{hello}; {die}") as model,
        pytest.raises(ValueError, match="does not run there: the runtime died of SIGSEGV"),
    ):
        model._process.wait()  # so that the inputs meet a closed pipe
        model.run(**INPUTS)


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
