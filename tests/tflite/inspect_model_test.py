import json

import tiny
from golden_checkpoints import FOLDER


def test_a_folder(folder):
    outcome = tiny.cli("inspect", folder, "--json")
    assert outcome.status == 0
    assert outcome.result["labels"] == ["no", "yes"]
    assert "num_parameters" in outcome.err


def test_a_prefix():
    outcome = tiny.cli("inspect", FOLDER / "google_tf1" / "finetuned" / "model.ckpt-9", "--json")
    assert outcome.result["format"] == "google-tf1"


def test_a_tflite_file(tflite_file):
    outcome = tiny.cli("inspect", tflite_file, "--json")
    assert outcome.status == 0
    assert outcome.result["operators"]["FULLY_CONNECTED"] > 0


def test_what_is_not_there():
    outcome = tiny.cli("inspect", "nowhere")
    assert outcome.status == 2
    assert outcome.err == "tinybert-tf: nowhere: no such file, folder or checkpoint prefix.\n"


def test_what_is_damaged_fails_and_is_recorded(tmp_path):
    (tmp_path / "model").mkdir()
    outcome = tiny.cli("inspect", tmp_path / "model", "--output", tmp_path / "result.json")
    assert outcome.status == 1
    assert "config.json: no such file" in outcome.err
    record = json.loads((tmp_path / "result.json").read_text())
    assert record["status"] == "failed"
    assert record["result"]["damage"] in outcome.err
