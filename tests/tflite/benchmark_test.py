import json

from tinybert_tf.tflite.benchmark import BenchmarkSettings, run

SMALL = {"lengths": (4,), "threads": (1,), "runs": 3}


def test_one_file(tflite_file, capsys):
    result = run(BenchmarkSettings(model=str(tflite_file), **SMALL))
    assert [file["path"] for file in result["files"]] == [str(tflite_file)]
    assert result["ratios"] == []
    captured = capsys.readouterr()
    assert f"{tflite_file}: " in captured.err and not captured.out


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
