"""The emulated Python's part is played by this machine's: no network, no qemu."""

import os
import subprocess
import sys
import types

import numpy as np
import pytest
import scipy.spatial
from source_tree import ROOT
from tinybert_tf.tflite import compare_on_arm

import tinybert_tf as tb

ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
RESULT = {
    "recipe": "float32",
    "tool": "converter",
    "num_sentences": 3,
    "there": "runtime 1 on aarch64",
    "here": "runtime 1 on x86_64",
    "cosine": 0.99851,
    "mean_cosine": 0.9,
    "min_cosine": -1.0,
    "largest_difference": 0.25,
}


@pytest.fixture(name="emulator")
def make_emulator(monkeypatch):
    emulator = types.SimpleNamespace(command=[sys.executable], environment=ENVIRONMENT)
    monkeypatch.setattr(compare_on_arm, "ArmEmulator", lambda root: emulator)
    return emulator


def main(*arguments):
    compare_on_arm.main(["--root", "unused", *map(str, arguments)])


def refused(capsys, *arguments):
    """Runs the program, which must fail; returns its exit status and message."""
    with pytest.raises(SystemExit) as stop:
        main(*arguments)
    return stop.value.code, capsys.readouterr().err


def test_the_same_runtime_on_the_same_processor_is_near(emulator, tflite_file, dev_file, capsys):
    main(tflite_file, "--texts", dev_file, "--count", 3)
    out = capsys.readouterr().out
    assert f"{tflite_file} (float32): near, cosine 1.000000 (at least 0.999)" in out
    assert "largest difference 0; 3 sentences, ai-edge-litert" in out


def test_another_answer_there_fails(emulator, tflite_file, dev_file, tmp_path, capsys):
    swaps = "for row in values: row.reverse()"  # the two probabilities
    script = tmp_path / "swapping.py"
    script.write_text(f"""
import json, subprocess, sys
child = subprocess.Popen([sys.executable, *sys.argv[1:]], stdout=subprocess.PIPE, text=True)
for line in child.stdout:
    line = json.loads(line)
    for values in line.get("outputs", {{}}).values():
        {swaps}
    print(json.dumps(line), flush=True)
""")
    emulator.command.append(str(script))
    status, message = refused(capsys, tflite_file, "--texts", dev_file)
    assert status == 1
    assert f"Too far from this machine's answers: {tflite_file}\n" in message


def test_spans_are_compared(emulator, folder, tmp_path):
    source = tb.load(folder)
    model = tb.BertSpanLabeler(source.config, vocabulary=source.vocabulary)
    path = tmp_path / "spans.tflite"
    tb.export.to_tflite(model, path, "float32")
    result = compare_on_arm.compare_file(path, ["a b", "c d e"], emulator)
    assert (result["cosine"], result["largest_difference"]) == (pytest.approx(1), 0)


def test_comparison_in_closed_form():
    result = compare_on_arm.compare(np.array([[3.0, 4], [1, 0]]), np.array([[4.0, 3], [0, 1]]))
    assert result == pytest.approx(
        {
            "cosine": 24 / 26,
            "mean_cosine": (24 / 25 + 0) / 2,
            "min_cosine": 0,
            "largest_difference": 1,
        }
    )


def test_tokens_of_a_sentence_count_together():
    there, here = np.random.default_rng(0).normal(size=(2, 3, 5, 2))
    result = compare_on_arm.compare(there, here)
    distances = [
        scipy.spatial.distance.cosine(*rows)
        for rows in zip(there.reshape(3, 10), here.reshape(3, 10), strict=True)
    ]
    assert result["min_cosine"] == pytest.approx(1 - max(distances))
    assert result["cosine"] == pytest.approx(
        1 - scipy.spatial.distance.cosine(there.ravel(), here.ravel())
    )


@pytest.mark.parametrize(
    ("changes", "least_cosine", "near"),
    [
        ({}, None, False),
        ({"tool": "quantizer"}, None, True),
        ({"cosine": 0.999}, None, True),
        ({"cosine": 0.9979, "tool": "quantizer"}, None, False),
        ({}, 0.9985, True),
        ({"tool": "quantizer"}, 0.9986, False),
        ({"cosine": float("nan")}, None, False),
    ],
)
def test_bounds(changes, least_cosine, near, capsys):
    assert compare_on_arm.report("a.tflite", RESULT | changes, least_cosine) is near
    assert (": near," if near else ": too far,") in capsys.readouterr().out


def test_the_line_tells_all(capsys):
    compare_on_arm.report("a.tflite", RESULT)
    assert capsys.readouterr().out == (
        "a.tflite (float32): too far, cosine 0.998510 (at least 0.999); of single sentences "
        "0.900000, least -1.000000; largest difference 0.25; 3 sentences, runtime 1 on aarch64 "
        "(cortex-a76) against runtime 1 on x86_64\n"
    )


def test_sentences_of_a_table(dev_file):
    assert compare_on_arm.read_sentences(dev_file, "sentence", 2) == ["a b", "c d e"]
    with pytest.raises(ValueError, match='no column "text"'):
        compare_on_arm.read_sentences(dev_file, "text", 2)


def test_sentences_of_a_text(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("one film\n\ntwo\tfilms\nthree\n")
    assert compare_on_arm.read_sentences(path, "sentence", 2) == ["one film", "two\tfilms"]
    path.write_text("one\u2028film\n", encoding="utf-8")
    assert compare_on_arm.read_sentences(path, "sentence", 2) == ["one\u2028film"]
    path.write_text("\n \n")
    with pytest.raises(ValueError, match="holds no sentence. Expected one a line"):
        compare_on_arm.read_sentences(path, "sentence", 2)


def test_wrong_use(emulator, tflite_file, dev_file, tmp_path, capsys):
    status, message = refused(capsys, tflite_file, "--texts", dev_file, "--count", 0)
    assert (status, "--count is 0, expected 1 or more" in message) == (2, True)
    missing = tmp_path / "missing.tflite"
    status, message = refused(capsys, missing, "--texts", dev_file)
    assert (status, f"No file {missing}" in message) == (1, True)
    status, message = refused(capsys, tflite_file, "--texts", missing)
    assert (status, str(missing) in message) == (1, True)


def test_it_says_where_it_died(emulator, tflite_file, dev_file, capsys):
    emulator.command += ["-c", "import os; os.abort()"]
    status, message = refused(capsys, tflite_file, "--texts", dev_file)
    assert status == 1
    assert f"{tflite_file} does not run there: the runtime died of SIGABRT" in message


def test_help():
    command = [sys.executable, "tflite/compare_on_arm.py", "--help"]
    out = subprocess.check_output(command, text=True, cwd=ROOT, env=ENVIRONMENT)
    assert "--root" in out
    assert "AI Edge Quantizer" in out


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
