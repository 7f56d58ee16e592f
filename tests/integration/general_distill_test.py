"""General distillation and masked-LM training on a prepared corpus, tiny."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import tiny
from safetensors.numpy import load_file

import tinybert_tf as tb
from tinybert_tf.programs.strategies import make_strategy

FILES = {"config.json", "model.safetensors", "vocab.txt", "run.json", "losses.csv", "losses.svg"}
FILES |= {"projection.safetensors"}


@pytest.fixture(scope="module", name="corpus")
def prepare(teacher, tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    random = np.random.default_rng(0)
    lines = [" ".join(random.choice(list(tiny.WORDS), 4)) for _ in range(120)]
    lines[3::5] = [""] * len(lines[3::5])
    (folder / "text.txt").write_text("\n".join(lines))
    files = ("--input", folder / "text.txt", "--vocabulary", teacher)
    few = ("--sentences", "line", "--workers", 1)
    tiny.done("prepare-corpus", *files, *few, "--output", folder / "corpus")
    return folder / "corpus"


@pytest.fixture(scope="module", name="settings")
def name_settings(corpus):
    """Flags of a short training; those given again count."""
    few = ("--max-length", 16, "--batch-size", 4, "--epochs", 2, "--learning-rate", 1e-2)
    return ("--corpus", corpus, *few, "--steps-per-epoch", 3)


@pytest.fixture(scope="module", name="distil_general")
def make_distil_general(settings, teacher, small):
    """The arguments of a short general-distill; flags given again count."""

    def arguments(output, *others):
        models = ("--teacher", teacher, "--student", small, "--curve-steps", 2, "--deterministic")
        return ("general-distill", *models, *settings, "--output", output, *others)

    return arguments


@pytest.fixture(scope="module", name="general")
def run_general(distil_general, tmp_path_factory):
    """Folder of a general student, and the result of its run."""
    folder = tmp_path_factory.mktemp("general") / "student"
    return folder, tiny.done(*distil_general(folder))


def test_general_distill(general, small):
    folder, result = general
    assert {path.name for path in folder.iterdir()} >= FILES
    assert not (folder / "state").exists()
    first, second = result["epochs"]
    assert second["loss"] < first["loss"]
    assert first["tokens_per_second"] > 0
    assert (result["steps"], result["sequences"]) == (6, 24)
    student, start = tb.load(folder), tb.load(small)
    assert type(student) is tb.BertEncoder
    layers = [model.encoder_layers[0] for model in (student, start.encoder)]
    before, after = (layer.attention.query.kernel.numpy() for layer in layers)
    assert np.abs(before - after).max() > 1e-3
    # Nothing teaches the pooler.
    np.testing.assert_array_equal(student.pooler.kernel, start.encoder.pooler.kernel)


def test_the_curve_ends_in_the_means_of_the_epochs(general):
    folder, result = general
    with (folder / "losses.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["step"]) for row in rows] == [
        ("1", "2"),
        ("1", "3"),
        ("2", "2"),
        ("2", "3"),
    ]
    for row, epoch in zip(rows[1::2], result["epochs"], strict=True):
        assert {name: float(row[name]) for name in row if "loss" in name} == pytest.approx(
            {name: epoch[name] for name in epoch if "loss" in name}
        )
    left = float(rows[3]["attention_loss"]) * 3 - float(rows[2]["attention_loss"]) * 2
    expected = left / float(rows[0]["attention_loss"])
    assert result["losses_left"]["attention_loss"] == pytest.approx(expected, rel=1e-5)


def test_goes_on_in_the_middle_of_an_epoch(distil_general, general, tmp_path, monkeypatch):
    update = tb.callbacks.TrainingBackup.on_train_batch_end

    def interrupt(self, batch, logs=None):
        update(self, batch, logs)
        if len(self.epoch_logs) == 1 and batch == 1:
            raise KeyboardInterrupt

    output, often = tmp_path / "student", ("--checkpoint-steps", 1)
    with monkeypatch.context() as patch:
        patch.setattr(tb.callbacks.TrainingBackup, "on_train_batch_end", interrupt)
        tiny.refused(130, *distil_general(output, *often))
    result = tiny.done(*distil_general(output, *often))
    for ours, theirs in zip(result["epochs"], general[1]["epochs"], strict=True):
        assert {**ours, "tokens_per_second": 0} == {**theirs, "tokens_per_second": 0}
    for name in FILES - {"run.json"}:
        assert (output / name).read_bytes() == (general[0] / name).read_bytes()


def test_the_general_student_goes_on_to_a_task(general, teacher, files, tmp_path):
    output = tmp_path / "student"
    models = ("--teacher", teacher, "--student", general[0], "--output", output)
    short = ("--intermediate-epochs", 1, "--prediction-epochs", 1)
    tiny.done("task-distill", *models, *files, *short)
    assert tb.load(output).labels == tiny.LABELS


def test_a_student_of_a_config_file(distil_general, teacher, tmp_path):
    values = json.loads((teacher / "config.json").read_text())
    path = tmp_path / "config.json"
    path.write_text(json.dumps(values | {"num_hidden_layers": 1, "hidden_size": 12}))
    short = ("--epochs", 1, "--steps-per-epoch", 1)
    tiny.done(*distil_general(tmp_path / "out", "--student", path, *short))
    config = tb.load(tmp_path / "out").config
    assert (config.num_layers, config.hidden_dim) == (1, 12)


def test_adapt_mlm(settings, teacher, tmp_path):
    output = tmp_path / "masked_lm"
    longer = ("--epochs", 12, "--steps-per-epoch", 100)
    result = tiny.done("adapt-mlm", "--model", teacher, *settings, *longer, "--output", output)
    first, *_, last = (epoch["masked_lm_loss"] for epoch in result["epochs"])
    assert last < 0.95 * first
    model = tb.load(output)
    assert isinstance(model, tb.BertMaskedLM)
    again = tiny.done(
        "adapt-mlm", "--model", output, *settings, "--epochs", 1, "--output", tmp_path / "more"
    )
    assert again["epochs"][0]["masked_lm_loss"] < 0.95 * first


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        (("--corpus", "gone"), 2, "gone"),
        (("--max-length", 32), 1, "--max-length is 32, but the model takes at most 16"),
        (("--batch-size", 5000), 1, "less than one batch of 5000"),
        (("--epochs", 0), 2, "--epochs is 0, expected 1 or more"),
        (("--student", "tinybert"), 2, "neither a folder nor a preset"),
        (("--masked-lm-prob", 1.5), 2, "--masked-lm-prob is 1.5, expected 0 or more"),
        (("--max-length", 4), 2, "--max-length is 4, expected 8 or more"),
        (("--seed", -1), 2, "--seed is -1, expected 0 or more"),
    ],
)
def test_what_cannot_work_is_said_before(distil_general, tmp_path, flags, status, message):
    output = tmp_path / "out"
    assert message in tiny.refused(status, *distil_general(output, *flags))
    assert not output.exists()


def test_another_vocabulary_is_refused(distil_general, tmp_path):
    tokens = (*tiny.TOKENS, "more")
    others = [tiny.save_model(tmp_path / name, tokens=tokens) for name in ("teacher", "student")]
    command = distil_general(tmp_path / "out", "--teacher", others[0], "--student", others[1])
    assert "was prepared with other word-pieces" in tiny.refused(1, *command)


def test_adapt_mlm_needs_something_to_mask(settings, teacher, tmp_path):
    command = ("adapt-mlm", "--model", teacher, *settings, "--output", tmp_path / "out")
    message = tiny.refused(2, *command, "--masked-lm-prob", 0)
    assert "--masked-lm-prob is 0, which leaves nothing to learn" in message


RECIPE = """
output: {output}
teacher: {teacher}
train: {train}
dev: {dev}
max_length: 16
batch_size: 4
epochs: 1
stages:
- prepare-corpus:
    input: [{text}]
    vocabulary: {teacher}
    workers: 1
    output: ${{output}}/corpus
- general-distill:
    corpus: ${{output}}/corpus
    student: {student}
    output: ${{output}}/general
- adapt-mlm: {{corpus: "${{output}}/corpus", model: {teacher}, output: "${{output}}/masked_lm"}}
- finetune-teacher: {{output: "${{output}}/teacher"}}
- augment: {{masked_lm: "${{output}}/masked_lm", output: "${{output}}/train.candidates"}}
- task-distill:
    teacher: ${{output}}/teacher
    student: ${{output}}/general
    augment: on-the-fly
    candidates: ${{output}}/train.candidates
    variants: 2
    intermediate_epochs: 1
    prediction_epochs: 1
    allow_weak_teacher: true
    output: ${{output}}/student
- export: {{model: "${{output}}/student", output: "${{output}}/student.tflite"}}
"""


def test_a_recipe_goes_the_whole_way(corpus, teacher, small, files, tmp_path):
    places = {"teacher": teacher, "student": small, "text": corpus.parent / "text.txt"}
    places |= {"train": files[1], "dev": files[3], "output": tmp_path / "out"}
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(**places))
    result = tiny.done("run", path)
    assert result["task-distill"]["rows"] == 3 * 32
    assert (tmp_path / "out" / "student.tflite").is_file()
    before = tiny.snapshot(tmp_path / "out")
    assert tiny.done("run", path) == result
    assert tiny.snapshot(tmp_path / "out") == before


def test_the_projection_goes_on_with_its_student(general, distil_general, teacher, files, tmp_path):
    class Seen(Exception):
        """Ends a run where its projection has been started."""

    def started(command, *flags):
        found = []

        def look(self, *args, **kwargs):
            found.append(self.projection.dense_layers[-1].kernel.numpy())
            raise Seen

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tb.Distiller, "fit", look)
            outcome = tiny.cli(*command, "--student", general[0], *flags)
        assert "Seen" in outcome.err
        return found[0], outcome.err

    def saved(name):
        return load_file(general[0] / "projection.safetensors")[name]

    kernel = saved("embedding_and_shared.dense_1.kernel")
    again = distil_general(tmp_path / "more")
    np.testing.assert_array_equal(started(again)[0], kernel)
    task = ("task-distill", "--teacher", teacher, *files, "--output", tmp_path / "task")
    np.testing.assert_array_equal(started(task)[0], kernel)
    other, message = started(task, "--projection", "per_layer", "--overwrite")
    assert "the projection starts at random" in message
    assert other.shape == kernel.shape and np.abs(other - kernel).max() > 1e-3


def test_two_replicas_learn_as_one(corpus, teacher):
    def losses(strategy):
        with strategy.scope():
            models = [tb.load(teacher) for _ in range(2)]
            config = dataclasses.replace(models[1].config, dropout=0.0, attention_dropout=0.0)
            student = tb.BertEncoder(config, models[1].vocabulary)
            student.copy_weights(models[1].encoder)
            for variable in student.trainable_variables:
                variable.assign(variable * 0.9)
            distiller = tb.Distiller(models[0].encoder, student)
            distiller.compile(tb.IntermediateObjective(projection="identity"), tb.adamw(1e-3))
        batches = tb.corpus.CorpusBatches(
            tb.corpus.CorpusShards(corpus), max_length=16, batch_size=5, steps_per_epoch=4
        )
        history = distiller.fit(batches, epochs=2, verbose=0)
        return history.history["loss"]

    one, two = (losses(make_strategy(name)) for name in ("one", "mirrored"))
    assert one[1] < one[0]
    assert two == pytest.approx(one, rel=1e-4)
