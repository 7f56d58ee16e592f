"""Predicts with a model folder or a .tflite file, for the texts of a file or of a task.

    tinybert-tf predict --model sst2.tflite --input reviews.tsv --output predictions.tsv
    tinybert-tf predict --model runs/mnli --task mnli --data-dir glue --split test_mismatched \\
        --output submission/MNLI-mm.tsv

What is written follows from what the model is for. Classes: one line a text, the label and the
probability of each label, and a text that a calibrated file takes for none of them has the name
that it was given for that, such as out_of_scope; several labels at once: those that hold, and the
probabilities; a score.
Of a task: the lines that the GLUE server takes, `index` and `prediction`. Spans: the input is
SQuAD's JSON, the output the JSON that its evaluation takes, from question id to answer. Tags: a
word and its tag a line, a blank line after each text; the input is like that too, with or without
tags, or a table.
"""

import csv
import dataclasses
import json
import pathlib
import typing

from tinybert_tf.atomic import atomic_file
from tinybert_tf.programs.run_record import RunRecord
from tinybert_tf.programs.settings import Settings, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictSettings(Settings):
    """Settings of `predict`."""

    json_is_record: typing.ClassVar[bool] = False

    model: str = setting(help="model folder or .tflite file")
    input: str | None = setting(
        None, "texts: .tsv or .csv with a header line, SQuAD's JSON, or words and tags; also .gz"
    )
    task: str | None = setting(None, "name of a task, instead of --input")
    data_dir: str | None = setting(None, "the task's folder, or the one above it")
    split: str = setting("test", "of the task")
    output: str = setting(help="file to write: .json for spans, else .tsv")
    text_column: str = setting("sentence", "column that holds the text")
    text_pair_column: str | None = setting(None, "column that holds the second text of a pair")
    max_length: int | None = setting(
        None, "most word-pieces of a text; the task's own or what the model takes if unset"
    )
    allow_no_answer: bool = setting(False, "of --input: a question may have none, as in SQuAD 2.0")
    null_threshold: float = setting(
        0.0, "give no answer where its score is better than the best one's by more than this"
    )
    overwrite: bool = setting(False, "replace the predictions that are there")

    def check(self):
        super().check()
        if not self.output.endswith((".tsv", ".json")):
            raise ValueError(
                f"--output is {self.output}, expected a name that ends in .tsv or .json."
            )
        if (self.input is None) == (self.task is None):
            raise ValueError("Give either --input, a file, or --task, the name of a task.")
        if self.task:
            self.load_task()

    def load_task(self):
        """The `Task` that the settings name, or `None`."""
        from tinybert_tf import data

        return self.task and data.task(self.task, self.data_dir)


def run(settings):
    """Predicts; returns how many texts there were."""
    record = RunRecord("predict", settings)

    from tinybert_tf.programs.answers import Answerer

    task, model = settings.load_task(), Answerer(settings.model)
    if task:
        model.check(task)
    write, kind = choose_format(model, task)
    if not settings.output.endswith(kind):
        raise ValueError(f"--output is {settings.output}, expected a name that ends in {kind}.")
    examples = task.examples(settings.split) if task else read_input(settings, model.problem)
    found = model.ask(examples, settings.max_length or (task and task.max_length))
    record.start()
    with atomic_file(settings.output) as temporary:
        write(temporary, examples, found, settings)
    return record.finish({"output": settings.output, "num_examples": len(examples)})


def choose_format(model, task):
    """How to write what a model answers: a function, and the ending of the file's name."""
    from tinybert_tf.models.label_names import match_labels

    if model.problem == "spans":
        return write_answers, ".json"
    if model.problem == "tagging":
        return write_tags, ".tsv"
    if task and task.problem == "classification":
        match_labels(task.labels, model.labels)  # says what is wrong before the work
    return write_submission if task else write_outputs, ".tsv"


def read_input(settings, problem):
    """The examples of `input`, which a model for a problem takes."""
    from tinybert_tf import data

    path = pathlib.Path(settings.input)
    if problem == "spans" and path.name.removesuffix(".gz").endswith(".json"):
        return data.read_squad(path)
    if problem == "tagging" and settings.text_column not in data.column_names(path):
        return data.read_tags(path, tagged=False)
    columns = {"text_column": settings.text_column, "text_pair_column": settings.text_pair_column}
    return data.read_examples(path, **columns)


def write_outputs(path, examples, found, settings):
    """A line for each text: its label or labels, and its numbers."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        named = found.problem != "regression"
        writer.writerow(["label", *found.labels] if named else found.labels)
        for answer, row in zip(found.scoped_answers(), found.outputs, strict=True):
            numbers = [f"{value:.6f}" for value in row]
            label = ",".join(answer) if found.problem == "multilabel" else answer
            writer.writerow([label, *numbers] if named else numbers)


def write_submission(path, examples, found, settings):
    """A line for each text as the GLUE server takes it: its number and its label or score."""
    from tinybert_tf.data import TASKS
    from tinybert_tf.models.label_names import match_labels

    cells = {}
    if found.problem == "classification":
        source = TASKS[settings.task]
        places = match_labels(source.labels, found.labels)
        written = source.cells or source.labels
        cells = {found.labels[place]: cell for place, cell in zip(places, written, strict=True)}
    lines = [
        f"{number}\t{cells[answer] if cells else f'{answer:.3f}'}\n"
        for number, answer in enumerate(found.answers())
    ]
    pathlib.Path(path).write_text("index\tprediction\n" + "".join(lines), encoding="utf-8")


def write_answers(path, examples, found, settings):
    """SQuAD's predictions: an object from question id, or else its number, to answer."""
    task = settings.load_task()
    allowed = task.allows_no_answer if task else settings.allow_no_answer
    found = found.answers(allows_no_answer=allowed, null_threshold=settings.null_threshold)
    ids = examples.ids or map(str, range(len(examples)))
    answers = dict(zip(ids, found, strict=True))
    text = json.dumps(answers, ensure_ascii=False, indent=0)
    pathlib.Path(path).write_text(text + "\n", encoding="utf-8")


def write_tags(path, examples, found, settings):
    """A word and its tag a line, a blank line after each text."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for text, tags in zip(examples.texts, found.answers(), strict=True):
            words = text.split(" ") if text else []
            pairs = zip(words, tags, strict=True)
            file.writelines(f"{word}\t{tag}\n" for word, tag in pairs if word)
            file.write("\n")


if __name__ == "__main__":
    from tinybert_tf.cli import run_as_program

    run_as_program("predict")
