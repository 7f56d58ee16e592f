import csv
import json
import os

import fake_phone
import pytest
import tiny
from tinybert_tf.tflite.benchmark import BenchmarkSettings, run

SMALL = {"lengths": (4,), "threads": (1,), "runs": 3}


def test_one_file_with_texts_and_all_outputs(tflite_file, tmp_path, capsys):
    paths = {name: tmp_path / f"out.{name}" for name in ("csv", "svg", "txt")}
    paths["txt"].write_text("a b\nc\n")
    settings = BenchmarkSettings(
        model=str(tflite_file),
        texts=str(paths["txt"]),
        csv=str(paths["csv"]),
        figure=str(paths["svg"]),
        **SMALL,
    )
    result = run(settings)
    assert [file["path"] for file in result["files"]] == [str(tflite_file)]
    assert result["ratios"] == []
    (read,) = result["files"][0]["texts"]
    assert (read["sentences"], read["mean_tokens"]) == (2, 3.5)
    assert read["tokens_per_second"] == pytest.approx(3.5 * read["sentences_per_second"])
    captured = capsys.readouterr()
    assert f"{tflite_file}: " in captured.err and not captured.out
    with open(paths["csv"], newline="") as file:
        assert [row["length"] for row in csv.DictReader(file)] == ["4", ""]
    svg = paths["svg"].read_text()
    assert f"{tflite_file}, 1 threads" in svg and "median ms" in svg


def test_what_cannot_be_written_is_told_before_measuring(tflite_file, tmp_path, monkeypatch):
    monkeypatch.setattr("tinybert_tf.edge.benchmark.benchmark_many", None)
    (tmp_path / "file").touch()
    for wrong in ({"csv": str(tmp_path / "file" / "x.csv")}, {"csv": str(tmp_path)}):
        with pytest.raises(OSError, match=str(tmp_path)):
            run(BenchmarkSettings(model=str(tflite_file), **wrong))


def test_the_ratio_is_that_of_the_file_to_the_other(tflite_file, tmp_path):
    other = tmp_path / "other.tflite"
    other.write_bytes(tflite_file.read_bytes())
    output = tmp_path / "benchmark.json"
    settings = BenchmarkSettings(
        model=str(tflite_file), against=str(other), output=str(output), **SMALL
    )
    result = run(settings)
    assert [file["path"] for file in result["files"]] == [str(other), str(tflite_file)]
    assert [case["path"] for case in result["ratios"]] == [str(tflite_file)]
    assert json.loads(output.read_text())["result"] == result
    assert run(settings)["files"][0]["latency"] != result["files"][0]["latency"]


@pytest.fixture(name="phone")
def make_phone(tmp_path, monkeypatch):
    """Flags that measure on a fake phone."""
    (tmp_path / "binary").write_bytes(fake_phone.elf())
    fake_phone.FakePhone(tmp_path, fake_phone.answers()).install()
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return ("--adb", "--benchmark-binary", tmp_path / "binary", "--lengths", 4, "--threads", 1)


def test_on_a_phone(tflite_file, phone, tmp_path):
    outputs = ("--csv", tmp_path / "made" / "out.csv", "--figure", tmp_path / "out.svg")
    wanted = ("--delegates", "cpu", "nnapi", "--cores", 7)
    result = tiny.done("benchmark", "--model", tflite_file, *phone, *wanted, *outputs)
    assert result["phone"]["model"] == "Pixel 8"
    cases = result["files"][0]["latency"]
    assert [case.get("mean_ms") for case in cases] == [971.535, None]
    with open(tmp_path / "made" / "out.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["error"] for row in table] == ["", "Failed to apply NNAPI delegate."]
    assert {(row["model"], row["android"]) for row in table} == {("Pixel 8", "14")}
    svg = (tmp_path / "out.svg").read_text()
    assert f"{tflite_file}, cpu, 1 threads" in svg and "nnapi" not in svg


def test_ratios_on_a_phone(tflite_file, phone):
    wanted = ("--delegates", "cpu", "--against", tflite_file)
    result = tiny.done("benchmark", "--model", tflite_file, *phone, *wanted)
    case = {"path": str(tflite_file), "delegate": "cpu", "threads": 1, "length": 4}
    assert result["ratios"] == [case | {"ratio": 1.0}]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--texts", "absent.txt"), "absent.txt: no such file, for --texts"),
        (("--figure", "out.png"), "--figure is out.png, expected a name ending in .svg"),
        (("--adb",), "--adb needs --benchmark-binary: TensorFlow Lite's benchmark_model"),
        (("--benchmark-binary", __file__), "Got --benchmark-binary without --adb"),
        (("--cores", 7), "Got --cores without --adb; it is for phones only"),
        (("--serial", "P8"), "Got --serial without --adb"),
        (("--delegates", "gpu"), "Got --delegates without --adb"),
        (("--cool-below", 20), "Got --cool-below without --adb"),
        (("--cool-seconds", 1), "Got --cool-seconds without --adb"),
        (("--adb", "--benchmark-binary", "absent"), "No file absent. Expected benchmark_model"),
        (("--adb", "--benchmark-binary", __file__, "--texts", __file__), "--texts with --adb"),
        (("--adb", "--benchmark-binary", __file__, "--cores", "big"), 'Cores are "big"'),
        (("--adb", "--benchmark-binary", __file__, "--delegates", "a"), 'Unknown delegate "a"'),
        (("--runs", 0), "--runs is 0, expected 1 or more"),
    ],
)
def test_wrong_flags(flags, message):
    assert message in tiny.refused(2, "benchmark", "--model", __file__, *flags)
