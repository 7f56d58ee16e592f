import json

import pytest
from tinybert_tf.tflite.verify import VerifySettings, check_metrics, format_layers, run


def settings(folder, tflite_file, dev_file, **others):
    return VerifySettings(model=str(folder), tflite=str(tflite_file), dev=str(dev_file), **others)


def test_compares_and_writes(folder, tflite_file, dev_file, tmp_path, capsys):
    output = tmp_path / "verify.json"
    wanted = settings(folder, tflite_file, dev_file, output=str(output), tolerance=0.0)
    wanted.check()
    result = run(wanted)
    assert (result["num_examples"], result["agreement"]) == (4, 1)
    assert json.loads(output.read_text())["result"] == result
    names = ["embeddings", "layer_1/attention_norm", "layer_1/output_norm"]
    assert [layer["name"] for layer in result["layers"]] == names
    assert "layer_1/output_norm             0.0000   1.00000\n" in capsys.readouterr().err


def test_the_table_of_layers():
    layers = [
        {"name": "embeddings", "relative_error": 0.02194, "cosine": 0.999757},
        {"name": "layer_1/output_norm", "relative_error": 12.5, "cosine": -0.25},
    ]
    assert format_layers(layers) == (
        "after                relative error    cosine\n"
        "embeddings                   0.0219   0.99976\n"
        "layer_1/output_norm         12.5000  -0.25000\n"
    )
    assert "does not name its layers" in format_layers([])


def report(drop):
    metrics = {"accuracy": {"model": 0.9, "file": 0.9 - drop, "drop": drop}}
    return {"path": "sst2.tflite", "split": "dev", "metrics": metrics, "layers": []}


@pytest.mark.parametrize("drop", [-0.2, 0.0, 0.01])
def test_small_drops_pass(drop):
    check_metrics(report(drop), 0.01)


@pytest.mark.parametrize("drop", [0.011, float("nan")])
def test_large_drops_fail(drop):
    with pytest.raises(ValueError, match=r"accuracy is .*, the model's 0.9000. .*--tolerance 0.01"):
        check_metrics(report(drop), 0.01)


def test_the_result_of_a_failure_is_kept(folder, tflite_file, dev_file, tmp_path, monkeypatch):
    monkeypatch.setattr("tinybert_tf.export.verify", lambda *arguments: report(0.5))
    output = tmp_path / "verify.json"
    with pytest.raises(ValueError, match="more than --tolerance"):
        run(settings(folder, tflite_file, dev_file, output=str(output)))
    assert json.loads(output.read_text())["result"] == report(0.5)


def test_a_split_without_labels_tells_nothing():
    with pytest.raises(ValueError, match="The test split has no labels"):
        check_metrics({"path": "x.tflite", "split": "test", "metrics": {}}, 0.01)


def test_negative_tolerance(folder, tflite_file, dev_file):
    with pytest.raises(ValueError, match="--tolerance is -1"):
        settings(folder, tflite_file, dev_file, tolerance=-1).check()
