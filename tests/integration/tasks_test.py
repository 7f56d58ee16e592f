"""Every problem and every named task's own ways, from the command line, with tiny models."""

import csv
import dataclasses
import json
import types

import glue_files
import numpy as np
import pytest
import seqeval.metrics
import sklearn.metrics
import tiny
from tinybert_tf.trainers.task_distill import TaskDistillSettings, measure_teacher

import tinybert_tf as tb
from tinybert_tf.data import TASKS, read_examples, read_squad, read_tags
from tinybert_tf.programs.settings import TaskSettings

INFERENCE = TASKS["mnli"].labels
SENTENCES = [text.split() for text, _ in tiny.make_rows(20, seed=5)]
FIRST_HALF = "abcdefghijklm"


def logits_of(folder, examples):
    """Logits of a folder's model, each text alone at its own length."""
    model = tb.load(folder)
    tokenizer, rows = tb.data.BertTokenizer(model.vocabulary), []
    pairs = examples.text_pairs or [None] * len(examples)
    for text, pair in zip(examples.texts, pairs, strict=True):
        encoded = tokenizer.encode([text], None if pair is None else [pair], max_length=16)
        ids, segments = (part.to_tensor() for part in encoded)
        inputs = {"token_ids": ids, "segment_ids": segments, "padding_mask": 0 * ids + 1}
        rows.append(model(inputs)["logits"].numpy()[0])
    return np.array(rows)


def write_spans(path):
    """Questions after the word "a": the answer is what follows it."""
    questions = []
    for number, words in enumerate(SENTENCES):
        context = f"a {' '.join(words[:4])}"
        answer = {"text": words[0], "answer_start": 2}
        entry = {"id": f"q{number}", "question": "a", "answers": [answer]}
        questions.append({"context": context, "qas": [entry]})
    path.write_text(json.dumps({"data": [{"paragraphs": questions}]}))
    return path


def write_tags(path):
    """A tag for each word: whether it is in the first half of the alphabet."""
    lines = (
        "".join(f"{word} {'B-X' if word in FIRST_HALF else 'O'}\n" for word in words)
        for words in SENTENCES
    )
    path.write_text("\n".join(lines))
    return path


def write_multilabel(path):
    rows = [
        (" ".join(words), "|".join(sorted({"ab"[word in FIRST_HALF] for word in words[1:]})))
        for words in SENTENCES
    ]
    return tiny.write_tsv(path, rows)


def score_spans(written, path):
    answers, examples = json.loads(written.read_text()), read_squad(path)
    assert list(answers) == examples.ids
    pairs = zip(answers.values(), examples.labels, examples.text_pairs, strict=True)
    right = []
    for answer, ((truth, _),), context in pairs:
        assert answer and answer in context
        # The article "a" does not count.
        right.append(answer.removeprefix("a ").removesuffix(" a") == truth)
    return right


def score_tags(written, path):
    found, true = read_tags(written), read_tags(path)
    assert found.texts == true.texts
    return seqeval.metrics.f1_score([*map(list, true.labels)], [*map(list, found.labels)])


def score_multilabel(written, path):
    with written.open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    true = read_examples(path, "sentence", label_column="label").labels
    matrices = [
        [[name in held.split(separator) for name in "ab"] for held in column]
        for column, separator in ((true, "|"), ([row["label"] for row in rows], ","))
    ]
    assert all((float(row["a"]) > 0.5) == ("a" in row["label"]) for row in rows)
    return sklearn.metrics.f1_score(*matrices, average="micro", zero_division=0)


# Problem: how its files are written and named, further flags, the name of the predictions, their
# score from the file, its name. Regression is among the tests of the programs.
PROBLEMS = {
    "spans": (write_spans, "train.json", (), "out.json", None, "exact_match"),
    "tagging": (write_tags, "train.conll", (), "out.tsv", score_tags, "entity_f1"),
    "multilabel": (
        *(write_multilabel, "train.tsv", ("--label-separator", "|"), "out.tsv"),
        *(score_multilabel, "micro_f1"),
    ),
}
SHORT = ("--intermediate-epochs", 0, "--prediction-epochs", 2, "--pad-to", 16)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_from_the_teacher_to_predictions(teacher, small, tmp_path, problem):
    write, name, flags, output, score, metric = PROBLEMS[problem]
    path, output = write(tmp_path / name), tmp_path / output
    task = ("--train", path, "--dev", path, "--problem", problem, *flags)
    fine, student = tmp_path / "teacher", tmp_path / "student"
    rate = ("--learning-rate", 0.003, "--epochs", 4, "--pad-to", 16)
    tiny.done("finetune-teacher", "--teacher", teacher, *task, "--output", fine, *rate)
    models = ("--teacher", fine, "--student", small, "--allow-weak-teacher")
    result = tiny.done("task-distill", *models, *task, "--output", student, *SHORT)
    assert tb.load(student).problem == problem
    terms = {
        "loss",
        "prediction_loss",
        *(f"dev_{name}" for name in tb.data.tasks.PROBLEMS[problem]),
    }
    assert set(result["prediction_epochs"][0]) == terms
    found = tiny.done("evaluate", "--model", student, *task)
    assert found[metric] == pytest.approx(result["dev"][f"dev_{metric}"], abs=1e-6)
    tiny.done("predict", "--model", student, "--input", path, "--output", output)
    if problem == "spans":
        assert np.mean(score_spans(output, path)) == pytest.approx(found[metric])
    else:
        assert score(output, path) == pytest.approx(found[metric], abs=1e-4)


@pytest.fixture(scope="module", name="mnli")
def write_mnli(tmp_path_factory):
    """A folder of MNLI's files with twenty rows each, and one of its test set."""
    folder = tmp_path_factory.mktemp("mnli")
    random = np.random.default_rng(0)
    for split in ("train", "dev_matched", "dev_mismatched", "test_matched", "test_mismatched"):
        rows = [
            (" ".join(words[:2]), " ".join(random.choice(list(tiny.WORDS), 2)), label)
            for words, label in zip(SENTENCES, random.choice(INFERENCE, 20), strict=True)
        ]
        header = ("sentence1", "sentence2", "gold_label")
        kept = 2 if split.startswith("test") else 3
        tiny.write_tsv(folder / f"{split}.tsv", [row[:kept] for row in rows], header[:kept])
    return folder


def save_reordered(model, labels, folder):
    """Writes a classifier with its outputs in another order; returns the folder."""
    kernel, bias = model.classifier.get_weights()
    order = [model.labels.index(name.lower()) for name in labels]
    other = tb.BertClassifier.from_encoder(model, labels, problem=model.problem)
    other.classifier.set_weights([kernel[:, order], bias[order]])
    tb.save(other, folder)
    return folder


@pytest.fixture(scope="module", name="orders")
def save_orders(tmp_path_factory):
    """A classifier of inferences, and the same with its labels in another order and case."""
    folder = tmp_path_factory.mktemp("orders")
    model = tiny.make_model(seed=4, hidden_dim=16, num_layers=1, labels=INFERENCE)
    tb.save(model, folder / "first")
    return folder / "first", save_reordered(
        model, ("CONTRADICTION", "ENTAILMENT", "NEUTRAL"), folder / "second"
    )


def test_the_order_of_labels_does_not_matter_to_metrics(orders, mnli):
    one, other = (
        tiny.done("evaluate", "--model", model, "--task", "mnli", "--data-dir", mnli)
        for model in orders
    )
    assert one.pop("model") != other.pop("model")
    assert one == other
    assert 0 < one["accuracy"] < 1


@pytest.fixture(scope="module", name="students")
def distil_students(orders, small, mnli, tmp_path_factory):
    """Folder and result of a student of each of the two, one with a cache and one without."""
    task = ("--task", "mnli", "--data-dir", mnli, "--student", small, "--allow-weak-teacher")
    rate, folder, students = ("--prediction-learning-rate", 0.003), tmp_path_factory.mktemp("s"), []
    for teacher, flags in zip(orders, ((), ("--run-teacher-always",)), strict=True):
        output = folder / teacher.name
        command = ("task-distill", "--teacher", teacher, *task, *SHORT, *rate, *flags)
        students.append((output, tiny.done(*command, "--output", output)))
    return students


def test_the_order_of_labels_does_not_matter_to_the_student(students):
    (folder, one), (other_folder, other) = students
    assert one["teacher_dev"] == other["teacher_dev"]
    losses = [[epoch["loss"] for epoch in run["prediction_epochs"]] for run in (one, other)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    heads = [tb.load(path).classifier.weights for path in (folder, other_folder)]
    for ours, theirs in zip(*heads, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_mnli_reports_both_parts(students, mnli):
    task, (student, result) = ("--task", "mnli", "--data-dir", mnli), students[0]
    names = {"dev_accuracy", "dev_mismatched_accuracy"}
    assert names < set(result["dev"])
    assert set(result["teacher_dev"]) == {"accuracy", "mismatched_accuracy"}
    found = tiny.done("evaluate", "--model", student, *task)
    assert found["num_examples"] == found["mismatched_num_examples"] == 20
    read = tb.data.task("mnli", mnli)
    for prefix, split in (("", "dev"), ("mismatched_", "dev_mismatched")):
        examples = read.examples(split)
        best = logits_of(student, examples).argmax(axis=1)
        labels = [tb.load(student).labels[place] for place in best]
        expected = sklearn.metrics.accuracy_score(examples.labels, labels)
        assert found[f"{prefix}accuracy"] == pytest.approx(expected)
        assert result["dev"][f"dev_{prefix}accuracy"] == pytest.approx(expected)
    one = tiny.done("evaluate", "--model", student, *task, "--split", "dev_mismatched")
    assert one["accuracy"] == found["mismatched_accuracy"]
    assert "mismatched_accuracy" not in one


def test_outputs_without_names_are_refused_with_advice(mnli, small, tmp_path):
    labels = tuple(f"LABEL_{number}" for number in range(3))
    model = tiny.save_model(tmp_path / "model", hidden_dim=16, num_layers=1, labels=labels)
    task, out = ("--task", "mnli", "--data-dir", mnli), tmp_path / "out"
    advice = "The model does not say what its outputs mean"
    assert advice in tiny.refused(1, "evaluate", "--model", model, *task)
    command = ("task-distill", "--teacher", model, "--student", small, *task)
    assert advice in tiny.refused(1, *command, "--output", out)
    written = tmp_path / "MNLI-m.tsv"
    assert advice in tiny.refused(1, "predict", "--model", model, *task, "--output", written)
    assert not out.exists() and not written.exists()


@pytest.fixture(scope="module", name="glue")
def write_glue(tmp_path_factory):
    return glue_files.write_all(tmp_path_factory.mktemp("glue"))


@pytest.mark.parametrize(
    ("name", "split", "labels", "cells"),
    [
        ("cola", "test", ("acceptable", "unacceptable"), ("1", "0")),
        ("rte", "test", ("Not Entailment", "ENTAILMENT"), ("not_entailment", "entailment")),
        ("wnli", "test", ("entailment", "not_entailment"), ("1", "0")),
        ("mnli", "test", INFERENCE[::-1], INFERENCE[::-1]),
        ("mnli", "test_mismatched", INFERENCE, INFERENCE),
        ("sst2", "train", ("negative", "positive"), ("0", "1")),
    ],
)
def test_submissions(glue, tmp_path, name, split, labels, cells):
    model = tiny.save_model(tmp_path / "model", hidden_dim=16, num_layers=1, labels=labels)
    best = logits_of(model, glue_files.EXAMPLES[name][split]).argmax(axis=1)
    output = tmp_path / "out.tsv"
    task = ("--task", name, "--data-dir", glue, "--split", split)
    tiny.done("predict", "--model", model, *task, "--output", output)
    lines = output.read_text().splitlines()
    assert lines[0] == "index\tprediction"
    assert lines[1:] == [f"{number}\t{cells[place]}" for number, place in enumerate(best)]


def test_submission_of_scores(glue, tmp_path):
    model = tiny.save_model(
        tmp_path / "model", hidden_dim=16, num_layers=1, labels=("score",), problem="regression"
    )
    expected = logits_of(model, glue_files.EXAMPLES["stsb"]["test"])
    task, output = ("--task", "stsb", "--data-dir", glue), tmp_path / "STS-B.tsv"
    tiny.done("predict", "--model", model, *task, "--output", output)
    assert output.read_text() == f"index\tprediction\n0\t{expected[0, 0]:.3f}\n"


def test_predictions_of_another_problem_are_refused(teacher, glue, tmp_path):
    output = tmp_path / "out.tsv"
    command = ("predict", "--model", teacher, "--data-dir", glue, "--output", output)
    assert "is for classification, but stsb is regression" in tiny.refused(
        1, *command, "--task", "stsb"
    )
    command = ("evaluate", "--model", teacher, "--data-dir", glue, "--task", "squad_v1")
    assert "is for classification, but squad_v1 is spans" in tiny.refused(1, *command)
    assert not output.exists()


@pytest.fixture(scope="module", name="span_labeler")
def save_span_labeler(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spans") / "model"
    model = tiny.make_model(hidden_dim=16, num_layers=1)
    tb.save(tb.BertSpanLabeler.from_encoder(model), folder)
    return folder


def test_answers_go_into_json_by_the_questions_ids(span_labeler, glue, tmp_path):
    task = ("--task", "squad_v2", "--data-dir", glue, "--split", "dev")
    command = ("predict", "--model", span_labeler, *task, "--output")
    assert "a name that ends in .json" in tiny.refused(1, *command, tmp_path / "out.tsv")
    tiny.done(*command, tmp_path / "out.json")
    answers = json.loads((tmp_path / "out.json").read_text())
    assert list(answers) == ["p", "r"]
    found = tiny.done("evaluate", "--model", span_labeler, *task)
    assert set(found) >= {"answer_f1", "exact_match"}


def test_answers_to_questions_of_a_table_go_by_their_number(span_labeler, tmp_path):
    path = tiny.write_tsv(
        tmp_path / "in.tsv", [("a", "b c"), ("d", "e f")], ("question", "context")
    )
    columns = ("--text-column", "question", "--text-pair-column", "context")
    command = ("predict", "--model", span_labeler, "--input", path, *columns)
    tiny.done(*command, "--output", tmp_path / "out.json")
    assert list(json.loads((tmp_path / "out.json").read_text())) == ["0", "1"]


def test_tags_of_texts_with_odd_spaces_can_be_read_back(tmp_path):
    model = tb.BertTokenClassifier.from_encoder(
        tiny.make_model(hidden_dim=16, num_layers=1), ("O", "B-X")
    )
    tb.save(model, tmp_path / "model")
    path, output = (
        tiny.write_tsv(tmp_path / "in.tsv", [("a  b ",), ("c",)], ("sentence",)),
        tmp_path,
    )
    command = ("predict", "--model", tmp_path / "model", "--input", path)
    tiny.done(*command, "--output", output / "out.tsv")
    assert read_tags(output / "out.tsv").texts == ["a b", "c"]


def test_skipped_lines_are_counted(teacher, tmp_path):
    path = tiny.write_tsv(tmp_path / "dev.tsv", [("a", "no"), ("b",), ("c", "yes")])
    command = ("evaluate", "--model", teacher, "--dev", path)
    assert "line 3: 1 column" in tiny.refused(1, *command)
    outcome = tiny.cli(*command, "--on-bad-line", "skip", "--json")
    assert outcome.result["num_examples"] == 2
    assert f"1 bad lines skipped; the first: {path}, line 3: 1 column" in outcome.err


@pytest.fixture(scope="module", name="guesser")
def save_guesser(tmp_path_factory):
    """A teacher that says "yes" to everything."""
    model = tiny.make_model(hidden_dim=16, num_layers=1)
    model.classifier.bias.assign([0.0, 1e4])
    tb.save(model, tmp_path_factory.mktemp("guesser") / "model")
    return tmp_path_factory.getbasetemp() / "guesser0" / "model"


def test_a_weak_teacher_stops_the_distillation_before_anything_is_made(guesser, distil, tmp_path):
    out = tmp_path / "out"
    message = tiny.refused(1, *distil(out, "--teacher", guesser))
    assert "The teacher's dev accuracy is " in message and ", and guessing gives " in message
    assert "Fine-tune the teacher on this task first" in message
    assert "--allow-weak-teacher goes on all the same." in message
    assert not out.exists()


@pytest.mark.parametrize(("weight", "allowed"), [(1.0, True), (0.0, False)])
def test_a_weak_teacher_whose_predictions_do_not_count_or_are_wanted(
    guesser, files, weight, allowed
):
    settings = types.SimpleNamespace(prediction_weight=weight, allow_weak_teacher=allowed)
    task = tb.data.task(train=files[1], dev=files[3])
    labels = task.examples("dev").labels
    metrics = measure_teacher(settings, tb.load(guesser), task)
    assert metrics == {"accuracy": pytest.approx(labels.count("yes") / len(labels))}


def make_settings(teacher, **changes):
    changes = {"teacher": str(teacher), "output": "out", "full_schedule": True} | changes
    return TaskDistillSettings(**changes)


@pytest.mark.parametrize("name", [name for name in TASKS if TASKS[name].schedule])
def test_the_papers_passes_are_taken_on_request(teacher, name):
    settings = make_settings(teacher, task=name)
    schedule, made = TASKS[name].schedule, settings.scheduled()
    expected = (schedule.intermediate_epochs, schedule.prediction_epochs)
    assert (made.intermediate_epochs, made.prediction_epochs) == expected
    same = dataclasses.replace(settings, full_schedule=False)
    assert same.scheduled() is same


def test_tasks_that_the_paper_does_not_have_are_refused(teacher, files, tmp_path):
    out = ("--output", tmp_path / "out", "--full-schedule")
    command = ("task-distill", "--teacher", teacher, *out)
    message = tiny.refused(2, *command, "--task", "snips")
    assert "The paper has no schedule for snips; give --intermediate-epochs" in message
    assert "no schedule for files of your own" in tiny.refused(2, *command, *files)
    assert not (tmp_path / "out").exists()


def test_help_names_the_tasks_that_there_are():
    (field,) = (field for field in dataclasses.fields(TaskSettings) if field.name == "task")
    listed = field.metadata["help"].removeprefix("name of a task: ").replace(" or ", ", ")
    assert listed.split(", ") == sorted(TASKS)


def test_words_are_tagged_without_tags(tmp_path):
    model = tb.BertTokenClassifier.from_encoder(
        tiny.make_model(hidden_dim=16, num_layers=1), ("O", "B-X")
    )
    tb.save(model, tmp_path / "model")
    path, output = tmp_path / "in.conll", tmp_path / "out.tsv"
    path.write_text("a\nb\n\nc\n")
    tiny.done("predict", "--model", tmp_path / "model", "--input", path, "--output", output)
    assert read_tags(output).texts == ["a b", "c"]


@pytest.mark.parametrize(("flags", "is_empty"), [((), False), (("--allow-no-answer",), True)])
def test_no_answer_where_it_is_allowed(span_labeler, glue, tmp_path, flags, is_empty):
    path, output = next(glue.rglob("dev-v2.0.json")), tmp_path / "out.json"
    command = ("predict", "--model", span_labeler, "--input", path, "--output", output)
    tiny.done(*command, "--null-threshold", -1e9, *flags)
    answers = json.loads(output.read_text())
    assert [not answer for answer in answers.values()] == [is_empty] * len(answers)


def test_a_teacher_of_fewer_positions_than_the_task_has(tmp_path):
    teacher = tiny.save_model(tmp_path / "teacher", hidden_dim=16, num_layers=1)  # of 16
    config = dataclasses.replace(tb.load(teacher).config, max_sequence_length=32)
    student = tb.BertClassifier(config, tiny.LABELS, vocabulary=tb.load(teacher).vocabulary)
    tb.save(student, tmp_path / "student")
    texts = [(" ".join("abcdefghij" * 3), label) for label in tiny.LABELS * 4]
    path = tiny.write_tsv(tmp_path / "train.tsv", texts)
    command = ("task-distill", "--teacher", teacher, "--student", tmp_path / "student")
    command += ("--train", path, "--dev", path, "--output", tmp_path / "out")
    tiny.done(*command, "--allow-weak-teacher", "--intermediate-epochs", 1, *SHORT[2:4])
