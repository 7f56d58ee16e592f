"""The package on a board: tflite-runtime 2.14, numpy 1 and the wheel, without what it asks for.

`make board-test` keeps the environment; else it is made anew. TINYBERT_TF_BOARD names its Python.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tiny
from project_wheel import build_wheel
from source_tree import ROOT

import tinybert_tf as tb

IDS = [2, 7, 9, 30, 3]
PACKAGES = ("numpy==1.26.*", "tflite-runtime==2.14.0", "tokenizers", "pytest")
RECIPES = ("float32", "float16", "dynamic_wi8_afp32")
RUN = """
import json, sys
from tinybert_tf.edge import EdgeModel
ids = json.loads(sys.argv[2])
answer = EdgeModel(sys.argv[1]).run(ids, [1] * len(ids), [0] * len(ids))
print(json.dumps(answer["probabilities"].tolist()))
"""
WHERE = """
import importlib.util, tinybert_tf
print(tinybert_tf.__file__)
others = ("tensorflow", "keras", "ai_edge_litert")
print([name for name in others if importlib.util.find_spec(name)])
"""

pytestmark = pytest.mark.slow


def _python(tmp_path_factory):
    if given := os.environ.get("TINYBERT_TF_BOARD"):
        return given
    folder = tmp_path_factory.mktemp("board")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return python


@pytest.fixture(scope="module", name="board")
def make_board(tmp_path_factory):
    """Runs the board's Python with arguments."""
    python = _python(tmp_path_factory)
    wheel = build_wheel(tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel"))
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", wheel]
    subprocess.run([python, *install], check=True)
    elsewhere = tmp_path_factory.mktemp("elsewhere")  # not where the sources are

    def run(*arguments, **environment):
        inherited = {key: text for key, text in os.environ.items() if key != "PYTHONPATH"}
        return subprocess.run(
            [python, *map(str, arguments)],
            env=inherited | environment,
            cwd=elsewhere,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="module", name="files")
def make_files(tmp_path_factory):
    folder, model = tmp_path_factory.mktemp("files"), tiny.make_model(hidden_dim=64)
    for recipe in RECIPES:
        tb.export.to_tflite(model, folder / f"{recipe}.tflite", recipe)
    return folder


def test_it_is_the_wheel_and_nothing_else_is_there(board):
    where, others = board("-c", WHERE).stdout.splitlines()
    assert "site-packages" in where and not where.startswith(str(ROOT / "tinybert_tf"))
    assert others == "[]"


@pytest.mark.parametrize("recipe", ["float32", "float16"])
def test_float_files_answer_as_here(board, files, recipe):
    path = files / f"{recipe}.tflite"
    here = tb.edge.EdgeModel(path).run(IDS, [1] * len(IDS), [0] * len(IDS))["probabilities"]
    done = board("-c", RUN, path, json.dumps(IDS))
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(json.loads(done.stdout.splitlines()[-1]), here, atol=1e-5)


def test_benchmark_runs(board, files, tmp_path):
    (tmp_path / "texts.txt").write_text("a b c\nd\n")
    options = ["--runs", 5, "--texts", tmp_path / "texts.txt", "--csv", tmp_path / "table.csv"]
    paths = [files / "float32.tflite", files / "float16.tflite"]
    done = board("-m", "tinybert_tf.edge.benchmark", *paths, *options, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [file["runtime"] for file in result["files"]] == ["tflite-runtime 2.14.0"] * 2
    assert [case["sentences"] for case in result["files"][0]["texts"]] == [2, 2]
    assert len(result["ratios"]) == 8
    assert (tmp_path / "table.csv").read_text().count("\n") == 1 + 2 * (8 + 2)


def test_int8_is_refused_not_garbled(board, files):
    done = board("-m", "tinybert_tf.edge.benchmark", files / "dynamic_wi8_afp32.tflite")
    assert done.returncode == 1
    assert "tflite-runtime cannot load" in done.stderr or "does not run" in done.stderr


def test_the_tests_of_the_room_pass_there(board, tiny_bytes, fixed_file, tmp_path):
    (tmp_path / "None.tflite").write_bytes(tiny_bytes)
    (tmp_path / "6.tflite").write_bytes(fixed_file.read_bytes())
    options = ["-c", ROOT / "pyproject.toml", "--confcutdir", ROOT / "tests" / "edge"]
    options += ["-p", "no:cacheprovider", "-q", f"--ignore={__file__}", "-rs"]
    done = board(
        "-m", "pytest", ROOT / "tests" / "edge", *options, TINYBERT_TF_EDGE_FILES=str(tmp_path)
    )
    assert done.returncode == 0, done.stdout
