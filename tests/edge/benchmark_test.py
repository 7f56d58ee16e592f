import json
import os
import subprocess
import sys

import pytest

from tinybert_tf.edge import benchmark as module
from tinybert_tf.edge.benchmark import benchmark, benchmark_many, format_table

SMALL = {"lengths": (2, 3), "threads": (1,), "runs": 4, "warmup": 1}


@pytest.fixture(scope="module", name="result")
def make_result(tiny_file):
    return benchmark_many([tiny_file, tiny_file], **SMALL)


def test_measures_every_case(result, tiny_file):
    for file in result["files"]:
        assert file["path"] == str(tiny_file)
        assert file["size_bytes"] == tiny_file.stat().st_size
        assert file["runtime"].startswith("ai-edge-litert 2")
        assert file["load_ms"] > 0 and file["first_ms"] > 0
        assert [(case["length"], case["threads"]) for case in file["latency"]] == [(2, 1), (3, 1)]
        for case in file["latency"]:
            assert 0 < case["p50_ms"] <= case["p90_ms"] <= case["p99_ms"]


def test_ratio_of_a_file_to_itself_is_about_one(result, tiny_file):
    assert [(case["length"], case["threads"]) for case in result["ratios"]] == [(2, 1), (3, 1)]
    for case in result["ratios"]:
        assert case["path"] == str(tiny_file)
        assert 0.2 < case["ratio"] < 5


def test_ratios_are_medians_of_rounds(tiny_file, monkeypatch):
    clock = iter([9.0, 9.0] + [2.0, 6.0, 4.0, 4.0, 10.0, 20.0])
    monkeypatch.setattr(module, "_time_ms", lambda model, inputs: next(clock))
    monkeypatch.setattr(module, "_measure_fresh", lambda path, lengths: {})
    result = benchmark_many([tiny_file] * 2, lengths=[2], threads=[1], runs=3, warmup=1)
    assert result["ratios"][0]["ratio"] == 2.0  # of 3, 1, 2
    assert [file["latency"][0]["p50_ms"] for file in result["files"]] == [4.0, 6.0]


def test_memory_is_that_of_the_fresh_process(tiny_file):
    ballast = b"x" * 300_000_000
    result = benchmark(tiny_file, **SMALL)
    assert 0 < result["memory_growth_bytes"] < result["peak_memory_bytes"] < len(ballast)


def test_table_names_files_and_cases(result, tiny_file):
    table = format_table(result)
    assert table.count(f"{tiny_file}: ") == 4
    assert "times at 3 tokens, 1 threads" in table


@pytest.mark.parametrize("wrong", [{"lengths": ()}, {"threads": (0,)}, {"runs": 0}])
def test_wrong_settings_are_refused(tiny_file, wrong):
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}` is"):
        benchmark(tiny_file, **(SMALL | wrong))


def test_broken_files_are_refused(tmp_path):
    path = tmp_path / "text.tflite"
    path.write_text("no model at all")
    with pytest.raises(ValueError, match="text.tflite is not a TFLite model"):
        benchmark(path, **SMALL)


def test_a_crash_of_the_runtime_becomes_an_error(fixed_file):
    with pytest.raises(ValueError, match=r"fixed.tflite does not run .*fixed at 6"):
        benchmark(fixed_file, **(SMALL | {"lengths": (7,)}))


def run_module(*arguments, folder):
    """Runs the module from another folder, with TensorFlow and Keras made impossible to import."""
    for name in ("tensorflow", "keras"):
        (folder / f"{name}.py").write_text(f"raise SystemExit('{name} was imported')")
    search_path = os.pathsep.join([str(folder), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-m", "tinybert_tf.edge.benchmark", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": search_path},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_without_tensorflow(tiny_file, tmp_path):
    options = ["--lengths", "2", "--threads", "1", "--runs", "2"]
    found = run_module(tiny_file, *options, "--json", folder=tmp_path)
    assert found.returncode == 0, found.stderr
    (file,) = json.loads(found.stdout)["files"]
    assert file["latency"][0]["length"] == 2
    assert "RuntimeWarning" not in found.stderr


def test_command_refuses_in_one_line(tmp_path):
    found = run_module("absent.tflite", folder=tmp_path)
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr == "No file absent.tflite. Expected a .tflite file.\n"


def test_command_prints_a_table(tiny_file, monkeypatch, capsys):
    monkeypatch.setattr(module, "benchmark_many", lambda *settings: {"files": [], "ratios": []})
    module.main([str(tiny_file)])
    assert capsys.readouterr().out == "\n"
