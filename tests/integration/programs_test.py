import csv
import json
import pathlib
import shutil

import numpy as np
import pytest
import tiny
from sklearn.metrics import accuracy_score

import tinybert_tf as tb

MODEL_FILES = {"config.json", "model.safetensors", "vocab.txt", "run.json", "metrics.json"}


def record_of(folder):
    return json.loads((folder / "run.json").read_text())


def predictions(folder, path):
    """Probabilities of a folder's model, each text alone at its own length."""
    model = tb.load(folder)
    tokenizer = tb.data.BertTokenizer(model.vocabulary)
    rows = []
    for text in tb.data.read_examples(path, "sentence").texts:
        ids = tokenizer.encode([text], max_length=16)[0].to_tensor()
        inputs = {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": 0 * ids + 1}
        rows.append(model(inputs)["logits"].numpy()[0])
    powers = np.exp(rows)
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module", name="student")
def distil_student(distil, tmp_path_factory):
    """Folder of a distilled student, and the result of its run."""
    output = tmp_path_factory.mktemp("run") / "student"
    result = tiny.done(*distil(output))
    return output, result


@pytest.fixture(scope="module", name="tflite")
def export_student(student):
    output = student[0].parent / "student.tflite"
    result = tiny.done("export", "--model", student[0], "--output", output, "--recipe", "float32")
    assert result["size_bytes"] == output.stat().st_size
    return output


def test_finetune_teacher(teacher, files, tmp_path):
    command = ("finetune-teacher", "--teacher", teacher, *files, "--output", tmp_path / "out")
    result = tiny.done(*command, "--epochs", 2, "--head", "tinybert_relu")
    assert len(result["epochs"]) == 2
    assert all({"label_loss", "dev_accuracy"} <= epoch.keys() for epoch in result["epochs"])
    best = max(epoch["dev_accuracy"] for epoch in result["epochs"])
    assert result["dev"]["dev_accuracy"] == best
    expected = predictions(tmp_path / "out", files[-1]).argmax(axis=1)
    labels = [tiny.LABELS[index] for index in expected]
    truth = tb.data.read_examples(files[-1], "sentence", label_column="label").labels
    assert accuracy_score(truth, labels) == pytest.approx(best)
    assert tb.load(tmp_path / "out").head == "tinybert_relu"


def test_finetune_teacher_from_a_preset(files, tmp_path):
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("".join(f"{token}\n" for token in tiny.TOKENS))
    command = ("finetune-teacher", "--teacher", "bert_tiny", *files, "--epochs", 1)
    tiny.done(*command, "--vocabulary", vocabulary, "--output", tmp_path / "out")
    model = tb.load(tmp_path / "out")
    assert (model.config.hidden_dim, model.vocabulary.tokens) == (128, tiny.TOKENS)


def test_task_distill(student, teacher):
    folder, result = student
    assert {path.name for path in folder.iterdir()} >= MODEL_FILES
    assert not {"best", "state"} & {path.name for path in folder.iterdir()}
    (intermediate,), (prediction,) = result["intermediate_epochs"], result["prediction_epochs"]
    terms = {"loss", "attention_loss", "hidden_loss", "embedding_loss"}
    assert set(intermediate) == terms
    assert set(prediction) == {"loss", "prediction_loss", "dev_accuracy"}
    assert result["teacher_dev"].keys() == {"accuracy"}
    assert tb.load(folder).config.hidden_dim == 16
    record = record_of(folder)
    assert (record["command"], record["status"]) == ("task-distill", "finished")
    assert record["result"] == result
    assert record["settings"]["teacher"] == str(teacher)
    assert record["versions"]["tensorflow"]


def test_the_teacher_is_left_as_it_was(student, teacher):
    assert set(tiny.snapshot(teacher)) == {
        "config.json",
        "model.safetensors",
        "vocab.txt",
        "tokenizer_config.json",
    }
    expected = tiny.make_model(hidden_dim=24)
    for ours, theirs in zip(expected.variables, tb.load(teacher).variables, strict=True):
        if "seed" not in ours.name:
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.parametrize("stage", ["intermediate", "prediction"])
def test_each_stage_has_its_own_curves(student, stage):
    assert list((student[0] / "logs" / stage).glob("events.*"))


def test_again_does_nothing(student, distil, monkeypatch):
    folder, result = student
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    monkeypatch.setattr(tb.Distiller, "fit", None)
    assert tiny.done(*distil(folder)) == result
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_other_settings_are_refused_by_name(student, distil):
    folder, _ = student
    before = tiny.snapshot(folder)
    message = tiny.refused(1, *distil(folder, "--seed", 8, "--temperature", 2))
    assert "holds a run with other settings" in message
    assert "--seed was 7 and is now 8; --temperature was 1.0 and is now 2.0" in message
    assert "--overwrite" in message
    assert tiny.snapshot(folder) == before


def test_another_command_is_refused(student, files):
    folder, _ = student
    command = ("finetune-teacher", "--teacher", folder, *files, "--output", folder)
    assert "holds a run of task-distill, not of finetune-teacher" in tiny.refused(1, *command)


def test_overwrite_replaces(student, distil, tmp_path):
    shutil.copytree(student[0], tmp_path / "out")
    (tmp_path / "out" / "stale").write_text("of the old run")
    labels_alone = ("--prediction-weight", 0, "--label-weight", 1, "--intermediate-epochs", 0)
    result = tiny.done(*distil(tmp_path / "out", *labels_alone, "--overwrite"))
    assert result["intermediate_epochs"] == []
    assert set(result["prediction_epochs"][0]) == {"loss", "label_loss", "dev_accuracy"}
    assert not (tmp_path / "out" / "stale").exists()
    assert record_of(tmp_path / "out")["settings"]["label_weight"] == 1


def test_a_preset_started_at_random_as_the_released_program(distil, tmp_path):
    preset = ("--student", "bert_tiny", "--initialize", "random", "--head", "tinybert_relu")
    options = ("--compat", "reference", "--layer-mapping", "2,1", "--batch-tokens", 256)
    result = tiny.done(*distil(tmp_path / "out", *preset, *options))
    assert np.isfinite(result["intermediate_epochs"][0]["loss"])
    student = tb.load(tmp_path / "out")
    assert (student.config.hidden_dim, student.head) == (128, "tinybert_relu")
    assert student.vocabulary.tokens == tiny.TOKENS


def test_scores_of_pairs(tmp_path):
    """Regression and sentence pairs of your own files, from the teacher to the .tflite file."""
    header = ("first", "second", "score")
    texts = [text for text, _ in tiny.make_rows(32, seed=2)]
    rows = [(a, b, len(a) / 4) for a, b in zip(texts[:16], texts[16:], strict=True)]
    train = tiny.write_tsv(tmp_path / "train.tsv", rows, header)
    columns = ("--text-column", "first", "--text-pair-column", "second")
    task = (*columns, "--label-column", "score", "--problem", "regression")
    start = tiny.save_model(tmp_path / "start", num_layers=1)
    teacher, student = tmp_path / "teacher", tmp_path / "student"
    task += ("--train", train, "--dev", train)
    tiny.done("finetune-teacher", "--teacher", start, *task, "--output", teacher, "--epochs", 1)
    short = ("--intermediate-epochs", 0, "--prediction-epochs", 1)
    models = ("--teacher", teacher, "--student", start, "--allow-weak-teacher")
    result = tiny.done("task-distill", *models, *task, "--output", student, *short)
    assert -1 <= result["dev"]["dev_pearson"] <= 1
    file = tmp_path / "student.tflite"
    tiny.done("export", "--model", student, "--output", file, "--recipe", "float32")
    scores = [tiny.done("evaluate", "--model", path, *task)["pearson"] for path in (student, file)]
    assert scores == pytest.approx([result["dev"]["dev_pearson"]] * 2, abs=1e-4)
    output = tmp_path / "scores.tsv"
    tiny.done("predict", "--model", file, "--input", train, *columns, "--output", output)
    written = [float(line) for line in output.read_text().splitlines()[1:]]
    correlation = np.corrcoef(written, [row[2] for row in rows])[0, 1]
    assert correlation == pytest.approx(scores[1], abs=1e-4)
    folder_labels = json.loads((student / "config.json").read_text())["id2label"]
    assert folder_labels == {"0": "score"}


def test_evaluate_folder_and_file(student, tflite, dev_file, tmp_path):
    truth = tb.data.read_examples(dev_file, "sentence", label_column="label").labels
    found = [tiny.LABELS[i] for i in predictions(student[0], dev_file).argmax(axis=1)]
    expected = accuracy_score(truth, found)
    assert student[1]["dev"]["dev_accuracy"] == pytest.approx(expected)
    for model in (student[0], tflite):
        output = tmp_path / f"{model.name}.json"
        result = tiny.done("evaluate", "--model", model, "--dev", dev_file, "--output", output)
        assert result["accuracy"] == pytest.approx(expected)
        assert result["num_examples"] == 24
        assert json.loads(output.read_text())["result"] == result


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_predict(student, tflite, dev_file, tmp_path, kind):
    model, output = {"folder": student[0], "file": tflite}[kind], tmp_path / "predictions.tsv"
    tiny.done("predict", "--model", model, "--input", dev_file, "--output", output)
    with output.open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    expected = predictions(student[0], dev_file)
    written = [[float(row[label]) for label in tiny.LABELS] for row in rows]
    np.testing.assert_allclose(written, expected, atol=1e-5)
    assert [row["label"] for row in rows] == [tiny.LABELS[i] for i in expected.argmax(axis=1)]
    assert json.loads(pathlib.Path(f"{output}.run.json").read_text())["status"] == "finished"


def test_verify_and_benchmark(student, tflite, dev_file):
    result = tiny.done("verify", "--model", student[0], "--tflite", tflite, "--dev", dev_file)
    assert result["agreement"] == 1
    result = tiny.done("benchmark", "--model", tflite, "--lengths", 4, "--threads", 1, "--runs", 3)
    assert result["files"][0]["path"] == str(tflite)


def test_run_goes_on_where_it_stopped(teacher, small, files, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"""
output: {tmp_path}/out
train: {files[1]}
dev: {files[3]}
seed: 3
stages:
- task-distill:
    teacher: {teacher}
    student: {small}
    intermediate-epochs: 0
    prediction_epochs: 1
    output: ${{output}}/student
- export:
    model: ${{output}}/student
    output: ${{output}}/student.tflite
- evaluate:
    model: ${{output}}/student.tflite
    output: ${{output}}/dev.json
"""
    )
    first = tiny.done("run", recipe)
    assert list(first) == ["task-distill", "export", "evaluate"]
    assert record_of(tmp_path / "out" / "student")["settings"]["seed"] == 3
    before = tiny.snapshot(tmp_path / "out")
    assert tiny.done("run", recipe) == first
    assert tiny.snapshot(tmp_path / "out") == before
    (tmp_path / "out" / "student.tflite").unlink()
    outcome = tiny.cli("run", recipe)
    assert outcome.status == 0
    assert outcome.err.splitlines()[:3] == [
        "task-distill: finished before",
        "export: export",
        "evaluate: evaluate",
    ]


def test_a_stage_is_made_anew_from_what_was_made_anew(teacher, small, files, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"""
output: {tmp_path / "out"}
train: {files[1]}
dev: {files[3]}
stages:
- finetune-teacher:
    teacher: {teacher}
    epochs: 1
    output: ${{output}}/teacher
- task-distill:
    teacher: ${{output}}/teacher
    student: {small}
    intermediate_epochs: 0
    prediction_epochs: 1
    allow_weak_teacher: true
    output: ${{output}}/student
"""
    )
    tiny.done("run", recipe)
    weights = tmp_path / "out" / "student" / "model.safetensors"
    first = weights.stat().st_mtime_ns
    shutil.rmtree(tmp_path / "out" / "teacher")
    tiny.done("run", recipe)
    assert weights.stat().st_mtime_ns > first
