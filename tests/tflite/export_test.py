import json

import numpy as np
import pytest
import tiny
from tinybert_tf.tflite import export, verify
from tinybert_tf.tflite.export import ExportSettings, run
from tinybert_tf.trainers import evaluate

import tinybert_tf as tb
from tinybert_tf.edge import EdgeModel
from tinybert_tf.programs.answers import Answerer


def settings(folder, output, **others):
    return ExportSettings(model=str(folder), output=str(output), **others)


def test_writes_the_file_and_its_record(folder, tmp_path):
    output = tmp_path / "student.tflite"
    result = run(settings(folder, output, recipe="float16"))
    assert result["size_bytes"] == output.stat().st_size
    assert EdgeModel(output).labels == ("no", "yes")
    record = json.loads((tmp_path / "student.tflite.run.json").read_text())
    assert record["settings"]["recipe"] == "float16"
    assert record["result"] == result


def test_again_writes_the_file_anew(folder, tmp_path):
    output = tmp_path / "student.tflite"
    run(settings(folder, output))
    content = output.read_bytes()
    output.write_bytes(b"of an older model")
    run(settings(folder, output))
    assert len(output.read_bytes()) == len(content)


def test_another_recipe_replaces_only_when_told(folder, tmp_path):
    output = tmp_path / "student.tflite"
    run(settings(folder, output))
    with pytest.raises(FileExistsError, match="--recipe was"):
        run(settings(folder, output, recipe="float32"))
    run(settings(folder, output, recipe="float32", overwrite=True))
    assert EdgeModel(output).settings["recipe"] == "float32"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"recipe": "int8"}, 'Unknown recipe "int8". Recipes: float32'),
        ({"output": "student"}, "--output is student, expected a name that ends in .tflite"),
    ],
)
def test_wrong_settings_are_refused_before_work_starts(folder, wrong, message):
    with pytest.raises(ValueError, match=message):
        settings(folder, **({"output": "student.tflite"} | wrong)).check()


def of_task(folder, output, dev_file, **others):
    return settings(folder, output, train=str(dev_file), dev=str(dev_file), **others)


def test_a_target_has_its_recipe(folder, tmp_path):
    output = tmp_path / "student.tflite"
    assert run(settings(folder, output, target="legacy-2.14"))["recipe"] == "legacy_dynamic_wi8"
    assert settings(folder, output, recipe="float32", target="npu-int8").recipe_name == "float32"


def test_static_recipes_measure_the_task(folder, tmp_path, dev_file):
    output = tmp_path / "student.tflite"
    wanted = of_task(folder, output, dev_file, recipe="static_wi8_ai8", static_length=8)
    wanted.check()
    run(wanted)
    model = EdgeModel(output)
    assert model.settings["max_sequence_length"] == 8
    assert model.run([2, 5, 3], [1, 1, 1], [0, 0, 0])["probabilities"].shape == (1, 2)


def test_trims_to_the_task(folder, tmp_path, dev_file):
    output = tmp_path / "student.tflite"
    wanted = of_task(folder, output, dev_file, trim_vocabulary_to="task", max_length=6)
    wanted.check()
    result = run(wanted)
    # "i" and "j" do not occur, but other words may have to be spelled with them.
    assert result["trimming"]["num_kept"] == 14
    assert result["dev"]["before"] == result["dev"]["after"]
    assert EdgeModel(output).settings["max_sequence_length"] == 6


def test_what_shorter_texts_cost_is_measured(tmp_path):
    model = tiny.save_model(tmp_path / "model")
    texts, ask = [text for text, _ in tiny.make_rows(40, seed=0)], Answerer(model).ask
    labels, short = (ask(tb.data.Examples(texts), length).answers() for length in (None, 3))
    dev = tiny.write_tsv(tmp_path / "dev.tsv", zip(texts, labels, strict=True))
    result = run(of_task(model, tmp_path / "x.tflite", dev, max_length=3))
    right = [one == other for one, other in zip(labels, short, strict=True)]
    assert 0 < np.mean(right) < 1
    assert result["dev"] == {"before": {"accuracy": 1}, "after": {"accuracy": np.mean(right)}}
    assert "trimming" not in result


def test_nothing_is_measured_where_nothing_goes(folder, tmp_path, dev_file):
    result = run(of_task(folder, tmp_path / "x.tflite", dev_file, max_length=12))
    assert "dev" not in result


def test_trims_to_a_file(folder, tmp_path):
    texts, output = tmp_path / "texts.txt", tmp_path / "student.tflite"
    texts.write_text("a b\nc\n")
    result = run(settings(folder, output, trim_vocabulary_to=str(texts)))
    assert result["trimming"]["num_pieces"] == 14
    assert "dev" not in result


def test_a_calibrated_file_carries_its_threshold(folder, tmp_path, dev_file):
    output = tmp_path / "student.tflite"
    wanted = of_task(folder, output, dev_file, calibrate=True, recipe="float32")
    wanted.check()
    found = run(wanted)["calibration"]
    assert EdgeModel(output).out_of_scope_threshold == found["out_of_scope_threshold"]
    assert EdgeModel(output).settings["temperature"] == found["temperature"]
    task = {"train": str(dev_file), "dev": str(dev_file)}
    compared = verify.run(
        verify.VerifySettings(model=str(folder), tflite=str(output), **task, tolerance=0.0)
    )
    assert compared["largest_logit_difference"] < 1e-3


def test_what_is_reported_is_the_files_own(folder, tmp_path, dev_file):
    output = tmp_path / "student.tflite"
    wanted = of_task(folder, output, dev_file, calibrate=True, recipe="dynamic_wi4_afp32")
    found = run(wanted)["calibration"]
    task = {"train": str(dev_file), "dev": str(dev_file)}
    measured = evaluate.run(evaluate.EvaluateSettings(model=str(output), **task))
    for name in ("in_scope_rejected", "in_scope_accuracy"):
        assert measured[name] == found[name]
    assert measured["calibration_error"] == found["calibration_error_after"]


def test_text_goes_in_where_the_file_tokenizes(folder, tmp_path):
    output = tmp_path / "student.tflite"
    run(settings(folder, output, tokenizer_in_graph=True, recipe="float32"))
    with pytest.raises(ValueError, match="takes text"):
        EdgeModel(output)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"target": "npu-int9"}, 'Unknown --target "npu-int9". Did you mean "npu-int8"'),
        ({"recipe": "static_wi8_ai8"}, "--recipe static_wi8_ai8 reads a task: give --task"),
        ({"calibrate": True}, "--calibrate reads a task"),
        ({"trim_vocabulary_to": "task"}, "--trim-vocabulary-to task reads a task"),
        ({"trim_min_count": 0}, "--trim-min-count is 0, expected 1 or more"),
        ({"most_rejected": 1.0}, "--most-rejected is 1.0, expected 0 <= share < 1"),
        ({"max_length": 2}, "--max-length is 2, expected 3 or more"),
        ({"static_examples": 0}, "--static-examples is 0, expected 1 or more"),
        (
            {"target": "npu-int8", "tokenizer_in_graph": True},
            "--tokenizer-in-graph takes text .* but the recipe static_wi8_ai8 fixes the length",
        ),
        (
            {"static_length": 8, "tokenizer_in_graph": True},
            "--tokenizer-in-graph takes text .* but --static-length 8 fixes the length",
        ),
        (
            {"static_length": 8, "max_length": 6},
            "--static-length is 8, but --max-length leaves the model 6 positions",
        ),
    ],
)
def test_what_cannot_work_is_said_before(folder, wrong, message):
    with pytest.raises(ValueError, match=message):
        settings(folder, "student.tflite", **wrong).check()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"static_length": 13}, "`static_length` is 13, expected 3 to 12"),
        ({"calibrate": True}, "The model is for regression; only one for classification or"),
    ],
)
def test_what_a_model_cannot_is_said_before_it_is_measured(
    folder, tmp_path, dev_file, monkeypatch, wrong, message
):
    model = tb.load(folder)
    if "calibrate" in wrong:
        settings_of = model.get_config() | {"labels": ["score"], "problem": "regression"}
        model = tb.BertClassifier.from_config(settings_of)
    monkeypatch.setattr(tb, "load", lambda path, dtype: model)
    monkeypatch.setattr(export, "shrink", None)
    with pytest.raises(ValueError, match=message):
        run(of_task(folder, tmp_path / "x.tflite", dev_file, trim_vocabulary_to="task", **wrong))


def test_texts_that_are_not_there(folder):
    with pytest.raises(FileNotFoundError, match="none.txt: no such file, for --trim-vocabulary-to"):
        settings(folder, "student.tflite", trim_vocabulary_to="none.txt").check()
