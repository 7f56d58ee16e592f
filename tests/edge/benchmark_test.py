import csv
import json
import os
import subprocess
import sys

import pytest

from tinybert_tf.edge import benchmark as module
from tinybert_tf.edge.benchmark import benchmark, benchmark_many, read_sentences
from tinybert_tf.edge.benchmark_table import format_table, rows, write_csv
from tinybert_tf.edge.interpreter import runtime_version

SMALL = {"lengths": (2, 3), "threads": (1,), "runs": 4, "warm_seconds": 0}
START = {"load_ms": 5.0, "first_ms": 2.0, "peak_memory_bytes": 9, "memory_growth_bytes": 4000000}


@pytest.fixture(scope="module", name="result")
def make_result(tiny_file):
    return benchmark_many([tiny_file, tiny_file], **SMALL)


def test_measures_every_case(result, tiny_file):
    for file in result["files"]:
        assert file["path"] == str(tiny_file)
        assert file["size_bytes"] == tiny_file.stat().st_size
        assert file["runtime"] == runtime_version()
        assert file["load_ms"] > 0 and file["first_ms"] > 0
        assert [(case["length"], case["threads"]) for case in file["latency"]] == [(2, 1), (3, 1)]
        for case in file["latency"]:
            assert 0 < case["p50_ms"] <= case["p90_ms"] <= case["p99_ms"]
        assert file["texts"] == []


def test_ratio_of_a_file_to_itself_is_about_one(result, tiny_file):
    assert [(case["length"], case["threads"]) for case in result["ratios"]] == [(2, 1), (3, 1)]
    for case in result["ratios"]:
        assert case["path"] == str(tiny_file)
        assert 0.1 < case["ratio"] < 10


@pytest.fixture(name="measured")
def make_measured(tiny_file, tmp_path, monkeypatch):
    """The result for two files whose times, energies and counts are given."""
    texts = tmp_path / "texts.txt"
    texts.write_text("a fine film\n\na film\n")
    latency = {"length": 2, "threads": 1, "energy_mj": [None, 1.5]}
    latency["times_ms"] = [[2.0, 4.0, 10.0], [6.0, 4.0, 20.0]]
    read = {"threads": 1, "sentences": 2, "tokens": 9, "seconds": 0.5, "tokenize_seconds": 0.004}
    found = {"start": START, "latency": [latency], "texts": [read | {"energy_mj": 0.25}]}
    asked = []
    monkeypatch.setattr(
        module, "run_contained", lambda job, **values: asked.append(values) or found[job]
    )
    settings = {"lengths": [2], "threads": [1], "runs": 3}
    result = benchmark_many([tiny_file] * 2, **settings, texts=texts)
    assert asked[-1]["sentences"] == ["a fine film", "a film"]
    return result


def test_ratios_are_medians_of_rounds(measured):
    assert measured["ratios"][0]["ratio"] == 2.0  # of 3, 1, 2
    assert [file["latency"][0]["p50_ms"] for file in measured["files"]] == [4.0, 6.0]


def test_texts_per_second(measured):
    assert measured["files"][0]["texts"] == [
        {
            "threads": 1,
            "sentences": 2,
            "mean_tokens": 4.5,
            "sentences_per_second": 4.0,
            "tokens_per_second": 18.0,
            "tokenize_ms": 2.0,
            "energy_mj": 0.25,
        }
    ]


def test_a_row_a_case(measured, tiny_file, tmp_path):
    path = tmp_path / "table.csv"
    write_csv(path, rows(measured))
    with open(path, newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [row["length"] for row in table] == ["2", "", "2", ""]
    assert [row["ratio"] for row in table] == ["", "", "2.0", ""]
    assert [row["energy_mj"] for row in table] == ["", "0.25", "1.5", "0.25"]
    assert {row["path"] for row in table} == {str(tiny_file)}
    assert list(tmp_path.glob(".*")) == []


def test_each_row_bears_its_own_ratio():
    case = {"length": 2, "threads": 1}
    files = [{"path": path, "latency": [case, case], "texts": []} for path in "abb"]
    ratios = [{"ratio": ratio} for ratio in (2, 3, 4, 5)]  # case by case, of b and b
    table = rows({"files": files, "ratios": ratios})
    assert [row["ratio"] for row in table] == [None, None, 2, 4, 3, 5]


def test_a_table_that_cannot_be_written_leaves_nothing(tmp_path):
    write_csv(tmp_path / "new" / "table.csv", [{"a": 1}])
    assert (tmp_path / "new" / "table.csv").read_text() == "a\n1\n"
    with pytest.raises(UnicodeEncodeError):
        write_csv(tmp_path / "new" / "table.csv", [{"a": "\ud800"}])
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["table.csv"]
    with pytest.raises(IsADirectoryError, match="new is a folder; expected the name of a file"):
        write_csv(tmp_path / "new", [{"a": 1}])


def test_the_table_tells_energy_where_there_is_a_sensor(measured):
    for file in measured["files"]:
        file["energy_sensor"] = "package-0"
    table = format_table(measured)
    assert "p99 ms        mJ (package-0)\n       2       1     6.000" in table
    assert "       1         4.0        18.0          4.5     0.250\n" in table


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


def test_what_the_model_refuses(fixed_file):
    with pytest.raises(ValueError, match=r"Received 7 tokens; .*fixed.tflite is fixed at 6"):
        benchmark(fixed_file, **(SMALL | {"lengths": (7,)}))


def test_texts_that_a_file_cannot_read_are_refused_first(tiny_file, tmp_path, monkeypatch):
    (tmp_path / "texts.txt").write_text("a film\n")
    jobs, run = [], module.run_contained
    monkeypatch.setattr(
        module, "run_contained", lambda job, **values: jobs.append(job) or run(job, **values)
    )
    with pytest.raises(ValueError, match="tiny.tflite holds no vocabulary"):
        benchmark(tiny_file, **SMALL, texts=tmp_path / "texts.txt")
    assert jobs == ["texts"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\n \n", "holds no sentence"), (b"a\n\xff", "is not UTF-8 at byte 2"), (None, "^No file")],
)
def test_texts_that_cannot_be_read(tmp_path, content, message):
    path = tmp_path / "texts.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_sentences(path)


def test_lines_end_where_files_end_them(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_bytes("a\u2028b\r\n\n c \nd".encode())
    assert read_sentences(path) == ["a\u2028b", "c", "d"]


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
    options = ["--lengths", "2", "--threads", "1", "--runs", "2", "--csv", "table.csv"]
    found = run_module(tiny_file, *options, "--json", folder=tmp_path)
    assert found.returncode == 0, found.stderr
    (file,) = json.loads(found.stdout)["files"]
    assert file["latency"][0]["length"] == 2
    assert "RuntimeWarning" not in found.stderr
    assert (tmp_path / "table.csv").read_text().count("\n") == 2


def test_command_refuses_in_one_line(tmp_path):
    found = run_module("absent.tflite", folder=tmp_path)
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr == "No file absent.tflite. Expected a .tflite file.\n"


def test_command_prints_before_it_writes(tiny_file, tmp_path, monkeypatch, capsys):
    def write(path, table):
        raise OSError("disk full")

    monkeypatch.setattr(module, "benchmark_many", lambda *_, texts: {"files": [], "ratios": []})
    monkeypatch.setattr(module, "rows", lambda result: [])
    monkeypatch.setattr(module, "write_csv", write)
    with pytest.raises(SystemExit):
        module.main([str(tiny_file), "--csv", str(tmp_path / "table.csv")])
    assert capsys.readouterr() == ("\n", "disk full\n")


def test_command_checks_first_where_it_writes(tiny_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "benchmark_many", None)
    with pytest.raises(SystemExit):
        module.main([str(tiny_file), "--csv", str(tmp_path)])
    assert "is a folder; expected the name of a file" in capsys.readouterr().err


def test_command_prints_a_table(tiny_file, monkeypatch, capsys):
    monkeypatch.setattr(module, "benchmark_many", lambda *_, texts: {"files": [], "ratios": []})
    module.main([str(tiny_file)])
    assert capsys.readouterr().out == "\n"
