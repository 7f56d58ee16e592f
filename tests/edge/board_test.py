"""The files on a board: tflite-runtime 2.14 and numpy 1, in an environment of its own."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tiny

import tinybert_tf as tb

ROOT = pathlib.Path(__file__).parents[2]
IDS = [2, 7, 9, 30, 3]
RUN = """
import json, sys
from tinybert_tf.edge import EdgeModel
ids = json.loads(sys.argv[2])
answer = EdgeModel(sys.argv[1]).run(ids, [1] * len(ids), [0] * len(ids))
print(json.dumps(answer["probabilities"].tolist()))
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", name="board")
def make_board(tmp_path_factory):
    """Runs Python code with arguments where there is no TensorFlow, numpy 1 and tflite-runtime."""
    folder = tmp_path_factory.mktemp("board")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    packages = ["numpy<2", "tflite-runtime==2.14.0"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)

    def run(*arguments):
        return subprocess.run(
            [python, *map(str, arguments)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="module", name="files")
def make_files(tmp_path_factory):
    folder, model = tmp_path_factory.mktemp("files"), tiny.make_model(hidden_dim=64)
    for recipe in tb.export.RECIPES:
        tb.export.to_tflite(model, folder / f"{recipe}.tflite", recipe)
    return folder


@pytest.mark.parametrize("recipe", ["float32", "float16"])
def test_float_files_answer_as_here(board, files, recipe):
    path = files / f"{recipe}.tflite"
    here = tb.edge.EdgeModel(path).run(IDS, [1] * len(IDS), [0] * len(IDS))["probabilities"]
    done = board("-c", RUN, path, json.dumps(IDS))
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(json.loads(done.stdout.splitlines()[-1]), here, atol=1e-5)


def test_benchmark_runs(board, files):
    done = board("-m", "tinybert_tf.edge.benchmark", files / "float32.tflite", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["files"][0]["runtime"] == "tflite-runtime 2.14.0"


def test_int8_is_refused_not_garbled(board, files):
    done = board("-m", "tinybert_tf.edge.benchmark", files / "dynamic_wi8_afp32.tflite")
    assert done.returncode == 1
    assert "tflite-runtime cannot load" in done.stderr or "does not run" in done.stderr
